"""Judges of the score table (the paper's Table 1)."""

from typing import Any

import numpy as np
from scipy import stats

from wframe.claims.evidence import Case, Evidence, judge
from wframe.results.store import NotAvailable

PAPER_SPLITS = 10  # the paper's ± is taken to be over ten, as in the code of its time


@judge
def score(case: Case, row: str) -> Evidence:
    """A row's score, with the interval over repeats if there are several, else over its splits."""
    value, half, n, unit = _score(case, row)
    named = str(case.scores.loc[row, "score_name"])
    return Evidence(named, value, value - half, value + half, n, unit, frozenset({"tables/scores.csv"}))


@judge
def score_order(case: Case, higher: str, lower: str) -> Evidence:
    """One score less another. `paper:ID` is the number that the paper states in claim ID (with its ±)."""
    (a, a_half, n, unit), (b, b_half, m, other_unit) = (_score(case, name) for name in (higher, lower))
    half = float(np.hypot(a_half, b_half))
    return Evidence(
        f"score of {higher.removeprefix('paper:')} less {lower.removeprefix('paper:')}",
        *(a - b, a - b - half, a - b + half),
        min(n, m),
        unit if unit == other_unit else f"{unit} and {other_unit}",
        frozenset({"tables/scores.csv"}),
    )


def _score(case: Case, name: str) -> tuple[float, float, int, str]:
    """Return a score, half of its 95% interval, how many values that is over, and what those are."""
    if name.startswith("paper:"):
        stated = case.stated.get(name.removeprefix("paper:"))
        if stated is None:
            raise NotAvailable(f"{name}: the paper states no such number")
        return stated.value, _half(stated.plus_minus or 0.0, PAPER_SPLITS), PAPER_SPLITS, "splits"
    if case.edition.compared and case.edition.scores and case.edition.scores.extractor != "inception":
        raise NotAvailable(f"scored by {case.edition.scores.extractor}: the paper's scores are Inception's")
    if name not in case.scores.index:
        raise NotAvailable(f"this edition scores no row {name!r}")
    row: dict[Any, Any] = case.scores.loc[name].to_dict()
    if row["status"] != "ok" or not np.isfinite(row["score"]):
        raise NotAvailable(f"no score of {name!r}: {row['status']}")
    unit = "repeats" if row["repeats"] > 1 else "splits"
    n, spread = int(row[unit]), row["std_seeds"] if unit == "repeats" else row["std_splits"]
    return float(row["score"]), _half(spread, n), n, unit


def _half(spread: float, n: int) -> float:
    """Return half of Student's 95% interval of a mean of n values; NaN for one."""
    return float(stats.t.ppf(0.975, n - 1) * spread / np.sqrt(n)) if n > 1 else float("nan")
