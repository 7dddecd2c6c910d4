"""What a results folder, an archive, a manifest or a reference says, in one small form that can be compared."""

import hashlib
import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any, TypedDict

import pandas as pd

from wframe.errors import UserError
from wframe.files import read_json
from wframe.results.curves import RUN

DIGITS = 9  # of a number in a reference: more than single precision has
LABELS = ("row", "dataset", "class", "setting")  # the columns that name a row: the first alone, or the others
NOT_COMPARED = ("seconds", "device", "machine")  # columns that say how, not what
SAMPLES = (".safetensors", ".npy")
KIND = "wframe reference"

Value = float | str | None


class Summary(TypedDict):
    """What results say. `hashes` alone are known of a manifest."""

    kind: str
    edition: str
    made: dict[str, Any]  # commit, versions, devices
    hashes: dict[str, str]  # of images, samples and the bank: file → SHA-256
    curves: dict[str, dict[str, list[Value]]]  # run → group → R after each iteration
    tables: dict[str, dict[str, dict[str, Value]]]  # table → row → column → value
    verdicts: dict[str, str]  # claim → verdict


def read(path: Path) -> Summary:
    """Return what the results at `path` say: a folder (of results, or with one), an archive, a manifest, a reference.

    Raises:
        UserError: it is none of these, or its run hasn't finished.
    """
    if path.is_dir():
        return _of_results(path / "results" if (path / "results").is_dir() else path)
    if not path.is_file():
        raise UserError(f"{path}: there is no such folder or file")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return _of_results(zipfile.Path(archive, "results/"))
    about = read_json(path)
    if isinstance(about, dict) and about.get("kind") == KIND:
        return about  # type: ignore[return-value]
    if isinstance(about, dict) and {"outputs", "edition"} <= set(about):
        hashes = {name: entry["sha256"] for name, entry in about["outputs"].items() if _is_sample(name)}
        return _summary(about, hashes, {}, {}, {})
    raise UserError(f"{path}: neither a manifest of results nor a reference made by `wframe compare --write-reference`")


def _summary(manifest: dict[str, Any], hashes: dict, curves: dict, tables: dict, verdicts: dict) -> Summary:
    devices = sorted({record.get("gpu") or "CPU" for record in manifest.get("runs", {}).values()})
    made = {
        "commit": (manifest.get("git") or {}).get("commit"),
        "versions": manifest.get("versions", {}),
        "devices": devices,
    }
    return Summary(
        kind=KIND,
        edition=manifest["edition"],
        made=made,
        hashes=hashes,
        curves=curves,
        tables=tables,
        verdicts=verdicts,
    )


def _of_results(folder: Path | zipfile.Path) -> Summary:
    """Return what a results folder says, of the files that its manifest lists."""
    if not (folder / "manifest.json").exists():
        raise UserError(f"{folder}: no results of a finished run (there is no manifest.json)")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    hashes: dict[str, str] = {}
    curves: dict[str, dict[str, list[Value]]] = {}
    tables: dict[str, dict[str, dict[str, Value]]] = {}
    verdicts: dict[str, str] = {}
    for name, entry in manifest["outputs"].items():
        file = folder / name
        if _is_sample(name):
            hashes[name] = hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else entry["sha256"]
        elif not file.exists():
            continue
        elif name.startswith("studies/") and name.endswith(".parquet"):
            curves |= _curves(file.read_bytes())
        elif _is_table(name):
            tables[name.removesuffix(".csv")] = _table(file.read_bytes())
        elif name == "claims.json":
            verdicts = _verdicts(json.loads(file.read_text(encoding="utf-8")))
    return _summary(manifest, hashes, curves, tables, verdicts)


def _is_sample(name: str) -> bool:
    return name.endswith(SAMPLES) and name.split("/")[0] in ("runs", "baselines", "data", "bank.safetensors")


def _is_table(name: str) -> bool:
    """Whether it is a study's table, or that of the scores: curves and claims are compared as such."""
    claims = name == "tables/claims.csv"
    return name.startswith("tables/") and name.endswith(".csv") and not name.endswith("-curves.csv") and not claims


def _curves(raw: bytes) -> dict[str, dict[str, list[Value]]]:
    rows = pd.read_parquet(io.BytesIO(raw)).sort_values("iteration", kind="stable")
    found: dict[str, dict[str, list[Value]]] = {}
    for (*run, group), part in rows.groupby([*RUN, "group"], sort=False):
        study, dataset, class_, setting, method, repeat = run
        name = f"{study}/{dataset}/{class_}/{setting}/{method}-{repeat}"
        found.setdefault(name, {})[str(group)] = [_plain(value) for value in part["R"]]
    return found


def _table(raw: bytes) -> dict[str, dict[str, Value]]:
    rows = pd.read_csv(io.BytesIO(raw), dtype={name: str for name in LABELS})
    labels = [name for name in rows.columns if name in LABELS]
    labels = labels[:1] if "row" in labels else labels
    found: dict[str, dict[str, Value]] = {}
    for number, row in enumerate(rows.to_dict("records")):
        label = "/".join(str(row[name]) for name in labels if isinstance(row[name], str)) or str(number)
        label = label if label not in found else f"{label} [{number}]"
        found[label] = {
            str(name): _plain(value)
            for name, value in row.items()
            if name not in (*labels, *NOT_COMPARED) and not _missing(value)
        }
    return found


def _verdicts(claims: dict[str, Any]) -> dict[str, str]:
    return {
        claim["id"]: claim["verdict"] if claim["here"] is None else f"{claim['verdict']} (here: {claim['here']})"
        for claim in claims["claims"]
    }


def _missing(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _plain(value: Any) -> Value:
    """Return a number as JSON can have it: what isn't finite as its name."""
    if isinstance(value, str):
        return value
    number = float(value)
    return float(f"{number:.{DIGITS}g}") if math.isfinite(number) else str(number)
