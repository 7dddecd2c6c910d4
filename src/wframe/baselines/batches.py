"""The images that a baseline learns from, and which of them each step sees."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from wframe.config.training import Training
from wframe.model.noise import group_key


@dataclass
class Batches:
    """Batches of real images: every epoch in a random order of its own, the incomplete last batch left out.

    Duplicating images only lengthens the epoch; they are kept once. Random numbers depend on the training's names and
    on what they are for.
    """

    settings: Training
    array: np.ndarray  # (N, S, S, 3) uint8: the training images
    names: tuple[str | int, ...]  # seed, dataset, class, model, repeat
    device: torch.device
    classes: np.ndarray | None = None  # (N,): each image's class; None: all of one
    orders: dict[str, tuple[int, Tensor]] = field(default_factory=dict)  # the current epoch of each kind of batch

    def __post_init__(self) -> None:
        self.images = torch.from_numpy(self.array).to(self.device)
        self.labels = torch.from_numpy(np.zeros(len(self.array), int) if self.classes is None else self.classes)

    @property
    def side(self) -> int:
        """The images' side."""
        return self.array.shape[1]

    def random(self, *purpose: str | int) -> torch.Generator:
        """Return random numbers for a purpose."""
        return torch.Generator().manual_seed(group_key(*self.names, *purpose))

    def seed(self, *purpose: str | int) -> None:
        """Make PyTorch's own random numbers those for a purpose."""
        torch.manual_seed(group_key(*self.names, *purpose))

    def __getitem__(self, t: int) -> Tensor:
        """Return the images of step t, (batch, 3, S, S) in [−1, 1]."""
        return self.pixels(self.rows(t))

    def rows(self, t: int, order: str = "order", among: Tensor | None = None) -> Tensor:
        """Return which images step t sees; another `order` is independent, `among` only some of them."""
        count, size = len(self.images) if among is None else len(among), self.settings.batch
        total = max(count, (self.settings.duplicate_to or 0) if among is None else size)
        epoch, place = divmod(t, total // size)
        if self.orders.get(order, (-1,))[0] != epoch:
            self.orders[order] = epoch, torch.randperm(total, generator=self.random(order, epoch)) % count
        rows = self.orders[order][1][place * size : (place + 1) * size]
        return rows if among is None else among[rows]

    def some_of_each_class(self, count: int) -> Tensor:
        """Return `count` random images of each class, by their rows: those that a training knows the labels of."""
        shuffled = torch.randperm(len(self.labels), generator=self.random("labelled"))
        kinds = self.labels.unique()
        return torch.cat([shuffled[self.labels[shuffled] == kind][:count] for kind in kinds])

    def pixels(self, rows: Tensor) -> Tensor:
        """Return images by their rows, (N, 3, S, S) in [−1, 1]."""
        return to_pixels(self.images[rows.to(self.device)])


def to_pixels(images: Tensor) -> Tensor:
    """Return uint8 images (N, S, S, 3) as pixels (N, 3, S, S) in [−1, 1]."""
    return images.permute(0, 3, 1, 2).float().div(127.5).sub(1.0)


def to_images(pixels: Tensor) -> Tensor:
    """Return pixels (N, 3, S, S) in [−1, 1] as uint8 images (N, S, S, 3); what isn't a number becomes grey."""
    levels = pixels.permute(0, 2, 3, 1).add(1.0).mul(127.5)
    return levels.nan_to_num(127.5).round().clamp(0, 255).to(torch.uint8)
