"""Editions: the configuration of the whole pipeline, and how a file becomes one."""

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PrivateAttr, ValidationError, field_validator, model_validator

from wframe.config.base import Model, Name, explain, require
from wframe.config.baselines import Baseline, OfItsModel
from wframe.config.datasets import LU_ZHU_WU, PAPER_CONSTANTS, PAPER_INPUTS, PAPER_READERS, Bank, Dataset
from wframe.config.devices import DeviceName
from wframe.config.learning import Learning, Method
from wframe.config.scores import Scores
from wframe.config.studies import Job, Study
from wframe.errors import UserError
from wframe.files import read_yaml

PAPER = {"T": 100, "L": 50, "M": 9, "sigma": 0.01, "beta": 60.0}  # on every dataset (section "Empirical Setup")
SNAPSHOTS = 6  # by default that many after the first
AS_PRINTED = {"clip": None, "before": "renewed"}  # in Algorithm 1

RESERVED = (
    "baselines",
    "claims",
    "paper",
    "scores",
    "theory",
)  # names in results/tables and results/figures


class Edition(Model):
    """The configuration of the whole pipeline."""

    edition: Name = Field(description="its name, as shown on the page")
    compared: bool = Field(
        False,
        description="whether the paper's claims get verdicts: needs its data (or part of it), bank and constants",
    )
    seed: int = Field(0, ge=0, description="the random numbers of trainings and of the theory derive from it")
    device: DeviceName = Field("auto", description="where models are trained; auto: on a GPU if there is one")
    data: str = Field("data", description="folder of raw data; the variable WFRAME_DATA takes precedence over it")
    without: list[str] = Field(
        [],
        exclude=True,
        description="entries of config/inputs.yaml that this run may go on without if they are unavailable",
    )
    job: Job = Job()
    bank: Bank = Bank()
    learning: Learning = Learning()
    datasets: dict[Name, Dataset] = Field(min_length=1, description="the images, by the dataset's name")
    studies: dict[Name, Study] = Field(min_length=1, description="the experiments, by name")
    baselines: dict[Name, Annotated[Baseline, OfItsModel()]] = Field(
        {}, description="models that FRAME and wFRAME are compared with"
    )
    theory: bool = Field(True, description="whether to check the paper's theory as well (half a minute)")
    scores: Scores | None = Field(None, description="the score table (the paper's Table 1); null: none")
    _left_out: dict[tuple[str, str], str] = PrivateAttr(default_factory=dict)  # see wframe.jobs.left_out

    @model_validator(mode="after")
    def _compared_means_the_papers_constants(self) -> "Edition":
        """Wherever a claim is judged, the paper's own data, bank and constants."""
        if not self.compared:
            return self
        if self.bank.source != "vgg16":
            raise ValueError("compared: true needs the paper's bank: bank.source = vgg16")
        for name, dataset in self.datasets.items():
            for of_paper in dataset.stands_for:
                if not dataset.is_papers(of_paper):
                    raise ValueError(
                        f"compared: true needs the paper's data: datasets.{name} is {dataset.source} {dataset.path}, "
                        f"not {PAPER_READERS[of_paper]} (or registry {PAPER_INPUTS[of_paper]}), and can't stand for "
                        f"{of_paper}"
                    )
                ours = self.learning.model_dump() | dataset.learning.changes | {"size": dataset.size}
                self._need(PAPER | PAPER_CONSTANTS.get(of_paper, {}), ours, of_paper, f"datasets.{name}")
        return self

    @model_validator(mode="after")
    def _names_do_not_collide(self) -> "Edition":
        """Refuse names that are the workflow's own, before hours of work end in one file for two things."""
        for name in self.studies:
            if name in RESERVED:
                raise ValueError(f"studies: `{name}` is the name of other results: rename this study")
            if name.removesuffix("-curves") in self.studies and name.endswith("-curves"):
                raise ValueError(f"studies: tables/{name}.csv would be two files: rename this study")
        return self

    @model_validator(mode="after")
    def _studies_are_possible(self) -> "Edition":
        for name, study in self.studies.items():
            for dataset in study.datasets:
                require("dataset", dataset, self.datasets, f"studies.{name}.datasets")
                images = self.datasets[dataset].images
                if images is not None and images < self.learning.M:
                    raise ValueError(f"datasets.{dataset}.images = {images}: a group needs {self.learning.M}")
                groups = None if images is None else -(-images // self.learning.M)
                most = min(filter(None, (groups, study.groups)), default=None)
                if study.shards and most and study.shards > most:
                    raise ValueError(f"studies.{name}.shards = {study.shards}: there are only {most} groups of a class")
            for setting in study.points:
                constants = {dataset: self.constants(name, dataset, setting, "wframe") for dataset in study.datasets}
                if self.device == "cpu" and any(c.precision == "tf32" for c in constants.values()):
                    raise ValueError(
                        f"studies.{name}, {setting}: precision tf32 needs a GPU, but device is cpu: use fp32 or bf16"
                    )
                lengths = {dataset: c.T for dataset, c in constants.items()}
                if len(set(lengths.values())) > 1:  # their curves are averaged, and their ends set side by side
                    given = ", ".join(f"{dataset} {T}" for dataset, T in lengths.items())
                    raise ValueError(f"studies.{name}.datasets: T has to be the same ({given}): make it two studies")
        return self

    @model_validator(mode="after")
    def _baselines_are_possible(self) -> "Edition":
        for name, baseline in self.baselines.items():
            require("dataset", baseline.dataset, self.datasets, f"baselines.{name}.dataset")
            entry = self.datasets[baseline.dataset]
            if baseline.class_ is not None:
                require("class", baseline.class_, entry.classes, f"baselines.{name}.class")
            if problem := baseline.unsupported_side(entry.size):
                raise ValueError(f"baselines.{name}.dataset: {baseline.dataset!r} has {problem}")
        return self

    @model_validator(mode="after")
    def _scores_are_possible(self) -> "Edition":
        if self.scores is None:
            return self
        for name, row in self.scores.rows.items():
            where = f"scores.rows.{name}"
            if row.dataset is not None:
                require("dataset", row.dataset, self.datasets, f"{where}.dataset")
            if row.baseline is not None:
                require("baseline", row.baseline, self.baselines, f"{where}.baseline")
            if row.study is not None:
                require("study", row.study, self.studies, f"{where}.study")
                study = self.studies[row.study]
                require("dataset", row.dataset, study.datasets, f"{where}.dataset, in the study")
                require("method", row.method, study.methods, f"{where}.method, in the study")
                if row.setting is not None:
                    require("setting", row.setting, study.points, f"{where}.setting, in the study")
        for of, by in self.scores.held_out.items():
            for dataset in (of, by):
                require("dataset", dataset, self.datasets, "scores.held_out")
            if self.datasets[of].size != self.datasets[by].size:
                raise ValueError(f"scores.held_out: {of!r} and {by!r} have images of different sizes")
        if self.scores.gate is not None:
            gate = self.datasets[str(self.scores.rows[self.scores.gate].dataset)]
            if not gate.is_papers("cifar10"):
                raise ValueError(f"scores.gate: the gate is CIFAR-10, not {gate.source} {gate.path}")
        return self

    @model_validator(mode="after")
    def _compared_studies_keep_them(self) -> "Edition":
        """What a study's settings may change: in its first one nothing that the paper gives, later only λ, δ and clip.

        A claim on no setting in particular is judged on the first. One later setting may be Lu, Zhu and Wu's as a
        whole; readings of what the paper leaves open may differ anywhere.
        """
        if not self.compared:
            return self
        for name, study in self.studies.items():
            for place, (setting, change) in enumerate(study.points.items()):
                if place > 0 and change.changes == LU_ZHU_WU:
                    continue
                for dataset in study.datasets:
                    for of_paper in self.datasets[dataset].stands_for:
                        ours = self.learning.model_dump() | self.datasets[dataset].learning.changes | change.changes
                        given = PAPER_CONSTANTS.get(of_paper, {}) | AS_PRINTED if place == 0 else {}
                        fixed = PAPER | {key: value for key, value in given.items() if key != "size"}
                        self._need(fixed, ours, of_paper, f"studies.{name}.settings.{setting}")
        return self

    def _need(self, paper: dict[str, Any], ours: dict[str, Any], dataset: str, where: str) -> None:
        """Refuse a constant that isn't the paper's."""
        for key, value in paper.items():
            if ours[key] != value:
                given = "no clip" if value is None else f"{key.rstrip('_')} = {value}"
                raise ValueError(f"compared: true needs the paper's {given} on {dataset}: {where} has {ours[key]}")

    def constants(self, study: str, dataset: str, setting: str, method: Method) -> Learning:
        """Return Algorithm 1's constants of one run: the edition's, the dataset's, the setting's; FRAME has β = 0."""
        values = self.learning.model_dump()
        for change in (self.datasets[dataset].learning, self.studies[study].points[setting]):
            values |= change.changes
        if method == "frame":
            values["beta"] = 0.0
        return Learning.model_validate(values)

    def snapshots(self, study: str, dataset: str, setting: str) -> list[int]:
        """Return the iterations after which a run's chains are kept: the study's, or by default from 1 to T.

        By default a map keeps none: it shows no evolution.
        """
        entry, T = self.studies[study], self.constants(study, dataset, setting, "wframe").T
        given = entry.snapshots
        if given is None:
            given = [] if entry.show == "map" else [round(T ** (k / SNAPSHOTS)) for k in range(SNAPSHOTS + 1)]
        return sorted({t for t in given if t <= T})

    @field_validator("without", mode="before")
    @classmethod
    def _as_on_a_command_line(cls, value: Any) -> Any:
        return [name.strip() for name in value.split(",")] if isinstance(value, str) else value

    def left_out(self, kind: str, name: str) -> str | None:
        """Return why a `dataset`, `study`, `baseline` or `row` isn't part of this run; None if that isn't so."""
        return self._left_out.get((kind, name))

    def left_out_for(self, study: str, papers: set[str]) -> str | None:
        """Return why a study has no dataset for any of the paper's names: the one that it had was left out."""
        return next((why for name in sorted(papers) if (why := self.left_out(study, name))), None)

    def inputs(self) -> set[str]:
        """Return the entries of the registry that the edition is made from."""
        of_datasets = {name for dataset in self.datasets.values() for name in dataset.inputs}
        return {*self.bank.inputs, *of_datasets, *(self.scores.inputs if self.scores else ())}

    def data_path(self, path: str | None) -> Path:
        """Return where `path` of the data folder is (WFRAME_DATA, if set, takes precedence over `data`)."""
        folder = Path(os.environ.get("WFRAME_DATA") or self.data).expanduser()
        if any(brace in str(folder) for brace in "{}"):
            raise UserError(f"data folder {folder}: it can't have braces in its path, which are wildcards to Snakemake")
        return folder / (path or "")


def check(values: Any, where: str = "config") -> Edition:
    """Return the checked edition.

    Raises:
        UserError: with one line for each key that is unknown, missing, of a wrong type or impossible.
    """
    if not isinstance(values, dict):
        raise UserError(f"{where}: expected a mapping of keys, got {type(values).__name__}")
    try:
        return Edition.model_validate(values)
    except ValidationError as error:
        raise UserError(explain(error, where, Edition)) from None


def load(path: Path | str) -> Edition:
    """Read and check an edition's file.

    Raises:
        UserError: the file is missing, isn't YAML, or has impossible values.
    """
    return check(read_yaml(path), str(path))
