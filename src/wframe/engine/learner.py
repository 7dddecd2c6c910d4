"""The batched learner: all groups of a shard through Algorithm 1, as many at once as memory allows.

Groups share nothing but the frozen bank, so a batch of them is one launch. Results don't depend on how groups
are batched (to rounding), and nothing finished is lost: each batch is kept when it is done, and a checkpoint
is kept every few iterations within it.
"""

import os
import platform
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wframe.engine import checkpoint
from wframe.engine.cost import bytes_per_group
from wframe.engine.process import Stop, Stopped, stop_on_signal
from wframe.engine.progress import Meter
from wframe.errors import UserError
from wframe.files import read_json, write_json
from wframe.model.algorithm import Constants, Observed, Record, State, iterate, observe, start
from wframe.model.bank import Bank
from wframe.model.energy import responses
from wframe.model.noise import key_tensor


@dataclass
class Work:
    """What a shard has to learn."""

    bank: Bank  # in unit 1, on the CPU
    constants: Constants
    observed: np.ndarray  # (G, M, H, W, 3) uint8
    keys: list[int]  # 64-bit random keys of the groups
    device: torch.device
    key: str  # identifies the work: everything that the result depends on
    checkpoints: Path  # the folder for checkpoints of this work
    snapshots: tuple[int, ...] = ()  # iterations after which the first group's pictures are kept
    batch: int | None = None  # most groups at once; None: as many as memory allows
    every: float = 30.0  # seconds between checkpoints
    title: str = "train"
    precision: torch.dtype = torch.float32  # of the bank's convolutions
    say: Callable[[str], None] = field(default=lambda text: print(text, file=sys.stderr, flush=True))


@dataclass
class Learned:
    """What a shard has learned."""

    images: np.ndarray  # (G, M, H, W, 3) uint8: the chains at the end
    records: dict[str, np.ndarray]  # measure → (T, G)
    snapshots: np.ndarray  # (S, M, H, W, 3) uint8: the first group's chains after the asked iterations
    batch: int  # groups at once
    attempts: list[dict[str, Any]]  # the processes that worked on it, this one last (see `_Attempts`)


