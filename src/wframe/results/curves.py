"""Curves: one row per run, group and iteration, as `wframe train` writes them."""

import pandas as pd

RUN = ["study", "dataset", "class", "setting", "method", "repeat"]  # the columns that say which run a row is of
GROUP = ["dataset", "class", "repeat", "group"]  # what identifies a model within a study, setting and method


def by_group(curves: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return one measure's curves side by side: iterations × (dataset, class, repeat, group)."""
    # `pivot` has a column for each group that there is; `pivot_table` would have one for each combination
    return curves.pivot(index="iteration", columns=GROUP, values=measure)
