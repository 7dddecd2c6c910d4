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
from wframe.files import read_yaml
from wframe.jobs import inputs, options, paths, runs
from wframe.jobs.rules import Rules
from wframe.record.sweep import explain, litter, sweep

# on a cluster, the warning before a time limit goes to all processes of a job; only training handles it, and saves a
# checkpoint
signal.signal(signal.SIGUSR1, signal.SIG_IGN)

INPUTS = os.environ.get("WFRAME_REGISTRY", f"{workflow.basedir}/config/inputs.yaml")
CLAIMS = f"{workflow.basedir}/config/claims.yaml"
try:
    for file in workflow.configfiles:  # Snakemake itself accepts duplicate keys
        read_yaml(file)
    EDITION = editions.check(config, "the configuration")
    load_claims(Path(CLAIMS))
    known(EDITION.inputs(), Path(INPUTS))
    DATA = EDITION.data_path("")
except UserError as error:
    raise WorkflowError(str(error))

RULES = Rules(EDITION)
of, study_files, step = RULES.of, RULES.study_files, RULES.step

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
    WFRAME_ROOT=str(DATA),
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


# before anything runs: refuse results that have changed since their step wrote them, and mark stale ones to be remade
if workflow.is_main_process and "WFRAME_NO_SWEEP" not in os.environ:
    litter(remove=True)
    _, drifted = sweep(EDITION)
    if drifted:
        raise WorkflowError(explain(drifted))
