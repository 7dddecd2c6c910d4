"""How long to wait for a server, and the end of waiting for one that sends next to nothing."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from wframe.data.refused import Refused

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server."""

    timeout: float = 30.0  # seconds without a byte
    tries: int = 5  # times that a source is asked again
    pause: float = 2.0  # seconds before the second time, doubled with each further one
    longest: float = 60.0  # most seconds that a server's Retry-After is honoured
    slowest: float = 500.0  # bytes a second, over twice the timeout: less counts as silence


def patiently(ask: Callable[[], T], patience: Patience) -> T:
    """Ask a server; ask again, with growing pauses, where it is only busy or the connection broke (`Refused.again`).

    Raises:
        Refused: for good, or also the last time.
    """
    pause, tries = patience.pause, 1
    while True:
        try:
            return ask()
        except Refused as reason:
            if not reason.again or tries >= patience.tries:
                raise
            pause = max(pause, min(reason.after, patience.longest))
        time.sleep(pause)
        pause, tries = pause * 2, tries + 1


@contextmanager
def watched(patience: Patience) -> Iterator[list[Callable[[], int]]]:
    """Raise TimeoutError in the block when bytes come too slowly.

    Yields a list: the block adds functions that return how many bytes have come.

    The time limit of a read isn't enough: a server that sends a byte a second never exceeds it, and may do so in the
    headers too. An alarm (SIGALRM) ends the wait wherever it is. Works in a process's main thread only.
    """
    window, before = 2 * patience.timeout, 0
    counters: list[Callable[[], int]] = []

    def look(*_: object) -> None:
        nonlocal before
        now = sum(counter() for counter in counters)
        if now - before < patience.slowest * window:
            raise TimeoutError(f"{(now - before) / window:.0f} bytes a second")
        before = now

    handler = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, window, window)
    try:
        yield counters
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
