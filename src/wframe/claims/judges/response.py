"""Judges of the response distance R: how low it ends, how steadily and how fast it falls."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from wframe.claims.evidence import Evidence, judge
from wframe.claims.judges._common import EXCESS, Models, Pairs, as_ratio, back_for_good, evidence
from wframe.results.outcomes import LEAST, TIE, log_ratio
from wframe.results.statistics import median, net_share, nothing, superiority
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
    the models that FRAME loses are left out, and as many that only wFRAME loses as only FRAME does: where chance loses
    some of both, only those that wFRAME loses in excess speak against it.
    """
    pairs, notes = Pairs(store, study, datasets, setting, frame_setting), []
    if where_frame_holds:
        frame, wframe = pairs.frame.lost[pairs.both], pairs.wframe.lost[pairs.both]
        only = (wframe & ~frame).sort_index(level=["dataset", "class", "group", "repeat"])  # all repeats of a group
        even = (only & (only.cumsum() <= int((frame & ~wframe).sum())))[pairs.both]
        pairs.both = pairs.both[~(frame | even)]
        notes = [f"{int(frame.sum())} models that FRAME loses are left out"] if frame.any() else []
        notes += [f"and {int(even.sum())} that only wFRAME loses: FRAME alone loses as many"] if even.any() else []
    said = "R at the end, wFRAME over FRAME: median over groups"
    if not len(pairs.both):
        return evidence(store, study, said, nothing(), pairs, *notes)
    logs = paired_log_ratio(pairs)
    estimate = pairs.guarded(median(pairs.per_group(logs))).map(as_ratio)
    parts = {name: part.map(as_ratio) for name, part in pairs.by_dataset(logs).items()}
    return evidence(store, study, said, estimate, pairs, *notes, parts=parts)


@judge
def learned(store: Store, study: str, datasets: list[str], method: str, setting: str | None = None) -> Evidence:
    """R at the end over R after the first iteration, of one method: the median over groups; infinite where lost.

    A method that loses a tenth of the groups or more isn't said to learn, whatever becomes of the others.
    """
    models = Models(store, study, datasets, setting, method)  # type: ignore[arg-type]
    found = median(models.per_group(models.ratio))
    often_lost = models.rates(models.lost).mean() >= EXCESS
    estimate = found._replace(interval=lambda level: (found.interval(level)[0], np.inf)) if often_lost else found
    parts = models.by_dataset(models.ratio)
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
    estimate = pairs.guarded(median(pairs.per_group(apart)))
    said = "sum of R's rises over its start, wFRAME − FRAME: median over groups"
    return evidence(store, study, said, estimate, pairs, parts=pairs.by_dataset(apart))


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
    estimate = pairs.guarded(net_share(pairs.rates(sooner)), "higher")
    said = "share of groups whose R is halved sooner by wFRAME, less that of those by FRAME"
    notes = [f"as soon in {int((sooner == 0).sum())} of {len(sooner)} models"]
    parts = pairs.by_dataset(sooner, net_share, shares=True)
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


def paired_log_ratio(pairs: Pairs) -> pd.Series:
    """Return log(wFRAME's R / FRAME's) at the end, for each pair."""
    return log_ratio(*((part.R[pairs.both], part.energy[pairs.both]) for part in (pairs.frame, pairs.wframe)))
