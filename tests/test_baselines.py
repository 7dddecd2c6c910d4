"""Baselines: what all share (seeds, kills and resumption, what is refused), DCGAN's networks, and that it learns."""

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
from wframe.baselines.batches import Batches
from wframe.baselines.cost import training_cost
from wframe.baselines.dcgan import DCGAN, discriminator, generator
from wframe.baselines.train import spread
from wframe.baselines.trainer import build, load
from wframe.config import edition as config
from wframe.config.baselines import MODELS, training
from wframe.errors import UserError
from wframe.runtime.code import SOURCE, code_files


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


# each model's networks as small as they go, and three steps of them
SMALL = {
    "dcgan": {"steps": 3, "batch": 4, "width": 4},
    "improved_gan": {"steps": 3, "batch": 4, "width": 4, "features": 4, "kernels": 3, "labels": 2},
    "ali": {"steps": 3, "batch": 4, "width": 4, "z": 8},
    "winn": {"cascades": 2, "iterations": 2, "passes": 2, "positives": 4, "growth": 1, "batch": 4, "width": 4}
    | {"starts": 8, "synthesised": 4, "together": 4, "climb_steps": 2},
}


def small(model: str, **changes: object) -> dict:
    return {"model": model, "samples": 9} | SMALL[model] | changes


