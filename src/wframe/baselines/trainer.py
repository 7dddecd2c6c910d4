"""The trainer that all baselines share: batches, random numbers, checkpoints, signals and measures.

A baseline is a module of this package with `MEASURES` (what a step returns) and `build`, which makes a `Trainable`:
networks and losses. The rest is here.
"""

import importlib
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from wframe.baselines.batches import Batches, to_images
from wframe.baselines.trainable import Trainable
from wframe.config.baselines import training
from wframe.errors import UserError
from wframe.runtime import checkpoint
from wframe.runtime.process import Stopped, stop_on_signal
from wframe.runtime.progress import Progress

SNAPSHOT = 36  # samples of a snapshot
MEASURE_EVERY = 50  # steps after which measures are brought from the device and looked at


@dataclass
class Work:
    """What has to be trained."""

    batches: Batches
    key: str  # identifies the work: everything that the result depends on
    checkpoints: Path
    every: float = 60.0  # seconds between checkpoints
    title: str = "baseline"


@dataclass
class Trained:
    """What has been trained."""

    images: np.ndarray  # (samples, S, S, 3) uint8
    snapshots: np.ndarray  # (S, 36, S, S, 3) uint8
    weights: dict[str, Tensor]  # of all networks
    measures: pd.DataFrame  # one row per step
    diverged: int | None  # the first step with a measure that isn't finite, the last in `measures`
    resumed: int
    steps: int  # in this process
    seconds: float  # spent training, in all processes together


def train(work: Work) -> Trained:
    """Train from the start, or from the work's checkpoint.

    Raises:
        Stopped: a signal (SIGTERM, SIGUSR1, SIGINT) came; a checkpoint is saved.
    """
    batches, s = work.batches, work.batches.settings
    module, model = build(batches)
    path = work.checkpoints / f"{checkpoint.stem(work.key)}.safetensors"
    t, before, history, snapshots = 0, 0.0, torch.zeros(0, len(module.MEASURES)), [_no_samples(batches.side)]
    if saved := checkpoint.load(path, work.key, torch.device("cpu")):
        tensors, about = saved
        t, before = about["t"], about["seconds"]
        history, snapshots = tensors.pop("history"), [tensors.pop("snapshots")]
        model.restore(tensors)
        print(f"{work.title}: resumes from step {t} of {s.length}", file=sys.stderr, flush=True)
    first, diverged, recent = t, None, list[Tensor]()
    begin = last_save = time.monotonic()
    with stop_on_signal() as stop, Progress(work.title, s.length * s.batch, t * s.batch, unit="images") as progress:
        while t < s.length:
            batches.seed("z", t)
            recent.append(model.step(t, batches))
            t += 1
            if t in s.snapshots:
                snapshots.append(samples(model, batches, SNAPSHOT, "snapshots")[None])
            due = time.monotonic() - last_save > work.every
            look = t % MEASURE_EVERY == 0 or t == s.length  # never because of a checkpoint: that is a matter of time
            if not (look or due or stop.asked):
                continue
            history = torch.cat([history, torch.stack(recent).cpu()])
            values = zip(module.MEASURES, history[-1].tolist(), strict=True)
            progress.advance(len(recent) * s.batch, f"step {t}, {', '.join(f'{k} {v:.3f}' for k, v in values)}")
            recent = []
            bad = ~history.isfinite().all(1)
            if look and bad.any():
                diverged = 1 + int(bad.nonzero()[0])
                break
            if (due or stop.asked) and t < s.length:
                tensors = model.state() | {"history": history, "snapshots": torch.cat(snapshots)}
                seconds = before + time.monotonic() - begin
                checkpoint.save(path, tensors, {"key": work.key, "t": t, "seconds": seconds})
                last_save = time.monotonic()
                if stop.asked:
                    raise Stopped(f"stopped by {stop.asked} after step {t}; run the same command to continue")
    measures = pd.DataFrame(history[:diverged].numpy(), columns=list(module.MEASURES))
    measures.insert(0, "step", np.arange(1, len(measures) + 1))
    return Trained(
        samples(model, batches, s.samples, "samples").numpy(),
        torch.cat(snapshots).numpy(),
        {name: tensor.detach().cpu() for name, tensor in model.weights().items()},
        measures,
        diverged,
        int(first > 0),
        t - first,
        before + time.monotonic() - begin,
    )


def build(batches: Batches) -> tuple[Any, Trainable]:
    """Return the module of the settings' model, and the model as it begins."""
    module = importlib.import_module(f"wframe.baselines.{batches.settings.model}")
    batches.seed("build")
    return module, module.build(batches.settings, batches, batches.random("weights"))


def load(path: Path, device: torch.device) -> Trainable:
    """Return a trained model from its weights.

    Raises:
        UserError: missing, broken, or not the weights of a baseline.
    """
    try:
        with safe_open(path, "pt") as file:
            about = json.loads(file.metadata()["wframe"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        settings, side = training(about["settings"]), about["side"]
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not the weights of a baseline ({error}). `wframe baseline` writes them.") from None
    blank = np.zeros((settings.batch, side, side, 3), np.uint8)  # what a model reads of its images, the weights replace
    _, model = build(Batches(settings, blank, ("load",), device))
    model.restore_weights(tensors)
    return model


def samples(model: Trainable, batches: Batches, count: int, purpose: str) -> Tensor:
    """Return samples as uint8 (N, S, S, 3), on the CPU; the same z for the same purpose."""
    batches.seed("z", purpose)
    return torch.cat([to_images(model.sample(part)).cpu() for part in model.noise(count).split(250)])


def _no_samples(side: int) -> Tensor:
    return torch.zeros((0, SNAPSHOT, side, side, 3), dtype=torch.uint8)
