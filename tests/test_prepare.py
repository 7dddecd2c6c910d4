"""Preparation: dirty pictures, archives, picking, manifests; each file made here, none from elsewhere."""

import argparse
import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import lmdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from wframe.__main__ import main


def picture(seed: int, side: int = 40, mode: str = "RGB") -> Image.Image:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)).resize((side, side))
    return coarse.convert(mode)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def prepare(path: Path | str, out: Path, *options: str) -> tuple[int, np.ndarray | None, pd.DataFrame | None]:
    code = main(["prepare", "--path", str(path), "--out", str(out), "--size", "16", *options])
    if code:
        return code, None, None
    return 0, np.load(out), pd.read_parquet(out.with_suffix(".parquet"))


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """Twelve good pictures of class `good`."""
    folder = tmp_path / "raw" / "good"
    folder.mkdir(parents=True)
    for index in range(12):
        (folder / f"{index}.png").write_bytes(encoded(picture(index)))
    return tmp_path / "raw"


def test_rows_lead_back_to_their_files(clean: Path, tmp_path: Path):
    _, array, manifest = prepare(clean, tmp_path / "x.npy", "--class", "good")
    assert array is not None and manifest is not None
    assert array.shape == (12, 16, 16, 3) and array.dtype == np.uint8
    assert manifest["source"].tolist() == [f"good/{index}.png" for index in range(12)], "natural order"
    assert manifest["row"].tolist() == list(range(12)) and manifest["group"].tolist() == [0] * 9 + [1] * 3
    for row, line in manifest.iterrows():
        raw = (clean / line["source"]).read_bytes()
        assert line["sha256"] == hashlib.sha256(raw).hexdigest()
        by_hand = (
            Image.open(io.BytesIO(raw)).convert("RGB").resize((16, 16), Image.Resampling.LANCZOS, (0, 0, 40, 40))
        )
        assert np.array_equal(array[row], np.asarray(by_hand))
    totals = json.loads(pq.read_schema(tmp_path / "x.parquet").metadata[b"wframe"])["totals"]
    assert totals == {"used": 12}


def test_same_input_same_bytes(clean: Path, tmp_path: Path):
    for name in ("a", "b"):
        prepare(clean, tmp_path / name / "x.npy", "--class", "good")
    for ending in (".npy", ".parquet"):
        assert (tmp_path / f"a/x{ending}").read_bytes() == (tmp_path / f"b/x{ending}").read_bytes()


def test_crop_is_central_and_on_record(tmp_path: Path):
    folder = tmp_path / "raw"
    folder.mkdir()
    for index in range(9):
        image = Image.new("RGB", (100, 60), (255, 0, 0))
        image.paste((0, index, 255), (35, 15, 65, 45))
        image.save(folder / f"{index}.png")
    _, array, manifest = prepare(folder, tmp_path / "x.npy", "--crop", "30")
    assert array is not None and manifest is not None
    assert set(manifest["crop"]) == {"35,15,65,45"}
    inner = array[3][2:-2, 2:-2].astype(int)  # at the edge, resampling sees the pixels around the crop
    assert abs(inner - (0, 3, 255)).max() <= 2, "nothing of the surroundings is left"


def dirty(folder: Path) -> dict[str, str]:
    """Write one of each kind of dirty file; return what should become of it."""
    good = picture(100, 64)
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = Image.fromarray(np.asarray(picture(101, 40, "L")).astype(np.uint16) * 257)
    clear = picture(102).convert("RGBA")
    clear.putalpha(0)
    files = {
        "truncated.jpg": (encoded(good, "JPEG")[:600], "skipped"),
        "grey.png": (encoded(picture(103, 40, "L")), "L→RGB"),
        "alpha.png": (encoded(clear), "alpha over white"),
        "print.jpg": (encoded(picture(104, 40, "CMYK"), "JPEG"), "CMYK→RGB"),
        "deep.png": (encoded(deep), "16-bit→8-bit"),
        "turned.jpg": (encoded(picture(105), "JPEG", exif=exif), "EXIF-rotated"),
        "palette.gif": (encoded(picture(106), "GIF"), "P→RGB"),
        "dot.png": (encoded(picture(107, 1)), "skipped"),
        "empty.jpg": (b"", "skipped"),
        "wrong.txt": (encoded(picture(108)), ""),
        "not an image.jpg": (b"<html>sorry</html>", "skipped"),
        "schöne Katze.png": (encoded(picture(109)), ""),
        "small.png": (encoded(picture(110, 10)), "upsampled"),
        "twin a.png": (encoded(picture(111)), ""),
        "twin b.png": (encoded(picture(111)), "duplicate"),
    }
    for name, (raw, _) in files.items():
        (folder / name).write_bytes(raw)
    return {name: fate for name, (_, fate) in files.items()}


