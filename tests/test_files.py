"""Files are written atomically, and errors explain why a write failed."""

import errno
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from wframe.errors import UserError
from wframe.files import atomic_write, read_json, sha256_file, write_json


def test_a_failure_leaves_the_old_file(tmp_path: Path):
    target = tmp_path / "deep" / "file.txt"
    with atomic_write(target) as part:
        part.write_text("first")
    with pytest.raises(RuntimeError), atomic_write(target) as part:
        part.write_text("half")
        raise RuntimeError
    assert target.read_text() == "first" and [path.name for path in target.parent.iterdir()] == ["file.txt"]


def test_a_full_disk_is_reported_whichever_library_writes(small_disk: Path):
    """Python, Arrow's C++ and safetensors' Rust each raise their own error."""
    numbers = np.random.default_rng(0).random(25_000)
    writers = {
        "big.bin": lambda part: part.write_bytes(numbers.tobytes()),
        "big.parquet": lambda part: pd.DataFrame({"x": numbers}).to_parquet(part),
        "big.safetensors": lambda part: save_file({"x": numbers}, part),
    }
    for name, write in writers.items():
        with (
            pytest.raises(UserError, match=f"{name}: the disk is full. Free some space"),
            atomic_write(small_disk / name) as part,
        ):
            write(part)
        assert list(small_disk.iterdir()) == [], "no half-written file is left"


def test_files_have_the_usual_permissions(tmp_path: Path):
    with atomic_write(tmp_path / "x.safetensors") as part:
        save_file({"x": np.zeros(3)}, part)
    (tmp_path / "plain").touch()
    assert (tmp_path / "x.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_an_unwritable_folder_is_reported(tmp_path: Path, code: int):
    with pytest.raises(UserError, match="choose another results folder"), atomic_write(tmp_path / "x"):
        raise OSError(code, os.strerror(code))


def test_an_error_about_what_is_read_is_not_about_what_is_written(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="no-such-input"), atomic_write(tmp_path / "x"):
        (tmp_path / "no-such-input").read_bytes()
    with pytest.raises(OSError, match="Input/output error"), atomic_write(tmp_path / "x"):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    assert not list(tmp_path.iterdir())


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path):
    (tmp_path / "results").write_text("in the way")
    with pytest.raises(UserError, match="results"), atomic_write(tmp_path / "results" / "x"):
        pass


def test_json_round_trip_and_refusals(tmp_path: Path):
    write_json(tmp_path / "a.json", {"β": 60, "a": [1, None]})
    assert read_json(tmp_path / "a.json") == {"β": 60, "a": [1, None]}
    (tmp_path / "b.json").write_text("{")
    with pytest.raises(UserError, match="not JSON"):
        read_json(tmp_path / "b.json")
    with pytest.raises(UserError, match="not found"):
        read_json(tmp_path / "c.json")
    assert sha256_file(tmp_path / "b.json") == "021fb596db81e6d02bf3d2586ee3981fe519f275c0ac9ca76bbcf2ebb4097d96"
