"""`wframe my-images`: learn your own images with one command, from a folder of class folders to a page."""

import argparse
import os
import shlex
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import yaml

from wframe.config import edition as editions
from wframe.config.edition import Edition
from wframe.config.learning import METHODS
from wframe.data.download import as_size
from wframe.data.groups import completing_rows, count_groups
from wframe.data.look import Found, file_names, look
from wframe.data.registry import data_folder, known
from wframe.data.status import download_size
from wframe.engine.speed import device_name
from wframe.errors import UserError
from wframe.files import atomic_write
from wframe.jobs.plan import on_this_machine
from wframe.jobs.runs import run_flops, runs
from wframe.runtime.code import SOURCE
from wframe.runtime.durations import duration
from wframe.runtime.process import choose_device

CHECKOUT = SOURCE.parents[1]
REGISTRY = CHECKOUT / "config/inputs.yaml"
PAPER = CHECKOUT / "config/paper.yaml"  # names VGG-16's weights
STUDY, DATASET = "whole", "mine"
SCHEDULES = {"builtin": {"T": 25, "L": 10}, "vgg16": {"T": 60, "L": 30}}  # photographs repay more iterations
NAMED = 5  # how many skipped files are named
STOPPED = "Stopped; see the error above. Once it is fixed, run the same command again: it continues where it was."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe my-images`."""
    add = parser.add_argument
    add("folder", type=Path, help="a folder (or archive) of class folders, or of images: one class")
    add("--out", type=Path, default=Path("mine"), help="where the edition and its results go; default: mine")
    add("--bank", help="the filters: builtin, vgg16 (fetched once), or a file of VGG-16 weights; default: ask")
    add("--size", type=int, default=64, help="side of the images, in pixels; default: 64")
    add("--groups", default="2", help="groups of nine images of each class to train on, or `all`; default: 2")
    add("--T", type=int, help="training iterations; default: 25, with VGG-16 60")
    add("--L", type=int, help="Langevin steps per iteration; default: 10, with VGG-16 30")
    add("--replace", action="store_true", help="replace an edition that is already there")
    add("--edition-only", action="store_true", help="write the edition, and run nothing")


def main(args: argparse.Namespace) -> int:
    """Say what there is and what it takes, write the edition, run the workflow, and say where the page is.

    Raises:
        UserError: there are no nine images of a class, an option is impossible, or another edition is in the way.
    """
    if not (CHECKOUT / "Snakefile").exists():
        raise UserError("this needs the workflow: run it in a checkout of the project")
    _refuse_a_file(args.folder)
    found, loose = look(str(args.folder))
    M = editions.Learning().M
    groups = _groups(args.groups)
    enough = [one for one in found if one.images >= M and _is_text(one.folder)]
    print("\n".join(describe(args.folder, found, loose, groups, M)), flush=True)
    if not enough:
        raise UserError(f"{args.folder}: No class has the {M} images that a group needs.")
    edition = args.out / "edition.yaml"
    values = make(args, enough, groups, args.bank or ask_bank())
    checked = editions.check(values, str(edition))
    write(edition, values, args.replace, args.folder)
    print(takes(checked, dict(zip(checked.datasets[DATASET].classes, enough, strict=True))), flush=True)
    command = ["snakemake", "--directory", str(args.out), "--configfile", str(edition)]
    if args.edition_only:
        print(f"{edition}: run it with\n  {shlex.join(command)}")
        return 0
    argv = [sys.executable, "-m", *command, "--snakefile", str(CHECKOUT / "Snakefile")]
    status = subprocess.run(argv, env=os.environ | {"WFRAME_DATA": str(data())}).returncode
    page = args.out / "results/report/index.html"
    print(f"Open {page}" if status == 0 else STOPPED)
    return status


def data() -> Path:
    """Return the data folder, where a downloaded bank goes: WFRAME_DATA, else the checkout's."""
    return data_folder(None if "WFRAME_DATA" in os.environ else CHECKOUT / "data").absolute()


def _refuse_a_file(path: Path) -> None:
    """Refuse a single file that isn't an archive, such as one image."""
    if path.is_file() and not zipfile.is_zipfile(path) and not tarfile.is_tarfile(path):
        raise UserError(f"{path}: a file, and not an archive. Pass the folder that the images are in.")


def _groups(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdecimal() or int(text) == 0:
        raise UserError(f"--groups {text}: a number from 1, or all")
    return int(text)


def _is_text(name: str) -> bool:
    """Whether a name is UTF-8: an edition, which is text, can name no other."""
    return name.isprintable() and name.encode(errors="ignore").decode() == name


def describe(folder: Path, found: list[Found], loose: list[str], groups: int | None, M: int) -> list[str]:
    """Return what a folder has, one line for each class, and what is left out."""
    lines = [f"{folder}: {len(found)} class{'es' * (len(found) != 1)}"]
    for one in found:
        name = one.folder.encode(errors="replace").decode() or "all images"
        sizes = "×".join(map(str, one.smallest))
        sizes += "" if one.largest == one.smallest else f" to {'×'.join(map(str, one.largest))}"
        line = f"  {name}: {one.images:,} images, {sizes} pixels"
        if not _is_text(one.folder):
            line += "; left out: rename the folder in plain letters"
        elif one.images < M:
            line += f"; left out: a group needs {M}"
        else:
            line += f"; {_cut(one.images, groups, M)}"
        lines.append(line)
        lines += [f"    {one.copies:,} more are copies"] if one.copies else []
        lines += [f"    skipped (no images, cut off or too small): {_list(one.skipped)}"] if one.skipped else []
    return lines + ([f"  beside the class folders, and left out: {_list(loose)}"] if loose else [])


def _cut(images: int, groups: int | None, M: int) -> str:
    """Return how many groups are learned from a class's images, and what completes the last one."""
    learned, all_ = count_groups(images, M, groups), count_groups(images, M)
    if learned < all_:
        return f"{learned} of {all_} groups of {M}"
    reused = len(completing_rows(images, M))
    last = "the second" if all_ == 2 else "the last"
    again = f" ({last} reuses {reused} image{'s' * (reused > 1)} of the first)" if reused else ""
    return f"{all_} group{'s' * (all_ > 1)}{again}"


def _list(files: list[str]) -> str:
    more = f" and {len(files) - NAMED:,} more" if len(files) > NAMED else ""
    return ", ".join(files[:NAMED]).encode(errors="replace").decode() + more


def ask_bank() -> str:
    """Return which bank to use: as answered on a terminal, else the built-in one."""
    entry = known(["vgg16"], REGISTRY)["vgg16"]
    size, exact = download_size("vgg16", entry, data())
    cost = "is here already" if size == 0 else f"is downloaded once ({as_size(size, exact)}, to {data()})"
    print(f"Filters (--bank): builtin comes with the package; vgg16 {cost}.")
    print("Photographs look much better with vgg16.", flush=True)
    if not sys.stdin.isatty():
        print("Using builtin, as there is no terminal to ask on. Pass --bank vgg16 for the other.", flush=True)
        return "builtin"
    while True:
        answer = input("Which one, builtin or vgg16? [builtin] ").strip() or "builtin"
        if answer in SCHEDULES:
            return answer


def make(args: argparse.Namespace, found: list[Found], groups: int | None, bank: str) -> dict[str, Any]:
    """Return the edition of these classes, as its file has it."""
    schedule = {**SCHEDULES.get(bank, SCHEDULES["vgg16"])}
    schedule |= {name: value for name, value in (("T", args.T), ("L", args.L)) if value is not None}
    named = dict(file_names([one.folder for one in found]))
    root = args.folder.absolute()
    dataset: dict[str, Any] = {"title": root.name, "source": "folder", "path": str(root), "size": args.size}
    dataset["skip_limit"] = 1.0  # what can't be used has been named: it goes on with nine images of a class
    if [one.folder for one in found] != [""]:
        dataset["classes"] = list(named)
        dataset["names"] = {name: folder for name, folder in named.items() if name != folder}
    study: dict[str, Any] = {"title": f"FRAME and wFRAME on {root.name}", "datasets": [DATASET]}
    study |= {} if groups is None else {"groups": groups}
    return {
        "edition": next(file_names([args.out.absolute().name]))[0],
        "data": str(data()),
        "bank": bank_of(bank),
        "learning": schedule,
        "theory": False,
        "datasets": {DATASET: dataset},
        "studies": {STUDY: study},
    }


def bank_of(bank: str) -> dict[str, Any]:
    """Return an edition's bank: builtin, the one that the paper's edition fetches, or a file of VGG-16 weights."""
    if bank == "builtin":
        return {"source": "builtin"}
    if bank == "vgg16":
        return editions.load(PAPER).bank.model_dump()
    if not Path(bank).is_file():
        raise UserError(f"--bank {bank}: neither builtin nor vgg16, nor a file")
    return {"source": "vgg16", "weights": str(Path(bank).absolute())}


def write(path: Path, values: dict[str, Any], replace: bool, folder: Path) -> None:
    """Write the edition; one that is there and says otherwise is kept, unless it is to be replaced.

    Raises:
        UserError: it says otherwise.
    """
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    text = f"# Made by `wframe my-images` from {folder}. config/schema.json explains every key.\n{text}"
    if path.exists():
        before = path.read_text(encoding="utf-8")
        if before == text:
            return
        if not replace:
            raise UserError(
                f"{path} is there already, and isn't what this command would write. Pass --replace to write it anew "
                "(what stays the same isn't run again), or --out ANOTHER-FOLDER."
            )
    done = "replaced" if path.exists() else "written"
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")
    print(f"{path}: {done}")


def takes(edition: Edition, found: dict[str, Found]) -> str:
    """Return what learning will take on this machine, by a rate that is measured now."""
    learning, size = edition.learning, edition.datasets[DATASET].size
    clock, seconds = on_this_machine(), 0.0
    for run in runs(edition):
        groups = count_groups(found[run.class_].images, learning.M, edition.studies[STUDY].groups)
        flops = run_flops(edition, STUDY, DATASET, run.setting, run.method, groups)
        seconds += clock(flops, size, learning.precision)
    device = device_name(choose_device("auto"))
    return (
        f"{' and '.join(METHODS.values())}, {size}×{size} pixels, T = {learning.T} iterations of L = {learning.L} "
        f"steps: about {duration(seconds)} of learning on this machine ({device})."
    )
