"""Facts about a process and its machine, for a result's record."""

import os
import platform
import resource
import sys
from importlib import metadata
from pathlib import Path
from typing import Any


def command_line() -> list[str]:
    """Return this process's command line, without the options that only the workflow adds."""
    argv = list(sys.argv)
    if "--step" in argv:
        place = argv.index("--step")
        del argv[place : place + 2]
    return argv


def machine() -> dict[str, Any]:
    """Return facts about this process and machine."""
    slurm = {key: os.environ[key] for key in ("SLURM_JOB_ID", "SLURM_STEP_GPUS") if key in os.environ}
    return {
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cuda_visible_devices": os.environ.get("CUDA_VISIBLE_DEVICES"),
        **slurm,
    }


def versions(*packages: str) -> dict[str, str]:
    """Return the installed versions of packages."""
    return {name: metadata.version(name) for name in packages}


def native_bf16() -> bool:
    """Return whether this processor computes in bf16 itself; elsewhere PyTorch emulates it, more slowly than fp32.

    Only Linux says so; elsewhere the answer is no.
    """
    file = Path("/proc/cpuinfo")
    words = set(file.read_text().split()) if file.exists() else set()
    return bool(words & {"avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16", "svebf16"})


def peak_memory_mb() -> float:
    """Return this process's peak resident memory so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)
