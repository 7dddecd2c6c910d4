"""The score table: real pictures, samples and baselines through one classifier, and the nearest training pictures.

INPUTS:  results/data/**, results/runs/**, results/baselines/**, the classifier's weights
OUTPUTS: results/scores/weights.json (whether the classifier is here), results/scores/{row}.json,
         results/tables/scores.csv and .tex
"""

from pathlib import Path

from wframe.files import read_json, sha256_file

SCORES = EDITION.scores
WEIGHTS = "results/scores/weights.json"
SCORE_TABLES = ["results/tables/scores.csv"] if SCORES else []


def weights_options(wildcards):
    """The options of `wframe weights`."""
    options = ["--path", SCORES.weights] if SCORES.weights else []
    return options + (["--fetch", *SCORES.inputs] if SCORES.inputs else [])


def weights_seen(wildcards):
    """What is known of the classifier's weights: it changes when they come, or change, after they were looked at.

    A file that the rule itself fetched is no news; nor is one that has gone while its scores are here.
    """
    if SCORES.weights is None:
        return plan.pocket_hash()
    path = EDITION.data_path(SCORES.weights)
    now = sha256_file(path) if path.is_file() else "missing"
    known = read_json(WEIGHTS) if Path(WEIGHTS).exists() else {"status": "none yet"}
    old = known["status"] == "ok" and now in ("missing", known["sha256"])
    return known["seen"] if old else now


def score_files(wildcards):
    """The pictures that a row is made from, and the gate's record where it has to pass first."""
    row = plan.score_row(EDITION, wildcards.row)
    gate = [f"results/scores/{SCORES.gate}.json"] if SCORES.gate else []
    files = (
        row.training + row.held_out + [file for part in row.samples for file in part]
    )
    return sorted(set(files)) + (gate if wildcards.row != SCORES.gate else [])


def score_options(wildcards):
    """The options of `wframe score`."""
    options = plan.score_row(EDITION, wildcards.row).options()
    options += ["--extractor", SCORES.extractor, "--splits", str(SCORES.splits)]
    options += ["--limit", str(SCORES.samples)] if SCORES.samples else []
    options += ["--nearest", str(SCORES.nearest)] if SCORES.nearest else []
    if wildcards.row == SCORES.gate:
        options += ["--is-gate"]
    elif SCORES.gate:
        options += ["--gate", f"results/scores/{SCORES.gate}.json"]
    return options


rule weights:
    """Have the classifier here, or record why it isn't: the scores then say so, and all else is made."""
    output:
        WEIGHTS,
    log:
        "results/logs/scores/weights.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        extractor=SCORES.extractor if SCORES else "",
        options=weights_options,
        seen=weights_seen,
        code=code_hash("wframe.scores.weights"),
    shell:
        'python -m wframe weights {params.extractor} {params.options:q} --data "$WFRAME_ROOT" --seen {params.seen}'
        " --out {output} 2> {log}"


rule score:
    """Score one row: real pictures, a study's samples or a baseline's."""
    input:
        score_files,
        weights=WEIGHTS,
    output:
        "results/scores/{row}.json",
    log:
        "results/logs/scores/{row}.log",
    conda:
        "../../environment.yml"
    threads: EDITION.job.threads
    resources:
        gpu=int(GPU),
        mem_mb=more_memory,
        runtime=more_time,
    params:
        options=score_options,
        device=EDITION.device,
        code=code_hash("wframe.scores.score"),
    shell:
        'python -m wframe score {params.options:q} --weights {input.weights} --data "$WFRAME_ROOT"'
        " --device {params.device} --threads {threads} --out {output:q} 2> {log:q}"


rule score_table:
    """The table of all rows."""
    input:
        expand("results/scores/{row}.json", row=SCORES.rows if SCORES else []),
    output:
        table="results/tables/scores.csv",
        latex="results/tables/scores.tex",
    log:
        "results/logs/scores/table.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        code=code_hash("wframe.scores.table"),
    shell:
        "python -m wframe score-table {input:q} --out {output.table} 2> {log}"
