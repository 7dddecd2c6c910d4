"""`wframe make-bank`: train the builtin bank, the first four layers of a small classifier.

It is trained on embedded images only, so anyone can retrain it (`workflow/builtin-weights.sh`).
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wframe.files import sha256_file
from wframe.model.bank import CAFFE_MEAN, LAYERS, load_bank, save_bank
from wframe.model.energy import responses
from wframe.model.readings import UNIT
from wframe.runtime.machine import versions
from wframe.runtime.process import configure_process
from wframe.weights.classifier import accuracy, fit, load_classes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe make-bank`."""
    add = parser.add_argument
    add("arrays", type=Path, nargs="+", help="prepared arrays (.npy), one class each")
    add("--out", type=Path, required=True, help="the bank file to write (.safetensors)")
    add("--seed", type=int, default=0)
    add("--steps", type=int, default=2000, help="training steps of 128 images")
    add("--response", type=float, default=1.3, help="mean response to calibrate to (VGG-16's is 2.6)")
    add("--threads", type=int)


def main(args: argparse.Namespace) -> None:
    """Train, write the bank, and print its name and origin."""
    configure_process(args.threads)
    train(args.arrays, args.out, args.seed, args.steps, args.response)
    about = load_bank(args.out).about
    print(f"{args.out}: {about['name']}, {about['origin']}")


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
    """Train a classifier on prepared arrays (one class each) and keep its first four layers as a bank.

    Every fifth image is held out to measure the accuracy. The bank's gain scales its mean response on held-out images
    to `response`.
    """
    torch.manual_seed(seed)
    x, labels = load_classes(arrays, CAFFE_MEAN)
    held = torch.arange(len(x)) % 5 == 4
    model = Classifier(len(arrays)).to(memory_format=torch.channels_last)
    fit(model, x[~held], labels[~held], steps)
    correct = accuracy(model, x[held], labels[held])
    print(f"held-out accuracy {correct:.3f} on {int(held.sum())} images of {len(arrays)} classes", file=sys.stderr)

    # biases are stored for grey levels (unit 1), like VGG-16's
    tensors = {
        name: value.detach() * (UNIT if name.endswith("bias") else 1)
        for name, value in model.features.state_dict().items()
    }
    about: dict[str, Any] = {
        "name": "builtin",
        "origin": f"trained on {len(x)} embedded images of {len(arrays)} classes, accuracy {correct:.3f}",
        "command": f"wframe make-bank ... --seed {seed} --steps {steps} --response {response}",
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
