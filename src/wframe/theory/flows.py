"""Theorem 1 and Eqs. 2, 5, 6, 7: FRAME's density as a constrained minimiser of the Kullback-Leibler divergence.

On a finite set of S states with features f (K, S), Φ = ⟨θ, f⟩. The minimisers are found by a general-purpose solver
that knows nothing of exponential families, then set beside e^(±Φ)ρ_t.
"""

import numpy as np
from scipy.optimize import OptimizeResult, minimize
from scipy.special import logsumexp, softmax

from wframe.theory.densities import Grid, grid, kl, normal, relu, total_variation
from wframe.theory.statement import Findings, Statement, curve, exactly, generator, if_solved

FLAT = 1e-6  # the largest slope at a minimum


def tilt(ρ: np.ndarray, Φ: np.ndarray, sign: int = 1) -> np.ndarray:
    """Return e^(sign·Φ)ρ / Z (Eq. 3 with sign = 1), for probabilities ρ (S,)."""
    return softmax(np.log(ρ) + sign * Φ)


def mle(q: np.ndarray, f: np.ndarray, α: np.ndarray) -> np.ndarray:
    """Return θ (K,) with E[f] = α under e^⟨θ,f⟩q / Z: the maximum of ⟨θ, α⟩ − log Z(θ), by damped Newton steps."""

    def value(θ: np.ndarray) -> float:
        return float(θ @ α - logsumexp(θ @ f, b=q))

    θ = np.zeros(len(f))
    for _ in range(100):
        p = tilt(q, θ @ f)
        gap = α - f @ p
        if np.abs(gap).max() < 1e-13:
            break
        centred = f - (f @ p)[:, None]
        step = np.linalg.solve((centred * p) @ centred.T, gap)  # the Hessian of log Z is the covariance of f
        size = 1.0
        while size > 1e-3 and value(θ + size * step) < value(θ) - 1e-15:
            size /= 2
        θ = θ + size * step
    return θ


def projection(ρ: np.ndarray, f: np.ndarray, α: np.ndarray) -> np.ndarray:
    """Return argmin K(· | ρ) subject to E[f] = α (Eq. 6), by sequential quadratic programming over probabilities."""
    constraints = [
        {"type": "eq", "fun": lambda p: p.sum() - 1, "jac": lambda p: np.ones_like(p)},
        {"type": "eq", "fun": lambda p: f @ p - α, "jac": lambda p: f},
    ]
    found = minimize(
        lambda p: float(p @ np.log(p / ρ)),
        np.full_like(ρ, 1 / len(ρ)),
        jac=lambda p: np.log(p / ρ) + 1,
        bounds=[(1e-12, 1)] * len(ρ),
        constraints=constraints,
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 500},
    )
    return if_solved(found.x, found.success)


def flow_minimiser(ρ: np.ndarray, Φ: np.ndarray) -> np.ndarray:
    """Return argmin_p K(p | ρ) + ∫Φ dp (Eq. 5), by a quasi-Newton search over p = softmax(z)."""

    def objective(z: np.ndarray) -> tuple[float, np.ndarray]:
        p = softmax(z)
        first_variation = np.log(p / ρ) + Φ
        value = float(p @ first_variation)
        return value, p * (first_variation - value)

    return softmax(bottom(minimize(objective, np.log(ρ), jac=True, method="BFGS", options={"gtol": 1e-11})))


def bottom(search: OptimizeResult) -> np.ndarray:
    """Return the minimum that a quasi-Newton search found; NaN if it is none.

    The slope decides: the search calls it a failure if rounding ends it before the slope that was asked for.
    """
    return if_solved(search.x, bool(np.abs(search.jac).max() < FLAT))


