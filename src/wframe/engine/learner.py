"""The batched learner: runs Algorithm 1 on all groups of a shard, as many at once as memory allows.

Groups share only the frozen bank, so they are learned in one batch. Up to rounding, results don't depend on how
groups are batched. Finished work isn't lost: each batch is saved when it ends, and a checkpoint is saved every few
iterations in between.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wframe.engine.attempts import Attempts
from wframe.engine.memory import choose_batch
from wframe.model.algorithm import iterate, observe, start
from wframe.model.bank import Bank
from wframe.model.constants import Constants
from wframe.model.energy import responses
from wframe.model.noise import key_tensor
from wframe.model.state import Observed, Record, State
from wframe.runtime import checkpoint
from wframe.runtime.process import Stop, Stopped, stop_on_signal
from wframe.runtime.progress import Progress


@dataclass
class Work:
    """A shard's input: what to learn, and how."""

    bank: Bank  # in unit 1, on the CPU
    constants: Constants
    observed: np.ndarray  # (G, M, H, W, 3) uint8
    keys: list[int]  # 64-bit random keys of the groups
    device: torch.device
    key: str  # a hash of everything the result depends on
    checkpoints: Path  # the folder for checkpoints
    snapshots: tuple[int, ...] = ()  # iterations after which the first group's chains are kept
    batch: int | None = None  # maximum groups at once; None: as many as memory allows
    every: float = 30.0  # seconds between checkpoints
    title: str = "train"
    on_iteration: Callable[[range, State, Tensor], None] | None = None  # called with a batch's groups and measures
    log: Callable[[str], None] = field(default=lambda text: print(text, file=sys.stderr, flush=True))


@dataclass
class Learned:
    """A shard's result."""

    images: np.ndarray  # (G, M, H, W, 3) uint8: the chains at the end
    records: dict[str, np.ndarray]  # measure → (T, G)
    snapshots: np.ndarray  # (S, M, H, W, 3) uint8: the first group's chains after the requested iterations
    batch: int  # groups at once, at most
    attempts: list[dict[str, Any]]  # the processes that worked on the shard, this one last (see `Attempts`)


def learn(work: Work) -> Learned:
    """Learn all groups of a shard (Algorithm 1), batch by batch.

    Resume from the work's checkpoint if there is one. If memory runs out, halve the batch.

    Raises:
        Stopped: a signal arrived (SIGTERM, SIGUSR1, SIGINT); a checkpoint was saved.
    """
    c, (G, M) = work.constants, work.observed.shape[:2]
    size = min(choose_batch(c, work.observed.shape[2], work.device), G, work.batch or G)
    parts: list[dict[str, Tensor]] = []
    most = work.batch or G
    attempts = Attempts(work.checkpoints / f"{checkpoint.stem(work.key)}-attempts.json")
    with stop_on_signal() as stop, Progress(work.title, G * M * c.T * c.L) as progress, torch.inference_mode():
        first = 0
        while first < G:
            saved = _size_of_checkpoint(work, first, most)
            if saved and saved != min(size, G - first):
                work.log(
                    f"{work.title}: {saved} groups at once, not {size}, as in the checkpoint of an earlier attempt"
                )
                size = saved
            span = range(first, min(first + size, G))
            try:
                parts.append(_learn_batch(work, span, progress, stop, attempts))
                first = span.stop
            except torch.cuda.OutOfMemoryError:
                if len(span) == 1:
                    raise
                size = most = len(span) // 2
                torch.cuda.empty_cache()
                work.log(f"{work.title}: out of memory with {len(span)} groups at once, continuing with {size}")
    joined = {name: torch.cat([part[name] for part in parts], dim=-1) for name in Record._fields}
    images = torch.cat([part["images"] for part in parts])
    return Learned(
        images.numpy(),
        {name: value.numpy() for name, value in joined.items()},
        parts[0]["snapshots"].numpy(),
        max(len(part["images"]) for part in parts),
        attempts.all,
    )


def _size_of_checkpoint(work: Work, first: int, most: int) -> int | None:
    """Return how many groups the checkpoint that begins with group `first` has; None if there is none up to `most`.

    The free memory, by which a batch is chosen, differs between attempts; checkpoints are of a batch.
    """
    paths = work.checkpoints.glob(f"{checkpoint.stem(work.key)}-{first}-*.safetensors")
    sizes = [int(path.stem.rpartition("-")[2]) - first for path in paths]
    return min((size for size in sizes if size <= most), default=None)


@dataclass
class _Batch:
    """Groups that are learned together, and how far they are."""

    work: Work
    span: range
    bank: Bank  # in the constants' unit and precision, on the device
    observed: Observed
    keys: Tensor
    state: State
    history: list[Tensor]  # each iteration's measures, (measure, G)
    snapshots: list[Tensor]  # the first group's images


