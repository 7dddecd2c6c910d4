"""The content of raw files as one hash, so that a changed image is noticed whatever its time stamp says."""

import hashlib
import json
import os
from pathlib import Path

from wframe.files import atomic_write, sha256_file

CACHE = Path(".snakemake/wframe-fingerprints.json")  # path → [size, mtime, sha256]; only saves time


def fingerprint(path: Path | str, cache: Path = CACHE) -> str:
    """Return a SHA-256 over the names and contents of all files below `path` (or of the one file).

    "missing" if there is nothing. A file with unchanged size and time stamp isn't read again.
    """
    root = Path(str(path).partition("!")[0])
    if not root.exists():
        return "missing"
    known = json.loads(cache.read_text(encoding="utf-8")) if cache.exists() else {}
    now, digest = dict(known), hashlib.sha256()
    for file in [root] if root.is_file() else _files_below(root):
        state = file.stat()
        size, mtime, sha256 = known.get(str(file.absolute()), (None, None, None))
        if (size, mtime) != (state.st_size, state.st_mtime_ns):
            sha256 = sha256_file(file)
        now[str(file.absolute())] = [state.st_size, state.st_mtime_ns, sha256]
        digest.update(f"{file.relative_to(root)}\0{sha256}\n".encode())
    if now != known:
        with atomic_write(cache) as part:
            part.write_text(json.dumps(now), encoding="utf-8")
    return digest.hexdigest()


def _files_below(root: Path) -> list[Path]:
    """Return the regular files below a folder, sorted; links to folders aren't followed."""
    found = [Path(folder) / name for folder, _, names in os.walk(root) for name in names]
    return sorted(file for file in found if file.is_file())
