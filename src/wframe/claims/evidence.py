"""Evidence: what a judge makes of the results, and the registry of judges.

A judge takes the results and what `of` says in config/claims.yaml, and returns a statistic with its interval.
Datasets are named as the paper names them; an edition's datasets say which of those they are (`stands_for`).
"""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from wframe.config.edition import Edition
from wframe.results.statistics import LEVEL, Estimate
from wframe.results.store import Store


class PaperNumber(Protocol):
    """What judges need of a number of the paper (`claim.Stated`)."""

    @property
    def value(self) -> float:
        """The number."""

    @property
    def plus_minus(self) -> float | None:
        """Its ±."""


class Case(Store):
    """The results that claims are judged on, and the numbers that the paper states, by claim."""

    def __init__(self, folder: Path, edition: Edition, stated: Mapping[str, PaperNumber | None]) -> None:
        super().__init__(folder, edition)
        self.stated = stated


class Evidence(NamedTuple):
    """A statistic of the results, and what it was computed from."""

    statistic: str  # what it is, in words
    estimate: Estimate
    unit: str  # what n counts
    files: frozenset[str]  # the results it was computed from
    outcomes: dict[str, dict[str, int]] = {}  # noqa: RUF012  (never changed) method → how many models learn, collapse …
    notes: tuple[str, ...] = ()  # what was left out and why, and what else is worth knowing
    parts: dict[str, Estimate] = {}  # noqa: RUF012  the same of each dataset alone ("on CelebA alone"), or averaged
    sampled: bool = True  # false: computed, so that chance has no part in it (theory)

    @property
    def value(self) -> float:
        """The statistic."""
        return self.estimate.value

    @property
    def n(self) -> int:
        """How many independent units it is of."""
        return self.estimate.n

    def bounds(self, level: float = LEVEL) -> tuple[float, float]:
        """Return its interval."""
        return self.estimate.interval(level)


def computed(statistic: str, value: float, low: float, high: float, unit: str, files: frozenset[str]) -> Evidence:
    """Return evidence that was computed, not sampled: its interval is a bound on the numerical error, at any level."""
    return Evidence(statistic, Estimate(value, 1, lambda level: (low, high)), unit, files, sampled=False)


Judge = Callable[..., Evidence]
JUDGES: dict[str, Judge] = {}


def judge(function: Judge) -> Judge:
    """Register a judge by its name."""
    JUDGES[function.__name__] = function
    return function


def wrong_parameters(name: str, of: dict[str, Any]) -> str | None:
    """Return what is wrong with a claim's `of` for a judge; None if nothing is."""
    signature = inspect.signature(JUDGES[name])
    try:
        signature.bind(None, **of)
    except TypeError as error:
        takes = ", ".join(list(signature.parameters)[1:])
        return f"{error} (the judge {name} takes {takes or 'nothing'})"
    return None
