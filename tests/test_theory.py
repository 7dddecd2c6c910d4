"""The paper's theory: each function against a closed form or an independent way; statements that fail must fail."""

import argparse
import itertools
import json
import math
from pathlib import Path

import numpy as np
import ot
import pandas as pd
import pytest
import torch
from conftest import ROOT
from scipy import integrate, optimize, stats
from test_model import random, tiny_bank

from wframe.model.algorithm import iterate, observe, start
from wframe.model.bank import load_bank
from wframe.model.constants import Constants
from wframe.model.energy import penalty_gradient, pull, push, responses
from wframe.model.noise import gamma, key_tensor
from wframe.model.readings import READINGS, UNIT, Step
from wframe.theory import (
    consistency,
    deviations,
    flows,
    fokker_planck,
    interpolation,
    langevin,
    pieces,
    signs,
    small_steps,
    stability,
    study,
    tables,
    topology,
    trained,
)
from wframe.theory.densities import entropy, grid, kl, normal, total_variation, transport, wasserstein2
from wframe.theory.statement import Measure, Statement, exactly, rounded, sampled
from wframe.weights import BUILTIN_BANK

pytestmark = pytest.mark.xdist_group("theory")

PAGE, FINDINGS = ROOT / "docs" / "theory.md", ROOT / "docs" / "measurements" / "theory.json"


@pytest.fixture(scope="module")
def findings() -> dict:
    """What is committed."""
    return json.loads(FINDINGS.read_text())


@pytest.fixture(scope="module")
def fresh() -> dict[str, Statement]:
    """All statements that need no bank, computed now."""
    parts = [module.study(0) for module in study.LINE]
    return {statement.id: statement for part in parts for statement in [*part.statements, *part.derived]}


# --- the rule, and what is committed ------------------------------------------------------------------------------


def statement(gap: Measure | None, corrected: Measure | None = None, tolerance: float = 0.1) -> Statement:
    return Statement("id", "where", "printed", "computed", "gap", tolerance, gap, corrected)


@pytest.mark.parametrize(
    "gap, corrected, outcome",
    [
        (exactly(0.1), None, "holds"),
        (exactly(0.2), exactly(0.1), "holds if corrected"),
        (exactly(0.2), exactly(0.09, 0.02), "does not hold"),
        (exactly(0.2), None, "does not hold"),
        (exactly(0.1, 0.01), exactly(0.0), "cannot be told"),
        (None, exactly(0.0), "cannot be told"),
    ],
)
def test_the_outcome_follows_from_the_gaps(gap: Measure | None, corrected: Measure | None, outcome: str):
    assert statement(gap, corrected).outcome == outcome


def test_numbers_are_written_to_what_the_computation_can_tell():
    assert [rounded(value) for value in (1.23456789, 3e-16, math.inf, math.nan)] == [1.23457, 0.0, None, None]
    part = sampled(np.array([1.0, 2.0, 3.0]))
    assert part.value == 2 and part.high - part.value == pytest.approx(1.96 / math.sqrt(3))
    record = statement(exactly(0.05)).to_json()
    assert record["outcome"] == "holds" and record["gap"] == {"value": 0.05, "low": 0.05, "high": 0.05}
    assert record["gap_if_corrected"] is None


def test_the_committed_findings_are_those_of_the_code(fresh: dict[str, Statement], findings: dict):
    committed = {record["id"]: record for record in findings["statements"] + findings["derived"]}
    for name, now in fresh.items():
        record, before = now.to_json(), committed[name]
        assert record["outcome"] == before["outcome"], name
        for key in ("where", "printed", "computed", "gap_is", "correction", "tolerance"):
            assert record[key] == before[key], f"{name}: run `wframe theory` again"
        for key in ("gap", "gap_if_corrected"):
            assert (record[key] is None) == (before[key] is None)
            if record[key] is not None:
                assert record[key]["value"] == pytest.approx(before[key]["value"], rel=1e-3, abs=1e-6), name
        assert [number["name"] for number in record["numbers"]] == [number["name"] for number in before["numbers"]]
        for number, old in zip(record["numbers"], before["numbers"], strict=True):
            assert number["value"] == pytest.approx(old["value"], rel=2e-3, abs=1e-6), f"{name}: {number['name']}"


def test_the_page_is_written_from_the_findings(findings: dict):
    page = PAGE.read_text()
    assert tables.fill(page, findings) == page, "run `wframe theory --page docs/theory.md` again"
    assert all(f'<a id="{name}"></a>' in page and f"(#{name})" in page for name in study.ORDER)
    with pytest.raises(ValueError, match="summary"):
        tables.fill("a page without marks", findings)


