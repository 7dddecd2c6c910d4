"""`wframe make-pocket`: train the pocket classifier, which scores the demo's images.

It is a separate small network: FRAME matches the bank's responses, so a classifier built on them would favour FRAME.
It learns to distinguish the embedded faces, digits and photographs, one prepared array per class. One more class
holds images that show nothing (plain grey or colour, noise), which would otherwise be spread over all classes.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from wframe.files import atomic_write, sha256_file
from wframe.runtime.machine import versions
from wframe.runtime.process import configure_process
from wframe.weights.classifier import accuracy, fit, load_classes
from wframe.weights.pocket import Pocket


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe make-pocket`."""
    add = parser.add_argument
    add("arrays", type=Path, nargs="+", help="prepared arrays (.npy), one class each")
    add("--out", type=Path, required=True, help="the weights file to write (.safetensors)")
    add("--seed", type=int, default=0)
    add("--steps", type=int, default=1200, help="training steps of 128 images")
    add("--threads", type=int)


def main(args: argparse.Namespace) -> None:
    """Train on four fifths of the images, and write the weights with their record and held-out accuracy."""
    configure_process(args.threads)
    torch.manual_seed(args.seed)
    x, labels = load_classes(args.arrays, mean=(127.5, 127.5, 127.5))
    names = [f"{path.parent.name}/{path.stem}" for path in args.arrays] + ["nothing"]
    nothing = plain_and_noise(x.shape[-1])
    x, labels = torch.cat([x, nothing]), torch.cat([labels, torch.full((len(nothing),), len(names) - 1)])
    held = torch.arange(len(x)) % 5 == 4
    network = Pocket(len(names)).to(memory_format=torch.channels_last)
    fit(network, x[~held], labels[~held], args.steps)
    by_class = {
        name: round(accuracy(network, x[held & (labels == index)], labels[held & (labels == index)]), 4)
        for index, name in enumerate(names)
    }
    about: dict[str, Any] = {
        "command": f"wframe make-pocket ... --seed {args.seed} --steps {args.steps}",
        "data": {name: sha256_file(path) for name, path in zip(names[:-1], args.arrays, strict=True)},
        "seed": args.seed,
        "held_out_accuracy": round(accuracy(network, x[held], labels[held]), 4),
        "held_out_accuracy_by_class": by_class,
        "held_out_images": int(held.sum()),
        "versions": versions("torch", "numpy"),
    }
    with atomic_write(args.out) as part:
        tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
        save_file(tensors, part, {"wframe": json.dumps(about, sort_keys=True)})
    print(f"{args.out}: held-out accuracy {about['held_out_accuracy']:.3f}", file=sys.stderr)


def plain_and_noise(side: int, count: int = 400) -> Tensor:
    """Return images that show nothing, in −1..1, (count, 3, side, side): plain grey or colour, some with noise."""
    grey = torch.rand(count, 1, 1, 1).expand(count, 3, 1, 1) * 2 - 1
    colour = torch.where(torch.arange(count)[:, None, None, None] % 2 == 0, grey, torch.rand(count, 3, 1, 1) * 2 - 1)
    noise = (torch.rand(count, 3, side, side) * 2 - 1) * torch.rand(count, 1, 1, 1)
    noise[torch.arange(count) % 3 == 0] = 0
    return (colour + noise).clamp(-1, 1).contiguous(memory_format=torch.channels_last)
