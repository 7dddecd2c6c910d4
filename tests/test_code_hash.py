"""What counts as a code change: what the code does, not how it is formatted."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from wframe.runtime.code import SOURCE, canonical, code_files, code_hash, file_hash, module_names

# all syntax whose tree differs between Python versions, and some more
SAMPLE = '''
"""A module."""
import a.b as c
from .d import *

async def f(x: int, /, *args, y=1.5, **rest) -> "str":
    """A docstring."""
    async with x as (p, q), y: pass
    return [await z for z in x if z] or {**rest} | {1: b"2", 3: ...} or f"{x!r:>{y}} {x=}" "é" f"{y}"

class K[T](Base, metaclass=M):
    """A class."""
    n: int = 0x10
    def g(self): return lambda a, *, b=None: (yield a)
'''.replace("[T]", "")  # 3.11 has no type parameters


@pytest.mark.parametrize(
    "other",
    [
        "x = 1  # why\n",
        "\n\nx = 1\n",
        "x = (\n    1\n)\n",
        '"""What this is."""\nx = 1\n',
        "x = 1\r\n",
        "x  =  0x1\n",
    ],
)
def test_formatting_comments_and_docstrings_do_not_count(other: str):
    assert canonical(other) == canonical("x = 1\n")


def test_docstrings_and_help_texts_do_not_count():
    def code(docstring: str, help_: str) -> str:
        return f'def f(add):\n    "{docstring}"\n    return add("--x", help="{help_}", default=1)\n'

    assert canonical(code("old", "old")) == canonical(code("new", "new"))
    assert canonical(code("old", "old")) != canonical(code("old", "old").replace("default=1", "default=2"))


def test_no_result_shows_a_docstring():
    """Docstrings don't count, so no output may have one. The schema of the configuration may: it is no result."""
    readers = {path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if "__doc__" in path.read_text()}
    assert readers == {"config/baselines.py"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = 1", "x = 2"),
        ("x = 1", "x = 1.0"),
        ("x = 'a'", "x = b'a'"),
        ("x = a - b", "x = a + b"),
        ("return_ = f'{a}'", "return_ = f'{a!r}'"),
        ("def f(): return None", "def f(): return 0"),
        ("x = [1]", "x = [[1]]"),
        ("x = 'doc'\n'doc'", "x = 'doc'\n'other'\ny = 1"),
    ],
)
def test_what_the_code_does_counts(one: str, other: str):
    assert canonical(one) != canonical(other)


def others() -> list[str]:
    """Return the other supported Pythons on this machine."""
    names = [f"python3.{minor}" for minor in (11, 12, 13) if minor != sys.version_info.minor]
    folders = [Path.home() / ".pyenv/versions", Path.home() / ".local/share/uv/python"]
    found = [shutil.which(name) for name in names]
    found += [str(p) for folder in folders for name in names for p in folder.glob(f"*/bin/{name}")]
    return sorted({path for path in found if path and subprocess.run([path, "-c", ""]).returncode == 0})


