"""The pocket classifier that comes with the package: a stand-in for Inception in the demo."""

from torch import Tensor, nn
from torch_fidelity import register_feature_extractor

from wframe.scores.extractors import Logits
from wframe.weights.pocket import Pocket

SCORE = "pocket score"
REGISTERED = "wframe-pocket"
SHAPES = {"layers.0.weight": (16, 3, 3, 3), "head.weight": (23, 64)}


class PocketScore(Logits):
    """The pocket classifier for torch-fidelity; its input is 32×32 in −1..1."""

    side = Pocket.SIDE

    def build(self) -> nn.Module:
        """Return the network."""
        return Pocket()

    def normalise(self, x: Tensor) -> Tensor:
        """Map 0..255 to −1..1."""
        return x / 127.5 - 1


register_feature_extractor(REGISTERED, PocketScore)
