"""`wframe check`: is any result stale, drifted or orphaned?"""

import argparse
import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from wframe.errors import UserError
from wframe.files import read_json, sha256_file

NOT_RESULTS = ("logs", "checkpoints")  # what jobs say, and what unfinished ones have done so far


class Findings(NamedTuple):
    """What isn't as it should be: file → why. Files are relative to the results folder."""

    stale: dict[str, str]
    drifted: dict[str, str]
    orphaned: dict[str, str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe check`."""
    add = parser.add_argument
    add("--edition", type=Path, metavar="FILE", help="the edition's file; default: what params.yaml names")
    add("--results", type=Path, default=Path("results"), help="the results folder")


def main(args: argparse.Namespace) -> int:
    """Print what is stale, drifted or orphaned; return 1 if anything is."""
    findings = check(args.results, args.edition or edition_file())
    advice = {
        "stale": "snakemake makes them again",
        "drifted": "dvc checkout brings back the recorded bytes; or delete them, and snakemake makes them again",
        "orphaned": "no rule of this edition makes them; delete them, or they are versioned and published as well",
    }
    for kind, files in findings._asdict().items():
        print(f"{kind}: {len(files) or 'none'}" + (f"  ({advice[kind]})" if files else ""))
        for file, why in sorted(files.items()):
            print(f"  {args.results / file}: {why}")
    return int(any(findings))


def edition_file(params: Path = Path("params.yaml")) -> Path:
    """Return the file of the edition that DVC's stages make.

    Raises:
        UserError: params.yaml isn't here, or names no edition.
    """
    try:
        return Path("config") / f"{yaml.safe_load(params.read_text())['edition']}.yaml"
    except (FileNotFoundError, KeyError, TypeError):
        raise UserError(f"{params}: names no edition here; say --edition FILE") from None


def check(results: Path, edition: Path) -> Findings:
    """Compare the results with the workflow's plan and with the manifest."""
    plan = planned(edition)
    manifest = results / "manifest.json"
    outputs = read_json(manifest)["outputs"] if manifest.exists() else {}
    return Findings(stale(plan, results), drifted(outputs, results), orphaned(plan, results))


def planned(edition: Path) -> list[dict[str, str]]:
    """Return Snakemake's summary: a row for each output of the edition, with its `status` and `plan`.

    Raises:
        UserError: Snakemake refuses the edition, or is at work in this folder.
    """
    argv = [sys.executable, "-m", "snakemake", "--configfile", str(edition), "--summary"]
    done = subprocess.run(argv, capture_output=True, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    if done.returncode:
        raise UserError(f"snakemake --summary failed:\n{done.stderr.strip() or done.stdout.strip()}")
    return list(csv.DictReader(done.stdout.splitlines(), delimiter="\t"))


def stale(plan: list[dict[str, str]], results: Path) -> dict[str, str]:
    """Return the outputs that Snakemake would make again, with its reason."""
    return {_below(row["output_file"], results): _reason(row["status"]) for row in plan if row["plan"] != "no update"}


def _reason(status: str) -> str:
    return "made from something that is made again" if status == "ok" else status


def drifted(outputs: dict[str, dict[str, Any]], results: Path) -> dict[str, str]:
    """Return the outputs whose bytes aren't those of the manifest."""
    found = {}
    for name, entry in outputs.items():
        if not (results / name).exists():
            found[name] = "missing"
        elif sha256_file(results / name) != entry["sha256"]:
            found[name] = "its bytes aren't those of the manifest"
    return found


def orphaned(plan: list[dict[str, str]], results: Path) -> dict[str, str]:
    """Return the files that no rule of the edition makes.

    A step may write files that it doesn't declare, but lists in an `index.json` that it does (figures do).
    """
    ours = {Path(_below(row["output_file"], results)) for row in plan}
    for index in [results / name for name in ours if name.name == "index.json" and (results / name).exists()]:
        listed = {entry["name"] for entry in read_json(index)}
        ours |= {path.relative_to(results) for path in index.parent.iterdir() if path.stem in listed}
    found = {}
    for path in results.rglob("*"):
        name = path.relative_to(results)
        hidden = any(part.startswith(".") for part in name.parts)
        if path.is_file() and not hidden and name.parts[0] not in NOT_RESULTS and name not in ours:
            found[str(name)] = "no rule makes it"
    return found


def _below(file: str, results: Path) -> str:
    """Return a file's name below the results folder, which is beside it in Snakemake's working directory."""
    path = Path(file)
    return str(path.relative_to(results.name)) if path.is_relative_to(results.name) else file
