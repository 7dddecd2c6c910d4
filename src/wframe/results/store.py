"""The store: everything that judges, figures and the page read of a results folder."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import load_file

from wframe.config.edition import Edition
from wframe.config.studies import Study
from wframe.data.groups import rows_of_group
from wframe.errors import UserError
from wframe.files import read_json
from wframe.jobs.runs import Run, runs
from wframe.results.curves import by_group


class NotAvailable(UserError):
    """The edition hasn't the runs that a claim or figure needs; says which."""


class Store:
    """An edition's results, by the names of studies and datasets.

    Datasets are named as the edition has them; `standing_for` finds those that stand for one of the paper's.
    """

    def __init__(self, folder: Path, edition: Edition) -> None:
        self.folder, self.edition = folder, edition
        self._curves: dict[str, pd.DataFrame] = {}

    def study(self, name: str) -> Study:
        """Return a study's configuration."""
        if name not in self.edition.studies:
            raise NotAvailable(self.why_no("study", name))
        return self.edition.studies[name]

    def why_no(self, kind: str, name: str, verb: str = "has") -> str:
        """Return why there is no such study, baseline or row: its inputs are missing, or it isn't configured."""
        return self.edition.left_out(kind, name) or f"this edition {verb} no {kind} {name!r}"

    def title(self, dataset: str) -> str:
        """Return a dataset's name for people."""
        return self.edition.datasets[dataset].title or dataset

    def class_title(self, dataset: str, class_: str) -> str:
        """Return a dataset's and a class's names for people; the dataset's alone where it is all of it."""
        called = self.edition.datasets[dataset].named(class_).removeprefix("./")
        return self.title(dataset) + ("" if class_ == "all" else f", class {called}")

    def standing_for(self, study: str, names: Iterable[str]) -> list[str]:
        """Return the study's datasets that stand for any of the paper's `names`."""
        names = set(names)
        datasets = self.study(study).datasets
        found = [name for name in datasets if names & set(self.edition.datasets[name].stands_for)]
        if not found and (why := self.edition.left_out_for(study, names)):
            raise NotAvailable(why)
        if not found:
            raise NotAvailable(f"this edition's study {study!r} has no dataset for {', '.join(sorted(names))}")
        return found

    # --- curves ---

    def curves_file(self, study: str) -> str:
        """Return the file of a study's curves, below the results folder."""
        return f"studies/{study}.parquet"

    def all_curves(self, study: str) -> pd.DataFrame:
        """Return a study's curves: a row per run, group and iteration."""
        self.study(study)
        if study not in self._curves:
            self._curves[study] = pd.read_parquet(self.folder / self.curves_file(study))
        return self._curves[study]

    def curves(self, study: str, datasets: Iterable[str], setting: str | None, method: str) -> pd.DataFrame:
        """Return the curves of one method in one setting (None: the study's first), on datasets of the edition."""
        entry = self.study(study)
        setting = setting or entry.first
        if setting not in entry.points:
            raise NotAvailable(f"this edition's study {study!r} has no setting {setting!r}")
        if method not in entry.methods:
            raise NotAvailable(f"this edition's study {study!r} doesn't run {method}")
        rows = self.all_curves(study)
        return rows[rows["dataset"].isin(list(datasets)) & (rows["setting"] == setting) & (rows["method"] == method)]

    def by_group(
        self, study: str, datasets: Iterable[str], setting: str | None, method: str, measure: str
    ) -> pd.DataFrame:
        """Return one measure's curves side by side: iterations × (dataset, class, repeat, group)."""
        return by_group(self.curves(study, datasets, setting, method), measure)

    # --- runs ---

    def runs(self, study: str) -> list[Run]:
        """Return a study's runs, first repeats only: what images are shown of."""
        self.study(study)
        return [run for run in runs(self.edition, study) if run.repeat == 0]

    def run(self, study: str, dataset: str, method: str, setting: str | None = None, class_: str | None = None) -> Run:
        """Return one run, first repeat; None: the study's first setting, the dataset's first class."""
        setting = setting or self.study(study).first
        class_ = class_ or self.edition.datasets[dataset].classes[0]
        for run in self.runs(study):
            if (run.dataset, run.class_, run.setting, run.method) == (dataset, class_, setting, method):
                return run
        raise NotAvailable(f"this edition's study {study!r} has no run {dataset}/{class_}/{setting}/{method}")

    def images(self, run: Run, kind: str = "images") -> np.ndarray:
        """Return a run's first shard: `images` (G, M, H, W, 3) or `snapshots` (S, M, H, W, 3)."""
        return load_file(self.folder / "runs" / run.folder / "0.safetensors")[kind]

    def samples(self, baseline: str) -> np.ndarray:
        """Return the samples of a baseline's first repeat (N, H, W, 3)."""
        return load_file(self.folder / "baselines" / baseline / "0.safetensors")["images"]

    def observed(self, run: Run, group: int) -> np.ndarray:
        """Return a group's observed images (M, H, W, 3)."""
        array = np.load(self.folder / "data" / run.dataset / f"{run.class_}.npy", mmap_mode="r")
        return array[rows_of_group(group, len(array), self.edition.learning.M)]

    def diverged(self, run: Run, group: int = 0) -> int | None:
        """Return the iteration after which a group diverged; None if it didn't."""
        rows = self.curves(run.study, [run.dataset], run.setting, run.method)
        rows = rows[(rows["class"] == run.class_) & (rows["repeat"] == run.repeat) & (rows["group"] == group)]
        last = int(rows["diverged"].max())
        return None if last < 0 else last

    # --- tables ---

    @cached_property
    def scores(self) -> pd.DataFrame:
        """The table of scores, by row."""
        path = self.folder / "tables" / "scores.csv"
        if self.edition.scores is None or not path.exists():
            raise NotAvailable("this edition computes no scores")
        return pd.read_csv(path).set_index("row")

    def theory(self, statement: str) -> dict[str, Any]:
        """Return what was computed of a statement of the theory, by its id in `measurements/theory.json`."""
        path = self.folder / "measurements" / "theory.json"
        statements = read_json(path)["statements"] if path.exists() else []
        for found in statements:
            if found["id"] == statement:
                return found
        raise NotAvailable(f"the study of the theory has no statement {statement!r}")

    def measurement(self, name: str) -> pd.DataFrame:
        """Return a measurement's table (`measurements/NAME.csv`)."""
        path = self.folder / "measurements" / f"{name}.csv"
        if not path.exists():
            raise NotAvailable(f"this edition has no measurement {name!r}")
        return pd.read_csv(path)
