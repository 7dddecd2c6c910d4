"""A fresh clone works wherever it is and however git and the system are set up, or says at once why not."""

import os
import subprocess
import sys
from pathlib import Path

import yaml
from conftest import ROOT, TINY

from wframe.config.edition import check
from wframe.files import read_json
from wframe.jobs.keys import key

TARGET = "results/data/digits/3.npy"


def clone(folder: Path) -> Path:
    subprocess.run(["git", "-c", "core.autocrlf=true", "clone", "-q", str(ROOT), str(folder)], check=True)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    return folder


def snakemake(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "snakemake", *options, "--configfile", "tiny.yaml"]
    return subprocess.run(argv, cwd=folder, capture_output=True, errors="replace", env=os.environ | environment)


def test_a_clone_in_an_odd_place_with_other_line_endings_and_another_locale(tmp_path: Path):
    folder = clone(tmp_path / 'it\'s a "clön" 日本 $x %d')
    for pattern in ("*.py", "*.smk", "*.yaml", "*.json", "*.j2", "*.css", "Snakefile"):
        for path in folder.rglob(pattern):  # .gitattributes prevents it, but not every tool heeds that
            path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    latin = {"LOCPATH": str(tmp_path), "LC_ALL": "de_DE.ISO-8859-1"}
    subprocess.run(["localedef", "-i", "de_DE", "-f", "ISO-8859-1", str(tmp_path / latin["LC_ALL"])], check=False)
    done = snakemake(folder, TARGET, **latin)
    assert done.returncode == 0, done.stdout + done.stderr
    edition, prepared = check(TINY), {"dataset": "digits", "class_": "3"}
    stamp = read_json(folder / "results/stamps/data/digits/3.npy.json")
    assert stamp["key"] == key(edition, "prepare", prepared), "the same result as here: nothing to be made again"


def test_a_path_that_snakemake_cannot_use_is_refused_at_once(tmp_path: Path):
    done = snakemake(clone(tmp_path / "br{ace}s"), "-n")
    said = done.stdout + done.stderr
    assert done.returncode != 0 and "takes braces in this path for wildcards. Rename the folder." in said
    assert "Traceback" not in said
