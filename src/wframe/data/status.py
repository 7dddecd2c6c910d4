"""`wframe data`: which inputs are here, missing or corrupt, from where, how large, and what to do."""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from wframe.data import hub
from wframe.data.download import as_size
from wframe.data.records import files_of, here, read_lock, read_stamp, stamped
from wframe.data.registry import REGISTRY, Copy, Entry, File, data_folder, load_registry
from wframe.data.verify import problem


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe data`."""
    add = parser.add_argument
    add("what", nargs="?", choices=["status"], help=argparse.SUPPRESS)  # as it was called first: `wframe data status`
    add("--data", type=Path, help="the data folder; default: WFRAME_DATA, else data")
    add("--registry", type=Path, default=REGISTRY, help="the list of inputs; default: config/inputs.yaml")
    add("--deep", action="store_true", help="read every file again instead of trusting its size and time stamp")
    add("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> None:
    """Print one line per file of the registry; of an entry that is here, only the copy that was fetched."""
    data, registry = data_folder(args.data), load_registry(args.registry)
    rows = [row for name, entry in registry.items() for row in entry_rows(name, entry, data, args.deep)]
    if args.json:
        print(json.dumps(rows, indent=1))
        return
    table = Table(title=f"inputs in {data}")
    for heading in ("input", "file", "state", "to download", "from", "hash", "what to do"):
        # an address that is cut off helps nobody
        table.add_column(heading, overflow="fold", justify="right" if heading == "to download" else "left")
    for row in rows:
        hash_ = f"{row['hash'][:12]}{', locked' * row['locked']}" if row["hash"] else "–"
        size = as_size(row["download"], row["exact"])
        table.add_row(row["input"], row["file"], row["state"], size, row["from"] or "–", hash_, row["do"])
    console = Console(width=None if sys.stdout.isatty() else 170)
    console.print(table)
    console.print(
        f"{as_size(free_disk(data))} of disk are free. Of each input one copy is fetched: the first there is."
    )


def free_disk(folder: Path) -> int:
    """Return the free bytes of the disk that a folder is, or will be, on."""
    there = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    return shutil.disk_usage(there).free


def download_size(name: str, entry: Entry, data: Path) -> tuple[int | None, bool]:
    """Return how many bytes of an entry are still to be downloaded, None if unknown; and whether that is exact."""
    if here(data, name, entry):
        return 0, True
    files = [file for file in entry.alternatives[0].files if not (data / name / file.name).exists()]
    sizes = [file.expected_size for file in files]
    exact = all(file.size for file in files)
    return (None, False) if None in sizes else (sum(size for size in sizes if size), exact)


def entry_rows(name: str, entry: Entry, data: Path, deep: bool) -> list[dict[str, Any]]:
    """Return a row for each file of an entry: of the copy that is here, else of all copies."""
    done = here(data, name, entry)
    return [
        {"input": name, "copy": copy.name, "file": file.name} | file_row(name, copy, file, data, deep)
        for copy in ([done] if done else entry.alternatives)
        for file in _files(name, copy, data)
    ]


def _files(name: str, copy: Copy, data: Path) -> list[File]:
    """Return a copy's files, patterns filled in with what was fetched; a pattern itself where nothing was."""
    stamp = read_stamp(data, name)
    found = files_of(copy, list(stamp["files"]) if stamp else [])
    return list(found.values()) or copy.files


def file_row(name: str, copy: Copy, file: File, data: Path, deep: bool) -> dict[str, Any]:
    """Return what there is to say of one file."""
    row: dict[str, Any] = state(name, copy, file, data, deep)
    fetched = row["state"] in ("here", "unchecked")
    record = ((read_stamp(data, name) or {}).get("files") or {}).get(file.name, {})
    locked = read_lock(data).get(f"{name}/{file.name}")
    source = hub.place(copy.hub).address if copy.hub else next(iter(file.sources), None)
    return row | {
        "download": 0 if fetched else file.expected_size,
        "exact": fetched or file.size is not None,
        "from": record.get("source") or source,
        "hash": locked or file.sha256 or file.md5,
        "locked": locked is not None,
    }


def state(name: str, copy: Copy, file: File, data: Path, deep: bool) -> dict[str, str]:
    """Return a file's state (here, unchecked, partial, missing, corrupt) and what to do about it."""
    path = data / name / file.name
    if path.exists():
        if not deep and stamped(data, name, file.name):
            return {"state": "here", "do": ""}
        wrong = problem(file, path, read_lock(data).get(f"{name}/{file.name}")) if deep else None
        if wrong:
            return {"state": "corrupt", "do": f"{wrong}: wframe fetch {name} sets it aside and gets it again"}
        if deep and stamped(data, name, file.name):
            return {"state": "here", "do": ""}
        return {"state": "unchecked", "do": f"wframe fetch {name} checks it"}
    part = path.with_name(path.name + ".part")
    if part.exists():
        return {"state": f"partial, {part.stat().st_size / 1e6:,.0f} MB", "do": f"wframe fetch {name} continues it"}
    if file.sources or copy.hub:
        return {"state": "missing", "do": f"wframe fetch {name}"}
    return {"state": "missing", "do": f"{file.manual} Put it at {path}, then: wframe fetch {name}"}
