"""Baselines: DCGAN's networks, seeds, kills and resumption, what is refused, and that it learns."""

import importlib
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file
from test_scores import EDITION

from wframe.__main__ import main
from wframe.baselines.dcgan import DCGAN, discriminator, generator
from wframe.baselines.train import spread
from wframe.baselines.trainer import Batches, Work
from wframe.config import edition as config
from wframe.config.baselines import MODELS, Training
from wframe.errors import UserError


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty of the embedded faces, 16×16."""
    path = tmp_path_factory.mktemp("images") / "faces" / "all.npy"
    main(["prepare", "--source", "embedded", "--path", "faces", "--size", "16", "--images", "20", "--out", str(path)])
    return path


def command(images: Path, out: Path, *more: str) -> list[str]:
    settings = {"model": "dcgan", "steps": 60, "batch": 8, "width": 8, "samples": 30, "snapshots": [1, 60]}
    argv = ["baseline", "--images", str(images), "--out", str(out), "--settings", json.dumps(settings)]
    return [*argv, "--threads", "1", "--device", "cpu", *more]


def trained(images: Path, out: Path, *more: str) -> tuple[dict[str, np.ndarray], pd.DataFrame, dict]:
    assert main(command(images, out, *more)) == 0
    measures = pd.read_parquet(out.with_suffix(".parquet"))
    return load_file(out.with_suffix(".safetensors")), measures, json.loads(out.with_suffix(".json").read_text())


def files(out: Path) -> list[bytes]:
    return [out.with_suffix(ending).read_bytes() for ending in (".safetensors", ".parquet")]


@pytest.mark.parametrize("side", [16, 32, 64])
def test_the_networks_fit_the_images(side: int):
    G, D = generator(side, 8, 100), discriminator(side, 8)
    x = G(torch.randn(2, 100, 1, 1))
    assert x.shape == (2, 3, side, side) and x.abs().max() <= 1
    assert D(x).shape == (2, 1, 1, 1)
    kinds = [type(layer).__name__ for layer in D]
    assert "BatchNorm2d" not in kinds[:3] and kinds.count("BatchNorm2d") == kinds.count("Conv2d") - 2
    assert [type(layer).__name__ for layer in G][-2:] == ["ConvTranspose2d", "Tanh"]


def test_table_1s_network_is_as_wide_as_published():
    """32×32, width 128: 4×4×512, 8×8×256, 16×16×128 in the generator; weights from N(0, 0.02²)."""
    model = DCGAN(Training(model="dcgan", steps=1), 32, torch.Generator().manual_seed(0), torch.device("cpu"))
    convolutions = [layer for layer in model.G if isinstance(layer, torch.nn.ConvTranspose2d)]
    assert [layer.in_channels for layer in convolutions] == [100, 512, 256, 128]
    for layer in convolutions:
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert model.adam_G.defaults["lr"] == 2e-4 and model.adam_G.defaults["betas"] == (0.5, 0.999)


def test_results_and_their_record(images: Path, tmp_path: Path):
    images, measures, record = trained(images, tmp_path / "0")
    assert images["images"].shape == (30, 16, 16, 3) and images["snapshots"].shape == (2, 36, 16, 16, 3)
    assert measures["step"].tolist() == list(range(1, 61)) and np.isfinite(measures).all().all()
    assert list(measures.columns) == ["step", "loss_D", "loss_G", "D_real", "D_fake"]
    assert record["images"] == 20 and record["steps_run"] == 60 and record["diverged"] is None
    assert set(record["inputs"]) == {"faces/all.npy"} and record["spread"]["images"] > 10
    assert not list((tmp_path / ".checkpoints").glob("*")), "checkpoints go once results are safe"


def test_same_seed_same_bytes_and_another_repeat_differs(images: Path, tmp_path: Path):
    for name, repeat in (("a", "0"), ("b", "0"), ("c", "1")):
        trained(images, tmp_path / name, "--repeat", repeat, "--set", "steps=3")
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert files(tmp_path / "a")[0] != files(tmp_path / "c")[0]


def test_killed_and_stopped_it_ends_with_the_same_bytes(images: Path, tmp_path: Path):
    longer = ["--set", "steps=150", "--checkpoint-every", "0"]
    trained(images, tmp_path / "straight", *longer)
    argv = [sys.executable, "-m", "wframe", *command(images, tmp_path / "killed", *longer)]
    checkpoints = tmp_path / ".checkpoints"
    for kill in (signal.SIGKILL, signal.SIGTERM):
        process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
        stamps = {path: path.stat().st_mtime_ns for path in checkpoints.glob("*.safetensors")}
        while process.poll() is None and stamps == {
            path: path.stat().st_mtime_ns for path in checkpoints.glob("*.safetensors")
        }:
            time.sleep(0.01)
        process.send_signal(kill)
        said = process.communicate()[1]
        assert process.returncode in (-signal.SIGKILL, 75), said
    assert "stopped by SIGTERM after step" in said and "run the same command to go on" in said
    assert main(command(images, tmp_path / "killed", *longer)) == 0
    record = json.loads((tmp_path / "killed.json").read_text())
    assert record["resumed"] == 1 and record["steps_run"] < 150 - 2
    assert files(tmp_path / "straight") == files(tmp_path / "killed")


def test_divergence_is_an_outcome(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A weight that isn't a number any more after ten steps: training ends, and the record says when."""
    whole_step, steps = DCGAN.step, []

    def step(self: DCGAN, real: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        steps.append(1)
        if len(steps) == 10:
            self.G[0].weight.data[0, 0, 0, 0] = torch.nan
        return whole_step(self, real, z)

    monkeypatch.setattr(DCGAN, "step", step)
    images, measures, record = trained(images, tmp_path / "0")
    assert record["diverged"] == 50 and measures["loss_G"].isna().tolist() == [False] * 9 + [True] * 41
    assert images["images"].shape == (30, 16, 16, 3) and images["images"].dtype == np.uint8


def test_a_few_images_are_repeated_evenly(tmp_path: Path):
    """Figure 6: nine images, as often as makes 10,000."""
    nine = np.arange(9, dtype=np.uint8).repeat(16 * 16 * 3).reshape(9, 16, 16, 3)
    settings = Training(model="dcgan", steps=1, batch=100, duplicate_to=10_000)
    work = Work(settings, nine, ("test",), torch.device("cpu"), "key", tmp_path)
    batches = Batches(work)
    seen = torch.cat([batches[step] for step in range(100)])[:, 0, 0, 0].add(1).mul(127.5).round().int()
    assert torch.bincount(seen).tolist() == [1112, *[1111] * 8]
    first, again, next_epoch = batches[0], Batches(work)[0], batches[100]
    assert torch.equal(first, again) and not torch.equal(first, next_epoch)


def test_spread_tells_collapse():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    assert spread(noise) == pytest.approx(256 / np.sqrt(6), rel=0.02)
    assert spread(noise[:1].repeat(9, 0)) == 0 and spread(noise[:1]) is None


@pytest.mark.parametrize("name", MODELS)
def test_every_module_of_the_room_is_a_baseline(name: str):
    module = importlib.import_module(f"wframe.baselines.{name}")
    model = module.build(Training(model=name, steps=1, width=4), 16, torch.Generator(), torch.device("cpu"))
    measures = model.step(torch.zeros(4, 3, 16, 16), torch.randn(4, 100))
    assert measures.shape == (len(module.MEASURES),)
    assert model.sample(torch.randn(2, 100)).shape == (2, 3, 16, 16)
    kept = {key: value.clone() for key, value in model.state().items()}
    model.step(torch.zeros(4, 3, 16, 16), torch.randn(4, 100))
    model.restore(kept)
    assert all(torch.equal(value, kept[key]) for key, value in model.state().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--set", "model=vae"], 'model = "vae": there is no such baseline (known: dcgan)'),
        (["--set", "widht=3"], "widht: unknown key"),
        (["--set", "batch=32"], "20 images are less than a batch of 32: set duplicate_to"),
        (["--set", "images=21"], "20 images, images = 21 are asked for"),
        (["--set", "duplicate_to=4"], "duplicate_to 4 is less than a batch of 8"),
        (["--images", "nowhere.npy"], "nowhere.npy: not a prepared array"),
    ],
)
def test_refusals(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture, change: list[str], message: str):
    assert main(command(images, tmp_path / "0", *change)) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "vae"}, "baselines.gan.model"),
        ({"dataset": "dogs"}, "baselines.gan.dataset: there is no dataset 'dogs' (known: faces)"),
        ({"class": "dogs"}, "baselines.gan.class: there is no class 'dogs' (known: all)"),
        ({"steps": 0}, "baselines.gan.steps = 0"),
        ({"duplicate_to": 4}, "duplicate_to 4 is less than a batch of 8"),
    ],
)
def test_impossible_baselines_are_refused(change: dict, message: str):
    edition = EDITION | {"baselines": {"gan": EDITION["baselines"]["gan"] | change}}
    with pytest.raises(UserError, match=re.escape(message)):
        config.check(edition)
    wrong_side = {"faces": EDITION["datasets"]["faces"] | {"size": 24}}
    with pytest.raises(UserError, match="images of 24 pixels"):
        config.check(EDITION | {"datasets": wrong_side})


