"""The batched learner, through its command: batching, interrupting, resuming, refusals."""

import json
import shutil
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
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from wframe.__main__ import main
from wframe.config import devices
from wframe.data.groups import shard_span
from wframe.engine import learner, memory
from wframe.engine.naive import naive_iteration, random_images
from wframe.engine.train import load_groups
from wframe.errors import UserError
from wframe.model import cost
from wframe.model.algorithm import iterate, observe, start
from wframe.model.bank import load_bank
from wframe.model.constants import Constants
from wframe.model.energy import _parts, force, gradient, responses
from wframe.model.noise import gamma, key_tensor, normal
from wframe.model.state import Record, State
from wframe.weights import BUILTIN_BANK

CONSTANTS = json.dumps({"T": 6, "L": 3, "lambda": 1e-3})


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty smooth images of 16×16: four groups, the last one filled up with the first images."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(30, 226, (30, 4, 4, 3)).astype(np.uint8)
    path = tmp_path_factory.mktemp("images") / "all.npy"
    np.save(path, coarse.repeat(4, 1).repeat(4, 2))
    return path


def command(images: Path, out: Path, *more: str) -> list[str]:
    return [
        "train",
        *("--observed", str(images), "--out", str(out), "--constants", CONSTANTS, "--threads", "1"),
        *("--device", "cpu", "--snapshots", "1,3,6", *more),
    ]


def train(images: Path, out: Path, *more: str) -> tuple[dict[str, np.ndarray], pd.DataFrame, dict]:
    assert main(command(images, out, *more)) == 0
    images = load_file(out.with_name(out.name + ".safetensors"))
    record = json.loads(out.with_name(out.name + ".json").read_text())
    return images, pd.read_parquet(out.with_name(out.name + ".parquet")), record


def files(out: Path) -> list[bytes]:
    return [out.with_name(out.name + ending).read_bytes() for ending in (".safetensors", ".parquet")]


def stamps(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.glob("*.safetensors")}


def test_a_run_learns(images: Path, tmp_path: Path):
    images, curves, record = train(images, tmp_path / "0")
    assert images["images"].shape == (4, 9, 16, 16, 3) and images["images"].std() > 1
    assert images["snapshots"].shape == (3, 9, 16, 16, 3)
    assert np.array_equal(images["snapshots"][-1], images["images"][0])
    assert len(curves) == 4 * 6 and not curves.isna().any().any()
    R = curves.pivot(index="iteration", columns="group", values="R")
    assert (R.loc[6] < R.loc[1]).all()
    assert record["iterations_run"] == 6 and record["images_steps"] == 4 * 9 * 6 * 3
    assert not list((tmp_path / ".checkpoints").glob("*.safetensors")), "checkpoints are removed once results exist"


def test_same_seed_same_bytes_and_another_repeat_differs(images: Path, tmp_path: Path):
    for name in ("a", "b"):
        train(images, tmp_path / name)
    train(images, tmp_path / "c", "--repeat", "1")
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert files(tmp_path / "a")[0] != files(tmp_path / "c")[0]


def test_a_group_is_the_same_alone_in_a_batch_and_in_a_shard(images: Path, tmp_path: Path):
    _, whole, _ = train(images, tmp_path / "whole", "--batch", "4")
    _, single, _ = train(images, tmp_path / "single", "--batch", "1")
    _, shard, _ = train(images, tmp_path / "shard", "--shard", "1/2")
    columns = ["R", "energy", "std", "nearest"]
    np.testing.assert_allclose(whole[columns], single[columns], rtol=1e-3, atol=1e-3)
    part = whole[whole["group"] >= 2]
    assert (shard["group"].to_numpy() == part["group"].to_numpy()).all()
    np.testing.assert_allclose(part[columns], shard[columns], rtol=1e-3, atol=1e-3)


def test_a_run_killed_repeatedly_ends_with_the_same_bytes(images: Path, tmp_path: Path):
    """Killed at random, by SIGKILL (saves nothing) and SIGTERM (saves), a run resumes from the last checkpoint."""
    longer = ["--set", "T=16", "--set", "L=10", "--checkpoint-every", "0", "--batch", "2"]
    train(images, tmp_path / "straight", *longer)
    argv = [sys.executable, "-m", "wframe", *command(images, tmp_path / "killed", *longer)]
    checkpoints, rng = tmp_path / ".checkpoints", np.random.default_rng(1)
    for kill in (signal.SIGKILL, signal.SIGTERM):
        process, before = subprocess.Popen(argv, stderr=subprocess.DEVNULL), stamps(checkpoints)
        while process.poll() is None and before == stamps(checkpoints):
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.4))
        process.send_signal(kill)
        assert process.wait() in (-signal.SIGKILL, 75)
    last = subprocess.run(argv, stderr=subprocess.PIPE, text=True, check=True)
    assert "resume from iteration" in last.stderr or "finished before" in last.stderr
    assert json.loads((tmp_path / "killed.json").read_text())["iterations_run"] <= 32 - 2
    assert files(tmp_path / "straight") == files(tmp_path / "killed")


