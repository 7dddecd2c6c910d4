"""Shared by all figures: style, sheets of images, and saving."""

from pathlib import Path
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from PIL import Image

from wframe.files import atomic_write, sha256_file

COLOURS = {"frame": "#b3501b", "wframe": "#1f5f8b"}  # distinguishable with any colour vision, and in greyscale
LINES: dict[str, Any] = {"frame": (0, (4, 1.5)), "wframe": "solid"}
DATASETS = (
    "#1f5f8b",
    "#b3501b",
    "#d9a400",
    "#7a4a8c",
    "#4d7c3a",
    "#555555",
)  # one shade for each, again from the start
PAGE = 7.0  # inches: the width of the text block
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


class Film(NamedTuple):
    """What the page's player shows: a group's images after each of some iterations, one row for each run.

    `sheet` (H, W, 3) is a grid of square cells of `edge` pixels: the observed images in its first column, the runs'
    images after the iterations `times` in the others.
    """

    sheet: np.ndarray
    edge: int
    times: list[int]
    runs: list[dict[str, Any]]  # each run's method, label, R of every iteration, last whole iteration where it diverged


class Figure(NamedTuple):
    """A figure: the drawing, its title, caption and alt text, and the numbers behind it."""

    name: str
    title: str
    caption: str
    alt: str
    canvas: Canvas
    numbers: pd.DataFrame
    half: bool = False  # takes half of the page width
    film: Film | None = None  # the images over the iterations, for the page's player


def plain(text: str) -> str:
    """Return `text` with dollar signs escaped for matplotlib."""
    return text.replace("$", r"\$")


def joined(*names: str) -> str:
    """Join names to one file name, with a character that none of them can contain."""
    return "+".join(names)


def save(figure: Figure, folder: Path) -> dict[str, Any]:
    """Write a figure's files, without time stamps; return its entry in the index."""
    with atomic_write(folder / f"{figure.name}.csv") as part:
        figure.numbers.to_csv(part, index=False, float_format="%.6g")
    with atomic_write(folder / f"{figure.name}.pdf") as part:
        figure.canvas.savefig(part, format="pdf", metadata={"CreationDate": None})
    figure.canvas.set_layout_engine("none")  # keep the layout that it has now: finding it takes as long as drawing
    with atomic_write(folder / f"{figure.name}.png") as part:
        figure.canvas.savefig(part, format="png", dpi=200, metadata={"Software": None})
    plt.close(figure.canvas)
    endings = ["csv", "pdf", "png"]
    if figure.film:
        with atomic_write(folder / f"{figure.name}.film.png") as part:
            Image.fromarray(figure.film.sheet).save(part, format="png", optimize=True)
        endings.append("film.png")
    files = [f"{figure.name}.{ending}" for ending in endings]
    about = figure.film._asdict() if figure.film else {}
    film = {"film": {name: value for name, value in about.items() if name != "sheet"}} if about else {}
    return {
        "name": figure.name,
        "files": {name: sha256_file(folder / name) for name in files},
        "title": figure.title,
        "caption": figure.caption,
        "alt": figure.alt,
        "half": figure.half,
    } | film


def tile(images: np.ndarray, columns: int = 3, gap: int = 1) -> np.ndarray:
    """Return images (M, H, W, 3) side by side in `columns` columns, with white gaps."""
    M, H, W, _ = images.shape
    rows = -(-M // columns)
    sheet = np.full((rows * (H + gap) - gap, columns * (W + gap) - gap, 3), 255, np.uint8)
    for index, image in enumerate(images):
        top, left = (index // columns) * (H + gap), (index % columns) * (W + gap)
        sheet[top : top + H, left : left + W] = image
    return sheet


def show(axes: Axes, images: np.ndarray | None, diverged: int | None = None, columns: int = 3) -> None:
    """Show images as a sheet, or a note that the run diverged after `diverged` whole iterations."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    if diverged is not None:
        axes.text(
            0.5, 0.5, f"diverged in\niteration {diverged + 1}", ha="center", va="center", transform=axes.transAxes
        )
        axes.set_facecolor("#eeeeee")
        axes.set_box_aspect(1)
    elif images is not None:
        axes.imshow(tile(images, columns))
    else:
        axes.set_axis_off()
