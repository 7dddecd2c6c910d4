"""Arrays of images: what `wframe prepare` and the trainings write, read back in one way."""

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from wframe.errors import UserError


def load_images(path: Path) -> np.ndarray:
    """Return the images of a file, uint8 (N, H, W, 3).

    That is a prepared array (.npy; read only as it is used), or the `images` of a training (.safetensors), its groups
    one after the other.

    Raises:
        UserError: missing, broken, or not such an array.
    """
    try:
        images = load_file(path)["images"] if path.suffix == ".safetensors" else np.load(path, mmap_mode="r")
    except FileNotFoundError:
        raise UserError(f"{path}: there are no such images. `wframe prepare` makes them from raw data.") from None
    except (OSError, ValueError, EOFError, KeyError, SafetensorError) as error:
        raise UserError(f"{path}: not a whole array of images ({error}). Delete it and make it again.") from None
    if images.dtype != np.uint8 or images.ndim < 4 or images.shape[-1] != 3:
        raise UserError(f"{path}: expected uint8 (N, H, W, 3), this is {images.dtype} {images.shape}")
    return images.reshape(-1, *images.shape[-3:])


def load_all(files: list[Path], first: int | None = None) -> np.ndarray:
    """Return the images of several files together; of each file only the `first` so many.

    Raises:
        UserError: as `load_images`, or images of different sizes.
    """
    parts: list[np.ndarray] = []
    for path in files:
        parts.append(load_images(path)[:first])
        if parts[-1].shape[1:] != parts[0].shape[1:]:
            sizes = [f"{part.shape[2]}×{part.shape[1]}" for part in (parts[-1], parts[0])]
            raise UserError(f"{path}: images of {sizes[0]} pixels, {files[0]} has {sizes[1]}")
    return np.concatenate(parts)
