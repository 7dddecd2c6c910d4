"""Fetching four layers of a large weights file by HTTP ranges, from a real server, well-behaved or not."""

import hashlib
import http.server
import json
import pickle
import re
import socket
import socketserver
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from conftest import REAL_DATA, ROOT
from safetensors.torch import load_file

from wframe.__main__ import main
from wframe.data.registry import load_registry
from wframe.model.bank import LAYERS, load_bank

NAMES = [f"features.{layer}.{kind}" for layer in LAYERS for kind in ("weight", "bias")]
FOUR = "four-layers.safetensors"


def four_layers() -> dict[str, torch.Tensor]:
    """The original first layers in RGB order; where they aren't here, random ones that begin as they do."""
    real = REAL_DATA / "vgg16/vgg16_caffe_bgr_first4conv.npz"
    if real.is_file():
        with np.load(real) as file:
            tensors = {name: torch.from_numpy(file[name]) for name in file.files}
        tensors["0.weight"] = tensors["0.weight"].flip(1).contiguous()
    else:
        generator = torch.Generator().manual_seed(0)
        tensors = {f"{name}.weight": torch.randn(*io, 3, 3, generator=generator) / 9 for name, io in LAYERS.items()}
        tensors |= {f"{name}.bias": torch.randn(io[0], generator=generator) for name, io in LAYERS.items()}
        tensors["0.weight"][0, 0, 0, 0] = 0.4800154
    return {f"features.{name}": value for name, value in tensors.items()}


