"""The figures of a study that compares settings."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from wframe.config.learning import METHODS
from wframe.figures.canvas import COLOURS, LINES, PAGE, Figure, joined
from wframe.figures.curves import MEDIANS, changes, strips
from wframe.figures.film import film
from wframe.results.curves import by_group, over_repeats
from wframe.results.gain import LIMITS, gains, prediction
from wframe.results.outcomes import COLLAPSES_ABOVE, LEARNS_BELOW, describe, worst_once_diverged
from wframe.results.store import Store

GAIN = (  # what the legend's g is
    "g = λβe/D is the gain of the penalty's own step of θ: e is the largest eigenvalue of a group's mean JJᵀ (J: the "
    "derivatives of the filters' responses with respect to the image), D the number of values of an image."
)


def overview(store: Store, study: str) -> Iterator[Figure]:
    """Draw R under each setting, relative to its start: which settings learn, stall, collapse or diverge."""
    measured = gains(store, study)
    for dataset in store.study(study).datasets:
        yield _overview_of(store, study, dataset, measured[measured["dataset"] == dataset])


def _overview_of(store: Store, study: str, dataset: str, measured: pd.DataFrame) -> Figure:
    """Draw one dataset's R under each setting; `measured` are the gains of its groups."""
    curves = store.all_curves(study)[store.all_curves(study)["dataset"] == dataset]
    settings = list(store.study(study).points)
    canvas, panels = _panels(settings)
    parts, numbers = [], []
    for axes, setting in zip(panels, settings, strict=True):
        for method in store.study(study).methods:
            mine = curves[(curves["setting"] == setting) & (curves["method"] == method)]
            gain = measured[measured["setting"] == setting] if method == "wframe" else measured[:0]
            outcome = describe(by_group(mine, "R"), by_group(mine, "energy"))
            label = f"{METHODS[method]}: " + outcome.replace(", ", ",\n") + _mark(gain)
            middle = _draw_relative(axes, mine, method, label)
            parts.append(f"{METHODS[method]} under {setting} {outcome}")
            numbers.append(middle.rename("R_relative").reset_index().assign(setting=setting, method=method))
        axes.set_yscale("log")
        axes.set_ylim(0.05, 50)  # curves that blow up run off the panel, so that stalling ones stay visible
        axes.set_xlim(0, curves["iteration"].max())
        axes.axhline(1, color="black", lw=0.4)
        axes.legend(fontsize=6, loc="lower left")  # curves start at 1
    return Figure(
        joined("overview", dataset),
        f"{store.title(dataset)}: R under each setting",
        f"R relative to its start; thin lines are groups, thick lines their median. A final value below "
        f"{LEARNS_BELOW:g} counts as learning, above {COLLAPSES_ABOVE:g} as collapse, in between as stalling. "
        f"{MEDIANS} Curves that blow up run off the panel."
        + (f" {GAIN} In these groups: {prediction(measured)}." if len(measured) else ""),
        "; ".join(parts) + ".",
        canvas,
        pd.concat(numbers),
    )


def _panels(titles: list[str]) -> tuple[Canvas, list[Axes]]:
    """Return a canvas and a panel for each title, at most four in a row, with the axes named at the edges."""
    columns = min(4, len(titles))
    rows = -(-len(titles) // columns)
    canvas, grid = plt.subplots(rows, columns, figsize=(PAGE, 1.9 * rows + 0.2), squeeze=False, sharey=True)
    panels = list(grid.flat)
    for axes, title in zip(panels, titles, strict=False):
        axes.set_title(title)
    for axes in panels[len(titles) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set_ylabel("R / R at the start")
    for axes in grid[-1]:
        axes.set_xlabel("learning iteration t")
    return canvas, panels[: len(titles)]


def _draw_relative(axes: Axes, curves: pd.DataFrame, method: str, label: str) -> pd.Series:
    """Draw the groups' R relative to its start, and their median; return the median of each iteration."""
    worst = over_repeats(worst_once_diverged(by_group(curves, "R"), by_group(curves, "energy")))
    relative = (worst / worst.iloc[0]).fillna(np.inf)  # ∞/∞: diverged at once
    middle = relative.median(axis=1)
    style = {"color": COLOURS[method], "linestyle": LINES[method]}
    axes.plot(relative.index, relative, lw=0.5, alpha=0.5, **style)
    axes.plot(relative.index, middle, lw=1.3, label=label, **style)
    return middle


def _mark(gain: pd.DataFrame) -> str:
    """Return the median gain of a setting's groups beside its limit; nothing where it wasn't measured."""
    if gain.empty:
        return ""
    g, limit = gain["gain"].median(), LIMITS[gain["before"].iloc[0]]
    return f"\ng = {g:.2g} {'>' if g > limit else '<'} {limit:.3g}"


def evolution(store: Store, study: str) -> Iterator[Figure]:
    """Draw the chains' evolution and R under each setting (the paper's Figure 3: the collapse study)."""
    for dataset in store.study(study).datasets:
        class_ = store.edition.datasets[dataset].classes[0]
        for setting in store.study(study).points:
            runs = [
                run for run in store.runs(study) if (run.dataset, run.class_, run.setting) == (dataset, class_, setting)
            ]
            title = f"{setting}: " + (changes(store, study, setting) or "the dataset's own constants")
            name = joined(dataset, setting)
            yield strips(store, study, runs, name, title, "R")._replace(film=film(store, runs))
