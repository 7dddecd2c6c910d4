"""Your own images with one command: folders of any name, through the whole workflow."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import REAL_DATA
from PIL import Image

from wframe.__main__ import main
from wframe.config.edition import check, load
from wframe.data.look import Found, file_names, look
from wframe.data.readers import candidates
from wframe.errors import UserError
from wframe.use.my_images import describe, write

ODD = ("Big cats (2), white", "sea/küste & 'Meer'", "all")


def photographs() -> Iterator[bytes]:
    """Yield different images: SUN's where the real data is, else parts of a photograph."""
    if (REAL_DATA / "sun15").is_dir():
        yield from (file.read_bytes() for file in sorted((REAL_DATA / "sun15").rglob("*.jpg")))
    for part in candidates("embedded", "scenes", "all"):
        with Image.open(io.BytesIO(bytes(part.read()))) as whole:
            buffer = io.BytesIO()
            whole.crop(part.box).save(buffer, "PNG")
        yield buffer.getvalue()


def fill(root: Path, *folders: str, images: int = 9) -> Path:
    """Put images into folders below `root`."""
    source = photographs()
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(images):
            (root / folder / f"{number}.jpg").write_bytes(next(source))
    return root


def break_some(folder: Path) -> None:
    """Add a JPEG that is cut off, and an image too small to show anything."""
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).convert("RGB").save(buffer, "JPEG")
    (folder / "10.jpg").write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    Image.new("RGB", (6, 6)).save(folder / "11.png")


