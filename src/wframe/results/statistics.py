"""Uncertainty, without an assumption that a group can break: medians, shares and comparisons with exact intervals.

Means with Student's interval are for scores over seeds. A verdict on groups stands on order and counts,
where a group that explodes, or diverges (infinity), counts as the worst and as one group. Paired differences are
judged by their median and the sign test: the signed-rank test is sharper, but takes the differences to be symmetric,
and a group in which wFRAME is barely worse can improve its verdict. In the sign test it never can.

All intervals are two-sided, so each end is wrong at most half as often as the level leaves.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

LEVEL = 0.95
SMALLEST_N = 6  # with five or fewer, no exact interval at 95% excludes anything: 2·(1/2)⁵ > 0.05
FEWEST_SEEDS = 3  # repeated trainings that Student's interval is taken of


class Estimate(NamedTuple):
    """A statistic with its interval at any level; infinite bounds where the data excludes nothing."""

    value: float
    n: int
    interval: Callable[[float], tuple[float, float]]
    fewest: int = SMALLEST_N  # how many values it takes for an interval that excludes anything
    open: bool = False  # an end is infinite because of what else is known, however many values there are

    def map(self, function: Callable[[float], float]) -> "Estimate":
        """Return the estimate of an increasing function of it."""

        def interval(level: float) -> tuple[float, float]:
            low, high = self.interval(level)
            return function(low), function(high)

        return self._replace(value=function(self.value), interval=interval)


def nothing() -> Estimate:
    """Return the estimate of no values at all: everything is possible."""
    return Estimate(np.nan, 0, lambda level: (-np.inf, np.inf))


def around(value: float, error: float, n: int) -> Estimate:
    """Return an estimate with Student's interval, from the standard error of n values.

    Fewer than three values say nothing about it, and values that are all the same aren't repeats.
    """

    def interval(level: float) -> tuple[float, float]:
        if n < FEWEST_SEEDS or not np.isfinite(error) or error <= 0:
            return -np.inf, np.inf
        half = float(stats.t.ppf((1 + level) / 2, n - 1)) * error
        return value - half, value + half

    return Estimate(value, n, interval, FEWEST_SEEDS)


def median(values: ArrayLike) -> Estimate:
    """Return the median with the sign test's exact interval: two of the sorted values, which may be infinite.

    It assumes nothing of the values' distribution. A difference of 0 (a tie) speaks for neither side.
    """
    x = _sorted(values)
    n = len(x)
    if n == 0:
        return nothing()

    def interval(level: float) -> tuple[float, float]:
        k = int(stats.binom.ppf((1 - level) / 2, n, 0.5))  # the most values that may be left out on each side
        k -= stats.binom.cdf(k, n, 0.5) > (1 - level) / 2
        return (float(x[k]), float(x[n - 1 - k])) if k >= 0 else (-np.inf, np.inf)

    return Estimate(middle(x), n, interval)


def share(rates: ArrayLike) -> Estimate:
    """Return the mean of rates (0 to 1 for each group) with the Clopper-Pearson interval for so many groups.

    A group's rate is over its repeats. Of all values between 0 and 1 with one mean, zeros and ones spread most, so the
    interval, exact for these, is a little too wide for rates between them, and never too narrow.
    """
    return bounded_mean(rates, 0, 1)


def bounded_mean(values: ArrayLike, low: float, high: float) -> Estimate:
    """Return the mean of values between two bounds, with the interval of a share of them, as `share` has it."""
    x = (np.asarray(values, dtype=float) - low) / (high - low)
    if not len(x):
        return nothing()
    return _clopper_pearson(float(x.mean()), len(x), len(x)).map(lambda part: low + (high - low) * part)


def _clopper_pearson(value: float, trials: float, n: int) -> Estimate:
    """Return a share with the exact interval for so many trials, which needn't be a whole number."""
    k = value * trials

    def interval(level: float) -> tuple[float, float]:
        tail = (1 - level) / 2
        low = 0.0 if value <= 0 else float(stats.beta.ppf(tail, k, trials - k + 1))
        high = 1.0 if value >= 1 else float(stats.beta.ppf(1 - tail, k + 1, trials - k))
        return low, high

    return Estimate(value, n, interval)


def net_share(rates: ArrayLike) -> Estimate:
    """Return the mean of differences of two rates (−1 to 1 for each group), with an interval that has McNemar's sign.

    Which side of 0 it lies on is decided by the groups that tell the two apart alone, by the exact sign test. How far
    from 0 it reaches also depends on how many these are of all, which has an exact interval of its own. n counts all.
    """
    x = np.asarray(rates, dtype=float)
    if len(x) == 0:
        return nothing()
    telling = share((x[x != 0] + 1) / 2) if np.any(x != 0) else None
    among = share(x != 0)

    def interval(level: float) -> tuple[float, float]:
        fewest, most = among.interval(level)
        low, high = telling.interval(level) if telling else (0.0, 1.0)
        low, high = 2 * low - 1, 2 * high - 1
        return low * (fewest if low > 0 else most), high * (most if high > 0 else fewest)

    return Estimate(float(x.mean()), len(x), interval)


def least(estimates: dict[str, Estimate]) -> tuple[str, Estimate]:
    """Return the least of several estimates with its name; its interval leaves as many errors as that of one would."""
    name = min(estimates, key=lambda name: estimates[name].value)

    def interval(level: float) -> tuple[float, float]:
        each = [of.interval(1 - (1 - level) / len(estimates)) for of in estimates.values()]
        return min(low for low, _ in each), min(high for _, high in each)

    return name, estimates[name]._replace(interval=interval)


