"""Files: written atomically, and identified by their content."""

import errno
import hashlib
import json
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from wframe.errors import UserError

FULL = (errno.ENOSPC, errno.EDQUOT)
REFUSED = (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR)


@contextmanager
def atomic_write(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it into place only if the block succeeds.

    Two processes may write the same path at once, even on two machines: each has its own temporary name, and the last
    one wins.

    Raises:
        UserError: the folder can't be created or written, or the disk is full. An existing file is left as it was.
            An error about another file, which the block reads, isn't touched.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
        mode = part.stat().st_mode  # the umask's: safetensors makes a file that only its owner may read
        yield part
        part.chmod(mode)
        with part.open("rb") as stream:
            os.fsync(stream.fileno())  # write the content to disk before renaming, in case the power fails
        part.replace(path)
    except Exception as error:
        problem = unwritable(error, path) if _is_about(error, part.absolute()) else None
        if problem:
            raise problem from error
        raise
    finally:
        part.unlink(missing_ok=True) if part.parent.is_dir() else None


def _is_about(error: Exception, part: Path) -> bool:
    """Return whether a system error is about the file that is being written, or about a folder above it.

    Where it names no file, the number decides: a read within the block can fail as well, but not with these.
    """
    named = getattr(error, "filename", None)
    if named is None:
        return _number(error) in FULL + REFUSED
    return Path(os.fsdecode(named)).absolute() in (part, *part.parents)


def _number(error: Exception) -> int | None:
    """Return the system's number of an error; None if it has none.

    Rust libraries (safetensors) have their own errors, with the number in the text.
    """
    in_text = re.search(r"\(os error (\d+)\)", str(error))
    return error.errno if isinstance(error, OSError) else int(in_text[1]) if in_text else None


def unwritable(error: Exception, path: Path) -> UserError | None:
    """Return an error that explains why `path` couldn't be written; None if it isn't a system error."""
    number = _number(error)
    if number is None and not isinstance(error, OSError):
        return None
    reason = os.strerror(number) if number else str(error)
    if number in FULL:
        return UserError(
            f"{path}: the disk is full. Free some space and run the same command again; finished work is kept."
        )
    if number in REFUSED:
        return UserError(
            f"{path}: can't be written ({reason}). Make {path.parent} writable or choose another results folder."
        )
    return UserError(f"{path}: {reason}")


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, atomically."""
    with atomic_write(path) as part:
        part.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path | str) -> Any:
    """Read a JSON file.

    Raises:
        UserError: the file is missing or isn't JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found") from error
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not JSON ({error})") from error


class _Strict(yaml.SafeLoader):
    """A loader for plain values, which refuses duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        if doubled := sorted({key for key in keys if keys.count(key) > 1}):
            line = node.start_mark.line + 1
            raise yaml.YAMLError(f"the key {doubled[0]!r} is given twice in the mapping that begins in line {line}")
        return super().construct_mapping(node, deep)


def read_yaml(path: Path | str) -> Any:
    """Read a YAML file of plain values.

    Raises:
        UserError: the file is missing, isn't UTF-8 or YAML, has a duplicate key, or has tags that create objects.
    """
    try:
        return yaml.load(Path(path).read_text(encoding="utf-8"), _Strict)
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 (byte {error.start}). Save it as UTF-8.") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML ({error})") from error


def sha256_file(path: Path | str) -> str:
    """Return the SHA-256 of a file's content, in hex."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """Return the SHA-256 of a JSON-like value in canonical form (sorted keys, no spaces)."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
