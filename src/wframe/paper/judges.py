"""The judges: each turns results into the evidence that one kind of claim needs.

A judge takes the results and what `of` says in config/claims.yaml, and returns a statistic with its 95% interval.
To add one is to add a function to `JUDGES`. Datasets are named as the paper names them; an edition's datasets say
which of those they are (`stands_for`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
from safetensors.numpy import load_file
from scipy import stats

from wframe import config, plan
from wframe.paper.stats import Interval, mean_interval, share_interval

Settings = Sequence[str | None]  # None: the study's first setting
PAPER_SPLITS = 10  # the paper's ± is taken to be over ten, as in the code of its time
PAIR = ["dataset", "class", "repeat", "group"]


class NotHere(Exception):
    """The edition hasn't the runs that a claim needs; says which."""


class Evidence(NamedTuple):
    """A statistic of the results."""

    statistic: str  # what it is, in words
    value: float
    low: float  # 95% interval; NaN where there is too little data for one
    high: float
    n: int
    unit: str  # what n counts
    files: frozenset[str]  # the results it was computed from


class HasValue(Protocol):
    """A number as the paper states it."""

    @property
    def value(self) -> float:
        """The number."""

    @property
    def plus_minus(self) -> float | None:
        """Its ±."""


class Results:
    """An edition's results, as judges look at them."""

    def __init__(self, folder: Path, edition: config.Edition, paper: Mapping[str, HasValue | None]) -> None:
        self.folder, self.edition, self.paper = folder, edition, paper
        self._curves: dict[str, pd.DataFrame] = {}

    def datasets(self, study: str, names: Iterable[str]) -> list[str]:
        """Return the study's datasets that stand for any of the paper's `names`."""
        if study not in self.edition.studies:
            raise NotHere(f"this edition has no study {study!r}")
        names = set(names)
        found = [
            name
            for name in self.edition.studies[study].datasets
            if names & set(self.edition.datasets[name].stands_for)
        ]
        if not found:
            raise NotHere(f"this edition's study {study!r} has no dataset for {', '.join(sorted(names))}")
        return found

    def curves(self, study: str, datasets: Iterable[str], setting: str | None, method: str) -> pd.DataFrame:
        """Return the curves of one method in one setting (None: the study's first): a row per group and iteration."""
        found = self.datasets(study, datasets)
        setting = setting or next(iter(self.edition.studies[study].settings))
        if setting not in self.edition.studies[study].settings:
            raise NotHere(f"this edition's study {study!r} has no setting {setting!r}")
        if method not in self.edition.studies[study].methods:
            raise NotHere(f"this edition's study {study!r} doesn't run {method}")
        if study not in self._curves:
            self._curves[study] = pd.read_parquet(self.folder / self.file(study))
        rows = self._curves[study]
        return rows[rows["dataset"].isin(found) & (rows["setting"] == setting) & (rows["method"] == method)]

    def wide(
        self, study: str, datasets: Iterable[str], setting: str | None, method: str, measure: str
    ) -> pd.DataFrame:
        """Return one measure's curves side by side: iterations × (dataset, class, repeat, group)."""
        # `pivot` has a column for each group that there is; `pivot_table` would have one for each combination
        return self.curves(study, datasets, setting, method).pivot(index="iteration", columns=PAIR, values=measure)

    def file(self, study: str) -> str:
        """The file of a study's curves."""
        return f"studies/{study}.parquet"

    @cached_property
    def scores(self) -> pd.DataFrame:
        """The table of scores, by row."""
        path = self.folder / "tables" / "scores.csv"
        if self.edition.scores is None or not path.exists():
            raise NotHere("this edition computes no scores")
        return pd.read_csv(path).set_index("row")


# --- curves -----------------------------------------------------------------------------------------------------


