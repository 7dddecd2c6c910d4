"""`wframe plan`: estimate what an edition costs before running it."""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from wframe.baselines.cost import training_cost
from wframe.config import edition as editions
from wframe.config.devices import ASSUMED_SHARE, DEVICES, seconds_on
from wframe.config.edition import Edition
from wframe.data import groups as cutting
from wframe.data.download import as_size
from wframe.data.registry import REGISTRY, known
from wframe.data.status import download_size, free_disk
from wframe.engine.memory import bytes_per_group
from wframe.engine.speed import device_name, measure_rate
from wframe.jobs.gather import in_order
from wframe.jobs.runs import count_groups, run_flops, runs
from wframe.runtime.process import choose_device, configure_process


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
    """Print one row per study, dataset and method, and one per baseline: operations, memory, jobs, hours."""
    edition = editions.load(args.configfile)
    rows = [row for study in edition.studies for row in study_rows(edition, study, args.results)]
    if args.on:
        rates = {row["side"]: seconds_on(args.on, 1) ** -1 for row in rows}
        note = (
            f"Hours on one {args.on}: {DEVICES[args.on].tflops} TFLOP/s as published, assuming that "
            f"{ASSUMED_SHARE:.0%} of it is reached. `wframe bench` on that GPU measures the share."
        )
    else:
        device = choose_device("auto")
        configure_process(None)
        rates = {side: measure_rate(side, device) for side in sorted({row["side"] for row in rows})}
        measured = ", ".join(f"{rate / 1e9:,.0f} GFLOP/s at {side}×{side}" for side, rate in rates.items())
        note = f"Hours on this machine ({device_name(device)}), measured briefly just now: {measured}."
    others = [baseline_row(edition, name) for name in edition.baselines]
    for row in others:
        rates.setdefault(row["side"], rates[min(rates, key=lambda side: abs(side - row["side"]))])
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(as_table(rows, rates))
    total = sum(row["flops"] / rates[row["side"]] for row in rows)
    console.print(f"Total: {total / 3600:,.2f} h of training in {sum(row['jobs'] for row in rows):,} jobs. {note}")
    if others:
        console.print(baselines_table(others, rates))
        total = sum(row["flops"] / rates[row["side"]] for row in others)
        console.print(
            f"Total: {total / 3600:,.2f} h of training baselines, at the same rate. Images that climb a classifier's "
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


def downloads(edition: Edition, registry: Path) -> str:
    """Return what is still to be downloaded for an edition, and how much room there is for it."""
    data = edition.data_path("")
    sizes = {name: download_size(name, entry, data) for name, entry in known(in_order(edition), registry).items()}
    said = ", ".join(f"{name} {as_size(*size)}" if size[0] != 0 else f"{name} here" for name, size in sizes.items())
    total = sum(size for size, _ in sizes.values() if size)
    exact = all(exact for _, exact in sizes.values())
    return f"To download: {as_size(total, exact)} ({said}); {as_size(free_disk(data))} of disk are free at {data}."


def study_rows(edition: Edition, study: str, results: Path) -> list[dict[str, Any]]:
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
            rows.append(
                {
                    "study": study,
                    "dataset": dataset,
                    "method": method,
                    "side": side,
                    "groups": sum(groups for _, groups in known),
                    "unknown": any(groups is None for groups in counts.values()),
                    "flops": sum(
                        run_flops(edition, study, dataset, run.setting, method, groups) for run, groups in known
                    ),
                    "bytes": bytes_per_group(side, edition.learning.M),
                    "jobs": sum(run.shards for run in chosen),
                }
            )
    return rows


def baseline_row(edition: Edition, name: str) -> dict[str, Any]:
    """Return the costs of one baseline, over its repeats."""
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
        "bytes": cost.bytes,
    }


def groups_of_class(edition: Edition, study: str, dataset: str, class_: str, results: Path) -> int | None:
    """Return the number of groups in a class: from the prepared images, else from the configuration, else None."""
    array = results / "data" / dataset / f"{class_}.npy"
    if array.exists():
        images = len(np.load(array, mmap_mode="r"))
        return cutting.count_groups(images, edition.learning.M, edition.studies[study].groups)
    return count_groups(edition, study, dataset)


def as_table(rows: list[dict[str, Any]], rates: dict[int, float]) -> Table:
    """Return the rows as a printable table."""
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


def baselines_table(rows: list[dict[str, Any]], rates: dict[int, float]) -> Table:
    """Return the baselines' rows as a table for people."""
    table = Table(box=None, header_style="bold")
    for title in ("baseline", "model"):
        table.add_column(title)
    for title in ("side", "steps", "repeats", "PFLOP", "GB", "hours"):
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
            f"{row['flops'] / rates[row['side']] / 3600:,.3g}",
        )
    return table
