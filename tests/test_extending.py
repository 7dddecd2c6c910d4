"""Each sentence of CONTRIBUTING of the form "a … is one module / one entry": add one, run the checks with it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import ROOT, TINY
from PIL import Image


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the workflow needs."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("config", "workflow", "src", "profiles"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Snakefile", "environment.yml", "uv.lock"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def call(checkout: Path, *argv: str, folder: Path | None = None) -> str:
    """Run a command with the copy's code; return its output."""
    environment = os.environ | {"PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *argv], cwd=folder or checkout, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def insert(path: Path, before: str, text: str) -> None:
    content = path.read_text()
    assert content.count(before) >= 1, f"{path}: no {before!r}"
    path.write_text(content.replace(before, text + before, 1))


def edition(checkout: Path, **changes: object) -> Path:
    path = checkout / "mine.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps(TINY)) | changes))
    return path


def test_a_reader_is_one_module(checkout: Path):
    (checkout / "src/wframe/data/readers/stripes.py").write_text(
        '"""Stripes."""\n'
        "import numpy as np\n"
        "from wframe.data.readers import Candidate\n\n\n"
        "def read(path, class_):\n"
        '    """Yield stripes of twelve widths."""\n'
        "    for n in range(12):\n"
        "        rows = np.arange(16) // (n + 1) % 2 * 255\n"
        "        image = np.broadcast_to(rows[:, None, None], (16, 16, 3)).astype(np.uint8)\n"
        '        yield Candidate(f"{n}", lambda image=image: image)\n'
    )
    datasets = {"stripes": {"source": "stripes", "path": ".", "size": 16}}
    mine = edition(checkout, datasets=datasets, studies={"whole": {"datasets": ["stripes"]}})
    assert "source: stripes" in call(checkout, "wframe", "config", str(mine))
    call(checkout, "wframe", "prepare", "--source", "stripes", "--path", ".", "--size", "16", "--out", "s.npy")
    assert np.load(checkout / "s.npy").shape == (12, 16, 16, 3)
    (checkout / "data").mkdir(exist_ok=True)  # where `path` is
    assert "prepare" in call(checkout, "snakemake", "-n", "--configfile", str(mine))


def test_a_dataset_is_one_entry(checkout: Path):
    rng = np.random.default_rng(0)
    for index in range(9):
        path = checkout / f"images/cats/{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
    cats = {"source": "folder", "path": "images", "classes": ["cats"], "size": 16}
    mine = edition(
        checkout, data=".", datasets=TINY["datasets"] | {"cats": cats}, studies={"x": {"datasets": ["cats"]}}
    )
    call(checkout, "snakemake", "results/data/cats/cats.npy", "--configfile", str(mine), "--cores", "1")
    assert np.load(checkout / "results/data/cats/cats.npy").shape == (9, 16, 16, 3)


def test_a_reading_is_one_entry(checkout: Path):
    readings = checkout / "src/wframe/model/readings.py"
    insert(
        readings,
        '    "tempered-no-prior": Reading(',
        '    "halved": Reading(lambda δ, σ: Step(0.5, δ**2 / 2, δ * σ), UNIT, description="x is halved"),\n',
    )
    mine = edition(checkout, learning={"T": 1, "L": 1, "reading": "halved"})
    assert "reading: halved" in call(checkout, "wframe", "config", str(mine))
    call(checkout, "wframe", "prepare", "--source", "embedded", "--path", "faces", "--size", "16", "--images", "9",
         "--out", "f.npy")  # fmt: skip
    call(checkout, "wframe", "train", "--observed", "f.npy", "--set", "reading=halved", "--set", "T=1", "--out", "o/0")
    assert json.loads((checkout / "o/0.json").read_text())["constants"]["reading"] == "halved"


def test_a_baseline_is_one_module_its_settings_and_one_entry(checkout: Path):
    package = checkout / "src/wframe/baselines"
    shutil.copy(package / "dcgan.py", package / "twin.py")
    settings = checkout / "src/wframe/config/trainings"
    (settings / "twin.py").write_text((settings / "dcgan.py").read_text().replace('"dcgan"', '"twin"'))
    twin = {"model": "twin", "dataset": "faces", "batch": 8, "steps": 2, "width": 4, "samples": 9}
    mine = edition(checkout, baselines={"twin": twin})
    call(checkout, "snakemake", "results/baselines/twin/0.json", "--configfile", str(mine), "--cores", "1")
    assert json.loads((checkout / "results/baselines/twin/0.json").read_text())["settings"]["model"] == "twin"


def test_an_extractor_is_one_module_and_a_row_one_entry(checkout: Path):
    package = checkout / "src/wframe/scores/extractors"
    text = (package / "pocket.py").read_text()
    (package / "second.py").write_text(
        text.replace("pocket score", "second score").replace("wframe-pocket", "wframe-2")
    )
    scores = {
        "extractor": "second",
        "weights": "second.safetensors",
        "splits": 2,
        "rows": {"faces": {"dataset": "faces"}},
    }
    shutil.copy(checkout / "src/wframe/weights/pocket.safetensors", checkout / "second.safetensors")
    mine = edition(checkout, data=".", scores=scores)
    call(checkout, "snakemake", "results/tables/scores.csv", "--configfile", str(mine), "--cores", "1")
    table = (checkout / "results/tables/scores.csv").read_text()
    assert "second score" in table and ",ok," in table


def test_a_judge_is_one_function_and_a_claim_one_entry(checkout: Path):
    (checkout / "src/wframe/claims/judges/mine.py").write_text(
        '"""A judge."""\n'
        "from wframe.claims.evidence import Evidence, judge\n\n\n"
        "@judge\n"
        "def always_one(store, factor):\n"
        '    """One."""\n'
        '    return Evidence("one", factor, factor, factor, 9, "things", frozenset())\n'
    )
    claims = checkout / "config/claims.yaml"
    entry = {"id": "mine", "where": "here", "says": "One.", "judge": "always_one", "expects": {"at_least": 1}}
    before = claims.read_text()

    def check(of: dict) -> subprocess.CompletedProcess[str]:
        claims.write_text(before + "\n" + yaml.safe_dump([entry | {"of": of}]))
        argv = [sys.executable, "-m", "wframe", "claims", "--check"]
        environment = os.environ | {"PYTHONPATH": str(checkout / "src")}
        return subprocess.run(argv, cwd=checkout, env=environment, capture_output=True, text=True)

    assert check({"factor": 1}).returncode == 0
    wrong = check({"factr": 1})
    assert wrong.returncode == 2 and "the judge always_one takes factor" in wrong.stderr
    claims.write_text(before)
    idle = subprocess.run(
        [sys.executable, "-m", "wframe", "claims", "--check"],
        cwd=checkout, env=os.environ | {"PYTHONPATH": str(checkout / "src")}, capture_output=True, text=True,
    )  # fmt: skip
    assert idle.returncode == 2 and "no claim uses the judge always_one" in idle.stderr


def test_a_figure_of_a_study_is_one_function(checkout: Path, tiny: Path):
    figures = checkout / "src/wframe/figures"
    with (figures / "datasets.py").open("a") as code:
        code.write(
            "\n\ndef empty(store, study):\n"
            '    """Nothing."""\n'
            "    canvas, _ = plt.subplots()\n"
            '    yield Figure("empty", "Empty", "Nothing.", "An empty figure.", canvas, pd.DataFrame())\n'
        )
    command = figures / "command.py"
    command.write_text(command.read_text().replace("datasets.evolution]", "datasets.evolution, datasets.empty]"))
    results = shutil.copytree(tiny / "results", checkout / "results")
    call(checkout, "wframe", "figures", "whole", "--results", str(results))
    assert "empty" in {figure["name"] for figure in json.loads((results / "figures/whole/index.json").read_text())}
    assert (results / "figures/whole/empty.png").exists()


def test_a_figure_of_the_paper_is_one_function(checkout: Path, tiny: Path):
    paper = checkout / "src/wframe/figures/paper.py"
    insert(
        paper,
        "# name → what draws it",
        'def figure_10(store: Store) -> Figure:\n    """Draw Figure 10."""\n'
        '    return _many(store, "figure-10", "celeba")\n\n\n',
    )
    insert(paper, '    "figure-9": (', '    "figure-10": (figure_10, "More faces"),\n')
    results = shutil.copytree(tiny / "results", checkout / "results")
    call(checkout, "wframe", "figures", "--paper", "--results", str(results))
    index = json.loads((results / "figures/paper/index.json").read_text())
    found = next(figure for figure in index if figure["name"] == "figure-10")
    assert found["title"] == "More faces" and "celeba" in found["missing"], "the tiny edition has no faces for CelebA"


def test_a_constant_is_two_fields(checkout: Path):
    insert(
        checkout / "src/wframe/config/learning.py",
        "    precision: Literal",
        '    decay: float = Field(0.0, ge=0, description="weight decay")\n',
    )
    insert(checkout / "src/wframe/model/constants.py", "    precision: str", "    decay: float = 0.0\n")
    assert "decay: 0.5" in call(checkout, "wframe", "config", str(edition(checkout, learning={"decay": 0.5})))
    call(checkout, "wframe", "prepare", "--source", "embedded", "--path", "faces", "--size", "16", "--images", "9",
         "--out", "f.npy")  # fmt: skip
    call(checkout, "wframe", "train", "--observed", "f.npy", "--set", "decay=0.5", "--set", "T=1", "--out", "o/0")
    assert json.loads((checkout / "o/0.json").read_text())["constants"]["decay"] == 0.5


def test_a_command_is_one_module(checkout: Path):
    (checkout / "src/wframe/use/hello.py").write_text(
        '"""Hello."""\n\n\n'
        'def add_arguments(parser):\n    """None."""\n\n\n'
        'def main(args):\n    """Greet."""\n    print("hello")\n'
    )
    insert(checkout / "src/wframe/__main__.py", '    "fetch": (', '    "hello": ("wframe.use.hello", "greet"),\n')
    assert call(checkout, "wframe", "hello") == "hello\n"


def test_the_sentences_are_these():
    """A new sentence of that form needs a test here."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    section = text[text.index("## How to add something") : text.index("## Rules")]
    subjects = re.findall(r"^- A(?:n)? \*\*(\w+)\*\*", section, re.MULTILINE)
    tested = [
        *("reader", "dataset", "reading", "baseline", "extractor", "row", "judge", "claim", "figure", "command"),
        "constant",
    ]
    assert subjects == tested
