"""Baselines: models of another kind, trained on the same pictures.

INPUTS:  results/data/{dataset}/{class}.npy
OUTPUTS: results/baselines/{baseline}/{repeat}.safetensors, .parquet, .json
"""


def baseline_pictures(wildcards):
    """The prepared arrays that the baseline is trained on."""
    return plan.baseline_pictures(EDITION, wildcards.baseline)


def baseline_settings(wildcards):
    """The settings of its training, as JSON."""
    return plan.training_json(EDITION, wildcards.baseline)


def baseline_names(wildcards):
    """Dataset and class, from which the random numbers derive."""
    baseline = EDITION.baselines[wildcards.baseline]
    return ["--dataset", baseline.dataset, "--class", baseline.class_ or "all"]


def baseline_code(wildcards):
    """The trainer's code and the model's; another baseline's doesn't count."""
    model = EDITION.baselines[wildcards.baseline].model
    return code_hash("wframe.baselines.train", f"wframe.baselines.{model}")


def baseline_files(ending):
    """The files with an ending of all trainings of all baselines."""
    return [
        f"results/baselines/{name}/{repeat}.{ending}"
        for name, baseline in EDITION.baselines.items()
        for repeat in range(baseline.repeats)
    ]


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
