"""The command line: `python -m wframe COMMAND ...`.

Each command is one module with `add_arguments(parser)` and `main(args)`. Only the chosen one is imported,
so that `--help` is quick and each rule depends on just the code that it runs.
"""

import argparse
import importlib
import os
import platform
import sys

from wframe.errors import UserError

COMMANDS = {
    "fetch": ("wframe.data.fetch", "fetch a dataset or weights file of the registry"),
    "data": ("wframe.data.status", "which inputs are here, missing or corrupt, and what to do"),
    "prepare": ("wframe.data.prepare", "images to one uint8 array per dataset and class, with a manifest"),
    "bank": ("wframe.weights.bank", "make an edition's bank: the builtin one, or VGG-16 weights converted"),
    "plan": ("wframe.jobs.plan", "what an edition costs: groups, operations, memory, jobs, hours"),
    "train": ("wframe.engine.train", "learn FRAME or wFRAME on groups of nine images (Algorithm 1)"),
    "bench": ("wframe.engine.bench", "compare the engine with a naive PyTorch loop and the machine's ceiling"),
    "baseline": ("wframe.baselines.train", "train a baseline (DCGAN, Improved GAN, ALI, WINN) on prepared images"),
    "weights": ("wframe.scores.weights", "have the classifier that scores here, or say why it isn't"),
    "score": ("wframe.scores.score", "score a set of images, and how close they are to the training images"),
    "score-table": ("wframe.scores.table", "make the table of all scores"),
    "few-images": (
        "wframe.measurements.few_images",
        "how close a baseline comes to the few images it was trained on",
    ),
    "reconstruct": (
        "wframe.measurements.reconstructions",
        "how far held-out images are from their reconstructions: a baseline's, FRAME's, wFRAME's",
    ),
    "piecewise": ("wframe.measurements.piecewise", "is ∇ₓΦ constant around the final chains (Remark 2)?"),
    "summarise": ("wframe.results.summarise", "join the curves of a study and make its table"),
    "figures": ("wframe.figures.command", "draw the figures of a study, or the paper's, from finished runs"),
    "claims": ("wframe.claims.command", "every claim of the paper with a verdict, computed from the results"),
    "report": ("wframe.report.page", "write the page that shows everything"),
    "trace": ("wframe.record.trace", "from an output back to the source images that it was made from"),
    "check": ("wframe.record.check", "is any result stale, drifted or orphaned?"),
    "publish": ("wframe.record.publish", "one archive of code and results that others can verify"),
    "verify": ("wframe.record.verify", "is a published archive whole, and what its records say?"),
    "config": ("wframe.config.command", "check an edition, or print its schema or its full form"),
    "make-bank": ("wframe.weights.make_bank", "train the builtin bank (maintainers)"),
    "make-pocket": ("wframe.weights.make_pocket", "train the pocket classifier, which scores the demo (maintainers)"),
}


def main(argv: list[str] | None = None) -> int:
    """Run one command; print a `UserError` without a traceback.

    Returns:
        0 when all is well, 2 for what the user can mend, 130 when interrupted, 141 when nobody reads on.
    """
    parser = argparse.ArgumentParser(
        prog="wframe",
        description="FRAME Revisited (wFRAME), regenerated from raw images: each step of the workflow by hand.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=18, width=110),
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    argv = sys.argv[1:] if argv is None else argv
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if argv and argv[0] == name:
            importlib.import_module(module).add_arguments(command)
    args = parser.parse_args(argv)
    try:
        status = importlib.import_module(COMMANDS[args.command][0]).main(args) or 0
        sys.stdout.flush()
        return status
    except UserError as error:
        print(f"wframe {args.command}: {error}{_place()}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader has seen enough, as in `wframe trace ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains again as it ends
        return 141
    except KeyboardInterrupt:
        print(f"wframe {args.command}: interrupted", file=sys.stderr)
        return 130


def _place() -> str:
    """Say where a cluster's job ran, for a message; nothing elsewhere."""
    job = os.environ.get("SLURM_JOB_ID")
    return f" (Slurm job {job} on node {platform.node()})" if job else ""


if __name__ == "__main__":
    sys.exit(main())
