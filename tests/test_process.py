"""What a process finds around it: cores, folders."""

import os
from pathlib import Path

import pytest

from wframe.data.registry import data_folder
from wframe.runtime.process import usable_cores


def test_cores_are_counted_where_there_are_no_limits(monkeypatch: pytest.MonkeyPatch):
    assert usable_cores() == len(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "sched_getaffinity")  # as on macOS
    assert usable_cores() == os.cpu_count()


def test_the_data_folder_may_begin_with_the_home_folder(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WFRAME_DATA", "~/data")
    assert data_folder(None) == Path.home() / "data" == data_folder(Path("~/data"))