def test_the_command_writes_findings_page_and_figure(tmp_path: Path, findings: dict, monkeypatch: pytest.MonkeyPatch):
    from wframe.theory.figure import draw

    monkeypatch.setattr(study, "study", lambda bank, seed: findings)
    parser = argparse.ArgumentParser()
    study.add_arguments(parser)
    page = tmp_path / "page.md"
    page.write_text("# Title\n" + "\n".join(f"<!-- {mark} -->\n<!-- /{mark} -->" for mark in tables.MARKS))
    out, figure = tmp_path / "theory.json", tmp_path / "theory.png"
    study.main(parser.parse_args(["--out", str(out), "--page", str(page), "--figure", str(figure), "--threads", "1"]))
    assert out.read_bytes() == FINDINGS.read_bytes()
    assert tables.summary(findings) in page.read_text()
    assert figure.read_bytes()[:4] == b"\x89PNG"
    canvas, numbers = draw(findings)
    assert len(canvas.axes) == 9 and list(canvas.get_size_inches()) == [7.0, 6.3]
    assert isinstance(numbers, pd.DataFrame) and set(numbers["panel"]) == set("abcdefghi")
    kept = numbers[(numbers["panel"] == "i") & numbers["curve"].str.startswith("kept, almost")]
    assert kept["y"].tolist() == findings["curves"]["stability"]["kept"]


def test_the_same_seed_gives_the_same_findings():
    for module in (flows, interpolation, topology):
        first, again = module.study(3), module.study(3)
        assert [s.to_json() for s in first.statements] == [s.to_json() for s in again.statements]
        assert first.curves == again.curves


# --- densities ------------------------------------------------------------------------------------------------------


def test_distances_between_densities():
    space = grid(-9, 12, 4001)
    p, q = space.density(normal(space.x)), space.density(normal(space.x, 2.0, 1.5))
    assert kl(p, q, space.dx) == pytest.approx(math.log(1.5) + (1 + 4) / (2 * 1.5**2) - 0.5, rel=1e-8)
    assert entropy(p, space.dx) == pytest.approx(-0.5 * math.log(2 * math.pi * math.e), rel=1e-8)
    assert wasserstein2(space, p, q) == pytest.approx(4 + 0.25, rel=1e-3)
    assert wasserstein2(space, p, q) == pytest.approx(ot.emd2_1d(space.x, space.x, p / p.sum(), q / q.sum()), rel=1e-3)
    inner = np.abs(space.x) < 2.5
    assert np.allclose(transport(space, p, q)[inner], 2 + 1.5 * space.x[inner], atol=1e-3)
    assert total_variation(p, p) == 0 and kl(np.array([0.5, 0.5]), np.array([1.0, 0.0])) == math.inf


# --- Theorem 1 and Eqs. 2, 5, 7 -------------------------------------------------------------------------------------


def test_theorem_1_the_constrained_minimum_is_frames_density():
    q, f, α, _ = flows.example(1)
    ρ = flows.projection(q, f, α)
    assert ρ.sum() == pytest.approx(1) and np.allclose(f @ ρ, α)
    assert np.allclose(ρ, flows.tilt(q, flows.mle(q, f, α) @ f), atol=1e-6)
    _, _, null = np.linalg.svd(np.vstack([f, np.ones_like(q)]))  # directions that keep the constraints
    for direction in null[3:]:
        for step in (1e-3, -1e-3):
            assert kl(ρ + step * direction, q) > kl(ρ, q)
    assert flows.pythagoras(grid(-6, 6, 301), 1, trials=5) < 1e-9


def test_eq_5_has_the_other_sign():
    q, f, α, _ = flows.example(2)
    Φ = flows.mle(q, f, α) @ f
    assert np.allclose(flows.flow_minimiser(q, Φ), flows.tilt(q, Φ, -1), atol=1e-7)
    assert total_variation(flows.flow_minimiser(q, Φ), flows.tilt(q, Φ)) > 0.1
    assert np.allclose(flows.flow_minimiser(q, -Φ), flows.tilt(q, Φ), atol=1e-7)


def test_eq_7_gives_minus_the_maximum_likelihood_weights():
    q, f, α, _ = flows.example(4)
    ρ, θ = flows.saddle(q, f, α)
    assert np.allclose(θ, -flows.mle(q, f, α), atol=1e-6) and np.allclose(f @ ρ, α)
    assert np.allclose(flows.saddle(q, f, α, -1)[1], flows.mle(q, f, α), atol=1e-6)


def test_eq_2_is_the_likelihoods_gradient():
    q, f, α, data = flows.example(5)
    gradient = flows.log_likelihood_gradient(q, f, data, np.zeros(2), 1e-5)
    assert np.allclose(gradient, α - f @ q, atol=1e-8)


