"""What an edition consists of: its runs and shards, and where their files are."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from wframe.baselines.settings import Training
from wframe.config import Edition, Method
from wframe.engine import cost
from wframe.files import sha256_file
from wframe.learning import Learning
from wframe.provenance import SOURCE


@dataclass(frozen=True)
class Run:
    """One dataset × class × setting × method × repeat of a study."""

    study: str
    dataset: str
    class_: str
    setting: str
    method: Method
    repeat: int
    shards: int

    @property
    def folder(self) -> str:
        """The folder of the run's results, below `results/runs`."""
        return f"{self.study}/{self.dataset}/{self.class_}/{self.setting}/{self.method}-{self.repeat}"

    def of_method(self, method: Method) -> "Run":
        """The same run of the other method."""
        return replace(self, method=method)

    def files(self, ending: str) -> list[str]:
        """The files of its shards with an ending ("parquet", "safetensors" or "json")."""
        return [f"results/runs/{self.folder}/{shard}.{ending}" for shard in range(self.shards)]


def runs(edition: Edition, study: str | None = None) -> list[Run]:
    """Return the runs of one study, or of all, in the edition's order."""
    return [
        Run(name, dataset, class_, setting, method, repeat, shards(edition, name, dataset, setting))
        for name, plan in edition.studies.items()
        if study in (None, name)
        for dataset in plan.datasets
        for class_ in edition.datasets[dataset].classes
        for setting in plan.settings
        for method in plan.methods
        for repeat in range(plan.repeats)
    ]


def shards(edition: Edition, study: str, dataset: str, setting: str) -> int:
    """Return into how many jobs each run is cut: as the study says, or so that a job takes job.target_minutes.

    Both methods are cut alike. Where the number of groups isn't known before preparation, a run is one job.
    """
    told, groups, job = edition.studies[study].shards, edition.groups(study, dataset), edition.job
    if told or groups is None or job.gpu is None:
        return told or 1
    flops = run_flops(edition, study, dataset, setting, "wframe", groups)
    return cost.shards_for(cost.seconds_on(job.gpu, flops), job.target_minutes, groups)


def run_flops(edition: Edition, study: str, dataset: str, setting: str, method: Method, groups: int) -> float:
    """Return the operations of one run, by `cost.learning_flops`."""
    c = edition.constants(study, dataset, setting, method)
    return cost.learning_flops(edition.datasets[dataset].size, groups * c.M, c.T, c.L, penalty=c.beta > 0)


def baseline_pictures(edition: Edition, name: str) -> list[str]:
    """Return the prepared arrays that a baseline is trained on, one for each class."""
    baseline = edition.baselines[name]
    classes = [baseline.class_] if baseline.class_ else edition.datasets[baseline.dataset].classes
    return prepared(baseline.dataset, classes)


def training_json(edition: Edition, name: str) -> str:
    """Return the settings of a baseline's training as canonical JSON."""
    return json.dumps(
        edition.baselines[name].model_dump(mode="json", include=set(Training.model_fields)), sort_keys=True
    )


def prepared(dataset: str, classes: list[str]) -> list[str]:
    """Return where the prepared arrays of some classes are."""
    return [f"results/data/{dataset}/{class_}.npy" for class_ in classes]


METHODS = {"frame": "FRAME", "wframe": "wFRAME"}


@dataclass(frozen=True)
class RowFiles:
    """The files that a row of the score table is made from."""

    training: list[str]  # the prepared arrays that were learned from, one for each class
    samples: list[list[str]] = field(default_factory=list)  # for each repeat; none: the training pictures themselves
    learned: int | None = None  # only the first so many pictures of each class were learned from
    held_out: list[str] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)  # what the row is, for its record

    def options(self) -> list[str]:
        """Return the options of `wframe score` that name the files."""
        options = ["--training", *self.training]
        options += ["--learned", str(self.learned)] if self.learned else []
        for files in self.samples:
            options += ["--samples", *files]
        options += ["--held-out", *self.held_out] if self.held_out else []
        return [*options, "--about", json.dumps(self.about, sort_keys=True)]