def saddle(q: np.ndarray, f: np.ndarray, α: np.ndarray, sign: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return (ρ, θ) of min_ρ max_θ K(ρ | q) + sign·(∫⟨θ,f⟩dρ − ⟨θ, α⟩), which is Eq. 7 for sign = 1.

    Convex in ρ and linear in θ, so the order doesn't matter: for fixed θ the minimum over ρ is searched, then the
    maximum over θ of what remains, whose slope in θ is that at the minimum (Danskin's theorem).
    """

    def negative(θ: np.ndarray) -> tuple[float, np.ndarray]:
        ρ = flow_minimiser(q, sign * θ @ f)
        return -(kl(ρ, q) + sign * float(θ @ (f @ ρ - α))), -sign * (f @ ρ - α)

    θ = bottom(minimize(negative, np.zeros(len(f)), jac=True, method="BFGS", options={"gtol": 1e-9}))
    return flow_minimiser(q, sign * θ @ f), θ


def example(seed: int, states: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return (q, f, α, data): a base measure, two features, and the observed moments of a random distribution."""
    random = generator("flows", seed)
    x = np.linspace(-2, 2, states)
    q = softmax(normal(x))
    f = np.stack([relu(x - 0.5), relu(-x + 0.3)])
    data = random.dirichlet(np.full(states, 2.0))
    return q, f, f @ data, data


def log_likelihood_gradient(q: np.ndarray, f: np.ndarray, data: np.ndarray, θ: np.ndarray, h: float) -> np.ndarray:
    """Return ∂/∂θ of the mean log-likelihood of `data` under Eq. 3, by central differences of width h: (K,)."""

    def mean_log(θ: np.ndarray) -> float:
        return float(data @ np.log(tilt(q, θ @ f)))

    return np.array([(mean_log(θ + h * e) - mean_log(θ - h * e)) / (2 * h) for e in np.eye(len(θ))])


def pythagoras(space: Grid, seed: int, trials: int = 20) -> float:
    """Return the largest |K(p|q) − K(p|ρ*) − K(ρ*|q)| over random p that meet Eq. 6's constraint, on a line's grid.

    ρ* = e^⟨θ,f⟩q is the minimiser of Eq. 6 if and only if this is 0 for every such p (then K(p|q) ≥ K(ρ*|q)).
    """
    random = generator("pythagoras", seed)
    x = space.x
    q = space.density(normal(x)) * space.dx
    f = np.stack([relu(x - 0.5), relu(-x - 0.2)])
    worst = 0.0
    for _ in range(trials):
        p = softmax(normal(x, random.normal(), random.uniform(0.5, 1.5)) + random.normal() * np.sin(3 * x))
        star = tilt(q, mle(q, f, f @ p) @ f)
        worst = max(worst, abs(kl(p, q) - kl(p, star) - kl(star, q)))
    return worst


def study(seed: int) -> Findings:
    """Check Eq. 2, Theorem 1 (Eq. 6), Eq. 5 and Eq. 7."""
    q, f, α, data = example(seed)
    θ = mle(q, f, α)
    Φ, frame = θ @ f, tilt(q, θ @ f)
    first = projection(q, f, α)
    again = projection(first, f, α)
    elsewhere = np.array([0.3, -0.4])
    gradient = log_likelihood_gradient(q, f, data, elsewhere, 1e-5)
    eq_2 = np.abs(gradient - (f @ data - f @ tilt(q, elsewhere @ f))).max()

    minimiser, flipped = flow_minimiser(q, Φ), flow_minimiser(q, -Φ)
    printed_ρ, printed_θ = saddle(q, f, α, 1)
    other_ρ, other_θ = saddle(q, f, α, -1)
    statements = [
        Statement(
            "eq-2",
            "Eq. 2",
            "The gradient of the log-likelihood is E_Pr[f] − E_P[f].",
            "central differences of the mean log-likelihood on twelve states",
            "largest difference between the two gradients",
            1e-8,
            exactly(eq_2),
        ),
        Statement(
            "theorem-1",
            "Theorem 1, Eq. 6",
            "FRAME's density e^Φ·q/Z (Eq. 3) solves argmin K(ρ|ρ_t) subject to ∫Φdρ = ∫ΦdP_r, ρ_0 = q.",
            "the constrained minimum on twelve states by sequential quadratic programming, against e^⟨θ,f⟩q/Z with "
            "maximum-likelihood θ; on a line's grid, Pythagoras' identity of the projection for 20 random densities. "
            "The constraint is taken for each feature f_k, since θ is its multiplier",
            "total variation between the minimiser and Eq. 3",
            1e-5,
            exactly(total_variation(first, frame)),
            correction="With one constraint for Φ itself, and any θ, the minimiser is e^(ωΦ)·q/Z, as in the paper's "
            "proof: FRAME's density with the weights ωθ.",
            numbers={
                "distance after a second step of Eq. 6": exactly(total_variation(first, again)),
                "Pythagoras' identity, largest error": exactly(pythagoras(grid(-8, 8, 801), seed)),
            },
        ),
        Statement(
            "eq-5",
            "Eq. 5 with Eq. 3",
            "Eq. 3, e^Φ·ρ_t/Z, is argmin over ρ of K(ρ|ρ_t) + ∫Φdρ.",
            "the minimum on twelve states by a quasi-Newton search",
            "total variation between the minimiser and e^Φ·ρ_t/Z",
            1e-5,
            exactly(total_variation(minimiser, frame)),
            exactly(total_variation(flipped, frame)),
            "K(ρ|ρ_t) − ∫Φdρ. As printed the minimiser is e^(−Φ)·ρ_t/Z.",
            {"distance of the minimiser to e^(−Φ)·ρ_t/Z": exactly(total_variation(minimiser, tilt(q, Φ, -1)))},
        ),
        Statement(
            "eq-7",
            "Eq. 7 with Eq. 3",
            "Eq. 3 with the multiplier θ solves min over ρ, max over θ of K(ρ|ρ_t) + ∫Φdρ − ∫ΦdP_r.",
            "the saddle point on twelve states; Eq. 3 is taken with the θ found there",
            "total variation between the saddle point's ρ and e^Φ·q/Z",
            1e-5,
            exactly(total_variation(printed_ρ, tilt(q, printed_θ @ f))),
            exactly(total_variation(other_ρ, tilt(q, other_θ @ f))),
            "K(ρ|ρ_t) − ∫Φdρ + ∫ΦdP_r. As printed ρ is right, and θ is minus the maximum-likelihood θ: the sign of a "
            "multiplier is free, but Eq. 3 has fixed it.",
            {
                "distance of the saddle point's ρ to the constrained minimiser": exactly(
                    total_variation(printed_ρ, frame)
                ),
                "|θ + θ_MLE|": exactly(np.abs(printed_θ + θ).max()),
            },
        ),
    ]
    states = {"q": q, "plus": frame, "minus": tilt(q, Φ, -1), "eq5": minimiser, "eq6": first}
    return Findings(statements, {"flows": {name: curve(values) for name, values in states.items()}})
