"""Differences that are none: of rounding, of scale, of doing nothing, of chance; and what must hold for every judge."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic import judged, results, verdict

from wframe.claims.claim import Expects
from wframe.claims.evidence import JUDGES, Case, Evidence
from wframe.claims.judges._common import _source
from wframe.claims.many import error_rates, mark_survivors
from wframe.claims.verdict import chance, decide
from wframe.config.edition import check
from wframe.figures.settings import overview
from wframe.results import gain
from wframe.results.statistics import median
from wframe.results.store import NotAvailable, Store
from wframe.theory import stability

NAN = math.nan
COLLAPSE = {"settings": ("safe", "lambda"), "study": "collapse"}


def falls(s, m, r, g, t):
    return 2 / t


def test_rounding_gives_no_direction_in_any_statistic(tmp_path: Path):
    """1e-7 of a value, in the same direction in each of thirty groups."""

    def a_little(curve):
        return lambda s, m, r, g, t: curve(t) * (1 - 1e-7 * (m == "wframe"))

    R, step = a_little(lambda t: 2 / t + 0.05 * (t % 2)), a_little(lambda t: 1 / t)
    found = results(tmp_path, R, 30, step=step, cosine=lambda *of: 1e-8)
    for claim in ("steady-celeba", "theta-stable", "fig4-celeba", "speed", "anti-force"):
        outcome, evidence = judged(claim, found)
        assert outcome.verdict == "undecided" and "leans neither way" in outcome.why, claim
        assert evidence.n == 30
    still = {"frame": 1e-9, "wframe": 1e-11}  # both are next to 0
    for energy in (a_little(lambda t: 5 + t % 2), lambda s, m, r, g, t: 5 + still[m] * t):
        assert verdict("fig1-energy", results(tmp_path, falls, 30, energy=energy, **COLLAPSE)) == "undecided"

    def nearly(s, m, r, g, t):  # the lost groups' Φ is more restless by rounding
        return 5 + t % 2 * (1 + 1e-9 * (g < 10))

    def late(s, m, r, g, t):
        return 50.0 if s == "lambda" and g < 10 and t > 14 else 2.0

    assert verdict("fig1-signal", results(tmp_path, late, 20, energy=nearly, **COLLAPSE)) == "undecided"


def test_a_method_that_learns_nothing_is_not_steadier(tmp_path: Path):
    """wFRAME stays where it began, without a ripple; FRAME learns."""

    def R(s, m, r, g, t):
        return 2 / t + 0.02 * (t % 2) if m == "frame" else 2 - 1e-4 * t

    def energy(s, m, r, g, t):
        return 5 + math.sin(t) if m == "frame" else 1 + 1e-3 * t

    found = results(tmp_path, R, 12, energy=energy, step=lambda s, m, r, g, t: 1 / t if m == "frame" else 1e-3)
    assert {verdict(claim, found) for claim in ("steady-celeba", "theta-stable")} == {"undecided"}
    assert verdict("fig1-energy", results(tmp_path, R, 12, energy=energy, **COLLAPSE)) == "undecided"


def test_a_dip_is_no_convergence(tmp_path: Path):
    """wFRAME is below half of its start in one iteration only; FRAME is from the fourth on."""

    def R(s, m, r, g, t):
        return (2.0 if t < 4 else 0.3) if m == "frame" else 0.9 if t == 2 else 1.8 if t < 10 else 0.9

    assert verdict("speed", results(tmp_path, R, 12)) == "contradicted"


def test_a_smaller_energy_is_not_a_steadier_one(tmp_path: Path):
    """The penalty makes θ, and with it Φ, smaller. The same holds of groups whose Φ is larger, and the first signal."""

    def energy(s, m, r, g, t):
        return (100 / t + 5 * (t % 2)) * (0.5 if m == "wframe" else 1)

    assert verdict("fig1-energy", results(tmp_path, falls, 12, energy=energy, **COLLAPSE)) == "undecided"

    def steadier(s, m, r, g, t):
        return 100 / t**0.5 + (5 if m == "frame" else 1) * (t % 2)

    assert verdict("fig1-energy", results(tmp_path, falls, 12, energy=steadier, **COLLAPSE)) == "reproduced"

    def late(s, m, r, g, t):
        return 50.0 if s == "lambda" and g < 10 and t > 14 else 2.0

    def larger(s, m, r, g, t):
        return (10 + t % 3) * (3 if g < 10 else 1)

    assert verdict("fig1-signal", results(tmp_path, late, 20, energy=larger, **COLLAPSE)) == "undecided"


def test_the_collapse_itself_is_no_signal_of_it(tmp_path: Path):
    """R and Φ leap together, R to less than twice its start at first."""

    def R(s, m, r, g, t):
        return 2.0 if s == "safe" or g >= 10 or t < 15 else 3.9 if t == 15 else 50.0

    def energy(s, m, r, g, t):
        return 10 + 0.1 * (t % 2) + (5 if s == "lambda" and g < 10 and t >= 15 else 0)

    assert verdict("fig1-signal", results(tmp_path, R, 20, energy=energy, **COLLAPSE)) == "undecided"


def test_an_energy_that_leaps_down_at_first_does_not_fall_slowly(tmp_path: Path):
    def leaps(s, m, r, g, t):
        return 100.0 if t == 3 else 10.0 * t if t < 3 else 1.0 - 0.01 * t

    def flat(s, m, r, g, t):
        return 10.0 * t if t < 4 else max(5.0, 30.0 - 6 * (t - 4)) - 1e-9 * t

    def slow(s, m, r, g, t):
        return 10.0 * t if t < 4 else 30.0 * 0.88 ** (t - 4)

    for energy, expected in ((leaps, "contradicted"), (flat, "contradicted"), (slow, "reproduced")):
        assert verdict("energy-curve", results(tmp_path, falls, 12, energy=energy)) == expected


def test_a_group_that_was_never_off_track_does_not_come_back(tmp_path: Path):
    def ripple(size):
        return lambda s, m, r, g, t: 1.9 if t >= 60 else 2 * (1 + size * (1 < t < 25))

    for size in (1e-6, 0.5):
        assert verdict("recovery-after-30", results(tmp_path, ripple(size), 12, 100, **COLLAPSE)) == "undecided"
    assert verdict("recovery-after-30", results(tmp_path, ripple(3), 12, 100, **COLLAPSE)) == "reproduced"


def test_a_first_leap_that_all_groups_make_is_no_early_collapse(tmp_path: Path):
    """R leaps at t = 2 and learns; FRAME collapses at t = 80, or at 6."""

    def R(late):
        return lambda s, m, r, g, t: 10.0 if t == 2 else 2 / t if t < late or m == "wframe" else 50.0

    for late, expected in ((80, "contradicted"), (6, "reproduced")):
        assert verdict("fig1-early", results(tmp_path, R(late), 12, 100, **COLLAPSE)) == expected


def by_chance(frame: float, wframe: float, groups: int, seed: int):
    """R of groups that each method loses with its own chance, whatever the other does."""
    random = np.random.default_rng(seed)
    gone = {"frame": random.random(groups) < frame, "wframe": random.random(groups) < wframe}
    return lambda s, m, r, g, t: 2.0 if t == 1 else 50.0 if gone[m][g] else 0.3


def test_groups_that_chance_loses_are_not_rescued(tmp_path: Path):
    """Both methods lose a quarter: of FRAME's, wFRAME holds in three quarters, and it loses as many others."""
    for seed, (wframe, expected) in enumerate([(0.25, "contradicted"), (0.05, "reproduced")]):
        found = results(tmp_path, by_chance(0.25, wframe, 200, seed), 200, 3, **COLLAPSE)
        outcome, evidence = judged("collapse-wframe", found)
        assert outcome.verdict == expected, outcome.why
        assert "models that FRAME loses, and loses" in evidence.notes[0]


