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
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageOps

from wframe.data.sources import READERS, Candidate, candidates, count
from wframe.errors import UserError
from wframe.files import written

GROUP = 9  # pictures in a group: the paper's N = M
SMALLEST = 8  # pixels; a part below this has nothing to show
LARGEST = 64_000_000  # pixels; more is refused as a decompression bomb

COLUMNS = pa.schema(
    [
        ("row", pa.int64()),  # in the array; null if not used
        ("group", pa.int64()),  # the cut into groups of nine
        ("source", pa.string()),  # path below the root, archive member, key, or batch and row
        ("sha256", pa.string()),  # of the source's bytes (of the pixels where there is no file)
        ("width", pa.int64()),
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
    """Write the array and its manifest, and say what was used and what was not."""
    with written(args.out) as array, written(args.manifest or args.out.with_suffix(".parquet")) as manifest:
        rows = prepare(args, array)
        totals = Counter(row["status"] for row in rows)
        _judge(args, rows, totals)
        about = {
            key: str(value) for key, value in vars(args).items() if key not in ("out", "manifest", "command", "data")
        }
        metadata = {"wframe": json.dumps({"options": about, "totals": totals}, sort_keys=True)}
        pq.write_table(pa.Table.from_pylist(rows, COLUMNS.with_metadata(metadata)), manifest)
    said = ", ".join(f"{number:,} {status}" for status, number in sorted(totals.items(), reverse=True))
    print(f"{args.path} ({args.class_}): {said}", file=sys.stderr)


def prepare(args: argparse.Namespace, array: Path) -> list[dict[str, Any]]:
    """Write the pictures into `array`, row by row; return the manifest's rows."""
    path = args.path if args.source == "embedded" else str(args.data / args.path)
    total = count(args.source, path, args.class_) if args.images and args.pick == "spread" else 0
    rows: list[dict[str, Any]] = []
    seen: dict[str, str] = {}
    used = 0
    with array.open("wb") as stream:
        _write_header(stream, 0, args.size)
        for index, candidate in enumerate(_reported(candidates(args.source, path, args.class_), args)):
            if used == args.images:
                break
            if args.pick == "spread" and args.images and index < used * total // args.images:
                continue
            row, pixels = _convert(candidate, args, seen)
            rows.append(row)
            if pixels is not None:
                row |= {"row": used, "group": used // GROUP}
                stream.write(pixels.tobytes())
                used += 1
        _write_header(stream, used, args.size)
    return rows


def _convert(
    candidate: Candidate, args: argparse.Namespace, seen: dict[str, str]
) -> tuple[dict[str, Any], np.ndarray | None]:
    """Return a candidate's row of the manifest, and its pixels (size, size, 3) if it can be used."""
    row: dict[str, Any] = {"source": candidate.source, "status": "skipped"}
    try:
        if candidate.refuse:
            raise ValueError(candidate.refuse)
        raw = candidate.read()
        sha256 = row["sha256"] = hashlib.sha256(raw if isinstance(raw, bytes) else raw.tobytes()).hexdigest()
        if candidate.box is None and args.source in ("folder", "sun", "celeba") and sha256 in seen:
            return row | {"status": "duplicate", "why": f"same bytes as {seen[sha256]}"}, None
        image, mode, notes = decode(raw)
        row |= {"width": image.width, "height": image.height, "mode": mode}
        box = candidate.box or _centre(image, args.crop)
        side = box[2] - box[0]
        if side < SMALLEST:
            raise ValueError(f"too small: {image.width}×{image.height}")
        if side < args.size:
            notes.append("upsampled")
        # at its edge the resampling sees the pixels around the part, as if the whole picture had been resized
        small = image.resize((args.size, args.size), Image.Resampling.LANCZOS, box)
        seen[sha256] = candidate.source
        row |= {"status": "used", "crop": ",".join(map(str, box)), "note": ", ".join(notes)}
        return row, np.asarray(small)
    except Exception as error:  # whatever a broken file makes a decoder raise: it is skipped, and counted
        return row | {"why": f"{error}" or type(error).__name__}, None


def decode(raw: bytes | np.ndarray) -> tuple[Image.Image, str, list[str]]:
    """Return a picture as 8-bit RGB, its mode as found, and notes on what was converted.

    Raises:
        OSError, ValueError: not an image, truncated, or larger than `LARGEST`.
    """
    if isinstance(raw, np.ndarray):
        return Image.fromarray(raw), "RGB", []
    if not raw:
        raise ValueError("an empty file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        image: Image.Image = Image.open(io.BytesIO(raw))
    if image.width * image.height > LARGEST:
        raise ValueError(f"too large: {image.width}×{image.height} pixels")
    image.load()
    mode, notes = image.mode, []
    if image.getexif().get(0x0112, 1) != 1:
        image = ImageOps.exif_transpose(image)
        notes.append("EXIF-rotated")
    if mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).astype(np.int64).clip(0, 65535) // 257).astype(np.uint8))
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


def _reported(found: Iterator[Candidate], args: argparse.Namespace) -> Iterator[Candidate]:
    """Pass candidates on; say every few seconds how many and how fast."""
    begin = spoke = time.monotonic()
    for index, candidate in enumerate(found):
        yield candidate
        if time.monotonic() - spoke > 10:
            spoke = time.monotonic()
            rate = (index + 1) / (spoke - begin)
            left = f", {(args.images - index) / rate:.0f} s left" if args.images and args.pick == "first" else ""
            print(
                f"{args.path} ({args.class_}): {index + 1:,} read, {rate:,.0f}/s{left}", file=sys.stderr, flush=True
            )


def _judge(args: argparse.Namespace, rows: list[dict[str, Any]], totals: Counter[str]) -> None:
    """Refuse a class with too many unreadable pictures, or with too few that can be used.

    Raises:
        UserError: with the first few reasons.
    """
    name = f"{args.path}, class {args.class_}"
    reasons = [f"  {row['source']}: {row['why']}" for row in rows if row["status"] == "skipped"]
    if totals["skipped"] > args.skip_limit * len(rows):
        raise UserError(
            f"{name}: {totals['skipped']} of {len(rows)} pictures can't be read, more than --skip-limit "
            f"{args.skip_limit:g} allows. The first ones:\n" + "\n".join(reasons[:5])
        )
    if totals["used"] < GROUP:
        raise UserError(
            f"{name}: {totals['used']} pictures can be used, a group needs {GROUP}. Add some to this class."
        )
    if args.images and totals["used"] < args.images:
        raise UserError(f"{name}: {totals['used']} pictures can be used, {args.images} are asked for (`images`).")
