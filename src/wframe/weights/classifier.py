"""Train a small classifier on prepared arrays, one class each: for the builtin bank and the pocket classifier."""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from wframe.model.readings import UNIT


def load_classes(arrays: list[Path], mean: tuple[float, float, float]) -> tuple[Tensor, Tensor]:
    """Return the images minus `mean` as (N, 3, H, W) in units of 127.5, and their class indices."""
    images = [np.load(path) for path in arrays]
    x = torch.from_numpy(np.concatenate(images)).float()
    labels = torch.cat([torch.full((len(p),), index) for index, p in enumerate(images)])
    x = ((x - torch.tensor(mean)) / UNIT).permute(0, 3, 1, 2)
    return x.contiguous(memory_format=torch.channels_last), labels


def fit(model: nn.Module, x: Tensor, labels: Tensor, steps: int) -> None:
    """Train with balanced classes and random shift, contrast and colour."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    weights = 1.0 / torch.bincount(labels).float()[labels]
    model.train()
    for step in range(steps):
        rows = torch.multinomial(weights, 128, replacement=True)
        loss = nn.functional.cross_entropy(model(_augment(x[rows])), labels[rows], label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 99:
            print(f"step {step + 1} of {steps}, loss {loss.item():.3f}", file=sys.stderr, flush=True)


def _augment(x: Tensor) -> Tensor:
    """Shift the batch by up to 3 pixels; change contrast, brightness and colour balance per image, and add noise."""
    dy, dx = torch.randint(-3, 4, (2,)).tolist()
    x = torch.roll(x, (dy, dx), (2, 3))
    contrast = torch.empty(len(x), 1, 1, 1).uniform_(0.6, 1.4)
    tint = torch.randn(len(x), 3, 1, 1) * 0.1 + torch.randn(len(x), 1, 1, 1) * 0.1
    return (x * contrast + tint + 0.02 * torch.randn_like(x)).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def accuracy(model: nn.Module, x: Tensor, labels: Tensor) -> float:
    """Return the share of images classified correctly."""
    model.eval()
    guesses = torch.cat([model(part).argmax(1) for part in x.split(256)])
    return float((guesses == labels).float().mean())
