"""From raw data to uint8 arrays, and the bank.

INPUTS:  the data folder (see `wframe data status`), or the images that come with the packages
OUTPUTS: results/config.yaml (the edition in full), results/inputs.json (which inputs are here, and what the run goes on
         without), results/data/{dataset}/{class}.npy and .parquet, results/bank.safetensors
"""


rule config:
    """Write the edition out in full, so that a result can be read without its defaults."""
    output:
        "results/config.yaml",
    log:
        "results/logs/config.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        edition=EDITION.model_dump_json(by_alias=True),
    shell:
        "python -m wframe config --json {params.edition:q} > {output} 2> {log}"


checkpoint inputs:
    """Have every input here and checked before anything is trained. Needs the internet, so it runs beside Snakemake.

    What can't be had stops the run here, or is left out: what comes after is planned when this is done.
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
    shell:
        'python -m wframe inputs {input.config} --data "$WFRAME_ROOT" --registry "$WFRAME_REGISTRY"'
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
        'python -m wframe fetch {wildcards.entry} --data "$WFRAME_ROOT" 2> {log}'


rule prepare:
    """Images of one class to one uint8 array, with a manifest that leads each row back to its source."""
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
        raw=of(inputs.raw_content),
        code=of(inputs.prepare_code),
    shell:
        'python -m wframe prepare {params.options:q} --data "$WFRAME_ROOT" --out {output.array:q}'
        " --manifest {output.manifest:q} 2> {log:q}"


rule bank:
    """The bank of this edition: VGG-16's weights converted, or the builtin bank as it comes with the package."""
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
        options=options.bank(EDITION),
        builtin=inputs.bank_content(EDITION),
        code=code_hash("wframe.weights.bank"),
    shell:
        'python -m wframe bank {params.options:q} --data "$WFRAME_ROOT" --out {output} 2> {log}'
