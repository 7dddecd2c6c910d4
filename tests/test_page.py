"""The page and the figures of a small edition: complete, readable, self-contained."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from PIL import Image
from safetensors.numpy import load_file

from wframe.config.edition import load
from wframe.figures.canvas import tile
from wframe.figures.curves import SYMLOG, about_energy, band, groups_of, lost_of
from wframe.figures.paper import figure_2, figure_4
from wframe.model.readings import READINGS
from wframe.report.claims import counted, stand_ins, tally
from wframe.report.films import film_view
from wframe.report.views import choices, compare
from wframe.results.store import NotAvailable, Store
from wframe.results.text import duration, interval, number

VOID = {"meta", "img", "link", "br", "hr", "input"}


class Outline(HTMLParser):
    """Collect the page's headings, links, images and ids, and check that tags are balanced."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[int] = []
        self.links: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.ids: list[str] = []
        self.rows = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if named.get("href"):
            self.links.append(str(named["href"]))
        if tag == "img":
            self.images.append(named)
        if named.get("id"):
            self.ids.append(str(named["id"]))
        self.rows += tag == "tr"

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"


@pytest.fixture
def page(tiny: Path) -> tuple[str, Outline]:
    text = (tiny / "results/report/index.html").read_text()
    outline = Outline()
    outline.feed(text)
    assert not outline.open
    return text, outline


def test_headings_are_in_order_and_ids_are_unique(page: tuple[str, Outline]):
    _, outline = page
    assert outline.headings[0] == 1 and outline.headings.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(outline.headings, outline.headings[1:], strict=False))
    assert len(set(outline.ids)) == len(outline.ids)


def test_no_link_or_image_is_broken(page: tuple[str, Outline], tiny: Path):
    text, outline = page
    folder = tiny / "results/report"
    for link in outline.links:
        assert link[1:] in outline.ids if link.startswith("#") else (folder / link).is_file(), link
    for image in outline.images:
        assert (folder / str(image["src"])).is_file() and len(str(image["alt"])) > 20
    assert "http://" not in text and "https://" not in text, "the page is self-contained"
    assert not re.search(
        r"\bnan\b|\bNone\b", re.sub(r"<pre>.*?</pre>|<style>.*?</style>|<code>.*?</code>", "", text, flags=re.S)
    )


def test_the_first_screen_shows_the_images(page: tuple[str, Outline]):
    text, _ = page
    before, _, after = text.partition('<figure class="film"')
    assert "<nav" not in before and "<table" not in before and "<img" not in before
    assert "evolution+faces+all.film.png" in after[: after.index("</figure>")]


def test_an_edition_without_the_papers_datasets_is_about_its_images(page: tuple[str, Outline]):
    text, _ = page
    assert "<h1>FRAME and wFRAME: 3, faces</h1>" in text and "This is the" not in text
    section = text[text.index('<h2 id="claims">') :]
    section = section[: section.index("</section>")]
    assert "can’t be judged on these images" in section and "<table" not in section


def test_a_film_holds_the_observed_images_and_the_snapshots(tiny: Path):
    index = json.loads((tiny / "results/figures/whole/index.json").read_text())
    film = next(figure["film"] for figure in index if figure["name"] == "evolution+faces+all")
    assert film["times"] == [1, 3] and [run["method"] for run in film["runs"]] == ["frame", "wframe"]
    sheet = np.asarray(Image.open(tiny / "results/figures/whole/evolution+faces+all.film.png"))
    edge, side = film["edge"], 3 * 16 + 2
    assert edge == side + 1 and sheet.shape == (2 * edge, 3 * edge, 3)
    observed = np.load(tiny / "results/data/faces/all.npy")[:9]
    assert np.array_equal(sheet[:side, :side], tile(observed))
    for row, run in enumerate(film["runs"]):
        folder = tiny / f"results/runs/whole/faces/all/base/{run['method']}-0"
        images = load_file(folder / "0.safetensors")["snapshots"]
        cell = sheet[row * edge : row * edge + side, 2 * edge : 2 * edge + side]
        assert np.array_equal(cell, tile(images[1]))
        R = pd.read_parquet(folder / "0.parquet").query("group == 0")["R"]
        assert run["R"] == pytest.approx(R.tolist(), rel=1e-3) and run["diverged"] is None


