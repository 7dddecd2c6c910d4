"""`import wframe`: the same bytes as the command, from numpy, PyTorch and PIL; refusals; light to import."""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import wframe
from wframe.__main__ import main

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(30, 226, (11, 4, 4, 3)).astype(np.uint8).repeat(4, 1).repeat(4, 2)
SHORT: dict[str, Any] = {"T": 3, "L": 2, "threads": 1, "device": "cpu"}


def test_importing_it_imports_no_pytorch():
    code = "import sys, wframe; dir(wframe).index('learn'); print([x for x in ('torch', 'numpy') if x in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="no attribute 'teach'"):
        wframe.teach  # noqa: B018


def test_the_same_bytes_as_the_command(tmp_path: Path):
    np.save(tmp_path / "x.npy", IMAGES)
    names = ["--dataset", "mine", "--class", "cats", "--seed", "7", "--repeat", "1", "--snapshots", "1,3"]
    options = ["--observed", str(tmp_path / "x.npy"), "--out", str(tmp_path / "command"), "--method", "frame"]
    constants = ["--set", "T=3", "--set", "L=2", "--set", "lambda=1e-3", "--threads", "1", "--device", "cpu"]
    assert main(["train", *options, *names, *constants]) == 0
    seen = []
    result = wframe.learn(
        list(IMAGES),
        method="frame",
        lambda_=1e-3,
        **SHORT,
        **{"dataset": "mine", "class_": "cats", "seed": 7, "repeat": 1, "snapshots": [1, 3]},
        on_iteration=lambda t, record: seen.append((t, record["group"].tolist(), record["images"], record["R"])),
    )
    result.save(tmp_path / "python")
    for ending in ("safetensors", "parquet"):
        assert (tmp_path / f"python.{ending}").read_bytes() == (tmp_path / f"command.{ending}").read_bytes()
    assert result.images.shape == (2, 9, 16, 16, 3) and result.images.dtype == np.uint8
    assert np.array_equal(result.snapshots[3], result.images[0]) and list(result.snapshots) == [1, 3]
    assert [(t, groups) for t, groups, _, _ in seen] == [(t, [0, 1]) for t in (1, 2, 3)]
    assert np.array_equal(seen[-1][2], result.images)
    assert np.array_equal(np.concatenate([R for *_, R in seen]), result.curves["R"])


def test_every_kind_of_images_gives_the_same_array():
    from wframe.engine.python import as_images

    channels_first = torch.from_numpy(IMAGES).movedim(-1, 1)
    same = {
        "float": IMAGES / 255,
        "float32": (IMAGES / 255).astype(np.float32),
        "channels first": np.moveaxis(IMAGES, -1, 1),
        "tensor": channels_first,
        "float tensor": channels_first.float() / 255,
        "tensors": list(channels_first.double() / 255),
        "PIL": [Image.fromarray(image) for image in IMAGES],
        "mixed": [Image.fromarray(IMAGES[0]), channels_first[1], *IMAGES[2:]],
        "iterator": iter(IMAGES),
        "opaque": [Image.fromarray(image).convert("RGBA") for image in IMAGES],
    }
    for kind, images in same.items():
        assert np.array_equal(as_images(images), IMAGES), kind
    grey = IMAGES[..., 0]
    expected = np.repeat(grey[..., None], 3, axis=3)
    for images in (grey, torch.from_numpy(grey)[:, None], [Image.fromarray(image) for image in grey], grey / 255):
        assert np.array_equal(as_images(images), expected)
    turned = Image.fromarray(IMAGES[0])
    turned.getexif()[0x0112] = 3  # upside down
    assert np.array_equal(as_images([turned])[0], IMAGES[0, ::-1, ::-1])


