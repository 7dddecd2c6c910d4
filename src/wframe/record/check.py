"""`wframe check`: find stale, drifted, missing or orphaned results, and corrupt objects in DVC's cache."""

import argparse
import csv
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from wframe.config import edition as editions
from wframe.errors import UserError
from wframe.files import read_json, read_yaml, sha256_file
from wframe.record.stamps import RESULTS, result_files, stamped
from wframe.record.sweep import litter, sweep
from wframe.runtime.code import SOURCE

CHECKOUT = SOURCE.parents[1]
ADVICE = {
    "stale": "run snakemake to remake them",
    "drifted": "restore them with `dvc checkout FILE`, or delete them and run `snakemake FILE`",
    "missing": "restore them with `dvc checkout FILE`, or run `snakemake FILE`",
    "orphaned": "delete them, or DVC will version them too",
    "leftover": "a killed job left them; the next run of snakemake on that machine removes them",
    "corrupt": "delete them and the drifted files, then run `dvc pull`",
}

Findings = dict[str, dict[str, str]]  # kind → file → why


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe check`."""
    add = parser.add_argument
    add(
        "--edition",
        type=Path,
        metavar="FILE",
        help="the edition's file; default: the one that params.yaml names, else results/config.yaml",
    )
    add("--cache", action="store_true", help="check DVC's whole cache as well, which DVC itself trusts")


def main(args: argparse.Namespace) -> int:
    """Print all findings; return 1 if there are any."""
    findings = check(args.edition or edition_file())
    if args.cache:
        findings["corrupt"] = corrupt()
    print("\n".join(lines(findings)))
    return int(any(findings.values()))


def lines(findings: Findings) -> Iterator[str]:
    """Yield the lines to print."""
    for kind, files in findings.items():
        yield f"{kind}: {len(files)}  ({ADVICE[kind]})" if files else f"{kind}: none"
        yield from (f"  {file}: {why}" for file, why in sorted(files.items()))


def edition_file(params: Path = Path("params.yaml")) -> Path:
    """Return the edition's file: the one named in params.yaml (for DVC's stages), else results/config.yaml.

    Raises:
        UserError: both are missing, or params.yaml names no edition.
    """
    if not params.exists() and (RESULTS / "config.yaml").exists():
        return RESULTS / "config.yaml"
    try:
        return Path("config") / f"{read_yaml(params)['edition']}.yaml"
    except (UserError, KeyError, TypeError):
        raise UserError(f"{params}: missing, or names no edition; pass --edition FILE") from None


def check(edition: Path) -> Findings:
    """Compare the results with the edition's current code and configuration, their stamps and the manifest.

    Raises:
        UserError: Snakemake refuses the edition, or is running in this folder.
    """
    outdated, drifted = sweep(editions.load(edition))
    plan = planned(edition)
    unknown = orphaned(plan)
    return {
        "stale": {name: why for name, why in (stale(plan) | outdated).items() if name not in unknown},
        "drifted": unlike_manifest() | drifted,
        "missing": missing(),
        "orphaned": unknown,
        "leftover": {str(path): "temporary" for path in litter()},
    }


def planned(edition: Path) -> list[dict[str, str]]:
    """Return Snakemake's summary: one row per output of the edition, with its `status` and `plan`."""
    argv = [sys.executable, "-m", "snakemake", "--snakefile", str(CHECKOUT / "Snakefile")]
    argv += ["--profile", str(CHECKOUT / "profiles/default"), "--configfile", str(edition), "--summary"]
    environment = os.environ | {"WFRAME_NO_SWEEP": "1"}  # already done above
    done = subprocess.run(argv, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise UserError(f"snakemake --summary failed:\n{done.stderr.strip() or done.stdout.strip()}")
    return list(csv.DictReader(done.stdout.splitlines(), delimiter="\t"))


def stale(plan: list[dict[str, str]]) -> dict[str, str]:
    """Return the outputs that Snakemake would remake, with its reason."""
    return {
        row["output_file"]: "an input is remade" if row["status"] == "ok" else row["status"]
        for row in plan
        if row["plan"] != "no update"
    }


def unlike_manifest() -> dict[str, str]:
    """Return the outputs whose bytes differ from the manifest."""
    manifest = RESULTS / "manifest.json"
    found = {}
    try:
        outputs = dict(read_json(manifest)["outputs"]) if manifest.exists() else {}
    except (UserError, KeyError, TypeError, ValueError):  # damaged: it is drifted itself
        outputs = {}
    for name, entry in outputs.items():
        if (RESULTS / name).exists() and sha256_file(RESULTS / name) != entry["sha256"]:
            found[str(RESULTS / name)] = "its bytes differ from the manifest"
    return found


def missing() -> dict[str, str]:
    """Return the outputs that were made and no longer exist."""
    return {str(path): "it was made, but no longer exists" for path in stamped() if not path.exists()}


def orphaned(plan: list[dict[str, str]]) -> dict[str, str]:
    """Return the files that no rule of the edition makes.

    A step may write undeclared files if it lists them in a declared `index.json` (as the figures do).
    """
    ours = {Path(row["output_file"]) for row in plan}
    for index in [path for path in ours if path.name == "index.json" and path.exists()]:
        ours |= set(listed(index))
    return {str(path): "no rule makes it" for path in result_files() if path not in ours}


def listed(index: Path) -> list[Path]:
    """Return the files that an index lists; of a damaged one, which is drifted itself, all that lie beside it."""
    try:
        return [index.parent / name for entry in read_json(index) for name in entry.get("files", {})]
    except (UserError, AttributeError, TypeError):
        return list(index.parent.iterdir())


def corrupt() -> dict[str, str]:
    """Return the objects of DVC's cache whose content doesn't match their name.

    Raises:
        UserError: this isn't a DVC repository.
    """
    done = subprocess.run([sys.executable, "-m", "dvc", "cache", "dir"], capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"dvc cache dir failed:\n{done.stderr.strip()}")
    found = {}
    for path in (Path(done.stdout.strip()) / "files" / "md5").glob("??/*"):
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, partial(hashlib.md5, usedforsecurity=False)).hexdigest()
        if path.parent.name + path.name.removesuffix(".dir") != digest:
            found[str(path)] = "its content doesn't match its name"
    return found
