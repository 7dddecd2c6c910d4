"""The verdict on a claim: a rule (`expects`) applied to evidence.

reproduced     the whole 95% interval is where the claim says
contradicted   the whole interval is elsewhere
undecided      the interval allows both; the reason says which way it leans, and roughly how many groups would decide
quoted         the paper took the number from elsewhere, and no producer here makes it
not run        this edition isn't compared with the paper, lacks the runs, or nothing here can judge the claim
"""

import json
import math
from typing import Any, Literal, NamedTuple

from wframe.claims.claim import Claim, Expects
from wframe.claims.evidence import JUDGES, Case, Evidence
from wframe.claims.many import mark_survivors
from wframe.files import sha256_file
from wframe.results.statistics import LEVEL, Estimate
from wframe.results.store import NotAvailable

VERDICTS = ("reproduced", "contradicted", "undecided", "quoted", "not run")
Verdict = Literal["reproduced", "contradicted", "undecided", "quoted", "not run"]

# what an edition that isn't compared with the paper may say of a claim
HERE = {"reproduced": "holds", "contradicted": "doesn't hold", "undecided": "can't be told"}


class Outcome(NamedTuple):
    """What the pipeline says about a claim."""

    verdict: Verdict
    why: str


def place(expects: Expects, low: float, high: float) -> Verdict:
    """Return the verdict on an interval: inside, outside, or across the edge of where it has to lie."""
    if math.isnan(low) or math.isnan(high):
        return "undecided"
    sides = [(low - edge, high - edge) for edge in expects.region[:1] if math.isfinite(edge)]
    sides += [(edge - high, edge - low) for edge in expects.region[1:] if math.isfinite(edge)]
    # how far into the region the interval's nearer and farther end are, at each edge that there is
    if all(nearer > 0 or (nearer == 0 and not expects.strict) for nearer, _ in sides):
        return "reproduced"
    if any(farther < 0 for _, farther in sides):  # at the edge of a strict rule is a tie: neither in nor out
        return "contradicted"
    return "undecided"


def decide(expects: Expects, evidence: Evidence) -> Outcome:
    """Return the verdict that a rule gives on evidence, and why, in words."""
    if math.isnan(evidence.value):
        return Outcome("undecided", "; ".join(("nothing to compare", *evidence.notes)))
    low, high = evidence.bounds()
    said = _said(evidence.value, low, high)
    verdict = place(expects, low, high)
    for name, part in evidence.parts.items():  # what is true of all together may be false of one of them
        if _speaks_against(verdict, expects, part):
            alone = _said(part.value, *part.interval(LEVEL))
            return Outcome("undecided", f"{said} over all, but it isn't the same everywhere: {alone} {name}")
    if verdict == "reproduced":
        return Outcome(verdict, f"{said}: the whole interval is {expects.words}")
    if verdict == "contradicted":
        return Outcome(verdict, f"{said}: no part of the interval is {expects.words}")
    return Outcome(verdict, f"{said}: the interval allows both; {leaning(expects, evidence)}")


def _speaks_against(verdict: Verdict, expects: Expects, part: Estimate) -> bool:
    """Return whether a part says the opposite, or its interval is open where it may: a method is lost more often."""
    low, high = part.interval(LEVEL)
    alone = place(expects, low, high)
    below, above = (math.isinf(edge) for edge in expects.region)  # whether the region has no edge there
    if verdict == "reproduced":
        ends_outside = (low == -math.inf and not below) or (high == math.inf and not above)
        return alone == "contradicted" or (part.open and ends_outside)
    if verdict == "contradicted":
        ends_inside = (low == -math.inf and below) or (high == math.inf and above)
        return alone == "reproduced" or (part.open and ends_inside)
    return False


def leaning(expects: Expects, evidence: Evidence) -> str:
    """Say which way an undecided statistic leans, and roughly how many groups would decide."""
    value, (low, high) = evidence.value, evidence.bounds()
    lowest, highest = expects.region
    distance = min(abs(value - edge) for edge in (lowest, highest) if math.isfinite(edge))
    inside = lowest < value < highest
    leans = f"it leans {'neither way' if distance == 0 else 'towards the claim' if inside else 'against the claim'}"
    half, fewest = (high - low) / 2, evidence.estimate.fewest
    if evidence.n < fewest:
        return f"{leans}; n = {evidence.n}, and fewer than {fewest} {evidence.unit} can't decide"
    if distance == 0:
        return f"{leans} (n = {evidence.n})"
    if not math.isfinite(half) or not math.isfinite(distance):
        return (
            f"{leans}; models that are lost or don't learn leave the interval open: only more {evidence.unit} tell "
            f"(n = {evidence.n})"
        )
    needed = max(fewest, evidence.n + 1, math.ceil(evidence.n * min(half / distance, 1e6) ** 2))
    enough = f"roughly {needed:,}" if needed < 1e6 else "more than a million"
    return f"{leans}; were it to stay there, {enough} {evidence.unit} would decide (n = {evidence.n})"


