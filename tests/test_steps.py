"""Studies whose settings build on one another: the figure says what each change does to R."""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from wframe.config.edition import Edition, check
from wframe.figures.steps import waterfall
from wframe.results.store import Store

GROUPS, T = 6, 20
ENDS = {"release": 0.8, "lambda": 0.4, "penalty": 0.5}  # R at the end, in each group the same


def edition() -> Edition:
    settings = {"release": {"beta": 0, "lambda": 1e-4}, "lambda": {"beta": 0}, "penalty": {}}
    study = {"datasets": ["faces"], "methods": ["wframe"], "show": "steps", "settings": settings}
    faces = {"source": "embedded", "path": "faces", "size": 16, "images": 9 * GROUPS}
    return check({"edition": "steps", "datasets": {"faces": faces}, "studies": {"steps": study}})


def drawn(folder: Path, lost: tuple[str, int] | None = None):
    """Draw the figure of curves in which each setting's R ends as ENDS has it, and one group explodes."""
    rows = []
    for setting, at_end in ENDS.items():
        for group in range(GROUPS):
            end = 1e6 if (setting, group) == lost else at_end
            for t in range(1, T + 1):
                rows.append(("faces", "all", setting, "wframe", 0, group, t, 1.0 if t == 1 else end, 1.0, -1))
    names = ["dataset", "class", "setting", "method", "repeat", "group", "iteration", "R", "energy", "diverged"]
    (folder / "studies").mkdir(exist_ok=True)
    pd.DataFrame(rows, columns=names).to_parquet(folder / "studies/steps.parquet")
    (figure,) = waterfall(Store(folder, edition()), "steps")
    labels = [label.get_text() for label in figure.canvas.axes[0].get_xticklabels()]
    plt.close(figure.canvas)
    return figure.numbers.set_index("setting"), labels


def test_each_change_is_set_against_the_setting_before(tmp_path: Path):
    numbers, labels = drawn(tmp_path)
    assert labels == ["release", "lambda\nλ", "penalty\nβ"], "each tick says what differs from the setting before"
    assert numbers["change"].tolist()[1:] == pytest.approx([0.5, 1.25])
    assert numbers["from_first"].tolist() == pytest.approx([1, 0.5, 0.625])
    assert numbers.loc["lambda", ["change_low", "change_high"]].tolist() == pytest.approx([0.5, 0.5])
    assert (numbers["lost"] == 0).all() and (numbers["groups"] == GROUPS).all()


def test_a_group_that_explodes_counts_once_and_as_the_worst(tmp_path: Path):
    numbers, _ = drawn(tmp_path, lost=("lambda", 0))
    assert numbers.loc["lambda", "lost"] == 1
    assert numbers.loc["lambda", "change"] == pytest.approx(0.5), "one of six doesn't move the median"
    # the exact interval of six groups reaches from the least to the largest; twice the start is the most that counts
    assert numbers.loc["lambda", "change_high"] == pytest.approx(2 / 0.8)
    assert numbers.loc["penalty", "change_low"] == pytest.approx(0.5 / 2)
