"""The judge of the paper's theory."""

from wframe.claims.evidence import Evidence, computed, judge
from wframe.results.store import NotAvailable, Store


@judge
def theory(store: Store, statement: str) -> Evidence:
    """How far a statement, as the paper prints it, is from what was computed (0 where it holds exactly)."""
    found = store.theory(statement)
    if found["gap"] is None:
        raise NotAvailable("our copy of the paper doesn't say enough to compute it")
    gap, correction = found["gap"], found["correction"]
    evidence = computed(
        found["gap_is"], gap["value"], gap["low"], gap["high"], "computation", frozenset({"measurements/theory.json"})
    )
    return evidence._replace(notes=(f"{found['outcome']}: {correction}" if correction else found["outcome"],))
