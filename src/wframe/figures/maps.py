"""The figures of a study that maps a grid of constants: where groups learn, stall, collapse and diverge."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke

from wframe.config.learning import METHODS, Method
from wframe.config.studies import Study
from wframe.figures.canvas import PAGE, Figure, joined, show
from wframe.results.curves import by_group
from wframe.results.gain import LIMITS
from wframe.results.outcomes import OUTCOMES, outcomes
from wframe.results.store import Store
from wframe.results.text import symbol

SHADES = dict(zip(OUTCOMES, ("#2c7fb8", "#c7e9b4", "#fdae61", "#8c2d04"), strict=True))

BOUND = (
    " The black line is where the penalty alone makes θ's step unstable (the median over groups). It knows nothing of "
    "FRAME's own limit."
)


def outcome_map(store: Store, study: str) -> Iterator[Figure]:
    """Draw the outcomes over the grid: a panel for each dataset, method and setting, a cell for each combination."""
    entry = store.study(study)
    x, y = axes_of(entry)
    for dataset in entry.datasets:
        panels = [(method, setting) for method in entry.methods for setting in entry.settings]
        titles = [_panel(store, study, dataset, method, setting) for method, setting in panels]
        tall = 0.9 + 0.32 * len(entry.grid[y] if y else [0])
        canvas, grid = plt.subplots(len(panels), 1, figsize=(PAGE, tall * len(panels) + 0.4), squeeze=False)
        parts = []
        for axes, title, (method, setting) in zip(grid[:, 0], titles, panels, strict=True):
            counts = count(store, study, dataset, method, setting)
            _cells(axes, counts)
            axes.set_xticks(range(len(entry.grid[x])), [f"{value:g}" for value in entry.grid[x]])
            if y:
                axes.set_yticks(range(len(entry.grid[y])), [f"{value:g}" for value in entry.grid[y]])
                axes.set_ylabel(symbol(y))
            else:
                axes.set_yticks([])
            axes.set_title(title if titles.count(title) == 1 else f"{title}: {setting}", loc="left")
            _bound(axes, store, study, dataset, setting)
            parts.append(counts.assign(dataset=dataset, method=method, setting=setting))
        grid[-1, 0].set_xlabel(symbol(x))
        handles: list[Artist] = [Patch(color=shade, label=name) for name, shade in SHADES.items()]
        if x == "lambda":
            handles.append(plt.Line2D([], [], color="black", lw=1.2, label="bound from the penalty's gain"))
        canvas.legend(handles=handles, loc="outside upper right", ncols=5, fontsize=7)
        numbers = pd.concat(parts, ignore_index=True)
        yield Figure(
            joined("map", dataset),
            f"{store.title(dataset)}: outcomes over {' and '.join(map(symbol, entry.grid))}",
            f"Each cell is the share of groups that learn, stall, collapse or diverge ({groups(numbers)} groups a "
            "cell); the number is how many are lost. β = 0 is FRAME." + (BOUND if x == "lambda" else ""),
            _in_words(numbers, x, y),
            canvas,
            numbers,
        )


def axes_of(study: Study) -> tuple[str, str | None]:
    """Return the grid's constants: the one along x, and the one along y if there is a second."""
    x, *rest = study.grid
    return x, rest[0] if rest else None


def _panel(store: Store, study: str, dataset: str, method: Method, setting: str) -> str:
    """Return a panel's title: the method, the kind of its penalty, and whether θ is clipped."""
    entry = store.study(study)
    c = store.edition.constants(study, dataset, next(iter(entry.over_grid(setting))), method)
    clipped = f", |θ| ≤ {c.clip:g}" if c.clip is not None else ""
    if method == "frame":
        return METHODS["frame"] + clipped
    if c.beta == 0 and "beta" not in entry.grid:
        return f"{METHODS['frame']} (β = 0){clipped}"
    return f"{METHODS[method]}, {'delayed penalty' if c.before == 'kept' else 'penalty as printed'}{clipped}"


def count(store: Store, study: str, dataset: str, method: str, setting: str) -> pd.DataFrame:
    """Return a row per combination of the grid, in its order: its values, and how many groups had each outcome."""
    entry = store.study(study)
    rows = []
    for point, change in entry.over_grid(setting).items():
        curves = store.curves(study, [dataset], point, method)
        became = outcomes(by_group(curves, "R"), by_group(curves, "energy")).value_counts()
        values = change.model_dump(by_alias=True)
        rows.append({name: values[name] for name in entry.grid} | {name: int(became.get(name, 0)) for name in OUTCOMES})
    return pd.DataFrame(rows)


