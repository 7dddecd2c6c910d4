"""What announces FRAME's collapse? Which measure leaves the range of the models that hold before R does.

python docs/measurements/collapse.py docs/measurements/collapse.png FOUND_ON.parquet... --judged-on JUDGED_ON.parquet...

The files are studies' curves (results/studies/NAME.parquet). The alarm of a measure is set at the largest value that it
has in any model of FOUND_ON that isn't lost, so there it never sounds in vain. JUDGED_ON are other groups.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from wframe.results.outcomes import COLLAPSES_ABOVE, lost

MEASURES = {
    "gradient": "mean |∇ₓΦ|",
    "std": "std of x, grey levels",
    "energy": "|Φ(x)|",
    "misfit": "‖H^obs − H^syn‖ over its start",
    "step": "‖Δθ‖ over its start",
    "R": "R over its start",
}
RELATIVE = ("misfit", "step", "R")
FRAME = r"/frame$|beta-0/|^frame-"  # SETTING/METHOD of FRAME, as method or as β = 0 in a map
MODEL = ["dataset", "class", "setting", "method", "repeat", "group"]


class Study:
    """The measures of a study's models, iterations × models, and which of these are lost and when R leaves."""

    def __init__(self, file: Path) -> None:
        rows = pd.read_parquet(file)
        rows = rows[(rows["setting"] + "/" + rows["method"]).str.contains(FRAME)]
        wide = {name: rows.pivot(index="iteration", columns=MODEL, values=name) for name in MEASURES}
        self.lost = lost(wide["R"], wide["energy"])
        self.measures = {name: (of / of.iloc[0] if name in RELATIVE else of).abs() for name, of in wide.items()}
        self.leaves = first(~self.measures["R"].le(COLLAPSES_ABOVE))

    def alarm(self, measure: str, limit: float) -> pd.Series:
        """Return the first iteration in which a measure is above a limit, or isn't finite, in each model."""
        return first(~self.measures[measure].le(limit))


def first(happens: pd.DataFrame) -> pd.Series:
    """Return the first iteration in which something happens in each model; infinite if it never does."""
    return happens.idxmax().astype(float).where(happens.any(), np.inf)


def warned(studies: list[Study], measure: str, limit: float) -> tuple[str, str]:
    """Return how many lost models are warned before R leaves and for how long, and how many others are for nothing."""
    early, false, held = [], 0, 0
    for study in studies:
        alarm = study.alarm(measure, limit)
        early += (study.leaves - alarm)[study.lost].tolist()
        false += int(np.isfinite(alarm[~study.lost]).sum())
        held += int((~study.lost).sum())
    return f"{sum(e > 0 for e in early)} of {len(early)}, {np.median(early or [np.nan]):g}", f"{false} of {held}"


def main() -> None:
    """Print the table and draw the figure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("figure", type=Path)
    parser.add_argument("found_on", type=Path, nargs="+")
    parser.add_argument("--judged-on", type=Path, nargs="+", required=True)
    args = parser.parse_args()
    found, judged = ([Study(file) for file in files] for files in (args.found_on, args.judged_on))
    print("| measure | alarm above | found on: warned, median iterations before | judged on: the same | false alarms |")
    print("| --- | --- | --- | --- | --- |")
    limits = {}
    for measure, title in MEASURES.items():
        limits[measure] = max(float(study.measures[measure].loc[:, ~study.lost].max().max()) for study in found)
        (first_half, _), (second, false) = (warned(studies, measure, limits[measure]) for studies in (found, judged))
        print(f"| {title} | {limits[measure]:.3g} | {first_half} | {second} | {false} |")
    draw(judged, limits, args.figure)


def draw(studies: list[Study], limits: dict[str, float], out: Path) -> None:
    """Draw the measures of the judged models, of lost ones until R leaves, with the alarms."""
    canvas, grid = plt.subplots(2, 3, figsize=(9, 5), layout="constrained")
    for axes, (measure, title) in zip(grid.flat, MEASURES.items(), strict=True):
        for study in studies:
            for model, curve in study.measures[measure].items():
                gone = study.lost[model]
                shown = curve[curve.index <= study.leaves[model] + 1] if gone else curve
                axes.plot(shown.index, shown, color="#b3501b" if gone else "#1f5f8b", lw=0.6, alpha=0.6)
        axes.axhline(limits[measure], color="black", lw=0.8, ls=":")
        axes.set(title=title, yscale="log", xscale="log")
    for axes in grid[-1]:
        axes.set_xlabel("learning iteration t")
    canvas.savefig(out, dpi=130, metadata={"Software": None})


if __name__ == "__main__":
    main()
