"""FRAME Revisited, reproduced: from raw images to the paper's tables, figures and claims.

snakemake                                    the demo edition: embedded images, minutes on a CPU
snakemake -n                                 what would run
snakemake --configfile config/paper.yaml     the paper's own data, bank and schedule
"""

# an edition is complete: the default one must not leak into another
if "edition" not in config:

    configfile: f"{workflow.basedir}/config/demo.yaml"


include: "workflow/rules/common.smk"


container: IMAGE


wildcard_constraints:
    dataset="|".join(EDITION.datasets),
    study="|".join(EDITION.studies),
    baseline="|".join(EDITION.baselines) or "-",
    row="|".join(EDITION.scores.rows) if EDITION.scores else "-",
    class_="[^/]+",
    setting="[^/]+",
    method="frame|wframe",
    repeat=r"\d+",
    shard=r"\d+",


include: "workflow/rules/inputs.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/baselines.smk"
include: "workflow/rules/scores.smk"
include: "workflow/rules/measurements.smk"
include: "workflow/rules/theory.smk"
include: "workflow/rules/report.smk"


rule data:
    """All prepared images and the bank: what training needs."""
    input:
        "results/config.yaml",
        "results/bank.safetensors",
        of_made(runs.prepared_files, "npy"),
        of_made(runs.prepared_files, "parquet"),
    localrule: True


rule runs:
    """All trained runs and baselines."""
    input:
        [
            of_made(files, ending)
            for ending in ("safetensors", "parquet", "json")
            for files in (runs.run_files, paths.baseline_files)
        ],
    localrule: True


rule all:
    default_target: True
    input:
        "results/report/index.html",
        "results/manifest.json",
    localrule: True


onstart:
    if forks(workflow):
        forkserver.start()


onsuccess:
    shell("python -P -m wframe claims --summary")
