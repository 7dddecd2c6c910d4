"""The cluster profile on a real Slurm: one node with fake GPUs, started and stopped by these tests.

Two workflows run in parallel: one goes through every fault that can hit jobs on a cluster, the other through a full
disk and a deleted input. A local run of the same edition gives the expected bytes. Before a fault, a training is held
(SIGSTOP) at its first checkpoint, so that fast and slow machines behave the same.
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
T = 150  # learning iterations
EDITION: dict[str, Any] = {
    "edition": "cluster",
    "theory": False,
    "device": "cpu",
    "job": {"minutes": 10, "memory_mb": 1000, "checkpoint_seconds": 0.2},
    "learning": {"T": T, "L": 1},
    "datasets": {"faces": {"source": "embedded", "path": "faces", "size": 16, "images": 9}},
    "studies": {"whole": {"datasets": ["faces"], "repeats": 2}},
}
Value = TypeVar("Value")
DRIVERS: list["Driver"] = []  # all drivers started, to kill any that a failed test leaves running


def until(condition: Callable[[], Value], problem: str, seconds: float = 120) -> Value:
    """Wait until `condition` returns something true, and return it; `problem` describes a timeout."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"timed out after {seconds} s: {problem}"
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
    job: str  # Slurm's job number
    attempts: int = 0  # attempts at its shard, including this one

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    @property
    def gone(self) -> bool:
        return not Path(f"/proc/{self.pid}").exists()


@dataclass
class Driver:
    """Snakemake submitting to Slurm, for the edition in `folder`."""

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
    def output(self) -> str:
        return self.log.read_text()

    @property
    def tail(self) -> str:
        return self.output[-3000:]

    @property
    def name(self) -> str:
        """The name of all jobs of this start."""
        return re.search(r"SLURM run ID: (\S+)", self.output)[1]  # type: ignore[index]

    def wait(self, seconds: float = 240) -> int:
        """Wait for the driver to end; return its exit status."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(self.tail) from None

    def trainings(self) -> list[Training]:
        """Return the running trainings."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                argv = (process / "cmdline").read_text().split("\0")
                python = Path(argv[0]).name.startswith("python") and "wframe" in argv[:4] and "train" in argv
                if not python or (process / "cwd").readlink() != self.folder:
                    continue
                environment = dict(line.partition("=")[::2] for line in (process / "environ").read_text().split("\0"))
                name = Path(argv[argv.index("--out") + 1]).parent.name
                found.append(Training(int(process.name), name, environment["SLURM_JOB_ID"]))
            except (OSError, KeyError):  # it has just ended
                continue
        return found

    def attempts(self, training: Training) -> list[dict]:
        """Return the recorded attempts of a running training's shard, once it has recorded itself."""
        for file in (self.folder / "results/checkpoints").glob("*-attempts.json"):
            attempts = json.loads(file.read_text())
            if attempts[-1]["slurm_job"] == training.job:
                return attempts
        return []

    def hold(self, count: int, after: list[Training] | None = None) -> list[Training]:
        """Pause trainings (SIGSTOP), each after its first checkpoint; with `after`, the next attempts of those."""
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

        until(all_held, f"only {list(held)} have checkpoints\n{self.tail}")
        return [held[name] for name in sorted(held)]


class Cluster:
    """A one-node Slurm, started by tests/slurm/cluster.sh."""

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
        """Return jobs and their states, of one driver's start or of all."""
        only = ["--name", name] if name else []
        lines = call("squeue", "-h", "--states=all", "-o", "%i %T", *only).splitlines()
        return dict(line.split() for line in lines)  # type: ignore[misc]

    def kill_slurmd(self) -> None:
        os.kill(int((self.folder / "slurmd.pid").read_text()), signal.SIGKILL)

    def lose_node(self) -> None:
        """Kill everything that runs on the node at once, like a power failure."""
        self.kill_slurmd()
        self.kill_jobs()

    def kill_jobs(self) -> None:
        """Kill all processes of jobs, and Slurm's daemons that supervise them."""
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


