"""Measures of the chains after each learning iteration."""

import torch
from torch import Tensor

from wframe.model.constants import Constants
from wframe.model.energy import energy
from wframe.model.state import Observed, Record, State


def measure(constants: Constants, observed: Observed, θ: Tensor, G: Tensor, state: State) -> Record:
    """Measure the chains sampled with θ; G is ∇ₓΦ at the chains. A diverged group's measures are NaN."""
    F_syn = state.r.F.view(len(θ), -1, *state.r.F.shape[1:]).mean(1, dtype=θ.dtype)
    values = [
        response_distance(F_syn, observed.F),
        energy(θ, state.r.F).mean(1),
        (θ * observed.F).sum((1, 2, 3)),
        G.abs().mean((1, 2, 3, 4)),
        state.x.std((1, 2, 3, 4)) * constants.unit,
        nearest_distance(state.x, observed.y).mean(1) * constants.unit,
    ]
    diverged = state.diverged >= 0
    return Record._make([*(torch.where(diverged, torch.nan, value) for value in values), state.diverged])


def response_distance(F_syn: Tensor, F_obs: Tensor) -> Tensor:
    """Return the response distance R of each group (the paper's "Empirical Setup"), shape (G,).

    F_syn and F_obs are mean responses (G, K, h, w). A filter's response is a map, so |·| is averaged over the
    filters and their positions.
    """
    return (F_syn - F_obs).abs().mean((1, 2, 3))


def nearest_distance(x: Tensor, y: Tensor) -> Tensor:
    """Return each chain's root-mean-square distance to the nearest of its group's images y, shape (G, M).

    A value near the level of the sampler's noise means that the group has reproduced its training images.
    """
    x, y = x.flatten(2), y.flatten(2)
    squared = (
        x.square().mean(2)[:, :, None]
        + y.square().mean(2)[:, None, :]
        - 2 * torch.bmm(x, y.transpose(1, 2)) / x.shape[2]
    )
    return squared.clamp_min(0).amin(2).sqrt()
