"""What is measured of the chains."""

import torch
from torch import Tensor


def response_distance(F_syn: Tensor, F_obs: Tensor) -> Tensor:
    """Return the response distance R of each group (the paper's "Empirical Setup"), shape (G,).

    F_syn and F_obs are mean responses (G, K, h, w). A filter's response is a map, so |·| is averaged over the
    filters and their positions.
    """
    return (F_syn - F_obs).abs().mean((1, 2, 3))


def nearest_distance(x: Tensor, y: Tensor) -> Tensor:
    """Return each chain's root-mean-square distance to the nearest of its group's images y, shape (G, M).

    A value near the noise of the sampler says that the group has reproduced its training images.
    """
    x, y = x.flatten(2), y.flatten(2)
    squared = (
        x.square().mean(2)[:, :, None]
        + y.square().mean(2)[:, None, :]
        - 2 * torch.bmm(x, y.transpose(1, 2)) / x.shape[2]
    )
    return squared.clamp_min(0).amin(2).sqrt()
