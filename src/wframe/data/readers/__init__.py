"""The readers: one module for each kind of dataset, known by its name.

A reader has `read(path, class_)`, which yields the images of one class (`all`: of every class) in the dataset's own
order, one at a time, as `Candidate`s; no image is decoded before `prepare` asks for it. Where counting needs no pass
through the data, it has `count(path, class_)` as well.
"""

import importlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import NamedTuple

import numpy as np


class Candidate(NamedTuple):
    """An image that may be used: where it is in the dataset, and how to get it."""

    source: str  # path below the dataset's root, archive member, lmdb key, or batch and row
    read: Callable[[], bytes | np.ndarray]  # an image file's bytes, or pixels (H, W, 3) uint8; valid until the next
    box: tuple[int, int, int, int] | None = None  # left, top, right, bottom, if only a part is meant
    refuse: str | None = None  # why it can't be used, if that is known beforehand


def candidates(source: str, path: str, class_: str, **columns: str) -> Iterator[Candidate]:
    """Yield the images of a class, by the reader called `source`; `columns` are for the one that has some.

    Raises:
        UserError: the data or the class isn't there, or isn't whole; the message says what was expected.
    """
    return _reader(source).read(path, class_, **columns)


def count(source: str, path: str, class_: str, **columns: str) -> int:
    """Return how many candidates there are, without decoding images."""
    return count_with(_reader(source), path, class_, **columns)


def count_with(reader: ModuleType, path: str, class_: str, **columns: str) -> int:
    """Return the reader's own count, where it has one; else the number of candidates that it yields."""
    if hasattr(reader, "count"):
        return reader.count(path, class_, **columns)
    return sum(1 for _ in reader.read(path, class_, **columns))


def _reader(source: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{source}")
