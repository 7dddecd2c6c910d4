"""`wframe claims`: every claim of the paper with a verdict, computed from the results and never typed.

`config/claims.yaml` says what the paper claims, where, and how each claim is judged.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from wframe.claims.claim import load_claims
from wframe.claims.evidence import Case
from wframe.claims.many import error_rates, summarise
from wframe.claims.verdict import VERDICTS, judge_all
from wframe.files import atomic_write, write_json
from wframe.jobs.left_out import load_made

JUDGED = ("reproduced", "contradicted", "undecided")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe claims`."""
    add = parser.add_argument
    add("--claims", type=Path, default=Path("config/claims.yaml"), help="what the paper claims")
    add("--results", type=Path, default=Path("results"), help="the results folder")
    add("--summary", action="store_true", help="print the summary of a finished run and nothing else")
    add("--check", action="store_true", help="check the claims' file and nothing else")


def main(args: argparse.Namespace) -> None:
    """Judge all claims: results/claims.json, its figures for `dvc metrics`, results/tables/claims.csv and .tex."""
    if args.summary:
        path = args.results / "claims.json"  # isn't there where only a part of the workflow was asked for
        if not path.exists():
            print("no claims judged yet")
        elif any((found := json.loads(path.read_text(encoding="utf-8")))["summary"][name] for name in JUDGED):
            print(found["line"])  # none is where the images stand for none of the paper's: nothing to say
        return
    claims = load_claims(args.claims)
    if args.check:
        print(f"{args.claims}: {len(claims)} claims")
        return
    edition = load_made(args.results)
    case = Case(args.results, edition, {claim.id: claim.paper for claim in claims})
    records = judge_all(claims, case)
    counts = Counter(record["verdict"] for record in records)
    about = {"edition": edition.edition, "compared": edition.compared, "line": summarise(records, VERDICTS)}
    figures = {
        "summary": {name: counts[name] for name in VERDICTS},
        "chance": error_rates(records),
        "values": {record["id"]: record["ours"]["value"] for record in records if record["ours"]},
    }
    write_json(args.results / "claims.json", about | figures | {"claims": records})
    write_json(args.results / "metrics" / "claims.json", figures)
    table = to_table(records)
    with atomic_write(args.results / "tables" / "claims.csv") as part:
        table.to_csv(part, index=False, float_format="%.6g")
    with atomic_write(args.results / "tables" / "claims.tex") as part:
        # plain text for LaTeX: no symbol of a claim's name needs more than this
        part.write_text(table.to_latex(index=False, float_format="%.4g", na_rep="--", escape=True), encoding="utf-8")


def to_table(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the claims as a table: the paper's number beside ours."""
    rows = []
    for record in records:
        paper, ours = record["paper"] or {}, record["ours"] or {}
        rows.append(
            {
                "claim": record["id"],
                "where": record["where"],
                "paper": paper.get("value"),
                "paper_plus_minus": paper.get("plus_minus"),
                "ours": ours.get("value"),
                "low": ours.get("low"),
                "high": ours.get("high"),
                "n": ours.get("n"),
                "verdict": record["verdict"],
                "here": record["here"],
                "survives": record["survives"],
                "post_hoc": record["post_hoc"],
            }
        )
    return pd.DataFrame(rows)
