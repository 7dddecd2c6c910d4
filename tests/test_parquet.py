"""The `huggingface` reader: image datasets as parquet, clean and dirty."""

import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from packed import CIFAR10, cifar10, encoded, generated, packed
from PIL import Image

from wframe.__main__ import main
from wframe.data.readers.huggingface import split_of

NAMES = ["/a/abbey", "/c/coast", "/c/living room"]


def prepare(path: Path | str, out: Path, *options: str) -> tuple[np.ndarray, pd.DataFrame]:
    argv = ["prepare", "--source", "huggingface", "--path", str(path), "--out", str(out), "--size", "16", *options]
    assert not main(argv)
    return np.load(out), pd.read_parquet(out.with_suffix(".parquet"))


def refused(path: Path | str, out: Path, capsys: pytest.CaptureFixture, *options: str) -> str:
    argv = ["prepare", "--source", "huggingface", "--path", str(path), "--out", str(out), "--size", "16", *options]
    assert main(argv) == 2 and not out.exists()
    return capsys.readouterr().err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two splits, the larger one in two files; classes go round."""
    data = tmp_path / "set" / "data"
    data.mkdir(parents=True)
    raws = [generated(k) for k in range(60)]
    labels = [k % 3 for k in range(60)]
    for name, rows in {
        "train-00000-of-00002": slice(0, 30),
        "train-00001-of-00002-0123456789abcdef": slice(30, 50),
        "test-00000-of-00001": slice(50, 60),
    }.items():
        (data / f"{name}.parquet").write_bytes(packed(raws[rows], labels[rows], NAMES, rows=7))
    (tmp_path / "set/.cache").mkdir()
    (tmp_path / "set/.cache/train-9.parquet").write_bytes(b"not ours")
    return tmp_path / "set"


def test_rows_lead_back_to_shard_and_row(folder: Path, tmp_path: Path):
    array, manifest = prepare(folder, tmp_path / "x.npy")
    assert len(array) == 60, "without a split, all of them: train first"
    assert manifest["source"].iloc[[0, 31, 50]].tolist() == [
        "data/train-00000-of-00002.parquet[0]",
        "data/train-00001-of-00002-0123456789abcdef.parquet[1]",
        "data/test-00000-of-00001.parquet[0]",
    ]
    assert manifest["sha256"].tolist() == [hashlib.sha256(generated(k)).hexdigest() for k in range(60)]
    by_hand = Image.open(io.BytesIO(generated(31))).resize((16, 16), Image.Resampling.LANCZOS)
    assert np.array_equal(array[31], np.asarray(by_hand))


def test_splits_classes_and_picking(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    array, manifest = prepare(f"{folder}!train", tmp_path / "x.npy", "--class", "coast")
    assert len(array) == 17 and manifest["source"].iloc[1] == "data/train-00000-of-00002.parquet[4]"
    same, _ = prepare(f"{folder}!train", tmp_path / "y.npy", "--class", "/c/coast")
    assert np.array_equal(array, same)
    rooms, _ = prepare(folder, tmp_path / "z.npy", "--class", "living_room")
    assert len(rooms) == 20
    _, spread = prepare(f"{folder}!train", tmp_path / "s.npy", "--images", "10", "--pick", "spread")
    assert spread["source"].iloc[[1, 9]].tolist() == [
        "data/train-00000-of-00002.parquet[5]",
        "data/train-00001-of-00002-0123456789abcdef.parquet[15]",
    ]
    none = tmp_path / "none.npy"
    assert "there are: test, train" in refused(f"{folder}!dev", none, capsys)
    assert "no class 'castle'" in (said := refused(folder, none, capsys, "--class", "castle")) and "/c/coast" in said
    assert "no such file or folder" in refused(tmp_path / "nowhere", none, capsys)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train-00000-of-00019.parquet", "train"),
        ("test-00000-of-00001-7c2280a6897e2462.parquet", "test"),
        ("validation/0000.parquet", "validation"),
        ("train.parquet", "train"),
        ("train_0.parquet", "train"),
    ],
)
def test_names_of_splits(name: str, split: str):
    assert split_of(Path(name)) == split


def test_dirty_rows_are_skipped_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture):
    good: list[bytes | None] = [generated(k) for k in range(20)]
    rows = [*good, None, b"", generated(0)[:200], b"<html>", good[3], encoded(Image.new("L", (40, 40), 7))]
    table = pa.table({"image": [None if raw is None else {"bytes": raw, "path": None} for raw in rows]})
    table = table.append_column("caption", pa.array(["x"] * len(rows)))
    path = tmp_path / "dirty.parquet"
    pq.write_table(table, path)
    said = refused(path, tmp_path / "x.npy", capsys)
    assert "4 of 26 images can't be used" in said and "dirty.parquet[20]: the row has no image" in said
    array, manifest = prepare(path, tmp_path / "x.npy", "--skip-limit", "0.5")
    assert len(array) == 22, "an equal row is a row of its own"
    assert manifest["status"].tolist() == ["used"] * 20 + ["skipped"] * 4 + ["used"] * 2
    assert manifest["why"].iloc[22] is not None and manifest["note"].iloc[25] is not None
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    elsewhere = pa.table({"image": pa.array([{"bytes": None, "path": "a.png"}] * 9, kind)})
    pq.write_table(elsewhere, path)
    assert "only a path to one elsewhere" in refused(path, tmp_path / "y.npy", capsys)


def test_columns_are_found_or_chosen(tmp_path: Path, capsys: pytest.CaptureFixture):
    """Bytes without a struct, labels as text and as numbers; where several could be meant, one has to be named."""
    raws = [generated(k) for k in range(27)]
    both = pa.table(
        {"a": raws, "b": raws[::-1], "label": [str(k % 3) for k in range(27)], "fine": [k % 3 for k in range(27)]}
    )
    path = tmp_path / "two.parquet"
    pq.write_table(both, path)
    none = tmp_path / "none.npy"
    assert "Say image_column (several could be meant: a, b)" in refused(path, none, capsys)
    assert "no column 'c' (columns: a, b, label, fine)" in refused(path, none, capsys, "--image-column", "c")
    assert "has no images' bytes" in refused(path, none, capsys, "--image-column", "label")
    _, first = prepare(path, tmp_path / "x.npy", "--image-column", "b", "--class", "2")
    assert first["source"].iloc[0] == "two.parquet[2]" and first["sha256"][0] == hashlib.sha256(raws[24]).hexdigest()
    _, second = prepare(path, tmp_path / "y.npy", "--image-column", "b", "--label-column", "fine", "--class", "2")
    assert first["sha256"].tolist() == second["sha256"].tolist()
    about = json.loads(pq.read_schema(tmp_path / "y.parquet").metadata[b"wframe"])
    assert about["options"]["label_column"] == "fine"
    path.write_bytes(b"PAR1 is how it begins" * 10)
    assert "not a whole parquet file" in refused(path, none, capsys)
    assert main(["prepare", "--path", str(tmp_path), "--image-column", "a", "--out", str(none)]) == 2


def test_cifar10_is_the_same_as_in_its_batches(real_data: Path, tmp_path: Path):
    """PNG rows and the original batches give the same arrays, whatever the order of classes."""
    images, labels = cifar10(12, seed=0)
    (tmp_path / "set").mkdir()
    (tmp_path / "set/train-00000-of-00001.parquet").write_bytes(packed(images, labels, CIFAR10, image="img"))
    argv = ["prepare", "--source", "cifar10", "--path", str(real_data / "cifar10-partial"), "--class", "horse"]
    assert not main([*argv, "--size", "32", "--images", "12", "--out", str(tmp_path / "a.npy")])
    array, _ = prepare(tmp_path / "set", tmp_path / "b.npy", "--class", "horse", "--size", "32")
    original = np.load(tmp_path / "a.npy")
    assert sorted(image.tobytes() for image in original) == sorted(image.tobytes() for image in array)


def test_memory_stays_flat(tmp_path: Path):
    """300 MB in row groups of 10 MB: no more than a few of them are ever in memory."""
    raw = np.random.default_rng(0).bytes(1_000_000)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    with pq.ParquetWriter(tmp_path / "big.parquet", pa.schema([("image", kind)])) as writer:
        for first in range(0, 300, 10):
            rows = [{"bytes": raw[k:] + raw[:k], "path": ""} for k in range(first, first + 10)]
            writer.write_table(pa.table({"image": pa.array(rows, kind)}))
    code = (
        "import sys; from pathlib import Path; from wframe.data.readers import candidates\n"
        "total = sum(len(c.read()) for c in candidates('huggingface', sys.argv[1], 'all'))\n"
        "peak = next(line for line in Path('/proc/self/status').read_text().splitlines() if 'VmHWM' in line)\n"
        "print(total, int(peak.split()[1]) // 1000)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    total, peak = map(int, done.stdout.split())
    assert total == 300_000_000 and peak < 220, f"{peak} MB"
