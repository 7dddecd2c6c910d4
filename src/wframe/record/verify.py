"""`wframe verify`: check that a published archive is complete and unchanged. Needs only the archive."""

import argparse
import hashlib
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from wframe.errors import UserError

METADATA = "ro-crate-metadata.json"
MANIFEST = "results/manifest.json"
# what `zipfile` raises for damaged bytes; RuntimeError for a header that says encrypted, or compressed in another way
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe verify`."""
    parser.add_argument("archive", type=Path, help="a release, made by `wframe publish`")


def main(args: argparse.Namespace) -> int:
    """Print all problems of an archive; return 1 if there are any."""
    try:
        with zipfile.ZipFile(args.archive) as archive:
            problems, summary = verify(archive)
    except FileNotFoundError:
        raise UserError(f"{args.archive}: not found") from None
    except IsADirectoryError:
        raise UserError(
            f"{args.archive}: a folder; verify takes a .zip made by `wframe publish`. For a folder, use `wframe check`."
        ) from None
    except BROKEN as error:
        raise UserError(f"{args.archive}: not a complete zip file ({error}). Download it again.") from None
    for name, why in sorted(problems.items()):
        print(f"{name}: {why}")
    print(f"{args.archive}: {len(problems)} problems" if problems else f"{args.archive}: {summary}")
    return int(bool(problems))


def verify(archive: zipfile.ZipFile) -> tuple[dict[str, str], str]:
    """Return the problems (file → reason), and a one-line summary of what was compared.

    Every file must match the metadata, SHA256SUMS and the manifest of results; the metadata must match SHA256SUMS. The
    manifest may list image arrays that the release left out.

    Raises:
        UserError: the archive wasn't made by `wframe publish`.
    """
    members = [info.filename for info in archive.infolist() if not info.is_dir()]
    names = set(members)
    for name in (METADATA, "SHA256SUMS", MANIFEST):
        if name not in names:
            raise UserError(f"{archive.filename}: has no {name}, so it isn't a release made by `wframe publish`")
    described = _described(json.loads(archive.read(METADATA)))
    listed = dict(line.split("  ", 1)[::-1] for line in archive.read("SHA256SUMS").decode().splitlines())
    manifest = json.loads(archive.read(MANIFEST))
    results = {f"results/{name}": entry["sha256"] for name, entry in manifest["outputs"].items()}
    problems = {}
    if listed.get(METADATA) != _sha256(archive, METADATA):
        problems[METADATA] = "SHA256SUMS has another hash of it"
    for name in (names | set(described) | set(listed)) - {METADATA, "SHA256SUMS"}:
        if members.count(name) > 1:
            problems[name] = "is in the archive more than once"
        elif name not in names:
            problems[name] = "missing"
        elif name not in described or name not in listed:
            problems[name] = "not part of the release"
        elif (found := _sha256(archive, name)) != described[name] or found != listed[name]:
            problems[name] = f"its bytes changed: sha256 {found}, published as {described[name]}"
        elif found != results.get(name, found):
            problems[name] = f"differs from the result listed in {MANIFEST}"
    left_out = [name for name in results if name not in names and name not in problems]
    for name in left_out:
        if not (name.startswith("results/data/") and name.endswith(".npy")):
            problems[name] = f"listed in {MANIFEST}, but missing"
    summary = f"all {len(described)} files are as published, {len(results) - len(left_out)} of them results"
    return problems, summary + (f"; image arrays left out: {len(left_out)}" if left_out else "")


def _described(metadata: dict[str, Any]) -> dict[str, str]:
    """Return file → SHA-256 from the RO-Crate metadata."""
    return {unquote(entity["@id"]): entity["sha256"] for entity in metadata["@graph"] if "sha256" in entity}


def _sha256(archive: zipfile.ZipFile, name: str) -> str:
    """Return the hash of a member's content, or why it can't be read."""
    try:
        with archive.open(name) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    except BROKEN as error:
        return f"unreadable ({error})"
