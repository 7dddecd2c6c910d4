"""Checkpoints: the progress of a shard, at a path keyed by everything the shard depends on."""

import hashlib
import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from wframe.files import atomic_write


def stem(key: str) -> str:
    """Return what the names of a work's files in the folder of checkpoints begin with."""
    return key[:16]


def remove(folder: Path, key: str) -> None:
    """Remove a work's checkpoints, once its results are written, and temporary files left by killed processes.

    Keep temporary files younger than a minute: another process may be writing them for the same work.
    """
    for path in folder.glob(f"{stem(key)}*"):
        path.unlink(missing_ok=True)
    for part in folder.glob(f".{stem(key)}*.part"):
        with suppress(FileNotFoundError):
            if time.time() - part.stat().st_mtime > 60:
                part.unlink()


def save(path: Path, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write a checkpoint atomically, with a checksum of its tensors."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_write(path) as part:
        save_file(whole, part, {"about": json.dumps(about | {"sha256": _digest(whole)}, sort_keys=True)})


def load(path: Path, key: str, device: torch.device) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Read the checkpoint at `path`; None if there is none.

    A checkpoint that is corrupt or belongs to other work (its `key` differs) is renamed to `*.unusable`, with a
    message, and the work starts from the beginning.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})["about"])
            if about["key"] != key:
                raise ValueError("it belongs to other work")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if about["sha256"] != _digest(tensors):
            raise ValueError("its content has changed since it was written")
        return {name: tensor.to(device) for name, tensor in tensors.items()}, about
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        aside = path.with_suffix(".unusable")
        path.replace(aside)
        print(
            f"checkpoint {path} can't be used ({error}): renamed to {aside.name}, starting from the beginning",
            file=sys.stderr,
        )
        return None


def _digest(tensors: dict[str, Tensor]) -> str:
    """Return one SHA-256 over names, types, shapes and bytes of all tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
