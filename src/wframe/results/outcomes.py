"""What became of a group: it learns, stalls, collapses or diverges. Defined here, and nowhere else."""

import numpy as np
import pandas as pd

OUTCOMES = ("learns", "stalls", "collapses", "diverges")
LEARNS_BELOW, COLLAPSES_ABOVE = 0.5, 2.0  # R at the end over R after the first iteration
DEFINITION = (
    f"By R at the end over R after the first iteration: below {LEARNS_BELOW:g} a group learns, above "
    f"{COLLAPSES_ABOVE:g} it collapses, between them it stalls; without a finite R it has diverged."
)


def final_ratio(R: pd.DataFrame) -> pd.Series:
    """Return R at the end over R after the first iteration, of curves iterations × groups; NaN where diverged."""
    return R.iloc[-1] / R.bfill().iloc[0]


def outcomes(R: pd.DataFrame) -> pd.Series:
    """Return each group's outcome, of curves of R, iterations × groups."""
    ratio = final_ratio(R)
    named = pd.cut(ratio, [0, LEARNS_BELOW, COLLAPSES_ABOVE, np.inf], labels=OUTCOMES[:3]).astype(object)
    return named.fillna("diverges")


def lost(R: pd.DataFrame) -> pd.Series:
    """Return which groups collapse or diverge."""
    return outcomes(R).isin(("collapses", "diverges"))


def describe(R: pd.DataFrame) -> str:
    """Return the outcomes in words: "learns" if all do, else as "collapses 3/4, learns 1/4"."""
    counts = outcomes(R).value_counts()
    if len(counts) == 1:
        return str(counts.index[0])
    return ", ".join(f"{name} {n}/{R.shape[1]}" for name, n in counts.items())
