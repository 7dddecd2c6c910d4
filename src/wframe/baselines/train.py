"""`wframe baseline`: train a baseline on prepared pictures; samples, losses and a record.

A baseline is a module of this package with `MEASURES` (what a step returns) and `build`, which makes a
`Trainable`. The module brings networks and losses; batches, seeds, checkpoints, signals and records are here.
"""

import argparse
import importlib
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from pydantic import ValidationError
from safetensors.numpy import save_file
from torch import Tensor

from wframe.baselines.settings import Training, impossible_side
from wframe.engine import checkpoint
from wframe.engine.process import Stopped, choose_device, settle_process, stop_on_signal
from wframe.engine.progress import Meter
from wframe.errors import UserError
from wframe.files import sha256_file, sha256_json, write_json, written
from wframe.learning import explain, with_changes
from wframe.model.noise import group_key
from wframe.provenance import code_hash, machine, peak_memory_mb, versions

SNAPSHOT = 36  # pictures of a snapshot
LOOK = 50  # steps after which measures are brought from the device and looked at


class Trainable(Protocol):
    """What a baseline's module builds: `build(settings, side, random, device)`."""

    def step(self, real: Tensor, z: Tensor) -> Tensor:
        """Take one step on real pictures (N, 3, H, W) in [−1, 1] with z (N, z); return the module's MEASURES."""

    def sample(self, z: Tensor) -> Tensor:
        """Return a picture (3, H, W) in [−1, 1] for each z."""

    def state(self) -> dict[str, Tensor]:
        """Return everything that training changes, as named tensors."""

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Set what `state` returned."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe baseline`."""
    add = parser.add_argument
    add("--pictures", type=Path, nargs="+", required=True, help="prepared pictures (.npy), one file per class")
    add("--out", type=Path, required=True, help="results: OUT.safetensors, OUT.parquet and OUT.json")
    add("--settings", type=json.loads, default={}, help="the training's settings as JSON")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="one setting, say --set steps=1000")
    add("--dataset", default="pictures", help="a name, for the random key and the record")
    add("--class", dest="class_", default="all", help="a name, for the random key and the record")
    add("--repeat", type=int, default=0, help="another repeat has other weights, batches and z")
    add("--seed", type=int, default=0)
    add("--device", choices=["auto", "cpu", "cuda"], default="auto")
    add("--threads", type=int, help="CPU threads; default: all that this process may use")
    add("--checkpoints", type=Path, help="folder for checkpoints; default: .checkpoints beside OUT")
    add("--checkpoint-every", type=float, default=60.0, metavar="SECONDS")


def main(args: argparse.Namespace) -> int:
    """Train one baseline; on a signal save a checkpoint and return 75 (the same command goes on)."""
    begin = time.monotonic()
    settings = parse_settings(args.settings, args.set)
    settle_process(args.threads)
    device = choose_device(args.device)
    torch.backends.cudnn.deterministic = True
    pictures = load_pictures(args.pictures, settings)
    module = f"wframe.baselines.{settings.model}"
    identity: dict[str, Any] = {
        "run": [args.seed, args.dataset, args.class_, args.repeat],
        "settings": settings.model_dump(mode="json"),
        "inputs": {"/".join(path.parts[-2:]): sha256_file(path) for path in args.pictures},
        "code": code_hash("wframe.baselines.train", module),
        "device": device.type,
    }
    work = Work(
        settings=settings,
        pictures=pictures,
        names=(args.seed, args.dataset, args.class_, settings.model, args.repeat),
        device=device,
        key=sha256_json(identity),
        checkpoints=args.checkpoints or args.out.parent / ".checkpoints",
        every=args.checkpoint_every,
        title=f"{settings.model} on {args.dataset}/{args.class_}",
    )
    try:
        trained = train(work)
    except Stopped as stopped:
        print(f"{work.title}: {stopped}", file=sys.stderr)
        return 75
    write_results(args.out, trained)
    write_json(
        args.out.with_name(args.out.name + ".json"),
        identity
        | {
            "command": sys.argv,
            "machine": machine(),
            "versions": versions("torch", "numpy"),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
            "pictures": len(pictures),
            "spread": {"samples": spread(trained.images), "pictures": spread(pictures)},
            "diverged": trained.diverged,
            "resumed": trained.resumed,
            "steps_run": trained.steps,
            "seconds": round(time.monotonic() - begin, 3),
            "training_seconds": round(trained.seconds, 3),
            "peak_memory_mb": round(peak_memory_mb()),
            "peak_gpu_memory_mb": round(torch.cuda.max_memory_allocated(device) / 1e6)
            if device.type == "cuda"
            else None,
        },
    )
    for pattern in (f"{work.key[:16]}.*", f".{work.key[:16]}.*"):
        for path in work.checkpoints.glob(pattern):
            path.unlink(missing_ok=True)
    return 0


