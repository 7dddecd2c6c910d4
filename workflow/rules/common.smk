"""What the rules share: the checked edition, its runs, and the hashes that decide what is stale.

INPUTS:  the configuration
OUTPUTS: results/config.yaml, the edition in full
"""

import os
import shutil
import sys

from snakemake.exceptions import WorkflowError

from wframe import config as editions
from wframe import plan
from wframe.data.fingerprint import fingerprint
from wframe.errors import UserError
from wframe.provenance import code_hash

# jobs run in the environment that Snakemake runs in, also when it wasn't activated
os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]

try:
    EDITION = editions.check(config, "the configuration")
except UserError as error:
    raise WorkflowError(str(error))

GPU = EDITION.device == "cuda" or (
    EDITION.device == "auto" and shutil.which("nvidia-smi") is not None
)
STUDIES = {name: plan.runs(EDITION, name) for name in EDITION.studies}


wildcard_constraints:
    dataset="|".join(EDITION.datasets),
    study="|".join(EDITION.studies),
    class_="[^/]+",
    setting="[^/]+",
    method="frame|wframe",
    repeat=r"\d+",
    shard=r"\d+",


def files_of(ending):
    """An input function: the files with an ending of all shards of the study in the wildcards."""

    def files(wildcards):
        return [file for run in STUDIES[wildcards.study] for file in run.files(ending)]

    return files


def files_of_all(ending):
    """The files with an ending of all shards of all studies."""
    return [
        file for runs in STUDIES.values() for run in runs for file in run.files(ending)
    ]


def prepared(ending):
    """The prepared arrays (npy) or manifests (parquet) of all datasets and classes in use."""
    return sorted(
        {
            f"results/data/{run.dataset}/{run.class_}.{ending}"
            for runs in STUDIES.values()
            for run in runs
        }
    )


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