def whole_vgg16(path: Path, full: bool) -> None:
    """Write a PyTorch file with VGG-16's tensors in their order; unless `full`, without the classifier's."""
    from torchvision.models import vgg16

    with torch.device("meta"):
        shapes = {name: value.shape for name, value in vgg16().state_dict().items()}
    known = four_layers()
    torch.save({n: known.get(n, torch.zeros(s)) for n, s in shapes.items() if full or "classifier" not in n}, path)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Serves a file by ranges at /good; other paths misbehave. Counts requests and bytes."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.path, self.asked, self.sent = path, [], 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        server, what = self.server, self.path
        server.asked.append(what)
        count, size = server.asked.count(what), server.path.stat().st_size
        said = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if what == "/deaf" or not said:
            return self.send(200, (0, size))
        first, last = int(said[1]), int(said[2])
        if what == "/gone":
            return self.send(404)
        if what == "/page":
            return self.send(200, (0, 10), Content_Type="text/html")
        if what == "/busy" and count == 2:
            return self.send(503)
        if what == "/elsewhere" and count > 1:
            first, last = first + 1, last + 1
        if what == "/spoilt":  # a byte of the third layer's values
            return self.send(206, (first, last + 1), spoil=300_000)
        tag = '"new"' if what == "/changes" and count > 3 else '"old"'
        if what == "/changes" and self.headers.get("If-Range", tag) != tag:
            return self.send(200, (0, size), ETag=tag)
        self.send(206, (first, last + 1), cut=what == "/cut" and count == 3, ETag=tag)

    def send(
        self, status: int, part: tuple[int, int] = (0, 0), cut: bool = False, spoil: int = -1, **more: str
    ) -> None:
        first, end = part
        self.send_response(status)
        about = {"Content_Length": str(end - first)} | more
        if status == 206:
            about["Content_Range"] = f"bytes {first}-{end - 1}/{self.server.path.stat().st_size}"
        for name, value in about.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        with self.server.path.open("rb") as file:
            file.seek(first)
            body = bytearray(file.read(end - first))
        if spoil and 0 <= spoil - first < len(body):
            body[spoil - first] ^= 1
        try:
            self.wfile.write(body[: len(body) // 2] if cut else body)
            self.server.sent += len(body)
        except OSError:
            pass  # the client has seen enough
        if cut:
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "features.pth"
    whole_vgg16(path, full=False)
    return path


@pytest.fixture
def server(features: Path) -> Iterator[Server]:
    server = Server(features)
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def fetch(folder: Path, server: Server, *ways: str, whole: dict | None = None, options: tuple = (), **file: Any) -> int:
    """Fetch the project's own entry, with the sources on the local server."""
    entry = yaml.safe_load((ROOT / "config/inputs.yaml").read_text())["vgg16"]
    digest = hashlib.sha256(server.path.read_bytes() if server.path.stat().st_size < 1e8 else b"").hexdigest()
    entry["files"][0] |= {"sources": [server.url(way) for way in ways]} | file
    entry["files"][0]["whole"] |= {"sha256": digest[:8]} | (whole or {})
    folder.mkdir(exist_ok=True)
    (folder / "inputs.yaml").write_text(yaml.safe_dump({"vgg16": entry}))
    quick = ["--timeout", "60", "--tries", "3", "--pause", "0.05"]
    where = ["--registry", str(folder / "inputs.yaml"), "--data", str(folder / "data")]
    return main(["fetch", "vgg16", *where, *quick, *options])


def kept(folder: Path) -> Path:
    return folder / "data/vgg16" / FOUR


def right(folder: Path) -> bool:
    tensors, expected = load_file(kept(folder)), four_layers()
    return set(tensors) == set(NAMES) and all(torch.equal(tensors[name], expected[name]) for name in NAMES)


def test_two_of_553_megabytes_make_the_papers_bank(tmp_path: Path, server: Server, capsys: pytest.CaptureFixture):
    """A file of the original's names, shapes, order and size; the bank is that of the layers themselves."""
    server.path = tmp_path / "whole.pth"
    whole_vgg16(server.path, full=True)
    assert f"{server.path.stat().st_size / 2**20:.2f}" == "527.80", "torchvision says 527.802 MB of the original"
    assert fetch(tmp_path, server, "/good") == 0
    assert server.sent < 2e6 and len(server.asked) < 25
    assert "of the 0.55 GB at" in capsys.readouterr().err
    assert right(tmp_path) and kept(tmp_path).stat().st_size < 1.1e6
    locked = json.loads((tmp_path / "data/inputs.lock.json").read_text())
    assert locked == {f"vgg16/{FOUR}": hashlib.sha256(kept(tmp_path).read_bytes()).hexdigest()}
    edition = yaml.safe_load((ROOT / "config/paper.yaml").read_text())
    assert edition["bank"]["weights"] == f"vgg16/{FOUR}"
    main(["bank", "--data", str(tmp_path / "data"), "--vgg16", f"vgg16/{FOUR}", "--out", str(tmp_path / "bank")])
    assert torch.equal(load_bank(tmp_path / "bank").layers[2][0], four_layers()["features.5.weight"])
    assert fetch(tmp_path, server, "/gone") == 0, "what is here needs no server"
    server.path.unlink()


@pytest.mark.parametrize("way", ["/busy", "/cut"])
def test_tensors_are_correct_whatever_the_server_does(tmp_path: Path, server: Server, way: str):
    assert fetch(tmp_path, server, way) == 0 and right(tmp_path)


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("/gone", "status 404"),
        ("/page", "a web page instead of the file"),
        ("/changes", "the file changed on the server while it was read"),
        ("/elsewhere", "sent another part"),
        ("/spoilt", "Bad CRC-32"),
    ],
)
def test_a_bad_source_is_skipped(tmp_path: Path, server: Server, capsys: pytest.CaptureFixture, way: str, reason: str):
    assert fetch(tmp_path, server, way, "/good") == 0 and right(tmp_path)
    other = tmp_path / "other"
    server.asked.clear()
    assert fetch(other, server, way) == 2
    said = capsys.readouterr().err
    assert reason in said and server.url(way) in said and "vgg16_features-amdegroot-88682ab5.pth\nand run" in said
    assert not kept(other).exists() and not (other / "data/inputs.lock.json").exists()


