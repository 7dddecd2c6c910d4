"""`wframe figures`: draw the figures of a study or of the paper, each as PNG and PDF with its numbers as CSV.

To add a figure of a study, add a function that yields `Figure`s to a list in `FIGURES`.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from wframe.figures import baselines, datasets, looks, maps, settings, steps
from wframe.figures.canvas import STYLE, Figure, save
from wframe.figures.paper import FIGURES as PAPER_FIGURES
from wframe.files import write_json
from wframe.jobs.left_out import load_made
from wframe.results.store import NotAvailable, Store

FIGURES: dict[str, list[Callable[[Store, str], Iterator[Figure]]]] = {
    "datasets": [datasets.samples, datasets.response_distance, datasets.energies, datasets.evolution],
    "settings": [settings.overview, settings.evolution],
    "steps": [steps.waterfall, looks.looks, steps.samples],
    "map": [maps.outcome_map, maps.samples],
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe figures`."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("study", nargs="?", help="the study's name in the configuration")
    which.add_argument("--paper", action="store_true", help="the paper's Figures 1 to 9 instead")
    which.add_argument("--baselines", action="store_true", help="the curves and samples of the baselines instead")
    parser.add_argument("--results", type=Path, default=Path("results"), help="the results folder")


def main(args: argparse.Namespace) -> None:
    """Draw the figures of a study, the paper's or the baselines'; write `index.json`, which lists them, last.

    Raises:
        UserError: the edition has no such study; nothing has been changed.
    """
    store = Store(args.results, load_made(args.results))
    folder = args.results / "figures" / ("paper" if args.paper else "baselines" if args.baselines else args.study)
    with plt.rc_context(STYLE):
        index = (
            draw_paper(store, folder) if args.paper else [save(figure, folder) for figure in drawn(store, args.study)]
        )
    write_json(folder / "index.json", index)
    ours = {"index.json", *(name for entry in index for name in entry.get("files", {}))}
    for stale in [path for path in folder.iterdir() if path.name not in ours]:
        stale.unlink()


def drawn(store: Store, study: str | None) -> Iterator[Figure]:
    """Yield the figures of a study; None: the baselines'."""
    if study is None:
        yield from baselines.trainings(store)
        yield from baselines.reconstructed(store)
    else:
        for draw in FIGURES[store.study(study).show]:
            yield from draw(store, study)


def draw_paper(store: Store, folder: Path) -> list[dict[str, Any]]:
    """Draw the paper's figures; if the edition lacks what a figure shows, its entry gives the reason (`missing`)."""
    index: list[dict[str, Any]] = []
    for name, (draw, shows) in PAPER_FIGURES.items():
        try:
            index.append(save(draw(store), folder))
        except NotAvailable as why:
            index.append({"name": name, "title": shows, "missing": str(why)})
    return index
