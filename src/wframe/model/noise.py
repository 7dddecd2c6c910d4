"""Random numbers that depend on *what* they are for, never on the order in which they are drawn.

A counter-based generator (Philox4x32-10; Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3")
maps (key of the group, iteration t, step j, position) to bits. So a group has the same noise alone or in any
batch, FRAME and wFRAME share their noise, a resumed run needs no generator state, and all devices agree on the bits.
"""

import hashlib

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_LANGEVIN, _GAMMA = 0, 1  # streams: what a number is used for


def group_key(*names: str | int) -> int:
    """Return the 64-bit key of a group from its names (seed, dataset, class, repeat, index), by a stable hash."""
    text = "\0".join(str(name) for name in names)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def key_tensor(keys: list[int], device: torch.device | str = "cpu") -> Tensor:
    """Return 64-bit keys as an int64 tensor of shape (G, 2): the low and the high 32 bits."""
    return torch.tensor([[key & _MASK, key >> 32] for key in keys], dtype=torch.int64, device=device)


def philox(counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Map four 32-bit counter words and two key words to four random words (Philox4x32-10).

    All are int64 tensors with values in 0 .. 2³²−1, of shapes that broadcast.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        # int64 products wrap like unsigned ones: their 64 bits are correct. c1 and c3 keep the upper half, unused
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = ((p1 >> 32) ^ c1 ^ k0) & _MASK, p1, ((p0 >> 32) ^ c3 ^ k1) & _MASK, p0
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return c0, c1 & _MASK, c2, c3 & _MASK


def _words(keys: Tensor, t: int, j: int, stream: int, lanes: int) -> tuple[Tensor, ...]:
    """Return four (G, lanes) tensors of random words for iteration t and step j."""
    lane = torch.arange(lanes, device=keys.device)[None]
    zero = torch.zeros((), dtype=torch.int64, device=keys.device)
    return philox((lane, zero + j, zero + t, zero + stream), (keys[:, :1], keys[:, 1:]))


def _uniform(word: Tensor) -> Tensor:
    """Map 32 random bits to (0, 1], as float32."""
    return (word.to(torch.float32) + 0.5) * 2.0**-32


def normal(keys: Tensor, t: int, j: int, shape: tuple[int, ...]) -> Tensor:
    """Return ξ ~ N(0, I) for step j of iteration t: shape (G, *shape), float32.

    `keys` is (G, 2), from `key_tensor`; the number of elements of `shape` must be a multiple of 4.
    """
    count = 1
    for side in shape:
        count *= side
    u = [_uniform(word) for word in _words(keys, t, j, _LANGEVIN, count // 4)]
    radius_a, radius_b = torch.sqrt(-2 * torch.log(u[0])), torch.sqrt(-2 * torch.log(u[2]))
    angle_a, angle_b = 2 * torch.pi * u[1], 2 * torch.pi * u[3]
    halves = (
        radius_a * torch.cos(angle_a),
        radius_a * torch.sin(angle_a),
        radius_b * torch.cos(angle_b),
        radius_b * torch.sin(angle_b),
    )
    return torch.cat(halves, dim=1).view(len(keys), *shape)


def gamma(keys: Tensor, t: int) -> Tensor:
    """Return γ ~ U[0, 1] of iteration t for each group: shape (G,) (Algorithm 1, line 13)."""
    return _uniform(_words(keys, t, 0, _GAMMA, 1)[0][:, 0])
