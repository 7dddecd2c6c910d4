"""The cost of learning: the floating-point operations of Algorithm 1. No PyTorch here."""

LAYERS = ((3, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 2))  # (in, out, divisor of the side)


def forward_flops(side: int) -> int:
    """Return the floating-point operations of F(x) for one image of side² pixels (a multiply-add counts as two).

    A 3×3 convolution takes 2·9·in·out per position: 192.3 MFLOP in total at 32×32. Biases, ReLUs and the pool aren't
    counted.
    """
    return sum(2 * 9 * inputs * outputs * (side // halved) ** 2 for inputs, outputs, halved in LAYERS)


def learning_flops(side: int, images: int, T: int, L: int, pushes: int) -> int:
    """Return the operations of Algorithm 1 on `images` chains: T iterations of L Langevin steps.

    A step is F(x) and Jᵀθ, which costs the same as F(x). An iteration has one more Jᵀθ, at its start. The penalty adds
    `pushes` products with J, each as expensive as a forward pass: 2 as printed, 1 if 𝒫_{t−1} is kept, 0 for FRAME.
    """
    passes = T * (2 * L + 1 + pushes)
    return passes * images * forward_flops(side)
