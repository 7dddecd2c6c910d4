"""`wframe.learn`: FRAME and wFRAME from Python and notebooks, by the same code as `wframe train`."""

import base64
import hashlib
import html
import io
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image
from torch import Tensor

from wframe.config.learning import METHODS
from wframe.data.decode import centre_square, decode
from wframe.engine.learner import Learned, Work
from wframe.engine.learner import learn as learn_work
from wframe.engine.train import as_groups, check_device, curves, parse_constants, write_results
from wframe.errors import UserError
from wframe.files import sha256_json
from wframe.model.bank import load_bank
from wframe.model.constants import Constants
from wframe.model.layers import has_kernels
from wframe.model.noise import group_key
from wframe.model.state import Record, State
from wframe.runtime.code import code_hash
from wframe.runtime.process import Stopped, choose_device, configure_process
from wframe.weights import BUILTIN_BANK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 3  # groups that a result shows


@dataclass(frozen=True, repr=False)
class Result:
    """What was learned from G groups of M images."""

    method: str  # frame or wframe
    constants: Constants
    observed: np.ndarray  # (G, M, H, W, 3) uint8
    images: np.ndarray  # (G, M, H, W, 3) uint8: the chains at the end
    curves: pd.DataFrame  # a row per iteration and group: R, energy, ... (see `wframe.model.state.Record`)
    snapshots: dict[int, np.ndarray]  # iteration → (M, H, W, 3) uint8: the first group's chains after it
    learned: Learned
    run: dict[str, str | int]

    def save(self, out: Path | str) -> None:
        """Write OUT.safetensors and OUT.parquet, as `wframe train --out OUT` does."""
        write_results(Path(out), self.learned, range(len(self.images)), self.run)

    def plot(self, groups: int = SHOWN) -> "Figure":
        """Draw the first groups, observed and synthesised, and R of all groups against the iteration."""
        import matplotlib.pyplot as plt

        rows = min(groups, len(self.images))
        canvas = plt.figure(figsize=(8, 2.6 * rows), layout="constrained")
        grid = canvas.add_gridspec(rows, 3, width_ratios=[1, 1, 1.5])
        for row in range(rows):
            for column, (title, images) in enumerate(self._sheets(row)):
                axes = canvas.add_subplot(grid[row, column])
                axes.imshow(_sheet(images), interpolation="nearest")
                axes.set_axis_off()
                if row == 0:
                    axes.set_title(title)
        axes = canvas.add_subplot(grid[:, 2])
        R = self.curves.pivot(index="iteration", columns="group", values="R")
        axes.plot(R.index, R, color="#1f5f8b" if self.method == "wframe" else "#b3501b", lw=1)
        axes.set_yscale("log")
        axes.set_title("response distance R, by group")
        axes.set_xlabel("learning iteration t")
        plt.close(canvas)  # or a notebook shows it twice
        return canvas

    def _sheets(self, group: int) -> list[tuple[str, np.ndarray]]:
        return [("observed", self.observed[group]), (f"{METHODS[self.method]} synthesises", self.images[group])]

    def _story(self) -> str:
        """Return what happened, in a sentence."""
        G, M, H, W, _ = self.images.shape
        R = self.curves.groupby("iteration")["R"].mean()
        text = f"{METHODS[self.method]}: {G} group{'s' * (G > 1)} of {M} images, {W}×{H}, T = {self.constants.T}, "
        text += f"L = {self.constants.L}. R: {R.iloc[0]:.3g} after the first iteration, {R.iloc[-1]:.3g} at the end."
        lost = int((self.learned.records["diverged"][-1] >= 0).sum())
        return text + f" {lost} of {G} diverged." * (lost > 0)

    def __repr__(self) -> str:
        return f"<{self._story()}>"

    def _repr_html_(self) -> str:
        """Show the first groups in a notebook."""
        figures = "".join(
            f'<figure style="display:inline-block;margin:0 1em 1em 0"><img alt="{title}" width="220" '
            f'style="image-rendering:pixelated" src="data:image/png;base64,{_png(_sheet(images))}">'
            f"<figcaption>{title}, group {group}</figcaption></figure>{'<br>' * column}"
            for group in range(min(SHOWN, len(self.images)))
            for column, (title, images) in enumerate(self._sheets(group))
        )
        return f"<p>{html.escape(self._story())}</p>{figures}"


