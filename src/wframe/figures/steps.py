"""The figures of a study whose settings build on one another: what each change does to R, and where it comes from."""

from collections.abc import Iterator
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from wframe.config.learning import METHODS
from wframe.figures.canvas import DATASETS, PAGE, Figure, joined, show
from wframe.results.curves import by_group, per_group
from wframe.results.outcomes import log_ratio, lost
from wframe.results.statistics import LEVEL, Estimate, median
from wframe.results.store import Store
from wframe.results.text import number, symbol


def waterfall(store: Store, study: str) -> Iterator[Figure]:
    """Draw R at the end under each setting over that under the first, and what each change alone does to it."""
    entry = store.study(study)
    names = list(entry.points)
    for method in entry.methods:
        learned = {name: _learned(store, study, name, method) for name in names}
        from_first = {name: log_ratio(learned[names[0]], learned[name]) for name in names}
        canvas, axes = plt.subplots(figsize=(PAGE, 3.2))
        for shade, dataset in zip(DATASETS * len(entry.datasets), entry.datasets, strict=False):
            mine = pd.DataFrame(
                {name: log[log.index.get_level_values("dataset") == dataset] for name, log in from_first.items()}
            )
            axes.plot(range(len(names)), np.exp(mine.T), color=shade, lw=0.6, alpha=0.6)
        middle = [np.exp(median(per_group(from_first[name])).value) for name in names]
        axes.step(range(len(names)), middle, where="mid", color="black", lw=2)
        rows = [_row(names[0], learned, None)]
        for place, (before, name) in enumerate(pairwise(names)):
            change = median(per_group(log_ratio(learned[before], learned[name]))).map(lambda log: float(np.exp(log)))
            rows.append(_row(name, learned, change))
            axes.annotate(
                _with_interval(change),
                (place + 0.5, 1),
                xycoords=("data", "axes fraction"),
                ha="center",
                va="bottom",
                fontsize=6,
            )
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}")
        axes.tick_params(axis="y", which="both", labelsize=6)
        axes.set_xticks(range(len(names)), [_tick(store, study, names, k) for k in range(len(names))], fontsize=7)
        axes.set_ylabel(f"R / R({names[0]}), at the end")
        axes.set_title("numbers: median paired ratio of each change, with its 95% interval", fontsize=7, pad=22)
        handles = [
            Line2D([], [], color=c, lw=2, label=f"a group of {store.title(d)}")
            for c, d in zip(DATASETS, entry.datasets, strict=False)
        ]
        middle_line = Line2D([], [], color="black", lw=2, label=f"median of R / R({names[0]})")
        axes.legend(handles=[*handles, middle_line], fontsize=6)
        numbers = pd.DataFrame(rows)
        yield Figure(
            joined("steps", method),
            f"R from {names[0]} to {names[-1]}, one change at a time ({METHODS[method]})",
            f"Thin lines are groups ({numbers['groups'].max()} in all), the thick line is their median. Above: what "
            "each change does to R, as the median over groups of the ratio, with its 95% interval (sign test). An R "
            "counts at most as twice its start, and that of a group that collapses or diverges as exactly that.",
            "; ".join(_in_words(row) for row in rows) + ".",
            canvas,
            numbers,
        )


def samples(store: Store, study: str) -> Iterator[Figure]:
    """Draw a group of each dataset, observed and synthesised under each setting: what the changes look like."""
    entry = store.study(study)
    names, method = list(entry.points), entry.methods[-1]
    columns = len(names) + 1
    canvas, grid = plt.subplots(
        len(entry.datasets), columns, figsize=(PAGE, PAGE / columns * len(entry.datasets) + 0.3), squeeze=False
    )
    for line, dataset in zip(grid, entry.datasets, strict=True):
        runs = [store.run(study, dataset, method, name) for name in names]
        show(line[0], store.observed(runs[0], 0))
        line[0].set_ylabel(store.title(dataset), fontsize=6)
        for axes, run in zip(line[1:], runs, strict=True):
            show(axes, store.images(run)[0], store.diverged(run))
    for axes, name in zip(grid[0], ["observed", *names], strict=True):
        axes.set_title(name, fontsize=6)
    yield Figure(
        "samples",
        "Samples under each setting",
        f"The first group of each dataset: observed, and {METHODS[method]}'s chains after the last iteration.",
        f"Sheets of images of {', '.join(map(store.title, entry.datasets))} under {', '.join(names)}.",
        canvas,
        pd.DataFrame({"setting": names}),
    )


def _learned(store: Store, study: str, setting: str, method: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return R and Φ of one setting, iterations × groups of all the study's datasets."""
    curves = store.curves(study, store.study(study).datasets, setting, method)
    return by_group(curves, "R"), by_group(curves, "energy")


def _tick(store: Store, study: str, names: list[str], k: int) -> str:
    """Return a setting's name, and under it the constants that differ from the setting before."""
    if k == 0:
        return names[0]
    dataset = store.study(study).datasets[0]
    before, now = (
        store.edition.constants(study, dataset, names[at], "wframe").model_dump(by_alias=True) for at in (k - 1, k)
    )
    differ = [symbol(constant) for constant in now if now[constant] != before[constant]]
    return names[k] + "\n" + ", ".join(differ)


def _row(name: str, learned: dict[str, tuple[pd.DataFrame, pd.DataFrame]], change: Estimate | None) -> dict:
    """Return a setting's numbers: R over that of the setting before and of the first, and how many groups it loses."""
    first = next(iter(learned))
    whole = median(per_group(log_ratio(learned[first], learned[name]))).map(lambda log: float(np.exp(log)))
    row: dict = {"setting": name, "groups": whole.n, "lost": float(lost(*learned[name]).astype(float).sum())}
    for title, estimate in (("change", change), ("from_first", whole)):
        low, high = estimate.interval(LEVEL) if estimate and estimate.n >= estimate.fewest else (np.nan, np.nan)
        row |= {title: estimate.value if estimate else np.nan, f"{title}_low": low, f"{title}_high": high}
    return row


def _with_interval(estimate: Estimate) -> str:
    """Return a ratio and, where there are enough groups for one, its interval on a second line."""
    if estimate.n < estimate.fewest:
        return f"× {number(estimate.value)}"
    low, high = estimate.interval(LEVEL)
    return f"× {number(estimate.value)}\n({number(low)} to {number(high)})"


def _in_words(row: dict) -> str:
    """Return a row for the alt text."""
    if np.isnan(row["change"]):
        return f"{row['setting']}: the start"
    return f"{row['setting']}: R times {number(row['change'])}, {number(row['from_first'])} of the first in all"
