"""The settings of a baseline's training: what each may be, checked before work starts."""

from pathlib import Path

from pydantic import Field, field_validator, model_validator

from wframe.learning import Model

MODELS = sorted({path.stem for path in Path(__file__).parent.glob("*.py")} - {"__init__", "settings", "train"})


class Training(Model):
    """How a baseline is trained, with DCGAN's settings (Radford et al. 2016) as defaults."""

    model: str = Field(description="a module of src/wframe/baselines")
    images: int | None = Field(None, ge=1, description="first pictures of each class to train on; null: all")
    duplicate_to: int | None = Field(
        None, ge=2, description="repeat the pictures up to this number (the paper's Figure 6: 10,000)"
    )
    steps: int = Field(ge=1, description="optimiser steps of each network")
    batch: int = Field(64, ge=2)
    width: int = Field(128, ge=4, description="channels of the layers at half the pictures' side")
    z: int = Field(100, ge=1, description="size of the random vector that a sample is made from")
    learning_rate: float = Field(2e-4, gt=0, lt=1, description="Adam's")
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's β₁")
    samples: int = Field(50_000, ge=1, description="pictures to generate after training")
    snapshots: tuple[int, ...] = Field((), description="steps after which 36 pictures are kept, of the same z")

    @field_validator("model")
    @classmethod
    def _model_is_known(cls, model: str) -> str:
        if model not in MODELS:
            raise ValueError(f"there is no such baseline (known: {', '.join(MODELS)})")
        return model

    @model_validator(mode="after")
    def _a_batch_can_be_drawn(self) -> "Training":
        if self.duplicate_to is not None and self.duplicate_to < self.batch:
            raise ValueError(f"duplicate_to {self.duplicate_to} is less than a batch of {self.batch}")
        return self


def impossible_side(side: int) -> str | None:
    """Return what is wrong with pictures of this side; None if nothing is."""
    if side >= 16 and side & (side - 1) == 0:
        return None
    return f"pictures of {side} pixels, but the networks double their side from 4 up: 16, 32, 64, 128, ..."
