"""What the engine does between convolutions on a GPU, as Triton kernels: one pass over memory each.

`layers.py` has the same operations for any device, and says what each does. A convolution with three channels is a
kernel as well: cuDNN takes longer for one than for a layer with twenty times its operations.

Activations are channels-last, (N, C, H, W) with C contiguous; x and its gradient are contiguous. TRITON_INTERPRET=1
runs the kernels on a CPU, which the tests do.
"""

# mypy: disable-error-code="no-untyped-def"

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024  # elements of a program, where nothing else decides
PIXELS = 128  # pixels of a program in the convolutions


def like_channels_last(N: int, C: int, H: int, W: int, like: Tensor) -> Tensor:
    """Return an uninitialised channels-last tensor of this shape, of the type and device of `like`."""
    return torch.empty((N, C, H, W), dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


def exactness() -> str:
    """Return how products of fp32 numbers are taken, as cuDNN does now."""
    return "tf32" if torch.backends.cudnn.allow_tf32 else "ieee"


def langevin(x: Tensor, dΦ: Tensor, keys: Tensor, t: int, j: int, a: float, b: float, s: float) -> Tensor:
    """Return a·x + b·∇ₓΦ + s·ξ for chains x (G, M, 3, H, W), with the noise ξ of `noise.normal`."""
    out = torch.empty_like(x)
    lanes = x[0].numel() // 4
    _langevin[len(x), triton.cdiv(lanes, BLOCK)](x, dΦ, out, keys, t, j, a, b, s, lanes, BLOCK)
    return out


@triton.jit(do_not_specialize=["t", "j"])
def _langevin(x, dΦ, out, keys, t, j, a, b, s, lanes, BLOCK: tl.constexpr):
    g = tl.program_id(0)
    lane = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    zero = tl.zeros([BLOCK], tl.uint32)
    k0, k1 = tl.load(keys + 2 * g).to(tl.uint32), tl.load(keys + 2 * g + 1).to(tl.uint32)
    u0, u1, u2, u3 = tl.philox_impl(
        lane.to(tl.uint32), zero + j.to(tl.uint32), zero + t.to(tl.uint32), zero, zero + k0, zero + k1
    )
    radius_a = tl.sqrt(-2 * tl.log(_uniform(u0)))
    radius_b = tl.sqrt(-2 * tl.log(_uniform(u2)))
    angle_a, angle_b = 6.283185307179586 * _uniform(u1), 6.283185307179586 * _uniform(u3)
    at, inside = g.to(tl.int64) * 4 * lanes + lane, lane < lanes
    _move(x, dΦ, out, at, inside, a, b, s * radius_a * tl.cos(angle_a))
    _move(x, dΦ, out, at + lanes, inside, a, b, s * radius_a * tl.sin(angle_a))
    _move(x, dΦ, out, at + 2 * lanes, inside, a, b, s * radius_b * tl.cos(angle_b))
    _move(x, dΦ, out, at + 3 * lanes, inside, a, b, s * radius_b * tl.sin(angle_b))


@triton.jit
def _move(x, dΦ, out, at, inside, a, b, noise):
    tl.store(out + at, a * tl.load(x + at, inside) + b * tl.load(dΦ + at, inside) + noise, inside)


@triton.jit
def _uniform(word):
    return (word.to(tl.float32) + 0.5) * 2.3283064365386963e-10  # 2⁻³²


def first(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """Return relu(conv(x, w) + b) of the first layer, for x (N, 3, H, W) in fp32 and w (K, 3, 3, 3)."""
    N, _, H, W = x.shape
    K = len(w)
    a = like_channels_last(N, K, H, W, w)
    taps = torch.nn.functional.pad(w.reshape(K, 27).T, (0, 0, 0, 5)).contiguous()  # (32, K), by channel, row, column
    _first[(triton.cdiv(N * H * W, PIXELS),)](x.contiguous(), taps, b, a, N, H, W, K, exactness(), PIXELS)
    return a


@triton.jit
def _first(x, taps, b, a, N, H, W, K: tl.constexpr, EXACT: tl.constexpr, PIXELS: tl.constexpr):
    p = tl.program_id(0).to(tl.int64) * PIXELS + tl.arange(0, PIXELS)
    n, row, column = p // (H * W), p // W % H, p % W
    k = tl.arange(0, 32)
    at_row, at_column = row[:, None] + (k // 3 % 3)[None] - 1, column[:, None] + (k % 3)[None] - 1
    inside = (at_row >= 0) & (at_row < H) & (at_column >= 0) & (at_column < W) & (k < 27)[None] & (n < N)[:, None]
    patch = tl.load(x + ((n[:, None] * 3 + (k // 9)[None]) * H + at_row) * W + at_column, inside, 0.0)
    filters = tl.arange(0, K)
    w = tl.load(taps + k[:, None] * K + filters[None])
    out = tl.dot(patch.to(w.dtype), w, input_precision=EXACT) + tl.load(b + filters).to(tl.float32)[None]
    tl.store(
        a + p[:, None] * K + filters[None],
        tl.maximum(out, 0.0, propagate_nan=tl.PropagateNan.ALL).to(w.dtype),
        (n < N)[:, None],
    )


def last(d: Tensor, a: Tensor, w: Tensor) -> Tensor:
    """Return the first layer's transposed convolution of d where a > 0: (N, 3, H, W) in fp32, for w (3, K, 3, 3).

    First each pixel's 27 products with the filters' taps, by one matrix product, then the sum of nine neighbours' for
    each value: d is read once.
    """
    N, K, H, W = d.shape
    taps = torch.nn.functional.pad(w.permute(1, 2, 3, 0).reshape(K, 27), (0, 5)).contiguous()  # by row, column, channel
    products = torch.empty((N * H * W, 32), dtype=d.dtype, device=d.device)
    _products[(triton.cdiv(N * H * W, PIXELS),)](d, a, taps, products, N * H * W, K, exactness(), PIXELS)
    out = torch.empty((N, 3, H, W), device=d.device)
    _neighbours[(triton.cdiv(out.numel(), BLOCK),)](products, out, out.numel(), H, W, BLOCK)
    return out


@triton.jit
def _products(d, a, taps, products, pixels, K: tl.constexpr, EXACT: tl.constexpr, PIXELS: tl.constexpr):
    p = tl.program_id(0).to(tl.int64) * PIXELS + tl.arange(0, PIXELS)
    filters, tap = tl.arange(0, K), tl.arange(0, 32)
    at, inside = p[:, None] * K + filters[None], (p < pixels)[:, None]
    opened = tl.load(a + at, inside, 0.0) > 0
    part = tl.load(d + at, opened, 0.0)
    product = tl.dot(part, tl.load(taps + filters[:, None] * 32 + tap[None]), input_precision=EXACT)
    tl.store(products + p[:, None] * 32 + tap[None], product.to(part.dtype), inside)


@triton.jit
def _neighbours(products, out, count, H, W, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    column, row, image = i % W, i // W % H, i // (W * H)
    channel, n = image % 3, image // 3
    total = tl.zeros([BLOCK], tl.float32)
    for tap in tl.static_range(9):
        y, x = row + (tap // 3 - 1), column + (tap % 3 - 1)
        inside = (y >= 0) & (y < H) & (x >= 0) & (x < W) & (i < count)
        total += tl.load(products + ((n * H + y) * W + x) * 32 + tap * 3 + channel, inside, 0.0).to(tl.float32)
    tl.store(out + i, total, i < count)


def relu_(a: Tensor, b: Tensor) -> Tensor:
    """Replace a by relu(a + b), b a bias of its channels; return it."""
    _relu[(triton.cdiv(a.numel(), BLOCK),)](a, b, a.numel(), a.shape[1], BLOCK)
    return a


@triton.jit
def _relu(a, b, count, C: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(a + i, i < count, 0.0)
    biased = value.to(tl.float32) + tl.load(b + i % C).to(tl.float32)
    biased = tl.maximum(biased, 0.0, propagate_nan=tl.PropagateNan.ALL)
    tl.store(a + i, biased.to(value.dtype), i < count)


def gate_(d: Tensor, a: Tensor) -> Tensor:
    """Replace d by 0 where a isn't above 0; return it."""
    _gate[(triton.cdiv(d.numel(), BLOCK),)](d, a, d.numel(), BLOCK)
    return d


@triton.jit
def _gate(d, a, count, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    opened = tl.load(a + i, i < count, 0.0) > 0
    tl.store(d + i, tl.load(d + i, opened, 0.0), i < count)


def head(a: Tensor, θ: Tensor) -> Tensor:
    """Return each image's θ (G, K, h, w or 1, 1), in a's type, where its response a (N, K, h, w) is above 0."""
    N, K, h, w = a.shape
    d = torch.empty_like(a)
    θ = θ.to(a.dtype, memory_format=torch.channels_last)
    size = θ[0].numel()
    _head[N, triton.cdiv(K * h * w, BLOCK)](a, θ, d, N // len(θ), K * h * w, size, BLOCK)
    return d


@triton.jit
def _head(a, θ, d, M, count, size, BLOCK: tl.constexpr):
    n = tl.program_id(0).to(tl.int64)
    i = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    opened = tl.load(a + n * count + i, i < count, 0.0) > 0
    tl.store(d + n * count + i, tl.load(θ + n // M * size + i % size, opened, 0.0), i < count)


def pool(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return relu(max + b) over 2×2 windows of a (N, C, H, W), and which element of each it took (0 to 3, in rows)."""
    N, C, H, W = a.shape
    pooled = like_channels_last(N, C, H // 2, W // 2, a)
    where = torch.empty_like(pooled, dtype=torch.int8)
    _pool[(triton.cdiv(pooled.numel(), BLOCK),)](a, b, pooled, where, pooled.numel(), W // 2, C, BLOCK)
    return pooled, where


@triton.jit
def _window(i, half, C: tl.constexpr):
    """Return where the window of pooled element i begins, of windows `half` to a row."""
    pixel = i // C
    return ((pixel // half * 2) * (2 * half) + pixel % half * 2) * C + i % C


@triton.jit
def _pool(a, b, pooled, where, count, half, C: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < count
    at = a + _window(i, half, C)
    first = tl.load(at, inside, 0.0)
    value, element = first.to(tl.float32), tl.zeros([BLOCK], tl.int8)
    for k in tl.static_range(1, 4):
        other = tl.load(at + (k // 2 * 2 * half + k % 2) * C, inside, 0.0).to(tl.float32)
        larger = (other > value) | (other != other)  # not-a-number wins, as in PyTorch
        value, element = tl.where(larger, other, value), tl.where(larger, k, element).to(tl.int8)
    value = tl.maximum(value + tl.load(b + i % C).to(tl.float32), 0.0, propagate_nan=tl.PropagateNan.ALL)
    tl.store(pooled + i, value.to(first.dtype), inside)
    tl.store(where + i, element, inside)


def unpool(d: Tensor, pooled: Tensor, where: Tensor) -> Tensor:
    """Return maps of twice the side: d, where the pooled value is above 0, at the element its window took; else 0."""
    N, C, h, w = d.shape
    maps = like_channels_last(N, C, 2 * h, 2 * w, d)
    _unpool[(triton.cdiv(d.numel(), BLOCK),)](d, pooled, where, maps, d.numel(), w, C, BLOCK)
    return maps


@triton.jit
def _unpool(d, pooled, where, maps, count, half, C: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < count
    opened = tl.load(pooled + i, inside, 0.0) > 0
    value, element = tl.load(d + i, opened, 0.0), tl.load(where + i, inside, 0)
    at = maps + _window(i, half, C)
    for k in tl.static_range(4):
        tl.store(at + (k // 2 * 2 * half + k % 2) * C, tl.where(element == k, value, 0.0).to(value.dtype), inside)


def pick(v: Tensor, pooled: Tensor, where: Tensor) -> Tensor:
    """Return v's elements that the windows took, where the pooled value is above 0, else 0: `unpool`'s transpose."""
    out = torch.empty_like(pooled)
    _pick[(triton.cdiv(out.numel(), BLOCK),)](v, pooled, where, out, out.numel(), out.shape[3], out.shape[1], BLOCK)
    return out


@triton.jit
def _pick(v, pooled, where, out, count, half, C: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = i < count
    opened = tl.load(pooled + i, inside, 0.0) > 0
    k = tl.load(where + i, inside, 0).to(tl.int64)
    at = v + _window(i, half, C) + (k // 2 * 2 * half + k % 2) * C
    tl.store(out + i, tl.load(at, opened, 0.0), inside)