@pytest.mark.real
def test_dcgan_learns_on_real_images(real_data: Path, tmp_path: Path):
    """CIFAR-10, 150 steps of a narrow network: the samples' statistics move towards the images'."""
    argv = ["prepare", "--source", "cifar10", "--path", str(real_data / "cifar10-partial"), "--images", "1000"]
    main([*argv, "--size", "32", "--out", str(tmp_path / "cifar.npy")])
    more = ["--set", "steps=150", "--set", "width=16", "--set", "learning_rate=1e-3", "--set", "batch=32"]
    images, measures, _ = trained(tmp_path / "cifar.npy", tmp_path / "0", *more, "--set", "snapshots=[1,150]")
    assert np.isfinite(measures).all().all()
    real = np.load(tmp_path / "cifar.npy").astype(float)

    def statistics(x: np.ndarray) -> np.ndarray:
        """Spread between images, and of a image's quarters: what is there at low frequencies."""
        blocks = x.reshape(len(x), 4, 8, 4, 8, 3).mean((2, 4))
        return np.array([blocks.std(0).mean(), blocks.std((1, 2)).mean()])

    start, end = (statistics(snapshot.astype(float)) for snapshot in images["snapshots"])
    assert (np.abs(end - statistics(real)) < 0.75 * np.abs(start - statistics(real))).all(), (
        start,
        end,
        statistics(real),
    )
