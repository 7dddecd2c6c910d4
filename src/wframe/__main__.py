"""The command line: `python -m wframe COMMAND ...`.

Each command is one module with `add_arguments(parser)` and `main(args)`. Only the chosen one is imported, so `--help`
is quick and each rule depends only on the code it runs.
"""

import argparse
import importlib
import json
import os
import platform
import sys
import textwrap

from wframe.errors import UserError
from wframe.record.stamps import Step, check_all, check_reads, forget, remove_stamps, write_stamps
from wframe.runtime import forkserver

GROUPS = {  # headings of `--help`
    "use": {
        "my-images": ("wframe.use.my_images", "train on your own images: from a folder of class folders to a page"),
        "data": ("wframe.data.status", "list which inputs are present, missing or corrupt, and what to do"),
        "fetch": ("wframe.data.fetch", "fetch a dataset or weights file listed in the registry"),
        "plan": ("wframe.jobs.plan", "estimate what an edition costs: groups, operations, memory, jobs, time"),
        "progress": ("wframe.use.progress", "show how far each training job is, and the hours used, planned and left"),
        "bench": ("wframe.engine.bench", "compare the engine with a naive PyTorch loop and the machine's ceiling"),
        "publish": ("wframe.record.publish", "pack code and results into one archive that others can verify"),
    },
    "inspect": {
        "config": ("wframe.config.command", "check an edition and print it in full, or print the schema"),
        "check": ("wframe.record.check", "find stale, drifted or orphaned results"),
        "trace": ("wframe.record.trace", "trace an output back to the source images it was made from"),
        "compare": (
            "wframe.record.compare",
            "compare two results, run by run: identical, equal up to rounding, or not",
        ),
        "verify": ("wframe.record.verify", "check that a published archive is complete and unchanged"),
    },
    "steps of the workflow": {
        "inputs": ("wframe.jobs.gather", "fetch and check all inputs of an edition, or report what is missing"),
        "prepare": ("wframe.data.prepare", "convert the images of one class to a uint8 array with a manifest"),
        "bank": ("wframe.weights.bank", "make an edition's bank: copy the builtin one, or convert VGG-16 weights"),
        "train": ("wframe.engine.train", "train FRAME or wFRAME on groups of nine images (Algorithm 1)"),
        "baseline": ("wframe.baselines.train", "train a baseline (DCGAN, Improved GAN, ALI, WINN) on prepared images"),
        "weights": ("wframe.scores.weights", "fetch or check the classifier's weights, and record why any are missing"),
        "score": ("wframe.scores.score", "score a set of images and measure their distance to the training images"),
        "score-table": ("wframe.scores.table", "make the table of all scores"),
        "few-images": (
            "wframe.measurements.few_images",
            "measure how close a baseline comes to the few images it was trained on",
        ),
        "reconstruct": (
            "wframe.measurements.reconstructions",
            "measure how far held-out images are from their reconstructions: a baseline's, FRAME's, wFRAME's",
        ),
        "gain": ("wframe.measurements.gain", "measure, by group, how close the penalty's step of θ is to instability"),
        "quality": (
            "wframe.measurements.quality",
            "measure noise, colour and structure of the chains, independently of R",
        ),
        "looks": (
            "wframe.measurements.looks",
            "measure what a study's settings do to the images, and the classifier's score",
        ),
        "theory": ("wframe.theory.study", "check every statement of the paper's theory numerically"),
        "summarise": ("wframe.results.summarise", "join the curves of a study and make its table"),
        "figures": ("wframe.figures.command", "draw the figures of a study, or the paper's, from finished runs"),
        "claims": ("wframe.claims.command", "judge every claim of the paper from the results"),
        "report": ("wframe.report.page", "write the page that shows everything"),
    },
    "for maintainers": {
        "claims-text": ("wframe.claims.text", "write the tables and sentences about claims in Markdown files"),
        "make-bank": ("wframe.weights.make_bank", "train the builtin bank"),
        "make-pocket": ("wframe.weights.make_pocket", "train the pocket classifier, which scores the demo"),
    },
}
COMMANDS = {name: about for group in GROUPS.values() for name, about in group.items()}
WIDTH = 110  # of help
READ_RESULTS = ("claims", "figures", "looks", "quality", "report")  # any of a results folder's files


def main(argv: list[str] | None = None) -> int:
    """Run one command; print a `UserError` without a traceback.

    Returns:
        0 on success, 1 if a check found something, 2 for what the user can fix, 75 if training was stopped by a signal
        and can go on, 130 when interrupted, 141 when the output pipe is closed.
    """
    parser = argparse.ArgumentParser(
        prog="wframe",
        description="FRAME Revisited (wFRAME), reproduced from raw images: each step of the workflow as a command.",
        epilog=_overview(),
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=WIDTH),
    )
    parser.add_argument("--step", help=argparse.SUPPRESS)  # the workflow's job as JSON, for stamping its outputs
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", help="one of those below")
    argv = sys.argv[1:] if argv is None else argv
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, description=summary)
        if name in argv[:3:2]:
            importlib.import_module(module).add_arguments(command)
    args = parser.parse_args(argv)
    try:
        step = Step(**json.loads(args.step)) if args.step else None
        if step:
            inputs = check_reads(step)
            remove_stamps(step)
        elif args.command in READ_RESULTS:
            check_all(args.results)
        status = importlib.import_module(COMMANDS[args.command][0]).main(args) or 0
        sys.stdout.flush()
        if step and status == 0:
            write_stamps(step, inputs)
        elif not step and args.command in READ_RESULTS:
            forget(args.results)
        return status
    except UserError as error:
        print(f"wframe {args.command}: {error}{_place()}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader closed the pipe, as in `wframe trace ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains again at exit
        return 141
    except KeyboardInterrupt:
        print(f"wframe {args.command}: interrupted", file=sys.stderr)
        return 130


def _overview() -> str:
    """Return all commands under their headings, with a line or two for each."""
    lines = []
    for heading, group in GROUPS.items():
        lines.append(f"\n{heading}:")
        for name, (_, summary) in group.items():
            lines.append(textwrap.fill(f"  {name:14}{summary}", WIDTH, subsequent_indent=" " * 16))
    return "\n".join(lines).lstrip() + "\n\n`wframe COMMAND --help` explains a command's options."


def _place() -> str:
    """Return where this cluster job runs, as the end of a message; empty outside a cluster."""
    job = os.environ.get("SLURM_JOB_ID")
    return f" (Slurm job {job} on node {platform.node()})" if job else ""


if __name__ == "__main__":
    status = forkserver.ask(sys.argv[1:])
    sys.exit(main() if status is None else status)
