"""Facts about a process and its machine, for a result's record."""

import os
import platform
import resource
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # whoever plans the jobs or prepares images reads this module and does without PyTorch
    import torch


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


def made_by(begin: float, device: "torch.device", *packages: str) -> dict[str, Any]:
    """Return what every record says of the process that made a result.

    Its command, its machine, the GPU's name (None on a CPU), the versions of `packages`, the seconds since `begin` (of
    `time.monotonic`), and its peak memory in MB.
    """
    return {
        "command": command_line(),
        "machine": machine(),
        "gpu": gpu_name(device),
        "versions": versions(*packages),
        "seconds": round(time.monotonic() - begin, 3),
        "peak_memory_mb": round(peak_memory_mb()),
    }


def trained_by(begin: float, device: "torch.device") -> dict[str, Any]:
    """Return `made_by` of a training, with its CPU threads and its peak memory on the GPU in MB (None on a CPU)."""
    import torch

    return made_by(begin, device, "torch", "numpy") | {
        "threads": torch.get_num_threads(),
        "peak_gpu_memory_mb": round(torch.cuda.max_memory_allocated(device) / 1e6) if device.type == "cuda" else None,
    }


def gpu_name(device: "torch.device") -> str | None:
    """Return the GPU's name; None for a CPU."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else None


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
