"""What each rule's outputs depend on beside its options: files, code, content. All take the edition and wildcards."""

from pathlib import Path

from wframe.config.edition import Edition
from wframe.data.fingerprint import fingerprint
from wframe.files import read_json, sha256_file
from wframe.jobs.paths import WEIGHTS_RECORD, fetched
from wframe.jobs.runs import score_row
from wframe.runtime.code import code_hash
from wframe.runtime.machine import versions
from wframe.weights import BUILTIN_BANK, POCKET


def raw_files(edition: Edition, dataset: str, class_: str) -> list[str]:
    """Return what has to be fetched before a dataset can be read."""
    return fetched(edition, edition.datasets[dataset].inputs)


def raw_content(edition: Edition, dataset: str, class_: str) -> str:
    """Return the content of raw files that no fetch vouches for; of embedded images, the packages that have them."""
    entry = edition.datasets[dataset]
    if entry.source == "embedded":
        return str(versions("scikit-image", "scikit-learn"))
    if entry.inputs:
        return ""
    # a class folder's images don't concern another class
    own = edition.data_path(f"{entry.path}/{class_}")
    separate = entry.source in ("folder", "sun") and class_ != "all"
    return fingerprint(own if separate and own.is_dir() else edition.data_path(entry.path))


def bank_files(edition: Edition) -> list[str]:
    """Return what the bank is made from: what has to be fetched, else the weights file; nothing for the builtin."""
    if edition.bank.inputs:
        return fetched(edition, edition.bank.inputs)
    return [str(edition.data_path(edition.bank.weights))] if edition.bank.weights else []


def bank_content(edition: Edition) -> str | None:
    """Return the hash of the package's bank, where an edition uses it."""
    return sha256_file(BUILTIN_BANK) if edition.bank.source == "builtin" else None


def weights_content(edition: Edition) -> str:
    """Return what is known of the classifier's weights: it changes when they come, or change, after a look at them.

    A file that the rule itself fetched is no news; nor is one that has gone while its scores are here.
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
    """Return the images that a row is made from, and the gate's record where it has to pass first."""
    assert edition.scores is not None, "only an edition with scores has rows"
    gate = edition.scores.gate
    return score_row(edition, row).files + ([f"results/scores/{gate}.json"] if gate and row != gate else [])


def prepare_code(edition: Edition, dataset: str, class_: str) -> str:
    """Return the hash of what prepares a dataset; another dataset's reader doesn't count."""
    return code_hash("wframe.data.prepare", f"wframe.data.readers.{edition.datasets[dataset].source}")


def baseline_code(edition: Edition, baseline: str, repeat: str) -> str:
    """Return the hash of the trainer's code and the model's; another baseline's doesn't count."""
    return code_hash("wframe.baselines.train", f"wframe.baselines.{edition.baselines[baseline].model}")


def score_code(edition: Edition, row: str) -> str:
    """Return the hash of what scores; another extractor's code doesn't count."""
    assert edition.scores is not None, "only an edition with scores has rows"
    return code_hash("wframe.scores.score", f"wframe.scores.extractors.{edition.scores.extractor}")


def reconstruct_code(edition: Edition, baseline: str) -> str:
    """Return the hash of what reconstructs; another baseline's code doesn't count."""
    return code_hash("wframe.measurements.reconstructions", f"wframe.baselines.{edition.baselines[baseline].model}")
