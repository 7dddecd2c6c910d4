"""Curves with confidence bands, and strips of snapshots with a curve beside them."""

import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from wframe.config.learning import METHODS
from wframe.figures.canvas import COLOURS, LINES, PAGE, Figure, plain, show
from wframe.jobs.runs import Run
from wframe.results.statistics import mean_interval
from wframe.results.store import Store

KEPT = "-kept"  # the ending of a setting with `before: kept`, beside the one as printed


def bands_of(curves: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return the mean of a measure over groups with a 95% t interval: a row per dataset, method, iteration.

    Repeats of a group are averaged first. Diverged groups aren't in the mean; `n` counts the others.
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
        label = f"{METHODS[method]} (n = {left}" + (f" of {most}, others diverged)" if left < most else ")")
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
    """Use a logarithmic axis if the values span more than a decade and a half."""
    values = values[np.isfinite(values) & (values > 0)]
    if len(values) and values.max() > 30 * values.min():
        axes.set_yscale("log")


def energy_scale(axes: Axes, values: pd.Series) -> None:
    """Mark Φ = 0; if a collapse would flatten all other curves, use a scale that is linear near 0, else logarithmic."""
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
    store: Store, study: str, measure: str, label: str, datasets: Sequence[str] | None = None
) -> tuple[Canvas, pd.DataFrame]:
    """Draw one panel per dataset with both methods' curves; return the drawing and its numbers."""
    bands = bands_of(store.all_curves(study), measure)
    datasets = datasets or list(store.study(study).datasets)
    columns = min(3, len(datasets))
    rows = -(-len(datasets) // columns)
    canvas, grid = plt.subplots(rows, columns, figsize=(PAGE, 2.3 * rows), squeeze=False)
    for axes, dataset in zip(grid.flat, datasets, strict=False):
        part = bands[bands["dataset"] == dataset]
        draw_bands(axes, part)
        axes.set_title(plain(textwrap.fill(store.title(dataset), 78 // columns)))
        if measure == "R":
            log_if_wide(axes, part["mean"])
        else:
            energy_scale(axes, part["mean"])
        axes.legend(fontsize=7)
    for axes in list(grid.flat)[len(datasets) :]:
        axes.set_axis_off()
    grid[0, 0].set_ylabel(label)
    return canvas, bands[bands["dataset"].isin(datasets)]


def strips(store: Store, study: str, runs: list[Run], name: str, title: str, measure: str) -> Figure:
    """Draw a row of snapshots per method, and beside them the curves of a measure for every group."""
    times = [t for t in sorted(set(store.study(study).snapshots)) if t <= store.all_curves(study)["iteration"].max()]
    columns = max(1, len(times))
    canvas = plt.figure(figsize=(PAGE, 0.85 * len(runs) + 0.25))
    grid = canvas.add_gridspec(len(runs), columns + 1, width_ratios=[1] * columns + [2.6])
    curve_axes = canvas.add_subplot(grid[:, -1])
    curves = pd.concat([curves_of(store, run) for run in runs])
    for row, run in enumerate(runs):
        style: dict[str, Any] = {"color": COLOURS[run.method], "linestyle": ":" if is_kept(run) else LINES[run.method]}
        snapshots, diverged = store.images(run, "snapshots"), store.diverged(run)
        for column, t in enumerate(times):
            axes = canvas.add_subplot(grid[row, column])
            lost = diverged is not None and t > diverged
            show(axes, snapshots[column] if column < len(snapshots) else None, diverged if lost else None)
            if row == 0:
                axes.set_title(f"t = {t}")
            if column == 0:
                axes.set_ylabel(label_of(run).replace(", ", ",\n"))
        mine = curves_of(store, run)
        for _, part in mine.groupby(["repeat", "group"]):
            curve_axes.plot(part["iteration"], part[measure], lw=0.6, alpha=0.5, **style)
        mean = mine.groupby("iteration")[measure].mean()
        curve_axes.plot(mean.index, mean, lw=1.4, label=label_of(run), **style)
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
        "The first group's chains after t learning iterations. Thin lines are groups, thick lines their mean.",
        f"{title}: {_story(store, runs)}",
        canvas,
        curves[["dataset", "class", "setting", "method", "repeat", "group", "iteration", "R", "energy"]],
    )


def curves_of(store: Store, run: Run) -> pd.DataFrame:
    """Return the curves of a run and its repeats."""
    rows = store.curves(run.study, [run.dataset], run.setting, run.method)
    return rows[rows["class"] == run.class_]


def is_kept(run: Run) -> bool:
    """Whether a run is of a setting with the delayed penalty, beside the one as printed."""
    return run.setting.endswith(KEPT)


def label_of(run: Run) -> str:
    """Return what a run is called in a figure."""
    return METHODS[run.method] + (", delayed penalty" if is_kept(run) else "")


def _story(store: Store, runs: list[Run]) -> str:
    """Describe how R developed, in words."""
    parts = []
    for run in runs:
        R = curves_of(store, run).groupby("iteration")["R"].mean().dropna()
        if len(R):
            how = f"starts at {R.iloc[0]:.3g}, peaks at {R.max():.3g}, ends at {R.iloc[-1]:.3g}"
            parts.append(f"R of {label_of(run)} {how}")
        else:
            parts.append(f"{label_of(run)} diverges at once")
    return "; ".join(parts) + "."
