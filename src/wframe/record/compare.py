"""`wframe compare`: did I get the same? Two results, by run: bytes, curves of R, tables, verdicts.

The same code and seed give the same bytes on the same kind of processor. On another one sums are rounded otherwise, and
Langevin steps and θ amplify that over the iterations. So R may differ a little more in each iteration, from single
precision's last digits on; another seed, image or constant makes it jump.
"""

import argparse
import json
import math
from pathlib import Path
from typing import NamedTuple

from wframe.errors import UserError
from wframe.files import atomic_write
from wframe.record.summary import Summary, Value, read

START = 1e-4  # relative difference of R where two runs begin to differ: rounding's is at most a tenth of this
GROWTH = 100.0  # at most, from one iteration to the next, what rounding grows by
# relative difference of R that is called rounding to the end: a fifth of how far two seeds' final R are apart
# (docs/measurements/precision.md)
CLOSE = 0.01
BASELINES = 0.25  # the same of a baseline's numbers: adversarial training amplifies more
SHOWN = 12  # differences of a kind that are listed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe compare`."""
    add = parser.add_argument
    add("a", type=Path, help="results: a folder, an archive (`wframe publish`), a manifest or a reference")
    add("b", type=Path, nargs="?", help="what to compare A with: any of the same")
    add("--write-reference", type=Path, metavar="FILE", help="write a summary of A, to compare later results with")
    add("--brief", action="store_true", help="print one line if they agree")


def main(args: argparse.Namespace) -> int:
    """Print how two results differ, the answer last; return 1 if they do by more than rounding.

    Raises:
        UserError: there is nothing to compare.
    """
    ours = read(args.a)
    if args.write_reference:
        write_reference(args.write_reference, ours)
        print(f"{args.write_reference}: {len(ours['curves'])} runs of edition {ours['edition']}")
        return 0
    if args.b is None:
        raise UserError("say what to compare it with (or --write-reference FILE)")
    found = compare(ours, read(args.b))
    if not args.brief or not found.agree:
        print("\n".join(details(found)))
    print(answer(found, "the reference" if args.b.suffix == ".json" else str(args.b)))
    return int(not found.agree)


def write_reference(path: Path, summary: Summary) -> None:
    """Write a summary, a line for each run, so that a change of one is seen as such."""
    parts = []
    for key, value in summary.items():
        text = json.dumps(value, ensure_ascii=False)
        if isinstance(value, dict):
            lines = [f"  {json.dumps(name)}: {json.dumps(value[name], ensure_ascii=False)}" for name in sorted(value)]
            text = "{\n" + ",\n".join(lines) + "\n }"
        parts.append(f" {json.dumps(key)}: {text}")
    with atomic_write(path) as part:
        part.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


class RunDifference(NamedTuple):
    """How far apart two runs are."""

    name: str
    state: (
        str  # identical, rounding (to the end), grown (rounding, amplified), differs, unknown (other bytes, no curves)
    )
    apart: float = 0.0  # the largest |ΔR|
    relative: float = 0.0  # the largest |ΔR| / R
    since: int | None = None  # the first iteration in which R differs by more than rounding does


class Comparison(NamedTuple):
    """How far apart two results are."""

    runs: list[RunDifference]
    baselines: list[str]  # whose samples have other bytes
    inputs: list[str]  # images or bank with other bytes
    tables: list[str]  # values that differ by more than rounding
    verdicts: list[str]
    missing: list[str]  # runs that only one of them has
    made: list[str]  # how they were made otherwise

    @property
    def identical(self) -> bool:
        """Whether there is no difference at all."""
        return not any(self[1:6]) and all(run.state == "identical" for run in self.runs)

    @property
    def agree(self) -> bool:
        """Whether they differ by no more than rounding."""
        known = all(run.state in ("identical", "rounding") for run in self.runs)
        return known and not (self.inputs or self.tables or self.verdicts or self.missing)