def test_which_equations_go_with_which_sign(fresh: dict[str, Statement]):
    found = {sign.equation: sign.sign for sign in signs.of_energy()}
    minus = {name for name, sign in found.items() if sign < 0}
    assert minus == {
        "Eq. 5", "Eq. 7", "Eq. 9, step of θ", "Eq. 12 with Remark 1", "Eq. 17 with β = 0", "Eq. 18, step of θ, β = 0"
    }  # fmt: skip
    assert fresh["signs"].outcome == "holds if corrected"
    assert fresh["eq-9-theta"].gap is not None and fresh["eq-9-theta"].gap.value > 1  # it runs away as printed


def test_no_sign_of_the_penalty_serves_x_and_θ(fresh: dict[str, Statement]):
    for sign in signs.of_penalty():
        assert abs(sign.distance) > 1e-3
    assert fresh["signs-penalty"].outcome == "does not hold"


# --- Lemma 1, Eqs. 20, 21 ------------------------------------------------------------------------------------------


def test_sanov_by_enumeration():
    law, n = np.array([0.5, 0.3, 0.2]), 6
    wanted = np.array([0.5, 1 / 3, 1 / 6])
    total = sum(
        np.prod(law[list(draw)])
        for draw in itertools.product(range(3), repeat=n)
        if np.allclose(np.bincount(draw, minlength=3) / n, wanted)
    )
    assert deviations.sanov(n, wanted, law) == pytest.approx(-math.log(total) / n)


def test_lemma_1s_rate_is_that_of_the_other_sign(fresh: dict[str, Statement]):
    assert fresh["lemma-1"].outcome == "holds if corrected"
    law, type_ = np.array([0.6, 0.3, 0.1]), np.array([0.4, 0.35, 0.25])
    ends = [deviations.sanov(n, type_, law) - deviations.sanov_prefactor(n, type_) for n in (100, 1000)]
    assert abs(ends[1] - kl(type_, law)) < abs(ends[0] - kl(type_, law)) < 1e-3
    assert deviations.slope_of_types(40, law) == pytest.approx(-1, abs=0.02)


def test_the_constant_is_a_quarter_over_τ():
    for τ in (0.1, 1.0):
        n, a = 400, 0.7
        p = stats.norm.sf(a, scale=math.sqrt(2 * τ / n))
        assert deviations.cramer_gaussian(n, a, τ) == pytest.approx(-math.log(p) / n)
        rate = deviations.cramer_gaussian(n, a, τ) - deviations.gaussian_prefactor(n, a, τ)
        assert rate == pytest.approx(a**2 / (4 * τ), abs=1e-3)


def test_given_starting_points_have_a_rate_of_their_own():
    same = np.full(50, 0.3)
    assert deviations.fixed_starts(50, 0.4, same) == pytest.approx(-stats.binom.logpmf(20, 50, 0.3) / 50)
    two, law = np.array([0.4, 0.6]), np.array([0.3, 0.7])
    assert deviations.fixed_starts_rate(0.4, same) == pytest.approx(kl(two, law), abs=1e-9)
    mixed = np.repeat([0.1, 0.5], 25)
    assert deviations.fixed_starts_rate(0.4, mixed) > kl(two, law)  # the mean is 0.3 as well


def test_eq_21_needs_the_logarithm():
    assert deviations.legendre(True, 2.0) == pytest.approx(2 - 1 - math.log(2), abs=1e-6)
    assert deviations.legendre(False, 2.0) == pytest.approx(2 - 2 * math.sqrt(2), abs=1e-6)
    assert deviations.exponential_mean(2000, 2.0) == pytest.approx(2 - 1 - math.log(2), abs=3e-3)


# --- I ≈ J ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [0.0, 0.8])
def test_the_gaussian_rate_is_the_least_divergence_over_couplings(k: float):
    s0, s1, m, τ = 1.0, 0.7, 0.5, 0.1
    α, v = (1.0, 2 * τ) if k == 0 else (math.exp(-k * τ), (1 - math.exp(-2 * k * τ)) / k)
    prior = np.array([[s0**2, α * s0**2], [α * s0**2, α**2 * s0**2 + v]])

    def divergence(c: float) -> float:
        cov = np.array([[s0**2, c], [c, s1**2]])
        solve = np.linalg.solve(prior, cov)
        mean = np.array([0, m])
        log_det = math.log(np.linalg.det(prior) / np.linalg.det(cov))
        return float(0.5 * (np.trace(solve) + mean @ np.linalg.solve(prior, mean) - 2 + log_det))

    least = optimize.minimize_scalar(divergence, bounds=(-s0 * s1 + 1e-6, s0 * s1 - 1e-6), method="bounded").fun
    assert small_steps.rate_gaussian(s0, s1, m, τ, k) == pytest.approx(least, abs=1e-7)


