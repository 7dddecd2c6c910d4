"""Measurements on finished runs that need the network; judges read their tables.

INPUTS:  results/runs/**, results/baselines/**, results/data/**, results/bank.safetensors
OUTPUTS: results/measurements/few-images/{baseline}.csv, results/measurements/piecewise.csv
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


rule piecewise:
    """Is ∇ₓΦ constant around the final chains (Remark 2)? On some of wFRAME's runs of the first study."""
    input:
        samples=of_made(runs.first_samples, 4),
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
