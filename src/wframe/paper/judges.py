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


def _by_group(values: pd.Series) -> np.ndarray:
    """Return the means over repeats: those of one group have its nine pictures in common, and aren't new evidence."""
    levels = [place for place, name in enumerate(values.index.names) if name != "repeat"]
    return values.astype(float).groupby(level=levels, sort=False).mean().to_numpy()


def _counted(*curves: pd.DataFrame) -> tuple[list[pd.DataFrame], str]:
    """Return curves in which a diverged group stands at the worst that any group reached, and words on how many do.

    To leave them out would favour the method that diverges.
    """
    worst = np.nanmax([np.nanmax(np.abs(part.to_numpy()), initial=-np.inf) for part in curves])
    gone = [int(part.iloc[-1].isna().sum()) for part in curves]
    if not np.isfinite(worst):
        return list(curves), ""
    said = f" ({sum(gone)} diverged runs count as the worst that was reached)" if any(gone) else ""
    return [part.fillna(worst) for part in curves], said


def R_difference(results: Results, study: str, datasets: list[str], settings: Settings = (None,)) -> Evidence:
    """The final R of wFRAME less FRAME's, paired by group."""
    (frame, wframe), said = _counted(*_pairs(results, "R", study, datasets, settings))
    interval = mean_interval(_by_group(wframe.iloc[-1] - frame.iloc[-1]))
    return _evidence(results, study, f"R at the end, wFRAME − FRAME{said}", interval)


def R_ratio(results: Results, study: str, datasets: list[str], settings: Settings = (None,)) -> Evidence:
    """The final R of wFRAME over FRAME's: geometric mean over the pairs."""
    (frame, wframe), said = _counted(*_pairs(results, "R", study, datasets, settings))
    interval = _geometric(_by_group((wframe.iloc[-1] / frame.iloc[-1]).apply(np.log)))
    return _evidence(results, study, f"R at the end, wFRAME over FRAME{said}", interval)


def R_lower(
    results: Results,
    study: str,
    datasets: list[str],
    settings: Settings,
    frame_setting: str | None = None,
) -> Evidence:
    """The share of groups in which wFRAME's final R is below FRAME's in most repeats, where it is the least.

    A diverged group is above every number. Of several datasets (the sizes of Figure 3) the one with the lowest share
    counts: the claim is about each of them.
    """
    frame, wframe = _pairs(results, "R", study, datasets, settings, frame_setting)
    lower = wframe.iloc[-1].fillna(np.inf) < frame.iloc[-1].fillna(np.inf)
    places = lower.index.get_level_values("dataset")
    shares = {name: share_interval(_by_group(lower[places == name]) > 0.5) for name in places.unique()}
    name, interval = min(shares.items(), key=lambda item: item[1].mean)
    where = f", on {name}" if len(shares) > 1 else ""
    return _evidence(results, study, f"share of groups in which wFRAME ends lower{where}", interval)


def comes_back(results: Results, study: str, datasets: list[str], settings: Settings) -> Evidence:
    """The share of groups in which FRAME collapses and wFRAME ends no higher than it began, in most repeats."""
    frame, wframe = _pairs(results, "R", study, datasets, settings)
    held = _collapsed(frame) & (wframe.iloc[-1] <= wframe.iloc[0])
    interval = share_interval(_by_group(held) > 0.5)
    return _evidence(results, study, "share of groups in which FRAME collapses and wFRAME comes back", interval)


def _collapsed(R: pd.DataFrame) -> pd.Series:
    """Say which groups' R ends above twice its start, or not at all."""
    return R.iloc[-1].isna() | (R.iloc[-1] > 2 * R.iloc[0])


def learned(results: Results, study: str, datasets: list[str], method: str, setting: str | None = None) -> Evidence:
    """R at the end over R after the first iteration, of one method: geometric mean over groups."""
    (R,), said = _counted(results.wide(study, datasets, setting, method, "R"))
    interval = _geometric(_by_group((R.iloc[-1] / R.iloc[0]).apply(np.log)))
    return _evidence(results, study, f"R at the end over R at the start{said}", interval)


def steadiness(results: Results, study: str, datasets: list[str]) -> Evidence:
    """The upward movement of R, Σ max(0, R(t+1) − R(t)): wFRAME less FRAME, paired. A steady fall has 0."""
    curves, said = _counted(*_pairs(results, "R", study, datasets, (None,)))
    frame, wframe = (part.diff().clip(lower=0).sum() for part in curves)
    return _evidence(
        results, study, f"sum of R's rises, wFRAME − FRAME{said}", mean_interval(_by_group(wframe - frame))
    )


def speed(results: Results, study: str, datasets: list[str]) -> Evidence:
    """The iterations until R is half of its start: wFRAME less FRAME, paired. Never counts as T."""
    frame, wframe = (
        ((R.iloc[0] / 2 < R) | R.isna()).cummin().sum() for R in _pairs(results, "R", study, datasets, (None,))
    )
    interval = mean_interval(_by_group(wframe - frame))
    return _evidence(results, study, "iterations until R is halved, wFRAME − FRAME", interval)