def test_optimal_transport_gives_the_gaussian_rate():
    space = grid(-5, 5.5, 221)
    ρ_t, ρ = space.density(normal(space.x)), space.density(normal(space.x, 0.5, 0.7))
    for τ in (0.3, 0.05):
        assert small_steps.rate(space, ρ_t, ρ, τ) == pytest.approx(
            small_steps.rate_gaussian(1.0, 0.7, 0.5, τ), abs=2e-5
        )


def test_i_and_j_come_together_with_τ_and_not_without(fresh: dict[str, Statement]):
    for τ in (1e-2, 1e-4):
        off = small_steps.rate_gaussian(1.0, 0.7, 0.5, τ) - small_steps.flow_gaussian(1.0, 0.7, 0.5, τ)
        assert off / τ == pytest.approx(1 / (4 * 0.7), rel=1e-3)
    assert small_steps.printed_gaussian(0.01, 0.01) == pytest.approx((0.5, 5e-5))
    numbers = fresh["small-step"].numbers
    assert numbers["other densities: it goes like τ to the power"].value == pytest.approx(1, abs=0.05)
    assert fresh["small-step"].outcome == "holds if corrected"


# --- the Langevin steps ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reading", ["tempered", "preconditioned", "lineage"])
def test_the_stationary_law_without_energy_is_the_recursions(reading: str):
    step = READINGS[reading].step(0.4, 1.0)
    space = langevin.cells(-8, 8, 1.0)
    law = langevin.stationary(space, step, lambda x: 0 * x)
    std = step.stationary_std()
    assert std is not None
    assert space.mean(law, space.x**2) == pytest.approx(std**2, rel=1e-6)
    assert total_variation(law, space.density(normal(space.x, 0, std)), space.dx) < 1e-6


def test_eq_9_as_printed_draws_from_the_kernel_of_eq_19():
    step = langevin.unit_step(1.0)
    assert step == Step(0.0, 1.0, math.sqrt(2))  # x is forgotten: N(∇Φ, 2), exp(−¼|x − ∇Φ|²)
    space = langevin.cells(-10, 10, 1.0)
    law = langevin.stationary(space, step, lambda x: 0 * x)
    assert space.mean(law, space.x**2) == pytest.approx(2, rel=1e-5)  # where Eq. 3 has 1
    assert abs(langevin.unit_step(0.01).a) > 1


def test_what_each_reading_samples():
    tempered, exact = langevin.sample("tempered", 0.1), langevin.sample("preconditioned", 0.1)
    assert tempered.bias < 2e-3 and tempered.from_eq_3 > 0.3
    assert exact.from_eq_3 == pytest.approx(exact.bias) and exact.bias < 2e-3
    assert langevin.sample("tempered", 0.2).bias / tempered.bias == pytest.approx(4, rel=0.2)  # like δ²
    literal = langevin.sample("literal", 0.1, σ=0.5)
    assert literal.bias < 6e-3 and literal.from_eq_3 > 0.2
    assert READINGS["literal"].step(0.2, 0.01).stationary_std() is None


def test_simulated_chains_have_the_stationary_law():
    found = langevin.sample("tempered", 0.3)
    chains = langevin.simulate(found.step, found.energy.slope, 4000, 300, np.random.default_rng(1))
    assert langevin.kolmogorov(found, chains) < 1.95  # 0.1% of cases
    assert langevin.kolmogorov(found, chains + 0.3 * langevin.SIGMA) > 3


def test_the_energys_slope_is_its_derivative():
    energy, x = langevin.Energy(2.0, 0.5), np.array([-1.3, -0.05, 0.1, 0.7])
    assert np.allclose(energy.slope(x), (energy.value(x + 1e-6) - energy.value(x - 1e-6)) / 2e-6)


# --- Eq. 13 ---------------------------------------------------------------------------------------------------------


def test_eq_13_is_off_in_sign_and_weights():
    at = (0.0, 1.0, 0.25, 2.0, 3.0)
    assert interpolation.rectangles(*at) == 2.75 == interpolation.mended(*at)
    assert interpolation.last_line(*at) == -2.25
    assert -interpolation.last_line(*at) != 2.75  # not the sign alone
    at = (0.5, 2.0, 1.0, 2.0, 3.0)
    assert interpolation.rectangles(*at) == pytest.approx(interpolation.mended(*at))


