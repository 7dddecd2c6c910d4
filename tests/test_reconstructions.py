"""Reconstructions of held-out images: by a trained ALI, by FRAME and wFRAME, and what is no reconstruction."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file
from test_baselines import SMALL

from wframe.__main__ import main
from wframe.measurements.reconstructions import by_langevin, distances, nearest
from wframe.model.bank import load_bank
from wframe.model.constants import Constants


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits, the bank, and an ALI and a DCGAN of a few steps, trained on the first half."""
    folder = tmp_path_factory.mktemp("reconstructions")
    prepare = ["prepare", "--source", "embedded", "--path", "digits", "--size", "32", "--class", "3", "--images", "40"]
    main([*prepare, "--out", str(folder / "3.npy")])
    main(["bank", "--builtin", "--out", str(folder / "bank.safetensors")])
    for model in ("ali", "dcgan"):
        settings = json.dumps({"model": model, "samples": 2, "images": 20} | SMALL[model])
        main(["baseline", "--images", str(folder / "3.npy"), "--settings", settings, "--out", str(folder / model)])
    return folder


def command(folder: Path, model: str, *more: str) -> int:
    argv = ["reconstruct", "--weights", str(folder / f"{model}-weights.safetensors"), "--name", model, "--images", "20"]
    for option in ("--held-out", "--training"):
        argv += [option, str(folder / "3.npy")]
    argv += ["--bank", str(folder / "bank.safetensors"), "--out", str(folder / "table.csv"), "--threads", "1"]
    return main([*argv, "--constants", json.dumps({"T": 3, "L": 2, "lambda": 2e-3}), *more])


def test_only_images_that_were_not_trained_on_are_reconstructed(folder: Path):
    assert command(folder, "ali") == 0
    table = pd.read_csv(folder / "table.csv")
    assert set(table["whose"]) >= {"ali", "frame", "wframe", "nearest training image"}
    assert set(table["whose"].value_counts()) == {9}, "all rows are of the same images"
    images, prepared = load_file(folder / "table.safetensors"), np.load(folder / "3.npy")
    held_out = {image.tobytes() for image in prepared[20:]}
    assert all(image.tobytes() in held_out for image in images["images"])
    first = distances(images["images"], images["ali"])
    assert table[table["whose"] == "ali"]["distance"].to_numpy() == pytest.approx(first, abs=1e-3)
    chains, other = (table[table["whose"] == name]["distance"].mean() for name in ("wframe", "another held-out image"))
    assert chains < other, "a few Langevin steps stay near where they begin"
    before = (folder / "table.csv").read_bytes()
    command(folder, "ali")
    assert (folder / "table.csv").read_bytes() == before
    assert command(folder, "ali", "--groups", "3") == 0
    assert set(pd.read_csv(folder / "table.csv")["whose"].value_counts()) == {18}, "two groups are all there is"
    assert command(folder, "ali", "--images", "35") == 0
    few = pd.read_csv(folder / "table.csv")["whose"].value_counts()
    assert set(few) == {5} and "frame" not in few.index, "too few for a group"


@pytest.mark.parametrize("T", [1, 2], ids=["in the last steps", "while learning"])
def test_a_group_that_diverges_has_no_reconstruction(folder: Path, T: int):
    images = np.load(folder / "3.npy")[:9]
    constants = Constants(T=T, L=2, lambda_=1e38)
    made, failed = by_langevin(images, load_bank(folder / "bank.safetensors"), constants, "wframe")
    assert failed.all() and not (made == images).all((1, 2, 3)).any()
    assert np.isinf(distances(images, made, failed)).all()


def test_distances_by_hand():
    x, training = np.zeros((1, 2, 2, 3), np.uint8), np.full((3, 2, 2, 3), 200, np.uint8)
    y = x.copy()
    y[0, 0, 0] = [3, 4, 0]
    training[2] = 7
    assert distances(x, y)[0] == pytest.approx(np.sqrt(25 / 12)) and nearest(x, training).tolist() == [2]


def test_refusals(folder: Path, capsys: pytest.CaptureFixture):
    assert command(folder, "dcgan") == 2
    assert "this model has no encoder" in capsys.readouterr().err
    assert command(folder, "ali", "--images", "40") == 2
    assert "all its images were trained on" in capsys.readouterr().err
    (folder / "broken-weights.safetensors").write_bytes(b"none")
    assert command(folder, "broken") == 2
    assert "not the weights of a baseline" in capsys.readouterr().err
