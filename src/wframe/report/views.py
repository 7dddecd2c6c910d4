"""What the page shows of each part of the results, as plain values for the template."""

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from safetensors import safe_open

from wframe.config.devices import seconds_on
from wframe.config.edition import Edition
from wframe.config.learning import METHODS, Learning
from wframe.config.studies import Study
from wframe.files import read_json, sha256_file
from wframe.jobs.left_out import RECORD, in_words
from wframe.jobs.runs import run_flops, runs
from wframe.model.readings import DESCRIPTIONS, READINGS
from wframe.report.films import film_view

METHODS_EXPLAINED = (
    "FRAME scores an image by how the filters of a fixed convolutional network (the filter bank) respond to it. It "
    "synthesises images by Langevin dynamics (noisy gradient ascent on that score), and adjusts the score until the "
    "samples produce the same responses as nine observed images. The response distance R says how far apart the two "
    "still are: lower is better. Learning can collapse: R rises, and the images fall apart. wFRAME adds a Wasserstein "
    "penalty that is meant to prevent this; it comes from the paper FRAME Revisited (Cai, Wu, Li, Chen, Lin; AAAI "
    "2019)."
)
OF_THE_PAPER = (
    "FRAME learns to make images like nine given ones. The paper says that it can collapse, and that wFRAME doesn’t. "
    "One workflow ran the paper’s experiments again, and made every image and number on this page."
)
OF_IMAGES = (
    "Nine observed images, and what two methods, FRAME and wFRAME, synthesise after learning from these nine alone."
)
NOT_COMPARED = (
    "This is the “{name}” edition. Its images, filters or schedule aren’t all the paper’s, so none of its numbers is "
    "compared with a number of the paper: it shows how the two methods behave."
)


