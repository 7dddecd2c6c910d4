"""Weights files: named tensors, and nothing that could run."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from wframe.errors import UserError


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read named tensors from .npz, .safetensors or .pth; a .pth that holds anything but tensors is refused.

    Raises:
        UserError: missing, broken, or not such a file.
    """
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return {name: torch.from_numpy(file[name]) for name in file.files}
        if path.suffix == ".safetensors":
            return load_file(path)
        raw: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return dict(raw)
    except FileNotFoundError:
        raise UserError(f"{path}: no such weights file. `wframe data status` says where to get it.") from None
    except SafetensorError as error:
        raise UserError(f"{path}: can't be read ({error}). Fetch it again.") from error
    except Exception as error:  # a broken file makes torch and zipfile raise many kinds
        raise UserError(f"{path}: can't be read ({error}). It may be cut off: fetch it again.") from error
