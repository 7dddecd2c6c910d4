"""`wframe inputs`: have everything that an edition is made from here and checked, before anything is trained.

Writes results/inputs.json: what is here, of which copy, and what the run goes on without.
"""

import argparse
import os
import re
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from wframe.config import edition as editions
from wframe.config.edition import Edition
from wframe.data.download import as_size
from wframe.data.fetch import NotFetched, by_hand, fetch
from wframe.data.patience import Patience
from wframe.data.records import local_state, read_stamp
from wframe.data.registry import REGISTRY, Copy, Entry, data_folder, known
from wframe.data.status import download_size, free_disk
from wframe.errors import UserError
from wframe.files import read_yaml, unwritable, write_json
from wframe.jobs.left_out import in_words, may_be_left_out, users, without


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe inputs`."""
    add = parser.add_argument
    add("edition", type=Path, help="the edition's file")
    add("--data", type=Path, help="the data folder; default: WFRAME_DATA, else data")
    add("--registry", type=Path, default=REGISTRY, help="the list of inputs; default: config/inputs.yaml")
    add(
        "--claims",
        type=Path,
        default=Path("config/claims.yaml"),
        help="the claims, to report which ones need a missing input",
    )
    add("--without", nargs="*", default=[], metavar="NAME", help="entries to leave out if they are unavailable")
    add("--offline", action="store_true", help="contact no server")
    add("--tries", type=int, default=Patience.tries, help="attempts per source")
    add("--pause", type=float, default=Patience.pause, help="seconds before the next attempt, doubled each time")
    add("--seen", default="", help="state of the inputs before this call, so that the workflow notices a change")
    add("--out", type=Path, required=True, help="the record to write (.json)")


def main(args: argparse.Namespace) -> None:
    """Fetch what is missing; stop with everything there is to say if the edition can't do without it."""
    edition = editions.load(args.edition).model_copy(update={"without": args.without})
    entries, data = known(in_order(edition), args.registry), data_folder(args.data)
    if unknown := set(args.without) - set(entries):
        raise UserError(
            f"without: the edition has no input {', '.join(sorted(unknown))} (it has: {', '.join(entries)})"
        )
    check_space(entries, data)
    failed: dict[str, NotFetched] = {}
    copies: dict[str, Copy] = {}
    for name, entry in entries.items():
        try:
            copies[name] = fetch(name, entry, data, Patience(tries=args.tries, pause=args.pause), args.offline)
        except NotFetched as error:
            failed[name] = error
        except OSError as error:
            raise unwritable(error, data / name) or error from error
    left_out = {
        name: {
            "title": entries[name].title,
            "why": why(entries[name]),
            "tried": error.tried,
            "by_hand": by_hand(name, entries[name], data),
            "serves": serves(edition, name, why(entries[name]), args.claims),
            "seen": local_state(data, name, entries[name]),
        }
        for name, error in failed.items()
    }
    needed = [name for name in failed if not may_be_left_out(edition, name)]
    if failed:
        print("\n".join(explain(name, about, name in needed) for name, about in left_out.items()), file=sys.stderr)
    if needed:
        raise UserError(how_to_go_on(edition, needed))
    record = {name: here_record(data, name, entries[name], copy) for name, copy in copies.items()}
    write_json(args.out, {"inputs": record, "left_out": left_out, "seen": args.seen})


def in_order(edition: Edition) -> list[str]:
    """Return the edition's inputs in the order in which they're fetched: what all else needs comes first."""
    datasets = [name for dataset in edition.datasets.values() for name in dataset.inputs]
    return list(dict.fromkeys([*edition.bank.inputs, *datasets, *(edition.scores.inputs if edition.scores else [])]))


def check_space(entries: dict[str, Entry], data: Path) -> None:
    """Refuse at once what the disk can't take, as far as sizes are known.

    Raises:
        UserError: with each input's size, and what is free.
    """
    sizes = {name: download_size(name, entry, data)[0] for name, entry in entries.items()}
    total, free = sum(size for size in sizes.values() if size), free_disk(data)
    print(f"inputs: {as_size(total, exact=False)} to download, {as_size(free)} free", file=sys.stderr)
    if total > free:
        said = ", ".join(f"{name} {as_size(size)}" for name, size in sizes.items() if size != 0)
        raise UserError(
            f"{data}: about {as_size(total)} are to be downloaded ({said}), {as_size(free)} are free. Make room, or "
            "choose another folder (WFRAME_DATA)."
        )


def why(entry: Entry) -> str:
    """Return why an input isn't here, in words for a claim."""
    return f"{entry.title.partition(' (')[0]} could not be fetched"


def here_record(data: Path, name: str, entry: Entry, copy: Copy) -> dict[str, Any]:
    """Return what results/inputs.json says of an input that is here."""
    stamp = read_stamp(data, name) or {"files": {}}
    files = {
        file: {"sha256": about["sha256"], "size": about["size"], "source": about["source"]}
        for file, about in sorted(stamp["files"].items())
    }
    about = {"title": entry.title, "terms": entry.terms, "link": entry.link, "copy": copy.name}
    return about | {"hub": copy.hub, "reader": copy.source, "differs": copy.differs, "files": files}


def serves(edition: Edition, entry: str, reason: str, claims: Path) -> dict[str, list[str]]:
    """Return what an input would serve: datasets, studies, baselines, rows of the score table, figures, claims."""
    try:
        reduced = without(edition, {entry: reason})
    except UserError:
        return {"all": [edition.edition]}
    found: dict[str, list[str]] = {"datasets": [edition.datasets[name].title or name for name in users(edition, entry)]}
    whole = edition.studies.items()
    found["studies"] = [s.title or n for n, s in whole if n not in reduced.studies or reduced.studies[n] != s]
    found["baselines"] = [b.title or n for n, b in edition.baselines.items() if n not in reduced.baselines]
    rows = edition.scores.rows if edition.scores else {}
    found["rows of the score table"] = [n for n in rows if reduced.left_out("row", n)]
    if edition.scores and entry in edition.scores.inputs:
        found["rows of the score table"] = list(rows)
    stated = read_yaml(claims) if claims.exists() else []
    lost = [claim for claim in stated if _needs(claim.get("of") or {}, edition, reduced, found)]
    drawn = {claim["figure"] for claim in lost if re.fullmatch(r"figure-\d+", claim.get("figure") or "")}
    named = {f"figure-{number}" for claim in lost for number in re.findall(r"Figures? (\d+)", claim.get("where", ""))}
    found["figures"] = sorted(name.replace("figure-", "Figure ") for name in drawn | named)
    found["claims"] = [claim["id"] for claim in lost]
    return {kind: names for kind, names in found.items() if names}


def _needs(of: dict[str, Any], edition: Edition, reduced: Edition, found: dict[str, list[str]]) -> bool:
    """Whether what a claim looks at (`of`) is in the edition, and isn't in the reduced one."""

    def has(part: Edition) -> bool:
        if "study" in of and of["study"] not in part.studies:
            return False
        if "baseline" in of and of["baseline"] not in part.baselines:
            return False
        if "study" in of and "datasets" in of:
            stand = {paper for name in part.studies[of["study"]].datasets for paper in part.datasets[name].stands_for}
            return bool(stand & set(of["datasets"]))
        return True

    rows = {of.get(key) for key in ("row", "higher", "lower")} & set(found["rows of the score table"])
    return bool(rows) or (has(edition) and not has(reduced))


def explain(name: str, about: dict[str, Any], needed: bool) -> str:
    """Return everything there is to say of a missing input: why, what it would serve, and what to do."""
    lines = [f"\n{name} ({about['title']}) could not be downloaded and {'is required' if needed else 'is left out'}."]
    lines += ["  why:", *(f"    {line}" for line in about["tried"])]
    lines.append(f"  it would serve: {in_words(about['serves'])}")
    return "\n".join([*lines, *(f"  {line}" for line in about["by_hand"].splitlines())])


def how_to_go_on(edition: Edition, needed: Iterable[str]) -> str:
    """Return what to do about inputs that the edition needs: the exact command that goes on without them."""
    needed = list(needed)
    bank = [name for name in needed if name in edition.bank.inputs]
    said = (
        f"{', '.join(needed)} could not be downloaded (reasons above). Nothing was trained; what was fetched is kept."
    )
    if bank:
        return f"{said} Everything needs {', '.join(bank)}: put it there by hand, and run the same command again."
    names = ",".join(dict.fromkeys([*edition.without, *needed]))
    return f"{said} Put it there by hand and run the same command again, or go on without:\n  {with_option(names)}"


def with_option(names: str) -> str:
    """Return the user's own command with `--config without=NAMES`."""
    words = [word for word in shlex.split(os.environ.get("WFRAME_COMMAND", "snakemake")) if "without=" not in word]
    if "--config" in words:
        at = words.index("--config") + 1
        return shlex.join([*words[:at], f"without={names}", *words[at:]])
    return shlex.join([*words, "--config", f"without={names}"])
