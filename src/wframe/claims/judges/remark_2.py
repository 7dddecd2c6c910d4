"""The judge of Remark 2."""

from wframe.claims.evidence import Evidence, judge
from wframe.results.statistics import share_interval
from wframe.results.store import Store


@judge
def remark_2(store: Store) -> Evidence:
    """The share of chains at which ∇ₓΦ doesn't change under a tiny step, so that ∇|∇ₓΦ|² = 0 there."""
    table = store.measurement("piecewise")
    interval = share_interval(table["change"] < 1e-9)
    files = frozenset({"measurements/piecewise.csv"})
    return Evidence("share of chains where ∇|∇ₓΦ|² vanishes", *interval, "chains", files)
