"""Algorithm 1: Persistent Learning and Generating in Wasserstein FRAME.

Runs on a batch of groups. Each group has its own nine images, θ, chains x and noise; they share only the frozen bank.
FRAME is the same loop with β = 0 (Eq. 9). The engine calls `iterate` for t = 1 to T (line 2).
"""

import torch
from torch import Tensor

from wframe.model.bank import Bank
from wframe.model.constants import Constants
from wframe.model.energy import force, gradient, langevin, mean_map, mean_response, penalty_gradient, responses
from wframe.model.measures import measure
from wframe.model.noise import gamma
from wframe.model.state import Observed, Record, State, hold_diverged


def observe(bank: Bank, constants: Constants, y: Tensor) -> Observed:
    """Return the statistics of the observed images y (G, M, 3, height, width): H^obs, line 3."""
    F_mean = mean_map(responses(bank, y.flatten(0, 1)).F, len(y), y.dtype)
    H_obs = F_mean if constants.theta == "position" else F_mean.mean((2, 3), keepdim=True)
    return Observed(y, H_obs, F_mean)


def start(bank: Bank, observed: Observed) -> State:
    """Return the state before the first iteration: x₀ = 0 (line 1) and θ₀ = 0."""
    x, θ = torch.zeros_like(observed.y), torch.zeros_like(observed.H)
    P = torch.zeros_like(θ)  # 2·J·(Jᵀθ) with θ₀ = 0
    diverged = torch.full((len(x),), -1, dtype=torch.int64, device=x.device)
    return State(0, x, θ, P, responses(bank, x.flatten(0, 1)), diverged)


def iterate(bank: Bank, constants: Constants, keys: Tensor, observed: Observed, state: State) -> tuple[State, Record]:
    """Run one learning iteration of Algorithm 1, lines 3 to 14; return the new state and its measures.

    `keys` (G, 2) are the groups' random keys. Langevin steps run in the precision of the bank's sampler; what θ learns
    from and what is measured is fp32, and so is the first step's gradient, which line 12 needs as well.
    """
    L, β, λ = constants.L, constants.beta, constants.lambda_
    t, x, θ, P_before, r, diverged = state
    P = torch.zeros_like(θ)

    dΦ = gradient(bank, θ, r)  # 5 for j = 0: ∇ₓΦ at the last iteration's chains, whose responses are at hand
    if β and constants.before == "renewed":  # else 𝒫_{t−1} from the last iteration, computed with θ_{t−1}
        P_before = penalty_gradient(bank, θ, r, dΦ, constants.penalty)  # 12: 𝒫_{t−1}
    for j in range(L):  # 4
        dΦ = force(bank, θ, x) if j else dΦ.view_as(x)  # 5: 𝒢 = ∇ₓΦ
        x = langevin(x, dΦ, keys, t, j, *constants.step)  # 6, 7, 8: x ← a·x + b·𝒢 + s·ξ, Σ = σξ
    r = responses(bank, x.flatten(0, 1))
    dΦ = gradient(bank, θ, r)
    H_syn = mean_response(θ, r.F)  # 10
    if β:
        P = penalty_gradient(bank, θ, r, dΦ, constants.penalty)  # 11: 𝒫_t
    γ = gamma(keys, t)[:, None, None, None]  # 13
    misfit, pulled = observed.H - H_syn, (1 - γ) * P_before + γ * P
    θ_next = θ + λ * (misfit - β / 2 * pulled)  # 14
    if constants.clip is not None:
        θ_next = θ_next.clamp(-constants.clip, constants.clip)

    # contiguous, so that a resumed run sums in the same order
    reached = State(t + 1, x.contiguous(), θ_next.contiguous(), P.contiguous(), r, diverged)
    after = hold_diverged(state, reached)
    return after, measure(constants, observed, θ, dΦ, after, misfit, pulled)
