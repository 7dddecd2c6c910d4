"""Judges of the energy Φ: its shape, its unrest, and what it says of collapse."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from wframe.claims.evidence import Evidence, judge
from wframe.claims.judges._common import Models, Pairs, evidence, of_each
from wframe.config.learning import METHODS, Method
from wframe.results.outcomes import LEAST, TIE
from wframe.results.statistics import superiority
from wframe.results.store import Store

LOW = 1 / 4  # "slightly above 0": at the end, of Φ's highest
SUDDEN = 1 / 4  # not "slowly": more than this of Φ's highest in one iteration


@judge
def energy_unrest(
    store: Store, study: str, datasets: list[str], setting: str | None = None, measure: str = "energy_observed"
) -> Evidence:
    """How restless Φ is, relative to its own size: log of wFRAME's over FRAME's. A diverged model is the worst.

    The sum of Φ's relative changes (see `relative_movement`): the penalty makes Φ smaller, and a smaller curve of the
    same shape isn't a steadier one.
    """
    pairs = Pairs(store, study, datasets, setting)
    frame, wframe = (_log_movement(part, measure) for part in (pairs.frame, pairs.wframe))
    name = {"energy_observed": "Φ of the observed images", "energy": "Φ of the chains"}[measure]
    said = f"log of the sum of relative changes of {name}, wFRAME over FRAME: median over groups"
    apart = pairs.difference(frame, wframe)
    estimate, parts = of_each(apart, lambda part: pairs.guarded(pairs.median(part), part.index))
    return evidence(store, study, said, estimate, pairs, parts=parts)


@judge
def energy_shape(
    store: Store, study: str, datasets: list[str], method: Method = "wframe", setting: str | None = None
) -> Evidence:
    """The share of groups whose Φ falls slowly towards a little above 0.

    That is: the group isn't lost; a line through the second half of learning falls; Φ is never below 0, and from its
    highest on above it; no iteration takes away more than a quarter of its highest; it ends below a quarter of that.
    """
    models = Models(store, study, datasets, setting, method)
    Φ = models.energy
    half, highest = Φ.iloc[len(Φ) // 2 :], Φ.max()
    after = Φ.where(Φ.eq(highest).cummax())
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        times = half.index.to_numpy() - half.index.to_numpy().mean()
        fall = -half.mul(times, axis=0).sum() / (times**2).sum() * np.ptp(times)  # of the line through it
        slowly = -after.diff().min() <= SUDDEN * highest
        positive = (half > 0).all() & (after.isna() | (after > 0)).all() & Φ.ge(-TIE * highest).all()
        shaped = (fall > TIE * highest) & slowly & positive & (Φ.iloc[-1] <= LOW * highest) & ~models.lost
    said = f"share of {METHODS[method]}'s groups whose Φ falls slowly towards a little above 0"
    estimate, parts = of_each(shaped, models.share)
    return evidence(store, study, said, estimate, models, parts=parts)


@judge
def energy_sign(store: Store, study: str, datasets: list[str]) -> Evidence:
    """How often a model whose Φ ends at or below 0 has the higher R than one whose Φ ends above it.

    Of models of one method in one setting, different groups. A diverged model has the worst R, and the last finite Φ.
    """

    def table(models: Models) -> pd.DataFrame:
        finite = models.energy.where(np.isfinite(models.energy))
        Φ, ratio = finite.ffill().iloc[-1], models.ratio
        return pd.DataFrame({"value": np.log(ratio.clip(lower=LEAST)), "first": Φ <= 0})[Φ.notna()]

    said = "how often R ends higher in a model with Φ ≤ 0 than in one with Φ > 0"
    return _within_settings(store, study, datasets, said, table)


@judge
def energy_signal(store: Store, study: str, datasets: list[str]) -> Evidence:
    """How often a model that collapses has the more restless Φ, before any does, than one that doesn't.

    Of models of one method in one setting, different groups. Restless: the sum of Φ's relative changes (see
    `relative_movement`) up to the iteration before R of the first of them all is above its start, the same for all:
    what comes later is no sign of a collapse but the collapse. Where that leaves no change, nothing is compared.
    """

    def table(models: Models) -> pd.DataFrame:
        holds = models.R.le((1 + TIE) * models.R.iloc[0]) & models.energy.abs().lt(np.inf)
        early = holds.loc[:, models.lost].all(axis=1).cummin()
        if early.sum() < 2:
            return pd.DataFrame({"value": [], "first": []}, index=models.outcomes.index[:0])
        moved = np.log(relative_movement(models.energy[early]).clip(lower=TIE))
        return pd.DataFrame({"value": moved, "first": models.lost})

    said = "how often Φ is more restless in a model that is about to collapse than in one that isn't"
    return _within_settings(store, study, datasets, said, table)


def relative_movement(curves: pd.DataFrame) -> pd.Series:
    """Return the sum of the relative changes of each curve, |Φ(t+1) − Φ(t)| over the mean of |Φ(t+1)| and |Φ(t)|.

    Each is at most 2. The same curve on another scale moves as much, and an exploding one moves in each iteration.
    What is next to nothing of what the curve has been counts as that little: a Φ that has settled near 0 doesn't move.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        size = ((curves.abs() + curves.abs().shift()) / 2).clip(lower=TIE * curves.abs().cummax())
        return (curves.diff().abs() / size.where(size > 0)).sum()


def _log_movement(models: Models, measure: str) -> pd.Series:
    """Return the log of a curve's relative movement; infinite for a model that diverged."""
    curves = models.curves(measure)
    gone = models.diverged | ~pd.Series(np.isfinite(curves).all())
    return np.log(relative_movement(curves).clip(lower=TIE).where(~gone, np.inf))


def _within_settings(
    store: Store, study: str, datasets: list[str], said: str, table: Callable[[Models], pd.DataFrame]
) -> Evidence:
    """Compare two kinds of models within each setting, method and dataset, so that none of these explains it."""
    entry, parts, counts, left_out = store.study(study), [], {}, 0
    for setting in entry.points:
        for method in entry.methods:
            models = Models(store, study, datasets, setting, method)
            part = table(models)
            left_out += len(models.outcomes) - len(part)
            parts.append(part.reset_index().assign(stratum=f"{setting} {method} "))
            counts[f"{METHODS[method]}, {setting}"] = models.count()
    rows = pd.concat(parts, ignore_index=True)
    first_models = Models(store, study, datasets, None, entry.methods[0])
    stratum = (rows["stratum"] + rows["dataset"]).to_numpy()
    group = (
        rows["dataset"].map(first_models.images) + "/" + rows["class"] + "/" + rows["group"].astype(str)
    ).to_numpy()
    first = rows["first"].to_numpy(bool)
    estimate = superiority(rows["value"].to_numpy(float), first, stratum, group, TIE)
    notes = [f"{int(first.sum())} models of the one kind, {int((~first).sum())} of the other"]
    notes += [f"{left_out} models without any finite Φ are left out"] if left_out else []
    notes += ["no setting and method has models of both kinds, in different groups"] if estimate.n == 0 else []
    return evidence(store, study, said, estimate, first_models, *notes)._replace(outcomes=counts)