def test_where_chance_loses_both_neither_is_worse(tmp_path: Path):
    """Among the groups that FRAME happens to hold, wFRAME loses as many as anywhere."""
    for seed in range(3):
        found = results(tmp_path, by_chance(0.7, 0.7, 100, seed), 100, 3, **COLLAPSE)
        outcome, evidence = judged("comparable-without-collapse", found)
        assert outcome.verdict == "undecided", outcome.why
        assert any("models that FRAME loses are left out" in note for note in evidence.notes)
    found = results(tmp_path, by_chance(0.2, 0.9, 100, 1), 100, 3, **COLLAPSE)
    assert verdict("comparable-without-collapse", found) == "contradicted"


def test_models_without_curves_stop_every_judge(tmp_path: Path):
    """Also where one method is judged alone; and datasets that a claim names and an edition lacks are named."""
    found = results(tmp_path, falls, 10, stands_for=("cifar10",))
    assert "nothing here stands for celeba or lsun-bedroom" in judged("collapse-own-constants", found)[1].notes
    path = tmp_path / "studies/whole.parquet"
    rows = pd.read_parquet(path)
    rows[(rows["method"] == "wframe") | (rows["group"] < 7)].to_parquet(path)
    again = results(tmp_path / "again", falls, 10, stands_for=("cifar10",))
    case = Case(tmp_path, again.edition, {})
    with pytest.raises(NotAvailable, match="incomplete: 3 models of FRAME in setting 'safe' left no curves"):
        judged("collapse-own-constants", case)


