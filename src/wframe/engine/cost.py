"""What learning costs, by arithmetic alone: operations, memory, and the time that they come to on a device.

No PyTorch here: the workflow cuts runs into jobs by these figures before anything runs.
"""

from typing import NamedTuple

LAYERS = ((3, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 2))  # (in, out, how often the side is halved)


class Device(NamedTuple):
    """A GPU's published dense matrix rate in the precision that `wframe train` uses there (TF32; V100: fp32)."""

    tflops: float
    memory_gb: float


DEVICES = {
    "H200": Device(494, 141),
    "H100": Device(494, 80),
    "A100": Device(156, 80),
    "L40S": Device(183, 48),
    "RTX4090": Device(82.6, 24),
    "A10": Device(62.5, 24),
    "V100": Device(15.7, 32),
}
# the share of that rate which the convolutions of a whole iteration are taken to reach; `make bench` measures it
ASSUMED_SHARE = 0.3


def forward_flops(side: int) -> int:
    """Return the floating-point operations of F(x) for one image of side² pixels (a multiply-add counts as two).

    A 3×3 convolution takes 2·9·in·out at each position: 192.3 MFLOP at 32×32. The biases, ReLUs and the pool
    aren't counted.
    """
    return sum(2 * 9 * inputs * outputs * (side // halved) ** 2 for inputs, outputs, halved in LAYERS)


def learning_flops(side: int, images: int, T: int, L: int, penalty: bool) -> int:
    """Return the operations of Algorithm 1 on `images` chains: T iterations of L Langevin steps.

    A step is F(x) and Jᵀθ, which costs as much again. An iteration has one more Jᵀθ, at its start; the penalty
    adds one product with J (its first-layer bias apart, a forward pass).
    """
    passes = T * (2 * L + 1 + penalty)
    return passes * images * forward_flops(side)


def bytes_per_group(side: int, M: int = 9, itemsize: int = 4, θ_per_position: bool = True) -> int:
    """Return the memory that one group needs at its peak, in bytes.

    Per image of S² pixels: layer 1's output and its cotangent (64 S² each, and layer 2's output before the
    pool), the pooled quarter (twice, with an 8-byte index), layers 3 and 4 with cotangents (128 · S²/4 each),
    and x, its gradient and the noise in fp32 (the noise through 64-bit words).
    """
    pixels = side * side
    activations = (3 * 64 * itemsize + 64 / 4 * (2 * itemsize + 8) + 4 * 128 / 4 * itemsize) * pixels
    chains = 3 * pixels * (4 * 4 + 10 * 8)
    θ = 128 * pixels / 4 * 4 * (7 if θ_per_position else 1)
    return int(M * (activations + chains) + θ + 128 * pixels / 4 * 4)


def seconds_on(device: str, flops: float) -> float:
    """Return the estimated time of `flops` convolution operations on a named GPU (a key of `DEVICES`)."""
    return flops / (DEVICES[device].tflops * 1e12 * ASSUMED_SHARE)


def shards_for(seconds: float, minutes: float, groups: int) -> int:
    """Return into how many jobs to cut `seconds` of work, so that each takes about `minutes`; at most one a group."""
    return max(1, min(groups, -int(-seconds // (60 * minutes))))
