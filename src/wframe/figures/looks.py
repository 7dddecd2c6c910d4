"""The figure of what each setting of a study does to the images, by measures that aren't R (see `wframe looks`)."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from wframe.config.learning import METHODS
from wframe.figures.canvas import DATASETS, PAGE, Figure, joined
from wframe.results.statistics import LEVEL, Estimate, around, median
from wframe.results.store import Store
from wframe.results.text import number
from wframe.scores.jackknife import jackknife_error

GROUP = ["dataset", "class", "group"]
SCORE = "log_score"
TITLES = {
    "nearest": "distance to the nearest of the nine (grey levels)",
    "structure": "structure (SSIM to the nearest of the nine)",
    "noise": "noise (log power of high frequencies)",
    "spectrum": "distortion (|log power|, all frequencies)",
    SCORE: "log of the classifier's score",
}


def looks(store: Store, study: str) -> Iterator[Figure]:
    """Draw each measure under each setting, and list what each change alone does to it."""
    entry, table = store.study(study), store.measurement(f"looks/{study}").astype({"dataset": str, "class": str})
    names, measures = list(entry.points), [measure for measure in TITLES if measure in table]
    for method in entry.methods:
        of = {str(name): rows.set_index(GROUP) for name, rows in table[table["method"] == method].groupby("setting")}
        canvas, grid = plt.subplots(
            -(-len(measures) // 2), 2, figsize=(PAGE, 2 * -(-len(measures) // 2)), squeeze=False
        )
        for axes, measure in zip(grid.flat, measures, strict=False):
            _panel(axes, of, measure, names, entry.datasets)
        if SCORE in table:
            real = table.loc[table["method"] == "observed", SCORE].iloc[0]
            grid.flat[len(measures) - 1].axhline(real, color="black", lw=0.8, ls=":")
        _legend(canvas, [store.title(name) for name in entry.datasets], real_images=SCORE in table)
        for axes in grid.flat[len(measures) :]:
            axes.set_axis_off()
        numbers = pd.DataFrame([_row(of, measure, names, k) for measure in measures for k in range(len(names))])
        yield Figure(
            joined("looks", method),
            f"The images from {names[0]} to {names[-1]}, by measures that aren't R ({METHODS[method]})",
            f"Thin lines are groups ({len(of[names[0]])} in all), the thick one is their median with its 95% interval. "
            "No measure knows the filter bank. The score, if there is one, is that of all groups' images in one split, "
            "with the jackknife's interval over groups; dotted: the real images'. A group that diverged counts with "
            "the images that it had before.",
            "; ".join(f"{row.measure} under {row.setting} {number(row.value)}" for row in numbers.itertuples()) + ".",
            canvas,
            numbers,
        )


def _legend(canvas: Canvas, titles: list[str], real_images: bool) -> None:
    """Say below the panels what the lines are."""
    handles: list[Artist] = [
        Line2D([], [], color=shade, lw=1, label=f"a group of {title}")
        for shade, title in zip(DATASETS * len(titles), titles, strict=False)
    ]
    handles.append(Line2D([], [], color="black", lw=1.6, marker="|", ms=8, label="median of the groups, 95% interval"))
    if real_images:
        handles.append(Line2D([], [], color="black", lw=0.8, ls=":", label="score of the real images"))
    canvas.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=7)


def _panel(axes: Axes, of: dict[str, pd.DataFrame], measure: str, names: list[str], datasets: list[str]) -> None:
    """Draw a measure under each setting: a line for each group, and the median of all."""
    if measure != SCORE:
        values = pd.DataFrame({name: of[name][measure] for name in names})
        for shade, dataset in zip(DATASETS * len(datasets), datasets, strict=False):
            axes.plot(names, values.loc[[dataset]].T, color=shade, lw=0.5, alpha=0.5)
    every = [_estimate(of, measure, name) for name in names]
    middle = np.array([estimate.value for estimate in every])
    bounds = np.array([estimate.interval(LEVEL) for estimate in every])
    errors = np.abs(np.where(np.isfinite(bounds), bounds, middle[:, None]) - middle[:, None]).T
    axes.errorbar(names, middle, errors, color="black", lw=1.6, elinewidth=0.8, capsize=2)
    axes.set_title(TITLES[measure], fontsize=7)
    axes.tick_params(labelsize=6)
    axes.tick_params(axis="x", rotation=25)


def _estimate(of: dict[str, pd.DataFrame], measure: str, name: str, before: str | None = None) -> Estimate:
    """Return a measure under a setting, or its change from that under the setting `before`, over groups."""
    columns = [SCORE, "log_score_without"] if measure == SCORE else [measure]
    values = of[name][columns] - (of[before][columns] if before else 0.0)
    if measure == SCORE:
        return around(values[SCORE].iloc[0], jackknife_error(values["log_score_without"]), len(values))
    return median(values[measure])


def _row(of: dict[str, pd.DataFrame], measure: str, names: list[str], k: int) -> dict:
    """Return a measure under the k-th setting, and its change from the setting before and from the first."""
    value = _estimate(of, measure, names[k]).value
    row: dict = {"measure": measure, "setting": names[k], "groups": len(of[names[k]]), "value": value}
    for title, before in (("change", names[max(k - 1, 0)]), ("from_first", names[0])):
        estimate = _estimate(of, measure, names[k], before)
        low, high = estimate.interval(LEVEL) if k else (0.0, 0.0)
        row |= {title: estimate.value, f"{title}_low": low, f"{title}_high": high}
    return row
