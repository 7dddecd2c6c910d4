"""The steps of Eq. 12 (Jordan, Kinderlehrer and Otto's) on the line, and the steady state that they approach.

With Remark 1 and σ = 1 a step minimises ½W²(ρ, ρ_t) + K(ρ|q) ± ∫Φdρ. On the line ρ is given by its quantiles
X₁ < ... < X_n, and W² is the mean square of their moves:

    ½·mean (X − X_t)² + mean (X²/2 ± Φ(X)) − mean log(X_{i+1} − X_i)

where the last term is ∫ρ log ρ. Each step is found by damped Newton steps.
"""

import numpy as np
from scipy.linalg import solveh_banded

from wframe.theory.densities import Grid, grid, normal, total_variation
from wframe.theory.fokker_planck import Smooth
from wframe.theory.statement import Findings, Statement, exactly

QUANTILES = 400
STEPS = 40


def descend(before: np.ndarray, Φ: Smooth, sign: int) -> np.ndarray:
    """Return the quantiles (n,) after a step of Eq. 12 with sign·∫Φdρ; sign = 1 is as printed."""
    n = len(before)

    def value(X: np.ndarray) -> float:
        gaps = np.diff(X)
        if gaps.min() <= 0:
            return np.inf
        potential = 0.5 * (X - before) ** 2 + 0.5 * X**2 + sign * Φ.value(X)
        return float(potential.mean() - np.log(gaps).sum() / n)

    X = before
    for _ in range(100):
        rise = 1 / np.diff(X)
        slope = (X - before) + X + sign * Φ.slope(X) + np.append(rise, 0) - np.append(0, rise)
        if np.abs(slope).max() < 1e-9:
            break
        diagonal = 2 + sign * Φ.curvature(X) + np.append(rise**2, 0) + np.append(0, rise**2)
        move = -solveh_banded(np.stack([np.append(0, -(rise**2)), diagonal]), slope)
        size = 1.0
        while size > 1e-12 and value(X + size * move) > value(X):
            size /= 2
        X = X + size * move
    return X


def quantiles(space: Grid, ρ: np.ndarray, n: int = QUANTILES) -> np.ndarray:
    """Return the n quantiles (i − ½)/n of a density on a grid."""
    F = np.cumsum(ρ) * space.dx - 0.5 * ρ * space.dx
    return np.interp((np.arange(n) + 0.5) / n, F, space.x)


def probabilities(space: Grid, X: np.ndarray) -> np.ndarray:
    """Return the probabilities of the grid's cells for quantiles (n,)."""
    edges = np.append(space.x - space.dx / 2, space.x[-1] + space.dx / 2)
    F = np.interp(edges, X, (np.arange(len(X)) + 0.5) / len(X), left=0, right=1)
    return np.diff(F)


def steady_state(space: Grid, Φ: Smooth, sign: int, start: tuple[float, float] = (1.0, 0.5)) -> np.ndarray:
    """Return the probabilities (n,) after many steps of Eq. 12 with sign·∫Φdρ, from a Gaussian (mean, std)."""
    X = quantiles(space, space.density(normal(space.x, *start)))
    for _ in range(STEPS):
        X = descend(X, Φ, sign)
    return probabilities(space, X)


def study(seed: int) -> Findings:
    """Check that the steps of J_t approach Eq. 3."""
    del seed  # nothing is sampled
    space, Φ = grid(-6, 6, 121), Smooth(0.3)
    plus, minus = (space.density(normal(space.x) + sign * Φ.value(space.x)) * space.dx for sign in (1, -1))
    printed, corrected = (steady_state(space, Φ, sign) for sign in (1, -1))
    statements = [
        Statement(
            "steady-state",
            "below Remark 1, of Eq. 12",
            "J_t can be calculated instead of I_t, and a steady state will approach Eq. 3.",
            f"{STEPS} steps of Eq. 12 with Remark 1 (σ = 1) for a smooth Φ, each the minimum over {QUANTILES} "
            f"quantiles",
            "total variation between the last step and Eq. 3",
            0.02,
            exactly(total_variation(printed, plus)),
            exactly(total_variation(corrected, plus)),
            "With −∫Φdρ, the sign that Eq. 5 needs as well. As printed the steady state is e^(−Φ)·q/Z; there is one, "
            "and the steps approach it, so it is only the sign.",
            {"distance of the last step as printed to e^(−Φ)·q/Z": exactly(total_variation(printed, minus))},
        )
    ]
    return Findings(statements, {})
