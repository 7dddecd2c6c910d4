"""Groups: how the images of a class are cut into groups of M, and a class's groups into shards.

Groups are consecutive. Where the last one isn't full, the first images complete it, so that each has M.
"""

import numpy as np

from wframe.errors import UserError


def count_groups(images: int, M: int, limit: int | None = None) -> int:
    """Return how many groups of M so many images make, at most `limit`."""
    groups = -(-images // M)
    return min(groups, limit or groups)


def rows_of_group(group: int, images: int, M: int) -> np.ndarray:
    """Return the rows of a group's images in the class's array, shape (M,)."""
    return np.arange(group * M, (group + 1) * M) % images


def completing_rows(images: int, M: int) -> list[int]:
    """Return the first rows that complete the last group; none if it is full."""
    return list(range(-images % M))


def cut(images: np.ndarray, M: int, limit: int | None = None) -> np.ndarray:
    """Return images (N, H, W, 3) as groups, (G, M, H, W, 3).

    Raises:
        UserError: fewer than M images.
    """
    if len(images) < M:
        raise UserError(f"{len(images)} images, but a group needs {M}. Add images to this class.")
    rows = [rows_of_group(group, len(images), M) for group in range(count_groups(len(images), M, limit))]
    return images[np.concatenate(rows)].reshape(len(rows), M, *images.shape[1:])


def shard_span(shard: str, groups: int) -> range:
    """Return the groups of the I-th of N equal parts, of `I/N`.

    Raises:
        UserError: not of that form with 0 ≤ I < N ≤ number of groups.
    """
    try:
        index, count = (int(part) for part in shard.split("/"))
    except ValueError:
        raise UserError(f"--shard {shard}: expected I/N, say 0/4") from None
    if not 0 <= index < count <= groups:
        raise UserError(f"--shard {shard}: expected 0 ≤ I < N ≤ {groups} (the number of groups)")
    return range(index * groups // count, (index + 1) * groups // count)