def learn(
    images: Any,
    method: str = "wframe",
    *,
    bank: Path | str = "builtin",
    size: int | None = None,
    groups: int | None = None,
    snapshots: Sequence[int] = (),
    on_iteration: Callable[[int, dict[str, np.ndarray]], None] | None = None,
    dataset: str = "images",
    class_: str = "all",
    seed: int = 0,
    repeat: int = 0,
    device: str = "auto",
    threads: int | None = None,
    checkpoints: Path | str | None = None,
    **constants: Any,
) -> Result:
    """Learn FRAME or wFRAME from images, nine at a time, and synthesise as many (Algorithm 1).

    With the same images, names (`dataset`, `class_`, `repeat`), `seed` and constants, the result has the same bytes
    as that of `wframe train` on this machine.

    Args:
        images: at least nine, of one size: an array or tensor (N, H, W, 3), (N, 3, H, W) or, of grey ones, (N, H, W),
            or a list of images, also PIL's. Values are uint8, or float from 0 to 1.
        method: `frame` or `wframe`.
        bank: `builtin`, or a bank file made by `wframe bank`.
        size: cut out each image's centre square and resize it to this side, as `wframe prepare` does.
        groups: learn only this many groups of nine.
        snapshots: iterations after which the first group's chains are kept.
        on_iteration: called after each iteration t = 1 to T with t and a record: `group`, the indices of the groups
            (large numbers of groups are learned in batches, one after the other), `images`, their chains as uint8,
            and each measure, R first.
        dataset, class_, repeat, seed: names that the random numbers are keyed by.
        device: `auto`, `cpu` or `cuda`.
        threads: CPU threads; default: all cores this process may use.
        checkpoints: a folder for checkpoints, so that the same call resumes after an interruption.
        constants: T, L, M, sigma, beta, delta, lambda_, reading, theta, penalty, before, clip, precision.

    Raises:
        UserError: the images, a name or a constant can't be used.
        KeyboardInterrupt: interrupted, after an iteration.
    """
    if method not in METHODS:
        raise UserError(f"method {method!r}: expected {' or '.join(METHODS)}")
    values = {"lambda" if name == "lambda_" else name: value for name, value in constants.items()}
    c = parse_constants(values, [], method)
    configure_process(threads)
    place = choose_device(device)
    filters = load_bank(BUILTIN_BANK if bank == "builtin" else Path(bank))
    check_device(place, c, filters)
    observed = as_groups(as_images(images, size), c.M, groups, "images")
    run: dict[str, str | int] = {"study": "none", "dataset": dataset, "class": class_}
    run |= {"setting": "base", "method": method, "repeat": repeat}
    pixels = hashlib.sha256(observed.tobytes()).hexdigest()
    identity = [run, seed, c._asdict(), observed.shape, pixels, filters.sha256, list(snapshots)]
    identity += [place.type, has_kernels(place)]

    def tell(span: range, state: State, measures: Tensor) -> None:
        assert on_iteration is not None, "set only where there is one"
        record = dict(zip(Record._fields, measures.numpy(), strict=True))
        on_iteration(state.t, {"group": np.array(span), "images": filters.images(state.x, c.unit)} | record)

    with tempfile.TemporaryDirectory() as temporary:
        work = Work(
            bank=filters,
            constants=c,
            observed=observed,
            keys=[group_key(seed, dataset, class_, repeat, index) for index in range(len(observed))],
            device=place,
            key=sha256_json([code_hash("wframe.engine.train"), *identity]),
            checkpoints=Path(checkpoints or temporary),
            snapshots=tuple(snapshots),
            title=f"{method} on {dataset}/{class_}",
            on_iteration=tell if on_iteration else None,
        )
        try:
            learned = learn_work(work)
        except Stopped as stopped:
            lost = "" if checkpoints else ". Nothing was kept: with `checkpoints`, the same call resumes"
            raise KeyboardInterrupt(f"{stopped}{lost}") from None
    table = curves(learned, range(len(observed)), run)
    kept = dict(zip(sorted({t for t in snapshots if t <= c.T}), learned.snapshots, strict=False))
    return Result(method, c, observed, learned.images, table, kept, learned, run)


