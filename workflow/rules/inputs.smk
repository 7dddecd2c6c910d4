"""From raw data to uint8 arrays, and the bank.

INPUTS:  the data folder (see `wframe data status`), or the pictures that come with the packages
OUTPUTS: results/data/{dataset}/{class}.npy and .parquet, results/bank.safetensors
"""


def raw_inputs(wildcards):
    """What has to be fetched before a dataset can be read."""
    return [
        EDITION.data_path(f"{name}/.fetched.json")
        for name in EDITION.datasets[wildcards.dataset].inputs
    ]


def raw_fingerprint(wildcards):
    """The content of raw files that no fetch vouches for."""
    entry = EDITION.datasets[wildcards.dataset]
    return (
        ""
        if entry.source == "embedded" or entry.inputs
        else fingerprint(EDITION.data_path(entry.path))
    )


def prepare_options(wildcards):
    """The options of `wframe prepare`."""
    options = plan.prepare_options(EDITION, wildcards.dataset)
    return [
        str(part) for name, value in options.items() for part in (f"--{name}", value)
    ]


rule fetch:
    """Fetch one entry of config/inputs.yaml; needs the internet, so it runs where Snakemake does."""
    output:
        protected(f"{EDITION.data_path('{entry}')}/.fetched.json"),
    log:
        "results/logs/fetch/{entry}.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        data=str(EDITION.data_path("")),
        registry=f"{workflow.basedir}/config/inputs.yaml",
    shell:
        "python -m wframe fetch {wildcards.entry} --data {params.data:q} --registry {params.registry:q} 2> {log}"


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
        "python -m wframe prepare {params.options:q} --class {wildcards.class_:q} --out {output.array:q}"
        " --manifest {output.manifest:q} 2> {log:q}"


def bank_source(wildcards):
    """The file that the bank is made from."""
    bank = EDITION.bank
    return (
        EDITION.data_path(bank.weights) if bank.source == "vgg16" else plan.BUILTIN_BANK
    )


rule bank:
    """The bank of this edition: VGG-16's weights converted, or the builtin bank as it comes with the package."""
    input:
        bank_source,
    output:
        "results/bank.safetensors",
    log:
        "results/logs/bank.log",
    localrule: True
    conda:
        "../../environment.yml"
    params:
        source=EDITION.bank.source,
        code=code_hash("wframe.model.make_bank"),
    shell:
        "python -m wframe bank --{params.source} {input:q} --out {output} 2> {log}"
