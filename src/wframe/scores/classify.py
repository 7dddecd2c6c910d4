"""A classifier's logits of images, for the score and its uncertainty."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch_fidelity import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY
from torch_fidelity.utils import create_feature_extractor

from wframe.runtime.progress import Progress
from wframe.scores.extractors import extractor


def load_classifier(name: str, weights: Path | None, device: torch.device) -> FeatureExtractorBase:
    """Return torch-fidelity's extractor of the feature that the score is made of."""
    registered = extractor(name).REGISTERED
    feature = FEATURE_EXTRACTORS_REGISTRY[registered].get_default_feature_layer_for_metric("isc")
    return create_feature_extractor(
        registered,
        [feature],
        cuda=device.type == "cuda",
        feature_extractor_weights_path=str(weights),
        verbose=False,
    )


def class_logits(
    classifier: FeatureExtractorBase, images: np.ndarray, device: torch.device, title: str, batch: int = 64
) -> Tensor:
    """Return the logits of uint8 images (N, H, W, 3): shape (N, classes), on the CPU."""
    found = []
    with torch.inference_mode(), Progress(title, len(images), unit="images") as progress:
        for first in range(0, len(images), batch):
            part = torch.from_numpy(np.ascontiguousarray(images[first : first + batch].transpose(0, 3, 1, 2)))
            found.append(classifier(part.to(device))[0].cpu())
            progress.advance(len(part), f"image {first + len(part):,}")
    return torch.cat(found)
