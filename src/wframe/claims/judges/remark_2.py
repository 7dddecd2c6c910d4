"""The judge of Remark 2."""

from wframe.claims.evidence import Evidence, judge
from wframe.results.statistics import share
from wframe.results.store import Store

ROUNDING = 1e-14  # of the gradient: on one piece it changes by nothing; a smooth Φ's moves with the step, by 1e-9


@judge
def remark_2(store: Store) -> Evidence:
    """The share of chains at which ∇ₓΦ doesn't change under a tiny step, so that ∇|∇ₓΦ|² = 0 there.

    The change is taken relative to the gradient, of which a smooth Φ of any scale fails.
    """
    table = store.measurement("piecewise")
    vanishes = (table["change"] <= ROUNDING * table["gradient"]) & (table["gradient"] > 0)
    files = frozenset({"measurements/piecewise.csv"})
    return Evidence("share of chains where ∇|∇ₓΦ|² vanishes", share(vanishes), "chains", files)
