"""ALI's settings (Dumoulin et al. 2017, appendix A, table "CIFAR10 model hyperparameters (unsupervised)")."""

from typing import ClassVar, Literal

from pydantic import Field

from wframe.config.training import Adversarial


class Settings(Adversarial):
    """Adversarially learned inference."""

    reconstructs: ClassVar[bool] = True

    model: Literal["ali"] = "ali"
    steps: int = Field(2_913_750, ge=1, description="6,475 epochs of 450 batches (45,000 images); released code: 1,000")
    batch: int = Field(100, ge=2, description="images in a batch")
    z: int = Field(64, ge=1, description="size of the random vector that a sample is made from")
    width: int = Field(32, ge=4, description="channels of the first convolution; the others are in proportion")
    maxout: Literal["of-them", "to-them"] = Field(
        "of-them",
        description="whether the table counts D's feature maps before maxout, which keeps the greater of two (as in "
        "the released code), or after it (as its 1,024 inputs of D(x, z) imply)",
    )
    dropout: float = Field(0.5, ge=0, lt=1, description="dropout rate of D's hidden layers")
    input_dropout: float = Field(0.2, ge=0, lt=1, description="dropout rate of D's inputs x and z")
    leak: float = Field(0.1, ge=0, lt=1, description="slope of the leaky ReLU")
    deviation: float = Field(0.01, gt=0, description="standard deviation of the initial weights")
    learning_rate: float = Field(1e-4, gt=0, lt=1, description="Adam's")
    beta1: float = Field(0.5, ge=0, lt=1, description="Adam's β₁")
    beta2: float = Field(
        0.999, ge=0, lt=1, description="Adam's β₂; the table's 10⁻³ is 1 − β₂, as in Adam's first version"
    )

    def unsupported_side(self, side: int) -> str | None:
        """Return why the networks can't take images of this side: the published ones for CIFAR-10 take 32."""
        return None if side == 32 else f"images of {side} pixels, but ALI's networks for CIFAR-10 take 32"
