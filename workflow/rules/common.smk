"""Shared by all rules: the checked edition, and how a rule's options and inputs depend on its wildcards.

INPUTS:  the configuration, config/claims.yaml, config/inputs.yaml
OUTPUTS: (none: functions only)
"""

import os
import shutil
import signal
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, f"{workflow.basedir}/src")
from wframe.claims.claim import load_claims
from wframe.config import edition as editions
from wframe.data.registry import known
from wframe.errors import UserError
from wframe.files import sha256_file
from wframe.jobs import inputs, options, paths, runs
from wframe.runtime.code import code_hash

# on a cluster, the warning before a time limit goes to all processes of a job; only training handles it, and saves a
# checkpoint
signal.signal(signal.SIGUSR1, signal.SIG_IGN)

INPUTS = os.environ.get("WFRAME_REGISTRY", f"{workflow.basedir}/config/inputs.yaml")
CLAIMS = f"{workflow.basedir}/config/claims.yaml"
try:
    EDITION = editions.check(config, "the configuration")
    load_claims(Path(CLAIMS))
    known(EDITION.inputs(), Path(INPUTS))
except UserError as error:
    raise WorkflowError(str(error))

GPU = EDITION.device == "cuda" or (
    EDITION.device == "auto" and shutil.which("nvidia-smi") is not None
)
# What results don't depend on (paths, checkpoint interval) is passed through the environment, not as parameters. Jobs run
# in Snakemake's own environment, even if it isn't activated, and with this checkout's code, which an environment made by
# Snakemake (--sdm conda) can't install.
os.environ.update(
    PATH=os.pathsep.join([os.path.dirname(sys.executable), *os.get_exec_path()]),
    PYTHONPATH=f"{workflow.basedir}/src",
    WFRAME_CHECKPOINT_EVERY=str(EDITION.job.checkpoint_seconds),
    WFRAME_ROOT=str(EDITION.data_path("")),
    WFRAME_REGISTRY=INPUTS,
    WFRAME_CLAIMS=CLAIMS,
)


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


def of(function):
    """Turn a function of `wframe.jobs` into a rule's input or parameter; it gets the edition and the wildcards."""

    def call(wildcards):
        return function(EDITION, **dict(wildcards.items()))

    return call


def study_files(ending):
    """Return a rule's input function: the files with this ending of all shards of the wildcards' study."""

    def files(wildcards):
        return runs.run_files(EDITION, ending, wildcards.study)

    return files


def more_time(wildcards, attempt):
    """Return a job's minutes, doubled with each attempt (which resumes from the checkpoint)."""
    return EDITION.job.minutes * 2 ** (attempt - 1)


def more_memory(wildcards, attempt):
    """Return a job's memory in MB, 1.5 times as much with each attempt."""
    return int(EDITION.job.memory_mb * 1.5 ** (attempt - 1))
