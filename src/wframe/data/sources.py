"""The readers: where the pictures of one class of a dataset come from, in a fixed order, one at a time.

A reader yields candidates; no picture is read before `prepare` asks for it. To add a dataset is to add one
function here and its name to `READERS`.
"""

import io
import os
import pickle
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Self

import numpy as np

from wframe.data.embedded import embedded_pictures
from wframe.errors import UserError

LARGEST_FILE = 500_000_000  # bytes; more is no picture, and is never read into memory
NOT_PICTURES = ("Thumbs.db", "desktop.ini")  # what file managers leave in folders, beside hidden files


class Candidate(NamedTuple):
    """A picture that may be used: its place in the dataset, and how to get it."""

    source: str  # path below the dataset's root, archive member, lmdb key, or batch and row
    read: Callable[[], bytes | np.ndarray]  # an image file's bytes, or pixels (H, W, 3) uint8; valid until the next
    box: tuple[int, int, int, int] | None = None  # left, top, right, bottom, if only a part is meant
    refuse: str | None = None  # why it can't be used, if that is known beforehand


def candidates(source: str, path: str, class_: str) -> Iterator[Candidate]:
    """Yield the pictures of a class (`all`: of every class), in the dataset's own order.

    Raises:
        UserError: the data or the class isn't there, or isn't whole; the message says what was expected.
    """
    return READERS[source](path, class_)


def count(source: str, path: str, class_: str) -> int:
    """Return how many candidates there are, without reading pictures where that can be avoided."""
    if source == "lsun":
        with _lmdb(path) as transaction:
            return transaction.stat()["entries"]
    return sum(1 for _ in candidates(source, path, class_))


def _place(path: str) -> tuple[Path, str]:
    """Split `PLACE!INSIDE`; a path that exists as it stands is a place of that name."""
    place, _, inside = path.partition("!")
    return (Path(path), "") if Path(path).exists() else (Path(place), inside)


def is_tar(path: str) -> bool:
    """Whether the pictures are in a tar archive, which has to be read from its start to its end."""
    place = _place(path)[0]
    return place.is_file() and not zipfile.is_zipfile(place)


# --- class folders, in a folder or in an archive ------------------------------------------------------------


def folder(path: str, class_: str) -> Iterator[Candidate]:
    """Class folders of image files: `PATH/CLASS/**`; class `all` is everything below PATH.

    PATH may be an archive (.zip, .tar, .tar.gz, .tar.xz), and `ARCHIVE!SUBFOLDER` a folder in it. Files of a
    folder come in natural order (2 before 10); an archive's members in the archive's order, in which a compressed
    tar has to be read anyway. Hidden files are left out.
    """
    return _below(path, "" if class_ == "all" else class_)


def sun(path: str, class_: str) -> Iterator[Candidate]:
    """SUN's category folders: `PATH/CLASS`, or SUN397's `PATH/C/CLASS`, sorted under first letters."""
    return _below(path, *("",) if class_ == "all" else (class_, f"{class_[0]}/{class_}"))


def celeba(path: str, class_: str) -> Iterator[Candidate]:
    """CelebA's aligned faces: a folder or zip of jpgs, or a folder of parquet files as Hugging Face has them."""
    tables = sorted(Path(path).glob("*.parquet")) if class_ == "all" else []
    return _parquet_rows(tables) if tables else folder(path, class_)


def _below(path: str, *folders: str) -> Iterator[Candidate]:
    """Yield what is below the first of `folders` that there is, in a folder or archive."""
    root, inside = _place(path)
    if root.is_dir():
        root /= inside
        base = next((root / name for name in folders if (root / name).is_dir()), None)
        if base is None:
            known = sorted(entry.name for entry in root.iterdir() if entry.is_dir()) if root.is_dir() else []
            raise UserError(f"{root / folders[0]}: no such class folder (there are: {', '.join(known) or 'none'})")
        return _files(base, root)
    if root.is_file():
        return _archive_members(root, [PurePosixPath(inside, name) for name in folders])
    raise UserError(f"{root}: there is no such folder or archive. Put the pictures there: one folder per class.")


def _files(folder: Path, root: Path) -> Iterator[Candidate]:
    """Yield the files below a folder. Links to folders may lead in circles: they are refused, not followed."""
    try:
        names = sorted(os.listdir(folder), key=_natural)  # noqa: PTH208 (names alone take a tenth of the memory)
    except OSError as error:
        raise UserError(f"{folder}: can't be read ({error.strerror}). Make it readable, or move it away.") from error
    for name in names:
        file = folder / name
        candidate = Candidate(str(file.relative_to(root)), file.read_bytes)
        if name.startswith(".") or name in NOT_PICTURES:
            continue
        if os.path.isfile(file):  # noqa: PTH113 (False for a link in a circle, where older Path.is_file raises)
            yield candidate._replace(refuse=_too_large(file.stat().st_size))
        elif file.is_symlink():
            yield candidate._replace(refuse="a link to a folder, or to nothing")
        elif file.is_dir():
            yield from _files(file, root)
        else:
            yield candidate._replace(refuse="not a regular file")


def _natural(name: str) -> tuple[str, str]:
    """A sorting key that puts 2 before 10; the name itself decides between 1 and 01."""
    return re.sub(r"[0-9]+", lambda digits: digits[0].zfill(20), name), name


