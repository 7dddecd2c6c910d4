"""`wframe prepare`: the pictures of one class to one uint8 array, with a manifest that leads each row back.

Pictures pass one at a time, so memory stays flat however many there are.
"""

import argparse
import hashlib
import io
import json
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageOps, UnidentifiedImageError

from wframe.data.sources import READERS, Candidate, candidates, count, is_tar
from wframe.errors import UserError
from wframe.files import written

GROUP = 9  # pictures in a group: the paper's N = M
SMALLEST = 8  # pixels; a part below this has nothing to show
LARGEST = 64_000_000  # pixels; more is refused as a decompression bomb
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM", "JPEG2000")  # none that runs a program
# Where equal files are copies, only the first is used. Rows of CIFAR-10 and LSUN are the dataset, repeats included.
WITHOUT_COPIES = ("folder", "sun", "celeba")

COLUMNS = pa.schema(
    [
        ("row", pa.int64()),  # in the array; null if not used
        ("group", pa.int64()),  # the cut into groups of nine
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
    add("--source", choices=list(READERS), default="folder", help="which reader; default: class folders")
    add("--path", required=True, help="the folder, archive or database; embedded: faces, scenes or digits")
    add("--data", type=Path, default=Path(), help="the folder that PATH is below; default: the current one")
    add("--class", dest="class_", default="all", help="one class; default: all pictures")
    add("--size", type=int, default=32, help="side of the prepared pictures")
    add("--crop", type=int, help="side of the centre square that is cut out first; default: the largest")
    add("--images", type=int, help="how many to use; default: all")
    add("--pick", choices=["first", "spread"], default="first", help="which ones, if not all")
    add("--skip-limit", type=float, default=0.01, help="share of unreadable pictures above which it stops")
    add("--out", type=Path, required=True, help="the array to write (.npy)")
    add("--manifest", type=Path, help="the manifest to write; default: OUT with .parquet")


def main(args: argparse.Namespace) -> None:
    """Write the array and its manifest, and say what was used and what was not.

    Raises:
        UserError: an impossible option, data that isn't there, too many unreadable pictures or too few good ones.
    """
    _check_options(args)
    begin = time.monotonic()
    about = {
        key: str(value) for key, value in vars(args).items() if key not in ("out", "manifest", "command", "data")
    }
    table = args.manifest or args.out.with_suffix(".parquet")
    with written(args.out) as array, written(table) as part, Manifest(part) as manifest:
        prepare(args, array, manifest)
        _judge(args, manifest)
        manifest.note = json.dumps({"options": about, "totals": manifest.totals}, sort_keys=True)
    said = ", ".join(f"{number:,} {status}" for status, number in sorted(manifest.totals.items(), reverse=True))
    print(f"{args.path} ({args.class_}): {said}, in {time.monotonic() - begin:.1f} s", file=sys.stderr)


def prepare(args: argparse.Namespace, array: Path, manifest: "Manifest") -> None:
    """Write the pictures into `array` and their rows into `manifest`, one by one."""
    path = args.path if args.source == "embedded" else str(args.data / args.path)
    spread = args.images is not None and args.pick == "spread"
    # counting a compressed archive takes a pass through it: only where that decides what is picked
    total = count(args.source, path, args.class_) if spread or not is_tar(path) else None
    goal = args.images if args.images and not spread else total
    seen: dict[bytes, int] = {}
    used = 0
    with array.open("wb") as stream:
        _write_header(stream, 0, args.size)
        found = _reported(candidates(args.source, path, args.class_), f"{args.path} ({args.class_})", goal)
        for index, candidate in enumerate(found):
            if used == args.images:
                break
            if spread and total and index < used * total // args.images:
                continue
            row, pixels = _convert(candidate, args, seen, used)
            if pixels is not None:
                row |= {"row": used, "group": used // GROUP}
                stream.write(pixels.tobytes())
                used += 1
            manifest.add(row)
        _write_header(stream, used, args.size)


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
    candidate: Candidate, args: argparse.Namespace, seen: dict[bytes, int], used: int
) -> tuple[dict[str, Any], np.ndarray | None]:
    """Return a candidate's row of the manifest, and its pixels (size, size, 3) if it can be used."""
    row: dict[str, Any] = {"source": candidate.source, "status": "skipped"}
    try:
        if candidate.refuse:
            raise ValueError(candidate.refuse)
        raw = candidate.read()
        sha256 = hashlib.sha256(raw if isinstance(raw, bytes) else raw.tobytes())
        row["sha256"] = sha256.hexdigest()
        if sha256.digest() in seen:
            return row | {"status": "duplicate", "why": f"same bytes as row {seen[sha256.digest()]}"}, None
        image, mode, notes = decode(raw)
        row |= {"width": image.width, "height": image.height, "mode": mode}
        box = candidate.box or _centre(image, args.crop)
        side = box[2] - box[0]
        if side < SMALLEST:
            raise ValueError(f"too small: {image.width}×{image.height}")
        if args.crop and side < args.crop and not candidate.box:
            notes.append("smaller than the crop")
        if side < args.size:
            notes.append("upsampled")
        # at its edge the resampling sees the pixels around the part, as if the whole picture had been resized
        small = image.resize((args.size, args.size), Image.Resampling.LANCZOS, box)
        if args.source in WITHOUT_COPIES:
            seen[sha256.digest()] = used
        row |= {"status": "used", "crop": ",".join(map(str, box)), "note": ", ".join(notes)}
        return row, np.asarray(small)
    except Exception as error:  # whatever a broken file makes a decoder raise: it is skipped, and counted
        return row | {"why": f"{error}" or type(error).__name__}, None


def decode(raw: bytes | np.ndarray) -> tuple[Image.Image, str, list[str]]:
    """Return a picture as 8-bit RGB, its mode as found, and notes on what was converted.

    Raises:
        OSError, ValueError: not an image, truncated, larger than `LARGEST`, or of values without a known range.
    """
    if isinstance(raw, np.ndarray):
        return Image.fromarray(raw), "RGB", []
    if not raw:
        raise ValueError("an empty file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            image: Image.Image = Image.open(io.BytesIO(raw), formats=FORMATS)
        except UnidentifiedImageError:  # its message has an address of memory: never the same twice
            raise ValueError(f"not an image (known formats: {', '.join(FORMATS)})") from None
    if image.width * image.height > LARGEST:
        raise ValueError(f"too large: {image.width}×{image.height} pixels")
    deep = ";16" in str(getattr(image, "tile", ""))  # Pillow itself cuts 16-bit colours to 8 bits
    image.load()
    mode, notes = image.mode, []
    if image.getexif().get(0x0112, 1) != 1:
        image = ImageOps.exif_transpose(image)
        notes.append("EXIF-rotated")
    if mode[0] in "IF":
        values = np.asarray(image)
        if mode[0] == "F" or values.min() < 0 or values.max() > 65535:
            raise ValueError("neither 8 nor 16 bits a value: convert it first")
        image = Image.fromarray((values // 257).astype(np.uint8))
    if deep or mode[0] == "I":
        notes.append("16-bit→8-bit")
    if mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        background = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(background, image.convert("RGBA"))
        notes.append("alpha over white")
    if image.mode != "RGB":
        notes.append(f"{mode}→RGB")
        image = image.convert("RGB")
    return image, mode, notes


def _centre(image: Image.Image, crop: int | None) -> tuple[int, int, int, int]:
    """The centre square: of side `crop` where the picture has it, else the largest."""
    side = min(crop or image.width, image.width, image.height)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return left, top, left + side, top + side


def _write_header(stream: io.BufferedWriter, rows: int, size: int) -> None:
    """Write an .npy header at the start; numpy pads it so that the number of rows can be filled in later."""
    stream.seek(0)
    shape = {"descr": "|u1", "fortran_order": False, "shape": (rows, size, size, 3)}
    np.lib.format.write_array_header_1_0(stream, shape)


def _reported(found: Iterator[Candidate], title: str, goal: int | None) -> Iterator[Candidate]:
    """Pass candidates on, and show how many of `goal`: a bar on a terminal, a line every few seconds in a log."""
    if sys.stderr.isatty():
        from rich import progress
        from rich.console import Console

        columns = (
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeRemainingColumn(),
        )
        with progress.Progress(*columns, console=Console(stderr=True)) as bar:
            yield from bar.track(found, total=goal, description=title)
        return
    begin = spoke = time.monotonic()
    for done, candidate in enumerate(found):
        if (now := time.monotonic()) > spoke + 10:
            spoke, rate = now, done / (now - begin)
            left = f" of {goal:,}, {rate:,.0f}/s, {(goal - done) / rate:.0f} s left" if goal else f", {rate:,.0f}/s"
            print(f"{title}: {done:,}{left}", file=sys.stderr, flush=True)
        yield candidate


def _check_options(args: argparse.Namespace) -> None:
    """Refuse what can't be prepared, before anything is read."""
    for name, least in (("size", 1), ("crop", SMALLEST), ("images", GROUP)):
        value = getattr(args, name)
        if value is not None and value < least:
            raise UserError(f"--{name} {value}: must be at least {least}")
    if not 0 <= args.skip_limit <= 1:
        raise UserError(f"--skip-limit {args.skip_limit:g}: is a share, from 0 to 1")


def _judge(args: argparse.Namespace, manifest: Manifest) -> None:
    """Refuse a class with too many unreadable pictures, or with too few that can be used.

    Raises:
        UserError: with the first few reasons.
    """
    name, totals = f"{args.path}, class {args.class_}", manifest.totals
    used, skipped, all_ = totals["used"], totals["skipped"], sum(totals.values())
    reasons = "".join(f"\n{reason}" for reason in manifest.reasons)
    if skipped > args.skip_limit * all_:
        raise UserError(
            f"{name}: {skipped:,} of {all_:,} pictures can't be used, more than --skip-limit {args.skip_limit:g} "
            f"allows. Mend or remove them, or raise it (in an edition: skip_limit). The first ones:{reasons}"
        )
    left_out = (
        f" ({totals['duplicate']:,} more are copies, {skipped:,} can't be used{reasons})" if all_ > used else ""
    )
    if used < GROUP:
        raise UserError(
            f"{name}: {used} pictures can be used, a group needs {GROUP}{left_out}. Add some to this class."
        )
    if args.images and used < args.images:
        why = ", or --pick first" if args.pick == "spread" else ""
        raise UserError(
            f"{name}: {used:,} pictures can be used, {args.images:,} are asked for{left_out}. Ask for fewer{why}."
        )
