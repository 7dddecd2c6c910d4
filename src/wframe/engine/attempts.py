"""Attempts: the processes that have worked on a shard. A kill, a preemption or a time limit starts another one."""

import os
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wframe.errors import UserError
from wframe.files import read_json, write_json


class Attempts:
    """The processes that have worked on a shard: where, how long, how far; stored beside its checkpoints.

    Each entry has `host`, `slurm_job` and `cuda_visible_devices` (None if not set), `began` (UTC), `seconds`,
    `iterations` (of batches, done by this process), `resumed_from` (the iteration of the checkpoint it resumed from;
    None if it started from the beginning).
    """

    def __init__(self, path: Path) -> None:
        self.path, self.begin = path, time.monotonic()
        self.this: dict[str, Any] = {
            "host": platform.node(),
            "slurm_job": os.environ.get("SLURM_JOB_ID"),
            "cuda_visible_devices": os.environ.get("CUDA_VISIBLE_DEVICES"),
            "began": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": 0.0,
            "iterations": 0,
            "resumed_from": None,
        }
        self.before: list[dict[str, Any]] = []
        if path.exists():
            try:
                self.before = read_json(path)
            except UserError as error:  # only a record: continue without it
                print(f"{error}; earlier attempts won't be recorded", file=sys.stderr)
        self.save()

    @property
    def all(self) -> list[dict[str, Any]]:
        """All attempts so far, this one last."""
        return [*self.before, self.this | {"seconds": round(time.monotonic() - self.begin, 3)}]

    def resumed(self, t: int) -> None:
        """Record that this process resumes from iteration t."""
        if self.this["resumed_from"] is None:
            self.this["resumed_from"] = t

    def save(self) -> None:
        """Write the list to disk."""
        write_json(self.path, self.all)
