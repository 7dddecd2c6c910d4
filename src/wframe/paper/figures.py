"""`wframe figures`: the figures of a study, each as PNG and PDF with the numbers behind it as CSV.

To add a figure is to add one function that yields `Figure`s, and its name to `FIGURES`.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure as Canvas

from wframe import config, plan
from wframe.files import write_json
from wframe.paper.drawing import (
    COLOURS,
    LINES,
    NAMES,
    PAGE,
    STYLE,
    Figure,
    StudyResults,
    bands_of,
    draw_bands,
    log_if_wide,
    save,
    show,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe figures`."""
    parser.add_argument("study", help="the study's name in the configuration")
    parser.add_argument("--results", type=Path, default=Path("results"), help="the results folder")


def main(args: argparse.Namespace) -> None:
    """Draw all figures of a study; `index.json` lists them in the page's order and is written last."""
    edition = config.load(args.results / "config.yaml")
    curves = pd.read_parquet(args.results / "studies" / f"{args.study}.parquet")
    results = StudyResults(args.results, edition, args.study, curves)
    folder = args.results / "figures" / args.study
    for stale in folder.glob("*") if folder.is_dir() else []:
        stale.unlink()
    index = []
    with plt.rc_context(STYLE):
        for draw in FIGURES[results.study.show]:
            for figure in draw(results):
                index.append(save(figure, folder))
    write_json(folder / "index.json", index)


# --- figures of a study that sets datasets side by side ---------------------------------------------------------


def samples(results: StudyResults) -> Iterator[Figure]:
    """Observed, FRAME and wFRAME pictures per dataset and class (the paper's Figures 2, 5, 7, 8 and 9)."""
    methods = {
        (run.dataset, run.class_, run.setting): {
            other.method: other
            for other in results.runs()
            if (other.dataset, other.class_, other.setting) == (run.dataset, run.class_, run.setting)
        }
        for run in results.runs()
    }
    for (dataset, class_, setting), runs in methods.items():
        first = next(iter(runs.values()))
        finals = {method: results.pictures(run) for method, run in runs.items()}
        groups = min(2, *(len(pictures) for pictures in finals.values()))
        columns = 1 + len(runs)
        canvas, grid = plt.subplots(groups, columns, figsize=(PAGE * columns / 3, 2.4 * groups + 0.2), squeeze=False)
        rows = []
        for group in range(groups):
            show(grid[group, 0], results.observed(first, group))
            for column, (method, run) in enumerate(runs.items(), start=1):
                show(grid[group, column], finals[method][group], results.diverged(run, group))
            grid[group, 0].set_ylabel(f"group {group}")
            rows += [(dataset, class_, setting, group, name) for name in ("observed", *runs)]
        for column, title in enumerate(["observed", *(NAMES[method] for method in runs)]):
            grid[0, column].set_title(title)
        label = results.title(dataset) + ("" if class_ == "all" else f", class {class_}")
        yield Figure(
            f"samples-{dataset}-{class_}" + ("" if setting == "base" else f"-{setting}"),
            label,
            "Nine observed pictures of a group, and the nine chains of FRAME and of wFRAME at the end of learning.",
            f"{label}: sheets of nine pictures, observed, FRAME and wFRAME, for {groups} group(s).",
            canvas,
            pd.DataFrame(rows, columns=["dataset", "class", "setting", "group", "column"]),
            half=True,
        )


def _measure_figure(results: StudyResults, measure: str, label: str) -> tuple[Canvas, pd.DataFrame]:
    """One panel per dataset with both methods' curves."""
    bands = bands_of(results.curves, measure)
    datasets = list(results.study.datasets)
    columns = min(3, len(datasets))
    rows = -(-len(datasets) // columns)
    canvas, grid = plt.subplots(rows, columns, figsize=(PAGE, 2.3 * rows), squeeze=False)
    for axes, dataset in zip(grid.flat, datasets, strict=False):
        part = bands[bands["dataset"] == dataset]
        draw_bands(axes, part)
        axes.set_title(dataset)
        if measure == "R":
            log_if_wide(axes, part["mean"])
        else:
            axes.axhline(0, color="black", linewidth=0.5)
        axes.legend(fontsize=7)
    for axes in list(grid.flat)[len(datasets) :]:
        axes.set_axis_off()
    grid[0, 0].set_ylabel(label)
    return canvas, bands


def response_distance(results: StudyResults) -> Iterator[Figure]:
    """R over the learning iterations, averaged over groups (the paper's Figure 4)."""
    canvas, numbers = _measure_figure(results, "R", "response distance R")
    ends = numbers[numbers["iteration"] == numbers["iteration"].max()]
    said = "; ".join(f"{row.dataset} {NAMES[row.method]} {row.mean:.3g}" for row in ends.itertuples())
    yield Figure(
        "response-distance",
        "Response distance R",
        "Mean over groups; the band is the 95% interval of that mean. Lower is better.",
        f"Curves of R for each dataset. At the end: {said}.",
        canvas,
        numbers,
    )


def energies(results: StudyResults) -> Iterator[Figure]:
    """Φ(x; θ) over the learning iterations (the paper's Figure 1, right)."""
    canvas, numbers = _measure_figure(results, "energy", "energy Φ(x; θ)")
    ends = numbers[numbers["iteration"] == numbers["iteration"].max()]
    said = "; ".join(f"{row.dataset} {NAMES[row.method]} {row.mean:.4g}" for row in ends.itertuples())
    yield Figure(
        "energy",
        "Energy Φ of the chains",
        "Mean over groups with its 95% interval. In the paper the best curve falls slowly towards a little above 0.",
        f"Curves of the energy for each dataset. At the end: {said}.",
        canvas,
        numbers,
    )


def evolution(results: StudyResults) -> Iterator[Figure]:
    """The chains' evolution with the energy beside it (the paper's Figure 1)."""
    for dataset in results.study.datasets:
        class_ = results.edition.datasets[dataset].classes[0]
        setting = next(iter(results.study.settings))
        runs = [run for run in results.runs() if (run.dataset, run.class_, run.setting) == (dataset, class_, setting)]
        yield _strips(results, runs, f"evolution-{dataset}", f"Evolution: {results.title(dataset)}", "energy")


# --- figures of a study that sets settings side by side -----------------------------------------------------------


def settings(results: StudyResults) -> Iterator[Figure]:
    """The chains' evolution and R under each setting (the paper's Figure 3: the collapse study)."""
    for dataset in results.study.datasets:
        class_ = results.edition.datasets[dataset].classes[0]
        for setting in results.study.settings:
            runs = [
                run for run in results.runs() if (run.dataset, run.class_, run.setting) == (dataset, class_, setting)
            ]
            changed = results.study.settings[setting].model_dump(by_alias=True, exclude_unset=True)
            said = ", ".join(f"{name} = {value}" for name, value in changed.items()) or "the dataset's own constants"
            yield _strips(results, runs, f"{dataset}-{setting}", f"{setting}: {said}", "R")


def _strips(results: StudyResults, runs: list[plan.Run], name: str, title: str, measure: str) -> Figure:
    """A row of snapshots per method, and beside them the curves of a measure for every group."""
    times = [t for t in results.study.snapshots if t <= results.curves["iteration"].max()]
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
        curve_axes.axhline(0, color="black", linewidth=0.5)
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


FIGURES: dict[str, list[Callable[[StudyResults], Iterator[Figure]]]] = {
    "datasets": [samples, response_distance, energies, evolution],
    "settings": [settings],
}
