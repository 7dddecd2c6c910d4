"""Lemma 1 and Eqs. 20 and 21: large deviations of empirical measures and means, against their rate functionals.

All probabilities are exact (multinomial, Poisson-binomial, Gaussian and Gamma laws in the log domain), for n up to
some hundreds of particles: no sampling.
"""

import numpy as np
from scipy import stats
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax

from wframe.theory.densities import grid, kl, normal
from wframe.theory.flows import tilt
from wframe.theory.statement import Findings, Statement, curve, exactly

SIZES = (20, 40, 80, 160, 320, 640)


def sanov(n: int, type_: np.ndarray, law: np.ndarray) -> float:
    """Return −(1/n) log P(the empirical measure of n draws from `law` is `type_`), for probabilities (S,)."""
    counts = np.round(n * type_).astype(int)
    return -float(stats.multinomial.logpmf(counts, n, law)) / n


def sanov_prefactor(n: int, type_: np.ndarray) -> float:
    """Return what Stirling's formula adds to the rate at finite n: (S − 1)/2n·log 2πn + Σ log type_ / 2n."""
    return ((len(type_) - 1) * np.log(2 * np.pi * n) + np.log(type_).sum()) / (2 * n)


def cramer_gaussian(n: int, a: float, τ: float) -> float:
    """Return −(1/n) log P(the mean displacement of n particles after time τ is at least a).

    Each moves by √2·B(τ), so its displacement is N(0, 2τ).
    """
    return -float(stats.norm.logsf(a * np.sqrt(n / (2 * τ)))) / n


def gaussian_prefactor(n: int, a: float, τ: float) -> float:
    """Return what Mills' ratio adds to the rate a²/4τ at finite n."""
    return float(np.log(a * np.sqrt(n / (2 * τ)) * np.sqrt(2 * np.pi))) / n


def fixed_starts(n: int, share: float, reach: np.ndarray) -> float:
    """Return −(1/n) log P(a share of n particles is in A), where particle i gets there with probability reach[i]."""
    log_p = np.array([0.0])  # of 0, 1, ... particles in A
    with np.errstate(divide="ignore"):
        for p in reach:
            log_p = np.logaddexp(np.append(log_p + np.log1p(-p), -np.inf), np.append(-np.inf, log_p + np.log(p)))
    return -float(log_p[round(share * n)]) / n


def fixed_starts_rate(share: float, reach: np.ndarray) -> float:
    """Return the rate for given starting points: inf over couplings of K(γ | γ_0), as sup_λ λ·share − E log E e^λ."""

    def negative(λ: float) -> float:
        return float(np.mean(np.log1p(reach * np.expm1(λ))) - λ * share)

    return -float(minimize_scalar(negative, bracket=(-1.0, 1.0), tol=1e-12).fun)


def exponential_mean(n: int, a: float) -> float:
    """Return −(1/n) log P(the mean of n draws from e^(−x), x > 0, is at least a)."""
    return -float(stats.gamma(n).logsf(n * a)) / n


def legendre(log_generating: bool, a: float) -> float:
    """Return sup_θ {θ·a − log E e^θx} for the density e^(−x), E e^θx = 1/(1 − θ); without the log if asked."""

    def negative(θ: float) -> float:
        M = 1 / (1 - θ)
        return float((np.log(M) if log_generating else M) - θ * a)

    return -float(minimize_scalar(negative, bounds=(-5, 1 - 1e-9), method="bounded", options={"xatol": 1e-12}).fun)


def slope_of_types(n: int, law: np.ndarray) -> float:
    """Return the slope of (1/n) log P(type) over K(type | law), over all types of n draws with no empty state."""
    types = np.array([(i, j, n - i - j) for i in range(1, n) for j in range(1, n - i)]) / n
    rates = np.array([kl(part, law) for part in types])
    logs = -np.array([sanov(n, part, law) - sanov_prefactor(n, part) for part in types])
    return float(np.polyfit(rates, logs, 1)[0])