def _too_large(size: int) -> str | None:
    return f"too large: {size:,} bytes" if size > LARGEST_FILE else None


def _archive_members(archive: Path, folders: list[PurePosixPath]) -> Iterator[Candidate]:
    found = False
    for candidate in _zip_members(archive) if zipfile.is_zipfile(archive) else _tar_members(archive):
        member = PurePosixPath(candidate.source)
        if ".." in member.parts or member.is_absolute():
            yield candidate._replace(refuse="points outside its archive")
        elif any(member.is_relative_to(folder) for folder in folders) and not any(
            part.startswith(".") or part in (*NOT_PICTURES, "__MACOSX") for part in member.parts
        ):
            found = True
            yield candidate
    if not found:
        raise UserError(f"{archive}: there is nothing below {' or '.join(map(str, folders))} in this archive")


def _zip_members(archive: Path) -> Iterator[Candidate]:
    with zipfile.ZipFile(archive) as zipped:
        for info in zipped.infolist():
            if not info.is_dir():
                yield Candidate(info.filename, partial(zipped.read, info), refuse=_too_large(info.file_size))


def _tar_members(archive: Path) -> Iterator[Candidate]:
    """Yield the members of a tar archive in one pass through it."""
    try:
        with tarfile.open(archive, "r|*", tarinfo=_Member) as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # tarfile would keep every header it has read
                if not member.isdir():
                    refuse = _too_large(member.size) if member.isfile() else "a link, not a file"
                    yield Candidate(member.name, partial(_tar_bytes, tar, member), refuse=refuse)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise UserError(f"{archive}: not a whole archive ({error}). Fetch it again.") from error


class _Member(tarfile.TarInfo):
    """A member's header. `tarfile` takes a broken one, or none, for the archive's end; here only the end mark is."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"{error} at byte {tarfile_.offset:,}") from error


def _tar_bytes(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(member)
    assert stream is not None, "a regular file"
    return stream.read()


def _parquet_rows(tables: list[Path]) -> Iterator[Candidate]:
    """Yield the pictures of parquet files whose column `image` has the encoded bytes, row group by row group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for table in tables:
        try:
            with pq.ParquetFile(table) as file:
                row = 0
                for batch in file.iter_batches(100, columns=["image"]):
                    for picture in batch.column("image").field("bytes"):
                        yield Candidate(f"{table.name}[{row}]", picture.as_py)
                        row += 1
        except (pa.ArrowException, AttributeError, KeyError, OSError) as error:
            raise UserError(
                f"{table}: can't be read as a table of pictures, with their bytes in a column `image` ({error})"
            ) from error


# --- CIFAR-10 -----------------------------------------------------------------------------------------------


def cifar10(path: str, class_: str) -> Iterator[Candidate]:
    """CIFAR-10's Python batches: `cifar-10-batches-py`, the folder that holds it, or `cifar-10-python.tar.gz`.

    `PATH!test` is the test set. Partial batches are taken as they are.
    """
    root, split = _place(path)
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


class _ArraysOnly(pickle.Unpickler):
    """Reads arrays and plain values; a pickle that names anything else can't run it."""

    ALLOWED = frozenset({"_reconstruct", "ndarray", "dtype", "scalar"})

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] == "numpy" and name in self.ALLOWED:
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        raise pickle.UnpicklingError(f"it wants to run {module}.{name}")


def _unpickle(root: Path, name: str) -> dict[str, Any]:
    """Return the content of a batch file, in a folder or in the tar archive."""
    try:
        content = _ArraysOnly(io.BytesIO(_batch_bytes(root, name)), encoding="latin1").load()
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
        return _tar_bytes(tar, tar.getmember(f"cifar-10-batches-py/{name}"))


# --- LSUN ---------------------------------------------------------------------------------------------------


def lsun(path: str, class_: str) -> Iterator[Candidate]:
    """LSUN's lmdb (key → encoded image), read in key order straight from the database: no key list, no cache."""
    if class_ != "all":
        raise UserError(f"an LSUN database is one category: its class is `all`, not {class_!r}")
    key, more = b"\0", True
    while more:  # the pages of an open database count as this process's memory: it is opened anew now and then
        more = False
        with _lmdb(path) as transaction:
            cursor = transaction.cursor()
            if cursor.set_range(key):
                for key in islice(cursor.iternext(values=False), 1000):
                    yield Candidate(key.decode("ascii", "backslashreplace"), partial(transaction.get, key))
                    more = True
        key += b"\0"  # the least key above the last one


@contextmanager
def _lmdb(path: str) -> Iterator[Any]:
    """Open a database for reading; yield a transaction.

    Raises:
        UserError: it isn't there, or not whole.
    """
    import lmdb

    file = Path(path, "data.mdb")
    if not file.is_file():
        raise UserError(f"{path}: no LSUN database here (no data.mdb). `wframe fetch lsun-bedroom` gets it.")
    try:
        with lmdb.open(path, readonly=True, lock=False, readahead=False, max_readers=1) as database:
            needs = (database.info()["last_pgno"] + 1) * database.stat()["psize"]
            if file.stat().st_size < needs:  # reading beyond the end would kill the process (SIGBUS)
                raise lmdb.Error(f"{file.stat().st_size:,} bytes of at least {needs:,}")
            with database.begin() as transaction:
                yield transaction
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
    "sun": sun,
    "celeba": celeba,
    "cifar10": cifar10,
    "lsun": lsun,
}
