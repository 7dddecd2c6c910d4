"""`wframe looks`: what the settings of a study do to the images, by measures that aren't R.

A row for each setting, method and group: the four measures of `wframe quality`, the chains' mean distance to the
nearest observed image (root mean square, in grey levels: a copy has little), and, where the edition has scores, the
logarithm of the classifier's score of the setting's images, of all groups and of all but this one (the jackknife takes
both). The setting `observed` has the score of the groups' real images.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch_fidelity import FeatureExtractorBase

from wframe.files import atomic_write
from wframe.jobs.left_out import load_made
from wframe.jobs.runs import Run
from wframe.measurements.diversity import pairwise_distances
from wframe.measurements.quality import MEASURES, quality
from wframe.results.store import Store
from wframe.runtime.process import configure_process
from wframe.scores.classify import class_logits, load_classifier
from wframe.scores.jackknife import log_scores
from wframe.scores.score import find_weights

CPU = torch.device("cpu")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe looks`."""
    add = parser.add_argument
    add("study", help="the study's name in the configuration")
    add("--results", type=Path, default=Path("results"), help="the results folder")
    add("--extractor", help="the classifier; default: no score")
    add("--weights", type=Path, help="the record of `wframe weights`")
    add("--data", type=Path, help="the data folder that the record refers to; default: WFRAME_DATA, else data")
    add("--threads", type=int, help="CPU threads; default: all that this process may use")
    add("--out", type=Path, required=True, help="the table to write (.csv)")


def main(args: argparse.Namespace) -> None:
    """Write the table."""
    configure_process(args.threads)
    store = Store(args.results, load_made(args.results))
    weights, status = find_weights(args) if args.extractor else (None, "no classifier is given")
    if not weights:
        print(f"no score: {status}", file=sys.stderr)
    classifier = load_classifier(args.extractor, weights, CPU) if weights else None
    tables: list[pd.DataFrame] = []
    for setting, method in dict.fromkeys((run.setting, run.method) for run in store.runs(args.study)):
        runs = [run for run in store.runs(args.study) if (run.setting, run.method) == (setting, method)]
        chains = [store.images(run) for run in runs]
        observed = [_observed(store, run, len(groups)) for run, groups in zip(runs, chains, strict=True)]
        table = pd.DataFrame([row for of in zip(runs, chains, observed, strict=True) for row in _rows(*of)])
        if classifier and not tables:
            real = table[["dataset", "class", "group"]].assign(setting="observed", method="observed")
            tables.append(real.assign(**_scores(classifier, observed, "observed")))
        tables.append(table.assign(**_scores(classifier, chains, setting)) if classifier else table)
    with atomic_write(args.out) as part:
        pd.concat(tables).to_csv(part, index=False)


def _observed(store: Store, run: Run, groups: int) -> np.ndarray:
    """Return the observed images of a run's first groups: (G, M, H, W, 3)."""
    return np.stack([store.observed(run, group) for group in range(groups)])


def _rows(run: Run, chains: np.ndarray, observed: np.ndarray) -> list[dict]:
    """Return the rows of a run's groups: chains and observed images are (G, M, H, W, 3)."""
    which = {"setting": run.setting, "method": run.method, "dataset": run.dataset, "class": run.class_}
    rows = []
    for group, (x, y) in enumerate(zip(chains, observed, strict=True)):
        nearest = float(pairwise_distances(x, y).min(1).mean())
        rows.append(which | {"group": group, "nearest": nearest} | dict(zip(MEASURES, quality(x, y), strict=True)))
    return rows


def _scores(classifier: FeatureExtractorBase, runs: list[np.ndarray], title: str) -> dict:
    """Return the columns of the score, of the images (G, M, H, W, 3) of each run; runs may differ in size."""
    logits = [class_logits(classifier, images.reshape(-1, *images.shape[2:]), CPU, title) for images in runs]
    group = np.arange(sum(map(len, runs))).repeat(runs[0].shape[1])
    whole, without = log_scores(torch.cat(logits).double().softmax(1).numpy(), group)
    return {"log_score": whole, "log_score_without": without}
