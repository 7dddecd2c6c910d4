"""`wframe plan`: what an edition costs before it is paid."""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from wframe import config, plan
from wframe.engine import cost
from wframe.engine.learner import choose_batch
from wframe.engine.process import choose_device, settle_process
from wframe.engine.train import set_precision
from wframe.model.algorithm import Constants, iterate, observe, start
from wframe.model.bank import builtin_path, load_bank
from wframe.model.noise import key_tensor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe plan`."""
    add = parser.add_argument
    add("--configfile", type=Path, default=Path("config/demo.yaml"), help="the edition")
    add(
        "--on",
        choices=list(cost.DEVICES),
        help="estimate for a named GPU; default: measure this machine for a moment",
    )
    add("--results", type=Path, default=Path("results"), help="where prepared pictures are counted, if there are any")


def main(args: argparse.Namespace) -> None:
    """Print one row per study, dataset and method: groups, operations, memory, jobs, hours."""
    edition = config.load(args.configfile)
    rows = [row for study in edition.studies for row in study_rows(edition, study, args.results)]
    if args.on:
        rates = {row["side"]: cost.seconds_on(args.on, 1) ** -1 for row in rows}
        note = (
            f"Hours on one {args.on}: {cost.DEVICES[args.on].tflops} TFLOP/s as published, of which "
            f"{cost.ASSUMED_SHARE:.0%} is taken to be reached. `wframe bench` on that GPU measures the share."
        )
    else:
        device = choose_device("auto")
        settle_process(None)
        rates = {side: calibrate(side, device) for side in sorted({row["side"] for row in rows})}
        said = ", ".join(f"{rate / 1e9:,.0f} GFLOP/s at {side}×{side}" for side, rate in rates.items())
        note = f"Hours on this machine ({device_name(device)}), measured just now for a moment: {said}."
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(as_table(rows, rates))
    total = sum(row["flops"] / rates[row["side"]] for row in rows)
    console.print(f"In all {total / 3600:,.2f} h of training in {sum(row['jobs'] for row in rows):,} jobs. {note}")
    if edition.job.gpu:
        console.print(f"Runs are cut into jobs of about {edition.job.target_minutes:g} min on one {edition.job.gpu}.")
    if any(row["unknown"] for row in rows):
        console.print(
            "+: pictures not counted yet, taken as the most groups that the study learns (else one); set `images`."
        )


def study_rows(edition: config.Edition, study: str, results: Path) -> list[dict[str, Any]]:
    """Return the costs of one study: a row per dataset and method, over its classes, settings and repeats."""
    rows = []
    for dataset in edition.studies[study].datasets:
        side = edition.datasets[dataset].size
        counts = {
            class_: count_groups(edition, study, dataset, class_, results)
            for class_ in edition.datasets[dataset].classes
        }
        for method in edition.studies[study].methods:
            runs = [run for run in plan.runs(edition, study) if (run.dataset, run.method) == (dataset, method)]
            limit = edition.studies[study].groups
            known = [(run, counts[run.class_] or limit or 1) for run in runs]
            rows.append(
                {
                    "study": study,
                    "dataset": dataset,
                    "method": method,
                    "side": side,
                    "groups": sum(groups for _, groups in known),
                    "unknown": any(groups is None for groups in counts.values()),
                    "flops": sum(
                        plan.run_flops(edition, study, dataset, run.setting, method, groups) for run, groups in known
                    ),
                    "bytes": cost.bytes_per_group(side, edition.learning.M),
                    "jobs": sum(run.shards for run in runs),
                }
            )
    return rows


def count_groups(edition: config.Edition, study: str, dataset: str, class_: str, results: Path) -> int | None:
    """Return a class's groups: of the prepared pictures if they're there, else by the configuration, else None."""
    array = results / "data" / dataset / f"{class_}.npy"
    if array.exists():
        groups = -(-len(np.load(array, mmap_mode="r")) // edition.learning.M)
        return min(groups, edition.studies[study].groups or groups)
    return edition.groups(study, dataset)


def calibrate(side: int, device: torch.device, seconds: float = 2.0) -> float:
    """Return the rate, in operations a second, at which this machine learns pictures of side² pixels.

    Whole iterations of Algorithm 1 on random pictures, in batches as `wframe train` would choose them.
    """
    c = Constants(T=1, L=4, beta=0.0)
    precision = set_precision("tf32" if device.type == "cuda" else "fp32")
    groups = min(choose_batch(c, side, device, precision), 512)
    bank = load_bank(builtin_path()).to(c.unit, device, precision)
    keys = key_tensor(list(range(groups)), device)
    with torch.inference_mode():
        y = torch.rand(groups, c.M, 3, side, side, device=device) - 0.5
        observed = observe(bank, c, y)
        state = start(bank, observed)
        state, _ = iterate(bank, c, keys, observed, state)  # to warm up
        begin, done = time.monotonic(), 0
        while time.monotonic() - begin < seconds:
            state, record = iterate(bank, c, keys, observed, state)
            record.R.cpu()  # waits for the device
            done += 1
        rate = done * cost.learning_flops(side, groups * c.M, 1, c.L, penalty=False) / (time.monotonic() - begin)
    return rate


def device_name(device: torch.device) -> str:
    """Return what a device is called."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {os.cpu_count()} cores"


def as_table(rows: list[dict[str, Any]], rates: dict[int, float]) -> Table:
    """Return the rows as a table for people."""
    table = Table(box=None, header_style="bold")
    for title in ("study", "dataset", "method"):
        table.add_column(title)
    for title in ("side", "groups", "PFLOP", "GB per 100 groups", "jobs", "hours"):
        table.add_column(title, justify="right")
    for row in rows:
        table.add_row(
            row["study"],
            row["dataset"],
            row["method"],
            str(row["side"]),
            f"{row['groups']:,}{'+' * row['unknown']}",
            f"{row['flops'] / 1e15:,.4g}",
            f"{row['bytes'] * 100 / 1e9:.2f}",
            f"{row['jobs']:,}",
            f"{row['flops'] / rates[row['side']] / 3600:,.3g}",
        )
    return table
