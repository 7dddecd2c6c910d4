"""Files and folders that people really have: odd names, machine-made folders, wide integers, broken metadata."""

import errno
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from wframe.__main__ import main
from wframe.config.edition import check
from wframe.data.fingerprint import fingerprint
from wframe.errors import UserError
from wframe.figures.canvas import joined
from wframe.files import read_yaml
from wframe.weights.tensors import read_tensors


def images(folder: Path, count: int = 9) -> Path:
    """Write small images of noise."""
    folder.mkdir(parents=True)
    for index in range(count):
        pixels = np.random.default_rng(index).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


def prepared(path: Path, out: Path) -> tuple[np.ndarray, list[dict]]:
    assert main(["prepare", "--path", str(path), "--class", "c", "--out", str(out)]) == 0
    return np.load(out), pq.read_table(out.with_suffix(".parquet")).to_pylist()


@pytest.mark.parametrize("name", ["@eaDir/1.png", "#recycle", "~snapshot", "lost+found", "$RECYCLE.BIN", "__MACOSX"])
def test_folders_that_machines_make_hold_no_images(tmp_path: Path, name: str):
    folder = images(tmp_path / "m/c")
    images(folder / name, 3)
    pixels, rows = prepared(tmp_path / "m", tmp_path / "x.npy")
    assert len(pixels) == 9 and not any(name.split("/")[0] in row["source"] for row in rows)


@pytest.mark.parametrize(
    ("most", "note"), [(255, "8-bit values in 16 bits"), (4095, "12-bit→8-bit"), (65535, "16-bit→8-bit")]
)
def test_wide_integers_keep_their_brightness(tmp_path: Path, most: int, note: str):
    (tmp_path / "m/c").mkdir(parents=True)
    for index in range(9):
        values = np.random.default_rng(index).integers(0, most + 1, (40, 40))
        values[0, 0] = most
        Image.fromarray(values.astype(np.uint16)).save(tmp_path / f"m/c/{index}.png")
    pixels, rows = prepared(tmp_path / "m", tmp_path / "x.npy")
    assert 100 < pixels.mean() < 155 and all(row["note"].startswith(note) for row in rows)


def test_good_pixels_behind_bad_or_large_metadata(tmp_path: Path):
    folder = images(tmp_path / "m/c")
    Image.new("RGB", (40, 40), "red").save(folder / "profile.png", icc_profile=os.urandom(1000) * 1200)
    exif = Image.Exif()
    exif[0x112] = 0
    Image.new("RGB", (40, 20), "blue").save(folder / "orientation.jpg", exif=exif)
    _, rows = prepared(tmp_path / "m", tmp_path / "x.npy")
    notes = {Path(row["source"]).name: row["note"] for row in rows if row["status"] == "used"}
    assert len(notes) == 11 and "rotated" not in (notes["orientation.jpg"] or "")


@pytest.mark.parametrize("error", [OSError(errno.ESTALE, "Stale file handle"), MemoryError()], ids=["system", "memory"])
def test_what_the_system_cannot_read_is_no_bad_image(tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch):
    images(tmp_path / "m/c", 20)
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: raised(error) if path.name == "7.png" else read(path))
    argv = [
        "prepare",
        "--path",
        str(tmp_path / "m"),
        "--class",
        "c",
        "--skip-limit",
        "1",
        "--out",
        str(tmp_path / "x.npy"),
    ]
    if isinstance(error, MemoryError):
        with pytest.raises(MemoryError):
            main(argv)
    else:
        assert main(argv) == 2
    assert not (tmp_path / "x.npy").exists()


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOENT, errno.ELOOP])
def test_one_file_that_may_not_be_read_is_skipped_and_listed(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
):
    folder, read = images(tmp_path / "m/c", 20), Path.read_bytes
    error = OSError(number, os.strerror(number))
    monkeypatch.setattr(Path, "read_bytes", lambda path: raised(error) if path.name == "7.png" else read(path))
    argv = ["prepare", "--path", str(folder.parent), "--class", "c", "--skip-limit", "0.1"]
    assert main([*argv, "--out", str(tmp_path / "x.npy")]) == 0
    rows = pq.read_table(tmp_path / "x.parquet").to_pylist()
    (skipped,) = [row for row in rows if row["status"] == "skipped"]
    assert skipped["source"].endswith("7.png") and os.strerror(number) in skipped["why"]


def raised(error: Exception) -> bytes:
    raise error


def test_planning_copes_with_what_the_readers_cope_with(tmp_path: Path):
    folder = images(tmp_path / "w!/m/c")
    os.rename(os.fsencode(folder / "0.png"), os.fsencode(folder) + b"/caf\xe9.png")  # noqa: PTH104 (bytes)
    cache = tmp_path / "cache.json"
    before = fingerprint(tmp_path / "w!/m", cache)
    assert before == fingerprint(tmp_path / "w!/m", cache) != "missing", "an exclamation mark in a folder's own name"
    Image.new("RGB", (40, 40), "red").save(folder / "new.png")
    assert fingerprint(tmp_path / "w!/m", cache) != before
    cache.write_text("{")
    assert fingerprint(tmp_path / "w!/m", cache) == fingerprint(tmp_path / "w!/m", tmp_path / "other.json")
    assert len(prepared(tmp_path / "w!/m", tmp_path / "x.npy")[0]) == 10


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: 1\na: 2\n", "the key 'a' is given twice in the mapping that begins in line 1"),
        (b"# caf\xe9\na: 1\n", "not UTF-8 (byte 5)"),
        (b"a: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
        (b"a: [1\n", "not valid YAML"),
    ],
)
def test_yaml_that_is_not_plain_is_refused(tmp_path: Path, content: bytes, message: str):
    (tmp_path / "x.yaml").write_bytes(content)
    with pytest.raises(UserError) as raised:
        read_yaml(tmp_path / "x.yaml")
    assert message in str(raised.value)


EDITION = {
    "edition": "x",
    "datasets": {"d": {"source": "embedded", "path": "faces"}},
    "studies": {"s": {"datasets": ["d"]}},
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"studies": {"paper": {"datasets": ["d"]}}}, "`paper` is the name of other results"),
        ({"studies": {"s": {"datasets": ["d"]}, "s-curves": {"datasets": ["d"]}}}, "would be two files"),
        ({"datasets": {"d": {"source": "folder"}}}, "path: folder needs one"),
        ({"datasets": {"d": {"source": "embedded", "path": "faces", "images": 5}}}, "images = 5: a group needs 9"),
        ({"studies": {"s": {"datasets": ["d"], "groups": 1, "shards": 9}}}, "shards = 9: there are only 1 groups"),
        ({"learning": {"sigma": float("inf")}}, "learning.sigma"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_runs(change: dict, message: str):
    with pytest.raises(UserError) as raised:
        check(EDITION | change)
    assert message in str(raised.value)


def test_names_that_contain_hyphens_do_not_run_together():
    assert joined("samples", "a", "b-c") != joined("samples", "a-b", "c")


def test_weights_files_that_are_something_else(tmp_path: Path):
    import torch

    torch.save({"state_dict": {"w": torch.zeros(2)}, "epoch": 1}, tmp_path / "nested.pth")
    assert set(read_tensors(tmp_path / "nested.pth")) == {"w"}
    (tmp_path / "pointer.pth").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(UserError, match="a git-lfs pointer, not the file itself"):
        read_tensors(tmp_path / "pointer.pth")
    torch.save({"w": print}, tmp_path / "code.pth")
    with pytest.raises(UserError, match="holds more than tensors and could run code"):
        read_tensors(tmp_path / "code.pth")
