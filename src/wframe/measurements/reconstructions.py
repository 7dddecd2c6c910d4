"""`wframe reconstruct`: how far held-out images are from their reconstructions.

"GANs … perform badly in descriptive situations, for example, the image reconstruction task", says the paper. So here
are x → z → x̂ of a baseline with an encoder (ALI), and what FRAME and wFRAME make of the same images: each learns θ from
nine of them, then L Langevin steps start at the images themselves. (Neither is told the images otherwise: the baseline
sees them once, FRAME's θ is learned from them.) Beside them stand the nearest training image, another held-out
image, and one grey level: what is no reconstruction at all. All rows of the table are of the same images.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.numpy import save_file

from wframe.baselines.batches import to_images, to_pixels
from wframe.baselines.trainer import load
from wframe.config.learning import Learning
from wframe.data.arrays import load_all
from wframe.errors import UserError
from wframe.files import atomic_write
from wframe.model.algorithm import iterate, observe, start
from wframe.model.bank import Bank, load_bank
from wframe.model.constants import Constants
from wframe.model.energy import responses
from wframe.model.noise import group_key, key_tensor
from wframe.runtime.process import configure_process
from wframe.runtime.progress import Progress
from wframe.scores.nearest import unseen

SHOWN = 18  # images kept for the figure
GREY = 128  # shown where there is no reconstruction


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe reconstruct`."""
    add = parser.add_argument
    add("--weights", type=Path, required=True, help="the baseline's trained networks (OUT-weights.safetensors)")
    add("--name", default="baseline", help="what the table calls it")
    add("--held-out", type=Path, nargs="+", required=True, help="real images; those trained on don't count")
    add("--training", type=Path, nargs="+", required=True, help="the prepared arrays that it was trained on")
    add("--images", type=int, help="only this many images of each array, the first, were trained on")
    add("--bank", type=Path, required=True, help="the bank file, for FRAME and wFRAME")
    add("--constants", type=json.loads, default={}, help="Algorithm 1's constants as JSON; FRAME has β = 0")
    add("--groups", type=int, default=1, help="groups of nine held-out images, drawn at random, to reconstruct")
    add("--threads", type=int, help="CPU threads; default: all that this process may use")
    add("--out", type=Path, required=True, help="the table to write (.csv: whose, index, distance), images beside it")


def main(args: argparse.Namespace) -> None:
    """Write the table, and the first images with their reconstructions (.safetensors)."""
    configure_process(args.threads)
    training = load_all(args.training, args.images)
    held_out = unseen(load_all(args.held_out), training)
    if len(held_out) < 2:
        raise UserError(f"{args.held_out[0]}: all its images were trained on, so that none can be held out")
    wframe = Constants(**Learning.model_validate(args.constants).model_dump())
    x = np.random.default_rng(0).permutation(held_out)[: args.groups * wframe.M]
    x = x[: len(x) // wframe.M * wframe.M or None]  # fewer than a group: without FRAME and wFRAME
    model = load(args.weights, torch.device("cpu"))
    if not hasattr(model, "reconstruct"):
        raise UserError(f"{args.weights}: this model has no encoder, so it reconstructs nothing")
    torch.manual_seed(group_key("reconstruct"))
    pixels = model.reconstruct(to_pixels(torch.from_numpy(x)))
    made = {args.name: to_images(pixels).numpy()}
    failed = {args.name: ~pixels.isfinite().flatten(1).all(1).numpy()}
    bank = load_bank(args.bank)
    for method, constants in (("frame", wframe._replace(beta=0.0)), ("wframe", wframe)):
        made[method], failed[method] = by_langevin(x, bank, constants, method)
    made["nearest training image"] = training[nearest(x, training)]
    made["another held-out image"] = np.roll(x, 1, axis=0)
    made["its mean colour"] = np.broadcast_to(x.mean((1, 2), keepdims=True).round().astype(np.uint8), x.shape)
    rows = [
        (whose, index, value)
        for whose, images in made.items()
        for index, value in enumerate(distances(x, images, failed.get(whose)))
    ]
    with atomic_write(args.out) as part:
        pd.DataFrame(rows, columns=["whose", "index", "distance"]).to_csv(part, index=False, float_format="%.4f")
    shown = {"images": x} | made
    with atomic_write(args.out.with_suffix(".safetensors")) as part:
        save_file({name: np.ascontiguousarray(images[:SHOWN]) for name, images in shown.items()}, part)


def distances(x: np.ndarray, y: np.ndarray, failed: np.ndarray | None = None) -> np.ndarray:
    """Return the root-mean-square distance of images to others, each in grey levels; as many as there are of both.

    It is infinite where `failed`: there is no reconstruction.
    """
    count = min(len(x), len(y))
    far = np.sqrt(np.square(x[:count].astype(np.float64) - y[:count]).mean((1, 2, 3)))
    return far if failed is None else np.where(failed[:count], np.inf, far)


def nearest(x: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Return the row of each image's nearest training image."""
    of_x, of_training = (torch.from_numpy(np.ascontiguousarray(part)).flatten(1).float() for part in (x, training))
    return torch.cdist(of_x, of_training).argmin(1).numpy()


@torch.inference_mode()
def by_langevin(images: np.ndarray, bank: Bank, constants: Constants, title: str) -> tuple[np.ndarray, np.ndarray]:
    """Return where L Langevin steps lead from images themselves, under the θ that Algorithm 1 learns from them.

    The second array says which images failed: their group diverged. They are grey, since the chains of such a group
    are held where they began, at the images themselves.
    """
    c, groups = constants, len(images) // constants.M
    if groups == 0:
        return images[:0], np.zeros(0, bool)
    bank = bank.to(c.unit)
    observed = observe(bank, c, bank.pixels(images[: groups * c.M].reshape(groups, c.M, *images.shape[1:]), c.unit))
    keys = key_tensor([group_key("reconstruct", group) for group in range(groups)])
    state = start(bank, observed)
    with Progress(f"{title}, {groups} groups", c.T, unit="iterations") as progress:
        for t in range(c.T):
            state, _ = iterate(bank, c, keys, observed, state)
            progress.advance(1, f"iteration {t + 1}")
    from_images = state._replace(x=observed.y, r=responses(bank, observed.y.flatten(0, 1)))
    reached, _ = iterate(bank, c._replace(lambda_=0.0), keys, observed, from_images)
    made = bank.images(reached.x, c.unit).reshape(-1, *images.shape[1:])
    failed = (reached.diverged >= 0).cpu().numpy().repeat(c.M)
    made[failed] = GREY
    return made, failed
