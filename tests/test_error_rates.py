"""How often verdicts are wrong: simulated, at the rates that the page states; and what can never improve one."""

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from synthetic import CLAIMS, Curve, judged, results, verdict

from wframe.claims.claim import Expects
from wframe.claims.evidence import Evidence
from wframe.claims.verdict import VERDICTS, chance, decide
from wframe.results.statistics import (
    Estimate,
    around,
    bounded_mean,
    correlation,
    median,
    net_share,
    share,
    superiority,
)
from wframe.results.store import NotAvailable

TRIES = 1000
NOISE = 3 * (0.025 * 0.975 / TRIES) ** 0.5  # of a rate of 2.5%, as TRIES tries can tell it
Draw = Callable[[np.random.Generator, float], Estimate]


def verdicts(expects: Expects, draw: Draw, effect: float) -> dict[str, float]:
    """Return how often each verdict comes out, over TRIES synthetic data sets."""
    random = np.random.default_rng(1)
    found = Counter(
        decide(expects, Evidence("", draw(random, effect), "groups", frozenset())).verdict for _ in range(TRIES)
    )
    return {name: found[name] / TRIES for name in VERDICTS[:3]}


def normal(n: int) -> Draw:
    return lambda random, effect: median(random.normal(effect, 1, n))


def skewed(random: np.random.Generator, effect: float) -> Estimate:
    return median(random.exponential(1, 15) - np.log(2) + effect)  # its median is the effect, its mean isn't


def heavy(random: np.random.Generator, effect: float) -> Estimate:
    return median(random.standard_cauchy(30) + effect)


def tied(random: np.random.Generator, effect: float) -> Estimate:
    return median(random.normal(effect, 1, 40) * (random.random(40) < 0.75))


def diverging(random: np.random.Generator, effect: float) -> Estimate:
    x = random.normal(effect, 1, 20)
    return median(np.where(random.random(20) < 0.2, np.inf * np.sign(x), x))  # each method diverges as often


def rates_of_repeats(random: np.random.Generator, effect: float) -> Estimate:
    return share(random.binomial(3, 0.5 + effect, 12) / 3)


def coins(random: np.random.Generator, effect: float) -> Estimate:
    return share(random.random(25) < 0.5 + effect)


def saved(random: np.random.Generator, effect: float) -> Estimate:
    return net_share((random.random(20) < 0.4 + effect).astype(float) - (random.random(20) < 0.4 - effect))


def halved(random: np.random.Generator, effect: float) -> Estimate:
    """Each method loses groups with its own chance: without an effect, wFRAME half as many as FRAME."""
    return losses(random.random(60) < 0.5, random.random(60) < 0.25 - effect)


def losses(frame: np.ndarray, wframe: np.ndarray) -> Estimate:
    return bounded_mean((frame - 2.0 * wframe)[frame | wframe], -2, 1)


def halved_in_few(random: np.random.Generator, effect: float) -> Estimate:
    """Each of six groups is lost by either FRAME, at 2 of 3, or wFRAME."""
    frame = random.random(6) < 2 / 3 + effect
    return losses(frame, ~frame)


def ranks_within_pairs(random: np.random.Generator, effect: float) -> Estimate:
    """Ten classes of two groups: ranks within each leave eleven that are free."""
    x = random.normal(0, 1, (10, 2))
    y = random.normal(0, 1, (10, 2)) + effect * x
    return correlation((x.argsort(1)).ravel(), (y.argsort(1)).ravel(), strata=10)


def ranks_of_two_kinds(random: np.random.Generator, effect: float) -> Estimate:
    """Half of the groups rise together, half against each other."""
    x = random.normal(0, 1, 60)
    return correlation(x, np.where(random.random(60) < 0.5, x, -x) + effect * x)


def kinds(random: np.random.Generator, effect: float) -> Estimate:
    """Two strata of the same 20 groups, whose levels differ: that alone must say nothing."""
    group, stratum = np.tile(np.arange(20), 2), np.repeat([0, 1], 20)
    first = random.random(40) < np.where(stratum == 0, 0.3, 0.7)
    shared = random.normal(0, 1, 20)[group]  # a group's models hang together
    values = shared + random.normal(0, 1, 40) + 5 * stratum + effect * first
    return superiority(values, first, stratum, group)


def one_of_many(random: np.random.Generator, effect: float) -> Estimate:
    """Two strata of the same 22 groups: all but one of the one kind here, all but one of the other there."""
    group, stratum = np.tile(np.arange(22), 2), np.repeat([0, 1], 22)
    first = np.where(stratum == 0, group == 0, group != 1)
    shared = random.normal(0, 1, 22)[group]
    return superiority(shared + random.normal(0, 0.1, 44) + effect * first, first, stratum, group)


