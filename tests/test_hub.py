"""The Hub's own client against a local server: whole and right, or refused with the reason."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import ROOT
from hub_server import COMMIT, Hub, running
from packed import generated, packed

A = packed([generated(k) for k in range(30)])
B = packed([generated(100 + k) for k in range(20)])
BIG = np.random.default_rng(0).bytes(24_000_000)  # the client writes 10 MB at a time
REPOSITORY = "someone/images"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running() as server:
        server.add(REPOSITORY, {"data/train-0.parquet": A, "data/train-1.parquet": B, "README.md": b"# images\n"})
        yield server


def registry(tmp_path: Path, *files: dict, copies: list[dict] | None = None, commit: str = COMMIT) -> Path:
    """A registry with one entry `thing` from the Hub, and further copies."""
    first = {"name": "hub", "source": "huggingface", "hub": f"datasets/{REPOSITORY}@{commit}", "files": list(files)}
    entry = {"title": "Things", "terms": "none", "link": "-", "copies": [first, *(copies or [])]}
    path = tmp_path / "inputs.yaml"
    path.write_text(yaml.safe_dump({"thing": entry}))
    return path


def fetch(tmp_path: Path, hub: Hub | None, path: Path, *more: str, **environment: str) -> tuple[int, str]:
    """Fetch in a process of its own, which reads its environment as a user's does; return its status and words."""
    argv = [sys.executable, "-m", "wframe", "fetch", "thing", "--registry", str(path), "--data", str(tmp_path / "data")]
    argv += ["--tries", "3", "--pause", "0.05", "--timeout", "2", *more]
    own = {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.endpoint if hub else "http://127.0.0.1:9"}
    own |= {
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
    }
    quick = "import time; time.sleep = lambda s: None; import sys; from wframe.__main__ import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", quick, *argv[3:]],
        capture_output=True,
        text=True,
        env={k: v for k, v in os.environ.items() if not k.startswith("HF_")} | own | environment,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr


