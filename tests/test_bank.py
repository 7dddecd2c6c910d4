"""Banks: the builtin one's record, VGG-16's conversion, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from wframe.__main__ import main
from wframe.errors import UserError
from wframe.files import sha256_file
from wframe.model.bank import CAFFE_MEAN, LAYERS, load_bank, save_bank
from wframe.model.energy import responses
from wframe.weights import BUILTIN_BANK
from wframe.weights.bank import convert
from wframe.weights.make_bank import train

ABOUT = {"name": "test", "channels": "RGB", "mean": CAFFE_MEAN, "calibration": {"gain": 1.0}}


def weights(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, (out, in_) in LAYERS.items():
        tensors[f"{name}.weight"] = torch.randn(out, in_, 3, 3, generator=generator) * 0.1
        tensors[f"{name}.bias"] = torch.randn(out, generator=generator)
    return tensors


def test_the_builtin_bank_has_its_record():
    path = BUILTIN_BANK
    assert path.stat().st_size <= 1.1e6
    about = load_bank(path).about
    assert (
        about["held_out_accuracy"] > 0.8 and about["seed"] == 0 and about["command"].startswith("wframe bank --train")
    )
    assert len(about["data"]) == 22 and all(len(sha256) == 64 for sha256 in about["data"].values())


@pytest.mark.parametrize("name", ["faces/all", "scenes/brick", "digits/3"])
def test_the_builtin_bank_was_trained_on_these_images(tmp_path: Path, name: str):
    """The hashes in its record match the arrays that `wframe prepare` makes now."""
    which, class_ = name.split("/")
    main(["prepare", "--source", "embedded", "--path", which, "--class", class_, "--out", str(tmp_path / "x.npy")])
    assert load_bank(BUILTIN_BANK).about["data"][name] == sha256_file(tmp_path / "x.npy")


def test_the_builtin_banks_calibration_is_correct(tmp_path: Path):
    """Its responses to real images have the scale given in its record (VGG-16's is 2.6)."""
    options = ["--source", "embedded", "--path", "scenes", "--images", "250", "--pick", "spread"]
    main(["prepare", *options, "--out", str(tmp_path / "some.npy")])
    bank = load_bank(BUILTIN_BANK)
    images = np.load(tmp_path / "some.npy")
    mean = float(responses(bank.to(127.5), bank.pixels(images, 127.5)).F.mean())
    assert 0.5 < mean / bank.about["calibration"]["mean_response"] < 2


def test_all_units_give_the_same_network(tmp_path: Path):
    """F(unit·x)/unit is the bank with its biases divided by the unit."""
    save_bank(tmp_path / "b", weights(), ABOUT)
    bank = load_bank(tmp_path / "b")
    x = torch.randn(2, 3, 8, 8)
    by_hand = responses(bank.to(1.0), 50 * x).F / 50
    assert torch.allclose(responses(bank.to(50.0), x).F, by_hand, rtol=1e-4, atol=1e-5)


def test_pixels_and_images_are_inverse(tmp_path: Path):
    save_bank(tmp_path / "b", weights(), ABOUT)
    bank = load_bank(tmp_path / "b")
    images = np.random.default_rng(0).integers(0, 256, (2, 9, 8, 8, 3), dtype=np.uint8)
    assert np.array_equal(bank.images(bank.pixels(images, 127.5), 127.5), images)


def test_vgg16_from_npz_and_pth(tmp_path: Path):
    tensors = weights()
    tensors["0.weight"][0, 0, 0, 0] = 0.42947057  # the original's first weight, in BGR
    np.savez(tmp_path / "w.npz", **{name: value.numpy() for name, value in tensors.items()})
    torch.save(
        {f"features.{name}": value for name, value in tensors.items()} | {"x": torch.ones(1)}, tmp_path / "w.pth"
    )
    for file in ("w.npz", "w.pth"):
        convert(tmp_path / file, tmp_path / "bank")
        bank = load_bank(tmp_path / "bank")
        assert torch.equal(bank.layers[0][0], tensors["0.weight"].flip(1)), "blue, green, red became red, green, blue"
        assert bank.about["name"] == "vgg16" and len(bank.about["source_sha256"]) == 64


def spoil(tensors: dict, name: str, value: torch.Tensor) -> dict:
    return tensors | {name: value}


@pytest.mark.parametrize(
    ("tensors", "about", "message"),
    [
        (spoil(weights(), "2.weight", torch.zeros(64, 32, 3, 3)), ABOUT, r"2.weight is \(64, 32, 3, 3\), expected"),
        ({k: v for k, v in weights().items() if k != "7.bias"}, ABOUT, r"7.bias is missing"),
        (spoil(weights(), "5.bias", torch.full((128,), torch.nan)), ABOUT, "non-finite values"),
        (weights(), ABOUT | {"channels": "GBR"}, "must be RGB or BGR, not 'GBR'"),
        (weights(), ABOUT | {"channels": "BGR"}, "a bank's channels are RGB"),
    ],
)
def test_wrong_banks_are_refused(tmp_path: Path, tensors: dict, about: dict, message: str):
    save_bank(tmp_path / "b", tensors, about)
    with pytest.raises(UserError, match=message):
        load_bank(tmp_path / "b")


def test_truncated_missing_and_corrupt_files_are_refused(tmp_path: Path):
    save_bank(tmp_path / "b", weights(), ABOUT)
    whole = (tmp_path / "b").read_bytes()
    (tmp_path / "b").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="not a complete bank file"):
        load_bank(tmp_path / "b")
    with pytest.raises(UserError, match="no such bank"):
        load_bank(tmp_path / "nowhere")
    for name, content in (("w.pth", b"half"), ("w.npz", b"PK\x03\x04half")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=r"can't be read .* fetch it again"):
            convert(tmp_path / name, tmp_path / "bank")
    with pytest.raises(UserError, match="no such weights file"):
        convert(tmp_path / "none.pth", tmp_path / "bank")


def test_wrong_or_unknown_channel_order_is_refused(tmp_path: Path):
    tensors = weights()
    np.savez(tmp_path / "w.npz", **{name: value.numpy() for name, value in tensors.items()})
    with pytest.raises(UserError, match="these aren't the original VGG-16 weights"):
        convert(tmp_path / "w.npz", tmp_path / "bank")
    tensors["0.weight"][0, 0, 0, 0] = 0.42947057
    np.savez(tmp_path / "w.npz", **{name: value.numpy() for name, value in tensors.items()})
    with pytest.raises(UserError, match="the channel order is given as RGB, but these VGG-16 weights are BGR"):
        convert(tmp_path / "w.npz", tmp_path / "bank", "RGB")


def test_training_a_bank_is_deterministic_and_recorded(tmp_path: Path):
    rng = np.random.default_rng(0)
    for name, low in (("dark", 0), ("light", 150)):
        np.save(tmp_path / f"{name}.npy", rng.integers(low, low + 100, (20, 16, 16, 3), dtype=np.uint8))
    arrays = [tmp_path / "dark.npy", tmp_path / "light.npy"]
    for out in ("a", "b"):
        train(arrays, tmp_path / out, seed=3, steps=3, response=2.0)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    bank = load_bank(tmp_path / "a")
    assert set(load_file(tmp_path / "a")) == {f"{name}.{kind}" for name in LAYERS for kind in ("weight", "bias")}
    assert json.dumps(bank.about["calibration"]["mean_response"]) == "2.0"
