"""The trainer that all baselines share: batches, random numbers, checkpoints, signals and measures.

A baseline is a module of this package with `MEASURES` (what a step returns) and `build`, which makes a `Trainable`:
networks and losses. The rest is here.
"""

import importlib
import json
import sys
import time
from dataclasses import dataclass, field
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


@dataclass
class _Training:
    """A training under way."""

    model: Trainable
    path: Path  # of its checkpoint
    measures: tuple[str, ...]  # the names of a step's values
    history: Tensor  # (t, measures): each step's values
    snapshots: list[Tensor]  # each (S, 36, S, S, 3) uint8
    t: int = 0  # steps that have been taken
    before: float = 0.0  # seconds that earlier processes spent
    begin: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds spent training, in all processes together."""
        return self.before + time.monotonic() - self.begin


def train(work: Work) -> Trained:
    """Train from the start, or from the work's checkpoint.

    Raises:
        Stopped: a signal (SIGTERM, SIGUSR1, SIGINT) came; a checkpoint is saved.
    """
    batches, s = work.batches, work.batches.settings
    run = _begin(work)
    first, diverged, recent = run.t, None, list[Tensor]()
    last_save = time.monotonic()
    with stop_on_signal() as stop, Progress(work.title, s.length * s.batch, run.t * s.batch, unit="images") as progress:
        while run.t < s.length:
            recent.append(_step(run, batches))
            due = time.monotonic() - last_save > work.every
            look = run.t % MEASURE_EVERY == 0 or run.t == s.length  # never because of a checkpoint: a matter of time
            if not (look or due or stop.asked):
                continue
            run.history = torch.cat([run.history, torch.stack(recent).cpu()])
            progress.advance(len(recent) * s.batch, _last_values(run))
            recent = []
            if look and (diverged := _first_not_finite(run.history)):
                break
            if (due or stop.asked) and run.t < s.length:
                _save(run, work.key)
                last_save = time.monotonic()
                if stop.asked:
                    raise Stopped(f"stopped by {stop.asked} after step {run.t}; run the same command to continue")
    return Trained(
        samples(run.model, batches, s.samples, "samples").numpy(),
        torch.cat(run.snapshots).numpy(),
        {name: tensor.detach().cpu() for name, tensor in run.model.weights().items()},
        _table(run, diverged),
        diverged,
        int(first > 0),
        run.t - first,
        run.seconds,
    )


def _begin(work: Work) -> _Training:
    """Return the training as it starts, or as its checkpoint left it."""
    module, model = build(work.batches)
    path = work.checkpoints / f"{checkpoint.stem(work.key)}.safetensors"
    saved = checkpoint.load(path, work.key, torch.device("cpu"))
    if not saved:
        history = torch.zeros(0, len(module.MEASURES))
        return _Training(model, path, module.MEASURES, history, [_no_samples(work.batches.side)])
    tensors, about = saved
    history, snapshots = tensors.pop("history"), tensors.pop("snapshots")
    model.restore(tensors)
    t, length = about["t"], work.batches.settings.length
    print(f"{work.title}: resumes from step {t} of {length}", file=sys.stderr, flush=True)
    return _Training(model, path, module.MEASURES, history, [snapshots], t, about["seconds"])


def _step(run: _Training, batches: Batches) -> Tensor:
    """Take one step, with a snapshot after it where one is asked for; return its measures, on the device."""
    batches.seed("z", run.t)
    measures = run.model.step(run.t, batches)
    run.t += 1
    if run.t in batches.settings.snapshots:
        run.snapshots.append(samples(run.model, batches, SNAPSHOT, "snapshots")[None])
    return measures


def _last_values(run: _Training) -> str:
    """Return the last step's measures as text."""
    values = zip(run.measures, run.history[-1].tolist(), strict=True)
    return f"step {run.t}, {', '.join(f'{name} {value:.3f}' for name, value in values)}"


def _first_not_finite(history: Tensor) -> int | None:
    """Return the first step, counted from 1, with a measure that isn't finite; None if there is none."""
    bad = ~history.isfinite().all(1)
    return 1 + int(bad.nonzero()[0]) if bad.any() else None


def _save(run: _Training, key: str) -> None:
    """Save a checkpoint of an unfinished training."""
    tensors = run.model.state() | {"history": run.history, "snapshots": torch.cat(run.snapshots)}
    checkpoint.save(run.path, tensors, {"key": key, "t": run.t, "seconds": run.seconds})


def _table(run: _Training, diverged: int | None) -> pd.DataFrame:
    """Return the measures as a table, a row per step, up to the one in which the training diverged."""
    table = pd.DataFrame(run.history[:diverged].numpy(), columns=list(run.measures))
    table.insert(0, "step", np.arange(1, len(table) + 1))
    return table


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
