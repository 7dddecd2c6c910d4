"""`wframe gain`: how near the penalty's own step of θ is to the edge beyond which it can't settle, for each group.

By the penalty alone θ takes an explicit step with the gain g = λβe/D, e the largest eigenvalue of the group's mean
JJᵀ on its observed images, D the number of values of an image. As printed it settles for g < 2; with the delayed
penalty E[θ²] settles for g < √21 − 3, and almost every path for somewhat more (see `wframe.theory.stability`). λ and β
differ between settings, so the table has g for λβ = 1, to be multiplied.
"""

import argparse
from pathlib import Path

import pandas as pd
import torch

from wframe.data.arrays import load_images
from wframe.data.groups import cut
from wframe.files import atomic_write
from wframe.model.bank import load_bank
from wframe.model.readings import UNIT
from wframe.runtime.process import configure_process
from wframe.theory.stability import penalty_gain

GROUPS = 20  # of each class, at most: the gain differs little between groups


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe gain`."""
    add = parser.add_argument
    add("--observed", type=Path, nargs="+", required=True, help="prepared arrays (DATASET/CLASS.npy)")
    add("--bank", type=Path, required=True, help="the bank file")
    add("--group-size", type=int, default=9, help="images in a group (M of Algorithm 1)")
    add("--threads", type=int, help="CPU threads; default: all that this process may use")
    add("--out", type=Path, required=True, help="the table to write (.csv): dataset, class, group, gain for λβ = 1")


def main(args: argparse.Namespace) -> None:
    """Write the table."""
    configure_process(args.threads)
    bank, rows = load_bank(args.bank).to(UNIT), []
    for path in args.observed:
        for group, images in enumerate(cut(load_images(path), args.group_size, GROUPS)):
            with torch.inference_mode():
                gain = penalty_gain(bank, bank.pixels(images, UNIT), 1.0, 1.0, iterations=50, tolerance=1e-3)
            rows.append((path.parent.name, path.stem, group, gain))
    with atomic_write(args.out) as part:
        pd.DataFrame(rows, columns=["dataset", "class", "group", "gain"]).to_csv(part, index=False)
