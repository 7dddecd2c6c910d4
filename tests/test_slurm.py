"""The cluster profile on a real Slurm: one node with pretend GPUs, started and stopped here.

One workflow goes through everything that befalls jobs on a cluster, another one through a full disk and a deleted
input, side by side; a local run of the same edition says which bytes are right. A training that is to be hit is held
(SIGSTOP) at its first checkpoint, so that fast and slow machines meet the same.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml
from conftest import ROOT, run

pytestmark = pytest.mark.xdist_group("slurm")

GPUS = 4
T = 400  # learning iterations
EDITION: dict[str, Any] = {
    "edition": "cluster",
    "device": "cpu",
    "job": {"minutes": 10, "memory_mb": 1000, "checkpoint_seconds": 0.2},
    "learning": {"T": T, "L": 1},
    "datasets": {"faces": {"source": "embedded", "path": "faces", "size": 16, "images": 9}},
    "studies": {"whole": {"datasets": ["faces"], "repeats": 2}},
}
Value = TypeVar("Value")


def until(what: Callable[[], Value], why: str, seconds: float = 120) -> Value:
    """Wait until `what` returns something true, and return it."""
    end = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < end, f"waited {seconds} s in vain: {why}"
        time.sleep(0.05)
    return value


def call(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


@dataclass
class Training:
    """A running `wframe train`."""

    pid: int
    name: str  # "frame-0"
    job: str  # Slurm's

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    @property
    def gone(self) -> bool:
        return not Path(f"/proc/{self.pid}").exists()


@dataclass
class Driver:
    """Snakemake beside a Slurm, for the edition in `folder`."""

    folder: Path
    options: list[str]
    starts: int = 0

    def start(self) -> None:
        self.starts += 1
        self.log = self.folder / f"driver-{self.starts}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(self.argv(), cwd=self.folder, stdout=log, stderr=subprocess.STDOUT)

    def argv(self, *more: str) -> list[str]:
        argv = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        return [*argv, "--configfile", str(self.folder / "edition.yaml"), *self.options, *more]

    @property
    def said(self) -> str:
        return self.log.read_text()

    @property
    def lately(self) -> str:
        return self.said[-3000:]

    @property
    def name(self) -> str:
        """The name of all jobs of this start."""
        return re.search(r"SLURM run ID: (\S+)", self.said)[1]  # type: ignore[index]

    def ends(self, seconds: float = 240) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(self.lately) from None

    def trainings(self) -> list[Training]:
        """The trainings that run now."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                argv = (process / "cmdline").read_text().split("\0")
                if argv[1:4] != ["-m", "wframe", "train"] or (process / "cwd").readlink() != self.folder:
                    continue
                environment = dict(line.partition("=")[::2] for line in (process / "environ").read_text().split("\0"))
                name = Path(argv[argv.index("--out") + 1]).parent.name
                found.append(Training(int(process.name), name, environment["SLURM_JOB_ID"]))
            except (OSError, KeyError):  # it has just ended
                continue
        return found

    def attempts(self, name: str) -> list[dict]:
        """What is on record of an unfinished shard's attempts: the file that a training's process has written."""
        ids = {training.job for training in self.trainings() if training.name == name}
        for file in (self.folder / "results/checkpoints").glob("*-attempts.json"):
            attempts = json.loads(file.read_text())
            if attempts[-1]["slurm_job"] in ids:
                return attempts
        return []

    def hold(self, *names: str, after: list[Training] | None = None) -> list[Training]:
        """Stop trainings in their tracks, each after its first checkpoint; not the processes of `after`."""
        held: dict[str, Training] = {}
        old = {training.pid for training in after or []}

        def all_held() -> bool:
            for training in self.trainings():
                if training.name in names and training.name not in held and training.pid not in old:
                    attempts = self.attempts(training.name)
                    if attempts and attempts[-1]["iterations"] > 0:
                        training.send(signal.SIGSTOP)
                        held[training.name] = training
            return set(held) == set(names)

        until(all_held, f"no checkpoint of {names}, only of {list(held)}\n{self.lately}")
        return [held[name] for name in names]


