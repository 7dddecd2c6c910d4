"""Fetching, against a real HTTP server that misbehaves in all the ways that servers do."""

import contextlib
import gzip
import hashlib
import http.server
import io
import json
import signal
import socketserver
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import yaml

from wframe.__main__ import main
from wframe.data import download, patience
from wframe.data.records import keep_in_lock
from wframe.data.refused import Refused
from wframe.data.registry import File, load_registry

ROOT = Path(__file__).parent.parent
CONTENT = np.random.default_rng(0).bytes(3_000_000)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Serves CONTENT at /good; other paths misbehave. Counts requests and bytes."""

    daemon_threads = True
    content = CONTENT

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.ranges: list[str | None] = []
        self.if_ranges: list[str | None] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args: object) -> None:
        pass

    def send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # a client that has seen enough hangs up
            self.wfile.write(body)

    def do_GET(self) -> None:
        server, what = self.server, self.path
        server.asked.append(what)
        server.ranges.append(self.headers.get("Range"))
        first = server.asked.count(what) == 1
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        rest = server.content[start:]
        if what == "/good":
            if start >= len(server.content):
                self.send(416, b"")
            else:
                self.send(206 if start else 200, rest)
        elif what == "/cut" and first:  # the connection breaks in the middle
            self.send_response(200)
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest[:1_000_000])
            self.wfile.flush()
            self.connection.close()
        elif what == "/cut":
            self.send(206, rest)
        elif what == "/stall" and first:  # sends some, then nothing
            self.send_response(200)
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest[:500_000])
            self.wfile.flush()
            time.sleep(3)
        elif what == "/stall":
            self.send(206, rest)
        elif what == "/deaf" and first:
            self.send_response(200)
            self.send_header("Content-Length", str(len(server.content)))
            self.end_headers()
            self.wfile.write(server.content[:1_000_000])
            self.wfile.flush()
            self.connection.close()
        elif what == "/deaf":  # ignores Range
            self.send(200, server.content)
        elif what == "/page":  # a quota page with status 200
            self.send(200, b"<!DOCTYPE html><html><title>Quota exceeded</title></html>", Content_Type="text/html")
        elif what == "/disguised":  # the same page, said to be a zip
            self.send(200, b"<!DOCTYPE html><html>Quota exceeded</html>", Content_Type="application/zip")
        elif what == "/wrong":
            self.send(200, bytes(len(server.content)))
        elif what == "/busy" and first:
            self.send(429, b"later", Retry_After="1")
        elif what == "/busy":
            self.send(200, rest)
        elif what == "/tired" and server.asked.count(what) < 3:
            self.send(503, b"")
        elif what == "/tired":
            self.send(200, rest)
        elif what == "/endless":  # doesn't say how much comes
            self.send_response(200)
            self.end_headers()
            self.wfile.write(rest)
        elif what == "/elsewhere":  # goes on at another place than asked
            self.send(
                206, rest, Content_Range=f"bytes 0-{len(rest) - 1}/{len(server.content)}"
            ) if start else self.send(200, server.content)
        elif what == "/empty":
            self.send(200, b"")
        elif what == "/more":  # sends for ever
            self.send_response(200)
            self.end_headers()
            for _ in range(40):
                self.wfile.write(bytes(1_000_000))
        elif what.startswith("/trickle"):  # 50 bytes a second: of the body, in chunks, or of the headers already
            begin = {"body": "Content-Length: 3000000\r\n\r\n", "chunk": "Transfer-Encoding: chunked\r\n\r\n9;"}
            self.wfile.write(b"HTTP/1.1 200 OK\r\n" + begin.get(what.rpartition("-")[2], "X: ").encode())
            with contextlib.suppress(OSError):
                for _ in range(3000):
                    self.wfile.write(b"x")
                    time.sleep(0.02)
        elif what == "/versions":  # cut in the middle; then another version of the file
            tag = '"one"' if first else '"two"'
            server.content = server.content if first else bytes(reversed(CONTENT))
            same = self.headers.get("If-Range") in (None, tag)
            server.if_ranges.append(self.headers.get("If-Range"))
            body = rest if same else server.content
            self.send_response(206 if start and same else 200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", tag)
            self.end_headers()
            self.wfile.write(body[: 1_000_000 if first else None])
            if first:
                self.wfile.flush()
                self.connection.close()
        elif what == "/encoded":  # says that an archive is content-encoded
            self.send(200, rest, Content_Encoding="gzip")
        elif what == "/compressed":  # compresses for the way, though asked not to
            self.send(200, gzip.compress(rest), Content_Encoding="gzip")
        elif what == "/moved":
            self.send(302, b"", Location="/good")
        elif what == "/slow":
            time.sleep(1)
            self.send(200, rest)
        else:
            self.send(404, b"no")


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def registry(tmp_path: Path, *sources: str, **file: object) -> Path:
    """A registry with one entry `thing`, one file."""
    whole = {"name": "thing.bin", "size": len(CONTENT), "md5": hashlib.md5(CONTENT).hexdigest()}
    whole |= {"sources": list(sources)} | file
    entry = {"title": "a thing", "terms": "none", "link": "-", "reader": "-"}
    entry["files"] = [{name: value for name, value in whole.items() if value is not None}]  # type: ignore[assignment]
    path = tmp_path / "inputs.yaml"
    path.write_text(yaml.safe_dump({"thing": entry}))
    return path


def fetch(tmp_path: Path, path: Path, *more: str) -> int:
    quick = ["--timeout", "1", "--tries", "4", "--pause", "0.05"]
    return main(["fetch", "thing", "--registry", str(path), "--data", str(tmp_path / "data"), *quick, *more])


def target(tmp_path: Path) -> Path:
    return tmp_path / "data/thing/thing.bin"


def status(tmp_path: Path, path: Path, capsys: pytest.CaptureFixture, *more: str) -> dict:
    capsys.readouterr()
    main(["data", "status", "--json", "--registry", str(path), "--data", str(tmp_path / "data"), *more])
    return json.loads(capsys.readouterr().out)[0]


@pytest.mark.parametrize("way", ["/good", "/cut", "/stall", "/deaf", "/busy", "/tired", "/moved"])
def test_files_are_complete_and_correct_whatever_the_server_does(tmp_path: Path, server: Server, way: str):
    assert fetch(tmp_path, registry(tmp_path, server.url(way))) == 0
    assert target(tmp_path).read_bytes() == CONTENT
    assert not list(target(tmp_path).parent.glob("*.part"))


def test_a_cut_off_download_goes_on_where_it_stopped(tmp_path: Path, server: Server):
    fetch(tmp_path, registry(tmp_path, server.url("/cut")))
    assert server.ranges[0] is None and server.ranges[1] is not None
    assert 0 < int(server.ranges[1].removeprefix("bytes=").rstrip("-")) <= 1_000_000


def test_a_killed_process_goes_on_where_it_stopped(tmp_path: Path, server: Server):
    path = registry(tmp_path, server.url("/good"))
    target(tmp_path).parent.mkdir(parents=True)
    target(tmp_path).with_name("thing.bin.part").write_bytes(CONTENT[:1_234_567])
    assert fetch(tmp_path, path) == 0
    assert server.ranges == ["bytes=1234567-"] and target(tmp_path).read_bytes() == CONTENT


def test_a_complete_part_needs_no_more_bytes(tmp_path: Path, server: Server):
    path = registry(tmp_path, server.url("/good"))
    target(tmp_path).parent.mkdir(parents=True)
    target(tmp_path).with_name("thing.bin.part").write_bytes(CONTENT)
    assert fetch(tmp_path, path) == 0 and target(tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("/page", "the server sent a web page instead of the file"),
        ("/disguised", "it is a web page, not the file"),
        ("/wrong", "md5"),
        ("/compressed", "bytes instead of"),
        ("/gone", "status 404"),
    ],
)
def test_a_bad_source_is_skipped(tmp_path: Path, server: Server, capsys: pytest.CaptureFixture, way: str, reason: str):
    assert fetch(tmp_path, registry(tmp_path, server.url(way), server.url("/good"))) == 0
    assert target(tmp_path).read_bytes() == CONTENT
    other = tmp_path / "other"
    assert fetch(other, registry(tmp_path, server.url(way), manual="Ask Ann.")) == 2
    said = capsys.readouterr().err
    assert reason in said and server.url(way) in said
    assert "What to do: Ask Ann." in said and f"Put it at {target(other)}" in said
    assert not target(other).exists(), "nothing wrong is left under the final name"


def test_a_dead_server_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture):
    assert fetch(tmp_path, registry(tmp_path, "http://127.0.0.1:9/thing")) == 2
    assert "ConnectionError" in capsys.readouterr().err


def test_complete_files_need_no_server(tmp_path: Path, server: Server):
    path = registry(tmp_path, server.url("/good"))
    fetch(tmp_path, path)
    asked = len(server.asked)
    assert fetch(tmp_path, path) == 0 and fetch(tmp_path, path, "--offline") == 0
    assert len(server.asked) == asked


def test_offline_says_what_is_missing(tmp_path: Path, server: Server, capsys: pytest.CaptureFixture):
    assert fetch(tmp_path, registry(tmp_path, server.url("/good")), "--offline") == 2
    assert "(offline)" in capsys.readouterr().err and server.asked == []


def test_files_put_in_place_by_hand_are_used(tmp_path: Path, server: Server, capsys: pytest.CaptureFixture):
    path = registry(tmp_path)
    target(tmp_path).parent.mkdir(parents=True)
    target(tmp_path).write_bytes(CONTENT)
    assert status(tmp_path, path, capsys)["state"] == "unchecked"
    assert fetch(tmp_path, path) == 0
    assert status(tmp_path, path, capsys)["state"] == "here"


def test_states(tmp_path: Path, server: Server, capsys: pytest.CaptureFixture):
    path = registry(tmp_path, server.url("/good"))
    assert status(tmp_path, path, capsys)["state"] == "missing"
    target(tmp_path).parent.mkdir(parents=True)
    target(tmp_path).with_name("thing.bin.part").write_bytes(CONTENT[:2_000_000])
    assert status(tmp_path, path, capsys)["state"] == "partial, 2 MB"
    fetch(tmp_path, path)
    spoiled = bytearray(CONTENT)
    spoiled[7] ^= 1
    stamp = target(tmp_path).stat()
    target(tmp_path).write_bytes(spoiled)
    import os

    os.utime(target(tmp_path), ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert status(tmp_path, path, capsys)["state"] == "here", "the quick look trusts size and time stamp"
    deep = status(tmp_path, path, capsys, "--deep")
    assert deep["state"] == "corrupt" and "md5" in deep["do"]
    os.utime(target(tmp_path))
    assert fetch(tmp_path, path) == 0
    assert target(tmp_path).read_bytes() == CONTENT and target(tmp_path).with_name("thing.bin.wrong").exists()


def test_without_a_checksum_the_first_download_is_pinned(tmp_path: Path, server: Server, capsys: pytest.CaptureFixture):
    path = registry(tmp_path, server.url("/good"), md5=None, size=None)
    assert fetch(tmp_path, path) == 0
    lock = json.loads((tmp_path / "data/inputs.lock.json").read_text())
    assert lock == {"thing/thing.bin": hashlib.sha256(CONTENT).hexdigest()}
    target(tmp_path).unlink()
    server.content = CONTENT[:-1] + b"x"
    assert fetch(tmp_path, path) == 2
    assert "the first fetch had" in capsys.readouterr().err and not target(tmp_path).exists()


UNKNOWN = {"md5": None, "size": None}


def test_without_a_hash_two_versions_are_never_joined(tmp_path: Path, server: Server):
    """The first half of one version isn't followed by the second half of another one."""
    assert fetch(tmp_path, registry(tmp_path, server.url("/versions"), **UNKNOWN)) == 0
    assert server.if_ranges == [None, '"one"']
    assert target(tmp_path).read_bytes() == bytes(reversed(CONTENT))


