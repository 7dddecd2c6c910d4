"""Results made to fool the judges: each got a wrong verdict once."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic import judged, results

from wframe.results.store import NotAvailable

COLLAPSE = {"settings": ("safe", "lambda"), "study": "collapse"}


def test_a_method_that_is_lost_in_a_quarter_of_the_groups_is_not_called_better(tmp_path: Path):
    """FRAME learns in all of 22; wFRAME is lost in five, too few for the sign test, and 1% lower in the others."""

    def R(s, m, r, g, t):
        return 2.0 if t == 1 else 0.3 if m == "frame" else 50.0 if g < 5 else 0.297

    safe = results(tmp_path / "safe", R, 22, 4, **COLLAPSE)
    assert judged("comparable-without-collapse", safe)[0].verdict == "undecided"
    assert judged("fig4-celeba", results(tmp_path / "whole", R, 22, 4))[0].verdict == "undecided"


def test_a_method_that_diverges_in_two_of_five_groups_has_not_learned(tmp_path: Path):
    def R(s, m, r, g, t):
        return 2.0 if t == 1 else np.nan if m == "wframe" and g % 5 < 2 and t > 3 else 0.3

    assert judged("fig7-celeba", results(tmp_path, R, 60, 4))[0].verdict == "undecided"


@pytest.mark.parametrize(("later", "said"), [(1, "contradicted"), (-1, "reproduced"), (0, "undecided")])
def test_ties_do_not_drown_groups_that_all_speak_for_one_side(tmp_path: Path, later: int, said: str):
    """R is halved an iteration later, or sooner, in 40 groups of 90, and at once in the others."""

    def R(s, m, r, g, t):
        return 2.0 if t < 5 + (later if m == "wframe" and g < 40 else 0) else 0.3

    outcome, evidence = judged("speed", results(tmp_path, R, 90, 12))
    assert outcome.verdict == said
    assert f"as soon in {50 if later else 90} of 90 models" in evidence.notes


def test_an_energy_that_has_settled_near_0_is_steady(tmp_path: Path):
    """FRAME's Φ falls to nothing, whose sign alternates; wFRAME's grows by 15% an iteration for ever."""

    def energy(s, m, r, g, t):
        return (10 * 0.5**t if t < 8 else 1e-8 * (-1) ** t) if m == "frame" else 1.15**t

    of = results(tmp_path, lambda s, m, r, g, t: 2 / t, 12, 100, energy, **COLLAPSE)
    assert judged("fig1-energy", of)[0].verdict == "contradicted"


def test_before_a_collapse_that_is_there_at_once_nothing_can_be_a_sign_of_it(tmp_path: Path):
    def R(s, m, r, g, t):
        return 2.0 if s == "safe" or g >= 11 else 2.002 if (t, g) == (2, 10) else 2.0 if t < 15 else 50.0

    outcome, _ = judged(
        "fig1-signal", results(tmp_path, R, 22, 20, lambda s, m, r, g, t: 1 + (g < 11) * (t % 2), **COLLAPSE)
    )
    assert outcome.verdict == "undecided" and "nothing to compare" in outcome.why


def test_a_return_sooner_than_the_paper_says_is_no_contradiction(tmp_path: Path):
    def R(s, m, r, g, t):
        return 2.0 if t == 1 else 6.0 if t < 8 else 0.5

    assert judged("recovery-after-30", results(tmp_path, R, 22, 100, **COLLAPSE))[0].verdict == "reproduced"


def worlds(folder: Path, worse_on: str):
    """wFRAME ends a tenth lower in all groups of one dataset, and a tenth higher in the fewer of another."""
    both = {"datasets": ("d", "e"), "stands_for": ("celeba", "cifar10")}
    of = results(folder, lambda *place: 1.0, 30, 3, **both)
    path = folder / "studies/whole.parquet"
    table = pd.read_parquet(path)
    table = table[(table["dataset"] == "d") | (table["group"] < 8)]
    factor = np.where(table["dataset"] == worse_on, 1.1, 0.9)
    table["R"] = np.where(table["iteration"] == 1, 2.0, 0.3 * np.where(table["method"] == "wframe", factor, 1.0))
    table["step"] = table["R"]
    table.to_parquet(path)
    return of


def test_what_holds_over_all_but_not_on_one_of_the_datasets_is_undecided(tmp_path: Path):
    outcome, evidence = judged("theta-stable", worlds(tmp_path / "e", "e"))
    assert outcome.verdict == "undecided" and "the datasets disagree" in outcome.why and evidence.bounds()[1] < 1
    assert judged("theta-stable", worlds(tmp_path / "no", "none"))[0].verdict == "reproduced"


def test_a_dataset_without_any_curves_is_missed(tmp_path: Path):
    of = worlds(tmp_path, "none")
    path = tmp_path / "studies/whole.parquet"
    table = pd.read_parquet(path)
    table[table["dataset"] == "d"].to_parquet(path)
    of._curves.clear()
    with pytest.raises(NotAvailable, match="no curves of FRAME in setting 'safe' on e"):
        judged("theta-stable", of)
