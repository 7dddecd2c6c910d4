"""What an edition consists of: its runs, their shards, and the rows of the score table."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from wframe.config.devices import seconds_on, shards_for
from wframe.config.edition import Edition
from wframe.config.learning import METHODS, Method
from wframe.data import groups
from wframe.jobs.paths import prepared, with_gain
from wframe.model.cost import Flops, learning_flops


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
        """Return the same run with another method."""
        return replace(self, method=method)

    def files(self, ending: str) -> list[str]:
        """Return its shards' files with this ending ("parquet", "safetensors" or "json")."""
        return [f"results/runs/{self.folder}/{shard}.{ending}" for shard in range(self.shards)]


def runs(edition: Edition, study: str | None = None) -> list[Run]:
    """Return the runs of one study or of all studies, in the edition's order."""
    return [
        Run(name, dataset, class_, setting, method, repeat, shards(edition, name, dataset, setting))
        for name, entry in edition.studies.items()
        if study in (None, name)
        for dataset in entry.datasets
        for class_ in edition.datasets[dataset].classes
        for setting in entry.points
        for method in entry.methods
        for repeat in range(entry.repeats)
    ]


def run_files(edition: Edition, ending: str, study: str | None = None) -> list[str]:
    """Return the files with this ending, of all shards of one study or of all studies."""
    return [file for run in runs(edition, study) for file in run.files(ending)]


def count_groups(edition: Edition, study: str, dataset: str) -> int | None:
    """Return how many groups of each class a study learns; None if unknown before preparation."""
    images, limit = edition.datasets[dataset].images, edition.studies[study].groups
    if images is None:
        return None
    return groups.count_groups(images, edition.learning.M, limit)


def shards(edition: Edition, study: str, dataset: str, setting: str) -> int:
    """Return how many shards each run has: the study's number, or so that a job takes job.target_minutes.

    Both methods get the same number. If the number of groups isn't known before preparation, a run is one shard.
    """
    given, count, job = edition.studies[study].shards, count_groups(edition, study, dataset), edition.job
    if given or count is None or job.gpu is None:
        return given or 1
    flops = run_flops(edition, study, dataset, setting, "wframe", count)
    precision = edition.constants(study, dataset, setting, "wframe").precision
    return shards_for(seconds_on(job.gpu, flops, precision), job.target_minutes, count)


def run_flops(edition: Edition, study: str, dataset: str, setting: str, method: Method, groups: int) -> Flops:
    """Return the floating-point operations of one run (see `learning_flops`)."""
    c = edition.constants(study, dataset, setting, method)
    return learning_flops(edition.datasets[dataset].size, groups * c.M, c.T, c.L, c.before if c.beta else None)


def baseline_images(edition: Edition, baseline: str, repeat: str = "0") -> list[str]:
    """Return the prepared arrays that a baseline is trained on, one per class; the same in each repeat."""
    entry = edition.baselines[baseline]
    classes = [entry.class_] if entry.class_ else edition.datasets[entry.dataset].classes
    return prepared(entry.dataset, classes)


def baseline_samples(edition: Edition, baseline: str) -> list[str]:
    """Return a baseline's samples, one file per repeat."""
    return [
        f"results/baselines/{baseline}/{repeat}.safetensors" for repeat in range(edition.baselines[baseline].repeats)
    ]


def baseline_weights(edition: Edition, baseline: str) -> str:
    """Return the trained networks of a baseline's first repeat."""
    return f"results/baselines/{baseline}/0-weights.safetensors"


def held_out_files(edition: Edition, dataset: str, training: list[str]) -> list[str]:
    """Return prepared arrays of real images that weren't trained on, or in which some weren't, of the same classes."""
    other = edition.scores.held_out.get(dataset, dataset) if edition.scores else dataset
    known, classes = edition.datasets[other].classes, {Path(file).stem for file in training}
    return prepared(other, [class_ for class_ in known if class_ in classes] or known)


def baseline_held_out(edition: Edition, baseline: str) -> list[str]:
    """Return the files with real images that a baseline wasn't trained on."""
    return held_out_files(edition, edition.baselines[baseline].dataset, baseline_images(edition, baseline))


def first_study_files(edition: Edition, ending: str) -> list[str]:
    """Return the files with an ending of all shards of the edition's first study."""
    return run_files(edition, ending, next(iter(edition.studies)))


def observed_files(edition: Edition, study: str) -> list[str]:
    """Return the prepared arrays that a study learns."""
    return list(dict.fromkeys(file for run in runs(edition, study) for file in prepared(run.dataset, [run.class_])))


def collapse_images(edition: Edition) -> list[str]:
    """Return the prepared arrays of studies of collapse, each once: the penalty's gain is measured on their groups."""
    chosen = [run for name in with_gain(edition) for run in runs(edition, name)]
    return list(dict.fromkeys(file for run in chosen for file in prepared(run.dataset, [run.class_])))


def prepared_files(edition: Edition, ending: str) -> list[str]:
    """Return the prepared arrays (npy) or manifests (parquet) of all datasets and classes in use, sorted."""
    files = {file for run in runs(edition) for file in prepared(run.dataset, [run.class_])}
    files |= {file for name in edition.baselines for file in baseline_images(edition, name)}
    for name in edition.scores.rows if edition.scores else ():
        row = score_row(edition, name)
        files |= {*row.training, *row.held_out}
    return sorted(str(Path(file).with_suffix(f".{ending}")) for file in files)


@dataclass(frozen=True)
class RowFiles:
    """The files behind a row of the score table."""

    training: list[str]  # the prepared arrays of training images, one per class
    samples: list[list[str]] = field(default_factory=list)  # per repeat; none: the training images themselves
    learned: int | None = None  # only this many images of each class, the first ones, were trained on
    held_out: list[str] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)  # a description of the row, for its record

    @property
    def files(self) -> list[str]:
        """All these files, sorted."""
        return sorted({*self.training, *self.held_out, *(file for part in self.samples for file in part)})


def score_row(edition: Edition, name: str) -> RowFiles:
    """Return the files behind a row of the score table."""
    assert edition.scores is not None, "only an edition with scores has rows"
    row = edition.scores.rows[name]
    about: dict[str, Any] = {"row": name, "study": row.study, "setting": None, "baseline": row.baseline}
    learned, samples = None, []
    if row.baseline is not None:
        baseline = edition.baselines[row.baseline]
        dataset, training, learned = baseline.dataset, baseline_images(edition, row.baseline), baseline.images
        samples = [[file] for file in baseline_samples(edition, row.baseline)]
        about |= {"method": baseline.model, "title": baseline.title or row.baseline}
    else:
        dataset = str(row.dataset)
        training = prepared(dataset, edition.datasets[dataset].classes)
        about |= {"method": "observed", "title": f"{edition.datasets[dataset].title or dataset}, real"}
    if row.study is not None and row.method is not None:
        study = edition.studies[row.study]
        setting = row.setting or study.first
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
    held_out = held_out_files(edition, dataset, training)
    about |= {"dataset": dataset} | ({"title": row.title} if row.title else {})
    return RowFiles(training, samples, learned, held_out, about)
