"""`wframe plan`: estimate what an edition costs before running it."""

import argparse
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from wframe.baselines.cost import training_cost
from wframe.config import edition as editions
from wframe.config.devices import DEVICES, seconds_on
from wframe.config.edition import Edition
from wframe.data import groups as cutting
from wframe.data.download import as_size
from wframe.data.registry import REGISTRY, known
from wframe.data.status import download_size, free_disk
from wframe.engine.memory import bytes_per_group
from wframe.engine.speed import device_name, measure_rate
from wframe.jobs.gather import in_order
from wframe.jobs.runs import count_groups, run_flops, runs
from wframe.model.cost import Flops
from wframe.runtime.durations import duration
from wframe.runtime.machine import native_bf16
from wframe.runtime.process import choose_device, configure_process

Clock = Callable[[Flops, int, str], float]  # operations, the images' side, precision → seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe plan`."""
    add = parser.add_argument
    add("--configfile", type=Path, default=Path("config/demo.yaml"), help="the edition")
    add(
        "--on",
        choices=list(DEVICES),
        help="estimate for this GPU; default: measure this machine briefly",
    )
    add("--registry", type=Path, default=REGISTRY, help="where its inputs are listed, with their sizes")
    add("--results", type=Path, default=Path("results"), help="the results folder, to count images already prepared")


def main(args: argparse.Namespace) -> None:
    """Print one row per study, dataset and method, and one per baseline: operations, memory, jobs, time."""
    edition = editions.load(args.configfile)
    clock = on_gpu(args.on) if args.on else on_this_machine()
    rows = [row for study in edition.studies for row in study_rows(edition, study, args.results, clock)]
    others = [baseline_row(edition, name, clock, "tf32" if args.on else "fp32") for name in edition.baselines]
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(as_table(rows))
    total = sum(row["seconds"] for row in rows)
    console.print(f"Total: {duration(total)} of training in {sum(row['jobs'] for row in rows):,} jobs.")
    for line in about(args.on) if args.on else about_here(edition, clock):
        console.print(line)
    if others:
        console.print(baselines_table(others))
        total = sum(row["seconds"] for row in others)
        console.print(
            f"Total: {duration(total)} of training baselines, at the same rate. Images that climb a classifier's "
            "score (WINN's) are taken to climb as far as they may; most stop earlier."
        )
    if edition.inputs():
        console.print(downloads(edition, args.registry))
    if edition.job.gpu:
        console.print(f"Runs are cut into jobs of about {edition.job.target_minutes:g} min on one {edition.job.gpu}.")
    if any(row["unknown"] for row in rows):
        console.print(
            "+: images not counted yet; assumes the study's limit of groups, or one group. Set `images` to count them."
        )


def on_gpu(name: str) -> Clock:
    """Return the seconds of learning on a named GPU."""
    return lambda flops, side, precision: seconds_on(name, flops, precision)


def on_this_machine() -> Clock:
    """Return the seconds of learning here, by a brief measurement for each size and precision."""
    device = choose_device("auto")
    configure_process(None)
    rate = cache(lambda side, precision: measure_rate(side, precision, device))
    return lambda flops, side, precision: flops.total / rate(side, precision)


def about(gpu: str) -> list[str]:
    """Say what the times on a named GPU rest on."""
    rates = DEVICES[gpu]
    return [
        f"Times on one {gpu}: {rates.fp32:g} (fp32), {rates.tf32:g} (tf32) and {rates.bf16:g} (bf16) TFLOP/s as "
        f"published, taking the share of it that an H100 reached. `wframe bench` on that GPU measures its own."
    ]


def about_here(edition: Edition, clock: Clock) -> list[str]:
    """Say what the times on this machine rest on, and what another precision would gain."""
    sides = sorted({edition.datasets[name].size for study in edition.studies.values() for name in study.datasets})
    used = {
        edition.constants(study, dataset, setting, "wframe").precision
        for study, entry in edition.studies.items()
        for dataset in entry.datasets
        for setting in entry.points
    }
    one = Flops(10**9, 0)
    rates = {(side, name): 1 / clock(one, side, name) for side in sides for name in sorted(used | {"fp32", "bf16"})}
    measured = ", ".join(f"{rate:,.0f} GFLOP/s at {side}×{side} in {name}" for (side, name), rate in rates.items())
    lines = [f"Times on this machine ({device_name(choose_device('auto'))}), measured briefly just now: {measured}."]
    if "bf16" in used and not native_bf16():
        lines.append("This processor has no bf16 of its own: it is emulated, and slower than fp32.")
    if "bf16" not in used and (gain := rates[sides[0], "bf16"] / rates[sides[0], "fp32"]) > 1.1:
        lines.append(f"learning: {{precision: bf16}} would take {1 / gain:.2f} of the time at {sides[0]}×{sides[0]}.")
    return lines


