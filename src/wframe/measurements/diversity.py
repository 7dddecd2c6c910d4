"""How far apart images are: how different those of a group, and which of others they come near. No network."""

import numpy as np


def spread(images: np.ndarray) -> float:
    """Return the mean distance between two images of a group: root-mean-square over pixels, in grey levels.

    Near 0 all are one image, whatever image that is; nine scenes drawn at random are as far apart as scenes are.
    """
    distances = pairwise_distances(images, images)
    pairs = distances[np.triu_indices(len(images), 1)]
    return float(pairs.mean()) if len(pairs) else 0.0


def recall(images: np.ndarray, training: np.ndarray) -> float:
    """Return the share of training images that are the nearest one to at least one image of a group."""
    return len(np.unique(pairwise_distances(images, training).argmin(1))) / len(training)


def pairwise_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the root-mean-square distances between uint8 images, (N, H, W, 3) and (K, H, W, 3): (N, K)."""
    x, y = a.reshape(len(a), -1).astype(float), b.reshape(len(b), -1).astype(float)
    return np.sqrt(np.stack([((row - y) ** 2).mean(1) for row in x]))
