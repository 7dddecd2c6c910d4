"""A long-running process: its device, its threads and memory, and the signals that ask it to stop."""

import ctypes
import os
import platform
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch

from wframe.errors import UserError


class Stopped(Exception):
    """A signal stopped the work; a checkpoint was saved."""


class Stop:
    """A signal handler that remembers a request to stop."""

    asked: str | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Remember the signal."""
        self.asked = signal.Signals(number).name


@contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """Turn SIGTERM, SIGUSR1 and SIGINT into a request to stop at the end of the current step.

    Only the main thread can handle signals; in another one, nothing changes.
    """
    stop, main = Stop(), threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT) if main else ()
    old = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def choose_device(name: str) -> torch.device:
    """Return the device, after running one operation on it; `auto` takes a GPU if there is one.

    Raises:
        UserError: `cuda` was requested and there is no GPU, or an operation on the GPU fails.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device cuda: PyTorch sees no GPU here. Use --device cpu, or check the driver and the job.")
    device = torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
    try:
        torch.ones(1, device=device).sum().item()
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"device {device}: the GPU fails ({reason}). Keep jobs off it.") from None
    return device


def usable_cores() -> int:
    """Return how many CPU cores this process may use; all that there are on a system without such limits (macOS)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def configure_process(threads: int | None) -> None:
    """Set the number of CPU threads (None: all cores this process may use), make a GPU exact, and keep freed memory.

    A GPU's convolutions and products are deterministic and in fp32, unless a part of the code asks for less.
    glibc returns large blocks to the system at once, so every step would fault them in again: a quarter of the time
    on a CPU.
    """
    torch.set_num_threads(threads or usable_cores())
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    if platform.libc_ver()[0] == "glibc":
        M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)
