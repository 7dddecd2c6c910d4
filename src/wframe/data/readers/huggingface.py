"""Image datasets as parquet, as the Hugging Face Hub has them: a folder of files, or one file."""

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from wframe.data.readers import Candidate
from wframe.data.readers._files import LARGEST_FILE, split_place
from wframe.errors import UserError

IN_MEMORY = 8_000_000  # bytes of images that are read at once, or one image
BUFFER = 1 << 20  # bytes of a column that are read at once: a row group may have gigabytes
SPLITS = {"train": 0, "validation": 1, "valid": 1, "val": 1, "dev": 1, "test": 2}


def read(
    path: str, class_: str, image_column: str | None = None, label_column: str | None = None
) -> Iterator[Candidate]:
    """Rows of parquet files below PATH; `PATH!train` takes one split, as the files' names or folders have it.

    The columns of images (encoded bytes) and labels are those that the schema's `huggingface` metadata names, or the
    ones given. Classes go by the label's name in the schema (`/c/coast` is also `coast`), else by the label itself.
    Without a split all files are read: train, validation, test. Rows are the dataset: equal ones are kept.
    """
    root = split_place(path)[0]
    for table in tables(path):
        name = str(table.relative_to(root)) if root.is_dir() else table.name
        yield from _rows(table, name, class_, image_column, label_column)


def count(path: str, class_: str, image_column: str | None = None, label_column: str | None = None) -> int:
    """Return how many rows there are; of a class, by reading the labels alone."""
    total = 0
    for table in tables(path):
        with _opened(table) as file:
            if class_ == "all":
                total += file.metadata.num_rows
            else:
                wanted, label = _wanted(table, file, class_, label_column)
                total += sum(
                    value in wanted for batch in file.iter_batches(10_000, columns=[label]) for value in _values(batch)
                )
    return total


def tables(path: str) -> list[Path]:
    """Return the parquet files of a place, a split's or all; train comes first, test last.

    Raises:
        UserError: there are none; the message says which splits there are.
    """
    root, split = split_place(path)
    if not root.exists():
        raise UserError(f"{root}: there is no such file or folder of parquet files")
    found = [root] if root.is_file() else sorted(p for p in root.rglob("*.parquet") if not _hidden(p, root))
    names = {table: split_of(table) for table in found}
    chosen = [table for table in found if split in ("", names[table])]
    if not chosen:
        known = ", ".join(sorted(set(names.values()))) or "no parquet files"
        raise UserError(
            f"{path}: no parquet files{f' of the split {split!r}' if split else ''} here (there are: {known})"
        )
    return sorted(chosen, key=lambda table: (SPLITS.get(names[table], 3), names[table], str(table)))


def split_of(table: Path) -> str:
    """Return the split that a file's name or folder says: `train-00000-of-00002.parquet`, `train/0000.parquet`."""
    stem = re.sub(r"[-_.]?\d+(-of-\d+)?(-[0-9a-f]{8,})?$", "", table.stem)
    return stem or table.parent.name


def _hidden(table: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in table.relative_to(root).parts)


def _rows(
    table: Path, name: str, class_: str, image_column: str | None, label_column: str | None
) -> Iterator[Candidate]:
    """Yield a file's rows of a class, a few in memory at a time."""
    import pyarrow as pa

    try:
        with _opened(table) as file:
            image = _image_column(table, file, image_column)
            wanted, label = (set(), None) if class_ == "all" else _wanted(table, file, class_, label_column)
            row = 0
            for batch in file.iter_batches(_rows_at_once(file), columns=[image, *([label] if label else [])]):
                labels = batch.column(label).to_pylist() if label else None
                for place, cell in enumerate(batch.column(image)):
                    if labels is None or labels[place] in wanted:
                        yield _candidate(f"{name}[{row + place}]", cell)
                row += len(batch)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{table}: can't be read as parquet ({error}). Fetch it again, or remove it.") from error


def _rows_at_once(file: Any) -> int:
    """Return how many rows to read at once, by the largest mean size of a row."""
    groups = [file.metadata.row_group(k) for k in range(file.metadata.num_row_groups)]
    largest = max((group.total_byte_size / max(1, group.num_rows) for group in groups), default=1)
    return int(min(1000, max(1, IN_MEMORY / max(1, largest))))