def test_a_film_says_when_a_group_diverged():
    run = {"method": "frame", "label": "FRAME", "R": [2.0, 1.5, None, None], "diverged": 2}
    film = {"edge": 4, "times": [1, 2, 4], "runs": [run, run | {"R": [2.0, 1.0, 0.5, 0.25], "diverged": None}]}
    seen = film_view({"film": film})
    assert seen["player"]["runs"][0]["said"] == ["R(1) = 2", "R(2) = 1.50", "diverged in iteration 3"]
    assert seen["player"]["iterations"] == 4 and seen["curves"][0]["points"] == "0,4.0 333,16.7"


def test_a_diverged_group_counts_as_the_worst():
    """Where half of the groups are lost, the median is infinite, though those that are left look fine."""
    rows = [(group, t, 1.0 / t if group < 2 or t < 3 else np.nan) for group in range(4) for t in (1, 2, 3)]
    curves = pd.DataFrame(rows, columns=["group", "iteration", "R"]).assign(
        **{"dataset": "a", "class": "b", "setting": "c", "repeat": 0}
    )
    curves["energy"] = curves["R"]
    groups = groups_of(curves, "R")
    assert band(groups)["median"].tolist() == [1.0, 0.5, np.inf] and lost_of(groups) == "2 of 4 diverged"
    assert band(groups)["n"].tolist() == [4, 4, 2]
    assert band(groups_of(curves, "energy"))["median"].tolist() == [1.0, 0.5, pytest.approx(1 / 3)]


def test_the_energys_caption_says_what_is_drawn():
    canvas, axes = plt.subplots()
    assert about_energy(canvas, diverged=False) == "A group that diverges is left out from then on."
    axes.set_yscale("symlog")
    assert about_energy(canvas, diverged=True).endswith("the legend counts them. " + SYMLOG)
    plt.close(canvas)


def test_all_figures_and_runs_are_shown(page: tuple[str, Outline], tiny: Path):
    _, outline = page
    shown = {str(image["src"]).removeprefix("../figures/") for image in outline.images}
    listed = {
        f"{name}/{file}"
        for name in ("paper", "whole", "collapse")
        for figure in json.loads((tiny / f"results/figures/{name}/index.json").read_text())
        for file in figure.get("files", ())
        if file.endswith(".png")
    }
    assert shown == listed and len(listed) == (2 + 2 + 2 + 2) + 3
    jobs = 2 * 3
    assert outline.rows == (1 + 2) + (1 + 1) + (1 + jobs)


def test_the_page_gives_the_reason_for_a_missing_figure(page: tuple[str, Outline]):
    text, _ = page
    assert re.search(r"Figure 6 \(.*\): this edition trains no baseline", text)


def test_a_figure_of_two_datasets_shows_the_available_one(tiny: Path):
    edition = load(tiny / "results/config.yaml")
    faces = edition.datasets["faces"].model_copy(update={"stands_for": ["celeba"]})
    paper = Store(tiny / "results", edition.model_copy(update={"datasets": edition.datasets | {"faces": faces}}))
    for draw in (figure_2, figure_4):
        assert "Not available: this edition's study 'whole' has no dataset for lsun-bedroom" in draw(paper).caption
    with pytest.raises(NotAvailable, match=r"no dataset for lsun-bedroom; .* no dataset for celeba"):
        figure_2(Store(tiny / "results", edition))


def test_figures_come_with_their_numbers(tiny: Path):
    curves = pd.read_parquet(tiny / "results/studies/whole.parquet")
    numbers = pd.read_csv(tiny / "results/figures/whole/response-distance.csv")
    one = numbers[(numbers["dataset"] == "faces") & (numbers["method"] == "wframe") & (numbers["iteration"] == 3)].iloc[
        0
    ]
    R = curves[(curves["dataset"] == "faces") & (curves["method"] == "wframe") & (curves["iteration"] == 3)]["R"]
    assert one["n"] == one["groups"] == 2 and one["median"] == pytest.approx(R.median(), rel=1e-5)
    for ending in (".png", ".pdf"):
        assert (tiny / f"results/figures/whole/energy{ending}").stat().st_size > 3000


def test_a_diverged_run_is_described_not_drawn(tiny: Path):
    overview, figure = json.loads((tiny / "results/figures/collapse/index.json").read_text())
    assert "wFRAME under literal diverges" in overview["alt"]
    assert "diverges at once" in figure["alt"] and figure["title"].startswith("literal: reading = literal, L = 60")
    snapshots = load_file(tiny / "results/runs/collapse/faces/all/literal/frame-0/0.safetensors")["snapshots"]
    assert len(snapshots) == 3 and (snapshots == snapshots[0]).all(), "then it diverged, and its chains are held"


