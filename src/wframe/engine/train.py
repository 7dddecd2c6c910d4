"""`wframe train`: one shard of one run, from prepared pictures to samples, curves and a record."""

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

from wframe.engine.learner import Learned, Work, forget, learn
from wframe.engine.process import Stopped, choose_device, settle_process
from wframe.errors import UserError
from wframe.files import sha256_file, sha256_json, write_json, written
from wframe.learning import Learning, explain, with_changes
from wframe.model.algorithm import Constants, Record
from wframe.model.bank import builtin_path, load_bank
from wframe.model.noise import group_key
from wframe.provenance import code_hash, machine, peak_memory_mb, versions

PRECISIONS = {"fp32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe train`."""
    add = parser.add_argument
    add("--pictures", type=Path, required=True, help="prepared pictures (.npy, from `wframe prepare`)")
    add("--bank", default="builtin", help="`builtin`, or a bank file made by `wframe bank`")
    add("--out", type=Path, required=True, help="results: OUT.safetensors, OUT.parquet and OUT.json")
    add("--method", choices=["frame", "wframe"], default="wframe", help="FRAME sets β to 0")
    add("--constants", type=json.loads, default={}, help="constants of Algorithm 1 as JSON")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="one constant, say --set lambda=1e-3")
    add("--dataset", default="pictures", help="a name, for the random key and the record")
    add("--class", dest="class_", default="all", help="a name, for the random key and the record")
    add("--repeat", type=int, default=0, help="another repeat has other noise")
    add("--seed", type=int, default=0, help="another seed has other noise everywhere")
    add("--groups", type=int, help="learn only this many groups of the class")
    add("--shard", default="0/1", metavar="I/N", help="learn the I-th of N equal parts of the groups")
    add("--snapshots", type=_integers, default=(), help="iterations whose pictures to keep, say 1,10,30")
    add("--device", choices=["auto", "cpu", "cuda"], default="auto")
    add("--precision", choices=list(PRECISIONS), help="of the convolutions; default fp32, on a GPU tf32")
    add("--batch", type=int, help="most groups at once; default: what memory allows")
    add("--threads", type=int, help="CPU threads; default: all that this process may use")
    add("--checkpoints", type=Path, help="folder for checkpoints; default: .checkpoints beside OUT")
    add("--checkpoint-every", type=float, default=30.0, metavar="SECONDS")


def main(args: argparse.Namespace) -> int:
    """Learn one shard; on a signal save a checkpoint and return 75 (the same command goes on)."""
    begin = time.monotonic()
    constants = parse_constants(args.constants, args.set, args.method)
    settle_process(args.threads)
    device = choose_device(args.device)
    precision = args.precision or ("tf32" if device.type == "cuda" else "fp32")
    bank_precision = set_precision(precision)
    bank_path = builtin_path() if args.bank == "builtin" else Path(args.bank)
    bank = load_bank(bank_path)
    pictures = load_groups(args.pictures, constants.M, args.groups)
    span = shard_span(args.shard, len(pictures))

    inputs = {"pictures": sha256_file(args.pictures), "bank": bank.sha256}
    identity: dict[str, Any] = {
        "run": [args.seed, args.dataset, args.class_, args.repeat],
        "method": args.method,
        "constants": constants._asdict(),
        "groups": [span.start, span.stop],
        "inputs": inputs,
        "code": code_hash("wframe.engine.train"),
        "device": device.type,
        "precision": precision,
        "snapshots": args.snapshots,
    }
    work = Work(
        bank=bank,
        constants=constants,
        observed=pictures[span.start : span.stop],
        keys=[group_key(args.seed, args.dataset, args.class_, args.repeat, index) for index in span],
        device=device,
        key=sha256_json(identity),
        checkpoints=args.checkpoints or args.out.parent / ".checkpoints",
        snapshots=args.snapshots,
        batch=args.batch,
        every=args.checkpoint_every,
        title=f"{args.method} on {args.dataset}/{args.class_}",
        precision=bank_precision,
    )
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    where = f"on {platform.node()}, {gpu or f'{torch.get_num_threads()} CPU threads'}"
    print(f"{work.title}: {where}", file=sys.stderr, flush=True)
    try:
        learned = learn(work)
    except Stopped as stopped:
        print(f"{work.title}: {stopped}", file=sys.stderr)
        return 75
    write_results(args.out, learned, span)
    diverged = learned.records["diverged"][-1]
    write_json(
        args.out.with_name(args.out.name + ".json"),
        identity
        | {
            "command": sys.argv,
            "machine": machine(),
            "versions": versions("torch", "numpy"),
            "threads": torch.get_num_threads(),
            "gpu": gpu,
            "batch": learned.batch,
            "attempts": learned.attempts,
            "resumed": sum(attempt["went_on_from"] is not None for attempt in learned.attempts),
            "iterations_run": learned.attempts[-1]["iterations"],
            "diverged": int((diverged >= 0).sum()),
            "seconds": round(time.monotonic() - begin, 3),
            "learning_seconds": round(sum(attempt["seconds"] for attempt in learned.attempts), 3),
            "images_steps": len(span) * constants.M * constants.T * constants.L,
            "peak_memory_mb": round(peak_memory_mb()),
            "peak_gpu_memory_mb": round(torch.cuda.max_memory_allocated(device) / 1e6)
            if device.type == "cuda"
            else None,
        },
    )
    forget(work)
    return 0