def stop_abandoned() -> None:
    """Stop the Slurm of a killed test session."""
    owner = Path("/run/slurm/conf/owner")
    if owner.exists() and not Path(f"/proc/{owner.read_text()}").exists():
        call("bash", str(ROOT / "tests/slurm/cluster.sh"), "stop", str(owner.parent.resolve()))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running Slurm."""
    if os.geteuid() != 0:
        pytest.skip("starting a Slurm needs root")
    stop_abandoned()
    if own := [place for place in ("/etc/slurm/slurm.conf", "/run/slurm/conf") if Path(place).exists()]:
        pytest.skip(f"this machine already has a Slurm: {own[0]}")
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
    """Return options for the shipped profile and a site's own on top, as in docs/cluster.md, with fast polling."""
    shipped = yaml.safe_load((ROOT / "profiles" / variant / "config.yaml").read_text())
    own = {"slurm-init-seconds-before-status-checks": 1, "latency-wait": 5}
    own["set-resources"] = {"train": shipped["set-resources"]["train"] | train}
    (folder / "site").mkdir(exist_ok=True)
    (folder / "site/config.yaml").write_text(yaml.safe_dump(own))
    return ["--profile", str(ROOT / "profiles/slurm"), "--workflow-profile", str(folder / "site")]


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A local run of the same edition, up to training."""
    folder = tmp_path_factory.mktemp("local")
    run(folder, EDITION, "--until", "train")
    return folder


@dataclass
class Faults:
    """What was observed while faults hit the jobs."""

    folder: Path
    logs: list[str]  # each driver's log
    status: int  # the last driver's exit status
    hit: list[list[Training]]  # the trainings that were hit, attempt by attempt
    untouched: bool  # trainings kept running while slurmd was down
    second_driver: str  # the output of a second driver
    waiting: dict[str, str]  # the queue while the node was drained


def run_through_faults(cluster: Cluster, folder: Path) -> Faults:
    """Run the edition to the page through all faults; one of the four shards is left alone."""
    (folder / "edition.yaml").write_text(yaml.safe_dump(EDITION))
    driver = Driver(folder, site(folder, gpu=1))  # the edition's device is the CPU, so it doesn't request a GPU itself
    driver.start()
    node = f"nodename={cluster.node}"

    # slurmd dies and is restarted; a job is cancelled; a training is killed; a job gets close to its time limit
    hit = [driver.hold(3)]
    cancelled, killed, late = hit[0]
    cluster.kill_slurmd()
    time.sleep(1)
    cluster.script("slurmd")
    until(lambda: cluster.state() in ("mixed", "allocated"), "slurmd didn't come back")
    untouched = not any(training.gone for training in hit[0])
    call("scontrol", "update", f"jobid={late.job}", "TimeLimit=2")  # equal to the warning time, so it is due now
    call("scancel", cancelled.job)
    killed.send(signal.SIGKILL)
    second = subprocess.run(driver.argv(), cwd=folder, capture_output=True, text=True)

    # the next attempts are preempted
    hit.append(driver.hold(3, after=hit[-1]))
    urgent = ["sbatch", "--parsable", "-o", "/dev/null", "-p", "urgent", f"--gpus={GPUS}", "--mem=100"]
    job = call(*urgent, "--wrap", "sleep 1").strip()
    until(lambda: cluster.jobs().get(job) == "COMPLETED", "the urgent job didn't run")

    # then the node is lost
    hit.append(driver.hold(3, after=hit[-1]))
    cluster.lose_node()
    call("scontrol", "update", node, "state=down", "reason=lost")
    cluster.script("slurmd")
    until(lambda: not cluster.state().startswith("down"), "the node didn't come back")

    # the node is drained and the driver killed; as documented, its jobs are cancelled and the same command is run,
    # this time with the profile for sites that want --gres
    hit.append(driver.hold(3, after=hit[-1]))
    call("scontrol", "update", node, "state=drain", "reason=test")
    driver.process.kill()
    driver.process.wait()
    logs = [driver.output]
    call("scancel", "--name", driver.name)
    until(lambda: all(training.gone for training in hit[-1]), "scancel didn't end the trainings", 30)
    driver.options = site(folder, "slurm-gres")
    subprocess.run(driver.argv("--unlock"), cwd=folder, check=True, capture_output=True)
    driver.start()
    until(lambda: driver.output.count("has been submitted") == 3, f"no jobs from the new driver\n{driver.tail}")
    time.sleep(1)
    waiting = cluster.jobs(driver.name)
    call("scontrol", "update", node, "state=resume")
    status = driver.wait()
    return Faults(folder, [*logs, driver.output], status, hit, untouched, second.stdout + second.stderr, waiting)


@dataclass
class FileFaults:
    """What was observed when a job's input was missing, and when the disk was full."""

    folder: Path
    without_input: tuple[int, str]  # exit status and log of the driver
    full_disk: tuple[int, str]


