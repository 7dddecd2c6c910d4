"""`wframe data status`: which inputs are here, missing or corrupt, and what to do."""

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from wframe.data.registry import REGISTRY, Entry, File, data_folder, load_registry, problem, read_lock, stamped


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe data`."""
    add = parser.add_argument
    add("what", choices=["status"])
    add("--data", type=Path, help="the data folder; default: WFRAME_DATA, else data")
    add("--registry", type=Path, default=REGISTRY)
    add("--deep", action="store_true", help="read every file again instead of trusting its size and time stamp")
    add("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> None:
    """Print one line per file of the registry."""
    data = data_folder(args.data)
    rows = [
        {"input": name, "file": file.name} | state(name, entry, file, data, args.deep)
        for name, entry in load_registry(args.registry).items()
        for file in entry.files
    ]
    if args.json:
        print(json.dumps(rows, indent=1))
        return
    table = Table(title=f"inputs in {data}")
    for heading in ("input", "file", "state", "what to do"):
        table.add_column(heading, overflow="fold")  # an address that is cut off helps nobody
    for row in rows:
        table.add_row(row["input"], row["file"], row["state"], row["do"])
    Console().print(table)


def state(name: str, entry: Entry, file: File, data: Path, deep: bool) -> dict[str, str]:
    """Return a file's state (here, unchecked, partial, missing, corrupt) and what to do about it."""
    path = data / name / file.name
    if path.exists():
        if not deep and stamped(data, name, file):
            return {"state": "here", "do": ""}
        wrong = problem(file, path, read_lock(data).get(f"{name}/{file.name}")) if deep else None
        if wrong:
            return {"state": "corrupt", "do": f"{wrong}: wframe fetch {name} sets it aside and gets it again"}
        if deep and stamped(data, name, file):
            return {"state": "here", "do": ""}
        return {"state": "unchecked", "do": f"wframe fetch {name} checks it"}
    part = path.with_name(path.name + ".part")
    if part.exists():
        return {"state": f"partial, {part.stat().st_size / 1e6:,.0f} MB", "do": f"wframe fetch {name} goes on"}
    if file.sources:
        return {"state": "missing", "do": f"wframe fetch {name}"}
    return {"state": "missing", "do": f"{file.manual} Put it at {path}, then: wframe fetch {name}"}
