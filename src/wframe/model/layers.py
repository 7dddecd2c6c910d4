"""The bank's operations, forwards and through the linear piece that a forward pass recorded.

On a GPU, what isn't a convolution of many channels runs as a Triton kernel (`kernels.py`), one pass over memory each:
left to PyTorch, these operations take longer than the convolutions. Triton needs a C compiler; WFRAME_NO_COMPILE=1 does
without, more slowly.
"""

import os
from importlib.util import find_spec

import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d

HAS_TRITON = find_spec("triton") is not None


def has_kernels(device: torch.device) -> bool:
    """Return whether the kernels run on this device."""
    return device.type == "cuda" and why_no_kernels() is None


def why_no_kernels() -> str | None:
    """Return why the kernels run on no device; None if they would run on a GPU."""
    if "WFRAME_NO_COMPILE" in os.environ:
        return "WFRAME_NO_COMPILE is set, so no kernels are compiled"
    return None if HAS_TRITON else "Triton isn't installed, which compiles its kernels"


def fused(tensor: Tensor) -> bool:
    """Return whether the kernels take this tensor."""
    return has_kernels(tensor.device) and tensor.dtype in (torch.float32, torch.bfloat16)


def first(x: Tensor, w: Tensor, b: Tensor, layout: torch.memory_format) -> Tensor:
    """Return relu(conv(x) + b) of the first layer, for images x (N, 3, H, W), in w's precision and this layout."""
    if fused(w):
        from wframe.model import kernels

        return kernels.first(x, w, b)
    return conv2d(x.to(w.dtype, memory_format=layout), w, b, padding=1).relu_()


def layer(a: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """Return relu(conv(a) + b)."""
    if fused(w):
        from wframe.model import kernels

        return kernels.relu_(conv2d(a, w, padding=1), b)
    return conv2d(a, w, b, padding=1).relu_()


def pooled_layer(a: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return max pooling of relu(conv(a) + b) over 2×2 windows, and which element each window took."""
    if fused(w):
        from wframe.model import kernels

        return kernels.pool(conv2d(a, w, padding=1), b)
    # max pooling and ReLU commute; pooling first leaves the ReLU a quarter of the work
    pooled, where = max_pool2d(conv2d(a, w, b, padding=1), 2, return_indices=True)
    return pooled.relu_(), where


def gate(d: Tensor, a: Tensor) -> Tensor:
    """Return d where a ReLU's output a is above 0, and 0 elsewhere. On a GPU, d is overwritten."""
    if fused(d):
        from wframe.model import kernels

        return kernels.gate_(d, a)
    return torch.ops.aten.threshold_backward(d, a, 0)


def head(θ: Tensor, F: Tensor, layout: torch.memory_format) -> Tensor:
    """Return each image's θ where its response is above 0: θ (G, K, h, w) or (G, K, 1, 1), F (G·M, K, h, w)."""
    if fused(F):
        from wframe.model import kernels

        return kernels.head(F, θ)
    G, (N, K, h, w) = len(θ), F.shape
    θ_of_image = θ.to(F.dtype, memory_format=layout)[:, None].expand(G, N // G, K, h, w)
    return torch.ops.aten.threshold_backward(θ_of_image, F.view(θ_of_image.shape), 0).view(F.shape)


def unpool(d: Tensor, pooled: Tensor, where: Tensor) -> Tensor:
    """Return maps of twice the side: d where the pooled value is above 0, at the element its window took; else 0."""
    if fused(d):
        from wframe.model import kernels

        return kernels.unpool(d, pooled, where)
    N, C, h, w = d.shape
    maps = torch.empty(
        (N, C, 2 * h, 2 * w), dtype=d.dtype, device=d.device, memory_format=torch.channels_last
    )  # only its shape is used
    return torch.ops.aten.max_pool2d_with_indices_backward(
        gate(d, pooled), maps, [2, 2], [2, 2], [0, 0], [1, 1], False, where
    )


def pick(v: Tensor, pooled: Tensor, where: Tensor, layout: torch.memory_format) -> Tensor:
    """Return v's elements that the windows took, where the pooled value is above 0, else 0: `unpool`'s transpose."""
    if fused(v):
        from wframe.model import kernels

        return kernels.pick(v, pooled, where)
    v = v.flatten(2).gather(2, where.flatten(2)).unflatten(2, where.shape[2:])
    return gate(v, pooled).contiguous(memory_format=layout)


def last(d: Tensor, a: Tensor, w: Tensor) -> Tensor:
    """Return the first layer's transposed convolution of d where a is above 0: (N, 3, H, W)."""
    if fused(d):
        from wframe.model import kernels

        return kernels.last(d, a, w)
    return conv2d(gate(d, a), w, padding=1)
