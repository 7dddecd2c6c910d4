"""`wframe figures`: the figures of a study, each as PNG and PDF with the numbers behind it as CSV.

To add a figure is to add one function that yields `Figure`s, and its name to `FIGURES`.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd

from wframe import config
from wframe.files import write_json
from wframe.paper.drawing import (
    COLOURS,
    LINES,
    NAMES,
    PAGE,
    STYLE,
    Figure,
    StudyResults,
    draw_curves,
    save,
    show,
    strips,
)
from wframe.paper.judges import NotHere
from wframe.paper.numbered import PAPER, Paper
from wframe.paper.summarise import outcome


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe figures`."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("study", nargs="?", help="the study's name in the configuration")
    which.add_argument("--paper", action="store_true", help="the paper's Figures 1 to 9 instead")
    parser.add_argument("--results", type=Path, default=Path("results"), help="the results folder")


def main(args: argparse.Namespace) -> None:
    """Draw the figures of a study, or the paper's; `index.json` lists them in order and is written last."""
    edition = config.load(args.results / "config.yaml")
    folder = args.results / "figures" / ("paper" if args.paper else args.study)
    for stale in folder.glob("*") if folder.is_dir() else []:
        stale.unlink()
    with plt.rc_context(STYLE):
        if args.paper:
            index = draw_paper(Paper(args.results, edition), folder)
        else:
            curves = pd.read_parquet(args.results / "studies" / f"{args.study}.parquet")
            results = StudyResults(args.results, edition, args.study, curves)
            index = [save(figure, folder) for draw in FIGURES[results.study.show] for figure in draw(results)]
    write_json(folder / "index.json", index)


def draw_paper(paper: Paper, folder: Path) -> list[dict[str, Any]]:
    """Draw the paper's figures; where the edition hasn't what one shows, its entry says why (`missing`)."""
    index: list[dict[str, Any]] = []
    for name, draw in PAPER.items():
        try:
            index.append(save(draw(paper), folder))
        except NotHere as why:
            index.append({"name": name, "title": (draw.__doc__ or "").rstrip("."), "missing": str(why)})
    return index


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


def response_distance(results: StudyResults) -> Iterator[Figure]:
    """R over the learning iterations, averaged over groups (the paper's Figure 4)."""
    canvas, numbers = draw_curves(results, "R", "response distance R")
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
    canvas, numbers = draw_curves(results, "energy", "energy Φ(x; θ)")
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
        yield strips(results, runs, f"evolution-{dataset}", f"Evolution: {results.title(dataset)}", "energy")


# --- figures of a study that sets settings side by side -----------------------------------------------------------


def overview(results: StudyResults) -> Iterator[Figure]:
    """R under each setting side by side, relative to its start: which learn, stall, collapse or diverge."""
    for dataset in results.study.datasets:
        curves = results.curves[results.curves["dataset"] == dataset]
        names = list(results.study.settings)
        columns = min(4, len(names))
        rows = -(-len(names) // columns)
        canvas, grid = plt.subplots(rows, columns, figsize=(PAGE, 1.9 * rows + 0.2), squeeze=False, sharey=True)
        told, numbers = [], []
        for axes, setting in zip(grid.flat, names, strict=False):
            axes.set_title(setting)
            for method in results.study.methods:
                mine = curves[(curves["setting"] == setting) & (curves["method"] == method)]
                R = mine.pivot(index="iteration", columns=["class", "repeat", "group"], values="R")
                relative = R / R.bfill().iloc[0]
                said = outcome(mine)
                told.append(f"{NAMES[method]} under {setting} {said}")
                numbers.append(
                    relative.mean(axis=1).rename("R_relative").reset_index().assign(setting=setting, method=method)
                )
                style = {"color": COLOURS[method], "linestyle": LINES[method]}
                axes.plot(relative.index, relative, lw=0.5, alpha=0.5, **style)
                axes.plot(
                    relative.index,
                    relative.mean(axis=1),
                    lw=1.3,
                    label=f"{NAMES[method]}: " + said.replace(", ", ",\n"),
                    **style,
                )
            axes.set_yscale("log")
            axes.set_ylim(0.05, 50)  # what explodes leaves the panel; what stalls is seen to
            axes.set_xlim(0, curves["iteration"].max())
            axes.axhline(1, color="black", lw=0.4)
            axes.legend(fontsize=6, loc="upper right")
        for axes in list(grid.flat)[len(names) :]:
            axes.set_axis_off()
        for axes in grid[:, 0]:
            axes.set_ylabel("R / R at the start")
        for axes in grid[-1]:
            axes.set_xlabel("learning iteration t")
        yield Figure(
            f"overview-{dataset}",
            f"{results.title(dataset)}: R under each setting",
            "Relative to its start; thin lines are groups, thick lines their mean. Below ½ at the end it learns, "
            "above 2 it collapses, between them it stalls; diverged groups have no R; what explodes leaves it.",
            "; ".join(told) + ".",
            canvas,
            pd.concat(numbers),
        )


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
            yield strips(results, runs, f"{dataset}-{setting}", f"{setting}: {said}", "R")


FIGURES: dict[str, list[Callable[[StudyResults], Iterator[Figure]]]] = {
    "datasets": [samples, response_distance, energies, evolution],
    "settings": [overview, settings],
}
