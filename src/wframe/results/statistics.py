"""Uncertainty: means, shares and geometric means over groups, with their intervals."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


class Interval(NamedTuple):
    """A mean with its confidence interval; the bounds are NaN where fewer than two values can't give one."""

    mean: float
    low: float
    high: float
    n: int


def mean_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Return the mean of the finite values and Student's t interval."""
    x = np.asarray(values, dtype=float)
    x = x[np.isfinite(x)]
    if len(x) == 0:
        return Interval(np.nan, np.nan, np.nan, 0)
    if len(x) == 1:
        return Interval(float(x[0]), np.nan, np.nan, 1)
    half = float(stats.t.ppf((1 + level) / 2, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)))
    return Interval(float(x.mean()), float(x.mean()) - half, float(x.mean()) + half, len(x))


def share_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Return the share of true values and its exact (Clopper-Pearson) interval."""
    x = np.asarray(values, dtype=bool)
    if len(x) == 0:
        return Interval(np.nan, np.nan, np.nan, 0)
    exact = stats.binomtest(int(x.sum()), len(x)).proportion_ci(level)
    return Interval(float(x.mean()), float(exact.low), float(exact.high), len(x))


def geometric_interval(logs: ArrayLike, level: float = 0.95) -> Interval:
    """Return the geometric mean, with its interval, of values given by their logarithms."""
    mean, low, high, n = mean_interval(logs, level)
    return Interval(float(np.exp(mean)), float(np.exp(low)), float(np.exp(high)), n)
