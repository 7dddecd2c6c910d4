"""The judge of reconstruction: a baseline with an encoder against wFRAME's Langevin steps from the image."""

import numpy as np

from wframe.claims.evidence import Evidence, judge
from wframe.results.statistics import median
from wframe.results.store import NotAvailable, Store


@judge
def reconstruction(store: Store, baseline: str) -> Evidence:
    """Log of the distance of held-out images from a baseline's reconstructions, over that from wFRAME's: the median.

    Paired by image (see `wframe reconstruct`).
    """
    if baseline not in store.edition.baselines:
        raise NotAvailable(store.why_no("baseline", baseline, "trains"))
    name = f"reconstructions/{baseline}"
    table = store.measurement(name).pivot_table(index="index", columns="whose", values="distance")
    theirs = store.edition.baselines[baseline].model
    if not {theirs, "wframe"} <= set(table.columns):
        raise NotAvailable(f"measurement {name!r} has no reconstructions of {theirs} and wFRAME")
    paired = table[[theirs, "wframe"]].dropna()
    logs = np.log(paired[theirs].clip(lower=0.5) / paired["wframe"].clip(lower=0.5))  # half a grey level is the same
    means = ", ".join(f"{whose} {value:.3g}" for whose, value in table.mean().items())
    return Evidence(
        f"log of the distance to {baseline}'s reconstruction over that to wFRAME's",
        median(logs),
        "held-out images",
        frozenset({f"measurements/{name}.csv"}),
        notes=(f"mean distances in grey levels: {means}", "wFRAME starts from the image itself, ALI from its code"),
    )
