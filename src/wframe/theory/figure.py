"""The figure of the theory: nine panels, a main finding in each, drawn from the findings' JSON."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from wframe.figures.canvas import COLOURS, PAGE, STYLE, Figure, save

PRINTED: dict[str, Any] = {"color": COLOURS["frame"], "linestyle": (0, (4, 1.5)), "lw": 1.3}
CORRECTED: dict[str, Any] = {"color": COLOURS["wframe"], "lw": 1.3}
COMPUTED: dict[str, Any] = {"color": "black", "marker": "o", "ms": 3, "linestyle": "none", "zorder": 3}
GREY = "#777777"
TITLE = "The paper's theory, computed"
CAPTION = (
    "Dashed: as the paper prints it. Solid: corrected. Black dots and grey bars: what comes out of a solver, of exact "
    "probabilities or of simulated chains. (a) The minimiser of Eq. 5 is e^(−Φ)q, where Eq. 3 has e^(+Φ)q. (b) Exact "
    "probabilities of n particles against Lemma 1's rate. (c) With a time step τ put in, I − J falls to 0 like τ; the "
    "vertical lines are the τ of one Langevin step of Algorithm 1 and of its 50, δ = 0.15. (d) What the tempered "
    "reading samples: Eq. 3 with the energy Φ/σ². (e) The last line of Eq. 13 against the line before it. (f) The "
    "steady state of Eq. 15 isn't Eq. 3 unless the penalty's gradient is left out. (g) Where wFRAME's θ comes to "
    "rest. (h) How the gradients of three divergences change with the distance between model and data. (i) How fast "
    "the penalty's own step of θ shrinks (below 0) or grows, as line 12 is printed (renewed) and with last "
    "iteration's penalty (kept, which is no correction). The gain is g = λβe/D: e is the largest eigenvalue of a "
    "group's mean JJᵀ (J: the derivatives of the filters' responses with respect to the image), D the number of "
    "values of an image."
)


class Panel:
    """One axes; what is drawn on it is kept as numbers too."""

    def __init__(self, axes: Axes, letter: str, title: str) -> None:
        self.axes, self.letter, self.rows = axes, letter, list[dict[str, Any]]()
        axes.set_title(f"({letter}) {title}", loc="left", fontsize=8)

    def plot(self, name: str, x: Any, y: Any, label: str | None = None, **style: Any) -> None:
        """Draw a curve; `name` is what it is called among the numbers."""
        x, y = np.asarray(x, float), np.asarray(y, float)
        self.axes.plot(x, y, label=label, **style)
        self.keep(name, x, y)

    def keep(self, name: str, x: np.ndarray, y: np.ndarray) -> None:
        """Keep numbers that are drawn otherwise."""
        self.rows += [{"panel": self.letter, "curve": name, "x": a, "y": b} for a, b in zip(x, y, strict=True)]

    def note(self, x: float, y: float, text: str, color: str = "black", **where: Any) -> None:
        """Write at a place of the axes (fractions)."""
        self.axes.text(x, y, text, transform=self.axes.transAxes, color=color, fontsize=7, **where)

    def labels(self, x: str, y: str) -> None:
        """Name the axes."""
        self.axes.set_xlabel(x, labelpad=2)
        self.axes.set_ylabel(y, labelpad=2)


def draw(findings: dict[str, Any]) -> tuple[Canvas, pd.DataFrame]:
    """Return the figure of the findings (the JSON of `study`), and its numbers: panel, curve, x, y."""
    curves = findings["curves"]
    with plt.rc_context(STYLE):
        canvas, grid = plt.subplots(3, 3, figsize=(PAGE, 6.3))
        panels = [Panel(axes, letter, title) for axes, (letter, title, _) in zip(grid.flat, PANELS, strict=True)]
        for panel, (_, _, fill) in zip(panels, PANELS, strict=True):
            fill(panel, curves)
        handles = [
            plt.Line2D([], [], label="as printed", **PRINTED),
            plt.Line2D([], [], label="corrected", **CORRECTED),
            plt.Line2D([], [], label="computed", **COMPUTED),
        ]
        canvas.legend(handles=handles, loc="outside upper center", ncols=3, fontsize=8)
    return canvas, pd.DataFrame([row for panel in panels for row in panel.rows])


def save_figure(findings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write the figure as PNG and PDF with its numbers as CSV; return its entry in the folder's index."""
    with plt.rc_context(STYLE):
        canvas, numbers = draw(findings)
        counts = [f"{statement['where']}: {statement['outcome']}" for statement in findings["statements"]]
        alt = f"Nine panels with the main findings. {'; '.join(counts)}."
        return save(Figure("theory", TITLE, CAPTION, alt, canvas, numbers), folder)


