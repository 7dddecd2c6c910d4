"""Draw the README's image from the demo edition's results: `python docs/hero.py results docs/hero.png`."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt

from wframe.config.edition import load
from wframe.config.learning import METHODS
from wframe.figures.canvas import COLOURS, LINES, STYLE, tile
from wframe.results.store import Store

results, out = map(Path, sys.argv[1:])
store = Store(results, load(results / "config.yaml"))

with plt.rc_context(STYLE):
    canvas = plt.figure(figsize=(10, 2.7))
    grid = canvas.add_gridspec(1, 4, width_ratios=[1, 1, 1, 1.75])
    runs = {method: store.run("whole", "faces", method) for method in METHODS}
    sheets = {"observed": store.observed(runs["frame"], 0)}
    sheets |= {f"{METHODS[method]} synthesises": store.images(run)[0] for method, run in runs.items()}
    for place, (title, images) in enumerate(sheets.items()):
        axes = canvas.add_subplot(grid[place])
        axes.imshow(tile(images))
        axes.set_title(title)
        axes.set_axis_off()
    axes = canvas.add_subplot(grid[3])
    for method, name in METHODS.items():
        R = store.by_group("collapse", ["scenes"], "lambda", method, "R")
        style = {"color": COLOURS[method], "linestyle": LINES[method]}
        axes.plot(R.index, R, lw=0.7, alpha=0.6, **style)
        axes.plot(R.index, R.mean(axis=1), lw=1.6, label=name, **style)
    axes.set_yscale("log")
    axes.set_title("R, with λ and δ beyond the safe range")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("learning iteration t")
    axes.legend()
    canvas.savefig(out, dpi=150, metadata={"Software": None})
