"""`wframe few-images`: are the outputs of a baseline trained on a few images collapsed (the paper's Figure 6)?

The baseline's outputs are taken in consecutive groups of M, all of one training. Of each group: `spread`, the mean
distance between its images; `recall`, which training images it comes nearest to; and R against the training images,
the mean over their groups. Beside them stand a perfect memoriser, whose outputs are drawn from the training images at
random (M draws repeat some and miss others, and that isn't collapse), and groups of real images of the same class that
weren't trained on.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from wframe.data.arrays import load_images
from wframe.files import atomic_write
from wframe.measurements.diversity import recall, spread
from wframe.model.bank import Bank, load_bank
from wframe.model.energy import responses
from wframe.model.measures import response_distance
from wframe.model.readings import UNIT
from wframe.runtime.process import configure_process

DRAWS = 200  # of the memoriser
OUTPUTS = 20  # groups of the baseline's outputs, at most, for each repeat


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe few-images`."""
    add = parser.add_argument
    add(
        "--samples",
        type=Path,
        nargs="+",
        required=True,
        help="the baseline's outputs (.safetensors), for each repeat",
    )
    add("--training", type=Path, nargs="+", required=True, help="the prepared arrays that it was trained on")
    add("--images", type=int, help="only this many images of each array, the first, were trained on")
    add("--bank", type=Path, required=True, help="the bank file")
    add("--group-size", type=int, default=9, help="images in a group (M of Algorithm 1)")
    add("--threads", type=int, help="CPU threads; default: all that this process may use")
    add("--out", type=Path, required=True, help="the table to write (.csv): whose, repeat, index, R, spread, recall")


def main(args: argparse.Namespace) -> None:
    """Write the table."""
    configure_process(args.threads)
    M, bank = args.group_size, load_bank(args.bank).to(UNIT)
    # as the groups were learned: consecutive and of one class
    training = [load_images(path)[: args.images] for path in args.training]
    groups = [images[i : i + M] for images in training for i in range(0, len(images) - M + 1, M)]
    F_training = mean_responses(bank, np.concatenate(groups))
    target = torch.stack([part.mean(0) for part in F_training.split(M)])

    def R(F: Tensor) -> float:
        return float(response_distance(F.mean(0, keepdim=True).expand_as(target), target).mean())

    pool, rows = np.concatenate(groups), []

    def measure(whose: str, repeat: int, index: int, images: np.ndarray, F: Tensor) -> None:
        rows.append((whose, repeat, index, R(F), spread(images), recall(images, pool)))

    drawn = np.random.default_rng(0).integers(len(pool), size=(DRAWS, M))
    for index, chosen in enumerate(drawn):
        measure("memoriser", 0, index, pool[chosen], F_training[chosen])
    for index, images in enumerate(held_out(args.training, args.images, M)):
        measure("held-out", 0, index, images, mean_responses(bank, images))
    for repeat, path in enumerate(args.samples):
        outputs = load_images(path)[: OUTPUTS * M]
        for index, i in enumerate(range(0, len(outputs) - M + 1, M)):
            measure("baseline", repeat, index, outputs[i : i + M], mean_responses(bank, outputs[i : i + M]))
    table = pd.DataFrame(rows, columns=["whose", "repeat", "index", "R", "spread", "recall"]).assign(groups=len(groups))
    with atomic_write(args.out) as part:
        table.to_csv(part, index=False)


def held_out(training: list[Path], images: int | None, M: int) -> list[np.ndarray]:
    """Return groups of M images of each class that weren't trained on, at most OUTPUTS; none where all were."""
    parts = [load_images(path)[images:] for path in training] if images else []
    return [np.array(part[i : i + M]) for part in parts for i in range(0, len(part) - M + 1, M)][:OUTPUTS]


def mean_responses(bank: Bank, images: np.ndarray) -> Tensor:
    """Return F of uint8 images (N, H, W, 3): shape (N, K, h, w)."""
    with torch.inference_mode():
        return responses(bank, bank.pixels(images, UNIT)).F
