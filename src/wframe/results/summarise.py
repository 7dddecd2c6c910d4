"""`wframe summarise`: the runs of a study as one tidy table of curves, and as the table that people read."""

import argparse
import math
from pathlib import Path
from typing import Any

import pandas as pd

from wframe.errors import UserError
from wframe.files import atomic_write, write_json
from wframe.results.outcomes import describe
from wframe.results.statistics import mean_interval
from wframe.results.curves import RUN, by_group

def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe summarise`."""
    add = parser.add_argument
    add(
        "curves",
        type=Path,
        nargs="+",
        help="shards' curves (.parquet, from `wframe train`)",
    )
    add("--out", type=Path, required=True, help="all curves in one table (.parquet)")
    add("--table", type=Path, required=True, help="the table of final values (.csv; .tex is written beside it)")
    add("--metrics", type=Path, help="the same numbers as nested JSON, which `dvc metrics` compares")
    add("--means", type=Path, help="the curves' means over groups (.csv), which `dvc plots` compares")


def main(args: argparse.Namespace) -> None:
    """Join the curves; write the table as CSV, LaTeX and metrics."""
    curves = join(args.curves)
    with atomic_write(args.out) as part:
        curves.to_parquet(part, index=False)
    table = final_table(curves)
    with atomic_write(args.table) as part:
        table.to_csv(part, index=False, float_format="%.6g")
    with atomic_write(args.table.with_suffix(".tex")) as part:
        part.write_text(to_latex(table), encoding="utf-8")
    if args.metrics:
        write_json(args.metrics, to_metrics(table))
    if args.means:
        with atomic_write(args.means) as part:
            mean_curves(curves).to_csv(part, index=False, float_format="%.6g")


def join(files: list[Path]) -> pd.DataFrame:
    """Return the shards' curves as one tidy table: one row per run, group and iteration.

    Raises:
        UserError: a file doesn't say which run it is of.
    """
    parts = []
    for file in files:
        part = pd.read_parquet(file)
        if missing := [name for name in RUN if name not in part]:
            raise UserError(f"{file}: not a run's curves: no column {', '.join(missing)}. `wframe train` writes them.")
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


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
            row[f"outcome_{method}"] = describe(by_group(part[part["method"] == method], "R"))
        if {"frame", "wframe"} <= set(by_method.columns):
            difference = mean_interval((by_method["wframe"] - by_method["frame"]).groupby("group").mean())
            row |= {
                "difference": difference.mean,
                "difference_low": difference.low,
                "difference_high": difference.high,
            }
        rows.append(row)
    return pd.DataFrame(rows)


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
