"""The trainer that all baselines share: batches, random numbers, checkpoints, signals and measures.

A baseline is a module of this package with `MEASURES` (what a step returns) and `build`, which makes a `Trainable`:
networks and losses. The rest is here.
"""

import importlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from wframe.config.baselines import Training
from wframe.model.noise import group_key
from wframe.runtime import checkpoint
from wframe.runtime.process import Stopped, stop_on_signal
from wframe.runtime.progress import Progress

SNAPSHOT = 36  # samples of a snapshot
MEASURE_EVERY = 50  # steps after which measures are brought from the device and looked at


class Trainable(Protocol):
    """What a baseline's module builds: `build(settings, side, random, device)`."""

    def step(self, real: Tensor, z: Tensor) -> Tensor:
        """Take one step on real images (N, 3, H, W) in [−1, 1] with z (N, z); return the module's MEASURES."""

    def sample(self, z: Tensor) -> Tensor:
        """Return an image (3, H, W) in [−1, 1] for each z."""

    def state(self) -> dict[str, Tensor]:
        """Return everything that training changes, as named tensors."""

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Set what `state` returned."""


@dataclass
class Work:
    """What has to be trained."""

    settings: Training
    images: np.ndarray  # (N, S, S, 3) uint8: the training images
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
    s, side = work.settings, work.images.shape[1]
    module = importlib.import_module(f"wframe.baselines.{s.model}")
    model: Trainable = module.build(s, side, work.random("weights"), work.device)
    path = work.checkpoints / f"{work.key[:16]}.safetensors"
    t, before, history, snapshots = 0, 0.0, [torch.zeros(0, len(module.MEASURES))], [_no_samples(side)]
    if saved := checkpoint.load(path, work.key, torch.device("cpu")):
        tensors, about = saved
        t, before = about["t"], about["seconds"]
        history, snapshots = [tensors.pop("history")], [tensors.pop("snapshots")]
        model.restore(tensors)
        print(f"{work.title}: resumes from step {t} of {s.steps}", file=sys.stderr, flush=True)
    first, diverged, recent = t, None, list[Tensor]()
    batches = Batches(work)
    begin = last_save = time.monotonic()
    with stop_on_signal() as stop, Progress(work.title, s.steps * s.batch, t * s.batch, unit="images") as progress:
        while t < s.steps:
            recent.append(model.step(batches[t], work.z(s.batch, t)))
            t += 1
            if t in s.snapshots:
                snapshots.append(_samples(model, work.z(SNAPSHOT, "snapshots"))[None])
            due = time.monotonic() - last_save > work.every
            if len(recent) < MEASURE_EVERY and t < s.steps and not (due or stop.asked):
                continue
            history.append(torch.stack(recent).cpu())
            recent = []
            values = zip(module.MEASURES, history[-1][-1].tolist(), strict=True)
            progress.advance(len(history[-1]) * s.batch, f"step {t}, {', '.join(f'{k} {v:.3f}' for k, v in values)}")
            if not history[-1].isfinite().all():
                diverged = t
                break
            if (due or stop.asked) and t < s.steps:
                tensors = model.state() | {"history": torch.cat(history), "snapshots": torch.cat(snapshots)}
                seconds = before + time.monotonic() - begin
                checkpoint.save(path, tensors, {"key": work.key, "t": t, "seconds": seconds})
                last_save = time.monotonic()
                if stop.asked:
                    raise Stopped(f"stopped by {stop.asked} after step {t}; run the same command to continue")
    measures = pd.DataFrame(torch.cat(history).numpy(), columns=list(module.MEASURES))
    measures.insert(0, "step", np.arange(1, len(measures) + 1))
    return Trained(
        _samples(model, work.z(s.samples, "samples")).numpy(),
        torch.cat(snapshots).numpy(),
        measures,
        diverged,
        int(first > 0),
        t - first,
        before + time.monotonic() - begin,
    )


class Batches:
    """The real images of each step: every epoch in a random order of its own, the incomplete last batch left out.

    Duplicating images only lengthens the epoch; they are kept once.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self.images = torch.from_numpy(work.images).to(work.device)
        self.rows = max(len(work.images), work.settings.duplicate_to or 0)
        self.epoch, self.order = -1, torch.zeros(0)

    def __getitem__(self, step: int) -> Tensor:
        """Return the images of a step, (batch, 3, S, S) in [−1, 1]."""
        size = self.work.settings.batch
        epoch, place = divmod(step, self.rows // size)
        if epoch != self.epoch:
            self.epoch = epoch
            self.order = torch.randperm(self.rows, generator=self.work.random("order", epoch)) % len(self.images)
        rows = self.order[place * size : (place + 1) * size].to(self.images.device)
        return self.images[rows].permute(0, 3, 1, 2).float().div(127.5).sub(1.0)


def _samples(model: Trainable, z: Tensor) -> Tensor:
    """Return the samples of z as uint8 (N, S, S, 3), on the CPU."""
    parts = [model.sample(part).permute(0, 2, 3, 1).add(1.0).mul(127.5) for part in z.split(250)]
    return torch.cat([part.nan_to_num(127.5).round().clamp(0, 255).to(torch.uint8).cpu() for part in parts])


def _no_samples(side: int) -> Tensor:
    return torch.zeros((0, SNAPSHOT, side, side, 3), dtype=torch.uint8)