def test_sizes_are_made_as_prepare_makes_them(tmp_path: Path):
    from wframe.engine.python import as_images

    (tmp_path / "all").mkdir()
    images = [Image.fromarray(RNG.integers(0, 256, (40, 30 + 2 * k, 3), dtype=np.uint8)) for k in range(9)]
    for k, image in enumerate(images):
        image.save(tmp_path / f"all/{k}.png")
    options = ["--path", str(tmp_path), "--class", "all", "--size", "16", "--out", str(tmp_path / "x.npy")]
    main(["prepare", *options])
    assert np.array_equal(as_images(images, 16), np.load(tmp_path / "x.npy"))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES.astype(np.float32), r"floats up to 225; expected 0 to 1. Divide by 255, or pass uint8"),
        (IMAGES / 127.5 - 1, r"floats from -0.\d+ to 0.\d+; expected 0 to 1. Undo the normalisation"),
        (np.full(IMAGES.shape, np.nan), "values that aren't finite"),
        (IMAGES.astype(np.int64), r"values of type int64; expected uint8 \(0 to 255\), or float from 0 to 1"),
        ((IMAGES / 255).astype(np.uint8), "all black. Bytes go from 0 to 255"),
        ([], "none"),
        (IMAGES[0], "a single image of shape"),
        (Image.fromarray(IMAGES[0]), "a single Image; expected a list of at least nine"),
        (IMAGES[:8], "8 images, but a group needs 9"),
        (IMAGES[:, :15], "the bank's pool needs even sides"),
        ([*IMAGES, IMAGES[0, :8]], r"images\[11\] has 16×8 pixels, images\[0\] 16×16.* size=64"),
        ([*IMAGES[:9], "cat.jpg"], r"images\[9\]: a str; expected an array"),
        ("cats", "a single str"),
        (3, "images: a int; expected an array"),
        (np.zeros((9, 16, 16, 2), np.uint8), r"images\[0\]: shape \(16, 16, 2\)"),
        ([Image.new("CMYK", (16, 16))] * 9, r"images\[0\]: cannot write mode CMYK.*\.convert\('RGB'\)"),
    ],
)
def test_wrong_images_are_refused(images: Any, message: str):
    with pytest.raises(wframe.UserError, match=message):
        wframe.learn(images, **SHORT)


def test_wrong_names_and_constants_are_refused():
    for options, message in (
        ({"method": "gan"}, "method 'gan': expected frame or wframe"),
        ({"steps": 3}, "steps: unknown key"),
        ({"T": 0}, "T = 0: "),
        ({"method": "frame", "beta": 10}, "beta = 10: FRAME is wFRAME without the penalty"),
        ({"bank": "vgg16"}, "there is no such bank. Make it with `wframe bank`"),
        ({"precision": "tf32"}, "tf32 is a GPU's"),
    ):
        with pytest.raises(wframe.UserError, match=message):
            wframe.learn(IMAGES, **(SHORT | options))


def test_it_shows_itself_and_runs_beside_others(tmp_path: Path):
    results: list[wframe.Result] = []
    thread = threading.Thread(target=lambda: results.append(wframe.learn(IMAGES, **SHORT)))
    thread.start()
    thread.join()
    shown = results[0]._repr_html_()
    assert shown.count("<img") == 4 and "wFRAME: 2 groups of 9 images, 16×16, T = 3, L = 2. R: " in shown
    canvas = results[0].plot()
    canvas.savefig(tmp_path / "plot.png")
    assert len(canvas.axes) == 5 and len(canvas.axes[-1].lines) == 2


def test_an_interrupted_call_resumes(tmp_path: Path):
    import os
    import signal

    def interrupt(t: int, record: dict) -> None:
        if t == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match="after iteration 2"):
        wframe.learn(IMAGES, **SHORT, checkpoints=tmp_path, on_iteration=interrupt)
    begun: list[int] = []
    resumed = wframe.learn(IMAGES, **SHORT, checkpoints=tmp_path, on_iteration=lambda t, record: begun.append(t))
    assert begun == [3]
    assert np.array_equal(resumed.images, wframe.learn(IMAGES, **SHORT).images)
