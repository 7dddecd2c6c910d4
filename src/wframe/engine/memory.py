"""How many groups to learn at once: as many as fit into memory and still gain speed."""

import torch

from wframe.model.constants import Constants


def bytes_per_group(side: int, M: int = 9, itemsize: int = 4, θ_per_position: bool = True) -> int:
    """Return the peak memory of one group, in bytes.

    Per image of S² pixels: layer 1's output and its cotangent (64 S² each, and layer 2's output before the
    pool), the pooled quarter (twice, with an 8-byte index), layers 3 and 4 with cotangents (128 · S²/4 each),
    and x, its gradient and the noise in fp32 (the noise through 64-bit words).
    """
    pixels = side * side
    activations = (3 * 64 * itemsize + 64 / 4 * (2 * itemsize + 8) + 4 * 128 / 4 * itemsize) * pixels
    chains = 3 * pixels * (4 * 4 + 10 * 8)
    θ = 128 * pixels / 4 * 4 * (7 if θ_per_position else 1)
    return int(M * (activations + chains) + θ + 128 * pixels / 4 * 4)


def choose_batch(constants: Constants, side: int, device: torch.device, precision: torch.dtype) -> int:
    """Return how many groups of images of side² pixels to learn at once."""
    if device.type != "cuda":
        # on a CPU, a larger batch gains nothing once all cores are busy, and overflows the cache
        return max(1, 4 * 32 * 32 // (side * side))
    free, _ = torch.cuda.mem_get_info(device)
    needed = bytes_per_group(side, constants.M, precision.itemsize, constants.theta == "position")
    return max(1, min(int(0.8 * free / needed), (2**31 - 1) // (constants.M * 64 * side * side)))  # 32-bit indexing