def test_without_a_hash_or_a_tag_a_cut_off_download_begins_again(tmp_path: Path, server: Server):
    assert fetch(tmp_path, registry(tmp_path, server.url("/deaf"), **UNKNOWN)) == 0
    assert server.ranges == [None, None] and target(tmp_path).read_bytes() == CONTENT
    (tmp_path / "o/data/thing").mkdir(parents=True)
    (tmp_path / "o/data/thing/thing.bin.part").write_bytes(b"of another file" * 100)
    assert fetch(tmp_path / "o", registry(tmp_path, server.url("/good"), **UNKNOWN)) == 0
    assert target(tmp_path / "o").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("/empty", "the server sent an empty file"),
        ("/endless", "doesn't say how long the file is, and no hash is known"),
        ("/compressed", "the server sends it compressed (gzip), though asked not to"),
    ],
)
def test_without_a_hash_what_might_be_cut_off_is_refused(
    tmp_path: Path, server: Server, capsys: pytest.CaptureFixture, way: str, reason: str
):
    assert fetch(tmp_path, registry(tmp_path, server.url(way), **UNKNOWN)) == 2
    assert reason in capsys.readouterr().err and not target(tmp_path).exists()
    assert not (tmp_path / "data/inputs.lock.json").exists(), "nothing wrong is pinned"


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_broken_archive_is_never_pinned(tmp_path: Path, server: Server, capsys: pytest.CaptureFixture, kind: str):
    whole = archive(kind, "deep/a", "deep/b")
    file = {"name": f"t.{kind}", **UNKNOWN}
    for broken in (whole[: len(whole) // 2], whole[: len(whole) // 2] + b"x" * (len(whole) - len(whole) // 2)):
        server.content = broken
        assert fetch(tmp_path, registry(tmp_path, server.url("/good"), **file)) == 2
        assert "not a whole" in capsys.readouterr().err
    assert not (tmp_path / "data/inputs.lock.json").exists()
    server.content = whole
    assert fetch(tmp_path, registry(tmp_path, server.url("/good"), **file)) == 0
    encoded = tmp_path / "encoded"
    assert fetch(encoded, registry(tmp_path, server.url("/encoded"), **file)) == 0
    assert (encoded / f"data/thing/t.{kind}").read_bytes() == whole, "as the archive is, whatever the server calls it"


def test_a_stated_size_is_a_limit(tmp_path: Path, server: Server, capsys: pytest.CaptureFixture):
    path = registry(tmp_path, server.url("/more"), server.url("/good"))
    assert fetch(tmp_path, path) == 0 and target(tmp_path).read_bytes() == CONTENT
    assert fetch(tmp_path / "o", registry(tmp_path, server.url("/more"))) == 2
    assert f"sends more than {len(CONTENT):,} bytes" in capsys.readouterr().err
    assert not list((tmp_path / "o/data/thing").glob("*.part"))


def test_a_server_that_resumes_at_another_offset_is_not_trusted(tmp_path: Path, server: Server):
    target(tmp_path).parent.mkdir(parents=True)
    target(tmp_path).with_name("thing.bin.part").write_bytes(CONTENT[:1_000_000])
    assert fetch(tmp_path, registry(tmp_path, server.url("/elsewhere"))) == 0
    assert target(tmp_path).read_bytes() == CONTENT


def test_pauses_grow_and_the_server_may_ask_for_longer_ones(monkeypatch: pytest.MonkeyPatch):
    pauses: list[float] = []
    monkeypatch.setattr(patience.time, "sleep", pauses.append)
    answers = iter([Refused("a", again=True), Refused("b", again=True, after=99), Refused("c", again=True)])

    def refuse() -> None:
        raise next(answers, Refused("never"))

    with pytest.raises(Refused, match="c"):
        patience.patiently(refuse, download.Patience(tries=3, pause=2))
    assert pauses == [2, 60]
    with pytest.raises(Refused, match="never"):
        patience.patiently(refuse, download.Patience(tries=3))
    assert len(pauses) == 2, "what is refused for good isn't asked again"


@pytest.mark.parametrize("way", ["/trickle-body", "/trickle-chunk", "/trickle-header"])
def test_a_trickle_counts_as_silence(tmp_path: Path, server: Server, way: str):
    """No read ever exceeds its time limit, but the whole would take days."""
    impatient = download.Patience(timeout=0.4, tries=1)
    begin = time.monotonic()
    with pytest.raises(Refused, match="Timeout"):
        download.transfer(server.url(way), download.Part(tmp_path / "x.part"), File(name="x"), True, impatient)
    assert time.monotonic() - begin < 5
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0), "nothing is watched any more"


def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, server: Server, capsys: pytest.CaptureFixture):
    for name in ("../x", ".fetched.json", "a/../../x", "/x"):
        assert fetch(tmp_path, registry(tmp_path, server.url("/good"), name=name)) == 2
        assert "thing.files.0.name" in capsys.readouterr().err
    server.content = archive("zip", "t.zip")
    own = {"name": "t.zip", "unpack": True, **UNKNOWN}
    assert fetch(tmp_path, registry(tmp_path, server.url("/good"), **own)) == 2
    assert "would take the place of one of our own files" in capsys.readouterr().err


