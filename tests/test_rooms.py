"""The rooms of src/wframe: imports go one way only, files stay small, and CONTRIBUTING lists the rooms."""

import re
import subprocess
import sys

from conftest import ROOT

from wframe.runtime.code import SOURCE, imports

# from the bottom up: a room imports only rooms before it in this list, never ones after it
ROOMS = [
    *("errors", "files", "runtime", "model", "config", "data", "weights", "engine", "baselines", "scores", "jobs"),
    *("results", "figures", "theory", "measurements", "claims", "record", "use", "report", "__main__"),
]


def room(module: str) -> str | None:
    """Return the room of a module, given its name; None for other packages."""
    parts = module.split(".")
    return parts[1] if parts[0] == "wframe" and len(parts) > 1 else None


def test_no_import_goes_up():
    modules = {
        path: "__main__" if path.stem == "__main__" else path.relative_to(SOURCE).parts[0].removesuffix(".py")
        for path in SOURCE.rglob("*.py")
        if path.parent != SOURCE or path.stem != "__init__"
    }
    unknown = sorted(set(modules.values()) - set(ROOMS))
    assert not unknown, f"rooms missing from ROOMS: {unknown}"
    wrong = {
        f"{path.relative_to(SOURCE)} (room {own}) imports {name} (room {other})"
        for path, own in modules.items()
        for name in imports(path)
        if (other := room(name)) in ROOMS and ROOMS.index(other) > ROOMS.index(own)
    }
    assert not wrong, "imports of a higher room:\n" + "\n".join(sorted(wrong))


def test_the_model_imports_nothing_but_torch_and_numpy():
    allowed = {"torch", "triton", "numpy", "safetensors", "wframe.errors", "wframe.files", "wframe.model"}
    standard = {"collections", "dataclasses", "functools", "hashlib", "importlib", "json", "os", "pathlib", "typing"}
    for path in (SOURCE / "model").glob("*.py"):
        for name in imports(path):
            top = ".".join(name.split(".")[:2]) if name.startswith("wframe") else name.split(".")[0]
            assert top in allowed | standard or name == "wframe", f"{path.name} imports {name}"


def test_files_are_small():
    sources = [path for path in SOURCE.parent.rglob("*") if path.suffix in (".py", ".css", ".j2", ".js")]
    sources += (ROOT / "workflow").rglob("*.smk")
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in sources}
    long = {name: lines for name, lines in lengths.items() if lines > 300}
    assert not long, f"over 300 lines: {long}"
    assert len((ROOT / "workflow/rules/common.smk").read_text().splitlines()) <= 90


def test_every_module_is_linted():
    """`ruff` skips folders by name: one that is excluded for the workflow's results may be a room as well."""
    argv = [sys.executable, "-m", "ruff", "check", "--show-files"]
    shown = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    left_out = {str(path) for path in SOURCE.rglob("*.py")} - set(shown)
    assert not left_out, f"ruff skips {sorted(left_out)}"


def test_algorithm_1_fits_on_a_screen():
    text = (SOURCE / "model/algorithm.py").read_text()
    body = text[text.index("def iterate(") :]
    assert len(body.splitlines()) <= 45
    for line in (3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14):
        assert re.search(rf"(# |, |lines ){line}\b", text), f"line {line} of Algorithm 1 isn't marked"


def test_contributing_names_the_rooms_in_order():
    table = re.findall(r"^\| `(\w+)` \|", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert table == [name for name in ROOMS if (SOURCE / name).is_dir()]
