"""`wframe summarise`: the runs of a study as one tidy table of curves, and as the table that people read."""

import argparse
import math
from pathlib import Path
from typing import Any

import pandas as pd

from wframe.errors import UserError
from wframe.files import write_json, written
from wframe.paper.stats import mean_interval

IDENTITY = ["study", "dataset", "class", "setting", "method", "repeat"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe summarise`."""
    add = parser.add_argument
    add(
        "curves",
        type=Path,
        nargs="+",
        help="shards' curves: .../STUDY/DATASET/CLASS/SETTING/METHOD-REPEAT/SHARD.parquet",
    )
    add("--out", type=Path, required=True, help="all curves in one table (.parquet)")
    add("--table", type=Path, required=True, help="the table of final values (.csv; .tex is written beside it)")
    add("--metrics", type=Path, help="the same numbers as nested JSON, which `dvc metrics` compares")
    add("--means", type=Path, help="the curves' means over groups (.csv), which `dvc plots` compares")


def main(args: argparse.Namespace) -> None:
    """Join the curves; write the table as CSV, LaTeX and metrics."""
    curves = join(args.curves)
    with written(args.out) as part:
        curves.to_parquet(part, index=False)
    table = final_table(curves)
    with written(args.table) as part:
        table.to_csv(part, index=False, float_format="%.6g")
    with written(args.table.with_suffix(".tex")) as part:
        part.write_text(to_latex(table))
    if args.metrics:
        write_json(args.metrics, to_metrics(table))
    if args.means:
        with written(args.means) as part:
            mean_curves(curves).to_csv(part, index=False, float_format="%.6g")


def join(files: list[Path]) -> pd.DataFrame:
    """Return the shards' curves as one tidy table: one row per run, group and iteration.

    Raises:
        UserError: a file isn't where a run's curves are.
    """
    parts = []
    for file in files:
        if len(file.parts) < 6 or "-" not in file.parts[-2]:
            raise UserError(f"{file}: expected .../STUDY/DATASET/CLASS/SETTING/METHOD-REPEAT/SHARD.parquet")
        study, dataset, class_, setting, run, _ = file.parts[-6:]
        method, _, repeat = run.rpartition("-")
        values: tuple[str | int, ...] = (study, dataset, class_, setting, method, int(repeat))
        identity: dict[str, Any] = dict(zip(IDENTITY, values, strict=True))
        parts.append(pd.read_parquet(file).assign(**identity))
    curves = pd.concat(parts, ignore_index=True)
    return curves[[*IDENTITY, *(name for name in curves.columns if name not in IDENTITY)]]


def final_table(curves: pd.DataFrame) -> pd.DataFrame:
    """Return one row per dataset, class and setting: R at the start and the end of both methods, paired.

    `difference` is wFRAME − FRAME of the final R over groups, with a 95% t interval; repeats of a group are averaged
    first. Groups that diverged have no final R; they are counted, not averaged. `nearest_*` is the chains' distance
    to the nearest observed image, in grey levels.
    """
    rows = []
    for (dataset, class_, setting), part in curves.groupby(["dataset", "class", "setting"], sort=False):
        row = {"dataset": dataset, "class": class_, "setting": setting}
        ends = part[part["iteration"] == part["iteration"].max()]
        by_method = ends.pivot_table(index=["repeat", "group"], columns="method", values="R", dropna=False)
        row["groups"] = ends["group"].nunique()
        row["R_start"] = part.loc[part["iteration"] == 1, "R"].mean()
        for method, values in ends.groupby("method", sort=False):
            row[f"R_{method}"], row[f"R_{method}_low"], row[f"R_{method}_high"], _ = mean_interval(
                values.groupby("group")["R"].mean()
            )
            row[f"peak_{method}"] = part.loc[part["method"] == method].groupby(["repeat", "group"])["R"].max().mean()
            row[f"diverged_{method}"] = int((values["diverged"] >= 0).sum())
            row[f"nearest_{method}"] = values["nearest"].mean()
            row[f"outcome_{method}"] = outcome(part[part["method"] == method])
        if {"frame", "wframe"} <= set(by_method.columns):
            difference = mean_interval((by_method["wframe"] - by_method["frame"]).groupby("group").mean())
            row |= {
                "difference": difference.mean,
                "difference_low": difference.low,
                "difference_high": difference.high,
            }
        rows.append(row)
    return pd.DataFrame(rows)


def outcome(curves: pd.DataFrame) -> str:
    """Say what became of one method's groups, "learns" if all do, else as "collapses 3/4, learns 1/4".

    By R at the end over R after the first iteration: below half it learns, above twice it collapses, between them it
    stalls; without a finite R it has diverged.
    """
    R = curves.pivot(index="iteration", columns=["class", "repeat", "group"], values="R")
    ratio = R.iloc[-1] / R.bfill().iloc[0]
    named = pd.cut(ratio, [0, 0.5, 2, float("inf")], labels=["learns", "stalls", "collapses"]).astype(object)
    counts = named.fillna("diverges").value_counts()
    if len(counts) == 1:
        return str(counts.index[0])
    return ", ".join(f"{name} {n}/{len(named)}" for name, n in counts.items())


def to_metrics(table: pd.DataFrame) -> dict[str, Any]:
    """Return the table as dataset → class → setting → column → value, numbers to the CSV's digits; none for NaN."""
    metrics: dict[str, Any] = {}
    for row in table.to_dict("records"):
        place = metrics.setdefault(row["dataset"], {}).setdefault(row["class"], {}).setdefault(row["setting"], {})
        place |= {
            str(name): value if isinstance(value, str) else float(f"{value:.6g}")
            for name, value in row.items()
            if name not in ("dataset", "class", "setting") and (isinstance(value, str) or math.isfinite(value))
        }
    return metrics


def mean_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """Return R and the energy of every iteration, averaged over the groups and repeats that haven't diverged."""
    keys = ["dataset", "class", "setting", "method", "iteration"]
    return curves.groupby(keys, sort=False)[["R", "energy"]].mean().reset_index()


def to_latex(table: pd.DataFrame) -> str:
    """Return the table's main columns for LaTeX with booktabs."""
    shown = {
        "dataset": "dataset",
        "class": "class",
        "setting": "setting",
        "groups": "groups",
        "R_start": "$R$ at start",
        "R_frame": "FRAME",
        "R_wframe": "wFRAME",
        "difference": "difference",
        "difference_low": "low",
        "difference_high": "high",
        "outcome_frame": "outcome, FRAME",
        "outcome_wframe": "outcome, wFRAME",
    }
    columns = {name: title for name, title in shown.items() if name in table}
    plain = table[list(columns)].copy()
    for name in ("dataset", "class", "setting"):
        plain[name] = plain[name].str.replace("_", r"\_")
    return plain.rename(columns=columns).to_latex(index=False, float_format="%.3f", na_rep="--")
