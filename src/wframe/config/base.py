"""Shared by all parts of the configuration: strict models, names, and readable error messages."""

import json
from collections.abc import Iterable
from typing import Annotated, Any, get_args

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
Name = Annotated[str, Field(pattern=NAME, description="used in file names")]


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


def explain(error: ValidationError, where: str) -> str:
    """Return one line per problem: the key's path, the value, and what is allowed."""
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"]) or "(whole file)"
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = "unknown key"
        if problem.get("ctx", {}).get("pattern") == NAME:
            message = "use letters, digits, '_', '.' and '-', the first a letter or digit (files get this name)"
        value = "" if problem["type"] in ("missing", "extra_forbidden") else f" = {_short(problem['input'])}"
        lines.append(f"  {key}{value if problem['loc'] else ''}: {message}")
    return f"{where} has {len(lines)} problem{'s' * (len(lines) > 1)}:\n" + "\n".join(lines)


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
