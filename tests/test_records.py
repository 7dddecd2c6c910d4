"""The record of results: a folder by another name, and releases that are damaged."""

import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from wframe.__main__ import main
from wframe.config.edition import check
from wframe.files import write_json
from wframe.jobs.runs import run_files
from wframe.record.manifest import build_manifest
from wframe.record.stamps import Step, check_reads, write_stamps
from wframe.record.verify import MANIFEST, METADATA


def test_a_results_folder_may_have_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    datasets, studies = {"d": {"source": "embedded", "path": "faces"}}, {"whole": {"datasets": ["d"]}}
    edition = check({"edition": "small", "datasets": datasets, "studies": studies})
    record, *others = run_files(edition, "json")
    for file in (record, *others):
        write_json(file, {})
    write_stamps(Step("train", {}, "k", [], [record]), {})
    step = Step("claims", {}, "k", [record], ["results/claims.json"])
    write_json("results/claims.json", [])
    write_stamps(step, check_reads(step))
    Path("results").rename("copy")
    manifest = build_manifest(Path("copy"), edition)
    assert len(manifest["runs"]) == 2 and manifest["outputs"]["claims.json"]["inputs"] == [
        record.removeprefix("results/")
    ]


def release(path: Path) -> bytes:
    """Write a release of one text; return its bytes."""
    members = {"text": "".join(str(number) for number in range(100)), MANIFEST: json.dumps({"outputs": {}})}

    def hashes() -> dict[str, str]:
        return {name: hashlib.sha256(content.encode()).hexdigest() for name, content in members.items()}

    members[METADATA] = json.dumps({"@graph": [{"@id": name, "sha256": sha256} for name, sha256 in hashes().items()]})
    members["SHA256SUMS"] = "\n".join(f"{sha256}  {name}" for name, sha256 in hashes().items())
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path.read_bytes()


def test_a_folder_is_no_release(tmp_path: Path, capsys: pytest.CaptureFixture):
    assert main(["verify", str(tmp_path)]) == 2
    assert "a folder; verify takes a .zip made by `wframe publish`. For a folder, use" in capsys.readouterr().err


def test_every_damaged_byte_of_a_release_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture):
    path = tmp_path / "release.zip"
    whole = release(path)
    assert main(["verify", str(path)]) == 0
    with zipfile.ZipFile(path) as archive:
        about = archive.getinfo("text")
    begin = about.header_offset + 30 + len("text")
    statuses = []
    for place in range(begin, begin + about.compress_size):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        statuses.append(main(["verify", str(path)]))
        assert statuses[-1] == ("text: " in capsys.readouterr().out)
    assert statuses.count(0) < 3, "few bits mean nothing"
