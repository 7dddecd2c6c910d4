"""`wframe fetch`: get an entry of the registry, whole and checked, or say exactly what to do."""

import argparse
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wframe.data import hub
from wframe.data.download import Part, check_disk, transfer
from wframe.data.patience import Patience
from wframe.data.records import STAMP, alone, files_of, here, keep_in_lock, missing_patterns, read_lock
from wframe.data.refused import Refused
from wframe.data.registry import REGISTRY, Copy, Entry, File, data_folder, known
from wframe.data.tensors import bring_tensors
from wframe.data.unpack import drop_leftovers, unpack
from wframe.data.verify import digests, problem
from wframe.errors import UserError
from wframe.files import unwritable, write_json

Record = dict[str, str | int | None]


class NotFetched(UserError):
    """An entry can't be had: what was tried, and the way to have it by hand."""

    def __init__(self, name: str, what: str, tried: list[str], by_hand: str) -> None:
        self.tried, self.by_hand = tried, by_hand
        lines = "\n".join(f"  {line}" for line in tried)
        super().__init__(f"{name}: {what} can't be fetched. Tried:\n{lines}\n{by_hand}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe fetch`."""
    add = parser.add_argument
    add("entries", nargs="+", metavar="NAME", help="entries of config/inputs.yaml, e.g. cifar10 vgg16")
    add("--data", type=Path, help="the data folder; default: WFRAME_DATA, else data")
    add("--registry", type=Path, default=REGISTRY, help="the list of inputs; default: config/inputs.yaml")
    add("--offline", action="store_true", help="contact no server: check the files here, and use the Hub's local cache")
    add(
        "--timeout",
        type=float,
        default=Patience.timeout,
        help="give a server up after so many seconds without a byte, or twice as many at less than 500 bytes a second",
    )
    add("--tries", type=int, default=Patience.tries, help="attempts per source")
    add("--pause", type=float, default=Patience.pause, help="seconds before the next attempt, doubled each time")


def main(args: argparse.Namespace) -> None:
    """Fetch entries, one after the other."""
    entries = known(args.entries, args.registry)
    data = data_folder(args.data)
    patience = Patience(timeout=args.timeout, tries=args.tries, pause=args.pause)
    for name, entry in entries.items():
        try:
            fetch(name, entry, data, patience, args.offline)
        except OSError as error:
            raise unwritable(error, data / name) or error from error


def fetch(name: str, entry: Entry, data: Path, patience: Patience, offline: bool = False) -> Copy:
    """Bring one copy of an entry into `data/name`, check and unpack it, and record it in the stamp.

    Two processes may do so at once: one works, the other waits and finds everything here. What is here already
    and on record needs no server and nothing to be written.

    Raises:
        NotFetched: no copy can be had; the message lists each source with its reason, and what to do.
    """
    if copy := here(data, name, entry):
        print(f"{name}: here", file=sys.stderr)
        return copy
    folder = data / name
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder):
        if copy := here(data, name, entry):
            print(f"{name}: here", file=sys.stderr)
            return copy
        drop_leftovers(folder)
        tried: list[str] = []
        # a copy that someone put here by hand comes first
        for copy in sorted(entry.alternatives, key=lambda copy: not _all_there(copy, folder)):
            try:
                record = _Fetch(name, data, patience, offline).bring(copy)
            except Refused as reason:
                tried += str(reason).splitlines()
                continue
            about = {"entry": name, "title": entry.title, "terms": entry.terms, "link": entry.link}
            about |= {"copy": copy.name, **copy.model_dump(include={"hub", "source", "path", "differs"})}
            write_json(folder / STAMP, about | {"files": record})
            _tidy(folder)
            print(f"{name}: here and checked. Terms: {entry.terms} ({entry.link})", file=sys.stderr)
            return copy
    single = entry.files[0].name if len(entry.files) == 1 else entry.title
    raise NotFetched(name, single, tried, by_hand(name, entry, data))


def _tidy(folder: Path) -> None:
    """Remove what tries that failed have left."""
    shutil.rmtree(folder / hub.STAGE, ignore_errors=True)
    for left in [*folder.glob("*.part"), *folder.glob("*.part.json")]:
        left.unlink()


def _all_there(copy: Copy, folder: Path) -> bool:
    return all(any(folder.glob(file.name)) for file in copy.files)


def by_hand(name: str, entry: Entry, data: Path) -> str:
    """Return how a person can have an entry that no server gives, and how it is then checked."""
    lines = []
    for copy in entry.alternatives:
        for file in copy.files:
            if file.manual:
                lines.append(f"What to do: {file.manual.strip()}\nPut it at {data / name / file.name}")
    if not lines:
        copy = entry.alternatives[0]
        first = copy.files[0].whole or copy.files[0]
        where = f"https://{hub.place(copy.hub).address}" if copy.hub else "a browser or a colleague"
        lines = [f"What to do: get it from {where}.\nPut it at {data / name / first.name}"]
    return "\n".join(lines) + f"\nand run the same command again: it is checked and used. (`wframe fetch {name}` too.)"


