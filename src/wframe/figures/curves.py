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
from wframe.results.curves import over_repeats
from wframe.results.outcomes import worst_once_diverged
from wframe.results.statistics import LEVEL, SMALLEST_N, median
from wframe.results.store import Store
from wframe.results.text import symbol

KEPT = "-kept"  # the ending of a setting with `before: kept`, beside the one as printed
LINEAR = 1e3  # energies up to this are on a linear part of the axis, where there are much larger ones
BAND = f"The band is the sign test's 95% interval; with fewer than {SMALLEST_N} groups, each is a thin line instead."
MEDIANS = "A group that diverges counts as infinite from then on."
WITHOUT = "A group that diverges is left out from then on"
SYMLOG = f"The axis of the energy is linear between ±{LINEAR:,.0f} and logarithmic beyond (symlog)."


def groups_of(curves: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return R or Φ of each group, iterations × groups: the median over its repeats.

    Once R or Φ isn't finite, a group has diverged for good: its R is infinite, and Φ, which has no worst value, is NaN.
    """
    models = ["dataset", "class", "setting", "repeat", "group"]
    R, energy = (curves.pivot(index="iteration", columns=models, values=name) for name in ("R", "energy"))
    worst = worst_once_diverged(R, energy)
    return over_repeats(worst if measure == "R" else energy.where(worst.lt(np.inf)))


def band(groups: pd.DataFrame) -> pd.DataFrame:
    """Return the median over groups with the sign test's 95% interval, which takes six, a row for each iteration.

    `n` counts the groups that haven't diverged yet, of `groups`.
    """
    rows = []
    for iteration, values in groups.iterrows():
        here = median(values.dropna())
        low, high = here.interval(LEVEL) if here.n >= SMALLEST_N else (np.nan, np.nan)
        rows.append((iteration, here.value, low, high, int(np.isfinite(values).sum()), len(values)))
    return pd.DataFrame(rows, columns=["iteration", "median", "low", "high", "n", "groups"])


def lost_of(groups: pd.DataFrame) -> str:
    """Return how many groups diverged, for a legend; nothing where none did."""
    gone = int((~np.isfinite(groups.iloc[-1])).sum())
    return f"{gone} of {groups.shape[1]} diverged" if gone else ""


def draw_band(axes: Axes, groups: pd.DataFrame, method: str) -> pd.DataFrame:
    """Draw a method's median over groups with its interval, or with each of a few groups; return the numbers."""
    drawn = band(groups)
    style: dict[str, Any] = {"color": COLOURS[method], "linestyle": LINES[method]}
    label = f"{METHODS[method]} ({lost_of(groups) or f'n = {groups.shape[1]}'})"
    axes.plot(drawn["iteration"], drawn["median"], label=label, linewidth=1.3, **style)
    if drawn["low"].notna().any():
        high = drawn["high"].replace(np.inf, 1e30)  # beyond the panel
        axes.fill_between(drawn["iteration"], drawn["low"], high, color=COLOURS[method], alpha=0.2, lw=0)
    else:
        axes.plot(groups.index, groups, linewidth=0.6, alpha=0.5, **style)
    axes.set_xlabel("learning iteration t")
    return drawn


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
        axes.set_yscale("symlog", linthresh=LINEAR)
        decade = int(np.log10(largest))
        ends = [10.0**decade, 10.0 ** (decade // 2 + 1)]
        axes.set_yticks([*(-end for end in ends), 0, *ends], minor=False)
        axes.minorticks_off()
        axes.set_ylim(min(-LINEAR, 2 * values.min()), max(LINEAR, 2 * values.max()))


def about_energy(canvas: Canvas, diverged: bool) -> str:
    """Return what a caption says of the energy's curves: what becomes of groups that diverge, and of the axis."""
    counted = f"{WITHOUT}; the legend counts them." if diverged else f"{WITHOUT}."
    return counted + (f" {SYMLOG}" if any(axes.get_yscale() == "symlog" for axes in canvas.axes) else "")


def draw_curves(
    store: Store, study: str, measure: str, label: str, datasets: Sequence[str] | None = None
) -> tuple[Canvas, pd.DataFrame]:
    """Draw one panel per dataset with both methods' curves; return the drawing and its numbers."""
    curves = store.all_curves(study)
    datasets = datasets or list(store.study(study).datasets)
    columns = min(3, len(datasets))
    rows = -(-len(datasets) // columns)
    canvas, grid = plt.subplots(rows, columns, figsize=(PAGE, 2.3 * rows), squeeze=False)
    numbers = []
    for axes, dataset in zip(grid.flat, datasets, strict=False):
        groups = {
            method: groups_of(curves[(curves["dataset"] == dataset) & (curves["method"] == method)], measure)
            for method in store.study(study).methods
        }
        every = pd.Series(np.concatenate([part.to_numpy().ravel() for part in groups.values()]))
        if measure == "R":
            log_if_wide(axes, every)
        else:
            energy_scale(axes, every)
        for method, part in groups.items():
            numbers.append(draw_band(axes, part, method).assign(dataset=dataset, method=method))
        if np.isinf(pd.concat(numbers[-len(groups) :])["high"]).any():
            axes.set_ylim(top=1.2 * every[np.isfinite(every)].max())
        axes.legend(fontsize=7)
    scales = [axes.get_yscale() for axes in grid.flat[: len(datasets)]]
    for axes, dataset, scale in zip(grid.flat, datasets, scales, strict=False):
        which = f" ({scale} scale)" if len(set(scales)) > 1 else ""  # said where the panels' differ
        axes.set_title(plain(textwrap.fill(store.title(dataset) + which, 78 // columns)))
    for axes in list(grid.flat)[len(datasets) :]:
        axes.set_axis_off()
    grid[0, 0].set_ylabel(label)
    return canvas, pd.concat(numbers)[["dataset", "method", "iteration", "median", "low", "high", "n", "groups"]]


def strips(store: Store, study: str, runs: list[Run], name: str, title: str, measure: str) -> Figure:
    """Draw a row of snapshots per method, and beside them the curves of a measure for every group."""
    times = store.edition.snapshots(study, runs[0].dataset, runs[0].setting)
    columns = max(1, len(times))
    canvas = plt.figure(figsize=(PAGE, 0.85 * len(runs) + 0.4))
    grid = canvas.add_gridspec(len(runs), columns + 1, width_ratios=[1] * columns + [2.6])
    curve_axes = canvas.add_subplot(grid[:, -1])
    curves, any_lost = pd.concat([curves_of(store, run) for run in runs]), False
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
                axes.set_ylabel(label_of(run).replace(" ", "\n"))
        groups = groups_of(curves_of(store, run), measure)
        any_lost |= bool(lost_of(groups))
        if groups.shape[1] > 1:
            curve_axes.plot(groups.index, groups, lw=0.6, alpha=0.5, **style)
        label = ", ".join(filter(None, (label_of(run), lost_of(groups))))
        curve_axes.plot(groups.index, band(groups)["median"], lw=1.4, label=label, **style)
    curve_axes.set_xlabel("learning iteration t")
    curve_axes.set_title("response distance R" if measure == "R" else "energy Φ(x; θ)")
    if measure == "R":
        log_if_wide(curve_axes, curves["R"])
    else:
        energy_scale(curve_axes, curves["energy"])
    canvas.legend(loc="outside lower right", ncols=len(runs), fontsize=7)  # below: in the panel it covers a curve
    return Figure(
        name,
        title,
        "The first group's images after t learning iterations. Thin lines are groups, thick lines their median. "
        + (MEDIANS if measure == "R" else about_energy(canvas, any_lost)),
        f"{title}: {_story(store, runs)}",
        canvas,
        curves[["dataset", "class", "setting", "method", "repeat", "group", "iteration", "R", "energy"]],
    )


def curves_of(store: Store, run: Run) -> pd.DataFrame:
    """Return the curves of a run and its repeats."""
    rows = store.curves(run.study, [run.dataset], run.setting, run.method)
    return rows[rows["class"] == run.class_]


def changes(store: Store, study: str, setting: str) -> str:
    """Return the constants that a setting changes, as "λ = 0.015, δ = 0.35"; nothing if it changes none."""
    changed = store.study(study).points[setting].model_dump(by_alias=True, exclude_unset=True)
    return ", ".join(f"{symbol(name)} = {value}" for name, value in changed.items())


def is_kept(run: Run) -> bool:
    """Whether a run is of a setting with the delayed penalty, beside the one as printed."""
    return run.setting.endswith(KEPT)


def label_of(run: Run) -> str:
    """Return what a run is called in a figure."""
    return METHODS[run.method] + (", delayed penalty" if is_kept(run) and run.method == "wframe" else "")


def _story(store: Store, runs: list[Run]) -> str:
    """Describe how R developed, in words."""
    parts = []
    for run in runs:
        R = band(groups_of(curves_of(store, run), "R"))["median"]
        known = R[np.isfinite(R)]
        if len(known):
            how = f"starts at {R.iloc[0]:.3g}, peaks at {R.max():.3g}, ends at {R.iloc[-1]:.3g}".replace("inf", "∞")
            parts.append(f"R of {label_of(run)} {how}")
        else:
            parts.append(f"{label_of(run)} diverges at once")
    return "; ".join(parts) + "."
