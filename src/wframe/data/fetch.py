"""`wframe fetch`: get an entry of the registry, whole and checked, or say exactly what to do."""

import argparse
import fcntl
import shutil
import sys
import tarfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp

import requests
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from wframe.data.registry import (
    REGISTRY,
    STAMP,
    Entry,
    File,
    data_folder,
    digests,
    keep_in_lock,
    known,
    problem,
    read_lock,
    stamped,
)
from wframe.errors import UserError
from wframe.files import unwritable, write_json

BLOCK = 1 << 18


class Refused(Exception):
    """A source didn't serve the file; the next one is tried."""


class Patience(argparse.Namespace):
    """How long to wait for a server."""

    timeout: float = 30.0  # seconds without a byte
    tries: int = 5  # times that a source is asked again
    pause: float = 2.0  # seconds before the second time, doubled with each further one
    longest: float = 60.0  # most seconds that a server's Retry-After is honoured


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe fetch`."""
    add = parser.add_argument
    add("entries", nargs="+", metavar="NAME", help="entries of the registry, say cifar10 vgg16")
    add("--data", type=Path, help="the data folder; default: WFRAME_DATA, else data")
    add("--registry", type=Path, default=REGISTRY)
    add("--offline", action="store_true", help="don't ask any server: only check what is here")
    add("--timeout", type=float, default=Patience.timeout, help="seconds without a byte before a server is given up")
    add("--tries", type=int, default=Patience.tries)
    add("--pause", type=float, default=Patience.pause, help="seconds before asking again, doubled each time")


def main(args: argparse.Namespace) -> None:
    """Fetch entries, one after the other."""
    entries = known(args.entries, args.registry)
    data = data_folder(args.data)
    patience = Patience(timeout=args.timeout, tries=args.tries, pause=args.pause)
    for name, entry in entries.items():
        try:
            fetch(name, entry, data, patience, args.offline)
        except OSError as error:
            raise unwritable(error, data / name) or error from error


def fetch(name: str, entry: Entry, data: Path, patience: Patience, offline: bool = False) -> None:
    """Bring an entry's files into `data/name`, check and unpack them, and record them in its stamp.

    Two processes may do so at once: one works, the other waits and finds everything here. What is here already
    and on record needs no server.

    Raises:
        UserError: a file can't be had; the message lists each source with its reason, and what to do.
    """
    folder = data / name
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        if all(stamped(data, name, file) for file in entry.files):
            print(f"{name}: here", file=sys.stderr)
            return
        record = {file.name: _bring(name, entry, file, data, patience, offline) for file in entry.files}
        write_json(folder / STAMP, {"entry": name, "title": entry.title, "terms": entry.terms, "files": record})
        print(f"{name}: here and checked. Terms: {entry.terms} ({entry.link})", file=sys.stderr)


def _bring(
    name: str, entry: Entry, file: File, data: Path, patience: Patience, offline: bool
) -> dict[str, str | int | None]:
    """Have one file in place, checked and unpacked; return its record."""
    path, key = data / name / file.name, f"{name}/{file.name}"
    locked = read_lock(data).get(key)
    came_from: str | None = "put here by hand"
    if path.exists() and (wrong := problem(file, path, locked)):
        aside = path.with_name(path.name + ".wrong")
        path.replace(aside)
        print(f"{path}: {wrong}; set aside as {aside.name}", file=sys.stderr)
    if not path.exists():
        came_from = _download(name, file, path, locked, patience, offline)
    found = digests(path)
    if not (file.md5 or file.sha256) and locked is None:
        keep_in_lock(data, key, found["sha256"])
    if file.unpack:
        unpack(path, path.parent)
        for member, md5 in file.members.items():
            if digests(path.parent / member)["md5"] != md5:
                raise UserError(
                    f"{path.parent / member}: not the original (md5 differs). Remove {path} and fetch again."
                )
    state = path.stat()
    return found | {"size": state.st_size, "mtime_ns": state.st_mtime_ns, "source": came_from}


def _download(name: str, file: File, path: Path, locked: str | None, patience: Patience, offline: bool) -> str:
    """Try the sources in order; return the one that served the file."""
    part = path.with_name(path.name + ".part")
    reasons = []
    for url in [] if offline else file.sources:
        try:
            _transfer(url, part, file, patience)
            if wrong := problem(file, part, locked):
                part.unlink()
                raise Refused(wrong)
            part.replace(path)
            return url
        except Refused as reason:
            reasons.append(f"  {url}: {reason}")
    tried = "\n".join(reasons) or ("  (offline)" if offline else "  (no server has it any more)")
    check = (file.md5 and f"md5 {file.md5}") or (file.sha256 and f"sha256 {file.sha256}…") or "its hash is kept"
    raise UserError(
        f"{name}: {file.name} can't be fetched. Tried:\n{tried}\n"
        f"What to do: {file.manual or 'get it with a browser or from a colleague.'}\n"
        f"Put it at {path} and run the same command again: it is checked ({check}) and used."
    )


def _transfer(url: str, part: Path, file: File, patience: Patience) -> None:
    """Download to `part`, going on where an earlier try stopped.

    Raises:
        Refused: the server doesn't serve the file.
    """
    pause, reason = patience.pause, ""
    for attempt in range(patience.tries):
        if attempt:
            time.sleep(pause)
            pause *= 2
        try:
            have = part.stat().st_size if part.exists() else 0
            headers = {"Range": f"bytes={have}-"} if have else {}
            with requests.get(url, headers=headers, stream=True, timeout=patience.timeout) as answer:
                if answer.status_code in (429, 500, 502, 503, 504):
                    reason = f"status {answer.status_code}"
                    pause = max(pause, min(_retry_after(answer), patience.longest))
                    continue
                if answer.status_code == 416:  # nothing after what we have: complete, or another file
                    if file.size in (None, have):
                        return
                    part.unlink()
                    continue
                if answer.status_code not in (200, 206):
                    raise Refused(f"status {answer.status_code}")
                _refuse_pages(answer, file)
                goes_on = answer.status_code == 206
                _check_disk(part, file, _length(answer))
                _receive(answer, part, file, have if goes_on else 0)
                return
        except requests.RequestException as error:
            reason = f"{type(error).__name__} after {part.stat().st_size if part.exists() else 0:,} bytes"
    raise Refused(f"{reason}, {patience.tries} times")


def _receive(answer: requests.Response, part: Path, file: File, have: int) -> None:
    """Write what the server sends, after the `have` bytes that are kept."""
    total = have + (_length(answer) or 0) or file.size
    with part.open("ab" if have else "wb") as stream, _progress(file.name, total, have) as advance:
        for block in answer.iter_content(BLOCK):
            stream.write(block)
            advance(len(block))


def _retry_after(answer: requests.Response) -> float:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else 0.0


def _length(answer: requests.Response) -> int | None:
    text = answer.headers.get("Content-Length", "")
    return int(text) if text.isdigit() else None


def _refuse_pages(answer: requests.Response, file: File) -> None:
    """See a web page that poses as the file, before it is stored."""
    if answer.headers.get("Content-Type", "").startswith("text/html") and not file.name.endswith(".html"):
        raise Refused("the server sent a web page instead of the file (a quota, a login or a licence form)")


def _check_disk(part: Path, file: File, length: int | None) -> None:
    """Refuse before anything is written if the disk can't take it."""
    needed = file.needs or (length or file.size or 0) * (3 if file.unpack else 1)
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise UserError(
            f"{part.parent}: {needed / 1e9:,.1f} GB are needed for {file.name}, {free / 1e9:,.1f} GB are free."
        )


def unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive into `folder`; what was unpacked before is replaced only when all is well.

    Raises:
        UserError: not a whole archive, or a member points outside.
    """
    work = Path(mkdtemp(prefix=".unpack-", dir=folder))
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                for name in zipped.namelist():
                    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                        raise UserError(f"{archive}: its member {name} points outside; not unpacked")
                zipped.extractall(work)
        else:
            with tarfile.open(archive) as tar:
                tar.extractall(work, filter="data")
        for item in work.iterdir():
            target = folder / item.name
            if target.is_dir():
                shutil.rmtree(target)
            item.replace(target)
    except tarfile.FilterError as error:
        raise UserError(f"{archive}: a member points outside; not unpacked ({error})") from error
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # the archive is well, the disk isn't
        raise UserError(f"{archive}: can't be unpacked ({error}). Remove it and fetch again.") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time work on an entry."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{folder}: another process fetches this; waiting for it", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _progress(name: str, total: int | None, have: int) -> Iterator:
    """Yield a function that counts bytes: a bar on a terminal, a line every ten seconds in a log."""
    if sys.stderr.isatty():
        columns = TextColumn(name), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(name, total=total, completed=have)
            yield lambda count: bar.advance(task, count)
        return
    begin = spoke = time.monotonic()
    done = have

    def advance(count: int) -> None:
        nonlocal done, spoke
        done += count
        if time.monotonic() - spoke > 10:
            spoke = time.monotonic()
            rate = (done - have) / (spoke - begin)
            left = f", {(total - done) / rate:.0f} s left" if total else ""
            print(f"{name}: {done / 1e6:,.0f} MB, {rate / 1e6:.1f} MB/s{left}", file=sys.stderr, flush=True)

    yield advance
