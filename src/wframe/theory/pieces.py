"""Proposition 1 and Eq. 19 on the bank: FRAME's log-density on one linear piece of image space. And Remark 2 there.

On a piece Φ(x) = ⟨∇Φ, x⟩ + constant, so log P = −‖x − y‖²/2σ² + constant with y = σ²·∇Φ.
"""

from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from wframe.data.decode import decode
from wframe.data.readers import candidates
from wframe.model.bank import Bank
from wframe.model.energy import Responses, energy, gradient, responses
from wframe.model.readings import UNIT
from wframe.theory.langevin import unit_step
from wframe.theory.stability import KEPT_MEAN_SQUARE, penalty_gain
from wframe.theory.statement import Findings, Statement, exactly, generator

SIGMA, DELTA, BETA, LAMBDA = 0.01, 0.15, 60.0, 2e-3  # the paper's, for CIFAR-10


def embedded_group(bank: Bank, side: int, class_: str = "astronaut", count: int = 9) -> Tensor:
    """Return the first images of an embedded class as x (count, 3, side, side), float32 in units of 127.5."""
    small = []
    for candidate in islice(candidates("embedded", "scenes", class_), count):
        image, _, _ = decode(candidate.read())
        small.append(np.asarray(image.resize((side, side), Image.Resampling.LANCZOS, candidate.box)))
    return bank.pixels(np.stack(small), UNIT)


class Point(NamedTuple):
    """Images, their piece, and a θ that gives Φ a slope there."""

    x: Tensor  # (M, 3, H, W), float64
    r: Responses
    θ: Tensor  # (1, K, h, w)
    g: Tensor  # ∇ₓΦ, (M, 3, H, W)


def point(bank: Bank, x: Tensor, seed: int) -> Point:
    """Return images, moved off the borders between pieces, with a random θ."""
    random = generator("pieces", seed)
    x = x.double() + 1e-3 * torch.from_numpy(random.standard_normal(x.shape))
    r = responses(bank, x)
    θ = torch.from_numpy(1e-3 * random.standard_normal((1, *r.F.shape[1:])))
    return Point(x, r, θ, gradient(bank, θ, r))


def curvature(bank: Bank, at: Point, σ: float, step: float, seed: int) -> np.ndarray:
    """Return −∂²log P/∂u² (M,) in a random unit direction u, by differences of the exact gradient ∇Φ − x/σ²."""
    random = generator("curvature", seed)
    u = torch.from_numpy(random.standard_normal(at.x.shape))
    u = u / u.flatten(1).norm(dim=1)[:, None, None, None]
    there = gradient(bank, at.θ, responses(bank, at.x + step * u)) - (at.x + step * u) / σ**2
    here = at.g - at.x / σ**2
    return -(((there - here) * u).flatten(1).sum(1) / step).numpy()


def slope_of_square(bank: Bank, at: Point, step: float, seed: int) -> np.ndarray:
    """Return the relative change of |∇Φ|² per unit of x, (2, M): along ∇Φ, and in a random direction (Remark 2)."""
    random = generator("slope of square", seed)
    before, found = at.g.square().flatten(1).sum(1), []
    for u in (at.g, torch.from_numpy(random.standard_normal(at.x.shape))):
        u = u / u.flatten(1).norm(dim=1)[:, None, None, None]
        after = gradient(bank, at.θ, responses(bank, at.x + step * u)).square().flatten(1).sum(1)
        found.append(((after - before) / before / step).numpy())
    return np.stack(found)


def centre_error(bank: Bank, at: Point, σ: float, centre: float, weight: float, step: float) -> float:
    """Return how far −weight·‖x − centre·∇Φ‖² is from log P along a short step, relative (largest of M).

    The step is along ∇Φ − x/σ², within the piece.
    """
    u = at.g - at.x / σ**2
    u = u / u.flatten(1).norm(dim=1)[:, None, None, None]
    x = at.x + step * u
    log_P = [
        energy(at.θ, r.F)[0] - z.square().flatten(1).sum(1) / (2 * σ**2)
        for r, z in ((responses(bank, x), x), (at.r, at.x))
    ]
    quadratic = [-weight * (z - centre * at.g).square().flatten(1).sum(1) for z in (x, at.x)]
    change, other = log_P[0] - log_P[1], quadratic[0] - quadratic[1]
    return float(((change - other).abs() / change.abs()).max())


def kernel_error(at: Point) -> float:
    """Return how far Eq. 9's x-step with σ = 1 is from the kernel exp(−¼‖x_{t+1} − y‖²), y = ∇Φ: relative, largest.

    The step's mean must be y, and its noise must have variance 2.
    """
    step = unit_step(1.0)
    mean = step.a * at.x + step.b * at.g
    return max(float((mean - at.g).abs().max() / at.g.abs().max()), abs(1 / (2 * step.s**2) - 0.25))


