"""The model against its definitions: gradients, the readings' stationary distribution, Algorithm 1, Remark 2."""

import math

import numpy as np
import pytest
import torch

from wframe.model import noise
from wframe.model.algorithm import iterate, observe, start
from wframe.model.bank import Bank
from wframe.model.constants import Constants
from wframe.model.energy import energy, gradient, mean_response, penalty_gradient, pull, push, responses
from wframe.model.measures import nearest_distance, response_distance
from wframe.model.readings import READINGS

DOUBLE = torch.float64


def tiny_bank(seed: int = 0, scale: float = 1.0, widths: tuple[int, ...] = (6, 5, 8, 7)) -> Bank:
    """Return a bank of the paper's shape with few filters, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    layers, channels = [], 3
    for width in widths:
        weight = torch.randn(width, channels, 3, 3, generator=generator, dtype=DOUBLE) * scale / math.sqrt(9 * channels)
        layers.append((weight, 0.1 * torch.randn(width, generator=generator, dtype=DOUBLE)))
        channels = width
    return Bank(tuple(layers), (0.0, 0.0, 0.0), {}, "").to(1.0, precision="fp64")


def autograd_responses(bank: Bank, x: torch.Tensor) -> torch.Tensor:
    """Return F(x) with plain calls that autograd supports, in VGG's own order (ReLU, then pool)."""
    for index, (weight, bias) in enumerate(bank.layers):
        x = torch.relu(torch.nn.functional.conv2d(x, weight, bias, padding=1))
        if index == 1:
            x = torch.nn.functional.max_pool2d(x, 2)
    return x


