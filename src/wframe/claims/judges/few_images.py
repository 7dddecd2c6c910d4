"""The judge of Figure 6: models trained on a few images."""

import numpy as np

from wframe.claims.evidence import Evidence, judge
from wframe.results.statistics import mean_interval
from wframe.results.store import NotAvailable, Store


@judge
def few_images(store: Store, baseline: str, study: str) -> Evidence:
    """Figure 6: R of groups of outputs of a baseline trained on a few images, less what the same images allow.

    That is the greater of wFRAME's R and of a perfect memoriser's (see `wframe few-images`).
    """
    if baseline not in store.edition.baselines:
        raise NotAvailable(f"this edition trains no baseline {baseline!r}")
    entry = store.edition.baselines[baseline]
    classes = [entry.class_] if entry.class_ else store.edition.datasets[entry.dataset].classes
    name = f"few-images/{baseline}"
    table = store.measurement(name)
    memoriser = float(np.mean(table.loc[table["whose"] == "memoriser", "R"]))
    curves = store.curves(study, [entry.dataset], None, "wframe")
    mine = curves[curves["class"].isin(classes) & (curves["iteration"] == curves["iteration"].max())]
    mine = mine[mine["group"] < int(table["groups"].iloc[0]) // len(classes)]
    allowed = max(float(mine["R"].mean()), memoriser)
    outputs = table.loc[table["whose"] == "baseline", "R"].to_numpy()
    return Evidence(
        f"R of {baseline}'s outputs less {allowed:.3g}, the greater of wFRAME's and a perfect memoriser's",
        *mean_interval(outputs - allowed),
        "groups of outputs",
        frozenset({f"measurements/{name}.csv", store.curves_file(study)}),
    )
