"""`wframe figures --paper`: the paper's Figures 1 to 9 in the paper's layout, from an edition's results.

Each function draws one figure, or raises `NotAvailable` if the edition lacks what it shows; the page then gives the
reason. To add one, add a function and its entry in `FIGURES`.
"""

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from wframe.config.learning import METHODS
from wframe.figures.canvas import PAGE, Figure, plain, show, tile
from wframe.figures.curves import BAND, KEPT, MEDIANS, changes, curves_of, draw_curves, strips
from wframe.jobs.runs import Run
from wframe.results.curves import by_group
from wframe.results.outcomes import DEFINITION, describe, diverged, end
from wframe.results.store import NotAvailable, Store

ROW = 9  # images side by side
# Figure 3: each row's method, what its settings' names end with, and its label
ROWS_OF_3 = (
    ("frame", "", "FRAME"),
    ("frame", "-clipped", "FRAME,\nclipped"),
    ("wframe", "", "wFRAME,\nas printed"),
    ("wframe", KEPT, "wFRAME,\ndelayed"),
)


def standing_for(store: Store, study: str, name: str) -> str:
    """Return the study's first dataset that stands for one of the paper's."""
    return store.standing_for(study, [name])[0]


def datasets_for(store: Store, study: str, names: Sequence[str]) -> tuple[dict[str, str], str]:
    """Return the study's datasets for the paper's names, and a sentence on the names it has none for."""
    found, missing = {}, []
    for name in names:
        try:
            found[name] = standing_for(store, study, name)
        except NotAvailable as why:
            missing.append(str(why))
    if not found:
        raise NotAvailable("; ".join(missing))
    return found, "".join(f" Not available: {why}." for why in missing)


def figure_1(store: Store) -> Figure:
    """Draw Figure 1."""
    dataset = standing_for(store, "collapse", "sun")
    runs = [store.run("collapse", dataset, method, "lambda") for method in ("frame", "wframe")]
    if f"lambda{KEPT}" in store.study("collapse").points:
        runs.append(store.run("collapse", dataset, "wframe", f"lambda{KEPT}"))
    return strips(store, "collapse", runs, "figure-1", "Evolution and energy, λ beyond its safe range", "energy")


def figure_2(store: Store) -> Figure:
    """Draw Figure 2."""
    panels = []
    found, missing = datasets_for(store, "whole", ("lsun-bedroom", "celeba"))
    for dataset in found.values():
        rows = [store.images(store.run("whole", dataset, method))[0] for method in ("frame", "wframe")]
        panels.append((store.title(dataset), np.concatenate(rows), list(METHODS.values())))
    numbers = pd.DataFrame(
        [(title, row, 0) for title, _, rows in panels for row in rows], columns=["data", "row", "group"]
    )
    return _sheets(
        "figure-2",
        "Scenes and faces",
        f"The nine chains of the first group: FRAME in the first row, wFRAME in the second.{missing}",
        panels,
        numbers,
    )


def figure_3(store: Store) -> Figure:
    """Draw Figure 3."""
    circumstances = _circumstances(store)
    height = len(ROWS_OF_3) * min(PAGE / len(circumstances), 1.5) + 0.4
    canvas, grid = plt.subplots(len(ROWS_OF_3), len(circumstances), figsize=(PAGE, height), squeeze=False)
    numbers = []
    for column, (study, dataset, setting) in zip(grid.T, circumstances, strict=True):
        side = store.edition.datasets[dataset].size
        column[0].set_title(f"{changes(store, study, setting) or 'safe λ, δ'}\n{side}×{side}", fontsize=7)
        for axes, (method, ending, _) in zip(column, ROWS_OF_3, strict=True):
            try:
                run = store.run(study, dataset, method, setting + ending)
            except NotAvailable:
                show(axes, None)
            else:
                numbers.append((study, dataset, run.setting, method, side, *_show_end(axes, store, run)))
    for axes, (_, _, label) in zip(grid[:, 0], ROWS_OF_3, strict=True):
        _name_row(axes, label)
    labels = "; ".join(label for _, _, label in ROWS_OF_3).replace("\n", " ")
    return Figure(
        "figure-3",
        "The collapse study",
        "The nine chains of the first group at the end of learning; the median over the first class's groups of R at "
        f"the end (∞ where they diverge), and what became of them. {DEFINITION} Clipping bounds |θ|. The delayed "
        "penalty keeps 𝒫 of the last iteration as it was (before: kept).",
        f"Sheets of nine images: {len(circumstances)} circumstances; rows {labels}.",
        canvas,
        pd.DataFrame(
            numbers, columns=["study", "dataset", "setting", "method", "side", "R", "outcome", "diverged", "groups"]
        ),
    )


