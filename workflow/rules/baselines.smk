"""Baselines: other models, trained on the same images.

INPUTS:  results/data/{dataset}/{class}.npy
OUTPUTS: results/baselines/{baseline}/{repeat}.safetensors, -weights.safetensors, .parquet, .json
"""


rule baseline:
    """Train a baseline and generate its samples."""
    input:
        of(runs.baseline_images),
    output:
        images="results/baselines/{baseline}/{repeat}.safetensors",
        weights="results/baselines/{baseline}/{repeat}-weights.safetensors",
        losses="results/baselines/{baseline}/{repeat}.parquet",
        record="results/baselines/{baseline}/{repeat}.json",
    log:
        "results/logs/baselines/{baseline}/{repeat}.log",
    priority: 1  # scores, reconstructions and figures follow
    conda:
        "../../environment.yml"
    threads: EDITION.job.threads
    resources:
        gpu=RULES.gpus,
        mem_mb=RULES.more_memory,
        runtime=RULES.more_time,
    params:
        options=of(options.baseline),
        out="results/baselines/{baseline}/{repeat}",
        step=step("baseline"),
    shell:
        "exec python -P -m wframe --step {params.step:q} baseline {params.options:q} --images {input:q} --out {params.out:q}"
        f" --threads {{threads}} --checkpoints {paths.CHECKPOINTS}"
        ' --checkpoint-every "$WFRAME_CHECKPOINT_EVERY" 2> {log:q}'
