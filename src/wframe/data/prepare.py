"""`wframe prepare`: the images of one class to one uint8 array, with a manifest that leads each row back.

Images pass one at a time, so memory stays flat however many there are.
"""

import argparse
import errno
import hashlib
import io
import json
import sys
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from wframe.data.decode import centre_square, decode
from wframe.data.groups import completing_rows, count_groups
from wframe.data.readers import Candidate, candidates, count
from wframe.data.readers._files import is_tar, split_place
from wframe.data.records import read_stamp
from wframe.errors import UserError
from wframe.files import atomic_write
from wframe.runtime.code import module_names
from wframe.runtime.progress import Progress

# what is wrong with one file, and not with the disk or the network: it is skipped and counted like a broken one
OF_THE_FILE = (errno.EACCES, errno.EPERM, errno.ENOENT, errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR)
SMALLEST = 8  # pixels; a part below this has nothing to show
# Where equal files are copies, only the first is used. Rows of CIFAR-10, LSUN and parquet files are the dataset,
# repeats included.
WITHOUT_COPIES = ("folder", "sun", "celeba")
COLUMNS_OF = ("image_column", "label_column")  # options of the `huggingface` reader

COLUMNS = pa.schema(
    [
        ("row", pa.int64()),  # in the array; null if not used
        ("group", pa.int64()),  # the group that it belongs to; the first rows may complete the last group as well
        ("source", pa.string()),  # path below the root, archive member, key, or batch and row
        ("sha256", pa.string()),  # of the source's bytes (of the pixels where there is no file)
        ("width", pa.int64()),  # upright, as the crop sees it
        ("height", pa.int64()),
        ("mode", pa.string()),  # as found
        ("crop", pa.string()),  # left,top,right,bottom of the part that was used
        ("note", pa.string()),  # conversions
        ("status", pa.string()),  # used, skipped or duplicate
        ("why", pa.string()),
    ]
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe prepare`."""
    add = parser.add_argument
    add(
        "--source",
        choices=module_names("wframe.data.readers"),
        default="folder",
        help="which reader; default: class folders",
    )
    add("--path", required=True, help="the folder, archive or database; embedded: faces, scenes or digits")
    add("--data", type=Path, default=Path(), help="the folder that PATH is below; default: the current one")
    add("--class", dest="class_", default="all", help="one class; default: all images")
    add("--image-column", help="huggingface: the column with images; default: what the schema says")
    add("--label-column", help="huggingface: the column with labels; default: what the schema says")
    add("--size", type=int, default=32, help="side of the prepared images")
    add("--crop", type=int, help="side of the centre square that is cut out first; default: the largest")
    add("--images", type=int, help="how many to use; default: all")
    add("--start", type=int, default=0, help="how many images to leave out first, e.g. those of another dataset")
    add("--pick", choices=["first", "spread"], default="first", help="which ones, if not all")
    add("--group-size", type=int, default=9, help="images in a group (M of Algorithm 1), for the manifest")
    add("--skip-limit", type=float, default=0.01, help="share of unreadable images above which it stops")
    add("--out", type=Path, required=True, help="the array to write (.npy)")
    add("--manifest", type=Path, help="the manifest to write; default: OUT with .parquet")


def main(args: argparse.Namespace) -> None:
    """Write the array and its manifest, and say what was used and what was not.

    Raises:
        UserError: an impossible option, data that isn't there, too many unreadable images or too few good ones.
    """
    _check_options(args)
    begin = time.monotonic()
    about = {key: str(value) for key, value in vars(args).items() if key not in ("out", "manifest", "command", "data")}
    about = {key: value for key, value in about.items() if key not in COLUMNS_OF or getattr(args, key) is not None}
    fetched = _fetched(args)
    about |= {f"fetched_{key}": str(fetched[key]) for key in ("copy", "source", "hub", "differs") if fetched.get(key)}
    drop_copies = fetched.get("source", args.source) in WITHOUT_COPIES
    table = args.manifest or args.out.with_suffix(".parquet")
    with atomic_write(args.out) as array, atomic_write(table) as part, Manifest(part) as manifest:
        prepare(args, array, manifest, drop_copies)
        _refuse_bad_class(args, manifest)
        used = manifest.totals["used"]
        groups = {
            "size": args.group_size,
            "count": count_groups(used, args.group_size),
            "completed_by_rows": completing_rows(used, args.group_size),
        }
        manifest.note = json.dumps({"options": about, "totals": manifest.totals, "groups": groups}, sort_keys=True)
    said = ", ".join(f"{number:,} {status}" for status, number in sorted(manifest.totals.items(), reverse=True))
    print(f"{args.path} ({args.class_}): {said}, in {time.monotonic() - begin:.1f} s", file=sys.stderr)


def prepare(args: argparse.Namespace, array: Path, manifest: "Manifest", drop_copies: bool) -> None:
    """Write the images into `array` and their rows into `manifest`, one by one; leave out copies if so asked."""
    path = args.path if args.source == "embedded" else str(args.data / args.path)
    spread = args.images is not None and args.pick == "spread"
    # counting a compressed archive takes a pass through it: only where that decides what is picked
    columns = {key: getattr(args, key) for key in COLUMNS_OF if getattr(args, key) is not None}
    total = count(args.source, path, args.class_, **columns) if spread or not is_tar(path) else None
    goal = args.start + args.images if args.images and not spread else total
    seen: dict[bytes, int] | None = {} if drop_copies else None
    used = 0
    with array.open("wb") as stream:
        _write_header(stream, 0, args.size)
        found = candidates(args.source, path, args.class_, **columns)
        with Progress(f"{args.path} ({args.class_})", goal, unit="images") as progress:
            for index, candidate in enumerate(found):
                if used == args.images:
                    break
                progress.advance(1)
                if index < args.start:
                    continue
                if spread and total and index < args.start + used * (total - args.start) // args.images:
                    continue
                row, pixels = _convert(candidate, args, seen, used)
                if pixels is not None:
                    row |= {"row": used, "group": used // args.group_size}
                    stream.write(pixels.tobytes())
                    used += 1
                manifest.add(row)
        _write_header(stream, used, args.size)


def _fetched(args: argparse.Namespace) -> dict[str, Any]:
    """Return the record of how an entry of the registry was fetched; an empty one for everything else."""
    if args.source != "registry":
        return {}
    folder = split_place(str(args.data / args.path))[0]
    return read_stamp(folder.parent, folder.name) or {}


class Manifest:
    """The parquet file with one row per candidate, written in pieces; keeps totals and the first reasons.

    Leaving its `with` block writes `note` into the file's metadata, under the key `wframe`.
    """

    PIECE = 10_000  # rows

    def __init__(self, path: Path) -> None:
        self.writer = pq.ParquetWriter(path, COLUMNS, store_schema=False)
        self.rows: list[dict[str, Any]] = []
        self.totals: Counter[str] = Counter()
        self.reasons: list[str] = []
        self.note = ""

    def add(self, row: dict[str, Any]) -> None:
        """Add a candidate's row. File names that aren't text are spelt out (\\xe4)."""
        for key in ("source", "why"):
            row[key] = row.get(key, "").encode(errors="surrogateescape").decode(errors="backslashreplace") or None
        self.totals[row["status"]] += 1
        if row["status"] == "skipped" and len(self.reasons) < 5:
            self.reasons.append(f"  {row['source']}: {row['why']}")
        self.rows.append(row)
        if len(self.rows) == self.PIECE:
            self._flush()

    def _flush(self) -> None:
        self.writer.write_table(pa.Table.from_pylist(self.rows, COLUMNS))
        self.rows = []

    def __enter__(self) -> "Manifest":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self._flush()
            self.writer.add_key_value_metadata({"wframe": self.note})
        self.writer.close()


def _convert(
    candidate: Candidate, args: argparse.Namespace, seen: dict[bytes, int] | None, used: int
) -> tuple[dict[str, Any], np.ndarray | None]:
    """Return a candidate's row of the manifest, and its pixels (size, size, 3) if it can be used, as row `used`.

    `seen` has the rows of the files and pixels that were used, by their hash; None where equal ones are no copies.

    Raises:
        UserError: the disk or the network failed, which says nothing of the image.
    """
    row: dict[str, Any] = {"source": candidate.source, "status": "skipped"}
    try:
        if candidate.refuse:
            raise ValueError(candidate.refuse)
        raw = candidate.read()
        sha256 = hashlib.sha256(raw if isinstance(raw, bytes) else raw.tobytes())
        row["sha256"] = sha256.hexdigest()
        if seen and sha256.digest() in seen:
            return row | {"status": "duplicate", "why": f"same bytes as row {seen[sha256.digest()]}"}, None
        image, mode, notes = decode(raw)
        row |= {"width": image.width, "height": image.height, "mode": mode}
        box, more_notes = _part(image, candidate, args)
        # at its edge the resampling sees the pixels around the part, as if the whole image had been resized
        pixels = np.asarray(image.resize((args.size, args.size), Image.Resampling.LANCZOS, box))
        row |= {"crop": ",".join(map(str, box)), "note": ", ".join(notes + more_notes)}
        if seen is not None:  # one image saved twice has other bytes (another format, a date), but the same pixels
            content = hashlib.sha256(pixels.tobytes()).digest()
            if content in seen:
                return row | {"status": "duplicate", "why": f"same pixels as row {seen[content]}"}, None
            seen[sha256.digest()] = seen[content] = used
        return row | {"status": "used"}, pixels
    except MemoryError:
        raise
    except Exception as error:  # whatever a broken file makes a decoder raise: it is skipped, and counted
        return row | {"why": _why_broken(candidate, error)}, None


def _part(
    image: Image.Image, candidate: Candidate, args: argparse.Namespace
) -> tuple[tuple[int, int, int, int], list[str]]:
    """Return the square of an image that is used (left, top, right, bottom), and notes on its size.

    Raises:
        ValueError: it is too small to show anything.
    """
    box = candidate.box or centre_square(image, args.crop)
    side = box[2] - box[0]
    if side < SMALLEST:
        raise ValueError(f"too small: {image.width}×{image.height}")
    notes = ["smaller than the crop"] if args.crop and side < args.crop and not candidate.box else []
    return box, notes + (["upsampled"] if side < args.size else [])


def _why_broken(candidate: Candidate, error: Exception) -> str:
    """Return why a candidate can't be used.

    Raises:
        UserError: the disk or the network failed, which says nothing of the image.
    """
    if isinstance(error, OSError) and error.errno not in (None, *OF_THE_FILE):  # the system's, not a decoder's
        what = f"{candidate.source}: the disk or the network failed ({error.strerror})"
        raise UserError(f"{what}. Run the same command again once it works.") from error
    return f"{error}" or type(error).__name__


def _write_header(stream: io.BufferedWriter, rows: int, size: int) -> None:
    """Write an .npy header at the start; numpy pads it so that the number of rows can be filled in later."""
    stream.seek(0)
    shape = {"descr": "|u1", "fortran_order": False, "shape": (rows, size, size, 3)}
    np.lib.format.write_array_header_1_0(stream, shape)


def _check_options(args: argparse.Namespace) -> None:
    """Refuse what can't be prepared, before anything is read."""
    if args.source != "huggingface" and (args.image_column or args.label_column):
        raise UserError(f"--image-column and --label-column are for --source huggingface, not {args.source}")
    for name, least in (("size", 1), ("crop", SMALLEST), ("group_size", 1), ("images", args.group_size), ("start", 0)):
        value = getattr(args, name)
        if value is not None and value < least:
            raise UserError(f"--{name.replace('_', '-')} {value}: must be at least {least}")
    if not 0 <= args.skip_limit <= 1:
        raise UserError(f"--skip-limit {args.skip_limit:g}: is a share, from 0 to 1")


def _refuse_bad_class(args: argparse.Namespace, manifest: Manifest) -> None:
    """Refuse a class with too many unreadable images, or with too few that can be used.

    Raises:
        UserError: with the first few reasons.
    """
    name, totals = f"{args.path}, class {args.class_}", manifest.totals
    used, skipped, all_ = totals["used"], totals["skipped"], sum(totals.values())
    reasons = "".join(f"\n{reason}" for reason in manifest.reasons)
    if skipped > args.skip_limit * all_:
        raise UserError(
            f"{name}: {skipped:,} of {all_:,} images can't be used, more than --skip-limit {args.skip_limit:g} "
            f"allows. Fix or remove them, or raise it (in an edition: skip_limit). The first ones:{reasons}"
        )
    left_out = f" ({totals['duplicate']:,} more are copies, {skipped:,} can't be used{reasons})" if all_ > used else ""
    if args.start:
        left_out += f", beyond the first {args.start:,} that --start leaves out"
    if used < args.group_size:
        raise UserError(
            f"{name}: {used} image{'s' * (used != 1)} can be used, a group needs {args.group_size}{left_out}. "
            "Add some to this class."
        )
    if args.images and used < args.images:
        why = ", or --pick first" if args.pick == "spread" else ""
        raise UserError(
            f"{name}: {used:,} images can be used, {args.images:,} are asked for{left_out}. Ask for fewer{why}."
        )
