"""A file on a server, read where it is needed: only those bytes are downloaded (HTTP range requests)."""

import io
import re
from types import TracebackType
from typing import Any

import requests

from wframe.data.download import BUSY, breaks, for_now, refuse_pages, tag_of
from wframe.data.patience import Patience, patiently, watched
from wframe.data.refused import Refused

BLOCK = 1 << 18  # bytes read at once, at least


class NoRanges(Refused):
    """The server sends only whole files."""


class RemoteFile(io.RawIOBase):
    """A file on a server, for reading at any place; `received` counts the bytes that came, `requests` how often.

    Every answer has to be for the bytes that were asked for, and of one version of the file.

    Raises:
        NoRanges: the server sends only whole files.
        Refused: it doesn't serve the file, or not reliably.
    """

    def __init__(self, url: str, patience: Patience) -> None:
        self.url, self.patience = url, patience
        self.session = requests.Session()
        self.position = self.received = self.requests = 0
        self.size = 0  # as the first answer has it, like `tag`
        self.tag: str | None = None
        self._ask(0, 1)

    def readable(self) -> bool:
        """Return true."""
        return True

    def seekable(self) -> bool:
        """Return true."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; nothing is asked of the server."""
        self.position = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.size}[whence])
        return self.position

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes, as many as the buffer takes."""
        count = max(0, min(len(buffer), self.size - self.position))
        if count:
            buffer[:count] = self._ask(self.position, count)
            self.position += count
        return count

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.session.close()
        super().__exit__(kind, error, trace)

    def _ask(self, start: int, count: int) -> bytes:
        """Return `count` bytes from `start`; ask again where the server is busy or the connection breaks."""
        headers = {"Accept-Encoding": "identity", "Range": f"bytes={start}-{start + count - 1}"}
        headers |= {"If-Range": self.tag} if self.tag else {}

        def once() -> bytes:
            self.requests += 1
            with (
                breaks(self.patience, lambda: f"at byte {start:,}"),
                watched(self.patience) as counters,
                self.session.get(self.url, headers=headers, stream=True, timeout=self.patience.timeout) as answer,
            ):
                counters.append(answer.raw.tell)
                if answer.status_code in BUSY:
                    raise for_now(f"status {answer.status_code}", self.patience)
                self._check(answer, start, count)
                return self._receive(answer, count)

        return patiently(once, self.patience)

    def _check(self, answer: requests.Response, start: int, count: int) -> None:
        """Refuse an answer that isn't the part asked for, of the file that the first answer was of."""
        refuse_pages(answer, self.url)
        if answer.status_code == 200:
            if self.size:
                raise Refused("the file changed on the server while it was read")
            raise NoRanges("the server sends only whole files")
        if answer.status_code != 206:
            raise Refused(f"status {answer.status_code}")
        said = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", answer.headers.get("Content-Range", ""))
        if not said or (int(said[1]), int(said[2])) != (start, start + count - 1):
            raise Refused(f"the server sent another part than bytes {start}-{start + count - 1}")
        version = (int(said[3]), tag_of(answer))
        if self.size and version != (self.size, self.tag):
            raise Refused("the file changed on the server while it was read")
        self.size, self.tag = version

    def _receive(self, answer: requests.Response, count: int) -> bytes:
        """Return what the server sends, if it is `count` bytes."""
        content = b""
        while block := answer.raw.read1(BLOCK, decode_content=False):
            content += block
            self.received += len(block)
            if len(content) > count:
                raise Refused(f"the server sends more than the {count:,} bytes asked for")
        if len(content) < count:
            raise requests.ConnectionError("cut off")
        return content