def test_a_server_without_ranges_gives_the_whole_file(tmp_path: Path, server: Server, capsys: pytest.CaptureFixture):
    """Only when no source has ranges; then the whole file's hash is checked, and the file isn't kept."""
    assert fetch(tmp_path, server, "/deaf", "/good") == 0 and right(tmp_path)
    assert "downloading all of it" not in capsys.readouterr().err
    other = tmp_path / "other"
    assert fetch(other, server, "/deaf") == 0 and right(other)
    assert "this server sends only whole files: downloading all of it, about 0.55 GB" in capsys.readouterr().err
    assert sorted(path.name for path in kept(other).parent.iterdir()) == [".fetched.json", ".lock", FOUR]
    assert fetch(tmp_path / "wrong", server, "/deaf", whole={"sha256": "deadbeef"}) == 2
    assert "doesn't begin with deadbeef" in capsys.readouterr().err


def test_another_hash_is_refused(tmp_path: Path, server: Server, capsys: pytest.CaptureFixture):
    assert fetch(tmp_path, server, "/good", sha256="deadbeef") == 2
    assert "doesn't begin with deadbeef" in capsys.readouterr().err
    assert fetch(tmp_path, server, "/good") == 0
    kept(tmp_path).unlink()
    server.path = tmp_path / "other.pth"
    torch.save({name: value + 1 for name, value in four_layers().items()}, server.path)
    assert fetch(tmp_path, server, "/good") == 2
    assert "the first fetch had" in capsys.readouterr().err and not kept(tmp_path).exists()


def test_the_whole_file_is_used_if_present(tmp_path: Path, server: Server, capsys: pytest.CaptureFixture):
    beside = tmp_path / "data/vgg16/vgg16_features-amdegroot-88682ab5.pth"
    beside.parent.mkdir(parents=True)
    beside.write_bytes(b"half")
    assert fetch(tmp_path, server, options=("--offline",)) == 2
    assert "doesn't begin with" in capsys.readouterr().err
    beside.write_bytes(server.path.read_bytes())
    assert fetch(tmp_path, server, options=("--offline",)) == 0 and right(tmp_path)
    assert server.asked == []


class Evil:
    def __reduce__(self) -> tuple:
        return print, ("run",)


def test_files_without_tensors_are_refused(tmp_path: Path, server: Server, capsys: pytest.CaptureFixture):
    good, server.path = four_layers(), tmp_path / "x.pth"
    first = good.pop(NAMES[0])

    def said() -> str:
        assert fetch(tmp_path, server, "/good") == 2
        return capsys.readouterr().err

    torch.save(good, server.path)
    assert f"it has no tensor {NAMES[0]}" in said()
    torch.save(good | {NAMES[0]: Evil()}, server.path)
    assert "more than tensors of floats" in said() and "run\n" not in capsys.readouterr().out
    torch.save(good | {NAMES[0]: first.transpose(0, 1)}, server.path)
    assert "isn't contiguous" in said()
    torch.save(good | {NAMES[0]: first.to(torch.int32)}, server.path)
    assert "torch.IntStorage" in said()
    torch.save(good | {NAMES[0]: first}, server.path, _use_new_zipfile_serialization=False)
    assert "not a whole PyTorch file" in said()
    with zipfile.ZipFile(server.path, "w") as zipped:
        zipped.writestr("x/data.pkl", pickle.dumps({name: 1 for name in NAMES}))
    assert "it has no tensor" in said()


def test_the_registry_says_both_or_neither(tmp_path: Path, server: Server, capsys: pytest.CaptureFixture):
    assert fetch(tmp_path, server, "/good", tensors=[]) == 2
    assert "tensors and whole go together" in capsys.readouterr().err
    assert load_registry(ROOT / "config/inputs.yaml")["vgg16"].files[0].tensors == NAMES
