"""Stamps and the sweep, on a results folder of one small file: hashes, other editions, other machines."""

import os
import platform
from pathlib import Path

import pytest

from wframe.config.edition import Edition, check
from wframe.files import sha256_file, write_json
from wframe.jobs.keys import PARTS, key
from wframe.record.stamps import RESULTS, Step, check_reads, read_stamp, result_files, write_stamps
from wframe.record.sweep import litter, outdated, sweep, unstamped

ONE_RUN = {"study": "whole", "dataset": "d", "class_": "all", "setting": "base"}
ONE_RUN |= {"method": "wframe", "repeat": "0", "shard": "0"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def edition(**changes: object) -> Edition:
    datasets, studies = {"d": {"source": "embedded", "path": "faces"}}, {"whole": {"datasets": ["d"]}}
    return check({"edition": "small", "datasets": datasets, "studies": studies} | changes)


def stale(stamp: dict, **changes: object) -> str | None:
    return outdated(edition(**changes), edition(**changes), stamp)


def test_an_input_that_changes_meanwhile_is_stamped_as_it_was_read(here: Path):
    for name in ("a", "b"):
        write_json(f"results/{name}.json", name)
    write_stamps(Step("config", {}, "k", [], ["results/a.json"]), {})
    step = Step("config", {}, "k", ["results/a.json"], ["results/b.json"])
    inputs, before = check_reads(step), sha256_file("results/a.json")
    write_json("results/a.json", "changed")
    write_stamps(step, inputs)
    stamp = read_stamp("results/b.json")
    assert stamp and stamp["inputs"] == {"results/a.json": before} != {"results/a.json": sha256_file("results/a.json")}


def test_job_output_unfinished_work_stamps_and_hidden_files_are_no_results(here: Path):
    assert result_files() == []
    results = ["bank.safetensors", "figures/s/a.png", "figures/s/index.json", "tables/logs/x.csv"]
    others = ["logs/x.log", "checkpoints/x.pt", "stamps/bank.safetensors.json", ".hidden", "tables/.x.part", ".x/y"]
    for name in results + others:
        (RESULTS / name).parent.mkdir(parents=True, exist_ok=True)
        (RESULTS / name).touch()
    assert result_files() == [RESULTS / name for name in results]
    assert unstamped() == [RESULTS / "figures/s/index.json", RESULTS / "tables/logs/x.csv"], "an index has the stamp"


@pytest.mark.parametrize("name", ["study", "dataset", "class_", "setting"])
def test_results_of_another_edition_are_left_alone(name: str):
    assert stale({"rule": "train", "wildcards": ONE_RUN | {name: "another"}, "key": "", "inputs": {}}) is None


@pytest.mark.parametrize(("rule", "wildcard"), [("baseline", "baseline"), ("score", "row")])
def test_so_are_baselines_and_rows(rule: str, wildcard: str):
    assert stale({"rule": rule, "wildcards": {wildcard: "x"}, "key": "", "inputs": {}}) is None


def test_a_rule_that_went_and_a_changed_key_make_a_result_stale():
    stamp = {"rule": "train", "wildcards": ONE_RUN, "key": key(edition(), "train", ONE_RUN), "inputs": {}}
    assert stale(stamp) is None
    assert stale(stamp, seed=1) == "its code or configuration has changed"
    assert stale(stamp | {"rule": "gone"}) == "there is no rule gone any more"


def test_an_error_in_a_key_is_no_other_edition(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(PARTS, "theory", (lambda edition: {}["missing"],))
    with pytest.raises(KeyError):
        stale({"rule": "theory", "wildcards": {}, "key": "", "inputs": {}})


def test_a_damaged_record_of_inputs_is_named(here: Path):
    write_json("results/inputs.json", {"left_out": {}})
    write_stamps(Step("inputs", {}, "k", [], ["results/inputs.json"]), {})
    Path("results/inputs.json").write_text("{")
    stale, drifted = sweep(edition())
    assert not stale and list(drifted) == ["results/inputs.json"]


@pytest.mark.parametrize("node", ["node1", "node1.cluster.example"])
def test_temporary_files_of_ended_processes_here_go(here: Path, monkeypatch: pytest.MonkeyPatch, node: str):
    monkeypatch.setattr(platform, "node", lambda: node)
    ended = 2**22 + 1  # above Linux's largest process id
    parts = {
        name: Path(f"results/.t.csv.{name}.part") for name in (f"{node}.{ended}", f"{node}.{os.getpid()}", f"x.{ended}")
    }
    for part in parts.values():
        part.parent.mkdir(exist_ok=True)
        part.touch()
    litter(remove=True)
    assert [part.exists() for part in parts.values()] == [False, True, True]
