"""Preparation: dirty images, archives, picking, manifests; each file made here, none from elsewhere."""

import argparse
import hashlib
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import lmdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from wframe.__main__ import main
from wframe.data.readers import _pickles


def image(seed: int, side: int = 40, mode: str = "RGB") -> Image.Image:
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
    """Twelve good images of class `good`."""
    folder = tmp_path / "raw" / "good"
    folder.mkdir(parents=True)
    for index in range(12):
        (folder / f"{index}.png").write_bytes(encoded(image(index)))
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
        by_hand = Image.open(io.BytesIO(raw)).convert("RGB").resize((16, 16), Image.Resampling.LANCZOS, (0, 0, 40, 40))
        assert np.array_equal(array[row], np.asarray(by_hand))
    about = json.loads(pq.read_schema(tmp_path / "x.parquet").metadata[b"wframe"])
    assert about["totals"] == {"used": 12} and about["options"]["class_"] == "good"


def test_same_input_same_bytes(clean: Path, tmp_path: Path):
    dirty(clean / "good")
    for name in ("a", "b"):
        prepare(clean, tmp_path / name / "x.npy", "--class", "good", "--skip-limit", "1")
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


def deep_colours() -> bytes:
    """A PNG of 16 bits per colour, which Pillow can't write: 40×40, (65535, 32768, 0)."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = (b"\0" + struct.pack(">3H", 65535, 32768, 0) * 40) * 40
    header = struct.pack(">IIBBBBB", 40, 40, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def dirty(folder: Path) -> dict[str, str]:
    """Write one of each kind of dirty file; return what should become of it."""
    good = image(100, 64)
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = Image.fromarray(np.asarray(image(101, 40, "L")).astype(np.uint16) * 257)
    clear = image(102).convert("RGBA")
    clear.putalpha(0)
    files = {
        "truncated.jpg": (encoded(good, "JPEG")[:600], "skipped"),
        "grey.png": (encoded(image(103, 40, "L")), "L→RGB"),
        "alpha.png": (encoded(clear), "alpha over white"),
        "print.jpg": (encoded(image(104, 40, "CMYK"), "JPEG"), "CMYK→RGB"),
        "deep.png": (encoded(deep), "16-bit→8-bit"),
        "turned.jpg": (encoded(image(105), "JPEG", exif=exif), "EXIF-rotated"),
        "palette.gif": (encoded(image(106), "GIF"), "P→RGB"),
        "deep colours.png": (deep_colours(), "16-bit→8-bit"),
        "floats.tif": (encoded(Image.new("F", (40, 40), 0.5), "TIFF"), "skipped"),
        "program.eps": (encoded(image(112), "EPS"), "skipped"),
        "dot.png": (encoded(image(107, 1)), "skipped"),
        "empty.jpg": (b"", "skipped"),
        "wrong.txt": (encoded(image(108)), ""),
        "not an image.jpg": (b"<html>sorry</html>", "skipped"),
        "schöne Katze.png": (encoded(image(109)), ""),
        "small.png": (encoded(image(110, 10)), "upsampled"),
        "twin a.png": (encoded(image(111)), ""),
        "twin b.png": (encoded(image(111)), "duplicate"),
        "twin in another format.tif": (encoded(image(111), "TIFF"), "duplicate"),
    }
    for name, (raw, _) in files.items():
        (folder / name).write_bytes(raw)
    return {name: fate for name, (_, fate) in files.items()}


def test_dirty_images_are_converted_or_skipped_and_counted(clean: Path, tmp_path: Path):
    folder = clean / "good"
    fates = dirty(folder)
    (folder / "loop").symlink_to(folder)
    (folder / "endless.png").symlink_to(folder / "endless.png")
    os.mkfifo(folder / "pipe.png")
    (folder / os.fsdecode(b"latin-\xe4.png")).write_bytes(encoded(image(113)))
    for hidden in (".DS_Store", "Thumbs.db"):
        (folder / hidden).write_bytes(b"hidden")
    _, array, manifest = prepare(clean, tmp_path / "x.npy", "--class", "good", "--skip-limit", "0.5")
    assert array is not None and manifest is not None
    lines = manifest.set_index("source")
    for name, fate in fates.items():
        line = lines.loc[f"good/{name}"]
        if fate in ("skipped", "duplicate"):
            assert line["status"] == fate and line["why"], name
        else:
            assert line["status"] == "used" and fate in line["note"], (name, line["note"])
    assert lines.loc["good/twin b.png", "why"] == f"same bytes as row {lines.loc['good/twin a.png', 'row']:.0f}"
    other = lines.loc["good/twin in another format.tif", "why"]
    assert other == f"same pixels as row {lines.loc['good/twin a.png', 'row']:.0f}"
    links = lines.loc[["good/endless.png", "good/loop"]]
    assert (links["status"] == "skipped").all() and links["why"].str.startswith("a link").all()
    assert lines.loc["good/pipe.png", "why"] == "not a regular file"
    assert lines.loc["good/latin-\\xe4.png", "status"] == "used", "a name that isn't text is spelt out"
    assert len(lines) == 12 + len(fates) + 4, "hidden files are left out"
    assert (manifest["status"] == "used").sum() == len(array) == 12 + 11 + 1
    totals = json.loads(pq.read_schema(tmp_path / "x.parquet").metadata[b"wframe"])["totals"]
    assert totals == manifest["status"].value_counts().to_dict() == {"used": 24, "skipped": 9, "duplicate": 2}
    colours = array[int(lines.loc["good/deep colours.png", "row"])]
    assert (colours == (255, 128, 0)).all()
    clear = array[int(lines.loc["good/alpha.png", "row"])]
    assert (clear == 255).all(), "what is transparent is white"
    turned = array[int(lines.loc["good/turned.jpg", "row"])].astype(int)
    upright = np.asarray(image(105).rotate(-90).resize((16, 16), Image.Resampling.LANCZOS)).astype(int)
    assert abs(turned - upright).mean() < 8
    deep = array[int(lines.loc["good/deep.png", "row"])].astype(int)
    assert abs(deep - np.asarray(image(101, 40, "L").convert("RGB").resize((16, 16), 1)).astype(int)).max() <= 1


def test_too_many_skips_stop_it(clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    (clean / "good/bad.png").write_bytes(b"nothing")
    code, _, _ = prepare(clean, tmp_path / "x.npy", "--class", "good")
    said = capsys.readouterr().err
    assert code == 2 and "1 of 13 images can't be used" in said and "good/bad.png: " in said
    assert not (tmp_path / "x.npy").exists() and not list(tmp_path.glob(".x*")), "nothing half-written is left"


def test_a_decompression_bomb_is_skipped(clean: Path, tmp_path: Path):
    Image.new("1", (9000, 9000)).save(clean / "good/bomb.png")
    _, _, manifest = prepare(clean, tmp_path / "x.npy", "--class", "good", "--skip-limit", "1")
    assert manifest is not None
    assert "too large: 9000×9000" in manifest.set_index("source").loc["good/bomb.png", "why"]


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.xz"])
def test_archives_and_members_that_point_outside(clean: Path, tmp_path: Path, kind: str):
    archive = tmp_path / f"images.{kind}"
    files = sorted((clean / "good").iterdir())
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as zipped:
            for file in files:
                zipped.write(file, f"train/good/{file.name}")
            zipped.writestr("train/good/../../evil.png", encoded(image(1)))
    else:
        with tarfile.open(archive, f"w:{kind.partition('.')[2]}") as tar:
            for file in files:
                tar.add(file, f"train/good/{file.name}")
            evil = tarfile.TarInfo("train/good/../../evil.png")
            evil.size = len(raw := encoded(image(1)))
            tar.addfile(evil, io.BytesIO(raw))
    _, array, manifest = prepare(f"{archive}!train", tmp_path / "x.npy", "--class", "good", "--skip-limit", "0.1")
    assert array is not None and manifest is not None
    assert len(array) == 12
    assert manifest.loc[manifest["status"] == "skipped", "why"].tolist() == ["points outside its archive"]


@pytest.mark.parametrize("kind", ["", "gz", "xz"])
def test_a_truncated_archive_is_refused(clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture, kind: str):
    """Wherever it is cut: in a image, in a header, or between two members."""
    archive = tmp_path / "images.tar"
    with tarfile.open(archive, f"w:{kind}") as tar:
        for file in sorted((clean / "good").iterdir()):
            tar.add(file, f"good/{file.name}")
    whole = archive.read_bytes()
    with tarfile.open(archive) as tar:
        ends = [member.offset for member in tar.getmembers()][6:] if not kind else []
    for cut in [len(whole) // 3, len(whole) // 2, *ends, *(end + 100 for end in ends)]:
        archive.write_bytes(whole[:cut])
        assert prepare(archive, tmp_path / "x.npy", "--class", "good", "--skip-limit", "1")[0] == 2, cut
        assert "not a whole archive" in capsys.readouterr().err
    if not kind:  # a broken header in the middle isn't the end either
        archive.write_bytes(whole[: ends[3]] + b"x" * 512 + whole[ends[3] + 512 :])
        assert prepare(archive, tmp_path / "x.npy", "--class", "good")[0] == 2


def test_sun397_sorts_its_classes_under_letters(clean: Path, tmp_path: Path):
    (clean / "good").rename(clean / "coast")
    (clean / "c").mkdir()
    _, flat, _ = prepare(clean, tmp_path / "flat.npy", "--source", "sun", "--class", "coast")
    (clean / "coast").rename(clean / "c" / "coast")
    _, sorted_, manifest = prepare(clean, tmp_path / "sorted.npy", "--source", "sun", "--class", "coast")
    with tarfile.open(tmp_path / "SUN397.tar.gz", "w:gz") as tar:
        tar.add(clean, "SUN397")
    inside = f"{tmp_path}/SUN397.tar.gz!SUN397"
    _, packed, _ = prepare(inside, tmp_path / "packed.npy", "--source", "sun", "--class", "coast")
    assert flat is not None and sorted_ is not None and packed is not None and manifest is not None
    assert np.array_equal(flat, sorted_) and len(packed) == 12
    assert manifest["source"].iloc[2] == "c/coast/2.png"


def test_a_folder_with_an_exclamation_mark(clean: Path, tmp_path: Path):
    place = clean.rename(tmp_path / "Wow!")
    assert prepare(place, tmp_path / "x.npy", "--class", "good")[0] == 0
    assert prepare(f"{tmp_path}/Wow!/good", tmp_path / "x.npy")[0] == 0


def test_picking(clean: Path, tmp_path: Path):
    _, _, first = prepare(clean, tmp_path / "a.npy", "--images", "9")
    _, _, spread = prepare(clean, tmp_path / "b.npy", "--images", "9", "--pick", "spread")
    assert first is not None and spread is not None
    assert first["source"].tolist() == [f"good/{index}.png" for index in range(9)]
    assert spread["source"].tolist() == [f"good/{index}.png" for index in (0, 1, 2, 4, 5, 6, 8, 9, 10)]
    (clean / "good" / "4.png").write_bytes(b"broken")
    _, _, mended = prepare(clean, tmp_path / "c.npy", "--images", "9", "--pick", "spread", "--skip-limit", "0.2")
    assert mended is not None, "the next good image takes the place of a broken one"
    assert (mended["status"] == "used").sum() == 9 and "good/5.png" in mended["source"].tolist()


@pytest.mark.parametrize("pick", ["first", "spread"])
def test_the_first_images_can_be_left_out(clean: Path, tmp_path: Path, pick: str, capsys: pytest.CaptureFixture):
    for index in range(12, 24):
        (clean / "good" / f"{index}.png").write_bytes(encoded(image(index)))
    _, _, manifest = prepare(clean, tmp_path / "a.npy", "--images", "9", "--start", "6", "--pick", pick)
    assert manifest is not None
    numbers = [int(Path(source).stem) for source in manifest["source"]]
    assert numbers == ([*range(6, 15)] if pick == "first" else [6, 8, 10, 12, 14, 16, 18, 20, 22])
    if pick == "first":
        assert "100%" in capsys.readouterr().err, "what is left out counts as work"
    assert prepare(clean, tmp_path / "b.npy", "--images", "9", "--start", "20", "--pick", pick)[0] == 2
    assert "4 images can be used, a group needs 9, beyond the first 20" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--class", "bad"], "no such class folder (there are: good)"),
        (["--images", "100"], "12 images can be used, 100 are asked for"),
        (["--images", "100", "--pick", "spread"], "12 images can be used, 100 are asked for"),
        (["--images", "8"], "--images 8: must be at least 9"),
        (["--crop", "0"], "--crop 0: must be at least 8"),
        (["--skip-limit", "2"], "--skip-limit 2: is a share, from 0 to 1"),
        (["--class", "few"], "class few: 8 images can be used, a group needs 9. Add some"),
        (["--source", "cifar10"], "no CIFAR-10 here"),
        (["--source", "lsun"], "no LSUN database here"),
    ],
)
def test_refusals(clean: Path, tmp_path: Path, capsys: pytest.CaptureFixture, options: list[str], message: str):
    if "few" in options:
        (clean / "good").rename(clean / "few")
        for index in range(4):
            (clean / f"few/{index}.png").unlink()
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
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "cifar-10-batches-py", "cifar-10-batches-py")
    packed = tmp_path / "cifar-10-python.tar.gz"
    _, same, _ = prepare(packed, tmp_path / "z.npy", "--source", "cifar10", "--size", "32")
    assert np.array_equal(whole, same)


def test_cifar10_refusals(tmp_path: Path, capsys: pytest.CaptureFixture):
    folder = tmp_path / "cifar-10-batches-py"
    batches(folder)
    for path, options, message in (
        (tmp_path, ["--class", "cat"], "has no class 'cat' (it has: plane, horse)"),
        (f"{tmp_path}!val", [], "a train and a test part, no 'val'"),
        (f"{tmp_path}!test", [], "no test_batch"),
    ):
        assert prepare(path, tmp_path / "x.npy", "--source", "cifar10", *options)[0] == 2
        assert message in capsys.readouterr().err
    whole = (folder / "data_batch_2").read_bytes()
    for broken in (whole[:1000], b"", pickle.dumps([1]), pickle.dumps({"data": np.zeros((2, 3072), np.uint8)})):
        (folder / "data_batch_2").write_bytes(broken)
        assert prepare(tmp_path, tmp_path / "x.npy", "--source", "cifar10")[0] == 2
        assert "data_batch_2 isn't a CIFAR-10 batch" in capsys.readouterr().err


class Calls:
    """Pickles as a call of `function`."""

    def __init__(self, function: Callable, *arguments: object, state: object = None):
        self.call = function, arguments, state

    def __reduce__(self) -> tuple:
        return self.call


MALICIOUS = {
    "a command": Calls(os.system, "touch evil"),
    "a module of NumPy that runs code": Calls(import_module, "numpy.f2py.__main__"),
    "objects in place of bytes": np.array([None] * 3072, dtype=object),
    # NumPy's own dtype takes its flags from here, and then reads these bytes as pointers: a segmentation fault
    "bytes that are flagged as objects": Calls(
        np._core.multiarray._reconstruct,
        np.ndarray,
        (0,),
        b"b",
        state=(1, (1, 384), Calls(np.dtype, "O", False, True), False, b"\1" * 3072),
    ),
}


@pytest.mark.parametrize("name", MALICIOUS)
def test_a_malicious_pickle_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture, name: str):
    batches(tmp_path / "cifar-10-batches-py")
    content = pickle.dumps({"data": MALICIOUS[name], "labels": [0]})
    (tmp_path / "cifar-10-batches-py/data_batch_1").write_bytes(content)
    assert prepare(tmp_path, tmp_path / "x.npy", "--source", "cifar10")[0] == 2
    error = capsys.readouterr().err
    assert ("it wants to run" in error or "not integers" in error) and not Path("evil").exists()


def test_a_dtype_takes_no_flags_from_its_file():
    flagged = Calls(np.dtype, "u1", False, True, state=(3, "|", None, None, None, -1, -1, 0x3F))
    array = np._core.multiarray._reconstruct
    content = pickle.dumps(Calls(array, np.ndarray, (0,), b"b", state=(1, (2, 8), flagged, False, b"\1" * 16)))
    read = _pickles.load(content)
    assert read.dtype == np.uint8 and not read.dtype.hasobject and read.tolist() == [[1] * 8] * 2


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_batches_of_every_pickle_protocol(protocol: int):
    values = np.arange(12, dtype=np.uint8).reshape(3, 4)
    batch = {"data": values, "by column": np.asfortranarray(values), "labels": [1, 2], "a label": np.int64(-3)}
    read = _pickles.load(pickle.dumps(batch, protocol))
    assert (read["data"] == values).all() and (read["by column"] == values).all()
    assert (read["labels"], read["a label"]) == ([1, 2], -3)


def lsun(folder: Path, images: int, side: int = 40) -> list[str]:
    """Write a real lmdb with LSUN's scheme, 40 hex digits → an encoded image; return its keys in order."""
    keys = [hashlib.sha1(str(index).encode()).hexdigest() for index in range(images)]
    with lmdb.open(str(folder), map_size=1 << 28) as database, database.begin(write=True) as transaction:
        for index, key in enumerate(keys):
            transaction.put(key.encode(), encoded(image(index, side), "WEBP", lossless=True))
    return sorted(keys)


