"""The judge of the paper's theory."""

from wframe.claims.evidence import Evidence, judge
from wframe.results.store import NotAvailable, Store


@judge
def theory(store: Store, statement: str) -> Evidence:
    """How far a statement, as the paper prints it, is from what was computed (0 where it holds exactly)."""
    found = store.theory(statement)
    if found["gap"] is None:
        raise NotAvailable("our copy of the paper doesn't say enough to compute it")
    gap, correction = found["gap"], found["correction"]
    note = f"; {found['outcome']}" + (f": {correction}" if correction else "")
    return Evidence(
        f"{found['gap_is']}{note}", gap["value"], gap["low"], gap["high"], 1, "computation", frozenset({"theory.json"})
    )