class Cluster:
    """A Slurm of one node, started by tests/slurm/cluster.sh."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.script("start")
        self.node = call("sinfo", "-h", "-o", "%N").strip()

    def script(self, command: str) -> None:
        environment = os.environ | {"GPUS": str(GPUS)}
        argv = ["bash", str(ROOT / "tests/slurm/cluster.sh"), command, str(self.folder)]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def stop(self) -> None:
        call("scancel", "--me")
        self.script("stop")
        self.kill_jobs()

    def state(self) -> str:
        return call("sinfo", "-h", "-o", "%T").split()[0]

    def jobs(self, name: str | None = None) -> dict[str, str]:
        """Jobs and their states, of one driver's start or all."""
        only = ["--name", name] if name else []
        lines = call("squeue", "-h", "--states=all", "-o", "%i %T", *only).splitlines()
        return dict(line.split() for line in lines)  # type: ignore[misc]

    def kill_slurmd(self) -> None:
        os.kill(int((self.folder / "slurmd.pid").read_text()), signal.SIGKILL)

    def lose_node(self) -> None:
        """All that runs on the node goes at once, as when its power does."""
        self.kill_slurmd()
        self.kill_jobs()

    def kill_jobs(self) -> None:
        """Kill all processes of jobs, and those that watch over them."""
        lost = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                environ = (process / "environ").read_bytes()
                stepd = (process / "cmdline").read_bytes().startswith(b"slurmstepd")
            except OSError:
                continue
            if stepd or b"SLURM_JOB_ID=" in environ:
                lost.append(int(process.name))
        for pid in lost:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running Slurm."""
    if os.geteuid() != 0:
        pytest.skip("starting a Slurm takes root")
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
    if missing := [name for name in ("slurmctld", "slurmd", "munged", "squeue") if not shutil.which(name, path=path)]:
        pytest.skip(f"no {', '.join(missing)}: tests/slurm/cluster.sh install")
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        yield cluster
    finally:
        cluster.stop()


def site(folder: Path, variant: str | None = None) -> list[str]:
    """The shipped profile with a site's own on top, as docs/cluster.md has it: here quick looks and short warnings."""
    own: dict[str, Any] = {"slurm-init-seconds-before-status-checks": 1, "latency-wait": 5}
    shipped = yaml.safe_load((ROOT / "profiles" / (variant or "slurm") / "config.yaml").read_text())
    own["set-resources"] = {"train": shipped["set-resources"]["train"]}
    if variant is None:
        own["set-resources"]["train"]["gpu"] = 1  # the edition's device is the CPU: no GPU is asked for otherwise
    (folder / "site").mkdir()
    (folder / "site/config.yaml").write_text(yaml.safe_dump(own))
    return ["--profile", str(ROOT / "profiles/slurm"), "--workflow-profile", str(folder / "site")]


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A local run of the same edition, as far as training."""
    folder = tmp_path_factory.mktemp("local")
    run(folder, EDITION, "--until", "train")
    return folder


@dataclass
class Ordeal:
    """What was seen while jobs were hit."""

    folder: Path
    said: list[str]  # each driver's log
    untouched: bool  # trainings went on while slurmd was away
    second_driver: str  # what a second driver said
    waited: dict[str, str]  # the queue while the node was drained
    status: int  # the last driver's


def faults(cluster: Cluster, folder: Path) -> Ordeal:
    """Run the edition to the page, through all that befalls jobs. `wframe-1` is left alone."""
    (folder / "edition.yaml").write_text(yaml.safe_dump(EDITION))
    driver = Driver(folder, site(folder))
    driver.start()
    node = f"nodename={cluster.node}"

    # slurmd dies and comes back; a job is cancelled; a training is killed; a job comes to its time limit
    a, b, c = names = ("frame-0", "frame-1", "wframe-0")
    first = driver.hold(*names)
    cancelled, killed, late = first
    cluster.kill_slurmd()
    time.sleep(1)
    cluster.script("slurmd")
    untouched = until(lambda: cluster.state() in ("mixed", "allocated"), "slurmd isn't back") and not any(
        training.gone for training in first
    )
    call("scontrol", "update", f"jobid={late.job}", "TimeLimit=2")  # as long as the warning: it's due now
    call("scancel", cancelled.job)
    killed.send(signal.SIGKILL)
    second = subprocess.run(driver.argv(), cwd=folder, capture_output=True, text=True)

    # the next attempts are preempted
    held = driver.hold(*names, after=first)
    urgent = call("sbatch", "--parsable", "-p", "urgent", f"--gpus={GPUS}", "--mem=100", "--wrap", "sleep 1").strip()
    until(lambda: cluster.jobs().get(urgent) == "COMPLETED", "the urgent job doesn't run")

    # and then their node is lost
    held = driver.hold(*names, after=held)
    cluster.lose_node()
    until(lambda: cluster.state().startswith("down"), "Slurm doesn't see that the node is gone")
    cluster.script("slurmd")

    # the node is drained; the driver is killed; what it left is cancelled, a new driver started
    held = driver.hold(*names, after=held)
    call("scontrol", "update", node, "state=drain", "reason=test")
    driver.process.kill()
    driver.process.wait()
    said = [driver.said]
    call("scancel", "--name", driver.name)
    until(lambda: all(training.gone for training in held), "scancel doesn't end them", 30)
    subprocess.run(driver.argv("--unlock"), cwd=folder, check=True, capture_output=True)
    driver.start()
    until(lambda: driver.said.count("has been submitted") == 3, f"no jobs from the new driver\n{driver.lately}")
    time.sleep(1)
    waited = cluster.jobs(driver.name)
    call("scontrol", "update", node, "state=resume")
    status = driver.ends()
    return Ordeal(folder, [*said, driver.said], untouched, second.stdout + second.stderr, waited, status)

