"""Under which sign of Φ do Eqs. 3, 5, 7, 9, 12, 15, 17, 18 and Algorithm 1 agree? And of the penalty |∇Φ|²?

For each equation the density that it leads to is computed, and set beside e^(+Φ)q and e^(−Φ)q; for each step of θ,
the θ that it climbs to. The equation's sign is that of the nearer one. Taking Φ for −Φ in an equation flips its sign.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from wframe.model.readings import READINGS
from wframe.theory.densities import Grid, grid, normal, total_variation
from wframe.theory.flows import flow_minimiser, tilt
from wframe.theory.fokker_planck import Smooth, finite_volumes, steady
from wframe.theory.jko import steady_state
from wframe.theory.langevin import stationary, unit_step
from wframe.theory.statement import Findings, Statement, exactly

SPACE = grid(-4.5, 5.5, 101)
Φ_OF = Smooth(0.3)


class Sign(NamedTuple):
    """What was found for one equation."""

    equation: str
    leads_to: str  # the object that was computed
    sign: int  # +1: goes with e^(+Φ); −1: with e^(−Φ)
    distance: float  # of what was computed to what that sign says
    other: float  # to what the other sign says


def base(space: Grid = SPACE) -> np.ndarray:
    """Return the probabilities of q = N(0, 1) on the grid."""
    return softmax(normal(space.x))


def features(space: Grid = SPACE) -> np.ndarray:
    """Return two smooth features f (2, n) with Φ = 1.5·f₁ − 0.8·f₂."""
    return np.stack([Smooth(0.3, 1.0, 0.0).value(space.x), Smooth(0.3, 0.0, 1.0).value(space.x)])


θ_TRUE = np.array([1.5, -0.8])


def from_density(equation: str, leads_to: str, p: np.ndarray) -> Sign:
    """Return the sign of an equation that leads to the probabilities p (n,)."""
    plus, minus = (total_variation(p, tilt(base(), Φ_OF.value(SPACE.x), sign)) for sign in (1, -1))
    return Sign(equation, leads_to, 1 if plus < minus else -1, min(plus, minus), max(plus, minus))


def from_likelihood(equation: str, f: np.ndarray, q: np.ndarray) -> Sign:
    """Return the sign of Eq. 2: is f − E_θ[f] the derivative of log P in θ for P = e^(+Φ)q/Z or for e^(−Φ)q/Z?

    Each along θ, at every x; the distance is relative.
    """
    off, tiny = {}, 1e-5
    for sign in (1, -1):
        there, here = (tilt(q, θ_TRUE * size @ f, sign) for size in (1 + tiny, 1))
        derivative = np.log(there / here) / tiny
        printed = θ_TRUE @ (f - (f @ here)[:, None])
        off[sign] = float(np.abs(derivative - printed).max() / np.abs(printed).max())
    best = min(off, key=lambda sign: off[sign])
    return Sign(equation, "the gradient of the log-likelihood", best, off[best], off[-best])


def from_ascent(equation: str, step: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Sign:
    """Return the sign of a step of θ: under which density, e^(+Φ)q or e^(−Φ)q, does it climb the likelihood?

    `step` takes E_Pr[f] and E_ρ[f] of the current model. The step is repeated, with a small rate and exact
    expectations, on data whose θ is known; the distance is the share of the moments' gap that remains.
    """
    q, f, remains = base(), features(), {}
    for sign in (1, -1):
        α, θ = f @ tilt(q, θ_TRUE @ f, sign), np.zeros(2)
        first = np.abs(α - f @ q).max()
        for _ in range(2000):
            θ = np.clip(θ + 0.1 * step(α, f @ tilt(q, θ @ f, sign)), -50, 50)
        remains[sign] = float(np.abs(α - f @ tilt(q, θ @ f, sign)).max() / first)
    best = min(remains, key=lambda sign: remains[sign])
    return Sign(equation, "the θ that its step climbs to", best, remains[best], remains[-best])


def of_energy(flip: int = 1) -> list[Sign]:
    """Return every equation's sign of Φ; with flip = −1 the equations that disagree with Eq. 3 have −Φ for Φ.

    Where β = 0, Eqs. 5, 7 and 17 share their part in ρ, and Eqs. 9 and 18 their steps.
    """
    q, x, f = base(), SPACE.x, features()
    Φ = Φ_OF.value(x)
    line_8 = READINGS["preconditioned"].step(0.15, 1.0)  # line 8 with σ = 1
    drift = steady(finite_volumes(SPACE, normal(x) + Φ), 1.0)
    moved = stationary(SPACE, line_8, Φ_OF.slope) * SPACE.dx
    eq_9 = stationary(SPACE, unit_step(1.0, 0.01), Φ_OF.slope) * SPACE.dx
    Φ_flipped = flip * Φ

    def climbs(obs: np.ndarray, model: np.ndarray) -> np.ndarray:
        return flip * (model - obs)

    minimiser, climbed = flow_minimiser(q, Φ_flipped), from_ascent("", climbs)
    return [
        from_density("Eq. 1, Eq. 3", "its density", tilt(q, Φ)),
        from_likelihood("Eq. 2", f, q),
        from_density("Eq. 5", "its minimiser over ρ", minimiser),
        from_density("Eq. 7", "its minimiser over ρ", minimiser),
        from_density("Eqs. 8, 9, step of x", "its stationary law, for a small step", eq_9),
        climbed._replace(equation="Eq. 9, step of θ"),
        from_density("Eq. 12 with Remark 1", "the steady state of its steps", steady_state(SPACE, Φ_OF, flip)),
        from_density("Eqs. 15, 16 without the penalty", "its steady state", drift),
        from_density("Eq. 17 with β = 0", "its minimiser over ρ", minimiser),
        from_density("Eq. 18, step of x", "its stationary law, for a small step", eq_9),
        climbed._replace(equation="Eq. 18, step of θ, β = 0"),
        from_density("Algorithm 1, line 8", "its stationary law, for a small step", moved),
        from_ascent("Algorithm 1, line 14, β = 0", lambda obs, model: obs - model),
    ]


def of_penalty() -> list[Sign]:
    """Return the sign of |∇Φ|² in each equation: −1 where it draws x, or θ, to smaller |∇Φ|², +1 to larger.

    For x: the change of E|∇Φ|² that the penalty makes in the density that the equation leads to. For θ: its change in
    a step of θ that only the penalty makes. `other` is the same for ½W² = +½·E|∇Φ|² (the first two lines of Eq. 13).
    """
    q, x = base(), SPACE.x
    Φ, square = Φ_OF.value(x), Φ_OF.slope(x) ** 2
    without = tilt(q, Φ)
    slopes = np.gradient(features(), x, axis=1)
    A = (slopes * without) @ slopes.T  # E|∇Φ|² = θᵀAθ

    def over_x(p: np.ndarray) -> float:
        return float((p - without) @ square)

    def over_θ(factor: float) -> float:
        moved = θ_TRUE + 0.01 * factor * 2 * A @ θ_TRUE
        return float(moved @ A @ moved - θ_TRUE @ A @ θ_TRUE)

    # Φ has the sign of Eq. 3 here, the penalty the sign that each equation prints (β = γ = 1)
    mended_x, mended_θ = over_x(flow_minimiser(q, -Φ + square / 2)), over_θ(1 / 2)
    found = [
        ("Eqs. 14 to 16, over x", over_x(steady(finite_volumes(SPACE, normal(x) + Φ - square), 1.0)), mended_x),
        ("Eq. 17, over ρ", over_x(flow_minimiser(q, -Φ - square / 2)), mended_x),
        ("Eqs. 17 and 18, over θ", over_θ(-1 / 2), mended_θ),
    ]
    return [Sign(name, "change of E|∇Φ|²", 1 if ours > 0 else -1, ours, mended) for name, ours, mended in found]


def study(seed: int) -> Findings:
    """Check that the equations agree on the sign of Φ, and on the sign of the penalty."""
    as_printed, mended, penalty = of_energy(), of_energy(-1), of_penalty()
    disagree = [sign.equation for sign in as_printed if sign.sign < 0]
    worst = max(sign.distance for sign in as_printed)
    statements = [
        Statement(
            "signs",
            "Eqs. 1 to 18 and Algorithm 1",
            "All equations speak of one model, P ∝ e^Φ·q (Eq. 3).",
            "for each equation the density, or θ, that it leads to, against those of e^(+Φ)q and e^(−Φ)q",
            "number of equations that go with e^(−Φ)q",
            0.5,
            exactly(len(disagree)),
            exactly(sum(sign.sign < 0 for sign in mended)),
            f"Take −Φ for Φ in: {'; '.join(disagree)}. The other way, e^(−Φ), needs Eqs. 1, 2, 3, 8, 15, 16, the "
            "steps of x in Eqs. 9 and 18, and lines 8 and 14 of Algorithm 1 changed. Places that agree with one "
            "another are hardly a slip of text recognition: physics writes e^(−Φ) for an energy Φ, statistics e^(+Φ).",
            {"equations looked at": exactly(len(as_printed)), "largest distance to the own sign": exactly(worst)},
        ),
        Statement(
            "eq-9-theta",
            "Eqs. 9 and 18, the step of θ",
            "θ ← θ + ∇E_ρ[Φ] − ∇E_Pr[Φ], beside an x-step that samples e^Φ·q, learns θ.",
            "2,000 steps with exact expectations from θ = 0, on data of a known θ (θ is stopped at ±50)",
            "share of the moments' gap that remains",
            0.01,
            exactly(_remains(as_printed)),
            exactly(_remains(mended)),
            "θ ← θ + ∇E_Pr[Φ] − ∇E_ρ[Φ], as in Eq. 2 and in line 14 of Algorithm 1. As printed it is the ascent on Eq. "
            "7, and goes with an x-step that samples e^(−Φ)·q.",
        ),
        Statement(
            "signs-penalty",
            "Eqs. 12 to 18",
            "The penalty in Eqs. 15 to 18 comes from ½W² in Eq. 12.",
            "the change of E|∇Φ|² that each equation's penalty makes, over x or ρ and over θ",
            "number of uses of the penalty, of three, that change E|∇Φ|² the other way than ½W² > 0 would",
            0.5,
            exactly(sum(sign.distance * sign.other < 0 for sign in penalty)),
            None,
            "No sign serves both: with ½W² > 0 the minimum over ρ lowers |∇Φ|² (Eqs. 15 and 16), but the "
            "maximum over θ raises it; with Eq. 13's minus, the maximum over θ lowers it (Eq. 18, Algorithm 1), "
            "but the minimum over ρ raises it. W² itself depends on two distributions only; θ comes in where Eq. 13 "
            "takes the model's Φ for the potential of the transport.",
            {f"{sign.equation}: change of E|∇Φ|²": exactly(sign.distance) for sign in penalty}
            | {"over ρ with ½W² > 0": exactly(penalty[0].other), "over θ with ½W² > 0": exactly(penalty[2].other)},
        ),
    ]
    curves = {
        "energy": [{"equation": s.equation, "leads_to": s.leads_to, "sign": s.sign} for s in as_printed],
        "penalty": [
            {"equation": s.equation, "sign": s.sign, "sign_of_half_W2": 1 if s.other > 0 else -1} for s in penalty
        ],
    }
    return Findings(statements, {"signs": curves})


def _remains(signs: list[Sign]) -> float:
    """Return the share of the moments' gap that Eq. 9's step of θ leaves under e^(+Φ)q."""
    eq_9 = next(sign for sign in signs if sign.equation == "Eq. 9, step of θ")
    return eq_9.distance if eq_9.sign > 0 else eq_9.other
