"""Weights files: named tensors, and nothing executable."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from wframe.errors import UserError


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read named tensors from .npz, .safetensors or .pth; refuse a .pth that holds anything but tensors.

    Raises:
        UserError: the file is missing, corrupt or of another kind.
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
        raise UserError(f"{path}: no such weights file. See `wframe data status` for where to get it.") from None
    except SafetensorError as error:
        raise UserError(f"{path}: can't be read ({error}). Fetch it again.") from error
    except Exception as error:  # for a corrupt file, torch and zipfile raise many kinds
        raise UserError(f"{path}: can't be read ({error}). It may be truncated: fetch it again.") from error