def test_a_signal_saves_and_a_bad_checkpoint_is_set_aside(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    """SIGINT saves and explains how to resume; a checkpoint that is truncated or belongs to other work isn't used."""
    argv = [sys.executable, "-m", "wframe", *command(images, tmp_path / "0", "--set", "T=400", "--set", "L=20")]
    process = subprocess.Popen([*argv, "--checkpoint-every", "0"], stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not list((tmp_path / ".checkpoints").glob("*.safetensors")):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    message = process.communicate()[1]
    assert process.returncode == 75, message
    assert "stopped by SIGINT after iteration" in message and "run the same command to continue" in message

    (kept,) = (tmp_path / ".checkpoints").glob("*.safetensors")
    whole = kept.read_bytes()
    device = torch.device("cpu")
    key = json.loads(learner.checkpoint.safe_open(kept, "pt").metadata()["about"])["key"]
    assert learner.checkpoint.load(kept, key, device) is not None
    assert learner.checkpoint.load(kept, "another", device) is None
    assert "belongs to other work" in capsys.readouterr().err
    for place in np.random.default_rng(0).integers(len(whole), size=30):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << (place % 8)
        kept.write_bytes(flipped)
        assert learner.checkpoint.load(kept, key, device) is None, f"a bit flipped in byte {place}"
    kept.write_bytes(whole[: len(whole) // 2])
    assert learner.checkpoint.load(kept, key, device) is None
    assert "can't be used" in capsys.readouterr().err
    assert kept.with_suffix(".unusable").exists() and not kept.exists()


def test_an_attempt_with_other_memory_resumes(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Batches follow the free memory; another attempt takes those of the checkpoints, and ends with the same bytes."""
    c, said = Constants(T=4, L=2), list[str]()

    def attempt(folder: str, size: int, stop: bool = False) -> learner.Learned:
        def interrupt(span: range, state: State, record: torch.Tensor) -> None:
            if stop and (span.start, state.t) == (2, 3):
                raise KeyboardInterrupt

        monkeypatch.setattr(learner, "choose_batch", lambda *given: size)
        observed, options = load_groups(images, 9, None), {"every": 0.0, "on_iteration": interrupt, "log": said.append}
        given = (load_bank(BUILTIN_BANK), c, observed, [0, 1, 2, 3], torch.device("cpu"), "0" * 64, tmp_path / folder)
        return learner.learn(learner.Work(*given, **options))

    straight = attempt("straight", 2)
    with pytest.raises(KeyboardInterrupt):
        attempt("again", 2, stop=True)
    for free in (1, 4):
        shutil.copytree(tmp_path / "again", tmp_path / f"{free}")
        again = attempt(f"{free}", free)
        assert again.attempts[-1]["iterations"] == 2 and again.batch == 2
        assert np.array_equal(straight.images, again.images)
        assert all(
            np.array_equal(straight.records[name], again.records[name], equal_nan=True) for name in Record._fields
        )
        assert any(f"2 groups at once, not {free}" in line for line in said)


def test_out_of_memory_halves_the_batch(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    """On a device that can hold one group at a time, the work still finishes, with the same curves."""
    _, whole, _ = train(images, tmp_path / "whole")
    real = learner.observe

    def cramped(bank, c, y):
        if len(y) > 1:
            raise torch.cuda.OutOfMemoryError("simulated")
        return real(bank, c, y)

    monkeypatch.setattr(learner, "observe", cramped)
    _, curves, record = train(images, tmp_path / "cramped")
    assert "out of memory with 4 groups at once, continuing with 2" in capsys.readouterr().err
    assert record["batch"] == 1
    np.testing.assert_allclose(whole["R"], curves["R"], rtol=1e-3)


def test_divergence_is_an_outcome(images: Path, tmp_path: Path):
    made, curves, record = train(images, tmp_path / "0", "--set", "reading=literal", "--set", "L=40")
    assert (curves["diverged"] == 0).all() and curves["R"].isna().all() and len(curves) == 4 * 6
    assert record["diverged"] == 4 and made["images"].dtype == np.uint8
    assert len(made["snapshots"]) == 3, "as many as without"
    assert all(np.array_equal(snapshot, made["images"][0]) for snapshot in made["snapshots"])


def test_frame_has_no_beta(images: Path, tmp_path: Path):
    _, _, record = train(images, tmp_path / "0", "--method", "frame")
    assert record["constants"]["beta"] == 0


def test_the_memory_formula_is_an_upper_bound():
    """Compare it with the peak memory of one step, counted by PyTorch's own profiler on the CPU."""
    c = Constants(T=1, L=2)
    bank = load_bank(BUILTIN_BANK).to(c.unit)
    peaks = []
    for G in (2, 4):
        with torch.inference_mode():
            observed = observe(bank, c, torch.zeros(G, 9, 3, 32, 32))
            state = start(bank, observed)
            with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as run:
                iterate(bank, c, key_tensor(list(range(G))), observed, state)
        total = peak = 0
        for event in run.profiler.kineto_results.events():  # type: ignore[union-attr]
            if event.name() == "[memory]":
                total += event.nbytes()
                peak = max(peak, total)
        peaks.append(peak)
    per_group = (peaks[1] - peaks[0]) / 2
    formula = memory.bytes_per_group(32)
    assert 0.4 * formula < per_group <= formula


@pytest.mark.parametrize(("G", "side", "β"), [(1, 32, 0.0), (1, 32, 60.0), (2, 16, 60.0)])
def test_operations_are_counted_correctly(G: int, side: int, β: float):
    """Compare the formula with PyTorch's own count for a whole iteration."""
    c = Constants(T=1, L=3, beta=β)
    bank = load_bank(BUILTIN_BANK).to(c.unit)
    observed = observe(bank, c, torch.zeros(G, 9, 3, side, side))
    state = start(bank, observed)
    with FlopCounterMode(display=False) as counter:
        iterate(bank, c, key_tensor(list(range(G))), observed, state)
    counted = counter.get_flop_counts()["Global"][torch.ops.aten.convolution]
    assert counted == cost.learning_flops(side, 9 * G, c.T, c.L, "renewed" if β else None).total
    assert cost.forward_flops(32) == pytest.approx(192e6, rel=0.01), "the known cost of the paper's bank"


def test_shards_take_the_requested_time():
    assert devices.shards_for(seconds=7200, minutes=30, groups=100) == 4
    assert devices.shards_for(seconds=7201, minutes=30, groups=100) == 5
    assert devices.shards_for(seconds=10, minutes=30, groups=100) == 1
    assert devices.shards_for(seconds=1e9, minutes=30, groups=7) == 7, "at most one per group"


def test_low_precision_stays_within_the_spread_between_seeds(tmp_path: Path):
    """With bf16 convolutions (x and θ in fp32), R on faces changes by less than with another seed's noise."""
    faces = tmp_path / "faces.npy"
    main(["prepare", "--source", "embedded", "--path", "faces", "--size", "16", "--images", "36", "--out", str(faces)])
    longer = ["--set", "T=20", "--set", "L=10"]
    _, fp32, _ = train(faces, tmp_path / "fp32", *longer)
    _, bf16, record = train(faces, tmp_path / "bf16", *longer, "--set", "precision=bf16")
    _, other, _ = train(faces, tmp_path / "other", *longer, "--repeat", "1")
    assert record["constants"]["precision"] == "bf16" and not fp32["R"].equals(bf16["R"])
    by_precision, by_seed = (np.abs(curves["R"] - fp32["R"]) for curves in (bf16, other))
    assert by_precision.mean() < by_seed.mean()


def test_attempts_are_recorded(images: Path, tmp_path: Path):
    """The record of a stopped and resumed run lists both processes, and counts each one's iterations."""
    argv = [sys.executable, "-m", "wframe", *command(images, tmp_path / "0", "--set", "T=30", "--set", "L=20")]
    argv += ["--checkpoint-every", "0"]
    process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    while process.poll() is None and not list((tmp_path / ".checkpoints").glob("*.safetensors")):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 75
    assert main(argv[3:]) == 0
    record = json.loads((tmp_path / "0.json").read_text())
    first, second = record["attempts"]
    assert first["resumed_from"] is None and second["resumed_from"] == first["iterations"]
    assert first["iterations"] + second["iterations"] == 30 and record["resumed"] == 1
    assert first["host"] and first["seconds"] > 0
    assert record["seconds"] == record["learning_seconds"] == round(first["seconds"] + second["seconds"], 3)
    assert "lambda" in record["constants"] and "lambda_" not in record["constants"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--set", "beta=-1"], "beta = -1"),
        (["--set", "lamda=3"], "1 problem in the constants:\n  lamda: unknown key. Did you mean `lambda`?"),
        (["--method", "frame", "--set", "beta=10"], "beta = 10: FRAME is wFRAME without the penalty"),
        (["--shard", "4/4"], "expected 0 ≤ I < N ≤ 4"),
        (["--shard", "half"], "expected I/N"),
        (["--bank", "nowhere.safetensors"], "there is no such bank"),
    ],
)
def test_refusals(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture, change: list[str], message: str):
    assert main(command(images, tmp_path / "0", *change)) == 2
    assert message in capsys.readouterr().err


def test_bad_images_are_refused(tmp_path: Path):
    path = tmp_path / "p.npy"
    with pytest.raises(UserError, match="no such images"):
        load_groups(path, 9, None)
    np.save(path, np.zeros((8, 16, 16, 3), np.uint8))
    with pytest.raises(UserError, match="8 images, but a group needs 9"):
        load_groups(path, 9, None)
    np.save(path, np.zeros((9, 16, 16), np.float32))
    with pytest.raises(UserError, match="expected uint8"):
        load_groups(path, 9, None)
    np.save(path, np.zeros((9, 15, 15, 3), np.uint8))
    with pytest.raises(UserError, match="even sides"):
        load_groups(path, 9, None)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"not a whole array of images"):
        load_groups(path, 9, None)


def test_shards_cover_all_groups_once():
    spans = [shard_span(f"{index}/4", 10) for index in range(4)]
    assert [group for span in spans for group in span] == list(range(10))


@pytest.mark.parametrize("images_at_once", [1, 4, 9, 18])
def test_parts_of_a_batch_give_the_same_bytes(monkeypatch: pytest.MonkeyPatch, images_at_once: int):
    """On a CPU, the chains go through the bank in parts that fit into the cache."""
    monkeypatch.setattr("wframe.model.energy.CACHE", images_at_once * 64 * 32 * 32 * 4 // torch.get_num_threads())
    bank = load_bank(BUILTIN_BANK).to(127.5)
    x, θ = torch.rand(2, 9, 3, 32, 32) - 0.5, torch.rand(2, 128, 16, 16) * 1e-3
    with torch.inference_mode():
        whole = gradient(bank, θ, responses(bank, x.flatten(0, 1))).view_as(x)
        assert len(_parts(x, 4)) == {1: 18, 4: 6, 9: 2, 18: 1}[images_at_once]
        assert torch.equal(force(bank, θ, x), whole)


def test_statistics_are_fp32_when_steps_are_bf16():
    """With bf16 steps, θ's step from the same chains is fp32's to rounding."""
    c = Constants(T=1, L=1, precision="bf16")
    images = torch.rand(1, 9, 3, 16, 16) - 0.5
    states = {}
    for precision in ("bf16", "fp32"):
        bank = load_bank(BUILTIN_BANK).to(c.unit, precision=precision)
        with torch.inference_mode():
            observed = observe(bank, c, images)
            r = responses(bank, images.flatten(0, 1))
            state = start(bank, observed)._replace(x=images, r=r, θ=observed.H * 1e-3)
            # with hardly a step, the chains stay where they are
            states[precision], _ = iterate(bank, c._replace(delta=1e-6), key_tensor([0]), observed, state)
    assert torch.allclose(states["bf16"].θ, states["fp32"].θ, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("β", [0.0, 60.0])
def test_three_iterations_of_the_engine_are_those_of_the_naive_loop(β: float):
    """Two implementations of Algorithm 1, one by autograd, with the same noise: in fp64, to ten digits."""
    c = Constants(T=3, L=4, M=2, beta=β, lambda_=5e-3)
    bank, keys = load_bank(BUILTIN_BANK).to(c.unit, precision="fp64"), key_tensor([7])
    y = random_images(1, c.M, 16, torch.device("cpu")).double()
    plain = load_bank(BUILTIN_BANK).to(c.unit, precision="fp64", layout=torch.contiguous_format)
    observed = observe(bank, c, y)
    state, θ, x = start(bank, observed), torch.zeros_like(observed.H[0]), torch.zeros_like(y[0])
    for t in range(c.T):

        def noise(j: int, like: torch.Tensor, t: int = t) -> torch.Tensor:
            return normal(keys, t, j, like.shape)[0] if j < c.L else gamma(keys, t)[0]

        θ, x = naive_iteration(plain, c, y[0], θ, x, noise)
        state, _ = iterate(bank, c, keys, observed, state)
        assert torch.allclose(state.x[0], x, rtol=0, atol=1e-12) and torch.allclose(
            state.θ[0], θ, rtol=1e-10, atol=1e-14
        )
    assert θ.abs().max() > 0.01 and x.std() > 0.01
