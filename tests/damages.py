"""Damage each kind of output in each way and run each command: which ones notice? Not part of the test suite.

    .venv/bin/python tests/damages.py [REPORT.md [KIND...]]

A clone with a small edition is made, versioned and published. For every rule's outputs, one at a time: damage it, run
the commands, put it back. A cell is "refuses" (the command fails and names the file, or the index that lists it),
"remakes" (the workflow makes it again, with the same bytes), "–" (the command doesn't need that file) or "SILENT".
"""

import json
import os
import shutil
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from test_dvc import call, clone, origin
from test_integrity import empty, flip, flip_quietly, truncate

from wframe.record.stamps import read_stamp, stamp_path

CHANGED = ("results", ".snakemake/metadata", "dvc.lock")  # what commands may change
TIMES = ("results/manifest.json", "results/report/index.html")  # say when, or how long it took


def delete(path: Path) -> None:
    path.unlink()


def lose_stamp(path: Path) -> None:
    stamp_path(path, Path("results")).unlink()


def replace(path: Path) -> None:
    """Put another file of the same kind in its place: the next one with that ending."""
    others = sorted(other for other in Path("results").rglob(f"*{path.suffix}") if other.name[0] != ".")
    different = [other for other in others if other.read_bytes() != path.read_bytes() and "stamps" not in other.parts]
    if different:
        shutil.copyfile(different[0], path)
    else:
        flip(path)


DAMAGES: tuple[Callable[[Path], None], ...] = (flip, flip_quietly, truncate, empty, replace, delete, lose_stamp)
COMMANDS = {
    "snakemake -n": ["snakemake", "--dry-run"],
    "dvc repro": ["dvc", "repro"],
    "wframe claims": ["python", "-m", "wframe", "claims"],
    "wframe report": ["python", "-m", "wframe", "report"],
    "wframe check": ["python", "-m", "wframe", "check"],
    "wframe publish": ["python", "-m", "wframe", "publish", "../again.zip"],
}
QUICK = ("snakemake -n", "wframe claims", "wframe check", "wframe publish")
REMAKES = ("snakemake -n", "dvc repro")  # commands that may repair


def kinds(folder: Path) -> dict[str, Path]:
    """Return an output of each rule and file ending, by a name for people."""
    found = {}
    for stamp in sorted((folder / "results/stamps").rglob("*.json")):
        output = stamp.relative_to(folder / "results/stamps").with_suffix("")
        rule = json.loads(stamp.read_text())["rule"]
        found.setdefault(f"{rule} {output.suffix}", Path("results") / output)
    for index in sorted((folder / "results/figures").rglob("index.json")):
        for entry in json.loads(index.read_text()):
            for name in entry.get("files", {}):
                found.setdefault(f"figure {Path(name).suffix}", (index.parent / name).relative_to(folder))
    return found


def outcome(folder: Path, command: str, path: Path, damage: Callable[[Path], None], whole: bytes) -> str:
    """Run one command on a damaged output; return what it did about it."""
    said = call(folder, *COMMANDS[command], check=False)
    index = path.with_name("index.json")
    if command == "wframe publish":
        return "refuses" if "don't match this commit" in said else "SILENT"  # it refers to `wframe check`
    named = str(path) in said or str(index) in said
    if command in REMAKES:
        rule = (read_stamp(index) or {}).get("rule", "figures") if path.suffix != ".json" else None
        planned = f"{path}" in said or (rule is not None and f"rule {rule}:" in said)
        if "Restore it" in said or "dvc checkout" in said:
            return "refuses" if named else "SILENT"
        if command == "snakemake -n":
            return "remakes" if planned else "–" if damage is delete else "SILENT"  # what nothing needs stays away
        same = path.exists() and (path.read_bytes() == whole or str(path) in TIMES)
        return "remakes" if same else "SILENT"
    failed = any(
        sign in said for sign in ("Restore it", "drifted", "stale", "missing", "orphaned", "not found", "no such")
    )
    if failed and named:
        return "refuses"
    return "–" if damage in (delete, lose_stamp) and command in ("wframe claims", "wframe report") else "SILENT"


def archive_members(folder: Path) -> Counter[str]:
    """Flip a byte of each member of a release, exactly, and verify it; count what `wframe verify` says."""
    said: Counter[str] = Counter()
    with zipfile.ZipFile(folder / "../release.zip") as archive:
        content = {info.filename: archive.read(info) for info in archive.infolist() if not info.is_dir()}
    for name in content:
        damaged = bytearray(content[name])
        if not damaged:
            continue
        damaged[len(damaged) // 2] ^= 1
        with zipfile.ZipFile(folder / "../damaged.zip", "w") as archive:
            for member, whole in content.items():
                archive.writestr(member, bytes(damaged) if member == name else whole)
        out = call(folder, "python", "-m", "wframe", "verify", "../damaged.zip", check=False)
        said["refuses" if "problems" in out or "isn't" in out or "wframe verify:" in out else f"SILENT {name}"] += 1
    return said


def restore(good: Path, path: Path) -> None:
    """Put a file or folder back as it was, time stamps included."""
    if good.is_dir():
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(good, path, symlinks=True)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(good, path)


def main(report: str | None = None, *only: str) -> int:
    """Print a row for each kind of output and damage, or for some; return 1 if anything was silent."""
    base = Path(tempfile.mkdtemp(prefix="wframe-damages-"))

    class Folders:
        """What the fixture asks of pytest."""

        @staticmethod
        def mktemp(name: str) -> Path:
            (base / name).mkdir()
            return base / name

    made = origin.__wrapped__(Folders)  # type: ignore[attr-defined]
    here = clone(made, made.parent / "here")  # beside the default store
    call(here, "dvc", "pull")
    call(here, "python", "-m", "wframe", "publish", "../release.zip")
    for name in CHANGED:
        restore(here / name, here.parent / "good" / name)
    os.chdir(here)
    rows, count = [], Counter()
    for kind, path in kinds(here).items():
        if only and not kind.startswith(tuple(only)):
            continue
        stamp = stamp_path(path, Path("results"))
        if not stamp.exists():
            stamp = stamp_path(path.with_name("index.json"), Path("results"))
        for damage in DAMAGES:
            if damage is lose_stamp and path.with_name("index.json").exists() and path.suffix != ".json":
                continue  # a figure has no stamp of its own
            cells = {}
            for command in COMMANDS if damage in (flip, flip_quietly) else QUICK:
                whole = path.read_bytes()
                damage(path)
                cells[command] = outcome(here, command, path, damage, whole)
                count[cells[command]] += 1
                for name in CHANGED:  # commands run by hand also remove stamps of other files
                    restore(here.parent / "good" / name, here / name)
            rows.append((kind, damage.__name__, cells))
            print(kind, damage.__name__, cells, flush=True)
    verified = Counter() if only else archive_members(here)
    lines = [f"| output | damage | {' | '.join(COMMANDS)} |", "| --- " * (len(COMMANDS) + 2) + "|"]
    lines += [f"| {kind} | {name} | {' | '.join(cells.get(c, '') for c in COMMANDS)} |" for kind, name, cells in rows]
    lines += [
        "",
        f"{sum(count.values())} cells: {dict(count)}; `wframe verify`, a byte of each member: {dict(verified)}",
    ]
    print("\n".join(lines))
    if report:
        Path(report).write_text("\n".join(lines) + "\n")
    shutil.rmtree(base)
    return int(any("SILENT" in said for said in (*count, *verified)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