def compare(a: Summary, b: Summary) -> Comparison:
    """Compare two results.

    Raises:
        UserError: they are of different editions, or have no run in common.
    """
    if a["edition"] != b["edition"]:
        raise UserError(f"results of different editions ({a['edition']}, {b['edition']}) can't be compared")
    names = [_names(one) for one in (a, b)]
    if not set(names[0]) & set(names[1]):
        raise UserError("they have no run in common")
    runs = [_run(name, a, b) for name in names[0] if name in names[1]]
    other = _other_bytes(a, b, "baselines/")
    baselines = sorted({name.split("/")[1] for name in other})
    return Comparison(
        runs=runs,
        baselines=baselines,
        inputs=_other_bytes(a, b, "data/", "bank.safetensors"),
        tables=_tables(a, b, baselines) if a["tables"] and b["tables"] else [],
        verdicts=_verdicts(a["verdicts"], b["verdicts"]) if a["verdicts"] and b["verdicts"] else [],
        missing=sorted({*names[0]} ^ {*names[1]}),
        made=_made(a, b),
    )


def _names(summary: Summary) -> list[str]:
    """Return the names of the runs."""
    return list(dict.fromkeys(name[5:].rpartition("/")[0] for name in summary["hashes"] if name.startswith("runs/")))


def _other_bytes(a: Summary, b: Summary, *beginnings: str) -> list[str]:
    """Return the files with other bytes, of those that both have."""
    both = sorted(set(a["hashes"]) & set(b["hashes"]))
    return [name for name in both if name.startswith(beginnings) and a["hashes"][name] != b["hashes"][name]]


def _run(name: str, a: Summary, b: Summary) -> RunDifference:
    curves = a["curves"].get(name), b["curves"].get(name)
    other = bool(_other_bytes(a, b, f"runs/{name}/"))
    if curves[0] is None or curves[1] is None:
        return RunDifference(name, "unknown" if other else "identical")
    if set(curves[0]) != set(curves[1]) or any(len(curves[0][g]) != len(curves[1][g]) for g in curves[0]):
        return RunDifference(name, "differs", math.inf, math.inf)
    pairs = [list(zip(curves[0][g], curves[1][g], strict=True)) for g in curves[0]]
    apart = max(_apart(x, y) for pair in pairs for x, y in pair)
    relative = [[_relative(x, y) for x, y in pair] for pair in pairs]
    largest = max(map(max, relative))
    if largest == 0:
        return RunDifference(name, "differs" if other else "identical")
    jumps = [t for t in map(_jump, relative) if t is not None]
    if jumps:
        return RunDifference(name, "differs", apart, largest, min(jumps))
    return RunDifference(name, "rounding" if largest <= CLOSE else "grown", apart, largest)


def _jump(relative: list[float]) -> int | None:
    """Return the iteration in which a difference is larger than rounding makes it; None if there is none."""
    before = START / GROWTH
    for t, now in enumerate(relative, start=1):
        if now > before * GROWTH:
            return t
        before = max(before, now)
    return None


def _number(value: Value) -> float:
    return float(value) if value is not None else math.nan


def _apart(x: Value, y: Value) -> float:
    a, b = _number(x), _number(y)
    if a == b or (math.isnan(a) and math.isnan(b)):
        return 0.0
    return abs(a - b) if math.isfinite(a) and math.isfinite(b) else math.inf


def _relative(x: Value, y: Value) -> float:
    """Return |Δ| over the larger value: 0 for equal ones, 1 where only one is finite."""
    apart = _apart(x, y)
    if not math.isfinite(apart):
        return 1.0
    return apart / max(abs(_number(x)), abs(_number(y))) if apart else 0.0


