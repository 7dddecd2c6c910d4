"""The filter bank F: the first four convolutional layers of a VGG-16, or the builtin bank of the same shape.

A bank is frozen: 3→64→64, a 2×2 max pool, →128→128, all 3×3 with ReLU. It includes its calibration, because the
meaning of R, λ and β depends on the scale of its responses.
"""

import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from wframe.errors import UserError
from wframe.files import atomic_write, sha256_file

LAYERS = {"0": (64, 3), "2": (64, 64), "5": (128, 64), "7": (128, 128)}  # torchvision's names: (out, in)
CAFFE_MEAN = (123.68, 116.779, 103.939)  # RGB, of the original VGG-16
# the original VGG-16's first weight identifies its channel order
CAFFE_FIRST_WEIGHT = {"RGB": 0.4800154, "BGR": 0.42947057}


@dataclass(frozen=True, eq=False)
class Bank:
    """The frozen filters, for images x = (RGB − mean) / unit.

    Responses are divided by the same unit. Since ReLU is homogeneous, F(unit·x)/unit is the same network with its
    biases divided by `unit`.
    """

    layers: tuple[tuple[Tensor, Tensor], ...]  # four (weight OIHW, bias O)
    mean: tuple[float, float, float]  # RGB, 0..255
    about: dict[str, Any]  # name, origin, calibration, ...
    sha256: str
    layout: torch.memory_format = torch.channels_last
    precision: str = "fp32"  # of the convolutions in Langevin steps: "fp32", "tf32" (on a GPU) or "bf16"

    @cached_property
    def transposed(self) -> tuple[Tensor, ...]:
        """Each layer's weights for its transposed convolution (flipped, with in and out channels exchanged)."""
        return tuple(w.flip(2, 3).transpose(0, 1).contiguous(memory_format=self.layout) for w, _ in self.layers)

    @cached_property
    def sampler(self) -> "Bank":
        """The same bank for Langevin steps, in their precision."""
        if self.precision != "bf16":
            return self
        return replace(self, layers=tuple((w.bfloat16(), b.bfloat16()) for w, b in self.layers))

    def to(
        self,
        unit: float,
        device: torch.device | str = "cpu",
        precision: str = "fp32",
        layout: torch.memory_format = torch.channels_last,
    ) -> "Bank":
        """Return the bank for pixels in `unit`, with this device, precision and memory layout.

        The precision is the sampler's, and all else is in fp32; or `fp64`, for everything.
        """
        dtype = torch.float64 if precision == "fp64" else torch.float32
        layers = tuple(
            (w.to(device, dtype).contiguous(memory_format=layout), (b / unit).to(device, dtype)) for w, b in self.layers
        )
        return replace(self, layers=layers, layout=layout, precision=precision)

    def pixels(self, images: np.ndarray, unit: float) -> Tensor:
        """Return x = (RGB − mean) / unit, float32 (…, 3, H, W), for uint8 images (…, H, W, 3)."""
        x = torch.from_numpy(np.ascontiguousarray(images)).to(torch.float32)
        return ((x - torch.tensor(self.mean)) / unit).movedim(-1, -3).contiguous()

    def images(self, x: Tensor, unit: float) -> np.ndarray:
        """Return uint8 RGB images (…, H, W, 3) for x (…, 3, H, W): the inverse of `pixels`, clipped to 0..255."""
        rgb = x.detach().cpu().movedim(-3, -1) * unit + torch.tensor(self.mean)
        return rgb.round().clamp(0, 255).to(torch.uint8).numpy()


def save_bank(path: Path | str, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write a bank: the weights, with `about` (which must have channels, mean and calibration) as metadata."""
    whole = {name: tensor.to(torch.float32).contiguous() for name, tensor in tensors.items()}
    with atomic_write(path) as part:
        save_file(whole, part, {"wframe": json.dumps(about, sort_keys=True)})


def load_bank(path: Path | str) -> Bank:
    """Read a bank.

    Raises:
        UserError: the file is missing, truncated or not a bank, a shape is wrong, or the channel order is missing or
            wrong.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: there is no such bank. Make it with `wframe bank`.")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not a complete bank file ({error}). Make it again with `wframe bank`.") from error
    if "wframe" not in metadata:
        raise UserError(f"{path}: no `wframe` metadata, so its channel order and mean are unknown; use `wframe bank`")
    about = json.loads(metadata["wframe"])
    check_weights(tensors, about.get("channels"), str(path))
    if about["channels"] != "RGB":
        raise UserError(f"{path}: a bank's channels are RGB, not {about['channels']!r}; use `wframe bank`")
    gain = float(about["calibration"]["gain"])
    layers = [(tensors[f"{name}.weight"], tensors[f"{name}.bias"]) for name in LAYERS]
    layers[-1] = (layers[-1][0] * gain, layers[-1][1] * gain)
    return Bank(tuple(layers), tuple(about["mean"]), about, sha256_file(path))


def check_weights(tensors: dict[str, Tensor], channels: str | None, where: str) -> None:
    """Refuse weights that aren't four layers of the paper's shape, or whose channel order is wrong.

    Raises:
        UserError: names the tensor and what was expected.
    """
    for name, (out, in_) in LAYERS.items():
        for key, shape in ((f"{name}.weight", (out, in_, 3, 3)), (f"{name}.bias", (out,))):
            if key not in tensors:
                raise UserError(f"{where}: {key} is missing; expected a VGG-16 (keys 0, 2, 5, 7 of `features`)")
            if tuple(tensors[key].shape) != shape:
                raise UserError(f"{where}: {key} is {tuple(tensors[key].shape)}, expected {shape}")
            if not torch.isfinite(tensors[key]).all():
                raise UserError(f"{where}: {key} has non-finite values")
    if channels not in ("RGB", "BGR"):
        raise UserError(f"{where}: the channel order must be RGB or BGR, not {channels!r}")
    for order, value in CAFFE_FIRST_WEIGHT.items():
        if abs(float(tensors["0.weight"][0, 0, 0, 0]) - value) < 1e-4 and order != channels:
            raise UserError(f"{where}: the channel order is given as {channels}, but these VGG-16 weights are {order}")
