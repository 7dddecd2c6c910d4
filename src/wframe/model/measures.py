"""Measures of the chains after each learning iteration."""

import torch
from torch import Tensor

from wframe.model.constants import Constants
from wframe.model.energy import energy, mean_map
from wframe.model.readings import UNIT
from wframe.model.state import Observed, Record, State


def measure(
    constants: Constants, observed: Observed, θ: Tensor, dΦ: Tensor, state: State, misfit: Tensor, penalty: Tensor
) -> Record:
    """Measure the chains sampled with θ, and the step from θ. A diverged group's measures are NaN.

    dΦ is ∇ₓΦ at the chains; `misfit` and `penalty` are the two terms of line 14, before λ and β. R has the same unit
    for all readings: responses scale with 1/unit, so R of a reading in grey levels is divided by 127.5.
    """
    F_syn = mean_map(state.r.F, len(θ), θ.dtype)
    values = [
        response_distance(F_syn, observed.F) * (constants.unit / UNIT),
        energy(θ, state.r.F).mean(1),
        (θ * observed.F).sum((1, 2, 3)),
        dΦ.view_as(state.x).abs().mean((1, 2, 3, 4)),
        state.x.std((1, 2, 3, 4)) * constants.unit,
        nearest_distance(state.x, observed.y).mean(1) * constants.unit,
        misfit.flatten(1).norm(dim=1),
        penalty.flatten(1).norm(dim=1),
        cosine(misfit, penalty),
        (state.θ - θ).flatten(1).norm(dim=1),
    ]
    diverged = state.diverged >= 0
    return Record._make([*(torch.where(diverged, torch.nan, value) for value in values), state.diverged])


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Return the cosine of the angle between two terms of θ's step, shape (G,); 0 if either is 0."""
    a, b = a.flatten(1), b.flatten(1)
    norms = a.norm(dim=1) * b.norm(dim=1)
    return torch.where(norms > 0, (a * b).sum(1) / norms, 0.0)


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
