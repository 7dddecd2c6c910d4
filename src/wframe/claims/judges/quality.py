"""Judges of what the images look like, by measures that know nothing of R (see `wframe quality`)."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from wframe.claims.evidence import Evidence, judge
from wframe.claims.judges._common import Pairs, evidence, of_each
from wframe.results.curves import GROUP
from wframe.results.outcomes import LEAST, TIE, end
from wframe.results.statistics import Estimate, correlation
from wframe.results.store import NotAvailable, Store

CLASS = ("dataset", "class")
WORST = {"noise": np.inf, "spectrum": np.inf, "chroma": -np.inf, "structure": -np.inf}  # of a model that is lost
LIKE_REAL = ("noise", "chroma")  # 0 is as the observed images have it: smoother or more garish than these is no better


@judge
def quality(store: Store, measure: str, study: str, datasets: list[str]) -> Evidence:
    """A measure of the images, wFRAME's less FRAME's: the median over groups. A lost model has the worst.

    Less noise than the observed images have, or more colour, counts as much as theirs. So groups may tie, and of these
    two measures the share of groups counts in which wFRAME's is the higher, less that in which FRAME's is.
    """
    pairs = Pairs(store, study, datasets)
    frame, wframe = (_values(store, measure, study, pairs, method) for method in ("frame", "wframe"))
    every = len(pairs.both)
    pairs.both = pairs.both.intersection(frame.index).intersection(wframe.index)
    left = every - len(pairs.both)
    notes = [f"of {left} of {every} models no images were measured (the first groups of each run are)"] if left else []
    better = "lower" if WORST[measure] > 0 else "higher"
    if measure in LIKE_REAL:
        frame, wframe = (part.clip(lower=0) if better == "lower" else part.clip(upper=0) for part in (frame, wframe))
    frame = frame.where(~pairs.frame.lost[frame.index], WORST[measure]).fillna(WORST[measure])
    wframe = wframe.where(~pairs.wframe.lost[wframe.index], WORST[measure]).fillna(WORST[measure])
    apart = pairs.difference(frame, wframe)
    estimated: Callable[[pd.Series], Estimate]
    if measure in LIKE_REAL:
        apart = np.sign(apart)
        notes += [f"as much in {int((apart == 0).sum())} of {len(apart)} models"]
        said = f"share of groups with more {measure} by wFRAME, less that of those by FRAME"
        estimated = pairs.net_share
    else:
        said = f"{measure}, wFRAME − FRAME: median over groups"
        estimated = pairs.median
    estimate, parts = of_each(apart, lambda part: pairs.guarded(estimated(part), part.index, better))
    found = evidence(store, study, said, estimate, pairs, *notes, parts=parts)
    return found._replace(files=found.files | {"measurements/quality.csv"})


@judge
def quality_and_R(store: Store, measure: str, study: str, datasets: list[str]) -> Evidence:
    """Spearman's correlation, over groups, of R at the end with a measure of the images (mean of both methods).

    Ranks are taken within each class of a dataset, so that what differs between these explains nothing; a class with
    one group says nothing, and is left out. A model that
    collapsed has the R and the images that it has. One that diverged has neither: to call both the worst would be to
    put the correlation in by hand, so its group is left out, and said to be.
    """
    pairs = Pairs(store, study, datasets)
    measured = []
    for models in (pairs.frame, pairs.wframe):
        values = _values(store, measure, study, pairs, models.method)
        R = np.log(end(models.R).where(~models.diverged).clip(lower=LEAST))
        both = pd.DataFrame({"R": R, "value": values}).dropna()
        measured.append((both / TIE).round())  # what rounding can make is no rank
    places = measured[0].index.intersection(measured[1].index)
    left = len(pairs.both) - len(places)
    notes = [f"{left} of {len(pairs.both)} models are left out: diverged, or no images were measured"] if left else []
    groups = places.to_frame(index=False).groupby(list(CLASS))["group"].transform("nunique")
    alone = int((groups < 2).sum())
    notes += [f"{alone} models are left out: a class with one group has no ranks"] if alone else []
    places = places[(groups > 1).to_numpy()]
    ranked = [_ranks(part.loc[places]) for part in measured]
    together = (ranked[0] + ranked[1]) / 2

    def of(part: pd.DataFrame) -> Estimate:
        strata = part.groupby(level=list(CLASS)).ngroups
        return correlation(pairs.per_group(part["R"]), pairs.per_group(part["value"]), strata)

    estimate, parts = of_each(together, of)
    said = f"rank correlation of R and {measure} over groups, within each class of a dataset"
    found = evidence(store, study, said, estimate, pairs, *notes, parts=parts)
    return found._replace(files=found.files | {"measurements/quality.csv"})


def _ranks(part: pd.DataFrame) -> pd.DataFrame:
    """Return ranks within each class of a dataset, from 0 to 1, whose mean is a half however many groups it has."""
    within = part.groupby(level=list(CLASS))
    return (within.rank() - 0.5).div(within["R"].transform("size"), axis=0) if len(part) else part


def _values(store: Store, measure: str, study: str, pairs: Pairs, method: str) -> pd.Series:
    """Return a measure of one method's models in the study's first setting, by dataset, class, repeat and group."""
    table = store.measurement("quality")
    table = table[table["study"] == study].astype({"dataset": str, "class": str})
    chosen = table[(table["method"] == method) & (table["setting"] == pairs.wframe.setting)]
    values = chosen.set_index(GROUP)[measure]
    values = values[values.index.isin(pairs.both)]
    if values.empty:
        raise NotAvailable(f"no images of {method} were measured for these datasets")
    return values
