"""The whole workflow: the demo edition's results, what reruns after a change, refusals, interruption."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT, TINY, run, snakemake
from PIL import Image
from safetensors.numpy import load_file

from wframe.__main__ import main
from wframe.config.edition import load
from wframe.files import sha256_file
from wframe.jobs import inputs, keys
from wframe.runtime.code import SOURCE, code_files


def jobs_in(output: str) -> dict[str, int]:
    """Return the jobs that a dry run lists: rule → number."""
    names = re.findall(r"^(?:local)?rule (\w+):$", output, re.MULTILINE)
    assert names or "Nothing to be done" in output or re.search(r"^total +0$", output, re.MULTILINE), output
    return {name: names.count(name) for name in names if name != "all"}


def planned(folder: Path, edition: dict) -> dict[str, int]:
    """Return the jobs that Snakemake would run."""
    return jobs_in(run(folder, edition, "--dry-run").stdout)


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    """A fresh copy of the tiny edition's folder."""
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


# --- the demo edition ----------------------------------------------------------------------------------------


def test_demo_learns_on_every_dataset(demo: Path):
    curves = pd.read_parquet(demo / "results/studies/whole.parquet")
    assert set(curves["dataset"]) == {"faces", "scenes", "digits"} and not curves["R"].isna().any()
    R = curves.pivot_table(index="iteration", columns=["dataset", "class", "method", "group"], values="R")
    assert (R.iloc[-1] < R.iloc[0] / 2).all(), "R falls in every group"
    smooth = R.T.groupby(["dataset", "method"]).mean().T.iloc[9:].rolling(5).mean().dropna()
    assert (smooth.diff().dropna() < 0).all().all(), "after ten iterations the mean R falls steadily"


def test_demo_shows_collapse_and_recovery(demo: Path):
    curves = pd.read_parquet(demo / "results/studies/collapse.parquet")
    R = curves.pivot_table(index="iteration", columns=["setting", "method", "group"], values="R")
    beyond = R["lambda"]
    assert (beyond["frame"].iloc[-1] > 3 * beyond["frame"].iloc[0]).all(), "FRAME collapses"
    assert (beyond["wframe"].iloc[-1] < beyond["wframe"].max() / 2).all(), "wFRAME recovers from its peak"
    assert (beyond["wframe"].iloc[-1].to_numpy() < beyond["frame"].iloc[-1].to_numpy() / 5).all()
    assert (R["safe"].iloc[-1] < R["safe"].iloc[0] / 2).all()


def test_demo_images_have_content(demo: Path):
    files = list((demo / "results/runs/whole").rglob("*.safetensors"))
    assert len(files) >= 2 * 3, "both methods on each dataset"
    for file in files:
        images = load_file(file)["images"]
        side = 24 if "faces" in file.parts else 32
        assert images.dtype == np.uint8 and images.shape[1:] == (9, side, side, 3)
        assert images.std(axis=(2, 3, 4)).min() > 8, f"{file}: a grey image"
    sheet = np.asarray(Image.open(demo / "results/figures/whole/samples+faces+all.png").convert("L"))
    assert sheet.std() > 30 and sheet.shape[0] > 400


def test_demo_table_matches_the_curves(demo: Path):
    table = pd.read_csv(demo / "results/tables/whole.csv", dtype={"class": str})
    assert list(zip(table["dataset"], table["class"], strict=True)) == [
        ("faces", "all"),
        ("scenes", "china"),
        ("digits", "0"),
        ("digits", "3"),
        ("digits", "8"),
    ]
    curves = pd.read_parquet(demo / "results/studies/whole.parquet")
    ends = curves[(curves["iteration"] > curves["iteration"].max() - 10) & (curves["dataset"] == "faces")]
    by_method = ends.groupby(["method", "group"])["R"].median()
    assert table.loc[0, "R_wframe"] == pytest.approx(by_method["wframe"].median(), rel=1e-4)
    assert table.loc[0, "ratio"] == pytest.approx((by_method["wframe"] / by_method["frame"]).median(), rel=1e-4)
    assert np.isnan(table.loc[0, "ratio_low"]), "two groups give no interval"
    assert (table["ratio"] < 1).sum() >= 3


