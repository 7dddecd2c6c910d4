"""Where the penalty's own step of θ can't settle, and what became of the groups there.

By the penalty alone θ takes an explicit step with the gain g = λβe/D (see `wframe gain`, which measures e/D for each
group). Beyond a limit that step can't settle. It knows nothing of FRAME's own limit, so it is a prediction to check.
"""

import pandas as pd

from wframe.results.curves import by_group
from wframe.results.outcomes import lost
from wframe.results.store import NotAvailable, Store

LIMITS = {"renewed": 2.0, "kept": 21**0.5 - 3}  # of g, by line 12's reading; with `kept` in mean square
WORDS = {"renewed": "2, as printed", "kept": "1.58 (in mean square), with the delayed penalty"}
COLUMNS = ["dataset", "class", "setting", "group", "before", "gain", "beyond", "lost"]


def gains(store: Store, study: str) -> pd.DataFrame:
    """Return a row per setting and measured group of wFRAME: its g, whether that is beyond the limit, and the outcome.

    `lost` is the share of the group's repeats that collapse or diverge. Empty where nothing was measured.
    """
    try:
        measured = store.measurement("gain").astype({"dataset": str, "class": str})
    except NotAvailable:
        return pd.DataFrame(columns=COLUMNS)
    parts, entry = [], store.study(study)
    for dataset in entry.datasets if "wframe" in entry.methods else ():
        table = measured[measured["dataset"] == dataset]
        for setting in entry.points if len(table) else ():
            c = store.edition.constants(study, dataset, setting, "wframe")
            curves = store.curves(study, [dataset], setting, "wframe")
            if c.penalty != "mean" or c.theta != "position" or c.beta == 0 or c.clip is not None or curves.empty:
                continue
            gone = lost(by_group(curves, "R"), by_group(curves, "energy")).astype(float)
            rates = gone.groupby(level=["dataset", "class", "group"]).mean().rename("lost").reset_index()
            found = table.merge(rates.astype({"dataset": str, "class": str}), on=["dataset", "class", "group"])
            found["gain"] *= c.lambda_ * c.beta
            parts.append(found.assign(setting=setting, before=c.before, beyond=found["gain"] > LIMITS[c.before]))
    return pd.concat(parts, ignore_index=True)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)


def prediction(table: pd.DataFrame) -> str:
    """Say how many groups of `gains` are lost on both sides of each limit; an empty text if there are none."""
    said = []
    for before, part in table.groupby("before", sort=False):
        beyond, below = (part.loc[part["beyond"] == side, "lost"] for side in (True, False))
        said.append(
            f"the limit of g is {WORDS[str(before)]}; wFRAME loses {beyond.sum():.3g} of the {len(beyond)} groups "
            f"beyond it, and {below.sum():.3g} of the {len(below)} below it (median g {part['gain'].median():.3g})"
        )
    return "; ".join(said)
