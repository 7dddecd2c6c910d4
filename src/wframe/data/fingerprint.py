"""The content of raw files as one hash, so that a changed image is noticed whatever its time stamp says."""

import hashlib
import json
import os
from pathlib import Path

from wframe.data.readers._files import split_place
from wframe.files import atomic_write, sha256_file

CACHE = Path(".snakemake/wframe-fingerprints.json")  # path → [size, mtime, sha256]; only saves time


def fingerprint(path: Path | str, cache: Path = CACHE) -> str:
    """Return a SHA-256 over the names and contents of all files below `path` (or of the one file).

    "missing" if there is nothing. A file with unchanged size and time stamp isn't read again. What can't be read counts
    by its name: the reader skips it and says so, so planning must not fail on it.
    """
    root = split_place(str(path))[0]
    if not root.exists():
        return "missing"
    known = _load(cache)
    now, digest = dict(known), hashlib.sha256()
    for file in [root] if root.is_file() else _files_below(root):
        name = os.fsencode(file.relative_to(root)).decode("utf-8", "backslashreplace")  # names needn't be UTF-8
        key = os.fsencode(file.absolute()).decode("utf-8", "backslashreplace")
        try:
            state = file.stat()
            size, mtime, sha256 = known.get(key, (None, None, None))
            if (size, mtime) != (state.st_size, state.st_mtime_ns):
                sha256 = sha256_file(file)
            now[key] = [state.st_size, state.st_mtime_ns, sha256]
        except OSError as error:
            sha256 = f"unreadable ({error.strerror})"
        digest.update(f"{name}\0{sha256}\n".encode())
    if now != known:
        with atomic_write(cache) as part:
            part.write_text(json.dumps(now), encoding="utf-8")
    return digest.hexdigest()


def _load(cache: Path) -> dict[str, list]:
    """Return what is known; a broken cache only costs time."""
    try:
        known = json.loads(cache.read_text(encoding="utf-8")) if cache.exists() else {}
    except ValueError:
        return {}
    return known if isinstance(known, dict) else {}


def _files_below(root: Path) -> list[Path]:
    """Return the regular files below a folder, sorted; links to folders aren't followed."""
    found = [Path(folder) / name for folder, _, names in os.walk(root) for name in names]
    return sorted((file for file in found if file.is_file()), key=os.fsencode)
