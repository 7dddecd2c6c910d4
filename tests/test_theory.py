"""`wframe theory`: when a statement holds, what is committed, the page, the figure, the command."""

import argparse
import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from wframe.claims.claim import load_claims
from wframe.theory import (
    flows,
    interpolation,
    study,
    tables,
    topology,
)
from wframe.theory.statement import Measure, Statement, exactly, rounded, sampled

PAGE, FINDINGS = ROOT / "docs" / "theory.md", ROOT / "docs" / "measurements" / "theory.json"


@pytest.fixture(scope="module")
def findings() -> dict:
    """What is committed."""
    return json.loads(FINDINGS.read_text())


# --- the rule, and what is committed ------------------------------------------------------------------------------


def statement(gap: Measure | None, corrected: Measure | None = None, tolerance: float = 0.1) -> Statement:
    return Statement("id", "where", "printed", "computed", "gap", tolerance, gap, corrected)


@pytest.mark.parametrize(
    "gap, corrected, outcome",
    [
        (exactly(0.1), None, "holds"),
        (exactly(0.2), exactly(0.1), "holds if corrected"),
        (exactly(0.2), exactly(0.09, 0.02), "cannot be told"),
        (exactly(0.2), exactly(0.15, 0.02), "does not hold"),
        (exactly(0.2), None, "does not hold"),
        (exactly(0.1, 0.01), exactly(0.0), "cannot be told"),
        (None, exactly(0.0), "cannot be told"),
        (exactly(math.nan), None, "cannot be told"),
        (exactly(0.2), exactly(math.nan), "cannot be told"),
        (exactly(math.inf), None, "does not hold"),
    ],
)
def test_the_outcome_follows_from_the_gaps(gap: Measure | None, corrected: Measure | None, outcome: str):
    assert statement(gap, corrected).outcome == outcome


def test_numbers_are_written_to_what_the_computation_can_tell():
    assert [rounded(value) for value in (1.23456789, 3e-16, math.inf, math.nan)] == [1.23457, 0.0, None, None]
    part = sampled(np.array([1.0, 2.0, 3.0]))
    assert part.value == 2 and part.high - part.value == pytest.approx(1.96 / math.sqrt(3))
    record = statement(exactly(0.05)).to_json()
    assert record["outcome"] == "holds" and record["gap"] == {"value": 0.05, "low": 0.05, "high": 0.05}
    assert record["gap_if_corrected"] is None


@pytest.mark.xdist_group("theory")
def test_the_committed_findings_are_those_of_the_code(fresh: dict[str, Statement], findings: dict):
    committed = {record["id"]: record for record in findings["statements"] + findings["derived"]}
    for name, now in fresh.items():
        record, before = now.to_json(), committed[name]
        assert record["outcome"] == before["outcome"], name
        for key in ("where", "printed", "computed", "gap_is", "correction", "tolerance"):
            assert record[key] == before[key], f"{name}: run `wframe theory` again"
        for key in ("gap", "gap_if_corrected"):
            assert (record[key] is None) == (before[key] is None)
            if record[key] is not None:
                assert record[key]["value"] == pytest.approx(before[key]["value"], rel=1e-3, abs=1e-6), name
        assert [number["name"] for number in record["numbers"]] == [number["name"] for number in before["numbers"]]
        for number, old in zip(record["numbers"], before["numbers"], strict=True):
            assert number["value"] == pytest.approx(old["value"], rel=2e-3, abs=1e-6), f"{name}: {number['name']}"


def test_the_demo_finds_what_is_committed(demo: Path, findings: dict):
    """Also of the statements that need a bank and trained models."""
    found = json.loads((demo / "results/measurements/theory.json").read_text())
    for kind in ("statements", "derived"):
        for now, before in zip(found[kind], findings[kind], strict=True):
            assert (now["id"], now["outcome"]) == (before["id"], before["outcome"])
            if before["gap"] is not None:
                assert now["gap"]["value"] == pytest.approx(before["gap"]["value"], rel=5e-3, abs=1e-6), now["id"]
    page = (demo / "results/report/index.html").read_text()
    shown = re.findall(r'<tr id="theory-([^"]+)">', page)
    assert shown == [statement["id"] for statement in found["statements"]]
    (figure,) = json.loads((demo / "results/figures/theory/index.json").read_text())
    assert f"../figures/theory/{figure['name']}.png" in page


def test_the_page_is_written_from_the_findings(findings: dict):
    page = PAGE.read_text()
    assert tables.fill(page, findings) == page, "run `wframe theory --page docs/theory.md` again"
    assert all(f'<a id="{name}"></a>' in page and f"(#{name})" in page for name in study.ORDER)
    with pytest.raises(ValueError, match="summary"):
        tables.fill("a page without marks", findings)


def test_the_claims_are_the_statements(findings: dict):
    claims = {claim.id: claim for claim in load_claims(ROOT / "config" / "claims.yaml") if claim.judge == "theory"}
    assert list(claims) == [f"theory-{name}" for name in study.ORDER]
    for statement in findings["statements"]:
        claim = claims[f"theory-{statement['id']}"]
        assert (claim.of, claim.where) == ({"statement": statement["id"]}, statement["where"])
        assert claim.says.strip() == statement["printed"] and claim.expects is not None
        if statement["gap"] is not None:
            assert claim.expects.at_most == statement["tolerance"], claim.id


def test_counts_are_a_sentence():
    counted = tables.counted([{"outcome": name} for name in ("holds", "holds", "does not hold")])
    assert counted == "Of 3 statements, **2** hold, **1** does not hold."


def test_the_command_writes_findings_page_and_figure(tmp_path: Path, findings: dict, monkeypatch: pytest.MonkeyPatch):
    from wframe.theory.figure import draw

    monkeypatch.setattr(study, "study", lambda bank, seed: findings)
    parser = argparse.ArgumentParser()
    study.add_arguments(parser)
    page = tmp_path / "page.md"
    page.write_text("# Title\n" + "\n".join(f"<!-- {mark} -->\n<!-- /{mark} -->" for mark in tables.MARKS))
    out, figure = tmp_path / "theory.json", tmp_path / "theory.png"
    study.main(parser.parse_args(["--out", str(out), "--page", str(page), "--figure", str(figure), "--threads", "1"]))
    assert out.read_bytes() == FINDINGS.read_bytes()
    assert tables.summary(findings) in page.read_text()
    assert figure.read_bytes()[:4] == b"\x89PNG"
    canvas, numbers = draw(findings)
    assert len(canvas.axes) == 9 and list(canvas.get_size_inches()) == [7.0, 6.3]
    assert isinstance(numbers, pd.DataFrame) and set(numbers["panel"]) == set("abcdefghi")
    kept = numbers[(numbers["panel"] == "i") & numbers["curve"].str.startswith("kept, almost")]
    assert kept["y"].tolist() == findings["curves"]["stability"]["kept"]


def test_the_same_seed_gives_the_same_findings():
    for module in (flows, interpolation, topology):
        first, again = module.study(3), module.study(3)
        assert [s.to_json() for s in first.statements] == [s.to_json() for s in again.statements]
        assert first.curves == again.curves