def _signs(panel: Panel, curves: dict[str, Any]) -> None:
    found = curves["flows"]
    state = np.arange(1, len(found["q"]) + 1)
    panel.plot("q", state, found["q"], color=GREY, lw=0.8, ls=":")
    panel.plot("Eq. 3: e^(+Φ)q", state, found["plus"], **PRINTED)
    panel.plot("e^(−Φ)q", state, found["minus"], **CORRECTED)
    panel.plot("minimiser of Eq. 5", state, found["eq5"], **COMPUTED)
    panel.note(0.98, 0.98, "Eq. 3: e$^{+Φ}$q", COLOURS["frame"], ha="right", va="top")
    panel.note(0.98, 0.87, "e$^{−Φ}$q", COLOURS["wframe"], ha="right", va="top")
    panel.note(0.98, 0.76, "dots: minimiser", ha="right", va="top")
    panel.note(0.98, 0.66, "dotted: q", GREY, ha="right", va="top")
    panel.axes.set_ylim(0, 1.55 * max(max(found["plus"]), max(found["minus"])))
    panel.labels("state", "probability")


def _deviations(panel: Panel, curves: dict[str, Any]) -> None:
    found = curves["deviations"]
    n = found["n"]
    printed, corrected = found["printed"][0], found["corrected"][0]
    panel.plot("rate as printed", [n[0], n[-1]], [printed] * 2, **PRINTED)
    panel.plot("rate corrected", [n[0], n[-1]], [corrected] * 2, **CORRECTED)
    panel.plot("−(1/n) log P", n, found["rate"], **(COMPUTED | {"marker": "s", "mfc": "white"}))
    panel.plot("−(1/n) log P, Stirling's factor removed", n, found["less_prefactor"], **COMPUTED)
    panel.axes.set_xscale("log")
    panel.axes.set_ylim(corrected - 0.045, max(found["rate"]) + 0.03)
    panel.axes.set_xticks([20, 80, 320], ["20", "80", "320"])
    panel.axes.minorticks_off()
    panel.note(0.98, 0.96, "□ exact; • without\nStirling's factor", ha="right", va="top")
    panel.note(0.02, 0.03, "K − ∫Φdρ + log E e$^{Φ}$", COLOURS["wframe"], va="bottom")
    panel.labels("particles n", "−(1/n) log P")


def _small_steps(panel: Panel, curves: dict[str, Any]) -> None:
    found = curves["small-steps"]
    panel.plot("Gaussians, closed form", found["line_tau"], found["line"], **CORRECTED)
    panel.plot("Gaussians with a drift", found["tau"], found["drift"], color=GREY, lw=1)
    panel.plot("other densities, optimal transport", found["tau"], found["others"], **COMPUTED)
    panel.axes.set_xscale("log")
    panel.axes.set_yscale("log")
    for mark in found["marks"]:
        if "0.15" in mark["what"]:
            panel.axes.axvline(mark["tau"], color="black", lw=0.6, ls=":")
            panel.keep(f"τ of {mark['what']}", np.array([mark["tau"]]), np.array([np.nan]))
    panel.axes.set_ylim(2e-5, 2)
    panel.axes.set_xlim(0.004, 2)
    panel.note(0.19, 0.97, "one step", va="top")
    panel.note(0.77, 0.97, "50 steps", va="top", ha="right")
    panel.note(0.5, 0.77, "Gaussians", COLOURS["wframe"], va="top", ha="right")
    panel.note(0.77, 0.15, "dots: other densities", va="top", ha="right")
    panel.note(0.77, 0.27, "grey: with a drift", GREY, va="top", ha="right")
    panel.labels("time step τ", "I − J (nats)")


def _langevin(panel: Panel, curves: dict[str, Any]) -> None:
    found = curves["langevin"]["tempered"]
    edges = np.array(found["edges"])
    panel.axes.stairs(found["histogram"], edges, fill=True, color="#cccccc")
    panel.keep("histogram of chains", (edges[1:] + edges[:-1]) / 2, np.array(found["histogram"]))
    panel.plot("Eq. 3", found["x"], found["eq_3"], **PRINTED)
    panel.plot("exp(Φ/σ²)·N(0, σ²)", found["x"], found["target"], **CORRECTED)
    panel.axes.set_xlim(-4, 5)
    panel.axes.set_ylim(0, 0.68)
    panel.note(0.02, 0.97, "Eq. 3", COLOURS["frame"], va="top")
    panel.note(0.98, 0.97, "exp(Φ/σ²)·N(0, σ²)", COLOURS["wframe"], va="top", ha="right")
    panel.note(0.98, 0.86, "bars: chains", GREY, va="top", ha="right")
    panel.labels("x/σ", "density")


def _rectangles(panel: Panel, curves: dict[str, Any]) -> None:
    found = curves["interpolation"]
    panel.plot("last line as printed", found["zeta"], found["printed"], **PRINTED)
    panel.plot("last line corrected", found["zeta"], found["mended"], **CORRECTED)
    panel.plot("second line", found["zeta"][::2], found["second_line"][::2], **COMPUTED)
    panel.axes.axhline(0, color="black", lw=0.5)
    panel.note(0.05, 0.62, "+β(γA + (1 − γ)B)", COLOURS["wframe"])
    panel.note(0.05, 0.33, "−β((1 − γ)A + γB)", COLOURS["frame"])
    panel.axes.set_ylim(-3.6, 3.9)
    panel.note(0.5, 0.97, "dots: (ζ − t₀)A + (t₁ − ζ)B", va="top", ha="center")
    panel.labels("ζ   (t₀ = 0, t₁ = 1)", "value, A = 2, B = 3")


