"""Versioning: round trips through real remotes, what reruns after a pull, experiments, releases, failing remotes.

All tests use the project's own dvc.yaml, in clones of this tree with a tiny edition in place of the demo.
"""

import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import yaml
from conftest import ROOT
from PIL import Image
from rocrate.rocrate import ROCrate

from wframe.files import sha256_file
from wframe.record.trace import nodes
from wframe.record.verify import METADATA

pytestmark = pytest.mark.xdist_group("dvc")

EDITION = {
    "edition": "tiny",
    "theory": False,
    "device": "cpu",
    "learning": {"T": 3, "L": 2, "beta": 60.0},
    "datasets": {
        "mine": {"source": "folder", "path": "mine", "size": 16},
        "faces": {"source": "embedded", "path": "faces", "size": 16, "images": 9},
    },
    "studies": {"whole": {"datasets": ["mine", "faces"]}},
}
# the rules after any training
FOLLOWS = dict.fromkeys(("quality", "summarise", "figures", "paper_figures", "claims", "report"), 1)
OLD = (10**18, 10**18)  # a time stamp years older than every output


# --- helpers -------------------------------------------------------------------------------------------------


def call(folder: Path, *argv: str, check: bool = True, **environment: str) -> str:
    """Run a command in the environment of `folder`'s checkout; return its output (both streams)."""
    env = {name: value for name, value in os.environ.items() if name != "WFRAME_DATA"}
    env |= {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]),
        "PYTHONPATH": str(folder / "src"),
        **{f"GIT_{role}_{key}": "tests@localhost" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")},
        **environment,
    }
    done = subprocess.run(argv, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert not check or done.returncode == 0, f"{' '.join(argv)}\n{done.stdout}"
    return done.stdout


def commit(folder: Path, message: str) -> str:
    """Commit everything; return the commit."""
    call(folder, "git", "add", "--all")
    call(folder, "git", "commit", "--quiet", "--message", message)
    return call(folder, "git", "rev-parse", "HEAD").strip()


def clone(origin: Path, folder: Path) -> Path:
    """Make a fresh clone: only what is in git."""
    call(origin, "git", "clone", "--quiet", str(origin), str(folder))
    return folder


def jobs_to_run(folder: Path) -> dict[str, int]:
    """Return the jobs that Snakemake would run: rule → number."""
    output = call(folder, "snakemake", "--dry-run")
    names = re.findall(r"^(?:local)?rule (\w+):$", output, re.MULTILINE)
    assert names or "Nothing to be done" in output, output
    return {name: names.count(name) for name in names if name != "all"}


def contents(folder: Path) -> dict[str, str]:
    """Return the hash of every result."""
    files = [path for path in (folder / "results").rglob("*") if path.is_file() and "logs" not in path.parts]
    return {str(path.relative_to(folder)): sha256_file(path) for path in files if path.name != ".gitignore"}


def table(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "results/tables/whole.csv").open()))


def image(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8))


# --- fixtures ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository like this tree, but tiny: raw images and results versioned, committed and pushed to a folder."""
    folder = tmp_path_factory.mktemp("dvc") / "origin"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists() and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / "config/demo.yaml").write_text(yaml.safe_dump(EDITION))
    (folder / "data/mine").mkdir()
    for index in range(9):
        image(index).save(folder / f"data/mine/{index}.png")
    call(folder, "git", "init", "--quiet", "--initial-branch", "main")
    call(folder, "dvc", "add", "--quiet", "data/mine")
    commit(folder, "raw images")
    call(folder, "snakemake")
    call(folder, "mkdir", "results/baselines", "results/scores")  # this edition has none
    call(folder, "dvc", "commit", "--no-relink", "--force", "--quiet")  # like after a run on a cluster
    assert {"dvc.lock"} == set(call(folder, "git", "ls-files", "--others", "--exclude-standard").split())
    commit(folder, "results")
    call(folder, "dvc", "push")
    return folder


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """The address of a running S3-compatible server with an empty bucket `wframe`."""
    argv = [sys.executable, "-c", "from moto.server import main; main(['-H', '127.0.0.1', '-p', '0'])"]
    server = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    try:
        found = None
        while found is None:
            line = server.stderr.readline()
            assert line, "moto's server ended"
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
        Thread(target=server.stderr.read, daemon=True).start()  # otherwise its log fills the pipe
        connection = HTTPConnection(found.group().removeprefix("http://"))
        connection.request("PUT", "/wframe")
        assert connection.getresponse().status == 200
        yield found.group()
    finally:
        server.kill()
        server.wait()


