"""What several tests share: the real data, where it is, and the demo edition's results, made once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data files: WFRAME_DATA, or ../shared/data beside the checkout."""
    folder = Path(os.environ.get("WFRAME_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data: set WFRAME_DATA or put it at {folder}")
    return folder


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
