"""DCGAN's settings (Radford, Metz and Chintala 2016, section 4)."""

from typing import Literal

from pydantic import Field

from wframe.config.training import Adversarial


class Settings(Adversarial):
    """DCGAN's."""

    model: Literal["dcgan"] = "dcgan"
    batch: int = Field(64, ge=2, description="images in a batch")
    width: int = Field(128, ge=4, description="channels of the layers at half the images' side")
    learning_rate: float = Field(2e-4, gt=0, lt=1, description="Adam's")
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's β₁")
