"""The score table: real images, samples and baselines scored by one classifier, and the nearest training images.

INPUTS:  results/data/**, results/runs/**, results/baselines/**, the classifier's weights
OUTPUTS: results/scores/weights.json (whether the classifier's weights are available), results/scores/{row}.json,
         results/tables/scores.csv and .tex
"""


rule weights:
    """Fetch or check the classifier's weights. If they are missing, record why; all other results are still made."""
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
        options=of(options.weights),
        seen=of(inputs.weights_content),
        step=step("weights"),
    shell:
        'python -P -m wframe --step {params.step:q} weights {params.options:q} --data "$WFRAME_ROOT" --seen {params.seen} --out {output} 2> {log}'


rule score:
    """Score one row: real images, a study's samples or a baseline's."""
    input:
        of_made(inputs.score_files),
        weights=paths.WEIGHTS_RECORD,
    output:
        "results/scores/{row}.json",
    log:
        "results/logs/scores/{row}.log",
    conda:
        "../../environment.yml"
    threads: EDITION.job.threads
    resources:
        gpu=RULES.gpus,
        mem_mb=RULES.more_memory,
        runtime=RULES.more_time,
    params:
        options=of_made(options.score),
        step=step("score"),
    shell:
        'python -P -m wframe --step {params.step:q} score {params.options:q} --weights {input.weights} --data "$WFRAME_ROOT"'
        " --threads {threads} --out {output:q} 2> {log:q}"


rule score_table:
    """Make the table of all rows."""
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
        step=step("score_table"),
    shell:
        "python -P -m wframe --step {params.step:q} score-table {input:q} --out {output.table} 2> {log}"
