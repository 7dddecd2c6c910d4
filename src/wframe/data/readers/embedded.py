"""Real images that come with scikit-image and scikit-learn: no download.

faces: 100 faces of LFW, 25×25, grey. scenes: square parts of photographs and textures, a class each.
digits: 1,797 handwritten digits, 8×8, grey, with labels.
"""

from collections.abc import Iterator
from functools import cache, partial
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image

from wframe.data.readers import Candidate
from wframe.errors import UserError

# class → (package, file); a part's side is half or a third of the photograph's shorter side
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


def read(path: str, class_: str) -> Iterator[Candidate]:
    """Yield the images of a class of `path`: faces, scenes or digits; class `all` takes every class.

    Raises:
        UserError: an unknown set or class.
    """
    if path == "faces":
        _check_class(path, class_, [])
        yield from _faces()
    elif path == "digits":
        _check_class(path, class_, [str(digit) for digit in range(10)])
        yield from _digits(class_)
    elif path == "scenes":
        _check_class(path, class_, list(PHOTOGRAPHS))
        for name in PHOTOGRAPHS if class_ == "all" else [class_]:
            yield from _parts(name)
    else:
        raise UserError(f"there are no embedded {path!r}: choose faces, scenes or digits")


def _check_class(path: str, class_: str, known: list[str]) -> None:
    if class_ not in ("all", *known):
        raise UserError(f"embedded {path} have no class {class_!r} (they have: {', '.join(['all', *known])})")


def _file(package: str, name: str) -> Path:
    return Path(str(resources.files(package) / name))


def _grey(image: np.ndarray) -> np.ndarray:
    """Return a grey image of 0..1 as RGB bytes."""
    return np.repeat((image * 255).round().astype(np.uint8)[:, :, None], 3, axis=2)


def _faces() -> Iterator[Candidate]:
    """The first half of lfw_subset: the other half shows no faces."""
    faces = np.load(_file("skimage.data", "lfw_subset.npy"))[:100]
    for row, face in enumerate(faces):
        yield Candidate(f"lfw_subset.npy[{row}]", partial(_grey, face))


def _digits(class_: str) -> Iterator[Candidate]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    for row, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        if class_ in ("all", str(label)):
            yield Candidate(f"digits.csv.gz[{row}]", partial(_grey, image / 16))


def _parts(name: str) -> Iterator[Candidate]:
    """Overlapping squares of a photograph, the larger ones first, from left to right and top to bottom."""
    file = _file(*PHOTOGRAPHS[name])
    with Image.open(file) as photograph:
        width, height = photograph.size
    for share in (2, 3, 5):
        side = min(width, height) // share
        for top in range(0, height - side + 1, side // 2):
            for left in range(0, width - side + 1, side // 2):
                box = (left, top, left + side, top + side)
                yield Candidate(f"{file.name}@{left},{top},{side}", partial(_bytes, file), box)


@cache
def _bytes(file: Path) -> bytes:
    return file.read_bytes()