def parse_constants(values: dict[str, Any], changes: list[str], method: str) -> Constants:
    """Return Algorithm 1's constants; FRAME has β = 0.

    Raises:
        UserError: an unknown name or an impossible value.
    """
    values = with_changes(values, changes)
    if method == "frame":
        values["beta"] = 0.0
    try:
        return Constants(**Learning.model_validate(values).model_dump())
    except ValidationError as error:
        raise UserError(explain(error, "the constants")) from None


def set_precision(name: str) -> torch.dtype:
    """Set how a GPU computes convolutions (a key of `PRECISIONS`), the same way each time; return the bank's type."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = name == "tf32"
    torch.backends.cudnn.deterministic = True
    return PRECISIONS[name]


def load_groups(path: Path, M: int, limit: int | None) -> np.ndarray:
    """Return the pictures as groups, (G, M, H, W, 3) uint8; the last group is completed with the first pictures.

    Raises:
        UserError: not a prepared array, or fewer than M pictures.
    """
    try:
        pictures = np.load(path, mmap_mode="r")
    except FileNotFoundError:
        raise UserError(f"{path}: there are no such pictures. Make them with `wframe prepare`.") from None
    except (ValueError, EOFError) as error:
        raise UserError(f"{path}: not a whole .npy file ({error}). Make it again with `wframe prepare`.") from None
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[3] != 3:
        raise UserError(f"{path}: expected uint8 (N, H, W, 3), this is {pictures.dtype} {pictures.shape}")
    if pictures.shape[1] % 2 or pictures.shape[2] % 2:
        raise UserError(f"{path}: pictures of {pictures.shape[1:3]} pixels; the bank's pool needs even sides")
    if len(pictures) < M:
        raise UserError(f"{path}: {len(pictures)} pictures, a group needs {M}. Add pictures to this class.")
    groups = -(-len(pictures) // M)
    groups = min(groups, limit or groups)
    rows = np.arange(groups * M) % len(pictures)
    return pictures[rows].reshape(groups, M, *pictures.shape[1:])


def shard_span(shard: str, groups: int) -> range:
    """Return the groups of the I-th of N equal parts.

    Raises:
        UserError: not of the form I/N with 0 ≤ I < N ≤ number of groups.
    """
    try:
        index, count = (int(part) for part in shard.split("/"))
    except ValueError:
        raise UserError(f"--shard {shard}: expected I/N, say 0/4") from None
    if not 0 <= index < count <= groups:
        raise UserError(f"--shard {shard}: expected 0 ≤ I < N ≤ {groups} (the number of groups)")
    return range(index * groups // count, (index + 1) * groups // count)


def write_results(out: Path, learned: Learned, span: range) -> None:
    """Write OUT.safetensors (images, snapshots) and OUT.parquet (one row per group and iteration)."""
    with written(out.with_name(out.name + ".safetensors")) as part:
        save_file({"images": learned.images, "snapshots": learned.snapshots}, part)
    T, G = learned.records["R"].shape
    curves = pd.DataFrame(
        {
            "group": np.tile(np.arange(span.start, span.stop), T),
            "iteration": np.repeat(np.arange(1, T + 1), G),
            **{name: learned.records[name].ravel() for name in Record._fields},
        }
    ).astype({"diverged": "int64"})
    with written(out.with_name(out.name + ".parquet")) as part:
        curves.to_parquet(part, index=False)


def _integers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part)
