"""The score table: real images, samples and baselines through one classifier, and the nearest training images.

INPUTS:  results/data/**, results/runs/**, results/baselines/**, the classifier's weights
OUTPUTS: results/scores/weights.json (whether the classifier is here), results/scores/{row}.json,
         results/tables/scores.csv and .tex
"""


rule weights:
    """Have the classifier here, or record why it isn't: the scores then say so, and all else is made."""
    input:
        left_out=ancient(INPUTS_RECORD),
    output:
        paths.WEIGHTS_RECORD,
    log:
        "results/logs/scores/weights.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        options=options.weights(EDITION),
        seen=of(inputs.weights_content),
        code=code_hash("wframe.scores.weights"),
    shell:
        'python -m wframe weights {params.options:q} --data "$WFRAME_ROOT" --seen {params.seen} --out {output} 2> {log}'


rule score:
    """Score one row: real images, a study's samples or a baseline's."""
    input:
        of(inputs.score_files),
        weights=paths.WEIGHTS_RECORD,
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
        options=of(options.score),
        code=of(inputs.score_code),
    shell:
        'python -m wframe score {params.options:q} --weights {input.weights} --data "$WFRAME_ROOT"'
        " --threads {threads} --out {output:q} 2> {log:q}"


rule score_table:
    """The table of all rows."""
    input:
        of_made(paths.score_records),
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
