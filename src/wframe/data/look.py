"""A look into a folder of somebody's own images: which classes there are, how many images, how large."""

import hashlib
import io
import re
import unicodedata
import warnings
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from PIL import Image

from wframe.data.decode import FORMATS, decode
from wframe.data.prepare import SMALLEST
from wframe.data.readers import Candidate, candidates
from wframe.runtime.progress import Progress

ROOT = PurePosixPath()


class Found(NamedTuple):
    """A class: a folder with images."""

    folder: str  # below the root; empty: the root itself
    images: int  # copies not counted
    copies: int
    skipped: list[str]  # files that can't be used: no images, cut off, too small
    smallest: tuple[int, int]  # width and height
    largest: tuple[int, int]


def look(path: str) -> tuple[list[Found], list[str]]:
    """Return the classes of a folder or archive, in its order, and the images that belong to none.

    A class is a folder that has images directly in it, with everything below it. Where no other folder has any, the
    root is the one class; else images directly in the root belong to none. Every image is decoded, so that what
    `wframe prepare` will skip is known beforehand.

    Raises:
        UserError: there is no such folder or archive.
    """
    files = []
    with Progress(path, None, unit="files") as progress:
        for candidate in candidates("folder", path, "all"):
            files.append((PurePosixPath(candidate.source), *_peek(candidate)))
            progress.advance(1)
    holders = dict.fromkeys(source.parent for source, size, _ in files if size)
    if len(holders) > 1:
        holders.pop(ROOT, None)
    tops = [folder for folder in holders if not any(parent in holders for parent in folder.parents)]
    classes = [_class(folder, [file for file in files if file[0].is_relative_to(folder)]) for folder in tops]
    inside = set(tops)
    loose = [str(source) for source, size, _ in files if size and not inside & set(source.parents)]
    return classes, loose


def _class(folder: PurePosixPath, files: list[tuple[PurePosixPath, tuple[int, int] | None, str]]) -> Found:
    images = [(size, sha256) for _, size, sha256 in files if size]
    different = len({sha256 for _, sha256 in images})
    sizes = sorted((size for size, _ in images), key=lambda size: size[0] * size[1])
    skipped = [str(source) for source, size, _ in files if not size]
    name = "" if folder == ROOT else str(folder)
    return Found(name, different, len(images) - different, skipped, sizes[0], sizes[-1])


def _peek(candidate: Candidate) -> tuple[tuple[int, int] | None, str]:
    """Return an image's size, None for what can't be used as one, and the hash of its bytes."""
    try:
        raw = bytes(candidate.read()) if candidate.refuse is None else b""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            size = Image.open(io.BytesIO(raw), formats=FORMATS).size
        decode(raw, quick=True)
        return (size if min(size) >= SMALLEST else None), hashlib.sha256(raw).hexdigest()
    except Exception:  # whatever a broken file makes Pillow raise
        return None, ""


def file_names(folders: list[str]) -> Iterator[tuple[str, str]]:
    """Yield a name for each folder that can be a file's name everywhere, with what the reader is to be given."""
    taken: set[str] = set()
    for number, folder in enumerate(folders, start=1):
        plain = _plain(folder) or f"class-{number}"
        name, more = plain, 2
        while name.lower() in taken or (name == "all" and folder):
            name, more = f"{plain}-{more}", more + 1
        taken.add(name.lower())
        # `all` would mean every image, and what begins with - an option
        yield name, f"./{folder}" if folder == "all" or folder.startswith("-") else folder


def _plain(folder: str) -> str:
    """Return a folder's name in letters, digits and dashes; empty where none is left (日本)."""
    letters = unicodedata.normalize("NFKD", folder).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_]+", "-", letters).strip("-_")