def run_through_file_faults(cluster: Cluster, folder: Path, local: Path) -> FileFaults:
    """Train one shard on a small disk; delete its input while it waits, and fill the disk while it runs."""
    study = {"datasets": ["faces"], "methods": ["wframe"]}
    (folder / "edition.yaml").write_text(yaml.safe_dump(EDITION | {"studies": {"whole": study}}))
    results = folder / "results"
    results.mkdir()
    call("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(results))
    (results / "stamps").mkdir()
    for name in ("data", "bank.safetensors", "stamps/data", "stamps/bank.safetensors.json"):
        copy = shutil.copytree if (local / "results" / name).is_dir() else shutil.copy
        copy(local / "results" / name, results / name)
    shutil.copytree(local / ".snakemake/metadata", folder / ".snakemake/metadata")
    driver = Driver(folder, [*site(folder, slurm_partition="spare"), "--until", "train"])

    call("scontrol", "update", "partitionname=spare", "state=down")
    driver.options += ["--retries", "0"]
    driver.start()
    until(lambda: "has been submitted" in driver.output, f"no job\n{driver.tail}")
    (results / "data/faces/all.npy").unlink()
    call("scontrol", "update", "partitionname=spare", "state=up")
    without_input = driver.wait(), driver.output

    driver.options = driver.options[:-2]
    driver.start()
    (training,) = driver.hold(1)
    with (results / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4096))
    os.truncate(results / "filler", (results / "filler").stat().st_size - 32 * 1024)  # for logs: no checkpoint fits
    training.send(signal.SIGCONT)
    until(lambda: training.gone, "training didn't notice the full disk")
    (results / "filler").unlink()
    return FileFaults(folder, without_input, (driver.wait(), driver.output))


