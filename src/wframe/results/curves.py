"""Curves: one row per run, group and iteration, as `wframe train` writes them."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from wframe.results.statistics import middle

RUN = ["study", "dataset", "class", "setting", "method", "repeat"]  # the columns that say which run a row is of
GROUP = ["dataset", "class", "repeat", "group"]  # what identifies a model within a study, setting and method


def by_group(curves: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return one measure's curves side by side: iterations × (dataset, class, repeat, group)."""
    # `pivot` has a column for each group that there is; `pivot_table` would have one for each combination
    return curves.pivot(index="iteration", columns=GROUP, values=measure)


def over_repeats(curves: pd.DataFrame) -> pd.DataFrame:
    """Return the median over a group's repeats in each iteration, of curves iterations × models: a column per group."""
    levels = [name for name in curves.columns.names if name != "repeat"]
    return curves.T.groupby(level=levels, sort=False).median().T


def per_group(values: pd.Series) -> np.ndarray:
    """Return a value for each group, the median over its repeats: these share its images and are no new evidence."""
    return _over_repeats(values, lambda found: middle(np.sort(found)))


def rates(happens: pd.Series) -> np.ndarray:
    """Return in which share of a group's repeats something happens, for each group."""
    return _over_repeats(happens, np.mean)


def _over_repeats(values: pd.Series, reduce: Callable[[np.ndarray], float]) -> np.ndarray:
    values = values.astype(float)
    if values.isna().any():
        raise ValueError(f"{int(values.isna().sum())} models without a value: say what they count as first")
    levels = [place for place, name in enumerate(values.index.names) if name != "repeat"]
    return np.array([reduce(part.to_numpy()) for _, part in values.groupby(level=levels)])
