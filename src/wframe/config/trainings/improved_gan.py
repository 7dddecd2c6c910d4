"""Improved GAN's settings (Salimans et al. 2016), as its released code has them for CIFAR-10."""

from typing import Literal

from pydantic import Field, model_validator

from wframe.config.training import Adversarial


class Settings(Adversarial):
    """Improved GAN's. Without labels it is the row "−L" of the publication's Table 3, which scores 4.36."""

    model: Literal["improved_gan"] = "improved_gan"
    steps: int = Field(600_000, ge=1, description="steps of the discriminator: 1,200 epochs of 500 batches")
    batch: int = Field(100, ge=2, description="images in a batch")
    generator_loss: Literal["minibatch", "feature-matching"] = Field(
        "minibatch",
        description="minibatch: a discriminator with minibatch discrimination, and the adversarial loss (Table 3's); "
        "feature-matching: the means of the discriminator's features on real and generated images",
    )
    labels: int | None = Field(
        None,
        ge=1,
        description="labelled images per class; null: none. The released code uses 400; the publication doesn't say "
        "how many Table 3's models had",
    )
    outputs: int = Field(
        10,
        ge=1,
        description="the discriminator's outputs, one per class. The publication doesn't say how many remain without "
        "labels; here all of them, as in the released network",
    )
    generator_steps: int | None = Field(
        None, ge=1, description="generator steps per discriminator step; null: 3 (minibatch), 1 (feature-matching)"
    )
    width: int = Field(128, ge=4, description="the generator's channels at half the images' side")
    features: int = Field(96, ge=4, description="the discriminator's channels at full resolution; twice as many below")
    kernels: int = Field(100, ge=1, description="minibatch discrimination: kernels B")
    kernel_size: int = Field(5, ge=1, description="minibatch discrimination: dimensions C of each")
    noise: float = Field(0.2, ge=0, description="minibatch: standard deviation of the noise added to D's images")
    learning_rate: float = Field(3e-4, gt=0, lt=1, description="Adam's; it falls to 0 over the last third")
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's β₁")
    beta2: float = Field(
        0.999,
        ge=0,
        lt=1,
        description="Adam's β₂. When D wins, the adversarial loss saturates, and the second moment's memory of larger "
        "gradients stalls G for 1/(1 − β₂) steps: use a smaller β₂ for short schedules",
    )

    @model_validator(mode="after")
    def _labels_have_outputs(self) -> "Settings":
        if self.labels is not None and self.outputs < 2:
            raise ValueError("labels need an output for each class: set outputs")
        return self
