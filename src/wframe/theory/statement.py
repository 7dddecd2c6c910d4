"""What the study says of one statement of the paper, and the rule that turns numbers into an outcome.

Every statement has a *gap*: a number that is 0 where the statement holds exactly, with its interval. A statement
holds if its gap, taken as the paper prints it, is within the tolerance; it holds if corrected if the gap of the
corrected form is. Where an interval has the tolerance inside it, or the gap isn't a number, it cannot be told. So no
outcome is typed.
"""

import math
from typing import Any, Literal, NamedTuple

import numpy as np

from wframe.model.noise import group_key

Outcome = Literal["holds", "holds if corrected", "does not hold", "cannot be told"]
ROUNDING = 1e-10  # a number below this is 0 to the precision of the computation


class Measure(NamedTuple):
    """A number with the interval that it is known to be in."""

    value: float
    low: float
    high: float


class Statement(NamedTuple):
    """One statement of the paper, and how far it is from what was computed."""

    id: str
    where: str
    printed: str  # the statement as the paper prints it
    computed: str  # what was computed, in words
    gap_is: str  # what the gap is, in words
    tolerance: float
    gap: Measure | None  # of the statement as printed; None: our copy of the paper doesn't say enough
    corrected: Measure | None = None  # the same of the corrected form
    correction: str | None = None  # the corrected form, or what else there is to say of it, in words
    numbers: dict[str, Measure] = {}  # noqa: RUF012 (never changed)

    @property
    def outcome(self) -> Outcome:
        """Whether the statement holds."""
        if self.gap is None or self._open(self.gap):
            return "cannot be told"
        if self.gap.high <= self.tolerance:
            return "holds"
        if self.corrected is None:
            return "does not hold"
        if self._open(self.corrected):
            return "cannot be told"
        return "holds if corrected" if self.corrected.high <= self.tolerance else "does not hold"

    def _open(self, gap: Measure) -> bool:
        return not (gap.high <= self.tolerance or gap.low > self.tolerance)  # so a gap that isn't a number is open

    def to_json(self) -> dict[str, Any]:
        """Return the statement as a JSON-like record, its numbers rounded to what the computation can tell."""
        words = ("id", "where", "printed", "computed", "gap_is", "correction")
        return {
            **{name: getattr(self, name) for name in words},
            "outcome": self.outcome,
            "tolerance": self.tolerance,
            "gap": _to_json(self.gap),
            "gap_if_corrected": _to_json(self.corrected),
            "numbers": [{"name": name, **(_to_json(measure) or {})} for name, measure in self.numbers.items()],
        }


class Findings(NamedTuple):
    """What a module found: its statements, and the curves that the figure draws."""

    statements: list[Statement]
    curves: dict[str, Any]
    derived: list[Statement] = []  # noqa: RUF012  questions of ours that the paper doesn't speak of


def exactly(value: float, error: float = 0.0) -> Measure:
    """Return a number that is computed, not sampled, with a bound on its numerical error."""
    return Measure(float(value), float(value) - error, float(value) + error)


def sampled(values: np.ndarray) -> Measure:
    """Return the mean of independent values with its 95% interval (± 1.96 standard errors)."""
    half = 1.96 * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return exactly(float(np.mean(values)), half)


def if_solved(x: np.ndarray, success: bool) -> np.ndarray:
    """Return what a solver found; NaN if it failed, which leaves open every statement that needs it."""
    return x if success else np.full_like(x, np.nan)


def generator(name: str, seed: int) -> np.random.Generator:
    """Return the random generator of one part of the study: it depends on what it is for, not on the order."""
    return np.random.default_rng(group_key("theory", name, seed))


def rounded(value: float) -> float | None:
    """Return a number to six digits, 0 below the rounding of float64 sums; None if it isn't finite."""
    if not math.isfinite(value):
        return None
    return 0.0 if abs(value) < ROUNDING else float(f"{value:.6g}")


def curve(values: Any) -> list[float | None]:
    """Return numbers as a JSON list."""
    return [rounded(float(value)) for value in np.asarray(values).ravel()]


def _to_json(measure: Measure | None) -> dict[str, float | None] | None:
    return None if measure is None else {name: rounded(value) for name, value in measure._asdict().items()}