def test_tile_puts_images_in_rows():
    images = np.stack([np.full((4, 4, 3), value, np.uint8) for value in range(9)])
    sheet = tile(images)
    assert sheet.shape == (14, 14, 3)
    assert sheet[0, 5, 0] == 1 and sheet[5, 0, 0] == 3 and sheet[13, 13, 0] == 8 and sheet[4, 0, 0] == 255


def test_images_in_the_sheet_are_the_chains(tiny: Path):
    sheet = np.asarray(Image.open(tiny / "results/figures/whole/samples+faces+all.png").convert("RGB"))
    assert sheet.std() > 20


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.8, 0.9, "wFRAME lower"),
        (1.1, 1.2, "wFRAME higher"),
        (0.9, 1.1, "can't tell"),
        (np.nan, np.nan, "too few"),
    ],
)
def test_verdicts_of_a_ratio(low: float, high: float, verdict: str):
    assert compare({"ratio_low": low, "ratio_high": high}).startswith(verdict)


def test_a_lower_R_is_no_verdict_where_the_outcomes_differ():
    """The claims don't call a method the better one that is lost more often, whatever its R."""
    row = {"ratio_low": 0.8, "ratio_high": 0.9}
    alike = {"outcome_frame": "collapses 1/2, learns 1/2", "outcome_wframe": "learns 1/2, collapses 1/2"}
    assert compare(row | alike) == "wFRAME lower"
    others = {"outcome_frame": "learns", "outcome_wframe": "learns 7/9, diverges 2/9"}
    assert compare(row | others) == "FRAME learns; wFRAME learns 7/9, diverges 2/9"


@pytest.mark.parametrize(
    ("ends", "said"),
    [((0.84, 1.5), "0.840 to 1.50"), ((0.0, None), "0 to ∞"), ((-np.inf, 2.0), "−∞ to 2"), ((np.nan, None), "–")],
)
def test_an_interval_may_be_open(ends: tuple[float | None, float | None], said: str):
    assert interval(*ends) == said


def test_claims_are_counted_as_the_command_counts_them():
    """The page repeats the command's line, and adds what came out of claims that this edition has no verdict on."""
    claims = [{"here": here, "verdict": "not run"} for here in ("holds", "can't be told", "holds", None)]
    record = {"line": "5 claims: 1 reproduced, 4 not run", "claims": [*claims, {"here": None, "verdict": "reproduced"}]}
    assert tally(record) == (
        "5 claims: 1 reproduced, 4 not run. Of these 4 that were not run, 3 were tried on this edition’s images: "
        "2 hold, 1 can't be told."
    )
    assert tally({"line": "1 claims: 1 reproduced", "claims": claims[3:]}) == "1 claims: 1 reproduced."


def test_a_claim_names_the_images_that_stood_in():
    edition = load(ROOT / "config/demo.yaml")
    of = {"study": "whole", "datasets": ["celeba", "cifar10"]}
    assert stand_ins(edition, of) == [
        "CelebA → Faces (LFW subset, scikit-image)",
        "CIFAR-10 → Digits, by label (scikit-learn)",
    ]
    assert stand_ins(edition, {"row": "wframe"}) == []
    papers = load(ROOT / "config/paper.yaml")
    assert stand_ins(papers, {"study": "whole", "datasets": ["cifar10"]}) == []


def test_outcomes_are_counted_in_grammar():
    assert counted({"learns": 6, "collapses": 1, "diverges": 2}) == "6 learn, 1 collapses, 2 diverge"


def test_what_readings_are_is_said_where_they_are_compared():
    edition = load(ROOT / "config/demo.yaml")
    assert list(choices(edition.studies["readings"], edition)) == [*READINGS, "theta", "penalty"]
    assert not choices(edition.studies["whole"], edition)


def test_numbers_are_readable():
    assert [number(v) for v in (0.1573, -1.1, 40.48, -8428.9, -3, float("nan"), 1e-5)] == [
        *("0.157", "−1.10", "40.5", "−8,429", "−3", "–", "1e−05")
    ]
    assert [number(v) for v in (float("inf"), float("-inf"))] == ["∞", "−∞"]
    assert [duration(v) for v in (3.21, 200, 8000)] == ["3.2 s", "3.3 min", "2.2 h"]
