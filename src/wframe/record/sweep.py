"""The sweep: before anything runs, check every result against its stamp and against its rule's current key.

Snakemake decides by its own records (`.snakemake/metadata`) and time stamps, but records can be lost, touched or from
another clone. The sweep compares each output's key with its rule's current one. It marks stale outputs as incomplete
in Snakemake's own format, so that a dry run lists them and a run remakes them; nothing is deleted.
"""

import base64
import json
import os
import platform
import re
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from wframe.config.edition import Edition
from wframe.jobs.inputs import as_planned
from wframe.jobs.keys import PARTS, key
from wframe.jobs.paths import INPUTS_RECORD
from wframe.record.stamps import RESULTS, changed, read_stamp, result_files, stamp_path, stamped

INCOMPLETE = Path(".snakemake/incomplete")
MARK = {"external_jobid": None, "stale": True}  # Snakemake's own markers have no "stale"
NAME = 254  # maximum length of a part of a marker's path


def sweep(edition: Edition) -> tuple[dict[str, str], dict[str, str]]:
    """Return the stale and the drifted outputs (file → why), and mark the stale ones for Snakemake.

    A drifted output exists, but has changed since its step wrote it.
    """
    drifted, stale, whole = {}, {}, {}
    for output in stamped():
        stamp = read_stamp(output)
        if not output.exists():
            continue
        if stamp is None:
            stale[str(output)] = "its stamp can't be read"
        elif problem := changed(output):
            drifted[str(output)] = problem
        else:
            whole[str(output)] = stamp
    if INPUTS_RECORD not in drifted:  # it says what a run makes
        made = as_planned(edition)
        stale |= {name: why for name, stamp in whole.items() if (why := outdated(edition, made, stamp))}
    for output in unstamped():
        stale[str(output)] = "nothing records how it was made"
    mark(stale)
    return stale, drifted


def unstamped() -> list[Path]:
    """Return the result files without a stamp, except those listed in an `index.json`, which has its own stamp."""
    return [path for path in result_files() if not stamp_path(path).exists() and not _listed(path)]


def _listed(path: Path) -> bool:
    return path.name != "index.json" and path.with_name("index.json").exists()


def outdated(edition: Edition, made: Edition, stamp: dict) -> str | None:
    """Return why an output is out of date; None if it isn't, or if the edition as a run makes it has no such output."""
    if stamp["rule"] not in PARTS:
        return f"there is no rule {stamp['rule']} any more"
    if not has(made, **stamp["wildcards"]):
        return None
    if key(edition, stamp["rule"], stamp["wildcards"]) != stamp["key"]:
        return "its code or configuration has changed"
    for name, sha256 in stamp["inputs"].items():
        source = read_stamp(name) if Path(name).is_relative_to(RESULTS) else None
        if source is not None and source["sha256"] != sha256:
            return f"it was made from another {name}"
    return None


def has(edition: Edition, **wildcards: str) -> bool:
    """Return whether an edition has all that a rule's wildcards name."""
    rows = edition.scores.rows if edition.scores else {}
    names: dict[str, Collection[str]] = {
        "study": edition.studies,
        "dataset": edition.datasets,
        "baseline": edition.baselines,
        "row": rows,
    }
    if any(wildcards[kind] not in known for kind, known in names.items() if kind in wildcards):
        return False
    if "setting" in wildcards and wildcards["setting"] not in edition.studies[wildcards["study"]].points:
        return False
    return "class_" not in wildcards or wildcards["class_"] in edition.datasets[wildcards["dataset"]].classes


def mark(stale: dict[str, str]) -> None:
    """Mark stale outputs as incomplete for Snakemake, and remove the marks from those that are no longer stale."""
    wanted = {marker(name) for name in stale}
    for path in [path for path in INCOMPLETE.rglob("*") if path.is_file()] if INCOMPLETE.is_dir() else []:
        with suppress(OSError, ValueError):
            if path not in wanted and json.loads(path.read_text(encoding="utf-8")).get("stale"):
                path.unlink()
    for path in wanted:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(MARK), encoding="utf-8")


def marker(name: str) -> Path:
    """Return where Snakemake marks an output as incomplete: its path in base64, split into folders if long."""
    coded = base64.urlsafe_b64encode(name.encode()).decode()
    parts = [coded[i : i + NAME] for i in range(0, len(coded), NAME)]
    return INCOMPLETE.joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1])


def litter(remove: bool = False) -> list[Path]:
    """Return temporary files left by killed processes; with `remove`, delete those of ended processes here."""
    left = []
    for path in RESULTS.rglob(".*.part") if RESULTS.is_dir() else []:
        found = re.fullmatch(rf"\..*\.{re.escape(platform.node())}\.(\d+)\.part", path.name)
        with suppress(FileNotFoundError):
            ended = found is not None and not alive(int(found[1]))
            old = time.time() - path.stat().st_mtime > 24 * 3600
            if ended and remove:
                path.unlink()
            elif ended or old:
                left.append(path)
    return left


def alive(pid: int) -> bool:
    """Return whether a process of this machine is still running."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
