"""Editions: the configuration of the whole pipeline, checked before anything runs.

These models are the one source of truth: the JSON schema in `config/schema.json` is generated from them.
"""

import argparse
import json
import os
import sys
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

from wframe.errors import UserError
from wframe.learning import Learning, Model, explain

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="used in file names")]
Method = Literal["frame", "wframe"]
PaperDataset = Literal["celeba", "lsun-bedroom", "cifar10", "cifar10-unlabelled", "sun"]


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

    @model_validator(mode="after")
    def _weights_only_for_vgg16(self) -> "Bank":
        if self.source == "vgg16" and self.weights is None:
            raise ValueError("vgg16 needs a weights file: set bank.weights")
        if self.source == "builtin" and self.weights is not None:
            raise ValueError("the builtin bank comes with the package: remove bank.weights")
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


class Edition(Model):
    """The configuration of the whole pipeline."""

    edition: Name = Field(description="its name")
    compared: bool = Field(
        False,
        description="whether claims of the paper get a verdict: its data (or parts of it), bank and constants are used",
    )
    seed: int = Field(0, ge=0, description="every random number derives from it")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    data: str = Field("data", description="folder of raw data; the environment's WFRAME_DATA goes before it")
    job: Job = Job()
    bank: Bank = Bank()
    learning: Learning = Learning()
    datasets: dict[Name, Dataset] = Field(min_length=1)
    studies: dict[Name, Study] = Field(min_length=1)

    @model_validator(mode="after")
    def _compared_means_the_papers_constants(self) -> "Edition":
        """The paper's own constants (section "Empirical Setup"); λ, δ and the size are the datasets' own."""
        if not self.compared:
            return self
        paper = {"T": 100, "L": 50, "M": 9, "sigma": 0.01, "beta": 60.0}
        for name, value in paper.items():
            if (ours := getattr(self.learning, name)) != value:
                raise ValueError(f"compared: true needs the paper's learning.{name} = {value}, not {ours}")
        if self.bank.source != "vgg16":
            raise ValueError("compared: true needs the paper's bank: bank.source = vgg16")
        if any(dataset.source == "embedded" for dataset in self.datasets.values()):
            raise ValueError("compared: true needs the paper's data: no dataset may be embedded")
        return self

    @model_validator(mode="after")
    def _names_are_known(self) -> "Edition":
        for name, study in self.studies.items():
            for dataset in study.datasets:
                if dataset not in self.datasets:
                    known = ", ".join(self.datasets)
                    raise ValueError(f"studies.{name}.datasets: there is no dataset {dataset!r} (known: {known})")
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

    def data_path(self, path: str | None) -> Path:
        """Return where `path` of the data folder is (WFRAME_DATA, if set, goes before `data`)."""
        return Path(os.environ.get("WFRAME_DATA") or self.data) / (path or "")


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
