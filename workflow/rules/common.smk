"""Shared by all rules: the checked edition, and how a rule's options and inputs depend on its wildcards.

INPUTS:  the configuration, config/claims.yaml, config/inputs.yaml
OUTPUTS: (none: functions only)
"""

import os
import shlex
import shutil
import signal
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod

sys.path.insert(0, f"{workflow.basedir}/src")
from wframe.claims.claim import load_claims
from wframe.config import edition as editions
from wframe.data.registry import known
from wframe.errors import UserError
from wframe.files import read_json, read_yaml
from wframe.jobs import inputs, left_out, options, paths, runs
from wframe.jobs.rules import Rules
from wframe.record.stamps import explain
from wframe.record.sweep import litter, sweep

# on a cluster, the warning before a time limit goes to all processes of a job; only training handles it, and saves a
# checkpoint
signal.signal(signal.SIGUSR1, signal.SIG_IGN)

if set("{}") & set(str(workflow.basedir)):
    raise WorkflowError(
        f"{workflow.basedir}: Snakemake takes braces in this path for wildcards. Rename the folder."
    )

INPUTS = os.environ.get("WFRAME_REGISTRY", f"{workflow.basedir}/config/inputs.yaml")
CLAIMS = f"{workflow.basedir}/config/claims.yaml"
try:
    for file in workflow.configfiles:  # Snakemake itself accepts duplicate keys
        read_yaml(file)
    EDITION = editions.check(config, "the configuration")
    load_claims(Path(CLAIMS))
    known([*EDITION.inputs(), *EDITION.without], Path(INPUTS))
    DATA = EDITION.data_path("")
except UserError as error:
    raise WorkflowError(str(error))

# the image in which jobs run with --sdm apptainer: docs/container.md
IMAGE = os.environ.get("WFRAME_IMAGE")
if (
    DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method
    and not IMAGE
):
    raise WorkflowError(
        "--sdm apptainer: WFRAME_IMAGE must name the image's file; docs/container.md says how to make it"
    )


container: IMAGE


RULES = Rules(EDITION)
of, step = RULES.of, RULES.step
GPU = EDITION.device == "cuda" or (
    EDITION.device == "auto" and shutil.which("nvidia-smi") is not None
)
INPUTS_RECORD = [paths.INPUTS_RECORD] if EDITION.inputs() else []
# What results don't depend on (paths, checkpoint interval) is passed through the environment, not as parameters. Jobs run
# in Snakemake's own environment, even if it isn't activated, and with this checkout's code, which an environment made by
# Snakemake (--sdm conda) can't install.
os.environ.update(
    PATH=os.pathsep.join([os.path.dirname(sys.executable), *os.get_exec_path()]),
    PYTHONPATH=f"{workflow.basedir}/src",
    WFRAME_CHECKPOINT_EVERY=str(EDITION.job.checkpoint_seconds),
    WFRAME_ROOT=str(DATA),
    WFRAME_REGISTRY=INPUTS,
    WFRAME_CLAIMS=CLAIMS,
)
if workflow.is_main_process:  # for messages that repeat the user's own command
    os.environ.update(WFRAME_COMMAND=shlex.join(["snakemake", *sys.argv[1:]]))


def made():
    """The edition as this run makes it: without the inputs that aren't available, which `inputs` finds out first.

    What runs nothing (-n, --summary) asks no server: it takes all as available, except for what was missing last time.
    """
    if not INPUTS_RECORD:
        return EDITION
    if workflow.executor_plugin is None or workflow.dryrun:
        return inputs.as_planned(EDITION)
    record = checkpoints.inputs.get().output[0]
    return left_out.of_record(EDITION, read_json(record))


def of_made(function, *arguments):
    """A rule's input over studies, datasets or baselines: a function of the edition as this run makes it."""

    def call(wildcards):
        return function(made(), *arguments, **dict(wildcards.items()))

    return call


# before anything runs: refuse results that have changed since their step wrote them, and mark stale ones to be remade
if workflow.is_main_process and "WFRAME_NO_SWEEP" not in os.environ:
    litter(remove=True)
    _, drifted = sweep(EDITION)
    if drifted:
        raise WorkflowError(explain(drifted))
