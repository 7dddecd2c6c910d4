"""What decides whether a model collapses? How far R jumps in the first three iterations, and what becomes of it.

python docs/measurements/collapse.py docs/measurements/collapse.png BETA.parquet OTHER.parquet...

The files are studies' curves: `beta` of config/map.yaml, on which a rule was found; and others, on which it is tested:
`delta` of config/map.yaml, and the studies of config/sample.yaml.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd

from wframe.results.outcomes import COLLAPSES_ABOVE, final_ratio, lost

MODEL = ["dataset", "class", "setting", "method", "repeat", "group"]
EARLY = 3  # iterations
LIMIT = 2.29  # the rule found on FRAME's models: lost if the jump is larger
METHODS = {  # by SETTING/METHOD: FRAME is a method, or β = 0 in the map
    "FRAME": (r"^(?:base|safe|lambda|delta|lambda-5|tuned)/frame$|^printed-.*beta-0/|^frame-", "#b3501b"),
    "wFRAME, β = 60, as printed": (
        r"^printed-.*beta-60/|^printed-.*delta-|^(?:base|safe|lambda|delta|lambda-5|tuned)/wframe$",
        "#1f5f8b",
    ),
    "wFRAME, β = 60, delayed": (r"^delayed-.*beta-60/|-kept/wframe$", "#7fb2d0"),
}


def models(files: list[Path], pattern: str) -> pd.DataFrame:
    """Return each model's jump (the largest R of the first iterations over its start), end, and whether it's lost."""
    parts = []
    for file in files:
        rows = pd.read_parquet(file)
        rows = rows[(rows["setting"] + "/" + rows["method"]).str.contains(pattern)]
        if len(rows):
            R, Φ = (rows.pivot(index="iteration", columns=MODEL, values=name) for name in ("R", "energy"))
            jump = (R / R.iloc[0]).iloc[:EARLY].max()
            parts.append(pd.DataFrame({"jump": jump, "end": final_ratio(R, Φ), "lost": lost(R, Φ)}))
    return pd.concat(parts)


def main(out: Path, found: Path, *judged: Path) -> None:
    """Print the table and draw the figure."""
    canvas, panels = plt.subplots(1, 2, figsize=(8.5, 3.4), sharex=True, sharey=True, layout="constrained")
    print(
        f"| groups | method | not lost: largest jump | lost: smallest jump | not lost above {LIMIT} | lost below it |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    sets = {"found on: CIFAR-10's horses": [found], "tested on: all else": list(judged)}
    for axes, (title, files) in zip(panels, sets.items(), strict=True):
        for method, (pattern, colour) in METHODS.items():
            table = models(files, pattern)
            held, gone = table[~table["lost"]], table[table["lost"]]
            most, least = held["jump"].max(), gone["jump"].min()
            above, below = int((held["jump"] > LIMIT).sum()), int((gone["jump"] <= LIMIT).sum())
            print(f"| {title} | {method} | {most:.2f} ({len(held)}) | {least:.2f} ({len(gone)}) | {above} | {below} |")
            axes.plot(table["jump"], table["end"].fillna(1e12), "o", ms=3, alpha=0.6, color=colour, label=method)
        axes.axhline(COLLAPSES_ABOVE, color="black", lw=0.6, ls=":")
        axes.axvline(LIMIT, color="black", lw=0.6, ls=":")
        axes.set(
            xscale="log", yscale="log", title=title, xlabel=f"largest R of the first {EARLY} iterations over its start"
        )
    panels[0].set_ylabel("R at the end over its start")
    panels[0].legend(fontsize=7)
    canvas.savefig(out, dpi=130, metadata={"Software": None})


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
