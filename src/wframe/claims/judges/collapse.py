"""Judges of collapse: who collapses, who comes back, and when."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from safetensors.numpy import load_file

from wframe.claims.evidence import Evidence, judge
from wframe.claims.judges._common import Settings, curves_of, evidence, mean_over_repeats, pairs
from wframe.jobs.runs import runs
from wframe.results.outcomes import lost
from wframe.results.statistics import geometric_interval, mean_interval, share_interval
from wframe.results.store import GROUP, NotAvailable, Store


@judge
def comes_back(store: Store, study: str, datasets: list[str], settings: Settings) -> Evidence:
    """The share of groups in which FRAME collapses and wFRAME ends no higher than it began, in most repeats."""
    frame, wframe = pairs(store, "R", study, datasets, settings)
    held = lost(frame) & (wframe.iloc[-1] <= wframe.iloc[0])
    interval = share_interval(mean_over_repeats(held) > 0.5)
    return evidence(store, study, "share of groups in which FRAME collapses and wFRAME comes back", interval)


@judge
def collapses(store: Store, study: str, datasets: list[str], settings: Sequence[str], method: str) -> Evidence:
    """The share of groups whose R ends above twice its start, or that diverge, in at least half of the repeats."""
    shares = [
        mean_over_repeats(lost(curves_of(store, study, datasets, setting, method, "R"))) >= 0.5 for setting in settings
    ]
    interval = share_interval(np.concatenate(shares))
    return evidence(store, study, f"share of {method}'s groups that collapse", interval)


@judge
def recovery(store: Store, study: str, datasets: list[str], settings: Sequence[str]) -> Evidence:
    """The iteration at which wFRAME's R, having risen above its start, is back at it: mean over those groups.

    A group that rises and isn't back by the end counts as T, so this is then a lower bound; a group that never rises
    has nothing to come back from.
    """
    times, never = [], 0
    for setting in settings:
        R = curves_of(store, study, datasets, setting, "wframe", "R")
        back = {}
        for name, curve in R.items():
            diverged = curve.isna().any()
            if diverged or curve.max() > curve.iloc[0]:
                after = curve[:0] if diverged else curve.loc[curve.idxmax() :]
                returned = after[after <= curve.iloc[0]].index
                never += returned.empty
                back[name] = float(R.index[-1] if returned.empty else returned[0])
        if back:
            times.append(mean_over_repeats(pd.Series(back).rename_axis(GROUP)))
    if not times:
        raise NotAvailable("no group of wFRAME rose above its start")
    note = f" ({never} that never are count as T)" if never else ""
    return evidence(
        store,
        study,
        f"iteration at which wFRAME's R is back at its start{note}",
        mean_interval(np.concatenate(times)),
    )


@judge
def alike_at_first(store: Store, study: str, datasets: list[str], setting: str | None = None) -> Evidence:
    """The distance between the methods' chains at the first kept iteration from the third on, over that at the last.

    Root-mean-square over pixels, for each run's first group; geometric mean over runs. With θ₀ = 0 and common noise
    the first two iterations are the same by construction.
    """
    found = store.standing_for(study, datasets)
    entry = store.edition.studies[study]
    if set(entry.methods) != {"frame", "wframe"}:
        raise NotAvailable(f"this edition's study {study!r} doesn't run both methods")
    setting = setting or next(iter(entry.settings))
    times = sorted(set(entry.snapshots))
    first = next((place for place, t in enumerate(times) if t >= 3), len(times))
    ratios, files = [], set()
    for run in runs(store.edition, study):
        if run.method == "wframe" and run.dataset in found and run.setting == setting:
            pair = [f"runs/{folder}/0.safetensors" for folder in (run.folder, run.of_method("frame").folder)]
            a, b = (load_file(store.folder / name)["snapshots"].astype(float) for name in pair)
            kept = min(len(a), len(b))
            if kept > first + 1:
                apart = np.sqrt(((a[:kept] - b[:kept]) ** 2).mean((1, 2, 3, 4)))
                ratios.append(np.log(max(apart[first], 0.5) / max(apart[-1], 0.5)))  # half a grey level is alike
                files |= set(pair)
    if not ratios:
        raise NotAvailable(f"study {study!r} keeps no two snapshots of both methods from the third iteration on")
    statistic = f"distance of the methods' chains at t = {times[first]}, over that at the last snapshot"
    return Evidence(statistic, *geometric_interval(ratios), "runs", frozenset(files))
