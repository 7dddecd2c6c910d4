"""Algorithm 1: Persistent Learning and Generating in Wasserstein FRAME, for G groups of M images at once.

FRAME is the same loop with β = 0 (Eq. 9). Every group has its own θ, its own chains x and its own noise;
nothing is shared between groups but the frozen bank.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from wframe.model.bank import Bank
from wframe.model.energy import Responses, energy, gradient, mean_response, penalty_gradient, responses
from wframe.model.measures import nearest_distance, response_distance
from wframe.model.noise import gamma, normal
from wframe.model.readings import READINGS, Step


class Constants(NamedTuple):
    """The constants of Algorithm 1, and the readings of what the paper leaves open (see `config.Learning`)."""

    reading: str = "tempered"
    T: int = 100
    L: int = 50
    M: int = 9
    sigma: float = 0.01
    beta: float = 60.0
    delta: float = 0.15
    lambda_: float = 2e-3
    theta: str = "position"
    penalty: str = "mean"
    before: str = "kept"
    clip: float | None = None

    @property
    def unit(self) -> float:
        """Grey levels in one unit of x."""
        return READINGS[self.reading].unit

    @property
    def step(self) -> Step:
        """The coefficients of one Langevin step."""
        return READINGS[self.reading].step(self.delta, self.sigma)


class State(NamedTuple):
    """What Algorithm 1 carries from one learning iteration to the next."""

    t: int  # learning iterations done
    x: Tensor  # the chains, (G, M, 3, H, W)
    θ: Tensor  # (G, K, h, w), or (G, K, 1, 1) for one weight per filter
    P: Tensor  # 𝒫 of the last iteration, of θ's shape
    r: Responses  # F(x)
    diverged: Tensor  # (G,): the iteration in which the group left the finite numbers; −1: it hasn't


class Record(NamedTuple):
    """What is measured after a learning iteration, for each group: tensors of shape (G,)."""

    R: Tensor  # response distance
    energy: Tensor  # Φ(x; θ), mean over the chains, with the θ they were sampled with
    energy_observed: Tensor  # Φ(y; θ) with that θ
    gradient: Tensor  # mean |∇ₓΦ| over pixels
    std: Tensor  # standard deviation of the chains' pixels, in grey levels
    nearest: Tensor  # root-mean-square distance to the nearest observed image, in grey levels
    diverged: Tensor  # as in State


class Observed(NamedTuple):
    """What Algorithm 1 needs of the observed images."""

    y: Tensor  # (G, M, 3, H, W), in the reading's unit
    H: Tensor  # H^obs, of θ's shape (line 3; it doesn't depend on θ)
    F: Tensor  # mean responses, (G, K, h, w)


def observe(bank: Bank, c: Constants, y: Tensor) -> Observed:
    """Return H^obs (line 3) of observed images y, (G, M, 3, H, W)."""
    F = responses(bank, y.flatten(0, 1)).F
    F_mean = F.view(len(y), -1, *F.shape[1:]).mean(1, dtype=y.dtype)
    H = F_mean if c.theta == "position" else F_mean.mean((2, 3), keepdim=True)
    return Observed(y, H, F_mean)


def start(bank: Bank, observed: Observed) -> State:
    """Return the state before the first iteration: x₀ = 0 and θ₀ = 0 (line 1)."""
    x = torch.zeros_like(observed.y)
    never = torch.full((len(x),), -1, dtype=torch.int64, device=x.device)
    θ = torch.zeros_like(observed.H)
    return State(0, x, θ, θ.clone(), responses(bank, x.flatten(0, 1)), never)  # with θ₀ = 0, 𝒫 = 2·J·(Jᵀθ) is 0


def iterate(bank: Bank, c: Constants, keys: Tensor, observed: Observed, state: State) -> tuple[State, Record]:
    """One learning iteration of Algorithm 1 (lines 3 to 14), with its measures.

    `keys` (G, 2) are the groups' random keys. The gradient at the chains' first place serves the first Langevin
    step (and line 12), the one at their last place line 11.
    """
    t, x, θ, P_before, r, _ = state  # 12: 𝒫_{t−1} as it was kept, with θ_{t−1}
    a, b, c_noise = c.step
    P_t = torch.zeros_like(θ)

    G = gradient(bank, θ, r).view_as(x)  # 5: ∇ₓΦ at x_{t×L}
    if c.beta and c.before == "renewed":
        P_before = penalty_gradient(bank, θ, r, G.flatten(0, 1), c.penalty)  # 12: at the same x, with θ_t
    for j in range(c.L):  # 4
        Σ = normal(keys, t, j, x.shape[1:])  # 7
        x = a * x + b * G + c_noise * Σ  # 6, 8
        r = responses(bank, x.flatten(0, 1))
        G = gradient(bank, θ, r).view_as(x)  # 5
    H_syn = mean_response(θ, r.F)  # 10
    if c.beta:
        P_t = penalty_gradient(bank, θ, r, G.flatten(0, 1), c.penalty)  # 11: 𝒫_t
    γ = gamma(keys, t)[:, None, None, None]  # 13
    θ_next = θ + c.lambda_ * (observed.H - H_syn - c.beta / 2 * ((1 - γ) * P_before + γ * P_t))  # 14
    if c.clip is not None:
        θ_next = θ_next.clamp(-c.clip, c.clip)

    # contiguous: a resumed run must sum in the same order
    reached = State(t + 1, x.contiguous(), θ_next.contiguous(), P_t.contiguous(), r, state.diverged)
    after = _hold_diverged(state, reached)
    return after, _measure(c, observed, θ, G, after)


def _hold_diverged(before: State, after: State) -> State:
    """Keep every group that left the finite numbers at its last finite state, and note the iteration."""
    finite = after.x.flatten(1).isfinite().all(1) & after.θ.flatten(1).isfinite().all(1)
    here = ~finite & (before.diverged < 0)
    diverged = torch.where(here, before.t, before.diverged)
    hold = diverged >= 0
    if not hold.any():
        return after
    x = torch.where(hold[:, None, None, None, None], before.x, after.x)
    θ, P = (torch.where(hold[:, None, None, None], *pair) for pair in ((before.θ, after.θ), (before.P, after.P)))
    image_hold = hold.repeat_interleave(x.shape[1])[:, None, None, None]
    r = Responses(*(torch.where(image_hold, old, new) for old, new in zip(before.r, after.r, strict=True)))
    return State(after.t, x, θ, P, r, diverged)


def _measure(c: Constants, observed: Observed, θ: Tensor, g: Tensor, state: State) -> Record:
    """Measure the chains that were sampled with θ; a diverged group's measures are NaN."""
    gone = state.diverged >= 0
    F_syn = state.r.F.view(len(θ), -1, *state.r.F.shape[1:]).mean(1, dtype=θ.dtype)
    values = [
        response_distance(F_syn, observed.F),
        energy(θ, state.r.F).mean(1),
        (θ * observed.F).sum((1, 2, 3)),
        g.abs().mean((1, 2, 3, 4)),
        state.x.std((1, 2, 3, 4)) * c.unit,
        nearest_distance(state.x, observed.y).mean(1) * c.unit,
    ]
    return Record._make([*(torch.where(gone, torch.nan, value) for value in values), state.diverged])
