"""What all figures share: their style, the sheets of pictures, curves with bands, and how a figure is kept."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from safetensors.numpy import load_file

from wframe import config, plan
from wframe.files import written
from wframe.paper.stats import mean_interval

NAMES = {"frame": "FRAME", "wframe": "wFRAME"}
COLOURS = {"frame": "#b3501b", "wframe": "#1f5f8b"}  # apart for all kinds of colour vision, and in grey
LINES: dict[str, Any] = {"frame": (0, (4, 1.5)), "wframe": "solid"}
PAGE = 7.0  # inches: a text block's width
STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "pdf.fonttype": 42,
    "image.interpolation": "nearest",
}


class Figure(NamedTuple):
    """A figure: what it shows in words, and the numbers behind it."""

    name: str
    title: str
    caption: str
    alt: str
    canvas: Canvas
    numbers: pd.DataFrame
    half: bool = False  # takes half of the page's width


class StudyResults(NamedTuple):
    """The results of one study."""

    folder: Path
    edition: config.Edition
    name: str
    curves: pd.DataFrame

    @property
    def study(self) -> config.Study:
        """The study's configuration."""
        return self.edition.studies[self.name]

    def title(self, dataset: str) -> str:
        """A dataset's name for people."""
        return self.edition.datasets[dataset].title or dataset

    def runs(self) -> list[plan.Run]:
        """The study's runs, first repeats only: what pictures are shown of."""
        return [run for run in plan.runs(self.edition, self.name) if run.repeat == 0]

    def pictures(self, run: plan.Run, kind: str = "images") -> np.ndarray:
        """The pictures of a run's first shard: `images` (G, M, H, W, 3) or `snapshots` (S, M, H, W, 3)."""
        return load_file(self.folder / "runs" / run.folder / "0.safetensors")[kind]

    def observed(self, run: plan.Run, group: int) -> np.ndarray:
        """A group's observed pictures (M, H, W, 3)."""
        array = np.load(self.folder / "data" / run.dataset / f"{run.class_}.npy", mmap_mode="r")
        M = self.edition.learning.M
        return array[np.arange(group * M, (group + 1) * M) % len(array)]

    def diverged(self, run: plan.Run, group: int = 0) -> int | None:
        """The iteration in which a group diverged; None if it didn't."""
        c = self.curves
        rows = c[(c["dataset"] == run.dataset) & (c["class"] == run.class_) & (c["setting"] == run.setting)]
        rows = rows[(rows["method"] == run.method) & (rows["repeat"] == run.repeat) & (rows["group"] == group)]
        last = int(rows["diverged"].max())
        return None if last < 0 else last


def save(figure: Figure, folder: Path) -> dict[str, str | bool]:
    """Write a figure's files, without time stamps; return its entry in the index."""
    with written(folder / f"{figure.name}.csv") as part:
        figure.numbers.to_csv(part, index=False, float_format="%.6g")
    with written(folder / f"{figure.name}.pdf") as part:
        figure.canvas.savefig(part, format="pdf", metadata={"CreationDate": None})
    with written(folder / f"{figure.name}.png") as part:
        figure.canvas.savefig(part, format="png", dpi=200, metadata={"Software": None})
    plt.close(figure.canvas)
    return {
        "name": figure.name,
        "title": figure.title,
        "caption": figure.caption,
        "alt": figure.alt,
        "half": figure.half,
    }


