"""The findings as Markdown, for docs/theory.md: its tables and sections are written from the JSON, never typed."""

import re
from typing import Any

MARKS = ("summary", "signs", "statements", "derived")
LABELS = {"holds": "Remark", "does not hold": "Instead"}  # of what is said beside an outcome; else it is the correction


def fill(page: str, findings: dict[str, Any]) -> str:
    """Return a page with each part between `<!-- NAME -->` and `<!-- /NAME -->` written anew from the findings."""
    parts = {
        "summary": summary(findings),
        "signs": signs(findings["curves"]["signs"]),
        "statements": "\n\n".join(section(statement) for statement in findings["statements"]),
        "derived": "\n\n".join(section(statement, "Hypothesis") for statement in findings["derived"]),
    }
    for name in MARKS:
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, _, rest = page.partition(start)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"the page has no {start} ... {end}")
        page = f"{before}{start}\n{parts[name]}\n{end}{after}"
    return page


def summary(findings: dict[str, Any]) -> str:
    """Return a line of counts, and a table with a row per statement."""
    statements = findings["statements"]
    lines = [
        counted(statements),
        "",
        "| where | statement | outcome | gap as printed | corrected |",
        "| --- | --- | --- | --- | --- |",
    ]
    for s in statements:
        cells = [s["where"], f"[{s['printed']}](#{anchor(s)})", s["outcome"], said(s["gap"])]
        lines.append(
            "| " + " | ".join(cell.replace("|", r"\|") for cell in [*cells, said(s["gap_if_corrected"])]) + " |"
        )
    return "\n".join(lines)


def counted(statements: list[dict[str, Any]]) -> str:
    """Return how many statements have each outcome, as a sentence."""
    outcomes = {"holds": ("holds", "hold"), "holds if corrected": ("holds if corrected", "hold if corrected")}
    outcomes |= {"does not hold": ("does not hold", "do not hold"), "cannot be told": ("cannot be told",) * 2}
    counts = {name: sum(s["outcome"] == name for s in statements) for name in outcomes}
    told = [f"**{n}** {outcomes[name][n > 1]}" for name, n in counts.items() if n]
    return f"Of {len(statements)} statements, {', '.join(told)}."


def signs(found: dict[str, list[dict[str, Any]]]) -> str:
    """Return the table of signs: which equations go with e^(+Φ), and which way each penalty draws |∇Φ|²."""
    lines = ["| equation | what it leads to | goes with |", "| --- | --- | --- |"]
    for row in found["energy"]:
        lines.append(f"| {row['equation']} | {row['leads_to']} | {'e^(+Φ)' if row['sign'] > 0 else '**e^(−Φ)**'} |")
    lines += ["", "| the penalty in | draws E\\|∇Φ\\|² | ½W² > 0 would draw it |", "| --- | --- | --- |"]
    for row in found["penalty"]:
        ours, other = ("up" if sign > 0 else "down" for sign in (row["sign"], row["sign_of_half_W2"]))
        lines.append(f"| {row['equation']} | {ours} | {other} |")
    return "\n".join(lines)


def section(statement: dict[str, Any], kind: str = "Stated") -> str:
    """Return one statement: as printed, what was computed, the outcome, the correction, the numbers."""
    s = statement
    lines = [
        f'<a id="{anchor(s)}"></a>',
        "",
        f"### {s['where'][:1].upper()}{s['where'][1:]}",
        "",
        f"**{s['outcome'].capitalize()}.**",
        "",
        f"- {kind}: {s['printed']}",
        f"- Computed: {_sentence(s['computed'])}",
    ]
    gaps = [f"{said(s['gap'])} as stated" if s["gap"] else "", f"{said(s['gap_if_corrected'])} corrected"]
    told = ", ".join(gap for gap, there in zip(gaps, (s["gap"], s["gap_if_corrected"]), strict=True) if there)
    within = f": **{told}** (tolerance {_number(s['tolerance'])})" if told else ""
    lines.append(f"- Gap: {s['gap_is']}{within}.")
    if s["correction"]:
        lines.append(f"- {LABELS.get(s['outcome'], 'Corrected')}: {s['correction']}")
    if s["numbers"]:
        lines += ["- Numbers:", *(f"  - {number['name']}: {said(number)}" for number in s["numbers"])]
    return "\n".join(lines)


def said(measure: dict[str, Any] | None) -> str:
    """Return a number with its interval to four digits; a dash for none."""
    if measure is None or measure["value"] is None:
        return "–"
    value, low, high = measure["value"], measure["low"], measure["high"]
    text = _number(value)
    return text if low == high else f"{text} ({_number(low)} to {_number(high)})"


def anchor(statement: dict[str, Any]) -> str:
    """Return the anchor of a statement's section."""
    return str(re.sub(r"[^a-z0-9-]", "", statement["id"]))


def _number(value: float) -> str:
    return f"{value:.4g}".replace("-", "−")


def _sentence(text: str) -> str:
    return text + ("" if text.endswith(".") else ".")
