"""The judge of Figure 6: models trained on a few images."""

import numpy as np

from wframe.claims.evidence import Evidence, judge
from wframe.measurements.diversity import spread
from wframe.results.statistics import around
from wframe.results.store import NotAvailable, Store


@judge
def few_images(store: Store, baseline: str, study: str) -> Evidence:
    """How different a baseline's outputs are from one another, over what distinct images are: below 1 is alike.

    The mean distance between the images of a group of outputs, over the least of the same of wFRAME's chains, of
    random draws from the training images, and of real images that weren't trained on. R plays no part in it. Repeated
    trainings are what is independent.
    """
    if baseline not in store.edition.baselines:
        raise NotAvailable(store.why_no("baseline", baseline, "trains"))
    entry = store.edition.baselines[baseline]
    name = f"few-images/{baseline}"
    table = store.measurement(name)
    found = table.groupby("whose")["spread"].mean()
    runs = [store.run(study, entry.dataset, "wframe", None, entry.class_)]
    allowed = {
        "wFRAME's chains": float(np.mean([spread(group) for run in runs for group in store.images(run)[:3]])),
        "draws from the training images": float(found["memoriser"]),
        "held-out real images": float(found.get("held-out", np.inf)),
    }
    whose, least = min(allowed.items(), key=lambda item: item[1])
    outputs = table[table["whose"] == "baseline"].groupby("repeat")[["spread", "recall"]].mean()
    ratios = outputs["spread"].to_numpy() / least
    error = float(ratios.std(ddof=1) / np.sqrt(len(ratios))) if len(ratios) > 1 else np.inf
    shown = ", ".join(f"{key} {value:.3g}" for key, value in allowed.items() if np.isfinite(value))
    own = outputs["spread"].mean()
    notes = [f"mean distance between the images of a group, in grey levels: outputs {own:.3g}, {shown}"]
    notes += [f"of the training images, a group of outputs is nearest to {outputs['recall'].mean():.2g}, on average"]
    notes += [] if "held-out" in found else ["no real images are left that weren't trained on"]
    return Evidence(
        f"how different {baseline}'s outputs are from one another, over the same of {whose}",
        around(float(ratios.mean()), error, len(ratios)),
        "repeats",
        frozenset({f"measurements/{name}.csv"}),
        notes=tuple(notes),
    )
