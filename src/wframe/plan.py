"""What an edition consists of: its runs and shards, and where their files are."""

import json
from dataclasses import dataclass, replace
from typing import Any

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


def constants_json(learning: Learning) -> str:
    """Return Algorithm 1's constants as canonical JSON, for a rule's parameter and the command line."""
    return json.dumps(learning.model_dump(by_alias=True), sort_keys=True)


def builtin_bank_hash(edition: Edition) -> str | None:
    """Return the content hash of the package's bank, where an edition uses it."""
    return sha256_file(SOURCE / "model" / "builtin.safetensors") if edition.bank.source == "builtin" else None


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
