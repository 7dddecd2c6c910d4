"""Progress: a bar with an estimate on a terminal, plain lines in a log."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class Meter:
    """Counts image-steps (or another unit) and shows rate, estimated time left and a note.

    In a log it prints one line at most every `interval` seconds, and one at the end.
    """

    def __init__(
        self, title: str, total: int, done: int = 0, interval: float = 15.0, unit: str = "images·steps"
    ) -> None:
        self.title, self.total, self.first, self.done, self.interval = title, total, done, done, interval
        self.unit = unit
        self.begin = self.spoke = time.monotonic()
        self.note = ""
        self.bar: Progress | None = None
        if sys.stderr.isatty():
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[note]}"),
                TimeRemainingColumn(),
            )
            self.bar = Progress(*columns, console=Console(stderr=True))
            self.task = self.bar.add_task(title, total=total, completed=done, note="")

    def __enter__(self) -> "Meter":
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.bar:
            self.bar.stop()
        self._speak()

    @property
    def rate(self) -> float:
        """Units per second since the start (or the resumption)."""
        return (self.done - self.first) / max(time.monotonic() - self.begin, 1e-9)

    def advance(self, count: int, note: str) -> None:
        """Count `count` more; `note` says where things stand."""
        self.done, self.note = self.done + count, note
        if self.bar:
            self.bar.update(self.task, completed=self.done, note=f"{note}, {self.rate:,.0f} {self.unit}/s")
        elif time.monotonic() - self.spoke > self.interval:
            self._speak()

    def _speak(self) -> None:
        self.spoke = time.monotonic()
        left = (self.total - self.done) / max(self.rate, 1e-9)
        print(
            f"{self.title}: {self.done / max(self.total, 1):.0%}, {self.note}, {self.rate:,.0f} {self.unit}/s, "
            f"{left:.0f} s left",
            file=sys.stderr,
            flush=True,
        )