def test_a_sha256_prefix_is_checked(tmp_path: Path, server: Server):
    prefix = hashlib.sha256(CONTENT).hexdigest()[:8]
    assert fetch(tmp_path, registry(tmp_path, server.url("/good"), md5=None, sha256=prefix)) == 0
    assert fetch(tmp_path / "o", registry(tmp_path, server.url("/good"), md5=None, sha256="deadbeef")) == 2


def test_two_processes_fetch_once(tmp_path: Path, server: Server):
    path = registry(tmp_path, server.url("/slow"))
    argv = [
        sys.executable,
        "-m",
        "wframe",
        "fetch",
        "thing",
        "--registry",
        str(path),
        "--data",
        str(tmp_path / "data"),
    ]
    both = [subprocess.Popen(argv) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert server.asked == ["/slow"] and target(tmp_path).read_bytes() == CONTENT


def test_a_full_disk_is_reported_before_anything_is_written(
    tmp_path: Path, server: Server, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    usage = download.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    assert fetch(tmp_path, registry(tmp_path, server.url("/good"))) == 2
    assert "are needed for thing.bin" in capsys.readouterr().err
    assert sorted(p.name for p in target(tmp_path).parent.iterdir()) == [".lock"]


def test_a_disk_that_fills_up_is_reported(small_disk: Path, server: Server, capsys: pytest.CaptureFixture):
    """A server that doesn't say how much it sends, and an archive that is larger than it looks."""
    path = registry(small_disk.parent, server.url("/endless"), size=None)
    assert main(["fetch", "thing", "--registry", str(path), "--data", str(small_disk)]) == 2
    assert "the disk is full. Free some space" in capsys.readouterr().err
    for left in (small_disk / "thing").glob("thing.bin.part*"):
        left.unlink()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("zeros", bytes(1_000_000))
    server.content = stream.getvalue()
    path = registry(small_disk.parent, server.url("/good"), name="t.zip", md5=None, size=None, unpack=True)
    assert main(["fetch", "thing", "--registry", str(path), "--data", str(small_disk)]) == 2
    assert "are needed for the content of t.zip" in capsys.readouterr().err
    assert sorted(file.name for file in (small_disk / "thing").iterdir()) == [".lock", "t.zip"]


def test_two_first_fetches_both_keep_their_hash(tmp_path: Path):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda index: keep_in_lock(tmp_path, f"entry{index}/file", "0"), range(40)))
    assert len(json.loads((tmp_path / "inputs.lock.json").read_text())) == 40


