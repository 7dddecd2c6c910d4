"""The state of Algorithm 1 for G groups of M images at once: observed images, chains and θ, and their measures."""

from typing import NamedTuple

import torch
from torch import Tensor

from wframe.model.energy import Responses


class Observed(NamedTuple):
    """What Algorithm 1 needs of the observed images."""

    y: Tensor  # (G, M, 3, height, width), in the reading's unit
    H: Tensor  # H^obs, of θ's shape (line 3; it doesn't depend on θ)
    F: Tensor  # mean responses, (G, K, h, w)


class State(NamedTuple):
    """What Algorithm 1 carries from one learning iteration to the next."""

    t: int  # learning iterations done
    x: Tensor  # the chains, (G, M, 3, height, width)
    θ: Tensor  # (G, K, h, w), or (G, K, 1, 1) for one weight per filter
    P: Tensor  # 𝒫 of the last iteration, of θ's shape
    r: Responses  # F(x); of a diverged group, meaningless
    diverged: Tensor  # (G,): iterations finished before the group's values stopped being finite; −1 if all are finite


class Record(NamedTuple):
    """The measures of each group after a learning iteration: tensors of shape (G,)."""

    R: Tensor  # response distance, in the common unit (127.5 grey levels)
    energy: Tensor  # Φ(x; θ), mean over the chains, with the θ used to sample them
    energy_observed: Tensor  # Φ(y; θ) with that θ
    gradient: Tensor  # mean |∇ₓΦ| over pixels
    std: Tensor  # standard deviation of the chains' pixels, in grey levels
    nearest: Tensor  # root-mean-square distance to the nearest observed image, in grey levels
    misfit: Tensor  # ‖H^obs − H^syn‖, over θ's entries
    penalty: Tensor  # ‖(1 − γ)𝒫_{t−1} + γ𝒫_t‖; 0 for FRAME
    cosine: Tensor  # cosine of the angle between misfit and penalty; 0 if either is 0
    step: Tensor  # ‖θ_{t+1} − θ_t‖, after clipping
    diverged: Tensor  # as in State


def hold_diverged(before: State, after: State) -> State:
    """Freeze every group whose values are no longer finite at its last finite state, and record the iteration.

    Its responses aren't frozen: no other group sees them, and what it makes of them is frozen again.
    """
    finite = after.x.flatten(1).isfinite().all(1) & after.θ.flatten(1).isfinite().all(1)
    now = ~finite & (before.diverged < 0)
    diverged = torch.where(now, before.t, before.diverged)
    hold = diverged >= 0
    of_x, of_θ = hold[:, None, None, None, None], hold[:, None, None, None]
    return State(
        after.t,
        torch.where(of_x, before.x, after.x),
        torch.where(of_θ, before.θ, after.θ),
        torch.where(of_θ, before.P, after.P),
        after.r,
        diverged,
    )
