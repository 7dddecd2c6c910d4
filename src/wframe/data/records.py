"""What was fetched: a stamp in each entry's folder, and the lock with the hashes of first fetches."""

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from wframe.data.registry import Copy, Entry, File
from wframe.data.verify import LOCK
from wframe.errors import UserError
from wframe.files import read_json, write_json

STAMP = ".fetched.json"  # in an entry's folder: what is here; the workflow's sign that an entry is complete


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one process at a time work in a folder; file systems without locks are trusted."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{folder}: another process is fetching this; waiting for it", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            print(f"{folder}: no file locks here ({error.strerror}); don't fetch twice at once", file=sys.stderr)
        yield


def read_lock(data: Path) -> dict[str, str]:
    """Return the hashes of first fetches: `entry/file` → sha256."""
    return read_json(data / LOCK) if (data / LOCK).exists() else {}


def keep_in_lock(data: Path, name: str, sha256: str) -> None:
    """Keep the hash of a first fetch; entries may be fetched at the same time, each by its own process."""
    with alone(data):
        write_json(data / LOCK, read_lock(data) | {name: sha256})


def read_stamp(data: Path, entry: str) -> dict[str, Any] | None:
    """Return the record of an entry's last complete fetch; None if there is none, or it is damaged."""
    try:
        stamp = read_json(data / entry / STAMP)
    except (UserError, OSError, UnicodeDecodeError):
        return None
    return stamp if isinstance(stamp, dict) and isinstance(stamp.get("files"), dict) else None


def stamped(data: Path, entry: str, file: str) -> bool:
    """Whether a file is here as the record says, by size and time stamp."""
    record = ((read_stamp(data, entry) or {}).get("files") or {}).get(file)
    path = data / entry / file
    if record is None or not path.exists():
        return False
    state = path.stat()
    return (state.st_size, state.st_mtime_ns) == (record.get("size"), record.get("mtime_ns"))


def files_of(copy: Copy, names: list[str]) -> dict[str, File]:
    """Return a copy's files by name, its patterns filled in with those of `names` that match."""
    found: dict[str, File] = {}
    for file in copy.files:
        if "*" not in file.name:
            found[file.name] = file
            continue
        matching = sorted(name for name in names if fnmatchcase(name, file.name))
        found |= {name: file.model_copy(update={"name": name, "about": None}) for name in matching}
    return found


def missing_patterns(copy: Copy, names: list[str]) -> list[str]:
    """Return a copy's patterns that no name matches."""
    return [
        file.name for file in copy.files if "*" in file.name and not any(fnmatchcase(name, file.name) for name in names)
    ]


def here(data: Path, name: str, entry: Entry) -> Copy | None:
    """Return the copy of an entry that is here, whole and on record; None if there is none."""
    stamp = read_stamp(data, name)
    if stamp is None:
        return None
    names = list(stamp["files"])
    for copy in entry.alternatives:
        if (copy.name, copy.hub) == (stamp.get("copy", "original"), stamp.get("hub")):
            wanted = files_of(copy, names)
            complete = not missing_patterns(copy, names) and all(stamped(data, name, file) for file in wanted)
            return copy if complete else None
    return None


def local_state(data: Path, name: str, entry: Entry) -> str:
    """Return what is in an entry's folder, in a form that changes when files come or go: `here`, or names and sizes."""
    if here(data, name, entry):
        return "here"
    folder = data / name
    found = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    names = {str(path.relative_to(folder)): path.stat().st_size for path in found}
    kept = {name: size for name, size in names.items() if not name.startswith(".") and ".part" not in name}
    return ", ".join(f"{name}: {size}" for name, size in sorted(kept.items()))
