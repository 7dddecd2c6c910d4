"""The cost of learning: the floating-point operations of Algorithm 1. No PyTorch here."""

from typing import NamedTuple

LAYERS = ((3, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 2))  # (in, out, divisor of the side)


def forward_flops(side: int) -> int:
    """Return the floating-point operations of F(x) for one image of side² pixels (a multiply-add counts as two).

    A 3×3 convolution takes 2·9·in·out per position: 192.3 MFLOP in total at 32×32. Biases, ReLUs and the pool aren't
    counted.
    """
    return sum(2 * 9 * inputs * outputs * (side // halved) ** 2 for inputs, outputs, halved in LAYERS)


class Flops(NamedTuple):
    """The floating-point operations of learning, by what they are for."""

    sampling: int  # Langevin steps, in the configuration's precision
    statistics: int  # what θ learns from, in fp32

    @property
    def total(self) -> int:
        """All of them."""
        return self.sampling + self.statistics


def learning_flops(side: int, images: int, T: int, L: int, penalty: str | None) -> Flops:
    """Return the operations of Algorithm 1 on `images` chains: T iterations of L Langevin steps.

    A step is F(x) and Jᵀθ, which costs the same as F(x); an iteration's first step has F(x) from the last iteration.
    An iteration ends with one more of both. The penalty ("kept" or "renewed"; None: FRAME) adds products with J, which
    cost the same: one for 𝒫_t, and another for a renewed 𝒫_{t−1}.
    """
    extra = {None: 0, "kept": 1, "renewed": 2}[penalty]
    one = T * images * forward_flops(side)
    return Flops(2 * (L - 1) * one, (3 + extra) * one)
