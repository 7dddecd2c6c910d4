"""Claims and verdicts: the rules on synthetic outcomes of each kind, the judges on synthetic curves."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT, TINY

from wframe.claims.claim import Claim, Expects, Stated, load_claims
from wframe.claims.evidence import JUDGES, Case, Evidence
from wframe.claims.verdict import decide, judge, judge_all, summarise
from wframe.config.edition import Edition, check
from wframe.errors import UserError
from wframe.files import sha256_file
from wframe.results.store import NotAvailable

NAN = math.nan


def evidence(value: float, low: float = NAN, high: float = NAN, n: int = 10) -> Evidence:
    return Evidence("a statistic", value, low, high, n, "groups", frozenset())


@pytest.mark.parametrize(
    ("expects", "found", "verdict", "why"),
    [
        ({"sign": "negative"}, evidence(-1, -2, -0.1), "reproduced", "the whole interval is below 0"),
        ({"sign": "negative"}, evidence(-1, -2, 0.5), "direction only", "its interval reaches beyond"),
        ({"sign": "negative"}, evidence(1, 0.5, 1.5), "not reproduced", "isn't below 0"),
        ({"sign": "negative"}, evidence(0, -1, 1), "not reproduced", "isn't below 0"),
        ({"sign": "negative"}, evidence(-1, n=1), "not run", "too little data to tell (n = 1)"),
        ({"sign": "positive"}, evidence(1, 0.1, 2), "reproduced", "the whole interval is above 0"),
        ({"sign": "positive"}, evidence(1, -0.1, 2), "direction only", "reaches beyond"),
        ({"sign": "positive"}, evidence(-1, -2, -0.5), "not reproduced", "isn't above 0"),
        ({"at_most": 1.1}, evidence(1.0, 0.9, 1.1), "reproduced", "at most 1.1"),
        ({"at_most": 1.1}, evidence(1.0, 0.8, 1.2), "direction only", "at most 1.1"),
        ({"at_most": 1.1}, evidence(1.3, 1.0, 1.6), "not reproduced", "isn't at most 1.1"),
        ({"at_least": 0.5}, evidence(1.0, 0.66, 1.0), "reproduced", "at least 0.5"),
        ({"at_least": 0.5}, evidence(1.0, 0.4, 1.0, n=4), "direction only", "at least 0.5"),
        ({"at_least": 0.5}, evidence(0.2, 0.1, 0.4), "not reproduced", "isn't at least 0.5"),
        ({"near": 11.24, "within": 0.11}, evidence(11.2368), "reproduced", "within 0.11 of 11.24"),
        ({"near": 11.24, "within": 0.11}, evidence(9.7), "not reproduced", "isn't within 0.11"),
        ({"near": 30, "within": 15}, evidence(80), "not reproduced", "isn't within 15 of 30"),
        ({"sign": "negative"}, evidence(1, -2, 4), "not reproduced", "isn't below 0, its interval reaches there"),
        ({"sign": "negative"}, evidence(NAN), "not run", "no finite value"),
        ({"near": 1, "within": 1}, evidence(NAN), "not run", "no finite value"),
    ],
)
def test_every_verdict_by_its_rule(expects: dict, found: Evidence, verdict: str, why: str):
    outcome = decide(Expects.model_validate(expects), found)
    assert outcome.verdict == verdict and why in outcome.why


@pytest.mark.parametrize("expects", [{}, {"near": 1}, {"sign": "negative", "at_most": 1}, {"near": 1, "within": 0}])
def test_a_rule_is_exactly_one(expects: dict):
    with pytest.raises(ValueError):
        Expects.model_validate(expects)


# --- synthetic curves ---------------------------------------------------------------------------------------

T = 20


def write(folder: Path, R: Callable[[str, int, int], float], groups: int = 8, energy: float = 1.0) -> Case:
    """Results of a study `whole` on faces that stand for CelebA: R as a function of method, group and iteration."""
    values = json.loads(json.dumps(TINY))
    values["datasets"] = {"faces": values["datasets"]["faces"] | {"stands_for": ["celeba"]}}
    values["studies"] = {"whole": {"datasets": ["faces"], "settings": {"safe": {}, "lambda": {"lambda": 0.1}}}}
    rows = [
        ("faces", "all", setting, method, 0, group, t, R(method, group, t), energy * (T - t) + 1, -1)
        for setting in ("safe", "lambda")
        for method in ("frame", "wframe")
        for group in range(groups)
        for t in range(1, T + 1)
    ]
    names = ["dataset", "class", "setting", "method", "repeat", "group", "iteration", "R", "energy", "diverged"]
    (folder / "studies").mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=names).to_parquet(folder / "studies/whole.parquet")
    return Case(folder, check(values), {})


def falling(method: str, group: int, t: int) -> float:
    """wFRAME ends lower by about 0.1, in every group."""
    return 2 / t + 0.01 * group + (0.1 if method == "frame" else 0.0)


def collapsing(method: str, group: int, t: int) -> float:
    """FRAME grows, wFRAME rises and is back at its start at iteration 12."""
    if method == "frame":
        return math.nan if group == 0 and t > 10 else 2.0 * 1.3**t
    return 2.0 + (5.0 if 3 < t < 12 else 0.0) - (1.0 if t >= 12 else 0.0)


WHERE = {"study": "whole", "datasets": ["celeba"]}


def test_a_lower_R_is_seen_with_its_interval(tmp_path: Path):
    found = JUDGES["R_difference"](write(tmp_path, falling), **WHERE)
    assert found.value == pytest.approx(-0.1) and found.n == 8 and found.high < 0
    assert found.files == {"studies/whole.parquet"}
    ratio = JUDGES["R_ratio"](write(tmp_path, falling), **WHERE)
    assert 0.3 < ratio.low < ratio.value < ratio.high < 1


def test_one_group_gives_no_interval(tmp_path: Path):
    found = JUDGES["R_difference"](write(tmp_path, falling, groups=1), **WHERE)
    assert found.n == 1 and math.isnan(found.low)
    assert decide(Expects(sign="negative"), found).verdict == "not run"


def test_collapse_and_recovery_are_counted(tmp_path: Path):
    results = write(tmp_path, collapsing)
    of = WHERE | {"settings": ["lambda"]}
    assert JUDGES["collapses"](results, **of, method="frame").value == 1, "a diverged group has collapsed too"
    assert JUDGES["collapses"](results, **of, method="wframe").value == 0
    assert JUDGES["R_lower"](results, **of).value == 1, "a diverged FRAME is above every number"
    assert JUDGES["recovery"](results, **of).value == 12
    assert JUDGES["comes_back"](results, **of).value == 1
    assert JUDGES["comes_back"](write(tmp_path, falling), **of).value == 0, "nothing collapses"
    results = write(tmp_path, collapsing)
    assert JUDGES["R_lower"](results, **of, frame_setting="safe").n == 8


def test_diverged_groups_count_against_the_method_that_has_them(tmp_path: Path):
    def wframe_diverges(method: str, group: int, t: int) -> float:
        return math.nan if method == "wframe" and group < 3 and t > 5 else falling(method, group, t)

    results = write(tmp_path, wframe_diverges)
    found = JUDGES["R_difference"](results, **WHERE)
    assert found.value > 0 and found.n == 8, "the five that remain are lower, but three are gone"
    assert "3 diverged runs count as the worst" in found.statistic
    assert JUDGES["R_ratio"](results, **WHERE).value > 1
    assert JUDGES["steadiness"](results, **WHERE).value > 0
    assert (
        JUDGES["learned"](results, **WHERE, method="wframe").value
        > JUDGES["learned"](results, **WHERE, method="frame").value
    )

    def frame_diverges(method: str, group: int, t: int) -> float:
        return math.nan if method == "frame" and t > 5 else falling(method, group, t)

    found = JUDGES["R_difference"](write(tmp_path, frame_diverges), **WHERE)
    assert found.value < 0 and found.n == 8, "FRAME is gone in all groups: that decides too"


def test_repeats_of_a_group_are_no_new_evidence(tmp_path: Path):
    once = JUDGES["R_difference"](write(tmp_path, falling), **WHERE)
    results = write(tmp_path, falling)
    curves = pd.read_parquet(tmp_path / "studies/whole.parquet")
    pd.concat([curves, curves.assign(repeat=1)]).to_parquet(tmp_path / "studies/whole.parquet")
    twice = JUDGES["R_difference"](results, **WHERE)
    assert twice == once
    assert JUDGES["R_lower"](results, **WHERE, settings=["safe"]).n == 8
    assert JUDGES["collapses"](results, **WHERE, settings=["safe"], method="frame").n == 8


def test_a_group_that_isnt_back_counts_as_T(tmp_path: Path):
    def one_returns(method: str, group: int, t: int) -> float:
        return collapsing(method, group, t) if group == 0 or t < 12 else 9.0

    results = write(tmp_path, one_returns, groups=4)
    found = JUDGES["recovery"](results, **WHERE, settings=["lambda"])
    assert found.value == pytest.approx((12 + 3 * T) / 4) and "3 that never are count as T" in found.statistic


def test_the_worst_size_decides(tmp_path: Path):
    results = write(tmp_path, falling)
    curves = pd.read_parquet(tmp_path / "studies/whole.parquet")
    other = curves.assign(dataset="large", R=np.where(curves["method"] == "wframe", 9.0, curves["R"]))
    pd.concat([curves, other]).to_parquet(tmp_path / "studies/whole.parquet")
    datasets = results.edition.datasets | {"large": results.edition.datasets["faces"]}
    study = results.edition.studies["whole"].model_copy(update={"datasets": ["faces", "large"]})
    edition = results.edition.model_copy(update={"datasets": datasets, "studies": {"whole": study}})
    found = JUDGES["R_lower"](Case(tmp_path, edition, {}), **WHERE, settings=["safe"])
    assert found.value == 0 and found.n == 8 and "on large" in found.statistic


def test_energy_tells_of_collapse_and_degeneration(tmp_path: Path):
    results = write(tmp_path, collapsing)
    curves = pd.read_parquet(tmp_path / "studies/whole.parquet")
    frame = curves["method"] == "frame"
    curves.loc[frame, "energy"] = -10.0 * curves.loc[frame, "iteration"] * (1 + curves.loc[frame, "group"])
    curves.to_parquet(tmp_path / "studies/whole.parquet")
    sign = JUDGES["energy_sign"](results, **WHERE)
    assert sign.value > 0 and sign.low > 0, "FRAME's models have Φ ≤ 0 and a higher R"
    signal = JUDGES["energy_signal"](results, **WHERE)
    assert signal.value > 0 and signal.n == 8, "groups, not models"
    with pytest.raises(NotAvailable, match="no group of study 'whole' has models of both kinds"):
        JUDGES["energy_sign"](write(tmp_path, falling), **WHERE)


def test_steadiness_and_speed_are_paired(tmp_path: Path):
    def ragged(method: str, group: int, t: int) -> float:
        return 2 / t + (0.3 * (t % 2) if method == "frame" else 0.0)

    results = write(tmp_path, ragged)
    assert JUDGES["steadiness"](results, **WHERE).value < -1
    assert JUDGES["speed"](results, **WHERE).value <= 0
    assert JUDGES["learned"](results, **WHERE, method="wframe").value == pytest.approx(1 / T)


def test_the_energy_s_shape(tmp_path: Path):
    assert JUDGES["energy_shape"](write(tmp_path, falling), **WHERE).value == 1, "falls and ends above 0"
    assert JUDGES["energy_shape"](write(tmp_path, falling, energy=-1.0), **WHERE).value == 0, "rises"
    unrest = JUDGES["energy_unrest"](write(tmp_path, falling), **WHERE, settings=["safe"])
    assert unrest.value == pytest.approx(0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"study": "else"}, "has no study 'else'"),
        ({"datasets": ["sun"]}, "has no dataset for sun"),
        ({"settings": ["delta"]}, "has no setting 'delta'"),
    ],
)
def test_what_an_edition_lacks_is_said(tmp_path: Path, change: dict, message: str):
    with pytest.raises(NotAvailable, match=message):
        JUDGES["R_lower"](write(tmp_path, falling), **(WHERE | {"settings": ["safe"]} | change))


def scored(folder: Path, **rows: tuple[float, float, float, int]) -> Case:
    """Results with a score table: row → (score, std over splits, std over seeds, repeats)."""
    table = [(row, *values, 4, "ok", "Inception score") for row, values in rows.items()]
    names = ["row", "score", "std_splits", "std_seeds", "repeats", "splits", "status", "score_name"]
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    pd.DataFrame(table, columns=names).to_csv(folder / "tables/scores.csv", index=False)
    values = json.loads(json.dumps(TINY))
    values["scores"] = {"extractor": "pocket", "rows": {"real": {"dataset": "digits"}}}
    return Case(folder, check(values), {claim.id: claim.paper for claim in load_claims(ROOT / "config/claims.yaml")})


def test_scores_are_compared_with_their_errors(tmp_path: Path):
    results = scored(tmp_path, wframe=(5.5, 0.1, 0.05, 3), frame=(4.3, 0.05, np.nan, 1), near=(5.3, 0.1, 0.2, 3))
    clear = JUDGES["score_order"](results, higher="wframe", lower="frame")
    assert clear.value == pytest.approx(1.2) and clear.low > 1
    close = JUDGES["score_order"](results, higher="wframe", lower="near")
    assert close.low < 0 < close.high
    quoted = JUDGES["score_order"](results, higher="wframe", lower="paper:table1-ali")
    assert quoted.value == pytest.approx(5.5 - 5.34)
    alone = JUDGES["score"](results, row="frame")
    assert (alone.n, alone.unit) == (4, "splits"), "one training: over as many splits as the table says"
    assert alone.high - alone.value == pytest.approx(3.182 * 0.05 / 2, rel=1e-3), "Student's t of four values"
    assert JUDGES["score"](results, row="wframe").unit == "repeats"
    with pytest.raises(NotAvailable, match="scores no row 'dcgan'"):
        JUDGES["score"](results, row="dcgan")


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
    assert quoted == {f"table1-{name}" for name in ("dcgan", "improved-gan", "ali", "winn")}
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
        (lambda entries: entries.append({"id": "x", "where": "y", "says": "z"}), "a claim needs a producer"),
        (lambda entries: entries[0].update(judge="guess"), "there is no judge 'guess'"),
        (lambda entries: entries[0].pop("expects"), "judge and expects go together"),
        (lambda entries: entries[0].update(verdict="reproduced"), "verdict: unknown key"),
        (lambda entries: entries.append(entries[0]), "stands here twice"),
        (
            lambda entries: entries.remove(next(e for e in entries if e.get("judge") == "remark_2")),
            "no claim uses the judge remark_2",
        ),
    ],
)
def test_bad_claims_are_refused(tmp_path: Path, change: Callable, message: str):
    with pytest.raises(UserError, match=message):
        load_claims(changed(tmp_path, change))


# --- editions -----------------------------------------------------------------------------------------------

PAPERS = {"learning": {}, "bank": {"source": "vgg16", "weights": "w.npz"}}
FACES = {"source": "celeba", "path": "faces", "size": 64}

LOWER = Claim.model_validate(
    {
        "id": "lower",
        "where": "Figure 4",
        "says": "R is lower",
        "judge": "R_difference",
        "of": WHERE,
        "expects": {"sign": "negative"},
    }
)


def test_only_a_compared_edition_gives_verdicts(tmp_path: Path):
    results = write(tmp_path, falling)
    record = judge(LOWER, results)
    assert record["verdict"] == "not run" and "isn't compared with the paper" in record["why"]
    assert record["here"] == "holds", "what came out is told apart"
    value = LOWER.model_copy(update={"paper": Stated(value=1.0)})
    assert judge(value, results)["ours"] is None, "no number of such an edition stands beside one of the paper"
    compared = Edition.model_construct(**(results.edition.__dict__ | {"compared": True}))
    record = judge(LOWER, Case(tmp_path, compared, {}))
    assert record["verdict"] == "reproduced" and record["here"] is None
    assert record["ours"]["from"] == {"studies/whole.parquet": sha256_file(tmp_path / "studies/whole.parquet")}


def test_claims_on_one_statistic_are_said_to_be(tmp_path: Path):
    again = LOWER.model_copy(update={"id": "again", "where": "Figure 2"})
    other = LOWER.model_copy(update={"id": "other", "judge": "steadiness"})
    records = judge_all([LOWER, again, other], write(tmp_path, falling))
    assert [record["same_as"] for record in records] == [None, "lower", None]
    assert summarise(records) == "3 claims (1 of them decided by another one's statistic): 3 not run"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "needs the paper's bank"),
        (PAPERS, "datasets.faces is embedded, not celeba, and can't stand for celeba"),
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
    assert set(claims) == {claim.id for claim in load_claims(ROOT / "config/claims.yaml")}
    assert {record["verdict"] for record in claims.values()} == {"quoted", "not run"}
    assert sum(about["summary"].values()) == len(claims) and about["line"].startswith(f"{len(claims)} claims (")
    assert claims["collapse-frame"]["ours"]["value"] == 1, "FRAME collapses far beyond the safe range"
    assert claims["remark-2"]["ours"]["value"] >= 0.9
    ordered = claims["order-wframe-frame-wl"]["ours"]
    assert (ordered["n"], ordered["unit"]) == (3, "splits"), "as the demo's scores are configured"
    assert not any(record["paper"] and record["ours"] for record in claims.values())
    assert claims["fig5-cifar10"]["ours"]["n"] == 6, "two groups of each of three digits"
    assert claims["energy-curve"]["ours"]["n"] == 12, "and three of faces and scenes"
    for record in claims.values():
        for name, digest in (record["ours"] or {}).get("from", {}).items():
            assert sha256_file(demo / "results" / name) == digest
