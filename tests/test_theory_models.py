"""The theory on banks and trained models: linear pieces, the limits of line 14, the terms of a run."""

import math

import numpy as np
import pytest
import torch
from test_model import random, tiny_bank

from wframe.model.algorithm import iterate, observe, start
from wframe.model.bank import load_bank
from wframe.model.constants import Constants
from wframe.model.energy import penalty_gradient, pull, push, responses
from wframe.model.noise import gamma, key_tensor
from wframe.model.readings import UNIT
from wframe.theory import pieces, stability, trained
from wframe.weights import BUILTIN_BANK

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
    assert np.abs(pieces.slope_of_square(bank, at, 1e-7, 0)).max() < 1e-6  # Remark 2
    assert np.abs(pieces.slope_of_square(bank, at, 1.0, 0)).max() > 1e-3  # across pieces
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
    bank = load_bank(BUILTIN_BANK).to(UNIT, precision="fp64")
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
        found, R, size = trained.record(bank, Constants(T=10, L=5, beta=0.0, delta=0.35, lambda_=6e-2), [7], y)
    assert found.gap.shape == R.shape == (10, 1) and np.all(found.pull == 0)
    assert trained.gradient_ratio(found.gap, R, last=3)[0] > 2
    assert size[-1, 0] > 10 * size[0, 0] > 1  # nor do the samples fall back to the noise
