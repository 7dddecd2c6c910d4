"""Synthetic results for tests of verdicts: a results folder whose curves are functions of what a run is."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from conftest import ROOT

from wframe.claims.claim import load_claims
from wframe.claims.evidence import JUDGES, Case, Evidence
from wframe.claims.verdict import Outcome, decide
from wframe.config.edition import check

CLAIMS = {claim.id: claim for claim in load_claims(ROOT / "config/claims.yaml")}
Curve = Callable[[str, str, int, int, int], float]  # of setting, method, repeat, group and iteration
NAMES = ["dataset", "class", "setting", "method", "repeat", "group", "iteration"]
SETTINGS = {
    "safe": {},
    "lambda": {"lambda": 0.01},
    "lambda-kept": {"lambda": 0.01, "before": "kept"},
    "lambda-clipped": {"lambda": 0.01, "clip": 0.01},
    "delta": {"delta": 0.45},
    "tuned": {},
    "lu-zhu-wu": {"lambda": 2e-4},
}


def one(s: str, m: str, r: int, g: int, t: int) -> float:
    """Φ that stays at 1."""
    return 1.0


def results(
    folder: Path,
    R: Curve,
    groups: int = 10,
    T: int = 20,
    energy: Curve = one,
    settings: tuple[str, ...] = ("safe",),
    repeats: int = 1,
    study: str = "whole",
    stands_for: tuple[str, ...] = ("celeba", "sun"),
    datasets: tuple[str, ...] = ("d",),
    **measures: Curve,
) -> Case:
    """Return results with R, Φ of the chains (and of the observed images, unless given) and other measures."""
    measures = {"R": R, "energy": energy, "energy_observed": energy} | measures
    places = [
        (dataset, "all", s, m, r, g, t)
        for dataset in datasets
        for s in settings
        for m in ("frame", "wframe")
        for r in range(repeats)
        for g in range(groups)
        for t in range(1, T + 1)
    ]
    table = pd.DataFrame(places, columns=NAMES)
    for name, curve in measures.items():
        table[name] = [float(curve(*place[2:])) for place in places]
    return case(folder, table, settings, study, stands_for)


def case(folder: Path, table: pd.DataFrame, settings: tuple[str, ...], study: str, stands_for: tuple[str, ...]) -> Case:
    """Return results with a table of curves."""
    entry = {"source": "embedded", "path": "faces", "stands_for": list(stands_for)}
    names = list(dict.fromkeys(table["dataset"]))
    edition = check(
        {
            "edition": "synthetic",
            "datasets": {name: entry for name in names},
            "studies": {study: {"datasets": names, "settings": {name: SETTINGS[name] for name in settings}}},
        }
    )
    (folder / "studies").mkdir(parents=True, exist_ok=True)
    table.assign(diverged=np.where(np.isfinite(table["R"]), -1, 0)).to_parquet(folder / f"studies/{study}.parquet")
    return Case(folder, edition, {claim.id: claim.paper for claim in CLAIMS.values()})


def judged(claim: str, of: Case) -> tuple[Outcome, Evidence]:
    """Return the verdict on a claim of the paper, with its own judge, `of` and rule, and the evidence."""
    found = CLAIMS[claim]
    assert found.judge and found.expects
    evidence = JUDGES[found.judge](of, **found.of)
    return decide(found.expects, evidence), evidence


def verdict(claim: str, of: Case) -> str:
    """Return the verdict alone."""
    return judged(claim, of)[0].verdict
