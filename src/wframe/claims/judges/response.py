"""Judges of the response distance R: how low it ends, how steadily and how fast it falls."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from wframe.claims.evidence import Evidence, judge
from wframe.claims.judges._common import EXCESS, Models, Pairs, as_ratio, back_for_good, evidence, of_each
from wframe.results.outcomes import COLLAPSES_ABOVE, LEAST, TIE, log_ends, log_ratio, worst_once_diverged
from wframe.results.statistics import Estimate, around, jackknife, nothing, superiority
from wframe.results.store import Store


@judge
def R_ratio(
    store: Store,
    study: str,
    datasets: list[str],
    setting: str | None = None,
    frame_setting: str | None = None,
    where_frame_holds: bool = False,
) -> Evidence:
    """R at the end, wFRAME's over FRAME's: the median over groups. Each R counts at most as twice its start.

    So a model that collapsed or diverged is as bad as another that did: both lost are a tie. With `where_frame_holds`
    the models that FRAME loses are left out (`_where_frame_holds`). The paper draws curves averaged over a dataset: if
    these say the opposite, nothing is decided.
    """
    pairs, notes = Pairs(store, study, datasets, setting, frame_setting), []
    frame, wframe = pairs.frame.lost[pairs.both], pairs.wframe.lost[pairs.both]
    if where_frame_holds:
        pairs.both = pairs.both[~frame]
        notes = [f"{int(frame.sum())} models that FRAME loses are left out"] if frame.any() else []
    said = "R at the end, wFRAME over FRAME: median over groups"
    if not len(pairs.both):
        return evidence(store, study, said, nothing(), pairs, *notes)

    def estimated(logs: pd.Series) -> Estimate:
        found = _where_frame_holds(pairs, logs, frame, wframe) if where_frame_holds else pairs.median(logs)
        return pairs.guarded(found, logs.index).map(as_ratio)

    estimate, parts = of_each(paired_log_ratio(pairs), estimated)
    return evidence(store, study, said, estimate, pairs, *notes, parts=parts, averaged=_ratio_of_means(pairs))


@judge
def learned(store: Store, study: str, datasets: list[str], method: str, setting: str | None = None) -> Evidence:
    """R at the end over R after the first iteration, of one method: the median over groups; infinite where lost.

    A method that doesn't learn in a tenth of the groups or more isn't said to, whatever becomes of the others.
    """
    models = Models(store, study, datasets, setting, method)  # type: ignore[arg-type]

    def of(ratio: pd.Series) -> Estimate:
        found = models.median(ratio)
        if models.rates(models.rank[ratio.index] > 0).mean() < EXCESS:
            return found
        return found._replace(interval=lambda level: (found.interval(level)[0], np.inf), open=True)

    estimate, parts = of_each(models.ratio, of)
    return evidence(store, study, "R at the end over R at the start: median over groups", estimate, models, parts=parts)


@judge
def steadiness(store: Store, study: str, datasets: list[str], setting: str | None = None) -> Evidence:
    """The upward movement of R, Σ max(0, R(t+1) − R(t)), over its start: wFRAME less FRAME. Lost is the worst."""
    pairs = Pairs(store, study, datasets, setting)
    frame, wframe = (
        part.worst_where_lost(part.R.diff().clip(lower=0).sum() / part.R.iloc[0].clip(lower=LEAST))
        for part in (pairs.frame, pairs.wframe)
    )
    apart = pairs.difference(frame, wframe)
    estimate, parts = of_each(apart, lambda part: pairs.guarded(pairs.median(part), part.index))
    said = "sum of R's rises over its start, wFRAME − FRAME: median over groups"
    return evidence(store, study, said, estimate, pairs, parts=parts, averaged=_rises_of_means(pairs))


@judge
def speed(store: Store, study: str, datasets: list[str], setting: str | None = None) -> Evidence:
    """How often R is half of its start, for good, in fewer iterations with wFRAME, less how often with FRAME.

    Never is T + 1; lost is the worst. Iterations are whole numbers, so many groups tie: these speak for neither.
    """
    pairs = Pairs(store, study, datasets, setting)
    halved = [
        part.worst_where_lost(back_for_good(part.R, 1 / 2).clip(upper=len(part.R) + 1.0))
        for part in (pairs.frame, pairs.wframe)
    ]
    sooner = -np.sign(pairs.difference(*halved))
    estimate, parts = of_each(sooner, lambda part: pairs.guarded(pairs.net_share(part), part.index, "higher"))
    said = "share of groups whose R is halved sooner by wFRAME, less that of those by FRAME"
    notes = [f"as soon in {int((sooner == 0).sum())} of {len(sooner)} models"]
    return evidence(store, study, said, estimate, pairs, *notes, parts=parts)


@judge
def gain_compared(store: Store, study: str, more: Sequence[str], less: Sequence[str]) -> Evidence:
    """How often wFRAME gains more over FRAME (log ratio of R) on a group of `more` than on one of `less`."""
    sides = [Pairs(store, study, list(names)) for names in (more, less)]
    gains = [-pairs.per_group(paired_log_ratio(pairs)) for pairs in sides]
    values = np.concatenate(gains)
    first = np.arange(len(values)) < len(gains[0])
    estimate = superiority(values, first, np.zeros(len(values)), np.arange(len(values)), TIE)
    said = f"how often the gain on a group of {', '.join(more)} is above that on one of {', '.join(less)}"
    outcomes = {
        f"{method} on {', '.join(names)}": count
        for names, pairs in zip((more, less), sides, strict=True)
        for method, count in pairs.count().items()
    }
    return evidence(store, study, said, estimate, sides[0])._replace(outcomes=outcomes)


def _where_frame_holds(pairs: Pairs, logs: pd.Series, frame: pd.Series, wframe: pd.Series) -> Estimate:
    """Return the median of log ratios where FRAME isn't lost, with an interval that chance losses don't speak in.

    Which groups a method loses is partly chance: were both to lose a third, wFRAME would lose a third of those that
    FRAME holds. So for the lower end as many that only wFRAME loses are left out as only FRAME does, the worst first;
    for the upper end none is, and no group in which wFRAME is worse brings it down.
    """
    here = frame.index.get_level_values("dataset").isin(logs.index.get_level_values("dataset").unique())
    lost = logs[wframe[logs.index]]
    without = pairs.median(logs.drop(lost.nlargest(int((frame & ~wframe)[here].sum())).index))
    every = pairs.median(logs)
    return every._replace(interval=lambda level: (without.interval(level)[0], every.interval(level)[1]))


def paired_log_ratio(pairs: Pairs) -> pd.Series:
    """Return log(wFRAME's R / FRAME's) at the end, for each pair."""
    return log_ratio(*_curves(pairs))


def _curves(pairs: Pairs) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    return [(part.R[pairs.both], part.energy[pairs.both]) for part in (pairs.frame, pairs.wframe)]


def _ratio_of_means(pairs: Pairs) -> Estimate:
    """Return wFRAME's R at the end over FRAME's, of the means over groups."""
    frame, wframe = (pairs.per_group(np.exp(logs)) for logs in log_ends(*_curves(pairs)))
    return _of_means(lambda of: float(np.log(wframe[of].mean() / frame[of].mean())), len(frame)).map(as_ratio)


def _rises_of_means(pairs: Pairs) -> Estimate:
    """Return the sum of R's rises over its start, wFRAME's less FRAME's, of R averaged over groups.

    An R counts at most as twice its start, and as that from where the model diverged on.
    """
    curves = []
    for R, Φ in _curves(pairs):
        R = worst_once_diverged(R, Φ).clip(upper=COLLAPSES_ABOVE * R.iloc[0], axis=1)
        curves.append(pairs.curves_of_groups(R))

    def apart(of: np.ndarray) -> float:
        frame, wframe = (_rises(curve[:, of].mean(1)) for curve in curves)
        return wframe - frame

    return _of_means(apart, curves[0].shape[1])


def _rises(curve: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):  # an infinite start leaves nothing to compare
        return float(np.clip(np.diff(curve), 0, None).sum() / max(curve[0], LEAST))


def _of_means(statistic: Callable[[np.ndarray], float], n: int) -> Estimate:
    """Return a statistic of groups' places, with Student's interval and the jackknife's error."""
    without = [statistic(np.delete(np.arange(n), left)) for left in range(n)] if n > 1 else [0.0]
    return around(statistic(np.arange(n)), jackknife(without), n)
