"""What the workflow's rules ask: inputs and parameters as functions of the edition and a rule's wildcards."""

import json
from collections.abc import Callable
from typing import Any

from wframe.config.edition import Edition
from wframe.jobs.keys import key
from wframe.jobs.runs import run_files


class Rules:
    """The functions that rules take as inputs and parameters, for one edition."""

    def __init__(self, edition: Edition) -> None:
        self.edition = edition

    def of(self, function: Callable[..., Any]) -> Callable[[Any], Any]:
        """Return an input or parameter: a function of `wframe.jobs`, of the edition and the rule's wildcards."""

        def call(wildcards: Any) -> Any:
            return function(self.edition, **dict(wildcards.items()))

        return call

    def study_files(self, ending: str) -> Callable[[Any], list[str]]:
        """Return an input: the files with an ending of all shards of the study in the wildcards."""

        def files(wildcards: Any) -> list[str]:
            return run_files(self.edition, ending, wildcards.study)

        return files

    def step(self, rule: str) -> Callable[..., str]:
        """Return a parameter: what a job is, for the stamps of its outputs (`record/stamps.py`), as JSON."""

        def made(wildcards: Any, input: Any, output: Any) -> str:
            names = dict(wildcards.items())
            reads, writes = (
                [str(file) for file in files if str(file).startswith("results/")] for files in (input, output)
            )
            step = {"rule": rule, "wildcards": names, "key": key(self.edition, rule, names)}
            return json.dumps(step | {"reads": sorted(set(reads)), "writes": sorted(writes)})

        return made

    def more_time(self, wildcards: Any, attempt: int) -> int:
        """Return minutes for a job: twice as many with each attempt (it resumes from its checkpoint)."""
        return self.edition.job.minutes * 2 ** (attempt - 1)

    def more_memory(self, wildcards: Any, attempt: int) -> int:
        """Return memory for a job: half as much again with each attempt."""
        return int(self.edition.job.memory_mb * 1.5 ** (attempt - 1))
