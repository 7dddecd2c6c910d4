"""Judges of collapse: who collapses, who comes back, and when."""

import numpy as np
import pandas as pd

from wframe.claims.evidence import Evidence, judge
from wframe.claims.judges._common import Models, Pairs, back_for_good, evidence, of_each, with_gain
from wframe.config.learning import METHODS, Method
from wframe.results.outcomes import COLLAPSES_ABOVE, end
from wframe.results.statistics import Estimate, bounded_mean, largest, least, net_share, share
from wframe.results.store import Store


@judge
def collapses(
    store: Store, study: str, datasets: list[str], method: Method, settings: list[str] | None = None
) -> Evidence:
    """The share of groups that collapse or diverge; of several settings, in the one where it is the largest."""
    every: list[str | None] = [*settings] if settings else [None]
    each = {setting or "": Models(store, study, datasets, setting, method) for setting in every}
    found = {setting: of_each(models.lost, models.share) for setting, models in each.items()}
    setting, estimate = largest({setting: whole for setting, (whole, _) in found.items()})
    notes = [f"the largest of {len(found)} settings, {setting}"] if len(found) > 1 else []
    said = f"share of {METHODS[method]}'s groups that collapse or diverge"
    parts = found[setting][1] if len(found) == 1 else {}
    return evidence(store, study, said, estimate, each[setting], *notes, parts=parts)


@judge
def rescues(store: Store, study: str, datasets: list[str], setting: str | None = None) -> Evidence:
    """FRAME's losses less twice wFRAME's, for each group that either loses: −2 (only wFRAME does) to 1 (only FRAME).

    0 then means that wFRAME loses half as many as FRAME. (Which groups a method loses is partly chance. Among those
    that FRAME lost, any method that loses fewer than half of all groups seems to hold in most.)
    """
    pairs = Pairs(store, study, datasets, setting)
    frame, wframe = pairs.frame.lost[pairs.both], pairs.wframe.lost[pairs.both]

    def estimated(score: pd.Series) -> Estimate:
        rates = pairs.rates(score)
        return bounded_mean(rates[rates != 0], -2, 1)

    estimate, parts = of_each(frame.astype(float) - 2 * wframe, estimated)
    note: tuple[str, ...] = () if frame.any() else ("FRAME collapses in no group here, so there is nothing to solve",)
    if frame.any():
        every, held, new = int(frame.sum()), int((frame & ~wframe).sum()), int((wframe & ~frame).sum())
        note = (f"wFRAME holds in {held} of the {every} models that FRAME loses, and loses {new} others",)
    said = "FRAME's losses less twice wFRAME's, for each group that either loses"
    return with_gain(evidence(store, study, said, estimate, pairs, *note, parts=parts), store, study, pairs.wframe)


@judge
def more_robust(
    store: Store, study: str, datasets: list[str], setting: str | None = None, frame_setting: str | None = None
) -> Evidence:
    """The share of groups that only FRAME loses, less the share that only wFRAME loses. Both lost is a tie.

    Of several datasets (the sizes of Figure 3) the one where it is the least counts: the claim is about each of them,
    so each is judged at a level that leaves as many chances for a false verdict as one would.
    """
    pairs = Pairs(store, study, datasets, setting, frame_setting)
    frame, wframe = pairs.frame.lost[pairs.both], pairs.wframe.lost[pairs.both]
    net = frame.astype(float) - wframe.astype(float)
    places = pairs.both.get_level_values("dataset")
    found = {str(name): net_share(pairs.rates(net[places == name])) for name in places.unique()}
    name, estimate = least(found)
    ties = int((frame & wframe).sum())
    notes = [f"both are lost in {ties} of {len(pairs.both)} models: a tie"] if ties else []
    notes += [f"the least of {len(found)} datasets, on {name}"] if len(found) > 1 else []
    said = "share of groups that only FRAME loses, less that of those that only wFRAME loses"
    return with_gain(evidence(store, study, said, estimate, pairs, *notes), store, study, pairs.wframe)


@judge
def comes_back(store: Store, study: str, datasets: list[str], setting: str | None = None) -> Evidence:
    """The share of groups in which FRAME collapses and wFRAME ends no higher than it began."""
    pairs = Pairs(store, study, datasets, setting)
    held = pairs.frame.lost[pairs.both] & (pairs.wframe.ratio[pairs.both] <= 1)
    said = "share of groups in which FRAME collapses and wFRAME ends no higher than it began"
    return evidence(store, study, said, share(pairs.rates(held)), pairs)


