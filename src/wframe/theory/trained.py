"""Trained models: does θ come to rest where Eq. 18 says, and does FRAME's gradient vanish where it collapses?

In an iteration of Algorithm 1 θ moves by λ·(gap − pull), gap = H_obs − H_syn, pull = β/2·((1 − γ)𝒫_{t−1} + γ𝒫_t). A run
has to record five numbers per iteration and group: |gap|, |pull|, and three inner products. Along θ they are energies,

    ⟨θ, gap⟩ = Φ(y; θ) − Φ(x; θ)        ⟨θ, β/2·𝒫⟩ = β·E|∇ₓΦ|² (/D for the mean),

whose means over iterations agree at rest, while single iterations are moved by the chains' noise.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from wframe.model.algorithm import Constants, Observed, State, iterate, observe, start
from wframe.model.bank import Bank
from wframe.model.energy import mean_response
from wframe.model.noise import group_key, key_tensor
from wframe.model.readings import UNIT
from wframe.theory.pieces import embedded_group
from wframe.theory.statement import Findings, Measure, Statement, curve, exactly, sampled

LAST = 10  # iterations at the end of a run that are averaged


class Terms(NamedTuple):
    """The terms of line 14 in each iteration: arrays (T, G), Euclidean norms over θ's entries."""

    gap: np.ndarray  # |H_obs − H_syn|
    pull: np.ndarray  # |β/2·((1 − γ)𝒫_{t−1} + γ𝒫_t)|
    inner: np.ndarray  # ⟨gap, pull⟩
    gap_along: np.ndarray  # ⟨θ, gap⟩
    pull_along: np.ndarray  # ⟨θ, pull⟩


def terms(c: Constants, observed: Observed, before: State, after: State) -> tuple[Tensor, ...]:
    """Return the five terms, each (G,), of the iteration between two states (no weight clipping).

    The pull is what of θ's move the gap doesn't explain, so that it is right for either reading of line 12.
    """
    gap = observed.H - mean_response(before.θ, after.r.F)
    pull = gap - (after.θ - before.θ) / c.lambda_ if c.beta else torch.zeros_like(gap)
    gap, pull, θ = gap.flatten(1), pull.flatten(1), before.θ.flatten(1)
    return gap.norm(dim=1), pull.norm(dim=1), (gap * pull).sum(1), (θ * gap).sum(1), (θ * pull).sum(1)


def record(bank: Bank, c: Constants, keys: list[int], y: Tensor) -> tuple[Terms, np.ndarray]:
    """Run Algorithm 1 on observed images y (G, M, 3, H, W); return its terms and R, all (T, G)."""
    observed = observe(bank, c, y)
    state, rows, R = start(bank, observed), [], []
    for _ in range(c.T):
        before = state
        state, measured = iterate(bank, c, key_tensor(keys), observed, before)
        rows.append(terms(c, observed, before, state))
        R.append(measured.R)
    columns = (torch.stack(column).double().numpy() for column in zip(*rows, strict=True))
    return Terms(*columns), torch.stack(R).double().numpy()


def unrest(found: Terms) -> np.ndarray:
    """Return |gap − pull|/|gap| (T, G): 0 where θ is at rest and H_obs − H_syn = β/2·𝒫, 1 where nothing pulls."""
    move = np.sqrt(np.maximum(found.gap**2 - 2 * found.inner + found.pull**2, 0))
    return move / found.gap


def balance(found: Terms, last: int = LAST) -> np.ndarray:
    """Return ⟨θ, pull⟩/⟨θ, gap⟩ (G,), both summed over the last iterations: 1 at rest, 0 where nothing pulls."""
    return found.pull_along[-last:].sum(0) / found.gap_along[-last:].sum(0)


def at_the_end(values: np.ndarray, last: int = LAST) -> Measure:
    """Return the mean over groups, with its 95% interval, of the mean over the last iterations of values (T, G)."""
    ends = np.nanmean(values[-last:], axis=0)
    return sampled(ends) if len(ends) > 1 else exactly(float(ends[0]))


def gradient_ratio(gap: np.ndarray, R: np.ndarray, factor: float = 2.0, last: int = LAST) -> np.ndarray:
    """Return |gap| at the end over |gap| in the first iteration, for the groups that collapsed (R ends > factor·start).

    FRAME's gradient vanishes at collapse if this is well below 1. `gap` and `R` are (T, G); |gap| may be any norm of
    H_obs − H_syn, R itself among them. A diverged group ends with its last finite values.
    """
    ends = []
    for g, r in zip(gap.T, R.T, strict=True):
        finite = np.isfinite(g) & np.isfinite(r)
        if finite.any() and r[finite][-1] > factor * r[finite][0]:
            ends.append(np.mean(g[finite][-last:]) / g[finite][0])
    return np.array(ends)


def study(seed: int, bank: Bank) -> Findings:
    """Look at two short runs of Algorithm 1 on nine embedded 16×16 images: FRAME in collapse, wFRAME in the safe range.

    The trained models of an edition are the place to ask this; here is what one group shows.
    """
    bank = bank.to(UNIT)
    y = embedded_group(bank, 16)[None]
    keys = [group_key("theory", "trained", seed)]
    with torch.inference_mode():
        collapsing = Constants(T=25, L=10, beta=0.0, delta=0.35, lambda_=3e-2)
        lost, R_lost = record(bank, collapsing, keys, y)
        held, R_held = record(bank, collapsing._replace(T=100, beta=60.0, delta=0.15, lambda_=2e-3), keys, y)
    ratio = gradient_ratio(lost.gap, R_lost)
    share = balance(held)[0]
    statements = [
        Statement(
            "kl-vanishing-trained",
            "Introduction and conclusion: FRAME's collapse",
            "Where FRAME collapses, its gradient H_obs − H_syn vanishes.",
            "FRAME on nine embedded 16×16 images at an insecure λ = 0.03, δ = 0.35, 25 iterations of 10 steps: |H_obs − "
            "H_syn| in each",
            "|H_obs − H_syn| at the end over that in the first iteration",
            0.1,
            exactly(ratio[0]) if len(ratio) else None,
            numbers={
                "R after the first iteration": exactly(R_lost[0, 0]),
                "R at the end": exactly(R_lost[np.isfinite(R_lost[:, 0]), 0][-1]),
            },
        ),
    ]
    derived = [
        Statement(
            "consistency-trained",
            "Eq. 18 at rest",
            "After 100 iterations θ rests where H_obs − H_syn = β/2·𝒫.",
            "wFRAME on the same images in the safe range (λ = 0.002, δ = 0.15, 100 iterations of 10 steps): both sides "
            "along θ, summed over the last ten iterations",
            "1 − β/2·⟨θ, 𝒫⟩/⟨θ, H_obs − H_syn⟩: 0 at rest",
            0.1,
            exactly(abs(1 - share)),
            None,
            "Most of the gap isn't held by the penalty: θ still learns, and learning ends long before the bias of the "
            "point of rest is reached.",
            numbers={
                "share of the gap that the penalty holds against": exactly(share),
                "|H_obs − H_syn − β/2·𝒫| over |H_obs − H_syn|": at_the_end(unrest(held)),
                "R after the first iteration": exactly(R_held[0, 0]),
                "R at the end": exactly(R_held[-1, 0]),
            },
        ),
    ]
    curves = {"gap_lost": lost.gap[:, 0], "gap_held": held.gap[:, 0], "pull_held": held.pull[:, 0]}
    curves |= {"R_lost": R_lost[:, 0], "R_held": R_held[:, 0]}
    return Findings(statements, {"trained": {name: curve(values) for name, values in curves.items()}}, derived)
