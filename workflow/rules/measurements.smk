"""Measurements on finished runs that need the network; judges read their tables.

INPUTS:  results/runs/**, results/baselines/**, results/data/**, results/bank.safetensors
OUTPUTS: results/measurements/few-images/{baseline}.csv, results/measurements/piecewise.csv,
         results/measurements/reconstructions/{baseline}.csv and .safetensors
"""


rule few_images:
    """How close a baseline comes to the few images that it was trained on (Figure 6)."""
    input:
        samples=of(runs.baseline_samples),
        training=of(runs.baseline_images),
        bank="results/bank.safetensors",
    output:
        "results/measurements/few-images/{baseline}.csv",
    log:
        "results/logs/measurements/few-images/{baseline}.log",
    conda:
        "../../environment.yml"
    threads: EDITION.job.threads
    params:
        options=of(options.few_images),
        code=code_hash("wframe.measurements.few_images"),
    shell:
        "python -m wframe few-images {params.options:q} --samples {input.samples:q} --training {input.training:q}"
        " --bank {input.bank:q} --threads {threads} --out {output:q} 2> {log:q}"


rule reconstruct:
    """How far held-out images are from what a baseline makes of their codes, and FRAME and wFRAME by Langevin steps."""
    input:
        weights=of(runs.baseline_weights),
        training=of(runs.baseline_images),
        held_out=of(runs.baseline_held_out),
        bank="results/bank.safetensors",
    output:
        table="results/measurements/reconstructions/{baseline}.csv",
        images="results/measurements/reconstructions/{baseline}.safetensors",
    log:
        "results/logs/measurements/reconstructions/{baseline}.log",
    conda:
        "../../environment.yml"
    threads: EDITION.job.threads
    params:
        options=of(options.reconstruct),
        code=of(inputs.reconstruct_code),
    shell:
        "python -m wframe reconstruct {params.options:q} --weights {input.weights:q} --training {input.training:q}"
        " --held-out {input.held_out:q} --bank {input.bank:q} --threads {threads} --out {output.table:q} 2> {log:q}"


rule piecewise:
    """Is ∇ₓΦ constant around the final chains (Remark 2)? On some of wFRAME's runs of the first study."""
    input:
        samples=runs.first_samples(EDITION, most=4),
        bank="results/bank.safetensors",
    output:
        "results/measurements/piecewise.csv",
    log:
        "results/logs/measurements/piecewise.log",
    conda:
        "../../environment.yml"
    threads: EDITION.job.threads
    params:
        group_size=EDITION.learning.M,
        code=code_hash("wframe.measurements.piecewise"),
    shell:
        "python -m wframe piecewise --samples {input.samples:q} --bank {input.bank:q} --threads {threads}"
        " --group-size {params.group_size} --out {output:q} 2> {log:q}"