def collapses(results: Results, study: str, datasets: list[str], settings: Sequence[str], method: str) -> Evidence:
    """The share of groups whose R ends above twice its start, or that diverge, in at least half of the repeats."""
    shares = [
        _by_group(_collapsed(results.wide(study, datasets, setting, method, "R"))) >= 0.5 for setting in settings
    ]
    interval = share_interval(np.concatenate(shares))
    return _evidence(results, study, f"share of {method}'s groups that collapse", interval)


def recovery(results: Results, study: str, datasets: list[str], settings: Sequence[str]) -> Evidence:
    """The iteration at which wFRAME's R, having risen above its start, is back at it: mean over those groups.

    A group that rises and isn't back by the end counts as T, so this is then a lower bound; a group that never rises
    has nothing to come back from.
    """
    times, never = [], 0
    for setting in settings:
        R = results.wide(study, datasets, setting, "wframe", "R")
        back = {}
        for name, curve in R.items():
            diverged = curve.isna().any()
            if diverged or curve.max() > curve.iloc[0]:
                after = curve[:0] if diverged else curve.loc[curve.idxmax() :]
                returned = after[after <= curve.iloc[0]].index
                never += returned.empty
                back[name] = float(R.index[-1] if returned.empty else returned[0])
        if back:
            times.append(_by_group(pd.Series(back).rename_axis(PAIR)))
    if not times:
        raise NotHere("no group of wFRAME rose above its start")
    said = f" ({never} that never are count as T)" if never else ""
    return _evidence(
        results,
        study,
        f"iteration at which wFRAME's R is back at its start{said}",
        mean_interval(np.concatenate(times)),
    )


def energy_unrest(results: Results, study: str, datasets: list[str], settings: Settings) -> Evidence:
    """The total movement of Φ, Σ|Φ(t+1) − Φ(t)|: log of wFRAME's over FRAME's, paired."""
    curves, said = _counted(*_pairs(results, "energy", study, datasets, settings))
    frame, wframe = (part.diff().abs().sum() for part in curves)
    interval = mean_interval(_by_group((wframe / frame).apply(np.log)))
    return _evidence(results, study, f"log of Φ's total movement, wFRAME over FRAME{said}", interval)


