"""The judge of Figure 6: models trained on a few images."""

import numpy as np

from wframe.claims.evidence import Evidence, judge
from wframe.measurements.diversity import spread
from wframe.results.curves import by_group
from wframe.results.outcomes import lost
from wframe.results.statistics import around
from wframe.results.store import NotAvailable, Store

LEAST = 0.5  # half a grey level is alike
GROUPS = 3  # of wFRAME, at most


@judge
def few_images(store: Store, baseline: str, study: str) -> Evidence:
    """How different a baseline's outputs are from one another, over what distinct images are: below 1 is alike.

    The mean distance between the images of a group of outputs, over the least of the same of wFRAME's chains, of
    random draws from the training images, and of real images that weren't trained on. R plays no part in it, except
    that chains which are lost are no images, however different: they count as collapsed. Repeated trainings are what
    is independent.
    """
    if baseline not in store.edition.baselines:
        raise NotAvailable(store.why_no("baseline", baseline, "trains"))
    entry = store.edition.baselines[baseline]
    name = f"few-images/{baseline}"
    table = store.measurement(name)
    found = table.groupby("whose")["spread"].mean()
    run = store.run(study, entry.dataset, "wframe", None, entry.class_)
    curves = store.curves(study, [run.dataset], run.setting, run.method)
    curves = curves[(curves["class"] == run.class_) & (curves["repeat"] == run.repeat)]
    gone = lost(by_group(curves, "R"), by_group(curves, "energy")).droplevel(["dataset", "class", "repeat"])
    chains = [0.0 if gone[place] else spread(group) for place, group in enumerate(store.images(run)[:GROUPS])]
    allowed = {
        "wFRAME's chains": float(np.mean(chains)),
        "draws from the training images": float(found["memoriser"]),
        "held-out real images": float(found.get("held-out", np.inf)),
    }
    whose, least = min(allowed.items(), key=lambda item: item[1])
    outputs = table[table["whose"] == "baseline"].groupby("repeat")[["spread", "recall"]].mean()
    ratios = outputs["spread"].to_numpy() / max(least, LEAST)
    error = float(ratios.std(ddof=1) / np.sqrt(len(ratios))) if len(ratios) > 1 else np.inf
    shown = ", ".join(f"{key} {value:.3g}" for key, value in allowed.items() if np.isfinite(value))
    own = outputs["spread"].mean()
    notes = [f"mean distance between the images of a group, in grey levels: outputs {own:.3g}, {shown}"]
    notes += [f"of the training images, a group of outputs is nearest to {outputs['recall'].mean():.2g}, on average"]
    notes += [f"{chains.count(0.0)} of wFRAME's {len(chains)} groups are lost"] if 0.0 in chains else []
    notes += [] if "held-out" in found else ["no real images are left that weren't trained on"]
    return Evidence(
        f"how different {baseline}'s outputs are from one another, over the same of {whose}",
        around(float(ratios.mean()), error, len(ratios)),
        "repeats",
        frozenset({f"measurements/{name}.csv"}),
        notes=tuple(notes),
    )
