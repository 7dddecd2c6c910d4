"""The classifiers whose class probabilities make a score, all through torch-fidelity's one interface.

Only Inception's score is the paper's. The others stand in for it under their own names: their numbers compare
sets of pictures with one another, and with nothing published.
"""

from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch_fidelity import FeatureExtractorBase, register_feature_extractor
from torchvision.models import squeezenet1_0

from wframe.errors import UserError


class Extractor(NamedTuple):
    """One way to get class probabilities."""

    score: str  # what its score is called
    registered: str  # torch-fidelity's name for it
    shapes: dict[str, tuple[int, ...]]  # of some of its weights, by which a file is told from others


EXTRACTORS = {
    "inception": Extractor(
        "Inception score",
        "inception-v3-compat",  # TensorFlow's graph of 2015-12-05, logits without bias
        {"Conv2d_1a_3x3.conv.weight": (32, 3, 3, 3), "fc.weight": (1008, 2048)},
    ),
    "squeezenet": Extractor(
        "SqueezeNet score",
        "wframe-squeezenet",
        {"features.0.weight": (96, 3, 7, 7), "classifier.1.weight": (1000, 512, 1, 1)},
    ),
    "pocket": Extractor("pocket score", "wframe-pocket", {"layers.0.weight": (16, 3, 3, 3), "head.weight": (23, 64)}),
}


def pocket_path() -> Path:
    """Return where the package keeps the pocket classifier's weights."""
    return Path(str(resources.files("wframe.scores") / "pocket.safetensors"))


def check_weights(extractor: str, path: Path) -> None:
    """Refuse a weights file that is missing, broken or another network's.

    Raises:
        UserError: what is wrong with it.
    """
    tensors = read_weights(path)
    for name, shape in EXTRACTORS[extractor].shapes.items():
        found = tuple(tensors[name].shape) if name in tensors else "missing"
        if found != shape:
            raise UserError(f"{path}: not {extractor}'s weights: {name} is {found}, expected {shape}")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read named tensors from .npz, .safetensors or .pth; a .pth that holds anything but tensors is refused."""
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return {name: torch.from_numpy(file[name]) for name in file.files}
        if path.suffix == ".safetensors":
            return load_file(path)
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except FileNotFoundError:
        raise UserError(f"{path}: no such weights file") from None
    except SafetensorError as error:
        raise UserError(f"{path}: can't be read ({error}). Fetch it again.") from error
    except Exception as error:  # a broken file makes torch and zipfile raise many kinds
        raise UserError(f"{path}: can't be read ({error}). It may be cut off: fetch it again.") from error


class _Logits(FeatureExtractorBase):
    """A classifier for torch-fidelity: its one feature is the logits, of pictures uint8 (N, 3, H, W)."""

    side: int  # of the pictures that it takes; others are resized

    def __init__(self, name: str, features_list: list[str], **kwargs: Any) -> None:
        super().__init__(name, features_list)
        self.network = self.build(Path(kwargs["feature_extractor_weights_path"]))
        self.requires_grad_(False)
        self.eval()

    def build(self, weights: Path) -> nn.Module:
        """Return the network with its weights."""
        raise NotImplementedError

    def normalise(self, x: Tensor) -> Tensor:
        """Return what the network takes, of RGB in 0..255 (N, 3, side, side)."""
        raise NotImplementedError

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """Return the logits."""
        x, size = pictures.float(), (self.side, self.side)
        if x.shape[-2:] != size:
            x = interpolate(x, size, mode="bilinear", antialias=True)
        return (self.network(self.normalise(x)),)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        """Return the features' names."""
        return ("logits",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        """Return the feature that a metric takes."""
        return {"isc": "logits"}[metric]

    @staticmethod
    def can_be_compiled() -> bool:
        """Return whether torch.compile may wrap it."""
        return False


class SqueezeNet(_Logits):
    """SqueezeNet 1.0 (Iandola et al. 2016) with its authors' Caffe weights, of 1,000 ImageNet classes.

    It takes BGR minus the Caffe mean; its last convolution has a padding of 1, other than torchvision's.
    """

    side = 227

    def build(self, weights: Path) -> nn.Module:
        """Return torchvision's network with the weights."""
        network = squeezenet1_0(weights=None)
        network.classifier[1].padding = (1, 1)
        return _load(network, weights)

    def normalise(self, x: Tensor) -> Tensor:
        """RGB → BGR − (104, 117, 123)."""
        return x.flip(1) - torch.tensor([104.0, 117.0, 123.0], device=x.device)[:, None, None]


class Pocket(nn.Module):
    """Four 3×3 convolutions, 3→16→32→64→64, halving the side after the first; the mean over positions; logits."""

    SIDE, CLASSES = 32, 23

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(3, 16, 3, 1, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU()),
            *(nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(), nn.Conv2d(64, 64, 3, 2, 1), nn.ReLU()),
        )
        self.head = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of pictures in −1..1, (N, 3, 32, 32)."""
        return self.head(self.layers(x).mean((2, 3)))


class PocketScore(_Logits):
    """The pocket classifier of this package."""

    side = Pocket.SIDE

    def build(self, weights: Path) -> nn.Module:
        """Return it with its weights."""
        return _load(Pocket(), weights)

    def normalise(self, x: Tensor) -> Tensor:
        """0..255 → −1..1."""
        return x / 127.5 - 1


def _load(network: nn.Module, weights: Path) -> nn.Module:
    try:
        network.load_state_dict(read_weights(weights))
    except RuntimeError as error:
        raise UserError(f"{weights}: other weights than this network's ({error})") from error
    return network


register_feature_extractor(EXTRACTORS["squeezenet"].registered, SqueezeNet)
register_feature_extractor(EXTRACTORS["pocket"].registered, PocketScore)
