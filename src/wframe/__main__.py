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
    "prepare": ("wframe.data.prepare", "pictures to one uint8 array per dataset and class, with a manifest"),
    "bank": ("wframe.model.make_bank", "train the builtin bank, or convert VGG-16 weights into a bank"),
    "plan": ("wframe.engine.estimate", "what an edition costs: groups, operations, memory, jobs, hours"),
    "train": ("wframe.engine.train", "learn FRAME or wFRAME on groups of nine pictures (Algorithm 1)"),
    "bench": ("wframe.engine.bench", "measure the engine against the straightforward way and the machine's ceiling"),
    "baseline": ("wframe.baselines.train", "train a baseline (DCGAN) on prepared pictures"),
    "pocket": ("wframe.scores.make_pocket", "train the pocket classifier, which scores the demo's pictures"),
    "weights": ("wframe.scores.weights", "have a score's classifier here, or say why it isn't"),
    "score": ("wframe.scores.score", "score a set of pictures, and how near they are to the training pictures"),
    "score-table": ("wframe.scores.table", "make the table of all scores"),
    "summarise": ("wframe.paper.summarise", "join the curves of a study and make its table"),
    "figures": ("wframe.paper.figures", "draw the paper's figures from finished runs"),
    "claims": ("wframe.paper.claims", "every claim of the paper with a verdict, computed from the results"),
    "report": ("wframe.report.page", "write the page that shows everything"),
    "trace": ("wframe.record.trace", "from an output back to the source pictures that it was made of"),
    "check": ("wframe.record.check", "is any result stale, drifted or orphaned?"),
    "publish": ("wframe.record.publish", "one archive of code and results that others can verify"),
    "verify": ("wframe.record.verify", "is a published archive whole, and what its records say?"),
    "config": ("wframe.config", "check an edition, or print its schema or its full form"),
}


def main(argv: list[str] | None = None) -> int:
    """Run one command; print a `UserError` without a traceback.

    Returns:
        0 when all is well, 2 for what the user can mend, 130 when interrupted, 141 when nobody reads on.
    """
    parser = argparse.ArgumentParser(
        prog="wframe",
        description="FRAME Revisited (wFRAME), regenerated from raw pictures: each step of the workflow by hand.",
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
