"""`wframe trace`: trace an output back to the source images it was made from, recomputing every hash on the way."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from safetensors import safe_open

from wframe.errors import UserError
from wframe.files import read_json, sha256_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe trace`."""
    add = parser.add_argument
    add("file", type=Path, help="an output, e.g. results/tables/whole.csv")
    add("--results", type=Path, default=Path("results"), help="the results folder")
    add("--all", action="store_true", help="name every source image, not just the first and the last")
    add("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
    """Print the tree of a file's inputs; return 1 if any file in it differs from the manifest."""
    manifest = read_json(args.results / "manifest.json")
    tree = trace(args.file, args.results, manifest)
    print(json.dumps(tree, indent=1, ensure_ascii=False) if args.json else "\n".join(lines(tree, args.all)))
    return int(any(node["problem"] for node in nodes(tree)))


def trace(file: Path, results: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the tree of inputs that `file` was made from.

    A node has `file` (relative to the results folder), `sha256` (from the manifest), `rule`, `problem` (None if the
    bytes match the manifest), `made` (a run's command and constants, a bank's origin), `images` (a prepared array's
    sources) and `inputs` (nodes). A repeated node has only its hash.

    Raises:
        UserError: the manifest doesn't list the file.
    """
    try:
        name = str(file.resolve().relative_to(results.resolve()))
    except ValueError:
        name = str(file)
    if name not in manifest["outputs"]:
        close = [known for known in manifest["outputs"] if Path(known).name == Path(name).name]
        hint = f" Did you mean {results / close[0]}?" if close else ""
        raise UserError(f"{file}: {results / 'manifest.json'} lists no such output.{hint}")
    return _node(name, results, manifest, set())


def _node(name: str, results: Path, manifest: dict[str, Any], seen: set[str]) -> dict[str, Any]:
    entry = manifest["outputs"].get(name, {})
    node: dict[str, Any] = {"file": name, "sha256": entry.get("sha256"), "rule": entry.get("rule")}
    node["problem"] = _problem(name, results, manifest)
    if name in seen:
        return node | {"again": True}
    seen.add(name)
    node["made"] = _made(name, results, manifest)
    node["images"] = _images(results / name)
    node["inputs"] = [_node(part, results, manifest, seen) for part in sorted(entry.get("inputs", []))]
    return node


def _problem(name: str, results: Path, manifest: dict[str, Any]) -> str | None:
    """Return how a file differs from its record, or its record from those of its inputs; None if nothing differs."""
    outputs = manifest["outputs"]
    if name not in outputs:
        return "not in the manifest"
    if not (results / name).exists():
        return "missing"
    if sha256_file(results / name) != outputs[name]["sha256"]:
        return "its bytes differ from the manifest"
    made_from = set((_run(name, manifest) or {}).get("inputs", {}).values())
    if not made_from <= {outputs[part]["sha256"] for part in outputs[name].get("inputs", []) if part in outputs}:
        return "its inputs have changed since it was made"
    return None


def _run(name: str, manifest: dict[str, Any]) -> dict[str, Any] | None:
    """Return the record of the run that a file of `runs` belongs to."""
    path = Path(name)
    return manifest["runs"].get(str(path.relative_to("runs").with_suffix(""))) if path.parts[0] == "runs" else None


def _made(name: str, results: Path, manifest: dict[str, Any]) -> dict[str, Any] | None:
    """Return how a run or a bank was made, from its own record."""
    if run := _run(name, manifest):
        keys = ("command", "constants", "groups", "code", "device", "machine", "versions")
        return {key: run[key] for key in keys}
    if name == "bank.safetensors" and (results / name).exists():
        with safe_open(results / name, "np") as file:
            return json.loads((file.metadata() or {})["wframe"])
    return None


def _images(path: Path) -> list[dict[str, Any]] | None:
    """Return the source images of a prepared array, in order: source, SHA-256, group."""
    if path.suffix != ".npy" or not path.with_suffix(".parquet").exists():
        return None
    table = pq.read_table(path.with_suffix(".parquet"), columns=["source", "sha256", "group", "status"])
    return [
        {key: row[key] for key in ("source", "sha256", "group")} for row in table.to_pylist() if row["status"] == "used"
    ]


def nodes(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every node of a tree."""
    yield tree
    for part in tree.get("inputs", []):
        yield from nodes(part)


def lines(node: dict[str, Any], every: bool, indent: str = "") -> Iterator[str]:
    """Yield a tree's lines to print."""
    text = f"{node['rule'] or 'no step is recorded'}"
    if node["problem"]:
        text += f"  ! {node['problem']}"
    if node.get("again"):
        text += "  (see above)"
    yield f"{indent}{node['file']}  {(node['sha256'] or '?')[:12]}  {text}"
    inside = indent + "   "
    made = node.get("made") or {}
    if "constants" in made:
        constants = ", ".join(f"{key.rstrip('_')} = {value}" for key, value in made["constants"].items())
        yield f"{inside}{constants}"
        yield f"{inside}code {made['code'][:12]}, {made['device']}, {made['machine']['host']}"
    elif "origin" in made:
        yield f"{inside}{made['name']}: {made['origin']}"
    images = node.get("images") or []
    shown = images if every or len(images) < 3 else [images[0], images[-1]]
    if images:
        some = ", first and last:" if len(shown) < len(images) else ""
        yield f"{inside}{len(images)} source images{some}"
    for image in shown:
        yield f"{inside}   {image['source']}  {image['sha256'][:12]}  group {image['group']}"
    for part in node.get("inputs", []):
        yield from lines(part, every, inside)
