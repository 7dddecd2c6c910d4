"""Trained models: does θ come to rest where Eq. 18 says, and does FRAME's gradient vanish where it collapses?

In an iteration of Algorithm 1 θ moves by λ·(gap − pull), gap = H_obs − H_syn, pull = β/2·((1 − γ)𝒫_{t−1} + γ𝒫_t).
A run has to record five numbers per iteration and group: |gap|, |pull| and three inner products. Along θ they are
energies,

    ⟨θ, gap⟩ = Φ(y; θ) − Φ(x; θ)        ⟨θ, β/2·𝒫⟩ = β·E|∇ₓΦ|² (/D for the mean),

whose means over iterations agree at rest, while single iterations are moved by the chains' noise.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from wframe.model.algorithm import iterate, observe, start
from wframe.model.bank import Bank
from wframe.model.constants import Constants
from wframe.model.energy import mean_response
from wframe.model.noise import group_key, key_tensor
from wframe.model.readings import UNIT
from wframe.model.state import Observed, State
from wframe.theory.pieces import BETA, embedded_group
from wframe.theory.stability import loop_limit, penalty_gain
from wframe.theory.statement import Findings, Measure, Statement, curve, exactly, sampled

FACTORS = (0.5, 2.0, 5.0, 10.0, 20.0)  # of the λ at which FRAME's linearised loop stops settling
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


def record(bank: Bank, c: Constants, keys: list[int], y: Tensor) -> tuple[Terms, np.ndarray, np.ndarray]:
    """Run Algorithm 1 on observed images y (G, M, 3, H, W); return its terms, R and std(x)/σ, all (T, G)."""
    observed = observe(bank, c, y)
    state, rows, R, size = start(bank, observed), [], [], []
    for _ in range(c.T):
        before = state
        state, measured = iterate(bank, c, key_tensor(keys), observed, before)
        rows.append(terms(c, observed, before, state))
        R.append(measured.R)
        size.append(measured.std / (UNIT * c.sigma))
    columns = (torch.stack(column).double().numpy() for column in zip(*rows, strict=True))
    return Terms(*columns), torch.stack(R).double().numpy(), torch.stack(size).double().numpy()


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
    """Return |gap| at the end over |gap| in the first iteration, of the groups with R > factor·start at the end.

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
    """Look at short runs of Algorithm 1 on nine embedded images: FRAME around its limit of λ, wFRAME below it.

    The trained models of an edition are the place to ask this; here is what one group shows, in float32, in which
    Algorithm 1 runs.
    """
    bank = bank.to(UNIT)
    y = embedded_group(bank, 16)[None]
    keys = [group_key("theory", "trained", seed)]
    insecure = Constants(T=25, L=10, beta=0.0, delta=0.35)
    κ, D = insecure.step.a**insecure.L, y[0, 0].numel()
    with torch.inference_mode():
        e = penalty_gain(bank, y[0], 1.0, 1.0, penalty="sum")
        limit = loop_limit(κ) / e
        around: dict[float, tuple[Terms, np.ndarray, np.ndarray]] = {}
        for factor in FACTORS:
            around[factor] = record(bank, insecure._replace(lambda_=factor * limit), keys, y)
            if len(gradient_ratio(around[factor][0].gap, around[factor][1])):
                break  # it collapsed
        held, R_held, _ = record(bank, insecure._replace(T=100, beta=BETA, delta=0.15, lambda_=2e-3), keys, y)
    lost, R_lost, size = around[factor]
    ratio = gradient_ratio(lost.gap, R_lost)
    falls = {factor: float(found.gap[-LAST:].mean() / found.gap[0, 0]) for factor, (found, _, _) in around.items()}
    share = balance(held)[0]
    statements = [
        Statement(
            "kl-vanishing-trained",
            "Introduction and conclusion: FRAME's collapse",
            "Where FRAME collapses, its gradient H_obs − H_syn vanishes.",
            "FRAME on nine embedded 16×16 images (δ = 0.35, 25 iterations of 10 steps) at the first of 2, 5, 10, "
            "20 times the limit of λ of its linearised loop at which it collapses: |H_obs − H_syn| in each iteration",
            "|H_obs − H_syn| at the end over that in the first iteration",
            0.1,
            exactly(ratio[0]) if len(ratio) else None,
            correction="It grows with R, whose size it is. If the term means that K(P_θ|q) vanishes and the samples "
            "fall back to the noise q, which the section on model collapse says might happen, it isn't this collapse "
            "either: the samples are far wider than σ, and R isn't that of noise, with which it starts.",
            numbers={
                "λ, in units of that limit": exactly(factor),
                "R after the first iteration": exactly(R_lost[0, 0]),
                "R at the end": exactly(R_lost[np.isfinite(R_lost[:, 0]), 0][-1]),
                "standard deviation of the samples at the end, in units of σ": exactly(
                    size[np.isfinite(size[:, 0]), 0][-1]
                ),
            },
        ),
    ]
    derived = [
        Statement(
            "consistency-trained",
            "Eq. 18 at rest",
            "After 100 iterations θ rests where H_obs − H_syn = β/2·𝒫.",
            "wFRAME on the same images in the safe range (λ = 0.002, δ = 0.15, 100 iterations of 10 steps): both "
            "sides along θ, summed over the last ten iterations",
            "1 − β/2·⟨θ, 𝒫⟩/⟨θ, H_obs − H_syn⟩: 0 at rest",
            0.1,
            exactly(abs(1 - share)),
            None,
            "The penalty holds a part of the gap only: θ still learns, and learning ends before the bias of the point "
            "of rest is reached.",
            {
                "share of the gap that the penalty holds against": exactly(share),
                "|H_obs − H_syn − β/2·𝒫| over |H_obs − H_syn|": at_the_end(unrest(held)),
                "R after the first iteration": exactly(R_held[0, 0]),
                "R at the end": exactly(R_held[-1, 0]),
            },
        ),
        Statement(
            "loop-limit",
            "Algorithm 1, lines 4 to 14",
            "The penalty raises the λ below which learning settles.",
            "the loop θ → x → H_syn → θ, linearised on one piece with e of the nine images: its limit of λ with the "
            "penalty (`renewed`) and without (FRAME), δ = 0.35, L = 10; and FRAME at ½, 2, 5, ... times its limit",
            "1 − (limit of wFRAME)/(limit of FRAME), which is positive where the penalty lowers it",
            0.0,
            exactly(1 - loop_limit(κ, BETA / D) / loop_limit(κ)),
            None,
            "To first order the penalty lowers it: λe·[(1 − κ)/(1 + κ) + β/D] < 2, κ = (1 − δ²/2)^L. What it does "
            "beyond the limit isn't linear.",
            {
                "limit of λ, FRAME": exactly(limit),
                "limit of λ, wFRAME": exactly(loop_limit(κ, BETA / D) / e),
                "largest eigenvalue e": exactly(e),
                **{f"|H_obs − H_syn|, end over first, FRAME at {k:g} times": exactly(v) for k, v in falls.items()},
            },
        ),
    ]
    curves = {"gap_lost": lost.gap[:, 0], "gap_held": held.gap[:, 0], "pull_held": held.pull[:, 0]}
    curves |= {"R_lost": R_lost[:, 0], "R_held": R_held[:, 0]}
    return Findings(statements, {"trained": {name: curve(values) for name, values in curves.items()}}, derived)
