"""The readers: where the pictures of one class of a dataset come from, in a fixed order, one at a time.

A reader yields candidates; nothing is read before `prepare` asks for it. To add a dataset is to add one
function here and its name to `READERS`.
"""

import os
import pickle
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from wframe.data.embedded import embedded_pictures
from wframe.errors import UserError


class Candidate(NamedTuple):
    """A picture that may be used: its place in the dataset, and how to get it."""

    source: str  # path below the dataset's root, archive member, lmdb key, or batch and row
    read: Callable[[], bytes | np.ndarray]  # an image file's bytes, or pixels (H, W, 3) uint8
    box: tuple[int, int, int, int] | None = None  # left, top, right, bottom, if only a part is meant
    refuse: str | None = None  # why it can't be used, if that is known beforehand


def candidates(source: str, path: str, class_: str) -> Iterator[Candidate]:
    """Yield the pictures of a class (`all`: of every class), in the dataset's own order.

    Raises:
        UserError: the data or the class isn't there; the message says what was expected.
    """
    return READERS[source](path, class_)


def count(source: str, path: str, class_: str) -> int:
    """Return how many candidates there are, without reading pictures where that can be avoided."""
    if source == "lsun":
        with _lmdb(path) as transaction:
            return transaction.stat()["entries"]
    return sum(1 for _ in candidates(source, path, class_))


# --- class folders, in a folder or in an archive ------------------------------------------------------------


def folder(path: str, class_: str) -> Iterator[Candidate]:
    """Class folders of image files: `PATH/CLASS/**`; class `all` is everything below PATH.

    PATH may be an archive (.zip, .tar, .tar.gz, .tar.xz), and `ARCHIVE!SUBFOLDER` a folder in it. Files of a
    folder come in natural order (2 before 10), an archive's members in the archive's order. Links to folders
    aren't followed; hidden files are left out.
    """
    archive, _, inside = path.partition("!")
    root = Path(archive)
    if root.is_dir():
        yield from _folder_files(root / inside, class_)
    elif root.is_file():
        yield from _archive_members(root, inside, class_)
    else:
        raise UserError(f"{root}: there is no such folder or archive. Put the pictures there: one folder per class.")


def _folder_files(root: Path, class_: str) -> Iterator[Candidate]:
    base = root if class_ == "all" else root / class_
    if not base.is_dir():
        known = sorted(entry.name for entry in root.iterdir() if entry.is_dir()) if root.is_dir() else []
        raise UserError(f"{base}: no such class folder (there are: {', '.join(known) or 'none'})")
    found = [Path(parent) / name for parent, _, names in os.walk(base) for name in names if not name.startswith(".")]
    for file in sorted(found, key=lambda file: _natural(str(file.relative_to(root)))):
        yield Candidate(str(file.relative_to(root)), file.read_bytes)


def _natural(text: str) -> list[tuple[int, int | str]]:
    """A sorting key that puts 2 before 10."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", text)]


def _archive_members(archive: Path, inside: str, class_: str) -> Iterator[Candidate]:
    wanted = PurePosixPath(inside) if class_ == "all" else PurePosixPath(inside, class_)
    found = False
    for name, read, regular in _members(archive):
        member = PurePosixPath(name)
        if ".." in member.parts or member.is_absolute():
            yield Candidate(name, read, refuse="points outside its archive")
        elif member.is_relative_to(wanted) and not member.name.startswith("."):
            found = True
            yield Candidate(name, read, refuse=None if regular else "a link, not a file")
    if not found:
        raise UserError(f"{archive}: no member below {wanted}/ (class {class_!r})")


def _members(archive: Path) -> Iterator[tuple[str, Callable[[], bytes], bool]]:
    """Yield (name, read, is a regular file) of each member; tar archives are streamed."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                if not info.is_dir():
                    yield info.filename, lambda info=info: zipped.read(info), True  # type: ignore[misc]
        return
    try:
        with tarfile.open(archive, "r|*") as tar:
            for member in tar:
                if not member.isdir():
                    yield member.name, lambda member=member: _tar_bytes(tar, member), member.isfile()  # type: ignore[misc]
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UserError(f"{archive}: not a whole archive ({error}). Fetch it again.") from error


