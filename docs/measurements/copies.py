"""Do the chains become copies of their nine training images, and when should learning stop? Two tables and a figure.

python docs/measurements/copies.py RESULTS docs/measurements/copies.png
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch

from wframe.config.learning import METHODS
from wframe.figures.canvas import COLOURS
from wframe.jobs.left_out import load_made
from wframe.model.bank import load_bank
from wframe.model.energy import responses
from wframe.model.measures import response_distance
from wframe.model.readings import UNIT
from wframe.results.curves import by_group
from wframe.results.store import Store


def distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return root-mean-square distances between images (A, H, W, 3) and (B, H, W, 3), in grey levels: (A, B)."""
    a, b = (images.reshape(len(images), -1).astype(float) for images in (x, y))
    return np.sqrt(np.square(a[:, None] - b[None]).mean(2))


def held_out(store: Store, dataset: str, method: str) -> dict[int, np.ndarray]:
    """Return, by iteration, R of a class's first group of chains to its own nine images and to each other nine.

    Rows are the classes; columns: R to the own nine, mean R to the others, mean R between the own nine and the others.
    """
    bank, study, M = (
        load_bank(store.folder / "bank.safetensors").to(UNIT),
        store.study("whole"),
        store.edition.learning.M,
    )

    def mean_responses(images: np.ndarray) -> torch.Tensor:
        """Return mean responses of groups (G, M, H, W, 3): (G, K, h, w)."""
        with torch.inference_mode():
            F = responses(bank, bank.pixels(images, UNIT).flatten(0, 1)).F
        return F.view(len(images), M, *F.shape[1:]).mean(1)

    found: dict[int, list[tuple[float, float, float]]] = {t: [] for t in study.snapshots or ()}
    for class_ in store.edition.datasets[dataset].classes:
        images = np.load(store.folder / f"data/{dataset}/{class_}.npy")
        groups = mean_responses(images[: len(images) // M * M].reshape(-1, M, *images.shape[1:]))
        own, others = groups[:1], groups[1:]
        floor = float(response_distance(others, own).mean())
        chains = mean_responses(store.images(store.run("whole", dataset, method, class_=class_), "snapshots"))
        for t, mean in zip(found, chains, strict=True):
            to_own, to_others = (float(response_distance(mean[None], these).mean()) for these in (own, others))
            found[t].append((to_own, to_others, floor))
    return {t: np.array(rows) for t, rows in found.items()}


def early_stopping(store: Store) -> None:
    """Print, for each dataset and method, R to the own and to other images over the iterations."""
    print("| dataset | method | t | R to the own nine | R to another nine | own nine to another |")
    print("| --- | --- | --- | --- | --- | --- |")
    for dataset in store.study("whole").datasets:
        for method in store.study("whole").methods:
            found = held_out(store, dataset, method)
            for t, rows in found.items():
                own, others, floor = rows.mean(0)
                print(f"| {store.title(dataset)} | {METHODS[method]} | {t} | {own:.3f} | {others:.3f} | {floor:.3f} |")
            best = np.array(list(found))[np.argmin([rows[:, 1] for rows in found.values()], axis=0)]
            print(
                f"{store.title(dataset)}, {METHODS[method]}: R to another nine is least at t = {sorted(best.tolist())}"
            )


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
            low, high = near.quantile(0.05, axis=1), near.quantile(0.95, axis=1)
            place.fill_between(near.index, low, high, color=COLOURS[method], alpha=0.2, lw=0)
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
    np.atleast_1d(axes)[0].set_ylabel("distance to the nearest\nobserved image (grey levels)")
    np.atleast_1d(axes)[0].legend(fontsize=7)
    canvas.savefig(out, dpi=130, metadata={"Software": None})
    print()
    early_stopping(store)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