@dataclass(frozen=True)
class _Fetch:
    """One entry being fetched."""

    name: str
    data: Path
    patience: Patience
    offline: bool

    def bring(self, copy: Copy) -> dict[str, Record]:
        """Have all files of a copy in place; return their records.

        Raises:
            Refused: with a line for each source of the file that can't be had.
        """
        remotes = self._remotes(copy) if copy.hub else {}
        lock = read_lock(self.data)
        names = list(remotes) or self._names_here(copy, lock)
        if patterns := missing_patterns(copy, names):
            raise Refused(f"{copy.name}: {copy.hub} has no {' or '.join(patterns)}, or it isn't known offline")
        files = files_of(copy, names)
        for name, file in files.items():
            if remotes:
                self._agree(copy, file, remotes.get(name), lock.get(f"{self.name}/{name}"))
        missing = [name for name in files if not (self.data / self.name / name).exists()]
        check_disk(self.data / self.name, sum(remotes[n].size for n in missing if n in remotes), copy.name)
        return {name: self._file(copy, file, remotes.get(name)) for name, file in files.items()}

    def _names_here(self, copy: Copy, lock: dict[str, str]) -> list[str]:
        """Return what the lock, or else the folder, has of a copy's files: for when the Hub can't be asked."""
        folder = self.data / self.name
        locked = [key.removeprefix(f"{self.name}/") for key in lock if key.startswith(f"{self.name}/")]
        found = [str(path.relative_to(folder)) for file in copy.files for path in folder.glob(file.name)]
        return [name for name in locked or found if not name.startswith(".")]

    def _remotes(self, copy: Copy) -> dict[str, hub.Remote]:
        """What the Hub has at the copy's commit; empty where it can't be asked but everything may be here."""
        assert copy.hub is not None, "asked of Hub copies only"
        folder = self.data / self.name
        complete = _all_there(copy, folder) and all(file.has_hash for file in copy.files)
        if complete or self.offline:
            return {}
        try:
            return hub.listing(hub.place(copy.hub), self.patience)
        except Refused as reason:
            by_name = all("*" not in file.name for file in copy.files)
            where = hub.place(copy.hub)
            if by_name and all((folder / f.name).exists() or hub.cached(where, f.name) for f in copy.files):
                return {}
            if _all_there(copy, folder):
                return {}
            raise Refused(f"{copy.name} ({hub.place(copy.hub).address}): {reason}") from reason

    def _agree(self, copy: Copy, file: File, remote: hub.Remote | None, locked: str | None) -> None:
        """Refuse, before anything is downloaded, what the Hub has otherwise than we know it; else lock it."""
        where = f"{copy.name} ({copy.hub}): {file.name}"
        if remote is None:
            raise Refused(f"{where}: the commit has no such file")
        if file.size not in (None, remote.size):
            raise Refused(f"{where}: the Hub has {remote.size:,} bytes, the registry {file.size:,}")
        if remote.sha256 is None:
            return
        for whose, hash_ in (("the registry", file.sha256), ("the lock of the first fetch", locked)):
            if hash_ and not remote.sha256.startswith(hash_):
                raise Refused(f"{where}: the Hub states sha256 {remote.sha256}, {whose} {hash_}")
        if locked is None:
            keep_in_lock(self.data, f"{self.name}/{file.name}", remote.sha256)

    def _file(self, copy: Copy, file: File, remote: hub.Remote | None) -> Record:
        """Have one file in place, checked and unpacked; return its record."""
        path, key = self.data / self.name / file.name, f"{self.name}/{file.name}"
        locked = read_lock(self.data).get(key)
        came_from: str | None = "put here by hand"
        if path.exists() and (wrong := problem(file, path, locked)):
            aside = path.with_name(path.name + ".wrong")
            path.replace(aside)
            print(f"{path}: {wrong}; set aside as {aside.name}", file=sys.stderr)
        if not path.exists():
            came_from = self._get(copy, file, path, locked, remote)
        found: dict[str, Any] = digests(path)
        if locked is None and not file.md5 and len(file.sha256 or "") < 64:
            keep_in_lock(self.data, key, found["sha256"])
        if file.unpack:
            unpack(path, path.parent)
            for member, md5 in file.members.items():
                if digests(path.parent / member)["md5"] != md5:
                    raise UserError(
                        f"{path.parent / member}: not the original (md5 differs). Remove {path} and fetch again."
                    )
        state = path.stat()
        return found | {"size": state.st_size, "mtime_ns": state.st_mtime_ns, "source": came_from}

    def _get(self, copy: Copy, file: File, path: Path, locked: str | None, remote: hub.Remote | None) -> str:
        """Try the sources of a file in order; return the one that served it."""
        reasons = []
        if copy.hub and not file.sources:
            try:
                if self.offline and hub.cached(hub.place(copy.hub), file.name) is None:
                    raise Refused("(offline)")
                source = hub.download(hub.place(copy.hub), file.name, remote, path, self.patience)
                if wrong := problem(file, path, locked):
                    path.unlink()
                    raise Refused(wrong)
                return source
            except Refused as reason:
                raise Refused(f"{copy.name} ({hub.place(copy.hub).address}), {file.name}: {reason}") from reason
        if file.whole:
            return bring_tensors(file, file.whole, path, locked, self.patience, self.offline)
        part = Part(path.with_name(path.name + ".part"))
        for url in [] if self.offline else file.sources:
            try:
                transfer(url, part, file, bool(file.has_hash or locked), self.patience)
                if wrong := problem(file, part.path, locked):
                    part.drop()
                    raise Refused(wrong)
                part.move(path)
                return url
            except Refused as reason:
                reasons.append(f"{url}: {reason}")
        nothing = "(offline)" if self.offline and file.sources else "(no server has it any more)"
        raise Refused("\n".join(reasons) or f"{copy.name}, {file.name}: {nothing}")
