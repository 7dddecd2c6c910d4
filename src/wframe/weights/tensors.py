"""Weights files: named tensors, and nothing executable."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from wframe.errors import UserError

LFS = b"version https://git-lfs"


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
        with path.open("rb") as stream:
            if stream.read(len(LFS)) == LFS:
                raise UserError(f"{path}: a git-lfs pointer, not the file itself. Run `git lfs pull` at its source.")
        raw: Any = torch.load(path, map_location="cpu", weights_only=True)
        for name in ("state_dict", "model"):  # a training checkpoint that contains the weights
            raw = raw[name] if isinstance(raw, dict) and isinstance(raw.get(name), dict) else raw
        return {name: value for name, value in dict(raw).items() if isinstance(value, Tensor)}
    except UserError:
        raise
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: refused, because it holds more than tensors and could run code ({str(error).splitlines()[0]}). "
            f"Save its state_dict alone, or get the weights from a source that you trust."
        ) from error
    except FileNotFoundError:
        raise UserError(f"{path}: no such weights file. See `wframe data status` for where to get it.") from None
    except SafetensorError as error:
        raise UserError(f"{path}: can't be read ({error}). Fetch it again.") from error
    except Exception as error:  # for a corrupt file, torch and zipfile raise many kinds
        raise UserError(f"{path}: can't be read ({error}). It may be truncated: fetch it again.") from error
