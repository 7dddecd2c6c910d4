"""The registry of raw inputs, `config/inputs.yaml`: where each comes from, and how it is checked and read."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator

from wframe.config.base import Model, Name, OneOf, explain
from wframe.errors import UserError
from wframe.files import read_yaml
from wframe.runtime.code import module_names

REGISTRY = Path(os.environ.get("WFRAME_REGISTRY") or "config/inputs.yaml")
COMMIT = r"[0-9a-f]{40}"
HUB = rf"^(datasets/)?[\w.-]+/[\w.-]+@{COMMIT}$"
WILD = "*"


class File(Model):
    """One file of an entry; or, from a Hub repository, all files whose paths match a pattern with `*`."""

    name: str = Field(description="its path below the entry's folder; in a Hub repository, its path there")
    size: int | None = Field(None, gt=0, description="bytes, exactly")
    about: int | None = Field(None, gt=0, description="bytes, roughly, where the exact size isn't known")
    md5: str | None = Field(None, pattern=r"^[0-9a-f]{32}$")
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{8,64}$", description="whole, or its first digits")
    needs: int | None = Field(None, gt=0, description="bytes of free disk that it takes, if more than its size")
    sources: list[str] = Field([], description="addresses, tried in order")
    unpack: bool = Field(False, description="whether the archive is unpacked beside it")
    members: dict[str, str] = Field({}, description="md5 of unpacked files")
    manual: str | None = Field(None, description="what to do when no source serves it")
    tensors: list[str] = Field([], description="it is made of these tensors of the file at the sources")
    whole: "File | None" = Field(None, description="the file at the sources, where only some of its tensors are used")

    @field_validator("name")
    @classmethod
    def _stays_in_its_folder(cls, name: str) -> str:
        parts = name.split("/")
        if any(part in ("", ".", "..") or part.startswith(".") for part in parts) or "\\" in name or len(name) > 200:
            raise ValueError("has to be a plain path below the entry's folder, without hidden parts or ..")
        return name

    @model_validator(mode="after")
    def _tensors_of_a_whole(self) -> "File":
        if bool(self.tensors) != (self.whole is not None):
            raise ValueError("tensors and whole go together: which tensors are used, of which file")
        if self.tensors and not self.name.endswith(".safetensors"):
            raise ValueError("a file made of tensors is a .safetensors")
        return self

    @property
    def expected_size(self) -> int | None:
        """Its size in bytes, exactly or roughly; None where nothing is known."""
        return self.size or self.about

    @property
    def has_hash(self) -> bool:
        """Whether the registry itself says what its content has to be."""
        return bool(self.md5 or self.sha256)


class Copy(Model):
    """One way to have an input: files of one kind, and the reader for them."""

    name: Name = Field(description="for people: `hub`, `original`")
    source: Annotated[str, OneOf(module_names("wframe.data.readers"))] | None = Field(None, description="its reader")
    path: str = Field("", description="what the reader is given, relative to the entry's folder")
    hub: str | None = Field(None, pattern=HUB, description="datasets/OWNER/NAME@COMMIT on the Hugging Face Hub")
    differs: str | None = Field(None, description="what isn't as in the original release")
    files: list[File] = Field(min_length=1)

    @model_validator(mode="after")
    def _patterns_only_on_the_hub(self) -> "Copy":
        for file in self.files:
            if WILD in file.name and (self.hub is None or file.has_hash or file.size or file.unpack):
                raise ValueError(f"files: {file.name}: a pattern is for a Hub repository, without hash, size or unpack")
        return self

    @property
    def expected_size(self) -> int | None:
        """Bytes of all its files, exactly or roughly; None where some aren't known."""
        sizes = [file.expected_size for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size)


class Entry(Model):
    """A dataset or weights file, in one or more copies that are tried in order."""

    title: str
    terms: str
    link: str
    reader: str = Field("", description="how a configuration uses it")
    files: list[File] = Field([], description="its files, where there is only one copy")
    copies: list[Copy] = Field([], description="its copies; the first one that can be had is used")

    @model_validator(mode="after")
    def _files_or_copies(self) -> "Entry":
        if bool(self.files) == bool(self.copies):
            raise ValueError("an entry has either files or copies")
        names = [copy.name for copy in self.copies]
        if len(names) != len(set(names)):
            raise ValueError(f"copies: the same name twice ({', '.join(names)})")
        return self

    @property
    def alternatives(self) -> list[Copy]:
        """Its copies, in the order in which they're tried."""
        return self.copies or [Copy(name="original", files=self.files)]

    @property
    def readers(self) -> list[str]:
        """The readers of its copies, sorted."""
        return sorted({copy.source for copy in self.copies if copy.source})


def load_registry(path: Path = REGISTRY) -> dict[str, Entry]:
    """Read and check the registry.

    Raises:
        UserError: missing, not YAML, with a key given twice, or with keys or values that can't be.
    """
    if not path.exists():
        raise UserError(f"{path}: no registry of inputs here; say --registry")
    try:
        return TypeAdapter(dict[Name, Entry]).validate_python(read_yaml(path))
    except ValidationError as error:
        raise UserError(explain(error, str(path))) from None


def known(names: Iterable[str], path: Path = REGISTRY) -> dict[str, Entry]:
    """Return the registry's entries of these names.

    Raises:
        UserError: the registry can't be read, or has no such entry.
    """
    registry = load_registry(path)
    for name in names:
        if name not in registry:
            raise UserError(f"{path}: no entry {name!r} (there are: {', '.join(registry)})")
    return {name: registry[name] for name in names}


def data_folder(given: Path | None) -> Path:
    """Return the data folder: as given, else WFRAME_DATA, else `data`; ~ is the home folder."""
    return (given or Path(os.environ.get("WFRAME_DATA") or "data")).expanduser()
