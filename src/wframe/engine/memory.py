"""How many groups to learn at once: as many as fit into memory and still gain speed."""

import torch

from wframe.model.constants import Constants


def bytes_per_group(side: int, M: int = 9, θ_per_position: bool = True) -> int:
    """Return the peak memory of one group on a GPU, in bytes: at the end of an iteration, in fp32.

    Per image of S² pixels: the responses of the last iteration and of this one (layer 1's output, 64 S², the pooled
    quarter of layer 2's with an 8-byte index, and layers 3 and 4, 128 · S²/4 each), layer 2's output before the pool
    and a cotangent of its size, and x, its gradient and the noise (the noise through 64-bit words). The Langevin steps'
    graph keeps memory of its own: about as much as one set of responses.
    """
    pixels = side * side
    responses = (64 * 4 + 64 / 4 * (4 + 8) + 2 * 128 / 4 * 4) * pixels
    activations = 3 * responses + 2 * 64 * 4 * pixels
    chains = 3 * pixels * (4 * 4 + 10 * 8)
    θ = 128 * pixels / 4 * 4 * (7 if θ_per_position else 1)
    return int(M * (activations + chains) + θ + 128 * pixels / 4 * 4)


def choose_batch(constants: Constants, side: int, device: torch.device) -> int:
    """Return how many groups of images of side² pixels to learn at once."""
    pixels = side * side
    if device.type != "cuda":
        # on a CPU, a larger batch gains nothing once all cores are busy, and overflows the cache
        return max(1, 4 * 32 * 32 // pixels)
    free, _ = torch.cuda.mem_get_info(device)
    needed = bytes_per_group(side, constants.M, constants.theta == "position")
    return max(1, min(int(0.8 * free / needed), 1024 * 32 * 32 // pixels))  # more gain nothing either
