"""Entries of config/inputs.yaml, by the reader of the copy that was fetched."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from wframe.data.readers import Candidate, count_with
from wframe.data.readers._files import split_place
from wframe.data.records import read_stamp
from wframe.errors import UserError


def read(path: str, class_: str) -> Iterator[Candidate]:
    """The entry whose folder PATH is; `PATH!train` takes one split of it."""
    reader, place = fetched(path)
    return reader.read(place, class_)


def count(path: str, class_: str) -> int:
    """Return how many images there are, as the copy's reader counts them."""
    reader, place = fetched(path)
    return count_with(reader, place, class_)


def fetched(path: str) -> tuple[ModuleType, str]:
    """Return the reader of the copy that was fetched, and the path that it's given.

    Raises:
        UserError: the entry hasn't been fetched, or isn't one of images.
    """
    folder, split = split_place(path)
    stamp = read_stamp(folder.parent, folder.name)
    if stamp is None:
        raise UserError(f"{folder}: not fetched yet. `wframe fetch {folder.name}` gets it.")
    if not stamp.get("source"):
        raise UserError(f"{folder}: this entry of the registry has no images to read (its copies name no `source`)")
    place = str(Path(folder, stamp.get("path") or ""))
    module = importlib.import_module(f"wframe.data.readers.{stamp['source']}")
    return module, f"{place}!{split}" if split else place