def use_s3(folder: Path, address: str, place: str = "store") -> None:
    """Make an S3 remote the default, as in docs/versioning.md; git sees nothing of it."""
    call(folder, "dvc", "remote", "add", "--local", "--force", "--default", "s3", f"s3://wframe/{place}")
    for key, value in {"endpointurl": address, "access_key_id": "testing", "secret_access_key": "testing"}.items():
        call(folder, "dvc", "remote", "modify", "--local", "s3", key, value)


# --- round trips ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_a_fresh_clone_has_everything_after_a_pull(kind: str, origin: Path, request: pytest.FixtureRequest):
    """Test the project's default remote, a folder beside the checkout, and a real S3 server."""
    here = clone(origin, origin.parent / kind)
    for folder in (origin, here):
        if kind == "s3":
            use_s3(folder, request.getfixturevalue("moto"))
    if kind == "s3":
        call(origin, "dvc", "push")
    assert "not in cache" in call(here, "dvc", "status")
    call(here, "dvc", "pull")
    assert contents(here) == contents(origin) and len(contents(here)) > 30
    assert sha256_file(here / "data/mine/3.png") == sha256_file(origin / "data/mine/3.png")
    assert jobs_to_run(here) == {}
    assert "up to date" in call(here, "dvc", "status")
    assert "in sync" in call(here, "dvc", "status", "--cloud")
    assert "testing" not in call(here, "git", "grep", "testing", "--", ".dvc", check=False)
    assert call(here, "git", "status", "--short") == ""


# --- changes made before clone and pull ---------------------------------------------------------------------------


def age(folder: Path) -> None:
    """Make everything but the results older than the results, like files that changed before a pull."""
    for path in folder.rglob("*"):
        if path.is_file() and not {"results", ".snakemake", ".git", ".dvc"} & set(path.relative_to(folder).parts):
            os.utime(path, ns=OLD)


def test_what_changed_before_the_pull_is_remade_and_recorded(origin: Path):
    """A style changes, then a constant too, then an image too; each time a fresh clone pulls the old results."""
    author = clone(origin, origin.parent / "author")
    call(author, "dvc", "pull", "--remote", "local", "data/mine")
    for step, jobs in {
        "style": {"report": 1},
        "constant": {"config": 1, "train": 2} | FOLLOWS,
        "image": {"config": 1, "prepare": 1, "train": 3} | FOLLOWS,
    }.items():
        if step == "style":
            with (author / "src/wframe/report/page.css").open("a") as style:
                style.write("\n")
        elif step == "constant":
            edition = author / "config/demo.yaml"
            edition.write_text(edition.read_text().replace("beta: 60.0", "beta: 30.0"))
        else:
            (author / "data/mine/3.png").unlink()
            image(99).save(author / "data/mine/3.png")
            call(author, "dvc", "add", "--quiet", "data/mine")
            call(author, "dvc", "push", "--quiet", "--remote", "local", "data/mine")
        commit(author, step)
        reader = clone(author, origin.parent / step)
        call(reader, "dvc", "pull", "--remote", "local")
        age(reader)
        assert jobs_to_run(reader) == jobs, step

    old = contents(reader)
    assert old == contents(origin), "the pulled results were made from the old style, constant and image"
    assert "changed deps" in call(reader, "dvc", "status")
    call(reader, "dvc", "repro", "--quiet")
    assert "up to date" in call(reader, "dvc", "status")
    assert jobs_to_run(reader) == {}
    new = contents(reader)
    for name in ("data/faces/all.npy", "runs/whole/faces/all/base/frame-0/0.safetensors", "bank.safetensors"):
        assert new[f"results/{name}"] == old[f"results/{name}"], f"{name} depends on none of the three"
    for name in ("data/mine/all.npy", "runs/whole/mine/all/base/frame-0/0.safetensors", "report/index.html"):
        assert new[f"results/{name}"] != old[f"results/{name}"], name
    records = json.loads((reader / "results/manifest.json").read_text())["runs"]
    assert records["whole/faces/all/base/wframe-0/0"]["constants"]["beta"] == 30
    assert records["whole/mine/all/base/frame-0/0"]["inputs"]["observed"] == new["results/data/mine/all.npy"]
    assert np.array_equal(np.load(reader / "results/data/mine/all.npy")[3], np.asarray(image(99)))


