"""The registry of raw inputs, `config/inputs.yaml`, and the record of what was fetched."""

import fcntl
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from wframe.config.base import Model, explain
from wframe.errors import UserError
from wframe.files import read_json, write_json

REGISTRY = Path(os.environ.get("WFRAME_REGISTRY") or "config/inputs.yaml")
STAMP = ".fetched.json"  # in an entry's folder: what is here; the workflow's sign that an entry is complete
LOCK = "inputs.lock.json"  # in the data folder: hashes seen at the first fetch


class File(Model):
    """One file of an entry."""

    name: str = Field(pattern=r"^[^/]+$")
    size: int | None = Field(None, gt=0, description="bytes")
    md5: str | None = Field(None, pattern=r"^[0-9a-f]{32}$")
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{8,64}$", description="whole, or its first digits")
    needs: int | None = Field(None, gt=0, description="bytes of free disk that it takes, if more than its size")
    sources: list[str] = Field([], description="addresses, tried in order")
    unpack: bool = Field(False, description="whether the archive is unpacked beside it")
    members: dict[str, str] = Field({}, description="md5 of unpacked files")
    manual: str | None = Field(None, description="what to do when no source serves it")


class Entry(Model):
    """A dataset or weights file."""

    title: str
    terms: str
    link: str
    reader: str = Field(description="how a configuration uses it")
    files: list[File] = Field(min_length=1)


def load_registry(path: Path = REGISTRY) -> dict[str, Entry]:
    """Read and check the registry.

    Raises:
        UserError: missing, or with keys or values that can't be.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no registry of inputs here; say --registry") from None
    try:
        return TypeAdapter(dict[str, Entry]).validate_python(raw)
    except ValidationError as error:
        raise UserError(explain(error, str(path))) from None


def known(names: Iterable[str], path: Path = REGISTRY) -> dict[str, Entry]:
    """Return the registry's entries of these names.

    Raises:
        UserError: the registry can't be read, or has no such entry.
    """
    registry = load_registry(path)
    for name in names:
        if name not in registry:
            raise UserError(f"{path}: no entry {name!r} (there are: {', '.join(registry)})")
    return {name: registry[name] for name in names}


def data_folder(given: Path | None) -> Path:
    """Return the data folder: as given, else WFRAME_DATA, else `data`."""
    return given or Path(os.environ.get("WFRAME_DATA") or "data")


def digests(path: Path) -> dict[str, str]:
    """Return a file's md5 and sha256, read once."""
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            md5.update(block)
            sha256.update(block)
    return {"md5": md5.hexdigest(), "sha256": sha256.hexdigest()}


def problem(file: File, path: Path, locked: str | None) -> str | None:
    """Return what is wrong with a file's content; None if it is as the registry, or the first fetch, has it."""
    size = path.stat().st_size
    if looks_like_html(path) and not file.name.endswith((".html", ".htm")):
        return "it is a web page, not the file"
    if file.size is not None and size != file.size:
        return f"{size:,} bytes instead of {file.size:,}"
    found = digests(path)
    if file.md5 and found["md5"] != file.md5:
        return f"md5 {found['md5']} instead of {file.md5}"
    if file.sha256 and not found["sha256"].startswith(file.sha256):
        return f"sha256 {found['sha256']} doesn't begin with {file.sha256}"
    if locked and found["sha256"] != locked:
        return f"sha256 {found['sha256']}, but the first fetch had {locked} (see {LOCK})"
    return None


def looks_like_html(path: Path) -> bool:
    """Whether a file begins as a web page does."""
    with path.open("rb") as stream:
        start = stream.read(512).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml"))


def read_lock(data: Path) -> dict[str, str]:
    """Return the hashes seen at first fetches: `entry/file` → sha256."""
    return read_json(data / LOCK) if (data / LOCK).exists() else {}


def keep_in_lock(data: Path, name: str, sha256: str) -> None:
    """Keep the hash of a first fetch; entries may be fetched at the same time, each by its own process."""
    with (data / ".lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        write_json(data / LOCK, read_lock(data) | {name: sha256})


def read_stamp(data: Path, entry: str) -> dict[str, Any] | None:
    """Return the record of an entry's last complete fetch; None if there is none."""
    path = data / entry / STAMP
    return read_json(path) if path.exists() else None


def stamped(data: Path, entry: str, file: File) -> bool:
    """Whether a file is here as the record says, by size and time stamp."""
    record = ((read_stamp(data, entry) or {}).get("files") or {}).get(file.name)
    path = data / entry / file.name
    if record is None or not path.exists():
        return False
    state = path.stat()
    return (state.st_size, state.st_mtime_ns) == (record["size"], record["mtime_ns"])