def tile(pictures: np.ndarray, columns: int = 3, gap: int = 1) -> np.ndarray:
    """Return pictures (M, H, W, 3) side by side in `columns` columns, with white gaps."""
    M, H, W, _ = pictures.shape
    rows = -(-M // columns)
    sheet = np.full((rows * (H + gap) - gap, columns * (W + gap) - gap, 3), 255, np.uint8)
    for index, picture in enumerate(pictures):
        top, left = (index // columns) * (H + gap), (index % columns) * (W + gap)
        sheet[top : top + H, left : left + W] = picture
    return sheet


def show(axes: Axes, pictures: np.ndarray | None, diverged: int | None = None, columns: int = 3) -> None:
    """Show pictures as a sheet; say so where a run diverged (`diverged` whole iterations after its start)."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    if diverged is not None:
        axes.text(
            0.5, 0.5, f"diverged in\niteration {diverged + 1}", ha="center", va="center", transform=axes.transAxes
        )
        axes.set_facecolor("#eeeeee")
        axes.set_box_aspect(1)
    elif pictures is not None:
        axes.imshow(tile(pictures, columns))
    else:
        axes.set_axis_off()


def bands_of(curves: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Mean of a measure over groups with a 95% t interval: a row per dataset, method, iteration.

    Repeats of a group are averaged first. Groups that have diverged aren't in the mean; `n` counts the others.
    """
    keys = ["dataset", "method", "iteration"]
    by_group = curves.groupby([*keys, "class", "setting", "group"], sort=False)[measure].mean().reset_index()
    rows = []
    for (dataset, method, iteration), part in by_group.groupby(keys, sort=False):
        mean, low, high, n = mean_interval(part[measure])
        rows.append((dataset, method, iteration, mean, low, high, n))
    return pd.DataFrame(rows, columns=["dataset", "method", "iteration", "mean", "low", "high", "n"])


def draw_bands(axes: Axes, bands: pd.DataFrame) -> None:
    """Draw each method's mean with its band."""
    for method in bands["method"].unique():
        part = bands[bands["method"] == method]
        most, left = part["n"].max(), part["n"].iloc[-1]
        label = f"{NAMES[method]} (n = {left}" + (f" of {most}, others diverged)" if left < most else ")")
        axes.plot(
            part["iteration"],
            part["mean"],
            label=label,
            color=COLOURS[method],
            linestyle=LINES[method],
            linewidth=1.2,
        )
        axes.fill_between(part["iteration"], part["low"], part["high"], color=COLOURS[method], alpha=0.2, lw=0)
    axes.set_xlabel("learning iteration t")


def log_if_wide(axes: Axes, values: pd.Series) -> None:
    """Use a logarithmic axis where values span more than a decade and a half."""
    values = values[np.isfinite(values) & (values > 0)]
    if len(values) and values.max() > 30 * values.min():
        axes.set_yscale("log")


def energy_scale(axes: Axes, values: pd.Series) -> None:
    """Mark Φ = 0; where a collapse would flatten all else, use a scale that is linear near 0, logarithmic beyond."""
    axes.axhline(0, color="black", linewidth=0.5)
    values = values[np.isfinite(values)]
    if (largest := values.abs().max()) > 1e5:
        axes.set_yscale("symlog", linthresh=1e3)
        decade = int(np.log10(largest))
        ends = [10.0**decade, 10.0 ** (decade // 2 + 1)]
        axes.set_yticks([*(-end for end in ends), 0, *ends], minor=False)
        axes.minorticks_off()
        axes.set_ylim(min(-1e3, 2 * values.min()), max(1e3, 2 * values.max()))


def draw_curves(
    results: StudyResults, measure: str, label: str, datasets: Sequence[str] | None = None
) -> tuple[Canvas, pd.DataFrame]:
    """One panel per dataset with both methods' curves."""
    bands = bands_of(results.curves, measure)
    datasets = datasets or list(results.study.datasets)
    columns = min(3, len(datasets))
    rows = -(-len(datasets) // columns)
    canvas, grid = plt.subplots(rows, columns, figsize=(PAGE, 2.3 * rows), squeeze=False)
    for axes, dataset in zip(grid.flat, datasets, strict=False):
        part = bands[bands["dataset"] == dataset]
        draw_bands(axes, part)
        axes.set_title(textwrap.fill(results.title(dataset), 78 // columns))
        if measure == "R":
            log_if_wide(axes, part["mean"])
        else:
            energy_scale(axes, part["mean"])
        axes.legend(fontsize=7)
    for axes in list(grid.flat)[len(datasets) :]:
        axes.set_axis_off()
    grid[0, 0].set_ylabel(label)
    return canvas, bands[bands["dataset"].isin(datasets)]


def strips(results: StudyResults, runs: list[plan.Run], name: str, title: str, measure: str) -> Figure:
    """A row of snapshots per method, and beside them the curves of a measure for every group."""
    times = [t for t in sorted(set(results.study.snapshots)) if t <= results.curves["iteration"].max()]
    columns = max(1, len(times))
    canvas = plt.figure(figsize=(PAGE, 0.85 * len(runs) + 0.25))
    grid = canvas.add_gridspec(len(runs), columns + 1, width_ratios=[1] * columns + [2.6])
    curve_axes = canvas.add_subplot(grid[:, -1])
    keys = ["dataset", "class", "setting"]
    first = runs[0]
    curves = results.curves
    for key, value in zip(keys, (first.dataset, first.class_, first.setting), strict=True):
        curves = curves[curves[key] == value]
    for row, run in enumerate(runs):
        pictures, gone = results.pictures(run, "snapshots"), results.diverged(run)
        for column, t in enumerate(times):
            axes = canvas.add_subplot(grid[row, column])
            lost = gone is not None and t > gone
            show(axes, pictures[column] if column < len(pictures) else None, gone if lost else None)
            if row == 0:
                axes.set_title(f"t = {t}")
            if column == 0:
                axes.set_ylabel(NAMES[run.method])
        mine = curves[curves["method"] == run.method]
        for _, part in mine.groupby(["repeat", "group"]):
            curve_axes.plot(
                part["iteration"],
                part[measure],
                color=COLOURS[run.method],
                lw=0.6,
                alpha=0.5,
                linestyle=LINES[run.method],
            )
        mean = mine.groupby("iteration")[measure].mean()
        curve_axes.plot(
            mean.index, mean, color=COLOURS[run.method], lw=1.4, label=NAMES[run.method], linestyle=LINES[run.method]
        )
    curve_axes.set_xlabel("learning iteration t")
    curve_axes.set_title("response distance R" if measure == "R" else "energy Φ(x; θ)")
    if measure == "R":
        log_if_wide(curve_axes, curves["R"])
    else:
        energy_scale(curve_axes, curves["energy"])
    curve_axes.legend(fontsize=7)
    return Figure(
        name,
        title,
        "The first group's chains after t learning iterations; thin lines are groups, thick lines their mean.",
        f"{title}: {_story(curves, runs)}",
        canvas,
        curves[["dataset", "class", "setting", "method", "repeat", "group", "iteration", "R", "energy"]],
    )


def _story(curves: pd.DataFrame, runs: list[plan.Run]) -> str:
    """What happened to R, in words."""
    parts = []
    for run in runs:
        R = curves[curves["method"] == run.method].groupby("iteration")["R"].mean().dropna()
        if len(R):
            parts.append(
                f"{NAMES[run.method]}'s R starts at {R.iloc[0]:.3g}, peaks at {R.max():.3g}, ends at {R.iloc[-1]:.3g}"
            )
        else:
            parts.append(f"{NAMES[run.method]} diverges at once")
    return "; ".join(parts) + "."
