"""The workflow rules' inputs and parameters, as functions of the edition and a rule's wildcards."""

import json
import os
import shutil
from collections.abc import Callable
from typing import Any

from wframe.config.edition import Edition
from wframe.errors import UserError
from wframe.jobs.keys import key
from wframe.jobs.paths import INPUTS_RECORD


def image(checkout: str, deployment: Any) -> str | None:
    """Return the image that jobs run in with --sdm apptainer (docs/container.md), if one is named.

    Raises:
        UserError: there has to be one, or the checkout's path has braces.
    """
    if set("{}") & set(checkout):
        raise UserError(f"{checkout}: Snakemake takes braces in this path for wildcards. Rename the folder.")
    named = os.environ.get("WFRAME_IMAGE")
    if any(method.name == "APPTAINER" for method in deployment.deployment_method) and not named:
        raise UserError(
            "--sdm apptainer: WFRAME_IMAGE must name the image's file; docs/container.md says how to make it"
        )
    return named


def forks(workflow: Any) -> bool:
    """Return whether this run's jobs can start from a forkserver: they run here, in this environment."""
    return bool(workflow.local_exec) and not workflow.deployment_settings.deployment_method


class Rules:
    """The functions that rules use as inputs and parameters, for one edition."""

    def __init__(self, edition: Edition) -> None:
        self.edition = edition

    def gpus(self, wildcards: Any) -> int:
        """Return the GPUs that a training or scoring job needs: by its `device`; `auto`: if this machine has one."""
        device = None
        if baseline := getattr(wildcards, "baseline", None):
            device = self.edition.baselines[baseline].device
        elif self.edition.scores and hasattr(wildcards, "row"):
            device = self.edition.scores.device
        device = device or self.edition.device
        return int(device == "cuda" or (device == "auto" and shutil.which("nvidia-smi") is not None))

    def of(self, function: Callable[..., Any]) -> Callable[[Any], Any]:
        """Turn a function of `wframe.jobs` into an input or parameter; it gets the edition and the wildcards."""

        def call(wildcards: Any) -> Any:
            return function(self.edition, **dict(wildcards.items()))

        return call

    def step(self, rule: str) -> Callable[..., str]:
        """Return a parameter function: a description of the job as JSON, for its outputs' stamps."""

        def made(wildcards: Any, input: Any, output: Any) -> str:
            names = dict(wildcards.items())
            reads, writes = (
                {str(file) for file in files if str(file).startswith("results/")} for files in (input, output)
            )
            if rule not in ("claims", "report"):  # what is left out is said there; elsewhere it only orders the jobs
                reads.discard(INPUTS_RECORD)
            step = {"rule": rule, "wildcards": names, "key": key(self.edition, rule, names)}
            return json.dumps(step | {"reads": sorted(reads), "writes": sorted(writes)})

        return made

    def more_time(self, wildcards: Any, attempt: int) -> int:
        """Return a job's minutes, doubled with each attempt (which resumes from the checkpoint)."""
        return self.edition.job.minutes * 2 ** (attempt - 1)

    def more_memory(self, wildcards: Any, attempt: int) -> int:
        """Return a job's memory in MB, 1.5 times as much with each attempt."""
        return int(self.edition.job.memory_mb * 1.5 ** (attempt - 1))