def test_demo_page_explains_that_it_is_a_demo(demo: Path):
    page = (demo / "results/report/index.html").read_text()
    assert "none of its numbers is compared with a number of the paper" in page.replace("\n  ", " ")
    for name in ("whole", "collapse"):
        for figure in json.loads((demo / f"results/figures/{name}/index.json").read_text()):
            assert f"../figures/{name}/{figure['name']}.png" in page
            assert (demo / f"results/figures/{name}/{figure['name']}.png").stat().st_size > 5000


def test_demo_scores_and_baselines(demo: Path):
    table = pd.read_csv(demo / "results/tables/scores.csv").set_index("row")
    rows = ["real", "dcgan", "improved-gan-wl", "ali", "winn", "frame-wl", "wframe-wl"]
    assert list(table.index) == rows and (table["status"] == "ok").all()
    assert (table["score_name"] == "pocket score").all() and (table["n"] == 54).all()
    assert table["score"].idxmax() == "real" and table.loc[["dcgan", "frame-wl", "wframe-wl"], "score"].min() > 1.5
    assert (table["copies"].dropna() == 0).all() and table["nearest_real"].notna().tolist() == [False] + [True] * 6
    assert table.loc["dcgan", "nearest_real_n"] == 535 - 450 and table.loc["frame-wl", "training_images"] == 54
    for name in ("improved-gan-wl", "ali", "winn", "dcgan", "dcgan-few"):
        record = json.loads((demo / f"results/baselines/{name}/0.json").read_text())
        images = load_file(demo / f"results/baselines/{name}/0.safetensors")["images"]
        assert record["diverged"] is None and images.std(axis=(2, 3)).mean() > 8 and record["spread"]["samples"] > 10
    assert record["images"] == 9 and record["settings"]["duplicate_to"] == 1000
    page = (demo / "results/report/index.html").read_text()
    for figure in (
        "dcgan-training",
        "improved-gan-wl-training",
        "ali-training",
        "winn-training",
        "ali-reconstructions",
    ):
        assert f"../figures/baselines/{figure}.png" in page


def test_a_number_is_traced_back_to_its_images(demo: Path):
    """Follow a run's record to its array, its manifest and the source file, and recompute each hash."""
    results = demo / "results"
    manifest = json.loads((results / "manifest.json").read_text())
    for name, entry in manifest["outputs"].items():
        assert sha256_file(results / name) == entry["sha256"], name
    record = manifest["runs"]["whole/scenes/china/base/wframe-0/0"]
    assert record["inputs"]["observed"] == sha256_file(results / "data/scenes/china.npy")
    assert record["inputs"]["bank"] == sha256_file(results / "bank.safetensors")
    row = pd.read_parquet(results / "data/scenes/china.parquet").iloc[0]
    from wframe.data.readers import candidates

    first = next(candidates("embedded", "scenes", "china"))
    import hashlib

    assert first.source == row["source"] and hashlib.sha256(first.read()).hexdigest() == row["sha256"]


def test_demo_has_nothing_left_to_do(demo: Path):
    assert "Nothing to be done" in snakemake(demo, "--dry-run").stdout


# --- what reruns after a change ----------------------------------------------------------------------------------


def test_the_page_reports_divergence(tiny: Path):
    page = (tiny / "results/report/index.html").read_text()
    assert "2 diverged" in page
    record = json.loads((tiny / "results/runs/collapse/faces/all/literal/wframe-0/0.json").read_text())
    assert record["diverged"] == 2


def test_a_changed_constant_reruns_only_its_dependants(copy: Path):
    changed = json.loads(json.dumps(TINY))
    changed["datasets"]["digits"]["learning"] = {"lambda": 1e-3}
    after = {"quality": 1, "summarise": 1, "figures": 2, "paper_figures": 1, "claims": 1, "report": 1}
    assert planned(copy, changed) == {"config": 1, "train": 2} | after


WILDCARDS = {
    "prepare": {"dataset": "faces", "class_": "all"},
    "train": {"study": "whole", "dataset": "faces", "class_": "all", "setting": "base", "method": "wframe"}
    | {"repeat": "0", "shard": "0"},
    "baseline": {"baseline": "dcgan", "repeat": "0"},
    "score": {"row": "real"},
    "few_images": {"baseline": "dcgan-few"},
    "reconstruct": {"baseline": "ali"},
    "summarise": {"study": "whole"},
    "figures": {"study": "whole"},
    "looks": {"study": "whole"},
}