def test_the_action_of_a_flow_bounds_w2():
    spent, least = interpolation.action(0.7, 1.3)
    by_hand, _ = integrate.quad(lambda t: (0.7 * 1.3 * math.exp(-0.7 * t)) ** 2, 0, 1)
    assert spent == pytest.approx(by_hand) and least == pytest.approx((1.3 * (1 - math.exp(-0.7))) ** 2)
    assert spent > 1.02 * least
    assert np.divide(*interpolation.action_linear(0.8)) == pytest.approx(1, rel=1e-4)


def test_which_half_gets_γ_makes_no_difference(fresh: dict[str, Statement]):
    assert fresh["line-14-weights"].outcome == "holds"
    assert stability.mean_square(1.2) == pytest.approx(stability.mean_square(1.2, swapped=True))


# --- Eqs. 14 to 16, Remarks 1 and 2 ---------------------------------------------------------------------------------


def test_remark_2_fails_for_a_smooth_energy_and_holds_between_kinks(fresh: dict[str, Statement]):
    x = np.linspace(-3, 3, 601)
    smooth, sharp = fokker_planck.Smooth(0.2), fokker_planck.Smooth(1e-4)
    square = np.gradient(smooth.slope(x) ** 2, x)
    assert np.allclose(smooth.slope_of_square(x)[1:-1], square[1:-1], atol=0.02)
    assert np.abs(square).max() > 1
    away = (np.abs(x - 0.5) > 0.01) & (np.abs(x + 0.2) > 0.01)
    assert np.abs(sharp.slope_of_square(x[away])).max() < 1e-9
    assert fresh["remark-2-smooth"].outcome == "does not hold"


def test_sharp_kinks_keep_the_penalty_in_the_density(fresh: dict[str, Statement]):
    """The limit of Eq. 15's steady states is e^(Φ − |∇Φ|²)q of the piecewise linear Φ: closed forms on its pieces."""
    left = integrate.quad(lambda x: math.exp(-0.5 * x * x + 0.8 * (x + 0.2)), -12, -0.2)[0]
    middle = integrate.quad(lambda x: math.exp(-0.5 * x * x), -0.2, 0.5)[0]
    right = integrate.quad(lambda x: math.exp(-0.5 * x * x + 1.5 * (x - 0.5)), 0.5, 12)[0]
    without = np.array([left, middle, right])
    with_square = without * np.exp([-(0.8**2), 0, -(1.5**2)])
    off = total_variation(without / without.sum(), with_square / with_square.sum())
    assert fresh["remark-2-kinks"].gap is not None
    assert fresh["remark-2-kinks"].gap.value == pytest.approx(off, abs=0.01)


def test_finite_volumes_against_closed_forms():
    space = grid(-6, 6, 241)
    U = normal(space.x) + np.sin(2 * space.x)
    A = fokker_planck.finite_volumes(space, U)
    assert np.allclose(A.sum(0), 0, atol=1e-9)  # mass is kept
    assert np.allclose(fokker_planck.steady(A, space.dx), space.density(U), atol=1e-10)
    heat = fokker_planck.finite_volumes(space, 0 * space.x)
    spread = fokker_planck.evolve(heat, space.density(normal(space.x, 0, 0.5)), 0.3)
    assert space.mean(spread, space.x**2) == pytest.approx(0.25 + 2 * 0.3, rel=1e-4)


def test_particles_follow_the_equation_only_with_small_steps(fresh: dict[str, Statement]):
    found = fresh["eq-15-16"]
    assert found.outcome == "holds if corrected" and found.gap is not None and found.gap.low > 0.3
    x = fokker_planck.particles(fokker_planck.Smooth(0.2, 0, 0), True, 1.0, 200, 20000, np.random.default_rng(0), 2.0)
    assert x.mean() == pytest.approx(2 * math.exp(-1), abs=0.03) and x.std() == pytest.approx(1, abs=0.02)


def test_eq_14_isnt_the_derivative_of_w2():
    square, potential = fokker_planck.first_variation(1, trials=15)
    assert potential < 1e-4 < 0.02 < square


# --- consistency ----------------------------------------------------------------------------------------------------


def test_where_a_gaussian_rests():
    """Φ = θx, q = N(0, 1): E_θ[x] = θ and |∇Φ|² = θ², so line 14 can be repeated in closed form."""
    for β in (0.5, 5.0):
        θ = 0.0
        for _ in range(2000):
            θ += 0.05 * (1.3 - θ - β / 2 * 2 * θ)
        assert consistency.gaussian_rest(1.3, β) == pytest.approx(θ) == pytest.approx(1.3 / (1 + β))


