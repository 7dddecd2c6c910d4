"""The pocket classifier: a small network, separate from the bank, that scores the demo's images."""

from torch import Tensor, nn


class Pocket(nn.Module):
    """Four 3×3 convolutions, 3→16→32→64→64, all but the first with stride 2; mean over positions; a linear layer."""

    SIDE, CLASSES = 32, 23

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(3, 16, 3, 1, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU()),
            *(nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(), nn.Conv2d(64, 64, 3, 2, 1), nn.ReLU()),
        )
        self.head = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of images in −1..1, (N, 3, 32, 32)."""
        return self.head(self.layers(x).mean((2, 3)))
