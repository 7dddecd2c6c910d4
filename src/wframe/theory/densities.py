"""Densities on a grid of the line, and the distances between them: what several modules compute with.

A density is an array (n,) of values at the grid's points; sums times the spacing are integrals (spectrally exact for
smooth densities that vanish at the ends).
"""

from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp


class Grid(NamedTuple):
    """n equally spaced points."""

    x: np.ndarray  # (n,)

    @property
    def dx(self) -> float:
        """The spacing."""
        return float(self.x[1] - self.x[0])

    def density(self, log_density: np.ndarray) -> np.ndarray:
        """Return e^log_density / Z, (n,)."""
        return np.exp(log_density - logsumexp(log_density)) / self.dx

    def mean(self, density: np.ndarray, f: np.ndarray) -> np.ndarray:
        """Return E[f] for f (..., n)."""
        return (f * density).sum(-1) * self.dx


def grid(low: float, high: float, n: int) -> Grid:
    """Return the grid of n points from low to high."""
    return Grid(np.linspace(low, high, n))


def normal(x: np.ndarray, mean: float = 0.0, std: float = 1.0) -> np.ndarray:
    """Return log N(x; mean, std²) without its constant."""
    return -0.5 * ((x - mean) / std) ** 2


def relu(x: np.ndarray) -> np.ndarray:
    """h(x) = max(0, x) (below Eq. 3)."""
    return np.maximum(x, 0)


def total_variation(p: np.ndarray, q: np.ndarray, dx: float = 1.0) -> float:
    """Return ½∫|p − q|: 0 for equal densities, 1 for disjoint ones."""
    return 0.5 * float(np.abs(p - q).sum()) * dx


def kl(p: np.ndarray, q: np.ndarray, dx: float = 1.0) -> float:
    """Return K(p | q) = ∫ p log(p/q); infinite where q is 0 and p isn't."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * np.log(p / q), 0.0)
    return float(terms.sum()) * dx


def entropy(p: np.ndarray, dx: float) -> float:
    """Return ∫ p log p, which Eq. 12 calls −H(ρ)."""
    return kl(p, np.ones_like(p), dx)


def transport(space: Grid, p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return the optimal map from p to q at the grid's points: the quantile of q at p's distribution function."""
    P, Q = (np.cumsum(part) * space.dx - 0.5 * part * space.dx for part in (p, q))
    return np.interp(P, Q, space.x)


def wasserstein2(space: Grid, p: np.ndarray, q: np.ndarray) -> float:
    """Return W²(p, q), the squared Wasserstein distance of order 2 (Eq. 11 with r = 2), by the optimal map."""
    return float(space.mean(p, (transport(space, p, q) - space.x) ** 2))