def test_the_bias_for_small_β():
    """To first order θ_β = θ* − β/2·Cov(f)⁻¹𝒫; and line 14's steps end where the root is."""
    model = consistency.Model(grid(-7, 8, 301))
    α, p = model.moments(consistency.θ_TRUE), flows.tilt(model.q, consistency.θ_TRUE @ model.f)
    assert np.allclose(model.at_rest(α, 0.0), consistency.θ_TRUE, atol=1e-8)
    by_hand = [
        (p @ ((θ @ model.slope) ** 2) - p @ ((consistency.θ_TRUE @ model.slope) ** 2)) / 1e-7
        for θ in consistency.θ_TRUE + 1e-7 * np.eye(2)
    ]
    assert np.allclose(model.penalty(consistency.θ_TRUE), by_hand, rtol=1e-5)  # ∇θ E|∇Φ|², the density held fixed
    centred = model.f - α[:, None]
    slope = -0.5 * np.linalg.solve((centred * p) @ centred.T, model.penalty(consistency.θ_TRUE))
    assert np.allclose((model.at_rest(α, 1e-4) - consistency.θ_TRUE) / 1e-4, slope, rtol=1e-2)
    assert np.allclose(model.learn(α, 2.0, 0.2, 2000), model.at_rest(α, 2.0), atol=1e-8)
    assert np.linalg.norm(model.learn(α, 60.0, 0.01, 3000, sign=+1)) > 100


def test_more_data_doesnt_mend_a_fixed_β(fresh: dict[str, Statement]):
    numbers = fresh["consistency"].numbers
    none, fixed, falling = (numbers[f"|θ_n − θ*| of 100,000 observations, β = {β}"] for β in ("0", "0.3", "3/√n"))
    assert fixed.low > 10 * none.high and falling.high < 0.1
    assert fresh["consistency"].outcome == "holds if corrected"
    assert fresh["line-14-sign"].outcome == "cannot be told"


# --- topology -------------------------------------------------------------------------------------------------------


def test_divergences_of_gaussians():
    space = grid(-10, 24, 3401)
    far = topology.divergences(space, normal(space.x), normal(space.x, 12.0))
    assert far["kl"] == pytest.approx(72, rel=1e-6) and far["js"] == pytest.approx(math.log(2), abs=1e-6)
    assert far["w2"] == pytest.approx(144, rel=1e-4)
    slopes = topology.gradients(space, 2.0)
    assert slopes["kl"] == pytest.approx(2, rel=1e-5) and slopes["w2"] == pytest.approx(4, rel=1e-3)


def test_frames_gradient_doesnt_vanish_far_away(fresh: dict[str, Statement]):
    for distance in (1.0, 10.0):
        h = 1e-4
        by_difference = (topology.frame_gradient(distance, h)[0] - topology.frame_gradient(distance, -h)[0]) / (2 * h)
        assert topology.frame_gradient(distance, 0.0)[1] == pytest.approx(-by_difference, rel=1e-5)
    assert fresh["kl-vanishing"].outcome == "does not hold"


def test_w2_sees_what_k_cannot():
    assert topology.uniforms(0.1)["kl"] == math.inf
    assert topology.atoms(0.1) == pytest.approx(0.01) == pytest.approx(topology.uniforms(0.1)["w2"])
    assert 0.1 < topology.talagrand(1, trials=10) <= 1


# --- the bank -------------------------------------------------------------------------------------------------------


def test_proposition_1_on_a_small_bank():
    bank, σ = tiny_bank(), 0.1
    at = pieces.point(bank, random(3, 3, 8, 8), 0)
    at = at._replace(θ=1000 * at.θ, g=1000 * at.g)
    assert np.allclose(pieces.curvature(bank, at, σ, 1e-7, 0), 1 / σ**2, rtol=1e-6)
    assert pieces.centre_error(bank, at, σ, σ**2, 1 / (2 * σ**2), 1e-7) < 1e-6
    assert pieces.centre_error(bank, at, σ, 1.0, 0.25, 1e-7) > 0.5  # Eq. 19 as printed
    assert pieces.centre_error(bank, at, σ, 1.0, 1 / (2 * σ**2), 1e-7) > 1e-3  # nor with the curvature mended alone
    assert pieces.kernel_error(at) < 1e-12  # but it is Eq. 9's transition
    flipped, moved, _ = pieces.changes(bank, at, 0.0, σ, 0)
    assert flipped == 0 and moved < 1e-12
    flipped, moved, squared = pieces.changes(bank, at, 1.0, σ, 0)
    assert 0 < flipped < 0.5 and moved > 0 and squared > 0


def test_embedded_images():
    bank = load_bank(BUILTIN_BANK)
    y = pieces.embedded_group(bank, 16)
    assert y.shape == (9, 3, 16, 16) and y.dtype == torch.float32 and y.std() > 0.1
    assert torch.equal(y, pieces.embedded_group(bank, 16))


