"""What several judges share: paired curves, repeats, and diverged models."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from wframe.claims.evidence import Evidence
from wframe.results.statistics import Interval
from wframe.results.store import Store

Settings = Sequence[str | None]  # None: the study's first setting


def curves_of(
    store: Store, study: str, datasets: Iterable[str], setting: str | None, method: str, measure: str
) -> pd.DataFrame:
    """Return one measure's curves on the datasets that stand for the paper's: iterations × groups."""
    return store.by_group(study, store.standing_for(study, datasets), setting, method, measure)


def pairs(
    store: Store,
    measure: str,
    study: str,
    datasets: list[str],
    settings: Settings,
    frame_setting: str | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return FRAME's and wFRAME's curves of a measure over all settings: two frames with the same columns.

    `frame_setting` compares FRAME under that setting with wFRAME under the others (the collapse study's clipping).
    """
    frame, wframe = {}, {}
    for setting in settings:
        frame[str(setting)] = curves_of(store, study, datasets, frame_setting or setting, "frame", measure)
        wframe[str(setting)] = curves_of(store, study, datasets, setting, "wframe", measure)
    ours, base = pd.concat(wframe, axis=1), pd.concat(frame, axis=1)
    both = base.columns.intersection(ours.columns)
    return base[both], ours[both]


def evidence(store: Store, study: str, statistic: str, interval: Interval, unit: str = "groups") -> Evidence:
    """Return evidence that was computed from a study's curves."""
    return Evidence(statistic, *interval, unit, frozenset({store.curves_file(study)}))


def mean_over_repeats(values: pd.Series) -> np.ndarray:
    """Return the means over repeats: those of one group have its images in common, and aren't new evidence."""
    levels = [place for place, name in enumerate(values.index.names) if name != "repeat"]
    return values.astype(float).groupby(level=levels, sort=False).mean().to_numpy()


def with_diverged_worst(*curves: pd.DataFrame) -> tuple[list[pd.DataFrame], str]:
    """Return curves in which a diverged group stands at the worst that any group reached, and words on how many do.

    To leave them out would favour the method that diverges.
    """
    worst = np.nanmax([np.nanmax(np.abs(part.to_numpy()), initial=-np.inf) for part in curves])
    gone = [int(part.iloc[-1].isna().sum()) for part in curves]
    if not np.isfinite(worst):
        return list(curves), ""
    note = f" ({sum(gone)} diverged runs count as the worst that was reached)" if any(gone) else ""
    return [part.fillna(worst) for part in curves], note
