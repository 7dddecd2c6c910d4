"""What several judges share: the models of a study, paired by group, and what became of them."""

from collections.abc import Callable, Iterable
from functools import cached_property
from posixpath import normpath
from typing import TypeVar

import numpy as np
import pandas as pd

from wframe.claims.evidence import Evidence
from wframe.config.learning import METHODS, Method
from wframe.jobs.runs import count_groups
from wframe.results import outcomes
from wframe.results.curves import by_group, per_group, rates
from wframe.results.gain import gains, prediction
from wframe.results.statistics import LEVEL, Estimate, median, net_share, share
from wframe.results.store import NotAvailable, Store

EXCESS = 0.1  # share of groups by which one method's outcome may be the worse one, and it still be called better


class _Groups:
    """Groups of images: what is independent. Repeats are of the same group, and so are two sizes of the same images."""

    images: dict[str, str]  # dataset → where its images come from

    def per_group(self, values: pd.Series) -> np.ndarray:
        """Return a value for each group, the median over its models."""
        return per_group(values.rename(index=self.images, level="dataset"))

    def curves_of_groups(self, curves: pd.DataFrame) -> np.ndarray:
        """Return finite curves for each group, iterations × groups: the median over its models in each iteration."""
        by = curves.rename(columns=self.images, level="dataset").T.groupby(level=["dataset", "class", "group"])
        return by.median().to_numpy().T

    def rates(self, happens: pd.Series) -> np.ndarray:
        """Return in which share of a group's models something happens, for each group."""
        return rates(happens.rename(index=self.images, level="dataset"))

    def median(self, values: pd.Series) -> Estimate:
        """Return the median over groups of a value of each model."""
        return median(self.per_group(values))

    def share(self, happens: pd.Series) -> Estimate:
        """Return the share of groups in whose models something happens."""
        return share(self.rates(happens))

    def net_share(self, signs: pd.Series) -> Estimate:
        """Return the share of groups with 1, less that with −1."""
        return net_share(self.rates(signs))


Values = TypeVar("Values", pd.Series, pd.DataFrame)
Parts = dict[str, Estimate]  # by dataset; none where there is only one


def of_each(values: Values, estimate: Callable[[Values], Estimate]) -> tuple[Estimate, Parts]:
    """Return the estimate of all values, which are by model, and that of each dataset alone."""
    datasets = values.index.get_level_values("dataset")
    parts = {str(name): estimate(values[datasets == name]) for name in datasets.unique()}
    return estimate(values), parts if len(parts) > 1 else {}


