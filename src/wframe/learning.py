"""The constants of Algorithm 1: what each may be, checked before work starts."""

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class Model(BaseModel):
    """A part of the configuration: immutable, and strict about unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Learning(Model):
    """The constants of Algorithm 1, with the paper's values as defaults, and the readings of what it leaves open."""

    reading: Literal["literal", "preconditioned", "lineage", "tempered", "tempered-no-prior"] = Field(
        "tempered", description="how σ and the step enter the Langevin update, and the scale of the pixels"
    )
    T: int = Field(100, ge=1, description="learning iterations")
    L: int = Field(50, ge=1, description="Langevin steps in each learning iteration")
    M: int = Field(9, ge=1, description="images in a group, observed (N) and synthesised (M) alike")
    sigma: float = Field(0.01, gt=0, description="σ, the standard deviation of the reference Gaussian q")
    beta: float = Field(60.0, ge=0, description="β, the weight of the Wasserstein penalty; FRAME has 0")
    delta: float = Field(0.15, gt=0, lt=2, description="δ, the Langevin step")
    lambda_: float = Field(2e-3, gt=0, alias="lambda", description="λ, the learning rate of θ")
    theta: Literal["position", "filter"] = Field(
        "position", description="one weight per filter and position, or one per filter"
    )
    penalty: Literal["mean", "sum"] = Field(
        "mean", description="|∇ₓΦ|² as the mean or the sum over an image's pixels and channels"
    )
    before: Literal["kept", "renewed"] = Field(
        "kept", description="𝒫_{t−1} as the last iteration had it (with θ_{t−1}), or anew at the same x with θ_t"
    )
    clip: float | None = Field(None, gt=0, description="weight clipping: |θ| ≤ clip after each iteration")


def with_changes(values: dict[str, Any], changes: list[str]) -> dict[str, Any]:
    """Return values with a command line's changes, each NAME=VALUE; a VALUE that isn't JSON is text."""
    values = dict(values)
    for change in changes:
        name, _, text = change.partition("=")
        try:
            values[name] = json.loads(text)
        except json.JSONDecodeError:
            values[name] = text
    return values


def explain(error: ValidationError, where: str) -> str:
    """One line a problem: the key's path, the value, what is allowed."""
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"]) or "(whole file)"
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = "unknown key"
        value = "" if problem["type"] in ("missing", "extra_forbidden") else f" = {_short(problem['input'])}"
        lines.append(f"  {key}{value if problem['loc'] else ''}: {message}")
    return f"{where} has {len(lines)} problem{'s' * (len(lines) > 1)}:\n" + "\n".join(lines)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
