"""Judges of the score table (the paper's Table 1).

Trainings are what is independent: the splits of one set of samples say how much its images differ, and nothing of
another training. Each group of FRAME and wFRAME is a training of its own, so their error is over groups; a GAN's takes
repeated trainings. Only real images, which nothing was trained for, take their error from the splits.
"""

from typing import Any, NamedTuple

import numpy as np

from wframe.claims.evidence import Case, Evidence, judge
from wframe.results.statistics import FEWEST_SEEDS, LEVEL, Estimate, around, least
from wframe.results.store import NotAvailable

PAPER_SPLITS = 10  # the paper's ± is taken to be over ten, as in the code of its time


class Score(NamedTuple):
    """A score with its standard error, which n values gave; infinite where nothing tells."""

    value: float
    error: float
    n: int
    unit: str
    spread: float  # standard deviation from one training of the whole table's row to another
    single: bool = False  # one training, of which the error over trainings isn't in `error`


@judge
def score(case: Case, row: str) -> Evidence:
    """A row's score, with Student's interval over repeated trainings (of real images: over splits)."""
    found = _score(case, row)
    named = str(case.scores.loc[row, "score_name"])
    return _evidence(named, around(found.value, found.error, found.n), found.unit)


@judge
def score_order(case: Case, higher: str, lower: str) -> Evidence:
    """One score less another. `paper:ID` is the number that the paper states in claim ID, of one training."""
    difference, unit = _difference(case, higher, lower)
    said = f"score of {higher.removeprefix('paper:')} less {lower.removeprefix('paper:')}"
    return _evidence(said, difference, unit)


@judge
def score_first(case: Case, row: str, others: list[str]) -> Evidence:
    """A row's score less the best of several others': the least of the differences, each at a level that all share."""
    found = {name: _difference(case, row, name) for name in others}
    name, estimate = least({name: difference for name, (difference, _) in found.items()})
    said = f"score of {row} less the best of {len(found)} others, {name.removeprefix('paper:')}"
    return _evidence(said, estimate, found[name][1])


@judge
def score_rank(case: Case, row: str, others: list[str]) -> Evidence:
    """The share of other rows that a row's score is above, between those that surely are and those that may be."""
    found = {name: _difference(case, row, name)[0] for name in others}

    def interval(level: float) -> tuple[float, float]:
        each = [of.interval(1 - (1 - level) / len(found)) for of in found.values()]
        return float(np.mean([low > 0 for low, _ in each])), float(np.mean([high > 0 for _, high in each]))

    value = float(np.mean([of.value > 0 for of in found.values()]))
    n = min(of.n for of in found.values())
    estimate = Estimate(value, n, interval, FEWEST_SEEDS)
    return _evidence(f"share of {len(found)} other rows that {row} scores above", estimate, "repeats")


def _evidence(said: str, estimate: Estimate, unit: str) -> Evidence:
    notes = () if estimate.interval(LEVEL)[0] > -np.inf else ("one training says nothing of another",)
    return Evidence(said, estimate, unit, frozenset({"tables/scores.csv"}), notes=notes)


def _difference(case: Case, higher: str, lower: str) -> tuple[Estimate, str]:
    a, b = _score(case, higher), _score(case, lower)
    errors = [a.error, b.error]
    # a quoted number is of one training: its spread over trainings is taken to be that of the row it is set against
    for one, other in ((a, b), (b, a)):
        if one.single:
            errors.append(other.spread)
    n = min(part.n for part in (a, b) if not part.single) if not (a.single and b.single) else 0
    units = {part.unit for part in (a, b) if not part.single}
    return around(a.value - b.value, float(np.linalg.norm(errors)), n), " and ".join(sorted(units)) or "splits"


def _score(case: Case, name: str) -> Score:
    """Return a score with its error."""
    if name.startswith("paper:"):
        stated = case.stated.get(name.removeprefix("paper:"))
        if stated is None:
            raise NotAvailable(f"{name}: the paper states no such number")
        return Score(
            stated.value, (stated.plus_minus or 0.0) / np.sqrt(PAPER_SPLITS), PAPER_SPLITS, "splits", 0.0, True
        )
    if case.edition.compared and case.edition.scores and case.edition.scores.extractor != "inception":
        raise NotAvailable(f"scored by {case.edition.scores.extractor}: the paper's scores are Inception's")
    if name not in case.scores.index:
        raise NotAvailable(case.why_no("row", name, "scores"))
    row: dict[Any, Any] = case.scores.loc[name].to_dict()
    if row["status"] != "ok" or not np.isfinite(row["score"]):
        raise NotAvailable(f"no score of {name!r}: {row['status']}")
    value, groups = float(row["score"]), row.get("groups", np.nan)
    if np.isfinite(groups) and groups > 1:  # of the first repeat; over several it is smaller
        error = float(row["error_groups"])
        return Score(value, error, int(groups), "groups", error)
    real = row["method"] == "observed"
    n, spread = (int(row["splits"]), row["std_splits"]) if real else (int(row["repeats"]), row["std_seeds"])
    if real and n > 1:
        spread *= np.sqrt(n / (n - 1))  # the published ± divides by n
    error = float(spread) / np.sqrt(n) if n > 1 and np.isfinite(spread) else np.inf
    return Score(value, error, n, "splits" if real else "repeats", float(spread) if np.isfinite(error) else np.inf)
