"""The paper edition with one command, on a machine that has a network and nothing else: a local Hub stands in for it.

Everything is as in config/paper.yaml and config/inputs.yaml but for T, L, the number of studies, baselines and images,
the theory (the demo computes it) and the files' content.
"""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import REAL_DATA, ROOT
from hub_server import Hub, running
from packed import CIFAR10, cifar10, generated, packed, photographs

SCENES = ["/c/castle", "/c/coast", "/c/cockpit", "/f/forest"]


@pytest.fixture
def hub() -> Iterator[Hub]:
    """The four repositories at the commits of config/inputs.yaml, with a few images each; VGG-16's weights."""
    with running() as server:
        entries = yaml.safe_load((ROOT / "config/inputs.yaml").read_text())

        def add(entry: str, files: dict[str, bytes]) -> None:
            repository, _, commit = entries[entry]["copies"][0]["hub"].removeprefix("datasets/").partition("@")
            server.add(repository, {"README.md": b"# images"} | files, commit=commit)

        def names(entry: str) -> list[str]:
            return [file["name"] for file in entries[entry]["copies"][0]["files"]]

        for place, name in enumerate(names("cifar10")):
            images, labels = cifar10(12, seed=place)
            server_files = {name: packed(images, labels, CIFAR10, image="img")}
            add("cifar10", {**_of(server, entries["cifar10"]), **server_files})
        faces = photographs("celeba/img_align_celeba", 27, 0)
        add("celeba", {name: packed(faces[9 * k : 9 * k + 9]) for k, name in enumerate(names("celeba"))})
        add("lsun-bedroom", {names("lsun-bedroom")[0]: packed(photographs("sun15/bedroom", 20, 200))})
        coast = photographs("sun15/coast", 20, 300)
        rows = [*coast, *(generated(400 + k) for k in range(40))]
        labels = [1] * 20 + [k % 2 * 2 for k in range(40)]
        add("sun397", {"data/test-00000-of-00001.parquet": packed(rows, labels, SCENES)})
        server.plain["/vgg16"] = vgg16()
        yield server


def _of(server: Hub, entry: dict) -> dict[str, bytes]:
    repository, _, commit = entry["copies"][0]["hub"].removeprefix("datasets/").partition("@")
    found = server.repositories.get(("datasets", repository, commit), {})
    return {name: file.content for name, file in found.items()}


def vgg16() -> bytes:
    """The first layers' weights: the original ones, or random ones of their shapes."""
    real = REAL_DATA / "vgg16/vgg16_caffe_bgr_first4conv.npz"
    if real.is_file():
        return real.read_bytes()
    rng, stream = np.random.default_rng(0), io.BytesIO()
    shapes = {"0": (64, 3), "2": (64, 64), "5": (128, 64), "7": (128, 128)}
    arrays = {f"{name}.weight": rng.normal(0, 0.05, (*shape, 3, 3)) for name, shape in shapes.items()}
    arrays |= {f"{name}.bias": np.zeros(shape[0]) for name, shape in shapes.items()}
    np.savez(stream, **{name: array.astype(np.float32) for name, array in arrays.items()})
    return stream.getvalue()