class Models(_Groups):
    """The learned models of one method in one setting, on the datasets that stand for some of the paper's."""

    def __init__(self, store: Store, study: str, datasets: Iterable[str], setting: str | None, method: Method) -> None:
        self.method = method
        self.setting = setting or store.study(study).first
        self.images = {name: _source(store, name) for name in store.study(study).datasets}
        wanted = store.standing_for(study, datasets)
        self.rows = store.curves(study, wanted, setting, method)
        if self.rows.empty:
            raise NotAvailable(f"study {study!r} has no curves of {METHODS[method]} in setting {self.setting!r}")
        self._refuse_missing(store, study, wanted)
        covered = {name for dataset in set(self.rows["dataset"]) for name in store.edition.datasets[dataset].stands_for}
        self.without = [name for name in datasets if name not in covered]

    def _refuse_missing(self, store: Store, study: str, wanted_datasets: list[str]) -> None:
        """Refuse models that left no curves: the groups that nobody counts might be the worst."""
        every = store.all_curves(study)
        if without := sorted(set(wanted_datasets) - set(self.rows["dataset"])):
            raise NotAvailable(
                f"study {study!r} is incomplete: no curves of {METHODS[self.method]} in setting {self.setting!r} on "
                f"{', '.join(without)}; run it again"
            )
        place, model = ["dataset", "class"], ["dataset", "class", "group", "repeat"]
        here = every[every["dataset"].isin(wanted_datasets)]
        seen = here.astype({"dataset": str, "class": str}).groupby(place)["group"].nunique()
        groups = {
            (name, class_): count_groups(store.edition, study, name) or int(seen.get((name, class_), 1))
            for name in wanted_datasets
            for class_ in store.edition.datasets[name].classes
        }
        wanted = pd.Series(groups) * store.study(study).repeats
        found = self.rows[model].drop_duplicates().astype({"dataset": str, "class": str}).groupby(place).size()
        missing = int((wanted - found.reindex(wanted.index, fill_value=0)).clip(lower=0).sum())
        if missing:
            raise NotAvailable(
                f"study {study!r} is incomplete: {missing} models of {METHODS[self.method]} in setting "
                f"{self.setting!r} left no curves; run it again"
            )

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
    def rank(self) -> pd.Series:
        """How bad the outcome of each is: learns, stalls, lost."""
        return self.outcomes.map(outcomes.RANK).astype(int)

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
        self.every = self.both = self.frame.R.columns.intersection(self.wframe.R.columns)
        alone = len(self.frame.R.columns.union(self.wframe.R.columns)) - len(self.both)
        if alone:
            raise NotAvailable(
                f"study {study!r} is incomplete: {alone} models have no partner of the other method; run it again"
            )

    def difference(self, frame: pd.Series, wframe: pd.Series) -> pd.Series:
        """Return wFRAME's value less FRAME's for each pair: logarithms, or values with a scale of 1.

        Two infinite ones are a tie, and so are two that differ by what rounding alone can make.
        """
        ours, base = wframe[self.both].astype(float), frame[self.both].astype(float)
        with np.errstate(invalid="ignore"):
            apart = (ours - base).where(ours != base, 0.0)
        return apart.where(apart.abs() >= outcomes.TIE, 0.0)

    def guarded(self, estimate: Estimate, of: pd.Index, better: str = "lower") -> Estimate:
        """Return a paired difference's estimate, its interval open on the side of the method that comes out worse.

        A median can be low while a third of the groups diverge, and what doesn't learn can be very steady. So a method
        isn't called the better one where it has the worse outcome (learns, stalls, lost) in more groups than the other:
        in a tenth more of all, or so many more that the sign test tells, at 95%. That is of all groups of the datasets
        that the models `of` are of.
        """
        places = self.every[self.every.get_level_values("dataset").isin(of.get_level_values("dataset"))]
        apart = self.rates((self.frame.rank[places] - self.wframe.rank[places]).clip(-1, 1))
        least, most = share(apart[apart != 0] > 0).interval(LEVEL)
        excess = float(apart.mean()) if len(apart) else 0.0
        wframe_worse, frame_worse = most < 0.5 or excess <= -EXCESS, least > 0.5 or excess >= EXCESS
        if better == "higher":
            wframe_worse, frame_worse = frame_worse, wframe_worse

        def interval(level: float) -> tuple[float, float]:
            low, high = estimate.interval(level)
            return (-np.inf if frame_worse else low), (np.inf if wframe_worse else high)

        return estimate._replace(interval=interval, open=wframe_worse or frame_worse)

    def count(self) -> dict[str, dict[str, int]]:
        """Return how many models of each method had each outcome."""
        return {METHODS[models.method]: models.count() for models in (self.frame, self.wframe)}


def _source(store: Store, dataset: str) -> str:
    """Return where a dataset's images come from: two that are cut from one folder have groups of the same images."""
    entry = store.edition.datasets[dataset]
    return normpath(entry.path) if entry.path else ", ".join(entry.inputs)


def as_ratio(log: float) -> float:
    """Return the ratio whose logarithm it is; infinite where it is too large for a number."""
    return float(np.exp(log)) if log < 700 else np.inf


def back_for_good(R: pd.DataFrame, factor: float = 1.0) -> pd.Series:
    """Return the first iteration from which on R is no higher than so many times its start; infinite: never."""
    above = ~R.le(factor * (1 + outcomes.TIE) * R.iloc[0])  # what isn't a number isn't back
    last = above.apply(lambda curve: curve.index[curve].max() if curve.any() else 0)
    return (last + 1).where(last < R.index[-1], np.inf).astype(float)


def evidence(
    store: Store,
    study: str,
    statistic: str,
    estimate: Estimate,
    models: Pairs | Models,
    *notes: str,
    parts: Parts | None = None,
    averaged: Estimate | None = None,
) -> Evidence:
    """Return evidence that was computed from a study's curves, with what became of the models.

    `parts` are the same estimate of each dataset alone, `averaged` is that of the curves averaged over groups.
    """
    files = frozenset({store.curves_file(study)})
    without = models.wframe.without if isinstance(models, Pairs) else models.without
    notes += (f"nothing here stands for {' or '.join(without)}",) if without else ()
    outcomes = models.count() if isinstance(models, Pairs) else {METHODS[models.method]: models.count()}
    titled = {f"on {store.title(name)} alone": part for name, part in (parts or {}).items()}
    titled |= {"of the curves averaged over groups": averaged} if averaged else {}
    return Evidence(statistic, estimate, "groups", files, outcomes, notes, parts=titled)


def with_gain(found: Evidence, store: Store, study: str, models: Models) -> Evidence:
    """Return evidence with words on the penalty's gain in these groups: what it predicts, and what became of them."""
    table = gains(store, study)
    here = table[(table["setting"] == models.setting) & table["dataset"].isin(models.rows["dataset"].unique())]
    if here.empty:
        return found
    notes = (*found.notes, f"the penalty's own step of θ: {prediction(here)}")
    return found._replace(notes=notes, files=found.files | {"measurements/gain.csv"})