def study_view(results: Path, edition: Edition, name: str, manifest: dict[str, Any]) -> dict[str, Any]:
    """Return a study's figures and table, and how each run was made."""
    table = pd.read_csv(results / "tables" / f"{name}.csv", dtype={"class": str, "dataset": str, "setting": str})
    rows = [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
    for row in rows:
        row["verdict"] = compare(row)
    figures, study = read_json(results / "figures" / name / "index.json"), edition.studies[name]
    first = name == ("whole" if "whole" in edition.studies else next(iter(edition.studies)))
    return {
        "name": name,
        "study": study,
        "heading": study.title or ("Observed and synthesised images" if first else name.replace("-", " ").capitalize()),
        "first": first,
        "early": first or name == "collapse",  # what a reader came for
        "films": [film_view(figure) for figure in figures if "film" in figure],
        "others": [figure for figure in figures if "film" not in figure],
        "rows": rows,
        "choices": choices(study, edition),
        "side_by_side": f"{'Two groups' if study.groups != 1 else 'One group'} of each class, side by side",
        "records": {key: record for key, record in manifest["runs"].items() if key.startswith(f"{name}/")},
    }


def choices(study: Study, edition: Edition) -> dict[str, str]:
    """Return what the readings are between which a study's settings choose, by name; of none where there is no choice.

    Also of the other choices that the paper leaves open, where a setting makes one.
    """
    changes = [point.changes for point in study.points.values()]
    tried = {change.get("reading", edition.learning.reading) for change in changes}
    found = {name: DESCRIPTIONS[name] for name in READINGS if name in tried and len(tried) > 1}
    made = set().union(*changes)
    return found | {name: str(Learning.model_fields[name].description) for name in ("theta", "penalty") if name in made}


def inputs_view(results: Path) -> dict[str, Any]:
    """Return which inputs the run had, and which it went on without; of none where the edition has none."""
    path = results / RECORD
    record = read_json(path) if path.exists() else {"inputs": {}, "left_out": {}}
    for about in record["left_out"].values():
        about["lacks"] = in_words(about["serves"])
    return record


def of_the_paper(edition: Edition) -> bool:
    """Return whether any dataset is, or stands for, one of the paper's."""
    return any(dataset.stands_for for dataset in edition.datasets.values())


def about(edition: Edition) -> dict[str, str | None]:
    """Return the page's title, its first sentences, and a note where nothing is compared with the paper.

    An edition that isn't of the paper is about its own images.
    """
    note = None
    if of_the_paper(edition):
        title, what = "FRAME Revisited, reproduced", OF_THE_PAPER
        if not edition.compared:
            note = NOT_COMPARED.format(name=edition.edition)
    else:
        of_each = (
            dataset.title or (name if dataset.classes == ["all"] else ", ".join(dataset.classes))
            for name, dataset in edition.datasets.items()
        )
        title, what = f"FRAME and wFRAME: {', '.join(of_each)}", OF_IMAGES
    return {"title": title, "lead": what, "methods": METHODS_EXPLAINED, "note": note}


def figure_ids(results: Path, edition: Edition) -> dict[str, str]:
    """Return the anchors of claims' figures: the paper's by number, a study's first figure by the study's name."""
    drawn = [f for f in read_json(results / "figures" / "paper" / "index.json") if "missing" not in f]
    ids = {figure["name"]: f"paper-{figure['name']}" for figure in drawn} | {"theory": "theory-theory"}
    for study in edition.studies:
        index = read_json(results / "figures" / study / "index.json")
        ids[study] = f"{study}-{index[0]['name']}"
    return ids


def scores_view(results: Path, edition: Edition) -> list[dict[str, Any]]:
    """Return the rows of the score table (the paper's Table 1); none if the edition computes no scores."""
    if edition.scores is None:
        return []
    rows = pd.read_csv(results / "tables" / "scores.csv").to_dict("records")
    records = {row["row"]: read_json(results / "scores" / f"{row['row']}.json") for row in rows}
    return [{str(key): value for key, value in row.items()} | {"record": records[row["row"]]} for row in rows]


def baselines_view(results: Path, edition: Edition) -> dict[str, dict[str, Any]]:
    """Return the title and record of each repeat of each baseline."""
    return {
        f"{name}/{repeat}": {
            "title": (entry.title or name) + (f", repeat {repeat}" if entry.repeats > 1 else ""),
            "record": read_json(results / "baselines" / name / f"{repeat}.json"),
        }
        for name, entry in edition.baselines.items()
        for repeat in range(entry.repeats)
    }


def baseline_figures(results: Path, edition: Edition) -> list[dict[str, Any]]:
    """Return the figures of the baselines, each with its curves and samples; none where the edition has none."""
    return read_json(results / "figures" / "baselines" / "index.json") if edition.baselines else []


def jobs_view(edition: Edition, records: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return where each shard ran, for how long, how often it was resumed, and the planned time.

    The plan is `learning_flops` at the speed of the edition's GPU (job.gpu); None without one.
    """
    rows = []
    for run in runs(edition):
        for shard in range(run.shards):
            record = records[f"{run.folder}/{shard}"]
            groups = record["groups"][1] - record["groups"][0]
            work = run_flops(edition, run.study, run.dataset, run.setting, run.method, groups)
            precision = record["constants"]["precision"]
            last = record["attempts"][-1]
            rows.append(
                {
                    "shard": f"{run.folder}/{shard}",
                    "groups": groups,
                    "where": ", ".join(sorted({attempt["host"] for attempt in record["attempts"]})),
                    "slurm_job": last["slurm_job"],
                    "device": record["gpu"] or record["device"],
                    "seconds": record["learning_seconds"],
                    "planned": seconds_on(edition.job.gpu, work, precision) if edition.job.gpu else None,
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
    """Describe what the ratio of R shows: lower, higher or can't tell; the outcomes, where the methods' differ.

    A lower R doesn't make a method the better one where it diverges more often (see `claims.judges._common.Pairs`).
    """
    low, high = row.get("ratio_low", math.nan), row.get("ratio_high", math.nan)
    if not (math.isfinite(low) and math.isfinite(high)):
        return "too few groups to tell"
    became = {method: row.get(f"outcome_{method}", "") for method in METHODS}
    if len({frozenset(said.split(", ")) for said in became.values()}) > 1:
        return "; ".join(f"{METHODS[method]} {said}" for method, said in became.items())
    return "wFRAME lower" if high < 1 else "wFRAME higher" if low > 1 else "can't tell"


def dataset_view(results: Path, edition: Edition, name: str) -> dict[str, Any]:
    """Return how many images of each class of a dataset were used and left out, and why."""
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
    """Return a bank file's own record."""
    with safe_open(path, "np") as file:
        return json.loads((file.metadata() or {})["wframe"])


def totals(records: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Return the totals over all runs, for the top of the page."""
    every = list(records.values())
    return {
        "shards": len(every),
        "groups": sum(record["groups"][1] - record["groups"][0] for record in every),
        "images_steps": sum(record["images_steps"] for record in every),
        "memory": max((record["peak_memory_mb"] for record in every), default=0),
        "diverged": sum(record["diverged"] for record in every),
        "resumed": sum(record["resumed"] for record in every),
    }
