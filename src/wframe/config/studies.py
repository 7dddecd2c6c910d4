"""Studies: the experiments of an edition, and the resources of their training jobs."""

from functools import cached_property
from itertools import pairwise, product
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from wframe.config.base import Model, Name, OneOf
from wframe.config.devices import DEVICES
from wframe.config.learning import LearningChange, Method


class Job(Model):
    """The resources of one training job."""

    threads: int = Field(1, ge=1, description="CPU threads")
    memory_mb: int = Field(2000, ge=500, description="memory of the first attempt, in MB")
    minutes: int = Field(120, ge=1, description="time limit of the first attempt; doubled for each further one")
    checkpoint_seconds: float = Field(
        30, ge=0, description="seconds between checkpoints: the most that a kill without warning can lose"
    )
    gpu: Annotated[str, OneOf(DEVICES)] | None = Field(
        None, description="the GPU that jobs run on; its speed determines the number of shards; null: one shard per run"
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
    """One experiment: every dataset × class × setting × method × repeat is a run.

    With a `grid`, every setting is run at each combination of the grid's values.
    """

    datasets: list[Name] = Field(min_length=1, description="what is learned: entries of `datasets`")
    settings: dict[Name, LearningChange] = Field(
        {"base": LearningChange()}, min_length=1, description="each setting's name and the constants it changes"
    )
    grid: dict[str, list[Any]] = Field(
        {},
        max_length=2,
        description="one or two constants and their values, at which each setting is run: `lambda: [...]`",
    )
    methods: list[Method] = Field(["frame", "wframe"], min_length=1, description="the methods that are run")
    repeats: int = Field(1, ge=1, description="runs with different noise")
    groups: int | None = Field(None, ge=1, description="number of groups to learn in each class; null: all")
    shards: int | None = Field(
        None, ge=1, description="number of training jobs per run; null: from job.gpu and job.target_minutes"
    )
    snapshots: list[int] | None = Field(
        None,
        description="iterations after which to keep the chains of each shard's first group; null: about seven, spread "
        "geometrically up to T (none for a map); []: none",
    )
    show: Literal["datasets", "settings", "steps", "map"] = Field(
        "datasets",
        description="what the study's figures compare: datasets; settings; `steps`: each setting with the previous "
        "one; `map`: the outcomes over a grid",
    )
    title: str | None = Field(None, description="heading on the page")
    text: str = Field("", description="introduction on the page: the purpose of the study")

    def over_grid(self, setting: str) -> dict[str, LearningChange]:
        """Return a setting at each combination of the grid, by name (`SETTING-CONSTANT-VALUE...`)."""
        own = self.settings[setting].model_dump(by_alias=True)
        combinations = [dict(zip(self.grid, values, strict=True)) for values in product(*self.grid.values())]
        return {
            "-".join([setting, *(f"{constant}-{value}" for constant, value in values.items())]): (
                LearningChange.model_validate(own | values)
            )
            for values in combinations
        }

    @cached_property
    def points(self) -> dict[str, LearningChange]:
        """Every setting that is run, by name: the settings at each combination of the grid."""
        return {name: change for setting in self.settings for name, change in self.over_grid(setting).items()}

    @property
    def first(self) -> str:
        """The first setting that is run, which counts where none is named."""
        return next(iter(self.points))

    @model_validator(mode="after")
    def _the_grid_is_possible(self) -> "Study":
        if (self.show == "map") != bool(self.grid):
            raise ValueError("a grid of constants and `show: map` go together")
        for constant, values in self.grid.items():
            if not values or not all(type(value) in (int, float) for value in values):
                raise ValueError(f"grid.{constant}: give numbers; what isn't one is a setting (`settings`)")
            if any(b <= a for a, b in pairwise(values)):
                raise ValueError(f"grid.{constant}: give each value once, in ascending order")
            for value in values:
                try:
                    LearningChange.model_validate({constant: value})
                except ValidationError as error:
                    problem = error.errors()[0]["msg"].removeprefix("Value error, ")
                    raise ValueError(f"grid.{constant} = {value}: {problem}") from None
            if changed := [
                name for name, change in self.settings.items() if constant in change.model_dump(by_alias=True)
            ]:
                raise ValueError(f"grid.{constant}: the setting {changed[0]!r} has its own {constant}")
        return self
