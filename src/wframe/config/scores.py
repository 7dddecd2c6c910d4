"""The score table: which sets of images are scored, and by which classifier."""

from typing import Annotated

from pydantic import Field, model_validator

from wframe.config.base import Model, Name, OneOf
from wframe.config.devices import DeviceName
from wframe.config.learning import Method
from wframe.runtime.code import module_names

EXTRACTORS = module_names("wframe.scores.extractors")


class ScoreRow(Model):
    """The images behind a row of the score table: a dataset's real images, a study's samples, or a baseline's."""

    title: str | None = Field(None, description="its name in the table")
    dataset: Name | None = Field(None, description="alone: the dataset's real images; otherwise with study and method")
    study: Name | None = Field(None, description="the study whose samples are scored; needs dataset and method")
    method: Method | None = Field(None, description="the method of the study's runs: frame or wframe")
    setting: Name | None = Field(None, description="a setting of the study; null: its first one")
    baseline: Name | None = Field(None, description="alone: the baseline whose samples are scored")

    @model_validator(mode="after")
    def _one_kind(self) -> "ScoreRow":
        given = {name for name in self.model_fields_set - {"title", "setting"} if getattr(self, name) is not None}
        if given not in ({"dataset"}, {"study", "dataset", "method"}, {"baseline"}):
            raise ValueError("a row has `dataset`; or `study`, `dataset` and `method`; or `baseline`; no other keys")
        if self.setting is not None and self.study is None:
            raise ValueError("`setting` needs `study`")
        return self


class Scores(Model):
    """The Inception score (or one by another classifier) of real, synthesised and generated images."""

    extractor: Annotated[str, OneOf(EXTRACTORS)] = Field(
        description="the classifier: inception gives the paper's score; the others give scores under their own names"
    )
    weights: str | None = Field(
        None, description="inception, squeezenet: the weights file, relative to the data folder"
    )
    inputs: list[str] = Field([], description="entries of config/inputs.yaml to fetch first, if they are available")
    device: DeviceName | None = Field(None, description="where images are scored; null: the edition's device")
    splits: int = Field(10, ge=1, description="number of splits of a set; the score is their mean")
    samples: int | None = Field(None, ge=1, description="maximum images of a set to score, evenly spread; null: all")
    nearest: int | None = Field(
        1000, ge=1, description="maximum images of a set to compare with all training images; null: all"
    )
    held_out: dict[Name, Name] = Field(
        {},
        description="dataset → the dataset of held-out real images, whose distance to the training images is the "
        "reference; without an entry: its own images that weren't trained on",
    )
    gate: Name | None = Field(
        None, description="inception: the row with all of CIFAR-10's training images, which must score 11.24 ± 0.11"
    )
    rows: dict[Name, ScoreRow] = Field(min_length=1, description="the rows of the table, by name")

    @model_validator(mode="after")
    def _extractor_is_complete(self) -> "Scores":
        if self.extractor == "pocket" and (self.weights is not None or self.inputs):
            raise ValueError("the pocket classifier comes with the package: remove weights and inputs")
        if self.extractor != "pocket" and self.weights is None:
            raise ValueError(f"{self.extractor} needs a weights file: set scores.weights")
        if (self.extractor == "inception") != (self.gate is not None):
            raise ValueError("the Inception score needs a gate, other scores have none: see scores.gate")
        if "weights" in self.rows:
            raise ValueError("rows: `weights` is the name of another file in results/scores: rename this row")
        if self.gate is not None and self.gate not in self.rows:
            raise ValueError(f"gate: there is no row {self.gate!r} (rows: {', '.join(self.rows)})")
        if self.gate is not None and (self.rows[self.gate].study or self.rows[self.gate].baseline):
            raise ValueError("gate: must be a row of real images: one with `dataset` alone")
        return self