def _circumstances(store: Store) -> list[tuple[str, str, str]]:
    """Return the study, dataset and setting of each column of Figure 3: the collapse study's, then other sizes."""
    found = [
        ("collapse", standing_for(store, "collapse", "sun"), setting)
        for setting in store.study("collapse").points
        if not setting.endswith(("-clipped", KEPT))
    ]
    if "sizes" in store.edition.studies:
        sizes = store.study("sizes")
        plain_settings = [setting for setting in sizes.points if not setting.endswith(KEPT)]
        found += [("sizes", dataset, setting) for dataset in sizes.datasets for setting in plain_settings]
    return found


def _show_end(axes: Axes, store: Store, run: Run) -> tuple[float, str, int, int]:
    """Show a run's images, with R at the end below; return R's median, the outcome, and the groups, lost and all."""
    show(axes, store.images(run)[0], store.diverged(run))
    curves = curves_of(store, run)
    R, energy = by_group(curves, "R"), by_group(curves, "energy")
    gone = diverged(R, energy)
    middle, outcome = end(R).where(~gone, np.inf).median(), describe(R, energy)
    axes.set_xlabel(f"R = {middle:.3g}\n{outcome}".replace("inf", "∞"), fontsize=6)
    return middle, outcome, int(gone.sum()), len(gone)


def _name_row(axes: Axes, label: str) -> None:
    """Write a row's name beside its first panel, also where that one has nothing to show."""
    axes.set_ylabel(label)
    if not axes.axison:
        axes.set_axis_on()
        axes.set_box_aspect(1)


def figure_4(store: Store) -> Figure:
    """Draw Figure 4."""
    found, missing = datasets_for(store, "whole", ("celeba", "lsun-bedroom", "cifar10"))
    datasets = list(found.values())
    canvas, numbers = draw_curves(store, "whole", "R", "response distance R", datasets)
    return Figure(
        "figure-4",
        "Response distance R of each dataset",
        f"Median over all classes' groups (the paper shows means). {BAND} {MEDIANS} Lower is better.{missing}",
        f"Curves of R for {', '.join(datasets)}, both methods.",
        canvas,
        numbers,
    )


def figure_5(store: Store) -> Figure:
    """Draw Figure 5."""
    dataset = standing_for(store, "whole", "cifar10")
    classes = store.edition.datasets[dataset].classes
    panels: list[tuple[str, np.ndarray, list[str]]] = []
    for method in ("frame", "wframe"):
        nines = [store.images(store.run("whole", dataset, method, None, name))[0] for name in classes]
        blocks = [nines[first : first + 5] for first in range(0, len(nines), 5)]
        rows = [block[k][3 * row : 3 * row + 3] for block in blocks for row in range(3) for k in range(len(block))]
        panels.append((METHODS[method], np.concatenate(rows), []))
    numbers = pd.DataFrame(
        [(method, name, 0) for method in METHODS for name in classes], columns=["method", "class", "group"]
    )
    return _sheets(
        "figure-5",
        "CIFAR-10 by label" if dataset == "cifar10" else f"{store.title(dataset)}, by label",
        f"Each class takes three columns ({', '.join(classes)}). Left: FRAME; right: wFRAME.",
        panels,
        numbers,
        columns=3 * min(5, len(classes)),
    )


def figure_6(store: Store) -> Figure:
    """Draw Figure 6."""
    name = "dcgan-few"
    if name not in store.edition.baselines:
        raise NotAvailable(store.why_no("baseline", name, "trains"))
    entry = store.edition.baselines[name]
    class_ = entry.class_ or store.edition.datasets[entry.dataset].classes[0]
    run = store.run("collapse", entry.dataset, "wframe", None, class_)
    rows = {"inputs": store.observed(run, 0), "DCGAN": store.samples(name)}
    for other, baseline in store.edition.baselines.items():
        same = (baseline.dataset, baseline.class_, baseline.images) == (entry.dataset, entry.class_, entry.images)
        if same and baseline.duplicate_to and other != name:
            rows[(baseline.title or other).split(" on ")[0]] = store.samples(other)
    rows["wFRAME"] = store.images(run)[0]
    canvas, axes = plt.subplots(len(rows), 1, figsize=(PAGE, 0.87 * len(rows)))
    for ax, (label, images) in zip(axes, rows.items(), strict=True):
        show(ax, images[:ROW], columns=ROW)
        ax.set_ylabel(label)
    return Figure(
        "figure-6",
        "A few images",
        f"Inputs, for DCGAN repeated up to {entry.duplicate_to or len(rows['inputs']):,}; the baselines' outputs; "
        "wFRAME's chains.",
        f"Rows of nine images: {', '.join(rows)}.",
        canvas,
        pd.DataFrame({"row": list(rows), "images": [len(images[:ROW]) for images in rows.values()]}),
    )


