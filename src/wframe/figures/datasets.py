"""The figures of a study that compares datasets."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import pandas as pd

from wframe.config.learning import METHODS
from wframe.figures.canvas import PAGE, Figure, joined, show
from wframe.figures.curves import BAND, MEDIANS, about_energy, draw_curves, strips
from wframe.figures.film import film
from wframe.results.store import Store


def samples(store: Store, study: str) -> Iterator[Figure]:
    """Draw observed, FRAME and wFRAME images per dataset and class (the paper's Figures 2, 5, 7, 8 and 9)."""
    methods = {
        (run.dataset, run.class_, run.setting): {
            other.method: other
            for other in store.runs(study)
            if (other.dataset, other.class_, other.setting) == (run.dataset, run.class_, run.setting)
        }
        for run in store.runs(study)
    }
    for (dataset, class_, setting), runs in methods.items():
        first = next(iter(runs.values()))
        finals = {method: store.images(run) for method, run in runs.items()}
        groups = min(2, *(len(images) for images in finals.values()))
        columns = 1 + len(runs)
        canvas, grid = plt.subplots(groups, columns, figsize=(PAGE * columns / 3, 2.4 * groups + 0.2), squeeze=False)
        rows = []
        for group in range(groups):
            show(grid[group, 0], store.observed(first, group))
            for column, (method, run) in enumerate(runs.items(), start=1):
                show(grid[group, column], finals[method][group], store.diverged(run, group))
            grid[group, 0].set_ylabel(f"group {group}")
            rows += [(dataset, class_, setting, group, name) for name in ("observed", *runs)]
        for column, title in enumerate(["observed", *(METHODS[method] for method in runs)]):
            grid[0, column].set_title(title)
        label = store.class_title(dataset, class_)
        yield Figure(
            joined("samples", dataset, class_, *([] if setting == "base" else [setting])),
            label,
            "The nine observed images of a group, and those that FRAME and wFRAME synthesise at the end of learning.",
            f"{label}: sheets of nine images, observed, FRAME and wFRAME, for {groups} group(s).",
            canvas,
            pd.DataFrame(rows, columns=["dataset", "class", "setting", "group", "column"]),
            half=True,
        )


def response_distance(store: Store, study: str) -> Iterator[Figure]:
    """Draw R over the learning iterations, the median over groups (the paper's Figure 4, which has means)."""
    canvas, numbers = draw_curves(store, study, "R", "response distance R")
    ends = numbers[numbers["iteration"] == numbers["iteration"].max()]
    outcome = "; ".join(f"{row.dataset} {METHODS[row.method]} {row.median:.3g}" for row in ends.itertuples())
    yield Figure(
        "response-distance",
        "Response distance R",
        f"Median over groups. {BAND} {MEDIANS} Lower is better.",
        f"Curves of R for each dataset. At the end: {outcome}.",
        canvas,
        numbers,
    )


def energies(store: Store, study: str) -> Iterator[Figure]:
    """Draw Φ(x; θ) over the learning iterations (the paper's Figure 1, right)."""
    canvas, numbers = draw_curves(store, study, "energy", "energy Φ(x; θ)")
    ends = numbers[numbers["iteration"] == numbers["iteration"].max()]
    outcome = "; ".join(f"{row.dataset} {METHODS[row.method]} {row.median:.4g}" for row in ends.itertuples())
    diverged = bool((ends["n"] < ends["groups"]).any())
    yield Figure(
        "energy",
        "Energy Φ of the chains",
        f"Median over groups. {BAND} {about_energy(canvas, diverged)} In the paper, the best curve falls slowly to "
        "slightly above 0.",
        f"Curves of the energy for each dataset. At the end: {outcome}.",
        canvas,
        numbers,
    )


def evolution(store: Store, study: str) -> Iterator[Figure]:
    """Draw the evolution of each class's images with the energy beside it (the paper's Figure 1)."""
    setting = store.study(study).first
    for dataset in store.study(study).datasets:
        for class_ in store.edition.datasets[dataset].classes:
            runs = [
                run for run in store.runs(study) if (run.dataset, run.class_, run.setting) == (dataset, class_, setting)
            ]
            name, title = joined("evolution", dataset, class_), store.class_title(dataset, class_)
            yield strips(store, study, runs, name, title, "energy")._replace(film=film(store, runs))
