"""The paper's behaviour on real images with the VGG-16 bank, and the readers on whole datasets."""

import hashlib
import pickle
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import lmdb
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import ROOT, run
from PIL import Image

from wframe.__main__ import main
from wframe.model.algorithm import iterate, observe, start
from wframe.model.bank import Bank, load_bank
from wframe.model.constants import Constants
from wframe.model.noise import group_key, key_tensor
from wframe.runtime.machine import native_bf16
from wframe.runtime.process import configure_process

pytestmark = pytest.mark.real
PRECISION = "bf16" if native_bf16() else "fp32"  # what is fast here: what these tests ask holds in both


@pytest.fixture(scope="module")
def vgg(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Bank:
    path = tmp_path_factory.mktemp("bank") / "vgg16.safetensors"
    main(["bank", "--vgg16", str(real_data / "vgg16/vgg16_caffe_bgr_first4conv.npz"), "--out", str(path)])
    configure_process(1)  # another test uses the other core
    return load_bank(path)


def prepared(tmp_path: Path, *options: str) -> np.ndarray:
    """Return groups of nine images, prepared by `wframe prepare`."""
    out = tmp_path / "images.npy"
    assert not main(["prepare", *options, "--out", str(out)])
    images = np.load(out)
    return images.reshape(-1, 9, *images.shape[1:])


def R_curves(bank: Bank, images: np.ndarray, c: Constants) -> np.ndarray:
    """Return R of each group after each iteration: (T, G)."""
    bank = bank.to(c.unit, precision=PRECISION)
    keys = key_tensor([group_key("test", index) for index in range(len(images))])
    curves = []
    with torch.inference_mode():
        observed = observe(bank, c, bank.pixels(images, c.unit))
        state = start(bank, observed)
        for _ in range(c.T):
            state, record = iterate(bank, c, keys, observed, state)
            curves.append(record.R.numpy())
    return np.stack(curves)


@pytest.fixture(scope="module")
def horses(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    options = ["--source", "cifar10", "--path", str(real_data / "cifar10-partial"), "--class", "horse"]
    return prepared(tmp_path_factory.mktemp("horses"), *options, "--images", "18", "--size", "32")


def test_R_falls_on_cifar10_horses(vgg: Bank, horses: np.ndarray):
    for β in (0.0, 60.0):
        R = R_curves(vgg, horses[:1], Constants(T=18, L=20, beta=β, delta=0.15, lambda_=2e-3))
        assert R[0, 0] == pytest.approx(2.58, abs=0.1), "the scale of R at the start, as in the pilot run"
        assert R[-1, 0] < R[0, 0] / 2


def test_R_falls_on_celeba_faces(vgg: Bank, real_data: Path, tmp_path: Path):
    options = ["--source", "celeba", "--path", str(real_data / "celeba/img_align_celeba")]
    faces = prepared(tmp_path, *options, "--images", "9", "--crop", "140", "--size", "64")
    R = R_curves(vgg, faces, Constants(T=10, L=20, beta=60.0, delta=0.2, lambda_=1e-3))
    assert R[-1, 0] < R[0, 0] / 2


def test_frame_collapses_and_wframe_recovers_only_with_the_delayed_penalty(vgg: Bank, horses: np.ndarray):
    """λ = 1e-2, 30×20 steps, two groups: the paper's main claim (its Figures 1 and 3).

    Against the paper: with line 12 as printed, wFRAME collapses too.
    """
    far = Constants(T=30, L=20, delta=0.15, lambda_=1e-2)
    frame = R_curves(vgg, horses, far._replace(beta=0.0))
    assert (frame[-1] > 10 * frame[0]).all(), frame[[0, -1]]
    delayed = R_curves(vgg, horses, far._replace(before="kept"))
    assert (delayed.max(0) > delayed[-1]).all()
    assert (delayed[-1] < frame[-1] / 10).all(), delayed[-1]
    printed = R_curves(vgg, horses, far)
    assert (printed[-1] > 10 * printed[0]).any(), printed[-1]
    print("R at the end, by group:", frame[-1], printed[-1], delayed[-1])


def test_all_four_datasets_pass_the_workflow(real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run the `real` edition, one class per dataset, with a tiny schedule; VGG-16 and an LSUN database are fetched."""
    data, served = tmp_path / "data", tmp_path / "served"
    data.mkdir()
    served.mkdir()
    for name in ("celeba", "cifar10-partial", "sun15"):
        (data / name).symlink_to(real_data / name)
    weights = "vgg16_caffe_bgr_first4conv.npz"
    (served / weights).symlink_to(real_data / "vgg16" / weights)
    with lmdb.open(str(tmp_path / "lmdb"), map_size=1 << 26) as database, database.begin(write=True) as transaction:
        for file in sorted((real_data / "lsun-sample").rglob("*.*g")):
            transaction.put(hashlib.sha1(file.name.encode()).hexdigest().encode(), file.read_bytes())
    with zipfile.ZipFile(served / "lsun.zip", "w") as zipped:
        zipped.write(tmp_path / "lmdb/data.mdb", "lsun_lmdb/data.mdb")
    edition = yaml.safe_load((ROOT / "config/real.yaml").read_text())
    edition["learning"] |= {"T": 4, "L": 3}
    edition["theory"] = False
    edition["bank"]["inputs"] = ["vgg16"]
    edition["datasets"]["cifar10"]["classes"], edition["datasets"]["sun"]["classes"] = ["horse"], ["coast"]
    edition["datasets"]["lsun"] = {"source": "lsun", "path": "lsun/lsun_lmdb", "inputs": ["lsun"], "size": 64}
    for other in ("baselines", "scores"):  # these have their own tests
        del edition[other]
    del edition["studies"]["collapse"]
    edition["studies"]["whole"] |= {"datasets": ["celeba", "lsun", "cifar10", "sun"], "groups": 1, "snapshots": [4]}

    handler = partial(SimpleHTTPRequestHandler, directory=str(served))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        here = f"http://127.0.0.1:{server.server_address[1]}"
        registry = {
            name: {"title": name, "terms": "-", "link": "-", "reader": "-", "files": [file]}
            for name, file in {
                "vgg16": {"name": weights, "sha256": "40aec0d7", "sources": [f"{here}/gone", f"{here}/{weights}"]},
                "lsun": {"name": "lsun.zip", "unpack": True, "sources": [f"{here}/lsun.zip"]},
            }.items()
        }
        (tmp_path / "inputs.yaml").write_text(yaml.safe_dump(registry))
        monkeypatch.setenv("WFRAME_REGISTRY", str(tmp_path / "inputs.yaml"))
        monkeypatch.setenv("WFRAME_DATA", str(data))
        run(tmp_path, edition)
        server.shutdown()
    assert "Nothing to be done" in run(tmp_path, edition, "--dry-run").stdout, "files already fetched need no server"

    curves = pd.read_parquet(tmp_path / "results/studies/whole.parquet")
    assert set(curves["dataset"]) == {"celeba", "lsun", "cifar10", "sun"} and len(curves) == 4 * 2 * 4
    assert not curves["R"].isna().any() and (curves["diverged"] < 0).all()
    page = (tmp_path / "results/report/index.html").read_text()
    assert "VGG" in page or "vgg16" in page
    manifest = pd.read_parquet(tmp_path / "results/data/celeba/all.parquet")
    first = real_data / "celeba" / "img_align_celeba" / Path(manifest["source"].iloc[0]).name
    assert hashlib.sha256(first.read_bytes()).hexdigest() == manifest["sha256"].iloc[0]
    assert len(pd.read_parquet(tmp_path / "results/data/lsun/all.parquet")) == 21


# --- whole folders, compared with independent code ---------------------------------------------------------------


def whole(tmp_path: Path, *options: str) -> tuple[np.ndarray, pd.DataFrame]:
    out = tmp_path / "whole.npy"
    assert not main(["prepare", *options, "--out", str(out)])
    return np.load(out), pd.read_parquet(out.with_suffix(".parquet"))


def test_cifar10_batches_are_the_originals(real_data: Path, tmp_path: Path):
    """Compare the partial batches, in torchvision's layout, with the full list of labels and the pickled pixels."""
    folder = real_data / "cifar10-partial"
    array, manifest = whole(tmp_path, "--source", "cifar10", "--path", str(folder), "--size", "32")
    assert array.shape == (8068, 32, 32, 3)
    labels, pixels = [], []
    for index in range(1, 6):
        batch = pickle.loads((folder / f"cifar-10-batches-py/data_batch_{index}").read_bytes(), encoding="latin1")
        labels += list(batch["labels"])
        pixels.append(batch["data"])
    assert np.array_equal(array, np.concatenate(pixels).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    assert labels[:4000] == np.load(folder / "labels_full.npz")["train"][:4000].tolist()
    assert manifest["source"].iloc[[0, 4000]].tolist() == ["data_batch_1[0]", "data_batch_2[0]"]


def test_all_cifar10_jpegs(real_data: Path, tmp_path: Path):
    """Read 60,000 images from class folders in a tar.xz: each is in its label's folder and resembles the original."""
    archive = real_data / "cifar10-jpeg/CIFAR-10-images.tar.xz"
    array, manifest = whole(tmp_path, "--path", str(archive), "--size", "32")
    assert array.shape == (60_000, 32, 32, 3) and (manifest["status"] == "used").all()
    assert manifest["group"].max() == 60_000 // 9 and manifest["sha256"].is_unique
    parts = manifest["source"].str.extract(r"(train|test)/(\w+)/(\d+)\.jpg")
    folder = real_data / "cifar10-partial"
    names = pickle.loads((folder / "cifar-10-batches-py/batches.meta").read_bytes())["label_names"]
    labels = np.load(folder / "labels_full.npz")
    for split, number in (("train", 5000), ("test", 1000)):
        counts = parts[parts[0] == split].groupby(1).size()
        assert (counts[names] == np.bincount(labels[split])).all() and (counts == number).all()
    lossless = pickle.loads((folder / "cifar-10-batches-py/data_batch_1").read_bytes(), encoding="latin1")["data"]
    lossless = lossless.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    place = {(split, name, int(number)): row for row, (split, name, number) in enumerate(parts.to_numpy())}
    seen = dict.fromkeys(range(10), 0)
    for index, label in enumerate(labels["train"][:4000]):
        ours = array[place["train", names[label], seen[label]]]
        seen[label] += 1
        assert np.sqrt(np.mean((ours - lossless[index].astype(float)) ** 2)) < 25, (index, names[label])


def test_all_celeba_and_sun_files(real_data: Path, tmp_path: Path):
    """Check counts and shapes, and compare a few images with Pillow's plain crop of the same files."""
    folder = real_data / "celeba/img_align_celeba"
    array, manifest = whole(
        tmp_path, "--source", "celeba", "--path", str(folder), "--crop", "140", "--size", "64", "--skip-limit", "0"
    )
    assert array.shape == (4150, 64, 64, 3) and set(manifest["crop"]) == {"19,39,159,179"}
    assert manifest["source"].tolist() == sorted(file.name for file in folder.iterdir())
    for row in (0, 2000, 4149):
        plain = Image.open(folder / manifest["source"][row]).crop((19, 39, 159, 179)).resize((64, 64), 1)
        assert abs(array[row].astype(int) - np.asarray(plain).astype(int)).mean() < 1
    for size in ("32", "64"):
        array, manifest = whole(tmp_path, "--source", "sun", "--path", str(real_data / "sun15"), "--size", size)
        assert array.shape == (1500, int(size), int(size), 3)
    counts = manifest["source"].str.partition("/")[0].value_counts()
    assert len(counts) == 15 and (counts == 100).all()
    row = manifest.iloc[700]
    left, top, right, bottom = (int(side) for side in row["crop"].split(","))
    assert right - left == bottom - top == min(row["width"], row["height"])
    plain = Image.open(real_data / "sun15" / row["source"]).crop((left, top, right, bottom)).resize((64, 64), 1)
    assert abs(array[700].astype(int) - np.asarray(plain).astype(int)).mean() < 1
