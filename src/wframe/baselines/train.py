"""`wframe baseline`: train a baseline on prepared images; samples, losses and a record."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors

from wframe.baselines.batches import Batches
from wframe.baselines.trainer import Trained, Work, train
from wframe.config.base import explain, with_changes
from wframe.config.baselines import SETTINGS, training
from wframe.config.training import Training
from wframe.data.arrays import load_all, load_images
from wframe.errors import UserError
from wframe.files import atomic_write, sha256_file, sha256_json, write_json
from wframe.runtime import checkpoint
from wframe.runtime.code import code_hash
from wframe.runtime.machine import trained_by
from wframe.runtime.process import Stopped, choose_device, configure_process


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe baseline`."""
    add = parser.add_argument
    add("--images", type=Path, nargs="+", required=True, help="prepared images (.npy), one file per class")
    add("--out", type=Path, required=True, help="results: OUT.safetensors, OUT-weights.safetensors, .parquet, .json")
    add("--settings", type=json.loads, default={}, help="the training's settings as JSON")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="one setting, e.g. --set steps=1000")
    add("--dataset", default="images", help="a name, for the random key and the record")
    add("--class", dest="class_", default="all", help="a name, for the random key and the record")
    add("--repeat", type=int, default=0, help="another repeat has other initial weights, batches and z")
    add("--seed", type=int, default=0)
    add("--device", choices=["auto", "cpu", "cuda"], default="auto")
    add("--threads", type=int, help="CPU threads; default: all that this process may use")
    add("--checkpoints", type=Path, help="folder for checkpoints; default: .checkpoints beside OUT")
    add("--checkpoint-every", type=float, default=60.0, metavar="SECONDS")


def main(args: argparse.Namespace) -> int:
    """Train one baseline; on a signal save a checkpoint and return 75 (the same command continues)."""
    begin = time.monotonic()
    settings = parse_settings(args.settings, args.set)
    configure_process(args.threads)
    device = choose_device(args.device)
    torch.backends.cudnn.allow_tf32 = True  # as in PyTorch by default
    images = load_training_images(args.images, settings)
    identity = _identity(args, settings, device)
    names = (args.seed, args.dataset, args.class_, settings.model, args.repeat)
    work = Work(
        Batches(settings, images, names, device, classes_of(args.images, settings)),
        key=sha256_json(identity),
        checkpoints=args.checkpoints or args.out.parent / ".checkpoints",
        every=args.checkpoint_every,
        title=f"{settings.model} on {args.dataset}/{args.class_}",
    )
    try:
        trained = train(work)
    except Stopped as stopped:
        print(f"{work.title}: {stopped}", file=sys.stderr)
        return 75
    write_results(args.out, trained, settings)
    record = identity | _about_training(trained, images) | trained_by(begin, device)
    write_json(args.out.with_name(args.out.name + ".json"), record)
    checkpoint.remove(work.checkpoints, work.key)
    return 0


def _identity(args: argparse.Namespace, settings: Training, device: torch.device) -> dict[str, Any]:
    """Return everything that the result depends on: its hash is the key of the checkpoints."""
    return {
        "run": {"dataset": args.dataset, "class": args.class_, "repeat": args.repeat},
        "seed": args.seed,
        "settings": settings.model_dump(mode="json"),
        "inputs": {"/".join(path.parts[-2:]): sha256_file(path) for path in args.images},
        "code": code_hash("wframe.baselines.train", f"wframe.baselines.{settings.model}"),
        "device": device.type,
    }


def _about_training(trained: Trained, images: np.ndarray) -> dict[str, Any]:
    """Return what the record says of the training, and of the images (N, S, S, 3) beside its samples."""
    return {
        "images": len(images),
        "spread": {"samples": spread(trained.images), "images": spread(images)},
        "diverged": trained.diverged,
        "resumed": trained.resumed,
        "steps_run": trained.steps,
        "training_seconds": round(trained.seconds, 3),
    }


def parse_settings(values: dict[str, Any], changes: list[str]) -> Training:
    """Return the settings, checked.

    Raises:
        UserError: an unknown name or an impossible value.
    """
    values = with_changes(values, changes)
    try:
        return training(values)
    except ValidationError as error:
        raise UserError(explain(error, "the settings", SETTINGS.get(str(values.get("model"))))) from None


def load_training_images(files: list[Path], settings: Training) -> np.ndarray:
    """Return the images to train on, (N, S, S, 3) uint8, of all files together.

    Raises:
        UserError: not prepared arrays, sides that the networks can't make, or fewer images than a batch.
    """
    images = load_all(files, settings.images)
    height, width = images.shape[1:3]
    if height != width:
        raise UserError(f"{files[0]}: images of {width}×{height} pixels aren't square")
    if problem := settings.unsupported_side(height):
        raise UserError(f"{files[0]}: {problem}")
    for path in files:
        if (found := len(load_images(path))) < (settings.images or 0):
            raise UserError(f"{path}: {found:,} images, but images = {settings.images:,}")
    if max(len(images), settings.duplicate_to or 0) < settings.batch:
        raise UserError(
            f"{len(images)} images are less than a batch of {settings.batch}: "
            f"set duplicate_to (the paper repeats a few up to 10,000), or a smaller batch"
        )
    return images


def classes_of(files: list[Path], settings: Training) -> np.ndarray:
    """Return each training image's class: that of its file, from 0."""
    counts = [len(load_images(path)[: settings.images]) for path in files]
    return np.repeat(np.arange(len(files)), counts)


def spread(images: np.ndarray, pairs: int = 1000) -> float | None:
    """Return the mean root-mean-square difference of random pairs, in grey levels: 0 if all images are the same."""
    n, rng = len(images), np.random.default_rng(0)
    if n < 2:
        return None
    first = rng.integers(n, size=pairs)
    second = (first + 1 + rng.integers(n - 1, size=pairs)) % n
    differences = images[first].astype(np.float32) - images[second]
    return round(float(np.sqrt(np.square(differences).mean((1, 2, 3))).mean()), 3)


def write_results(out: Path, trained: Trained, settings: Training) -> None:
    """Write OUT.safetensors (images, snapshots), OUT.parquet (every step's measures), OUT-weights.safetensors."""
    with atomic_write(out.with_name(out.name + ".safetensors")) as part:
        save_file({"images": trained.images, "snapshots": trained.snapshots}, part)
    with atomic_write(out.with_name(out.name + ".parquet")) as part:
        trained.measures.to_parquet(part, index=False)
    about = {"wframe": json.dumps({"settings": settings.model_dump(mode="json"), "side": trained.images.shape[1]})}
    with atomic_write(out.with_name(out.name + "-weights.safetensors")) as part:
        save_tensors({name: tensor.contiguous() for name, tensor in trained.weights.items()}, part, about)