# --- line 14's limits -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theta", ["position", "filter"])
def test_the_gain_against_dense_eigenvalues(theta: str):
    bank, x = tiny_bank(), random(2, 3, 4, 4)
    r = responses(bank, x)
    size = r.F[0].numel()
    J = torch.stack(
        [pull(bank, r, e.view(1, *r.F.shape[1:]).expand_as(r.F)).flatten(1) for e in torch.eye(size).double()]
    )
    mean = torch.einsum("ind,jnd->ij", J, J) / len(x)
    if theta == "filter":  # θ is the same at each position; H is the mean over positions
        K, positions = r.F.shape[1], r.F[0, 0].numel()
        mean = mean.view(K, positions, K, positions).sum(3).mean(1)
    e = float(torch.linalg.eigvals(mean).real.max())
    gain = stability.penalty_gain(bank, x, 0.01, 60.0, theta=theta, iterations=2000, tolerance=1e-12)
    assert gain == pytest.approx(0.01 * 60 * e / 48, rel=1e-4)
    by_sum = stability.penalty_gain(bank, x, 0.01, 60.0, "sum", theta, iterations=2000, tolerance=1e-12)
    assert by_sum == pytest.approx(48 * gain)


def test_the_gain_is_that_of_algorithm_1s_penalty():
    """λβ/2·𝒫 = g·θ for the eigenvector of the largest eigenvalue."""
    bank, x = tiny_bank(), random(2, 3, 4, 4)
    r, θ = responses(bank, x), random(1, 7, 2, 2)
    for _ in range(2000):
        P = penalty_gradient(bank, θ, r, pull(bank, r, θ.expand_as(r.F)), "mean")
        θ = P / P.norm()
    P = penalty_gradient(bank, θ, r, pull(bank, r, θ.expand_as(r.F)), "mean")
    g = stability.penalty_gain(bank, x, 0.01, 60.0, iterations=2000, tolerance=1e-12)
    assert torch.allclose(0.01 * 30 * P, g * θ, atol=1e-6)


def test_the_limits_of_kept_and_renewed():
    assert stability.mean_square(stability.KEPT_MEAN_SQUARE) == pytest.approx(1)
    assert stability.mean_square(1.5) < 1 < stability.mean_square(1.65)
    assert 1.9 < stability.kept_limit() < 2.0  # lower than renewed's 2
    assert stability.lyapunov(3.1) < math.log(2.1)  # but beyond it the growth is slower than renewed's |1 − g|


def test_mean_square_by_the_recursion_itself():
    g, moments = 1.2, np.array([1.0, 1.0, 1.0])  # of the deterministic start θ_0 = θ_{−1} = 1
    γ = np.random.default_rng(0).uniform(size=(12, 400_000))
    now, before = np.ones(400_000), np.ones(400_000)
    E = {"new2": 1 - g + g**2 / 3, "cross": -g * (0.5 - g / 6), "old2": g**2 / 3}
    for row in γ:
        now, before = now - g * (row * now + (1 - row) * before), now
        a, b, c = moments
        moments = np.array([E["new2"] * a + 2 * E["cross"] * b + E["old2"] * c, (1 - g / 2) * a - g / 2 * b, a])
    assert np.mean(now**2) == pytest.approx(moments[0], rel=0.1)
    long = [1.0, 1.0, 1.0]
    for _ in range(400):
        a, b, c = long
        long = [E["new2"] * a + 2 * E["cross"] * b + E["old2"] * c, (1 - g / 2) * a - g / 2 * b, a]
    assert long[0] ** (1 / 400) == pytest.approx(stability.mean_square(g), rel=0.01)


@pytest.mark.parametrize("g", [0.7, 2.5])
def test_the_lyapunov_exponent_by_simulation(g: float):
    part = stability.lyapunov_sampled(g, 1000, 600, np.random.default_rng(2))
    assert stability.lyapunov(g) == pytest.approx(part.value, abs=3 * (part.high - part.value) + 1e-3)


@pytest.mark.parametrize("share", [0.0, 0.08])
def test_the_loops_limit_on_a_linear_model(share: float):
    """Algorithm 1 without noise for a linear F: it settles just below the limit, and runs away just above."""
    κ = 0.6
    J = np.random.default_rng(3).normal(size=(5, 8))
    e = np.linalg.eigvalsh(J @ J.T).max()
    assert stability.loop_radius(stability.loop_limit(κ, share), κ, share) == pytest.approx(1)
    for factor, settles in ((0.98, True), (1.02, False)):
        λ = factor * stability.loop_limit(κ, share) / e
        θ, x, H_obs = np.zeros(5), np.zeros(8), J @ np.ones(8)
        for _ in range(2000):
            x = κ * x + (1 - κ) * J.T @ θ
            θ = θ + λ * (H_obs - J @ x - share * J @ J.T @ θ)
        at_rest = np.allclose(H_obs, (1 + share) * J @ J.T @ θ, atol=1e-3)
        assert at_rest == settles


