"""FRAME Revisited, regenerated: from raw pictures to the paper's tables, figures and claims.

snakemake                                    the demo edition: embedded pictures, minutes on a CPU
snakemake -n                                 what would run
snakemake --configfile config/paper.yaml     the paper's own data, bank and schedule
"""

# editions are whole: the default one must not leak into another
if "edition" not in config:

    configfile: f"{workflow.basedir}/config/demo.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/baselines.smk"
include: "workflow/rules/scores.smk"
include: "workflow/rules/paper.smk"


rule data:
    """All prepared pictures and the bank: what training needs."""
    input:
        "results/config.yaml",
        "results/bank.safetensors",
        prepared("npy"),
        prepared("parquet"),
    localrule: True


rule runs:
    """All trained runs and baselines."""
    input:
        [
            file
            for ending in ("safetensors", "parquet", "json")
            for file in files_of_all(ending) + baseline_files(ending)
        ],
    localrule: True


rule all:
    default_target: True
    input:
        "results/report/index.html",
        "results/manifest.json",
    localrule: True


onsuccess:
    shell("python -m wframe claims --summary")
