"""The films of the page: a group's images over the learning iterations, and R beside them."""

import math
from typing import Any

from wframe.results.text import number

WIDE, HIGH = 1000, 100  # of the drawing of R, in its own units


def film_view(figure: dict[str, Any]) -> dict[str, Any]:
    """Return a figure that has a film, with what the player says of each run at each time, and R's curves."""
    film = figure["film"]
    runs = [run | {"said": [said_of(run, t) for t in film["times"]]} for run in film["runs"]]
    player = {
        "times": film["times"],
        "iterations": max(len(run["R"]) for run in runs),
        "runs": [{name: run[name] for name in ("label", "said")} for run in runs],
    }
    return figure | {"film": film | {"runs": runs}, "player": player, "curves": curves(runs)}


def said_of(run: dict[str, Any], t: int) -> str:
    """Return what the page says of a run after iteration t: its R then, or that it has diverged."""
    if run["diverged"] is not None and t > run["diverged"]:
        return f"diverged in iteration {run['diverged'] + 1}"
    return "" if run["R"][t - 1] is None else f"R({t}) = {number(run['R'][t - 1])}"


def curves(runs: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return each run's curve of R as points of a drawing, on a logarithmic scale; none of what isn't positive."""
    logs = [[math.log(R) if R else None for R in run["R"]] for run in runs]
    known = [log for of_run in logs for log in of_run if log is not None]
    if not known or max(map(len, logs)) < 2:
        return []
    low, high = min(known), max(known)
    unit = (high - low) or 1.0
    return [
        {
            "method": run["method"],
            "points": " ".join(
                f"{WIDE * t / (len(of_run) - 1):.0f},{HIGH - 4 - (HIGH - 8) * (log - low) / unit:.1f}"
                for t, log in enumerate(of_run)
                if log is not None
            ),
        }
        for run, of_run in zip(runs, logs, strict=True)
    ]