def test_one_folder_is_one_source_however_it_is_written(tmp_path: Path):
    faces = {"source": "folder", "path": "my/faces"}
    others = {
        "b": faces | {"path": "./my//faces/"},
        "c": faces | {"source": "celeba"},
        "d": faces | {"path": "my/face"},
    }
    edition = check({"edition": "synthetic", "datasets": {"a": faces} | others, "studies": {"s": {"datasets": ["a"]}}})
    a, b, c, d = (_source(Store(tmp_path, edition), name) for name in "abcd")
    assert a == b == c != d


def test_a_verdict_s_chance_is_that_of_its_interval(tmp_path: Path):
    """wFRAME is lower in 28 groups of 30, and lost in 2: decided at 95%, and so at a chance below 5%."""

    def R(s, m, r, g, t):
        return 2.0 if t == 1 else 0.3 if m == "frame" else 50.0 if g < 2 else 0.29

    of = results(tmp_path, R, 30, 3)
    evidence = JUDGES["R_ratio"](of, study="whole", datasets=["celeba"])
    assert decide(Expects(below=1), evidence).verdict == "reproduced"
    assert (chance(Expects(below=1), evidence) or 1) < 0.05
    lows, highs = zip(*(evidence.bounds(level) for level in (0.5, 0.8, 0.95, 0.99, 0.999)), strict=True)
    assert list(lows) == sorted(lows, reverse=True) and list(highs) == sorted(highs), "wider at a higher level"


def test_holm_s_steps_by_hand():
    """Five statistics: 0.05/5 = 0.01, /4 = 0.0125, /3 = 0.0167 stops it; what comes after falls, also below 0.025."""
    chances = [0.02, 0.001, 0.2, 0.01, 0.0201]
    records = [
        {
            "id": f"c{n}",
            "same_as": None,
            "here": None,
            "ours": {"chance": p, "n": 9, "fewest": 6},
            "survives": None,
            "post_hoc": False,
        }
        | {"verdict": "reproduced" if p < 0.05 else "undecided", "always": False}
        for n, p in enumerate(chances)
    ]
    records.append(records[1] | {"id": "again", "same_as": "c1"})
    mark_survivors(records)
    assert [record["survives"] for record in records] == [False, True, None, True, False, True]
    few = records[0] | {"id": "few", "ours": {"chance": 1.0, "n": 5, "fewest": 6}, "verdict": "undecided"}
    rates = error_rates([*records, few])  # five groups can't decide anything: they are no test
    assert (rates["judged"], rates["decided"], rates["survive"], rates["expected_false"]) == (5, 4, 2, 0.13)


# --- what holds for every judge that compares the methods ---------------------------------------------------------

WHERE = {"study": "collapse", "datasets": ["sun"]}
BELOW, ABOVE, HALF = Expects(below=0), Expects(above=0), Expects(at_least=0.5)
TWO_SIDED = [
    ("R_ratio", {}, Expects(below=1)),
    ("steadiness", {}, BELOW),
    ("speed", {}, BELOW),
    ("energy_unrest", {}, BELOW),
    ("theta_steps", {}, Expects(below=1)),
    ("more_robust", {}, ABOVE),
    ("quality", {"measure": "noise"}, BELOW),
    ("quality", {"measure": "spectrum"}, BELOW),
    ("quality", {"measure": "chroma"}, ABOVE),
    ("quality", {"measure": "structure"}, ABOVE),
]
ONE_SIDED = [
    ("rescues", {}, HALF),
    ("comes_back", {}, HALF),
    ("R_ratio", {"where_frame_holds": True}, Expects(at_most=1.1)),
]
T, MEASURES = 12, ("noise", "spectrum", "chroma", "structure")
World = dict[str, np.ndarray]  # R, energy, step: (method, group, iteration); quality: (method, group, measure)