@judge
def recovery(store: Store, study: str, datasets: list[str], by: int, setting: str | None = None) -> Evidence:
    """Of wFRAME's groups whose R rises above twice its start, the share that is back at it for good by an iteration."""
    models = Models(store, study, datasets, setting, "wframe")
    back, rises = back_for_good(models.R), _first_above(models, COLLAPSES_ABOVE) < np.inf
    estimate = share(models.rates(back[rises] <= by)) if rises.any() else share([])
    flat = int((~rises).sum())
    notes = [f"{flat} models never rose above twice their start, and have nothing to come back from"] if flat else []
    if rises.any():
        never, middle = int(np.isinf(back[rises]).sum()), middle_of(back[rises])
        notes += [f"half are back by iteration {middle:g}" if np.isfinite(middle) else "half or more never are back"]
        notes += [f"{never} of {int(rises.sum())} never are"] if never else []
    said = f"share of wFRAME's groups above twice their start that are back at it by iteration {by}"
    return evidence(store, study, said, estimate, models, *notes)


@judge
def restores(store: Store, study: str, datasets: list[str], method: Method, setting: str | None = None) -> Evidence:
    """Of a method's groups whose R rises above twice its start, the share that ends no higher than it began."""
    models = Models(store, study, datasets, setting, method)
    fell = _first_above(models, COLLAPSES_ABOVE) < np.inf
    estimate = share(models.rates(models.ratio[fell] <= 1)) if fell.any() else share([])
    notes = [f"{int((~fell).sum())} models never rose above twice their start"] if not fell.all() else []
    said = f"share of {METHODS[method]}'s groups that had collapsed and end no higher than they began"
    return evidence(store, study, said, estimate, models, *notes)


@judge
def early(
    store: Store, study: str, datasets: list[str], method: Method, within: float, setting: str | None = None
) -> Evidence:
    """Of a method's lost groups, the share whose R is above twice its start, never to come back, in the first part."""
    models = Models(store, study, datasets, setting, method)
    times, lost, last = _lost_at(models), models.lost, within * len(models.R)
    estimate = share(models.rates(times[lost] <= last)) if lost.any() else share([])
    notes = [f"{METHODS[method]} is lost in {int(lost.sum())} models"]
    if lost.any():
        notes += [f"half of these are above twice their start, for good, by iteration {middle_of(times[lost]):g}"]
    said = f"share of {METHODS[method]}'s lost groups that are lost by iteration {last:g}"
    return evidence(store, study, said, estimate, models, *notes)


@judge
def degenerates(
    store: Store, study: str, datasets: list[str], method: Method, within: float, setting: str | None = None
) -> Evidence:
    """Of a method's groups that don't learn, the share whose chains end as the initial noise.

    After the first iteration, with θ₀ = 0, the chains are that noise; a group has degenerated to it if the standard
    deviation of its chains ends within a factor of the one there. A group that explodes, or diverges, has not.
    """
    models = Models(store, study, datasets, setting, method)
    std = models.curves("std")
    spread = end(std) / std.iloc[0]
    noise = spread.between(1 / within, within) & ~models.diverged
    unlearned = models.outcomes != "learns"
    estimate = share(models.rates(noise[unlearned])) if unlearned.any() else share([])
    notes = [f"{int((~unlearned).sum())} models learn"] if not unlearned.all() else []
    if unlearned.any():
        grown = middle_of(spread[unlearned].fillna(np.inf))
        notes += [f"the others' std of x ends at {grown:.3g} times that of the noise (the middle one)"]
    said = f"share of {METHODS[method]}'s groups that don't learn whose chains end as noise"
    return evidence(store, study, said, estimate, models, *notes)


def middle_of(values: pd.Series) -> float:
    """Return the lower one of the two middle values."""
    return float(np.sort(values.to_numpy(float))[(len(values) - 1) // 2])


def _first_above(models: Models, factor: float) -> pd.Series:
    """Return the first iteration at which R is above so many times its start, or isn't finite; infinite: never."""
    return _first(~models.R.le(factor * models.R.iloc[0]) | _not_finite(models))


def _lost_at(models: Models) -> pd.Series:
    """Return the first iteration at which R is above twice its start and never again back at it, or isn't finite."""
    back_later = models.R.le(models.R.iloc[0])[::-1].cummax()[::-1]
    return _first((models.R.gt(COLLAPSES_ABOVE * models.R.iloc[0]) & ~back_later) | _not_finite(models))


def _not_finite(models: Models) -> pd.DataFrame:
    return ~(models.R.abs().lt(np.inf) & models.energy.abs().lt(np.inf))


def _first(happens: pd.DataFrame) -> pd.Series:
    """Return the first iteration at which something happens; infinite: never."""
    return pd.Series(happens.idxmax()).where(pd.Series(happens.any()), np.inf).astype(float)