# --- experiments ---------------------------------------------------------------------------------------------


def test_an_experiment_on_beta_changes_what_depends_on_beta(origin: Path):
    """FRAME has β = 0: only wFRAME's columns and those that compare both methods change."""
    here = clone(origin, origin.parent / "experiment")
    call(here, "dvc", "pull", "--remote", "local")
    before = table(here)
    call(here, "dvc", "exp", "run", "--quiet", "--name", "weaker", "--set-param", "config/demo.yaml:learning.beta=30")
    for row, was in zip(table(here), before, strict=True):
        different = {name for name in row if row[name] != was[name]}
        assert {"R_wframe", "ratio"} <= different, row["dataset"]
        assert all("wframe" in name or name.startswith("ratio") for name in different), different
    diff = json.loads(call(here, "dvc", "exp", "diff", "--json", "HEAD", "weaker"))
    assert diff["params"]["config/demo.yaml"]["learning.beta"] == {"old": 60.0, "new": 30, "diff": -30.0}
    metrics = diff["metrics"]["results/metrics/whole.json"]
    assert "mine.all.base.R_wframe" in metrics and "mine.all.base.R_frame" not in metrics
    assert "up to date" in call(here, "dvc", "status")


# --- questions and releases --------------------------------------------------------------------------------------


def test_stale_drifted_orphaned_and_corrupt_files_are_found(origin: Path):
    here = clone(origin, origin.parent / "check")
    call(here, "dvc", "fetch", "--remote", "local")
    kept = object_of(origin / "results/tables/whole.tex", here / ".dvc/cache")
    rot(kept)
    call(here, "dvc", "checkout")
    assert "up to date" in call(here, "dvc", "status"), "DVC trusts its cache: only `wframe check` notices"
    output = call(here, "wframe", "check", "--cache", check=False)
    assert "stale: none" in output and "orphaned: none" in output
    assert "drifted: 1" in output and "whole.tex: its bytes aren't those that rule summarise wrote" in output
    assert "corrupt: 1" in output and str(kept) in output
    kept.unlink()
    (here / "results/tables/whole.tex").unlink()
    call(here, "dvc", "pull", "--remote", "local")
    output = call(here, "wframe", "check", "--cache")
    assert output == "stale: none\ndrifted: none\nmissing: none\norphaned: none\nleftover: none\ncorrupt: none\n"

    (here / "results/runs/whole/left.parquet").write_text("from an earlier run")
    with (here / "src/wframe/figures/datasets.py").open("a") as code:
        code.write("changed = 1\n")
    assert "changes aren't committed" in call(here, "wframe", "publish", "release.zip", check=False)
    commit(here, "figures")
    assert "match this commit (2 stale, 1 orphaned)" in call(here, "wframe", "publish", "release.zip", check=False)
    output = call(here, "wframe", "check", check=False)
    assert "figures/whole/index.json: its code or configuration has changed" in output
    assert "left.parquet: no rule makes it" in output
    assert not (here / "release.zip").exists()


def test_the_page_is_traced_back_to_the_images(origin: Path):
    tree = json.loads(call(origin, "wframe", "trace", "results/report/index.html", "--json"))
    found = {node["file"]: node for node in nodes(tree) if not node.get("again")}
    manifest = json.loads((origin / "results/manifest.json").read_text())
    assert set(found) == set(manifest["outputs"]), "the page is made from everything"
    images = found["data/mine/all.npy"]["images"]
    assert [row["sha256"] for row in images] == [
        sha256_file(origin / "data/mine" / row["source"]) for row in images
    ] and len(images) == 9
    output = call(origin, "wframe", "trace", "results/figures/whole/energy.pdf")
    assert "runs/whole/mine/all/base/wframe-0/0.safetensors" in output and "beta = 60.0" in output
    assert "Did you mean results/tables/whole.csv?" in call(origin, "wframe", "trace", "whole.csv", check=False)


