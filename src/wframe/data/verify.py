"""Is a file what it should be? By size, by hash, and by whether its archive is whole."""

import hashlib
import re
import tarfile
import zipfile
import zlib
from pathlib import Path

from wframe.data.registry import File

LOCK = "inputs.lock.json"  # in the data folder: hashes that the first fetch found


def digests(path: Path) -> dict[str, str]:
    """Return a file's md5 and sha256, read once."""
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            md5.update(block)
            sha256.update(block)
    return {"md5": md5.hexdigest(), "sha256": sha256.hexdigest()}


def problem(file: File, path: Path, locked: str | None) -> str | None:
    """Return what is wrong with a file's content; None if it is what the registry, or the first fetch, has."""
    size = path.stat().st_size
    if looks_like_html(path) and not file.name.endswith((".html", ".htm")):
        return "it is a web page, not the file"
    if is_pointer(path):
        return "it is a Git LFS pointer, not the file itself: get it with `git lfs pull`"
    if file.size is not None and size != file.size:
        return f"{size:,} bytes instead of {file.size:,}"
    if not size:
        return "it is empty"
    found = digests(path)
    if file.md5 and found["md5"] != file.md5:
        return f"md5 {found['md5']} instead of {file.md5}"
    if file.sha256 and not found["sha256"].startswith(file.sha256):
        return f"sha256 {found['sha256']} doesn't begin with {file.sha256}"
    if locked and found["sha256"] != locked:
        return f"sha256 {found['sha256']}, but the first fetch had {locked} (see {LOCK})"
    if not (file.has_hash or locked):
        return broken_archive(path, file.name)
    return None


def looks_like_html(path: Path) -> bool:
    """Whether a file begins as a web page does."""
    with path.open("rb") as stream:
        start = stream.read(512).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml"))


def is_pointer(path: Path) -> bool:
    """Whether a file is what Git LFS leaves in the place of one."""
    with path.open("rb") as stream:
        return stream.read(40).startswith(b"version https://git-lfs.github.com/spec/")


def broken_archive(path: Path, name: str) -> str | None:
    """Return why a file whose name says that it is an archive isn't a whole one; None if it is, or is no archive.

    Reads it from start to end: every zip member against its CRC, every tar header and the end mark.
    """
    try:
        if name.endswith(".zip"):
            with zipfile.ZipFile(path) as zipped:
                bad = zipped.testzip()
            return f"not a whole zip archive: {bad} is damaged" if bad else None
        if re.search(r"\.(tar(\.\w+)?|tgz)$", name):
            with tarfile.open(path, "r|*") as tar:
                while (member := tar.next()) is not None:
                    tar.members = []  # type: ignore[attr-defined]  # tarfile would keep every header
                    if member.isfile() and (stream := tar.extractfile(member)):
                        while stream.read(1 << 20):
                            pass
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, OSError, NotImplementedError) as error:
        return f"not a whole archive: {error}"
    return None
