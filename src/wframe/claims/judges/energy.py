"""Judges of the energy Φ: its shape, its unrest, and what it says of collapse."""

import numpy as np
import pandas as pd

from wframe.claims.evidence import Evidence, judge
from wframe.claims.judges._common import Settings, curves_of, evidence, mean_over_repeats, pairs, with_diverged_worst
from wframe.results.outcomes import lost
from wframe.results.statistics import mean_interval, share_interval
from wframe.results.store import NotAvailable, Store


@judge
def energy_unrest(store: Store, study: str, datasets: list[str], settings: Settings) -> Evidence:
    """The total movement of Φ, Σ|Φ(t+1) − Φ(t)|: log of wFRAME's over FRAME's, paired."""
    curves, note = with_diverged_worst(*pairs(store, "energy", study, datasets, settings))
    frame, wframe = (part.diff().abs().sum() for part in curves)
    interval = mean_interval(mean_over_repeats((wframe / frame).apply(np.log)))
    return evidence(store, study, f"log of Φ's total movement, wFRAME over FRAME{note}", interval)


@judge
def energy_shape(
    store: Store, study: str, datasets: list[str], method: str = "wframe", setting: str | None = None
) -> Evidence:
    """The share of groups whose Φ falls over the second half of learning towards a little above 0.

    That is: a line through it falls, it is above 0 throughout, and it ends below a quarter of its highest.
    """
    Φ = curves_of(store, study, datasets, setting, method, "energy")
    half = Φ.iloc[len(Φ) // 2 :]
    falls = [np.polyfit(half.index, curve, 1)[0] < 0 if curve.notna().all() else False for _, curve in half.items()]
    shaped = pd.Series(falls, index=Φ.columns) & (half > 0).all() & (Φ.iloc[-1] <= Φ.max() / 4)
    interval = share_interval(mean_over_repeats(shaped) > 0.5)
    return evidence(store, study, "share of groups whose Φ falls towards a little above 0", interval)


@judge
def energy_sign(store: Store, study: str, datasets: list[str]) -> Evidence:
    """Log R at the end of the models whose Φ ends at or below 0, less that of those above.

    Of both methods, in all settings. A diverged model has neither, and isn't counted.
    """
    models = _models(store, study, datasets)
    low = models["energy"] <= 0
    return _apart(store, study, "log R of models with Φ ≤ 0 over those with Φ > 0", np.log(models["R"]), low)


@judge
def energy_signal(store: Store, study: str, datasets: list[str]) -> Evidence:
    """Log of Φ's total movement in the models that collapse, less that in those that don't.

    Of both methods, in all settings. A model that diverged has collapsed, and has moved as far as it was measured.
    """
    models = _models(store, study, datasets)
    moved = np.log(models["movement"])
    return _apart(store, study, "log of Φ's movement, models that collapse over others", moved, models["collapsed"])


def _models(store: Store, study: str, datasets: list[str]) -> pd.DataFrame:
    """Return one row per learned model of a study: R and Φ at the end, Φ's total movement, whether it collapsed."""
    store.standing_for(study, datasets)  # says what the edition lacks
    entry, rows = store.edition.studies[study], []
    for setting in entry.settings:
        for method in entry.methods:
            R = curves_of(store, study, datasets, setting, method, "R")
            Φ = curves_of(store, study, datasets, setting, method, "energy")
            moved = Φ.diff().abs().sum(min_count=1)
            columns = {"R": R.iloc[-1], "energy": Φ.iloc[-1], "movement": moved, "collapsed": lost(R)}
            rows.append(pd.DataFrame(columns))
    return pd.concat(rows)


def _apart(store: Store, study: str, statistic: str, values: pd.Series, which: pd.Series) -> Evidence:
    """Compare the finite values of two kinds of models within each group that has both: the mean difference.

    The models of a group have its images in common, so groups are what is independent.
    """
    finite = np.isfinite(values)
    levels = ["dataset", "class", "group"]
    ours, base = (values[mask & finite].groupby(level=levels).mean() for mask in (which, ~which))
    difference = (ours - base).dropna()
    if difference.empty:
        raise NotAvailable(f"{statistic}: no group of study {study!r} has models of both kinds")
    return evidence(store, study, statistic, mean_interval(difference))