def study(seed: int) -> Findings:
    """Check Lemma 1, the constant of its Gaussian transitions, Eqs. 20 and 21, and the last line of its proof."""
    del seed  # nothing is sampled
    ρ_t, Φ, type_ = np.array([0.5, 0.3, 0.2]), np.array([0.2, -0.5, 0.9]), np.array([0.25, 0.4, 0.35])
    law = tilt(ρ_t, Φ)  # i.i.d. particles with generating function E[e^Φ]: Eq. 3 relative to ρ_t
    measured = {n: sanov(n, type_, law) - sanov_prefactor(n, type_) for n in SIZES}
    limit = measured[SIZES[-1]]
    divergence, mean_Φ = kl(type_, ρ_t), float(type_ @ Φ)
    printed = divergence + mean_Φ + logsumexp(-Φ, b=ρ_t)  # I_t less its minimum
    corrected = divergence - mean_Φ + logsumexp(Φ, b=ρ_t)

    a, τ = 1.0, 0.25

    def constant(n: int, τ: float) -> float:
        return (cramer_gaussian(n, a, τ) - gaussian_prefactor(n, a, τ)) / a**2

    unit = {n: abs(constant(n, 1.0) / 0.25 - 1) for n in SIZES}

    space, std, edge, share, n = grid(-12, 12, 4001), 1.0, 1.0, 0.5, 640
    start = space.density(normal(space.x, 0, std))
    in_A = space.x > edge
    before = float(space.mean(start, in_A))
    reach = stats.norm.sf(edge, space.x, np.sqrt(2 * τ))
    after = float(space.mean(start, reach))
    starts = stats.norm.ppf((np.arange(n) + 0.5) / n, 0, std)
    two = np.array([share, 1 - share])

    def binary(p: float) -> float:
        return kl(two, np.array([p, 1 - p]))

    free = sanov(n, two, np.array([after, 1 - after])) - sanov_prefactor(n, two)
    fixed = fixed_starts(n, share, stats.norm.sf(edge, starts, np.sqrt(2 * τ)))
    fixed_rate = fixed_starts_rate(share, stats.norm.sf(edge, starts, np.sqrt(2 * τ)))

    tail, b = 320, 2.0
    slope = slope_of_types(60, softmax(np.array([0.2, 0.0, -0.3])))
    cramer = exponential_mean(tail, b) - np.log((b - 1) * np.sqrt(2 * np.pi * tail)) / tail
    statements = [
        Statement(
            "lemma-1",
            "Lemma 1",
            "The empirical measure of i.i.d. particles with generating function E[e^Φ] satisfies a large-deviations "
            "principle with rate I_t = K(ρ|ρ_t) + ∫Φdρ.",
            "exact multinomial probabilities of an empirical measure on three states, n = 20 to 640, Stirling's "
            "factor removed; the particles are drawn from e^Φ·ρ_t/Z, which E[e^Φ] normalises; I_t is taken less its "
            "minimum, since a rate's minimum is 0",
            "difference between −(1/n) log P at n = 640 and the rate",
            1e-3,
            exactly(abs(limit - printed)),
            exactly(abs(limit - corrected)),
            "K(ρ|ρ_t) − ∫Φdρ + log E[e^Φ], which is K(ρ | e^Φ·ρ_t/Z). As printed it is the rate of e^(−Φ)·ρ_t/Z.",
            {"−(1/n) log P": exactly(limit), "I_t less its minimum": exactly(printed), "rate": exactly(corrected)},
        ),
        Statement(
            "lemma-1-constant",
            "proof of Lemma 1: Eq. 19 as a transition",
            "A particle moves from x to y with the kernel exp(−¼‖x − y‖²).",
            "the exact probability that n particles that move by √2·ξ (Eq. 8 without a drift) move by 1 or more on "
            "average, n = 20 to 640, Mills' ratio removed",
            "relative difference to ¼ of −(1/n) log P over the square of the move, at n = 640",
            1e-3,
            exactly(unit[SIZES[-1]]),
            correction="In time τ the constant is 1/(4τ). The proof speaks of a time τ > 0, Eq. 19 is the case τ = 1.",
            numbers={
                **{f"relative difference at n = {n}": exactly(unit[n]) for n in SIZES[:3]},
                f"at τ = ¼, n = {SIZES[-1]}: relative difference to 1/(4τ)": exactly(
                    abs(constant(SIZES[-1], τ) * 4 * τ - 1)
                ),
            },
        ),
        Statement(
            "eq-20",
            "Eq. 20",
            "The empirical measure at time τ has the rate K(ρ_τ|ρ_0).",
            "the exact probability that half of 640 particles, started from N(0, 1), are beyond 1 at τ = ¼",
            "difference between −(1/n) log P and the rate",
            1e-3,
            exactly(abs(free - binary(before))),
            exactly(abs(free - binary(after))),
            "K(ρ_τ | ρ_0 ⋆ N(0, 2τ)): the transition belongs into it; as printed it is the case τ = 0. With given "
            "starting points, which Adams et al. have, the rate is the infimum of K(γ|γ_0) over couplings γ of ρ_0 and "
            "ρ_τ, and larger. The exponent needs the factor n.",
            {
                "−(1/n) log P, random starts": exactly(free),
                "K(ρ_τ|ρ_0)": exactly(binary(before)),
                "−(1/n) log P, given starts": exactly(fixed),
                "rate for given starts": exactly(fixed_rate),
            },
        ),
        Statement(
            "eq-21",
            "Eq. 21",
            "The empirical mean's rate is the Legendre transformation of E[e^Φ].",
            "the exact probability that the mean of 320 exponential variables is at least 2",
            "difference between −(1/n) log P and the transformation",
            2e-3,
            exactly(abs(cramer - legendre(False, b))),
            exactly(abs(cramer - legendre(True, b))),
            "Of log E[e^Φ]. As printed the rate would be negative: a probability above 1. And the probability goes "
            "like exp[−n·rate], where Eq. 21 has exp[θ − E[Φ]].",
            {"of E[e^Φ]": exactly(legendre(False, b)), "of log E[e^Φ]": exactly(legendre(True, b))},
        ),
        Statement(
            "lemma-1-last-line",
            "proof of Lemma 1, last display",
            "exp[−K]·exp[θ − E[Φ]] ∝ exp[K + E[Φ]].",
            "the slope of (1/n) log P over K(ρ|law) for all empirical measures of 60 draws on three states",
            "difference between the slope and that of the right-hand side, +1 (corrected: −1)",
            0.02,
            exactly(abs(slope - 1)),
            exactly(abs(slope + 1)),
            "exp[−n(K + ...)], as I_t in Lemma 1 needs it. The minus sign is lost, in print or in our copy, and n is.",
            {"slope": exactly(slope)},
        ),
    ]
    rates = [sanov(n, type_, law) for n in SIZES]
    curves = {"n": SIZES, "rate": rates, "less_prefactor": list(measured.values())}
    limits = {"printed": printed, "corrected": corrected}
    return Findings(statements, {"deviations": {k: curve(v) for k, v in (curves | limits).items()}})
