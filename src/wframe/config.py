"""Editions: the configuration of the whole pipeline, checked before anything runs.

These models are the one source of truth: the JSON schema in `config/schema.json` is generated from them.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from wframe.baselines.settings import Training, impossible_side
from wframe.errors import UserError
from wframe.learning import Learning, Model, explain

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="used in file names")]
Method = Literal["frame", "wframe"]
PaperDataset = Literal["celeba", "lsun-bedroom", "cifar10", "cifar10-unlabelled", "sun"]
# what the paper says of its data and constants (section "Empirical Setup"); of its SUN subset it says neither
SOURCES = {
    "celeba": "celeba",
    "lsun-bedroom": "lsun",
    "cifar10": "cifar10",
    "cifar10-unlabelled": "cifar10",
    "sun": "sun",
}
PAPER = {"T": 100, "L": 50, "M": 9, "sigma": 0.01, "beta": 60.0}
PAPER_DATASETS = {
    "celeba": {"size": 64, "lambda_": 1e-3, "delta": 0.2},
    "lsun-bedroom": {"size": 64, "lambda_": 1e-3, "delta": 0.15},
    "cifar10": {"size": 32, "lambda_": 2e-3, "delta": 0.15},
    "cifar10-unlabelled": {"size": 32, "lambda_": 2e-3, "delta": 0.15},
}


class LearningChange(Model):
    """Some constants of Algorithm 1, to be changed for one dataset or in one setting."""

    reading: Literal["literal", "preconditioned", "lineage", "tempered", "tempered-no-prior"] | None = None
    T: int | None = Field(None, ge=1)
    L: int | None = Field(None, ge=1)
    sigma: float | None = Field(None, gt=0)
    beta: float | None = Field(None, ge=0)
    delta: float | None = Field(None, gt=0, lt=2)
    lambda_: float | None = Field(None, gt=0, alias="lambda")
    theta: Literal["position", "filter"] | None = None
    penalty: Literal["mean", "sum"] | None = None
    before: Literal["kept", "renewed"] | None = None
    clip: float | None = Field(None, gt=0)

    @model_serializer(mode="wrap")
    def _changes_only(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write only what is changed, so that a configuration written in full reads back as the same."""
        changed = {"lambda" if name == "lambda_" else name for name in self.model_fields_set}
        return {name: value for name, value in write(self).items() if name.rstrip("_") in changed}


class Bank(Model):
    """The filter bank F."""

    source: Literal["builtin", "vgg16"] = Field("builtin", description="which bank")
    weights: str | None = Field(
        None, description="vgg16: the weights file (.pth or .npz); relative to the data folder"
    )
    inputs: list[str] = Field([], description="entries of config/inputs.yaml to fetch first")

    @model_validator(mode="after")
    def _weights_only_for_vgg16(self) -> "Bank":
        if self.source == "vgg16" and self.weights is None:
            raise ValueError("vgg16 needs a weights file: set bank.weights")
        if self.source == "builtin" and self.weights is not None:
            raise ValueError("the builtin bank comes with the package: remove bank.weights")
        if self.source == "builtin" and self.inputs:
            raise ValueError("the builtin bank comes with the package: remove bank.inputs")
        return self


class Dataset(Model):
    """One dataset, as pictures of one size in one or more classes."""

    source: Literal["embedded", "folder", "cifar10", "celeba", "lsun", "sun"] = Field(
        description="which reader; `folder` takes your own pictures, one folder for each class"
    )
    path: str | None = Field(
        None, description="where the raw files are, relative to the data folder; embedded: which pictures"
    )
    inputs: list[str] = Field([], description="entries of config/inputs.yaml to fetch first")
    title: str | None = Field(None, description="the dataset's name on the page")
    size: int = Field(32, ge=8, le=512, description="side of the prepared pictures, in pixels")
    crop: int | None = Field(
        None, ge=8, description="side of the centre square that is cut out first; null: the largest"
    )
    classes: list[Name] = Field(["all"], min_length=1, description="`all` takes every picture, label or not")
    images: int | None = Field(None, ge=1, description="pictures of each class to use; null: all there are")
    pick: Literal["first", "spread"] = Field(
        "first", description="which `images`: the first ones, or evenly spread ones"
    )
    skip_limit: float = Field(
        0.01, ge=0, le=1, description="share of unreadable pictures above which preparation stops"
    )
    stands_for: list[PaperDataset] = Field(
        [], description="which of the paper's datasets it is, or stands in for: claims about those are judged on it"
    )
    learning: LearningChange = Field(LearningChange(), description="constants that differ for this dataset")

    @field_validator("size")
    @classmethod
    def _size_fits_bank(cls, size: int) -> int:
        if size % 4:
            below, above = size - size % 4, size - size % 4 + 4
            raise ValueError(
                f"must be a multiple of 4 (the bank pools, and its response map must have an even side): "
                f"try {below} or {above}"
            )
        return size

    @field_validator("classes")
    @classmethod
    def _classes_differ(cls, classes: list[str]) -> list[str]:
        if len(set(classes)) < len(classes):
            raise ValueError("the same class stands here twice")
        return classes


