"""Claims on scores: over repeated trainings, never over splits."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, TINY

from wframe.claims.claim import Expects, load_claims
from wframe.claims.evidence import JUDGES, Case, Evidence
from wframe.claims.verdict import decide
from wframe.config.edition import check
from wframe.results.store import NotAvailable


def scored(folder: Path, **rows: tuple[float, float, float, int]) -> Case:
    """Results with a score table: row → (score, std over splits, std over seeds, repeats)."""
    table = [
        (row, *values, 4, "ok", "Inception score", "observed" if row == "real" else "dcgan")
        for row, values in rows.items()
    ]
    names = ["row", "score", "std_splits", "std_seeds", "repeats", "splits", "status", "score_name", "method"]
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    pd.DataFrame(table, columns=names).to_csv(folder / "tables/scores.csv", index=False)
    values = json.loads(json.dumps(TINY))
    values["scores"] = {"extractor": "pocket", "rows": {"real": {"dataset": "digits"}}}
    return Case(folder, check(values), {claim.id: claim.paper for claim in load_claims(ROOT / "config/claims.yaml")})


def test_scores_are_compared_over_trainings(tmp_path: Path):
    rows = {"wframe": (5.5, 0.1, 0.05, 3), "frame": (4.3, 0.05, np.nan, 1), "near": (5.3, 0.1, 0.2, 3)}
    found = scored(tmp_path, **rows, real=(11.2368, 0.095, np.nan, 1), same=(5.0, 0.1, 0.0, 3))

    def order(higher: str, lower: str) -> Evidence:
        return JUDGES["score_order"](found, higher=higher, lower=lower)

    close, alone = order("wframe", "near"), order("wframe", "frame")
    assert close.value == pytest.approx(0.2) and close.bounds()[0] < 0 < close.bounds()[1]
    assert alone.bounds() == (-math.inf, math.inf), "one training says nothing of another, whatever its splits say"
    assert decide(Expects(above=0), alone).verdict == "undecided"
    quoted = order("wframe", "paper:table1-ali")
    half = 4.303 * math.hypot(0.05 / 3**0.5, 0.05, 0.05 / 10**0.5)
    assert quoted.value == pytest.approx(5.5 - 5.34)
    assert quoted.bounds()[1] - quoted.value == pytest.approx(half, rel=1e-3), "it is of one training, as ours spread"
    real = JUDGES["score"](found, row="real")
    assert (real.n, real.unit) == (4, "splits"), "real images were not trained for"
    assert real.bounds()[1] - real.value == pytest.approx(3.182 * 0.095 / 3**0.5, rel=1e-3), "± divides by n"
    assert JUDGES["score"](found, row="same").bounds() == (-math.inf, math.inf), "repeats that are all alike are none"
    rank = JUDGES["score_rank"](found, row="wframe", others=["near", "frame", "paper:table1-improved-gan"])
    assert rank.value == 1 and rank.bounds()[0] < 1
    first = JUDGES["score_first"](found, row="real", others=["wframe", "near"])
    assert first.value == pytest.approx(11.2368 - 5.5) and first.bounds()[0] > 0
    assert decide(Expects(above=0), first).verdict == "reproduced"
    with pytest.raises(NotAvailable, match="scores no row 'dcgan'"):
        JUDGES["score"](found, row="dcgan")


def test_groups_are_trainings_of_their_own(tmp_path: Path):
    """FRAME's and wFRAME's one run each has an error over groups; a GAN's one training has none."""
    found = scored(tmp_path, wframe=(5.5, 0.1, np.nan, 1), frame=(4.3, 0.05, np.nan, 1), dcgan=(6.0, 0.1, np.nan, 1))
    path = tmp_path / "tables/scores.csv"
    table = pd.read_csv(path).assign(error_groups=[0.04, 0.03, np.nan], groups=[500, 500, np.nan])
    table.to_csv(path, index=False)
    apart = JUDGES["score_order"](found, higher="wframe", lower="frame")
    assert apart.bounds()[0] == pytest.approx(1.2 - 1.965 * 0.05, abs=1e-3) and (apart.n, apart.unit) == (500, "groups")
    assert JUDGES["score_order"](found, higher="dcgan", lower="wframe").bounds() == (-math.inf, math.inf)
    quoted = JUDGES["score_order"](found, higher="wframe", lower="paper:table1-ali")
    half = 1.965 * math.hypot(0.04, 0.04, 0.05 / 10**0.5)
    assert quoted.bounds()[1] - quoted.value == pytest.approx(half, rel=1e-3), "it is of one training, as ours spread"