def _fokker_planck(panel: Panel, curves: dict[str, Any]) -> None:
    found = curves["fokker-planck"]
    edges = np.array(found["edges"])
    panel.axes.stairs(found["particles"], edges, fill=True, color="#cccccc")
    panel.keep("particles of Eq. 16", (edges[1:] + edges[:-1]) / 2, np.array(found["particles"]))
    panel.plot("Eq. 3", found["x"], found["eq_3"], **PRINTED)
    panel.plot("steady state of Eq. 15", found["x"], found["law"], **CORRECTED)
    panel.axes.set_xlim(-4, 5)
    panel.axes.set_ylim(0, 1.0)
    panel.note(0.98, 0.97, "Eq. 3", COLOURS["frame"], va="top", ha="right")
    panel.note(0.98, 0.86, "e$^{Φ − |∇Φ|²}$q", COLOURS["wframe"], va="top", ha="right")
    panel.note(0.98, 0.74, "bars: Eq. 16", GREY, va="top", ha="right")
    panel.labels("x", "density")


def _consistency(panel: Panel, curves: dict[str, Any]) -> None:
    found = curves["consistency"]
    β, share = np.array(found["betas"]), np.array(found["share"])
    panel.axes.axhline(1, **PRINTED)
    panel.keep("as printed", β, np.ones_like(β))
    panel.plot("where θ rests", β[1:], share[1:], **(CORRECTED | {"marker": "o", "ms": 3}))
    panel.axes.set_xscale("log")
    panel.axes.set_ylim(0, 1.25)
    panel.note(0.97, 0.83, "consistent", COLOURS["frame"], va="bottom", ha="right")
    panel.axes.annotate(
        f"β = 60: {share[-1]:.3f}",
        (β[-1], share[-1]),
        (0.99, 0.47),
        textcoords="axes fraction",
        fontsize=7,
        ha="right",
        arrowprops={"arrowstyle": "-", "lw": 0.5},
    )
    panel.labels("β", "|θ| at rest / |θ| true")


def _topology(panel: Panel, curves: dict[str, Any]) -> None:
    found = curves["topology"]
    styles = {"kl": COMPUTED | {"linestyle": "solid", "lw": 1}, "js": {"color": "black", "lw": 1.1, "ls": "-."}}
    styles["w2"] = {"color": GREY, "lw": 1.1}
    for name in ("w2", "kl", "js"):
        panel.plot(name, found["m"], found[name], **styles[name])
    panel.axes.set_xscale("log")
    panel.axes.set_yscale("log")
    panel.axes.set_ylim(1e-9, 400)
    panel.axes.set_xticks([0.5, 1, 2, 4, 8], ["½", "1", "2", "4", "8"])
    panel.axes.minorticks_off()
    panel.note(0.03, 0.97, "W²", GREY, va="top")
    panel.note(0.97, 0.74, "K", ha="right")
    panel.note(0.6, 0.3, "Jensen–\nShannon", ha="right")
    panel.labels("distance of model and data (s.d.)", "gradient")


def _stability(panel: Panel, curves: dict[str, Any]) -> None:
    found = curves["stability"]
    panel.plot("renewed (as printed)", found["g"], found["renewed"], **PRINTED)
    panel.plot("kept, almost every path", found["g"], found["kept"], **CORRECTED)
    panel.plot("kept, mean square", found["g"], found["mean_square"], color=COLOURS["wframe"], lw=0.8, ls=":")
    panel.axes.axhline(0, color="black", lw=0.5)
    panel.axes.set_ylim(-1.5, 1.5)
    panel.axes.set_xlim(0, 5)
    panel.axes.annotate(
        "renewed", (4.2, np.log(3.2)), (0.55, 0.93), textcoords="axes fraction", fontsize=7, color=COLOURS["frame"]
    )
    panel.note(0.97, 0.58, "kept", COLOURS["wframe"], ha="right")
    panel.note(0.97, 0.03, "dotted: kept,\nmean square", COLOURS["wframe"], ha="right", va="bottom")
    panel.labels("gain g = λβe/D", "log growth per iteration")


Fill = Callable[[Panel, dict[str, Any]], None]
PANELS: tuple[tuple[str, str, Fill], ...] = (
    ("a", "Eq. 5: the sign of Φ", _signs),
    ("b", "Lemma 1: the rate", _deviations),
    ("c", "I ≈ J for small τ", _small_steps),
    ("d", "The tempered reading", _langevin),
    ("e", "Eq. 13, last line", _rectangles),
    ("f", "Eq. 15 with a smooth Φ", _fokker_planck),
    ("g", "Consistency", _consistency),
    ("h", '"KL vanishing"', _topology),
    ("i", "Line 12 of Algorithm 1", _stability),
)
