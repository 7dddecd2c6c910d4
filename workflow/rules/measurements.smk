"""Measurements on finished runs that run the bank; judges read their tables.

INPUTS:  results/runs/**, results/baselines/**, results/data/**, results/bank.safetensors
OUTPUTS: results/measurements/few-images/{baseline}.csv, results/measurements/piecewise.csv,
         results/measurements/gain.csv, results/measurements/quality.csv
"""


rule few_images:
    """Measure how close a baseline comes to the few images that it was trained on (Figure 6)."""
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
        step=step("few_images"),
    shell:
        "python -P -m wframe --step {params.step:q} few-images {params.options:q} --samples {input.samples:q} --training {input.training:q}"
        " --bank {input.bank:q} --threads {threads} --out {output:q} 2> {log:q}"


rule piecewise:
    """Test whether ∇ₓΦ is constant around the final chains (Remark 2), on some wFRAME runs of the first study."""
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
        step=step("piecewise"),
    shell:
        "python -P -m wframe --step {params.step:q} piecewise --samples {input.samples:q} --bank {input.bank:q} --threads {threads}"
        " --group-size {params.group_size} --out {output:q} 2> {log:q}"


rule gain:
    """Measure how close the penalty's step of θ is to instability, by group."""
    input:
        observed=runs.collapse_images(EDITION),
        bank="results/bank.safetensors",
    output:
        "results/measurements/gain.csv",
    log:
        "results/logs/measurements/gain.log",
    conda:
        "../../environment.yml"
    threads: EDITION.job.threads
    params:
        group_size=EDITION.learning.M,
        step=step("gain"),
    shell:
        "python -P -m wframe --step {params.step:q} gain --observed {input.observed:q} --bank {input.bank:q} --threads {threads}"
        " --group-size {params.group_size} --out {output:q} 2> {log:q}"


rule quality:
    """Measure noise, colour and structure of the first study's images, independently of R."""
    input:
        samples=runs.run_files(EDITION, "safetensors", next(iter(EDITION.studies))),
        observed=runs.prepared_files(EDITION, "npy"),
        config="results/config.yaml",
    output:
        "results/measurements/quality.csv",
    log:
        "results/logs/measurements/quality.log",
    conda:
        "../../environment.yml"
    params:
        study=next(iter(EDITION.studies)),
        step=step("quality"),
    shell:
        "python -P -m wframe --step {params.step:q} quality {params.study:q} --results results --out {output:q} 2> {log:q}"
