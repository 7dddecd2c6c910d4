"""Eqs. 10, 14, 15 and 16 and Remarks 1 and 2: the modified Fokker-Planck equation and its particles.

∂ρ/∂t = ∂²ρ − ∂(ρ·∂U) on the line, by finite volumes (Scharfetter and Gummel's fluxes, whose steady state is exactly
e^U/Z): U = Φ for Eq. 10, U = Φ − |∇Φ|² for Eq. 15, with −x²/2σ² added for the base measure q (Remark 1).
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import expm
from scipy.special import expit

from wframe.theory.densities import Grid, grid, normal, total_variation, transport, wasserstein2
from wframe.theory.statement import Findings, Measure, Statement, curve, exactly, generator

WIDTHS = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01)


class Smooth(NamedTuple):
    """Φ(x) = u·h(x − p) + v·h(−x − r), h(x) = ε·log(1 + e^(x/ε)): smooth, and piecewise linear for ε → 0."""

    ε: float
    u: float = 1.5
    v: float = -0.8
    p: float = 0.5
    r: float = 0.2

    def value(self, x: np.ndarray) -> np.ndarray:
        """Φ(x)."""
        return self.ε * (
            self.u * np.logaddexp(0, (x - self.p) / self.ε) + self.v * np.logaddexp(0, (-x - self.r) / self.ε)
        )

    def slope(self, x: np.ndarray) -> np.ndarray:
        """Φ'(x)."""
        return self.u * expit((x - self.p) / self.ε) - self.v * expit((-x - self.r) / self.ε)

    def curvature(self, x: np.ndarray) -> np.ndarray:
        """Φ''(x)."""
        bump_u, bump_v = (expit(z) * expit(-z) / self.ε for z in ((x - self.p) / self.ε, (-x - self.r) / self.ε))
        return self.u * bump_u + self.v * bump_v

    def slope_of_square(self, x: np.ndarray) -> np.ndarray:
        """∇|∇Φ|² = 2·Φ'·Φ'', of which Remark 2 says that it is 0."""
        return 2 * self.slope(x) * self.curvature(x)


def finite_volumes(space: Grid, U: np.ndarray) -> np.ndarray:
    """Return the matrix A (n, n) with dρ/dt = Aρ for ∂ρ/∂t = ∂²ρ − ∂(ρ·∂U), and no flux through the ends."""

    def bernoulli(z: np.ndarray) -> np.ndarray:
        small = np.abs(z) < 1e-8
        safe = np.where(small, 1.0, z)
        return np.where(small, 1 - z / 2, safe / np.expm1(safe))

    rise = np.diff(U)
    right, left = bernoulli(-rise) / space.dx**2, bernoulli(rise) / space.dx**2
    A = np.diag(right, -1) + np.diag(left, 1)
    return A - np.diag(A.sum(0))


def steady(A: np.ndarray, dx: float) -> np.ndarray:
    """Return the density with Aρ = 0."""
    equations = A.copy()
    equations[-1] = 1.0
    return np.linalg.solve(equations, np.eye(len(A))[-1]) / dx


def evolve(A: np.ndarray, ρ: np.ndarray, t: float) -> np.ndarray:
    """Return ρ at time t."""
    return expm(t * A) @ ρ


def particles(
    Φ: Smooth, penalty: bool, t: float, steps: int, count: int, random: np.random.Generator, mean: float = 0.0
) -> np.ndarray:
    """Return particles (count,) of Eq. 16 with a time step and Remark 1's −x (σ = 1), started from N(mean, 1).

    Without `penalty` the term −∇|∇Φ|² is left out, as Remark 2 says.
    """
    h = t / steps
    x = mean + random.standard_normal(count)
    for _ in range(steps):
        drift = Φ.slope(x) - x - (Φ.slope_of_square(x) if penalty else 0)
        x = x + h * drift + np.sqrt(2 * h) * random.standard_normal(count)
    return x


def sampling_noise(space: Grid, ρ: np.ndarray, count: int, bins: int = 30) -> float:
    """Return the `histogram_distance` that `count` exact draws from ρ have on average (normal approximation)."""
    mass = _masses(space, ρ, np.linspace(space.x[0], space.x[-1], bins + 1))
    return 0.5 * float(np.sqrt(2 * mass * (1 - mass) / (np.pi * count)).sum())


def histogram_distance(space: Grid, x: np.ndarray, ρ: np.ndarray, bins: int = 30) -> float:
    """Return the total variation between particles and a density, both in `bins` cells."""
    edges = np.linspace(space.x[0], space.x[-1], bins + 1)
    share = np.histogram(x, edges)[0] / len(x)
    return total_variation(share, _masses(space, ρ, edges))


