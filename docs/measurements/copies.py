"""Do the chains become copies of their nine training images? From a results folder: a table and a figure.

python docs/measurements/copies.py RESULTS docs/measurements/copies.png
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from wframe.config.learning import METHODS
from wframe.figures.canvas import COLOURS
from wframe.jobs.left_out import load_made
from wframe.results.curves import by_group
from wframe.results.store import Store


def distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return root-mean-square distances between images (A, H, W, 3) and (B, H, W, 3), in grey levels: (A, B)."""
    a, b = (images.reshape(len(images), -1).astype(float) for images in (x, y))
    return np.sqrt(np.square(a[:, None] - b[None]).mean(2))


def main(results: Path, out: Path) -> None:
    """Print and draw, for each dataset of `whole`: how near the chains come to their images, how many they find."""
    store = Store(results, load_made(results))
    study = store.study("whole")
    canvas, axes = plt.subplots(1, len(study.datasets), figsize=(4.2 * len(study.datasets), 3), layout="constrained")
    print(
        "| dataset | method | t | nearest image, median | groups nearer than half of the nine's own | of nine found |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for place, dataset in zip(np.atleast_1d(axes), study.datasets, strict=True):
        classes = store.edition.datasets[dataset].classes
        observed = {c: np.load(results / f"data/{dataset}/{c}.npy") for c in classes}
        M = store.edition.learning.M
        apart = np.array(
            [
                np.sort(distances(part, part) + np.diag([np.inf] * M), axis=1)[:, 0].mean()
                for images in observed.values()
                for part in np.split(images[: len(images) // M * M], len(images) // M)
            ]
        )
        place.axhline(np.median(apart), color="black", lw=0.6, ls=":")
        place.text(1, np.median(apart), "an observed image to the nearest other", fontsize=6, va="bottom")
        for method in study.methods:
            near = by_group(store.curves("whole", [dataset], None, method), "nearest")
            place.plot(near.index, near, color=COLOURS[method], lw=0.4, alpha=0.5)
            place.plot(near.index, near.median(axis=1), color=COLOURS[method], lw=1.6, label=METHODS[method])
            found: dict[int, list[int]] = {t: [] for t in study.snapshots}
            for c in classes:
                run = store.run("whole", dataset, method, class_=c)
                for t, chains in zip(study.snapshots, store.images(run, "snapshots"), strict=True):
                    d = distances(chains, observed[c][:M])
                    close = d.min(1) < np.median(apart) / 2
                    found[t].append(len(set(d.argmin(1)[close])))
            for t, counts in found.items():
                mid = near.loc[t].median()
                closer = int((near.loc[t] < np.median(apart) / 2).sum())
                print(
                    f"| {store.title(dataset)} | {METHODS[method]} | {t} | {mid:.1f} of {np.median(apart):.1f} "
                    f"| {closer} of {near.shape[1]} | {np.mean(counts):.1f} |"
                )
        place.set(title=store.title(dataset), xlabel="learning iteration t", ylim=(0, None))
    np.atleast_1d(axes)[0].set_ylabel("distance to the nearest observed image")
    np.atleast_1d(axes)[0].legend(fontsize=7)
    canvas.savefig(out, dpi=130, metadata={"Software": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