def score_row(edition: Edition, name: str) -> RowFiles:
    """Return what a row of the score table is made from."""
    assert edition.scores is not None, "only an edition with scores has rows"
    row = edition.scores.rows[name]
    about: dict[str, Any] = {"row": name, "study": row.study, "setting": None, "baseline": row.baseline}
    learned, samples = None, []
    if row.baseline is not None:
        baseline = edition.baselines[row.baseline]
        dataset, training, learned = baseline.dataset, baseline_pictures(edition, row.baseline), baseline.images
        samples = [[f"results/baselines/{row.baseline}/{repeat}.safetensors"] for repeat in range(baseline.repeats)]
        about |= {"method": baseline.model, "title": baseline.title or row.baseline}
    else:
        dataset = str(row.dataset)
        training = prepared(dataset, edition.datasets[dataset].classes)
        about |= {"method": "observed", "title": f"{edition.datasets[dataset].title or dataset}, real"}
    if row.study is not None and row.method is not None:
        study = edition.studies[row.study]
        setting = row.setting or next(iter(study.settings))
        learned = study.groups and study.groups * edition.constants(row.study, dataset, setting, row.method).M
        chosen = [
            run
            for run in runs(edition, row.study)
            if (run.dataset, run.setting, run.method) == (dataset, setting, row.method)
        ]
        samples = [
            [file for run in chosen if run.repeat == repeat for file in run.files("safetensors")]
            for repeat in range(study.repeats)
        ]
        about |= {"method": row.method, "title": METHODS[row.method], "setting": setting}
    other = edition.scores.held_out.get(dataset, dataset)
    known, classes = edition.datasets[other].classes, {Path(file).stem for file in training}
    held_out = prepared(other, [class_ for class_ in known if class_ in classes] or known)
    about |= {"dataset": dataset} | ({"title": row.title} if row.title else {})
    return RowFiles(training, samples, learned, held_out, about)


def all_prepared(edition: Edition, ending: str) -> list[str]:
    """Return the prepared arrays (npy) or manifests (parquet) of all datasets and classes in use, sorted."""
    files = {file for run in runs(edition) for file in prepared(run.dataset, [run.class_])}
    files |= {file for name in edition.baselines for file in baseline_pictures(edition, name)}
    for name in edition.scores.rows if edition.scores else ():
        row = score_row(edition, name)
        files |= {*row.training, *row.held_out}
    return sorted(str(Path(file).with_suffix(f".{ending}")) for file in files)


def constants_json(learning: Learning) -> str:
    """Return Algorithm 1's constants as canonical JSON, for a rule's parameter and the command line."""
    return json.dumps(learning.model_dump(by_alias=True), sort_keys=True)


def builtin_bank_hash(edition: Edition) -> str | None:
    """Return the content hash of the package's bank, where an edition uses it."""
    return sha256_file(SOURCE / "model" / "builtin.safetensors") if edition.bank.source == "builtin" else None


def pocket_hash() -> str:
    """Return the content hash of the package's pocket classifier."""
    return sha256_file(SOURCE / "scores" / "pocket.safetensors")


def bank_options(edition: Edition) -> list[str]:
    """Return the options of `wframe bank`."""
    return ["--builtin"] if edition.bank.weights is None else ["--vgg16", edition.bank.weights]


def prepare_options(edition: Edition, dataset: str) -> dict[str, Any]:
    """Return the options of `wframe prepare` for a dataset."""
    entry = edition.datasets[dataset]
    options = {
        "source": entry.source,
        "path": entry.path,
        "size": entry.size,
        "crop": entry.crop,
        "images": entry.images,
        "pick": entry.pick,
        "skip-limit": entry.skip_limit,
    }
    return {name: value for name, value in options.items() if value is not None}
