"""What the trainings of all baselines have in common; what a model adds is in `config/trainings`, one module each."""

from typing import ClassVar, Self

from pydantic import Field, model_validator

from wframe.config.base import Model


class Training(Model):
    """How a baseline is trained: on which images, in what batches, and what is kept."""

    reconstructs: ClassVar[bool] = False  # whether the model has an encoder, so that x → z → x̂ can be measured

    model: str = Field(description="a module of src/wframe/baselines")
    images: int | None = Field(None, ge=1, description="first images of each class to train on; null: all")
    duplicate_to: int | None = Field(
        None, ge=2, description="repeat the images until there are this many (the paper's Figure 6: 10,000)"
    )
    batch: int = Field(ge=2, description="images in a batch")
    learning_rate: float = Field(gt=0, lt=1, description="Adam's")
    beta1: float = Field(ge=0, lt=1, description="Adam's β₁")
    samples: int = Field(50_000, ge=1, description="images to generate after training")
    snapshots: tuple[int, ...] = Field((), description="steps after which to keep 36 samples, always of the same z")

    @property
    def length(self) -> int:
        """How many steps the training takes."""
        raise NotImplementedError

    @property
    def climbs(self) -> int:
        """How many steps images take up a score, over all images; 0 for models that generate in one pass."""
        return 0

    def sketch(self, batch: int) -> Self:
        """Return the same networks' settings with a batch of so many images, and no more work than for a step."""
        return self.model_copy(update={"batch": batch, "images": None, "duplicate_to": None})

    def unsupported_side(self, side: int) -> str | None:
        """Return why the networks can't take images of this side; None if they can: they double theirs from 4 up."""
        if side >= 16 and side & (side - 1) == 0:
            return None
        return f"images of {side} pixels, but the networks double their side from 4 up: 16, 32, 64, 128, ..."

    @model_validator(mode="after")
    def _a_batch_can_be_drawn(self) -> Self:
        if self.duplicate_to is not None and self.duplicate_to < self.batch:
            raise ValueError(f"duplicate_to {self.duplicate_to} is less than a batch of {self.batch}")
        return self


class Adversarial(Training):
    """A generator against a discriminator, for a number of steps."""

    steps: int = Field(ge=1, description="optimiser steps of the discriminator")
    z: int = Field(100, ge=1, description="size of the random vector that a sample is made from")

    @property
    def length(self) -> int:
        """The steps."""
        return self.steps