def ranks(random: np.random.Generator, effect: float) -> Estimate:
    x = random.normal(0, 1, 30)
    return correlation(x, random.normal(0, 1, 30) + effect * x)


def six_ranks(random: np.random.Generator, effect: float) -> Estimate:
    x = random.normal(0, 1, 6)
    return correlation(x, random.normal(0, 1, 6) + effect * x)


def seeds(random: np.random.Generator, effect: float) -> Estimate:
    x = random.normal(effect, 1, 3)
    return around(float(x.mean()), float(x.std(ddof=1) / len(x) ** 0.5), len(x))


ABOVE, HALF = Expects(above=0), Expects(at_least=0.5)
CASES = [
    (ABOVE, normal(6), 3.0),
    (ABOVE, normal(10), 1.5),
    (ABOVE, normal(31), 1.0),
    (ABOVE, skewed, 2.0),
    (ABOVE, heavy, 2.0),
    (ABOVE, tied, 3.0),
    (ABOVE, diverging, 2.0),
    (HALF, coins, 0.4),
    (HALF, rates_of_repeats, 0.45),
    (ABOVE, saved, 0.35),
    (Expects(at_least=0), halved, 0.25),
    (Expects(above=0.5), kinds, 6.0),
    (ABOVE, ranks, 1.5),
    (ABOVE, six_ranks, 1e9),
    (ABOVE, seeds, 8.0),
]