def _candidate(source: str, cell: Any) -> Candidate:
    """Return a row's image: a struct with `bytes`, or the bytes themselves."""
    raw = cell["bytes"] if cell.is_valid and hasattr(cell, "keys") else cell
    if not (cell.is_valid and raw.is_valid):
        return Candidate(source, bytes, refuse="the row has no image, or only a path to one elsewhere")
    size = len(raw.as_buffer())
    return Candidate(source, partial(raw.as_py), refuse=f"too large: {size:,} bytes" if size > LARGEST_FILE else None)


def _opened(table: Path) -> Any:
    """Open a file so that it's read in small pieces.

    Raises:
        UserError: it isn't parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(table, buffer_size=BUFFER, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{table}: not a whole parquet file ({error}). Fetch it again, or remove it.") from error


def features(file: Any) -> dict[str, Any]:
    """Return what the schema's `huggingface` metadata says of each column; empty without it."""
    text = (file.schema_arrow.metadata or {}).get(b"huggingface", b"{}")
    try:
        found = json.loads(text)["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return {name: about for name, about in found.items() if isinstance(about, dict)} if isinstance(found, dict) else {}


def _column(table: Path, file: Any, given: str | None, option: str, likely: list[str]) -> str:
    """Return the column that is meant.

    Raises:
        UserError: there is none, or more than one.
    """
    names = list(file.schema_arrow.names)
    if given is not None:
        if given not in names:
            raise UserError(f"{table}: no column {given!r} (columns: {', '.join(names)}): change {option}")
        return given
    if len(likely) != 1:
        several = f"several could be meant: {', '.join(likely)}" if likely else f"columns: {', '.join(names)}"
        raise UserError(f"{table}: which column has it? Say {option} ({several})")
    return likely[0]


def _image_column(table: Path, file: Any, given: str | None) -> str:
    """Return the column with the images' bytes."""
    import pyarrow as pa

    def holds_bytes(name: str) -> bool:
        kind = file.schema_arrow.field(name).type
        kinds = (
            [kind.field("bytes").type] if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0 else [kind]
        )
        return pa.types.is_binary(kinds[0]) or pa.types.is_large_binary(kinds[0])

    names = [name for name in file.schema_arrow.names if holds_bytes(name)]
    stated = [name for name in names if features(file).get(name, {}).get("_type") == "Image"]
    column = _column(table, file, given, "image_column", stated or names)
    if column not in names:
        raise UserError(f"{table}: the column {column!r} has no images' bytes: change image_column")
    return column


def _wanted(table: Path, file: Any, class_: str, given: str | None) -> tuple[set[Any], str]:
    """Return the labels that mean a class, and their column.

    Raises:
        UserError: no such class; the message lists some that there are.
    """
    about = features(file)
    stated = [name for name, feature in about.items() if feature.get("_type") == "ClassLabel"]
    fallback = [name for name in ("label", "labels", "class") if name in file.schema_arrow.names]
    column = _column(table, file, given, "label_column", stated or fallback[:1])
    names = about.get(column, {}).get("names")
    if not names:  # numbers or text: known only by reading
        kind = str(file.schema_arrow.field(column).type)
        return ({class_} if "string" in kind else {int(class_)} if class_.isdigit() else set()), column
    found = [index for index, name in enumerate(names) if name == class_]
    found = found or [index for index, name in enumerate(names) if plain(name) == plain(class_)]
    if len(found) != 1:
        near = [name for name in names if class_.lower()[:3] in name.lower()] or names
        more = f", … {len(near)} in all" if len(near) > 12 else ""
        raise UserError(f"{table}: no class {class_!r}, or more than one (there are: {', '.join(near[:12])}{more})")
    return {found[0]}, column


def plain(name: str) -> str:
    """Return a class's name without a leading letter's folder, in lower case: `/c/living room` is `living_room`."""
    return re.sub(r"[ -]", "_", re.sub(r"^/?[a-z]/", "", name.lower()))


def _values(batch: Any) -> list[Any]:
    return batch.column(0).to_pylist()