def test_a_release_is_verified_offline(origin: Path, tmp_path: Path):
    release = tmp_path / "release.zip"
    output = call(origin, "wframe", "publish", str(release))
    assert "image arrays left out (see --with-images): 1" in output, (
        "the folder's images may be protected; the embedded ones are free"
    )
    assert sha256_file(release) in output
    assert "are as published" in call(tmp_path, "wframe", "verify", str(release))
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(release) as archive:
        archive.extractall(unpacked)
    call(unpacked, "sha256sum", "--check", "--quiet", "SHA256SUMS")
    assert (unpacked / "results/data/faces/all.npy").exists()
    assert not (unpacked / "results/data/mine/all.npy").exists()
    crate = ROCrate(unpacked)
    assert crate.mainEntity.id == "Snakefile" and "MIT" in crate.license.id
    train = next(action for action in crate.get_by_type("CreateAction") if "mine/all/base/wframe" in action["name"])
    assert {part.id for part in train["result"]} == {
        f"results/runs/whole/mine/all/base/wframe-0/0.{ending}" for ending in ("json", "parquet", "safetensors")
    }
    assert "results/bank.safetensors" in {part.id for part in train["object"]}

    changed = tmp_path / "changed.zip"
    with zipfile.ZipFile(release) as old, zipfile.ZipFile(changed, "w") as new:
        for info in old.infolist():
            content = old.read(info)
            if info.filename == "results/tables/whole.csv":
                content = content.replace(b"faces", b"faked")
            if info.filename != "results/tables/whole.tex":
                new.writestr(info, content)
        new.writestr("results/extra.csv", "1")
    output = call(tmp_path, "wframe", "verify", str(changed), check=False)
    assert "results/tables/whole.csv: its bytes changed" in output
    assert "results/tables/whole.tex: missing" in output and "results/extra.csv: not part of the release" in output
    with zipfile.ZipFile(release) as old, zipfile.ZipFile(changed, "w") as new:
        content_twice = old.read("results/tables/whole.csv")
        for info in old.infolist():
            content = old.read(info)
            new.writestr(info, content.replace(b"MIT", b"WTF") if info.filename == METADATA else content)
        with pytest.warns(UserWarning, match="Duplicate"):
            new.writestr("results/tables/whole.csv", content_twice)
    output = call(tmp_path, "wframe", "verify", str(changed), check=False)
    assert f"{METADATA}: SHA256SUMS has another hash of it" in output
    assert "results/tables/whole.csv: is in the archive more than once" in output
    cut = tmp_path / "cut.zip"
    cut.write_bytes(release.read_bytes()[:-100])
    assert "not a complete zip file" in call(tmp_path, "wframe", "verify", str(cut), check=False)


# --- failing remotes ---------------------------------------------------------------------------------------------


