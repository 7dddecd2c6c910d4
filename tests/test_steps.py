"""Studies whose settings build on one another: what each change does to R, and to the images."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import snakemake
from scipy import stats

from wframe.config.edition import Edition, check
from wframe.figures.steps import waterfall
from wframe.results.statistics import around
from wframe.results.store import Store
from wframe.scores.classify import class_logits, load_classifier
from wframe.scores.jackknife import jackknife_error, log_scores
from wframe.scores.score import inception_score
from wframe.weights import POCKET

CPU = torch.device("cpu")
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


# --- the images ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run whose second setting only adds noise, and whose third has nearly none."""
    settings = {"release": {"beta": 0, "delta": 0.02}, "noisy": {"beta": 0, "delta": 0.4}, "short": {"beta": 0, "L": 1}}
    study = {"datasets": ["faces", "digits"], "methods": ["wframe"], "show": "steps", "settings": settings}
    faces = {"source": "embedded", "path": "faces", "size": 16, "images": 27}
    digits = {"source": "embedded", "path": "digits", "size": 24, "classes": ["3", "8"], "images": 9}
    folder = tmp_path_factory.mktemp("steps")
    config = {
        "edition": "steps",
        "theory": False,
        "device": "cpu",
        "learning": {"T": 4, "L": 3, "delta": 0.02},
        "datasets": {"faces": faces, "digits": digits},
        "studies": {"steps": study},
        "scores": {"extractor": "pocket", "splits": 1, "rows": {"real": {"dataset": "digits"}}},
    }
    (folder / "edition.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    snakemake(folder, "results/figures/steps/index.json", "--configfile", str(folder / "edition.yaml"))
    return folder / "results"


def test_looks_has_every_group_under_every_setting_and_the_score_of_its_images(measured: Path):
    table = pd.read_csv(measured / "measurements/looks/steps.csv")
    assert table.groupby("setting").size().to_dict() == {"release": 5, "noisy": 5, "short": 5, "observed": 5}
    of = table[table["dataset"] == "faces"].groupby("setting")
    assert of["noise"].median()["noisy"] > of["noise"].median()["release"] + 1
    assert of["nearest"].median()["noisy"] > 0
    real = table[table["setting"] == "observed"]
    arrays = [np.load(measured / f"data/{name}.npy")[:9] for name in ("digits/3", "digits/8")]
    arrays.insert(0, np.load(measured / "data/faces/all.npy")[:27])
    pocket = load_classifier("pocket", POCKET, CPU)
    logits = torch.cat([class_logits(pocket, images, CPU, "pocket") for images in arrays])
    assert real["log_score"].iloc[0] == pytest.approx(np.log(inception_score(logits, 1)["score"]))
    assert real["noise"].isna().all() and real["log_score"].nunique() == 1


def test_the_figure_lists_what_each_change_does_to_the_images(measured: Path):
    table = pd.read_csv(measured / "measurements/looks/steps.csv")
    numbers = pd.read_csv(measured / "figures/steps/looks+wframe.csv").set_index(["measure", "setting"])
    assert numbers.index.unique("measure").tolist() == ["nearest", "structure", "noise", "spectrum", "log_score"]
    noise = (
        table[table["setting"] == "noisy"]["noise"].to_numpy()
        - table[table["setting"] == "release"]["noise"].to_numpy()
    )
    assert numbers.loc[("noise", "noisy"), "change"] == pytest.approx(np.median(noise), rel=1e-4)
    assert numbers.loc[("noise", "noisy"), "change_low"] == -np.inf, "five groups are too few for an exact interval"
    score = numbers.loc[("log_score", "noisy")]
    assert score["change_low"] < score["change"] < score["change_high"]


def test_the_jackknife_of_a_mean_is_its_standard_error():
    x = np.random.default_rng(0).normal(size=12)
    error = jackknife_error([np.delete(x, k).mean() for k in range(len(x))])
    assert error == pytest.approx(stats.sem(x))
    half = stats.sem(x) * stats.t.ppf(0.975, len(x) - 1)
    assert around(x.mean(), error, len(x)).interval(0.95) == pytest.approx((x.mean() - half, x.mean() + half))


def test_the_score_without_a_group_is_that_of_the_others():
    p = np.random.default_rng(1).dirichlet(np.ones(7), size=(4, 9))
    p[2] = np.eye(7)[3]  # sure of a class
    p[..., 5] = 0.0  # a class that nothing is
    p /= p.sum(2, keepdims=True)
    group = np.arange(4).repeat(9)
    others = p.reshape(-1, 7)[group != 1], group[group != 1]
    assert log_scores(p.reshape(-1, 7), group)[1][1] == pytest.approx(log_scores(*others)[0])
