"""The constants of Algorithm 1, and what the paper leaves open about them."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from wframe.config.base import Model, OneOf
from wframe.model.readings import DESCRIPTIONS, READINGS

Method = Literal["frame", "wframe"]
METHODS: dict[str, str] = {"frame": "FRAME", "wframe": "wFRAME"}  # their names for people


class Learning(Model):
    """The constants of Algorithm 1, with the paper's values as defaults, and the readings of what it leaves open."""

    reading: Annotated[str, OneOf(READINGS)] = Field(
        "tempered",
        description="how σ and δ enter the Langevin update, and the pixel scale. "
        + "; ".join(f"`{name}`: {text}" for name, text in DESCRIPTIONS.items()),
    )
    T: int = Field(100, ge=1, description="learning iterations")
    L: int = Field(50, ge=1, description="Langevin steps per learning iteration")
    M: int = Field(9, ge=1, description="images in a group, both observed (N) and synthesised (M)")
    sigma: float = Field(0.01, gt=0, description="σ, the standard deviation of the reference Gaussian q")
    beta: float = Field(60.0, ge=0, description="β, the weight of the Wasserstein penalty; FRAME has 0")
    delta: float = Field(0.15, gt=0, lt=2, description="δ, the Langevin step size")
    lambda_: float = Field(2e-3, gt=0, alias="lambda", description="λ, the learning rate of θ")
    theta: Literal["position", "filter"] = Field(
        "position", description="one weight per filter and position, or one per filter"
    )
    penalty: Literal["mean", "sum"] = Field(
        "mean", description="|∇ₓΦ|² as the mean or the sum over an image's pixels and channels"
    )
    before: Literal["kept", "renewed"] = Field(
        "renewed",
        description="𝒫_{t−1} of line 12: `renewed` with the current θ_t, as printed, or `kept` from the last iteration",
    )
    clip: float | None = Field(None, gt=0, description="weight clipping: |θ| ≤ clip after each iteration")
    precision: Literal["fp32", "tf32", "bf16"] = Field(
        "fp32",
        description="of the convolutions in Langevin steps (tf32 needs a GPU); what θ learns from is always fp32",
    )


class LearningChange(Learning):
    """Some constants of Algorithm 1, changed for one dataset or in one setting: only the keys that are given count."""

    @model_validator(mode="after")
    def _one_group_size(self) -> Self:
        if "M" in self.model_fields_set:
            raise ValueError("M can't be changed here: groups are cut once, with the edition's learning.M")
        return self

    @property
    def changes(self) -> dict[str, Any]:
        """The constants that it changes, by field name."""
        return self.model_dump(exclude_unset=True)

    @model_serializer(mode="wrap")
    def _changes_only(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write only what is changed, so that a configuration written in full reads back as the same."""
        given = {"lambda" if name == "lambda_" else name for name in self.model_fields_set}
        return {name: value for name, value in write(self).items() if name.rstrip("_") in given}