def archive(kind: str, *names: str) -> bytes:
    stream = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(stream, "w") as zipped:
            for name in names:
                zipped.writestr(name, name)
    else:
        with tarfile.open(fileobj=stream, mode="w:gz") as tar:
            for name in names:
                info = tarfile.TarInfo(name)
                info.size = len(name)
                tar.addfile(info, io.BytesIO(name.encode()))
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_archives_are_unpacked_safely(tmp_path: Path, server: Server, capsys: pytest.CaptureFixture, kind: str):
    server.content = archive(kind, "deep/a", "deep/b")
    members = {"deep/a": hashlib.md5(b"deep/a").hexdigest()}
    known = {"name": f"t.{kind}", "md5": None, "size": None, "unpack": True}
    assert fetch(tmp_path, registry(tmp_path, server.url("/good"), **known, members=members)) == 0
    assert (tmp_path / "data/thing/deep/b").read_text() == "deep/b"
    server.content = archive(kind, "deep/a", "../evil")
    other = tmp_path / "other"
    assert fetch(other, registry(tmp_path, server.url("/good"), **known)) == 2
    assert "points outside" in capsys.readouterr().err
    assert not list(other.rglob("evil")) and not list(other.rglob("deep")), "nothing is unpacked"
    server.content = archive(kind, "deep/a")
    wrong = {"deep/a": "0" * 32}
    assert fetch(tmp_path / "third", registry(tmp_path, server.url("/good"), **known, members=wrong)) == 2
    assert "not the original (md5 differs)" in capsys.readouterr().err


