"""The devices that an edition may name, and how long training takes on a GPU by its published rate. No PyTorch here."""

from typing import Literal, NamedTuple

from wframe.model.cost import Flops

DeviceName = Literal["auto", "cpu", "cuda"]


class Device(NamedTuple):
    """A GPU's published dense rates in TFLOP/s, by precision."""

    fp32: float
    tf32: float
    bf16: float


DEVICES = {
    "H200": Device(67, 494, 989),
    "H100": Device(67, 494, 989),
    "A100": Device(19.5, 156, 312),
    "L40S": Device(91.6, 183, 362),
    "RTX4090": Device(82.6, 82.6, 165),
    "A10": Device(31.2, 62.5, 125),
    "V100": Device(15.7, 15.7, 15.7),  # it has neither: both are emulated
}
# the share of that rate which Langevin steps reach, counting convolutions only, and fp32 statistics as well: measured
# on an H100 (docs/measurements/gpu.md)
SHARES = Device(fp32=0.45, tf32=0.28, bf16=0.27)


def seconds_on(device: str, flops: Flops, precision: str) -> float:
    """Return the estimated seconds of learning on a named GPU (a key of `DEVICES`), sampling in a precision."""
    rates = DEVICES[device]
    sampling = flops.sampling / (getattr(rates, precision) * getattr(SHARES, precision))
    return (sampling + flops.statistics / (rates.fp32 * SHARES.fp32)) / 1e12


def shards_for(seconds: float, minutes: float, groups: int) -> int:
    """Return the number of jobs for `seconds` of work, so that each takes about `minutes`; at most one per group."""
    return max(1, min(groups, -int(-seconds // (60 * minutes))))
