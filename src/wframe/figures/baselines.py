"""Figures of the baselines: their loss curves with samples on the way, and reconstructions where one has an encoder."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from safetensors.numpy import load_file

from wframe.config.learning import METHODS
from wframe.figures.canvas import PAGE, Figure, show
from wframe.jobs.paths import reconstructions
from wframe.results.store import Store

POINTS = 200  # of a curve, at most
SHOWN = 18  # images in a row
WORDS = {
    "loss": "losses",
    "D": "mean D(·)",
    "distance": "f(real) − f(pseudo-negatives)",
    "penalty": "(|∇f| − 1)²",
    "reconstruction": "RMS of x − x̂, grey levels",
}


def trainings(store: Store) -> Iterator[Figure]:
    """For each baseline, its first repeat: what a step measures, and samples of the same z as training goes on."""
    for name, entry in store.edition.baselines.items():
        folder = store.folder / "baselines" / name
        curves = averaged(pd.read_parquet(folder / "0.parquet"))
        images = load_file(folder / "0.safetensors")
        last = int(curves["step"].iloc[-1])
        steps = [f"step {step:,}" for step in entry.snapshots if step <= last]
        rows = [*zip(steps, images["snapshots"], strict=False), ("samples", images["images"])]
        title = entry.title or name
        panels = groups([str(column) for column in curves.columns if column != "step"])
        sizes = (1, len(panels)), (len(rows), 1)
        canvas = plt.figure(figsize=(PAGE, 1.5 + 0.42 * len(rows)))
        parts = canvas.subfigures(2, 1, squeeze=False, height_ratios=[1.5, 0.42 * len(rows)])
        above, below = (part.subplots(*shape, squeeze=False) for part, shape in zip(parts[:, 0], sizes, strict=True))
        for axes, (kind, columns) in zip(above[0], panels.items(), strict=True):
            draw(axes, curves, kind, columns)
        for axes, (label, row) in zip(below[:, 0], rows, strict=True):
            show(axes, row[:SHOWN], columns=SHOWN)
            axes.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=7)
        yield Figure(
            f"{name}-training",
            f"{title}: curves and samples",
            f"{last:,} steps of a batch of {entry.batch}, on {store.title(entry.dataset)}. Each point of a curve is a "
            f"mean over steps. The rows above the last are of the same z; the last are the samples that are scored.",
            f"Curves of {', '.join(panels)}; under them rows of samples after {', '.join(steps)} and at the end.",
            canvas,
            curves,
        )


def averaged(measures: pd.DataFrame) -> pd.DataFrame:
    """Return at most POINTS rows: means over consecutive steps, at their last step."""
    width = -(-len(measures) // POINTS)
    parts = measures.groupby(np.arange(len(measures)) // width)
    return parts.mean().assign(step=parts["step"].max())


def groups(columns: list[str]) -> dict[str, list[str]]:
    """Return measures that belong into one panel, by what stands before the underscore."""
    found: dict[str, list[str]] = {}
    for column in columns:
        found.setdefault(column.split("_")[0], []).append(column)
    return found


def draw(axes: Axes, curves: pd.DataFrame, kind: str, columns: list[str]) -> None:
    """Draw the measures of one kind over the steps."""
    for column, line in zip(columns, ("solid", (0, (4, 1.5)), "dotted"), strict=False):
        axes.plot(curves["step"], curves[column], color="#333333", linestyle=line, linewidth=0.9, label=column)
    axes.set_title(WORDS.get(kind, kind), fontsize=7)
    axes.set_xlabel("step", fontsize=7)
    axes.tick_params(labelsize=6)
    if len(columns) > 1:
        axes.legend(fontsize=6)


def reconstructed(store: Store) -> Iterator[Figure]:
    """For each baseline with an encoder: held-out images, and what it, FRAME and wFRAME make of them."""
    for file in reconstructions(store.edition):
        name = file.removesuffix(".csv").rsplit("/", 1)[1]
        table = store.measurement(f"reconstructions/{name}")
        images = load_file(store.folder / "measurements" / "reconstructions" / f"{name}.safetensors")
        entry = store.edition.baselines[name]
        titles = {"images": "held out", entry.model: entry.title or name} | METHODS
        mean = table.groupby("whose")["distance"].mean()
        rows = [whose for whose in ("images", *table["whose"].unique()) if len(images[whose])]
        canvas, grid = plt.subplots(len(rows), 1, figsize=(PAGE, 0.42 * len(rows)))
        for axes, whose in zip(grid, rows, strict=True):
            show(axes, images[whose][:SHOWN], columns=SHOWN)
            far = f"\n{mean[whose]:.1f}" if whose in mean else ""
            axes.set_ylabel(titles.get(whose, whose) + far, rotation=0, ha="right", va="center", fontsize=6)
        yield Figure(
            f"{name}-reconstructions",
            f"{entry.title or name}: reconstructions of images that it wasn't trained on",
            "x → z → x̂; FRAME and wFRAME: L Langevin steps from the image itself, under the θ learned from nine of "
            "these images. Each number is the mean distance from the image, in grey levels; all rows are of the same "
            f"n = {table['index'].nunique()} images.",
            f"Rows of images: {', '.join(titles.get(whose, whose) for whose in rows)}.",
            canvas,
            table,
        )