def choose_batch(c: Constants, side: int, device: torch.device, precision: torch.dtype) -> int:
    """Return how many groups to learn at once: what fits into memory and still gains speed."""
    if device.type != "cuda":
        # a CPU gains nothing once its cores are busy, and loses the cache
        return max(1, 4 * 32 * 32 // (side * side))
    free, _ = torch.cuda.mem_get_info(device)
    fits = int(0.8 * free / bytes_per_group(side, c.M, precision.itemsize, c.theta == "position"))
    return max(1, min(fits, (2**31 - 1) // (c.M * 64 * side * side)))  # kernels index with 32 bits


def learn(work: Work) -> Learned:
    """Learn all groups of a shard (Algorithm 1), batch by batch.

    Goes on from the work's checkpoint if there is one. When memory runs out, the batch is halved.

    Raises:
        Stopped: a signal (SIGTERM, SIGUSR1, SIGINT) came; a checkpoint is saved.
    """
    c, (G, M) = work.constants, work.observed.shape[:2]
    size = min(choose_batch(c, work.observed.shape[2], work.device, work.precision), G, work.batch or G)
    parts: list[dict[str, Tensor]] = []
    attempts = _Attempts(work.checkpoints / f"{work.key[:16]}-attempts.json")
    with stop_on_signal() as stop, Meter(work.title, G * M * c.T * c.L) as meter, torch.inference_mode():
        first = 0
        while first < G:
            span = range(first, min(first + size, G))
            try:
                parts.append(_learn_batch(work, span, meter, stop, attempts))
                first = span.stop
            except torch.cuda.OutOfMemoryError:
                if size == 1:
                    raise
                size //= 2
                torch.cuda.empty_cache()
                work.say(f"{work.title}: out of memory with {len(span)} groups at once, going on with {size}")
    joined = {name: torch.cat([part[name] for part in parts], dim=-1) for name in Record._fields}
    images = torch.cat([part["images"] for part in parts])
    return Learned(
        images.numpy(),
        {name: value.numpy() for name, value in joined.items()},
        parts[0]["snapshots"].numpy(),
        size,
        attempts.all,
    )


def forget(work: Work) -> None:
    """Remove the work's checkpoints, once its results are safe, and what a kill in the middle of a write left.

    A part younger than a minute stays: another process may be at the same work, and writing it.
    """
    for path in work.checkpoints.glob(f"{work.key[:16]}-*"):
        path.unlink(missing_ok=True)
    for part in work.checkpoints.glob(f".{work.key[:16]}-*.part"):
        with suppress(FileNotFoundError):
            if time.time() - part.stat().st_mtime > 60:
                part.unlink()


def _learn_batch(work: Work, span: range, meter: Meter, stop: Stop, attempts: "_Attempts") -> dict[str, Tensor]:
    """Learn the groups of `span` together; from the batch's checkpoint, if there is one."""
    c = work.constants
    path = work.checkpoints / f"{work.key[:16]}-{span.start}-{span.stop}.safetensors"
    kept = checkpoint.load(path, work.key, torch.device("cpu"))
    if kept and kept[1]["t"] == c.T:
        meter.advance(len(span) * c.M * c.T * c.L, "kept from before")
        return kept[0]

    bank = work.bank.to(c.unit, work.device, work.precision)
    y = bank.pixels(work.observed[span.start : span.stop], c.unit).to(work.device)
    observed = observe(bank, c, y)
    keys = key_tensor(work.keys[span.start : span.stop], work.device)
    state, history, pictures = _begin(work, bank, observed, kept)
    if kept:
        attempts.went_on(state.t)
        work.say(f"{work.title}: groups {span.start}-{span.stop - 1} go on from iteration {state.t} of {c.T}")
        meter.advance(len(span) * c.M * state.t * c.L, "from the checkpoint")

    saved = time.monotonic()
    while state.t < c.T:
        if (state.diverged >= 0).all():
            history += [history[-1]] * (c.T - state.t)
            state = state._replace(t=c.T)
            break
        state, record = iterate(bank, c, keys, observed, state)
        history.append(torch.stack([value.double().cpu() for value in record]))
        attempts.this["iterations"] += 1
        if state.t in work.snapshots and span.start == 0:
            pictures.append(torch.from_numpy(bank.images(state.x[0], c.unit)))
        meter.advance(len(span) * c.M * c.L, f"iteration {state.t}, R {_mean_R(record)}")
        due = time.monotonic() - saved > work.every
        if (stop.asked or due) and state.t < c.T:
            _save(path, work.key, state, history, pictures)
            attempts.save()
            saved = time.monotonic()
            if stop.asked:
                raise Stopped(f"stopped by {stop.asked} after iteration {state.t}; run the same command to go on")
    images = torch.from_numpy(bank.images(state.x, c.unit))
    records = torch.stack(history, dim=1)  # (measure, T, G)
    done = dict(zip(Record._fields, records, strict=True)) | {
        "images": images,
        "snapshots": _stack(pictures, images),
    }
    done = {name: value.contiguous() for name, value in done.items()}
    checkpoint.save(path, done, {"key": work.key, "t": c.T})
    attempts.save()
    return done


def _begin(
    work: Work, bank: Bank, observed: Observed, kept: tuple[dict[str, Tensor], dict] | None
) -> tuple[State, list[Tensor], list[Tensor]]:
    """Return where a batch starts or goes on: state, history of measures, snapshots."""
    if kept is None:
        return start(bank, observed), [], []
    tensors, about = kept
    x = tensors["x"].to(work.device)
    state = State(
        about["t"],
        x,
        tensors["θ"].to(work.device),
        tensors["P"].to(work.device),
        responses(bank, x.flatten(0, 1)),
        tensors["diverged"].to(work.device),
    )
    return state, list(tensors["history"]), list(tensors["pictures"])


def _save(path: Path, key: str, state: State, history: list[Tensor], pictures: list[Tensor]) -> None:
    """Keep an unfinished batch."""
    tensors = {"x": state.x, "θ": state.θ, "P": state.P, "diverged": state.diverged, "history": torch.stack(history)}
    tensors["pictures"] = _stack(pictures, torch.zeros((1, 0, 0, 0, 3), dtype=torch.uint8))
    checkpoint.save(path, tensors, {"key": key, "t": state.t})


def _stack(pictures: list[Tensor], like: Tensor) -> Tensor:
    """Stack snapshots; with none, an empty stack of pictures like `like`."""
    return torch.stack(pictures) if pictures else torch.zeros((0, *like.shape[1:]), dtype=torch.uint8)


def _mean_R(record: Record) -> str:
    """The mean R of the groups that haven't diverged, as text."""
    alive = record.R[~record.R.isnan()]
    return f"{float(alive.mean()):.3f}" if len(alive) else "diverged"


class _Attempts:
    """Which processes have worked on a shard: where, how long, how far; kept beside its checkpoints.

    Each entry: `host`, `slurm_job` and `cuda_visible_devices` (None where they aren't set), `began` (UTC), `seconds`,
    `iterations` (of batches, done there), `went_on_from` (the iteration of the checkpoint that it went on from; None:
    from the start).
    """

    def __init__(self, path: Path) -> None:
        self.path, self.begin = path, time.monotonic()
        self.this: dict[str, Any] = {
            "host": platform.node(),
            "slurm_job": os.environ.get("SLURM_JOB_ID"),
            "cuda_visible_devices": os.environ.get("CUDA_VISIBLE_DEVICES"),
            "began": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": 0.0,
            "iterations": 0,
            "went_on_from": None,
        }
        self.before: list[dict[str, Any]] = []
        if path.exists():
            try:
                self.before = read_json(path)
            except UserError as error:  # it's a record only: the work goes on without it
                print(f"{error}; earlier attempts aren't on record", file=sys.stderr)
        self.save()

    @property
    def all(self) -> list[dict[str, Any]]:
        """All attempts so far, this one last."""
        return [*self.before, self.this | {"seconds": round(time.monotonic() - self.begin, 3)}]

    def went_on(self, t: int) -> None:
        """Note that this process goes on from iteration t."""
        if self.this["went_on_from"] is None:
            self.this["went_on_from"] = t

    def save(self) -> None:
        """Keep the list."""
        write_json(self.path, self.all)
