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
    is independent; what they are set against has an error of its own, over wFRAME's groups or over draws.
    """
    if baseline not in store.edition.baselines:
        raise NotAvailable(store.why_no("baseline", baseline, "trains"))
    entry = store.edition.baselines[baseline]
    name = f"few-images/{baseline}"
    table = store.measurement(name)
    found = {str(whose): values.to_numpy(float) for whose, values in table.groupby("whose")["spread"]}
    run = store.run(study, entry.dataset, "wframe", None, entry.class_)
    curves = store.curves(study, [run.dataset], run.setting, run.method)
    curves = curves[(curves["class"] == run.class_) & (curves["repeat"] == run.repeat)]
    gone = lost(by_group(curves, "R"), by_group(curves, "energy")).droplevel(["dataset", "class", "repeat"])
    chains = [0.0 if gone[place] else spread(group) for place, group in enumerate(store.images(run)[:GROUPS])]
    allowed = {
        "wFRAME's chains": np.array(chains),
        "draws from the training images": found["memoriser"],
        **({"held-out real images": found["held-out"]} if "held-out" in found else {}),
    }
    whose = min(allowed, key=lambda name: allowed[name].mean())
    outputs = table[table["whose"] == "baseline"].groupby("repeat")[["spread", "recall"]].mean()
    own, least = outputs["spread"].mean(), max(allowed[whose].mean(), LEAST)
    errors = _error(outputs["spread"].to_numpy()) / max(own, LEAST), _error(allowed[whose]) / least
    shown = ", ".join(f"{key} {values.mean():.3g}" for key, values in allowed.items())
    notes = [f"mean distance between the images of a group, in grey levels: outputs {own:.3g}, {shown}"]
    notes += [f"of the training images, a group of outputs is nearest to {outputs['recall'].mean():.2g}, on average"]
    notes += [f"{chains.count(0.0)} of wFRAME's {len(chains)} groups are lost"] if 0.0 in chains else []
    notes += [] if "held-out" in found else ["no real images are left that weren't trained on"]
    return Evidence(
        f"how different {baseline}'s outputs are from one another, over the same of {whose}",
        around(own / least, float(np.hypot(*errors)) * own / least, min(len(outputs), len(allowed[whose]))),
        "repeats",
        frozenset({f"measurements/{name}.csv"}),
        notes=tuple(notes),
    )


def _error(values: np.ndarray) -> float:
    """Return the standard error of a mean; infinite for one value."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else np.inf