def _pairs(
    results: Results,
    measure: str,
    study: str,
    datasets: list[str],
    settings: Settings,
    frame_setting: str | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return FRAME's and wFRAME's curves of a measure over all settings: two frames with the same columns.

    `frame_setting` compares FRAME under that setting with wFRAME under the others (the collapse study's clipping).
    """
    frame, wframe = {}, {}
    for setting in settings:
        wide = results.wide
        frame[str(setting)] = wide(study, datasets, frame_setting or setting, "frame", measure)
        wframe[str(setting)] = wide(study, datasets, setting, "wframe", measure)
    ours, base = pd.concat(wframe, axis=1), pd.concat(frame, axis=1)
    both = base.columns.intersection(ours.columns)
    return base[both], ours[both]


def _evidence(results: Results, study: str, statistic: str, interval: Interval, unit: str = "groups") -> Evidence:
    return Evidence(statistic, *interval, unit, frozenset({results.file(study)}))


def R_difference(results: Results, study: str, datasets: list[str], settings: Settings = (None,)) -> Evidence:
    """The final R of wFRAME less FRAME's, paired by group."""
    frame, wframe = _pairs(results, "R", study, datasets, settings)
    interval = mean_interval((wframe.iloc[-1] - frame.iloc[-1]).to_numpy())
    return _evidence(results, study, "R at the end, wFRAME − FRAME", interval)


def R_ratio(results: Results, study: str, datasets: list[str], settings: Settings = (None,)) -> Evidence:
    """The final R of wFRAME over FRAME's: geometric mean over the pairs."""
    frame, wframe = _pairs(results, "R", study, datasets, settings)
    interval = _geometric(np.log(wframe.iloc[-1] / frame.iloc[-1]))
    return _evidence(results, study, "R at the end, wFRAME over FRAME", interval)


def R_lower(
    results: Results,
    study: str,
    datasets: list[str],
    settings: Settings,
    frame_setting: str | None = None,
) -> Evidence:
    """The share of pairs in which wFRAME's final R is below FRAME's; a diverged group is above every number."""
    frame, wframe = _pairs(results, "R", study, datasets, settings, frame_setting)
    lower = wframe.iloc[-1].fillna(np.inf) < frame.iloc[-1].fillna(np.inf)
    return _evidence(results, study, "share of groups in which wFRAME ends lower", share_interval(lower), "pairs")


def learned(results: Results, study: str, datasets: list[str], method: str, setting: str | None = None) -> Evidence:
    """R at the end over R after the first iteration, of one method: geometric mean over groups."""
    R = results.wide(study, datasets, setting, method, "R")
    return _evidence(results, study, "R at the end over R at the start", _geometric(np.log(R.iloc[-1] / R.iloc[0])))


def steadiness(results: Results, study: str, datasets: list[str]) -> Evidence:
    """The upward movement of R, Σ max(0, R(t+1) − R(t)): wFRAME less FRAME, paired. A steady fall has 0."""
    ups = [curves.diff().clip(lower=0).sum(min_count=1) for curves in _pairs(results, "R", study, datasets, (None,))]
    return _evidence(results, study, "sum of R's rises, wFRAME − FRAME", mean_interval((ups[1] - ups[0]).to_numpy()))


def speed(results: Results, study: str, datasets: list[str]) -> Evidence:
    """The iterations until R is half of its start: wFRAME less FRAME, paired. Never counts as T."""
    halves = []
    for R in _pairs(results, "R", study, datasets, (None,)):
        above = (R.iloc[0] / 2 < R) | R.isna()
        halves.append(above.cummin().sum().to_numpy(dtype=float))
    interval = mean_interval(halves[1] - halves[0])
    return _evidence(results, study, "iterations until R is halved, wFRAME − FRAME", interval)


def collapses(results: Results, study: str, datasets: list[str], settings: Sequence[str], method: str) -> Evidence:
    """The share of groups whose R ends above twice its start, or that diverge."""
    shares = []
    for setting in settings:
        R = results.wide(study, datasets, setting, method, "R")
        shares.append((R.iloc[-1].isna() | (R.iloc[-1] > 2 * R.iloc[0])).to_numpy())
    interval = share_interval(np.concatenate(shares))
    return _evidence(results, study, f"share of {method}'s groups that collapse", interval)


def recovery(results: Results, study: str, datasets: list[str], settings: Sequence[str]) -> Evidence:
    """The iteration at which wFRAME's R, having risen above its start, is back at it: mean over those groups.

    The groups that never come back, and those that never rise, have no such iteration; how many came back is the
    business of `R_lower` and `collapses`.
    """
    times: list[float] = []
    for setting in settings:
        R = results.wide(study, datasets, setting, "wframe", "R")
        for _, curve in R.items():
            peak = curve.idxmax() if curve.notna().any() else None
            after = curve.loc[peak:] if peak is not None else curve
            back = after[after <= curve.iloc[0]]
            if peak is not None and curve.max() > curve.iloc[0] and len(back):
                times.append(float(back.index[0]))
    if not times:
        raise NotHere("no group of wFRAME rose above its start and came back")
    return _evidence(results, study, "iteration at which wFRAME's R is back at its start", mean_interval(times))


def energy_unrest(results: Results, study: str, datasets: list[str], settings: Settings) -> Evidence:
    """The total movement of Φ, Σ|Φ(t+1) − Φ(t)|: log of wFRAME's over FRAME's, paired."""
    moved = [curves.diff().abs().sum(min_count=1) for curves in _pairs(results, "energy", study, datasets, settings)]
    ratio = np.log(moved[1].to_numpy() / moved[0].to_numpy())
    return _evidence(results, study, "log of Φ's total movement, wFRAME over FRAME", mean_interval(ratio))


def energy_shape(
    results: Results, study: str, datasets: list[str], method: str = "wframe", setting: str | None = None
) -> Evidence:
    """The share of groups whose Φ falls over the second half of learning, and ends above 0."""
    Φ = results.wide(study, datasets, setting, method, "energy")
    half = Φ.iloc[len(Φ) // 2 :]
    falls = [np.polyfit(half.index, curve, 1)[0] < 0 if curve.notna().all() else False for _, curve in half.items()]
    shaped = np.array(falls) & (Φ.iloc[-1] > 0).to_numpy()
    return _evidence(results, study, "share of groups whose Φ falls and stays above 0", share_interval(shaped))


def alike_at_first(results: Results, study: str, datasets: list[str], setting: str | None = None) -> Evidence:
    """The distance between FRAME's and wFRAME's chains at the first kept iteration, over that at the last.

    Root-mean-square over pixels, for each run's first group; geometric mean over runs.
    """
    found = results.datasets(study, datasets)
    setting = setting or next(iter(results.edition.studies[study].settings))
    ratios, files = [], set()
    for run in plan.runs(results.edition, study):
        if run.method == "wframe" and run.dataset in found and run.setting == setting:
            pair = [f"runs/{folder}/0.safetensors" for folder in (run.folder, run.of_method("frame").folder)]
            a, b = (load_file(results.folder / name)["snapshots"].astype(float) for name in pair)
            kept = min(len(a), len(b))
            if kept > 1:
                apart = np.sqrt(((a[:kept] - b[:kept]) ** 2).mean((1, 2, 3, 4)))
                ratios.append(np.log(max(apart[0], 0.5) / max(apart[-1], 0.5)))  # below half a grey level is alike
                files |= set(pair)
    if not ratios:
        raise NotHere(f"study {study!r} keeps no snapshots of both methods")
    interval = _geometric(ratios)
    return Evidence("distance of the methods' chains, first over last snapshot", *interval, "runs", frozenset(files))


# --- scores -----------------------------------------------------------------------------------------------------


def score(results: Results, row: str) -> Evidence:
    """A row's score, with the interval over repeats if there are several, else over its splits."""
    value, half, n, unit = _score(results, row)
    named = str(results.scores.loc[row, "score_name"])
    return Evidence(named, value, value - half, value + half, n, unit, frozenset({"tables/scores.csv"}))


def score_order(results: Results, higher: str, lower: str) -> Evidence:
    """One score less another. `paper:ID` is the number that the paper states in claim ID (with its ±)."""
    (a, a_half, n, unit), (b, b_half, m, other_unit) = (_score(results, name) for name in (higher, lower))
    half = float(np.hypot(a_half, b_half))
    return Evidence(
        f"score of {higher.removeprefix('paper:')} less {lower.removeprefix('paper:')}",
        *(a - b, a - b - half, a - b + half),
        min(n, m),
        unit if unit == other_unit else f"{unit} and {other_unit}",
        frozenset({"tables/scores.csv"}),
    )


def _score(results: Results, name: str) -> tuple[float, float, int, str]:
    """Return a score, half of its 95% interval, how many values that is over, and what those are."""
    if name.startswith("paper:"):
        stated = results.paper.get(name.removeprefix("paper:"))
        if stated is None:
            raise NotHere(f"{name}: the paper states no such number")
        return stated.value, _half(stated.plus_minus or 0.0, PAPER_SPLITS), PAPER_SPLITS, "splits"
    if name not in results.scores.index:
        raise NotHere(f"this edition scores no row {name!r}")
    row: dict[Any, Any] = results.scores.loc[name].to_dict()
    if row["status"] != "ok" or not np.isfinite(row["score"]):
        raise NotHere(f"no score of {name!r}: {row['status']}")
    unit = "repeats" if row["repeats"] > 1 else "splits"
    n, spread = int(row[unit]), row["std_seeds"] if unit == "repeats" else row["std_splits"]
    return float(row["score"]), _half(spread, n), n, unit


def _half(spread: float, n: int) -> float:
    """Return half of Student's 95% interval of a mean of n values; NaN for one."""
    return float(stats.t.ppf(0.975, n - 1) * spread / np.sqrt(n)) if n > 1 else float("nan")


# --- pictures and the bank ---------------------------------------------------------------------------------------


def few_images(results: Results, baseline: str, study: str) -> Evidence:
    """Figure 6: R of nine outputs of a baseline trained on a few images, less wFRAME's on the same images.

    The baseline's outputs are drawn in consecutive nines; each nine is one value of R against the training images
    (the mean over groups of nine of them).
    """
    import torch

    from wframe.model.bank import load_bank
    from wframe.model.energy import responses
    from wframe.model.measures import response_distance
    from wframe.model.readings import UNIT

    if baseline not in results.edition.baselines:
        raise NotHere(f"this edition trains no baseline {baseline!r}")
    entry = results.edition.baselines[baseline]
    files = {f"baselines/{baseline}/{repeat}.safetensors" for repeat in range(entry.repeats)}
    class_ = entry.class_ or results.edition.datasets[entry.dataset].classes[0]
    observed = np.load(results.folder / "data" / entry.dataset / f"{class_}.npy")[: entry.images]
    bank = load_bank(results.folder / "bank.safetensors").to(UNIT)

    def mean_responses(pictures: np.ndarray) -> torch.Tensor:
        with torch.inference_mode():
            return responses(bank, bank.pixels(pictures, UNIT)).F.mean(0, keepdim=True)

    M = results.edition.learning.M
    target = torch.cat([mean_responses(observed[i : i + M]) for i in range(0, len(observed) - M + 1, M)])
    values = []
    for name in sorted(files):
        images = load_file(results.folder / name)["images"][: 20 * M]
        for first in range(0, len(images) - M + 1, M):
            drawn = mean_responses(images[first : first + M])
            values.append(float(response_distance(drawn.expand_as(target), target).mean()))
    curves = results.curves(study, results.edition.datasets[entry.dataset].stands_for, None, "wframe")
    ends = curves[(curves["iteration"] == curves["iteration"].max()) & (curves["class"] == class_)]
    ours = ends.loc[(ends["dataset"] == entry.dataset) & (ends["group"] < len(target)), "R"].mean()
    interval = mean_interval(np.asarray(values) - ours)
    files |= {results.file(study), "bank.safetensors", f"data/{entry.dataset}/{class_}.npy"}
    return Evidence(f"R of {baseline}'s outputs less wFRAME's", *interval, "nines of outputs", frozenset(files))


def remark_2(results: Results, study: str) -> Evidence:
    """The share of chains at which ∇ₓΦ doesn't change under a tiny step, so that ∇|∇ₓΦ|² = 0 there.

    In float64, from final chains, in a random direction: F is piecewise linear, so the gradient is the same on the
    same piece.
    """
    import torch

    from wframe.model.bank import load_bank
    from wframe.model.energy import gradient, responses
    from wframe.model.readings import UNIT

    if study not in results.edition.studies:
        raise NotHere(f"this edition has no study {study!r}")
    bank = load_bank(results.folder / "bank.safetensors").to(UNIT, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    same, files = [], {"bank.safetensors"}
    for run in [run for run in plan.runs(results.edition, study) if run.method == "wframe"][:4]:
        name = f"runs/{run.folder}/0.safetensors"
        x = bank.pixels(load_file(results.folder / name)["images"][0], UNIT).double()
        # quantised pixels sit on no border of a piece: noise far below a grey level decides which side
        x = x + 1e-3 * torch.randn(x.shape, generator=generator, dtype=torch.float64)
        step = 1e-9 * torch.randn(x.shape, generator=generator, dtype=torch.float64)
        with torch.inference_mode():
            here, there = responses(bank, x), responses(bank, x + step)
            θ = torch.randn((1, *here.F.shape[1:]), generator=generator, dtype=torch.float64)
            change = (gradient(bank, θ, here) - gradient(bank, θ, there)).flatten(1).abs().amax(1)
        same += (change < 1e-9).tolist()
        files.add(name)
    interval = share_interval(same)
    return Evidence("share of chains where ∇|∇ₓΦ|² vanishes", *interval, "chains", frozenset(files))


def _geometric(logs: Any) -> Interval:
    """Return the geometric mean, with its interval, of values given by their logarithms."""
    mean, low, high, n = mean_interval(np.asarray(logs, dtype=float))
    return Interval(float(np.exp(mean)), float(np.exp(low)), float(np.exp(high)), n)


Judge = Callable[..., Evidence]
JUDGES: dict[str, Judge] = {
    judge.__name__: judge
    for judge in (
        R_difference,
        R_ratio,
        R_lower,
        learned,
        steadiness,
        speed,
        collapses,
        recovery,
        energy_unrest,
        energy_shape,
        alike_at_first,
        score,
        score_order,
        few_images,
        remark_2,
    )
}
