"""`wframe verify`: is a published archive whole, and what its own records say? Needs nothing but the archive."""

import argparse
import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from wframe.errors import UserError

METADATA = "ro-crate-metadata.json"
MANIFEST = "results/manifest.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe verify`."""
    parser.add_argument("archive", type=Path, help="a release, made by `wframe publish`")


def main(args: argparse.Namespace) -> int:
    """Print what is wrong with an archive; return 1 if anything is."""
    try:
        with zipfile.ZipFile(args.archive) as archive:
            problems, said = verify(archive)
    except FileNotFoundError:
        raise UserError(f"{args.archive}: not found") from None
    except zipfile.BadZipFile as error:
        raise UserError(f"{args.archive}: not a whole zip file ({error}). Get it again.") from None
    for name, why in sorted(problems.items()):
        print(f"{name}: {why}")
    print(f"{args.archive}: {len(problems)} problems" if problems else f"{args.archive}: {said}")
    return int(bool(problems))


def verify(archive: zipfile.ZipFile) -> tuple[dict[str, str], str]:
    """Return what is wrong (file → why), and a line that says what was compared.

    Every file must be the one that the metadata, SHA256SUMS and the manifest of results agree on. The manifest may
    list arrays of images that the release left out.

    Raises:
        UserError: it isn't an archive of `wframe publish`.
    """
    names = {info.filename for info in archive.infolist() if not info.is_dir()}
    for name in (METADATA, "SHA256SUMS", MANIFEST):
        if name not in names:
            raise UserError(f"{archive.filename}: holds no {name}, so it isn't a release of `wframe publish`")
    described = _described(json.loads(archive.read(METADATA)))
    listed = dict(line.split("  ", 1)[::-1] for line in archive.read("SHA256SUMS").decode().splitlines())
    manifest = json.loads(archive.read(MANIFEST))
    results = {f"results/{name}": entry["sha256"] for name, entry in manifest["outputs"].items()}
    problems = {}
    for name in (names | set(described) | set(listed)) - {METADATA, "SHA256SUMS"}:
        if name not in names:
            problems[name] = "missing"
        elif name not in described or name not in listed:
            problems[name] = "not part of the release"
        elif (found := _sha256(archive, name)) != described[name] or found != listed[name]:
            problems[name] = f"its bytes changed: sha256 {found}, published was {described[name]}"
        elif found != results.get(name, found):
            problems[name] = f"not the result that {MANIFEST} lists"
    left_out = [name for name in results if name not in names and name not in problems]
    for name in left_out:
        if not (name.startswith("results/data/") and name.endswith(".npy")):
            problems[name] = f"{MANIFEST} lists it, but it isn't here"
    said = f"all {len(described)} files are as published, {len(results) - len(left_out)} of them results"
    return problems, said + (f"; arrays of images left out: {len(left_out)}" if left_out else "")


def _described(metadata: dict[str, Any]) -> dict[str, str]:
    """Return file → SHA-256 as the RO-Crate has them."""
    return {unquote(entity["@id"]): entity["sha256"] for entity in metadata["@graph"] if "sha256" in entity}


def _sha256(archive: zipfile.ZipFile, name: str) -> str:
    """Return the hash of a member's content, or why it can't be read."""
    try:
        with archive.open(name) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    except zipfile.BadZipFile as error:
        return f"unreadable ({error})"
