"""Eq. 13: W² by two rectangles, and what its sign and weights do to line 14 of Algorithm 1."""

import numpy as np

from wframe.theory.densities import grid, normal, wasserstein2
from wframe.theory.statement import Findings, Statement, curve, exactly, generator


def rectangles(t0: float, t1: float, ζ: float, A: float, B: float) -> float:
    """Return (ζ − t0)·A + (t1 − ζ)·B: the second line of Eq. 13."""
    return (ζ - t0) * A + (t1 - ζ) * B


def last_line(t0: float, t1: float, ζ: float, A: float, B: float) -> float:
    """Return −β((1 − γ)·A + γ·B) with β = t1 − t0, γ = ζ/β: the last line of Eq. 13, as printed."""
    β = t1 - t0
    γ = ζ / β
    return -β * ((1 - γ) * A + γ * B)


def mended(t0: float, t1: float, ζ: float, A: float, B: float) -> float:
    """Return β(γ·A + (1 − γ)·B) with γ = (ζ − t0)/β: the last line of Eq. 13, corrected."""
    β = t1 - t0
    γ = (ζ - t0) / β
    return β * (γ * A + (1 - γ) * B)


def action(k: float, s: float) -> tuple[float, float]:
    """Return (∫₀¹∫|∇Φ|²dρ_t dt, W²(ρ_0, ρ_1)) of N(0, s²) moved by dx/dt = ∇Φ for Φ = −kx²/2.

    x_t = x_0·e^(−kt), so the action is k·s²(1 − e^(−2k))/2, and W² = s²(1 − e^(−k))², the least action.
    """
    return float(k * s**2 * (1 - np.exp(-2 * k)) / 2), float(s**2 * (1 - np.exp(-k)) ** 2)


def action_linear(c: float, time: float = 1.0) -> tuple[float, float]:
    """Return the same for Φ = cx: every particle moves by c·time, so the action is c²·time; W² by quantiles."""
    space = grid(-8, 8 + c * time, 4001)
    ends = space.density(normal(space.x)), space.density(normal(space.x, c * time))
    return c**2 * time, wasserstein2(space, *ends)


def action_transport(k: float, s: float, steps: int = 100) -> float:
    """Return the action of the transport between the ends of `action`, with its own potential.

    x_t = (1 + ct)·x_0 with c = e^(−k) − 1, so the velocity at time t is ∇ψ_t = c·x/(1 + ct), with a potential ψ_t that
    isn't −kx²/2. The integrals over x and t are sums.
    """
    c, space = float(np.exp(-k) - 1), grid(-10 * s, 10 * s, 2001)
    spent = []
    for t in (np.arange(steps) + 0.5) / steps:
        ρ = space.density(normal(space.x, 0.0, s * (1 + c * t)))
        spent.append(space.mean(ρ, (c * space.x / (1 + c * t)) ** 2))
    return float(np.mean(spent))


def monotone_ζ(A: float, B: float, integral: float) -> float:
    """Return the ζ in [0, 1] at which the two rectangles are exact (the second mean value theorem)."""
    return (integral - B) / (A - B)


