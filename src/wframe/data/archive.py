"""Single tensors of a PyTorch file (.pth), without reading the rest, and without running what is in it."""

import math
import pickle
import zipfile
from collections import OrderedDict
from typing import IO, Any, NamedTuple

import numpy as np

from wframe.data.refused import Refused

TYPES = {"FloatStorage": "<f4", "HalfStorage": "<f2", "DoubleStorage": "<f8"}
LARGEST_INDEX = 1 << 20  # bytes


class Storage(NamedTuple):
    """Where a tensor's values are."""

    type: str
    member: str
    numbers: int  # how many


class Piece(NamedTuple):
    """A tensor, not read yet."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]


def read_tensors(stream: IO[bytes], names: list[str]) -> dict[str, np.ndarray]:
    """Return tensors of a PyTorch file by name, each checked against the archive's own checksum (CRC-32).

    The file is a zip archive of uncompressed members: an index, `data.pkl`, and one member for each tensor's values.
    Only the index and what is asked for is read. (Files older than PyTorch 1.6 aren't zip archives.)

    Raises:
        Refused: not such a file, damaged, without one of the tensors, or with more than tensors in its index.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            index = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
            if index is None or archive.getinfo(index).file_size > LARGEST_INDEX:
                raise Refused("not a PyTorch file: no index of tensors")
            folder = index.removesuffix("data.pkl")
            order = f"{folder}byteorder"
            if order in archive.namelist() and archive.read(order) != b"little":
                raise Refused("its numbers aren't little-endian")
            with archive.open(index) as file:
                pieces = _Index(file).load()
            if missing := [name for name in names if not isinstance(pieces.get(name), Piece)]:
                raise Refused(f"it has no tensor {', '.join(missing)}")
            return {name: _read(archive, folder, pieces[name]) for name in names}
    except (zipfile.BadZipFile, pickle.UnpicklingError, EOFError, LookupError, TypeError, ValueError) as error:
        raise Refused(f"not a whole PyTorch file ({error})") from error


def _read(archive: zipfile.ZipFile, folder: str, piece: Piece) -> np.ndarray:
    """Return a tensor's values."""
    kind, member, numbers = piece.storage
    about, dtype = archive.getinfo(f"{folder}data/{member}"), np.dtype(kind)
    if about.compress_type != zipfile.ZIP_STORED or about.file_size != numbers * dtype.itemsize:
        raise Refused(f"{about.filename}: {about.file_size:,} bytes for {numbers:,} numbers")
    size = math.prod(piece.shape)
    return np.frombuffer(archive.read(about), dtype)[piece.offset : piece.offset + size].reshape(piece.shape)


class _Index(pickle.Unpickler):
    """Reads the index. Of what a pickle can call, it knows only what tensors need, in forms of our own."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in TYPES:
            return TYPES[name]
        known = {("torch._utils", "_rebuild_tensor_v2"): _piece, ("collections", "OrderedDict"): OrderedDict}
        if (module, name) not in known:
            raise Refused(f"its index holds more than tensors of floats ({module}.{name}), and could run code")
        return known[module, name]

    def persistent_load(self, about: Any) -> Storage:
        _, kind, member, _, numbers = about
        return Storage(kind, member, numbers)


def _piece(storage: Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Piece:
    """Take the place of the function that would make the tensor."""
    expected = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    if tuple(stride) != expected:
        raise Refused("a tensor isn't contiguous")
    return Piece(storage, offset, shape)
