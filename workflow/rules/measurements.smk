"""Measurements on finished runs that run the bank; judges read their tables.

INPUTS:  results/runs/**, results/baselines/**, results/data/**, results/bank.safetensors
OUTPUTS: results/measurements/few-images/{baseline}.csv,
         results/measurements/reconstructions/{baseline}.csv and .safetensors, results/measurements/gain.csv,
         results/measurements/quality.csv, results/measurements/looks/{study}.csv
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


rule reconstruct:
    """How far held-out images are from what a baseline makes of their codes, and FRAME and wFRAME by Langevin steps."""
    input:
        weights=of(runs.baseline_weights),
        training=of(runs.baseline_images),
        held_out=of_made(runs.baseline_held_out),
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
        options=of_made(options.reconstruct),
        step=step("reconstruct"),
    shell:
        "python -P -m wframe --step {params.step:q} reconstruct {params.options:q} --weights {input.weights:q} --training {input.training:q}"
        " --held-out {input.held_out:q} --bank {input.bank:q} --threads {threads} --out {output.table:q} 2> {log:q}"


rule gain:
    """Measure how close the penalty's step of θ is to instability, by group."""
    input:
        observed=of_made(runs.collapse_images),
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
        samples=of_made(runs.first_study_files, "safetensors"),
        observed=of_made(runs.prepared_files, "npy"),
        config="results/config.yaml",
        left_out=ancient(INPUTS_RECORD),
    output:
        "results/measurements/quality.csv",
    log:
        "results/logs/measurements/quality.log",
    conda:
        "../../environment.yml"
    params:
        step=step("quality"),
    shell:
        "python -P -m wframe --step {params.step:q} quality --results results --out {output:q} 2> {log:q}"


rule looks:
    """Measure what a study's settings do to the images, and the classifier's score, where the edition has scores."""
    input:
        samples=of_made(runs.run_files, "safetensors"),
        observed=of_made(runs.observed_files),
        weights=paths.weights_record(EDITION),
        config="results/config.yaml",
        left_out=ancient(INPUTS_RECORD),
    output:
        "results/measurements/looks/{study}.csv",
    log:
        "results/logs/measurements/looks/{study}.log",
    conda:
        "../../environment.yml"
    threads: EDITION.job.threads
    params:
        options=of(options.looks),
        step=step("looks"),
    shell:
        'python -P -m wframe --step {params.step:q} looks {params.options:q} --data "$WFRAME_ROOT" --results results'
        " --threads {threads} --out {output:q} 2> {log:q}"