def largest(estimates: dict[str, Estimate]) -> tuple[str, Estimate]:
    """Return the largest of several estimates with its name, with an interval as `least` has it."""
    name, least_of_negatives = least({name: _negative(of) for name, of in estimates.items()})
    return name, _negative(least_of_negatives)


def _negative(estimate: Estimate) -> Estimate:
    def interval(level: float) -> tuple[float, float]:
        low, high = estimate.interval(level)
        return -high, -low

    return estimate._replace(value=-estimate.value, interval=interval)


def superiority(
    values: np.ndarray, first: np.ndarray, stratum: np.ndarray, group: np.ndarray, tie: float = 0.0
) -> Estimate:
    """Return how often a model of the first kind has the larger value than one of the other kind (a tie: half).

    Over pairs of models of one stratum and different groups; values no farther apart than `tie` are one. The interval
    is Clopper-Pearson's, for a number of trials that no dependence can make too large: in a stratum, as many as the
    rarer kind has groups; over strata, whose models may be of the same groups, 1/(Σ w/√trials)², w a stratum's share
    of the pairs. It is wider than the Mann-Whitney test's.
    """
    won, pairs, trials = [], [], []
    for name in set(stratum.tolist()):
        here = stratum == name
        a, b = np.flatnonzero(here & first), np.flatnonzero(here & ~first)
        apart = group[a][:, None] != group[b][None, :]
        if not apart.any():
            continue
        x, y = values[a][:, None], values[b][None, :]
        won.append(float((0.5 * (1 + (x > y + tie) - (y > x + tie)) * apart).sum()))
        pairs.append(float(apart.sum()))
        trials.append(min(len(set(group[a[apart.any(1)]].tolist())), len(set(group[b[apart.any(0)]].tolist()))))
    if not pairs:
        return nothing()
    weights = np.array(pairs) / sum(pairs)
    n = 1 / float(weights @ (1 / np.sqrt(trials))) ** 2
    return _clopper_pearson(sum(won) / sum(pairs), n, int(n + 1e-9))


def jackknife(without: ArrayLike) -> float:
    """Return a statistic's standard error, from its values without each of what it is of."""
    x = np.asarray(without, dtype=float)
    return float(np.sqrt((len(x) - 1) * np.mean((x - x.mean()) ** 2)))


def correlation(x: ArrayLike, y: ArrayLike, strata: int = 1) -> Estimate:
    """Return Spearman's rank correlation, with an interval of Student's t around Fisher's z.

    If ranks were taken within strata, each of these costs a degree of freedom. z's standard error is Bonett and
    Wright's or the jackknife's, whichever is larger: the former is too small where the values are of two kinds.

    Few values say nothing, however well they are ordered: all orders of n have the same chance, so no interval excludes
    anything at a level that 2 of n! leave.
    """
    a, b = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    n, free = len(a), len(a) - strata + 1
    if free < SMALLEST_N or np.ptp(stats.rankdata(a)) == 0 or np.ptp(stats.rankdata(b)) == 0:
        return Estimate(np.nan, n, lambda level: (-1.0, 1.0))

    z = float(_fisher(stats.rankdata(a), stats.rankdata(b)))
    ρ = float(np.tanh(z))
    repeated = jackknife(_fisher(_ranks_without_each(a), _ranks_without_each(b)))
    error = max(np.sqrt((1 + ρ**2 / 2) / (free - 3)), repeated * np.sqrt(n / free))

    def interval(level: float) -> tuple[float, float]:
        if 1 - level < 2 / math.factorial(min(free, 20)):
            return -1.0, 1.0
        half = stats.t.ppf((1 + level) / 2, free - 2) * error
        return float(np.tanh(z - half)), float(np.tanh(z + half))

    return Estimate(ρ, n, interval)


def _ranks_without_each(x: np.ndarray) -> np.ndarray:
    """Return the ranks of all values but one, for each that is left out: (n, n − 1)."""
    others = x[None] > x[:, None]
    ranks = stats.rankdata(x) - others - 0.5 * (x[None] == x[:, None])
    return ranks[~np.eye(len(x), dtype=bool)].reshape(len(x), -1)


def _fisher(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return Fisher's z of the correlation of each row; 0 where one doesn't vary."""
    a, b = a - a.mean(-1, keepdims=True), b - b.mean(-1, keepdims=True)
    size = np.sqrt((a**2).sum(-1) * (b**2).sum(-1))
    ρ = np.divide((a * b).sum(-1), size, out=np.zeros_like(size), where=size > 0)
    return np.arctanh(np.clip(ρ, -0.999999, 0.999999))


def _sorted(values: ArrayLike) -> np.ndarray:
    x = np.sort(np.asarray(values, dtype=float).ravel())
    if np.isnan(x).any():
        raise ValueError("a statistic of values that aren't numbers: say what they count as first")
    return x


def middle(x: np.ndarray) -> float:
    """Return the median of sorted values, which may be infinite; between two infinities of both signs, 0."""
    low, high = x[(len(x) - 1) // 2], x[len(x) // 2]
    if np.isinf(low) and np.isinf(high) and low != high:
        return 0.0
    return float(low if low == high else (low + high) / 2)
