"""`wframe figures` and its neighbours, asked for a study that isn't there; what a drawing leaves in its folder."""

from pathlib import Path

import pytest

from wframe.__main__ import main
from wframe.files import read_json, write_json


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder of one study without runs, in which figures of the theory were drawn before."""
    edition = {"edition": "small", "datasets": {"d": {"source": "embedded", "path": "faces"}}}
    write_json(tmp_path / "config.yaml", edition | {"studies": {"whole": {"datasets": ["d"]}}})
    for name in ("theory", "baselines"):
        write_json(tmp_path / "figures" / name / "index.json", [])
        (tmp_path / "figures" / name / "old.png").write_bytes(b"old")
    return tmp_path


@pytest.mark.parametrize("name", ["theory", "wholes"])
def test_figures_of_no_study_remove_nothing(results: Path, name: str, capsys: pytest.CaptureFixture):
    before = {path: path.stat().st_mtime_ns for path in results.rglob("*")}
    assert main(["figures", name, "--results", str(results)]) == 2
    assert f"has no study '{name}'" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in results.rglob("*")} == before


@pytest.mark.parametrize("command", [["quality", "--study"], ["looks"]], ids=["quality", "looks"])
def test_measurements_of_no_study_are_refused(results: Path, command: list[str], capsys: pytest.CaptureFixture):
    assert main([*command, "wholes", "--results", str(results), "--out", str(results / "out.csv")]) == 2
    assert "has no study 'wholes'" in capsys.readouterr().err


def test_what_is_no_longer_drawn_goes(results: Path):
    assert main(["figures", "--baselines", "--results", str(results)]) == 0
    assert [path.name for path in (results / "figures/baselines").iterdir()] == ["index.json"]
    assert read_json(results / "figures/baselines/index.json") == []
