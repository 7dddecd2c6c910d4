"""From raw data to uint8 arrays, and the bank.

INPUTS:  the data folder (see `wframe data status`), or the pictures that come with the packages
OUTPUTS: results/config.yaml (the edition in full), results/data/{dataset}/{class}.npy and .parquet, results/bank.safetensors
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
        'python -m wframe fetch {wildcards.entry} --data "$WFRAME_ROOT" 2> {log}'


rule prepare:
    """Pictures of one class to one uint8 array, with a manifest that leads each row back to its source."""
    input:
        raw_inputs,
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
        options=prepare_options,
        raw=raw_fingerprint,
        code=code_hash("wframe.data.prepare"),
    shell:
        'python -m wframe prepare {params.options:q} --data "$WFRAME_ROOT" --class {wildcards.class_:q} --out {output.array:q}'
        " --manifest {output.manifest:q} 2> {log:q}"


rule bank:
    """The bank of this edition: VGG-16's weights converted, or the builtin bank as it comes with the package."""
    input:
        bank_inputs,
    output:
        "results/bank.safetensors",
    log:
        "results/logs/bank.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        source=bank_source,
        builtin=plan.builtin_bank_hash(EDITION),
        code=code_hash("wframe.model.make_bank"),
    shell:
        "python -m wframe bank {params.source} --out {output} 2> {log}"