@pytest.fixture(scope="session")
def ran(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[tuple[Faults, FileFaults, Path]]:
    """All runs, in parallel: jobs mostly wait for Slurm, and drivers for jobs."""
    faults, file_faults = tmp_path_factory.mktemp("faults"), tmp_path_factory.mktemp("file-faults")
    with ThreadPoolExecutor() as threads:
        first = threads.submit(run_through_faults, cluster, faults)
        local = request.getfixturevalue("local")
        second = threads.submit(run_through_file_faults, cluster, file_faults, local)
        try:
            yield first.result(), second.result(), local
        finally:
            if (file_faults / "results").is_mount():
                call("umount", "--lazy", str(file_faults / "results"))


def shards(folder: Path) -> dict[str, tuple[list[bytes], dict]]:
    """Return the training outputs and records of a run: name → (bytes, record)."""
    found = {}
    for record in sorted((folder / "results/runs").rglob("*.json")):
        files = [record.with_suffix(ending).read_bytes() for ending in (".safetensors", ".parquet")]
        found[record.parent.name] = files, json.loads(record.read_text())
    return found


def all_resumed(attempts: list[dict]) -> bool:
    """Return whether each attempt resumed where the last one was saved, and each iteration was done exactly once."""
    done = 0
    for attempt in attempts:
        if attempt["resumed_from"] != (done or None):
            return False
        done += attempt["iterations"]
    return done == T


def test_an_edition_reaches_its_page_through_slurm(ran):
    faults, _, _ = ran
    assert faults.status == 0, faults.logs[-1][-3000:]
    page = (faults.folder / "results/report/index.html").read_text()
    assert "cluster" in page and (faults.folder / "results/manifest.json").exists()


def test_the_bytes_are_those_of_a_local_run(ran):
    faults, file_faults, local = ran
    right = shards(local)
    for folder, names in ((faults.folder, set(right)), (file_faults.folder, {"wframe-0"})):
        found = shards(folder)
        assert set(found) == names
        for name, (files, record) in found.items():
            assert files == right[name][0], name
            assert record["threads"] == right[name][1]["threads"] == 1


def test_training_resumes_after_each_fault(ran):
    """Every attempt resumes where the last one was saved: no iteration is repeated, none is skipped."""
    faults, _, _ = ran
    finished = shards(faults.folder)
    hit = [[training.name for training in attempt] for attempt in faults.hit]
    assert hit == [hit[0]] * 4 and len(finished) == 4
    for name, (_, record) in finished.items():
        attempts = record["attempts"]
        assert len(attempts) == (5 if name in hit[0] else 1), name
        assert all_resumed(attempts) and all(attempt["iterations"] > 0 for attempt in attempts), name
        jobs = [attempt["slurm_job"] for attempt in attempts]
        assert len(set(jobs)) == len(jobs) - (name in hit[0]), "only the lost node's job kept its number"
        assert record["resumed"] == len(attempts) - 1


def test_finished_shards_are_not_rerun(ran):
    faults, _, _ = ran
    (alone,) = set(shards(faults.folder)) - {training.name for training in faults.hit[0]}
    method, repeat = alone.split("-")
    ended = re.findall(r"^\S+  \d+/\d+  train (\S+)$", "".join(faults.logs), re.MULTILINE)
    assert sum(f"/{method}/{repeat}/" in job for job in ended) == 1


def test_signals_reach_the_training_and_save_it(ran):
    """The driver shows the logs of failed jobs: cancelled (SIGTERM), and near the time limit (SIGUSR1)."""
    faults, _, _ = ran
    for number in ("SIGTERM", "SIGUSR1"):
        assert f"stopped by {number} after iteration" in faults.logs[0]
    assert f"on {os.uname().nodename}" in faults.logs[0], "the log names the node"
    for training in faults.hit[0]:
        assert re.search(rf"results/logs/slurm/rule_train/\S*/{training.job}\.log", faults.logs[0])


def test_jobs_survive_without_slurmd_and_wait_for_a_drained_node(ran):
    faults, _, _ = ran
    assert faults.untouched
    assert list(faults.waiting.values()) == ["PENDING"] * 3


def test_a_second_driver_is_refused(ran):
    faults, _, _ = ran
    assert "--unlock" in faults.second_driver and "lock" in faults.second_driver.lower()


def test_each_job_has_its_own_gpu(ran):
    """According to the jobs' records, each has one device, and no device is used twice at a time."""
    faults, _, _ = ran
    spans = []
    for _, record in shards(faults.folder).values():
        for attempt in record["attempts"]:
            begin = datetime.fromisoformat(attempt["began"]).timestamp()
            spans.append((attempt["cuda_visible_devices"], begin, begin + attempt["seconds"]))
    assert {device for device, _, _ in spans} <= {str(index) for index in range(GPUS)} and len(spans) == 16
    for at in {begin for _, begin, _ in spans}:
        used = [device for device, begin, end in spans if begin <= at < end]
        assert len(used) == len(set(used)) <= GPUS


def test_a_deleted_input_is_reported_and_remade(ran):
    _, file_faults, _ = ran
    status, output = file_faults.without_input
    assert status != 0 and "MissingOutputException in rule train" in output
    assert "of which one may be missing: results/data/faces/all.npy" in output


def test_a_full_disk_is_reported_and_training_resumes(ran):
    _, file_faults, _ = ran
    status, output = file_faults.full_disk
    assert status == 0, output[-3000:]
    assert re.search(r"the disk is full.*\(Slurm job \d+ on node \w+\)", output)
    ((_, record),) = shards(file_faults.folder).values()
    # the other workflow's lost node may have hit this one's last attempt
    assert len(record["attempts"]) >= 2 and all_resumed(record["attempts"])


def test_an_error_names_the_job_and_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    assert (
        main(["train", "--observed", str(tmp_path / "all.npy"), "--out", str(tmp_path / "0"), "--device", "cpu"]) == 2
    )
    message = capsys.readouterr().err
    assert "all.npy: there are no such images" in message
    assert f"(Slurm job 42 on node {os.uname().nodename})" in message


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_job_without_its_gpu_stops_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    assert main(["train", "--observed", "all.npy", "--out", str(tmp_path / "0"), "--device", "cuda"]) == 2
    message = capsys.readouterr().err
    assert "PyTorch sees no GPU here" in message and "Slurm job 42" in message
    assert not list(tmp_path.iterdir())


def test_the_paper_edition_submits_as_many_jobs_as_documented(tmp_path: Path):
    argv = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--dry-run"]
    argv += ["--configfile", str(ROOT / "config/paper.yaml"), "--profile", str(ROOT / "profiles/slurm")]
    environment = os.environ | {"WFRAME_DATA": str(tmp_path)}
    done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    submitted = ("^rule train:", "^rule baseline:", "^rule score:", "Group job prepare")
    measurements = re.findall(r"^rule (\w+):", (ROOT / "workflow/rules/measurements.smk").read_text(), re.MULTILINE)
    submitted += (f"^rule (?:{'|'.join(measurements)}):", "^rule theory:")
    counts = [len(re.findall(pattern, done.stdout, re.MULTILINE)) for pattern in submitted]
    train, baseline, score, prepare, measure, theory = counts
    text = " ".join((ROOT / "docs/cluster.md").read_text().split())
    sentence = (
        f"submits {sum(counts)} jobs: {train} train, {baseline} train baselines, {score} score, "
        f"{prepare} prepare images (four classes each), {measure} measure and {theory} checks the theory"
    )
    assert sentence in text, f"docs/cluster.md gives other numbers: {sentence}"


def test_two_jobs_on_the_same_shard_do_no_harm(ran, tmp_path: Path):
    """A job of a killed driver and one of the next driver may train the same shard."""
    _, _, local = ran
    files, record = shards(local)["wframe-0"]
    argv = [sys.executable, "-m", "wframe", *record["command"][1:]]
    argv[argv.index("--out") + 1] = str(tmp_path / "0")
    argv[argv.index("--checkpoints") + 1] = str(tmp_path / "checkpoints")
    both = [subprocess.Popen(argv, cwd=local, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    logs = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], logs
    assert [(tmp_path / f"0.{ending}").read_bytes() for ending in ("safetensors", "parquet")] == files
