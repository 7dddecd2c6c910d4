"""Where the workflow's files are, relative to the folder that it runs in."""

from wframe.config.edition import Edition

BANK = "results/bank.safetensors"
CHECKPOINTS = "results/checkpoints"
GAIN = "results/measurements/gain.csv"
INPUTS_RECORD = "results/inputs.json"
WEIGHTS_RECORD = "results/scores/weights.json"


def prepared(dataset: str, classes: list[str], ending: str = "npy") -> list[str]:
    """Return the prepared arrays (npy) or manifests (parquet) of these classes."""
    return [f"results/data/{dataset}/{class_}.{ending}" for class_ in classes]


def baseline_files(edition: Edition, ending: str) -> list[str]:
    """Return the files with this ending, of every repeat of every baseline."""
    return [
        f"results/baselines/{name}/{repeat}.{ending}"
        for name, baseline in edition.baselines.items()
        for repeat in range(baseline.repeats)
    ]


def baseline_figures(edition: Edition) -> list[str]:
    """Return the list of the baselines' figures, where an edition has baselines."""
    return ["results/figures/baselines/index.json"] if edition.baselines else []


def score_records(edition: Edition) -> list[str]:
    """Return the records of the score table's rows."""
    return [f"results/scores/{row}.json" for row in edition.scores.rows] if edition.scores else []


def weights_record(edition: Edition) -> list[str]:
    """Return the record of the classifier's weights, where the edition has scores."""
    return [WEIGHTS_RECORD] if edition.scores else []


def score_tables(edition: Edition) -> list[str]:
    """Return the score table, where the edition has one."""
    return ["results/tables/scores.csv"] if edition.scores else []


def theory(edition: Edition) -> list[str]:
    """Return what was computed of the paper's theory, where the edition asks for it."""
    return ["results/measurements/theory.json"] if edition.theory else []


def theory_figures(edition: Edition) -> list[str]:
    """Return the index of the theory's figure, likewise."""
    return ["results/figures/theory/index.json"] if edition.theory else []


def fetched(edition: Edition, entries: list[str]) -> list[str]:
    """Return the stamp files of registry entries, written when an entry is completely fetched."""
    return [str(edition.data_path(f"{name}/.fetched.json")) for name in entries]


def of_studies(edition: Edition, pattern: str) -> list[str]:
    """Return a file for each study, by a pattern with {study}."""
    return [pattern.replace("{study}", study) for study in edition.studies]


def measurements(edition: Edition) -> list[str]:
    """Return the tables of measurements: of baselines on few images or with an encoder, of chains, of groups."""
    few = [name for name, baseline in edition.baselines.items() if baseline.duplicate_to]
    methods = next(iter(edition.studies.values())).methods
    compared = ["results/measurements/quality.csv"] if set(methods) == {"frame", "wframe"} else []
    gains = [GAIN] if with_gain(edition) else []
    return [f"results/measurements/few-images/{name}.csv" for name in few] + reconstructions(edition) + compared + gains


def with_gain(edition: Edition) -> list[str]:
    """Return the studies whose figures and claims need the penalty's gain: those of collapse, and maps."""
    return [
        name
        for name, study in edition.studies.items()
        if study.show == "map" or (study.show == "settings" and name in ("collapse", "sizes"))
    ]


def shown_in_figures(edition: Edition, study: str) -> list[str]:
    """Return the measurements that a study's figures show: the penalty's gain, where it bounds λβ or marks settings;
    or what settings that build on one another do to the images.
    """
    if edition.studies[study].show == "steps":
        return [f"results/measurements/looks/{study}.csv"]
    return [GAIN] if study in with_gain(edition) else []


def reconstructions(edition: Edition) -> list[str]:
    """Return the tables of reconstructions: of each baseline that has an encoder."""
    return [
        f"results/measurements/reconstructions/{name}.csv"
        for name, baseline in edition.baselines.items()
        if baseline.reconstructs and not baseline.duplicate_to
    ]
