"""The judge of Figure 6: models trained on a few images."""

import numpy as np

from wframe.claims.evidence import Evidence, judge
from wframe.claims.judges._common import EXCESS
from wframe.measurements.diversity import spread
from wframe.results.curves import by_group
from wframe.results.outcomes import lost
from wframe.results.statistics import around
from wframe.results.store import NotAvailable, Store

LEAST = 0.5  # half a grey level is alike


@judge
def few_images(store: Store, baseline: str, study: str) -> Evidence:
    """How different a baseline's outputs are from one another, over what distinct images are: below 1 is alike.

    The mean distance between the images of a group of outputs, over the least of the same of wFRAME's chains, of
    random draws from the training images, and of real images that weren't trained on. R plays no part in it, except
    that chains which are lost are no images, however different. Where wFRAME loses a tenth of its groups or more, its
    outputs aren't said to be whole where the baseline's are collapsed. Repeated trainings are what is independent;
    what they are set against has an error of its own, over wFRAME's groups or over draws.
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
    chains = [spread(group) for place, group in enumerate(store.images(run)) if not gone[place]]
    allowed = {
        **({"wFRAME's chains": np.array(chains)} if chains else {}),
        "draws from the training images": found["memoriser"],
        **({"held-out real images": found["held-out"]} if "held-out" in found else {}),
    }
    whose = min(allowed, key=lambda name: allowed[name].mean())
    outputs = table[table["whose"] == "baseline"].groupby("repeat")[["spread", "recall"]].mean()
    own, least = outputs["spread"].mean(), max(allowed[whose].mean(), LEAST)
    error = (
        float(np.hypot(_error(outputs["spread"].to_numpy()), max(own, LEAST) / least * _error(allowed[whose]))) / least
    )
    estimate = around(own / least, error, min(len(outputs), len(allowed[whose])))
    if gone.mean() >= EXCESS:
        within = estimate.interval
        estimate = estimate._replace(interval=lambda level: (within(level)[0], np.inf), open=True)
    shown = ", ".join(f"{key} {values.mean():.3g}" for key, values in allowed.items())
    notes = [f"mean distance between the images of a group, in grey levels: outputs {own:.3g}, {shown}"]
    notes += [f"of the training images, a group of outputs is nearest to {outputs['recall'].mean():.2g}, on average"]
    notes += [f"{int(gone.sum())} of wFRAME's {len(gone)} groups are lost"] if gone.any() else []
    notes += [] if "held-out" in found else ["no real images are left that weren't trained on"]
    return Evidence(
        f"how different {baseline}'s outputs are from one another, over the same of {whose}",
        estimate,
        "repeats",
        frozenset({f"measurements/{name}.csv"}),
        notes=tuple(notes),
    )


def _error(values: np.ndarray) -> float:
    """Return the standard error of a mean; infinite for one value."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else np.inf
