"""Where the workflow's files are, relative to the folder that it runs in."""

from wframe.config.edition import Edition

CHECKPOINTS = "results/checkpoints"
WEIGHTS_RECORD = "results/scores/weights.json"


def prepared(dataset: str, classes: list[str], ending: str = "npy") -> list[str]:
    """Return the prepared arrays (npy) or manifests (parquet) of some classes."""
    return [f"results/data/{dataset}/{class_}.{ending}" for class_ in classes]


def baseline_files(edition: Edition, ending: str) -> list[str]:
    """Return the files with an ending of all trainings of all baselines."""
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


def fetched(edition: Edition, entries: list[str]) -> list[str]:
    """Return the stamps of fetched entries of the registry, which say that these are complete."""
    return [str(edition.data_path(f"{name}/.fetched.json")) for name in entries]


def measurements(edition: Edition) -> list[str]:
    """Return the tables of measurements: of baselines on few images or with an encoder, of some of wFRAME's chains."""
    few = [name for name, baseline in edition.baselines.items() if baseline.duplicate_to]
    methods = next(iter(edition.studies.values())).methods
    piecewise = ["results/measurements/piecewise.csv"] if "wframe" in methods else []
    return [f"results/measurements/few-images/{name}.csv" for name in few] + reconstructions(edition) + piecewise


def reconstructions(edition: Edition) -> list[str]:
    """Return the tables of reconstructions: of each baseline that has an encoder."""
    return [
        f"results/measurements/reconstructions/{name}.csv"
        for name, baseline in edition.baselines.items()
        if baseline.reconstructs and not baseline.duplicate_to
    ]
