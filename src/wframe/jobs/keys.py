"""Keys: one hash per rule of its options, its code, and content that isn't among its input files.

An output's stamp (`record/stamps.py`) holds the key it was made with. If the rule's current key differs, the output is
stale, whatever time stamps or Snakemake's own records say.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wframe.config.edition import Edition
from wframe.files import sha256_json
from wframe.jobs import inputs, options
from wframe.runtime.code import SOURCE, code_hash, file_hash

Part = Callable[..., Any]  # takes the edition and the rule's wildcards


def _code(*modules: str) -> Part:
    """Return a part of a key: the code hash of these modules."""
    return lambda edition, **wildcards: code_hash(*modules)


def _made(part: Part) -> Part:
    """Return a part of a key for the edition as a run makes it: without the inputs that aren't available."""
    return lambda edition, **wildcards: part(inputs.as_planned(edition), **wildcards)


def _config(edition: Edition) -> str:
    return edition.model_dump_json(by_alias=True)


def _without(edition: Edition) -> list[str]:
    return sorted(edition.without)


def _seed(edition: Edition) -> int:
    return edition.seed


def _group_size(edition: Edition) -> int:
    return edition.learning.M


def _claims(edition: Edition) -> str:
    return file_hash(Path(os.environ.get("WFRAME_CLAIMS") or SOURCE.parents[1] / "config/claims.yaml"))


# rule → the parts of its key
PARTS: dict[str, tuple[Part, ...]] = {
    "config": (_config, _code("wframe.config.command")),
    "inputs": (inputs.inputs_seen, _without),
    "prepare": (options.prepare, inputs.raw_content, inputs.prepare_code),
    "bank": (options.bank, inputs.bank_content, _code("wframe.weights.bank")),
    "train": (options.train, _code("wframe.engine.train")),
    "baseline": (options.baseline, inputs.baseline_code),
    "weights": (options.weights, inputs.weights_content, _code("wframe.scores.weights")),
    "score": (_made(options.score), inputs.score_code),
    "score_table": (_code("wframe.scores.table"),),
    "few_images": (options.few_images, _code("wframe.measurements.few_images")),
    "reconstruct": (_made(options.reconstruct), inputs.reconstruct_code),
    "gain": (_group_size, _code("wframe.measurements.gain")),
    "quality": (_code("wframe.measurements.quality"),),
    "looks": (options.looks, inputs.looks_code),
    "theory": (_seed, _code("wframe.theory.study")),
    "summarise": (_code("wframe.results.summarise"),),
    "figures": (_code("wframe.figures.command"),),
    "paper_figures": (_code("wframe.figures.command"),),
    "baseline_figures": (_code("wframe.figures.command"),),
    "claims": (_claims, _code("wframe.claims.command", "wframe.claims.judges.*")),
    "report": (_code("wframe.report.page"),),
}


def key(edition: Edition, rule: str, wildcards: dict[str, str]) -> str:
    """Return the key of a rule's outputs.

    Raises:
        KeyError: there is no such rule, or the edition has no such study, dataset, etc.
    """
    return sha256_json([part(edition, **wildcards) for part in PARTS[rule]])
