"""The judge of reconstruction: a baseline with an encoder against wFRAME's Langevin steps from the image."""

import numpy as np

from wframe.claims.evidence import Evidence, judge
from wframe.results.statistics import around
from wframe.results.store import NotAvailable, Store


@judge
def reconstruction(store: Store, baseline: str) -> Evidence:
    """Log of the distance of held-out images from a baseline's reconstructions, over that from wFRAME's: the median.

    Paired by image (see `wframe reconstruct`). Images of one training don't say how another would do, so repeated
    trainings are what n counts; the table has one.
    """
    if baseline not in store.edition.baselines:
        raise NotAvailable(store.why_no("baseline", baseline, "trains"))
    name = f"reconstructions/{baseline}"
    table = store.measurement(name).pivot_table(index="index", columns="whose", values="distance", dropna=False)
    theirs = store.edition.baselines[baseline].model
    if not {theirs, "wframe"} <= set(table.columns):
        raise NotAvailable(f"measurement {name!r} has no reconstructions of {theirs} and wFRAME")
    paired = table.loc[table["wframe"].notna() | table[theirs].isna(), [theirs, "wframe"]].fillna(np.inf)
    finite = paired.clip(lower=0.5)  # half a grey level is the same
    with np.errstate(invalid="ignore"):
        logs = np.where(finite[theirs] == finite["wframe"], 0.0, np.log(finite[theirs]) - np.log(finite["wframe"]))
    means = ", ".join(f"{whose} {value:.3g}" for whose, value in table.mean().items())
    return Evidence(
        f"log of the distance to {baseline}'s reconstruction over that to wFRAME's: median over images",
        around(float(np.median(logs)), np.inf, 1),
        "repeats",
        frozenset({f"measurements/{name}.csv"}),
        notes=(
            f"{int((logs > 0).sum())} of {len(logs)} held-out images are farther from {baseline}'s reconstruction",
            f"mean distances in grey levels: {means}",
            "wFRAME starts from the image itself, ALI from its code",
            "one training says nothing of another",
        ),
    )
