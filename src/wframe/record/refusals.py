"""What is refused while planning: results of another edition in the way, and raw files that aren't there.

If a rule's source file is missing, Snakemake takes the rule's old output for a file that nobody makes. So no rule has
such a file among its inputs: its content is a part of the rule's key, and a run that would need it is stopped here.
"""

from collections.abc import Sequence
from pathlib import Path

from wframe.config.edition import Edition
from wframe.data.readers._files import split_place
from wframe.errors import UserError
from wframe.files import read_yaml
from wframe.jobs.inputs import as_planned
from wframe.jobs.keys import key
from wframe.jobs.paths import BANK
from wframe.jobs.runs import prepared_files
from wframe.record.stamps import RESULTS, explain, is_result, read_stamp
from wframe.record.sweep import litter, sweep

AFFECTS_NO_RESULT = True
RUN_NOTHING = {"--unlock", "--lint", "--summary", "-S", "--detailed-summary", "-D"}  # options of Snakemake


def begin(edition: Edition, command: Sequence[str]) -> None:
    """Look at what is here before any work: refuse what can't be right, and mark stale results to be remade.

    Where the `command` of Snakemake asks for single files, a missing dataset is left to the steps that read it.

    Raises:
        UserError: another edition's results are in the way, raw files are missing, or results have changed.
    """
    if not RUN_NOTHING & set(command):
        refuse_other_edition(edition)
        refuse_missing(edition, whole=not any(is_result(word) for word in command))
    litter(remove=True)
    _, drifted = sweep(edition)
    if drifted:
        raise UserError(explain(drifted))


def refuse_other_edition(edition: Edition) -> None:
    """Refuse results of an edition with another name: one would take the other's files for its own, or replace them.

    Raises:
        UserError: with what to do.
    """
    try:
        there = read_yaml(RESULTS / "config.yaml").get("edition")
    except (UserError, OSError, AttributeError):  # none, or damaged: others say so
        return
    if there != edition.edition:
        raise UserError(
            f"{RESULTS.absolute()} holds the edition `{there}`. Run `{edition.edition}` elsewhere: add --directory "
            f"{edition.edition} (and set WFRAME_DATA, if there is a data folder). Or delete that folder."
        )


def refuse_missing(edition: Edition, whole: bool = True) -> None:
    """Refuse to start without a raw file that nothing fetches. Unless the `whole` edition runs, only the bank's counts.

    Raises:
        UserError: names each file, the key of the edition that asks for it, and what to do.
    """
    if missing := absent(edition, whole):
        lines = [f"  {where}: {path} is missing" for where, path in missing.items()]
        raise UserError(
            f"the edition `{edition.edition}` needs a data folder with these files:\n"
            + "\n".join(lines)
            + f"\nThe data folder is {edition.data_path('').absolute()}. Set WFRAME_DATA to the one that has them; "
            "see docs/data.md."
        )


def absent(edition: Edition, whole: bool = True) -> dict[str, Path]:
    """Return the raw files that aren't there, as key of the edition → where it was looked for.

    Results that were made from them while they were there don't need them any more.
    """
    found: dict[str, Path] = {}
    if edition.bank.weights and not edition.bank.inputs:
        path = edition.data_path(edition.bank.weights)
        if not path.is_file() and not is_made(edition, BANK):
            found["bank.weights"] = path.absolute()
    for file in prepared_files(as_planned(edition), "npy") if whole else ():
        name = Path(file).parent.name
        dataset = edition.datasets[name]
        if dataset.source == "embedded" or dataset.inputs:
            continue
        path = split_place(str(edition.data_path(dataset.path)))[0]
        if not path.exists() and not is_made(edition, file):
            found[f"datasets.{name}.path"] = path.absolute()
    return found


def is_made(edition: Edition, output: str) -> bool:
    """Return whether an output is there and current; or was made and is gone, as in a release without the images."""
    stamp = read_stamp(output)
    if stamp is None:
        return False
    return not Path(output).exists() or key(edition, stamp["rule"], stamp["wildcards"]) == stamp["key"]
