"""results/manifest.json: the hash of every output, the step and inputs that made it, and the record of every run."""

import importlib.metadata
import platform
import subprocess
import tomllib
from pathlib import Path
from typing import Any

from wframe.config.edition import Edition
from wframe.files import read_json, sha256_file, sha256_json
from wframe.jobs.runs import runs
from wframe.record.stamps import RESULTS, read_stamp, result_files, stamped
from wframe.runtime.code import SOURCE
from wframe.runtime.machine import versions

MADE_FROM_IT = ("report", "manifest.json")  # the page, which needs the manifest, and the manifest itself
PACKAGES = ("snakemake", "torch", "torchvision", "pandas", "matplotlib", "dvc", "torch-fidelity", "numpy", "pillow")


def build_manifest(results: Path, edition: Edition) -> dict[str, Any]:
    """Return the manifest: every output's hash and origin, every run's record, versions, commit."""
    files = [path for path in result_files(results) if path.relative_to(results).parts[0] not in MADE_FROM_IT]
    records = {
        f"{run.folder}/{Path(file).stem}": read_json(results / Path(file).relative_to(RESULTS))
        for run in runs(edition)
        for file in run.files("json")
    }
    steps = recorded_steps(results)
    return {
        "edition": edition.edition,
        "config": sha256_json(edition.model_dump(mode="json", by_alias=True)),
        "git": git_state(),
        "versions": versions(*PACKAGES),
        "environment": environment(),
        "outputs": {str(path.relative_to(results)): entry(path, results, steps) for path in files},
        "runs": records,
    }


def entry(path: Path, results: Path, steps: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the manifest's entry of one output: hash, size, and the step (`rule`) with its `inputs`.

    A step may write undeclared files beside a declared `index.json`: they share its origin.
    An output without a recorded step has neither `rule` nor `inputs`.
    """
    name = path.relative_to(results)
    step = steps.get(str(name)) or steps.get(str(name.with_name("index.json"))) or {}
    return {"sha256": sha256_file(path), "bytes": path.stat().st_size} | step


def page_entry(path: Path, outputs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the page's entry; its inputs are all outputs that no other output is made from."""
    used = {name for output in outputs.values() for name in output.get("inputs", [])}
    return {
        "sha256": sha256_file(path),
        "bytes": path.stat().st_size,
        "rule": "report",
        "inputs": sorted(set(outputs) - used),
    }


def recorded_steps(results: Path) -> dict[str, dict[str, Any]]:
    """Return what the stamps say: output → {"rule", "inputs"}, inputs relative to `results`.

    Raw inputs, outside `results`, are listed in the manifests of the prepared images instead.
    """
    steps = {}
    for output in stamped(results):
        if stamp := read_stamp(output, results):
            inputs = [str(Path(name).relative_to(RESULTS)) for name in stamp["inputs"]]
            steps[str(output.relative_to(results))] = {"rule": stamp["rule"], "inputs": inputs}
    return steps


def git_state(checkout: Path = SOURCE.parents[1]) -> dict[str, Any]:
    """Return the commit of the running code, and whether its tree differs from it; None outside a repository.

    An installed package may be inside someone else's repository: only one that tracks this package's source counts.
    """

    def output(*command: str) -> str:
        argv = ["git", "-C", str(checkout), *command]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()

    try:
        if not output("ls-files", "src/wframe/__init__.py"):
            return {"commit": None, "dirty": None}
        return {"commit": output("rev-parse", "HEAD"), "dirty": bool(output("status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}


def environment(lock: Path = SOURCE.parents[1] / "uv.lock") -> dict[str, Any]:
    """Return Python's version, the hash of the lock file, and each package whose version differs from the lock.

    `differs` is name → installed version; packages of the lock that aren't installed here don't count.
    """
    about: dict[str, Any] = {"python": platform.python_version(), "lock": None, "differs": None}
    if lock.exists():
        locked: dict[str, set[str]] = {}
        for package in tomllib.loads(lock.read_text(encoding="utf-8"))["package"]:
            locked.setdefault(package["name"], set()).add(package["version"])
        installed = {
            part.metadata["Name"].lower().replace("_", "-"): part.version for part in importlib.metadata.distributions()
        }
        differs = {name: installed[name] for name in sorted(locked) if installed.get(name) not in {None, *locked[name]}}
        about |= {"lock": sha256_file(lock), "differs": differs}
    return about
