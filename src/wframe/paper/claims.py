"""`wframe claims`: every claim of the paper with a verdict, computed from the results and never typed.

`config/claims.yaml` says what the paper claims, where, and how each claim is judged. A *judge* (`judges.py`) turns
results into evidence: a statistic with its interval. A *rule* (`expects`) turns evidence into a verdict:

    reproduced        the whole interval is where the claim says (a value: within its tolerance)
    direction only    the statistic is on the claimed side, but its interval reaches beyond
    not reproduced    the statistic isn't on the claimed side (the reason says whether its interval reaches there)
    quoted            the paper took the number from elsewhere, and no producer here makes it
    not run           this edition isn't compared with the paper, lacks the runs, or has too little data to tell
"""

import argparse
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd
import yaml
from pydantic import Field, ValidationError, model_validator

from wframe import config
from wframe.errors import UserError
from wframe.files import sha256_file, write_json, written
from wframe.learning import Model, explain
from wframe.paper.judges import JUDGES, Evidence, NotHere, Results

VERDICTS = ("reproduced", "direction only", "not reproduced", "quoted", "not run")
Verdict = Literal["reproduced", "direction only", "not reproduced", "quoted", "not run"]


class Stated(Model):
    """A number as the paper states it."""

    value: float
    plus_minus: float | None = None
    meaning: str = Field("", description="what the ± is")


class Expects(Model):
    """The rule that turns a statistic into a verdict: exactly one of four."""

    near: float | None = Field(None, description="the statistic is within `within` of this")
    within: float | None = Field(None, gt=0)
    sign: Literal["negative", "positive"] | None = Field(None, description="the statistic's interval is on this side")
    at_most: float | None = None
    at_least: float | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> "Expects":
        rules = [name for name in ("near", "sign", "at_most", "at_least") if getattr(self, name) is not None]
        if len(rules) != 1:
            raise ValueError(f"expected exactly one of near, sign, at_most, at_least; got {rules or 'none'}")
        if (self.near is None) != (self.within is None):
            raise ValueError("near and within go together")
        return self


class Claim(Model):
    """One number, figure or statement of the paper."""

    id: config.Name
    where: str = Field(description="where in the paper it stands")
    says: str = Field(description="what it says, in a sentence")
    paper: Stated | None = Field(None, description="its number, if it has one")
    quoted: str | None = Field(None, description="where the paper took the number from; null: it measured it")
    judge: str | None = Field(None, description="which statistic: a name in judges.py; null: no producer here")
    of: dict[str, Any] = Field({}, description="what the judge looks at")
    expects: Expects | None = None
    figure: str | None = Field(None, description="the regenerated figure that shows it")

    @property
    def against_a_number(self) -> bool:
        """Whether it sets a number of ours against one of the paper's; else it's about a direction or a share."""
        return self.paper is not None or any(str(value).startswith("paper:") for value in self.of.values())

    @model_validator(mode="after")
    def _judged_or_quoted(self) -> "Claim":
        if self.judge is None and self.quoted is None:
            raise ValueError(f"{self.id}: neither judged nor quoted: a claim needs a producer")
        if (self.judge is None) != (self.expects is None):
            raise ValueError(f"{self.id}: judge and expects go together")
        if self.judge is not None and self.judge not in JUDGES:
            raise ValueError(f"{self.id}: there is no judge {self.judge!r} (known: {', '.join(JUDGES)})")
        return self


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


def load_claims(path: Path) -> list[Claim]:
    """Read and check the claims.

    Raises:
        UserError: unknown keys, a claim without a producer, a producer without a claim, the same id twice.
    """
    try:
        claims = [Claim.model_validate(entry) for entry in yaml.safe_load(path.read_text())]
    except FileNotFoundError:
        raise UserError(f"{path}: not found") from None
    except ValidationError as error:
        raise UserError(explain(error, str(path))) from None
    twice = [name for name, n in Counter(claim.id for claim in claims).items() if n > 1]
    if twice:
        raise UserError(f"{path}: the same id stands here twice: {', '.join(twice)}")
    idle = set(JUDGES) - {claim.judge for claim in claims}
    if idle:
        raise UserError(f"{path}: no claim uses the judge {', '.join(sorted(idle))}: add a claim or remove the judge")
    return claims


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
    claimed = (
        f"{'below' if below else 'above'} {bound:g}" if strict else f"at {'most' if below else 'least'} {bound:g}"
    )
    # mirrored, so that one comparison serves both sides
    near, middle, far = (
        (low - bound, value - bound, high - bound) if below else (bound - high, bound - value, bound - low)
    )
    if far < 0 or (far == 0 and not strict):
        return Outcome("reproduced", f"{said}: the whole interval is {claimed}")
    if middle < 0 or (middle == 0 and not strict):
        return Outcome("direction only", f"{said} is {claimed}, its interval reaches beyond")
    return Outcome("not reproduced", f"{said} isn't {claimed}" + (", its interval reaches there" if near < 0 else ""))


def judge(claim: Claim, results: Results) -> dict[str, Any]:
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
    if not results.edition.compared and claim.against_a_number:
        why = f"the {results.edition.edition} edition's numbers aren't set against the paper's"
        return record | Outcome("not run", why)._asdict()
    try:
        evidence = JUDGES[claim.judge](results, **claim.of)
    except NotHere as missing:
        return record | Outcome("not run", str(missing))._asdict()
    record["ours"] = {
        "statistic": evidence.statistic,
        "value": _finite(evidence.value),
        "low": _finite(evidence.low),
        "high": _finite(evidence.high),
        "n": evidence.n,
        "unit": evidence.unit,
        "from": {name: sha256_file(results.folder / name) for name in sorted(evidence.files)},
    }
    outcome = decide(claim.expects, evidence)
    if not results.edition.compared:
        record["here"] = HERE[outcome.verdict]
        why = f"the {results.edition.edition} edition isn't compared with the paper; here it {record['here']}"
        outcome = Outcome("not run", f"{why}: {outcome.why}")
    return record | outcome._asdict()


def judge_all(claims: list[Claim], results: Results) -> list[dict[str, Any]]:
    """Return every claim's record; `same_as` names an earlier claim that the very same statistic decides.

    The paper shows one result in several figures: such claims stand or fall together, and aren't counted as evidence
    twice.
    """
    records, first = [], dict[str, str]()
    for claim in claims:
        record = judge(claim, results)
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
            }
        )
    return pd.DataFrame(rows)


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
        print(json.loads(path.read_text())["line"] if path.exists() else "no claims judged yet")
        return
    claims = load_claims(args.claims)
    if args.check:
        print(f"{args.claims}: {len(claims)} claims")
        return
    edition = config.load(args.results / "config.yaml")
    results = Results(args.results, edition, {claim.id: claim.paper for claim in claims})
    records = judge_all(claims, results)
    counts = Counter(record["verdict"] for record in records)
    about = {"edition": edition.edition, "compared": edition.compared, "line": summarise(records)}
    figures = {
        "summary": {name: counts[name] for name in VERDICTS},
        "values": {record["id"]: record["ours"]["value"] for record in records if record["ours"]},
    }
    write_json(args.results / "claims.json", about | figures | {"claims": records})
    write_json(args.results / "metrics" / "claims.json", figures)
    table = to_table(records)
    with written(args.results / "tables" / "claims.csv") as part:
        table.to_csv(part, index=False, float_format="%.6g")
    with written(args.results / "tables" / "claims.tex") as part:
        # plain text for LaTeX: no symbol of a claim's name needs more than this
        part.write_text(table.to_latex(index=False, float_format="%.4g", na_rep="--", escape=True))


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
