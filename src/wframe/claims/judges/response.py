"""Judges of the response distance R: how low it ends, how steadily and how fast it falls."""

import numpy as np

from wframe.claims.evidence import Evidence, judge
from wframe.claims.judges._common import Settings, curves_of, evidence, mean_over_repeats, pairs, with_diverged_worst
from wframe.results.statistics import geometric_interval, mean_interval, share_interval
from wframe.results.store import Store


@judge
def R_difference(store: Store, study: str, datasets: list[str], settings: Settings = (None,)) -> Evidence:
    """The final R of wFRAME less FRAME's, paired by group."""
    (frame, wframe), note = with_diverged_worst(*pairs(store, "R", study, datasets, settings))
    interval = mean_interval(mean_over_repeats(wframe.iloc[-1] - frame.iloc[-1]))
    return evidence(store, study, f"R at the end, wFRAME − FRAME{note}", interval)


@judge
def R_ratio(store: Store, study: str, datasets: list[str], settings: Settings = (None,)) -> Evidence:
    """The final R of wFRAME over FRAME's: geometric mean over the pairs."""
    (frame, wframe), note = with_diverged_worst(*pairs(store, "R", study, datasets, settings))
    interval = geometric_interval(mean_over_repeats((wframe.iloc[-1] / frame.iloc[-1]).apply(np.log)))
    return evidence(store, study, f"R at the end, wFRAME over FRAME{note}", interval)


@judge
def R_lower(
    store: Store,
    study: str,
    datasets: list[str],
    settings: Settings,
    frame_setting: str | None = None,
) -> Evidence:
    """The share of groups in which wFRAME's final R is below FRAME's in most repeats, where it is the least.

    A diverged group is above every number. Of several datasets (the sizes of Figure 3) the one with the lowest share
    counts: the claim is about each of them.
    """
    frame, wframe = pairs(store, "R", study, datasets, settings, frame_setting)
    lower = wframe.iloc[-1].fillna(np.inf) < frame.iloc[-1].fillna(np.inf)
    places = lower.index.get_level_values("dataset")
    shares = {name: share_interval(mean_over_repeats(lower[places == name]) > 0.5) for name in places.unique()}
    name, interval = min(shares.items(), key=lambda item: item[1].mean)
    where = f", on {name}" if len(shares) > 1 else ""
    return evidence(store, study, f"share of groups in which wFRAME ends lower{where}", interval)


@judge
def learned(store: Store, study: str, datasets: list[str], method: str, setting: str | None = None) -> Evidence:
    """R at the end over R after the first iteration, of one method: geometric mean over groups."""
    (R,), note = with_diverged_worst(curves_of(store, study, datasets, setting, method, "R"))
    interval = geometric_interval(mean_over_repeats((R.iloc[-1] / R.iloc[0]).apply(np.log)))
    return evidence(store, study, f"R at the end over R at the start{note}", interval)


@judge
def steadiness(store: Store, study: str, datasets: list[str]) -> Evidence:
    """The upward movement of R, Σ max(0, R(t+1) − R(t)): wFRAME less FRAME, paired. A steady fall has 0."""
    curves, note = with_diverged_worst(*pairs(store, "R", study, datasets, (None,)))
    frame, wframe = (part.diff().clip(lower=0).sum() for part in curves)
    return evidence(
        store, study, f"sum of R's rises, wFRAME − FRAME{note}", mean_interval(mean_over_repeats(wframe - frame))
    )


@judge
def speed(store: Store, study: str, datasets: list[str]) -> Evidence:
    """The iterations until R is half of its start: wFRAME less FRAME, paired. Never counts as T."""
    frame, wframe = (
        ((R.iloc[0] / 2 < R) | R.isna()).cummin().sum() for R in pairs(store, "R", study, datasets, (None,))
    )
    interval = mean_interval(mean_over_repeats(wframe - frame))
    return evidence(store, study, "iterations until R is halved, wFRAME − FRAME", interval)
