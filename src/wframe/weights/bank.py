"""`wframe bank`: make an edition's bank file, from the builtin bank or from VGG-16 weights."""

import argparse
import shutil
from pathlib import Path

from wframe.errors import UserError
from wframe.files import atomic_write, sha256_file
from wframe.model.bank import CAFFE_FIRST_WEIGHT, CAFFE_MEAN, LAYERS, check_weights, load_bank, save_bank
from wframe.weights import BUILTIN_BANK
from wframe.weights.tensors import read_tensors


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe bank`."""
    add = parser.add_argument
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--builtin", action="store_true", help="check the package's bank and copy it")
    source.add_argument(
        "--vgg16", type=Path, metavar="WEIGHTS", help="convert VGG-16 weights (.safetensors, .pth or .npz)"
    )
    add("--data", type=Path, default=Path(), help="the folder that contains WEIGHTS; default: the current one")
    add("--out", type=Path, required=True, help="the bank file to write (.safetensors)")
    add("--channels", choices=["RGB", "BGR"], help="channel order of WEIGHTS, if it can't be recognised")


def main(args: argparse.Namespace) -> None:
    """Write a bank file and print its name and origin."""
    if args.vgg16:
        convert(args.data / args.vgg16, args.out, args.channels)
    else:
        load_bank(BUILTIN_BANK)
        with atomic_write(args.out) as part:
            shutil.copyfile(BUILTIN_BANK, part)
    about = load_bank(args.out).about
    print(f"{args.out}: {about['name']}, {about['origin']}")


def convert(weights: Path, out: Path, channels: str | None = None) -> None:
    """Convert the original (Caffe) VGG-16 weights, as in torchvision's IMAGENET1K_FEATURES, to a bank.

    Raises:
        UserError: the file is missing or truncated, shapes are wrong, or the channel order is unknown or wrong.
    """
    tensors = {name.removeprefix("features."): value.float() for name, value in read_tensors(weights).items()}
    first = float(tensors["0.weight"].flatten()[0]) if "0.weight" in tensors else float("nan")
    known = [order for order, value in CAFFE_FIRST_WEIGHT.items() if abs(first - value) < 1e-4]
    order = channels or (known[0] if known else None)
    if order is None and "0.weight" in tensors:
        raise UserError(
            f"{weights}: these aren't the original VGG-16 weights (torchvision's IMAGENET1K_FEATURES; its "
            f"IMAGENET1K_V1 expect pixels of another scale). If they take 0..255 minus the Caffe mean, pass --channels."
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
