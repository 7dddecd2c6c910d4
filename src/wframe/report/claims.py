"""What the page shows of the paper's claims: each with its outcome, and how many had which."""

from collections import Counter
from pathlib import Path
from typing import Any

from wframe.config.edition import Edition
from wframe.files import read_json
from wframe.results.outcomes import OUTCOMES

KINDS = {"holds": "reproduced", "doesn't hold": "contradicted", "can't be told": "undecided"}  # as they are coloured
PLURAL = {"holds": "hold", "doesn't hold": "don't hold"}
SHOWN = (*KINDS.values(), *(f"{name} here" for name in KINDS), "quoted", "not run")  # in the filter, in this order
PAPERS = {  # as people call them
    "celeba": "CelebA",
    "lsun-bedroom": "LSUN-Bedroom",
    "cifar10": "CIFAR-10",
    "cifar10-unlabelled": "CIFAR-10 without labels",
    "sun": "SUN",
}
# what the theory's statements are called, in the words of the claims about them
OF_THEORY = {
    "holds": "reproduced",
    "holds if corrected": "contradicted as printed; holds once corrected",
    "does not hold": "contradicted",
    "cannot be told": "not run",
}


def claims_view(results: Path, edition: Edition) -> dict[str, Any]:
    """Return the claims that this edition judges, each with its outcome, and those that it doesn't.

    Without a verdict on experiments, what came out here stands in its place. `on_experiments` says whether any claim
    about an experiment is judged: none is on images of one's own.
    """
    record = read_json(results / "claims.json")
    theory = statements(results, edition)
    for claim in record["claims"]:
        if claim["here"]:  # that this edition gives no verdict is said once, above the table
            claim["why"] = claim["why"].partition(f"here it {claim['here']}: ")[2]
        claim["outcome"] = f"{claim['here']} here" if claim["here"] else claim["verdict"]
        claim["kind"] = KINDS.get(claim["here"], claim["verdict"]).replace(" ", "-")
        claim["corrected"] = claim["verdict"] == "contradicted" and theory.get(claim["id"]) == "holds if corrected"
        claim["stood_in"] = [] if edition.compared or claim["always"] else stand_ins(edition, claim.get("of") or {})
        if claim["ours"]:  # a reason may be made of notes
            claim["ours"]["notes"] = [note for note in claim["ours"]["notes"] if note not in claim["why"]]
    judged = [claim for claim in record["claims"] if claim["ours"]]
    outcomes = Counter(claim["outcome"] for claim in judged)
    stands_for_some = any(dataset.stands_for for dataset in edition.datasets.values())
    return {
        "judged": judged,
        "others": [claim for claim in record["claims"] if not claim["ours"]],
        "counts": {name: outcomes[name] for name in SHOWN if outcomes[name]},
        "on_experiments": stands_for_some and any(not claim["always"] for claim in judged),
        "stood_in": any(claim["stood_in"] for claim in judged),
        "with_numbers": any(claim["paper"] for claim in judged),  # the paper gives for them
        "line": tally(record),
        "chance": record["chance"],
    }


def tally(record: dict[str, Any]) -> str:
    """Return how many claims got each verdict, as a run says it, and what came out here of those without one."""
    here = Counter(claim["here"] for claim in record["claims"] if claim["here"])
    if not here:
        return f"{record['line']}."
    said = ", ".join(
        f"{here[name]} {PLURAL.get(name, name) if here[name] > 1 else name}" for name in KINDS if here[name]
    )
    without = Counter(claim["verdict"] for claim in record["claims"])["not run"]
    on_these = f"{here.total()} were tried on this edition’s images: {said}."
    return f"{record['line']}. Of these {without} that were not run, {on_these}"


def statements(results: Path, edition: Edition) -> dict[str, str]:
    """Return the outcome of each of the theory's statements, by the name of the claim about it."""
    if not edition.theory:
        return {}
    found = read_json(results / "measurements" / "theory.json")["statements"]
    return {f"theory-{statement['id']}": statement["outcome"] for statement in found}


def stand_ins(edition: Edition, of: dict[str, Any]) -> list[str]:
    """Return which of an edition's datasets stood in for those of a claim, as "CIFAR-10 → Digits"."""
    study = edition.studies.get(of.get("study", ""))
    found: list[str] = []
    if study is None:
        return found
    for name in of.get("datasets", ()):
        titles = [
            entry.title or dataset
            for dataset in study.datasets
            if name in (entry := edition.datasets[dataset]).stands_for and not entry.is_papers(name)
        ]
        found += [f"{PAPERS[name]} → {', '.join(titles)}"] if titles else []
    return found


def counted(outcomes: dict[str, int]) -> str:
    """Return how many models had each outcome, as "1 learns, 3 collapse"."""
    return ", ".join(
        f"{n:,} {name.removesuffix('s') if n != 1 and name in OUTCOMES else name}" for name, n in outcomes.items()
    )
