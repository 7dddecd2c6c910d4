"""Image files in folders and archives, one at a time, in a fixed order."""

import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Self

from wframe.data.readers import Candidate
from wframe.errors import UserError

LARGEST_FILE = 500_000_000  # bytes; more is no image, and is never read into memory
# what file managers, network storage and file systems leave in folders, beside hidden files
NOT_IMAGES = ("Thumbs.db", "desktop.ini", "__MACOSX", "lost+found", "System Volume Information", "$RECYCLE.BIN")
MACHINE_MADE = ("@", "#", "~")  # how names of folders begin that network storage makes (@eaDir, #recycle, ~snapshot)


def split_place(path: str) -> tuple[Path, str]:
    """Split `PLACE!INSIDE`; a path that exists as it stands is a place of that name."""
    marks = [index for index, letter in enumerate(path) if letter == "!"]
    for mark in reversed(marks):  # a folder's own name may have a `!`
        if Path(path[:mark]).exists() and not Path(path).exists():
            return Path(path[:mark]), path[mark + 1 :]
    return (Path(path), "") if Path(path).exists() or not marks else (Path(path[: marks[0]]), path[marks[0] + 1 :])


def is_tar(path: str) -> bool:
    """Whether the images are in a tar archive, which has to be read from its start to its end."""
    place = split_place(path)[0]
    return place.is_file() and not zipfile.is_zipfile(place)


def below(path: str, *folders: str) -> Iterator[Candidate]:
    """Yield what is below the first of `folders` that there is, in a folder or archive."""
    root, inside = split_place(path)
    if root.is_dir():
        root /= inside
        base = next((root / name for name in folders if (root / name).is_dir()), None)
        if base is None:
            known = sorted(entry.name for entry in root.iterdir() if entry.is_dir()) if root.is_dir() else []
            raise UserError(f"{root / folders[0]}: no such class folder (there are: {', '.join(known) or 'none'})")
        return _files(base, root)
    if root.is_file():
        return _archive_members(root, [PurePosixPath(inside, name) for name in folders])
    raise UserError(f"{root}: there is no such folder or archive. Put the images there: one folder per class.")


def _files(folder: Path, root: Path) -> Iterator[Candidate]:
    """Yield the files below a folder. Links to folders may lead in circles: they are refused, not followed."""
    try:
        names = sorted(os.listdir(folder), key=_natural)  # noqa: PTH208 (names alone take a tenth of the memory)
    except OSError as error:
        raise UserError(f"{folder}: can't be read ({error.strerror}). Make it readable, or move it away.") from error
    for name in names:
        file = folder / name
        candidate = Candidate(str(file.relative_to(root)), file.read_bytes)
        if name.startswith(".") or name in NOT_IMAGES or (name.startswith(MACHINE_MADE) and file.is_dir()):
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
            part.startswith(".") or part in NOT_IMAGES for part in member.parts
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
                    yield Candidate(member.name, partial(tar_bytes, tar, member), refuse=refuse)
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


def tar_bytes(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(member)
    assert stream is not None, "a regular file"
    return stream.read()
