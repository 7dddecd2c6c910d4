"""Pickled arrays, read without building any object that the file chooses.

CIFAR-10's batches are pickles. NumPy's own unpickling lets a file set a dtype's flags, so that raw bytes become
pointers to objects. Here the few names that arrays use stand for the functions below, and nothing else is called.
"""

import io
import pickle
import re
from typing import Any

import numpy as np

PLAIN = re.compile(r"[iu][1248]")  # integers: no objects, no text, no structures


class _DType:
    """What a file says of an array's type; `__setstate__` takes the byte order and ignores flags."""

    def __init__(self, name: str, *_: object) -> None:
        if not PLAIN.fullmatch(name):
            raise pickle.UnpicklingError(f"it has values of type {name!r}, not integers")
        self.name, self.order = name, "|"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] not in ("|", "<", ">", "="):
            raise pickle.UnpicklingError(f"it has an array in byte order {state[1]!r}")
        self.order = state[1]


class _Array:
    """An array as its file describes it: shape, type, bytes."""

    def __init__(self, *_: object) -> None:
        self.parts: tuple[tuple[int, ...], _DType, bool, bytes | str] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.parts = state[1], state[2], bool(state[3]), state[4]

    def read(self) -> np.ndarray:
        if self.parts is None or not isinstance(self.parts[1], _DType):
            raise pickle.UnpicklingError("it has an array without content")
        shape, dtype, by_column, content = self.parts
        content = content.encode("latin1") if isinstance(content, str) else content  # Python 2 wrote text
        values = np.frombuffer(content, np.dtype(dtype.order.replace("|", "=") + dtype.name))
        return values.reshape(shape, order="F" if by_column else "C")


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _frombuffer(content: bytes, dtype: _DType, shape: tuple[int, ...], order: str, *_: object) -> _Array:
    """Stand for what NumPy writes with pickle protocol 5."""
    array = _Array()
    array.parts = shape, dtype, order == "F", content
    return array


def _scalar(dtype: _DType, content: bytes | str) -> _Array:
    array = _Array()
    array.parts = (), dtype, False, content
    return array


def _encode(text: str, encoding: str) -> bytes:
    """Stand for what Python 3 writes for bytes with protocol 2 or below."""
    return text.encode("latin1") if encoding == "latin1" else text.encode("utf-8")


STAND_INS = {
    "numpy.ndarray": _Array,
    "numpy.dtype": _DType,
    "numpy.core.multiarray._reconstruct": _reconstruct,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy.core.numeric._frombuffer": _frombuffer,
    "_codecs.encode": _encode,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        full_name = f"{module}.{name}".replace("numpy._core.", "numpy.core.")  # NumPy 2 renamed it
        if full_name not in STAND_INS:
            raise pickle.UnpicklingError(f"it wants to run {module}.{name}")
        return STAND_INS[full_name]


def load(content: bytes) -> Any:
    """Return a pickle's plain values, lists, dicts and integer arrays.

    Raises:
        Exception: whatever a broken pickle's bytes happen to say; `pickle.UnpicklingError` if it names anything else
    """
    return _plain(_Unpickler(io.BytesIO(content), encoding="latin1").load())


def _plain(value: Any) -> Any:
    if isinstance(value, _Array):
        array = value.read()
        return array if array.shape else array.item()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(item) for item in value)
    return value
