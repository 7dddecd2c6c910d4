"""Which code a result depends on, as one hash: what the code does, not how it is formatted."""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parents[1]  # the package `wframe`
TEXT = (".css", ".csv", ".j2", ".js", ".json", ".yaml")  # text files, in which line endings don't count
FOR_PEOPLE = ("help", "description")  # keyword arguments that are documentation
NO_RESULT = "AFFECTS_NO_RESULT"  # a module that sets this to True is left out of every hash


def code_files(*modules: str) -> list[Path]:
    """Return the files of `modules` (for example "wframe.engine.train") and of all they import here, sorted.

    "wframe.claims.judges.*" means all modules of a package. Data files with a module's name (a page's template and
    style) belong to it. Imports are read from the syntax tree, including those inside functions; no code is run.
    """
    seen: set[Path] = set()
    todo = [name for module in modules for name in _expand(module)]
    while todo:
        path = _file_of(todo.pop())
        if path is not None and path not in seen:
            seen |= {path, *(data for data in path.parent.glob(f"{path.stem}.*") if data.suffix != ".py")}
            todo += imports(path)
    return sorted(path for path in seen if path.suffix != ".py" or not _affects_no_result(path))


@cache
def code_hash(*modules: str) -> str:
    """Return one SHA-256 over the code of `modules` and of all they import.

    A rule takes it as a parameter, so a code change reruns exactly the steps that depend on it. Comments, docstrings,
    help texts, formatting and line endings don't count. The hash is the same on every supported Python.
    """
    digest = hashlib.sha256()
    for path in code_files(*modules):
        digest.update(f"{path.relative_to(SOURCE).as_posix()}\0{file_hash(path)}\n".encode())
    return digest.hexdigest()


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a module's canonical form, or of a data file's content."""
    if path.suffix == ".py":
        content = canonical(path.read_text(encoding="utf-8")).encode()
    elif path.suffix in TEXT:
        content = path.read_bytes().replace(b"\r\n", b"\n")
    else:
        content = path.read_bytes()
    return hashlib.sha256(content).hexdigest()


def canonical(source: str) -> str:
    """Return a module's syntax tree as text, without comments, docstrings, help texts and formatting.

    `ast.dump` differs between Python versions (3.13 omits empty fields, 3.12 added `type_params`). This writes
    non-empty fields only.
    """
    return "".join(_write(ast.parse(source)))


def _write(node: object) -> Iterator[str]:
    if isinstance(node, ast.AST):
        yield type(node).__name__ + "("
        for name, value in ast.iter_fields(node):
            if name in ("ctx", "kind", "type_comment") or value is None or value == []:
                continue
            if name == "body" and isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                value = _without_docstring(value)
            elif name == "keywords" and isinstance(node, ast.Call):
                value = [keyword for keyword in value if keyword.arg not in FOR_PEOPLE]
            elif isinstance(node, ast.JoinedStr):  # 3.12 adds an empty string to some f-strings, 3.11 doesn't
                value = [part for part in value if not (isinstance(part, ast.Constant) and part.value == "")]
            yield name + "="
            yield from _write(value)
        yield ")"
    elif isinstance(node, list):
        yield "["
        for item in node:
            yield from _write(item)
        yield "]"
    else:
        yield ascii(node) + ","


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return body[1:]
    return body


def module_names(package: str) -> tuple[str, ...]:
    """Return the names of a package's modules, sorted, without importing them; skip those with a leading _.

    Readers, baselines and extractors are found by these names: to add one, add a file.
    """
    folder = SOURCE.joinpath(*package.split(".")[1:])
    return tuple(sorted(file.stem for file in folder.glob("*.py") if not file.stem.startswith("_")))


def _expand(module: str) -> list[str]:
    """Expand a name that ends in `.*` to the package and its modules."""
    if not module.endswith(".*"):
        return [module]
    package = module.removesuffix(".*")
    return [package, *(f"{package}.{name}" for name in module_names(package))]


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


def imports(path: Path) -> list[str]:
    """Return the modules named in a file's import statements."""
    names = []
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def _affects_no_result(path: Path) -> bool:
    """Return whether a module declares that no result depends on it."""
    return any(
        isinstance(node, ast.Assign)
        and [target.id for target in node.targets if isinstance(target, ast.Name)] == [NO_RESULT]
        and isinstance(node.value, ast.Constant)
        and node.value.value is True
        for node in _tree(path).body
    )


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))
