"""I_t ≈ J_t for small time steps (Adams et al. 2011), which Eqs. 5 and 12 state without a time step τ.

With τ put in, and particles of dx = √2·dB:

    I_τ(ρ|ρ_t) = inf over couplings γ of ρ_t and ρ of K(γ | γ_0),   γ_0(dx dy) = ρ_t(dx)·N(y; x, 2τ)dy
    J_τ(ρ|ρ_t) = ½·[ W²(ρ, ρ_t)/2τ + ∫ρ log ρ − ∫ρ_t log ρ_t ]

I_τ is the rate of particles with given starting points. Both grow like W²/4τ; their difference goes to 0 like τ.
"""

import numpy as np
import ot

from wframe.theory.densities import Grid, entropy, grid, normal, wasserstein2
from wframe.theory.statement import Findings, Statement, curve, exactly

TIMES = (0.32, 0.16, 0.08, 0.04, 0.02, 0.01)
DELTAS = (0.15, 0.2)  # the paper's δ
STEPS = 50  # L


def rate_gaussian(s0: float, s1: float, m: float, τ: float, k: float = 0.0) -> float:
    """Return I_τ between N(0, s0²) and N(m, s1²) in closed form.

    With k, the particles have the drift −k·x: y = α·x + N(0, v), α = e^(−kτ), v = (1 − α²)/k. The best coupling is
    Gaussian, with the covariance c that solves α·c² + v·c = α·s0²·s1².
    """
    α = np.exp(-k * τ)
    v = 2 * τ if k == 0 else (1 - α**2) / k
    root = np.sqrt(v**2 + 4 * α**2 * s0**2 * s1**2)
    c = 2 * α * s0**2 * s1**2 / (v + root)
    squared = m**2 + s1**2 + α**2 * s0**2 - 2 * α * c  # E(y − αx)²
    left = v * c / (α * s0**2)  # the variance of y given x, s1² − c²/s0²
    return float(squared / (2 * v) + 0.5 * np.log(v / left) - 0.5)


def flow_gaussian(s0: float, s1: float, m: float, τ: float, k: float = 0.0) -> float:
    """Return J_τ between N(0, s0²) and N(m, s1²), with the potential kx²/2 whose weight is ½ like the entropy's."""
    W2 = m**2 + (s0 - s1) ** 2
    potential = k / 2 * (m**2 + s1**2 - s0**2)
    return W2 / (4 * τ) + 0.5 * (np.log(s0 / s1) + potential)


def rate(space: Grid, ρ_t: np.ndarray, ρ: np.ndarray, τ: float) -> float:
    """Return I_τ for densities (n,) on a grid, by entropic optimal transport in the log domain (POT)."""
    a, b = (part * space.dx / (part.sum() * space.dx) for part in (ρ_t, ρ))
    C = (space.x[:, None] - space.x[None, :]) ** 2
    γ = ot.bregman.sinkhorn_log(a, b, C, 4 * τ, numItermax=20000, stopThr=1e-8, warn=False)
    log_γ0 = np.log(a)[:, None] - C / (4 * τ) - 0.5 * np.log(4 * np.pi * τ) + np.log(space.dx)
    inside = γ > 0
    return float((γ[inside] * (np.log(γ[inside]) - log_γ0[inside])).sum())


def flow(space: Grid, ρ_t: np.ndarray, ρ: np.ndarray, τ: float) -> float:
    """Return J_τ for densities (n,) on a grid."""
    W2 = wasserstein2(space, ρ_t, ρ)
    return W2 / (4 * τ) + 0.5 * (entropy(ρ, space.dx) - entropy(ρ_t, space.dx))