def chance(expects: Expects, evidence: Evidence) -> float | None:
    """Return the smallest 1 − level at which the interval decides (a two-sided p); None where chance has no part."""
    if not evidence.sampled or evidence.n == 0 or math.isnan(evidence.value):
        return None
    lowest, highest = 0.0, 1.0
    for _ in range(50):
        middle = (lowest + highest) / 2
        if place(expects, *evidence.bounds(1 - middle)) == "undecided":
            lowest = middle
        else:
            highest = middle
    return highest


def judge_claim(claim: Claim, case: Case) -> dict[str, Any]:
    """Return a claim with our evidence and the verdict, as a JSON-like record."""
    record: dict[str, Any] = {
        **claim.model_dump(exclude={"judge", "expects"}),
        "judge": claim.judge,
        "expects": claim.expects.model_dump(exclude_defaults=True) if claim.expects else None,
        "rule": claim.expects.words if claim.expects else None,
        "ours": None,
        "here": None,  # what came out in an edition that isn't compared
        "same_as": None,
        "survives": None,  # Holm's correction, over all claims that an interval decides
    }
    if claim.unjudged is not None:
        return record | Outcome("not run", f"can't be judged here: {claim.unjudged}")._asdict()
    if claim.judge is None or claim.expects is None:
        return record | Outcome("quoted", f"the paper quotes it from {claim.quoted}; nothing here makes it")._asdict()
    compared = case.edition.compared or claim.always
    if not compared and claim.against_a_number:
        why = f"the {case.edition.edition} edition's numbers aren't set against the paper's"
        return record | Outcome("not run", why)._asdict()
    try:
        evidence = JUDGES[claim.judge](case, **claim.of)
    except NotAvailable as missing:
        return record | Outcome("not run", str(missing))._asdict()
    record["ours"] = shown(evidence, case) | {"chance": chance(claim.expects, evidence)}
    outcome = decide(claim.expects, evidence)
    if not compared:
        record["here"] = HERE[outcome.verdict]
        why = f"the {case.edition.edition} edition isn't compared with the paper; here it {record['here']}"
        outcome = Outcome("not run", f"{why}: {outcome.why}")
    return record | outcome._asdict()


def shown(evidence: Evidence, case: Case) -> dict[str, Any]:
    """Return what a record keeps of evidence."""
    low, high = evidence.bounds(LEVEL)
    return {
        "statistic": evidence.statistic,
        "value": _finite(evidence.value),
        "low": _finite(low),
        "high": _finite(high),
        "n": evidence.n,
        "fewest": evidence.estimate.fewest,
        "unit": evidence.unit,
        "outcomes": evidence.outcomes,
        "notes": [*evidence.notes, *_of_each(evidence)],
        "from": {name: sha256_file(case.folder / name) for name in sorted(evidence.files)},
    }


def judge_all(claims: list[Claim], case: Case) -> list[dict[str, Any]]:
    """Return every claim's record; `same_as` names an earlier claim that the very same statistic decides.

    The paper shows one result in several figures: such claims stand or fall together, and aren't counted as evidence
    twice.
    """
    records, first = [], dict[str, str]()
    for claim in claims:
        record = judge_claim(claim, case)
        if claim.judge is not None:
            earlier = first.setdefault(json.dumps([claim.judge, claim.of, record["expects"]], sort_keys=True), claim.id)
            record["same_as"] = earlier if earlier != claim.id else None
        records.append(record)
    mark_survivors(records)
    return records


def _of_each(evidence: Evidence) -> list[str]:
    """Return the estimates of each dataset alone, in words."""
    found = evidence.parts.items()
    return [f"{name}: {_said(part.value, *part.interval(LEVEL))}, n = {part.n}" for name, part in found]


def _said(value: float, low: float, high: float) -> str:
    return f"{value:.4g} [{low:.4g}, {high:.4g}]".replace("-", "−").replace("inf", "∞")


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