class Job(Model):
    """What one training job asks for."""

    threads: int = Field(1, ge=1, description="CPU threads")
    memory_mb: int = Field(2000, ge=500)
    minutes: int = Field(120, ge=1, description="time limit of the first attempt; doubled with each further one")
    checkpoint_seconds: float = Field(30, ge=0, description="what a kill without warning may cost, and no more")
    gpu: Literal["H200", "H100", "A100", "L40S", "RTX4090", "A10", "V100"] | None = Field(
        None, description="the GPU that jobs run on: runs are cut into shards by its speed; null: one shard a run"
    )
    target_minutes: float = Field(30, gt=0, description="what one training job should take on that GPU")

    @model_validator(mode="after")
    def _limit_above_target(self) -> "Job":
        if self.gpu and self.minutes < 2 * self.target_minutes:
            raise ValueError(
                f"minutes (the time limit, {self.minutes}) must be at least twice target_minutes "
                f"({self.target_minutes:g})"
            )
        return self


class Study(Model):
    """One experiment: every dataset × class × setting × method × repeat is a run."""

    datasets: list[Name] = Field(min_length=1)
    settings: dict[Name, LearningChange] = Field(
        {"base": LearningChange()}, min_length=1, description="each name with the constants that it changes"
    )
    methods: list[Method] = Field(["frame", "wframe"], min_length=1)
    repeats: int = Field(1, ge=1, description="runs with different noise")
    groups: int | None = Field(None, ge=1, description="groups of each class to learn; null: all")
    shards: int | None = Field(
        None, ge=1, description="training jobs into which a run is cut; null: by job.gpu and job.target_minutes"
    )
    snapshots: list[int] = Field([], description="iterations whose pictures are kept, for each shard's first group")
    show: Literal["datasets", "settings"] = Field("datasets", description="what its figures set side by side")
    title: str | None = Field(None, description="its heading on the page")
    text: str = Field("", description="what it is for, on the page")


class Baseline(Training):
    """A model of another kind, trained on the same pictures, to set FRAME and wFRAME against."""

    title: str | None = Field(None, description="its name in tables and on the page")
    dataset: Name
    class_: Name | None = Field(None, alias="class", description="the class to train on; null: all of the dataset")
    repeats: int = Field(1, ge=1, description="trainings with other weights, batches and z")


class ScoreRow(Model):
    """Which pictures a row of the score table is about: a dataset's own, a study's samples, or a baseline's."""

    title: str | None = Field(None, description="its name in the table")
    dataset: Name | None = Field(None, description="alone: the dataset's real pictures; else with study and method")
    study: Name | None = None
    method: Method | None = None
    setting: Name | None = Field(None, description="of the study; null: its first one")
    baseline: Name | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "ScoreRow":
        given = {name for name in self.model_fields_set - {"title", "setting"} if getattr(self, name) is not None}
        if given not in ({"dataset"}, {"study", "dataset", "method"}, {"baseline"}):
            raise ValueError("a row has `dataset`; or `study`, `dataset` and `method`; or `baseline`; nothing else")
        if self.setting is not None and self.study is None:
            raise ValueError("`setting` goes with `study`")
        return self


