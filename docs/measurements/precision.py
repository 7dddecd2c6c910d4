"""Does the precision of Langevin steps matter? From the results of config/precision.yaml: a table and a figure.

python docs/measurements/precision.py RESULTS docs/measurements
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from wframe.config.learning import METHODS
from wframe.figures.canvas import COLOURS
from wframe.results.curves import by_group
from wframe.results.outcomes import end, lost
from wframe.results.statistics import share

EDGES = {"edge": "8·10⁻³", "edge-2": "10⁻²"}


def curves(results: Path, setting: str, method: str, repeat: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return R and Φ of one run, iterations × groups."""
    table = pd.read_parquet(results / f"runs/precision/cifar10/horse/{setting}/{method}-{repeat}/0.parquet")
    return by_group(table, "R"), by_group(table, "energy")


def main(results: Path, out: Path) -> None:
    """Print the tables and draw the figure."""
    canvas, axes = plt.subplots(1, 3, figsize=(9, 3), layout="constrained")
    print("| | mean difference of final R, bf16 − fp32 | its standard error | between two seeds, fp32: sd | sd/√n |")
    print("| --- | --- | --- | --- | --- |")
    for place, method in zip(axes, METHODS, strict=False):
        R = {(s, r): end(curves(results, s, method, r)[0]).to_numpy() for s in ("fp32", "bf16") for r in (0, 1)}
        difference = np.concatenate([R["bf16", r] - R["fp32", r] for r in (0, 1)])
        seeds = R["fp32", 1] - R["fp32", 0]
        n = len(seeds)
        print(
            f"| {METHODS[method]}, {n} groups, two seeds | {difference.mean():+.4f} "
            f"| {difference.std(ddof=1) / len(difference) ** 0.5:.4f} "
            f"| {seeds.std(ddof=1):.4f} | {seeds.std(ddof=1) / n**0.5:.4f} |"
        )
        place.plot(R["fp32", 0], R["fp32", 1], "x", color="grey", ms=4, label="fp32, another seed")
        place.plot(R["fp32", 0], R["bf16", 0], "o", color="#1f5f8b", ms=3, label="bf16, the same seed")
        place.axline((R["fp32", 0].mean(),) * 2, slope=1, color="black", lw=0.5)
        place.set(title=f"{METHODS[method]}: R at the end", xlabel="fp32", ylabel="the other")
        place.legend(fontsize=7)
    print("\n| λ | | models | lost, fp32 | lost, bf16 | in both |")
    print("| --- | --- | --- | --- | --- | --- |")
    for edge, λ in EDGES.items():
        for method in METHODS:
            gone = {}
            for precision in ("fp32", "bf16"):
                runs = [curves(results, f"{edge}-{precision}", method, r) for r in (0, 1)]
                gone[precision] = np.stack([lost(R, Φ).to_numpy() for R, Φ in runs])  # (repeats, groups)
            text = {}
            for precision, which in gone.items():
                rate = share(pd.Series(which.mean(0)))  # repeats of a group aren't independent: their mean is one value
                low, high = rate.interval(0.95)
                text[precision] = f"{which.sum()} ({low:.0%} to {high:.0%})"
                place = list(EDGES).index(edge) + 0.2 * (method == "wframe") + 0.08 * (precision == "bf16")
                marker = {"fp32": "o", "bf16": "s"}[precision]
                axes[2].plot([place] * 2, [low, high], color=COLOURS[method], lw=1)
                axes[2].plot(
                    place, which.mean(), marker, color=COLOURS[method], ms=4, label=f"{METHODS[method]}, {precision}"
                )
            both = int((gone["fp32"] & gone["bf16"]).sum())
            print(f"| {λ} | {METHODS[method]} | {which.size} | {text['fp32']} | {text['bf16']} | {both} |")
        if edge == next(iter(EDGES)):
            axes[2].legend(fontsize=7)
    axes[2].set(title="models lost at the edge", ylabel="share", xticks=[0.14, 1.14])
    axes[2].set_xticklabels([f"λ = {λ}" for λ in EDGES.values()])
    canvas.savefig(out / "precision.png", dpi=130, metadata={"Software": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
