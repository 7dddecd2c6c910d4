"""What the rules share: the checked edition, its runs, and the hashes that decide what is stale.

INPUTS:  the configuration, config/claims.yaml
OUTPUTS: (none: functions only)
"""

import os
import shutil
import signal
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from wframe import config as editions
from wframe import plan
from wframe.data.fingerprint import fingerprint
from wframe.data.registry import known
from wframe.errors import UserError
from wframe.files import read_json, sha256_file
from wframe.paper.claims import load_claims
from wframe.provenance import code_hash, versions

# jobs run in the environment that Snakemake runs in, also when it wasn't activated
os.environ.update(
    PATH=os.pathsep.join([os.path.dirname(sys.executable), *os.get_exec_path()])
)

INPUTS = os.environ.get("WFRAME_REGISTRY", f"{workflow.basedir}/config/inputs.yaml")
CLAIMS = f"{workflow.basedir}/config/claims.yaml"
# on a cluster the warning before a time limit goes to all processes of a job: it is meant for the training alone,
# which sets its own handler and saves a checkpoint
signal.signal(signal.SIGUSR1, signal.SIG_IGN)

try:
    EDITION = editions.check(config, "the configuration")
    load_claims(Path(CLAIMS))
    known(EDITION.inputs(), Path(INPUTS))
except UserError as error:
    raise WorkflowError(str(error))

GPU = EDITION.device == "cuda" or (
    EDITION.device == "auto" and shutil.which("nvidia-smi") is not None
)
# what results don't depend on (where things are, how often they're saved) goes through the environment, not parameters
os.environ.update(
    WFRAME_CHECKPOINT_EVERY=str(EDITION.job.checkpoint_seconds),
    WFRAME_ROOT=str(EDITION.data_path("")),
    WFRAME_REGISTRY=INPUTS,
    WFRAME_CLAIMS=CLAIMS,
)

STUDIES = {name: plan.runs(EDITION, name) for name in EDITION.studies}
SCORES = EDITION.scores
WEIGHTS = "results/scores/weights.json"
SCORE_TABLES = ["results/tables/scores.csv"] if SCORES else []
SCORE_RECORDS = [f"results/scores/{row}.json" for row in SCORES.rows] if SCORES else []


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
    return plan.all_prepared(EDITION, ending)


def raw_inputs(wildcards):
    """What has to be fetched before a dataset can be read."""
    return [
        EDITION.data_path(f"{name}/.fetched.json")
        for name in EDITION.datasets[wildcards.dataset].inputs
    ]


def raw_fingerprint(wildcards):
    """The content of raw files that no fetch vouches for; of embedded pictures, the packages that carry them."""
    entry = EDITION.datasets[wildcards.dataset]
    if entry.source == "embedded":
        return str(versions("scikit-image", "scikit-learn"))
    if entry.inputs:
        return ""
    # a class folder's pictures are no other class's concern
    own = EDITION.data_path(f"{entry.path}/{wildcards.class_}")
    alone = entry.source in ("folder", "sun") and wildcards.class_ != "all"
    return fingerprint(own if alone and own.is_dir() else EDITION.data_path(entry.path))


def prepare_options(wildcards):
    """The options of `wframe prepare`."""
    options = plan.prepare_options(EDITION, wildcards.dataset)
    return [
        str(part) for name, value in options.items() for part in (f"--{name}", value)
    ]


def bank_inputs(wildcards):
    """What the bank is made from: what has to be fetched, else the weights file; nothing for the builtin bank."""
    if EDITION.bank.inputs:
        return [
            EDITION.data_path(f"{name}/.fetched.json") for name in EDITION.bank.inputs
        ]
    return [EDITION.data_path(EDITION.bank.weights)] if EDITION.bank.weights else []


def constants(wildcards):
    """Algorithm 1's constants of a run, as JSON."""
    return plan.constants_json(
        EDITION.constants(
            wildcards.study, wildcards.dataset, wildcards.setting, wildcards.method
        )
    )


def study_options(wildcards):
    """The options of `wframe train` that the study sets."""
    study = EDITION.studies[wildcards.study]
    shards = plan.shards(EDITION, wildcards.study, wildcards.dataset, wildcards.setting)
    options = ["--shard", f"{wildcards.shard}/{shards}"]
    if study.groups:
        options += ["--groups", str(study.groups)]
    if study.snapshots:
        options += ["--snapshots", ",".join(map(str, study.snapshots))]
    return options


def more_time(wildcards, attempt):
    """Minutes for a training job: twice as many with each attempt (it goes on from its checkpoint)."""
    return EDITION.job.minutes * 2 ** (attempt - 1)


def more_memory(wildcards, attempt):
    """Memory for a training job: half as much again with each attempt."""
    return int(EDITION.job.memory_mb * 1.5 ** (attempt - 1))


def baseline_pictures(wildcards):
    """The prepared arrays that the baseline is trained on."""
    return plan.baseline_pictures(EDITION, wildcards.baseline)


def baseline_settings(wildcards):
    """The settings of its training, as JSON."""
    return plan.training_json(EDITION, wildcards.baseline)


def baseline_names(wildcards):
    """Dataset and class, from which the random numbers derive."""
    baseline = EDITION.baselines[wildcards.baseline]
    return ["--dataset", baseline.dataset, "--class", baseline.class_ or "all"]


def baseline_code(wildcards):
    """The trainer's code and the model's; another baseline's doesn't count."""
    model = EDITION.baselines[wildcards.baseline].model
    return code_hash("wframe.baselines.train", f"wframe.baselines.{model}")


def baseline_files(ending):
    """The files with an ending of all trainings of all baselines."""
    return [
        f"results/baselines/{name}/{repeat}.{ending}"
        for name, baseline in EDITION.baselines.items()
        for repeat in range(baseline.repeats)
    ]


def weights_options(wildcards):
    """The options of `wframe weights`."""
    options = ["--path", SCORES.weights] if SCORES.weights else []
    return options + (["--fetch", *SCORES.inputs] if SCORES.inputs else [])


def weights_seen(wildcards):
    """What is known of the classifier's weights: it changes when they come, or change, after they were looked at.

    A file that the rule itself fetched is no news; nor is one that has gone while its scores are here.
    """
    if SCORES.weights is None:
        return plan.pocket_hash()
    path = EDITION.data_path(SCORES.weights)
    now = sha256_file(path) if path.is_file() else "missing"
    known = read_json(WEIGHTS) if Path(WEIGHTS).exists() else {"status": "none yet"}
    old = known["status"] == "ok" and now in ("missing", known["sha256"])
    return known["seen"] if old else now


def score_files(wildcards):
    """The pictures that a row is made from, and the gate's record where it has to pass first."""
    row = plan.score_row(EDITION, wildcards.row)
    gate = [f"results/scores/{SCORES.gate}.json"] if SCORES.gate else []
    files = (
        row.training + row.held_out + [file for part in row.samples for file in part]
    )
    return sorted(set(files)) + (gate if wildcards.row != SCORES.gate else [])


def score_options(wildcards):
    """The options of `wframe score`."""
    options = plan.score_row(EDITION, wildcards.row).options()
    options += ["--extractor", SCORES.extractor, "--splits", str(SCORES.splits)]
    options += ["--limit", str(SCORES.samples)] if SCORES.samples else []
    options += ["--nearest", str(SCORES.nearest)] if SCORES.nearest else []
    if wildcards.row == SCORES.gate:
        options += ["--is-gate"]
    elif SCORES.gate:
        options += ["--gate", f"results/scores/{SCORES.gate}.json"]
    return options