def test_dirty_pictures_are_converted_or_skipped_and_counted(clean: Path, tmp_path: Path):
    folder = clean / "good"
    fates = dirty(folder)
    (folder / "loop").symlink_to(folder)
    (folder / "endless.png").symlink_to(folder / "endless.png")
    (folder / ".DS_Store").write_bytes(b"hidden")
    _, array, manifest = prepare(clean, tmp_path / "x.npy", "--class", "good", "--skip-limit", "0.5")
    assert array is not None and manifest is not None
    lines = manifest.set_index("source")
    for name, fate in fates.items():
        line = lines.loc[f"good/{name}"]
        if fate in ("skipped", "duplicate"):
            assert line["status"] == fate and line["why"], name
        else:
            assert line["status"] == "used" and fate in line["note"], (name, line["note"])
    assert lines.loc["good/endless.png", "status"] == "skipped"
    assert len(lines) == 12 + len(fates) + 1, "links to folders aren't followed, hidden files are left out"
    assert (manifest["status"] == "used").sum() == len(array) == 12 + 10
    clear = array[int(lines.loc["good/alpha.png", "row"])]
    assert (clear == 255).all(), "what is transparent is white"
    turned = array[int(lines.loc["good/turned.jpg", "row"])].astype(int)
    upright = np.asarray(picture(105).rotate(-90).resize((16, 16), Image.Resampling.LANCZOS)).astype(int)
    assert abs(turned - upright).mean() < 8
    deep = array[int(lines.loc["good/deep.png", "row"])].astype(int)
    assert abs(deep - np.asarray(picture(101, 40, "L").convert("RGB").resize((16, 16), 1)).astype(int)).max() <= 1


def test_too_many_skips_stop_it(clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    (clean / "good/bad.png").write_bytes(b"nothing")
    code, _, _ = prepare(clean, tmp_path / "x.npy", "--class", "good")
    said = capsys.readouterr().err
    assert code == 2 and "1 of 13 pictures can't be read" in said and "good/bad.png: " in said
    assert not (tmp_path / "x.npy").exists() and not list(tmp_path.glob(".x*")), "nothing half-written is left"


def test_a_decompression_bomb_is_skipped(clean: Path, tmp_path: Path):
    Image.new("1", (9000, 9000)).save(clean / "good/bomb.png")
    _, _, manifest = prepare(clean, tmp_path / "x.npy", "--class", "good", "--skip-limit", "1")
    assert manifest is not None
    assert "too large: 9000×9000" in manifest.set_index("source").loc["good/bomb.png", "why"]


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.xz"])
def test_archives_and_members_that_point_outside(clean: Path, tmp_path: Path, kind: str):
    archive = tmp_path / f"pictures.{kind}"
    files = sorted((clean / "good").iterdir())
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as zipped:
            for file in files:
                zipped.write(file, f"train/good/{file.name}")
            zipped.writestr("train/good/../../evil.png", encoded(picture(1)))
    else:
        with tarfile.open(archive, f"w:{kind.partition('.')[2]}") as tar:
            for file in files:
                tar.add(file, f"train/good/{file.name}")
            evil = tarfile.TarInfo("train/good/../../evil.png")
            evil.size = len(raw := encoded(picture(1)))
            tar.addfile(evil, io.BytesIO(raw))
    _, array, manifest = prepare(f"{archive}!train", tmp_path / "x.npy", "--class", "good", "--skip-limit", "0.1")
    assert array is not None and manifest is not None
    assert len(array) == 12
    assert manifest.loc[manifest["status"] == "skipped", "why"].tolist() == ["points outside its archive"]


def test_a_truncated_archive_is_refused(clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    archive = tmp_path / "pictures.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(clean / "good", "good")
    archive.write_bytes(archive.read_bytes()[:3000])
    assert prepare(archive, tmp_path / "x.npy", "--class", "good")[0] == 2
    assert "not a whole archive" in capsys.readouterr().err


def test_picking(clean: Path, tmp_path: Path):
    _, _, first = prepare(clean, tmp_path / "a.npy", "--images", "9")
    _, _, spread = prepare(clean, tmp_path / "b.npy", "--images", "10", "--pick", "spread")
    assert first is not None and spread is not None
    assert first["source"].tolist() == [f"good/{index}.png" for index in range(9)]
    assert spread["source"].tolist() == [f"good/{index * 12 // 10}.png" for index in range(10)] or len(spread) == 10
    assert spread["source"].iloc[-1] == "good/10.png"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--class", "bad"], "no such class folder (there are: good)"),
        (["--images", "100"], "12 pictures can be used, 100 are asked for"),
        (["--source", "cifar10"], "no CIFAR-10 here"),
        (["--source", "lsun"], "no LSUN database here"),
    ],
)
def test_refusals(clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture, options: list[str], message: str):
    assert prepare(clean, tmp_path / "x.npy", *options)[0] == 2
    assert message in capsys.readouterr().err


