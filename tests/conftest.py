"""Shared fixtures: the real data, and the results of the demo and of a tiny edition, each made once.

Tests run in two processes. Those that share an expensive fixture stay in one process (`xdist_group`, set from the
fixture where possible). The slowest start first, so that both processes end at about the same time.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
REAL_DATA = Path(os.environ.get("WFRAME_DATA") or ROOT.parent / "shared" / "data")
# groups and modules; jobs under Slurm mostly wait, so beside them the other process computes
LONG_FIRST = ("slurm", "test_real", "demo", "dvc", "test_paper", "tiny", "test_workflow", "test_scores", "test_engine")

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the other process uses the other core
if not Path("/dev/nvidiactl").exists():
    os.environ["TRITON_INTERPRET"] = "1"  # the GPU's kernels run on the CPU; Triton asks when it is first imported


@pytest.hookimpl(wrapper=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Keep tests of one fixture together, and start the slow ones first."""

    def rank(item: pytest.Item) -> int:
        names = [str(mark.args[0]) for mark in item.iter_markers("xdist_group")] + [Path(item.path).stem]
        return min([LONG_FIRST.index(name) for name in names if name in LONG_FIRST], default=len(LONG_FIRST))

    for item in items:
        for name in {"demo", "tiny"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group(name))
    items.sort(key=rank)
    return (yield)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data files: WFRAME_DATA, or ../shared/data beside the checkout."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real data: set WFRAME_DATA or put it at {REAL_DATA}")
    return REAL_DATA


@pytest.fixture(scope="session")
def fresh() -> dict[str, Any]:
    """The theory's statements that need no bank, computed now: id → `Statement`."""
    from wframe.theory import study  # slow to import, and for these tests only

    parts = [module.study(0) for module in study.LINE]
    return {statement.id: statement for part in parts for statement in [*part.statements, *part.derived]}


@pytest.fixture(autouse=True)
def _own_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unset the caller's WFRAME_DATA, which would take precedence over a test's own data folder."""
    monkeypatch.delenv("WFRAME_DATA", raising=False)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def snakemake(folder: Path, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the workflow with `folder` as its working directory."""
    argv = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    argv += ["--profile", str(ROOT / "profiles" / "default"), *options]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=folder)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the demo edition has run from nothing; its results are in `results`."""
    folder = tmp_path_factory.mktemp("demo")
    snakemake(folder)
    return folder


TINY = {
    "edition": "tiny",
    "theory": False,  # the demo computes it
    "device": "cpu",
    "learning": {"T": 3, "L": 2},
    "datasets": {
        "faces": {"source": "embedded", "path": "faces", "size": 16, "images": 18},
        "digits": {"source": "embedded", "path": "digits", "size": 16, "images": 9, "classes": ["3"]},
    },
    "studies": {
        "whole": {"datasets": ["faces", "digits"], "snapshots": [1, 3]},
        "collapse": {
            "datasets": ["faces"],
            "show": "settings",
            "settings": {"literal": {"reading": "literal", "L": 60}},
        },
    },
}


def run(folder: Path, edition: dict, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run an edition in a folder."""
    path = folder / "edition.yaml"
    path.write_text(yaml.safe_dump(edition))
    return snakemake(folder, "--configfile", str(path), *options, check=check)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the tiny edition has run."""
    folder = tmp_path_factory.mktemp("tiny")
    run(folder, TINY)
    return folder
