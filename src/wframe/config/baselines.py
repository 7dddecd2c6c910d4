"""Baselines: how the models that FRAME and wFRAME are compared with are trained."""

from typing import Annotated

from pydantic import Field, model_validator

from wframe.config.base import Model, Name, OneOf
from wframe.runtime.code import module_names

MODELS = tuple(name for name in module_names("wframe.baselines") if name not in ("train", "trainer"))


class Training(Model):
    """How a baseline is trained, with DCGAN's settings (Radford et al. 2016) as defaults."""

    model: Annotated[str, OneOf(MODELS)] = Field(description="a module of src/wframe/baselines")
    images: int | None = Field(None, ge=1, description="first images of each class to train on; null: all")
    duplicate_to: int | None = Field(
        None, ge=2, description="repeat the images up to this number (the paper's Figure 6: 10,000)"
    )
    steps: int = Field(ge=1, description="optimiser steps of each network")
    batch: int = Field(64, ge=2)
    width: int = Field(128, ge=4, description="channels of the layers at half the images' side")
    z: int = Field(100, ge=1, description="size of the random vector that a sample is made from")
    learning_rate: float = Field(2e-4, gt=0, lt=1, description="Adam's")
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's β₁")
    samples: int = Field(50_000, ge=1, description="images to generate after training")
    snapshots: tuple[int, ...] = Field((), description="steps after which 36 samples are kept, of the same z")

    @model_validator(mode="after")
    def _a_batch_can_be_drawn(self) -> "Training":
        if self.duplicate_to is not None and self.duplicate_to < self.batch:
            raise ValueError(f"duplicate_to {self.duplicate_to} is less than a batch of {self.batch}")
        return self


class Baseline(Training):
    """A model of another kind, trained on the same images, that FRAME and wFRAME are compared with."""

    title: str | None = Field(None, description="its name in tables and on the page")
    dataset: Name
    class_: Name | None = Field(None, alias="class", description="the class to train on; null: all of the dataset")
    repeats: int = Field(1, ge=1, description="trainings with other initial weights, batches and z")


def unsupported_side(side: int) -> str | None:
    """Return why networks that double their side from 4 up can't make images of this side; None if they can."""
    if side >= 16 and side & (side - 1) == 0:
        return None
    return f"images of {side} pixels, but the networks double their side from 4 up: 16, 32, 64, 128, ..."