def world(random: np.random.Generator, groups: int, better: float) -> World:
    """Groups that learn, stall, collapse or diverge at random; wFRAME better by so much in everything, on average."""
    t = np.arange(1, T + 1)
    shape = (2, groups, T)
    kind = random.choice(4, (2, groups), p=[0.6, 0.1, 0.2, 0.1])
    lead = better * np.array([0.0, 1.0])[:, None, None]
    ripple = random.normal(0, 1, shape)
    R = np.select(
        [kind[..., None] == 0, kind[..., None] == 1],
        [2 / t ** (1 + 0.2 * lead) * np.exp(0.1 * ripple * (t > 1)), 2 * np.exp(0.1 * ripple)],
        2.0 * t,
    )
    R[(kind == 3)[..., None] & (t > 5)] = NAN
    energy = 10 + random.uniform(0.5, 1.5, (2, groups, 1)) * ripple * np.exp(-lead)
    step = np.exp(0.3 * random.normal(0, 1, shape) - lead) / t
    signs = np.array([1, 1, -1, -1])
    values = signs * (1 - lead[:, :, :1] + 0.5 * random.normal(0, 1, (2, groups, 4)))
    return {"R": R, "energy": energy, "step": step, "quality": values}


def with_one_more(of: World, worse: str) -> World:
    """One more group, in which FRAME is as good as can be, and wFRAME as good or worse."""
    t = np.arange(1, T + 1)
    good = {"R": 2 / t, "energy": np.full(T, 10.0), "step": 0.01 / t, "quality": np.array([0.0, 0, 0, 0])}
    also = {name: value.copy() for name, value in good.items()}
    if worse != "tie":
        also["R"] = 2 / t**0.9 + 0.05 * (t % 2) * (t > 1)
        also["energy"], also["step"] = good["energy"] + 3 * (t % 2), 2 * good["step"]
        also["quality"] = np.array([0.5, 0.5, -0.5, -0.5])
    if worse == "lost":
        also["R"] = np.where(t > 5, NAN, also["R"])
    return {name: np.concatenate([part, np.stack([good[name], also[name]])[:, None]], 1) for name, part in of.items()}


def case_of(folder: Path, of: World, swapped: bool = False, repeats: int = 1) -> Case:
    side = {"frame": int(swapped), "wframe": int(not swapped)}
    curves = {
        name: lambda s, m, r, g, t, values=of[name]: values[side[m], g, t - 1] for name in ("R", "energy", "step")
    }
    groups = of["R"].shape[1]
    case = results(folder, groups=groups, T=T, settings=("safe",), study="collapse", repeats=repeats, **curves)
    rows = [
        ("collapse", "d", "all", "safe", method, 0, group, *of["quality"][place, group])
        for method, place in side.items()
        for group in range(groups)
    ]
    names = ["study", "dataset", "class", "setting", "method", "repeat", "group", *MEASURES]
    (folder / "measurements").mkdir(exist_ok=True)
    pd.DataFrame(rows, columns=names).to_csv(folder / "measurements/quality.csv", index=False)
    return case


def verdicts_of(case: Case, judges: list) -> list[str]:
    return [decide(expects, JUDGES[name](case, **WHERE, **of)).verdict for name, of, expects in judges]


FLIPPED = {"reproduced": "contradicted", "contradicted": "reproduced", "undecided": "undecided"}
ORDER = {"contradicted": 0, "undecided": 1, "reproduced": 2}


