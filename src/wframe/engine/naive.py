"""The naive PyTorch loop: the obvious implementation of Algorithm 1, with which the engine is compared.

Eager fp32, one group at a time, autograd for ∇ₓΦ and double backward for the penalty, contiguous layout, `torch.randn`.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, relu

from wframe.model.bank import Bank
from wframe.model.constants import Constants

Noise = Callable[[int, Tensor], Tensor]


def random_images(groups: int, M: int, side: int, device: torch.device) -> Tensor:
    """Return random smooth images in x's unit: (G, M, 3, side, side)."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(groups * M, 3, side // 4, side // 4, generator=generator) - 0.5
    return torch.nn.functional.interpolate(coarse, scale_factor=4).view(groups, M, 3, side, side).to(device)


def naive_responses(bank: Bank, x: Tensor) -> Tensor:
    """Return F(x), (N, K, h, w), implemented the obvious way."""
    (w1, b1), (w2, b2), (w3, b3), (w4, b4) = bank.layers
    h = relu(conv2d(relu(conv2d(x, w1, b1, padding=1)), w2, b2, padding=1))
    h = max_pool2d(h, 2)
    return relu(conv2d(relu(conv2d(h, w3, b3, padding=1)), w4, b4, padding=1))


def naive_penalty(bank: Bank, θ: Tensor, x: Tensor) -> Tensor:
    """Return 𝒫 = ∇θ of the mean of |∇ₓΦ|² over images and pixels, by double backward."""
    x, θ = x.detach().requires_grad_(), θ.detach().requires_grad_()
    (g,) = torch.autograd.grad((θ * naive_responses(bank, x)).sum(), x, create_graph=True)
    return torch.autograd.grad(g.square().mean(), θ)[0]


def naive_iteration(
    bank: Bank, c: Constants, y: Tensor, θ: Tensor, x: Tensor, noise: Noise = lambda j, x: torch.randn_like(x)
) -> tuple[Tensor, Tensor]:
    """Run one iteration of Algorithm 1 on one group, as printed, with autograd; return the next θ (K, h, w) and x.

    `noise` gives ξ of step j, and γ for j = L. No clipping, 𝒫 as a mean over pixels, and one weight per position.
    """
    a, b, s = c.step
    H_obs = naive_responses(bank, y).mean(0)  # 3
    P_before = naive_penalty(bank, θ, x) if c.beta else torch.zeros_like(θ)  # 12
    for j in range(c.L):  # 4
        x = x.detach().requires_grad_()
        (g,) = torch.autograd.grad((θ * naive_responses(bank, x)).sum(), x)  # 5
        x = a * x + b * g + s * noise(j, x)  # 6 to 8
    x = x.detach()
    H_syn = naive_responses(bank, x).mean(0)  # 10
    P = naive_penalty(bank, θ, x) if c.beta else torch.zeros_like(θ)  # 11
    γ = noise(c.L, torch.zeros(()))  # 13
    return θ + c.lambda_ * (H_obs - H_syn - c.beta / 2 * ((1 - γ) * P_before + γ * P)), x  # 14
