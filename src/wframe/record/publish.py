"""`wframe publish`: pack code and results into one archive with RO-Crate metadata, which others can verify."""

import argparse
import hashlib
import io
import mimetypes
import subprocess
from pathlib import Path
from typing import Any

from rocrate.model import ContextEntity, SoftwareApplication
from rocrate.model.entity import Entity
from rocrate.rocrate import ROCrate

from wframe import __version__
from wframe.config import edition as editions
from wframe.config.edition import Edition
from wframe.errors import UserError
from wframe.files import atomic_write, read_json, read_yaml, sha256_file
from wframe.record.check import check, edition_file
from wframe.record.manifest import git_state
from wframe.record.stamps import RESULTS, STAMPS
from wframe.record.verify import METADATA

RECORDS = Path(".snakemake/metadata")  # with it, `snakemake -n` finds nothing to do in the unpacked archive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe publish`."""
    add = parser.add_argument
    add("out", type=Path, help="the archive to write (.zip)")
    add("--edition", type=Path, metavar="FILE", help="the edition's file; default: the one that params.yaml names")
    add(
        "--with-images",
        action="store_true",
        help="include the prepared images (only if the dataset's terms allow it)",
    )


def main(args: argparse.Namespace) -> None:
    """Check that the results are those of the committed tree, then write the archive.

    Raises:
        UserError: the tree has uncommitted changes, or a result is stale, drifted or orphaned.
    """
    if not Path("Snakefile").exists():
        raise UserError("no Snakefile here: run `wframe publish` in the checkout whose results you want to publish")
    edition = args.edition or edition_file()
    state = git_state()
    if state["dirty"] is not False:
        raise UserError("a release needs a commit: there is none, or changes aren't committed (see git status)")
    findings = check(edition)
    if any(findings.values()):
        counts = ", ".join(f"{len(files)} {kind}" for kind, files in findings.items() if files)
        raise UserError(f"the results don't match this commit ({counts}): see `wframe check`")
    manifest = read_json(RESULTS / "manifest.json")
    withheld = set() if args.with_images else images_to_withhold(editions.load(edition))
    files = [*tracked_files(), *sorted(path for path in RECORDS.rglob("*") if path.is_file())]
    files += sorted(path for path in STAMPS.rglob("*.json"))
    files += [RESULTS / name for name in (*manifest["outputs"], "manifest.json") if name not in withheld]
    crate = describe(files, manifest, state["commit"])
    with atomic_write(args.out) as part:
        crate.write_zip(part)
    left_out = f"; image arrays left out (see --with-images): {len(withheld)}" if withheld else ""
    print(f"{args.out}: {len(files)} files of commit {state['commit'][:12]}{left_out}, sha256 {sha256_file(args.out)}")


def tracked_files() -> list[Path]:
    """Return the files tracked by git."""
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True).stdout
    return [Path(name) for name in listed.split("\0") if name]


def images_to_withhold(edition: Edition) -> set[str]:
    """Return the prepared arrays of third-party datasets, which contain the images themselves."""
    return {
        f"data/{name}/{class_}.npy"
        for name, dataset in edition.datasets.items()
        if dataset.source != "embedded"
        for class_ in dataset.classes
    }


def describe(files: list[Path], manifest: dict[str, Any], commit: str) -> ROCrate:
    """Return the crate: the files with their hashes, and each step as an action from inputs to outputs."""
    crate = ROCrate()
    citation = read_yaml("CITATION.cff")
    crate.name = f"{citation['title']}: {manifest['edition']} edition"
    crate.description = f"Code, results and their records at commit {commit}."
    licence = {"@type": "CreativeWork", "name": citation["license"]}
    crate.license = crate.add(ContextEntity(crate, f"https://spdx.org/licenses/{citation['license']}", licence))
    crate.root_dataset["version"] = f"{__version__}+{commit[:12]}"
    crate.root_dataset["author"] = [
        crate.add(ContextEntity(crate, f"#author-{number}", {"@type": kind, "name": name}))
        for number, (kind, name) in enumerate(map(author_name, citation["authors"]))
    ]
    workflow = crate.add_workflow("Snakefile", main=True, lang="snakemake", properties={"version": commit})
    hashes = {str(path): sha256_file(path) for path in files}
    entities: dict[str, Entity] = {
        name: workflow if name == "Snakefile" else crate.add_file(name, name) for name in hashes
    }
    for name, entity in entities.items():
        entity["sha256"] = hashes[name]
        entity["contentSize"] = str(Path(name).stat().st_size)
        entity["encodingFormat"] = mimetypes.guess_type(name)[0] or "application/octet-stream"
    sums = io.StringIO()
    crate.add_file(sums, "SHA256SUMS", properties={"name": "for `sha256sum -c SHA256SUMS`"})
    add_actions(crate, entities, manifest)
    metadata = b"".join(piece for _, piece in crate.metadata.stream())
    hashes[METADATA] = hashlib.sha256(metadata).hexdigest()
    sums.write("".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items())))
    sums.seek(0)
    return crate


def author_name(author: dict[str, str]) -> tuple[str, str]:
    """Return the type and name of an author in CITATION.cff: a person has two names, an organization one."""
    if "name" in author:
        return "Organization", author["name"]
    return "Person", f"{author.get('given-names', '')} {author.get('family-names', '')}".strip()


def add_actions(crate: ROCrate, entities: dict[str, Entity], manifest: dict[str, Any]) -> None:
    """Add one action per step, from its inputs to its outputs; a step is a rule with its inputs."""
    software = {
        name: crate.add(SoftwareApplication(crate, f"#{name}", {"name": name, "version": version}))
        for name, version in {"wframe": __version__, **manifest["versions"]}.items()
    }
    crate.root_dataset["softwareRequirements"] = list(software.values())
    steps: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for name, entry in manifest["outputs"].items():
        if "rule" in entry:
            steps.setdefault((entry["rule"], tuple(entry["inputs"])), []).append(name)
    runs = manifest["runs"]
    for number, ((rule, inputs), outputs) in enumerate(steps.items()):
        by_run: dict[str, list[str]] = {}  # runs on the same images and bank are separate steps
        for name in outputs:
            run = str(Path(name).relative_to("runs").with_suffix("")) if rule == "train" else ""
            by_run.setdefault(run, []).append(name)
        for part, (run, names) in enumerate(by_run.items()):
            properties = {"name": f"{rule} {run}".strip()}
            if run in runs:
                properties["description"] = " ".join(["python -m wframe", *runs[run]["command"][1:]])
            action = crate.add_action(
                software["wframe"],
                f"#{rule}-{number}-{part}",
                object=[entities[key] for name in inputs if (key := str(RESULTS / name)) in entities],
                result=[entities[key] for name in names if (key := str(RESULTS / name)) in entities],
                properties=properties,
            )
            crate.root_dataset.append_to("mentions", action)