def blank(settings: dict, count: int = 12, device: str = "cpu") -> Batches:
    """Random images, half of each of two classes."""
    array = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    return Batches(training(settings), array, ("test",), torch.device(device), np.arange(count) // (count // 2))


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
    settings = training({"model": "dcgan", "steps": 1})
    model = DCGAN(settings, blank(settings.model_dump()), torch.Generator().manual_seed(0))
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
    assert "stopped by SIGTERM after step" in said and "run the same command to continue" in said
    assert main(command(images, tmp_path / "killed", *longer)) == 0
    record = json.loads((tmp_path / "killed.json").read_text())
    assert record["resumed"] == 1 and record["steps_run"] < 150 - 2
    assert files(tmp_path / "straight") == files(tmp_path / "killed")


def test_divergence_is_an_outcome(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A weight that isn't a number any more after ten steps: training ends, and the record says when."""
    whole_step = DCGAN.step

    def step(self: DCGAN, t: int, batches: Batches) -> torch.Tensor:
        if t == 9:
            self.G[0].weight.data[0, 0, 0, 0] = torch.nan
        return whole_step(self, t, batches)

    monkeypatch.setattr(DCGAN, "step", step)
    samples, measures, record = trained(images, tmp_path / "0")
    assert record["diverged"] == 10 and measures["loss_G"].isna().tolist() == [False] * 9 + [True]
    assert record["steps_run"] == 50
    assert samples["images"].shape == (30, 16, 16, 3) and samples["images"].dtype == np.uint8
    trained(images, tmp_path / "often", "--checkpoint-every", "0")
    assert files(tmp_path / "0") == files(tmp_path / "often"), "where it ends isn't a matter of time"


def test_a_few_images_are_repeated_evenly():
    """Figure 6: nine images, as often as makes 10,000."""
    nine = np.arange(9, dtype=np.uint8).repeat(16 * 16 * 3).reshape(9, 16, 16, 3)
    settings = training({"model": "dcgan", "steps": 1, "batch": 100, "duplicate_to": 10_000})
    batches, again = (Batches(settings, nine, ("test",), torch.device("cpu")) for _ in range(2))
    seen = torch.cat([batches[step] for step in range(100)])[:, 0, 0, 0].add(1).mul(127.5).round().int()
    assert torch.bincount(seen).tolist() == [1112, *[1111] * 8]
    first, next_epoch = batches[0], batches[100]
    assert torch.equal(first, again[0]) and not torch.equal(first, next_epoch)
    assert not torch.equal(again.rows(0), again.rows(0, "another order"))


def test_a_few_images_of_each_class_are_labelled():
    batches = blank(small("dcgan"))
    known = batches.some_of_each_class(2)
    assert batches.labels[known].tolist() == [0, 0, 1, 1] and torch.equal(known, batches.some_of_each_class(2))
    seen = torch.cat([batches.rows(t, "labels", among=known) for t in range(3)])
    assert torch.bincount(seen, minlength=12)[known].tolist() == [3] * 4


def test_spread_tells_collapse():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    assert spread(noise) == pytest.approx(256 / np.sqrt(6), rel=0.02)
    assert spread(noise[:1].repeat(9, 0)) == 0 and spread(noise[:1]) is None


@pytest.mark.parametrize("name", MODELS)
def test_every_model_takes_steps_and_is_restored(name: str):
    """What a step does follows from the state and the step alone, and a model goes on from where its state was kept."""
    batches, again = (blank(small(name)) for _ in range(2))
    (module, model), (_, other) = build(batches), build(again)
    for t in (0, 1):
        batches.seed("z", t)
        assert model.step(t, batches).shape == (len(module.MEASURES),)
    kept = {key: value.clone() for key, value in model.state().items()}
    other.restore(dict(kept))
    for of, these in ((model, batches), (other, again)):
        these.seed("z", 2)
        of.step(2, these)
    assert all(torch.equal(value, other.state()[key]) for key, value in model.state().items())
    assert any(not torch.equal(value, kept[key]) for key, value in model.state().items())
    assert model.sample(model.noise(2)).shape == (2, 3, 32, 32)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_ends_with_the_same_bytes_after_a_stop(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    np.save(tmp_path / "a.npy", blank({"model": "dcgan", "steps": 1}).array)
    settings = small(name, snapshots=[2])

    def run(out: Path) -> int:
        argv = ["baseline", "--images", str(tmp_path / "a.npy"), "--out", str(out), "--settings", json.dumps(settings)]
        return main([*argv, "--threads", "1", "--device", "cpu", "--checkpoint-every", "0"])

    assert run(tmp_path / "straight") == 0
    model = importlib.import_module(f"wframe.baselines.{name}").build
    whole_step = model.step

    def step(self: object, t: int, batches: Batches) -> torch.Tensor:
        if t == 1:
            signal.raise_signal(signal.SIGTERM)
        return whole_step(self, t, batches)

    with monkeypatch.context() as patch:
        patch.setattr(model, "step", step)
        assert run(tmp_path / "stopped") == 75
    assert run(tmp_path / "stopped") == 0
    assert json.loads((tmp_path / "stopped.json").read_text())["resumed"] == 1
    assert files(tmp_path / "straight") == files(tmp_path / "stopped")
    weights = [(tmp_path / f"{out}-weights.safetensors").read_bytes() for out in ("straight", "stopped")]
    assert weights[0] == weights[1]
    trained = load(tmp_path / "straight-weights.safetensors", torch.device("cpu"))
    assert isinstance(trained, model) and set(trained.weights()) == set(
        load_file(tmp_path / "straight-weights.safetensors")
    )


def test_one_models_settings_concern_no_other():
    """What DCGAN's training depends on names no other model's networks or settings."""
    used = {
        file.relative_to(SOURCE).as_posix() for file in code_files("wframe.baselines.train", "wframe.baselines.dcgan")
    }
    assert {"config/trainings/dcgan.py", "baselines/dcgan.py", "config/training.py"} <= used
    others = set(MODELS) - {"dcgan"}
    assert not used & {f"{room}/{name}.py" for room in ("config/trainings", "baselines") for name in others}


def test_costs_are_those_counted_by_hand():
    """DCGAN at width 128: a step runs G forwards once and backwards once, D forwards on 3 batches, backwards on 3."""
    s = training({"model": "dcgan", "steps": 1000})
    G = 2 * sum(i * o * 16 * side**2 for i, o, side in ((100, 512, 1), (512, 256, 4), (256, 128, 8), (128, 3, 16)))
    D = 2 * sum(i * o * 16 * side**2 for i, o, side in ((3, 128, 16), (128, 256, 8), (256, 512, 4), (512, 1, 1)))
    # backwards twice as much, but no gradient for D's images when D learns, nor for z, nor for D's weights when G does
    D_first, G_first = 2 * 3 * 128 * 16 * 256, 2 * 100 * 512 * 16
    step = (3 * G - G_first) + (2 * (3 * D - D_first)) + 2 * D
    assert training_cost(s, 32).flops == pytest.approx(64 * 1000 * step, rel=0.02)
    assert training_cost(training({"model": "winn"}), 32).flops > 1e17


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--set", "model=vae"], "model = \"vae\": Input should be 'ali', 'dcgan', 'improved_gan' or 'winn'"),
        (["--set", "widht=3"], "widht: unknown key"),
        (["--set", "batch=32"], "20 images are less than a batch of 32: set duplicate_to"),
        (["--set", "images=21"], "20 images, but images = 21"),
        (["--set", "duplicate_to=4"], "duplicate_to 4 is less than a batch of 8"),
        (["--set", "model=ali", "--set", "width=4"], "16 pixels, but ALI's networks for CIFAR-10 take 32"),
        (["--set", "model=winn"], "steps: unknown key"),
        (["--images", "nowhere.npy"], "nowhere.npy: there are no such images"),
    ],
)
def test_refusals(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture, change: list[str], message: str):
    assert main(command(images, tmp_path / "0", *change)) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "vae"}, "baselines.gan.model"),
        ({"model": "ali"}, "images of 16 pixels, but ALI's networks"),
        ({"model": "winn", "steps": 3}, "baselines.gan.steps: unknown key"),
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
