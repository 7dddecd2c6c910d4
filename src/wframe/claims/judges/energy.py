"""Judges of the energy Φ: its shape, its unrest, and what it says of collapse."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from wframe.claims.evidence import Evidence, judge
from wframe.claims.judges._common import Models, Pairs, evidence
from wframe.config.learning import METHODS, Method
from wframe.results.outcomes import COLLAPSES_ABOVE
from wframe.results.statistics import median, share, superiority
from wframe.results.store import Store

LOW = 1 / 4  # "slightly above 0": at the end, of Φ's highest
SUDDEN = 1 / 4  # not "slowly": more than this of Φ's highest in one iteration


@judge
def energy_unrest(
    store: Store, study: str, datasets: list[str], setting: str | None = None, measure: str = "energy_observed"
) -> Evidence:
    """The total movement of Φ, Σ|Φ(t+1) − Φ(t)|: log of wFRAME's over FRAME's. A diverged model moves infinitely."""
    pairs = Pairs(store, study, datasets, setting)
    frame, wframe = (_log_movement(part, measure) for part in (pairs.frame, pairs.wframe))
    name = {"energy_observed": "Φ of the observed images", "energy": "Φ of the chains"}[measure]
    said = f"log of the total movement of {name}, wFRAME over FRAME: median over groups"
    return evidence(store, study, said, pairs.guarded(median(pairs.difference(frame, wframe))), pairs)


@judge
def energy_shape(
    store: Store, study: str, datasets: list[str], method: Method = "wframe", setting: str | None = None
) -> Evidence:
    """The share of groups whose Φ falls slowly, over the second half of learning, towards a little above 0.

    That is: a line through it falls, it is above 0 throughout, it ends below a quarter of its highest, and no
    iteration takes more than a quarter of that away.
    """
    models = Models(store, study, datasets, setting, method)
    Φ = models.energy
    half, highest = Φ.iloc[len(Φ) // 2 :], Φ.max()
    with np.errstate(invalid="ignore", over="ignore"):
        times = half.index.to_numpy() - half.index.to_numpy().mean()
        falls = half.mul(times, axis=0).sum() < 0
        slowly = -half.diff().min() <= SUDDEN * highest
        shaped = falls & slowly & (half > 0).all() & (Φ.iloc[-1] <= LOW * highest) & ~models.diverged
    said = f"share of {METHODS[method]}'s groups whose Φ falls slowly towards a little above 0"
    return evidence(store, study, said, share(models.rates(shaped)), models)


@judge
def energy_sign(store: Store, study: str, datasets: list[str]) -> Evidence:
    """How often a model whose Φ ends at or below 0 has the higher R than one whose Φ ends above it.

    Of models of one method in one setting, different groups. A diverged model has the worst R, and the last finite Φ.
    """

    def table(models: Models) -> pd.DataFrame:
        finite = models.energy.where(np.isfinite(models.energy))
        Φ, ratio = finite.ffill().iloc[-1], models.ratio
        return pd.DataFrame({"value": ratio.where(~models.lost, np.inf), "first": Φ <= 0})[Φ.notna()]

    said = "how often R ends higher in a model with Φ ≤ 0 than in one with Φ > 0"
    return _within_settings(store, study, datasets, said, table)


@judge
def energy_signal(store: Store, study: str, datasets: list[str]) -> Evidence:
    """How often a model that collapses has the more restless Φ, before any does, than one that doesn't.

    Of models of one method in one setting, different groups. Restless: the largest |Φ(t+1) − Φ(t)| up to the iteration
    before the first of them all is above twice its start, the same for all: what comes later is no sign of it.
    """

    def table(models: Models) -> pd.DataFrame:
        holds = models.R.le(COLLAPSES_ABOVE * models.R.iloc[0]) & models.energy.abs().lt(np.inf)
        early = holds.loc[:, models.lost].all(axis=1).cummin()
        return pd.DataFrame({"value": models.energy[early].diff().abs().max().fillna(0.0), "first": models.lost})

    said = "how often Φ is more restless in a model that is about to collapse than in one that isn't"
    return _within_settings(store, study, datasets, said, table)


def _log_movement(models: Models, measure: str) -> pd.Series:
    """Return the log of a curve's total movement; infinite for a model that diverged."""
    curves = models.curves(measure)
    gone = models.diverged | ~pd.Series(np.isfinite(curves).all())
    with np.errstate(invalid="ignore", over="ignore"):
        moved = curves.diff().abs().sum().clip(lower=1e-300)
    return np.log(moved.where(~gone & np.isfinite(moved), np.inf))


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
    estimate = superiority(rows["value"].to_numpy(float), first, stratum, group)
    notes = [f"{int(first.sum())} models of the one kind, {int((~first).sum())} of the other"]
    notes += [f"{left_out} models without any finite Φ are left out"] if left_out else []
    notes += ["no setting and method has models of both kinds, in different groups"] if estimate.n == 0 else []
    return evidence(store, study, said, estimate, first_models, *notes)._replace(outcomes=counts)
