"""The distance to the nearest training image, which reveals copies; a score doesn't."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from wframe.runtime.progress import Progress

ROWS = 1024  # images compared at once with TRAINING training images
TRAINING = 8192


def distance_to_nearest(
    images: np.ndarray, training: np.ndarray, device: torch.device, title: str = "nearest"
) -> np.ndarray:
    """Return each image's root-mean-square distance to the nearest training image, in grey levels, shape (N,).

    Both are uint8 (…, H, W, 3) of the same size. The nearest image is found by |x|² + |y|² − 2·x·y in fp32; the
    distance to it is then recomputed without that rounding, so a copy has 0.
    """
    x, y = (torch.from_numpy(np.ascontiguousarray(p)).flatten(1) for p in (images, training))
    best = torch.full((len(x),), torch.inf)
    where = torch.zeros(len(x), dtype=torch.int64)
    tf32 = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    with Progress(title, len(x) * len(y), unit="pairs") as progress:
        for start in range(0, len(y), TRAINING):
            some = _centred(y[start : start + TRAINING], device)
            squares = some.square().sum(1)
            for first in range(0, len(x), ROWS):
                rows = slice(first, first + ROWS)
                # |x|² is the same for all y, so it is left out
                partial, index = torch.addmm(squares, _centred(x[rows], device), some.T, alpha=-2).min(1)
                nearer = partial.cpu() < best[rows]
                best[rows] = torch.where(nearer, partial.cpu(), best[rows])
                where[rows] = torch.where(nearer, index.cpu() + start, where[rows])
                progress.advance(len(partial) * len(some), f"{start + len(some):,} training images")
    torch.backends.cuda.matmul.allow_tf32 = tf32
    parts = zip(x.split(ROWS), where.split(ROWS), strict=True)
    squared = [(part.float() - y[index].float()).square().mean(1) for part, index in parts]
    return torch.cat(squared).sqrt().numpy()


def _centred(pixels: Tensor, device: torch.device) -> Tensor:
    """Centre pixels around 0: smaller squares, less rounding."""
    return pixels.to(device).float() - 127.5


def unseen(images: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Return the images that have no exact copy among the training images."""
    seen = {row.tobytes() for row in training}
    return images[[row.tobytes() not in seen for row in images]]


def summary(distances: np.ndarray) -> dict[str, Any]:
    """Summarise distances for a record: the median, the middle 90%, and how many images are copies."""
    low, median, high = (float(value) for value in np.quantile(distances, (0.05, 0.5, 0.95)))
    return {
        "median": median,
        "low": low,
        "high": high,
        "n": len(distances),
        "copies": int((distances == 0).sum()),
    }
