"""Where a result comes from: the code that can influence it, and the machine that made it."""

import ast
import hashlib
import os
import platform
import resource
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from wframe.files import sha256_file

SOURCE = Path(__file__).parent  # the package `wframe`


def code_files(module: str) -> list[Path]:
    """Return the package's files that `module` (say "wframe.engine.train") imports, itself included, sorted.

    Data files of a module's name (a page's template and style) belong to it.
    Imports are read from the syntax tree, also those inside functions; nothing is run.
    """
    seen: set[Path] = set()
    todo = [module]
    while todo:
        path = _file_of(todo.pop())
        if path is not None and path not in seen:
            seen |= {path, *(data for data in path.parent.glob(f"{path.stem}.*") if data.suffix != ".py")}
            todo += _imports(path)
    return sorted(seen)


@cache
def code_hash(*modules: str) -> str:
    """Return one SHA-256 over the content of all files that the modules import.

    A rule takes it as a parameter, so that editing a source file reruns exactly the steps that depend on it
    and touching it reruns nothing.
    """
    digest = hashlib.sha256()
    for path in sorted({path for module in modules for path in code_files(module)}):
        digest.update(f"{path.relative_to(SOURCE)}\0{sha256_file(path)}\n".encode())
    return digest.hexdigest()


def _file_of(module: str) -> Path | None:
    """Return the file of a module of this package; None for other packages and for names inside modules."""
    parts = module.split(".")
    if parts[0] != SOURCE.name:
        return None
    path = SOURCE.joinpath(*parts[1:])
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _imports(path: Path) -> list[str]:
    """Return the modules that a file names in its import statements."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def machine() -> dict[str, Any]:
    """Return the facts about this process and machine that a result's record keeps."""
    slurm = {key: os.environ[key] for key in ("SLURM_JOB_ID", "SLURM_STEP_GPUS") if key in os.environ}
    return {
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cuda_visible_devices": os.environ.get("CUDA_VISIBLE_DEVICES"),
        **slurm,
    }


def versions(*packages: str) -> dict[str, str]:
    """Return the installed versions of packages."""
    return {name: metadata.version(name) for name in packages}


def peak_memory_mb() -> float:
    """Return this process's peak resident memory so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)
