"""What is refused while planning: raw files that are missing beside older results, another edition's results."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from conftest import ROOT, TINY, run, snakemake
from PIL import Image

from wframe.__main__ import main
from wframe.config.edition import Edition, check
from wframe.files import sha256_file, write_json
from wframe.jobs.keys import key
from wframe.model.bank import save_bank
from wframe.record.refusals import absent
from wframe.record.stamps import Step, write_stamps
from wframe.weights import BUILTIN_BANK

VGG = {"bank": {"source": "vgg16", "weights": "vgg16/nofile.npz"}}
FACES = {"faces": TINY["datasets"]["faces"]}
OF_FACES = {"datasets": FACES, "studies": {"whole": {"datasets": ["faces"]}}}


def said(folder: Path, edition: dict, *options: str) -> str:
    """Return what the workflow says when it refuses."""
    done = run(folder, edition, *options, check=False)
    output = done.stdout + done.stderr
    assert done.returncode != 0 and "Traceback" not in output and "MissingInput" not in output, output
    return output


def of_images(path: str, **changes: object) -> dict:
    """Return an edition of one dataset on disk."""
    datasets = {"mine": {"source": "folder", "path": path, "classes": ["cats"], "size": 16}}
    return TINY | {"datasets": datasets, "studies": {"whole": {"datasets": ["mine"]}}} | changes


def made(edition: Edition, rule: str, output: str, **wildcards: str) -> None:
    """Record an output as made by a rule of an edition."""
    write_stamps(Step(rule, wildcards, key(edition, rule, wildcards), [], [output]), {})


def test_missing_bank_weights_never_leave_the_old_bank_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    run(tmp_path, TINY | OF_FACES, "--", "results/config.yaml", "results/bank.safetensors")
    missing = tmp_path / "data/vgg16/nofile.npz"
    for target in ((), ("--dry-run",), ("--", "results/runs/whole/faces/all/base/frame-0/0.json")):
        output = said(tmp_path, TINY | OF_FACES | VGG, *target)
        assert f"bank.weights: {missing} is missing" in output and "Set WFRAME_DATA" in output
        assert "docs/data.md" in output and "rule train" not in output
    assert not (tmp_path / "results/runs").exists() and not (tmp_path / "results/data").exists()
    monkeypatch.chdir(tmp_path)
    assert main(["check", "--edition", "edition.yaml"]) == 1
    stale = capsys.readouterr().out.partition("drifted:")[0]
    assert "results/bank.safetensors: its code or configuration has changed" in stale
    missing.parent.mkdir(parents=True)
    missing.write_bytes(b"not weights")
    assert "rule bank:" in run(tmp_path, TINY | OF_FACES | VGG, "--dry-run").stdout


def test_a_bank_depends_on_the_content_of_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    edition, weights, bank = check(TINY | VGG), Path("data/vgg16/nofile.npz"), Path("results/bank.safetensors")
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"first")
    first = key(edition, "bank", {})
    bank.parent.mkdir()
    save_bank(bank, {"0.weight": torch.zeros(1)}, {"source_sha256": sha256_file(weights)})
    made(edition, "bank", str(bank))
    weights.unlink()
    assert key(edition, "bank", {}) == first and "bank.weights" not in absent(edition), (
        "made from it while it was there"
    )
    other = check(TINY | {"bank": VGG["bank"] | {"weights": "vgg16/other.npz"}})
    assert "bank.weights" in absent(other)
    weights.write_bytes(b"second")
    assert key(edition, "bank", {}) != first
    weights.unlink()
    shutil.copy(BUILTIN_BANK, bank)
    assert key(edition, "bank", {}) != first and "bank.weights" in absent(edition), "a bank from elsewhere"


def test_missing_images_never_leave_the_old_ones_in_use(tmp_path: Path):
    (tmp_path / "data/pets/cats").mkdir(parents=True)
    for index in range(9):
        pixels = np.random.default_rng(index).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"data/pets/cats/{index}.png")
    array = "results/data/mine/cats.npy"
    run(tmp_path, of_images("pets"), "--", array)
    (tmp_path / "data/pets").rename(tmp_path / "elsewhere")
    assert f"datasets.mine.path: {tmp_path / 'data/pets'} is missing" in said(tmp_path, of_images("pets"), "--dry-run")
    step = said(tmp_path, of_images("pets"), "--", array)
    assert "there is no such folder or archive" in step, "the step that reads them"
    shutil.make_archive(str(tmp_path / "data/pets"), "zip", tmp_path / "elsewhere")
    assert "rule prepare:" in run(tmp_path, of_images("pets.zip"), "--dry-run").stdout
    assert "data/pets.tar is missing" in said(tmp_path, of_images("pets.tar"), "--dry-run")


def test_images_left_out_of_a_release_are_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    edition, array = check(of_images("pets")), Path("results/data/mine/cats.npy")
    assert list(absent(edition)) == ["datasets.mine.path"]
    assert absent(edition, whole=False) == {}, "single files may not need it"
    array.parent.mkdir(parents=True)
    array.write_bytes(b"images")
    made(edition, "prepare", str(array), dataset="mine", class_="cats")
    array.unlink()
    assert absent(edition) == {}


def test_missing_weights_of_a_classifier_are_looked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    rows = {"real": {"dataset": "faces"}}
    here, gone = (
        check(TINY | OF_FACES | {"scores": {"extractor": "squeezenet", "weights": name, "rows": rows}})
        for name in ("here.npz", "gone.npz")
    )
    Path("data").mkdir()
    Path("data/here.npz").write_bytes(b"weights")
    sha256 = sha256_file("data/here.npz")
    write_json(Path("results/scores/weights.json"), {"status": "ok", "sha256": sha256, "seen": sha256})
    assert key(gone, "weights", {}) != key(here, "weights", {}), "the rule runs, and says they are missing"


@pytest.mark.parametrize("name", ["real", "map"])
def test_an_edition_without_its_data_folder_says_what_it_needs(tmp_path: Path, name: str):
    done = snakemake(tmp_path, "--configfile", str(ROOT / f"config/{name}.yaml"), check=False)
    output = done.stdout + done.stderr
    assert done.returncode != 0 and f"the edition `{name}` needs a data folder" in output
    assert "data/vgg16/vgg16_caffe_bgr_first4conv.npz is missing" in output and "see docs/data.md" in output
    assert not (tmp_path / "results").exists() and "MissingInput" not in output


def test_results_of_another_edition_are_left_alone(tmp_path: Path):
    run(tmp_path, TINY | OF_FACES, "--", "results/config.yaml")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("*")}
    for options in ((), ("--dry-run",), ("--", "results/bank.safetensors")):
        output = said(tmp_path, TINY | OF_FACES | {"edition": "other"}, *options)
        assert "holds the edition `tiny`. Run `other` elsewhere: add --directory other" in output
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("*")} == before
    marks = [path for path in (tmp_path / ".snakemake/incomplete").rglob("*") if path.is_file()]
    assert not marks, "none of its results are marked stale"
    run(tmp_path, TINY | OF_FACES | {"edition": "other"}, "--unlock")
    values = tmp_path / "same.yaml"
    values.write_text(yaml.safe_dump(TINY | OF_FACES))
    changed = snakemake(tmp_path, "--dry-run", "--configfile", str(values), "--config", "seed=1")
    assert "rule train:" in changed.stdout, "a changed edition keeps its name"