def as_images(images: Any, size: int | None = None) -> np.ndarray:
    """Return images as uint8 RGB, (N, H, W, 3).

    Raises:
        UserError: not images, of several sizes, of unknown range, or a single one.
    """
    if isinstance(images, (str, bytes, Path, Image.Image, dict)):
        raise UserError(
            f"images: a single {type(images).__name__}; expected a list of at least nine images, or an array"
        )
    if isinstance(images, (np.ndarray, Tensor)):
        images = _array(images, "images")
        if images.ndim == 3 and 3 in (images.shape[0], images.shape[-1]):
            raise UserError(f"images: a single image of shape {images.shape}; expected at least nine, (N, H, W, 3)")
        if images.ndim not in (3, 4):
            raise UserError(f"images: shape {images.shape}; expected (N, H, W, 3), (N, 3, H, W) or, grey, (N, H, W)")
        _check_range(images, "images")
    if not hasattr(images, "__iter__"):
        raise UserError(f"images: a {type(images).__name__}; expected an array, a tensor or a list of images")
    every = [_image(image, f"images[{index}]", size) for index, image in enumerate(images)]
    for index, image in enumerate(every):
        if image.shape != every[0].shape:
            (h, w), (height, width) = every[0].shape[:2], image.shape[:2]
            raise UserError(
                f"images[{index}] has {width}×{height} pixels, images[0] {w}×{h}. Make them one size, say with size=64."
            )
    if not any(image.max() > 1 for image in every):
        raise UserError("images: none, or all black. Bytes go from 0 to 255: multiply before converting to uint8.")
    return np.stack(every)


def _image(image: Any, where: str, size: int | None) -> np.ndarray:
    """Return one image as uint8 (H, W, 3)."""
    if isinstance(image, Image.Image):
        pixels = _from_pil(image, where)
    elif isinstance(image, (np.ndarray, Tensor)):
        values = _array(image, where)
        _check_range(values, where)
        if values.ndim == 3 and values.shape[0] in (1, 3) and values.shape[-1] not in (1, 3):
            values = np.moveaxis(values, 0, -1)
        if values.ndim == 3 and values.shape[-1] == 1:
            values = values[..., 0]
        if values.ndim == 2:  # grey
            values = np.repeat(values[..., None], 3, axis=2)
        if values.ndim != 3 or values.shape[-1] != 3:
            raise UserError(f"{where}: shape {values.shape}; expected (H, W, 3), (3, H, W) or, grey, (H, W)")
        pixels = values if values.dtype == np.uint8 else (values.astype(np.float64) * 255).round().astype(np.uint8)
    else:
        raise UserError(f"{where}: a {type(image).__name__}; expected an array, a tensor or a PIL image")
    if size is None:
        return pixels
    whole = Image.fromarray(pixels)
    return np.asarray(whole.resize((size, size), Image.Resampling.LANCZOS, centre_square(whole, None)))


def _array(values: np.ndarray | Tensor, where: str) -> np.ndarray:
    """Return values as uint8 or floats."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = values.float() if values.is_floating_point() else values  # numpy has no bfloat16
    array = np.asarray(values)
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise UserError(f"{where}: values of type {array.dtype}; expected uint8 (0 to 255), or float from 0 to 1")
    return array


def _check_range(values: np.ndarray, where: str) -> None:
    """Refuse floats that aren't from 0 to 1."""
    if values.dtype == np.uint8 or not values.size:
        return
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise UserError(f"{where}: values that aren't finite")
    if low < 0:
        raise UserError(f"{where}: floats from {low:.3g} to {high:.3g}; expected 0 to 1. Undo the normalisation first.")
    if high > 1:
        raise UserError(f"{where}: floats up to {high:.4g}; expected 0 to 1. Divide by 255, or pass uint8.")


def _from_pil(image: Image.Image, where: str) -> np.ndarray:
    """Return a PIL image's pixels, read as `wframe prepare` reads a file of it."""
    stream = io.BytesIO()
    try:
        image.save(stream, "PNG", exif=image.getexif())
        return np.asarray(decode(stream.getvalue())[0])
    except (OSError, ValueError) as error:
        raise UserError(f"{where}: {error}. Convert it with .convert('RGB').") from None


def _sheet(images: np.ndarray, columns: int = 3) -> np.ndarray:
    """Return images (M, H, W, 3) as one, in rows of `columns`, with white gaps."""
    images = np.pad(images, ((0, -len(images) % columns), (0, 1), (0, 1), (0, 0)), constant_values=255)
    M, H, W, _ = images.shape
    return images.reshape(M // columns, columns, H, W, 3).swapaxes(1, 2).reshape(M // columns * H, columns * W, 3)


def _png(image: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()
