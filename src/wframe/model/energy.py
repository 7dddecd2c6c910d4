"""The energy Φ(x; θ) = ⟨θ, F(x)⟩ (Eq. 3), its gradient in x, and the penalty's gradient in θ.

F is piecewise linear in x (ReLU and max pooling only select), so with J = ∂F/∂x

    ∇ₓΦ = Jᵀθ          and          ∇θ |∇ₓΦ|² = 2·J·(Jᵀθ):

no second derivative of the network is needed (Remark 2). The forward pass keeps the state of the ReLUs and the pool;
`pull` (Jᵀ) and `push` (J) reuse it. Both are written by hand, because for a frozen bank autograd's bookkeeping is
pure overhead; the tests compare both with autograd.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d

from wframe.model.bank import Bank

CACHE = 5 * 2**19  # bytes a thread: about the second-level cache of a core; measured on one of 2 MiB


class Responses(NamedTuple):
    """F(x) of N images, and the ReLU and pooling state of their linear pieces."""

    F: Tensor  # (N, K, h, w): the ReLU responses, K = 128 filters at half the image's size
    open1: Tensor  # layer 1's output: its ReLU is open where this is > 0
    pooled: Tensor  # layer 2's output after ReLU and pooling
    argmax: Tensor  # which element of each 2×2 window the pool took
    open3: Tensor  # layer 3's output


def responses(bank: Bank, x: Tensor) -> Responses:
    """Return F(x) for images x of shape (N, 3, H, W), in the bank's unit."""
    (w1, b1), (w2, b2), (w3, b3), (w4, b4) = bank.layers
    x = x.to(w1.dtype, memory_format=bank.layout)
    a1 = conv2d(x, w1, b1, padding=1).relu_()
    # max pooling and ReLU commute; pooling first leaves the ReLU a quarter of the work
    pooled, argmax = max_pool2d(conv2d(a1, w2, b2, padding=1), 2, return_indices=True)
    pooled = pooled.relu_()
    a3 = conv2d(pooled, w3, b3, padding=1).relu_()
    return Responses(conv2d(a3, w4, b4, padding=1).relu_(), a1, pooled, argmax, a3)


def pull(bank: Bank, r: Responses, cotangent: Tensor) -> Tensor:
    """Return Jᵀ·cotangent: from (N, K, h, w), or (G, M, K, h, w) with N = G·M, to (N, 3, H, W)."""
    w1, w2, w3, w4 = bank.transposed
    d = _through(cotangent, r.F.view(cotangent.shape)).view(r.F.shape)
    d = conv2d(d, w4, padding=1)
    d = conv2d(_through(d, r.open3), w3, padding=1)
    d = _unpool(_through(d, r.pooled), r.argmax, r.open1.shape[2:])
    d = conv2d(d, w2, padding=1)
    return conv2d(_through(d, r.open1), w1, padding=1)


def push(bank: Bank, r: Responses, tangent: Tensor) -> Tensor:
    """Return J·tangent: from (N, 3, H, W) to (N, K, h, w)."""
    (w1, _), (w2, _), (w3, _), (w4, _) = bank.layers
    tangent = tangent.to(w1.dtype, memory_format=bank.layout)
    v = _through(conv2d(tangent, w1, padding=1), r.open1)
    v = conv2d(v, w2, padding=1)
    v = v.flatten(2).gather(2, r.argmax.flatten(2)).unflatten(2, r.argmax.shape[2:])
    v = conv2d(_through(v, r.pooled).contiguous(memory_format=bank.layout), w3, padding=1)
    return _through(conv2d(_through(v, r.open3), w4, padding=1), r.F)


def energy(θ: Tensor, F: Tensor) -> Tensor:
    """Return Φ(x; θ) = ⟨θ, F(x)⟩ of each image (Eq. 3): shape (G, M).

    θ is (G, K, h, w), or (G, K, 1, 1) for one weight per filter; F is (G·M, K, h, w).
    """
    G = len(θ)
    F = F.view(G, -1, *F.shape[1:]).to(θ.dtype)
    return (F * θ[:, None]).sum((2, 3, 4))