def parse_settings(values: dict[str, Any], changes: list[str]) -> Training:
    """Return the settings, checked.

    Raises:
        UserError: an unknown name or an impossible value.
    """
    try:
        return Training.model_validate(with_changes(values, changes))
    except ValidationError as error:
        raise UserError(explain(error, "the settings")) from None


def load_pictures(files: list[Path], settings: Training) -> np.ndarray:
    """Return the pictures to train on, (N, H, W, 3) uint8, of all files together.

    Raises:
        UserError: not prepared arrays, sides that the networks can't make, or fewer pictures than a batch.
    """
    parts = []
    for path in files:
        try:
            part = np.load(path, mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            raise UserError(f"{path}: not a prepared array ({error}). Make it with `wframe prepare`.") from None
        if part.dtype != np.uint8 or part.ndim != 4 or part.shape[1] != part.shape[2] or part.shape[3] != 3:
            raise UserError(f"{path}: expected uint8 (N, S, S, 3), this is {part.dtype} {part.shape}")
        if wrong := impossible_side(part.shape[1]):
            raise UserError(f"{path}: {wrong}")
        if settings.images and len(part) < settings.images:
            raise UserError(f"{path}: {len(part):,} pictures, images = {settings.images:,} are asked for")
        parts.append(part[: settings.images])
    if len({part.shape[1] for part in parts}) > 1:
        raise UserError(f"pictures of different sizes: {', '.join(map(str, files))}")
    pictures = np.concatenate(parts)
    if max(len(pictures), settings.duplicate_to or 0) < settings.batch:
        raise UserError(
            f"{len(pictures)} pictures are less than a batch of {settings.batch}: "
            f"set duplicate_to (the paper repeats a few up to 10,000), or a smaller batch"
        )
    return pictures


@dataclass
class Work:
    """What has to be trained."""

    settings: Training
    pictures: np.ndarray  # (N, S, S, 3) uint8
    names: tuple[str | int, ...]  # seed, dataset, class, model, repeat: the random numbers derive from them
    device: torch.device
    key: str  # identifies the work: everything that the result depends on
    checkpoints: Path
    every: float = 60.0  # seconds between checkpoints
    title: str = "baseline"

    def random(self, *purpose: str | int) -> torch.Generator:
        """Return random numbers that depend on what they are for, so that a resumed training needs no state."""
        return torch.Generator().manual_seed(group_key(*self.names, *purpose))

    def z(self, count: int, *purpose: str | int) -> Tensor:
        """Return random vectors z ~ N(0, I), (count, z)."""
        return torch.randn(count, self.settings.z, generator=self.random("z", *purpose)).to(self.device)


@dataclass
class Trained:
    """What has been trained."""

    images: np.ndarray  # (samples, S, S, 3) uint8
    snapshots: np.ndarray  # (S, 36, S, S, 3) uint8
    measures: pd.DataFrame  # one row per step
    diverged: int | None  # the step after which a measure wasn't finite any more; training ended there
    resumed: int
    steps: int  # in this process
    seconds: float  # spent training, in all processes together


def train(work: Work) -> Trained:
    """Train from the start, or from the work's checkpoint.

    Raises:
        Stopped: a signal (SIGTERM, SIGUSR1, SIGINT) came; a checkpoint is saved.
    """
    s, side = work.settings, work.pictures.shape[1]
    module = importlib.import_module(f"wframe.baselines.{s.model}")
    model: Trainable = module.build(s, side, work.random("weights"), work.device)
    path = work.checkpoints / f"{work.key[:16]}.safetensors"
    t, before, history, pictures = 0, 0.0, [torch.zeros(0, len(module.MEASURES))], [_no_pictures(side)]
    if kept := checkpoint.load(path, work.key, torch.device("cpu")):
        tensors, about = kept
        t, before = about["t"], about["seconds"]
        history, pictures = [tensors.pop("history")], [tensors.pop("pictures")]
        model.restore(tensors)
        print(f"{work.title}: goes on from step {t} of {s.steps}", file=sys.stderr, flush=True)
    first, diverged, recent = t, None, list[Tensor]()
    batches = Batches(work)
    begin = saved = time.monotonic()
    with stop_on_signal() as stop, Meter(work.title, s.steps * s.batch, t * s.batch, unit="images") as meter:
        while t < s.steps:
            recent.append(model.step(batches[t], work.z(s.batch, t)))
            t += 1
            if t in s.snapshots:
                pictures.append(_pictures(model, work.z(SNAPSHOT, "snapshots"))[None])
            due = time.monotonic() - saved > work.every
            if len(recent) < LOOK and t < s.steps and not (due or stop.asked):
                continue
            history.append(torch.stack(recent).cpu())
            recent = []
            said = zip(module.MEASURES, history[-1][-1].tolist(), strict=True)
            meter.advance(len(history[-1]) * s.batch, f"step {t}, {', '.join(f'{k} {v:.3f}' for k, v in said)}")
            if not history[-1].isfinite().all():
                diverged = t
                break
            if (due or stop.asked) and t < s.steps:
                tensors = model.state() | {"history": torch.cat(history), "pictures": torch.cat(pictures)}
                seconds = before + time.monotonic() - begin
                checkpoint.save(path, tensors, {"key": work.key, "t": t, "seconds": seconds})
                saved = time.monotonic()
                if stop.asked:
                    raise Stopped(f"stopped by {stop.asked} after step {t}; run the same command to go on")
    measures = pd.DataFrame(torch.cat(history).numpy(), columns=list(module.MEASURES))
    measures.insert(0, "step", np.arange(1, len(measures) + 1))
    return Trained(
        _pictures(model, work.z(s.samples, "samples")).numpy(),
        torch.cat(pictures).numpy(),
        measures,
        diverged,
        int(first > 0),
        t - first,
        before + time.monotonic() - begin,
    )


class Batches:
    """The real pictures of each step: every epoch in a random order of its own, the incomplete last batch left out.

    Duplicating pictures only lengthens the epoch; they are kept once.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self.pictures = torch.from_numpy(work.pictures).to(work.device)
        self.rows = max(len(work.pictures), work.settings.duplicate_to or 0)
        self.epoch, self.order = -1, torch.zeros(0)

    def __getitem__(self, step: int) -> Tensor:
        """Return the pictures of a step, (batch, 3, S, S) in [−1, 1]."""
        size = self.work.settings.batch
        epoch, place = divmod(step, self.rows // size)
        if epoch != self.epoch:
            self.epoch = epoch
            self.order = torch.randperm(self.rows, generator=self.work.random("order", epoch)) % len(self.pictures)
        rows = self.order[place * size : (place + 1) * size].to(self.pictures.device)
        return self.pictures[rows].permute(0, 3, 1, 2).float().div(127.5).sub(1.0)


def _pictures(model: Trainable, z: Tensor) -> Tensor:
    """Return the pictures of z as uint8 (N, S, S, 3), on the CPU."""
    parts = [model.sample(part).permute(0, 2, 3, 1).add(1.0).mul(127.5) for part in z.split(250)]
    return torch.cat([part.nan_to_num(127.5).round().clamp(0, 255).to(torch.uint8).cpu() for part in parts])


def _no_pictures(side: int) -> Tensor:
    return torch.zeros((0, SNAPSHOT, side, side, 3), dtype=torch.uint8)


def spread(images: np.ndarray, pairs: int = 1000) -> float | None:
    """Return the mean root-mean-square difference of random pairs, in grey levels: 0 if all pictures are one."""
    n, rng = len(images), np.random.default_rng(0)
    if n < 2:
        return None
    first = rng.integers(n, size=pairs)
    second = (first + 1 + rng.integers(n - 1, size=pairs)) % n
    differences = images[first].astype(np.float32) - images[second]
    return round(float(np.sqrt(np.square(differences).mean((1, 2, 3))).mean()), 3)


def write_results(out: Path, trained: Trained) -> None:
    """Write OUT.safetensors (images, snapshots) and OUT.parquet (the measures of every step)."""
    with written(out.with_name(out.name + ".safetensors")) as part:
        save_file({"images": trained.images, "snapshots": trained.snapshots}, part)
    with written(out.with_name(out.name + ".parquet")) as part:
        trained.measures.to_parquet(part, index=False)
