"""Shared by all rules: the checked edition, and how a rule's options and inputs depend on its wildcards.

INPUTS:  the configuration, config/claims.yaml, config/inputs.yaml
OUTPUTS: (none: functions only)
"""

import os
import shlex
import signal
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, f"{workflow.basedir}/src")
from wframe.claims.claim import load_claims
from wframe.config import edition as editions
from wframe.data.registry import known
from wframe.errors import UserError
from wframe.files import read_json, read_yaml
from wframe.jobs import inputs, left_out, options, paths, runs
from wframe.jobs.rules import Rules, forks, image
from wframe.record.refusals import begin
from wframe.runtime import forkserver

# a cluster's warning before a time limit goes to all processes; only training handles it
signal.signal(signal.SIGUSR1, signal.SIG_IGN)

CLAIMS = f"{workflow.basedir}/config/claims.yaml"
INPUTS = os.environ.get("WFRAME_REGISTRY", f"{workflow.basedir}/config/inputs.yaml")
try:
    for file in workflow.configfiles:
        read_yaml(file)  # Snakemake itself accepts duplicate keys
    EDITION = editions.check(config, "the configuration")
    load_claims(Path(CLAIMS))
    known([*EDITION.inputs(), *EDITION.without], Path(INPUTS))
    DATA = EDITION.data_path("")
    IMAGE = image(str(workflow.basedir), workflow.deployment_settings)
except UserError as error:
    raise WorkflowError(str(error))

RULES = Rules(EDITION)
of, step = RULES.of, RULES.step
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


# before anything runs: refuse what can't be right, and mark stale results to be remade
if workflow.is_main_process and "WFRAME_NO_SWEEP" not in os.environ:
    try:
        begin(EDITION, sys.argv[1:])
    except UserError as error:
        raise WorkflowError(str(error))
