"""The energy Φ(x; θ) = ⟨θ, F(x)⟩ (Eq. 3), its gradient in x, and the penalty's gradient in θ.

F is piecewise linear in x (ReLU and max pooling only select), so with J = ∂F/∂x

    ∇ₓΦ = Jᵀθ          and          ∇θ |∇ₓΦ|² = 2·J·(Jᵀθ):

no second derivative of the network is needed (Remark 2). The forward pass keeps the state of the ReLUs and the pool;
`pull` (Jᵀ) and `push` (J) reuse it. Both are written by hand, because for a frozen bank autograd's bookkeeping is
pure overhead; the tests compare both with autograd.
"""

from functools import lru_cache, partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from wframe.model import layers
from wframe.model.bank import Bank
from wframe.model.noise import normal
from wframe.model.replay import Replayed

CACHE = 5 * 2**19  # bytes a thread: about the second-level cache of a core; measured on one of 2 MiB


class Responses(NamedTuple):
    """F(x) of N images, and the ReLU and pooling state of their linear pieces."""

    F: Tensor  # (N, K, h, w): the ReLU responses, K = 128 filters at half the image's size
    open1: Tensor  # layer 1's output: its ReLU is open where this is > 0
    pooled: Tensor  # layer 2's output after ReLU and pooling
    where: Tensor  # which element of each 2×2 window the pool took
    open3: Tensor  # layer 3's output


def responses(bank: Bank, x: Tensor) -> Responses:
    """Return F(x) for images x of shape (N, 3, height, width), in the bank's unit."""
    (w1, b1), (w2, b2), (w3, b3), (w4, b4) = bank.layers
    a1 = layers.first(x, w1, b1, bank.layout)
    pooled, where = layers.pooled_layer(a1, w2, b2)
    a3 = layers.layer(pooled, w3, b3)
    return Responses(layers.layer(a3, w4, b4), a1, pooled, where, a3)


def pull(bank: Bank, r: Responses, cotangent: Tensor) -> Tensor:
    """Return Jᵀ·cotangent: (N, 3, height, width).

    The cotangent is (N, K, h, w), or one for each group of images: (G, K, h, w) or (G, K, 1, 1).
    """
    w1, w2, w3, w4 = bank.transposed
    d = conv2d(layers.head(cotangent, r.F, bank.layout), w4, padding=1)
    d = conv2d(layers.gate(d, r.open3), w3, padding=1)
    d = conv2d(layers.unpool(d, r.pooled, r.where), w2, padding=1)
    return layers.last(d, r.open1, w1)


def push(bank: Bank, r: Responses, tangent: Tensor) -> Tensor:
    """Return J·tangent: from (N, 3, height, width) to (N, K, h, w)."""
    (w1, _), (w2, _), (w3, _), (w4, _) = bank.layers
    tangent = tangent.to(w1.dtype, memory_format=bank.layout)
    v = layers.gate(conv2d(tangent, w1, padding=1), r.open1)
    v = layers.pick(conv2d(v, w2, padding=1), r.pooled, r.where, bank.layout)
    v = layers.gate(conv2d(v, w3, padding=1), r.open3)
    return layers.gate(conv2d(v, w4, padding=1), r.F)


def energy(θ: Tensor, F: Tensor) -> Tensor:
    """Return Φ(x; θ) = ⟨θ, F(x)⟩ of each image (Eq. 3): shape (G, M).

    θ is (G, K, h, w), or (G, K, 1, 1) for one weight per filter; F is (G·M, K, h, w).
    """
    G = len(θ)
    F = F.view(G, -1, *F.shape[1:]).to(θ.dtype)
    return (F * θ[:, None]).sum((2, 3, 4))


def gradient(bank: Bank, θ: Tensor, r: Responses) -> Tensor:
    """Return ∇ₓΦ = Jᵀθ of each image: shape (G·M, 3, height, width), in θ's precision."""
    return pull(bank, r, θ).to(θ.dtype)


def force(bank: Bank, θ: Tensor, x: Tensor) -> Tensor:
    """Return 𝒢 = ∇ₓΦ at the chains x (G, M, 3, height, width), in the sampler's precision (Algorithm 1, line 5).

    A CPU takes a few images at a time, so that their activations stay in its cache. A GPU replays one graph, so
    the next call overwrites the result.
    """
    sampler = bank.sampler
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=bank.precision == "tf32"):
        if layers.fused(x):
            return _replayed(sampler)(θ, x)
        θ = θ.to(sampler.layers[0][0].dtype, memory_format=bank.layout)
        if x.is_cuda:
            return _force(sampler, θ, x)
        dΦ = torch.empty_like(x)
        for groups, images in _parts(x, θ.element_size()):
            dΦ[groups, images] = _force(sampler, θ[groups], x[groups, images])
        return dΦ


def langevin(x: Tensor, dΦ: Tensor, keys: Tensor, t: int, j: int, a: float, b: float, s: float) -> Tensor:
    """Return the chains after a Langevin step, a·x + b·∇ₓΦ + s·ξ with ξ ~ N(0, I) (Algorithm 1, lines 6 to 8).

    The reading gives a, b and s; the noise is that of the groups' keys for step j of iteration t. On a GPU this is one
    kernel: the noise alone, roughly 120 small operations, would take as long as the convolutions.
    """
    if layers.fused(x):
        from wframe.model import kernels

        return kernels.langevin(x, dΦ, keys, t, j, a, b, s)
    return a * x + b * dΦ + s * normal(keys, t, j, x.shape[1:])


def _force(sampler: Bank, θ: Tensor, x: Tensor) -> Tensor:
    return gradient(sampler, θ, responses(sampler, x.flatten(0, 1))).view_as(x).to(x.dtype)


@lru_cache(maxsize=1)
def _replayed(sampler: Bank) -> Replayed:
    return Replayed(partial(_force, sampler))


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
    H = mean_map(F, len(θ), θ.dtype)
    return H if θ.shape[2:] == H.shape[2:] else H.mean((2, 3), keepdim=True)


def mean_map(F: Tensor, G: int, dtype: torch.dtype) -> Tensor:
    """Return the mean over each group's images of their responses (G·M, K, h, w): (G, K, h, w), in `dtype`."""
    return F.view(G, -1, *F.shape[1:]).mean(1, dtype=dtype)


def penalty_gradient(bank: Bank, θ: Tensor, r: Responses, dΦ: Tensor, penalty: str) -> Tensor:
    """Return 𝒫 = mean over a group's images of ∇θ|∇ₓΦ|² = 2·J·(Jᵀθ), of θ's shape (lines 11 and 12).

    `dΦ` is ∇ₓΦ at the same images; `penalty` is "sum" or "mean": |∇ₓΦ|² over an image's D = 3·height·width values.
    """
    P = 2 * mean_response(θ, push(bank, r, dΦ))
    return P if penalty == "sum" else P / dΦ[0].numel()
