"""The forkserver: its jobs are like processes of their own, and whoever stops one stops the fork."""

import gc
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from wframe.runtime import forkserver

ENVIRONMENT = {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen]:
    """A running server."""
    os.environ["PYTHONPATH"] = str(ROOT / "src")
    process = forkserver.start()
    while not Path(os.environ[forkserver.ADDRESS]).exists():
        time.sleep(0.01)
    yield process
    process.stdin.close()
    assert process.wait(10) == 0 and not Path(os.environ.pop(forkserver.ADDRESS)).parent.exists()


def job(folder: Path, *command: str, **environment: str) -> subprocess.Popen:
    """Start a job of the workflow that reads and writes nothing of the results."""
    step = json.dumps({"rule": "train", "wildcards": {}, "key": "", "reads": [], "writes": []})
    argv = [sys.executable, "-P", "-m", "wframe", "--step", step, *command]
    env = os.environ | ENVIRONMENT | environment
    return subprocess.Popen(argv, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def train(folder: Path, T: int) -> subprocess.Popen:
    """Start a training of so many iterations; return once it has made its first checkpoint."""
    np.save(folder / "observed.npy", np.random.default_rng(0).integers(0, 256, (9, 16, 16, 3), dtype=np.uint8))
    options = ["--observed", "observed.npy", "--out", "out/0", "--set", f"T={T}", "--set", "L=2", "--threads", "1"]
    process = job(folder, "train", *options, "--checkpoint-every", "0")
    while T > 100 and not list(folder.glob("out/.checkpoints/*.safetensors")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    return process


def forks(server: subprocess.Popen) -> list[int]:
    """Return the server's forks that are still running."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,stat=", "--ppid", str(server.pid)], capture_output=True, text=True
    ).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if "Z" not in line.split()[1]]


def test_a_fork_has_the_callers_folder_environment_streams_and_status(server: subprocess.Popen, tmp_path: Path):
    done = train(tmp_path, 2)
    assert done.wait() == 0 and (tmp_path / "out/0.safetensors").exists()
    record = json.loads((tmp_path / "out/0.json").read_text())
    assert record["command"][1:3] == ["train", "--observed"] and "--step" not in record["command"]
    assert "wframe on images/all: on" in done.stderr.read()
    wrong = job(tmp_path, "train", "--observed", "absent.npy", "--out", "out/1")
    assert wrong.wait() == 2 and "absent.npy" in wrong.stderr.read()
    usage = job(tmp_path, "train", "--nonsense")
    assert usage.wait() == 2 and "--observed" in usage.stderr.read()
    placed = job(tmp_path, "train", "--observed", "absent.npy", "--out", "out/1", SLURM_JOB_ID="7")
    assert placed.wait() == 2 and "(Slurm job 7" in placed.stderr.read()


def test_a_signal_reaches_the_fork_which_saves_and_resumes(server: subprocess.Popen, tmp_path: Path):
    running = train(tmp_path, 3000)
    (fork,) = forks(server)
    assert fork != running.pid, "it isn't the caller that trains"
    running.send_signal(signal.SIGTERM)
    assert running.wait(20) == 75 and "stopped by SIGTERM" in running.stderr.read()
    assert forks(server) == []


def test_who_kills_the_caller_kills_the_fork(server: subprocess.Popen, tmp_path: Path):
    running = train(tmp_path, 100_000)
    assert len(forks(server)) == 1
    running.kill()
    running.wait()
    deadline = time.monotonic() + 10
    while forks(server) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert forks(server) == []


def test_a_fork_that_is_killed_ends_its_caller_in_the_same_way(server: subprocess.Popen, tmp_path: Path):
    running = train(tmp_path, 100_000)
    (fork,) = forks(server)
    os.kill(fork, signal.SIGKILL)
    assert running.wait(20) == -signal.SIGKILL


@pytest.mark.parametrize("environment", [{"OMP_NUM_THREADS": "2"}, {forkserver.ADDRESS: "/nowhere/forkserver"}])
def test_without_a_server_for_it_a_job_runs_in_its_own_process(
    server: subprocess.Popen, tmp_path: Path, environment: dict
):
    running = job(tmp_path, "train", "--observed", "absent.npy", "--out", "out/1", **environment)
    seen = []
    while running.poll() is None:
        seen += forks(server)
        time.sleep(0.01)
    assert running.returncode == 2 and seen == []


def test_a_server_is_kept_where_its_caller_does_not_keep_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(forkserver.ADDRESS, "restored afterwards")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", ResourceWarning)
        forkserver.start()
        gc.collect()
    assert not [warning for warning in warned if "still running" in str(warning.message)]
    server = forkserver.STARTED.pop()
    assert server.stdin and not server.stdin.closed
    server.stdin.close()
    assert server.wait(60) == 0


def test_the_server_outlives_the_workflow_until_its_last_fork_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    starts = "import sys, time; from wframe.runtime import forkserver as f; f.start(); print(f.os.environ[f.ADDRESS]);"
    argv = [sys.executable, "-c", starts + "sys.stdout.flush(); sys.stdin.read()"]
    env = os.environ | ENVIRONMENT
    workflow = subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    address = Path(workflow.stdout.readline().strip())
    while not address.exists():
        time.sleep(0.01)
    monkeypatch.setenv(forkserver.ADDRESS, str(address))
    running = train(tmp_path, 120)
    workflow.kill()  # without a goodbye
    assert running.wait(60) == 0 and (tmp_path / "out/0.safetensors").exists()
    while address.parent.exists():
        time.sleep(0.01)


def test_a_server_that_is_killed_ends_callers_and_forks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Also while another fork is running; a later job runs in its own process."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    monkeypatch.setenv(forkserver.ADDRESS, "")
    server = forkserver.start()
    while not Path(os.environ[forkserver.ADDRESS]).exists():
        time.sleep(0.01)
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    running = [train(folder, 100_000) for folder in folders]
    pids = forks(server)
    assert len(pids) == 2
    server.kill()
    for process in running:
        assert process.wait(20) == 1 and "the forkserver has gone" in process.stderr.read()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    alone = job(tmp_path, "train", "--observed", "absent.npy", "--out", "out/1")
    assert alone.wait(60) == 2


def test_no_import_uses_the_gpu():
    """A fork of a process that has used the GPU can't use it."""
    counted = """
import importlib, torch
for name in ("is_available", "device_count", "_lazy_init"):
    setattr(torch.cuda, name, lambda *_, name=name: exit(name))
from wframe.__main__ import COMMANDS
for module, _ in COMMANDS.values():
    importlib.import_module(module)
"""
    done = subprocess.run([sys.executable, "-c", counted], env=os.environ | ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
