"""What each rule depends on besides its options: files, code, content. All take the edition and the wildcards."""

import json
import os
from pathlib import Path

from safetensors import SafetensorError, safe_open

from wframe.config.edition import Edition
from wframe.data.fingerprint import fingerprint
from wframe.data.records import local_state
from wframe.data.registry import REGISTRY, known
from wframe.errors import UserError
from wframe.files import read_json, sha256_file, sha256_json
from wframe.jobs.left_out import without
from wframe.jobs.paths import BANK, INPUTS_RECORD, WEIGHTS_RECORD, fetched
from wframe.jobs.runs import score_row
from wframe.runtime.code import code_hash
from wframe.runtime.machine import versions
from wframe.weights import BUILTIN_BANK, POCKET


def raw_files(edition: Edition, dataset: str, class_: str) -> list[str]:
    """Return the stamps of the inputs that must be fetched before a dataset can be read."""
    return fetched(edition, edition.datasets[dataset].inputs)


def raw_content(edition: Edition, dataset: str, class_: str) -> str:
    """Return a fingerprint of raw files that weren't fetched; for embedded images, the versions of their packages."""
    entry = edition.datasets[dataset]
    if entry.source == "embedded":
        return str(versions("scikit-image", "scikit-learn"))
    if entry.inputs:
        return ""
    # a class with its own folder doesn't depend on the other classes
    own = edition.data_path(entry.path) / entry.named(class_)
    separate = entry.source in ("folder", "sun") and entry.named(class_) != "all"
    return fingerprint(own if separate and own.is_dir() else edition.data_path(entry.path))


def registry_file() -> Path:
    """Return the registry's file: WFRAME_REGISTRY, as the workflow sets it."""
    return Path(os.environ.get("WFRAME_REGISTRY") or REGISTRY)


def news(edition: Edition) -> list[str]:
    """Return the inputs whose files have come or gone since results/inputs.json was written."""
    record, data = read_json(INPUTS_RECORD), edition.data_path("")
    return [
        name
        for name, entry in known(edition.inputs(), registry_file()).items()
        if local_state(data, name, entry) != record["left_out"].get(name, {"seen": "here"})["seen"]
    ]


def inputs_seen(edition: Edition) -> str:
    """Return what is known of the inputs: it changes when files have come or gone since `wframe inputs` looked."""
    if not Path(INPUTS_RECORD).exists():
        return "nothing yet"
    changed = news(edition)
    data = edition.data_path("")
    states = {name: local_state(data, name, entry) for name, entry in known(changed, registry_file()).items()}
    return sha256_json(states) if changed else read_json(INPUTS_RECORD)["seen"]


def as_planned(edition: Edition) -> Edition:
    """Return the edition as a dry run takes it: without what was missing the last time, and still is.

    Where nothing would be left it is taken in full: `wframe inputs` looks again, and says so.
    """
    if not Path(INPUTS_RECORD).exists():
        return edition
    record = read_json(INPUTS_RECORD)
    still = {name: about["why"] for name, about in record["left_out"].items() if name not in news(edition)}
    try:
        return without(edition, still)
    except UserError:
        return edition


def bank_files(edition: Edition) -> list[str]:
    """Return the stamps of the inputs that must be fetched before the bank can be made.

    A weights file that isn't fetched isn't among them: were it missing, Snakemake would take an old bank for a file
    that no rule makes. Its content is a part of the key.
    """
    return fetched(edition, edition.bank.inputs)


def bank_content(edition: Edition) -> str | None:
    """Return the hash of what the bank is made from, `missing` if it isn't there; None where it is fetched.

    It doesn't change for a weights file that was deleted after the bank was made from it.
    """
    if edition.bank.source == "builtin":
        return sha256_file(BUILTIN_BANK)
    if edition.bank.inputs or edition.bank.weights is None:
        return None
    path = edition.data_path(edition.bank.weights)
    return sha256_file(path) if path.is_file() else bank_source() or "missing"


def bank_source() -> str | None:
    """Return the hash of the weights file that the bank in `results` was made from; None if there is none on record."""
    try:
        with safe_open(BANK, "np") as file:
            about = json.loads((file.metadata() or {})["wframe"])
        return str(about["source_sha256"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        return None


def weights_content(edition: Edition) -> str:
    """Return the state of the classifier's weights; it changes when they appear, or change after they were recorded.

    It doesn't change for a file that the rule itself fetched, or for one that was deleted after its scores were made.
    """
    if edition.scores is None:
        return ""
    if edition.scores.weights is None:
        return sha256_file(POCKET)
    path = edition.data_path(edition.scores.weights)
    now = sha256_file(path) if path.is_file() else "missing"
    known = read_json(WEIGHTS_RECORD) if Path(WEIGHTS_RECORD).exists() else {"status": "none yet"}
    old = known["status"] == "ok" and now in ("missing", known["sha256"])
    return known["seen"] if old else now


def score_files(edition: Edition, row: str) -> list[str]:
    """Return the images that a row is made from, and the record of the gate if the row depends on it."""
    assert edition.scores is not None, "only an edition with scores has rows"
    gate = edition.scores.gate
    return score_row(edition, row).files + ([f"results/scores/{gate}.json"] if gate and row != gate else [])


def prepare_code(edition: Edition, dataset: str, class_: str) -> str:
    """Return the hash of the code that prepares a dataset; other readers don't count."""
    entry = edition.datasets[dataset]
    sources = {entry.source}
    if entry.source == "registry":  # whichever copy is fetched: its stamp, an input of the step, says which
        registry = known(entry.inputs, registry_file())
        sources |= {reader for name in entry.inputs for reader in registry[name].readers}
    return code_hash("wframe.data.prepare", *(f"wframe.data.readers.{source}" for source in sorted(sources)))


def baseline_code(edition: Edition, baseline: str, repeat: str) -> str:
    """Return the hash of the trainer's and the model's code; other baselines don't count."""
    return code_hash("wframe.baselines.train", f"wframe.baselines.{edition.baselines[baseline].model}")


def score_code(edition: Edition, row: str) -> str:
    """Return the hash of the scoring code; other extractors don't count."""
    assert edition.scores is not None, "only an edition with scores has rows"
    return code_hash("wframe.scores.score", f"wframe.scores.extractors.{edition.scores.extractor}")


def looks_code(edition: Edition, study: str) -> str:
    """Return the hash of the code that measures images, with the extractor's where there are scores."""
    extractors = [f"wframe.scores.extractors.{edition.scores.extractor}"] if edition.scores else []
    return code_hash("wframe.measurements.looks", *extractors)


def reconstruct_code(edition: Edition, baseline: str) -> str:
    """Return the hash of what reconstructs; another baseline's code doesn't count."""
    return code_hash("wframe.measurements.reconstructions", f"wframe.baselines.{edition.baselines[baseline].model}")
