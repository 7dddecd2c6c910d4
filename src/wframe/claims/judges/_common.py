"""What several judges share: the models of a study, paired by group, and what became of them."""

from collections.abc import Iterable
from functools import cached_property

import numpy as np
import pandas as pd

from wframe.claims.evidence import Evidence
from wframe.config.learning import METHODS, Method
from wframe.results import outcomes
from wframe.results.curves import by_group, per_group, rates
from wframe.results.statistics import Estimate, share
from wframe.results.store import NotAvailable, Store


class _Groups:
    """Groups of images: what is independent. Repeats are of the same group, and so are two sizes of the same images."""

    images: dict[str, str]  # dataset → where its images come from

    def per_group(self, values: pd.Series) -> np.ndarray:
        """Return a value for each group, the median over its models."""
        return per_group(values.rename(index=self.images, level="dataset"))

    def rates(self, happens: pd.Series) -> np.ndarray:
        """Return in which share of a group's models something happens, for each group."""
        return rates(happens.rename(index=self.images, level="dataset"))


class Models(_Groups):
    """The learned models of one method in one setting, on the datasets that stand for some of the paper's."""

    def __init__(self, store: Store, study: str, datasets: Iterable[str], setting: str | None, method: Method) -> None:
        self.method = method
        self.setting = setting or next(iter(store.study(study).points))
        self.images = {name: _source(store, name) for name in store.study(study).datasets}
        self.rows = store.curves(study, store.standing_for(study, datasets), setting, method)
        if self.rows.empty:
            raise NotAvailable(f"study {study!r} has no curves of {METHODS[method]} in setting {self.setting!r}")

    def curves(self, measure: str) -> pd.DataFrame:
        """Return a measure's curves: iterations × (dataset, class, repeat, group).

        Raises:
            NotAvailable: the runs are older than this measure.
        """
        if measure not in self.rows:
            raise NotAvailable(f"the runs have no {measure!r}: they are older than this measure; run them again")
        return by_group(self.rows, measure)

    @cached_property
    def R(self) -> pd.DataFrame:
        """The curves of R."""
        return self.curves("R")

    @cached_property
    def energy(self) -> pd.DataFrame:
        """The curves of Φ."""
        return self.curves("energy")

    @cached_property
    def outcomes(self) -> pd.Series:
        """What became of each: learns, stalls, collapses or diverges."""
        return outcomes.outcomes(self.R, self.energy)

    @property
    def lost(self) -> pd.Series:
        """Which collapse or diverge."""
        return self.outcomes.isin(("collapses", "diverges"))

    @property
    def diverged(self) -> pd.Series:
        """Which diverged."""
        return self.outcomes == "diverges"

    @property
    def start(self) -> pd.Series:
        """R after the first iteration; NaN where it isn't finite."""
        return self.R.iloc[0].where(np.isfinite(self.R.iloc[0]))

    @property
    def ratio(self) -> pd.Series:
        """R at the end over R after the first iteration; that of a model that is lost is infinite."""
        return outcomes.final_ratio(self.R, self.energy).where(~self.lost, np.inf)

    def worst_where_lost(self, values: pd.Series) -> pd.Series:
        """Return values with infinity, the worst, for models that collapse or diverge."""
        return values.astype(float).where(~self.lost, np.inf)

    def count(self) -> dict[str, int]:
        """Return how many models had each outcome."""
        found = self.outcomes.value_counts()
        return {name: int(found[name]) for name in outcomes.OUTCOMES if name in found}


class Pairs(_Groups):
    """FRAME's and wFRAME's models of the same groups and repeats: they share images and noise.

    `frame_setting` sets FRAME in that setting against wFRAME in the other.
    """

    def __init__(
        self,
        store: Store,
        study: str,
        datasets: Iterable[str],
        setting: str | None = None,
        frame_setting: str | None = None,
    ) -> None:
        self.frame = Models(store, study, datasets, frame_setting or setting, "frame")
        self.wframe = Models(store, study, datasets, setting, "wframe")
        self.images = self.wframe.images
        self.both = self.frame.R.columns.intersection(self.wframe.R.columns)
        alone = len(self.frame.R.columns.union(self.wframe.R.columns)) - len(self.both)
        if alone:
            raise NotAvailable(
                f"study {study!r} is incomplete: {alone} models have no partner of the other method; run it again"
            )

    def difference(self, frame: pd.Series, wframe: pd.Series) -> np.ndarray:
        """Return wFRAME's value less FRAME's for each group; two infinite ones are a tie."""
        ours, base = wframe[self.both].astype(float), frame[self.both].astype(float)
        with np.errstate(invalid="ignore"):
            apart = (ours - base).where(ours != base, 0.0)
        return self.per_group(apart)

    def guarded(self, estimate: Estimate, better: str = "lower") -> Estimate:
        """Return a paired difference's estimate, its interval open on the side of the method that is lost more often.

        A median can be low while a third of the groups diverge. So where the sign test tells that one method is lost in
        more groups than the other, that method isn't called the better one.
        """
        apart = self.rates(self.frame.lost[self.both].astype(float) - self.wframe.lost[self.both])
        frame_more = share(apart[apart != 0] > 0)

        def interval(level: float) -> tuple[float, float]:
            low, high = estimate.interval(level)
            least, most = frame_more.interval(level)
            wframe_worse, frame_worse = most < 0.5, least > 0.5
            if better == "higher":
                wframe_worse, frame_worse = frame_worse, wframe_worse
            return (-np.inf if frame_worse else low), (np.inf if wframe_worse else high)

        return estimate._replace(interval=interval)

    def count(self) -> dict[str, dict[str, int]]:
        """Return how many models of each method had each outcome."""
        return {METHODS[models.method]: models.count() for models in (self.frame, self.wframe)}


def _source(store: Store, dataset: str) -> str:
    """Return where a dataset's images come from: two that are cut from one folder have groups of the same images."""
    entry = store.edition.datasets[dataset]
    return f"{entry.source}:{entry.path}" if entry.path else dataset


def gain_note(store: Store, study: str, models: Models) -> tuple[str, ...]:
    """Return words on the penalty's gain g = λβe/D in these groups, and what line 12's reading allows, if known."""
    try:
        table = store.measurement("gain")
    except NotAvailable:
        return ()
    found, before = [], set()
    for dataset in models.R.columns.get_level_values("dataset").unique():
        c = store.edition.constants(study, dataset, models.setting, "wframe")
        values = table.loc[table["dataset"].astype(str) == dataset, "gain"]
        if c.penalty == "mean" and c.theta == "position":
            found += list(c.lambda_ * c.beta * values)
            before.add(c.before)
    if not found:
        return ()
    limit = {"renewed": "g < 2, as printed", "kept": "about g < 1.6 to 2, with the delayed penalty"}
    said = " and ".join(limit[name] for name in sorted(before))
    return (f"the penalty's own step has a gain g of {np.median(found):.3g} (median) and settles for {said}",)


def evidence(
    store: Store, study: str, statistic: str, estimate: Estimate, models: Pairs | Models, *notes: str
) -> Evidence:
    """Return evidence that was computed from a study's curves, with what became of the models."""
    files = frozenset({store.curves_file(study)})
    if isinstance(models, Pairs):
        return Evidence(statistic, estimate, "groups", files, models.count(), notes)
    return Evidence(statistic, estimate, "groups", files, {METHODS[models.method]: models.count()}, notes)
