"""Many claims at once: how many verdicts chance alone would get wrong, and which it can't explain.

A verdict of reproduced or contradicted is wrong in at most 2.5% of the cases in which the truth lies on the edge of
what the claim says: an interval misses it at that end in half of the 5%. With some sixty claims that isn't nothing.
Holm's correction keeps the chance of even one false verdict among all claims below 5%.
"""

from collections import Counter
from typing import Any

from wframe.results.statistics import LEVEL

DECIDED = ("reproduced", "contradicted")
ALPHA = 1 - LEVEL


def mark_survivors(records: list[dict[str, Any]]) -> None:
    """Set `survives` of each decided claim: whether Holm's correction leaves its verdict standing.

    The family is every statistic that an interval decides or could have decided, once each.
    """
    family = _family(records)
    standing = True
    survivors = set()
    for rank, record in enumerate(sorted(family, key=lambda r: float(r["ours"]["chance"]))):
        standing = standing and record["ours"]["chance"] <= ALPHA / (len(family) - rank)
        if standing:
            survivors.add(_statistic(record))
    for record in records:
        if _chance(record) is not None and _decided(record):
            record["survives"] = _statistic(record) in survivors


def error_rates(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the page says of chance: how many claims an interval judged, and what to expect of them."""
    family = _family(records)
    decided = [r for r in family if _decided(r)]
    return {
        "judged": len(family),
        "decided": len(decided),
        "expected_false": round(ALPHA / 2 * len(family), 2),  # at most
        "survive": sum(bool(r["survives"]) for r in decided),
        "post_hoc": sum(bool(r["post_hoc"]) for r in records),
        "always": sum(bool(r["always"]) for r in records),
    }


def summarise(records: list[dict[str, Any]], verdicts: tuple[str, ...]) -> str:
    """Return the one line that a run ends with."""
    counts = Counter(record["verdict"] for record in records)
    shared = sum(record["same_as"] is not None for record in records)
    said = f"{len(records)} claims" + (f" ({shared} of them decided by another one's statistic)" if shared else "")
    return f"{said}: " + ", ".join(f"{counts[name]} {name}" for name in verdicts if counts[name])


def _family(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one record of each statistic that has enough values for an interval to decide."""
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        if _chance(record) is not None and record["ours"]["n"] >= record["ours"]["fewest"]:
            found.setdefault(_statistic(record), record)
    return list(found.values())


def _statistic(record: dict[str, Any]) -> str:
    """Return the name of a record's statistic: the first claim that it decides."""
    return str(record["same_as"] or record["id"])


def _chance(record: dict[str, Any]) -> float | None:
    return record["ours"]["chance"] if record["ours"] else None


def _decided(record: dict[str, Any]) -> bool:
    """Whether it got a verdict, or would have in an edition that is compared."""
    return record["verdict"] in DECIDED or record["here"] in ("holds", "doesn't hold")
