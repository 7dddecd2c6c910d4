"""What a process finds around it, cores and folders, and what it leaves of its checkpoints."""

import os
from pathlib import Path

import pytest

from wframe.data.registry import data_folder
from wframe.runtime import checkpoint
from wframe.runtime.process import usable_cores


def test_cores_are_counted_where_there_are_no_limits(monkeypatch: pytest.MonkeyPatch):
    assert usable_cores() == len(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "sched_getaffinity")  # as on macOS
    assert usable_cores() == os.cpu_count()


def test_the_data_folder_may_begin_with_the_home_folder(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WFRAME_DATA", "~/data")
    assert data_folder(None) == Path.home() / "data" == data_folder(Path("~/data"))


def test_finished_work_leaves_what_another_process_is_writing(tmp_path: Path):
    key = "0123456789abcdef" * 4
    names = {
        "0123456789abcdef.safetensors": False,
        "0123456789abcdef-0-4.safetensors": False,
        "0123456789abcdef-attempts.json": False,
        ".0123456789abcdef.safetensors.node.1.part": True,
        ".0123456789abcdef.safetensors.node.2.part": False,
        "another.safetensors": True,
    }
    for name in names:
        (tmp_path / name).touch()
    os.utime(tmp_path / ".0123456789abcdef.safetensors.node.2.part", (0, 0))
    checkpoint.remove(tmp_path, key)
    assert {name: (tmp_path / name).exists() for name in names} == names