def bumps(space: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return two densities that aren't Gaussian: a skewed one and one with two bumps."""
    x = space.x
    skewed = space.density(np.logaddexp(normal(x, -0.6, 0.6), normal(x, 0.5, 1.0) - 0.7))
    two = space.density(np.logaddexp(normal(x, -0.5, 0.7), normal(x, 1.3, 0.6)))
    return skewed, two


def printed_gaussian(s: float, m: float) -> tuple[float, float]:
    """Return (I_t, J_t) of Eqs. 5 and 12 as printed, without Φ, for N(0, s²) → N(m, s²); J_t less its value at m = 0.

    K(ρ|ρ_t) = m²/2s², and ½W² = m²/2: the entropy doesn't change.
    """
    return m**2 / (2 * s**2), m**2 / 2


def study(seed: int) -> Findings:
    """Check I_t ≈ J_t: as printed, with τ, and at the τ that Algorithm 1's step implies."""
    del seed  # nothing is sampled
    s0, s1, m = 1.0, 0.7, 0.5
    gaussian = np.array([rate_gaussian(s0, s1, m, τ) - flow_gaussian(s0, s1, m, τ) for τ in TIMES])
    drifting = np.array([rate_gaussian(s0, s1, m, τ, 0.8) - flow_gaussian(s0, s1, m, τ, 0.8) for τ in TIMES])
    space = grid(-4.5, 4.5, 241)
    skewed, two = bumps(space)
    fine = grid(-4.5, 4.5, 20001)
    fine_bumps = bumps(fine)  # J by quantiles, I by a coupling: they need different grids
    others = np.array([rate(space, skewed, two, τ) - flow(fine, *fine_bumps, τ) for τ in TIMES])
    order = np.polyfit(np.log(TIMES), np.log(np.abs(gaussian)), 1)[0]
    order_others = np.polyfit(np.log(TIMES), np.log(np.abs(others)), 1)[0]
    printed_I, printed_J = printed_gaussian(0.01, 0.01)
    implied, marks, worst = {}, [], {1: 0.0, STEPS: 0.0}
    for δ in DELTAS:
        for steps in worst:
            what, τ = f"{'one step' if steps == 1 else f'{steps} steps'}, δ = {δ:g}", steps * δ**2 / 2
            J = flow_gaussian(s0, s1, m, τ)
            difference = rate_gaussian(s0, s1, m, τ) - J
            implied[f"difference at τ of {what}"] = exactly(difference)
            implied[f"over J, {what}"] = exactly(difference / J)
            worst[steps] = max(worst[steps], abs(difference))
            marks.append({"what": what, "tau": τ})
    statements = [
        Statement(
            "small-step",
            '"I_t ≈ J_t when time step size τ → 0", Eqs. 5 and 12',
            "K(ρ|ρ_t) + ∫Φdρ ≈ ½W²(ρ, ρ_t) + ∫ρ log ρ + ∫Φdρ when τ → 0.",
            "as printed there is no τ: both functionals for N(0, σ²) → N(σ, σ²), σ = 0.01. With τ: their "
            "difference for Gaussians in closed form (with and without a drift) and for two other densities by "
            "entropic optimal transport, τ from 0.32 to 0.01",
            "as printed |I_t/J_t − 1|; corrected: the largest |I_τ − J_τ| at τ = 0.01",
            0.01,
            exactly(abs(printed_I / printed_J - 1)),
            exactly(max(abs(gaussian[-1]), abs(drifting[-1]), abs(others[-1]))),
            "I_τ = inf K(γ|γ_0) over couplings, J_τ = ½[W²/2τ + ∫ρ log ρ + ∫Ψdρ] less its value at ρ_t, with Ψ = −Φ: "
            "the transition enters I, τ enters both, and entropy and energy count half.",
            {
                "Gaussians: the difference I − J goes like τ to the power": exactly(order),
                "other densities: it goes like τ to the power": exactly(order_others),
                "difference/τ at τ = 0.01, Gaussians": exactly(gaussian[-1] / TIMES[-1]),
                "its limit 1/(4·s0·s1)": exactly(1 / (4 * s0 * s1)),
                "with a drift: difference at τ = 0.01": exactly(drifting[-1]),
                "other densities: difference at τ = 0.01": exactly(others[-1]),
                "I_t as printed": exactly(printed_I),
                "J_t as printed": exactly(printed_J),
            },
        ),
        Statement(
            "small-step-algorithm",
            "I_t ≈ J_t at the step of Algorithm 1",
            "I_t ≈ J_t rationalizes the proposed method (σ = 0.01, δ = 0.15 or 0.2, L = 50).",
            "I_τ − J_τ in nats per pixel, at the τ of one Langevin step and of 50. The noise δΣ of line 8 has the "
            "variance (δσ)², that of particles 2τ, so in units of Eq. 3's width σ a step is τ = δ²/2",
            "largest |I_τ − J_τ| for the 50 steps between ρ_{t−1} and ρ_t in Algorithm 1; corrected: for one step",
            0.01,
            exactly(worst[STEPS]),
            exactly(worst[1]),
            "For one Langevin step between ρ_{t−1} and ρ_t, as in Eqs. 9 and 18, it holds. Algorithm 1 takes 50 "
            "between two updates of θ, and after them the difference is as large as J itself.",
            {**implied, "τ in units of σ², if read off line 8's drift, δ = 0.2": exactly(0.2**2 / 2 / 0.01**2)},
        ),
    ]
    curves = {"tau": TIMES, "gaussian": gaussian, "drift": drifting, "others": others}
    smooth = np.geomspace(0.005, 1.6, 40)
    line = [rate_gaussian(s0, s1, m, τ) - flow_gaussian(s0, s1, m, τ) for τ in smooth]
    drawn = {name: curve(values) for name, values in (curves | {"line_tau": smooth, "line": line}).items()}
    return Findings(statements, {"small-steps": drawn | {"marks": marks}})
