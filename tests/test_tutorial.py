"""docs/tutorial.ipynb runs from top to bottom, and what it says is what it shows."""

import json
from pathlib import Path

import nbformat
from conftest import ROOT
from nbclient import NotebookClient

TUTORIAL = ROOT / "docs/tutorial.ipynb"


def test_the_tutorial_shows_what_it_says(tmp_path: Path):
    committed = nbformat.read(TUTORIAL, as_version=4)
    assert TUTORIAL.stat().st_size < 500_000
    cells = [cell for cell in committed.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "committed as it ran"
    committed.cells.append(nbformat.v4.new_code_cell("print(frame.curves['R'].to_json())\nprint(R.to_json())"))
    ran = NotebookClient(committed, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed_text = "".join(output.text for output in ran.cells[-1].outputs)
    safe, far = (json.loads(line) for line in printed_text.splitlines())
    assert safe["24"] < safe["0"] / 2
    frame, printed, kept = ([R[str(t)] for t in range(1, 26)] for R in far.values())
    assert frame[-1] > 1.5 * frame[0], "FRAME collapses"
    assert printed[-1] < printed[0] / 2 and kept[-1] < kept[0] / 2, "wFRAME holds"