def test_lsun(tmp_path: Path):
    keys = lsun(tmp_path / "db", 12)
    before = sorted(path.name for path in (tmp_path / "db").iterdir())
    (tmp_path / "out").mkdir()
    _, array, manifest = prepare(tmp_path / "db", tmp_path / "out/x.npy", "--source", "lsun", "--images", "10")
    assert array is not None and manifest is not None
    assert manifest["source"].tolist() == keys[:10]
    assert before == sorted(path.name for path in (tmp_path / "db").iterdir()), "no key cache"
    _, _, spread = prepare(
        tmp_path / "db", tmp_path / "out/x.npy", "--source", "lsun", "--images", "9", "--pick", "spread"
    )
    assert spread is not None
    assert spread["source"].tolist() == [keys[index] for index in (0, 1, 2, 4, 5, 6, 8, 9, 10)]


def test_lsun_reads_each_key_once_across_reopenings(tmp_path: Path):
    from wframe.data.readers import candidates, count

    keys = lsun(tmp_path / "db", 2003, side=8)
    assert count("lsun", str(tmp_path / "db"), "all") == 2003
    found = [(candidate.source, len(candidate.read()) > 0) for candidate in candidates("lsun", f"{tmp_path}/db", "all")]
    assert found == [(key, True) for key in keys]