def gradient(bank: Bank, θ: Tensor, r: Responses) -> Tensor:
    """Return ∇ₓΦ = Jᵀθ of each image: shape (G·M, 3, H, W), in θ's precision."""
    G = len(θ)
    N, K, h, w = r.F.shape
    θ_of_image = θ.to(r.F.dtype, memory_format=bank.layout)[:, None].expand(G, N // G, K, h, w)
    return pull(bank, r, θ_of_image).to(θ.dtype)


def force(bank: Bank, θ: Tensor, x: Tensor) -> Tensor:
    """Return 𝒢 = ∇ₓΦ at the chains x (G, M, 3, H, W), in the precision of the bank's sampler (Algorithm 1, line 5).

    A CPU takes a few images at a time, so that their activations stay in its cache.
    """
    sampler = bank.sampler
    θ_sampler = θ.to(sampler.layers[0][0].dtype, memory_format=bank.layout)
    parts = _parts(x, θ_sampler.element_size()) if x.device.type == "cpu" else [(slice(None), slice(None))]
    𝒢 = torch.empty_like(x)
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=bank.precision == "tf32"):
        for groups, images in parts:
            part = x[groups, images]
            r = responses(sampler, part.flatten(0, 1))
            𝒢[groups, images] = gradient(sampler, θ_sampler[groups], r).view_as(part)
    return 𝒢


def _parts(x: Tensor, itemsize: int) -> list[tuple[slice, slice]]:
    """Split chains into parts (groups, images) whose largest activation, layer 1's, fits into the cores' caches."""
    G, M, _, height, width = x.shape
    fit = max(1, torch.get_num_threads() * CACHE // (64 * height * width * itemsize))
    groups, images = max(1, fit // M), -(-M // -(-M // min(fit, M)))  # whole groups, or equal parts of one
    return [(slice(g, g + groups), slice(m, m + images)) for g in range(0, G, groups) for m in range(0, M, images)]


def mean_response(θ: Tensor, F: Tensor) -> Tensor:
    """Return H = mean over a group's images of ∇θΦ, of θ's shape (Algorithm 1, lines 3 and 10).

    With one weight per filter, the sum over positions is divided by their number, as in the public FRAME code.
    """
    G = len(θ)
    H = F.view(G, -1, *F.shape[1:]).mean(1, dtype=θ.dtype)
    return H if θ.shape[2:] == H.shape[2:] else H.mean((2, 3), keepdim=True)


def penalty_gradient(bank: Bank, θ: Tensor, r: Responses, g: Tensor, penalty: str) -> Tensor:
    """Return 𝒫 = mean over a group's images of ∇θ|∇ₓΦ|² = 2·J·(Jᵀθ), of θ's shape (lines 11 and 12).

    `g` is ∇ₓΦ at the same images; `penalty` is "sum" or "mean": |∇ₓΦ|² over an image's D = 3·H·W values.
    """
    P = 2 * mean_response(θ, push(bank, r, g))
    return P if penalty == "sum" else P / g[0].numel()


def _through(d: Tensor, opened: Tensor) -> Tensor:
    """Pass d where the ReLU was open; block it elsewhere."""
    return torch.ops.aten.threshold_backward(d, opened, 0)


def _unpool(d: Tensor, argmax: Tensor, size: torch.Size) -> Tensor:
    """Return maps of `size` with each value at the position the max pool took it from, and zeros elsewhere."""
    maps = torch.empty(
        (*d.shape[:2], *size), dtype=d.dtype, device=d.device, memory_format=torch.channels_last
    )  # only its shape is used
    return torch.ops.aten.max_pool2d_with_indices_backward(d, maps, [2, 2], [2, 2], [0, 0], [1, 1], False, argmax)
