"""What the rules share: the checked edition, and how a rule's options and inputs depend on its wildcards.

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

from wframe.claims.claim import load_claims
from wframe.config import edition as editions
from wframe.data.registry import known
from wframe.errors import UserError
from wframe.files import read_json, sha256_file
from wframe.jobs import inputs, left_out, options, paths, runs
from wframe.runtime.code import code_hash

# jobs run in the environment that Snakemake runs in, also when it wasn't activated
os.environ.update(
    PATH=os.pathsep.join([os.path.dirname(sys.executable), *os.get_exec_path()])
)
# on a cluster the warning before a time limit goes to all processes of a job: it is meant for the training alone,
# which sets its own handler and saves a checkpoint
signal.signal(signal.SIGUSR1, signal.SIG_IGN)

INPUTS = os.environ.get("WFRAME_REGISTRY", f"{workflow.basedir}/config/inputs.yaml")
CLAIMS = f"{workflow.basedir}/config/claims.yaml"
try:
    EDITION = editions.check(config, "the configuration")
    load_claims(Path(CLAIMS))
    known([*EDITION.inputs(), *EDITION.without], Path(INPUTS))
except UserError as error:
    raise WorkflowError(str(error))

GPU = EDITION.device == "cuda" or (
    EDITION.device == "auto" and shutil.which("nvidia-smi") is not None
)
INPUTS_RECORD = [paths.INPUTS_RECORD] if EDITION.inputs() else []
# what results don't depend on (where things are, how often they're saved) goes through the environment, not parameters
os.environ.update(
    WFRAME_CHECKPOINT_EVERY=str(EDITION.job.checkpoint_seconds),
    WFRAME_ROOT=str(EDITION.data_path("")),
    WFRAME_REGISTRY=INPUTS,
    WFRAME_CLAIMS=CLAIMS,
)
if workflow.is_main_process:  # for messages that repeat the user's own command
    os.environ["WFRAME_COMMAND"] = shlex.join(["snakemake", *sys.argv[1:]])


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
    """A rule's input or parameter: a function of `wframe.jobs`, of the edition and the rule's wildcards."""

    def call(wildcards):
        return function(EDITION, **dict(wildcards.items()))

    return call


def made():
    """The edition as this run makes it: without the inputs that can't be had, which `inputs` finds out first.

    A dry run asks no server: it plans as if all could be had, but for what was missing the last time and still is.
    """
    if not INPUTS_RECORD:
        return EDITION
    if workflow.dryrun:
        return inputs.as_planned(EDITION)
    record = checkpoints.inputs.get().output[0]
    return left_out.of_record(EDITION, read_json(record))


def of_made(function, *arguments):
    """A rule's input that goes over studies, datasets or baselines: a function of the edition as this run makes it."""

    def call(wildcards):
        return function(made(), *arguments, **dict(wildcards.items()))

    return call


def study_files(ending):
    """A rule's input: the files with an ending of all shards of the study in the wildcards."""

    def files(wildcards):
        return runs.run_files(made(), ending, wildcards.study)

    return files


def more_time(wildcards, attempt):
    """Minutes for a job: twice as many with each attempt (it resumes from its checkpoint)."""
    return EDITION.job.minutes * 2 ** (attempt - 1)


def more_memory(wildcards, attempt):
    """Memory for a job: half as much again with each attempt."""
    return int(EDITION.job.memory_mb * 1.5 ** (attempt - 1))
