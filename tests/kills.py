"""Kill steps of the tiny edition at random moments, run them again, and compare every byte. Not part of the test suite.

    .venv/bin/python tests/kills.py [KILLS [SEED]]

Half of the kills come at any moment of a step, half when it has begun to write. A step is killed until it has had its
share, then it runs to its end. In the end the workflow has nothing left to do and every output is what it was.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from conftest import ROOT, TINY, run

from wframe.files import read_json, sha256_file

RULES = ("train", "prepare", "summarise", "report")
TIMES = re.compile(r"report/|manifest\.json|runs/.*\.json|stamps/|logs/|checkpoints/")  # say when, or how long it took


def commands(folder: Path) -> list[tuple[str, str, list[str]]]:
    """Return the rule, command and outputs of each job to be killed, from Snakemake's own plan."""
    said = run(folder, TINY, "--dry-run", "--forceall", "--printshellcmds").stdout
    found = []
    for line in said.splitlines():
        command, writes = re.search(r"(exec )?python -P -m wframe .*", line), re.search(r'"writes": \[(.*?)\]', line)
        rule = re.search(r'"rule": "(\w+)"', line)
        if command and writes and rule and rule[1] in RULES:
            found.append((rule[1], command[0], re.findall(r'"(.*?)"', writes[1])))
    assert {rule for rule, _, _ in found} == set(RULES), said
    return found


def start(command: str, folder: Path) -> subprocess.Popen:
    environment = {"PYTHONPATH": str(ROOT / "src"), "WFRAME_CHECKPOINT_EVERY": "0.01"}
    environment |= {"WFRAME_CLAIMS": str(ROOT / "config/claims.yaml"), "WFRAME_ROOT": str(folder / "data")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        ["bash", "-c", command], cwd=folder, env=os.environ | environment | {"PATH": path}, start_new_session=True
    )


def kill(command: str, folder: Path, seconds: float, writing: bool) -> bool:
    """Run a command and kill it; return whether it was still running then."""
    before = set(folder.glob("results/**/.*.part"))
    process, end = start(command, folder), time.monotonic() + random.uniform(0, seconds)
    while process.poll() is None and (writing or time.monotonic() < end):
        if writing and set(folder.glob("results/**/.*.part")) - before:
            time.sleep(random.uniform(0, 0.01))
            break
        time.sleep(0.001)
    running = process.poll() is None
    if running:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return running


def hashes(folder: Path) -> dict[str, str]:
    files = [path for path in (folder / "results").rglob("*") if path.is_file()]
    names = {str(path.relative_to(folder / "results")): path for path in files}
    return {name: sha256_file(path) for name, path in names.items() if not TIMES.match(name)}


def main(kills: int = 40, seed: int = 0) -> int:
    random.seed(seed)
    folder = Path(tempfile.mkdtemp(prefix="wframe-kills-"))
    run(folder, TINY)
    before, claims = hashes(folder), read_json(folder / "results/claims.json")
    jobs = commands(folder)
    killed: Counter[str] = Counter()
    for number, (rule, command, outputs) in enumerate(jobs):
        begin = time.monotonic()
        assert start(command, folder).wait() == 0, command
        seconds = time.monotonic() - begin
        for output in outputs:  # as Snakemake does before it runs a job
            (folder / output).unlink()
        for round_ in range(kills // len(jobs) + (number < kills % len(jobs))):
            killed[rule] += kill(command, folder, seconds, writing=round_ % 2 == 1)
        assert start(command, folder).wait() == 0, f"not made again after the kills: {command}"
    plan = run(folder, TINY, "--dry-run").stdout
    after = hashes(folder)
    different = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    left = [str(path) for path in folder.glob("results/**/.*.part")]
    print(f"killed: {sum(killed.values())} of {kills} tries, {dict(killed)}; {len(before)} files compared")
    print(f"different: {different}; left over: {left}; nothing to be done: {'Nothing to be done' in plan}")
    same = not different and not left and claims == read_json(folder / "results/claims.json")
    shutil.rmtree(folder)
    return int(not same or "Nothing to be done" not in plan)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