def test_unknown_entries_and_keys_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture):
    path = registry(tmp_path)
    assert main(["fetch", "thong", "--registry", str(path)]) == 2
    assert "no entry 'thong' (there are: thing)" in capsys.readouterr().err
    assert fetch(tmp_path, registry(tmp_path, mirror="x")) == 2
    assert "thing.files.0.mirror: unknown key" in capsys.readouterr().err


def test_the_projects_registry_agrees_with_torchvision():
    """Its checksums are those that the installed torchvision states."""
    from torchvision.datasets import CIFAR10, SUN397, CelebA
    from torchvision.models import VGG16_Weights

    entries = load_registry(ROOT / "config/inputs.yaml")
    originals = {name: entry.alternatives[-1].files[0] for name, entry in entries.items()}
    cifar = originals["cifar10"]
    assert (cifar.md5, cifar.sources[0]) == (CIFAR10.tgz_md5, CIFAR10.url)
    listed = {f"{CIFAR10.base_folder}/{name}": md5 for name, md5 in CIFAR10.train_list + CIFAR10.test_list}
    listed[f"{CIFAR10.base_folder}/{CIFAR10.meta['filename']}"] = CIFAR10.meta["md5"]
    assert cifar.members == listed
    images = next(row for row in CelebA.file_list if row[2] == "img_align_celeba.zip")
    assert originals["celeba"].md5 == images[1] and images[0] in originals["celeba"].sources[0]
    assert originals["sun397"].md5 == SUN397._DATASET_MD5
    assert originals["vgg16"].sources[0] == VGG16_Weights.IMAGENET1K_FEATURES.url
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    assert originals["inception"].sources[0] == URL_INCEPTION_V3
