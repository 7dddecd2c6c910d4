"""Inputs of an edition: which are needed, what goes without the others, and what is said about it."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import ROOT, TINY, snakemake
from packed import generated, packed

from wframe.__main__ import main
from wframe.config.edition import check, load
from wframe.data.records import local_state
from wframe.data.registry import load_registry
from wframe.errors import UserError
from wframe.jobs.keys import key
from wframe.jobs.left_out import load_made, may_be_left_out, without
from wframe.jobs.runs import run_files, score_row

PAPER = load(ROOT / "config/paper.yaml")
WHY = "SUN397 could not be fetched"


def test_what_goes_with_an_input():
    reduced = without(PAPER, {"sun397": WHY})
    assert set(PAPER.studies) - set(reduced.studies) == {"collapse", "sizes"} and "dcgan-few" not in reduced.baselines
    assert not [name for name in reduced.datasets if name.startswith("sun")]
    assert reduced.scores == PAPER.scores and reduced.left_out("study", "collapse") == WHY
    assert set(run_files(reduced, "json")) < set(run_files(PAPER, "json"))
    fewer = without(PAPER, {"lsun-bedroom": "LSUN could not be fetched"})
    assert fewer.studies["whole"].datasets == ["celeba", "cifar10", "cifar10-unlabelled"]
    assert fewer.left_out_for("whole", {"lsun-bedroom"}) == "LSUN could not be fetched"
    no_scores = without(PAPER, {"cifar10": "CIFAR-10 could not be fetched"})
    assert no_scores.scores is None and no_scores.left_out("row", "wframe"), "the gate is CIFAR-10"
    assert without(PAPER, {"inception": "-"}) == PAPER, "the table of scores says so itself"
    with pytest.raises(UserError, match="nothing is left to do"):
        without(PAPER, {name: "gone" for name in ("sun397", "celeba", "cifar10", "lsun-bedroom")})


def test_what_may_be_left_out():
    assert may_be_left_out(PAPER, "sun397") and may_be_left_out(PAPER, "inception")
    assert not may_be_left_out(PAPER, "celeba") and not may_be_left_out(PAPER, "vgg16")
    told = PAPER.model_copy(update={"without": ["celeba", "vgg16"]})
    assert may_be_left_out(told, "celeba") and not may_be_left_out(told, "vgg16"), "everything needs the bank"
    assert check(PAPER.model_dump() | {"without": "celeba,cifar10"}).without == ["celeba", "cifar10"]
    assert "without" not in PAPER.model_dump(mode="json", by_alias=True), "results don't depend on it"


def test_a_registry_dataset_is_its_own_input():
    assert PAPER.datasets["cifar10-test"].inputs == ["cifar10"] and PAPER.datasets["sun-32"].optional
    registry = load_registry(ROOT / "config/inputs.yaml")
    assert PAPER.inputs() <= set(registry)
    for name in ("cifar10", "celeba", "lsun-bedroom", "sun397"):
        first, *others = registry[name].copies
        assert first.hub and first.source == "huggingface" and first.differs and others, name
    other = json.loads(PAPER.model_dump_json(by_alias=True))
    other["datasets"]["celeba"] |= {"path": "faces", "inputs": ["faces"]}
    with pytest.raises(UserError, match="can't stand for celeba"):
        check(other)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A registry with two datasets, `here` by hand and `gone`, and an edition that needs both."""
    names = {"here": "data/train.parquet", "gone": "gone.parquet"}
    registry = {
        name: {
            "title": f"{name.title()} (someone 2020)",
            "terms": "-",
            "link": "-",
            "copies": [{"name": "own", "source": "huggingface", "differs": "made here", "files": [{"name": file}]}],
        }
        for name, file in names.items()
    }
    registry["gone"]["copies"][0]["files"][0]["manual"] = "Ask Ann."
    (tmp_path / "inputs.yaml").write_text(yaml.safe_dump(registry))
    (tmp_path / "data/here/data").mkdir(parents=True)
    (tmp_path / "data/here/data/train.parquet").write_bytes(packed([generated(k) for k in range(9)]))
    edition = TINY | {
        "datasets": {name: {"source": "registry", "path": name, "size": 16} for name in names},
        "studies": {"whole": {"datasets": ["here"]}, "collapse": {"datasets": ["gone"], "title": "Collapse"}},
    }
    (tmp_path / "edition.yaml").write_text(yaml.safe_dump(edition))
    return tmp_path


def gather(place: Path, *options: str) -> int:
    argv = ["inputs", str(place / "edition.yaml"), "--registry", str(place / "inputs.yaml"), "--offline"]
    argv += ["--data", str(place / "data"), "--claims", str(ROOT / "config/claims.yaml")]
    return main([*argv, "--out", str(place / "results/inputs.json"), *options])


