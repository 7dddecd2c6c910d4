"""Class probabilities of images, and the score that they give: of all groups, and of all but one.

torch-fidelity gives a set's score and its spread over splits. To compare two settings on the same groups, that spread
is no help: a group's nine chains share their θ. Leaving out one group at a time is (the jackknife).
"""

from pathlib import Path

import numpy as np
import torch
from scipy.special import xlogy
from torch import nn
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY
from torch_fidelity.utils import create_feature_extractor

from wframe.scores.extractors import extractor


def load_classifier(name: str, weights: Path) -> nn.Module:
    """Return an extractor whose only feature is what the score is made of, on the CPU."""
    registered = extractor(name).REGISTERED
    feature = FEATURE_EXTRACTORS_REGISTRY[registered].get_default_feature_layer_for_metric("isc")
    return create_feature_extractor(
        registered, [feature], cuda=False, feature_extractor_weights_path=str(weights), verbose=False
    )


def class_probabilities(classifier: nn.Module, images: np.ndarray) -> np.ndarray:
    """Return p(class | image) of uint8 images (..., H, W, 3): shape (..., classes), float64."""
    flat = torch.from_numpy(np.ascontiguousarray(images)).flatten(0, -4).movedim(3, 1)
    with torch.inference_mode():
        logits = torch.cat([classifier(part)[0] for part in flat.split(64)])
    return logits.double().softmax(1).unflatten(0, images.shape[:-3]).numpy()


def log_scores(p: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the logarithm of the score of all groups' images, and of those of all groups but each one: shape (G,).

    The score is exp of the mean KL(p(class | image) ‖ p(class)), in one split (Salimans et al. 2016). `p` is
    (G, M, classes).
    """
    G, M, _ = p.shape
    own, mass = xlogy(p, p).sum((1, 2)), p.sum(1)  # of each group: Σ p·log p, and Σ p by class
    without = [_log_score(own.sum() - own[g], mass.sum(0) - mass[g], (G - 1) * M) for g in range(G)]
    return _log_score(own.sum(), mass.sum(0), G * M), np.array(without)


def _log_score(own: float, mass: np.ndarray, images: int) -> float:
    marginal = np.clip(mass, 0, None) / images  # below 0 by rounding, where a class was the left-out group's alone
    return float(own / images - xlogy(marginal, marginal).sum())
