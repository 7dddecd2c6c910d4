"""Readings: ways to fill what the paper leaves open about σ, the step and the pixel scale. No PyTorch here.

Line 8 of Algorithm 1 moves x by δ²/2·(∇ₓΦ − x/σ²) + δΣ, Σ ~ N(0, σ²I). Taken literally, this multiplies x by
1 − δ²/2σ² = −199 for the paper's δ = 0.2 and σ = 0.01. Every reading is one linear recursion

    x ← a·x + b·∇ₓΦ + s·ξ,   ξ ~ N(0, I)

so a reading is three numbers and a pixel scale.
"""

from collections.abc import Callable
from typing import NamedTuple


class Step(NamedTuple):
    """The coefficients of one Langevin step, x ← a·x + b·∇ₓΦ + s·ξ."""

    a: float
    b: float
    s: float

    def stationary_std(self) -> float | None:
        """Return the recursion's stationary standard deviation if ∇ₓΦ = 0; None if there is none."""
        return None if abs(self.a) >= 1 else self.s / (1 - self.a**2) ** 0.5


class Reading(NamedTuple):
    """One way to fill what the paper leaves open."""

    step: Callable[[float, float], Step]  # (δ, σ) to coefficients
    unit: float  # grey levels in one unit of x: x = (pixel − mean) / unit
    description: str = ""


UNIT = 127.5

READINGS: dict[str, Reading] = {
    "literal": Reading(
        lambda δ, σ: Step(1 - δ**2 / (2 * σ**2), δ**2 / 2, δ * σ),
        UNIT,
        description="line 8 of Algorithm 1 as printed: x ← x + δ²/2·(∇ₓΦ − x/σ²) + δΣ, Σ ~ N(0, σ²I)",
    ),
    "preconditioned": Reading(
        lambda δ, σ: Step(1 - δ**2 / 2, (δ * σ) ** 2 / 2, δ * σ),
        UNIT,
        description="exact Langevin dynamics for exp(Φ)·N(0, σ²) with the step δσ: x ← x + (δσ)²/2·∇ₓΦ − δ²/2·x + δσξ",
    ),
    "lineage": Reading(
        lambda δ, σ: Step(1 - δ**2 / 2, δ**2 / 2, δ),
        1.0,
        description="grey levels and σ = 1, as in public FRAME code: x ← x + δ²/2·(∇ₓΦ − x) + δξ",
    ),
    "tempered": Reading(
        lambda δ, σ: Step(1 - δ**2 / 2, δ**2 / 2, δ * σ),
        UNIT,
        description="the reading that learns with the paper's own constants: x ← x + δ²/2·(∇ₓΦ − x) + δσξ",
    ),
    "tempered-no-prior": Reading(
        lambda δ, σ: Step(1.0, δ**2 / 2, δ * σ),
        UNIT,
        description="tempered with the Gaussian q left out, as in Remark 1: x ← x + δ²/2·∇ₓΦ + δσξ",
    ),
}

DESCRIPTIONS = {name: reading.description for name, reading in READINGS.items()}  # in the schema and on the page