def scenes_by_hand() -> bytes:
    """SUN397.tar.gz as it was released, with a few scenes."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for place, name in enumerate(("coast", "castle", "cockpit")):
            for k in range(18):
                raw = generated(1000 * place + k, (60, 50), "JPEG")
                info = tarfile.TarInfo(f"SUN397/c/{name}/sun_{k:03}.jpg")
                info.size = len(raw)
                tar.addfile(info, io.BytesIO(raw))
    return stream.getvalue()


def prepare(folder: Path, hub: Hub, **changes: object) -> dict[str, str]:
    """Write the edition and the registry into an empty folder; return the environment for a run there."""
    entries = yaml.safe_load((ROOT / "config/inputs.yaml").read_text())
    for entry in entries.values():
        for copy in entry.get("copies", [entry]):
            for file in copy["files"]:
                for key in ("sha256", "size", "needs", "members", "about", "unpack", "tensors", "whole"):
                    file.pop(key, None)
                file["sources"] = [hub.endpoint + "/gone"] if file.get("sources") else []
                file.pop("sources") if "hub" in copy else None
    entries["vgg16"]["files"][0] |= {"name": "vgg16.npz", "sources": [hub.endpoint + "/gone", hub.endpoint + "/vgg16"]}
    entries["vgg16"]["files"][0]["sha256"] = hashlib.sha256(hub.plain["/vgg16"]).hexdigest()
    entries["sun397"]["copies"][1]["files"][0]["md5"] = hashlib.md5(SUN).hexdigest()
    (folder / "inputs.yaml").write_text(yaml.safe_dump(entries))

    edition = yaml.safe_load((ROOT / "config/paper.yaml").read_text())
    edition |= {"compared": False, "theory": False, "device": "cpu", "job": {"threads": 1}}
    edition["bank"]["weights"] = "vgg16/vgg16.npz"
    edition["learning"] |= {"T": 2, "L": 2}
    for name, dataset in edition["datasets"].items():
        dataset["size"] = {"sun-128": 32}.get(name, 16)
        if "images" in dataset:
            dataset["images"] = 9
    edition["datasets"]["cifar10"]["classes"] = ["cat"]
    for name in ("sun", "sun-32", "sun-128"):
        edition["datasets"][name]["classes"] = ["coast"]
    edition["studies"]["sizes"]["datasets"] = ["sun-32"]
    for name in set(edition["studies"]) - {"whole", "collapse", "sizes"}:
        del edition["studies"][name]
    for name, study in edition["studies"].items():
        study |= {"snapshots": [1, 2], "groups": 1, "repeats": 1}
        if "settings" in study:
            settings = list(study["settings"])[: 2 if name == "collapse" else 1]
            study["settings"] = {setting: study["settings"][setting] for setting in settings}
    edition["baselines"] = {name: edition["baselines"][name] for name in ("dcgan", "dcgan-few")}
    for baseline in edition["baselines"].values():
        baseline |= {"steps": 2, "samples": 9, "repeats": 1, "width": 4, "batch": 4, "snapshots": [1]}
    edition["scores"] |= {"splits": 1, "samples": 9}
    edition["scores"]["rows"] = {name: edition["scores"]["rows"][name] for name in ("real", "dcgan", "wframe")}
    (folder / "paper.yaml").write_text(yaml.safe_dump(edition | changes))
    environment = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(folder / "home"), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    environment |= {"WFRAME_REGISTRY": str(folder / "inputs.yaml"), "WFRAME_DATA": str(folder / "data")}
    return {k: v for k, v in os.environ.items() if not k.startswith("HF_")} | environment


SUN = scenes_by_hand()


def run(folder: Path, environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """The one command."""
    argv = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    argv += ["--profile", str(ROOT / "profiles/default"), "--configfile", str(folder / "paper.yaml"), *options]
    return subprocess.run(argv, capture_output=True, text=True, cwd=folder, env=environment)


def jobs(said: str) -> set[str]:
    return set(re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):$", said, re.MULTILINE)) - {"all"}


def claims(folder: Path) -> dict[str, dict]:
    return {claim["id"]: claim for claim in json.loads((folder / "results/claims.json").read_text())["claims"]}


@pytest.mark.slow
def test_one_command_without_sun397_and_then_with_it(hub: Hub, tmp_path: Path):
    environment = prepare(tmp_path, hub)
    hub.troubles = {"dpdl-benchmark/sun397": [-404]}
    planned = run(tmp_path, environment, "--dry-run")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert hub.asked == [], "planning asks no server"
    assert {"inputs", "train", "report"} <= jobs(planned.stdout)

    first = run(tmp_path, environment)
    assert first.returncode == 0, first.stdout + first.stderr
    record = json.loads((tmp_path / "results/inputs.json").read_text())
    assert set(record["left_out"]) == {"sun397", "inception"} and set(record["inputs"]) == {
        "vgg16",
        "celeba",
        "lsun-bedroom",
        "cifar10",
    }
    serves = record["left_out"]["sun397"]["serves"]
    assert serves["studies"] == ["Collapse and recovery", "Input sizes"]
    assert {"Figure 1", "Figure 3", "Figure 6"} <= set(serves["figures"]) and len(serves["claims"]) > 10
    page = (tmp_path / "results/report/index.html").read_text()
    header = page.partition("</header>")[0]
    assert "SUN397 could not be fetched" in header and "Collapse and recovery" in header
    of_collapse = [claim for name, claim in claims(tmp_path).items() if name in serves["claims"]]
    assert of_collapse and {claim["verdict"] for claim in of_collapse} == {"not run"}
    assert "SUN397 could not be fetched" in {claim["why"] for claim in of_collapse}
    assert (tmp_path / "results/studies/whole.parquet").exists()
    assert not (tmp_path / "results/studies/collapse.parquet").exists()
    again = run(tmp_path, environment, "--dry-run")
    assert "Nothing to be done" in again.stdout, again.stdout

    by_hand = tmp_path / "data/sun397/SUN397.tar.gz"
    by_hand.parent.mkdir(exist_ok=True)
    by_hand.write_bytes(SUN)
    trained = {path: path.stat().st_mtime_ns for path in (tmp_path / "results/runs").rglob("*.json")}
    prepared = {path: path.stat().st_mtime_ns for path in (tmp_path / "results/data").rglob("*.npy")}
    second = run(tmp_path, environment)
    assert second.returncode == 0, second.stdout + second.stderr
    for path, when in (trained | prepared).items():
        assert path.stat().st_mtime_ns == when, f"{path} was made again"
    assert set(pd.read_parquet(tmp_path / "results/studies/collapse.parquet")["dataset"]) == {"sun"}
    assert set(json.loads((tmp_path / "results/inputs.json").read_text())["left_out"]) == {"inception"}
    header = (tmp_path / "results/report/index.html").read_text().partition("</header>")[0]
    assert "SUN397 could not be fetched" not in header and "Inception" in header
    assert not [claim for claim in claims(tmp_path).values() if "SUN397" in claim["why"]]
    assert "Nothing to be done" in run(tmp_path, environment, "--dry-run").stdout