def random(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


@pytest.fixture
def bank() -> Bank:
    return tiny_bank()


@pytest.fixture(params=["position", "filter"])
def θ(request: pytest.FixtureRequest) -> torch.Tensor:
    side = 4 if request.param == "position" else 1
    return random(2, 7, side, side, seed=2)


def test_responses_equal_vggs_order(bank: Bank):
    x = random(4, 3, 8, 8)
    assert torch.allclose(responses(bank, x).F, autograd_responses(bank, x))


def test_gradient_against_finite_differences(bank: Bank, θ: torch.Tensor):
    x = random(6, 3, 8, 8)
    g = gradient(bank, θ, responses(bank, x))

    def Φ(x: torch.Tensor) -> torch.Tensor:
        return energy(θ, responses(bank, x).F).flatten()

    ε = 1e-6
    for _ in range(5):
        v = random(*x.shape, seed=int(torch.randint(1000, (1,))))
        slope = (Φ(x + ε * v) - Φ(x - ε * v)) / (2 * ε)
        assert torch.allclose(slope, (g * v).sum((1, 2, 3)), rtol=1e-5, atol=1e-7)


def test_pull_is_the_transpose_of_push(bank: Bank):
    r = responses(bank, random(3, 3, 8, 8))
    v, u = random(3, 3, 8, 8, seed=3), random(*r.F.shape, seed=4)
    assert torch.allclose((push(bank, r, v) * u).sum(), (v * pull(bank, r, u)).sum())


@pytest.mark.parametrize("penalty", ["sum", "mean"])
def test_penalty_gradient_against_double_backward(bank: Bank, θ: torch.Tensor, penalty: str):
    x = random(6, 3, 8, 8)
    r = responses(bank, x)
    ours = penalty_gradient(bank, θ, r, gradient(bank, θ, r), penalty)

    x, w = x.clone().requires_grad_(), θ.clone().requires_grad_()
    Φ = (autograd_responses(bank, x).view(2, 3, 7, 4, 4) * w[:, None]).sum((2, 3, 4))
    (g,) = torch.autograd.grad(Φ.sum(), x, create_graph=True)
    norms = g.square().sum((1, 2, 3)) if penalty == "sum" else g.square().mean((1, 2, 3))
    (theirs,) = torch.autograd.grad(norms.view(2, 3).mean(1).sum(), w)
    positions = 1 if θ.shape[2] > 1 else 16  # one weight per filter: the step is a mean over positions
    assert torch.allclose(ours, theirs / positions)


def test_mean_response_is_the_gradient_of_the_mean_energy(bank: Bank):
    θ = random(2, 7, 4, 4).requires_grad_()
    F = responses(bank, random(6, 3, 8, 8)).F
    (by_autograd,) = torch.autograd.grad(energy(θ, F).mean(1).sum(), θ)
    assert torch.allclose(mean_response(θ, F), by_autograd)


def test_remark_2_the_second_derivative_vanishes_almost_everywhere(bank: Bank):
    """Φ is piecewise linear in x: ∇ₓΦ is constant over a small step, so ∇|∇Φ|² = 0."""
    θ = random(1, 7, 4, 4)
    still = 0
    for seed in range(50):
        x, v = random(1, 3, 8, 8, seed=seed), random(1, 3, 8, 8, seed=1000 + seed)
        before = gradient(bank, θ, responses(bank, x))
        after = gradient(bank, θ, responses(bank, x + 1e-7 * v))
        still += torch.equal(before, after)
    assert still >= 48  # a step may cross a boundary between pieces


def test_remark_2_fails_across_boundaries(bank: Bank):
    """The control: ∇ₓΦ does change over a step that crosses boundaries, so the test above can fail."""
    θ, x = random(1, 7, 4, 4), random(1, 3, 8, 8)
    moved = gradient(bank, θ, responses(bank, x + random(1, 3, 8, 8, seed=9)))
    assert not torch.allclose(gradient(bank, θ, responses(bank, x)), moved)


@pytest.mark.parametrize("name", ["preconditioned", "lineage", "tempered"])
def test_stationary_variance_without_energy(name: str):
    """With θ = 0, the chains converge to the variance that the recursion x ← a·x + s·ξ implies."""
    step = READINGS[name].step(0.5, 0.3)
    keys = noise.key_tensor([noise.group_key(name)])
    x, squares = torch.zeros(1, 4, 3, 16, 16), []
    for j in range(400):
        x = step.a * x + step.s * noise.normal(keys, 0, j, x.shape[1:])
        if j >= 100:
            squares.append(x.square().mean())
    std = step.stationary_std()
    assert std is not None
    # 300 correlated samples of 3,072 pixels: the relative error of the variance is about 0.5%
    assert math.isclose(float(torch.stack(squares).mean()), std**2, rel_tol=0.03)


def test_without_the_prior_chains_walk_randomly():
    step = READINGS["tempered-no-prior"].step(0.5, 0.3)
    assert step.stationary_std() is None
    keys = noise.key_tensor([1])
    x = torch.zeros(1, 4, 3, 16, 16)
    for j in range(100):
        x = step.a * x + step.s * noise.normal(keys, 0, j, x.shape[1:])
    assert math.isclose(float(x.var()), 100 * step.s**2, rel_tol=0.1)


def test_the_literal_reading_has_no_stationary_distribution():
    step = READINGS["literal"].step(0.2, 0.01)
    assert step.a == pytest.approx(-199)
    assert step.stationary_std() is None


def observed_and_bank() -> tuple[Bank, torch.Tensor, torch.Tensor]:
    bank = tiny_bank(scale=1.5)
    return bank, random(2, 3, 3, 8, 8, seed=5), noise.key_tensor([11, 12])


def test_the_literal_reading_diverges_and_keeps_its_last_finite_state():
    bank, y, keys = observed_and_bank()
    c = Constants(reading="literal", T=3, L=200, M=3, delta=0.2)
    observed = observe(bank, c, y)
    state, record = iterate(bank, c, keys, observed, start(bank, observed))
    assert state.diverged.tolist() == [0, 0]
    assert state.x.isfinite().all() and state.θ.isfinite().all()
    assert record.R.isnan().all()
    state, record = iterate(bank, c, keys, observed, state)
    assert record.diverged.tolist() == [0, 0]


def test_a_diverged_group_does_not_affect_the_others():
    bank, y, keys = observed_and_bank()
    c = Constants(T=3, L=5, M=3, delta=0.15)
    observed = observe(bank, c, y)
    bad = start(bank, observed)
    bad.θ[1] = float("inf")
    alone = observe(bank, c, y[:1])
    lone, _ = iterate(bank, c, keys[:1], alone, start(bank, alone))
    both, _ = iterate(bank, c, keys, observed, bad)
    assert both.diverged.tolist() == [-1, 0]
    assert torch.allclose(both.x[:1], lone.x) and torch.allclose(both.θ[:1], lone.θ)


@pytest.mark.parametrize(("β", "before"), [(0.0, "kept"), (60.0, "kept"), (60.0, "renewed")])
def test_algorithm_1_against_a_hand_written_reference(β: float, before: str):
    """Run three learning iterations for one group, written out with autograd."""
    bank, y, keys = observed_and_bank()
    y, keys = y[:1], keys[:1]
    c = Constants(T=3, L=3, M=3, beta=β, delta=0.2, sigma=0.1, lambda_=0.05, penalty="sum", before=before)
    observed = observe(bank, c, y)
    state = start(bank, observed)
    for _ in range(3):
        state, _ = iterate(bank, c, keys, observed, state)

    def F(x: torch.Tensor) -> torch.Tensor:
        return autograd_responses(bank, x)

    def grad_Φ(θ: torch.Tensor, x: torch.Tensor, graph: bool = False) -> torch.Tensor:
        x = x.detach().requires_grad_()
        return torch.autograd.grad((θ * F(x)).sum(), x, create_graph=graph)[0]

    def 𝒫(θ: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        θ = θ.detach().requires_grad_()
        total = grad_Φ(θ, x, graph=True).square().sum() / len(x)
        return torch.autograd.grad(total, θ)[0]

    x, θ = torch.zeros(3, 3, 8, 8, dtype=DOUBLE), torch.zeros(7, 4, 4, dtype=DOUBLE)  # line 1
    kept = torch.zeros_like(θ)
    for t in range(3):
        H_obs = F(y[0]).mean(0)
        x_before = x
        for j in range(3):
            Σ = c.sigma * noise.normal(keys, t, j, (3, 3, 8, 8))[0]
            x = x + c.delta**2 / 2 * (grad_Φ(θ, x) - x) + c.delta * Σ  # line 8 in the tempered reading
        H_syn = F(x).mean(0)
        γ = float(noise.gamma(keys, t))
        P_before, kept = kept if before == "kept" else 𝒫(θ, x_before), 𝒫(θ, x)
        θ = θ + c.lambda_ * (H_obs - H_syn - β / 2 * ((1 - γ) * P_before + γ * kept))
    assert torch.allclose(state.x[0], x, rtol=1e-6)
    assert torch.allclose(state.θ[0], θ, rtol=1e-6, atol=1e-9)
    assert θ.abs().max() > 1e-3


def test_clipping_bounds_θ():
    bank, y, keys = observed_and_bank()
    c = Constants(T=2, L=3, M=3, lambda_=0.5, clip=0.01)
    observed = observe(bank, c, y)
    state, _ = iterate(bank, c, keys, observed, start(bank, observed))
    assert state.θ.abs().max() == pytest.approx(0.01)


def test_frame_and_wframe_share_their_first_chains():
    """θ₀ = 0 and the noise is shared, so both methods have the same first chains: the comparison is paired."""
    bank, y, keys = observed_and_bank()
    chains = []
    for β in (0.0, 60.0):
        c = Constants(M=3, L=4, beta=β)
        observed = observe(bank, c, y)
        chains.append(iterate(bank, c, keys, observed, start(bank, observed))[0].x)
    assert torch.equal(*chains)


def test_philox_known_answers():
    """Check the known-answer vectors that Random123 publishes for philox4x32-10."""
    cases = [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ]
    for counter, key, answer in cases:
        words = noise.philox(*[tuple(torch.tensor(v) for v in values) for values in (counter, key)])
        assert tuple(int(word) for word in words) == answer


def test_noise_is_standard_normal_and_depends_on_all_its_keys():
    keys = noise.key_tensor([noise.group_key(0, "faces", "all", 0, index) for index in range(4)])
    ξ = noise.normal(keys, 3, 5, (9, 3, 32, 32)).double()
    assert abs(float(ξ.mean())) < 0.012 and abs(float(ξ.var()) - 1) < 0.02
    assert abs(float((ξ**4).mean()) - 3) < 0.15
    flat = torch.cat([ξ.flatten(1), noise.normal(keys, 3, 6, (9, 3, 32, 32)).flatten(1).double()])
    flat = torch.cat([flat, noise.normal(keys, 4, 5, (9, 3, 32, 32)).flatten(1).double()])
    correlations = np.corrcoef(flat.numpy()) - np.eye(len(flat))
    assert abs(correlations).max() < 0.03
    alone = noise.normal(keys[2:3], 3, 5, (9, 3, 32, 32))
    assert torch.equal(alone[0].double(), ξ[2])


def test_gamma_is_uniform():
    γ = noise.gamma(noise.key_tensor(list(range(5000))), 7)
    assert γ.min() >= 0 and γ.max() <= 1
    assert abs(float(γ.mean()) - 0.5) < 0.02 and abs(float(γ.var()) - 1 / 12) < 0.005


def test_measures():
    F = torch.zeros(2, 3, 2, 2)
    assert response_distance(F, F + torch.tensor([1.0, -2.0, 3.0])[:, None, None]).tolist() == [2.0, 2.0]
    x, y = torch.rand(1, 2, 3, 4, 4), torch.rand(1, 5, 3, 4, 4)
    by_hand = [min(float((a - b).square().mean().sqrt()) for b in y[0]) for a in x[0]]
    assert nearest_distance(x, y)[0].tolist() == pytest.approx(by_hand, rel=1e-4)
