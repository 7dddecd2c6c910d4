"""`wframe report`: the page that shows everything, and the manifest that leads every output back to its inputs."""

import argparse
import json
import math
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import pyarrow.parquet as pq
from markupsafe import Markup
from safetensors import safe_open

from wframe import config
from wframe.files import read_json, sha256_file, write_json, written
from wframe.record.manifest import build_manifest, page_entry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe report`."""
    parser.add_argument("--results", type=Path, default=Path("results"), help="the results folder")


def main(args: argparse.Namespace) -> None:
    """Write results/report/index.html and results/manifest.json."""
    edition = config.load(args.results / "config.yaml")
    manifest = build_manifest(args.results, edition)
    page = args.results / "report" / "index.html"
    with written(page) as part:
        part.write_text(render(args.results, edition, manifest))
    manifest["outputs"]["report/index.html"] = page_entry(page, manifest["outputs"])
    write_json(args.results / "manifest.json", manifest)


def render(results: Path, edition: config.Edition, manifest: dict[str, Any]) -> str:
    """Return the page as HTML."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("wframe.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"number": number, "duration": duration, "short": lambda text: str(text)[:12]}
    style = Markup((resources.files("wframe.report") / "page.css").read_text())
    return environment.get_template("page.html.j2").render(
        style=style,
        edition=edition,
        manifest=manifest,
        studies=[study_view(results, edition, name, manifest) for name in edition.studies],
        datasets=[dataset_view(results, edition, name) for name in edition.datasets],
        bank=bank_about(results / "bank.safetensors"),
        totals=totals(manifest["runs"]),
        names={"frame": "FRAME", "wframe": "wFRAME"},
    )


def study_view(results: Path, edition: config.Edition, name: str, manifest: dict[str, Any]) -> dict[str, Any]:
    """Return what the page shows of a study: figures, the table, and how each run was made."""
    table = pd.read_csv(results / "tables" / f"{name}.csv", dtype={"class": str, "dataset": str, "setting": str})
    rows = [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
    for row in rows:
        row["verdict"] = compare(row)
    return {
        "name": name,
        "study": edition.studies[name],
        "figures": read_json(results / "figures" / name / "index.json"),
        "rows": rows,
        "records": {key: record for key, record in manifest["runs"].items() if key.startswith(f"{name}/")},
    }


def compare(row: dict[str, Any]) -> str:
    """Say in words what a paired difference of R tells: lower, higher or can't tell."""
    low, high = row.get("difference_low", math.nan), row.get("difference_high", math.nan)
    if not (math.isfinite(low) and math.isfinite(high)):
        return "too few groups to tell"
    if high < 0:
        return "wFRAME lower"
    return "wFRAME higher" if low > 0 else "can't tell"


def dataset_view(results: Path, edition: config.Edition, name: str) -> dict[str, Any]:
    """Return what the page says of a dataset: how many pictures of each class were used and left out, and why."""
    classes = []
    for class_ in edition.datasets[name].classes:
        path = results / "data" / name / f"{class_}.parquet"
        if not path.exists():
            continue
        rows = pq.read_table(path).to_pandas()
        left_out = rows[rows["status"] != "used"]
        sources = rows.loc[rows["status"] == "used", "source"].tolist()
        classes.append(
            {
                "name": class_,
                "used": len(sources),
                "first": sources[0],
                "last": sources[-1],
                "notes": dict(rows["note"].replace("", None).dropna().value_counts()),
                "left_out": left_out[["source", "status", "why"]].to_dict("records"),
                "array": sha256_file(path.with_suffix(".npy")),
            }
        )
    return {"name": name, "entry": edition.datasets[name], "classes": classes}


def bank_about(path: Path) -> dict[str, Any]:
    """Return what a bank file says of itself."""
    with safe_open(path, "np") as file:
        return json.loads((file.metadata() or {})["wframe"])


def totals(records: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Return the sums over all runs that the page opens with."""
    every = list(records.values())
    return {
        "shards": len(every),
        "groups": sum(record["groups"][1] - record["groups"][0] for record in every),
        "images_steps": sum(record["images_steps"] for record in every),
        "seconds": sum(record["seconds"] for record in every),
        "memory": max((record["peak_memory_mb"] for record in every), default=0),
        "diverged": sum(record["diverged"] for record in every),
        "resumed": sum(record["resumed"] for record in every),
    }


def number(value: Any, digits: int = 3) -> str:
    """A number for people: a dash where there is none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, int) or float(value).is_integer():
        return f"{int(value):,}"
    if 1e-3 <= abs(value) < 1000:
        return f"{value:#.{digits}g}".rstrip(".")
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.{digits}g}"


def duration(seconds: float) -> str:
    """A time span for people."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"
