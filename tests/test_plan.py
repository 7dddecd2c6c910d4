"""What an edition costs, and how its runs are cut into jobs."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import ROOT, TINY

from wframe.__main__ import main
from wframe.config.edition import check
from wframe.errors import UserError
from wframe.jobs import runs as plan


def test_the_papers_plan_is_printed(capsys: pytest.CaptureFixture, tmp_path: Path):
    """All of CIFAR-10 is 5,556 groups, about 97 PFLOP per method; the table shows both, and the total."""
    assert (
        main(["plan", "--configfile", str(ROOT / "config/paper.yaml"), "--on", "H200", "--results", str(tmp_path)]) == 0
    )
    text = capsys.readouterr().out
    (row,) = [line.split() for line in text.splitlines() if "cifar10-unlabelled" in line and "wframe" in line]
    assert row[:5] == ["whole", "cifar10-unlabelled", "wframe", "32", "5,556"]
    assert float(row[5]) == pytest.approx(5556 * 9 * 100 * 103 * 192.3e6 / 1e15, rel=0.01)
    assert "H200" in text and "Total:" in text


def test_a_short_plan_is_in_seconds(capsys: pytest.CaptureFixture, tmp_path: Path):
    argv = ["plan", "--configfile", str(ROOT / "config/demo.yaml"), "--on", "H100", "--results", str(tmp_path)]
    assert main(argv) == 0
    assert re.search(r"Total: \d+\.\d s of training in", capsys.readouterr().out)


def test_this_machine_is_measured(capsys: pytest.CaptureFixture, tmp_path: Path):
    small = {"source": "embedded", "path": "digits", "size": 16, "images": 9}
    edition = {"edition": "small", "datasets": {"digits": small}, "studies": {"whole": {"datasets": ["digits"]}}}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(edition))
    assert main(["plan", "--configfile", str(tmp_path / "small.yaml"), "--results", str(tmp_path)]) == 0
    assert "GFLOP/s at 16×16" in " ".join(capsys.readouterr().out.split())


def test_jobs_take_the_editions_target_time():
    values = TINY | {
        "job": {"gpu": "V100", "target_minutes": 0.5},
        "learning": {"T": 100, "L": 50},
        "datasets": {"faces": {"source": "embedded", "path": "faces", "size": 32, "images": 100}},
        "studies": {"whole": {"datasets": ["faces"]}},
    }
    jobs = plan.shards(check(values), "whole", "faces", "base")
    seconds = 12 * 9 * 100 * 103 * 192.3e6 / (15.7e12 * 0.3)
    assert jobs == -(-seconds // 30) > 1
    fixed = values | {"studies": {"whole": {"datasets": ["faces"], "shards": 3}}}
    assert plan.shards(check(fixed), "whole", "faces", "base") == 3
    no_gpu = values | {"job": {}}
    assert plan.shards(check(no_gpu), "whole", "faces", "base") == 1


def test_a_limit_below_the_target_is_refused():
    with pytest.raises(UserError, match=r"must be at least twice target_minutes \(30"):
        check(TINY | {"job": {"gpu": "A100", "minutes": 40}})


def test_prepared_images_are_counted(tmp_path: Path):

    from wframe.jobs.plan import groups_of_class

    values = TINY | {
        "datasets": {"faces": {"source": "embedded", "path": "faces"}},
        "studies": {"whole": {"datasets": ["faces"]}},
    }
    edition = check(values)
    assert groups_of_class(edition, "whole", "faces", "all", tmp_path) is None
    (tmp_path / "data/faces").mkdir(parents=True)
    np.save(tmp_path / "data/faces/all.npy", np.zeros((19, 4, 4, 3), np.uint8))
    assert groups_of_class(edition, "whole", "faces", "all", tmp_path) == 3