def lock(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "data/inputs.lock.json"
    return json.loads(path.read_text()) if path.exists() else {}


def left(tmp_path: Path) -> list[str]:
    """What is below the entry's folder, but for its records."""
    folder = tmp_path / "data/thing"
    files = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    return [name for name in files if name not in (".lock", ".fetched.json")]


def test_files_are_complete_correct_and_locked(hub: Hub, tmp_path: Path):
    """A pattern takes what matches it; the Hub's own hashes are locked; the second time needs no server."""
    path = registry(tmp_path, {"name": "data/train-*.parquet"}, {"name": "README.md"})
    status, said = fetch(tmp_path, hub, path)
    assert status == 0, said
    assert left(tmp_path) == ["README.md", "data/train-0.parquet", "data/train-1.parquet"]
    assert (tmp_path / "data/thing/data/train-1.parquet").read_bytes() == B
    assert lock(tmp_path)["thing/data/train-0.parquet"] == hashlib.sha256(A).hexdigest()
    stamp = json.loads((tmp_path / "data/thing/.fetched.json").read_text())
    assert stamp["copy"] == "hub" and stamp["source"] == "huggingface" and stamp["hub"].endswith(COMMIT)
    assert hub.endpoint in stamp["files"]["data/train-0.parquet"]["source"]
    asked = len(hub.asked)
    assert fetch(tmp_path, hub, path)[0] == 0 and len(hub.asked) == asked
    assert fetch(tmp_path, None, path, HF_HUB_OFFLINE="1")[0] == 0


def test_a_cut_off_download_continues_where_it_stopped(hub: Hub, tmp_path: Path):
    hub.add(REPOSITORY, {"big.bin": BIG})
    hub.cuts = 1
    status, said = fetch(tmp_path, hub, registry(tmp_path, {"name": "big.bin"}))
    assert status == 0, said
    assert hub.ranges and (tmp_path / "data/thing/big.bin").read_bytes() == BIG


def test_files_that_are_complete_are_not_fetched_again(hub: Hub, tmp_path: Path):
    path = registry(tmp_path, {"name": "data/train-*.parquet"})
    hub.troubles = {"resolve/" + COMMIT + "/data/train-1": [-503]}
    assert fetch(tmp_path, hub, path)[0] == 2 and left(tmp_path) == ["data/train-0.parquet"]
    hub.troubles = {}
    hub.asked.clear()
    assert fetch(tmp_path, hub, path)[0] == 0
    assert not [asked for asked in hub.asked if "train-0" in asked] and len(left(tmp_path)) == 2


def test_a_wrong_byte_is_refused_and_not_kept(hub: Hub, tmp_path: Path):
    path = registry(tmp_path, {"name": "data/train-0.parquet"})
    hub.spoil = True
    status, said = fetch(tmp_path, hub, path)
    assert status == 2 and "which the Hub states for this commit" in said and left(tmp_path) == []
    hub.spoil = False
    assert fetch(tmp_path, hub, path)[0] == 0


def test_other_content_than_the_registry_or_the_lock_has(hub: Hub, tmp_path: Path):
    known = registry(tmp_path, {"name": "data/train-0.parquet", "sha256": "0" * 64})
    status, said = fetch(tmp_path, hub, known)
    assert status == 2 and f"the Hub states sha256 {hashlib.sha256(A).hexdigest()}, the registry 0000" in said
    assert not [asked for asked in hub.asked if "cdn" in asked], "nothing is downloaded"
    path = registry(tmp_path, {"name": "data/train-0.parquet"})
    assert fetch(tmp_path, hub, path)[0] == 0
    (tmp_path / "data/thing/data/train-0.parquet").unlink()
    hub.add(REPOSITORY, {"data/train-0.parquet": B})
    status, said = fetch(tmp_path, hub, path)
    assert status == 2 and "the lock of the first fetch" in said and left(tmp_path) == []


def test_a_commit_that_moved_or_went(hub: Hub, tmp_path: Path):
    path = registry(tmp_path, {"name": "data/train-0.parquet"})
    hub.answers_for = "f" * 40
    status, said = fetch(tmp_path, hub, path)
    assert status == 2 and f"the server answers for commit {'f' * 40} instead of {COMMIT}" in said
    gone = registry(tmp_path, {"name": "data/train-0.parquet"}, commit="e" * 40)
    status, said = fetch(tmp_path, hub, gone)
    assert status == 2 and f"the repository has no commit {'e' * 40} any more" in said
    branch = registry(tmp_path, {"name": "x"}, commit="main")
    status, said = fetch(tmp_path, hub, branch)
    assert status == 2 and "thing.copies.0.hub" in said, "a branch isn't a pinned commit"


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (401, "HF_TOKEN"),
        (403, "it is gated: accept its terms at https://huggingface.co/datasets/someone/images, then set HF_TOKEN"),
        (404, f"the repository has no commit {COMMIT} any more"),
        (429, "status 429: it limits requests"),
        (500, "status 500"),
        (503, "status 503"),
    ],
)
@pytest.mark.parametrize("route", ["/tree/", "/resolve/"])
def test_refusals_are_reported_and_the_next_copy_is_used(hub: Hub, tmp_path: Path, trouble: int, said: str, route: str):
    hub.troubles = {route: [-trouble]}
    original = {
        "name": "original",
        "source": "folder",
        "files": [{"name": "o.bin", "sources": [hub.endpoint + "/o.bin"]}],
    }
    path = registry(tmp_path, {"name": "data/train-0.parquet"}, copies=[original])
    status, words = fetch(tmp_path, hub, path)
    assert status == 2 and said in words and "o.bin: status 404" in words, words
    assert left(tmp_path) == []
    hub.plain["/o.bin"] = b"the original"
    status, words = fetch(tmp_path, hub, path)
    assert status == 0 and left(tmp_path) == ["o.bin"], words
    assert json.loads((tmp_path / "data/thing/.fetched.json").read_text())["copy"] == "original"


