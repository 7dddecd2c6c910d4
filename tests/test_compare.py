"""`wframe compare`: did I get the same? On results that are altered in known ways."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from safetensors.numpy import load_file, save_file

from wframe.__main__ import main
from wframe.record.compare import CLOSE, START, answer, compare, details
from wframe.record.summary import Summary, read

RUN = "whole/faces/all/base/wframe-0"
REFERENCE = ROOT / "docs/measurements/demo-reference.json"


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the tiny edition's results, to alter."""
    return Path(shutil.copytree(tiny / "results", tmp_path / "results"))


@pytest.fixture(scope="module")
def ours(tiny: Path) -> Summary:
    """What the tiny edition's results say."""
    return read(tiny)


def alter_curves(results: Path, change) -> None:
    """Change one run's R by a function of R and the iteration."""
    file = results / "studies/whole.parquet"
    curves = pd.read_parquet(file)
    mine = (curves["dataset"] == "faces") & (curves["method"] == "wframe")
    curves.loc[mine, "R"] = change(curves.loc[mine, "R"], curves.loc[mine, "iteration"])
    curves.to_parquet(file, index=False)


def alter_samples(results: Path) -> None:
    """Change one pixel of one run's samples."""
    file = results / f"runs/{RUN}/0.safetensors"
    tensors = load_file(file)
    tensors["images"][0, 0, 0, 0, 0] ^= 1
    save_file(tensors, file)


def test_identical_results_are_equal_in_every_form(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    reference = tmp_path / "reference.json"
    assert main(["compare", str(tiny), "--write-reference", str(reference)]) == 0
    assert reference.stat().st_size < 50_000
    archive = tmp_path / "release.zip"
    with zipfile.ZipFile(archive, "w") as release:
        for file in (tiny / "results").rglob("*"):
            if file.is_file() and file.suffix != ".npy":  # a release may leave out the observed images
                release.write(file, Path("results") / file.relative_to(tiny / "results"))
    for other in (reference, archive, tiny / "results/manifest.json", tiny / "results"):
        capsys.readouterr()
        assert main(["compare", str(tiny / "results"), str(other), "--brief"]) == 0
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith("Same as ") and "6 runs, to the byte" in line


def test_rounding_that_grows_slowly_is_rounding(copy: Path, ours: Summary):
    alter_samples(copy)
    alter_curves(copy, lambda R, t: R * (1 + 1e-6 * t))
    found = compare(read(copy), ours)
    assert found.agree and not found.identical
    (changed,) = [run for run in found.runs if run.state != "identical"]
    assert changed.name == RUN and changed.state == "rounding" and changed.relative == pytest.approx(3e-6, rel=0.01)
    assert answer(found, "the reference").endswith("another processor.") and "e-06" in answer(found, "x")


def test_rounding_that_grows_to_percents_is_told_apart(copy: Path, ours: Summary):
    alter_samples(copy)
    alter_curves(copy, lambda R, t: R * (1 + 2 * CLOSE * 1e-2 ** (3 - t)))
    found = compare(read(copy), ours)
    (changed,) = [run for run in found.runs if run.state != "identical"]
    assert changed.state == "grown" and not found.agree and "1 runs in which rounding grows" in answer(found, "x")
    alter_curves(copy, lambda R, t: R * (1 + 2 * CLOSE * (t > 1)))
    (changed,) = [run for run in compare(read(copy), ours).runs if run.state != "identical"]
    assert changed.state == "differs" and changed.since == 2, "a jump is no rounding"


def test_a_changed_r_a_changed_value_and_a_changed_verdict_are_named(
    copy: Path, tiny: Path, ours: Summary, capsys: pytest.CaptureFixture
):
    alter_samples(copy)
    alter_curves(copy, lambda R, t: R.where(t != 2, R * 1.001))
    table = pd.read_csv(copy / "tables/whole.csv")
    table.loc[0, "R_start"] *= 1.05
    table.to_csv(copy / "tables/whole.csv", index=False)
    claims = json.loads((copy / "claims.json").read_text())
    claims["claims"][0]["verdict"] = "reproduced"
    (copy / "claims.json").write_text(json.dumps(claims))
    found = compare(read(copy), ours)
    (changed,) = [run for run in found.runs if run.state != "identical"]
    assert (changed.name, changed.state, changed.since) == (RUN, "differs", 2)
    assert len(found.tables) == 1 and "tables/whole, faces/all/base, R_start" in found.tables[0]
    assert len(found.verdicts) == 1 and found.verdicts[0].startswith(claims["claims"][0]["id"])
    assert f"{RUN}: differs from iteration 2" in "\n".join(details(found))
    assert main(["compare", str(copy), str(tiny), "--brief"]) == 1
    assert "Differs from" in capsys.readouterr().out.splitlines()[-1]


def test_another_seed_is_not_rounding(copy: Path, tiny: Path, ours: Summary):
    record = json.loads((copy / f"runs/{RUN}/0.json").read_text())
    argv = [*record["command"][1:], "--out", str(copy / "other"), "--seed", "1", "--checkpoints", str(copy / "other")]
    for option, file in (("--observed", "data/faces/all.npy"), ("--bank", "bank.safetensors")):
        argv[argv.index(option) + 1] = str(tiny / "results" / file)
    assert main(argv) == 0
    shutil.copy(copy / "other.safetensors", copy / f"runs/{RUN}/0.safetensors")
    other = pd.read_parquet(copy / "other.parquet")
    alter_curves(copy, lambda R, t: other["R"].to_numpy())
    (changed,) = [run for run in compare(read(copy), ours).runs if run.state != "identical"]
    assert changed.state == "differs" and changed.since == 1 and changed.relative > 10 * START


def test_other_images_and_missing_runs_are_reported(copy: Path, ours: Summary):
    np.save(copy / "data/faces/all.npy", np.zeros((18, 16, 16, 3), np.uint8))
    manifest = json.loads((copy / "manifest.json").read_text())
    gone = [name for name in manifest["outputs"] if name.startswith(f"runs/{RUN}/")]
    for name in gone:
        del manifest["outputs"][name]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    found = compare(read(copy), ours)
    assert found.inputs == ["data/faces/all.npy"] and found.missing == [RUN] and not found.agree


def test_what_cannot_be_compared_is_refused(copy: Path, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"edition": "mine"}))
    (tmp_path / "other.json").write_text("{}")
    for other, said in (
        (copy, "different editions (tiny, mine)"),
        (tmp_path / "other.json", "neither a manifest"),
        (tmp_path / "nothing", "no such folder or file"),
        (ROOT / "config", "no results of a finished run"),
    ):
        assert main(["compare", str(tiny), str(other)]) == 2
        assert said in capsys.readouterr().err


@pytest.mark.skipif(not REFERENCE.exists(), reason="no reference of the demo")
def test_the_demo_gives_what_the_reference_says(demo: Path):
    found = compare(read(demo), read(REFERENCE))
    assert not [run.name for run in found.runs if run.state in ("differs", "unknown")], details(found)
    assert not (found.missing or found.inputs), details(found)
