"""What a run says: one line for each finished job in a log, bars on a terminal, errors in full."""

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SNAKEFILE = """
rule all:
    input: expand("out/{name}.txt", name=["a", "b"])

rule make:
    output: "out/{name}.txt"
    log: "logs/{name}.log"
    shell: "echo because {wildcards.name} > {log}; test {wildcards.name} != %s; touch {output}"
"""


def argv(folder: Path, *options: str, fails: str = "nothing") -> list[str]:
    """Return the command that runs two small jobs in `folder`."""
    (folder / "Snakefile").write_text(SNAKEFILE % fails)
    (folder / "config.yaml").write_text("cores: 1\nlogger: wframe\nshow-failed-logs: true\n")
    files = ["--snakefile", str(folder / "Snakefile"), "--profile", str(folder / "config.yaml")]
    return [sys.executable, "-m", "snakemake", "--directory", str(folder), *files, *options]


def run(*command: str) -> tuple[int, str]:
    """Run a command; return its status and all that it says."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def test_a_log_has_a_line_for_each_job(tmp_path: Path):
    status, dry = run(*argv(tmp_path, "--dry-run"))
    assert status == 0 and "rule make:" in dry and "reason: Missing output files" in dry, "-n says what, and why"
    status, said = run(*argv(tmp_path))
    assert status == 0 and "3 jobs: 2 make, 1 all" in said and "reason:" not in said
    assert re.findall(r"^\d\d:\d\d:\d\d  (\d/\d  .*)$", said, re.MULTILINE)[-1] == "3/3  all"
    assert sorted(re.findall(r"make (\w)$", said, re.MULTILINE)) == ["a", "b"] and len(said.splitlines()) < 12


def test_an_error_is_shown_in_full(tmp_path: Path):
    status, said = run(*argv(tmp_path, fails="b"))
    assert status != 0 and "Error in rule make" in said and "because b" in said and "Traceback" not in said


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_says_how_to_go_on(tmp_path: Path, stop: signal.Signals):
    command = argv(tmp_path)
    rules = (tmp_path / "Snakefile").read_text().replace('shell: "', """shell: "trap '' INT; echo begun; sleep 2; """)
    (tmp_path / "Snakefile").write_text(rules)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout
    said = ""
    while "begun" not in said and (line := process.stdout.readline()):
        said += line
    process.send_signal(stop)
    said += process.communicate()[0]
    assert process.returncode != 0 and said.strip().endswith("Stopped. Run the same command again to resume.")
    assert said.count("Will exit after finishing") + said.count("Terminating processes") == 1
    assert "WorkflowError" not in said and "Traceback" not in said


def test_a_terminal_has_bars(tmp_path: Path):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        argv(tmp_path), stdout=theirs, stderr=theirs, env=os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    assert process.wait() == 0
    assert b"Workflow Progress" in shown and b"Traceback" not in shown
