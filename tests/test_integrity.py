"""No wrong byte becomes a result: every kind of output, damaged in every way, is refused, named or made again."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, TINY, run

from wframe.__main__ import main
from wframe.config.edition import check, load
from wframe.errors import UserError
from wframe.jobs.keys import PARTS, key
from wframe.record.check import listed, missing, unlike_manifest
from wframe.record.stamps import Step, check_reads, read_stamp, stamp_path, stamped
from wframe.record.sweep import INCOMPLETE, litter, marker, sweep, unstamped


@pytest.fixture
def copy(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh copy of the tiny edition's folder, as the working directory."""
    monkeypatch.chdir(shutil.copytree(tiny, tmp_path / "copy"))
    monkeypatch.setenv("WFRAME_CLAIMS", str(ROOT / "config/claims.yaml"))
    return Path()


def flip(path: Path) -> None:
    """Change one bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def flip_quietly(path: Path) -> None:
    """The same, with the old time stamp."""
    state = path.stat()
    flip(path)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def append(path: Path) -> None:
    with path.open("a") as stream:
        stream.write("\n")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES = (flip, flip_quietly, append, truncate, empty)


def files() -> list[Path]:
    """Every result: outputs with a stamp, and what an index lists."""
    listed = [
        index.parent / name
        for index in stamped()
        if index.name == "index.json"
        for entry in json.loads(index.read_text())
        for name in entry.get("files", {})
    ]
    return stamped() + listed


def test_every_kind_of_output_is_stamped(copy: Path):
    kinds = {read_stamp(path)["rule"] for path in stamped()}
    others = {"inputs", "baseline", "baseline_figures", "few_images", "reconstruct", "weights", "score", "score_table"}
    others |= {"theory", "looks"}
    assert kinds == set(PARTS) - others, "all the tiny edition has"
    assert unstamped() == [] and len(files()) > 60
    stale, drifted = sweep(load("results/config.yaml"))
    assert (stale, drifted, missing()) == ({}, {}, {})


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_to_any_output_is_noticed(copy: Path, damage: Callable[[Path], None]):
    edition = load("results/config.yaml")
    for path in files():
        content, state = path.read_bytes(), path.stat()
        damage(path)
        _, drifted = sweep(edition)
        index = path.with_name("index.json")
        assert str(path) in drifted or str(index) in drifted, f"{damage.__name__} of {path}"
        path.write_bytes(content)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert sweep(edition)[1] == {}


def test_deleted_and_swapped_outputs_are_noticed(copy: Path):
    edition = load("results/config.yaml")
    frame, wframe = (
        Path(f"results/runs/whole/faces/all/base/{method}-0/0.safetensors") for method in ("frame", "wframe")
    )
    saved = frame.read_bytes()
    shutil.copy(wframe, frame)
    assert set(sweep(edition)[1]) == {str(frame)}, "another run's samples"
    frame.unlink()
    assert sweep(edition)[1] == {} and set(missing()) == {str(frame)}
    frame.write_bytes(saved)
    stamp_path(frame).unlink()
    assert set(sweep(edition)[0]) == {str(frame)}, "nothing records how it was made: made again"
    stamp_path(frame).write_text("{")
    assert sweep(edition) == ({str(frame): "its stamp can't be read"}, {})
    assert marker(str(frame)).exists()


def test_a_stamp_holds_for_its_own_output_only(copy: Path):
    """Two runs exchanged together with their stamps, as by a wrong `mv`; each file still matches its stamp."""
    edition = load("results/config.yaml")
    pair = [Path(f"results/runs/whole/faces/all/base/{method}-0/0.safetensors") for method in ("frame", "wframe")]
    for one, other in (pair, [stamp_path(path) for path in pair]):
        one.rename("aside")
        other.rename(one)
        Path("aside").rename(other)
    assert set(sweep(edition)[0]) == {str(path) for path in pair}


def test_no_byte_of_a_stamp_can_change(copy: Path):
    output = Path("results/tables/whole.csv")
    whole, stamp = stamp_path(output).read_bytes(), read_stamp(output)
    assert stamp is not None
    for position in range(len(whole)):
        content = bytearray(whole)
        content[position] ^= 1
        stamp_path(output).write_bytes(content)
        read = read_stamp(output)
        assert read is None or read | stamp == read, f"byte {position}: {content!r}"


def test_without_any_record_everything_is_made_again(copy: Path):
    shutil.rmtree(".snakemake")
    shutil.rmtree("results/stamps")
    stale, _ = sweep(load("results/config.yaml"))
    assert {"results/manifest.json", "results/tables/whole.csv", "results/data/faces/all.npy"} <= set(stale)
    assert len(stale) > 40


@pytest.mark.parametrize("command", ["claims", "claims --summary", "report", "figures whole", "quality --out q.csv"])
def test_commands_by_hand_refuse_what_was_edited(copy: Path, command: str, capsys: pytest.CaptureFixture):
    claims = Path("results/claims.json")
    claims.write_text(claims.read_text().replace("not run", "reproduced"))
    assert main(command.split()) == 2
    assert "results/claims.json: its bytes aren't those that rule claims wrote. Restore it" in capsys.readouterr().err


def test_what_was_made_by_hand_is_made_again_by_the_workflow(copy: Path, monkeypatch: pytest.MonkeyPatch):
    """A page written again and again by hand, as while changing its template."""
    page = Path("results/report/index.html")
    monkeypatch.setattr("wframe.report.page.main", lambda args: append(page))
    assert main(["report"]) == main(["report"]) == 0
    assert set(sweep(load("results/config.yaml"))[0]) == {str(page)}


def test_no_step_reads_what_another_did_not_write(copy: Path):
    table = Path("results/tables/whole.csv")
    step = Step("report", {}, "", [str(table), "results/figures/whole/index.json", "/elsewhere/raw.json"], [])
    check_reads(step)
    table.write_text(table.read_text().replace("0.", "9.", 1))
    with pytest.raises(UserError, match=r"whole\.csv: its bytes aren't those that rule summarise wrote\. Restore it"):
        check_reads(step)
    argv = [sys.executable, "-m", "wframe", "--step", json.dumps(step._asdict()), "report"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 2 and "wframe report: results/tables/whole.csv" in done.stderr
    shutil.copy("results/tables/collapse.csv", table)
    with pytest.raises(UserError, match="its bytes"):
        check_reads(step)


def test_the_workflow_refuses_what_was_edited(copy: Path):
    table = Path("results/tables/whole.csv")
    content = table.read_text()
    table.write_text(content.replace("0.", "9.", 1))
    here = Path.cwd()
    for options in (["--dry-run"], []):
        done = run(here, TINY, *options, check=False)
        assert done.returncode != 0 and "whole.csv: its bytes aren't those" in done.stdout + done.stderr
    table.unlink()  # the advice
    argv = [sys.executable, "-m", "snakemake", str(table), "--snakefile", str(ROOT / "Snakefile")]
    argv += ["--profile", str(ROOT / "profiles/default"), "--configfile", "edition.yaml"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0 and table.read_text() == content, done.stdout + done.stderr


@pytest.mark.parametrize("loss", ["records lost", "touched", "records of another clone", "as it was"])
def test_another_configuration_is_made_again_whatever_snakemake_remembers(copy: Path, loss: str):
    here, changed = Path.cwd(), TINY | {"learning": {"T": 4, "L": 2}}
    if loss == "records lost":
        shutil.rmtree(".snakemake")
    elif loss == "touched":
        run(here, changed, "--touch")
    elif loss == "records of another clone":
        records = Path(".snakemake/metadata")
        for path in records.rglob("*"):
            if path.is_file():
                path.write_text(path.read_text().replace('"T\\\\\\": 3', '"T\\\\\\": 4'))
    said = run(here, changed, "--dry-run").stdout
    assert "rule train:" in said and "rule report:" in said, f"{loss}: {said[-500:]}"
    stale, _ = sweep(check(changed))
    assert sum("runs/" in name for name in stale) == 3 * 6, "samples, curves and record of six runs"
    stale, drifted = sweep(check(yaml.safe_load(Path("results/config.yaml").read_text())))
    assert (stale, drifted) == ({}, {}), "and back again there is nothing to do"
    assert not [path for path in INCOMPLETE.rglob("*") if path.is_file()], "the marks are taken off"


def test_results_of_another_edition_are_not_this_ones(copy: Path):
    other = json.loads(json.dumps(TINY)) | {"seed": 1}
    stale, _ = sweep(check(other))
    assert "results/config.yaml" in stale and any("runs/" in name for name in stale)
    theories = {key(check(edition | {"theory": True}), "theory", {}) for edition in (TINY, other)}
    assert len(theories) == 2, "the theory is simulated with the edition's seed"
    assert not any("results/data" in name for name in stale), "the prepared images have no seed"


def test_what_a_killed_job_leaves_is_removed(copy: Path):
    import platform

    gone = Path(f"results/tables/.whole.csv.{platform.node()}.999999999.part")
    ours = Path(f"results/tables/.whole.csv.{platform.node()}.{os.getpid()}.part")
    elsewhere = Path("results/tables/.whole.csv.othernode.7.part")
    for path in (gone, ours, elsewhere):
        path.write_text("half")
    assert litter() == [gone]
    litter(remove=True)
    assert not gone.exists() and ours.exists() and elsewhere.exists(), "another process may be writing these"
    os.utime(elsewhere, (0, 0))
    assert litter() == [elsewhere]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"outputs": 1}'])
def test_a_damaged_manifest_stops_no_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "results/manifest.json").write_text(content)
    assert unlike_manifest() == {}


@pytest.mark.parametrize("content", ["", "{}", '{"a": 1}', "[1]", '[{"files": {"one.png": "0"}}]'])
def test_a_damaged_index_stops_no_check(tmp_path: Path, content: str):
    index = tmp_path / "index.json"
    index.write_text(content)
    (tmp_path / "one.png").write_bytes(b"")
    assert (tmp_path / "one.png" in listed(index)) == (content != "{}"), "what it doesn't say belongs to nobody else"