def test_a_missing_input_stops_the_run_with_a_full_report(
    place: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("WFRAME_COMMAND", "snakemake --configfile my.yaml --config data=x -n")
    assert gather(place) == 2 and not (place / "results/inputs.json").exists()
    said = capsys.readouterr().err
    for words in (
        "gone (Gone (someone 2020)) could not be downloaded and is required.",
        "own, gone.parquet: (no server has it any more)",
        "it would serve: studies: Collapse",
        "Ask Ann.",
        f"Put it at {place / 'data/gone/gone.parquet'}",
        "Nothing was trained; what was fetched is kept.",
        "snakemake --configfile my.yaml --config without=gone data=x -n",
    ):
        assert words in said, words


def test_going_on_without_and_completing_later(place: Path, capsys: pytest.CaptureFixture):
    assert gather(place, "--without", "gone", "--seen", "x") == 0
    record = json.loads((place / "results/inputs.json").read_text())
    assert record["left_out"]["gone"]["why"] == "Gone could not be fetched" and record["seen"] == "x"
    assert record["left_out"]["gone"]["serves"] == {"datasets": ["gone"], "studies": ["Collapse"]}
    assert record["inputs"]["here"]["differs"] == "made here"
    (place / "results/config.yaml").write_text((place / "edition.yaml").read_text())
    assert list(load_made(place / "results").studies) == ["whole"]
    (place / "data/gone/gone.parquet").write_bytes(packed([generated(k) for k in range(9)]))
    assert gather(place) == 0
    assert json.loads((place / "results/inputs.json").read_text())["left_out"] == {}
    assert set(load_made(place / "results").studies) == {"whole", "collapse"}
    entries = load_registry(place / "inputs.yaml")
    assert local_state(place / "data", "gone", entries["gone"]) == "here"
    assert gather(place, "--without", "nothing") == 2


def test_a_key_given_twice_is_refused(place: Path, capsys: pytest.CaptureFixture):
    registry = (place / "inputs.yaml").read_text()
    (place / "inputs.yaml").write_text(registry + "gone:\n  title: again\n")
    assert gather(place) == 2
    assert "the key 'gone' is given twice" in capsys.readouterr().err
    (place / "inputs.yaml").write_text(registry)
    claims = place / "claims.yaml"
    claims.write_text("- id: a\n  id: b\n")
    assert gather(place, "--claims", str(claims)) == 2
    assert "the key 'id' is given twice" in capsys.readouterr().err


def test_the_fetched_copy_is_read_and_named(place: Path, capsys: pytest.CaptureFixture):
    out = place / "x.npy"
    argv = ["prepare", "--source", "registry", "--data", str(place / "data"), "--path", "here", "--size", "16"]
    assert main([*argv, "--out", str(out)]) == 2
    assert "not fetched yet. `wframe fetch here` gets it." in capsys.readouterr().err
    assert gather(place, "--without", "gone") == 0 and not main([*argv, "--out", str(out)])
    assert len(np.load(out)) == 9
    import pyarrow.parquet as pq

    options = json.loads(pq.read_schema(out.with_suffix(".parquet")).metadata[b"wframe"])["options"]
    assert (options["fetched_source"], options["fetched_differs"]) == ("huggingface", "made here")


def test_sizes_and_room_are_shown(place: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    registry = yaml.safe_load((place / "inputs.yaml").read_text())
    registry["gone"]["copies"][0]["files"][0] |= {"about": 2_500_000_000_000_000}
    (place / "inputs.yaml").write_text(yaml.safe_dump(registry))
    assert gather(place) == 2
    said = capsys.readouterr().err
    assert "2,500,000.00 GB are to be downloaded (gone 2,500,000.00 GB" in said and "Make room" in said
    shown = ["--registry", str(place / "inputs.yaml"), "--data", str(place / "data")]
    assert not main(["data", "status", *shown])
    said = " ".join(capsys.readouterr().out.split())
    assert "about 2,500,000.00 GB" in said and "of disk are free" in said
    monkeypatch.setenv("WFRAME_DATA", str(place / "data"))
    assert not main(["plan", "--configfile", str(place / "edition.yaml"), "--on", "A100", *shown[:2]])
    assert "To download: about 2,500,000.00 GB" in " ".join(capsys.readouterr().out.split())


def test_a_held_out_dataset_that_is_gone_is_not_asked_for(place: Path, monkeypatch: pytest.MonkeyPatch):
    """Images are compared with held-out images of another dataset; without it, with what wasn't trained on."""
    monkeypatch.setenv("WFRAME_REGISTRY", str(place / "inputs.yaml"))
    monkeypatch.setenv("WFRAME_DATA", str(place / "data"))
    monkeypatch.chdir(place)
    edition = yaml.safe_load((place / "edition.yaml").read_text())
    edition["datasets"] = {name: entry | {"size": 32} for name, entry in edition["datasets"].items()}
    edition["studies"] = {"whole": {"datasets": ["here"]}}
    rows = {"real": {"dataset": "here"}}
    edition["scores"] = {"extractor": "pocket", "held_out": {"here": "gone"}, "rows": rows}
    edition["baselines"] = {"ali": {"model": "ali", "dataset": "here", "batch": 4, "samples": 9, "steps": 3}}
    (place / "edition.yaml").write_text(yaml.safe_dump(edition))
    full = check(edition)
    row, its = {"row": "real"}, {"baseline": "ali"}
    assert "results/data/gone/all.npy" in score_row(full, "real").files
    keys = key(full, "score", row), key(full, "reconstruct", its)
    assert gather(place, "--without", "gone") == 0
    assert key(full, "score", row) != keys[0] and key(full, "reconstruct", its) == keys[1]
    planned = snakemake(place, "--configfile", str(place / "edition.yaml"), "-n", "--config", "without=gone").stdout
    assert "results/scores/real.json" in planned and "reconstructions/ali.csv" in planned
    assert "results/data/gone" not in planned


def test_the_workflow_stops_before_training(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WFRAME_REGISTRY", str(place / "inputs.yaml"))
    monkeypatch.setenv("WFRAME_DATA", str(place / "data"))
    done = snakemake(place, "--configfile", str(place / "edition.yaml"), check=False)
    said = done.stdout + done.stderr
    assert done.returncode != 0 and "gone could not be downloaded (reasons above). Nothing was trained" in said
    assert f"--configfile {place / 'edition.yaml'} --config without=gone" in said
    assert not (place / "results/runs").exists() and not (place / "results/data").exists()
    known = snakemake(place, "--configfile", str(place / "edition.yaml"), "--config", "without=nothing", check=False)
    assert "no entry 'nothing'" in known.stdout + known.stderr
