"""KL-vanishing and the weaker topology: K, Jensen-Shannon and W² between nearly disjoint laws, and their gradients.

A model N(m, s²) learns its place m; the data is N(0, s²). And two uniform laws that shift apart.
"""

import numpy as np
import ot
from scipy.special import logsumexp

from wframe.theory.densities import Grid, grid, kl, normal, relu, wasserstein2
from wframe.theory.statement import Findings, Statement, curve, exactly, generator

PLACES = (0.5, 1.0, 2.0, 4.0, 8.0, 12.0)  # m/s


def divergences(space: Grid, log_p: np.ndarray, log_q: np.ndarray) -> dict[str, float]:
    """Return K(p|q), Jensen-Shannon and W² of two densities given by their logarithms (n,)."""
    p, q = space.density(log_p), space.density(log_q)
    log_ratio = (log_p - logsumexp(log_p)) - (log_q - logsumexp(log_q))
    middle = (p + q) / 2
    return {
        "kl": float(space.mean(p, log_ratio)),
        "js": (kl(p, middle, space.dx) + kl(q, middle, space.dx)) / 2,
        "w2": wasserstein2(space, p, q),
    }


def gradients(space: Grid, m: float, h: float = 1e-3) -> dict[str, float]:
    """Return the derivative of each divergence in the model's place m, data N(0, 1) and model N(m, 1)."""
    up, down = (divergences(space, normal(space.x), normal(space.x, m + sign * h)) for sign in (1, -1))
    return {name: (up[name] - down[name]) / (2 * h) for name in up}


def uniforms(shift: float) -> dict[str, float]:
    """Return the divergences between U[0, 1] and U[shift, 1 + shift], 0 < shift < 1, in closed form."""
    return {"kl": np.inf, "js": shift * np.log(2), "w2": shift**2}


def atoms(shift: float, n: int = 50) -> float:
    """Return W² between n equal masses and the same, shifted, by linear programming (POT)."""
    x = np.linspace(0, 1, n)
    return float(ot.emd2_1d(x, x + shift))


def talagrand(seed: int, trials: int = 50) -> float:
    """Return the largest W²(p, q)/2K(p|q) over random densities p, for q = N(0, 1): at most 1 (Talagrand 1996)."""
    random, space = generator("talagrand", seed), grid(-9, 9, 4001)
    q, worst = space.density(normal(space.x)), 0.0
    for _ in range(trials):
        places, widths = random.normal(0, 1.5, 2), random.uniform(0.3, 1.2, 2)
        p = space.density(np.logaddexp(*(normal(space.x, *part) for part in zip(places, widths, strict=True))))
        worst = max(worst, wasserstein2(space, p, q) / (2 * kl(p, q, space.dx)))
    return worst


def frame_gradient(distance: float, θ: float) -> tuple[float, float]:
    """Return (K(data | P_θ), E_data[f] − E_θ[f]) of FRAME on the line: P_θ ∝ e^(θ·h(x))·N(0, 1), data N(distance, ¼).

    The second is minus the derivative of the first in θ (Eq. 2).
    """
    space = grid(-8, 40, 4801)
    f = relu(space.x)
    log_data, log_model = (log - logsumexp(log) for log in (normal(space.x, distance, 0.5), normal(space.x) + θ * f))
    data, model = np.exp(log_data), np.exp(log_model)
    return float(data @ (log_data - log_model)), float(f @ (data - model))


def study(seed: int) -> Findings:
    """Look at K's gradient far from the data, and check that W² defines a weaker topology."""
    space = grid(-10, 24, 6801)
    slopes = {m: gradients(space, m) for m in PLACES}
    far, near = slopes[PLACES[-1]], slopes[PLACES[0]]
    values = divergences(space, normal(space.x), normal(space.x, 4.0))
    frame = {d: frame_gradient(d, 0.0) for d in (1.0, 3.0, 10.0, 30.0)}
    shifts = (0.1, 0.01, 0.001)
    at = {shift: uniforms(shift) for shift in shifts}
    talagrands = talagrand(seed)
    statements = [
        Statement(
            "kl-vanishing",
            "Introduction and conclusion: KL-vanishing explains FRAME's collapse",
            "Where the filter responses of P_θ and P_r differ greatly, learning by K suffers from KL-vanishing "
            "(read as: its gradient vanishes; the paper doesn't define it).",
            "the derivative of K, of Jensen-Shannon and of W² in the place m of a model N(m, 1), data N(0, 1), m "
            "from ½ to 12; and FRAME's own gradient E_Pr[f] − E_θ[f] at θ = 0 for data 1 to 30 deviations away",
            "gradient of K at m = 12 over that at m = ½ (0 where it vanishes)",
            0.05,
            exactly(far["kl"] / near["kl"]),
            None,
            "This is true of the Jensen-Shannon divergence (of GANs), whose gradient falls to 0. K's grows with the "
            "distance, and FRAME's is the gap between the responses, so it can't vanish before they agree: its mean "
            "absolute value is the paper's own R, which is large where FRAME collapses. Where the data has no density "
            "(nine images), K itself is infinite for every θ, but its derivative in θ is Eq. 2 all the same.",
            {
                "that ratio of Jensen-Shannon": exactly(far["js"] / near["js"]),
                **{f"gradient of K at m = {m:g}": exactly(slopes[m]["kl"]) for m in (0.5, 12.0)},
                **{f"gradient of Jensen-Shannon at m = {m:g}": exactly(slopes[m]["js"]) for m in (0.5, 4.0, 12.0)},
                **{f"gradient of W² at m = {m:g}": exactly(slopes[m]["w2"]) for m in (0.5, 12.0)},
                **{f"FRAME's gradient, data {d:g} away": exactly(g) for d, (_, g) in frame.items()},
                "K at m = 4": exactly(values["kl"]),
            },
        ),
        Statement(
            "weaker-topology",
            '"Wasserstein metric defines a weaker topology"',
            "Laws that come close in K come close in W, not the other way round.",
            "U[s, 1 + s] against U[0, 1] for s from 0.1 to 0.001: W² by linear programming and in closed form; K "
            "is infinite for every s. The other way, Talagrand's inequality W² ≤ 2K, which holds against a "
            "Gaussian (and some such condition is needed), for 50 random densities",
            "W² at s = 0.001, where K is infinite, or what W²/2K is above 1, whichever is larger",
            1e-5,
            exactly(max(atoms(shifts[-1]), talagrands - 1)),
            numbers={
                **{f"W² at s = {shift:g}": exactly(atoms(shift)) for shift in shifts},
                "error against the closed form": exactly(max(abs(atoms(s) - at[s]["w2"]) for s in shifts)),
                "W²/2K between Gaussians at m = 4": exactly(values["w2"] / (2 * values["kl"])),
                "largest W²/2K of 50 random densities": exactly(talagrands),
            },
        ),
    ]
    curves = {"m": PLACES} | {name: [slopes[m][name] for m in PLACES] for name in ("kl", "js", "w2")}
    return Findings(statements, {"topology": {name: curve(v) for name, v in curves.items()}})
