"""`wframe looks`: what the settings of a study do to the images, by measures that aren't R.

A row for each setting, method and group: the four measures of `wframe quality`, the chains' mean distance to the
nearest observed image (root mean square, in grey levels: a copy has little), and, where the edition has scores, the
logarithm of the classifier's score of the setting's images, of all groups and of all but this one (the jackknife takes
both). The setting `observed` has the score of the groups' real images.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from wframe.files import atomic_write
from wframe.jobs.left_out import load_made
from wframe.jobs.runs import Run
from wframe.measurements.quality import MEASURES, quality
from wframe.results.store import Store
from wframe.runtime.process import configure_process
from wframe.runtime.progress import Progress
from wframe.scores.probabilities import class_probabilities, load_classifier, log_scores
from wframe.scores.score import find_weights


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
    weights, _ = find_weights(args) if args.extractor else (None, "")
    classifier = load_classifier(args.extractor, weights) if weights else None
    runs = store.runs(args.study)
    tables: list[pd.DataFrame] = []
    with Progress(f"looks of {args.study}", len(runs), unit="runs") as progress:
        for kind in dict.fromkeys((run.setting, run.method) for run in runs):
            rows, p, p_real = [], [], []
            for run in runs:
                if (run.setting, run.method) == kind:
                    chains = store.images(run)
                    observed = np.stack([store.observed(run, group) for group in range(len(chains))])
                    rows += [_row(run, group, *pair) for group, pair in enumerate(zip(chains, observed, strict=True))]
                    if classifier:
                        p.append(class_probabilities(classifier, chains))
                        p_real += [] if tables else [class_probabilities(classifier, observed)]
                    progress.advance(1, f"{run.dataset}, {run.setting}")
            if p_real:
                real = pd.DataFrame(rows)[["dataset", "class", "group"]].assign(setting="observed", method="observed")
                tables.append(real.assign(**_scores(p_real)))
            tables.append(pd.DataFrame(rows).assign(**(_scores(p) if p else {})))
    with atomic_write(args.out) as part:
        pd.concat(tables).to_csv(part, index=False)


def _row(run: Run, group: int, chains: np.ndarray, observed: np.ndarray) -> dict:
    which = {"setting": run.setting, "method": run.method, "dataset": run.dataset, "class": run.class_, "group": group}
    apart = chains[:, None].astype(float) - observed[None]
    nearest = float(np.sqrt((apart**2).mean((2, 3, 4))).min(1).mean())
    return which | dict(zip(MEASURES, quality(chains, observed), strict=True)) | {"nearest": nearest}


def _scores(p: list[np.ndarray]) -> dict:
    """Return the columns of the score, of probabilities (groups, M, classes) of each run."""
    whole, without = log_scores(np.concatenate(p))
    return {"log_score": whole, "log_score_without": without}
