"""The judge of how alike the methods' images are at first."""

import numpy as np
from safetensors.numpy import load_file

from wframe.claims.evidence import Evidence, judge
from wframe.jobs.runs import runs
from wframe.measurements.diversity import spread
from wframe.results.statistics import median
from wframe.results.store import NotAvailable, Store

LEAST = 0.5  # half a grey level is alike


@judge
def alike_at_first(store: Store, study: str, datasets: list[str], setting: str | None = None) -> Evidence:
    """The distance between the methods' chains at the first kept iteration from the third on, over that at the last.

    Where they end farther apart than two observed images are, which an explosion can do, over that of these: what is
    as far apart as two images isn't alike, whatever comes after. If only one method has diverged by then, nothing is.
    Root-mean-square over pixels, for each class's first group, the median over its repeats; then over groups. With
    θ₀ = 0 and common noise the first two iterations are the same by construction.
    """
    found, entry = store.standing_for(study, datasets), store.study(study)
    if set(entry.methods) != {"frame", "wframe"}:
        raise NotAvailable(f"this edition's study {study!r} doesn't run both methods")
    setting = setting or entry.first
    if setting not in entry.points:
        raise NotAvailable(f"this edition's study {study!r} has no setting {setting!r}")
    ratios: dict[tuple[str, str], list[float]] = {}
    files, left_out = set(), 0
    for run in runs(store.edition, study):
        if run.method == "wframe" and run.dataset in found and run.setting == setting:
            both = (run, run.of_method("frame"))
            pair = [f"runs/{one.folder}/0.safetensors" for one in both]
            a, b = (load_file(store.folder / name)["snapshots"].astype(float) for name in pair)
            times = store.edition.snapshots(study, run.dataset, setting)
            whole = min(times[-1] if (at := store.diverged(one)) is None else at for one in both)
            kept = sum(t <= whole for t in times)  # after that a group's chains are held as they were
            first = next((place for place, t in enumerate(times) if t >= 3), len(times))
            if kept <= first:
                only_one = (store.diverged(run) is None) != (store.diverged(both[1]) is None)
                if only_one and first < len(times):  # nothing is less alike
                    ratios.setdefault((run.dataset, run.class_), []).append(np.inf)
                left_out += not only_one
                continue
            apart = np.sqrt(((a[:kept] - b[:kept]) ** 2).mean((1, 2, 3, 4)))
            images_apart = spread(store.observed(run, 0))
            far = min(apart[-1], images_apart) if kept > first + 1 else images_apart
            ratio = 0.0 if apart[first] <= LEAST else float(apart[first] / max(far, LEAST))
            ratios.setdefault((run.dataset, run.class_), []).append(ratio)
            files |= {*pair, f"data/{run.dataset}/{run.class_}.npy"}
    if not ratios:
        raise NotAvailable(f"study {study!r} keeps no snapshot of both methods from the third iteration on")
    at = next((t for t in times if t >= 3), times[-1])
    statistic = f"distance of the methods' chains at t = {at}, over that at the last or of two images: median"
    estimate = median([float(np.median(values)) for values in ratios.values()])
    notes = (f"{left_out} runs of which both diverged before that are left out",) if left_out else ()
    return Evidence(statistic, estimate, "first groups", frozenset(files), notes=notes)
