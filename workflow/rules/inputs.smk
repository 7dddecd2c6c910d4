"""From raw data to uint8 arrays, and the bank.

INPUTS:  the data folder (see `wframe data status`), or the images embedded in packages
OUTPUTS: results/config.yaml (the edition in full), results/inputs.json (which inputs are here, and what the run goes on
         without), results/data/{dataset}/{class}.npy and .parquet, results/bank.safetensors
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
        "python -P -m wframe --step {params.step:q} config --json {params.edition:q} --out {output} 2> {log}"


checkpoint inputs:
    """Fetch and check every input before anything is trained. Needs the internet, so it runs beside Snakemake.

    What isn't available stops the run here, or is left out; the rest is planned when this is done.
    """
    input:
        config="results/config.yaml",
    output:
        paths.INPUTS_RECORD,
    log:
        "results/logs/inputs.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        seen=of(inputs.inputs_seen) if INPUTS_RECORD else "",
        without=EDITION.without,
        step=step("inputs"),
    shell:
        'python -P -m wframe --step {params.step:q} inputs {input.config} --data "$WFRAME_ROOT" --registry "$WFRAME_REGISTRY"'
        ' --claims "$WFRAME_CLAIMS" --without {params.without} --seen {params.seen:q} --out {output}'
        " 2>&1 | tee {log} >&2"


rule fetch:
    """Fetch one entry of config/inputs.yaml, where a part of the workflow needs it that doesn't need all inputs."""
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
        of_made(inputs.bank_files),
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
