"""`wframe progress`: how far a run is, at any time, from its files alone: also from another machine of a cluster."""

import argparse
import math
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from rich.console import Console
from rich.table import Table

from wframe.baselines.cost import training_cost
from wframe.config.devices import seconds_on
from wframe.config.edition import Edition
from wframe.errors import UserError
from wframe.files import read_json
from wframe.jobs.left_out import load_made
from wframe.jobs.plan import groups_of_class
from wframe.jobs.runs import Run, run_flops, runs
from wframe.runtime.durations import duration
from wframe.runtime.progress import last_report

# a job whose log is older than this is no longer at work: training writes a line every quarter of a minute
SILENT = 300.0  # seconds; a loaded file system may show it late
STATES = ("running", "failed", "stopped", "waiting", "finished")
STYLES = {"running": "bold", "failed": "bold red", "stopped": "yellow", "waiting": "dim", "finished": "green"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe progress`."""
    parser.add_argument("--results", type=Path, default=Path("results"), help="the results folder")


def main(args: argparse.Namespace) -> None:
    """Print one line for each run, then the hours used, planned and left.

    Raises:
        UserError: nothing has been run in this folder.
    """
    if not (args.results / "config.yaml").exists():
        raise UserError(f"{args.results}: no run has been started here (there is no config.yaml). Pass --results.")
    edition = load_made(args.results)
    works = [of_run(args.results, edition, run) for run in runs(edition)]
    works += [of_baseline(args.results, edition, name) for name in edition.baselines]
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(as_table(works))
    console.print("\n".join(summary(works)))
    for work in works:
        for log in work.failed:
            console.print(f"[red]failed[/]: {log}: {last_line(log)}", soft_wrap=True)


class Shard(NamedTuple):
    """How far one job is."""

    state: str
    share: float = 0.0
    note: str = ""
    seconds: float = 0.0  # that it has worked
    diverged: int = 0  # groups


@dataclass
class Work:
    """How far one run or baseline is, over its jobs."""

    title: tuple[str, str, str, str]  # study, dataset and class, setting, method
    length: int | None  # iterations
    flops: float
    planned: float | None  # seconds, where the edition names its GPU
    shards: list[Shard]
    R: float | None = None
    groups: int | None = None
    failed: list[Path] = field(default_factory=list)  # logs

    @property
    def state(self) -> str:
        """The state of a run: of the job that decides it."""
        states = {shard.state for shard in self.shards}
        return "stopped" if states == {"waiting", "finished"} else next(name for name in STATES if name in states)

    @property
    def share(self) -> float:
        """The share that is done, from 0 to 1."""
        return sum(shard.share for shard in self.shards) / len(self.shards)

    @property
    def seconds(self) -> float:
        """The seconds that its jobs have worked."""
        return sum(shard.seconds for shard in self.shards)


def of_run(results: Path, edition: Edition, run: Run) -> Work:
    """Return how far a run is."""
    groups = groups_of_class(edition, run.study, run.dataset, run.class_, results)
    flops = run_flops(edition, run.study, run.dataset, run.setting, run.method, groups or 1)
    gpu = edition.job.gpu
    names = [f"{run.folder}/{shard}" for shard in range(run.shards)]
    shards, failed = _shards(results, [("runs", "train", name) for name in names])
    ends = [results / "runs" / f"{name}.parquet" for name in names]
    constants = edition.constants(run.study, run.dataset, run.setting, run.method)
    planned = seconds_on(gpu, flops, constants.precision) if gpu else None
    place = run.dataset if run.class_ == "all" else f"{run.dataset}/{run.class_}"
    title = (run.study, place, run.setting, f"{run.method}" + (f" ({run.repeat})" if run.repeat else ""))
    R = _last_R([path for path, shard in zip(ends, shards, strict=True) if shard.state == "finished"])
    R = R if R is not None else _said_R(shards)
    return Work(title, constants.T, flops.total, planned, shards, R, groups, failed)


def of_baseline(results: Path, edition: Edition, name: str) -> Work:
    """Return how far a baseline is."""
    entry = edition.baselines[name]
    names = [f"{name}/{repeat}" for repeat in range(entry.repeats)]
    shards, failed = _shards(results, [("baselines", "baselines", one) for one in names])
    title = ("baselines", entry.dataset, name, entry.model)
    cost = training_cost(entry, edition.datasets[entry.dataset].size)
    return Work(title, None, cost.flops * entry.repeats, None, shards, failed=failed)


def _shards(results: Path, places: list[tuple[str, str, str]]) -> tuple[list[Shard], list[Path]]:
    """Return how far each job is, given its folders of results and logs and its name; and the logs of failed ones."""
    shards = [
        job(results / made / f"{name}.json", results / "logs" / logs / f"{name}.log") for made, logs, name in places
    ]
    logs = [results / "logs" / logs / f"{name}.log" for _, logs, name in places]
    return shards, [log for log, shard in zip(logs, shards, strict=True) if shard.state == "failed"]


def job(record: Path, log: Path) -> Shard:
    """Return how far a job is, by its record (written last) and its log."""
    if record.exists():
        about = read_json(record)
        seconds = about.get("learning_seconds") or about.get("seconds") or 0.0
        return Shard("finished", 1.0, "", seconds, int(about.get("diverged") or 0))
    try:
        text, age = log.read_text(encoding="utf-8", errors="replace"), time.time() - log.stat().st_mtime
    except FileNotFoundError:
        return Shard("waiting")
    said = last_report(text)
    share, note, left = said or (0.0, "", 0.0)
    worked = left * share / (1 - share) if share < 1 else 0.0
    if re.search(r"^(Traceback|wframe \w+: )", text, re.MULTILINE):
        state = "failed"
    else:
        state = "running" if age < SILENT and "run the same command to continue" not in text else "stopped"
    return Shard(state, share, note, worked)


def _last_R(files: list[Path]) -> float | None:
    """Return the mean R of the groups that haven't diverged, after the last iteration."""
    if not files:
        return None
    curves = pd.concat([pd.read_parquet(file, columns=["iteration", "R"]) for file in files])
    return float(curves.loc[curves["iteration"] == curves["iteration"].max(), "R"].mean())


def _said_R(shards: list[Shard]) -> float | None:
    """Return the R of the jobs at work, by their logs."""
    found = [re.search(r"R ([\d.]+)", shard.note) for shard in shards]
    values = [float(one[1]) for one in found if one]
    return sum(values) / len(values) if values else None


def as_table(works: list[Work]) -> Table:
    """Return one row for each run."""
    table = Table(box=None, header_style="bold")
    for heading in ("study", "dataset", "setting", "method", "state"):
        table.add_column(heading)
    for heading in ("done", "iteration", "R", "time"):
        table.add_column(heading, justify="right")
    for work in works:
        state = f"[{STYLES[work.state]}]{in_words(work)}[/]"
        length = "" if work.length is None else f"{round(work.share * work.length)} of {work.length}"
        time_ = duration(work.seconds) if work.seconds else ""
        R = f"{work.R:.3g}" if work.R is not None and math.isfinite(work.R) else ""
        table.add_row(*work.title, state, f"{work.share:.0%}", length, R, time_)
    return table


def in_words(work: Work) -> str:
    """Return a run's state, with its jobs where it has several, and its groups that diverged."""
    said = work.state
    if len(work.shards) > 1:
        counts = {state: sum(shard.state == state for shard in work.shards) for state in STATES}
        said += f" ({', '.join(f'{n} {state}' for state, n in counts.items() if n)})"
    if diverged := sum(shard.diverged for shard in work.shards):
        said += f", diverged: {diverged} of {work.groups} groups" if work.groups else ", diverged"
    return said


def summary(works: list[Work]) -> list[str]:
    """Return how many runs are in which state, and the hours used, planned and left.

    The plan is by the rate of what is done so far; before anything is, by the edition's GPU, if it names one.
    """
    counts = {state: sum(work.state == state for work in works) for state in STATES}
    lines = [f"{len(works)} runs: {', '.join(f'{n} {state}' for state, n in counts.items() if n)}."]
    done = sum(work.flops * work.share for work in works)
    used, flops = sum(work.seconds for work in works), sum(work.flops for work in works)
    planned = [work.planned for work in works if work.planned is not None]
    if all(work.state == "finished" for work in works):
        return [*lines, f"Training took {duration(used)}."]
    if used and done:
        rate = used / done
    elif planned:
        rate = sum(planned) / sum(work.flops for work in works if work.planned is not None)
    else:
        return [*lines, "Nothing is done yet: `wframe plan` estimates how long it will take on this machine."]
    left, at_once = (flops - done) * rate, sum(shard.state == "running" for work in works for shard in work.shards)
    said = f"Training: {duration(used)} used of about {duration(flops * rate)} planned, {duration(left)} left"
    return [*lines, said + (f": about {duration(left / at_once)} with {at_once} at once." if at_once > 1 else ".")]


def last_line(log: Path) -> str:
    """Return the last line of a log that says something."""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "its log is empty"
