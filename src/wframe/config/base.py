"""Shared by all parts of the configuration: strict models, names, and readable error messages."""

import difflib
import json
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import CoreSchema, core_schema

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
Name = Annotated[str, Field(pattern=NAME, description="a name: files get it, too")]


class Model(BaseModel):
    """A part of the configuration: immutable, and strict about unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_bool_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse `T: true` (and YAML's `on`, `yes`), which pydantic would take for 1."""
        annotation = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and not {bool, Any} & {annotation, *get_args(annotation)}:
            raise ValueError("true and false mean nothing here")
        return value


class OneOf:
    """An annotation like `Literal`, for the names in a registry: `Annotated[str, OneOf(READINGS)]`."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = list(names)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema of a literal."""
        return core_schema.literal_schema(self.names)


def with_changes(values: dict[str, Any], changes: list[str]) -> dict[str, Any]:
    """Return `values` with changes from the command line, each NAME=VALUE; a VALUE that isn't JSON is a string."""
    values = dict(values)
    for change in changes:
        name, _, text = change.partition("=")
        try:
            values[name] = json.loads(text)
        except json.JSONDecodeError:
            values[name] = text
    return values


def explain(error: ValidationError, where: str, model: type[BaseModel] | None = None) -> str:
    """Return one line per problem: the key's path, the value, and what is allowed.

    With the `model` that was checked, an unknown key comes with what was probably meant.
    """
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"]) or "(whole file)"
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = f"unknown key{_meant(problem['loc'], problem['input'], model) if model else ''}"
        if problem.get("ctx", {}).get("pattern") == NAME:
            message = "use letters, digits, '_', '.' and '-', the first a letter or digit (files get this name)"
        value = "" if problem["type"] in ("missing", "extra_forbidden") else f" = {_short(problem['input'])}"
        lines.append(f"  {key}{value if problem['loc'] else ''}: {message}")
    return f"{len(lines)} problem{'s' * (len(lines) > 1)} in {where}:\n" + "\n".join(lines)


def _meant(loc: tuple[int | str, ...], value: Any, model: type[BaseModel]) -> str:
    """Return what was probably meant by an unknown key: a similar one, or the same one elsewhere; may be empty."""
    *parents, key = map(str, loc)
    places = list(_places(model))
    here = [name for path, name in places if len(path) == len(parents) and _matches(path, parents)]
    if close := difflib.get_close_matches(key, here, 1):
        return f". Did you mean `{close[0]}`?"
    elsewhere = next((path for path, name in places if name == key and path and "*" not in path), None)
    if elsewhere is None:
        return ""
    where = ".".join(elsewhere)
    inside = f"; it belongs in {where}"
    if parents or len(elsewhere) > 1:
        return inside
    return (
        f"{inside}: --config {where}='{{{key}: {_short(value)}}}', or in the file {where}: {{{key}: {_short(value)}}}"
    )


def _matches(path: tuple[str, ...], parents: list[str]) -> bool:
    return all(step in ("*", parent) for step, parent in zip(path, parents, strict=True))


def _places(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every key of a model and of those in it, each after the path to it (`*`: any name or number)."""
    for name, field in model.model_fields.items():
        key = field.alias or name
        yield path, key
        for inner, more in _models(field.annotation):
            yield from _places(inner, (*path, key, *more))


def _models(annotation: Any) -> Iterator[tuple[type[BaseModel], tuple[str, ...]]]:
    """Yield the models in an annotation, each with a `*` for each list or mapping that it is in."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, ()
        return
    inside = ("*",) if get_origin(annotation) in (dict, list, tuple) else ()
    for part in get_args(annotation):
        for inner, more in _models(part):
            yield inner, (*inside, *more)


def require(kind: str, name: str | None, known: Iterable[str], where: str) -> None:
    """Refuse a name that isn't among the known ones.

    Raises:
        ValueError: names the place and the known names.
    """
    if name not in (known := list(known)):
        raise ValueError(f"{where}: there is no {kind} {name!r} (known: {', '.join(known) or 'none'})")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