class Scores(Model):
    """The Inception score (or one by another classifier) of real, synthesised and generated pictures."""

    extractor: Literal["inception", "squeezenet", "pocket"] = Field(
        description="whose class probabilities: Inception's make the paper's score; the others stand in for it "
        "under their own names"
    )
    weights: str | None = Field(None, description="inception, squeezenet: the file, relative to the data folder")
    inputs: list[str] = Field([], description="entries of config/inputs.yaml to fetch first, if they can be had")
    splits: int = Field(10, ge=1, description="parts into which a set is cut; the score is their mean")
    samples: int | None = Field(None, ge=1, description="most pictures of a set, evenly spread; null: all")
    nearest: int | None = Field(
        1000, ge=1, description="most pictures of a set compared with all training pictures; null: all"
    )
    held_out: dict[Name, Name] = Field(
        {},
        description="dataset → the dataset whose pictures show how far real ones are from its training pictures; "
        "without an entry, its own pictures that weren't trained on",
    )
    gate: Name | None = Field(
        None, description="inception: the row with all of CIFAR-10's training pictures; it has to score 11.24 ± 0.11"
    )
    rows: dict[Name, ScoreRow] = Field(min_length=1)

    @model_validator(mode="after")
    def _extractor_is_complete(self) -> "Scores":
        if self.extractor == "pocket" and (self.weights is not None or self.inputs):
            raise ValueError("the pocket classifier comes with the package: remove weights and inputs")
        if self.extractor != "pocket" and self.weights is None:
            raise ValueError(f"{self.extractor} needs a weights file: set scores.weights")
        if (self.extractor == "inception") != (self.gate is not None):
            raise ValueError("an Inception score needs a gate, and no other has one: see scores.gate")
        if "weights" in self.rows:
            raise ValueError("rows: `weights` is the name of another file in results/scores: call this row otherwise")
        if self.gate is not None and self.gate not in self.rows:
            raise ValueError(f"gate: there is no row {self.gate!r} (rows: {', '.join(self.rows)})")
        if self.gate is not None and (self.rows[self.gate].study or self.rows[self.gate].baseline):
            raise ValueError("gate: has to be a row of real pictures: one with `dataset` alone")
        return self