def test_embedded_refusals(tmp_path: Path, capsys: pytest.CaptureFixture):
    assert prepare("cats", tmp_path / "x.npy", "--source", "embedded")[0] == 2
    assert prepare("digits", tmp_path / "x.npy", "--source", "embedded", "--class", "ten")[0] == 2
    said = capsys.readouterr().err
    assert "choose faces, scenes or digits" in said and "have no class 'ten'" in said


def batches(folder: Path) -> np.ndarray:
    """Write CIFAR-10 batches of 20 rows each in the original form; return the pixels of batch 1."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": ["plane", "horse"]}))
    for index in range(1, 6):
        data = rng.integers(0, 256, (20, 3072), dtype=np.uint8)
        (folder / f"data_batch_{index}").write_bytes(pickle.dumps({"data": data, "labels": [0, 1] * 10}))
        first = data if index == 1 else first  # noqa: F821
    return first


def test_cifar10(tmp_path: Path):
    first = batches(tmp_path / "cifar-10-batches-py")
    _, array, manifest = prepare(
        tmp_path, tmp_path / "x.npy", "--source", "cifar10", "--class", "horse", "--size", "32"
    )
    assert array is not None and manifest is not None
    assert len(array) == 50 and manifest["source"].iloc[:2].tolist() == ["data_batch_1[1]", "data_batch_1[3]"]
    assert np.array_equal(array[1], first[3].reshape(3, 32, 32).transpose(1, 2, 0))
    _, whole, _ = prepare(tmp_path, tmp_path / "y.npy", "--source", "cifar10", "--size", "32")
    assert whole is not None and len(whole) == 100


def test_a_pickle_that_would_run_something_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture):
    class Evil:
        def __reduce__(self) -> tuple:
            return os.system, ("touch evil",)

    batches(tmp_path / "cifar-10-batches-py")
    (tmp_path / "cifar-10-batches-py/data_batch_1").write_bytes(pickle.dumps(Evil()))
    assert prepare(tmp_path, tmp_path / "x.npy", "--source", "cifar10")[0] == 2
    assert "it wants to run" in capsys.readouterr().err and not Path("evil").exists()


def test_lsun(tmp_path: Path):
    """A real lmdb with LSUN's scheme: 40 hex digits → an encoded image."""
    with lmdb.open(str(tmp_path / "db"), map_size=1 << 24) as database, database.begin(write=True) as transaction:
        for index in range(12):
            key = hashlib.sha1(str(index).encode()).hexdigest().encode()
            transaction.put(key, encoded(picture(index), "WEBP", lossless=True))
    _, array, manifest = prepare(tmp_path / "db", tmp_path / "x.npy", "--source", "lsun", "--images", "10")
    assert array is not None and manifest is not None
    keys = sorted(hashlib.sha1(str(index).encode()).hexdigest() for index in range(12))
    assert manifest["source"].tolist() == keys[:10]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["db", "x.npy", "x.parquet"], "no key cache"


def test_memory_stays_flat(tmp_path: Path):
    """Ten times as many pictures don't take more memory: each passes alone."""
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as zipped:
        for index in range(4000):
            zipped.writestr(f"{index}.png", encoded(Image.fromarray(np.full((8, 8, 3), index % 251, np.uint8))))
    peaks = []
    for count in (400, 4000):
        code = (
            "import resource; from wframe.__main__ import main; "
            f"main(['prepare', '--path', '{tmp_path}/many.zip', '--out', '{tmp_path}/x.npy', '--size', '128', "
            f"'--images', '{count}', '--source', 'lsun' if False else 'folder', '--skip-limit', '1']); "
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        peaks.append(int(done.stdout.split()[-1]))
    assert peaks[1] < peaks[0] + 30_000, "in kB; the larger array alone has 12 MB, held whole it would take 200 MB"


def test_options_of_the_command_are_the_datasets_fields():
    from wframe.config import Dataset
    from wframe.data.prepare import add_arguments

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = {action.dest for action in parser._actions}
    assert {"source", "path", "size", "crop", "images", "pick", "skip_limit"} <= options & set(Dataset.model_fields)
