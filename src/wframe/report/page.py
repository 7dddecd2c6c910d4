"""`wframe report`: the page that shows everything, and the manifest that leads every output back to its inputs."""

import argparse
import json
import math
import shlex
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import pyarrow.parquet as pq
from markupsafe import Markup
from safetensors import safe_open

from wframe import config, plan
from wframe.engine import cost
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
    environment.filters |= {
        "number": number,
        "duration": duration,
        "shell": shlex.join,
        "short": lambda text: str(text)[:12],
    }
    style = Markup((resources.files("wframe.report") / "page.css").read_text())
    return environment.get_template("page.html.j2").render(
        style=style,
        edition=edition,
        manifest=manifest,
        claims=read_json(results / "claims.json"),
        paper_figures=read_json(results / "figures" / "paper" / "index.json"),
        scores=scores_view(results, edition),
        baselines=baselines_view(results, edition),
        jobs=jobs_view(edition, manifest["runs"]),
        studies=[study_view(results, edition, name, manifest) for name in edition.studies],
        datasets=[dataset_view(results, edition, name) for name in edition.datasets],
        bank=bank_about(results / "bank.safetensors"),
        totals=totals(manifest["runs"]),
        names={"frame": "FRAME", "wframe": "wFRAME"},
        figure_ids=figure_ids(results, edition),
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


def figure_ids(results: Path, edition: config.Edition) -> dict[str, str]:
    """Return where on the page a claim's figure is: the paper's by number, a study's first by the study's name."""
    drawn = [f for f in read_json(results / "figures" / "paper" / "index.json") if "missing" not in f]
    ids = {figure["name"]: f"paper-{figure['name']}" for figure in drawn}
    for study in edition.studies:
        index = read_json(results / "figures" / study / "index.json")
        ids[study] = f"{study}-{index[0]['name']}"
    return ids


def scores_view(results: Path, edition: config.Edition) -> list[dict[str, Any]]:
    """Return the score table's rows (the paper's Table 1); none where the edition computes no scores."""
    if edition.scores is None:
        return []
    rows = pd.read_csv(results / "tables" / "scores.csv").to_dict("records")
    records = {row["row"]: read_json(results / "scores" / f"{row['row']}.json") for row in rows}
    return [{str(key): value for key, value in row.items()} | {"record": records[row["row"]]} for row in rows]


def baselines_view(results: Path, edition: config.Edition) -> dict[str, dict[str, Any]]:
    """Return each baseline's trainings: a title and the record."""
    return {
        f"{name}/{repeat}": {
            "title": (entry.title or name) + (f", repeat {repeat}" if entry.repeats > 1 else ""),
            "record": read_json(results / "baselines" / name / f"{repeat}.json"),
        }
        for name, entry in edition.baselines.items()
        for repeat in range(entry.repeats)
    }


def jobs_view(edition: config.Edition, records: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return where each shard ran, for how long, how often it went on, and what was planned.

    The plan is of `cost.learning_flops` on the edition's GPU (job.gpu); None without one.
    """
    rows = []
    for run in plan.runs(edition):
        for shard in range(run.shards):
            record = records[f"{run.folder}/{shard}"]
            groups = record["groups"][1] - record["groups"][0]
            flops = plan.run_flops(edition, run.study, run.dataset, run.setting, run.method, groups)
            last = record["attempts"][-1]
            rows.append(
                {
                    "shard": f"{run.folder}/{shard}",
                    "groups": groups,
                    "where": ", ".join(sorted({attempt["host"] for attempt in record["attempts"]})),
                    "slurm_job": last["slurm_job"],
                    "device": record["gpu"] or record["device"],
                    "seconds": record["learning_seconds"],
                    "planned": cost.seconds_on(edition.job.gpu, flops) if edition.job.gpu else None,
                    "attempts": len(record["attempts"]),
                    "resumed": record["resumed"],
                }
            )
    return {
        "rows": rows,
        "hours": sum(row["seconds"] for row in rows) / 3600,
        "gpu_hours": sum(row["seconds"] for row in rows if row["device"] != "cpu") / 3600,
        "planned_hours": sum(row["planned"] for row in rows) / 3600 if edition.job.gpu else None,
    }


def compare(row: dict[str, Any]) -> str:
    """Say in words what a paired difference of R tells: lower, higher or can't tell."""
    low, high = row.get("difference_low", math.nan), row.get("difference_high", math.nan)
    if not (math.isfinite(low) and math.isfinite(high)):
        return "too few groups to tell"
    gone = row.get("diverged_frame", 0) or row.get("diverged_wframe", 0)
    said = "wFRAME lower" if high < 0 else "wFRAME higher" if low > 0 else "can't tell"
    return f"{said}, of those that didn't diverge" if gone else said


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
        return f"{int(value):,}".replace("-", "−")
    if 1e-3 <= abs(value) < 1000:
        text = f"{value:#.{digits}g}".rstrip(".")
    else:
        text = f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.{digits}g}"
    return text.replace("-", "−")


def duration(seconds: float) -> str:
    """A time span for people."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"
