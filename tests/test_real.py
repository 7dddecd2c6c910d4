"""The paper's behaviour on real pictures with the VGG-16 bank: what the readings' page promises."""

import hashlib
from pathlib import Path

import lmdb
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import ROOT, run

from wframe.__main__ import main
from wframe.engine.process import settle_process
from wframe.model.algorithm import Constants, iterate, observe, start
from wframe.model.bank import Bank, load_bank
from wframe.model.noise import group_key, key_tensor

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def vgg(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Bank:
    path = tmp_path_factory.mktemp("bank") / "vgg16.safetensors"
    main(["bank", "--vgg16", str(real_data / "vgg16/vgg16_caffe_bgr_first4conv.npz"), "--out", str(path)])
    settle_process(1)  # another test has the other core
    return load_bank(path)


def prepared(tmp_path: Path, *options: str) -> np.ndarray:
    """Groups of nine pictures, as `wframe prepare` makes them."""
    out = tmp_path / "pictures.npy"
    assert not main(["prepare", *options, "--out", str(out)])
    pictures = np.load(out)
    return pictures.reshape(-1, 9, *pictures.shape[1:])


def R_curves(bank: Bank, pictures: np.ndarray, c: Constants) -> np.ndarray:
    """R of each group after each iteration: (T, G)."""
    bank = bank.to(c.unit)
    keys = key_tensor([group_key("test", index) for index in range(len(pictures))])
    curves = []
    with torch.inference_mode():
        observed = observe(bank, c, bank.pixels(pictures, c.unit))
        state = start(bank, observed)
        for _ in range(c.T):
            state, record = iterate(bank, c, keys, observed, state)
            curves.append(record.R.numpy())
    return np.stack(curves)


@pytest.fixture(scope="module")
def horses(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    options = ["--source", "cifar10", "--path", str(real_data / "cifar10-partial"), "--class", "horse"]
    return prepared(tmp_path_factory.mktemp("horses"), *options, "--images", "36", "--size", "32")


def test_R_falls_on_cifar10_horses(vgg: Bank, horses: np.ndarray):
    for β in (0.0, 60.0):
        R = R_curves(vgg, horses[:1], Constants(T=30, L=20, beta=β, delta=0.15, lambda_=2e-3))
        assert R[0, 0] == pytest.approx(2.58, abs=0.1), "the scale of R at the start, as the pilot saw it"
        assert R[-1, 0] < R[0, 0] / 4


def test_R_falls_on_celeba_faces(vgg: Bank, real_data: Path, tmp_path: Path):
    options = ["--source", "celeba", "--path", str(real_data / "celeba/img_align_celeba")]
    faces = prepared(tmp_path, *options, "--images", "9", "--crop", "140", "--size", "64")
    R = R_curves(vgg, faces, Constants(T=30, L=20, beta=60.0, delta=0.2, lambda_=1e-3))
    assert R[-1, 0] < R[0, 0] / 4


def test_frame_collapses_and_wframe_comes_back(vgg: Bank, horses: np.ndarray):
    """λ = 1e-2, 30×20 steps, four groups: the paper's main claim (its Figures 1 and 3)."""
    far = Constants(T=30, L=20, delta=0.15, lambda_=1e-2)
    frame = R_curves(vgg, horses, far._replace(beta=0.0))
    wframe = R_curves(vgg, horses, far)
    assert (frame[-1] > 10 * frame[0]).all(), frame[[0, -1]]
    assert (wframe.max(0) > wframe[-1]).all()
    assert (wframe[-1] < frame[-1] / 10).all(), wframe[-1]


def test_all_four_datasets_pass_the_workflow(real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The `real` edition with a tiny schedule and a class each, and LSUN pictures in a real lmdb with LSUN's keys."""
    monkeypatch.setenv("WFRAME_DATA", str(real_data))
    database = tmp_path / "lsun_lmdb"
    with lmdb.open(str(database), map_size=1 << 26) as environment, environment.begin(write=True) as transaction:
        for file in sorted((real_data / "lsun-sample").rglob("*.*g")):
            transaction.put(hashlib.sha1(file.name.encode()).hexdigest().encode(), file.read_bytes())
    edition = yaml.safe_load((ROOT / "config/real.yaml").read_text())
    edition["learning"] |= {"T": 4, "L": 3}
    edition["datasets"]["cifar10"]["classes"], edition["datasets"]["sun"]["classes"] = ["horse"], ["coast"]
    edition["datasets"]["lsun"] = {"source": "lsun", "path": str(database), "size": 64}
    del edition["studies"]["collapse"]
    edition["studies"]["whole"] |= {"datasets": ["celeba", "lsun", "cifar10", "sun"], "groups": 1, "snapshots": [4]}
    run(tmp_path, edition)
    curves = pd.read_parquet(tmp_path / "results/studies/whole.parquet")
    assert set(curves["dataset"]) == {"celeba", "lsun", "cifar10", "sun"} and len(curves) == 4 * 2 * 4
    assert not curves["R"].isna().any() and (curves["diverged"] < 0).all()
    page = (tmp_path / "results/report/index.html").read_text()
    assert "VGG" in page or "vgg16" in page
    manifest = pd.read_parquet(tmp_path / "results/data/celeba/all.parquet")
    first = real_data / "celeba" / "img_align_celeba" / Path(manifest["source"].iloc[0]).name
    assert hashlib.sha256(first.read_bytes()).hexdigest() == manifest["sha256"].iloc[0]
