"""Claims and verdicts: the rules on synthetic outcomes of each kind, the judges on synthetic curves."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, TINY
from synthetic import results

from wframe.claims.claim import Claim, Expects, Stated, load_claims
from wframe.claims.evidence import JUDGES, Case, Evidence, computed
from wframe.claims.many import error_rates, summarise
from wframe.claims.verdict import VERDICTS, chance, decide, judge_all, judge_claim
from wframe.config.edition import Edition, check
from wframe.errors import UserError
from wframe.files import sha256_file
from wframe.results.statistics import Estimate
from wframe.results.store import NotAvailable

NAN = math.nan


def evidence(value: float, low: float = -math.inf, high: float = math.inf, n: int = 10) -> Evidence:
    return Evidence("a statistic", Estimate(value, n, lambda level: (low, high)), "groups", frozenset())


INF = math.inf


@pytest.mark.parametrize(
    ("expects", "found", "verdict", "why"),
    [
        ({"below": 0}, evidence(-1, -2, -0.1), "reproduced", "the whole interval is below 0"),
        (
            {"below": 0},
            evidence(-1, -2, 0.5),
            "undecided",
            "it leans towards the claim; were it to stay there, roughly 16",
        ),
        ({"below": 0}, evidence(1, 0.5, 1.5), "contradicted", "no part of the interval is below 0"),
        (
            {"below": 0},
            evidence(1, -2, 4),
            "undecided",
            "it leans against the claim; were it to stay there, roughly 90",
        ),
        ({"below": 0}, evidence(0, -1, 1), "undecided", "it leans neither way"),
        ({"below": 0}, evidence(0, 0, 0), "undecided", "it leans neither way"),
        ({"below": 0}, evidence(-INF, -INF, -INF), "reproduced", "below 0"),
        ({"below": 0}, evidence(INF, INF, INF), "contradicted", "[∞, ∞]"),
        (
            {"below": 0},
            evidence(-1, -3, INF),
            "undecided",
            "models that are lost or don't learn leave the interval open",
        ),
        ({"below": 0}, evidence(-1, n=1), "undecided", "n = 1, and fewer than 6 groups can't decide"),
        ({"above": 0}, evidence(1, 0.1, 2), "reproduced", "the whole interval is above 0"),
        ({"above": 0}, evidence(1, -0.1, 2), "undecided", "towards"),
        ({"above": 0}, evidence(-1, -2, -0.5), "contradicted", "above 0"),
        ({"at_most": 1.1}, evidence(1.0, 0.9, 1.1), "reproduced", "at most 1.1"),
        ({"at_most": 1.1}, evidence(1.0, 0.8, 1.2), "undecided", "towards"),
        ({"at_most": 1.1}, evidence(1.3, 1.0, 1.6), "undecided", "against"),
        ({"at_most": 1.1}, evidence(1.3, 1.2, 1.6), "contradicted", "at most 1.1"),
        ({"at_least": 0.5}, evidence(1.0, 0.66, 1.0), "reproduced", "at least 0.5"),
        ({"at_least": 0.5}, evidence(1.0, 0.4, 1.0, n=4), "undecided", "fewer than 6"),
        ({"at_least": 0.5}, evidence(0.2, 0.1, 0.4), "contradicted", "at least 0.5"),
        ({"near": 11.24, "within": 0.11}, evidence(11.2368, 11.2, 11.3), "reproduced", "within 0.11 of 11.24"),
        ({"near": 11.24, "within": 0.11}, evidence(11.2368, 11.0, 11.3), "undecided", "towards"),
        ({"near": 11.24, "within": 0.11}, evidence(9.7, 9.6, 9.8), "contradicted", "within 0.11"),
        ({"near": 30, "within": 15}, evidence(30, 3, 100), "undecided", "towards"),
        ({"below": 0}, evidence(NAN), "undecided", "nothing to compare"),
        ({"near": 1, "within": 1}, evidence(NAN), "undecided", "nothing to compare"),
    ],
)
def test_every_verdict_by_its_rule(expects: dict, found: Evidence, verdict: str, why: str):
    outcome = decide(Expects.model_validate(expects), found)
    assert outcome.verdict == verdict and why in outcome.why


@pytest.mark.parametrize("expects", [{}, {"near": 1}, {"below": 0, "at_most": 1}, {"near": 1, "within": 0}])
def test_a_rule_is_exactly_one(expects: dict):
    with pytest.raises(ValueError):
        Expects.model_validate(expects)


def test_what_is_computed_and_not_sampled_has_no_chance_in_it():
    found = computed("a gap", 1e-9, 0.0, 2e-9, "statements", frozenset())
    assert decide(Expects(at_most=1e-8), found).verdict == "reproduced" and chance(Expects(at_most=1e-8), found) is None


WHERE = {"study": "whole", "datasets": ["celeba"]}


def falling(s: str, m: str, r: int, g: int, t: int) -> float:
    """wFRAME ends lower by about 0.1, in every group."""
    return 2 / t + 0.01 * g + (0.1 if m == "frame" else 0.0)


def write(folder: Path, groups: int = 8) -> Case:
    return results(folder, falling, groups, settings=("safe", "lambda"), stands_for=("celeba",))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"study": "else"}, "has no study 'else'"),
        ({"datasets": ["sun"]}, "has no dataset for sun"),
        ({"setting": "delta"}, "has no setting 'delta'"),
    ],
)
def test_what_an_edition_lacks_is_reported(tmp_path: Path, change: dict, message: str):
    with pytest.raises(NotAvailable, match=message):
        JUDGES["more_robust"](write(tmp_path), **(WHERE | change))


# --- the file of claims -------------------------------------------------------------------------------------


def test_the_papers_table_is_typed_in_right():
    """Against the numbers as Table 1 has them."""
    claims = {claim.id: claim for claim in load_claims(ROOT / "config/claims.yaml")}
    table = {
        **{"real": (11.24, 0.11), "dcgan": (6.16, 0.07), "improved-gan": (4.36, 0.05), "ali": (5.34, 0.05)},
        **{"winn": (5.58, 0.05), "frame-wl": (4.95, 0.05), "frame": (4.28, 0.05)},
        **{"wframe-wl": (6.05, 0.13), "wframe": (5.52, 0.13)},
    }
    for name, (value, plus_minus) in table.items():
        stated = claims[f"table1-{name}"].paper
        assert stated and (stated.value, stated.plus_minus) == (value, plus_minus), name
    quoted = {claim.id for claim in claims.values() if claim.quoted}
    assert quoted == {f"table1-{name}" for name in ("dcgan", "improved-gan", "improved-gan-wl", "ali", "winn")}
    figures = {claim.where for claim in claims.values()}
    for number in range(1, 10):
        assert any(where.startswith(f"Figure {number}") for where in figures), f"Figure {number} has a claim"


def changed(tmp_path: Path, change: Callable[[list[dict]], object]) -> Path:
    entries = yaml.safe_load((ROOT / "config/claims.yaml").read_text())
    change(entries)
    path = tmp_path / "claims.yaml"
    path.write_text(yaml.safe_dump(entries))
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda entries: entries.append({"id": "x", "where": "y", "says": "z"}), "neither judged nor quoted"),
        (lambda entries: entries[0].update(judge="guess"), "there is no judge 'guess'"),
        (lambda entries: entries[0].pop("expects"), "judge and expects go together"),
        (lambda entries: entries[0].update(verdict="reproduced"), "verdict: unknown key"),
        (lambda entries: entries.append(entries[0]), "is used twice"),
        (
            lambda entries: entries.remove(next(e for e in entries if e.get("judge") == "anti_force")),
            "no claim uses the judge anti_force",
        ),
    ],
)
def test_bad_claims_are_refused(tmp_path: Path, change: Callable, message: str):
    with pytest.raises(UserError, match=message):
        load_claims(changed(tmp_path, change))


# --- editions -----------------------------------------------------------------------------------------------

PAPERS = {"learning": {}, "bank": {"source": "vgg16", "weights": "w.npz"}}
FACES = {"source": "celeba", "path": "faces", "size": 64}
OWN = FACES | {"learning": {"lambda": 1e-3, "delta": 0.2}}
LZW = {"reading": "lineage", "sigma": 1.0, "delta": 0.3, "lambda": 2e-4, "L": 30}


def study(**settings: dict) -> dict:
    """A study `whole` of faces with these settings."""
    return {"studies": {"whole": {"datasets": ["faces"], "settings": settings}}}


def test_a_compared_study_may_change_what_the_paper_changes():
    changes = study(base={}, insecure={"lambda": 1e-2, "delta": 0.4, "clip": 0.01, "before": "kept"}, lzw=LZW)
    faces = TINY["datasets"]["faces"] | {"stands_for": ["celeba"]} | OWN
    assert check(TINY | {"compared": True, "datasets": {"faces": faces}} | PAPERS | changes).compared


LOWER = Claim.model_validate(
    {
        "id": "lower",
        "where": "Figure 4",
        "says": "R is lower",
        "judge": "R_ratio",
        "of": WHERE,
        "expects": {"below": 1},
    }
)


def test_only_a_compared_edition_gives_verdicts(tmp_path: Path):
    found = write(tmp_path)
    record = judge_claim(LOWER, found)
    assert record["verdict"] == "not run" and "isn't compared with the paper" in record["why"]
    assert record["here"] == "holds", "what came out is told apart"
    value = LOWER.model_copy(update={"paper": Stated(value=1.0)})
    assert judge_claim(value, found)["ours"] is None, "no number of such an edition stands beside one of the paper"
    compared = Edition.model_construct(**(found.edition.__dict__ | {"compared": True}))
    record = judge_claim(LOWER, Case(tmp_path, compared, {}))
    assert record["verdict"] == "reproduced" and record["here"] is None
    assert record["ours"]["from"] == {"studies/whole.parquet": sha256_file(tmp_path / "studies/whole.parquet")}


def test_a_claim_that_no_data_decides_gets_a_verdict_in_every_edition(tmp_path: Path):
    record = judge_claim(LOWER.model_copy(update={"always": True}), write(tmp_path))
    assert record["verdict"] == "reproduced" and record["here"] is None and record["always"]


def test_claims_that_cannot_be_judged_give_the_reason(tmp_path: Path):
    claim = Claim(id="seen", where="Abstract", says="It looks better.", unjudged="no one was asked")
    record = judge_claim(claim, write(tmp_path))
    assert record["verdict"] == "not run" and "no one was asked" in record["why"] and record["ours"] is None


def test_holm_s_correction_takes_each_statistic_once(tmp_path: Path):
    """Eight groups that all say so: 2/2⁸ = 0.0078 is below 0.05 for up to six statistics, not for seven."""
    for count, survives in ((6, True), (7, False)):
        claims = [LOWER.model_copy(update={"id": f"c{n}", "of": WHERE | {"setting": "safe"}}) for n in range(3)]
        more = [
            LOWER.model_copy(update={"id": f"d{n}", "expects": Expects(below=1 - n / 1e6)}) for n in range(count - 1)
        ]
        records = judge_all([*claims, *more], write(tmp_path))
        assert {record["survives"] for record in records} == {survives}, count
        rates = error_rates(records)
        assert (rates["judged"], rates["expected_false"]) == (count, round(0.025 * count, 2))


def test_claims_on_the_same_statistic_are_marked(tmp_path: Path):
    again = LOWER.model_copy(update={"id": "again", "where": "Figure 2"})
    other = LOWER.model_copy(update={"id": "other", "judge": "steadiness"})
    records = judge_all([LOWER, again, other], write(tmp_path))
    assert [record["same_as"] for record in records] == [None, "lower", None]
    assert summarise(records, VERDICTS) == "3 claims (1 of them decided by another one's statistic): 3 not run"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "needs the paper's bank"),
        (PAPERS, "datasets.faces is embedded faces, not celeba .*, and can't stand for celeba"),
        (PAPERS | {"faces": {"source": "celeba"}}, "needs the paper's size = 64 on celeba: datasets.faces has 16"),
        (
            PAPERS | {"faces": FACES | {"learning": {"lambda": 1e-3}}},
            r"needs the paper's delta = 0.2 on celeba.*0.15",
        ),
        (
            PAPERS | {"faces": FACES, "learning": {"T": 30}},
            "needs the paper's T = 100 on celeba: datasets.faces has 30",
        ),
        (PAPERS | {"faces": FACES | {"learning": {"beta": 30}}}, "needs the paper's beta = 60.0 on celeba"),
        (PAPERS | {"faces": OWN} | study(quick={"T": 2}), r"T = 100 on celeba: studies.whole.settings.quick has 2"),
        (PAPERS | {"faces": OWN} | study(quick={"beta": 1.0}), r"beta = 60.0 on celeba.*quick has 1.0"),
        (PAPERS | {"faces": OWN} | study(quick={"lambda": 0.5}), r"lambda = 0.001 on celeba.*quick has 0.5"),
        (PAPERS | {"faces": OWN} | study(quick={"clip": 0.1}), r"no clip on celeba.*quick has 0.1"),
        (PAPERS | {"faces": OWN} | study(quick={"before": "kept"}), r"before = renewed on celeba.*quick has kept"),
        (PAPERS | {"faces": OWN} | study(base={}, quick={"sigma": 0.1}), r"sigma = 0.01 on celeba.*quick has 0.1"),
        (PAPERS | {"faces": OWN} | study(lzw=LZW), r"L = 50 on celeba.*lzw has 30"),
        (PAPERS | {"faces": OWN} | study(base={}, lzw=LZW | {"T": 50}), r"T = 100 on celeba.*lzw has 50"),
    ],
)
def test_compared_is_for_the_papers_constants_and_data_only(change: dict, message: str):
    faces = TINY["datasets"]["faces"] | {"stands_for": ["celeba"]} | change.get("faces", {})
    edition = TINY | {"compared": True, "datasets": TINY["datasets"] | {"faces": faces}}
    with pytest.raises(UserError, match=message):
        check(edition | {key: value for key, value in change.items() if key != "faces"})


def test_a_compared_edition_may_show_other_images_that_no_claim_is_judged_on():
    assert check(TINY | {"compared": True} | PAPERS).compared


def test_the_demos_claims(demo: Path):
    """Every claim is there; the demo's numbers are shown, and never set against the paper's."""
    about = json.loads((demo / "results/claims.json").read_text())
    claims = {record["id"]: record for record in about["claims"]}
    defined = load_claims(ROOT / "config/claims.yaml")
    assert set(claims) == {claim.id for claim in defined}
    assert {claims[claim.id]["verdict"] for claim in defined if not claim.always} == {"not run"}
    formulas = {claims[claim.id]["verdict"] for claim in defined if claim.always}
    assert formulas == {"reproduced", "contradicted", "not run"}
    assert sum(about["summary"].values()) == len(claims) and about["line"].startswith(f"{len(claims)} claims (")
    assert claims["collapse-frame"]["ours"]["value"] == 1, "FRAME collapses far beyond the safe range"
    assert claims["theory-remark-2"]["verdict"] == "reproduced"
    ordered = claims["order-wframe-frame-wl"]["ours"]
    assert (ordered["n"], ordered["unit"]) == (6, "groups"), "each group is a training of its own"
    gan = claims["order-dcgan-wframe"]["ours"]
    assert gan["n"] == 1 and gan["low"] is None, "but DCGAN was trained once"
    assert not any(record["paper"] and record["ours"] for record in claims.values())
    assert claims["fig5-cifar10"]["ours"]["n"] == 6, "two groups of each of three digits"
    assert claims["energy-curve"]["ours"]["n"] == 10, "and two of faces and scenes"
    for record in claims.values():
        for name, digest in (record["ours"] or {}).get("from", {}).items():
            assert sha256_file(demo / "results" / name) == digest