def study(seed: int) -> Findings:
    """Check Eq. 13, the derivation's use of W², and which half of line 14 gets γ."""
    random = generator("interpolation", seed)
    draws = [(t0, t0 + b, t0 + b * u, *random.uniform(0, 5, 2)) for t0, b, u in random.uniform(0.1, 1, (1000, 3))]
    off = max(abs(rectangles(*draw) - last_line(*draw)) for draw in draws)
    off_mended = max(abs(rectangles(*draw) - mended(*draw)) for draw in draws)
    example = (0.0, 1.0, 0.25, 2.0, 3.0)

    γ = (np.arange(1000) + 0.5) / 1000  # the quantiles of U[0, 1]
    P_before, P_t = 2.0, 3.0
    printed, swapped = (1 - γ) * P_before + γ * P_t, γ * P_before + (1 - γ) * P_t
    apart = np.abs(np.sort(printed) - np.sort(swapped)).max()
    spent, least = action(1.0, 1.0)
    own = action_transport(1.0, 1.0)
    linear = {time: np.divide(*action_linear(1.5, time)) for time in (1.0, 2.0)}
    trapezoid = (1 + np.exp(-2)) / 2
    ζ = monotone_ζ(1.0, float(np.exp(-2)), spent)
    statements = [
        Statement(
            "eq-13",
            "Eq. 13, its last line",
            "(ζ − t₀)A + (t₁ − ζ)B = −β((1 − γ)A + γB), with β = t₁ − t₀, γ = ζ/β.",
            "both sides for 1,000 random t₀, t₁, ζ, A, B; A and B are the two integrals",
            "largest difference of the two sides",
            1e-9,
            exactly(off),
            exactly(off_mended),
            "+β(γA + (1 − γ)B) with γ = (ζ − t₀)/β; or, with the weights as printed, γ = (t₁ − ζ)/β. The sign can't be "
            "right, since W² isn't negative. Eqs. 17 and 18 repeat minus sign and weights, so "
            "text recognition is hardly to blame. γ = ζ/β needs t₀ = 0.",
            {
                "second line at t₀ = 0, t₁ = 1, ζ = ¼, A = 2, B = 3": exactly(rectangles(*example)),
                "last line there": exactly(last_line(*example)),
                "last line there, corrected": exactly(mended(*example)),
            },
        ),
        Statement(
            "line-14-weights",
            "Algorithm 1, lines 13 and 14, with Eq. 13's weights",
            "𝒫_{t−1} gets 1 − γ and 𝒫_t gets γ, γ ~ U[0, 1].",
            "the law of the sum of both halves with γ as printed and swapped, by a thousand quantiles",
            "largest difference of the two laws' quantiles",
            1e-9,
            exactly(apart),
            correction="Which half gets γ makes no difference: 1 − γ has the law of γ, and γ is drawn anew each time. "
            "In one iteration the two differ, by |1 − 2γ| of the change of 𝒫.",
            numbers={
                "mean weight of the old half": exactly((1 - γ).mean()),
                "mean |difference| of one step, in units of |𝒫_t − 𝒫_{t−1}|": exactly(np.abs(1 - 2 * γ).mean()),
            },
        ),
        Statement(
            "eq-13-action",
            "Eq. 13, its first line, with Eq. 11",
            "W² = inf ∫∫|∇Φ|²dρ_t dt, used with the model's energy Φ.",
            "the action of the flow of Φ = −x²/2 over unit time from N(0, 1), against W² between its ends, in closed "
            "form; the same for the potential of the transport between these ends, and for a linear Φ",
            "action/W² − 1 (corrected: for the transport's own potential)",
            0.01,
            exactly(spent / least - 1),
            exactly(abs(own / least - 1)),
            "With the potential of the transport, which changes with time, and t₁ − t₀ = 1 the line is Eq. 11, and "
            "right. The model's Φ is one way among others: its action is an upper bound. It is W² where ∇Φ is constant "
            "along each path, as on one linear piece of FRAME's Φ. And over a time β = t₁ − t₀ the least action is "
            "W²/β.",
            {
                "action/W² − 1 of a linear Φ": exactly(linear[1.0] - 1),
                "action/W² of a linear Φ over a time of 2": exactly(linear[2.0]),
                "the ζ at which two rectangles are exact": exactly(ζ),
                "mean of the rectangles over random ζ, over the integral": exactly(trapezoid / spent),
            },
        ),
    ]
    at = np.linspace(0, 1, 21)
    curves = {
        "zeta": at,
        "second_line": [rectangles(0, 1, z, 2, 3) for z in at],
        "printed": [last_line(0, 1, z, 2, 3) for z in at],
        "mended": [mended(0, 1, z, 2, 3) for z in at],
    }
    return Findings(statements, {"interpolation": {name: curve(values) for name, values in curves.items()}})
