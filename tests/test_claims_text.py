"""Tables and sentences about claims in Markdown: made from a record, never typed."""

import json
from pathlib import Path

import pytest
from conftest import ROOT
from synthetic import CLAIMS, results

from wframe.__main__ import main
from wframe.claims.claim import Claim
from wframe.claims.many import error_rates, summarise
from wframe.claims.text import MARK, short
from wframe.claims.verdict import VERDICTS, judge_all
from wframe.config.edition import Edition


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A Markdown file beside the record of a small, compared edition in which wFRAME is lower in twelve groups."""

    def R(s, m, r, g, t):
        return 2 / t + (0.1 if m == "frame" else 0)

    case = results(tmp_path, R, 12)
    case.edition = Edition.model_construct(**(case.edition.__dict__ | {"compared": True}))
    chosen = ["fig4-celeba", "fig4-bedroom", "speed", "visually-better", "fig2-celeba"]
    quoted = Claim(id="quoted", where="Table 1", says="ALI scores 5.34.", quoted="others")
    records = judge_all([*(CLAIMS[name] for name in chosen), quoted], case)
    summary = {name: sum(record["verdict"] == name for record in records) for name in VERDICTS}
    about = {"line": summarise(records, VERDICTS), "summary": summary, "chance": error_rates(records)}
    (tmp_path / "record.json").write_text(json.dumps(about | {"claims": records}))
    path = tmp_path / "page.md"
    path.write_text(
        "# A page\n\n<!-- claims-line record.json -->\nold\n<!-- end -->\n\n"
        "<!-- claims-table record.json: fig4-celeba, speed -->\n<!-- end -->\n\nBetween.\n\n"
        "<!-- claims-sentence record.json: fig4-celeba, speed, quoted -->\n<!-- end -->\n"
        "<!-- claims-tally record.json -->\n<!-- end -->\n"
    )
    return path


def test_a_page_is_written_from_a_record(page: Path):
    assert main(["claims-text", str(page), "--check"]) == 1
    assert main(["claims-text", str(page)]) == 0
    text = page.read_text()
    assert "Of 6 claims (1 of them decided by another one's statistic): 3 reproduced" in text and "old" not in text
    assert "| wFRAME reaches a lower R than FRAME on CelebA. | 0.56" in text and "| 12 | reproduced, ✓ Holm |" in text
    assert (
        "Between." in text and "**reproduced**: wFRAME reaches a lower R than FRAME on CelebA; The penalty may" in text
    )
    assert "**quoted**: ALI scores 5.34." in text
    assert (
        "| claims on | reproduced | quoted | not run |\n| --- | --- | --- | --- |\n| experiments (6) | 3 | 1 | 2 |"
        in text
    )
    assert main(["claims-text", str(page), "--check"]) == 0, "what is written is up to date"
    record = page.parent / "record.json"
    record.write_text(record.read_text().replace('"reproduced"', '"contradicted"'))
    assert main(["claims-text", str(page), "--check"]) == 1, "another record, another page"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("record.json: fig4", "else.json: fig4", "not found"),
        ("celeba, speed -->", "celeba, sped -->", "no claim sped in the record"),
        ("claims-line", "claims-poem", "claims-poem: unknown"),
    ],
)
def test_a_wrong_mark_is_reported(page: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, message: str):
    page.write_text(page.read_text().replace(old, new, 1))
    assert main(["claims-text", str(page)]) == 2
    assert message in capsys.readouterr().err


def test_what_stands_in_parentheses_at_the_end_is_left_out():
    assert short("FRAME collapses (in (most) groups).") == "FRAME collapses (in (most) groups)"
    assert short("With λ (0.01), wFRAME holds (in half).") == "With λ (0.01), wFRAME holds"


def test_the_project_s_own_pages_are_up_to_date():
    pages = [path for path in (ROOT / "README.md", *ROOT.glob("docs/**/*.md")) if MARK.search(path.read_text())]
    assert main(["claims-text", *map(str, pages or [ROOT / "README.md"]), "--check"]) == 0
