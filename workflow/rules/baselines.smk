"""Baselines: models of another kind, trained on the same pictures.

INPUTS:  results/data/{dataset}/{class}.npy
OUTPUTS: results/baselines/{baseline}/{repeat}.safetensors, .parquet, .json
"""


rule baseline:
    """Train a baseline and generate its pictures."""
    input:
        baseline_pictures,
    output:
        images="results/baselines/{baseline}/{repeat}.safetensors",
        losses="results/baselines/{baseline}/{repeat}.parquet",
        record="results/baselines/{baseline}/{repeat}.json",
    log:
        "results/logs/baselines/{baseline}/{repeat}.log",
    conda:
        "../../environment.yml"
    threads: EDITION.job.threads
    resources:
        gpu=int(GPU),
        mem_mb=more_memory,
        runtime=more_time,
    params:
        settings=baseline_settings,
        names=baseline_names,
        seed=EDITION.seed,
        device=EDITION.device,
        out="results/baselines/{baseline}/{repeat}",
        code=baseline_code,
    shell:
        "exec python -m wframe baseline --pictures {input:q} --out {params.out:q} --settings {params.settings:q}"
        " {params.names:q} --repeat {wildcards.repeat} --seed {params.seed} --device {params.device}"
        " --threads {threads} --checkpoints results/checkpoints"
        ' --checkpoint-every "$WFRAME_CHECKPOINT_EVERY" 2> {log:q}'