class Proxy(BaseHTTPRequestHandler):
    """Forward requests to the S3 server, or fail according to `fault`: None, "cut", 403 or 500."""

    protocol_version = "HTTP/1.1"
    upstream = ""
    fault: str | int | None = None
    uploads_left = 0  # until a cut

    def forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.fault == "cut" and self.command == "PUT":
            Proxy.uploads_left -= 1
            if self.uploads_left < 0:
                self.connection.close()
                self.close_connection = True
                return
        if isinstance(self.fault, int):
            self.answer(self.fault, {}, f"<Error><Code>{self.fault}</Code></Error>".encode())
            return
        connection = HTTPConnection(self.upstream)
        connection.request(self.command, self.path, body, dict(self.headers))
        response = connection.getresponse()
        self.answer(response.status, dict(response.getheaders()), response.read())

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                self.send_header(name, value)
        length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = forward

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def faulty(moto: str) -> Iterator[str]:
    """The address of a proxy in front of the S3 server; `Proxy` controls how it fails."""
    Proxy.upstream, Proxy.fault = moto.removeprefix("http://"), None
    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A repository with this project's DVC settings and six files of a megabyte."""
    folder = tmp_path / "small"
    shutil.copytree(ROOT / ".dvc", folder / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp", "config.local"))
    call(folder, "git", "init", "--quiet", "--initial-branch", "main")
    (folder / "runs").mkdir()
    for index in range(6):
        (folder / f"runs/{index}.npy").write_bytes(np.random.default_rng(index).bytes(1 << 20))
    call(folder, "dvc", "add", "--quiet", "runs")
    commit(folder, "runs")
    return folder


def runs_of(folder: Path) -> dict[str, str]:
    return {path.name: sha256_file(path) for path in (folder / "runs").iterdir()}


ONCE = {"AWS_MAX_ATTEMPTS": "1"}  # no retries: the fault would persist


def test_a_failed_push_is_reported_and_resumes(small: Path, faulty: str):
    """Refused, failing or disconnected after three files: an error each time; then the same command completes it."""
    use_s3(small, faulty, "faulty")
    for fault, words in ((403, "403|Forbidden|Access Denied"), (500, "500|Internal Server Error"), ("cut", "closed")):
        Proxy.fault, Proxy.uploads_left = fault, 3
        output = call(small, "dvc", "push", check=False, **ONCE)
        assert "ERROR" in output and re.search(words, output, re.IGNORECASE), output
        assert "Traceback" not in output
    Proxy.fault = None
    output = call(small, "dvc", "push")
    assert "file" in output and "pushed" in output, output
    other = clone(small, small.parent / "other")
    use_s3(other, faulty, "faulty")
    Proxy.fault = 403
    assert "ERROR" in call(other, "dvc", "pull", check=False, **ONCE)
    Proxy.fault = None
    call(other, "dvc", "pull")
    assert runs_of(other) == runs_of(small)


def test_a_corrupt_object_in_the_store_is_never_taken_for_data(small: Path):
    call(small, "dvc", "push")
    other = clone(small, small.parent / "other")
    store = small.parent / "wframe-store"
    rot(object_of(small / "runs/3.npy", store))
    output = call(other, "dvc", "pull", check=False)
    assert "ERROR: failed to pull" in output and "runs" in output
    assert not (other / "runs/3.npy").exists()
    # a push trusts the store's *.dir objects to be complete: without them it checks every file
    for path in (object_of(small / "runs/3.npy", store), *store.rglob("*.dir")):
        path.unlink()
    call(small, "dvc", "push")
    call(other, "dvc", "pull")
    assert runs_of(other) == runs_of(small)


def object_of(file: Path, store: Path) -> Path:
    """Return where a store or cache keeps a file's content."""
    digest = hashlib.md5(file.read_bytes()).hexdigest()
    return store / "files/md5" / digest[:2] / digest[2:]


def rot(path: Path) -> None:
    """Change bytes like a bad disk does: size, time stamp and mode stay the same."""
    state = path.stat()
    path.chmod(0o644)
    path.write_bytes(b"rotten" + path.read_bytes()[6:])
    path.chmod(state.st_mode)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounting a small disk needs Linux and root")
def test_a_full_disk_is_reported_and_the_same_command_resumes(small: Path, tmp_path: Path):
    call(small, "dvc", "push")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=5m", "none", str(disk)], capture_output=True).returncode:
        pytest.skip("mount isn't allowed here")
    try:
        other = clone(small, disk / "other")
        call(other, "dvc", "remote", "modify", "--local", "local", "url", str(small.parent / "wframe-store"))
        output = call(other, "dvc", "pull", check=False)
        assert "ERROR" in output and "No space left on device" in output, "no space to fetch"
        assert "Traceback" not in output
        subprocess.run(["mount", "-o", "remount,size=9m", str(disk)], check=True)
        output = call(other, "dvc", "pull", check=False)
        assert "ERROR" in output and "Checkout failed" in output, "space for the cache, but not for the checkout"
        assert "No space left on device" in call(other, "dvc", "pull", "--verbose", check=False)
        subprocess.run(["mount", "-o", "remount,size=40m", str(disk)], check=True)
        assert "fetched" not in call(other, "dvc", "pull"), "nothing is fetched twice"
        assert runs_of(other) == runs_of(small)
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
