"""`wframe train`: train one shard of one run, from prepared images to samples, curves and a record."""

import argparse
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pydantic import ValidationError
from safetensors.numpy import save_file

from wframe.config.base import explain, with_changes
from wframe.config.learning import Learning
from wframe.data.arrays import load_images
from wframe.data.groups import cut, shard_span
from wframe.engine.learner import Learned, Work, learn
from wframe.errors import UserError
from wframe.files import atomic_write, sha256_file, sha256_json, write_json
from wframe.model.algorithm import observe, start
from wframe.model.bank import Bank, load_bank
from wframe.model.constants import Constants
from wframe.model.energy import force, langevin
from wframe.model.layers import has_kernels, why_no_kernels
from wframe.model.noise import group_key, key_tensor
from wframe.model.state import Record
from wframe.runtime import checkpoint
from wframe.runtime.code import code_hash
from wframe.runtime.machine import gpu_name, trained_by
from wframe.runtime.process import Stopped, choose_device, configure_process
from wframe.weights import BUILTIN_BANK


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe train`."""
    add = parser.add_argument
    add("--observed", type=Path, required=True, help="the observed images (.npy, from `wframe prepare`)")
    add("--bank", default="builtin", help="`builtin`, or a bank file made by `wframe bank`")
    add("--out", type=Path, required=True, help="results: OUT.safetensors, OUT.parquet and OUT.json")
    add("--method", choices=["frame", "wframe"], default="wframe", help="frame sets β to 0")
    add("--constants", type=json.loads, default={}, help="constants of Algorithm 1 as JSON")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="one constant, e.g. --set lambda=1e-3")
    add("--study", default="none", help="the study's name, for the curves and the record")
    add("--dataset", default="images", help="the dataset's name, for the random key, the curves and the record")
    add("--class", dest="class_", default="all", help="the class, for the random key, the curves and the record")
    add("--setting", default="base", help="the setting's name, for the curves and the record")
    add("--repeat", type=int, default=0, help="each repeat has different noise")
    add("--seed", type=int, default=0, help="each seed has different noise everywhere")
    add("--groups", type=int, help="train on only this many groups of the class")
    add("--shard", default="0/1", metavar="I/N", help="train on the I-th of N equal parts of the groups")
    add("--snapshots", type=_integers, default=(), help="iterations after which to keep the chains, e.g. 1,10,30")
    add("--device", choices=["auto", "cpu", "cuda"], default="auto", help="where to train; auto: a GPU if there is one")
    add("--batch", type=int, help="maximum groups at once; default: as many as memory allows")
    add("--threads", type=int, help="CPU threads; default: all cores this process may use")
    add("--checkpoints", type=Path, help="folder for checkpoints; default: .checkpoints beside OUT")
    add("--checkpoint-every", type=float, default=30.0, metavar="SECONDS", help="time between checkpoints; default: 30")


def main(args: argparse.Namespace) -> int:
    """Learn one shard; on a signal, save a checkpoint and return 75 (the same command resumes)."""
    begin = time.monotonic()
    constants = parse_constants(args.constants, args.set, args.method)
    configure_process(args.threads)
    device = choose_device(args.device)
    bank = load_bank(BUILTIN_BANK if args.bank == "builtin" else Path(args.bank))
    check_device(device, constants, bank)
    groups = load_groups(args.observed, constants.M, args.groups)
    span = shard_span(args.shard, len(groups))
    identity = _identity(args, constants, bank, span, device)
    work = Work(
        bank=bank,
        constants=constants,
        observed=groups[span.start : span.stop],
        keys=[group_key(args.seed, args.dataset, args.class_, args.repeat, index) for index in span],
        device=device,
        key=sha256_json(identity),
        checkpoints=args.checkpoints or args.out.parent / ".checkpoints",
        snapshots=args.snapshots,
        batch=args.batch,
        every=args.checkpoint_every,
        title=f"{args.method} on {args.dataset}/{args.class_}",
    )
    _say_where(work)
    try:
        learned = learn(work)
    except Stopped as stopped:
        print(f"{work.title}: {stopped}", file=sys.stderr)
        return 75
    write_results(args.out, learned, span, identity["run"])
    record = identity | trained_by(begin, device) | _about_learning(learned)
    record["images_steps"] = len(span) * constants.M * constants.T * constants.L
    write_json(args.out.with_name(args.out.name + ".json"), record)
    checkpoint.remove(work.checkpoints, work.key)
    return 0


def _identity(
    args: argparse.Namespace, constants: Constants, bank: Bank, span: range, device: torch.device
) -> dict[str, Any]:
    """Return everything that the result depends on: its hash is the key of the checkpoints."""
    return {
        "run": {
            "study": args.study,
            "dataset": args.dataset,
            "class": args.class_,
            "setting": args.setting,
            "method": args.method,
            "repeat": args.repeat,
        },
        "seed": args.seed,
        "constants": constants.named(),
        "groups": [span.start, span.stop],
        "inputs": {"observed": sha256_file(args.observed), "bank": bank.sha256},
        "code": code_hash("wframe.engine.train"),
        "device": device.type,
        "kernels": has_kernels(device),  # they round otherwise than PyTorch's own operations
        "snapshots": args.snapshots,
    }


def _say_where(work: Work) -> None:
    """Say on which machine and device the work begins, and whether its GPU could be faster."""
    what = gpu_name(work.device) or f"{torch.get_num_threads()} CPU threads"
    print(f"{work.title}: on {platform.node()}, {what}", file=sys.stderr, flush=True)
    if work.device.type == "cuda" and (why := why_no_kernels()):
        print(f"{work.title}: slower than this GPU can be: {why}", file=sys.stderr, flush=True)


def _about_learning(learned: Learned) -> dict[str, Any]:
    """Return what the record says of the learning: its attempts, their time, and how many groups diverged."""
    seconds = round(sum(attempt["seconds"] for attempt in learned.attempts), 3)
    return {
        "batch": learned.batch,
        "attempts": learned.attempts,
        "resumed": sum(attempt["resumed_from"] is not None for attempt in learned.attempts),
        "iterations_run": learned.attempts[-1]["iterations"],
        "diverged": int((learned.records["diverged"][-1] >= 0).sum()),
        "seconds": seconds,  # of all attempts, where `made_by` has this process's alone
        "learning_seconds": seconds,
    }


def check_device(device: torch.device, constants: Constants, bank: Bank) -> None:
    """Refuse a device on which a Langevin step doesn't run, before work starts, by taking one from a blank image.

    Raises:
        UserError: says what is missing, and for the GPU's kernels the slower way that works without.
    """
    if constants.precision == "tf32" and device.type != "cuda":
        raise UserError("precision: tf32 is a GPU's, and this is a CPU: use fp32 or bf16")
    try:
        bank = bank.to(constants.unit, device, constants.precision)
        with torch.inference_mode():
            observed = observe(bank, constants, torch.zeros((1, 1, 3, 16, 16), device=device))
            state = start(bank, observed)
            langevin(state.x, force(bank, state.θ, state.x), key_tensor([0], device), 0, 0, *constants.step)
    except Exception as error:  # of Triton or the C compiler: of many kinds
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"device {device}: a Langevin step doesn't run here ({reason}). On a GPU, Triton needs a C compiler and "
            "Python's headers on this node, and a GPU of 2020 or later for bf16; WFRAME_NO_COMPILE=1 does without it, "
            "more slowly."
        ) from None


def parse_constants(values: dict[str, Any], changes: list[str], method: str) -> Constants:
    """Return Algorithm 1's constants; FRAME has β = 0.

    Raises:
        UserError: a name is unknown, a value is invalid, or FRAME is given a penalty.
    """
    values = with_changes(values, changes)
    try:
        learning = Learning.model_validate(values)
    except ValidationError as error:
        raise UserError(explain(error, "the constants", Learning)) from None
    if method != "frame":
        return Constants(**learning.model_dump())
    if "beta" in learning.model_fields_set and learning.beta:
        raise UserError(
            f"beta = {learning.beta:g}: FRAME is wFRAME without the penalty (β = 0). Leave beta out, or use the method "
            "wframe (--method wframe)."
        )
    return Constants(**learning.model_dump() | {"beta": 0.0})


def load_groups(path: Path, M: int, limit: int | None) -> np.ndarray:
    """Return the images of a prepared array as groups, (G, M, H, W, 3) uint8.

    Raises:
        UserError: it isn't a prepared array, the bank's pool can't halve a side, or there are fewer than M images.
    """
    return as_groups(load_images(path), M, limit, str(path))


def as_groups(images: np.ndarray, M: int, limit: int | None, where: str) -> np.ndarray:
    """Return images (N, H, W, 3) as groups, (G, M, H, W, 3); `where` they are from is for the messages.

    Raises:
        UserError: the bank's pool can't halve a side, or there are fewer than M images.
    """
    if images.shape[1] % 2 or images.shape[2] % 2:
        raise UserError(f"{where}: the images have {images.shape[1:3]} pixels; the bank's pool needs even sides")
    try:
        return cut(images, M, limit)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def write_results(out: Path, learned: Learned, span: range, run: dict[str, str | int]) -> None:
    """Write OUT.safetensors (images, snapshots) and OUT.parquet (a row per group and iteration, with the run)."""
    with atomic_write(out.with_name(out.name + ".safetensors")) as part:
        save_file({"images": learned.images, "snapshots": learned.snapshots}, part)
    with atomic_write(out.with_name(out.name + ".parquet")) as part:
        curves(learned, span, run).to_parquet(part, index=False)


def curves(learned: Learned, span: range, run: dict[str, str | int]) -> pd.DataFrame:
    """Return the measures as a table, a row per group and iteration, with the run's names."""
    T, G = learned.records["R"].shape
    return pd.DataFrame(
        {
            **{name: [value] * (T * G) for name, value in run.items()},
            "group": np.tile(np.arange(span.start, span.stop), T),
            "iteration": np.repeat(np.arange(1, T + 1), G),
            **{name: learned.records[name].ravel() for name in Record._fields},
        }
    ).astype({"diverged": "int64"})


def _integers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part)
