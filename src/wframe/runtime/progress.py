"""Progress: a bar with an estimate on a terminal, plain lines in a log."""

import re
import sys
import time
from types import TracebackType
from typing import NamedTuple

from rich import progress
from rich.console import Console

AFFECTS_NO_RESULT = True  # rewording a progress line reruns nothing


class Reported(NamedTuple):
    """What a line in a log says."""

    share: float  # of the work, from 0 to 1
    note: str  # for example "iteration 12, R 0.431"
    left: float  # seconds


def last_report(log: str) -> Reported | None:
    """Return what the last line of progress in a log says; None if there is none yet."""
    found = re.findall(r"^.*: (\d+)%, (?:(.*), )?[\d,.]+ \S+/s, (\d+) s left$", log, re.MULTILINE)
    return Reported(int(found[-1][0]) / 100, found[-1][1], float(found[-1][2])) if found else None


class Progress:
    """Count images, bytes or another unit, and show the rate, the estimated time left and a note.

    In a log, print a line at most every `interval` seconds, and one at the end. `total` may be unknown (None). `done`
    was finished before, so it doesn't count towards the rate.
    """

    def __init__(
        self,
        title: str,
        total: int | None,
        done: int = 0,
        interval: float = 15.0,
        unit: str = "images·steps",
        scale: float = 1.0,
    ) -> None:
        self.title, self.total, self.first, self.done, self.interval = title, total, done, done, interval
        self.unit, self.scale = unit, scale
        self.begin = self.reported = time.monotonic()
        self.note = ""
        self.bar: progress.Progress | None = None
        if sys.stderr.isatty():
            columns = (
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                progress.TextColumn("{task.fields[note]}"),
                progress.TimeRemainingColumn(),
            )
            self.bar = progress.Progress(*columns, console=Console(stderr=True))
            self.task = self.bar.add_task(title, total=total, completed=done, note="")

    def __enter__(self) -> "Progress":
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.bar:
            self.bar.stop()
        self._report()

    @property
    def rate(self) -> float:
        """Units per second since the start (or since resuming)."""
        return (self.done - self.first) / max(time.monotonic() - self.begin, 1e-9)

    def advance(self, count: int, note: str = "") -> None:
        """Count `count` more; `note` describes the current state."""
        self.done, self.note = self.done + count, note
        if self.bar:
            self.bar.update(self.task, completed=self.done, note=", ".join(filter(None, [note, self._rate()])))
        elif time.monotonic() - self.reported > self.interval:
            self._report()

    def resume(self, count: int) -> None:
        """Count `count` that were finished before: they don't count towards the rate."""
        self.first, self.done = self.first + count, self.done + count
        if self.bar:
            self.bar.reset(self.task, total=self.total, completed=self.done)

    def _rate(self) -> str:
        return f"{self.rate / self.scale:,.{0 if self.scale == 1 else 1}f} {self.unit}/s"

    def _report(self) -> None:
        self.reported = time.monotonic()
        if self.total and self.first == self.done < self.total:  # nothing to estimate from
            parts = [f"{self.done / self.total:.0%}", self.note]
        elif self.total:
            left = (self.total - self.done) / max(self.rate, 1e-9)
            parts = [f"{self.done / self.total:.0%}", self.note, self._rate(), f"{left:.0f} s left"]
        else:
            parts = [f"{self.done / self.scale:,.0f} {self.unit}", self.note, self._rate()]
        print(f"{self.title}: {', '.join(filter(None, parts))}", file=sys.stderr, flush=True)