@pytest.mark.parametrize("trouble", [429, 500, 503])
@pytest.mark.parametrize("route", ["/tree/", "/resolve/", "/cdn/"])
def test_a_server_that_recovers(hub: Hub, tmp_path: Path, trouble: int, route: str):
    hub.troubles = {route: [trouble, trouble]}
    status, said = fetch(tmp_path, hub, registry(tmp_path, {"name": "data/train-0.parquet"}))
    assert status == 0, said


@pytest.mark.parametrize("where", ["/tree/", "/resolve/", "/cdn/"])
def test_a_trickle_counts_as_silence(hub: Hub, tmp_path: Path, where: str):
    """A server that sends 50 bytes a second is asked again; waiting would take a minute."""
    hub.trickles[where] = 1
    begin = time.monotonic()
    status, said = fetch(tmp_path, hub, registry(tmp_path, {"name": "data/train-*.parquet"}))
    assert status == 0 and left(tmp_path) == ["data/train-0.parquet", "data/train-1.parquet"], said
    assert sum(where in asked for asked in hub.asked) >= 2 and time.monotonic() - begin < 40


def test_a_token_is_used(hub: Hub, tmp_path: Path):
    hub.token = "hf_secret"
    path = registry(tmp_path, {"name": "data/train-0.parquet"})
    status, said = fetch(tmp_path, hub, path)
    assert status == 2 and "HF_TOKEN" in said
    status, said = fetch(tmp_path, hub, path, HF_TOKEN="hf_secret")
    assert status == 0, said
    assert hub.cdn_tokens == {None}, "the token goes to the Hub alone"
    assert "hf_secret" not in said + (tmp_path / "data/thing/.fetched.json").read_text()


def test_offline_with_a_full_cache_and_without(hub: Hub, tmp_path: Path):
    path = registry(tmp_path, {"name": "data/train-0.parquet"})
    for environment, more in (({"HF_HUB_OFFLINE": "1"}, ()), ({}, ("--offline",))):
        status, said = fetch(tmp_path, None, path, *more, **environment)
        assert status == 2 and "ffline" in said.lower().replace("hf_hub_offline", "offline"), said
    fill = (
        "import sys; from huggingface_hub import hf_hub_download as get; "
        "get(*sys.argv[1:3], repo_type='dataset', revision=sys.argv[3])"
    )
    home = {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.endpoint, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    argv = [sys.executable, "-c", fill, REPOSITORY, "data/train-0.parquet", COMMIT]
    subprocess.run(argv, env=os.environ | home, check=True, capture_output=True)
    asked = len(hub.asked)
    for name, (environment, more) in {"a": ({"HF_HUB_OFFLINE": "1"}, ()), "b": ({}, ("--offline",))}.items():
        status, said = fetch(tmp_path, None, path, *more, "--data", str(tmp_path / name), **environment)
        assert status == 0, said
        assert (tmp_path / name / "thing/data/train-0.parquet").read_bytes() == A
    assert len(hub.asked) == asked


def test_a_dead_server_is_reported(tmp_path: Path):
    status, said = fetch(tmp_path, None, registry(tmp_path, {"name": "data/train-0.parquet"}))
    assert status == 2 and "ConnectError" in said and "What to do: get it from https://huggingface.co/datasets/" in said


def test_files_put_in_place_by_hand_are_used(hub: Hub, tmp_path: Path):
    """Files of a known hash need no server; a Git LFS pointer isn't taken for the file."""
    path = registry(tmp_path, {"name": "data/train-0.parquet", "sha256": hashlib.sha256(A).hexdigest()})
    target = tmp_path / "data/thing/data/train-0.parquet"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    status, said = fetch(tmp_path, None, path)
    assert status == 2 and "Git LFS pointer" in said
    target.write_bytes(A)
    status, said = fetch(tmp_path, None, path)
    assert status == 0, said
