"""Studies that map a grid of constants: which runs there are, and the figure of outcomes."""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from wframe.config.edition import Edition, check
from wframe.errors import UserError
from wframe.figures.maps import outcome_map
from wframe.jobs.paths import measurements, shown_in_figures
from wframe.jobs.runs import collapse_images, runs
from wframe.results.store import Store

GRID = {"lambda": [1e-3, 1e-2], "beta": [0, 60]}
GROUPS, T = 4, 20


def edition(**study: object) -> Edition:
    settings = {"printed": {}, "printed-kept": {"before": "kept"}}  # one name is the beginning of the other
    entry = {"datasets": ["faces"], "methods": ["wframe"], "show": "map", "settings": settings, "grid": GRID}
    faces = {"source": "embedded", "path": "faces", "size": 16, "images": 36}
    return check({"edition": "mapped", "datasets": {"faces": faces}, "studies": {"map": entry | study}})


def test_each_setting_is_run_at_each_combination():
    ours = edition()
    names = [run.setting for run in runs(ours, "map")]
    assert len(names) == len(set(names)) == 8 and names[1] == "printed-lambda-0.001-beta-60"
    c = ours.constants("map", "faces", "printed-kept-lambda-0.01-beta-0", "wframe")
    assert (c.lambda_, c.beta, c.before) == (1e-2, 0, "kept")
    assert check(ours.model_dump(by_alias=True)) == ours, "written in full, it reads back as the same"
    assert shown_in_figures(ours, "map") == ["results/measurements/gain.csv"] and measurements(ours)
    assert collapse_images(ours) == ["results/data/faces/all.npy"], "the gain is measured on the map's groups"


@pytest.mark.parametrize(
    ("study", "message"),
    [
        ({"grid": {"lambda": [-1, 1e-3]}}, "grid.lambda = -1: Input should be greater than 0"),
        ({"grid": {"lamda": [1e-3]}}, "grid.lamda = 0.001: Extra inputs are not permitted"),
        ({"grid": {"lambda": [1e-3, 1e-3]}}, "grid.lambda: give each value once"),
        ({"grid": {"lambda": [1e-2, 1e-3]}}, "grid.lambda: give each value once, in ascending order"),
        ({"grid": {"before": ["kept"]}}, "grid.before: give numbers"),
        ({"grid": {"clip": [None, 0.01]}}, "grid.clip: give numbers"),
        ({"settings": {"fast": {"lambda": 1e-2}}}, "the setting 'fast' has its own lambda"),
        ({"grid": {}}, "a grid of constants and `show: map` go together"),
        ({"grid": {"lambda": [1e-3], "beta": [1], "delta": [0.1]}}, "at most 2 items"),
    ],
)
def test_impossible_grids_are_refused(study: dict, message: str):
    with pytest.raises(UserError, match=message):
        edition(**study)


def test_a_cell_counts_its_own_groups(tmp_path: Path):
    """Groups are lost in one cell of one setting only: half of them, one by divergence at the first iteration."""
    ours = edition()
    rows = []
    for run in runs(ours, "map"):
        edge = run.setting == "printed-kept-lambda-0.01-beta-60"
        for group in range(GROUPS):
            for t in range(1, T + 1):
                R = (100.0 if t > 1 else 1.0) if edge and group == 0 else 1 / t
                R = float("nan") if edge and group == 1 and t == 3 else R
                rows.append(("faces", "all", run.setting, "wframe", 0, group, t, R, 1.0, -1))
    names = ["dataset", "class", "setting", "method", "repeat", "group", "iteration", "R", "energy", "diverged"]
    (tmp_path / "studies").mkdir()
    (tmp_path / "measurements").mkdir()
    pd.DataFrame(rows, columns=names).to_parquet(tmp_path / "studies/map.parquet")
    gain = pd.DataFrame({"dataset": "faces", "class": "all", "group": range(GROUPS), "gain": 8.0})
    gain.to_csv(tmp_path / "measurements/gain.csv", index=False)

    (figure,) = outcome_map(Store(tmp_path, ours), "map")
    counts = figure.numbers.set_index(["setting", "lambda", "beta"])[["learns", "stalls", "collapses", "diverges"]]
    assert counts.loc[("printed-kept", 1e-2, 60)].tolist() == [2, 0, 1, 1]
    others = counts.drop(index=[("printed-kept", 1e-2, 60)])
    assert len(others) == 7 and (others["learns"] == GROUPS).all()
    assert "wFRAME, printed-kept, β = 60: the first group is lost at λ = 0.01" in figure.alt
    titles = [axes.get_title(loc="left") for axes in figure.canvas.axes]
    assert titles == ["wFRAME, penalty as printed", "wFRAME, delayed penalty"]
    # the bound: λ = 2/(gain·β) as printed, (√21 − 3)/(gain·β) delayed; along the logarithm of λ
    printed, delayed = (
        [line.get_xdata()[0] for line in axes.lines if line.get_linewidth() > 1] for axes in figure.canvas.axes
    )
    assert printed == pytest.approx([0.6198], abs=1e-3) and delayed == pytest.approx([0.5183], abs=1e-3)
    plt.close(figure.canvas)
