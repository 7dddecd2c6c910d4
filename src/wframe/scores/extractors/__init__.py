"""The classifiers whose class probabilities give a score, all through torch-fidelity's interface; one module each.

A module has `SCORE` (the score's name), `REGISTERED` (the classifier's name in torch-fidelity) and `SHAPES` (of some
weights, to recognise its file). Only the Inception score is the paper's. The others are stand-ins under their own
names: their numbers compare sets of images with each other, not with published numbers.
"""

import importlib
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch_fidelity import FeatureExtractorBase

from wframe.errors import UserError
from wframe.weights.tensors import read_tensors


def extractor(name: str) -> Any:
    """Return an extractor's module by its name."""
    return importlib.import_module(f"{__name__}.{name}")


def check_weights(name: str, path: Path) -> None:
    """Refuse a weights file that is missing, corrupt or another network's.

    Raises:
        UserError: describes what is wrong.
    """
    tensors = read_tensors(path)
    for key, shape in extractor(name).SHAPES.items():
        found = tuple(tensors[key].shape) if key in tensors else "missing"
        if found != shape:
            raise UserError(f"{path}: not {name}'s weights: {key} is {found}, expected {shape}")


class Logits(FeatureExtractorBase):
    """A classifier for torch-fidelity: its only feature is the logits of uint8 images (N, 3, H, W)."""

    side: int  # the side of its input images; others are resized

    def __init__(self, name: str, features_list: list[str], **kwargs: Any) -> None:
        super().__init__(name, features_list)
        self.network = load_network(self.build(), Path(kwargs["feature_extractor_weights_path"]))
        self.requires_grad_(False)
        self.eval()

    def build(self) -> nn.Module:
        """Return the network, without weights."""
        raise NotImplementedError

    def normalise(self, x: Tensor) -> Tensor:
        """Convert RGB in 0..255 (N, 3, side, side) to the network's input."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the logits."""
        x, size = images.float(), (self.side, self.side)
        if x.shape[-2:] != size:
            x = interpolate(x, size, mode="bilinear", antialias=True)
        return (self.network(self.normalise(x)),)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        """Return the features' names."""
        return ("logits",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        """Return the feature that a metric uses."""
        return {"isc": "logits"}[metric]

    @staticmethod
    def can_be_compiled() -> bool:
        """Return whether torch.compile may wrap this extractor."""
        return False


def load_network(network: nn.Module, weights: Path) -> nn.Module:
    """Load a network's weights.

    Raises:
        UserError: the file has another network's weights.
    """
    try:
        network.load_state_dict(read_tensors(weights))
    except RuntimeError as error:
        raise UserError(f"{weights}: not this network's weights ({error})") from error
    return network
