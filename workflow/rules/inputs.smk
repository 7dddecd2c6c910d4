"""From raw data to uint8 arrays, and the bank.

INPUTS:  the data folder (see `wframe data status`), or the images embedded in packages
OUTPUTS: results/config.yaml (the edition in full), results/data/{dataset}/{class}.npy and .parquet, results/bank.safetensors
"""


rule config:
    """Write the edition in full, with all defaults filled in."""
    output:
        "results/config.yaml",
    log:
        "results/logs/config.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        edition=of(options.config),
        step=step("config"),
    shell:
        "python -P -m wframe --step {params.step:q} config --json {params.edition:q} > {output} 2> {log}"


rule fetch:
    """Fetch one entry of config/inputs.yaml; needs the internet, so it runs where Snakemake does."""
    output:
        f"{EDITION.data_path('{entry}')}/.fetched.json",
    log:
        "results/logs/fetch/{entry}.log",
    localrule: True
    conda:
        "../../environment.yml"
    shell:
        'python -P -m wframe fetch {wildcards.entry} --data "$WFRAME_ROOT" 2> {log}'


rule prepare:
    """Convert the images of one class to one uint8 array, with a manifest that names the source of each row."""
    input:
        of(inputs.raw_files),
    output:
        array="results/data/{dataset}/{class_}.npy",
        manifest="results/data/{dataset}/{class_}.parquet",
    log:
        "results/logs/prepare/{dataset}/{class_}.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        options=of(options.prepare),
        step=step("prepare"),
    shell:
        'python -P -m wframe --step {params.step:q} prepare {params.options:q} --data "$WFRAME_ROOT" --out {output.array:q}'
        " --manifest {output.manifest:q} 2> {log:q}"


rule bank:
    """Make this edition's bank: convert VGG-16 weights, or copy the package's builtin bank."""
    input:
        of(inputs.bank_files),
    output:
        "results/bank.safetensors",
    log:
        "results/logs/bank.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        options=of(options.bank),
        step=step("bank"),
    shell:
        'python -P -m wframe --step {params.step:q} bank {params.options:q} --data "$WFRAME_ROOT" --out {output} 2> {log}'
