"""Real pictures that come with scikit-image and scikit-learn: no download.

faces: 100 faces of LFW, 25×25, grey. scenes: square parts of photographs and textures, a class each.
digits: 1,797 handwritten digits, 8×8, grey, with labels.
"""

from collections.abc import Callable, Iterator
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image

from wframe.errors import UserError

Picture = tuple[str, Callable[[], bytes | np.ndarray], tuple[int, int, int, int] | None]

# class → (package, file); a part's side is half or a third of the picture's shorter side
PHOTOGRAPHS = {
    "china": ("sklearn.datasets.images", "china.jpg"),
    "flower": ("sklearn.datasets.images", "flower.jpg"),
    "astronaut": ("skimage.data", "astronaut.png"),
    "chelsea": ("skimage.data", "chelsea.png"),
    "coffee": ("skimage.data", "coffee.png"),
    "rocket": ("skimage.data", "rocket.jpg"),
    "motorcycle": ("skimage.data", "motorcycle_left.png"),
    "hubble": ("skimage.data", "hubble_deep_field.jpg"),
    "brick": ("skimage.data", "brick.png"),
    "grass": ("skimage.data", "grass.png"),
    "gravel": ("skimage.data", "gravel.png"),
}


def embedded_pictures(which: str, class_: str) -> Iterator[Picture]:
    """Yield (name, read, box) of the pictures of a class; `all` takes every class.

    Raises:
        UserError: an unknown set or class.
    """
    if which == "faces":
        _check_class(which, class_, [])
        yield from _faces()
    elif which == "digits":
        _check_class(which, class_, [str(digit) for digit in range(10)])
        yield from _digits(class_)
    elif which == "scenes":
        _check_class(which, class_, list(PHOTOGRAPHS))
        for name in PHOTOGRAPHS if class_ == "all" else [class_]:
            yield from _parts(name)
    else:
        raise UserError(f"there are no embedded {which!r}: choose faces, scenes or digits")


def _check_class(which: str, class_: str, known: list[str]) -> None:
    if class_ not in ("all", *known):
        raise UserError(f"embedded {which} have no class {class_!r} (they have: {', '.join(['all', *known])})")


def _file(package: str, name: str) -> Path:
    return Path(str(resources.files(package) / name))


def _grey(picture: np.ndarray) -> np.ndarray:
    """A picture of 0..1 as grey RGB bytes."""
    return np.repeat((picture * 255).round().astype(np.uint8)[:, :, None], 3, axis=2)


def _faces() -> Iterator[Picture]:
    """The first half of lfw_subset: the other half shows no faces."""
    faces = np.load(_file("skimage.data", "lfw_subset.npy"))[:100]
    for row, face in enumerate(faces):
        yield f"lfw_subset.npy[{row}]", lambda face=face: _grey(face), None  # type: ignore[misc]


def _digits(class_: str) -> Iterator[Picture]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    for row, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        if class_ in ("all", str(label)):
            yield f"digits.csv.gz[{row}]", lambda image=image: _grey(image / 16), None  # type: ignore[misc]


def _parts(name: str) -> Iterator[Picture]:
    """Overlapping squares of a photograph, the larger ones first, from left to right and top to bottom."""
    file = _file(*PHOTOGRAPHS[name])
    with Image.open(file) as picture:
        width, height = picture.size
    for share in (2, 3, 5):
        side = min(width, height) // share
        for top in range(0, height - side + 1, side // 2):
            for left in range(0, width - side + 1, side // 2):
                yield f"{file.name}@{left},{top},{side}", lambda: _bytes(file), (left, top, left + side, top + side)


@cache
def _bytes(file: Path) -> bytes:
    return file.read_bytes()
