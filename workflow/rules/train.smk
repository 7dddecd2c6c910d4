"""Algorithm 1 on every shard of every run.

INPUTS:  results/data/{dataset}/{class}.npy, results/bank.safetensors
OUTPUTS: results/runs/{study}/{dataset}/{class}/{setting}/{method}-{repeat}/{shard}.safetensors, .parquet, .json
"""


rule train:
    """Train FRAME or wFRAME on one shard: groups of nine images, batched as far as memory allows."""
    input:
        observed="results/data/{dataset}/{class_}.npy",
        bank="results/bank.safetensors",
    output:
        images="results/runs/{study}/{dataset}/{class_}/{setting}/{method}-{repeat}/{shard}.safetensors",
        curves="results/runs/{study}/{dataset}/{class_}/{setting}/{method}-{repeat}/{shard}.parquet",
        record="results/runs/{study}/{dataset}/{class_}/{setting}/{method}-{repeat}/{shard}.json",
    log:
        "results/logs/train/{study}/{dataset}/{class_}/{setting}/{method}-{repeat}/{shard}.log",
    conda:
        "../../environment.yml"
    threads: EDITION.job.threads
    resources:
        gpu=RULES.gpus,
        mem_mb=RULES.more_memory,
        runtime=RULES.more_time,
    params:
        options=of(options.train),
        out="results/runs/{study}/{dataset}/{class_}/{setting}/{method}-{repeat}/{shard}",
        step=step("train"),
    shell:
        # exec: a signal to the job must reach the training process itself, not a shell that the signal kills
        "exec python -P -m wframe --step {params.step:q} train {params.options:q} --observed {input.observed:q} --bank {input.bank:q}"
        f" --out {{params.out:q}} --threads {{threads}} --checkpoints {paths.CHECKPOINTS}"
        ' --checkpoint-every "$WFRAME_CHECKPOINT_EVERY" 2> {log:q}'
