"""What the page's player shows: a group's images over the learning iterations, FRAME and wFRAME in step."""

import numpy as np

from wframe.figures.canvas import Film, tile
from wframe.figures.curves import label_of
from wframe.jobs.runs import Run
from wframe.results.outcomes import worst_once_diverged
from wframe.results.store import Store

GONE = 0xDD  # the grey of a group that has diverged


def film(store: Store, runs: list[Run]) -> Film | None:
    """Return the film of the first group of these runs, which share their observed images; None without snapshots."""
    times = store.edition.snapshots(runs[0].study, runs[0].dataset, runs[0].setting)
    if not times:
        return None
    observed = tile(store.observed(runs[0], 0))
    edge = max(observed.shape[:2]) + 1  # a white line between cells, which scaling can't blur into a neighbour
    sheet = np.full((len(runs) * edge, (1 + len(times)) * edge, 3), 255, np.uint8)
    sheet[: observed.shape[0], : observed.shape[1]] = observed
    for row, run in enumerate(runs):
        snapshots, last = store.images(run, "snapshots"), store.diverged(run)
        for column, t in enumerate(times, start=1):
            gone = last is not None and t > last
            image = np.full_like(observed, GONE) if gone else tile(snapshots[column - 1])
            top, left = row * edge, column * edge
            sheet[top : top + image.shape[0], left : left + image.shape[1]] = image
    return Film(sheet, edge, times, [_about(store, run) for run in runs])


def _about(store: Store, run: Run) -> dict:
    """Return what the page says of a run of a film; R is None once it isn't finite."""
    models = [store.by_group(run.study, [run.dataset], run.setting, run.method, name) for name in ("R", "energy")]
    R = worst_once_diverged(*models)[(run.dataset, run.class_, run.repeat, 0)]
    return {
        "method": run.method,
        "label": label_of(run),
        "R": [float(f"{value:.4g}") if np.isfinite(value) else None for value in R],
        "diverged": store.diverged(run),
    }