def figure_7(store: Store) -> Figure:
    """Draw Figure 7."""
    return _many(store, "figure-7", "celeba")


def figure_8(store: Store) -> Figure:
    """Draw Figure 8."""
    dataset = standing_for(store, "whole", "cifar10")
    classes = store.edition.datasets[dataset].classes
    rows, width = [], 2 * ROW
    for class_ in classes:
        images = store.images(store.run("whole", dataset, "wframe", None, class_))
        rows.append(images.reshape(-1, *images.shape[2:])[:width])
    width = min(len(row) for row in rows)
    sheet = np.concatenate([row[:width] for row in rows])
    return _sheets(
        "figure-8",
        f"{store.title(dataset)}: one class per row",
        f"wFRAME's chains. From top to bottom: {', '.join(classes)}.",
        [("wFRAME", sheet, classes)],
        pd.DataFrame({"class": classes, "images": width}),
        columns=width,
    )


def figure_9(store: Store) -> Figure:
    """Draw Figure 9."""
    return _many(store, "figure-9", "lsun-bedroom")


def _many(store: Store, name: str, dataset: str) -> Figure:
    """Draw a large sheet of wFRAME's chains: the groups of the first class, one after the other."""
    found = standing_for(store, "whole", dataset)
    images = store.images(store.run("whole", found, "wframe"))
    images = images.reshape(-1, *images.shape[2:])[: 8 * ROW]
    title = store.title(found)
    numbers = pd.DataFrame({"dataset": [found], "images": [len(images)]})
    caption = "wFRAME's chains at the end of learning, nine to a group."
    return _sheets(name, title, caption, [("wFRAME", images, [])], numbers, columns=2 * ROW)


def _sheets(
    name: str,
    title: str,
    caption: str,
    panels: list[tuple[str, np.ndarray, list[str]]],
    numbers: pd.DataFrame,
    columns: int = ROW,
) -> Figure:
    """Draw panels of images side by side, each with a title and (as tick labels) the names of its rows."""
    sheets = [tile(images, columns) for _, images, _ in panels]
    height = max(sheet.shape[0] / sheet.shape[1] for sheet in sheets) * PAGE / len(panels) + 0.3
    canvas, grid = plt.subplots(1, len(panels), figsize=(PAGE, height), squeeze=False)
    for axes, sheet, (label, _, rows) in zip(grid[0], sheets, panels, strict=True):
        axes.imshow(sheet)
        axes.set_title(plain(label))
        axes.set_xticks([])
        _name_rows(axes, sheet, rows)
        axes.spines[:].set_visible(False)
    shown = "; ".join(f"{label}: {len(images)} images" for label, images, _ in panels)
    return Figure(name, title, caption, f"{title}. Sheets of images: {shown}.", canvas, numbers)


def _name_rows(axes: Axes, sheet: np.ndarray, rows: list[str]) -> None:
    """Write the names of a sheet's rows beside it, one for each band of rows."""
    band = sheet.shape[0] / max(1, len(rows))
    axes.set_yticks([band * (k + 0.5) for k in range(len(rows))], rows)
    axes.tick_params(length=0)


# name → what draws it, and what it shows: the page says that of a figure which an edition can't draw
FIGURES: dict[str, tuple[Callable[[Store], Figure], str]] = {
    "figure-1": (figure_1, "The evolution of both methods where FRAME collapses, and their energy"),
    "figure-2": (figure_2, "CelebA and LSUN-Bedroom: FRAME's images in the first row, wFRAME's in the second"),
    "figure-3": (
        figure_3,
        "The collapse study: FRAME, FRAME with weight clipping, wFRAME as printed and with the delayed penalty",
    ),
    "figure-4": (figure_4, "The response distance R of each dataset"),
    "figure-5": (figure_5, "CIFAR-10 by label, three columns a class: FRAME's images, then wFRAME's"),
    "figure-6": (
        figure_6,
        "A few images: the inputs, DCGAN's random outputs (and other baselines' on the same images), wFRAME's outputs",
    ),
    "figure-7": (figure_7, "wFRAME's faces"),
    "figure-8": (figure_8, "wFRAME's images conditioned on labels, each row of one class"),
    "figure-9": (figure_9, "wFRAME's bedrooms"),
}
