"""`wframe summarise`: the runs of a study as one tidy table of curves, and as the table that people read."""

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from wframe.errors import UserError
from wframe.files import atomic_write, write_json
from wframe.results.curves import RUN, by_group, per_group
from wframe.results.outcomes import describe, diverged, end, log_ratio
from wframe.results.statistics import LEVEL, Estimate, median


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

    Medians over groups (of repeats: the group's median), with the sign test's 95% interval, which takes six groups;
    a group that diverged counts as infinite. `ratio` is wFRAME's R over FRAME's, as the claims have it: an R counts at
    most as twice its start. `nearest_*` is the chains' distance to the nearest observed image, in grey levels.
    """
    rows = []
    for (dataset, class_, setting), part in curves.groupby(["dataset", "class", "setting"], sort=False):
        row = {"dataset": dataset, "class": class_, "setting": setting, "groups": part["group"].nunique()}
        row["R_start"] = part.loc[part["iteration"] == 1, "R"].median()
        learned = {}
        for method, mine in part.groupby("method", sort=False):
            R, Φ = by_group(mine, "R"), by_group(mine, "energy")
            learned[method] = R, Φ
            gone = diverged(R, Φ)
            row |= _with_interval(f"R_{method}", median(per_group(end(R).where(~gone, math.inf))))
            row[f"peak_{method}"] = median(per_group(R.max().where(~gone, math.inf))).value
            row[f"diverged_{method}"] = int(gone.sum())
            row[f"nearest_{method}"] = mine.loc[mine["iteration"] == mine["iteration"].max(), "nearest"].mean()
            row[f"outcome_{method}"] = describe(R, Φ)
        if {"frame", "wframe"} <= set(learned):
            both = learned["frame"][0].columns.intersection(learned["wframe"][0].columns)
            pair = [(R[both], Φ[both]) for R, Φ in (learned["frame"], learned["wframe"])]
            row |= _with_interval("ratio", median(per_group(log_ratio(*pair))).map(lambda log: float(np.exp(log))))
        rows.append(row)
    return pd.DataFrame(rows)


def _with_interval(name: str, estimate: Estimate) -> dict[str, float]:
    """Return a column and its interval's two; no interval where the data excludes nothing."""
    low, high = estimate.interval(LEVEL)
    known = estimate.n >= estimate.fewest
    return {
        name: estimate.value,
        f"{name}_low": low if known else math.nan,
        f"{name}_high": high if known else math.nan,
    }


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
        "ratio": "wFRAME/FRAME",
        "ratio_low": "low",
        "ratio_high": "high",
        "outcome_frame": "outcome, FRAME",
        "outcome_wframe": "outcome, wFRAME",
    }
    columns = {name: title for name, title in shown.items() if name in table}
    plain = table[list(columns)].copy()
    for name in ("dataset", "class", "setting"):
        plain[name] = plain[name].str.replace("_", r"\_")
    return plain.rename(columns=columns).to_latex(index=False, float_format="%.3f", na_rep="--")