def my_images(*options: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would, in a process of its own."""
    argv = [sys.executable, "-m", "wframe", "my-images", *map(str, options)]
    return subprocess.run(argv, capture_output=True, text=True, cwd=cwd, stdin=subprocess.DEVNULL)


def test_folders_of_any_name_go_through_the_whole_workflow(tmp_path: Path):
    root = fill(tmp_path / "My images {1}", *ODD)
    (root / ODD[0] / "notes.txt").write_text("no image")
    break_some(root / ODD[0])
    shutil.copy(root / ODD[0] / "0.jpg", root / ODD[0] / "0 (copy).jpg")
    done = my_images(root, "--size", 16, "--T", 1, "--L", 1, "--out", "our pages", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"  {ODD[0]}: 9 images" in done.stdout and "notes.txt" in done.stdout and "1 more are copies" in done.stdout
    skipped = ", ".join(f"{ODD[0]}/{name}" for name in ("10.jpg", "11.png", "notes.txt"))
    assert f"skipped (no images, cut off or too small): {skipped}\n" in done.stdout
    assert "of learning on this machine" in done.stdout and "Photographs look much better with vgg16" in done.stdout
    assert "Using builtin, as there is no terminal to ask on. Pass --bank vgg16" in done.stdout
    assert done.stdout.splitlines()[-1] == "Open our pages/results/report/index.html"
    page = tmp_path / "our pages/results/report/index.html"
    assert page.is_file()
    edition = load(tmp_path / "our pages/edition.yaml")
    assert edition.edition == "our-pages" and not edition.theory
    dataset = edition.datasets["mine"]
    assert {dataset.named(class_).removeprefix("./") for class_ in dataset.classes} == set(ODD)
    for class_ in dataset.classes:
        array = np.load(tmp_path / f"our pages/results/data/mine/{class_}.npy")
        first = Image.open(root / dataset.named(class_) / "0.jpg").convert("RGB")
        assert len(array) == 9 and abs(array[0].mean() - np.asarray(first).mean()) < 40, "its own folder's images"
    figures = json.loads((tmp_path / "our pages/results/figures/whole/index.json").read_text())
    titles = " ".join(figure["title"] for figure in figures)
    assert all(name in titles for name in ODD), "people read the folder's own name"


def test_what_a_folder_has(tmp_path: Path):
    root = fill(tmp_path / "images", "cats", "cats/more", "far/away/dogs", "few", images=2)
    shutil.copy(root / "cats/0.jpg", root / "cover.jpg")
    (root / "far/readme.txt").write_text("of no class")
    classes, loose = look(str(root))
    assert [(one.folder, one.images) for one in classes] == [("cats", 4), ("far/away/dogs", 2), ("few", 2)]
    assert loose == ["cover.jpg"]
    flat, loose = look(str(root / "few"))
    assert [(one.folder, one.images) for one in flat] == [("", 2)] and loose == []
    with tarfile.open(tmp_path / "images.tar.gz", "w:gz") as tar:
        tar.add(root, "images")
    assert {one.folder for one in look(str(tmp_path / "images.tar.gz"))[0]} == {
        "images"  # the cover lies directly in it
    }


def test_what_cannot_be_decoded_counts_as_no_image(tmp_path: Path):
    root = fill(tmp_path / "images", "", images=9)
    break_some(root)
    ((found,), loose) = look(str(root))
    assert found.images == 9 and found.skipped == ["10.jpg", "11.png"] and loose == []


@pytest.mark.parametrize(
    "images, groups, said",
    [
        (9, None, "1 group"),
        (12, None, "2 groups (the second reuses 6 images of the first)"),
        (12, 1, "1 of 2 groups of 9"),
        (18, 2, "2 groups"),
        (26, None, "3 groups (the last reuses 1 image of the first)"),
    ],
)
def test_reused_images_are_said(images: int, groups: int | None, said: str):
    found = Found("cats", images, 0, [], (16, 16), (16, 16))
    assert describe(Path("mine"), [found], [], groups, 9)[1] == f"  cats: {images} images, 16×16 pixels; {said}"


def test_a_failed_run_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.chdir(tmp_path)
    failed = subprocess.CompletedProcess([], 1)
    monkeypatch.setattr("wframe.use.my_images.subprocess.run", lambda *args, **options: failed)
    monkeypatch.setattr("wframe.use.my_images.takes", lambda *args: "about 1 s")
    fill(tmp_path, "images")
    assert main(["my-images", "images", "--bank", "builtin"]) == 1
    assert "see the error above. Once it is fixed, run the same command again" in capsys.readouterr().out


def test_names_for_files_are_plain_and_differ():
    folders = ["Köln (2)", "Koln 2", "日本", "KOLN-2", "all", "a/b", "-x"]
    named = list(file_names(folders))
    assert [name for name, _ in named] == ["Koln-2", "Koln-2-2", "class-3", "KOLN-2-3", "all-2", "a-b", "x"]
    assert [folder for _, folder in named] == [*folders[:4], "./all", "a/b", "./-x"]


def test_an_edition_is_written_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    fill(tmp_path, "images")
    (tmp_path / "w.npz").write_bytes(b"weights")
    command = ["my-images", "images", "--edition-only", "--size", "16", "--bank", "w.npz", "--groups", "all"]
    assert main(command) == 0 and "run it with" in capsys.readouterr().out
    path = tmp_path / "mine/edition.yaml"
    written = path.read_text()
    values = yaml.safe_load(written)
    assert values["learning"] == {"T": 60, "L": 30} and "classes" not in values["datasets"]["mine"]
    assert values["bank"]["weights"] == os.fspath(tmp_path / "w.npz") and "groups" not in values["studies"]["whole"]
    assert not (tmp_path / "mine/results").exists()
    write(path, values, False, Path("images"))
    assert path.read_text() == written and capsys.readouterr().out == "", "the same again is nothing new"
    with pytest.raises(UserError, match="Pass --replace"):
        write(path, values | {"seed": 1}, False, Path("images"))
    assert path.read_text() == written
    write(path, values | {"seed": 1}, True, Path("images"))
    assert load(path).seed == 1 and "edition.yaml: replaced" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options, said",
    [
        (["images/few"], "No class has the 9 images that a group needs."),
        (["nowhere"], "there is no such folder"),
        (["images/cats/0.jpg"], "a file, and not an archive. Pass the folder that the images are in."),
        (["images", "--groups", "0"], "a number from 1, or all"),
        (["images", "--size", "30"], "must be a multiple of 4"),
        (["images", "--bank", "vgg19"], "neither builtin nor vgg16"),
    ],
)
def test_impossible_inputs_are_refused_with_a_plain_message(options, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    fill(fill(tmp_path / "images", "cats"), "few", images=3)
    assert main(["my-images", *options]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "mine").exists()


def test_an_editions_names_are_of_its_classes():
    dataset = {"source": "folder", "path": "x", "classes": ["a", "b"]}
    studies = {"whole": {"datasets": ["x"]}}
    for names, said in (({"c": "C"}, "no such class: c"), ({"a": "b"}, "two classes of the same images: b")):
        with pytest.raises(UserError, match=said):
            check({"edition": "x", "datasets": {"x": dataset | {"names": names}}, "studies": studies})