def energy_shape(
    results: Results, study: str, datasets: list[str], method: str = "wframe", setting: str | None = None
) -> Evidence:
    """The share of groups whose Φ falls over the second half of learning towards a little above 0.

    That is: a line through it falls, it is above 0 throughout, and it ends below a quarter of its highest.
    """
    Φ = results.wide(study, datasets, setting, method, "energy")
    half = Φ.iloc[len(Φ) // 2 :]
    falls = [np.polyfit(half.index, curve, 1)[0] < 0 if curve.notna().all() else False for _, curve in half.items()]
    shaped = pd.Series(falls, index=Φ.columns) & (half > 0).all() & (Φ.iloc[-1] <= Φ.max() / 4)
    interval = share_interval(_by_group(shaped) > 0.5)
    return _evidence(results, study, "share of groups whose Φ falls towards a little above 0", interval)


def energy_sign(results: Results, study: str, datasets: list[str]) -> Evidence:
    """Log R at the end of the models whose Φ ends at or below 0, less that of those above.

    Of both methods, in all settings. A diverged model has neither, and isn't counted.
    """
    models = _models(results, study, datasets)
    low = models["energy"] <= 0
    return _apart(results, study, "log R of models with Φ ≤ 0 over those with Φ > 0", np.log(models["R"]), low)


def energy_signal(results: Results, study: str, datasets: list[str]) -> Evidence:
    """Log of Φ's total movement in the models that collapse, less that in those that don't.

    Of both methods, in all settings. A model that diverged has collapsed, and has moved as far as it was measured.
    """
    models = _models(results, study, datasets)
    moved = np.log(models["movement"])
    return _apart(results, study, "log of Φ's movement, models that collapse over others", moved, models["collapsed"])


def _models(results: Results, study: str, datasets: list[str]) -> pd.DataFrame:
    """Return one row per learned model of a study: R and Φ at the end, Φ's total movement, whether it collapsed."""
    results.datasets(study, datasets)  # says what the edition lacks
    entry, rows = results.edition.studies[study], []
    for setting in entry.settings:
        for method in entry.methods:
            R = results.wide(study, datasets, setting, method, "R")
            Φ = results.wide(study, datasets, setting, method, "energy")
            moved = Φ.diff().abs().sum(min_count=1)
            columns = {"R": R.iloc[-1], "energy": Φ.iloc[-1], "movement": moved, "collapsed": _collapsed(R)}
            rows.append(pd.DataFrame(columns))
    return pd.concat(rows)


def _apart(results: Results, study: str, statistic: str, values: pd.Series, which: pd.Series) -> Evidence:
    """Compare the finite values of two kinds of models within each group that has both: the mean difference.

    The models of a group have its nine pictures in common, so groups are what is independent.
    """
    finite = np.isfinite(values)
    levels = ["dataset", "class", "group"]
    ours, base = (values[mask & finite].groupby(level=levels).mean() for mask in (which, ~which))
    difference = (ours - base).dropna()
    if difference.empty:
        raise NotHere(f"{statistic}: no group of study {study!r} has models of both kinds")
    return _evidence(results, study, statistic, mean_interval(difference))


def alike_at_first(results: Results, study: str, datasets: list[str], setting: str | None = None) -> Evidence:
    """The distance between the methods' chains at the first kept iteration from the third on, over that at the last.

    Root-mean-square over pixels, for each run's first group; geometric mean over runs. With θ₀ = 0 and common noise
    the first two iterations are the same by construction.
    """
    found = results.datasets(study, datasets)
    entry = results.edition.studies[study]
    if set(entry.methods) != {"frame", "wframe"}:
        raise NotHere(f"this edition's study {study!r} doesn't run both methods")
    setting = setting or next(iter(entry.settings))
    times = sorted(set(entry.snapshots))
    first = next((place for place, t in enumerate(times) if t >= 3), len(times))
    ratios, files = [], set()
    for run in plan.runs(results.edition, study):
        if run.method == "wframe" and run.dataset in found and run.setting == setting:
            pair = [f"runs/{folder}/0.safetensors" for folder in (run.folder, run.of_method("frame").folder)]
            a, b = (load_file(results.folder / name)["snapshots"].astype(float) for name in pair)
            kept = min(len(a), len(b))
            if kept > first + 1:
                apart = np.sqrt(((a[:kept] - b[:kept]) ** 2).mean((1, 2, 3, 4)))
                ratios.append(np.log(max(apart[first], 0.5) / max(apart[-1], 0.5)))  # half a grey level is alike
                files |= set(pair)
    if not ratios:
        raise NotHere(f"study {study!r} keeps no two snapshots of both methods from the third iteration on")
    statistic = f"distance of the methods' chains at t = {times[first]}, over that at the last snapshot"
    return Evidence(statistic, *_geometric(ratios), "runs", frozenset(files))


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
    if results.edition.compared and results.edition.scores and results.edition.scores.extractor != "inception":
        raise NotHere(f"scored by {results.edition.scores.extractor}: the paper's scores are Inception's")
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
    """Figure 6: R of nine outputs of a baseline trained on a few images, less what the same images allow.

    That is the greater of wFRAME's R and of a perfect memoriser's, whose outputs are drawn from the training images:
    nine draws repeat some and miss others, which isn't collapse. The baseline's outputs are taken in consecutive
    nines, all of one training; R is against the training images (the mean over groups of nine of them).
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
    classes = [entry.class_] if entry.class_ else results.edition.datasets[entry.dataset].classes
    arrays = [f"data/{entry.dataset}/{class_}.npy" for class_ in classes]
    M = results.edition.learning.M
    groups = [np.load(results.folder / name)[: entry.images] for name in arrays]
    # as the groups were learned: consecutive nines of each class
    nines = [pictures[i : i + M] for pictures in groups for i in range(0, len(pictures) - M + 1, M)]
    bank = load_bank(results.folder / "bank.safetensors").to(UNIT)

    def F(pictures: np.ndarray) -> torch.Tensor:
        with torch.inference_mode():
            return responses(bank, bank.pixels(pictures, UNIT)).F

    every = F(np.concatenate(nines))
    target = torch.stack([part.mean(0) for part in every.split(M)])

    def R(nine: torch.Tensor) -> float:
        return float(response_distance(nine.mean(0, keepdim=True).expand_as(target), target).mean())

    drawn = np.random.default_rng(0).integers(len(every), size=(200, M))
    memoriser = float(np.mean([R(every[rows]) for rows in drawn]))
    values = []
    for name in sorted(files):
        images = load_file(results.folder / name)["images"][: 20 * M]
        values += [R(F(images[i : i + M])) for i in range(0, len(images) - M + 1, M)]
    curves = results.curves(study, results.edition.datasets[entry.dataset].stands_for, None, "wframe")
    mine = curves[(curves["dataset"] == entry.dataset) & curves["class"].isin(classes)]
    mine = mine[(mine["iteration"] == mine["iteration"].max()) & (mine["group"] < len(nines) // len(classes))]
    allowed = max(float(mine["R"].mean()), memoriser)
    files |= {results.file(study), "bank.safetensors", *arrays}
    return Evidence(
        f"R of {baseline}'s outputs less {allowed:.3g}, the greater of wFRAME's and a perfect memoriser's",
        *mean_interval(np.asarray(values) - allowed),
        "nines of outputs",
        frozenset(files),
    )


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
        comes_back,
        learned,
        steadiness,
        speed,
        collapses,
        recovery,
        energy_unrest,
        energy_shape,
        energy_sign,
        energy_signal,
        alike_at_first,
        score,
        score_order,
        few_images,
        remark_2,
    )
}
