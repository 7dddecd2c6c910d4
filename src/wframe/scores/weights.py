"""`wframe weights`: fetch or check the classifier's weights. If they are missing, record why; nothing else stops."""

import argparse
import sys
from pathlib import Path

from wframe.data.fetch import fetch
from wframe.data.patience import Patience
from wframe.data.registry import REGISTRY, data_folder, load_registry
from wframe.errors import UserError
from wframe.files import sha256_file, write_json
from wframe.runtime.code import module_names
from wframe.weights import POCKET


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe weights`."""
    add = parser.add_argument
    add("extractor", choices=module_names("wframe.scores.extractors"))
    add("--path", help="the weights file, relative to the data folder; not for pocket, whose file is in the package")
    add("--fetch", nargs="*", default=[], metavar="NAME", help="registry entries to fetch, if they are available")
    add("--data", type=Path, help="the data folder; default: WFRAME_DATA, else data")
    add("--registry", type=Path, default=REGISTRY, help="the list of inputs; default: config/inputs.yaml")
    add("--tries", type=int, default=2, help="attempts per source")
    add("--offline", action="store_true", help="ask no server: only check what is here")
    add("--seen", default="", help="state of the weights before this call, so that the workflow notices a change")
    add("--out", type=Path, required=True, help="the record to write (.json): path, sha256, status")


def main(args: argparse.Namespace) -> None:
    """Write the record; its status is `ok`, or why there are no weights."""
    record = {"extractor": args.extractor, "path": args.path, "sha256": None, "seen": args.seen, "status": "ok"}
    if args.extractor == "pocket":
        record["sha256"] = sha256_file(POCKET)
    else:
        data, registry = data_folder(args.data), load_registry(args.registry) if args.fetch else {}
        for name in args.fetch:
            if name not in registry:
                raise UserError(f"{args.registry}: no entry {name!r} (known: {', '.join(registry)})")
            try:
                fetch(name, registry[name], data, Patience(tries=args.tries), args.offline)
            except UserError as error:
                print(error, file=sys.stderr)
        if (data / args.path).is_file():
            record["sha256"] = sha256_file(data / args.path)
        else:
            do = f"run `wframe fetch {args.fetch[0]}` to see what to do" if args.fetch else "put them there"
            record["status"] = f"{args.extractor}'s weights are missing ({args.path}): {do}"
    write_json(args.out, record)
    print(f"{args.extractor}: {record['status']}", file=sys.stderr)
