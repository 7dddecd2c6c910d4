"""`wframe claims-text`: tables and sentences about claims in Markdown files, written from a claims.json, never typed.

A file says where, and from which record, relative to itself; what stands between the marks is replaced:

    <!-- claims-table claims-sample.json: fig4-celeba, fig3-lambda -->
    <!-- end -->

`claims-table` makes a table of the claims that are named (of all that were judged, where none is), `claims-sentence` a
sentence that says of each what came out, `claims-line` the counts of all verdicts, `claims-tally` a table of them, of
experiments and of formulas.
"""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wframe.claims.verdict import VERDICTS
from wframe.errors import UserError
from wframe.files import atomic_write, read_json
from wframe.results.text import number

AFFECTS_NO_RESULT = True
MARK = re.compile(r"(<!-- claims-(\w+) ([^\s:]+)(?:: ([^>]*?))? -->\n)(.*?)(<!-- end -->)", re.S)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe claims-text`."""
    parser.add_argument("files", type=Path, nargs="+", help="Markdown files with marks")
    parser.add_argument("--check", action="store_true", help="change nothing; fail where a file is out of date")


def main(args: argparse.Namespace) -> int:
    """Rewrite what stands between the marks, or (--check) say which files are out of date."""
    stale = 0
    for path in args.files:
        was = path.read_text(encoding="utf-8")
        now = rewritten(was, path)
        if now == was:
            continue
        if args.check:
            print(f"{path}: out of date: run `python -m wframe claims-text {path}`", file=sys.stderr)
            stale += 1
        else:
            with atomic_write(path) as part:
                part.write_text(now, encoding="utf-8")
    return 1 if stale else 0


def rewritten(text: str, path: Path) -> str:
    """Return a Markdown text with what its marks ask for.

    Raises:
        UserError: an unknown kind of mark, a record that isn't there, a claim that it hasn't.
    """

    def fill(mark: re.Match[str]) -> str:
        opening, kind, source, names, _, closing = mark.groups()
        if kind not in KINDS:
            raise UserError(f"{path}: claims-{kind}: unknown (known: {', '.join(f'claims-{name}' for name in KINDS)})")
        record = path.parent / source
        if not record.exists():
            raise UserError(f"{path}: {record}: not found. It is a finished run's results/claims.json.")
        about = read_json(record)
        return opening + KINDS[kind](about, chosen(about, names, path)) + "\n" + closing

    return MARK.sub(fill, text)


def chosen(about: dict[str, Any], names: str | None, path: Path) -> list[dict[str, Any]]:
    """Return the claims that a mark names; all that were judged, where it names none."""
    known = {record["id"]: record for record in about["claims"]}
    if not names:
        return [record for record in known.values() if record["ours"]]
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if unknown := [name for name in wanted if name not in known]:
        raise UserError(f"{path}: no claim {', '.join(unknown)} in the record")
    return [known[name] for name in wanted]


def table(about: dict[str, Any], claims: list[dict[str, Any]]) -> str:
    """Return a table: what the paper says, ours with its interval, n, and the verdict."""
    rows = ["| claim | ours, 95% interval | n | verdict |", "| --- | --- | --- | --- |"]
    for record in claims:
        ours = record["ours"]
        found = f"{number(ours['value'])} ({interval(ours)}); {ours['statistic']}" if ours else "–"
        cells = (record["says"].strip(), found, number(ours["n"]) if ours else "–", verdict(record))
        rows.append("| " + " | ".join(cell.replace("|", r"\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(rows)


def sentence(about: dict[str, Any], claims: list[dict[str, Any]]) -> str:
    """Return what came out of each claim, by verdict, in words."""
    parts = []
    for name in VERDICTS:
        said = [short(record["says"]) for record in claims if record["verdict"] == name]
        if said:
            parts.append(f"**{name}**: " + "; ".join(said))
    return ".\n".join(parts) + "."


def line(about: dict[str, Any], claims: list[dict[str, Any]]) -> str:
    """Return the counts of all verdicts, and how many survive Holm's correction."""
    chance = about["chance"]
    return (
        f"Of {about['line']}. {chance['decided']} of {chance['judged']} statistics were decided, {chance['survive']} "
        f"of them also after Holm's correction. Were the truth on the edge of what each claim says, chance would get "
        f"at most {chance['expected_false']:g} wrong."
    )


def tally(about: dict[str, Any], claims: list[dict[str, Any]]) -> str:
    """Return a table of how many claims on experiments, and on formulas, got each verdict."""
    kinds = {
        "experiments": [record for record in about["claims"] if not record["always"]],
        "formulas": [record for record in about["claims"] if record["always"]],
    }
    names = [name for name in VERDICTS if about["summary"].get(name)]
    rows = [f"| claims on | {' | '.join(names)} |", "| --- " * (len(names) + 1) + "|"]
    for kind, records in kinds.items():
        counts = (str(sum(record["verdict"] == name for record in records)) for name in names)
        rows.append(f"| {kind} ({len(records)}) | {' | '.join(counts)} |")
    return "\n".join(rows)


def interval(ours: dict[str, Any]) -> str:
    """Return an interval in words."""
    low, high = (number(ours[end]) if ours[end] is not None else None for end in ("low", "high"))
    if low is None and high is None:
        return "too few to tell"
    return f"{low or '−∞'} to {high or '∞'}"


def verdict(record: dict[str, Any]) -> str:
    """Return a verdict with what a reader has to know of it."""
    said = record["verdict"] + (f" (here it {record['here']})" if record["here"] else "")
    return said + (", ✓ Holm" if record["survives"] else "") + (", post hoc" if record["post_hoc"] else "")


def short(says: str) -> str:
    """Return a claim without what stands in parentheses at its end, and without the full stop."""
    return re.sub(r"\s*\([^()]*\)\s*$", "", says.strip().rstrip(".")).strip()


KINDS: dict[str, Callable[[dict[str, Any], list[dict[str, Any]]], str]] = {
    "table": table,
    "sentence": sentence,
    "line": line,
    "tally": tally,
}
