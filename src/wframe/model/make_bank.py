"""`wframe bank`: make a bank file, by conversion of VGG-16 weights or by training one of the same shape.

The builtin bank is a small classifier's first four layers: each prepared array is one class. It is trained on
the embedded pictures only, so anyone can make it again.
"""

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wframe.engine.process import settle_process
from wframe.errors import UserError
from wframe.files import sha256_file, written
from wframe.model.bank import (
    CAFFE_FIRST_WEIGHT,
    CAFFE_MEAN,
    LAYERS,
    builtin_path,
    check_weights,
    load_bank,
    save_bank,
)
from wframe.model.energy import responses
from wframe.model.readings import UNIT
from wframe.provenance import versions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe bank`."""
    add = parser.add_argument
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--builtin", action="store_true", help="check the package's bank and copy it")
    way.add_argument("--vgg16", type=Path, metavar="WEIGHTS", help="convert VGG-16 weights (.pth or .npz)")
    way.add_argument(
        "--train", type=Path, nargs="+", metavar="PICTURES", help="train on prepared arrays, a class each"
    )
    add("--data", type=Path, default=Path(), help="the folder that WEIGHTS is below; default: the current one")
    add("--out", type=Path, required=True, help="the bank file to write (.safetensors)")
    add("--channels", choices=["RGB", "BGR"], help="channel order of WEIGHTS, where the file doesn't tell")
    add("--seed", type=int, default=0)
    add("--steps", type=int, default=2000, help="training: steps of 128 pictures")
    add("--response", type=float, default=1.3, help="training: mean response to calibrate to (VGG-16's is 2.6)")
    add("--threads", type=int)


def main(args: argparse.Namespace) -> None:
    """Write a bank file and say what it is."""
    settle_process(args.threads)
    if args.vgg16:
        convert(args.data / args.vgg16, args.out, args.channels)
    elif args.builtin:
        load_bank(builtin_path())
        with written(args.out) as part:
            shutil.copyfile(builtin_path(), part)
    else:
        train(args.train, args.out, args.seed, args.steps, args.response)
    about = load_bank(args.out).about
    print(f"{args.out}: {about['name']}, {about['origin']}")


def convert(weights: Path, out: Path, channels: str | None = None) -> None:
    """Convert the original (Caffe) VGG-16 weights, as torchvision's IMAGENET1K_FEATURES has them, into a bank.

    Raises:
        UserError: missing, truncated, wrong shapes, or a channel order that is unknown or untrue.
    """
    tensors = _read_weights(weights)
    first = float(tensors["0.weight"].flatten()[0]) if "0.weight" in tensors else float("nan")
    known = [order for order, value in CAFFE_FIRST_WEIGHT.items() if abs(first - value) < 1e-4]
    order = channels or (known[0] if known else None)
    if order is None and "0.weight" in tensors:
        raise UserError(
            f"{weights}: these aren't the original VGG-16 weights (torchvision's IMAGENET1K_FEATURES; its "
            f"IMAGENET1K_V1 are others, for other pixels). If they take 0..255 minus the Caffe mean, say --channels."
        )
    check_weights(tensors, order, str(weights))
    tensors = {f"{name}.{kind}": tensors[f"{name}.{kind}"] for name in LAYERS for kind in ("weight", "bias")}
    if order == "BGR":
        tensors["0.weight"] = tensors["0.weight"].flip(1)
    save_bank(
        out,
        tensors,
        {
            "name": "vgg16",
            "origin": f"first four convolutional layers of {weights.name}",
            "source_sha256": sha256_file(weights),
            "channels": "RGB",
            "mean": CAFFE_MEAN,
            "calibration": {"gain": 1.0, "note": "the paper's own bank"},
        },
    )


def _read_weights(path: Path) -> dict[str, Tensor]:
    """Read named tensors from .npz or .pth, without the `features.` that torchvision puts before the names."""
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                raw: dict[str, Any] = {name: torch.from_numpy(file[name]) for name in file.files}
        else:
            raw = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such weights file. `wframe fetch vgg16` gets it.") from None
    except Exception as error:  # a broken file makes torch and zipfile raise many kinds
        raise UserError(f"{path}: can't be read ({error}). It may be cut off: fetch it again.") from error
    return {name.removeprefix("features."): value.float() for name, value in raw.items()}


class Classifier(nn.Module):
    """The bank's four layers, then the mean over positions and one linear layer."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        convs = {name: nn.Conv2d(in_, out, 3, padding=1) for name, (out, in_) in LAYERS.items()}
        relus = {str(int(name) + 1): nn.ReLU() for name in LAYERS}
        layers = convs | relus | {"4": nn.MaxPool2d(2)}
        self.features = nn.Sequential()
        for name in sorted(layers, key=int):
            self.features.add_module(name, layers[name])
        self.head = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of x (N, 3, H, W)."""
        return self.head(self.features(x).mean((2, 3)))


def train(arrays: list[Path], out: Path, seed: int, steps: int, response: float) -> None:
    """Train a classifier on prepared arrays (a class each) and keep its first four layers as a bank.

    Every fifth picture is held out for the accuracy. The bank's gain brings its mean response on the held-out
    pictures to `response`.
    """
    torch.manual_seed(seed)
    x, labels = load_classes(arrays, CAFFE_MEAN)
    held = torch.arange(len(x)) % 5 == 4
    model = Classifier(len(arrays)).to(memory_format=torch.channels_last)
    fit(model, x[~held], labels[~held], steps)
    correct = accuracy(model, x[held], labels[held])
    print(f"held-out accuracy {correct:.3f} on {int(held.sum())} pictures of {len(arrays)} classes", file=sys.stderr)

    # biases are stored for grey levels (unit 1), as VGG-16's are
    tensors = {
        name: value.detach() * (UNIT if name.endswith("bias") else 1)
        for name, value in model.features.state_dict().items()
    }
    about: dict[str, Any] = {
        "name": "builtin",
        "origin": f"trained on {len(x)} embedded pictures of {len(arrays)} classes, accuracy {correct:.3f}",
        "command": f"wframe bank --train ... --seed {seed} --steps {steps} --response {response}",
        "data": {f"{path.parent.name}/{path.stem}": sha256_file(path) for path in arrays},
        "seed": seed,
        "held_out_accuracy": round(correct, 4),
        "versions": versions("torch", "numpy"),
        "channels": "RGB",
        "mean": CAFFE_MEAN,
        "calibration": {"gain": 1.0},
    }
    save_bank(out, tensors, about)
    raw = float(responses(load_bank(out).to(UNIT), x[held][:500]).F.mean())
    about["calibration"] = {"gain": response / raw, "raw_response": raw, "mean_response": response}
    save_bank(out, tensors, about)


def load_classes(arrays: list[Path], mean: tuple[float, float, float]) -> tuple[Tensor, Tensor]:
    """Return the pictures minus `mean` as (N, 3, H, W) in units of 127.5, and their class indices."""
    pictures = [np.load(path) for path in arrays]
    x = torch.from_numpy(np.concatenate(pictures)).float()
    labels = torch.cat([torch.full((len(p),), index) for index, p in enumerate(pictures)])
    x = ((x - torch.tensor(mean)) / UNIT).permute(0, 3, 1, 2)
    return x.contiguous(memory_format=torch.channels_last), labels


def fit(model: nn.Module, x: Tensor, labels: Tensor, steps: int) -> None:
    """Train with balanced classes, random mirror, shift, contrast and colour."""
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
    """Shift by up to 3 pixels, change contrast, brightness and the colours' balance, a picture at a time."""
    dy, dx = torch.randint(-3, 4, (2,)).tolist()
    x = torch.roll(x, (dy, dx), (2, 3))
    contrast = torch.empty(len(x), 1, 1, 1).uniform_(0.6, 1.4)
    tint = torch.randn(len(x), 3, 1, 1) * 0.1 + torch.randn(len(x), 1, 1, 1) * 0.1
    return (x * contrast + tint + 0.02 * torch.randn_like(x)).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def accuracy(model: nn.Module, x: Tensor, labels: Tensor) -> float:
    """Return the share of pictures whose largest logit is their class's."""
    model.eval()
    guesses = torch.cat([model(part).argmax(1) for part in x.split(256)])
    return float((guesses == labels).float().mean())