def _learn_batch(work: Work, span: range, progress: Progress, stop: Stop, attempts: Attempts) -> dict[str, Tensor]:
    """Learn the groups of `span` together; resume from the batch's checkpoint if there is one."""
    c, image_steps = work.constants, len(span) * work.constants.M * work.constants.L
    path = work.checkpoints / f"{checkpoint.stem(work.key)}-{span.start}-{span.stop}.safetensors"
    saved = checkpoint.load(path, work.key, torch.device("cpu"))
    if saved and saved[1]["t"] == c.T:
        progress.resume(c.T * image_steps)
        return saved[0]

    batch = _begin(work, span, saved)
    if saved:
        t = batch.state.t
        attempts.resumed(t)
        work.log(f"{work.title}: groups {span.start}-{span.stop - 1} resume from iteration {t} of {c.T}")
        progress.resume(t * image_steps)

    last_save = time.monotonic()
    while batch.state.t < c.T:
        if (batch.state.diverged >= 0).all():
            _repeat_the_last_iteration(batch)
            break
        record = _iterate(batch)
        attempts.this["iterations"] += 1
        progress.advance(image_steps, f"iteration {batch.state.t}, R {_mean_R(record)}")
        due = time.monotonic() - last_save > work.every
        if (stop.asked or due) and batch.state.t < c.T:
            _save(path, batch)
            attempts.save()
            last_save = time.monotonic()
            if stop.asked:
                raise Stopped(
                    f"stopped by {stop.asked} after iteration {batch.state.t}; run the same command to continue"
                )
    done = _result(batch)
    checkpoint.save(path, done, {"key": work.key, "t": c.T})
    attempts.save()
    return done


def _begin(work: Work, span: range, saved: tuple[dict[str, Tensor], dict] | None) -> _Batch:
    """Return the batch as it starts, or as its checkpoint left it."""
    c = work.constants
    bank = work.bank.to(c.unit, work.device, c.precision)
    y = bank.pixels(work.observed[span.start : span.stop], c.unit).to(work.device)
    observed = observe(bank, c, y)
    keys = key_tensor(work.keys[span.start : span.stop], work.device)
    if saved is None:
        return _Batch(work, span, bank, observed, keys, start(bank, observed), [], [])
    tensors, about = saved
    x = tensors["x"].to(work.device)
    state = State(
        about["t"],
        x,
        tensors["θ"].to(work.device),
        tensors["P"].to(work.device),
        responses(bank, x.flatten(0, 1)),
        tensors["diverged"].to(work.device),
    )
    return _Batch(work, span, bank, observed, keys, state, list(tensors["history"]), list(tensors["snapshots"]))


def _iterate(batch: _Batch) -> Record:
    """Learn for one iteration; keep its measures, and a snapshot where one is asked for."""
    work = batch.work
    batch.state, record = iterate(batch.bank, work.constants, batch.keys, batch.observed, batch.state)
    batch.history.append(torch.stack([value.double().cpu() for value in record]))
    if work.on_iteration:
        work.on_iteration(batch.span, batch.state, batch.history[-1])
    if batch.state.t in work.snapshots and batch.span.start == 0:
        batch.snapshots.append(_snapshot(batch))
    return record


def _repeat_the_last_iteration(batch: _Batch) -> None:
    """Fill the remaining iterations with the last one: all groups have diverged, and stay as they are."""
    t, T = batch.state.t, batch.work.constants.T
    batch.history += [batch.history[-1]] * (T - t)
    if batch.span.start == 0:
        batch.snapshots += [_snapshot(batch)] * sum(t < later <= T for later in set(batch.work.snapshots))
    batch.state = batch.state._replace(t=T)


def _result(batch: _Batch) -> dict[str, Tensor]:
    """Return a finished batch's images, snapshots, and measures (T, G)."""
    images = torch.from_numpy(batch.bank.images(batch.state.x, batch.work.constants.unit))
    records = torch.stack(batch.history, dim=1)  # (measure, T, G)
    done = dict(zip(Record._fields, records, strict=True))
    done |= {"images": images, "snapshots": _stack(batch.snapshots, images)}
    return {name: value.contiguous() for name, value in done.items()}


def _save(path: Path, batch: _Batch) -> None:
    """Save a checkpoint of an unfinished batch."""
    state = batch.state
    tensors = {"x": state.x, "θ": state.θ, "P": state.P, "diverged": state.diverged}
    tensors["history"] = torch.stack(batch.history)
    tensors["snapshots"] = _stack(batch.snapshots, torch.zeros((1, 0, 0, 0, 3), dtype=torch.uint8))
    checkpoint.save(path, tensors, {"key": batch.work.key, "t": state.t})


def _snapshot(batch: _Batch) -> Tensor:
    """Return the first group's chains as images."""
    return torch.from_numpy(batch.bank.images(batch.state.x[0], batch.work.constants.unit))


def _stack(snapshots: list[Tensor], like: Tensor) -> Tensor:
    """Stack snapshots; if there are none, return an empty stack of images shaped like those of `like`."""
    return torch.stack(snapshots) if snapshots else torch.zeros((0, *like.shape[1:]), dtype=torch.uint8)


def _mean_R(record: Record) -> str:
    """Return the mean R of the groups that haven't diverged, as text."""
    finite = record.R[~record.R.isnan()]
    return f"{float(finite.mean()):.3f}" if len(finite) else "diverged"
