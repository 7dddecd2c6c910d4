"""Decoding: any image file as 8-bit RGB, with notes on what was converted."""

import io
import warnings

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError

LARGEST = 64_000_000  # pixels; more is refused as a decompression bomb
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 64 << 20  # a large colour profile is no bomb
DEPTHS = (8, 10, 12, 14, 16)  # bits of a value, in a container of 16
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM", "JPEG2000")  # none that runs a program


def decode(raw: bytes | np.ndarray, quick: bool = False) -> tuple[Image.Image, str, list[str]]:
    """Return an image as 8-bit RGB, its mode as found, and notes on what was converted.

    `quick` decodes a JPEG at an eighth of its size: all its bytes are read, in less than half the time.

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
    if quick:
        image.draft(None, (1, 1))
    image.load()
    mode = image.mode
    notes: list[str] = []
    if _orientation(image, notes) in range(2, 9):
        image = ImageOps.exif_transpose(image)
        notes.append("EXIF-rotated")
    if mode[0] in "IF":
        values = np.asarray(image)
        if mode[0] == "F" or values.min() < 0 or values.max() > 65535:
            raise ValueError("neither 8 nor 16 bits a value: convert it first")
        bits = next(bits for bits in DEPTHS if values.max() < 2**bits)  # what the values use of the container
        image = Image.fromarray((values.astype(np.int64) * 255 // (2**bits - 1)).astype(np.uint8))
        notes.append(f"{bits}-bit→8-bit" if bits > 8 else "8-bit values in 16 bits")
    elif deep:
        notes.append("16-bit→8-bit")
    if mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        background = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(background, image.convert("RGBA"))
        notes.append("alpha over white")
    if image.mode != "RGB":
        notes.append(f"{mode}→RGB")
        image = image.convert("RGB")
    return image, mode, notes


def _orientation(image: Image.Image, notes: list[str]) -> int:
    """Return the EXIF orientation, 1 where there is none; metadata that can't be read is noted and ignored."""
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # whatever a broken block makes Pillow raise: the pixels are good
        notes.append("unreadable metadata ignored")
        return 1


def centre_square(image: Image.Image, crop: int | None) -> tuple[int, int, int, int]:
    """The centre square: of side `crop` where the image has it, else the largest."""
    side = min(crop or image.width, image.width, image.height)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return left, top, left + side, top + side
