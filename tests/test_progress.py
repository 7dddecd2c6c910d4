"""`wframe progress`: how far a run is, from its files alone."""

import json
import os
import re
import shutil
import time
from pathlib import Path

import pytest
from conftest import TINY

from wframe.__main__ import main
from wframe.jobs.left_out import load_made
from wframe.runtime.progress import Progress, last_report
from wframe.use.progress import SILENT, of_run, runs


def test_a_log_is_read_as_it_is_written(capsys: pytest.CaptureFixture):
    with Progress("wframe on faces/all", 2400) as progress:
        assert last_report(capsys.readouterr().err) is None
        time.sleep(0.1)
        progress.advance(600, "iteration 3, R 0.431")
        progress._report()
        said = last_report("wframe on faces/all: on here, 1 CPU threads\n" + capsys.readouterr().err)
    assert said and said.share == 0.25 and said.note == "iteration 3, R 0.431"
    assert last_report(capsys.readouterr().err) is not None, "it ends with a line"


def test_work_that_was_finished_before_does_not_count_towards_the_rate(capsys: pytest.CaptureFixture):
    with Progress("resumed", 1000) as progress:
        progress.resume(900)
        time.sleep(0.05)
        progress.advance(1)
    said = last_report(capsys.readouterr().err)
    assert said and said.share == 0.9 and said.left >= 4


def test_every_state_is_told_from_files_alone(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    results = Path(shutil.copytree(tiny / "results", tmp_path / "results"))
    line = "wframe on x: 33%, iteration 1, R 0.713, 1,234 images·steps/s, 60 s left\n"
    jobs = {
        "whole/faces/all/base/frame-0": line,
        "whole/faces/all/base/wframe-0": line + "wframe train: device cuda: the GPU fails\n",
        "whole/digits/3/base/frame-0": line,
        "whole/digits/3/base/wframe-0": None,
    }
    for name, text in jobs.items():
        (results / f"runs/{name}/0.json").unlink()
        log = results / f"logs/train/{name}/0.log"
        log.unlink() if text is None else log.write_text(text)
    old = time.time() - 2 * SILENT
    os.utime(results / "logs/train/whole/digits/3/base/frame-0/0.log", (old, old))
    edition = load_made(results)
    states = {run.folder: of_run(results, edition, run) for run in runs(edition)}
    assert [states[name].state for name in jobs] == ["running", "failed", "stopped", "waiting"]
    assert states["whole/faces/all/base/frame-0"].R == 0.713
    assert states["whole/faces/all/base/frame-0"].seconds == pytest.approx(60 * 0.33 / 0.67)
    lost = json.loads((results / "runs/collapse/faces/all/literal/frame-0/0.json").read_text())["diverged"]
    assert main(["progress", "--results", str(results)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"whole +faces +base +frame +running +33% +1 of 3 +0.713", out)
    assert lost == 2 and f"diverged: {lost} of 2" in " ".join(out.split())
    assert "6 runs: 1 running, 1 failed, 1 stopped, 1 waiting, 2 finished." in out
    assert re.search(r"Training: .* used of about .* planned, .* left", out)
    assert "the GPU fails" in out, "why it failed"


def test_a_run_that_ended_or_never_began(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    assert len(TINY["studies"]) == 2
    assert main(["progress", "--results", str(tiny / "results")]) == 0
    assert "6 runs: 6 finished." in (out := capsys.readouterr().out) and "Training took" in out
    assert main(["progress", "--results", str(tmp_path)]) == 2
    assert "no run has been started here" in capsys.readouterr().err
