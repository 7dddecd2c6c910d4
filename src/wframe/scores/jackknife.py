"""The uncertainty of a score over groups of images, by leaving out one group at a time (the jackknife).

Each group of FRAME or wFRAME is a training of its own, with its own θ and noise: groups are what is independent, where
the images of one aren't.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import xlogy


def log_scores(p: np.ndarray, group: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the logarithm of the score of all images, and of all but those of each group: shape (G,).

    The score is exp of the mean KL(p(class | image) ‖ p(class)), in one split (Salimans et al. 2016). `p` is
    (N, classes), `group` (N,) says which group an image is of.
    """
    names, place = np.unique(group, return_inverse=True)
    own, mass, images = np.zeros(len(names)), np.zeros((len(names), p.shape[1])), np.bincount(place)
    np.add.at(own, place, xlogy(p, p).sum(1))  # Σ p·log p of each group's images
    np.add.at(mass, place, p)
    parts = zip(own, mass, images, strict=True)
    all_own, all_mass, N = own.sum(), mass.sum(0), len(p)
    without = [_log_score(all_own - a, all_mass - b, N - n) for a, b, n in parts]
    return _log_score(all_own, all_mass, N), np.array(without)


def jackknife_error(without: ArrayLike) -> float:
    """Return the standard error of a statistic, from its values without each one of the groups."""
    x = np.asarray(without, dtype=float)
    return float(np.sqrt((len(x) - 1) * x.var())) if len(x) > 1 else np.inf


def _log_score(own: float, mass: np.ndarray, images: int) -> float:
    if images == 0:
        return 0.0
    marginal = np.clip(mass, 0, None) / images  # below 0 by rounding, where a class was the left-out group's alone
    return float(own / images - xlogy(marginal, marginal).sum())