class Edition(Model):
    """The configuration of the whole pipeline."""

    edition: Name = Field(description="its name")
    compared: bool = Field(
        False,
        description="whether claims of the paper get a verdict: this is its data (or part of it), bank and constants",
    )
    seed: int = Field(0, ge=0, description="every random number derives from it")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    data: str = Field("data", description="folder of raw data; the environment's WFRAME_DATA goes before it")
    job: Job = Job()
    bank: Bank = Bank()
    learning: Learning = Learning()
    datasets: dict[Name, Dataset] = Field(min_length=1)
    studies: dict[Name, Study] = Field(min_length=1)
    baselines: dict[Name, Baseline] = Field({}, description="models to set FRAME and wFRAME against")
    scores: Scores | None = Field(None, description="the score table (the paper's Table 1); null: none")

    @model_validator(mode="after")
    def _compared_means_the_papers_constants(self) -> "Edition":
        """The paper's own constants (section "Empirical Setup"), wherever a claim is judged on them."""
        if not self.compared:
            return self
        if self.bank.source != "vgg16":
            raise ValueError("compared: true needs the paper's bank: bank.source = vgg16")
        for name, dataset in self.datasets.items():
            ours = (
                self.learning.model_dump() | dataset.learning.model_dump(exclude_unset=True) | {"size": dataset.size}
            )
            for of_paper in dataset.stands_for:
                if dataset.source != SOURCES[of_paper]:
                    raise ValueError(
                        f"compared: true needs the paper's data: datasets.{name} is {dataset.source}, not "
                        f"{SOURCES[of_paper]}, and can't stand for {of_paper}"
                    )
                for key, value in (PAPER | PAPER_DATASETS.get(of_paper, {})).items():
                    if ours[key] != value:
                        raise ValueError(
                            f"compared: true needs the paper's {key.rstrip('_')} = {value} on {of_paper}: "
                            f"datasets.{name} has {ours[key]}"
                        )
        return self

    @model_validator(mode="after")
    def _names_are_known(self) -> "Edition":
        for name, study in self.studies.items():
            for dataset in study.datasets:
                _known("dataset", dataset, self.datasets, f"studies.{name}.datasets")
            for setting in study.settings:
                lengths = {dataset: self.constants(name, dataset, setting, "wframe").T for dataset in study.datasets}
                if len(set(lengths.values())) > 1:  # their curves are averaged, and their ends set side by side
                    said = ", ".join(f"{dataset} {T}" for dataset, T in lengths.items())
                    raise ValueError(f"studies.{name}.datasets: T has to be the same ({said}): make it two studies")
        for name, baseline in self.baselines.items():
            _known("dataset", baseline.dataset, self.datasets, f"baselines.{name}.dataset")
            entry = self.datasets[baseline.dataset]
            if baseline.class_ is not None:
                _known("class", baseline.class_, entry.classes, f"baselines.{name}.class")
            if wrong := impossible_side(entry.size):
                raise ValueError(f"baselines.{name}.dataset: {baseline.dataset!r} has {wrong}")
        return self

    @model_validator(mode="after")
    def _scores_are_possible(self) -> "Edition":
        if self.scores is None:
            return self
        if "scores" in self.studies:
            raise ValueError("studies: `scores` is the score table's name: call this study otherwise")
        for name, row in self.scores.rows.items():
            where = f"scores.rows.{name}"
            if row.dataset is not None:
                _known("dataset", row.dataset, self.datasets, f"{where}.dataset")
            if row.baseline is not None:
                _known("baseline", row.baseline, self.baselines, f"{where}.baseline")
            if row.study is not None:
                _known("study", row.study, self.studies, f"{where}.study")
                study = self.studies[row.study]
                _known("dataset", row.dataset, study.datasets, f"{where}.dataset, in the study")
                _known("method", row.method, study.methods, f"{where}.method, in the study")
                if row.setting is not None:
                    _known("setting", row.setting, study.settings, f"{where}.setting, in the study")
        for of, by in self.scores.held_out.items():
            for dataset in (of, by):
                _known("dataset", dataset, self.datasets, "scores.held_out")
            if self.datasets[of].size != self.datasets[by].size:
                raise ValueError(f"scores.held_out: {of!r} and {by!r} have pictures of different sizes")
        if self.scores.gate is not None:
            gate = self.datasets[str(self.scores.rows[self.scores.gate].dataset)]
            if gate.source != "cifar10":
                raise ValueError(f"scores.gate: the gate is CIFAR-10, not {gate.source}")
        return self

    def constants(self, study: str, dataset: str, setting: str, method: Method) -> Learning:
        """Return Algorithm 1's constants of one run: the edition's, the dataset's, the setting's; FRAME has β = 0."""
        values = self.learning.model_dump()
        for change in (self.datasets[dataset].learning, self.studies[study].settings[setting]):
            values |= change.model_dump(exclude_unset=True)
        if method == "frame":
            values["beta"] = 0.0
        return Learning.model_validate(values)

    def groups(self, study: str, dataset: str) -> int | None:
        """Return how many groups of each class a study learns; None where that's known only once they're prepared."""
        images, limit = self.datasets[dataset].images, self.studies[study].groups
        if images is None:
            return None
        groups = -(-images // self.learning.M)
        return min(groups, limit or groups)

    def inputs(self) -> set[str]:
        """Return the entries of the registry that the edition is made from."""
        of_datasets = {name for dataset in self.datasets.values() for name in dataset.inputs}
        return {*self.bank.inputs, *of_datasets, *(self.scores.inputs if self.scores else ())}

    def data_path(self, path: str | None) -> Path:
        """Return where `path` of the data folder is (WFRAME_DATA, if set, goes before `data`)."""
        return Path(os.environ.get("WFRAME_DATA") or self.data) / (path or "")


def _known(kind: str, name: str | None, known: Iterable[str], where: str) -> None:
    """Refuse a name that isn't among the known ones."""
    if name not in (known := list(known)):
        raise ValueError(f"{where}: there is no {kind} {name!r} (known: {', '.join(known) or 'none'})")


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
        raise UserError(explain(error, where)) from None


def load(path: Path | str) -> Edition:
    """Read and check an edition's file.

    Raises:
        UserError: the file is missing, isn't YAML, or has impossible values.
    """
    try:
        values = yaml.safe_load(Path(path).read_text())
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML ({error})") from error
    return check(values, str(path))


def schema() -> dict[str, Any]:
    """Return the JSON schema of an edition."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Edition.model_json_schema(by_alias=True),
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe config`."""
    parser.add_argument("file", nargs="?", type=Path, help="the edition to check and print in full")
    parser.add_argument("--json", help="an edition as JSON text, instead of a file")
    parser.add_argument("--schema", action="store_true", help="print the JSON schema instead")


def main(args: argparse.Namespace) -> None:
    """Check an edition and print it in full, or print the schema."""
    if args.schema:
        print(json.dumps(schema(), indent=1, ensure_ascii=False))
    elif args.file or args.json:
        edition = check(json.loads(args.json)) if args.json else load(args.file)
        full = edition.model_dump(mode="json", by_alias=True)
        yaml.safe_dump(full, sys.stdout, sort_keys=False, allow_unicode=True)
    else:
        raise UserError("give the edition's file, or --schema")