def changes(bank: Bank, at: Point, δ: float, σ: float, seed: int) -> tuple[float, float, float]:
    """Return what one step of noise δσξ changes: the share of switches, |Δ∇Φ|/|∇Φ| and |Δ|∇Φ|²|/|∇Φ|² (means)."""
    random = generator("changes", seed)
    x = at.x + δ * σ * torch.from_numpy(random.standard_normal(at.x.shape))
    r = responses(bank, x)
    switches = [(a > 0) != (b > 0) for a, b in zip(at.r, r, strict=True) if a.is_floating_point()]
    flipped = sum(int(part.sum()) for part in switches) / sum(part.numel() for part in switches)
    g = gradient(bank, at.θ, r)
    before, after = (part.square().flatten(1).sum(1) for part in (at.g, g))
    moved = (g - at.g).flatten(1).norm(dim=1) / before.sqrt()
    return flipped, float(moved.mean()), float(((after - before).abs() / before).mean())


def study(seed: int, bank: Bank) -> Findings:
    """Check Proposition 1 and Remark 2 on a bank in float64, and compute the penalty's gain there."""
    bank = bank.to(UNIT, precision="fp64")
    with torch.inference_mode():
        at = point(bank, embedded_group(bank, 32), seed)
        curved = curvature(bank, at, SIGMA, 1e-7, seed)
        flat = curvature(bank, at, 1.0, 1e-7, seed) - 1.0  # Φ's own part
        as_density = centre_error(bank, at, SIGMA, 1.0, 0.25, 1e-7)
        mended = centre_error(bank, at, SIGMA, SIGMA**2, 1 / (2 * SIGMA**2), 1e-7)
        square = slope_of_square(bank, at, 1e-7, seed)
        flipped, moved, squared = changes(bank, at, DELTA, SIGMA, seed)
        gain = penalty_gain(bank, at.x, LAMBDA, BETA)
        at_zero = penalty_gain(bank, torch.zeros_like(at.x[:1]), LAMBDA, BETA)
    here = exactly(abs(curved.mean() * SIGMA**2 - 1), np.abs(curved * SIGMA**2 - 1).max())
    λ_per_gain = LAMBDA / max(gain, at_zero)
    statements = [
        Statement(
            "proposition-1",
            "Proposition 1, Eq. 19",
            "On each piece P ∝ exp(−¼‖x − y‖²), y = Σ δ_k·θ_k (which is ∇ₓΦ).",
            "nine embedded images and a random θ on the bank in float64: the change of log P along a step within the "
            "piece, against both quadratics; the curvature of −log P",
            "relative difference of the two changes (largest of nine images)",
            1e-3,
            exactly(as_density),
            exactly(mended),
            "exp(−‖x − y‖²/2σ²) with y = σ²·∇ₓΦ. ¼ would need σ² = 2, and y = ∇ₓΦ needs σ² = 1. Eq. 19 as printed "
            "is the transition of Eq. 9 with σ = 1: one step draws x from N(∇ₓΦ, 2).",
            {
                "curvature of −log P, σ = 0.01": exactly(curved.mean(), np.ptp(curved)),
                "1/σ²": exactly(1 / SIGMA**2),
                "curvature over 1/σ², less 1": here,
                "curvature of Φ": exactly(np.abs(flat).max()),
                "error of Eq. 19 as the transition of Eq. 9, σ = 1": exactly(kernel_error(at)),
            },
        ),
        Statement(
            "remark-2",
            "Remark 2, on the bank",
            "∇|∇Φ|² = 0 for FRAME's Φ.",
            "on the same nine images: the change of |∇ₓΦ|² in a step of 10⁻⁷ along ∇ₓΦ and in a random direction "
            "(almost everywhere), and in one step of Langevin noise, δσξ, which crosses pieces",
            "largest relative change of |∇ₓΦ|² per unit of x, by a difference within the piece",
            1e-6,
            exactly(np.abs(square).max()),
            numbers={
                "share of switches that one Langevin step flips": exactly(flipped),
                "relative change of ∇ₓΦ in one Langevin step": exactly(moved),
                "relative change of |∇ₓΦ|² in one Langevin step": exactly(squared),
            },
        ),
    ]
    derived = [
        Statement(
            "penalty-gain",
            "Algorithm 1, line 14",
            "With the paper's λ and β the penalty's own step of θ settles.",
            "the largest eigenvalue e of the mean JJᵀ of nine embedded images by power iteration, on the study's bank; "
            "g = λβe/D at λ = 0.002, β = 60",
            "the gain g, here or at x = 0, which must be below 2 (`renewed`), or 1.58 in mean square (`kept`)",
            1.58,
            exactly(max(gain, at_zero)),
            numbers={
                "g at the nine images": exactly(gain),
                "g at x = 0, where every run starts": exactly(at_zero),
                "λ at which g = 2": exactly(2 * λ_per_gain),
                "λ at which g = √21 − 3": exactly(KEPT_MEAN_SQUARE * λ_per_gain),
            },
        ),
    ]
    return Findings(statements, {}, derived)
