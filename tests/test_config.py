"""Editions: what is refused, and whether generated files are up to date."""

import difflib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
from argparse import Namespace
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from wframe.__main__ import COMMANDS, GROUPS, main
from wframe.config import command
from wframe.config import edition as config
from wframe.config.learning import Learning
from wframe.errors import UserError
from wframe.files import sha256_file
from wframe.jobs import options
from wframe.jobs import runs as plan
from wframe.jobs.rules import Rules
from wframe.model.constants import Constants
from wframe.model.readings import DESCRIPTIONS, READINGS
from wframe.record.manifest import environment

ROOT = Path(__file__).parent.parent
EDITIONS = [
    path for path in sorted((ROOT / "config").glob("*.yaml")) if "edition" in (yaml.safe_load(path.read_text()) or {})
]


def edition(**changes: object) -> dict:
    base = {
        "edition": "test",
        "datasets": {"cats": {"source": "folder", "path": "cats"}},
        "studies": {"whole": {"datasets": ["cats"]}},
    }
    return base | changes


@pytest.mark.parametrize("path", EDITIONS, ids=lambda path: path.stem)
def test_the_projects_editions_are_valid(path: Path):
    assert config.load(path).edition == path.stem


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning": {"lamda": 1}}, "learning.lamda: unknown key. Did you mean `lambda`?"),
        ({"beta": 30}, "beta: unknown key; it belongs in learning: --config learning='{beta: 30}'"),
        (
            {"datasets": {"cats": {"source": "folder", "sizes": 32}}},
            "datasets.cats.sizes: unknown key. Did you mean `size`?",
        ),
        ({"nothing_like_it": 1}, "nothing_like_it: unknown key"),
        ({"learning": {"beta": -1}}, "learning.beta = -1: Input should be greater than or equal to 0"),
        ({"learning": {"delta": "much"}}, 'learning.delta = "much"'),
        ({"device": "cpu", "learning": {"precision": "tf32"}}, "precision tf32 needs a GPU, but device is cpu"),
        (
            {"compared": True, "bank": {"source": "vgg16", "weights": "w"}}
            | {"studies": {"whole": {"datasets": ["dogs"]}}},
            "studies.whole.datasets: there is no dataset 'dogs'",
        ),
        ({"learning": {"T": True}}, "learning.T = true: true and false mean nothing here"),
        ({"seed": False}, "seed = false: true and false mean nothing here"),
        ({"datasets": {"cats": {"source": "folder", "classes": ["my cats"]}}}, "use letters, digits,"),
        ({"learning": {"reading": "free"}}, "learning.reading"),
        (
            {"datasets": {"cats": {"source": "folder", "size": 30}}},
            "datasets.cats.size = 30: must be a multiple of 4",
        ),
        ({"datasets": {"cats": {"source": "folder", "classes": ["a", "a"]}}}, "duplicate class: a"),
        ({"datasets": {"my cats": {"source": "folder"}}}, "datasets.my cats"),
        ({"studies": {"whole": {"datasets": ["dogs"]}}}, "there is no dataset 'dogs' (known: cats)"),
        ({"studies": {"whole": {"datasets": ["cats"], "methods": ["gan"]}}}, "studies.whole.methods.0"),
        ({"bank": {"source": "vgg16"}}, "set bank.weights"),
        ({"bank": {"inputs": ["vgg16"]}}, "remove bank.inputs"),
        ({"seed": None}, "seed = null"),
    ],
)
def test_invalid_values_are_refused_with_key_and_value(changes: dict, message: str):
    with pytest.raises(UserError, match=re.escape(message)):
        config.check(edition(**changes))


def test_all_problems_are_reported_at_once():
    with pytest.raises(UserError, match="3 problems") as caught:
        config.check(edition(seed=-1, device="tpu", learning={"T": 0}))
    assert len(str(caught.value).splitlines()) == 4


def test_one_study_has_one_T():
    two = {"cats": {"source": "folder", "path": "cats"}, "dogs": {"source": "folder", "path": "dogs"}}
    two["dogs"]["learning"] = {"T": 30}
    with pytest.raises(UserError, match=r"T has to be the same \(cats 100, dogs 30\): make it two studies"):
        config.check(edition(datasets=two, studies={"whole": {"datasets": ["cats", "dogs"]}}))
    apart = {"cats": {"datasets": ["cats"]}, "dogs": {"datasets": ["dogs"], "settings": {"a": {}, "b": {"T": 5}}}}
    config.check(edition(datasets=two, studies=apart))


