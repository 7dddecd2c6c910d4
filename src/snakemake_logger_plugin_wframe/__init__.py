"""`snakemake --logger wframe`: progress bars on a terminal, one short line for each finished job in a log.

The bars are those of `snakemake-logger-plugin-rich`. Errors, and what a dry run (`-n`) says, are Snakemake's own text.
The profiles choose this logger.
"""

import logging
import re
import sys
import time
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_logger_plugin_rich import LogHandler as Bars

# messages at every start and between jobs that tell a reader of a log nothing
NOISE = re.compile(
    r"Using profile|Assuming unrestricted|Building DAG|Using shell|Provided cores|Rules claiming|Select jobs"
    r"|Execute \d+|Conda environments|host:|Updating checkpoint|None$|$"
)
# of a run that is stopped: what Snakemake says (the first more than once), and how it ends
STOPPING = re.compile(r"Will exit after finishing|Terminating processes on user request|Cancelling snakemake on user")
NOT_ALL = "At least one job did not complete successfully"
RESUME = "Stopped. Run the same command again to resume."
SAID = (LogEvent.ERROR, LogEvent.JOB_ERROR, LogEvent.GROUP_ERROR)


class LogHandler(LogHandlerBase):
    """Snakemake's log, for people."""

    def __post_init__(self) -> None:
        """Choose how to show the log."""
        self.dryrun = self.common_settings.dryrun
        self.bars = None if self.dryrun or not sys.stderr.isatty() else Bars(self.common_settings, None)
        self.jobs: dict[int, str] = {}
        self.inputs: dict[int, list[str]] = {}
        self.done = self.total = 0
        self.stopping: set[str] = set()  # what was said about it

    def emit(self, record: logging.LogRecord) -> None:
        """Show one event or message."""
        if self.repeats(record):
            return
        if self.bars:
            self.bars.emit(record)
            return
        try:
            text = self.format(record) if self.dryrun else self.line(record)
            if text is not None:
                print(text, file=sys.stdout if self.common_settings.stdout else sys.stderr, flush=True)
        except Exception:  # a log must not stop a run
            self.handleError(record)

    def repeats(self, record: logging.LogRecord) -> bool:
        """Return whether a stopped run has said this before; the last thing that it says becomes how to go on."""
        text = str(record.msg)
        if self.stopping and NOT_ALL in text:
            record.msg, record.args = RESUME, ()
        if not STOPPING.match(text):
            return False
        said = text in self.stopping
        self.stopping.add(text)
        return said

    def line(self, record: logging.LogRecord) -> str | None:
        """Return the line of an event or message; None where there is nothing to say."""
        about: dict[str, Any] = record.__dict__
        event = about.get("event")
        if event == LogEvent.RUN_INFO:
            counts = dict(about["stats"])
            self.total = counts.pop("total")
            return f"{self.total} jobs: {', '.join(f'{n} {rule}' for rule, n in counts.items())}"
        if event == LogEvent.JOB_INFO:
            self.inputs[about["jobid"]] = list(map(str, about.get("input") or []))
            self.jobs[about["jobid"]] = " ".join([about["rule_name"], "/".join(map(str, about["wildcards"].values()))])
        elif event == LogEvent.JOB_FINISHED:
            self.done += 1
            self.total = max(self.total, self.done)  # a checkpoint may have planned more
            job = self.jobs.get(about["job_id"], f"job {about['job_id']}").strip()
            return f"{time.strftime('%H:%M:%S')}  {self.done}/{self.total}  {job}"
        elif event == LogEvent.PROGRESS:
            self.total = about["total"]
        elif event in SAID or (event is None and (record.levelno > logging.INFO or not NOISE.match(str(record.msg)))):
            return self.explained(self.format(record))
        return None

    def explained(self, text: str) -> str:
        """Return an error with what a reader needs beside it: a cluster's job that lacks an input makes nothing."""
        if empty := re.search(r"^Job (\d+)\s+completed successfully, but some output files are missing", text, re.M):
            text += "\nIts inputs, of which one may be missing: " + ", ".join(self.inputs.get(int(empty[1]), []))
        return text

    def close(self) -> None:
        """End the bars."""
        if self.bars:
            self.bars.close()
        super().close()

    @property
    def writes_to_stream(self) -> bool:
        """It writes to the terminal or the log."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """It writes no file of its own."""
        return False

    @property
    def has_filter(self) -> bool:
        """Only the bars choose themselves what to show; else Snakemake's options (--quiet) do."""
        return self.bars is not None

    @property
    def has_formatter(self) -> bool:
        """Only the bars have a text of their own for errors."""
        return self.bars is not None

    @property
    def needs_rulegraph(self) -> bool:
        """It shows no graph."""
        return False
