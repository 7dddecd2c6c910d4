"""A long-running process: its device, its threads and memory, and the signals that ask it to stop."""

import ctypes
import os
import platform
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch

from wframe.errors import UserError


class Stopped(Exception):
    """A signal asked the work to stop; a checkpoint is saved."""


class Stop:
    """Whether a signal has asked to stop."""

    asked: str | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Note the signal (this is its handler)."""
        self.asked = signal.Signals(number).name


@contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """Turn SIGTERM, SIGUSR1 and SIGINT into a wish to stop at the next step's end."""
    stop, numbers = Stop(), (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
    old = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def choose_device(name: str) -> torch.device:
    """Return the device; `auto` takes a GPU where there is one. It's tried before any work starts.

    Raises:
        UserError: `cuda` was asked for and there is none, or the GPU doesn't compute.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device cuda: PyTorch sees no GPU here. Use --device cpu, or check the driver and the job.")
    device = torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
    try:
        torch.ones(1, device=device).sum().item()
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"device {device}: the GPU doesn't compute ({reason}). Keep jobs off it.") from None
    return device


def configure_process(threads: int | None) -> None:
    """Use this many CPU threads (None: as many as this process may run on), and keep freed memory.

    glibc gives large blocks back to the system at once, and every step would fault them in again: that costs
    a quarter of the time on a CPU.
    """
    torch.set_num_threads(threads or len(os.sched_getaffinity(0)))
    if platform.libc_ver()[0] == "glibc":
        M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)
