"""Studies: the experiments of an edition, and the resources of their training jobs."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from wframe.config.base import Model, Name, OneOf
from wframe.config.devices import DEVICES
from wframe.config.learning import LearningChange, Method


class Job(Model):
    """The resources of one training job."""

    threads: int = Field(1, ge=1, description="CPU threads")
    memory_mb: int = Field(2000, ge=500)
    minutes: int = Field(120, ge=1, description="time limit of the first attempt; doubled for each further one")
    checkpoint_seconds: float = Field(
        30, ge=0, description="seconds between checkpoints: the most work that a kill without warning loses"
    )
    gpu: Annotated[str, OneOf(DEVICES)] | None = Field(
        None, description="the GPU that jobs run on; its speed decides the number of shards; null: one shard per run"
    )
    target_minutes: float = Field(30, gt=0, description="how long one training job should take on that GPU")

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
        {"base": LearningChange()}, min_length=1, description="each setting's name and the constants it changes"
    )
    methods: list[Method] = Field(["frame", "wframe"], min_length=1)
    repeats: int = Field(1, ge=1, description="runs with different noise")
    groups: int | None = Field(None, ge=1, description="number of groups to learn in each class; null: all")
    shards: int | None = Field(
        None, ge=1, description="number of training jobs per run; null: from job.gpu and job.target_minutes"
    )
    snapshots: list[int] = Field(
        [], description="iterations after which to keep the chains of each shard's first group"
    )
    show: Literal["datasets", "settings"] = Field("datasets", description="what the study's figures compare")
    title: str | None = Field(None, description="heading on the page")
    text: str = Field("", description="introduction on the page: the purpose of the study")
