"""What became of a group: it learns, stalls, collapses or diverges. Defined here, and nowhere else.

Tables, figures and claims all use these. A group has *diverged* if R or Φ wasn't finite in any iteration, however
briefly: a number that overflows and comes back is no better than one that doesn't. Its *end* is the median of its
last iterations, so that the phase of an oscillation decides nothing.
"""

import numpy as np
import pandas as pd

OUTCOMES = ("learns", "stalls", "collapses", "diverges")
RANK = {"learns": 0, "stalls": 1, "collapses": 2, "diverges": 2}  # a higher one is worse
LEARNS_BELOW, COLLAPSES_ABOVE = 0.5, 2.0  # R at the end over R after the first iteration
TIE = 1e-4  # of a ratio's logarithm, or of what has a scale of 1: a hundredth of a percent is no difference
LEAST = 1e-12  # an R of 0 has no logarithm
WINDOW = 10  # iterations at the end whose median is a group's end; half of the iterations where there are fewer than 20
DEFINITION = (
    f"By R at the end (the median of the last {WINDOW} iterations, or of the last half if T < {2 * WINDOW}) over R "
    f"after the first: below {LEARNS_BELOW:g} a group learns, above {COLLAPSES_ABOVE:g} it collapses, between them it "
    "stalls; a group whose R or Φ wasn't finite in any iteration has diverged."
)


def last_iterations(iterations: int) -> int:
    """Return how many iterations at the end of so many make a group's end."""
    return max(1, min(WINDOW, iterations // 2))


def diverged(R: pd.DataFrame, energy: pd.DataFrame | None = None) -> pd.Series:
    """Return which groups diverged, of curves iterations × groups: R or Φ isn't finite somewhere."""
    finite = (R.lt(np.inf) & R.ge(0)).all()
    if energy is not None:
        finite &= energy.reindex(columns=R.columns).abs().lt(np.inf).all()
    return ~finite


def worst_once_diverged(R: pd.DataFrame, energy: pd.DataFrame) -> pd.DataFrame:
    """Return R, of curves iterations × groups, as infinite from the iteration on in which R or Φ isn't finite."""
    finite = R.lt(np.inf) & R.ge(0) & energy.reindex(columns=R.columns).abs().lt(np.inf)
    return R.where(finite.cummin(), np.inf)


def end(curves: pd.DataFrame) -> pd.Series:
    """Return each group's end: the median of its last iterations; NaN or infinite if any of these is."""
    last = curves.iloc[-last_iterations(len(curves)) :]
    ends = last.median(skipna=False)
    return ends.where(last.abs().lt(np.inf).all(), np.nan)


def final_ratio(R: pd.DataFrame, energy: pd.DataFrame | None = None) -> pd.Series:
    """Return R at the end over R after the first iteration, of curves iterations × groups; NaN where diverged."""
    start, last = R.iloc[0], end(R)
    ratio = (last / start.where(start > 0)).where(start > 0, np.where(last > 0, np.inf, 1.0))  # from 0 all is a rise
    return ratio.where(~diverged(R, energy))


def log_ends(
    frame: tuple[pd.DataFrame, pd.DataFrame], wframe: tuple[pd.DataFrame, pd.DataFrame]
) -> tuple[pd.Series, pd.Series]:
    """Return log R at the end, FRAME's and wFRAME's, for each group, of both methods' (R, Φ) of the same groups.

    An R counts at most as twice its start, and that of a group that is lost as exactly that.
    """
    starts = pd.concat([R.iloc[0].where(R.iloc[0].lt(np.inf)) for R, _ in (frame, wframe)], axis=1)
    most = COLLAPSES_ABOVE * starts.max(axis=1).fillna(1.0).clip(lower=LEAST)
    base, ours = (
        np.log(end(R).clip(lower=LEAST).where(~lost(R, Φ), most).clip(upper=most)) for R, Φ in (frame, wframe)
    )
    return base, ours


def log_ratio(frame: tuple[pd.DataFrame, pd.DataFrame], wframe: tuple[pd.DataFrame, pd.DataFrame]) -> pd.Series:
    """Return log(wFRAME's R / FRAME's) at the end (see `log_ends`); a difference that rounding can make is a tie."""
    base, ours = log_ends(frame, wframe)
    apart = ours - base
    return apart.where(apart.abs() >= TIE, 0.0)


def outcomes(R: pd.DataFrame, energy: pd.DataFrame | None = None) -> pd.Series:
    """Return each group's outcome, of curves of R (and Φ), iterations × groups."""
    ratio, gone = final_ratio(R, energy), diverged(R, energy)
    named = np.select(
        [gone, ratio < LEARNS_BELOW, ratio <= COLLAPSES_ABOVE], ["diverges", "learns", "stalls"], "collapses"
    )
    return pd.Series(named, index=R.columns, dtype=object)


def lost(R: pd.DataFrame, energy: pd.DataFrame | None = None) -> pd.Series:
    """Return which groups collapse or diverge."""
    return outcomes(R, energy).isin(("collapses", "diverges"))


def describe(R: pd.DataFrame, energy: pd.DataFrame | None = None) -> str:
    """Return the outcomes in words: "learns" if all do, else as "collapses 3/4, learns 1/4"."""
    counts = outcomes(R, energy).value_counts()
    if len(counts) == 1:
        return str(counts.index[0])
    return ", ".join(f"{name} {n}/{R.shape[1]}" for name, n in counts.items())