def test_the_hash_is_the_same_on_every_supported_python(tmp_path: Path):
    """Check all modules of this package, and a sample of syntax whose tree differs between versions."""
    if not others():
        pytest.skip("no other supported Python here (try pyenv install 3.12)")
    (tmp_path / "sample.py").write_text(SAMPLE)
    files = [tmp_path / "sample.py", *sorted(SOURCE.rglob("*.py"))]
    ours = [file_hash(path) for path in files]
    script = (
        "import importlib.util as u, sys, pathlib; s = u.spec_from_file_location('code_', sys.argv[1]); "
        "m = u.module_from_spec(s); s.loader.exec_module(m); "
        "print(*[m.file_hash(pathlib.Path(p)) for p in sys.argv[2:]], sep='\\n')"
    )
    for python in others():
        argv = [python, "-B", "-c", script, str(SOURCE / "runtime/code.py"), *map(str, files)]
        assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split() == ours, python


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package, which a test may edit."""
    return Path(shutil.copytree(SOURCE, tmp_path / "wframe", ignore=shutil.ignore_patterns("__pycache__")))


RULES = {
    "prepare": ["wframe.data.prepare", "wframe.data.readers.cifar10"],
    "prepare-sun": ["wframe.data.prepare", "wframe.data.readers.sun"],
    "bank": ["wframe.weights.bank"],
    "train": ["wframe.engine.train"],
    "baseline": ["wframe.baselines.train", "wframe.baselines.dcgan"],
    "score": ["wframe.scores.score", "wframe.scores.extractors.pocket"],
    "summarise": ["wframe.results.summarise"],
    "figures": ["wframe.figures.command"],
    "claims": ["wframe.claims.command", "wframe.claims.judges.*"],
}


def hashes(copy: Path) -> dict[str, str]:
    script = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); from wframe.runtime.code import code_hash; "
        "print(json.dumps({name: code_hash(*modules) for name, modules in json.loads(sys.argv[2]).items()}))"
    )
    import json

    argv = [sys.executable, "-c", script, str(copy.parent), json.dumps(RULES)]
    return json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)


def edit(copy: Path, name: str, old: str, new: str) -> None:
    path = copy / name
    text = path.read_text()
    assert old in text, f"{name}: no {old!r}"
    path.write_text(text.replace(old, new, 1))


def changed(copy: Path, before: dict[str, str]) -> set[str]:
    after = hashes(copy)
    return {name for name in before if before[name] != after[name]}


def test_a_change_affects_only_the_rules_that_use_it(copy: Path):
    before = hashes(copy)
    edit(copy, "model/energy.py", '"""The energy', '"""Of the energy')
    for path in copy.rglob("*.py"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    edit(copy, "model/noise.py", "# streams: what a number is used for", "# what a number is used for")
    edit(copy, "runtime/progress.py", "s left", "seconds left")
    assert changed(copy, before) == set(), "a docstring, a comment, line endings, a progress line"

    edit(copy, "model/energy.py", "2 * mean_response", "3 * mean_response")
    assert changed(copy, before) == {"train"}, "a changed constant of the penalty's gradient"
    before = hashes(copy)
    edit(copy, "config/learning.py", "0.01, gt=0", "0.02, gt=0")
    assert changed(copy, before) == {"train", "figures", "claims"}, "no DCGAN is retrained, nothing is rescored"
    before = hashes(copy)
    edit(copy, "data/readers/cifar10.py", "range(1, 6)", "range(1, 5)")
    assert changed(copy, before) == {"prepare"}, "SUN's rule doesn't depend on CIFAR-10's reader"
    before = hashes(copy)
    edit(copy, "claims/judges/energy.py", "/ 4", "/ 5")
    assert changed(copy, before) == {"claims"}, "editing a judge redraws no figure"


def names(modules: list[str]) -> set[str]:
    return {path.relative_to(SOURCE).as_posix() for path in code_files(*modules)}


def test_a_page_depends_on_its_template_and_style(copy: Path):
    files = names(["wframe.report.page"])
    assert {"report/page.html.j2", "report/page.css"} <= files and "runtime/progress.py" not in files


def test_modules_are_found_by_name():
    assert module_names("wframe.data.readers") == (
        "celeba",
        "cifar10",
        "embedded",
        "folder",
        "huggingface",
        "lsun",
        "registry",
        "sun",
    )
    assert len(code_files("wframe.claims.judges.*")) > len(module_names("wframe.claims.judges"))
    assert code_hash("wframe.claims.judges.*") != code_hash("wframe.claims.judges")


def test_line_endings_are_the_same_in_every_clone():
    attributes = (ROOT / ".gitattributes").read_text()
    assert "* text=auto eol=lf" in attributes and "*.safetensors binary" in attributes
