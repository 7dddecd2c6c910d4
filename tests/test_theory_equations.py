"""The paper's equations: each function against a closed form or an independent way; statements that fail must fail."""

import itertools
import math

import numpy as np
import ot
import pytest
from scipy import integrate, optimize, stats

from wframe.model.readings import READINGS, Step
from wframe.theory import (
    consistency,
    deviations,
    flows,
    fokker_planck,
    interpolation,
    jko,
    langevin,
    signs,
    small_steps,
    stability,
    topology,
)
from wframe.theory.densities import entropy, grid, kl, normal, total_variation, transport, wasserstein2
from wframe.theory.statement import Statement

pytestmark = pytest.mark.xdist_group("theory")


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


def test_what_no_solver_can_find_is_not_a_number():
    q, f, α, _ = flows.example(4)
    assert np.isnan(flows.projection(q, f, 100 * α)).all(), "no probabilities have these moments"
    stuck = optimize.OptimizeResult(x=np.zeros(2), jac=np.array([0.0, 1e-3]), success=True)
    assert (
        np.isnan(flows.bottom(stuck)).all()
        and not flows.bottom(optimize.OptimizeResult(stuck | {"jac": 0 * stuck.x})).any()
    )


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


def test_eq_2s_sign_is_found():
    f, q = signs.features(), signs.base()
    assert signs.from_likelihood("", f, q).sign == 1 and signs.from_likelihood("", f, q).distance < 1e-4
    flipped = signs.from_density("", "", flows.tilt(q, signs.Φ_OF.value(signs.SPACE.x), -1))
    assert flipped.sign == -1 and flipped.distance < 1e-12


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


def test_the_constant_is_a_quarter_over_τ(fresh: dict[str, Statement]):
    assert fresh["lemma-1-constant"].outcome == "holds"  # Eq. 19 as a transition in unit time
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


def test_the_transports_own_potential_has_the_least_action():
    for k, s in ((0.7, 1.3), (-0.5, 0.6)):
        assert interpolation.action_transport(k, s) == pytest.approx(interpolation.action(k, s)[1], rel=1e-6)
    spent, least = interpolation.action_linear(0.8, 3.0)
    assert spent / least == pytest.approx(1 / 3, rel=1e-4)  # over a time of 3 the least action is W²/3


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


def test_a_step_of_eq_12_between_gaussians():
    """Without Φ a step from N(m, s²) ends at N(m/2, s'²), 2s'² − s·s' = 1: the minimum of ½W² + K(·|q)."""
    space, (m, s) = grid(-6, 7, 2001), (1.0, 0.5)
    X = jko.descend(jko.quantiles(space, space.density(normal(space.x, m, s))), fokker_planck.Smooth(0.3, 0, 0), 1)
    assert X.mean() == pytest.approx(m / 2, abs=1e-3)
    assert X.std() == pytest.approx((s + math.sqrt(s**2 + 8)) / 4, rel=1e-2)


def test_the_steps_of_eq_12_approach_eq_3_with_the_other_sign(fresh: dict[str, Statement]):
    found = fresh["steady-state"]
    assert found.outcome == "holds if corrected" and found.gap is not None and found.gap.value > 0.5
    assert found.numbers["distance of the last step as printed to e^(−Φ)·q/Z"].value < 0.01


def test_remark_1_is_the_drift_of_any_σ(fresh: dict[str, Statement]):
    assert fresh["remark-1"].outcome == "holds"
    space, σ = grid(-4, 4, 161), 0.5
    A = fokker_planck.finite_volumes(space, normal(space.x, 0.0, σ))
    moved = fokker_planck.evolve(A, space.density(normal(space.x, 1.0, σ)), 0.2)
    assert space.mean(moved, space.x) == pytest.approx(math.exp(-0.2 / σ**2), rel=1e-2)


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


def test_the_weaker_topology_needs_both_directions(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(topology, "talagrand", lambda seed: 1.1)
    found = {statement.id: statement for statement in topology.study(0).statements}
    assert found["weaker-topology"].outcome == "does not hold"
