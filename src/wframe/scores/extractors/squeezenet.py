"""SqueezeNet 1.0 (Iandola et al. 2016) with its authors' Caffe weights: 1,000 ImageNet classes."""

import torch
from torch import Tensor, nn
from torch_fidelity import register_feature_extractor
from torchvision.models import squeezenet1_0

from wframe.scores.extractors import Logits

SCORE = "SqueezeNet score"
REGISTERED = "wframe-squeezenet"
SHAPES = {"features.0.weight": (96, 3, 7, 7), "classifier.1.weight": (1000, 512, 1, 1)}


class SqueezeNet(Logits):
    """SqueezeNet for torch-fidelity; its input is BGR minus the Caffe mean.

    Unlike torchvision's, its last convolution has padding 1.
    """

    side = 227

    def build(self) -> nn.Module:
        """Return torchvision's network with that padding."""
        network = squeezenet1_0(weights=None)
        network.classifier[1].padding = (1, 1)
        return network

    def normalise(self, x: Tensor) -> Tensor:
        """Map RGB to BGR − (104, 117, 123)."""
        return x.flip(1) - torch.tensor([104.0, 117.0, 123.0], device=x.device)[:, None, None]


register_feature_extractor(REGISTERED, SqueezeNet)