def test_a_truncated_lsun_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture):
    """Reading beyond the end of a mapped file kills a process: so it must not come to that."""
    lsun(tmp_path / "db", 12)
    file = tmp_path / "db/data.mdb"
    whole = file.read_bytes()
    for cut in (len(whole) // 2, 5000, 100):
        file.write_bytes(whole[:cut])
        assert prepare(tmp_path / "db", tmp_path / "x.npy", "--source", "lsun")[0] == 2
        assert "not a whole LSUN database" in capsys.readouterr().err
    assert prepare(tmp_path / "db", tmp_path / "x.npy", "--source", "lsun", "--class", "bedroom")[0] == 2


@pytest.mark.parametrize("kind", ["folder", "tar", "lsun"])
def test_memory_stays_flat(tmp_path: Path, kind: str):
    """Ten times as many images don't take more memory: each passes alone."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    raws = []
    for index in range(4000):
        noise[:8, :8] = index % 256, index // 256, 0  # large enough to tell images apart after resizing
        raws.append(encoded(Image.fromarray(noise), "BMP"))  # 12 kB each: 49 MB in all, and 196 MB as an array
    place = tmp_path / "many"
    if kind == "folder":
        place.mkdir()
        for index, raw in enumerate(raws):
            (place / f"{index}.bmp").write_bytes(raw)
    elif kind == "tar":
        with tarfile.open(place, "w") as tar:
            for index, raw in enumerate(raws):
                member = tarfile.TarInfo(f"{index}.bmp")
                member.size = len(raw)
                tar.addfile(member, io.BytesIO(raw))
    else:
        with lmdb.open(str(place), map_size=1 << 28) as database, database.begin(write=True) as transaction:
            for index, raw in enumerate(raws):
                transaction.put(hashlib.sha1(str(index).encode()).hexdigest().encode(), raw)
    peaks = []
    for images in (400, 4000):
        options = ["--source", "lsun" if kind == "lsun" else "folder", "--size", "128", "--images", str(images)]
        options += ["--path", str(place), "--out", str(tmp_path / "x.npy")]
        code = (
            "import resource, sys; from wframe.__main__ import main; status = main(['prepare', *sys.argv[1:]]); "
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); sys.exit(status)"
        )
        done = subprocess.run([sys.executable, "-c", code, *options], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout))
    assert len(np.load(tmp_path / "x.npy", mmap_mode="r")) == 4000
    assert peaks[1] < peaks[0] + 20_000, f"{peaks} kB"


@pytest.mark.parametrize(
    ("which", "class_", "number"),
    [("faces", "all", 100), ("digits", "all", 1797), ("digits", "8", 174), ("scenes", "china", 181)],
)
def test_embedded(tmp_path: Path, which: str, class_: str, number: int):
    _, array, manifest = prepare(which, tmp_path / "x.npy", "--source", "embedded", "--class", class_)
    assert array is not None and manifest is not None and len(array) == number
    assert manifest["source"].is_unique and (array.reshape(number, -1).std(1) > 2).mean() > 0.95, "images, not blanks"


def test_every_scene_is_in_the_packages(tmp_path: Path):
    from wframe.data.readers import candidates
    from wframe.data.readers.embedded import PHOTOGRAPHS

    for name in PHOTOGRAPHS:
        first = next(candidates("embedded", "scenes", name))
        width, height = Image.open(io.BytesIO(first.read())).size
        assert first.box is not None and first.box[2] <= width and first.box[3] <= height and first.box[2] >= 100


def test_it_starts_without_torch():
    code = "import sys, wframe.data.prepare; print({'torch', 'torchvision', 'lmdb', 'sklearn'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


def test_options_of_the_command_are_the_datasets_fields():
    from wframe.config.datasets import Dataset
    from wframe.data.prepare import add_arguments

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = {action.dest for action in parser._actions}
    assert {"source", "path", "size", "crop", "images", "pick", "skip_limit"} <= options & set(Dataset.model_fields)
