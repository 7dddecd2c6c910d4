"""The naive PyTorch loop: the obvious implementation of Algorithm 1, with which the engine is compared.

Eager fp32, one group at a time, autograd for ∇ₓΦ and double backward for the penalty, contiguous layout, `torch.randn`.
"""

import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, relu

from wframe.model.bank import Bank
from wframe.model.constants import Constants


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


def naive_iteration(bank: Bank, c: Constants, y: Tensor, θ: Tensor) -> Tensor:
    """Run one iteration of Algorithm 1 on one group, with autograd; return the next θ (K, h, w).

    It is for its cost: the chains start at 0, not where the last iteration left them, and γ = 1 leaves 𝒫_{t−1} out.
    """
    a, b, s = c.step
    H_obs = naive_responses(bank, y).mean(0)
    x = torch.zeros_like(y)
    for _ in range(c.L):
        x = x.detach().requires_grad_()
        (g,) = torch.autograd.grad((θ * naive_responses(bank, x)).sum(), x)
        x = a * x + b * g + s * torch.randn_like(x)
    x = x.detach().requires_grad_()
    θ = θ.detach().requires_grad_()
    F = naive_responses(bank, x)
    penalty = torch.zeros_like(θ)
    if c.beta:
        (g,) = torch.autograd.grad((θ * F).sum(), x, create_graph=True)
        (penalty,) = torch.autograd.grad(g.square().mean((1, 2, 3)).mean(), θ)
    return (θ + c.lambda_ * (H_obs - F.mean(0) - c.beta / 2 * penalty)).detach()
