"""CIFAR-10's Python batches."""

import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from wframe.data.readers import Candidate, _pickles
from wframe.data.readers._files import split_place, tar_bytes
from wframe.errors import UserError


def read(path: str, class_: str) -> Iterator[Candidate]:
    """CIFAR-10's Python batches: `cifar-10-batches-py`, the folder that holds it, or `cifar-10-python.tar.gz`.

    `PATH!test` is the test set. Partial batches are taken as they are.
    """
    root, split = split_place(path)
    if split not in ("", "train", "test"):
        raise UserError(f"{path}: CIFAR-10 has a train and a test part, no {split!r}")
    if (root / "cifar-10-batches-py").is_dir():
        root /= "cifar-10-batches-py"
    names = _unpickle(root, "batches.meta").get("label_names", [])
    if class_ != "all" and class_ not in names:
        raise UserError(f"CIFAR-10 has no class {class_!r} (it has: {', '.join(names)})")
    for batch in ["test_batch"] if split == "test" else [f"data_batch_{index}" for index in range(1, 6)]:
        content = _unpickle(root, batch)
        data, labels = content.get("data"), content.get("labels", [])
        if not (
            isinstance(data, np.ndarray)
            and data.dtype == np.uint8
            and data.shape == (len(labels), 3072)
            and all(label in range(len(names)) for label in labels)
        ):
            raise UserError(f"{root}: {batch} isn't a CIFAR-10 batch (rows of 3,072 bytes, a label each)")
        pixels = data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        for row, label in enumerate(labels):
            if class_ in ("all", names[label]):
                yield Candidate(f"{batch}[{row}]", partial(np.ascontiguousarray, pixels[row]))


def _unpickle(root: Path, name: str) -> dict[str, Any]:
    """Return the content of a batch file, in a folder or in the tar archive."""
    try:
        content = _pickles.load(_batch_bytes(root, name))
    except (FileNotFoundError, NotADirectoryError, KeyError):
        raise UserError(f"{root}: no CIFAR-10 here (no {name}). `wframe fetch cifar10` gets it.") from None
    except Exception as error:  # a broken pickle raises whatever its bytes happen to say
        raise UserError(f"{root}: {name} isn't a CIFAR-10 batch ({error}). Fetch it again.") from error
    if not isinstance(content, dict):
        raise UserError(f"{root}: {name} isn't a CIFAR-10 batch (it holds a {type(content).__name__})")
    return content


def _batch_bytes(root: Path, name: str) -> bytes:
    if not root.is_file():
        return (root / name).read_bytes()
    with tarfile.open(root) as tar:
        return tar_bytes(tar, tar.getmember(f"cifar-10-batches-py/{name}"))
