"""Measurements that judges read: the penalty's gain, few images, the images' quality."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import save_file

from wframe.__main__ import main
from wframe.model.bank import load_bank
from wframe.model.energy import push, responses
from wframe.model.readings import UNIT
from wframe.weights import BUILTIN_BANK


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty-six small faces, as `wframe prepare` makes them."""
    path = tmp_path_factory.mktemp("faces") / "faces" / "all.npy"
    images = ["--size", "8", "--images", "36"]
    assert main(["prepare", "--source", "embedded", "--path", "faces", *images, "--out", str(path)]) == 0
    return path


def test_the_gain_is_the_largest_eigenvalue_over_the_pixels(faces: Path, tmp_path: Path):
    """Against J written out, on the first group."""
    out = tmp_path / "gain.csv"
    assert main(["gain", "--observed", str(faces), "--bank", str(BUILTIN_BANK), "--out", str(out)]) == 0
    table = pd.read_csv(out)
    assert list(table.columns) == ["dataset", "class", "group", "gain"] and len(table) == 4
    bank = load_bank(BUILTIN_BANK).to(UNIT)
    x = bank.pixels(np.load(faces)[:9].copy(), UNIT)
    total: torch.Tensor | float = 0.0
    for image in x:
        pixels = torch.eye(image.numel()).view(-1, *image.shape)  # J's columns: a push of each pixel alone
        J = push(bank, responses(bank, image.expand_as(pixels)), pixels).flatten(1).T
        total = total + J @ J.T / len(x)
    θ = torch.ones(len(total))
    for _ in range(200):
        θ = total @ θ
        e, θ = θ.norm(), θ / θ.norm()
    assert table.loc[0, "gain"] == pytest.approx(float(e) / x[0].numel(), rel=0.02)


def test_few_images_are_set_beside_a_memoriser_and_held_out_images(faces: Path, tmp_path: Path):
    images, out = np.load(faces), tmp_path / "few.csv"
    save_file({"images": np.repeat(images[:1], 18, 0).reshape(2, 9, 8, 8, 3)}, tmp_path / "same.safetensors")
    save_file({"images": images[9:27].reshape(2, 9, 8, 8, 3)}, tmp_path / "others.safetensors")
    samples = [str(tmp_path / "same.safetensors"), str(tmp_path / "others.safetensors")]
    options = ["--training", str(faces), "--images", "9", "--bank", str(BUILTIN_BANK), "--out", str(out)]
    assert main(["few-images", "--samples", *samples, *options]) == 0
    table = pd.read_csv(out)
    assert dict(table["whose"].value_counts()) == {"memoriser": 200, "held-out": 3, "baseline": 4}
    mean = table.groupby(["whose", "repeat"])[["spread", "recall", "R"]].mean()
    assert mean.loc[("baseline", 0), "spread"] == 0 and mean.loc[("baseline", 0), "recall"] == pytest.approx(1 / 9)
    assert mean.loc[("baseline", 1), "spread"] > 0.8 * mean.loc[("held-out", 0), "spread"]
    assert mean.loc[("memoriser", 0), "recall"] == pytest.approx(1 - (8 / 9) ** 9, abs=0.05)