def samples(store: Store, study: str) -> Iterator[Figure]:
    """Draw the first group's chains at the end over the grid, in the first setting: what the outcomes look like."""
    entry = store.study(study)
    setting, method = next(iter(entry.settings)), entry.methods[-1]
    x, y = axes_of(entry)
    for dataset in entry.datasets:
        class_ = store.edition.datasets[dataset].classes[0]
        points = list(entry.over_grid(setting))
        columns = len(entry.grid[x])
        rows = len(points) // columns
        canvas, grid = plt.subplots(rows, columns, figsize=(PAGE, PAGE / columns * rows + 0.4), squeeze=False)
        for place, point in enumerate(points):
            column, line = divmod(place, rows)  # the grid's second constant changes first; upwards, as in the map
            axes = grid[rows - 1 - line, column]
            run = store.run(study, dataset, method, point, class_)
            curves = store.curves(study, [dataset], point, method)
            mine = curves[(curves["class"] == class_) & (curves["group"] == 0) & (curves["repeat"] == 0)]
            gone = int(mine["diverged"].iloc[-1])
            show(axes, store.images(run)[0], gone if gone >= 0 else None)
            if column == 0 and y:
                axes.set_ylabel(f"{symbol(y)} = {entry.grid[y][line]:g}", fontsize=7)
            if line == rows - 1:
                axes.set_title(f"{symbol(x)} = {entry.grid[x][column]:g}", fontsize=7)
        yield Figure(
            joined("samples", dataset),
            f"{store.title(dataset)}: samples over {' and '.join(map(symbol, entry.grid))}",
            f"The first group's chains after the last iteration, {METHODS[method]}, {setting}.",
            f"A grid of sheets of samples over {' and '.join(map(symbol, entry.grid))}.",
            canvas,
            pd.DataFrame({"setting": points}),
        )


def groups(numbers: pd.DataFrame) -> str:
    """Return how many groups a cell has, in words."""
    of = numbers[list(OUTCOMES)].sum(axis=1)
    return str(of.min()) if of.min() == of.max() else f"{of.min()} to {of.max()}"


def _cells(axes: Axes, counts: pd.DataFrame) -> None:
    """Fill each cell with bars as wide as the outcomes' shares, and write how many groups are lost."""
    first, second = counts.columns[0], counts.columns[1]
    ys = list(dict.fromkeys(counts[second])) if second not in OUTCOMES else [None]
    for place, row in counts.iterrows():
        column, line = divmod(int(str(place)), len(ys))
        left, of = column - 0.47, row[list(OUTCOMES)].sum()
        for name in OUTCOMES:
            wide = 0.94 * row[name] / of
            axes.add_patch(Rectangle((left, line - 0.45), wide, 0.9, color=SHADES[name], lw=0))
            left += wide
        if lost := row["collapses"] + row["diverges"]:
            number = axes.text(column, line, f"{lost:g}", ha="center", va="center", fontsize=7)
            number.set_path_effects([withStroke(linewidth=1.8, foreground="white")])  # readable on every shade
    axes.set_xlim(-0.55, len(dict.fromkeys(counts[first])) - 0.45)
    axes.set_ylim(-0.5, len(ys) - 0.5)


def _bound(axes: Axes, store: Store, study: str, dataset: str, setting: str) -> None:
    """Draw the value of λ, in each row of cells, at which the penalty's gain reaches its limit."""
    entry = store.study(study)
    if next(iter(entry.grid)) != "lambda":
        return
    table = pd.read_csv(store.folder / "measurements/gain.csv")
    gain = table.loc[table["dataset"] == dataset, "gain"].median()
    λ = np.log([float(value) for value in entry.grid["lambda"]])
    points = list(entry.over_grid(setting))
    for line, point in enumerate(points[: len(points) // len(λ)]):
        c = store.edition.constants(study, dataset, point, "wframe")
        if c.beta == 0 or c.clip is not None:
            continue
        place = np.interp(np.log(LIMITS[c.before] / (gain * c.beta)), λ, range(len(λ)), left=np.nan, right=np.nan)
        if np.isfinite(place):
            axes.plot([place, place], [line - 0.5, line + 0.5], color="black", lw=1.2)


def _in_words(numbers: pd.DataFrame, x: str, y: str | None) -> str:
    """Return the alt text: for each row of cells, up to which value all groups stay, and from which all are lost."""
    lost = numbers["collapses"] + numbers["diverges"]
    of = numbers[list(OUTCOMES)].sum(axis=1)
    keys = ["method", "setting", *([y] if y else [])]
    said = []
    for names, part in numbers.assign(none=lost == 0, all=lost == of).groupby(keys, sort=False):
        method, setting, *value = names
        row = f"{METHODS[str(method)]}, {setting}" + "".join(f", {symbol(y or '')} = {of:g}" for of in value)
        first_lost = part.loc[~part["none"], x].min()
        all_lost = part.loc[part["all"], x].min()
        begins = "none is lost" if np.isnan(first_lost) else f"the first group is lost at {symbol(x)} = {first_lost:g}"
        said.append(f"{row}: {begins}" + ("" if np.isnan(all_lost) else f", all at {all_lost:g}"))
    return "; ".join(said) + "."