@pytest.mark.parametrize(("expects", "draw", "effect"), CASES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_false_verdict_has_at_most_the_chance_that_the_page_states(expects: Expects, draw: Draw, effect: float):
    """No effect: at most 2.5% on either side. An effect of known size, in either direction: found, not its opposite."""
    null = verdicts(expects, draw, 0.0)
    assert null["reproduced"] <= 0.025 + NOISE and null["contradicted"] <= 0.025 + NOISE, null
    there, against = verdicts(expects, draw, effect), verdicts(expects, draw, -effect)
    assert there["reproduced"] > 0.6 and there["contradicted"] < 0.005, there
    assert against["contradicted"] > 0.6 and against["reproduced"] < 0.005, against


def test_so_little_that_no_effect_is_found_is_no_false_verdict_either():
    """Six losses, ranks within pairs, correlations of both signs: each was once wrong in 7 to 8% of such data."""
    for expects, draw in (
        (Expects(at_least=0), halved_in_few),
        (ABOVE, ranks_within_pairs),
        (ABOVE, ranks_of_two_kinds),
    ):
        null = verdicts(expects, draw, 0.0)
        assert max(null["reproduced"], null["contradicted"]) <= 0.025 + NOISE, (draw.__name__, null)


def test_one_model_against_all_others_never_decides():
    """Once it hung on the groups of all strata together: in 16% of such data a verdict on either side."""
    for effect in (0.0, 9.0):
        found = verdicts(Expects(above=0.5), one_of_many, effect)
        assert found["undecided"] == 1, found


@pytest.mark.parametrize("n", [3, 4, 5])
def test_a_perfect_order_of_few_values_says_nothing(n: int):
    assert correlation(np.arange(n), -np.arange(n)).interval(0.95) == (-1, 1)


def test_a_perfect_order_is_no_surer_than_its_chance_among_all_orders():
    evidence = Evidence("", correlation(np.arange(6), np.arange(6)), "groups", frozenset())
    assert chance(ABOVE, evidence) == pytest.approx(2 / math.factorial(6), rel=1e-3)


@pytest.mark.parametrize(
    ("n", "only_frame", "only_wframe"), [(22, 0.1, 0.0), (22, 0.4, 0.2), (60, 0.02, 0.0), (9, 0.7, 0.1)]
)
def test_the_net_share_s_interval_holds_the_truth(n: int, only_frame: float, only_wframe: float):
    """Where few groups tell, their number is as uncertain as their side: once it missed the truth half of the time."""
    random, held = np.random.default_rng(3), 0
    for _ in range(TRIES):
        u = random.random(n)
        low, high = net_share(1.0 * (u < only_frame) - (u > 1 - only_wframe)).interval(0.95)
        held += low <= only_frame - only_wframe <= high
    assert held / TRIES >= 0.95 - 3 * (0.05 * 0.95 / TRIES) ** 0.5


def test_chances_are_uniform_or_larger_without_an_effect():
    """Holm's correction takes them as p-values: P(chance ≤ α) ≤ α."""
    random = np.random.default_rng(1)
    found = [
        chance(ABOVE, Evidence("", median(random.normal(0, 1, 25)), "groups", frozenset())) or 0.0 for _ in range(400)
    ]
    for α in (0.01, 0.05, 0.2, 0.5):
        assert np.mean(np.array(found) <= α) <= α + 3 * (α * (1 - α) / 400) ** 0.5


ORDER = {"contradicted": 0, "undecided": 1, "reproduced": 2}


def test_a_worse_group_never_improves_a_verdict():
    """Whatever is there already: a group that speaks against the claim, barely or by far, leaves it or lowers it."""
    random = np.random.default_rng(2)
    below, most = Expects(below=0), Expects(at_least=0.5)

    def placed(expects: Expects, estimate: Estimate) -> int:
        return ORDER[decide(expects, Evidence("", estimate, "groups", frozenset())).verdict]

    for _ in range(300):
        n = int(random.integers(1, 30))
        values = random.normal(-0.5, 1, n) * (random.random(n) < 0.8)
        for worse in (0.0, 1e-9, 1.0, np.inf):
            assert placed(below, median([*values, worse])) <= placed(below, median(values))
        held = random.random(n) < 0.8
        assert placed(most, share([*held, 0.0])) <= placed(most, share(held))
        net = random.choice([-1.0, 0.0, 1.0], n, p=[0.1, 0.4, 0.5])
        assert placed(Expects(above=0), net_share([*net, -1.0])) <= placed(Expects(above=0), net_share(net))


def one_more(n: int, end: float, frame: float) -> Curve:
    """R of n groups that FRAME ends at `frame`, and wFRAME at 0.3; in one more, wFRAME ends elsewhere."""

    def R(s: str, m: str, r: int, g: int, t: int) -> float:
        if t == 1:
            return 2.0
        return (frame if s in ("lambda", "safe") else 0.3) if m == "frame" else end if g == n else 0.29 + 0.001 * g

    return R


@pytest.mark.parametrize(
    ("claim", "frame", "worse"),
    [
        ("fig4-celeba", 0.3, (0.3, 0.31, 1.9, 50.0, np.nan)),
        ("fig3-lambda", 50.0, (50.0, np.inf, np.nan)),
        ("collapse-wframe", 50.0, (50.0, np.inf, np.nan)),
        ("fig1-collapse", 50.0, (2.01, 50.0, np.nan)),
    ],
)
def test_a_group_in_which_wframe_is_worse_never_improves_a_claim(tmp_path, claim, frame, worse):
    """The same of whole claims: wFRAME worse by a little, stalled, collapsed, or diverged."""
    kind = {} if claim == "fig4-celeba" else {"settings": ("safe", "lambda"), "study": "collapse"}
    for n in (4, 5, 6, 8):
        before = verdict(claim, results(tmp_path, one_more(n, 0.0, frame), n, 4, **kind))
        for end in worse:
            after = verdict(claim, results(tmp_path, one_more(n, end, frame), n + 1, 4, **kind))
            assert ORDER[after] <= ORDER[before], (n, end)


def test_repeats_of_a_group_never_change_n(tmp_path):
    def R(s, m, r, g, t):
        return 2 / t + 0.01 * g + 0.003 * r + (0.1 if m == "frame" else 0)

    for repeats in (1, 2, 5):
        of = results(tmp_path, R, 8, 20, repeats=repeats)
        for claim in ("fig4-celeba", "fig7-celeba", "steady-celeba", "speed", "collapse-own-constants", "energy-curve"):
            assert judged(claim, of)[1].n == 8, claim


@pytest.mark.parametrize("seed", range(4))
def test_odd_numbers_at_odd_places_break_nothing(tmp_path: Path, seed: int):
    """NaN, infinities and explosions anywhere: a verdict on every claim, its value within its interval."""
    random = np.random.default_rng(seed)
    values = np.exp(random.normal(0, 2, (4, 2, 7, 2, 24)))
    values[random.random(values.shape) < 0.02] = math.nan
    values[random.random(values.shape) < 0.02] = math.inf
    settings = ("safe", "lambda", "lambda-kept", "lambda-clipped")

    def curve(place: int, sign: float = 1.0):
        at = {"frame": 0, "wframe": 1}
        return lambda s, m, r, g, t: sign * values[(settings.index(s) + place) % 4, at[m], g, r, t]

    more = {name: curve(place) for place, name in enumerate(("std", "misfit", "penalty", "step", "cosine"))}
    groups = int(random.integers(1, 8))
    judged_claims = 0
    for study in ("whole", "collapse"):
        of = results(
            tmp_path, curve(0), groups, 23, curve(1, -1.0), settings, 2, study, ("celeba", "sun", "cifar10"), **more
        )
        for name, claim in CLAIMS.items():
            without = ("quality", "quality_and_R", "few_images", "alike_at_first")
            if claim.of.get("study") != study or claim.judge in without:
                continue
            try:
                outcome, evidence = judged(name, of)
            except NotAvailable:
                continue
            judged_claims += 1
            low, high = evidence.bounds()
            assert math.isnan(evidence.value) or low - 1e-9 <= evidence.value <= high + 1e-9, name
            assert outcome.why and (evidence.n <= groups or claim.judge == "gain_compared"), name
    assert judged_claims > 25
