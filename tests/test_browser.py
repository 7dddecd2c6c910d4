"""The page in a real Chromium: no errors, every image, filters and links, narrow screens, accessibility (axe)."""

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with playwright-core and axe-core from npm."""
    if not Path(os.environ.get("CHROMIUM", "/usr/bin/chromium")).exists():
        pytest.skip("no Chromium: install Debian's package `chromium`, or set CHROMIUM to one")
    if shutil.which("npm") is None:
        pytest.skip("no npm, which installs playwright-core and axe-core")
    folder = tmp_path_factory.mktemp("npm")
    argv = ["npm", "install", "--silent", "--no-audit", "--no-fund", "playwright-core@1", "axe-core@4"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"npm can't install playwright-core and axe-core: {done.stderr[-300:]}")
    return folder


def test_the_page_has_no_problems_in_a_browser(demo: Path, modules: Path, tmp_path: Path):
    page = demo / "results/report/index.html"
    argv = ["node", str(HERE / "browser.mjs"), str(modules), str(page), str(tmp_path / "page")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["console"] == [] and report["failed"] == []
    claims = json.loads((demo / "results/claims.json").read_text())["claims"]
    for width, seen in report["widths"].items():
        assert seen["broken"] == [] and seen["images"] > 20, width
        assert not seen["scrolls"] and not seen["scrolls_when_open"], f"{width}: the page scrolls sideways"
        judged = [f"{claim['here']} here" if claim["here"] else claim["verdict"] for claim in claims if claim["ours"]]
        assert seen["rows"] == seen["all_again"] == len(judged) > 20
        assert seen["filtered"] == Counter(judged)
        assert seen["led_to"], "the link from a claim scrolls to its figure"
        assert seen["violations"] == [], width
        player = seen["player"]  # observed | FRAME | wFRAME, of a sheet with the observed images in its first column
        assert player["end"]["now"] == "20 of 20" and player["end"]["left"] == [0, -6, -6]
        assert player["start"]["now"] == "1 of 20" and player["start"]["left"] == [0, -1, -1]
        assert player["next"]["now"] == "2 of 20" and player["next"]["left"] == [0, -2, -2]
        at_2 = r"R\(2\) = [\d.]+"
        assert re.fullmatch(rf"2 of 20\. FRAME: {at_2}\. wFRAME: {at_2}", player["next"]["said"])
        assert player["playing"] == "Pause" and player["again"]["now"] == "1 of 20" and player["paused"] == "Play"
        assert player["end"]["strip"] == "none"
    assert report["still"] == "Next" and report["printed"] == report["plain"] == ["block,none"]
    assert report["observed"]