# --- trained models -------------------------------------------------------------------------------------------------


def test_the_terms_of_made_up_runs():
    ones, half = np.ones((20, 2)), np.full((20, 2), 0.5)
    rest = trained.Terms(ones, ones, ones, ones, ones)  # gap and pull are the same vector
    assert np.allclose(trained.unrest(rest), 0) and np.allclose(trained.balance(rest), 1)
    across = trained.Terms(ones, ones, 0 * ones, ones, half)
    assert np.allclose(trained.unrest(across), math.sqrt(2)) and np.allclose(trained.balance(across), 0.5)
    frame = trained.Terms(ones, 0 * ones, 0 * ones, ones, 0 * ones)
    assert np.allclose(trained.unrest(frame), 1) and np.allclose(trained.balance(frame), 0)
    part = trained.at_the_end(np.arange(20.0)[:, None] * np.array([[1.0, 1.2]]), last=2)
    assert part.value == pytest.approx(18.5 * 1.1) and part.low < part.value < part.high


def test_a_gradient_that_vanishes_would_be_seen():
    t = np.arange(30.0)[:, None]
    collapsed = np.exp(0.2 * t) * np.ones((1, 2))
    assert np.all(trained.gradient_ratio(collapsed, collapsed) > 10)  # FRAME's: R is the gradient's size
    assert np.all(trained.gradient_ratio(1 / collapsed, collapsed) < 0.1)  # vanishing
    assert len(trained.gradient_ratio(collapsed, 1 / collapsed)) == 0  # nothing collapsed
    gone = collapsed.copy()
    gone[20:, 0] = np.nan  # diverged
    assert np.all(trained.gradient_ratio(gone, gone) > 10)


@pytest.mark.parametrize("before", ["kept", "renewed"])
def test_the_terms_of_a_real_run(before: str):
    """Two iterations on the builtin bank: R is the gap's mean size, the pull is line 14's, energies are products."""
    bank = load_bank(BUILTIN_BANK).to(UNIT, dtype=torch.float64)
    y = pieces.embedded_group(bank, 8)[None].double()
    c, keys = Constants(T=3, L=3, beta=60.0, delta=0.35, lambda_=2e-3, before=before), key_tensor([5])
    with torch.inference_mode():
        observed = observe(bank, c, y)
        state = start(bank, observed)
        for _ in range(c.T):
            last = state
            state, measured = iterate(bank, c, keys, observed, last)
            gap, pull_norm, _, gap_along, pull_along = trained.terms(c, observed, last, state)
        γ = float(gamma(keys, last.t)[0])
        old = last.P if before == "kept" else penalty_gradient(
            bank, last.θ, last.r, pull(bank, last.r, last.θ.expand_as(last.r.F)), c.penalty
        )  # fmt: skip
        by_hand = c.beta / 2 * ((1 - γ) * old + γ * state.P)
    assert float(pull_norm) == pytest.approx(float(by_hand.norm()), rel=1e-6)
    assert float(gap_along) == pytest.approx(float(measured.energy_observed - measured.energy), rel=1e-6)
    assert float(pull_along) == pytest.approx(float((last.θ * by_hand).sum()), rel=1e-6)
    H_syn = state.r.F.mean(0)
    assert float(measured.R) == pytest.approx(float((observed.F - H_syn).abs().mean()), rel=1e-6)
    assert float(gap) == pytest.approx(float((observed.F - H_syn).norm()), rel=1e-6)
    if before == "kept":
        x = push(bank, state.r, pull(bank, state.r, last.θ.expand_as(state.r.F)))  # J·Jᵀθ: ⟨θ, 𝒫⟩ = 2·E|∇ₓΦ|²/D
        size = pull(bank, state.r, last.θ.expand_as(state.r.F)).square().flatten(1).mean(1).mean()
        assert (
            float((last.θ * state.P).sum()) == pytest.approx(float(2 * size), rel=1e-6) and x.shape == state.r.F.shape
        )


def test_frame_collapses_with_a_growing_gradient():
    bank = load_bank(BUILTIN_BANK).to(UNIT)
    y = pieces.embedded_group(bank, 16)[None]
    with torch.inference_mode():
        found, R = trained.record(bank, Constants(T=10, L=5, beta=0.0, delta=0.35, lambda_=6e-2), [7], y)
    assert found.gap.shape == R.shape == (10, 1) and np.all(found.pull == 0)
    assert trained.gradient_ratio(found.gap, R, last=3)[0] > 2