def downloads(edition: Edition, registry: Path) -> str:
    """Return what is still to be downloaded for an edition, and how much room there is for it."""
    data = edition.data_path("")
    sizes = {name: download_size(name, entry, data) for name, entry in known(in_order(edition), registry).items()}
    said = ", ".join(f"{name} {as_size(*size)}" if size[0] != 0 else f"{name} here" for name, size in sizes.items())
    total = sum(size for size, _ in sizes.values() if size)
    exact = all(exact for _, exact in sizes.values())
    return f"To download: {as_size(total, exact)} ({said}); {as_size(free_disk(data))} of disk are free at {data}."


def study_rows(edition: Edition, study: str, results: Path, clock: Clock) -> list[dict[str, Any]]:
    """Return the costs of one study: a row per dataset and method, summed over classes, settings and repeats."""
    rows = []
    for dataset in edition.studies[study].datasets:
        side = edition.datasets[dataset].size
        counts = {
            class_: groups_of_class(edition, study, dataset, class_, results)
            for class_ in edition.datasets[dataset].classes
        }
        for method in edition.studies[study].methods:
            chosen = [run for run in runs(edition, study) if (run.dataset, run.method) == (dataset, method)]
            limit = edition.studies[study].groups
            known = [(run, counts[run.class_] or limit or 1) for run in chosen]
            flops = [run_flops(edition, study, dataset, run.setting, method, groups) for run, groups in known]
            precisions = [edition.constants(study, dataset, run.setting, method).precision for run in chosen]
            rows.append(
                {
                    "study": study,
                    "dataset": dataset,
                    "method": method,
                    "side": side,
                    "groups": sum(groups for _, groups in known),
                    "unknown": any(groups is None for groups in counts.values()),
                    "flops": sum(part.total for part in flops),
                    "seconds": sum(clock(part, side, name) for part, name in zip(flops, precisions, strict=True)),
                    "bytes": bytes_per_group(side, edition.learning.M),
                    "jobs": sum(run.shards for run in chosen),
                }
            )
    return rows


def baseline_row(edition: Edition, name: str, clock: Clock, precision: str) -> dict[str, Any]:
    """Return the costs of one baseline, over its repeats; its seconds are those of as many operations of learning."""
    entry = edition.baselines[name]
    side = edition.datasets[entry.dataset].size
    cost = training_cost(entry, side)
    return {
        "baseline": name,
        "model": entry.model,
        "side": side,
        "steps": entry.length,
        "repeats": entry.repeats,
        "flops": cost.flops * entry.repeats,
        "seconds": clock(Flops(int(cost.flops * entry.repeats), 0), side, precision),
        "bytes": cost.bytes,
    }


def groups_of_class(edition: Edition, study: str, dataset: str, class_: str, results: Path) -> int | None:
    """Return the number of groups in a class: from the prepared images, else from the configuration, else None."""
    array = results / "data" / dataset / f"{class_}.npy"
    if array.exists():
        images = len(np.load(array, mmap_mode="r"))
        return cutting.count_groups(images, edition.learning.M, edition.studies[study].groups)
    return count_groups(edition, study, dataset)


def as_table(rows: list[dict[str, Any]]) -> Table:
    """Return the rows as a printable table."""
    table = Table(box=None, header_style="bold")
    for title in ("study", "dataset", "method"):
        table.add_column(title)
    for title in ("side", "groups", "PFLOP", "GB per 100 groups", "jobs", "time"):
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
            duration(row["seconds"]),
        )
    return table


def baselines_table(rows: list[dict[str, Any]]) -> Table:
    """Return the baselines' rows as a table for people."""
    table = Table(box=None, header_style="bold")
    for title in ("baseline", "model"):
        table.add_column(title)
    for title in ("side", "steps", "repeats", "PFLOP", "GB", "time"):
        table.add_column(title, justify="right")
    for row in rows:
        table.add_row(
            row["baseline"],
            row["model"],
            str(row["side"]),
            f"{row['steps']:,}",
            str(row["repeats"]),
            f"{row['flops'] / 1e15:,.4g}",
            f"{row['bytes'] / 1e9:.2f}",
            duration(row["seconds"]),
        )
    return table
