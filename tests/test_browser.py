"""The page in a real Chromium: no errors, every image, filters and links, narrow screens, accessibility (axe)."""

import json
import os
import shutil
import subprocess
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
    done = subprocess.run(argv, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["console"] == [] and report["failed"] == []
    claims = json.loads((demo / "results/claims.json").read_text())
    for width, seen in report["widths"].items():
        assert seen["broken"] == [] and seen["images"] > 20, width
        assert not seen["scrolls"] and not seen["scrolls_when_open"], f"{width}: the page scrolls sideways"
        assert seen["rows"] == seen["all_again"] == len(claims["claims"])
        shown = {name.replace(" ", "-"): n for name, n in claims["summary"].items() if n}
        assert seen["filtered"] == shown
        assert seen["led_to"], "the link from a claim scrolls to its figure"
        assert seen["violations"] == [], width
