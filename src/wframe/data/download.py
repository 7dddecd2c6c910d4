"""Downloading a file over HTTP: going on where an earlier try stopped, and only with what belongs together."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import requests
import urllib3

from wframe.data.patience import Patience, patiently, watched
from wframe.data.refused import Refused
from wframe.data.registry import File
from wframe.errors import UserError
from wframe.runtime.progress import Progress

BLOCK = 1 << 16
BUSY = (408, 429, 500, 502, 503, 504)
ARCHIVE = re.compile(r"\.(zip|tar(\.\w+)?|tgz)$")  # these show by themselves whether they are whole


class Part(NamedTuple):
    """What is here of a file, and what the server said of it: only the same file may be continued."""

    path: Path

    @property
    def size(self) -> int:
        """Bytes that are here."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def tag(self) -> str | None:
        """The server's ETag or Last-Modified of what is here; None if unknown."""
        try:
            return json.loads(self._note.read_text())["tag"]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @property
    def _note(self) -> Path:
        return self.path.with_name(self.path.name + ".json")

    def begin(self, tag: str | None) -> None:
        """Note which version of the file is coming."""
        self._note.write_text(json.dumps({"tag": tag}))

    def drop(self) -> None:
        """Remove it."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def move(self, target: Path) -> None:
        """Give it its final name."""
        self.path.replace(target)
        self._note.unlink(missing_ok=True)


def transfer(url: str, part: Part, file: File, hash_known: bool, patience: Patience) -> None:
    """Download to `part`, going on where an earlier try stopped.

    Without a known hash nothing but the server's word holds two halves together: then it goes on only if the server
    confirms that the file is the same (If-Range), and what has no stated length is taken only where it is an archive.

    Raises:
        Refused: the server doesn't serve the file.
        UserError: the disk can't take it.
    """
    patiently(lambda: _transfer_once(url, part, file, hash_known, patience), patience)


def _transfer_once(url: str, part: Part, file: File, hash_known: bool, patience: Patience) -> None:
    if part.size and not (hash_known or part.tag):
        part.drop()
    with (
        breaks(patience, lambda: f"after {part.size:,} bytes"),
        watched(patience) as counters,
        requests.get(url, headers=_headers(part), stream=True, timeout=patience.timeout) as answer,
    ):
        counters.append(answer.raw.tell)
        if answer.status_code in BUSY:
            raise for_now(f"status {answer.status_code}", patience, _retry_after(answer))
        if answer.status_code == 416:  # nothing after what is here: complete, or another file
            if part.size and (hash_known or part.size == file.size):
                return
            part.drop()
            raise for_now("status 416", patience)
        if answer.status_code not in (200, 206):
            raise Refused(f"status {answer.status_code}")
        refuse_pages(answer, file.name)
        _refuse_compressed(answer, file, hash_known)
        have = _continues(answer, part, hash_known)
        length = _length(answer)
        _check_length(have, length, file, hash_known)
        _check_disk(part, file, length)
        _receive(answer, part, file, have)


def for_now(reason: str, patience: Patience, after: float = 0.0) -> Refused:
    """Return a refusal that may pass, in the words for the case that it doesn't in any of the tries."""
    return Refused(f"{reason}, {patience.tries} times", again=True, after=after)


@contextmanager
def breaks(patience: Patience, where: Callable[[], str]) -> Iterator[None]:
    """Turn a connection that breaks in the block into a refusal that may pass, which says where."""
    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError, TimeoutError) as error:
        raise for_now(f"{type(error).__name__} {where()}", patience) from error


def _headers(part: Part) -> dict[str, str]:
    """Return the headers of a request: for the rest of what is here, if it still is the same file."""
    headers = {"Accept-Encoding": "identity"}
    if part.size:
        headers["Range"] = f"bytes={part.size}-"
        if part.tag:
            headers["If-Range"] = part.tag
    return headers


def _continues(answer: requests.Response, part: Part, hash_known: bool) -> int:
    """Return after how many bytes the answer goes on; what doesn't fit is dropped."""
    have = part.size if answer.status_code == 206 else 0
    if have:
        said = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
        if (said and int(said[1]) != have) or not (said or hash_known):
            part.drop()
            raise requests.ConnectionError("the server went on at another place")
    return have


def tag_of(answer: requests.Response) -> str | None:
    """Return what names this version of the file: its ETag, if a strong one, else when it was changed."""
    tag = answer.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified")


def _check_length(have: int, length: int | None, file: File, hash_known: bool) -> None:
    if length == 0 and not have:
        raise Refused("the server sent an empty file")
    if file.size is not None and length is not None and have + length > file.size:
        raise Refused(f"the server has {have + length:,} bytes instead of {file.size:,}")
    if length is None and not (hash_known or file.size or ARCHIVE.search(file.name)):
        raise Refused("the server doesn't say how long the file is, and no hash is known: it might be cut off")


def _receive(answer: requests.Response, part: Part, file: File, have: int) -> None:
    """Write what the server sends, as it is sent, after the `have` bytes that are kept."""
    length = _length(answer)
    limit = file.size or (have + length if length is not None else None)
    if not have:
        part.begin(tag_of(answer))
    progress = Progress(file.name, limit, have, unit="MB", scale=1e6)
    with part.path.open("ab" if have else "wb") as stream, progress:
        # read1: what has come, however little; a full block could take a slow server hours
        while block := answer.raw.read1(BLOCK, decode_content=False):
            stream.write(block)
            progress.advance(len(block))
            have += len(block)
            if limit is not None and have > limit:
                stream.close()
                part.drop()
                raise Refused(f"the server sends more than {limit:,} bytes")


def _retry_after(answer: requests.Response) -> float:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else 0.0


def _length(answer: requests.Response) -> int | None:
    text = answer.headers.get("Content-Length", "")
    return int(text) if text.isdigit() else None


def refuse_pages(answer: requests.Response, name: str) -> None:
    """See a web page that poses as the file, before it is stored."""
    if answer.headers.get("Content-Type", "").startswith("text/html") and not name.endswith(".html"):
        raise Refused("the server sent a web page instead of the file (a quota, a login or a licence form)")


def _refuse_compressed(answer: requests.Response, file: File, hash_known: bool) -> None:
    """See what was compressed for the way although that wasn't asked for; it would be kept as it came.

    Some servers call an archive encoded as it is: a known hash, or else the archive itself, shows whether it is whole.
    """
    encoding = answer.headers.get("Content-Encoding", "identity")
    if encoding != "identity" and not hash_known and not ARCHIVE.search(file.name):
        raise Refused(f"the server sends it compressed ({encoding}), though asked not to, and no hash is known")


def _check_disk(part: Part, file: File, length: int | None) -> None:
    """Refuse before anything is written if the disk can't take it."""
    check_disk(part.path.parent, file.needs or (length or file.size or 0) * (3 if file.unpack else 1), file.name)


def check_disk(folder: Path, needed: int, what: str) -> None:
    """Refuse what the disk can't take.

    Raises:
        UserError: with what is needed and what is free.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{folder}: {as_size(needed)} are needed for {what}, {as_size(free)} are free. Make room, or choose "
            "another data folder (WFRAME_DATA)."
        )


def as_size(size: int | None, exact: bool = True) -> str:
    """Return bytes for people; `?` where they aren't known."""
    if size is None:
        return "?"
    text = f"{size / 1e9:,.2f} GB" if size >= 1e8 else f"{size / 1e6:,.1f} MB"
    return text if exact else f"about {text}"