@pytest.mark.parametrize("better", [-2.0, 0.0, 0.5])
def test_no_judge_favours_a_method_or_a_worse_group(tmp_path: Path, better: float):
    """With the methods' names exchanged each verdict is its opposite. A worse group of wFRAME's improves none.

    A tie speaks for neither: it can leave open what was contradicted, but reproduces nothing.
    """
    random = np.random.default_rng(int(10 * better) + 50)
    seen = set()
    for _ in range(2):
        of = world(random, int(random.integers(15, 40)), better)
        case = case_of(tmp_path, of)
        before, others = verdicts_of(case, TWO_SIDED), verdicts_of(case, ONE_SIDED)
        seen |= set(before)
        assert [FLIPPED[one] for one in before] == verdicts_of(case_of(tmp_path, of, swapped=True), TWO_SIDED)
        for worse in ("tie", "worse", "lost"):
            more = case_of(tmp_path, with_one_more(of, worse))
            # "comparable" is what a tie is
            judges = TWO_SIDED + [judge for judge in ONE_SIDED if worse != "tie" or judge[0] != "R_ratio"]
            was = before + others[: len(judges) - len(before)]
            for judge, one, other in zip(judges, was, verdicts_of(more, judges), strict=True):
                assert ORDER[other] <= max(ORDER[one], ORDER["undecided"] if worse == "tie" else 0), (judge, worse)
    if abs(better) == 2:
        assert ("reproduced" if better > 0 else "contradicted") in seen


def test_repeats_do_not_count_as_groups_in_any_judge(tmp_path: Path):
    of = world(np.random.default_rng(3), 12, 0.5)
    once, often = case_of(tmp_path / "once", of), case_of(tmp_path / "often", of, repeats=4)
    for name, more, _ in TWO_SIDED + ONE_SIDED:
        few, many = (JUDGES[name](case, **WHERE, **more) for case in (once, often))
        assert few.n == many.n <= 12 and few.value == pytest.approx(many.value, nan_ok=True), name
        assert few.bounds() == pytest.approx(many.bounds(), nan_ok=True), name


def test_a_tie_at_the_edge_of_a_strict_rule_is_neither_in_nor_out():
    for n in (6, 30):
        assert decide(Expects(below=0), Evidence("", median(np.zeros(n)), "groups", frozenset())).verdict == "undecided"
        assert decide(Expects(at_most=0), Evidence("", median(np.zeros(n)), "groups", frozenset())).verdict == (
            "reproduced"
        )


# --- the penalty's gain: a prediction, and what came of it --------------------------------------------------------


def test_the_gain_s_prediction_is_checked_on_the_groups(tmp_path: Path):
    """λβ·e/D: above the limit in four groups of ten, which wFRAME loses but for one."""
    assert gain.LIMITS == {"renewed": stability.RENEWED, "kept": stability.KEPT_MEAN_SQUARE}

    def R(s, m, r, g, t):
        return 50.0 if t > 2 and (m == "frame" or g in (0, 1, 2)) and s != "safe" else 2 / t

    kind = {"settings": ("safe", "lambda", "lambda-kept"), "study": "collapse", "T": 6}
    found = results(tmp_path, R, 10, **kind)
    assert gain.gains(found, "collapse").empty and not [n for n in judged("fig3-lambda", found)[1].notes if "g =" in n]
    λβ = 0.01 * 60
    rows = [("d", "all", g, (2.5 if g < 4 else 1.8) / λβ) for g in range(10)]
    (tmp_path / "measurements").mkdir()
    table = pd.DataFrame(rows, columns=["dataset", "class", "group", "gain"])
    table.to_csv(tmp_path / "measurements/gain.csv", index=False)
    said = "the limit of g is 2, as printed; wFRAME loses 3 of the 4 groups beyond it, and 0 of the 6 below it"
    assert any(said in note for note in judged("fig3-lambda", found)[1].notes)
    kept = "1.58 (in mean square), with the delayed penalty; wFRAME loses 3 of the 10 groups beyond it, and 0 of the 0"
    assert any(kept in note for note in judged("fig3-lambda-delayed", found)[1].notes)
    figure = next(overview(found, "collapse"))
    assert "wFRAME loses 3 of the 4 groups beyond it, and 0 of the 16 below it" in figure.caption, "in all settings"
    labels = [text.get_text() for axes in figure.canvas.axes for text in axes.get_legend().get_texts()]
    assert any("g = 1.8 < 2" in label for label in labels) and any("g = 1.8 > 1.58" in label for label in labels)