def test_a_closed_pipe_gives_no_traceback():
    """`head` closes the reading end of the pipe like this."""
    reading, writing = os.pipe()
    os.close(reading)
    argv = [sys.executable, "-m", "wframe", "config", str(ROOT / "config/paper.yaml")]
    done = subprocess.run(argv, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert done.returncode == 141 and done.stderr == ""


def test_constants_are_overridden_in_order():
    """The dataset's constants override the edition's, the setting's override both; FRAME has β = 0."""
    full = config.check(
        edition(
            learning={"lambda": 1e-3, "delta": 0.1},
            datasets={"cats": {"source": "folder", "path": "cats", "learning": {"delta": 0.2, "T": 7}}},
            studies={"s": {"datasets": ["cats"], "settings": {"far": {"lambda": 1e-2}, "base": {}}}},
        )
    )
    far = full.constants("s", "cats", "far", "wframe")
    assert (far.lambda_, far.delta, far.T, far.beta) == (1e-2, 0.2, 7, 60)
    assert full.constants("s", "cats", "base", "frame").beta == 0
    assert full.constants("s", "cats", "base", "frame").lambda_ == 1e-3


@pytest.mark.parametrize("path", EDITIONS, ids=lambda path: path.stem)
def test_an_edition_written_in_full_is_the_same(path: Path):
    """The figures and the page are made from results/config.yaml."""
    full = config.load(path)
    again = config.check(yaml.safe_load(yaml.safe_dump(full.model_dump(mode="json", by_alias=True), sort_keys=False)))
    for run in plan.runs(full):
        key = (run.study, run.dataset, run.setting, run.method)
        assert full.constants(*key) == again.constants(*key)
    for name, study in full.studies.items():
        for setting, change in study.settings.items():
            assert again.studies[name].settings[setting].model_fields_set == change.model_fields_set


def test_runs_are_datasets_classes_settings_methods_and_repeats():
    full = config.check(
        edition(
            datasets={"cats": {"source": "folder", "path": "cats", "classes": ["a", "b"]}},
            studies={"s": {"datasets": ["cats"], "settings": {"x": {}, "y": {}}, "repeats": 3, "shards": 2}},
        )
    )
    runs = plan.runs(full)
    assert len({run.folder for run in runs}) == len(runs) == 2 * 2 * 2 * 3
    assert runs[0].files("json") == [f"results/runs/s/cats/a/x/frame-0/{shard}.json" for shard in (0, 1)]


def test_constants_match_the_configuration():
    assert set(Constants._fields) == set(Learning.model_fields)
    assert Constants() == Constants(**Learning().model_dump())
    allowed = Learning.model_json_schema()["properties"]["reading"]["enum"]
    assert set(allowed) == set(READINGS) == set(DESCRIPTIONS)


def test_every_key_has_a_description_of_its_own():
    full = command.schema()
    for name, part in {"Edition": full, **full["$defs"]}.items():
        for key, entry in part.get("properties", {}).items():
            said = entry.get("description", "") or ("$ref" in entry and "its own model's")
            assert said or "const" in entry, f"{name}.{key} has no description"
            assert said != "a name: files get it, too", f"{name}.{key} has only a name's"
    assert all(f"`{name}`: {text}" in json.dumps(full, ensure_ascii=False) for name, text in DESCRIPTIONS.items())


def test_commands_are_listed_under_headings(capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    places = [said.index(f"\n{heading}:\n") for heading in GROUPS]
    assert places == sorted(places)
    assert all(len(re.findall(rf"^  {name} +\w", said, re.MULTILINE)) == 1 for name in COMMANDS)
    assert max(map(len, said.splitlines())) <= 110


@pytest.mark.parametrize("what", [["config/demo.yaml"], ["--schema"]], ids=["edition", "schema"])
def test_a_file_gets_what_is_printed(what: list[str], tmp_path: Path, capsys: pytest.CaptureFixture):
    argv = ["config", *(str(ROOT / word) if word.endswith(".yaml") else word for word in what)]
    assert main(argv) == 0 and main([*argv, "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out").read_text() == capsys.readouterr().out != ""


def test_no_rule_writes_its_output_through_the_shell():
    rules = {path.name: path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk")}
    assert len(rules) > 5 and not [name for name, text in rules.items() if re.search(r"(?<!2)> ?\{output", text)]


def test_the_schema_is_up_to_date():
    now = json.dumps(command.schema(), indent=1, ensure_ascii=False) + "\n"
    kept = (ROOT / "config" / "schema.json").read_text()
    diff = "\n".join(difflib.unified_diff(kept.splitlines(), now.splitlines(), "config/schema.json", "the models"))
    assert not diff, f"run `python -m wframe config --schema > config/schema.json`\n{diff}"


def test_environments_agree():
    """pip's part of environment.yml is what uv exports from uv.lock; conda brings nothing but Python and pip."""
    uv = shutil.which("uv") or ROOT / ".uv/bin/uv"
    options = ["--frozen", "--no-dev", "--no-emit-project", "--no-hashes", "--no-annotate", "--no-header"]
    exported = subprocess.run([uv, "export", *options], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    python, pip, pins = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert pins == {"pip": exported.splitlines()}, "run `make environment.yml`"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert pip == "pip" and SpecifierSet(project["requires-python"]).contains(python.removeprefix("python="))
    names = {Requirement(pin).name for pin in pins["pip"]}
    assert {Requirement(part).name for part in project["dependencies"]} <= names


def test_the_manifest_records_the_environment(tmp_path: Path):
    """It has the lock's hash and every package that differs from it: here this process's packages and a false lock."""
    about = environment(ROOT / "uv.lock")
    assert about["lock"] == sha256_file(ROOT / "uv.lock") and about["python"] == platform.python_version()
    false = tmp_path / "uv.lock"
    false.write_text('[[package]]\nname = "torch"\nversion = "0.1"\n[[package]]\nname = "nowhere"\nversion = "1"\n')
    assert environment(false)["differs"] == {"torch": metadata.version("torch")}
    assert environment(tmp_path / "none")["lock"] is None


def test_snapshots_spread_up_to_the_last_iteration():
    values = {"edition": "a", "learning": {"T": 25}, "datasets": {"d": {"source": "embedded", "path": "faces"}}}
    studies = {"by-default": {}, "some": {"snapshots": [9, 3, 40]}, "none": {"snapshots": []}}
    edition = config.check(values | {"studies": {name: {"datasets": ["d"]} | given for name, given in studies.items()}})
    assert edition.snapshots("by-default", "d", "base") == [1, 2, 3, 5, 9, 15, 25]
    assert edition.snapshots("some", "d", "base") == [3, 9] and edition.snapshots("none", "d", "base") == []
    assert "--snapshots" not in options.train(edition, "none", "d", "all", "base", "frame", "0", "0")
    assert "1,2,3,5,9,15,25" in options.train(edition, "by-default", "d", "all", "base", "frame", "0", "0")


def test_scores_and_baselines_may_have_a_device_of_their_own():
    values = edition(
        device="cuda",
        scores={
            "extractor": "pocket",
            "device": "cpu",
            "rows": {"real": {"dataset": "cats"}},
        },
        baselines={
            "here": {"model": "dcgan", "dataset": "cats", "steps": 1, "device": "cpu"},
            "there": {"model": "dcgan", "dataset": "cats", "steps": 1},
        },
    )
    checked = config.check(values)
    rules = Rules(checked)
    assert [rules.gpus(Namespace(**{name: of})) for name, of in (("row", "real"), ("baseline", "here"))] == [0, 0]
    assert [rules.gpus(Namespace(**{name: of})) for name, of in (("study", "whole"), ("baseline", "there"))] == [1, 1]
    assert options.score(checked, "real")[-2:] == options.baseline(checked, "here", "0")[-2:] == ["--device", "cpu"]
    assert options.baseline(checked, "there", "0")[-2:] == ["--device", "cuda"]


@pytest.mark.parametrize("former", [[], ["status"]])
def test_data_needs_no_further_word(former: list[str], tmp_path: Path, capsys: pytest.CaptureFixture):
    registry = ["--registry", str(ROOT / "config/inputs.yaml")]
    assert main(["data", *former, "--json", "--data", str(tmp_path), *registry]) == 0
    assert {row["state"] for row in json.loads(capsys.readouterr().out)} == {"missing"}
