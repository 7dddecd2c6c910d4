"""What each rule passes to its command: one function per rule, named after it. All take the edition and the wildcards.

A rule's options are one of its parameters: when they change, its outputs are remade.
"""

import json

from wframe.config.edition import Edition
from wframe.config.learning import Method
from wframe.jobs import runs as planned
from wframe.jobs.paths import WEIGHTS_RECORD


def config(edition: Edition) -> str:
    """Return the edition in full, as JSON."""
    return edition.model_dump_json(by_alias=True)


def prepare(edition: Edition, dataset: str, class_: str) -> list[str]:
    """Return the options of `wframe prepare`."""
    entry = edition.datasets[dataset]
    values = {
        "source": entry.source,
        "path": entry.path,
        "image-column": entry.image_column,
        "label-column": entry.label_column,
        "size": entry.size,
        "crop": entry.crop,
        "images": entry.images,
        "start": entry.start or None,
        "pick": entry.pick,
        "skip-limit": entry.skip_limit,
        "group-size": edition.learning.M,
        "class": entry.named(class_),
    }
    return [text for name, value in values.items() if value is not None for text in (f"--{name}", str(value))]


def bank(edition: Edition) -> list[str]:
    """Return the options of `wframe bank`."""
    return ["--builtin"] if edition.bank.weights is None else ["--vgg16", edition.bank.weights]


def train(
    edition: Edition, study: str, dataset: str, class_: str, setting: str, method: Method, repeat: str, shard: str
) -> list[str]:
    """Return the options of `wframe train`: what to learn, with which constants."""
    entry = edition.studies[study]
    constants = edition.constants(study, dataset, setting, method).model_dump(by_alias=True)
    options = ["--study", study, "--dataset", dataset, "--class", class_, "--setting", setting, "--method", method]
    options += ["--repeat", repeat, "--seed", str(edition.seed), "--device", edition.device]
    options += ["--constants", json.dumps(constants, sort_keys=True)]
    options += ["--shard", f"{shard}/{planned.shards(edition, study, dataset, setting)}"]
    options += ["--groups", str(entry.groups)] if entry.groups else []
    snapshots = edition.snapshots(study, dataset, setting)
    return options + (["--snapshots", ",".join(map(str, snapshots))] if snapshots else [])


def baseline(edition: Edition, baseline: str, repeat: str) -> list[str]:
    """Return the options of `wframe baseline`."""
    entry = edition.baselines[baseline]
    options = ["--settings", json.dumps(entry.settings, sort_keys=True)]
    options += ["--dataset", entry.dataset, "--class", entry.class_ or "all"]
    return [*options, "--repeat", repeat, "--seed", str(edition.seed), "--device", entry.device or edition.device]


def weights(edition: Edition) -> list[str]:
    """Return the options of `wframe weights`: the classifier, and where its weights come from."""
    if edition.scores is None:
        return []
    options = [edition.scores.extractor] + (["--path", edition.scores.weights] if edition.scores.weights else [])
    # `wframe inputs` has tried to fetch them; here no server is asked again
    return options + (["--fetch", *edition.scores.inputs, "--offline"] if edition.scores.inputs else [])


def score(edition: Edition, row: str) -> list[str]:
    """Return the options of `wframe score`."""
    scores = edition.scores
    assert scores is not None, "only an edition with scores has rows"
    files = planned.score_row(edition, row)
    options = ["--training", *files.training]
    options += ["--learned", str(files.learned)] if files.learned else []
    for samples in files.samples:
        options += ["--samples", *samples]
    options += ["--held-out", *files.held_out] if files.held_out else []
    options += ["--group-size", str(edition.learning.M)] if files.about["study"] else []
    options += ["--about", json.dumps(files.about, sort_keys=True)]
    options += ["--extractor", scores.extractor, "--splits", str(scores.splits)]
    options += ["--limit", str(scores.samples)] if scores.samples else []
    options += ["--nearest", str(scores.nearest)] if scores.nearest else []
    if row == scores.gate:
        options += ["--is-gate"]
    elif scores.gate:
        options += ["--gate", f"results/scores/{scores.gate}.json"]
    return [*options, "--device", scores.device or edition.device]


def few_images(edition: Edition, baseline: str) -> list[str]:
    """Return the options of `wframe few-images`."""
    entry = edition.baselines[baseline]
    options = ["--group-size", str(edition.learning.M)]
    return options + (["--images", str(entry.images)] if entry.images else [])


def looks(edition: Edition, study: str) -> list[str]:
    """Return the options of `wframe looks`."""
    return [study, *(["--extractor", edition.scores.extractor, "--weights", WEIGHTS_RECORD] if edition.scores else [])]


def reconstruct(edition: Edition, baseline: str) -> list[str]:
    """The options of `wframe reconstruct`."""
    entry = edition.baselines[baseline]
    name, study = next(iter(edition.studies.items()))
    constants = edition.constants(name, entry.dataset, study.first, "wframe").model_dump(by_alias=True)
    options = ["--name", entry.model, "--constants", json.dumps(constants, sort_keys=True)]
    return options + (["--images", str(entry.images)] if entry.images else [])