def _tar_bytes(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(member)
    if stream is None:
        raise OSError("not a regular file")
    return stream.read()


# --- CIFAR-10 -----------------------------------------------------------------------------------------------


def cifar10(path: str, class_: str) -> Iterator[Candidate]:
    """CIFAR-10's Python batches: `cifar-10-batches-py`, or the folder that holds it; `PATH!test` for the test set.

    Partial batches are taken as they are.
    """
    place, _, split = path.partition("!")
    root = Path(place)
    root = root / "cifar-10-batches-py" if (root / "cifar-10-batches-py").is_dir() else root
    if not (root / "batches.meta").is_file():
        raise UserError(f"{root}: no CIFAR-10 here (no batches.meta). `wframe fetch cifar10` gets it.")
    names = _unpickle(root / "batches.meta")["label_names"]
    if class_ != "all" and class_ not in names:
        raise UserError(f"CIFAR-10 has no class {class_!r} (it has: {', '.join(names)})")
    batches = ["test_batch"] if split == "test" else [f"data_batch_{index}" for index in range(1, 6)]
    for batch in batches:
        content = _unpickle(root / batch)
        pixels = content["data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        for row, label in enumerate(content["labels"]):
            if class_ in ("all", names[label]):
                yield Candidate(f"{batch}[{row}]", lambda image=pixels[row]: np.ascontiguousarray(image))  # type: ignore[misc]


class _ArraysOnly(pickle.Unpickler):
    """Reads arrays and plain values; a pickle that names anything else can't run it."""

    ALLOWED = frozenset({"_reconstruct", "ndarray", "dtype", "scalar"})

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] == "numpy" and name in self.ALLOWED:
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        raise pickle.UnpicklingError(f"it wants to run {module}.{name}")


def _unpickle(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            return _ArraysOnly(stream, encoding="latin1").load()
    except FileNotFoundError:
        raise UserError(f"{path}: missing. `wframe fetch cifar10` gets it.") from None
    except (pickle.UnpicklingError, EOFError, ValueError) as error:
        raise UserError(f"{path}: not a CIFAR-10 batch ({error}). Fetch it again.") from error


# --- LSUN ---------------------------------------------------------------------------------------------------


def lsun(path: str, class_: str) -> Iterator[Candidate]:
    """LSUN's lmdb (key → encoded image), read in key order straight from the database: no key list, no cache."""
    if class_ != "all":
        raise UserError(f"an LSUN database is one category: its class is `all`, not {class_!r}")
    with _lmdb(path) as transaction:
        for key, value in transaction.cursor():
            yield Candidate(bytes(key).decode("ascii", "replace"), lambda value=value: bytes(value))  # type: ignore[misc]


def _lmdb(path: str) -> Any:
    """Open a database for reading; return a transaction."""
    import lmdb

    if not Path(path, "data.mdb").is_file():
        raise UserError(f"{path}: no LSUN database here (no data.mdb). `wframe fetch lsun-bedroom` gets it.")
    try:
        return lmdb.open(path, readonly=True, lock=False, readahead=False, max_readers=1).begin()
    except lmdb.Error as error:
        raise UserError(f"{path}: not a whole LSUN database ({error}). Fetch it again.") from error


# --- the pictures that come with the packages -----------------------------------------------------------------


def embedded(path: str, class_: str) -> Iterator[Candidate]:
    """The pictures that come with scikit-image and scikit-learn: faces, scenes or digits."""
    for name, read, box in embedded_pictures(path, class_):
        yield Candidate(name, read, box)


READERS: dict[str, Callable[[str, str], Iterator[Candidate]]] = {
    "embedded": embedded,
    "folder": folder,
    "sun": folder,
    "celeba": folder,
    "cifar10": cifar10,
    "lsun": lsun,
}
