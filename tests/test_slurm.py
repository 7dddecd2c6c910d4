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
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch
import yaml
from conftest import ROOT, run

from wframe.__main__ import main

pytestmark = pytest.mark.xdist_group("slurm")

GPUS = 3
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
DRIVERS: list["Driver"] = []  # all that were started, to end what a failed test has left


def until(what: Callable[[], Value], why: str, seconds: float = 120) -> Value:
    """Wait until `what` returns something true, and return it."""
    end = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < end, f"waited {seconds} s in vain: {why}"
        time.sleep(0.05)
    return value


def call(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout


@dataclass
class Training:
    """A running `wframe train`."""

    pid: int
    name: str  # "frame-0"
    job: str  # Slurm's
    attempts: int = 0  # at its shard, this one included

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
        DRIVERS.append(self)
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

    def attempts(self, training: Training) -> list[dict]:
        """The attempts on record of a running training's shard, once it has put itself on record."""
        for file in (self.folder / "results/checkpoints").glob("*-attempts.json"):
            attempts = json.loads(file.read_text())
            if attempts[-1]["slurm_job"] == training.job:
                return attempts
        return []

    def hold(self, count: int, after: list[Training] | None = None) -> list[Training]:
        """Stop trainings in their tracks, each after its first checkpoint; with `after`, their next attempts."""
        before = {training.name: training for training in after or []}
        held: dict[str, Training] = {}

        def all_held() -> bool:
            for training in self.trainings():
                last = before.get(training.name, Training(0, training.name, "") if not after else None)
                if training.name in held or last is None or training.pid == last.pid:
                    continue
                attempts = self.attempts(training)
                if len(attempts) > last.attempts and attempts[-1]["iterations"] > 0 and len(held) < count:
                    training.send(signal.SIGSTOP)
                    training.attempts = len(attempts)
                    held[training.name] = training
            return len(held) == count

        until(all_held, f"checkpoints only of {list(held)}\n{self.lately}")
        return [held[name] for name in sorted(held)]


class Cluster:
    """A Slurm of one node, started by tests/slurm/cluster.sh."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        (folder / "owner").write_text(str(os.getpid()))
        try:
            self.script("start")
        except AssertionError:
            self.script("stop")
            raise
        self.node = call("sinfo", "-h", "-o", "%N").strip()

    def script(self, command: str) -> None:
        environment = os.environ | {"GPUS": str(GPUS)}
        argv = ["bash", str(ROOT / "tests/slurm/cluster.sh"), command, str(self.folder)]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def stop(self) -> None:
        subprocess.run(["scancel", "--me"], check=False)
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


def stop_forgotten() -> None:
    """Stop the Slurm of a test session that was killed."""
    owner = Path("/run/slurm/conf/owner")
    if owner.exists() and not Path(f"/proc/{owner.read_text()}").exists():
        call("bash", str(ROOT / "tests/slurm/cluster.sh"), "stop", str(owner.parent.resolve()))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running Slurm."""
    if os.geteuid() != 0:
        pytest.skip("starting a Slurm takes root")
    stop_forgotten()
    if own := [place for place in ("/etc/slurm/slurm.conf", "/run/slurm/conf") if Path(place).exists()]:
        pytest.skip(f"this machine has a Slurm already: {own[0]}")
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
    if missing := [name for name in ("slurmctld", "slurmd", "munged", "squeue") if not shutil.which(name, path=path)]:
        pytest.skip(f"no {', '.join(missing)}: tests/slurm/cluster.sh install")
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        yield cluster
    finally:
        for driver in DRIVERS:
            driver.process.kill()
        cluster.stop()


def site(folder: Path, variant: str = "slurm", **train: Any) -> list[str]:
    """The shipped profile and on top a site's own, as docs/cluster.md has it; here with quick looks at the queue."""
    shipped = yaml.safe_load((ROOT / "profiles" / variant / "config.yaml").read_text())
    own = {"slurm-init-seconds-before-status-checks": 1, "latency-wait": 5}
    own["set-resources"] = {"train": shipped["set-resources"]["train"] | train}
    (folder / "site").mkdir(exist_ok=True)
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
    status: int  # the last driver's
    hit: list[list[Training]]  # the trainings that were, attempt by attempt
    untouched: bool  # trainings went on while slurmd was away
    second_driver: str  # what a second driver said
    waited: dict[str, str]  # the queue while the node was drained


def go_through_faults(cluster: Cluster, folder: Path) -> Ordeal:
    """Run the edition to the page, through what befalls jobs on a cluster; one of four shards is left alone."""
    (folder / "edition.yaml").write_text(yaml.safe_dump(EDITION))
    driver = Driver(folder, site(folder, gpu=1))  # the edition's device is the CPU: it asks for no GPU by itself
    driver.start()
    node = f"nodename={cluster.node}"

    # slurmd dies and comes back; a job is cancelled; a training is killed; a job comes near its time limit
    hit = [driver.hold(3)]
    cancelled, killed, late = hit[0]
    cluster.kill_slurmd()
    time.sleep(1)
    cluster.script("slurmd")
    until(lambda: cluster.state() in ("mixed", "allocated"), "slurmd isn't back")
    untouched = not any(training.gone for training in hit[0])
    call("scontrol", "update", f"jobid={late.job}", "TimeLimit=2")  # as long as the warning: it's due
    call("scancel", cancelled.job)
    killed.send(signal.SIGKILL)
    second = subprocess.run(driver.argv(), cwd=folder, capture_output=True, text=True)

    # the next attempts are preempted
    hit.append(driver.hold(3, after=hit[-1]))
    urgent = ["sbatch", "--parsable", "-o", "/dev/null", "-p", "urgent", f"--gpus={GPUS}", "--mem=100"]
    job = call(*urgent, "--wrap", "sleep 1").strip()
    until(lambda: cluster.jobs().get(job) == "COMPLETED", "the urgent job doesn't run")

    # and then the node is lost
    hit.append(driver.hold(3, after=hit[-1]))
    cluster.lose_node()
    call("scontrol", "update", node, "state=down", "reason=lost")
    cluster.script("slurmd")
    until(lambda: not cluster.state().startswith("down"), "the node doesn't come back")

    # the node is drained, the driver killed; as documented, what it left is cancelled and the same command given;
    # now with the profile for sites that want --gres
    hit.append(driver.hold(3, after=hit[-1]))
    call("scontrol", "update", node, "state=drain", "reason=test")
    driver.process.kill()
    driver.process.wait()
    said = [driver.said]
    call("scancel", "--name", driver.name)
    until(lambda: all(training.gone for training in hit[-1]), "scancel doesn't end them", 30)
    driver.options = site(folder, "slurm-gres")
    subprocess.run(driver.argv("--unlock"), cwd=folder, check=True, capture_output=True)
    driver.start()
    until(lambda: driver.said.count("has been submitted") == 3, f"no jobs from the new driver\n{driver.lately}")
    time.sleep(1)
    waited = cluster.jobs(driver.name)
    call("scontrol", "update", node, "state=resume")
    status = driver.ends()
    return Ordeal(folder, [*said, driver.said], status, hit, untouched, second.stdout + second.stderr, waited)


@dataclass
class Mishap:
    """What was seen when a job's input was gone, and when the disk was full."""

    folder: Path
    without_input: tuple[int, str]  # exit status and log of the driver
    full_disk: tuple[int, str]


def go_through_mishaps(cluster: Cluster, folder: Path, local: Path) -> Mishap:
    """Train one shard, on a small disk, with its input deleted while it waits and the disk filled while it runs."""
    study = {"datasets": ["faces"], "methods": ["wframe"]}
    (folder / "edition.yaml").write_text(yaml.safe_dump(EDITION | {"studies": {"whole": study}}))
    results = folder / "results"
    results.mkdir()
    call("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(results))
    for name in ("data", "bank.safetensors"):
        copy = shutil.copytree if (local / "results" / name).is_dir() else shutil.copy
        copy(local / "results" / name, results / name)
    shutil.copytree(local / ".snakemake/metadata", folder / ".snakemake/metadata")
    driver = Driver(folder, [*site(folder, slurm_partition="spare"), "--until", "train"])

    call("scontrol", "update", "partitionname=spare", "state=down")
    driver.options += ["--retries", "0"]
    driver.start()
    until(lambda: "has been submitted" in driver.said, f"no job\n{driver.lately}")
    (results / "data/faces/all.npy").unlink()
    call("scontrol", "update", "partitionname=spare", "state=up")
    without_input = driver.ends(), driver.said

    driver.options = driver.options[:-2]
    driver.start()
    (training,) = driver.hold(1)
    with (results / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4096))
    training.send(signal.SIGCONT)
    until(lambda: training.gone, "the full disk isn't seen")
    (results / "filler").unlink()
    return Mishap(folder, without_input, (driver.ends(), driver.said))


@pytest.fixture(scope="session")
def ran(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[tuple[Ordeal, Mishap, Path]]:
    """All runs, side by side: jobs wait for Slurm and drivers for jobs most of the time."""
    ordeal, mishap = tmp_path_factory.mktemp("ordeal"), tmp_path_factory.mktemp("mishap")
    with ThreadPoolExecutor() as threads:
        first = threads.submit(go_through_faults, cluster, ordeal)
        local = request.getfixturevalue("local")
        second = threads.submit(go_through_mishaps, cluster, mishap, local)
        try:
            yield first.result(), second.result(), local
        finally:
            if (mishap / "results").is_mount():
                call("umount", "--lazy", str(mishap / "results"))


def shards(folder: Path) -> dict[str, tuple[list[bytes], dict]]:
    """The training outputs and records of a run: name → (bytes, record)."""
    found = {}
    for record in sorted((folder / "results/runs").rglob("*.json")):
        files = [record.with_suffix(ending).read_bytes() for ending in (".safetensors", ".parquet")]
        found[record.parent.name] = files, json.loads(record.read_text())
    return found


def each_goes_on(attempts: list[dict]) -> bool:
    """Whether each attempt went on where the one before was saved, and together they did all iterations once."""
    done = 0
    for attempt in attempts:
        if attempt["went_on_from"] != (done or None):
            return False
        done += attempt["iterations"]
    return done == T


def test_an_edition_reaches_its_page_through_slurm(ran):
    ordeal, _, _ = ran
    assert ordeal.status == 0, ordeal.said[-1][-3000:]
    page = (ordeal.folder / "results/report/index.html").read_text()
    assert "cluster" in page and (ordeal.folder / "results/manifest.json").exists()


def test_the_bytes_are_those_of_a_local_run(ran):
    ordeal, mishap, local = ran
    right = shards(local)
    for folder, names in ((ordeal.folder, set(right)), (mishap.folder, {"wframe-0"})):
        found = shards(folder)
        assert set(found) == names
        for name, (files, record) in found.items():
            assert files == right[name][0], name
            assert record["threads"] == right[name][1]["threads"] == 1


def test_each_fault_is_followed_by_a_resumption(ran):
    """Every attempt goes on where the one before was saved: no iteration is done twice, none is left out."""
    ordeal, _, _ = ran
    finished = shards(ordeal.folder)
    hit = [[training.name for training in attempt] for attempt in ordeal.hit]
    assert hit == [hit[0]] * 4 and len(finished) == 4
    for name, (_, record) in finished.items():
        attempts = record["attempts"]
        assert len(attempts) == (5 if name in hit[0] else 1), name
        assert each_goes_on(attempts) and all(attempt["iterations"] > 0 for attempt in attempts), name
        jobs = [attempt["slurm_job"] for attempt in attempts]
        assert len(set(jobs)) == len(jobs) - (name in hit[0]), "only the lost node's job came back under its number"
        assert record["resumed"] == len(attempts) - 1


def test_finished_shards_are_not_done_again(ran):
    ordeal, _, _ = ran
    (alone,) = set(shards(ordeal.folder)) - {training.name for training in ordeal.hit[0]}
    method, repeat = alone.split("-")
    starts = re.findall(r"rule train:.*?wildcards: ([^\n]*)", "".join(ordeal.said), re.DOTALL)
    assert sum(f"method={method}, repeat={repeat}" in start for start in starts if "study" in start) == 1


def test_signals_reach_the_training_and_save_it(ran):
    """The driver shows the log of what failed: cancelled (SIGTERM), near the limit (SIGUSR1)."""
    ordeal, _, _ = ran
    for number in ("SIGTERM", "SIGUSR1"):
        assert f"stopped by {number} after iteration" in ordeal.said[0]
    assert f"on {os.uname().nodename}" in ordeal.said[0], "the log says on which node it was"
    for training in ordeal.hit[0]:
        assert re.search(rf"results/logs/slurm/rule_train/\S*/{training.job}\.log", ordeal.said[0])


def test_jobs_go_on_without_slurmd_and_wait_for_a_drained_node(ran):
    ordeal, _, _ = ran
    assert ordeal.untouched
    assert list(ordeal.waited.values()) == ["PENDING"] * 3


def test_a_second_driver_is_refused(ran):
    ordeal, _, _ = ran
    assert "--unlock" in ordeal.second_driver and "lock" in ordeal.second_driver.lower()


def test_each_job_has_a_gpu_of_its_own(ran):
    """As recorded inside jobs: one device each, never the same one twice at a time."""
    ordeal, _, _ = ran
    spans = []
    for _, record in shards(ordeal.folder).values():
        for attempt in record["attempts"]:
            begin = datetime.fromisoformat(attempt["began"]).timestamp()
            spans.append((attempt["cuda_visible_devices"], begin, begin + attempt["seconds"]))
    assert {device for device, _, _ in spans} <= {str(index) for index in range(GPUS)} and len(spans) == 16
    for at in {begin for _, begin, _ in spans}:
        used = [device for device, begin, end in spans if begin <= at < end]
        assert len(used) == len(set(used)) <= GPUS


def test_a_deleted_input_is_said_and_made_again(ran):
    _, mishap, _ = ran
    status, said = mishap.without_input
    assert status != 0 and "Missing" in said and "results/data/faces/all.npy" in said
    assert f"Host: {os.uname().nodename}" in said


def test_a_full_disk_is_said_and_outlived(ran):
    _, mishap, _ = ran
    status, said = mishap.full_disk
    assert status == 0, said[-3000:]
    assert re.search(r"the disk is full.*\(Slurm job \d+ on node \w+\)", said)
    ((_, record),) = shards(mishap.folder).values()
    # the other workflow's lost node may have hit this one's last attempt
    assert len(record["attempts"]) >= 2 and each_goes_on(record["attempts"])


def test_a_job_says_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    assert (
        main(["train", "--observed", str(tmp_path / "all.npy"), "--out", str(tmp_path / "0"), "--device", "cpu"]) == 2
    )
    said = capsys.readouterr().err
    assert "all.npy: there are no such images" in said and f"(Slurm job 42 on node {os.uname().nodename})" in said


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_job_without_its_gpu_stops_before_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    assert main(["train", "--observed", "all.npy", "--out", str(tmp_path / "0"), "--device", "cuda"]) == 2
    said = capsys.readouterr().err
    assert "PyTorch sees no GPU here" in said and "Slurm job 42" in said
    assert not list(tmp_path.iterdir())


def test_the_paper_edition_submits_as_many_jobs_as_documented(tmp_path: Path):
    argv = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--dry-run"]
    argv += ["--configfile", str(ROOT / "config/paper.yaml"), "--profile", str(ROOT / "profiles/slurm")]
    environment = os.environ | {"WFRAME_DATA": str(tmp_path)}
    done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    train, baseline, score, prepare = (
        len(re.findall(pattern, done.stdout, re.MULTILINE))
        for pattern in ("^rule train:", "^rule baseline:", "^rule score:", "Group job prepare")
    )
    said = " ".join((ROOT / "docs/cluster.md").read_text().split())
    submitted = f"{train + baseline + score + prepare} jobs: {train} train, {baseline} train baselines, {score} score"
    assert f"{submitted} and {prepare} prepare" in said, "docs/cluster.md gives other numbers"


def test_two_jobs_at_one_shard_do_no_harm(ran, tmp_path: Path):
    """What is left of a killed driver and the next driver's job may meet."""
    _, _, local = ran
    files, record = shards(local)["wframe-0"]
    argv = [sys.executable, "-m", "wframe", *record["command"][1:]]
    argv[argv.index("--out") + 1] = str(tmp_path / "0")
    argv[argv.index("--checkpoints") + 1] = str(tmp_path / "checkpoints")
    both = [subprocess.Popen(argv, cwd=local, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert [(tmp_path / f"0.{ending}").read_bytes() for ending in ("safetensors", "parquet")] == files
