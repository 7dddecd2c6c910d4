"""The score table: real pictures, samples and baselines through one classifier, and the nearest training pictures.

INPUTS:  results/data/**, results/runs/**, results/baselines/**, the classifier's weights
OUTPUTS: results/scores/weights.json (whether the classifier is here), results/scores/{row}.json,
         results/tables/scores.csv and .tex
"""


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
        SCORE_RECORDS,
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
