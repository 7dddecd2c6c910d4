"""`wframe score-table`: all rows of the score table (the paper's Table 1) as CSV and LaTeX."""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from wframe.files import atomic_write, read_json

COLUMNS = [
    *("row", "title", "dataset", "method", "study", "setting", "baseline"),
    *("score_name", "extractor", "splits", "n", "repeats", "score", "std_splits", "std_seeds", "error_groups"),
    *("groups", "status", "gate"),
    *("nearest", "nearest_real", "copies", "nearest_n", "nearest_real_n", "training_images"),
    *("device", "seconds"),
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe score-table`."""
    add = parser.add_argument
    add("rows", type=Path, nargs="+", help="the rows' records (.json), in the table's order")
    add("--out", type=Path, required=True, help="the table to write (.csv; .tex is written beside it)")


def main(args: argparse.Namespace) -> None:
    """Write the table."""
    table = pd.DataFrame([flat(read_json(path)) for path in args.rows], columns=COLUMNS)
    with atomic_write(args.out) as part:
        table.to_csv(part, index=False, float_format="%.6g")
    with atomic_write(args.out.with_suffix(".tex")) as part:
        part.write_text(to_latex(table), encoding="utf-8")


def flat(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record's row: one value per column."""
    sets, real = record["repeats"], record["nearest_real"] or {}
    return record | {
        "repeats": len(sets),
        "nearest_real": real.get("median"),
        "nearest_n": sets[0]["nearest"]["n"] if "nearest" in sets[0] else None,
        "nearest_real_n": real.get("n"),
    }


def to_latex(table: pd.DataFrame) -> str:
    """Return the table's main columns as LaTeX with booktabs; ± is the standard deviation over splits."""

    def number(value: float, digits: int) -> str:
        return "--" if pd.isna(value) else f"{value:.{digits}f}"

    shown = pd.DataFrame(
        {
            "": [_escaped(text) for text in table["title"]],
            table["score_name"].iloc[0]: [
                number(score, 2) if pd.isna(score) else rf"${score:.2f} \pm {std:.2f}$"
                for score, std in zip(table["score"], table["std_splits"], strict=True)
            ],
            "between seeds": [number(value, 2) for value in table["std_seeds"]],
            "images": [f"{n:,}" for n in table["n"]],
            "nearest": [number(value, 1) for value in table["nearest"]],
            "nearest, real": [number(value, 1) for value in table["nearest_real"]],
        }
    )
    return shown.to_latex(index=False, column_format="lrrrrr")


def _escaped(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "&%$#_{}" else letter for letter in text)