def step_code(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """Return rule → the package's files whose hash is in its key, for the demo edition."""
    hashed: list[str] = []

    def record(*modules: str) -> str:
        hashed.extend(modules)
        return ""

    monkeypatch.setattr(keys, "code_hash", record)
    monkeypatch.setattr(inputs, "code_hash", record)
    edition, steps = load(ROOT / "config/demo.yaml"), {}
    for rule in keys.PARTS:
        hashed.clear()
        keys.key(edition, rule, WILDCARDS.get(rule, {}))
        steps[rule] = {file.relative_to(SOURCE).as_posix() for file in code_files(*hashed)}
    return steps


def test_each_rule_passes_its_key():
    text = "".join(file.read_text() for file in sorted((ROOT / "workflow/rules").glob("*.smk")))
    rules = re.findall(r"^(?:rule|checkpoint) (\w+):(.*?)(?=^(?:rule|checkpoint) |\Z)", text, re.MULTILINE | re.DOTALL)
    wrong = {name for name, body in rules if f'step=step("{name}")' not in body} - {"fetch"}
    assert not wrong, f"rules without their own key: {wrong}"
    assert {name for name, _ in rules} - {"fetch"} == set(keys.PARTS)


def test_each_step_depends_only_on_its_own_code(monkeypatch: pytest.MonkeyPatch):
    steps = step_code(monkeypatch)

    def users(file: str) -> set[str]:
        assert (SOURCE / file).is_file(), file
        return {name for name, files in steps.items() if file in files}

    assert users("report/page.py") == users("report/page.css") == users("report/page.html.j2") == {"report"}
    figures = {"figures", "paper_figures", "baseline_figures"}
    assert users("figures/datasets.py") == figures and users("figures/canvas.py") == figures | {"theory"}
    assert users("claims/judges/energy.py") == users("claims/verdict.py") == {"claims"}
    assert users("engine/train.py") == {"train"}
    assert users("data/prepare.py") == users("data/readers/embedded.py") == {"prepare"}
    assert users("data/readers/cifar10.py") == set(), "the demo has no CIFAR-10"
    assert {"train", "bank"} <= users("model/bank.py") and "prepare" not in users("model/energy.py")
    assert users("data/fetch.py") == {"weights"}, "how raw files are fetched changes no prepared array"
    assert users("config/baselines.py") >= {"baseline"} and "train" not in users("config/baselines.py")
    assert not {"baseline", "score"} & users("config/learning.py"), "no baseline depends on FRAME's constants"


def test_an_older_source_file_does_not_bless_stale_results(copy: Path, tmp_path: Path):
    """Code that changed before a clone is older than the pulled outputs. Content decides, not time stamps."""
    package = tmp_path / "repo"
    for name in ("Snakefile", "config", "workflow", "src", "environment.yml", "uv.lock"):
        copier = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        package.mkdir(exist_ok=True)
        copier(ROOT / name, package / name)
    source = package / "src/wframe"
    argv = [sys.executable, "-m", "snakemake", "--snakefile", str(package / "Snakefile"), "--directory", str(copy)]
    argv += ["--profile", str(ROOT / "profiles/default"), "--configfile", str(copy / "edition.yaml"), "--dry-run"]

    def jobs() -> set[str]:
        environment = os.environ | {"PYTHONPATH": str(package / "src")}
        done = subprocess.run(argv, capture_output=True, text=True, cwd=copy, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return set(jobs_in(done.stdout))

    def edited(name: str) -> set[str]:
        file = source / name
        before, stamp = file.read_text(), file.stat()
        file.write_text(before + "\nchanged = 1\n")
        os.utime(file, ns=(stamp.st_atime_ns, 10**18))  # years older than every output
        try:
            return jobs()
        finally:
            file.write_text(before)

    for file in source.rglob("*.py"):
        file.touch()
    assert jobs() == set(), "a touched copy with the same content reruns nothing"
    assert edited("figures/datasets.py") == {"figures", "paper_figures", "report"}
    chain = edited("model/algorithm.py")
    assert chain >= {"train", "summarise", "figures", "report"} and not chain & {"prepare", "config"}


def test_a_changed_raw_image_reruns_only_its_dependants(tmp_path: Path):
    rng = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for index in range(9):
            pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{index}.png")
    edition = TINY | {
        "data": str(tmp_path),
        "learning": {"T": 1, "L": 1},
        "datasets": {
            "pets": {"source": "folder", "path": "images", "size": 16, "classes": ["cats", "dogs"]},
        },
        "studies": {"whole": {"datasets": ["pets"], "methods": ["frame"]}},
    }
    runs = tmp_path / "results/runs/whole/pets"
    cats, dogs = (runs / name / "base/frame-0/0.safetensors" for name in ("cats", "dogs"))
    run(tmp_path, edition, "--until", "train")
    before = {file: file.stat().st_mtime_ns for file in (cats, dogs)}
    image = tmp_path / "images/dogs/3.png"
    Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(image)
    os.utime(image, ns=(10**18, 10**18))
    run(tmp_path, edition, "--until", "train")
    assert dogs.stat().st_mtime_ns > before[dogs]
    assert cats.stat().st_mtime_ns == before[cats], "a class doesn't depend on another class's images"
    assert jobs_in(run(tmp_path, edition, "--until", "train", "--dry-run").stdout) == {}


# --- refusals and interruptions ----------------------------------------------------------------------------------


def test_bad_editions_are_refused_before_anything_runs(tmp_path: Path):
    faces = {"source": "embedded", "path": "faces", "size": 30}
    done = run(tmp_path, TINY | {"learning": {"lamda": 1, "beta": -1}, "datasets": {"faces": faces}}, check=False)
    output = done.stdout + done.stderr
    assert done.returncode != 0 and "Traceback" not in output
    for message in ("learning.lamda: unknown key", "learning.beta = -1", "datasets.faces.size = 30"):
        assert message in output
    assert not (tmp_path / "results").exists()


def test_a_class_with_eight_images_is_refused(tmp_path: Path):
    (tmp_path / "images/few").mkdir(parents=True)
    for index in range(8):
        Image.new("RGB", (16, 16), (index * 20, 0, 0)).save(tmp_path / f"images/few/{index}.png")
    edition = TINY | {
        "data": str(tmp_path),
        "datasets": {"mine": {"source": "folder", "path": "images", "classes": ["few"], "size": 16}},
        "studies": {"whole": {"datasets": ["mine"]}},
    }
    done = run(tmp_path, edition, check=False)
    assert done.returncode != 0
    assert "8 images can be used, a group needs 9. Add some to this class." in done.stdout + done.stderr


def test_an_interrupted_run_resumes(tmp_path: Path):
    """After Ctrl-C during training, finished work is kept, and the same command ends with the same bytes."""
    edition = TINY | {"learning": {"T": 60, "L": 10}, "studies": {"whole": {"datasets": ["faces"]}}}
    (tmp_path / "edition.yaml").write_text(yaml.safe_dump(edition))
    argv = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(tmp_path)]
    argv += ["--profile", str(ROOT / "profiles/default"), "--configfile", str(tmp_path / "edition.yaml")]
    process = subprocess.Popen(
        argv, cwd=tmp_path, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    logs = tmp_path / "results/logs/train"
    while process.poll() is None and not list(logs.rglob("*.log")):
        time.sleep(0.1)
    time.sleep(6)  # training takes about twice as long
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait() != 0, process.stdout and process.stdout.read()
    assert (tmp_path / "results/data/faces/all.npy").exists(), "finished work is kept"
    run(tmp_path, edition, "--until", "train")
    for method in ("frame", "wframe"):
        ended = tmp_path / f"results/runs/whole/faces/all/base/{method}-0/0"
        record = json.loads(ended.with_suffix(".json").read_text())
        straight = [*record["command"][1:], "--out", str(tmp_path / method), "--checkpoints", str(tmp_path / "other")]
        straight[straight.index("results/data/faces/all.npy")] = str(tmp_path / "results/data/faces/all.npy")
        straight[straight.index("results/bank.safetensors")] = str(tmp_path / "results/bank.safetensors")
        assert main(straight) == 0
        for ending in (".safetensors", ".parquet"):
            assert ended.with_suffix(ending).read_bytes() == (tmp_path / (method + ending)).read_bytes(), ending


def test_an_unwritable_results_folder_is_reported(tmp_path: Path):
    (tmp_path / "results").write_text("in the way")
    done = run(tmp_path, TINY, check=False)
    assert done.returncode != 0 and "results" in done.stdout + done.stderr


# --- lint ----------------------------------------------------------------------------------------------------------


def test_the_workflow_is_clean(tmp_path: Path):
    assert "Congratulations" in (done := snakemake(tmp_path, "--lint")).stdout + done.stderr
    check = [sys.executable, "-m", "snakefmt", "--check", str(ROOT / "Snakefile"), str(ROOT / "workflow")]
    assert subprocess.run(check, capture_output=True).returncode == 0
