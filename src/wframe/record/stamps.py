"""Stamps: the hash of each output and of what it was made from, written by the step that made it.

The stamp of `results/tables/whole.csv` is `results/stamps/tables/whole.csv.json`: the rule, its wildcards and key (see
`jobs/keys.py`), the SHA-256 of the output and of its inputs, and a seal over all this and the output's name. Each step
first checks its inputs against their stamps, so an edited or damaged file never becomes part of another result.
"""

from pathlib import Path
from typing import Any, NamedTuple

from wframe.errors import UserError
from wframe.files import read_json, sha256_file, sha256_json, write_json

RESULTS = Path("results")  # where the workflow's rules write
STAMPS = RESULTS / "stamps"
NO_RESULTS = ("logs", "checkpoints", STAMPS.name)  # folders: what jobs say, their unfinished work, and the stamps


class Step(NamedTuple):
    """One job of the workflow."""

    rule: str
    wildcards: dict[str, str]
    key: str
    reads: list[str]
    writes: list[str]


def stamp_path(output: str | Path, results: Path = RESULTS) -> Path:
    """Return where an output's stamp is."""
    name = Path(output).relative_to(results)
    return results / STAMPS.name / name.with_name(f"{name.name}.json")


def stamped(results: Path = RESULTS) -> list[Path]:
    """Return the outputs that have stamps, whether or not they still exist."""
    folder = results / STAMPS.name
    files = folder.rglob("*.json") if folder.is_dir() else []
    return sorted(results / file.relative_to(folder).with_suffix("") for file in files)


def read_stamp(output: str | Path, results: Path = RESULTS) -> dict[str, Any] | None:
    """Return an output's stamp; None if it is missing, damaged, edited or another output's.

    Its seal is the hash of all that it says. Stamps written before there were seals have none.
    """
    path = stamp_path(output, results)
    try:
        stamp = read_json(path) if path.exists() else None
    except UserError:
        return None
    if not isinstance(stamp, dict) or not {"rule", "wildcards", "key", "sha256", "inputs"} <= set(stamp):
        return None
    seal = stamp.pop("seal", None)
    if seal is not None and seal != sha256_json(stamp | {"output": str(Path(output).relative_to(results))}):
        return None
    return stamp


def result_files(results: Path = RESULTS) -> list[Path]:
    """Return the files that count as results, sorted: not hidden ones, job output, unfinished work or stamps."""
    names = (path.relative_to(results) for path in results.rglob("*") if path.is_file())
    kept = (name for name in names if name.parts[0] not in NO_RESULTS)
    return sorted(results / name for name in kept if not any(part.startswith(".") for part in name.parts))


def is_result(path: str | Path) -> bool:
    """Return whether a file is one of the workflow's results."""
    return Path(path).is_relative_to(RESULTS)


def changed(output: str | Path, results: Path = RESULTS) -> str | None:
    """Return how an existing output differs from its stamp; None if it doesn't. A missing stamp is a difference."""
    stamp = read_stamp(output, results)
    if stamp is None:
        return "nothing records how it was made"
    if sha256_file(output) != stamp["sha256"]:
        return f"its bytes aren't those that rule {stamp['rule']} wrote"
    return beside(Path(output))


def beside(index: Path) -> str | None:
    """Return which file listed in an `index.json` has changed (a figure has several); None if none has."""
    if index.name != "index.json":
        return None
    for entry in read_json(index):
        for name, sha256 in entry.get("files", {}).items():
            file = index.parent / name
            if not file.exists():
                return f"it lists {name}, which is missing"
            if sha256_file(file) != sha256:
                return f"it lists {name}, whose bytes aren't those that were written"
    return None


def check_reads(step: Step) -> dict[str, str]:
    """Refuse inputs that have changed since their step wrote them; return their hashes, for the outputs' stamps.

    Taken before the step runs, they are those of what it read, even if an input changes meanwhile.

    Raises:
        UserError: names the file and what to do.
    """
    for name in step.reads:
        if is_result(name) and (problem := changed(name)):
            raise UserError(f"{name}: {problem}. {advice(name)}")
    return {name: sha256_file(name) for name in step.reads if Path(name).is_file()}


def check_all(results: Path) -> None:
    """Refuse a results folder in which anything has changed: a step run by hand may read any of it.

    Raises:
        UserError: names the files and what to do.
    """
    found = {path: changed(path, results) for path in stamped(results) if path.exists()}
    if drifted := {str(path): problem for path, problem in found.items() if problem}:
        raise UserError(explain(drifted))


def forget(results: Path) -> None:
    """Remove the stamps of what a step run by hand has just written: the workflow will make it again."""
    for output in stamped(results):
        if output.exists() and changed(output, results):
            stamp_path(output, results).unlink()


def explain(drifted: dict[str, str]) -> str:
    """Return a message about drifted outputs, one line per file."""
    return "\n".join(f"{name}: {why}. {advice(name)}" for name, why in drifted.items())


def advice(name: str | Path) -> str:
    """Return how to restore a file."""
    return f"Restore it (dvc checkout {name}), or delete it and run `snakemake {name}`."


def remove_stamps(step: Step) -> None:
    """Remove the stamps of a step's outputs before it runs: if it is killed, its outputs have no stamp."""
    for name in step.writes:
        if is_result(name):
            stamp_path(name).unlink(missing_ok=True)


def write_stamps(step: Step, inputs: dict[str, str]) -> None:
    """Write the stamps of a step's outputs, made from inputs with these hashes (see `check_reads`)."""
    for name in step.writes:
        if is_result(name) and Path(name).is_file():
            stamp: dict[str, Any] = {"rule": step.rule, "wildcards": step.wildcards, "key": step.key}
            stamp |= {"inputs": inputs, "sha256": sha256_file(name)}
            seal = sha256_json(stamp | {"output": str(Path(name).relative_to(RESULTS))})
            write_json(stamp_path(name), stamp | {"seal": seal})