def _masses(space: Grid, ρ: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return a density's probabilities of the cells between edges."""
    masses = np.diff(np.interp(edges, space.x + space.dx / 2, np.cumsum(ρ) * space.dx, left=0))
    return np.maximum(masses, 0)


def _off(space: Grid, x: np.ndarray, ρ: np.ndarray) -> Measure:
    """Return the distance of particles to a density, known to what exact draws would have."""
    distance, noise = histogram_distance(space, x, ρ), sampling_noise(space, ρ, len(x))
    return Measure(distance, max(0.0, distance - noise), distance + noise)


def first_variation(seed: int, trials: int = 40) -> tuple[float, float]:
    """Return how badly |∇Φ|² (Eq. 14) and 2ψ fit the derivative of W²(ρ0, ρ1) in ρ1, as 1 − R² over directions.

    ρ0 is Gaussian, ρ1 has two bumps; the derivative is taken by central differences in 40 random directions η of mass
    0. ∇Φ at ρ1 is the velocity of the optimal transport, y − T(y); ψ is Kantorovich's potential, ψ' = y − T(y). Any
    factor of proportionality is allowed.
    """
    random, space = generator("first variation", seed), grid(-6, 6, 4001)
    x = space.x
    ρ0 = space.density(normal(x, -0.5, 0.9))
    ρ1 = space.density(np.logaddexp(normal(x, -1, 0.6), normal(x, 1.2, 0.5) - 0.3))
    velocity = x - transport(space, ρ1, ρ0)
    potential = np.cumsum(velocity) * space.dx
    measured, by_square, by_potential = [], [], []
    for _ in range(trials):
        bump = normal(x, random.uniform(-2, 2), 0.5)
        wave = ρ1 * np.exp(bump) * np.sin(random.uniform(1, 4) * x + random.uniform(0, 6))
        η = wave - ρ1 * space.mean(wave, np.ones_like(x))
        ε = 1e-3
        up, down = (wasserstein2(space, ρ1 + sign * ε * η, ρ0) for sign in (1, -1))
        measured.append((up - down) / (2 * ε))
        by_square.append(space.mean(η, velocity**2))
        by_potential.append(space.mean(η, potential))
    return _misfit(np.array(measured), np.array(by_square)), _misfit(np.array(measured), np.array(by_potential))


def _misfit(y: np.ndarray, x: np.ndarray) -> float:
    """Return the share of |y|² that the best multiple of x doesn't explain."""
    return float(1 - (x @ y) ** 2 / ((x @ x) * (y @ y)))


def study(seed: int) -> Findings:
    """Check Eq. 14, Eqs. 15 and 16, and both remarks."""
    space = grid(-6, 6, 481)
    x, dx, prior = space.x, space.dx, normal(space.x)
    Φ = Smooth(0.2)
    U = prior + Φ.value(x) - Φ.slope(x) ** 2
    A = finite_volumes(space, U)
    start, t = space.density(prior), 0.6
    at_t, law = evolve(A, start, t), steady(A, dx)
    eq_3 = space.density(prior + Φ.value(x))
    moved = particles(Φ, True, t, 300, 60000, generator("particles", seed))
    leaping = particles(Φ, True, 10.0, 10, 60000, generator("unit steps", seed))
    settled = particles(Φ, True, 4.0, 800, 30000, generator("steady particles", seed))
    distances, kinked = [], Smooth(1e-6)
    fine = grid(-6, 6, 24001)
    for ε in WIDTHS:
        smooth = Smooth(ε)
        with_square = fine.density(normal(fine.x) + smooth.value(fine.x) - smooth.slope(fine.x) ** 2)
        without = fine.density(normal(fine.x) + smooth.value(fine.x))
        distances.append(total_variation(with_square, without, fine.dx))
    flat = particles(kinked, False, 6.0, 600, 120000, generator("kinked particles", seed), mean=1.0)
    kinked_law = space.density(prior + kinked.value(x))
    σ = 0.8  # not 1, so that x/σ² isn't x
    relative, rest = finite_volumes(space, normal(x, 0.0, σ)), space.density(normal(x, 0.0, σ))
    ou = evolve(relative, space.density(normal(x, 1.0, 0.5)), 0.5)
    decay = np.exp(-0.5 / σ**2)  # of particles dx = −x/σ²·dt + √2·dB
    exact_ou = space.density(normal(x, decay, np.sqrt(0.25 * decay**2 + σ**2 * (1 - decay**2))))
    square, potential = first_variation(seed)
    size = float(space.mean(eq_3, np.abs(Φ.slope_of_square(x))) / space.mean(eq_3, np.abs(Φ.slope(x))))
    statements = [
        Statement(
            "eq-14",
            "Eq. 14",
            "The functional derivative of W²(ρ0, ρ1) in ρ1 is proportional to |∇Φ|².",
            "central differences of W² in 40 random directions, between a Gaussian and a density with two bumps; "
            "∇Φ is the velocity of the optimal transport, which Eqs. 11 and 13 take it to be",
            "share of the derivative's square that the best multiple doesn't explain (1 − R²)",
            1e-3,
            exactly(square),
            exactly(potential),
            "2ψ, with Kantorovich's potential ψ (∇ψ is the displacement). |∇Φ|² is the derivative of Eq. 13's two "
            "rectangles with Φ held fixed: it follows from Eq. 13, which the paper refers to, but isn't that of W². "
            "What Eq. 10 takes of ψ is its gradient, ∇Φ itself, and not ∇|∇Φ|². The proposition of Ambrosio, Gigli and "
            "Savaré that the paper names wasn't looked up.",
        ),
        Statement(
            "eq-15-16",
            "Eqs. 15 and 16",
            "Particles of Eq. 16 follow the density of Eq. 15.",
            "finite volumes against 60,000 particles at t = 0.6, with time steps of 0.002, for a smooth Φ; as "
            "printed, with steps of 1, the particles' law after 10 steps against the steady state",
            "total variation in 30 cells",
            0.02,
            _off(space, leaping, law),
            _off(space, moved, at_t),
            "x ← x + τ(∇Φ − ∇|∇Φ|²) + √(2τ)·ξ with a small τ: the equations agree, the printed step is too long.",
            numbers={
                "distance that exact draws would have": exactly(sampling_noise(space, at_t, 60000)),
                "steady state of Eq. 15: distance to e^(Φ − |∇Φ|²)·q/Z": exactly(
                    total_variation(law, space.density(U), dx)
                ),
                "steady state of Eq. 15: distance to Eq. 3": exactly(total_variation(law, eq_3, dx)),
                "distance of 30,000 particles to that steady state": _off(space, settled, law),
            },
        ),
        Statement(
            "remark-1",
            "Remark 1",
            "With the base measure q, −H(ρ) becomes K(ρ|q), and Eq. 16 gets the term −x/σ².",
            "the flow of K(ρ|q) by finite volumes, σ = 0.8, against the closed form of particles with the drift −x/σ² "
            "(Ornstein-Uhlenbeck)",
            "total variation at t = 0.5",
            2e-3,
            exactly(total_variation(ou, exact_ou, dx)),
            numbers={"distance of its steady state to q": exactly(total_variation(steady(relative, dx), rest, dx))},
        ),
        Statement(
            "remark-2-smooth",
            "Remark 2 beside the assumption above Eq. 15",
            "Φ is at least twice differentiable (for Eq. 15), and ∇|∇Φ|² = 0 (Remark 2).",
            "E|∇|∇Φ|²| under Eq. 3 for a smooth Φ",
            "E|∇|∇Φ|²| over E|∇Φ|",
            0.01,
            exactly(size),
            correction="Each is right of another Φ: Remark 2 of FRAME's, between its kinks, and Eq. 15 of a smooth "
            "one. Both at once need |∇Φ| to be the same everywhere.",
            numbers={"distance between the steady states with and without it": exactly(distances[1])},
        ),
        Statement(
            "remark-2-kinks",
            "Remark 2 and below: Eq. 15 degenerates to Eq. 10",
            "For a piecewise linear Φ, Eqs. 15 and 16 become Eqs. 10 and 8.",
            "particles with the piecewise linear Φ, for which ∇|∇Φ|² = 0 almost everywhere; and the steady state of "
            "Eq. 15 for smooth Φ whose kinks become sharp (ε from 0.5 to 0.01)",
            "total variation between the steady states of Eqs. 15 and 10 as ε → 0 (for Eqs. 16 and 8: of the "
            "particles)",
            0.02,
            exactly(distances[-1]),
            _off(space, flat, kinked_law),
            "Eq. 16 becomes Eq. 8: a particle almost never is on a kink. Eq. 15, as the limit of smooth Φ, doesn't "
            "become Eq. 10: |∇Φ|² jumps at the kinks, its gradient is a point force there, and the limit's steady "
            "state is e^(Φ − |∇Φ|²)·q/Z.",
            {f"distance at ε = {ε:g}": exactly(d) for ε, d in zip(WIDTHS, distances, strict=True)},
        ),
    ]
    curves = {"x": x[::2], "eq_3": eq_3[::2], "law": law[::2], "widths": WIDTHS, "distances": distances}
    edges = np.linspace(-4, 4.5, 52)
    curves |= {"edges": edges, "particles": np.histogram(settled, edges, density=True)[0]}
    return Findings(statements, {"fokker-planck": {name: curve(values) for name, values in curves.items()}})