def _tables(a: Summary, b: Summary, baselines: list[str]) -> list[str]:
    """Return the values of tables that differ by more than rounding makes them."""
    found = []
    for table in sorted(set(a["tables"]) | set(b["tables"])):
        ours, theirs = a["tables"].get(table, {}), b["tables"].get(table, {})
        for row in dict.fromkeys([*ours, *theirs]):
            mine, other = ours.get(row, {}), theirs.get(row, {})
            most = BASELINES if mine.get("baseline") in baselines else CLOSE
            for column in dict.fromkeys([*mine, *other]):
                x, y = mine.get(column), other.get(column)
                if _differ(x, y, most):
                    found.append(f"{table}, {row}, {column}: {x} and {y}")
    return found


def _differ(x: Value, y: Value, most: float) -> bool:
    """Return whether two values differ: numbers by more than `most` of the larger, texts and gaps at all."""
    if x == y:
        return False
    text = isinstance(x, str) or isinstance(y, str) or x is None or y is None
    return text or _relative(x, y) > most


def _verdicts(a: dict[str, str], b: dict[str, str]) -> list[str]:
    names = dict.fromkeys([*a, *b])
    return [f"{name}: {a.get(name)} and {b.get(name)}" for name in names if a.get(name) != b.get(name)]


def _made(a: Summary, b: Summary) -> list[str]:
    """Return how two results were made otherwise: packages, devices."""
    versions = [one["made"].get("versions", {}) for one in (a, b)]
    found = [
        f"{name} {versions[0].get(name)} and {versions[1].get(name)}"
        for name in ("torch", "numpy")
        if versions[0].get(name) != versions[1].get(name)
    ]
    devices = [", ".join(one["made"].get("devices", [])) for one in (a, b)]
    return found + ([f"{devices[0]} and {devices[1]}"] if devices[0] != devices[1] else [])


def details(found: Comparison) -> list[str]:
    """Return what differs, a line for each difference, the first ones of each kind."""
    lines = [f"made with {text}" for text in found.made]
    changed = [run for run in found.runs if run.state != "identical"]
    lines += [f"runs: {len(found.runs) - len(changed)} of {len(found.runs)} identical"]
    lines += _some([_of_run(run) for run in sorted(changed, key=lambda run: -run.relative)])
    for heading, names in (
        ("runs that only one of them has", found.missing),
        ("images or bank with other bytes", found.inputs),
        ("baselines whose samples have other bytes", found.baselines),
        ("values in tables", found.tables),
        ("verdicts", found.verdicts),
    ):
        lines += [f"{heading}: {len(names)}", *_some(names)] if names else []
    return lines


def _of_run(run: RunDifference) -> str:
    if run.state == "unknown":
        return f"{run.name}: other bytes (a manifest has no curves)"
    said = {
        "rounding": "within rounding",
        "grown": "begins within rounding, which grows",
        "differs": f"differs from iteration {run.since}" if run.since else "differs",
    }[run.state]
    return f"{run.name}: {said}, max |ΔR| {run.apart:.2g} ({run.relative:.2%} of R)"


def _some(names: list[str]) -> list[str]:
    more = [f"  and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return [f"  {name}" for name in names[:SHOWN]] + more


def answer(found: Comparison, other: str) -> str:
    """Return the answer in one line."""
    if found.identical:
        return f"Same as {other}: {len(found.runs)} runs, to the byte."
    apart = max((run.apart for run in found.runs), default=0.0)
    reason = "; ".join(found.made) or "another processor"
    if found.agree:
        return f"Within rounding of {other} (max |ΔR| {apart:.1g}): {reason}."
    states = [run.state for run in found.runs]
    parts = [f"{n} of {len(states)} runs" for n in [states.count("differs") + states.count("unknown")] if n]
    parts += [f"{n} runs in which rounding grows" for n in [states.count("grown")] if n]
    for names, kind in (
        (found.missing, "runs that only one has"),
        (found.inputs, "files of images or bank"),
        (found.tables, "values in tables"),
        (found.verdicts, "verdicts"),
    ):
        parts += [f"{len(names)} {kind}"] if names else []
    return f"Differs from {other}: {', '.join(parts)} (max |ΔR| {apart:.1g})."
