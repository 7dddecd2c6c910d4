"""What can't be had is left out, by name: an edition without some of its datasets, and what that costs.

`results/inputs.json` says which inputs a run has, and which it went on without.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wframe.config import edition as editions
from wframe.config.edition import Edition
from wframe.config.scores import Scores
from wframe.errors import UserError
from wframe.files import read_json
from wframe.jobs.paths import INPUTS_RECORD

RECORD = Path(INPUTS_RECORD).name  # in whichever folder the results are
LISTS = ("studies", "baselines", "rows of the score table", "datasets")  # what a missing input may leave out


def users(edition: Edition, entry: str) -> list[str]:
    """Return the datasets that are made from an entry of the registry."""
    return [name for name, dataset in edition.datasets.items() if entry in dataset.inputs]


def may_be_left_out(edition: Edition, entry: str) -> bool:
    """Whether a run goes on without an entry: its datasets are optional, or the command line says `without`.

    The score's weights may always be: the table then says that there is no score.
    """
    if entry in edition.bank.inputs:
        return False
    return entry in edition.without or all(edition.datasets[name].optional for name in users(edition, entry))


def without(edition: Edition, missing: Mapping[str, str]) -> Edition:
    """Return an edition without the datasets of the `missing` entries (entry → why it isn't here).

    What needs them goes as well: studies without a dataset, baselines, rows of the score table.

    Raises:
        UserError: nothing is left.
    """
    gone = {name: why for entry, why in missing.items() for name in users(edition, entry)}
    if not gone:
        return edition
    reasons: dict[tuple[str, str], str] = {("dataset", name): why for name, why in gone.items()}
    studies = {}
    for name, study in edition.studies.items():
        left = [dataset for dataset in study.datasets if dataset not in gone]
        for dataset in set(study.datasets) - set(left):
            reasons |= {(name, paper): gone[dataset] for paper in edition.datasets[dataset].stands_for}
        if left:
            studies[name] = study.model_copy(update={"datasets": left})
        else:
            reasons["study", name] = gone[study.datasets[0]]
    baselines = {name: entry for name, entry in edition.baselines.items() if entry.dataset not in gone}
    reasons |= {
        ("baseline", name): gone[entry.dataset] for name, entry in edition.baselines.items() if name not in baselines
    }
    if not studies:
        raise UserError(f"nothing is left to do: {'; '.join(sorted(set(missing.values())))}")
    update = {
        "datasets": {name: entry for name, entry in edition.datasets.items() if name not in gone},
        "studies": studies,
        "baselines": baselines,
        "scores": _scores(edition, gone, reasons),
    }
    reduced = edition.model_copy(update=update)
    reduced._left_out = reasons
    return reduced


def _scores(edition: Edition, gone: Mapping[str, str], reasons: dict[tuple[str, str], str]) -> Scores | None:
    """Return the score table without the rows of what is gone; none where its gate is."""
    scores = edition.scores
    if scores is None:
        return None
    for name, row in scores.rows.items():
        dataset = edition.baselines[row.baseline].dataset if row.baseline else str(row.dataset)
        if dataset in gone:
            reasons["row", name] = gone[dataset]
    if scores.gate and (why := reasons.get(("row", scores.gate))):
        reasons |= {("row", name): why for name in scores.rows}
    rows = {name: row for name, row in scores.rows.items() if ("row", name) not in reasons}
    held_out = {of: by for of, by in scores.held_out.items() if of not in gone and by not in gone}
    return scores.model_copy(update={"rows": rows, "held_out": held_out}) if rows else None


def of_record(edition: Edition, record: Mapping[str, Any]) -> Edition:
    """Return the edition as a run makes it: without what its record says is missing."""
    return without(edition, {name: about["why"] for name, about in record["left_out"].items()})


def load_made(results: Path) -> Edition:
    """Return the edition that results are of: in full in config.yaml, less what inputs.json says was left out."""
    edition = editions.load(results / "config.yaml")
    return of_record(edition, read_json(results / RECORD)) if (results / RECORD).exists() else edition


def in_words(served: Mapping[str, list[str]]) -> str:
    """Return what an input serves, in one line: figures, studies (else datasets), baselines, rows, number of claims."""
    parts = [", ".join(served["figures"])] if "figures" in served else []
    kinds = [kind for kind in LISTS if kind in served and (kind != "datasets" or "studies" not in served)]
    parts += [f"{kind}: {', '.join(served[kind])}" for kind in kinds]
    parts += [f"{len(served['claims'])} claims"] if "claims" in served else []
    return "; ".join(parts) or "all of it"
