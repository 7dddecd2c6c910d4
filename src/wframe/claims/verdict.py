"""The verdict on a claim: a rule (`expects`) applied to evidence.

reproduced        the whole interval is where the claim says (a value: within its tolerance)
direction only    the statistic is on the claimed side, but its interval reaches beyond
not reproduced    the statistic isn't on the claimed side (the reason says whether its interval reaches there)
quoted            the paper took the number from elsewhere, and no producer here makes it
not run           this edition isn't compared with the paper, lacks the runs, or has too little data to tell
"""

import json
import math
from collections import Counter
from typing import Any, Literal, NamedTuple

from wframe.claims.claim import Claim, Expects
from wframe.claims.evidence import JUDGES, Case, Evidence
from wframe.files import sha256_file
from wframe.results.store import NotAvailable

VERDICTS = ("reproduced", "direction only", "not reproduced", "quoted", "not run")
Verdict = Literal["reproduced", "direction only", "not reproduced", "quoted", "not run"]

# what an edition that isn't compared with the paper may say of a claim
HERE = {
    "reproduced": "holds",
    "direction only": "holds in direction only",
    "not reproduced": "doesn't hold",
    "not run": "can't be told",
}


class Outcome(NamedTuple):
    """What the pipeline says about a claim."""

    verdict: Verdict
    why: str


def decide(expects: Expects, evidence: Evidence) -> Outcome:
    """Return the verdict that a rule gives on evidence, and why, in words."""
    value, low, high = evidence.value, evidence.low, evidence.high
    said = f"{value:.4g}" + (f" [{low:.4g}, {high:.4g}]" if math.isfinite(low) else "")
    said = said.replace("-", "−")
    if not math.isfinite(value):
        return Outcome("not run", "no finite value")
    if expects.near is not None and expects.within is not None:
        if abs(value - expects.near) <= expects.within:
            return Outcome("reproduced", f"{said} is within {expects.within:g} of {expects.near:g}")
        return Outcome("not reproduced", f"{said} isn't within {expects.within:g} of {expects.near:g}")
    if not (math.isfinite(low) and math.isfinite(high)):
        return Outcome("not run", f"{said}: too little data to tell (n = {evidence.n})")
    bound = next((b for b in (expects.at_most, expects.at_least) if b is not None), 0.0)
    below = expects.at_most is not None or expects.sign == "negative"
    strict = expects.sign is not None
    claimed = f"{'below' if below else 'above'} {bound:g}" if strict else f"at {'most' if below else 'least'} {bound:g}"
    # mirrored, so that one comparison serves both sides
    near, middle, far = (
        (low - bound, value - bound, high - bound) if below else (bound - high, bound - value, bound - low)
    )
    if far < 0 or (far == 0 and not strict):
        return Outcome("reproduced", f"{said}: the whole interval is {claimed}")
    if middle < 0 or (middle == 0 and not strict):
        return Outcome("direction only", f"{said} is {claimed}, its interval reaches beyond")
    return Outcome("not reproduced", f"{said} isn't {claimed}" + (", its interval reaches there" if near < 0 else ""))


def judge(claim: Claim, case: Case) -> dict[str, Any]:
    """Return a claim with our evidence and the verdict, as a JSON-like record."""
    record: dict[str, Any] = {
        **claim.model_dump(exclude={"judge", "of", "expects"}),
        "judge": claim.judge,
        "expects": claim.expects.model_dump(exclude_defaults=True) if claim.expects else None,
        "ours": None,
        "here": None,  # what came out in an edition that isn't compared
        "same_as": None,
    }
    if claim.judge is None or claim.expects is None:
        return record | Outcome("quoted", f"the paper quotes it from {claim.quoted}; nothing here makes it")._asdict()
    if not case.edition.compared and claim.against_a_number:
        why = f"the {case.edition.edition} edition's numbers aren't set against the paper's"
        return record | Outcome("not run", why)._asdict()
    try:
        evidence = JUDGES[claim.judge](case, **claim.of)
    except NotAvailable as missing:
        return record | Outcome("not run", str(missing))._asdict()
    record["ours"] = {
        "statistic": evidence.statistic,
        "value": _finite(evidence.value),
        "low": _finite(evidence.low),
        "high": _finite(evidence.high),
        "n": evidence.n,
        "unit": evidence.unit,
        "from": {name: sha256_file(case.folder / name) for name in sorted(evidence.files)},
    }
    outcome = decide(claim.expects, evidence)
    if not case.edition.compared:
        record["here"] = HERE[outcome.verdict]
        why = f"the {case.edition.edition} edition isn't compared with the paper; here it {record['here']}"
        outcome = Outcome("not run", f"{why}: {outcome.why}")
    return record | outcome._asdict()


def judge_all(claims: list[Claim], case: Case) -> list[dict[str, Any]]:
    """Return every claim's record; `same_as` names an earlier claim that the very same statistic decides.

    The paper shows one result in several figures: such claims stand or fall together, and aren't counted as evidence
    twice.
    """
    records, first = [], dict[str, str]()
    for claim in claims:
        record = judge(claim, case)
        if claim.judge is not None:
            earlier = first.setdefault(json.dumps([claim.judge, claim.of], sort_keys=True), claim.id)
            record["same_as"] = earlier if earlier != claim.id else None
        records.append(record)
    return records


def summarise(records: list[dict[str, Any]]) -> str:
    """Return the one line that a run ends with."""
    counts = Counter(record["verdict"] for record in records)
    shared = sum(record["same_as"] is not None for record in records)
    said = f"{len(records)} claims" + (f" ({shared} of them decided by another one's statistic)" if shared else "")
    return f"{said}: " + ", ".join(f"{counts[name]} {name}" for name in VERDICTS if counts[name])


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
