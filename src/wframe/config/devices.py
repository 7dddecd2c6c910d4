"""How long training takes on a named GPU, from its published rate. No PyTorch here."""

from typing import NamedTuple


class Device(NamedTuple):
    """A GPU's published dense matrix rate, in the precision that `wframe train` uses on it (TF32; V100: fp32)."""

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
# the assumed share of that rate which the convolutions of a whole iteration reach; `make bench` measures it
ASSUMED_SHARE = 0.3


def seconds_on(device: str, flops: float) -> float:
    """Return the estimated seconds for `flops` convolution operations on a named GPU (a key of `DEVICES`)."""
    return flops / (DEVICES[device].tflops * 1e12 * ASSUMED_SHARE)


def shards_for(seconds: float, minutes: float, groups: int) -> int:
    """Return the number of jobs for `seconds` of work, so that each takes about `minutes`; at most one per group."""
    return max(1, min(groups, -int(-seconds // (60 * minutes))))
