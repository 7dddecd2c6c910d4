"""`wframe config`: check an edition and print it in full, or print the schema."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml

from wframe.config.edition import Edition, check, load
from wframe.errors import UserError
from wframe.files import atomic_write


def schema() -> dict[str, Any]:
    """Return the JSON schema of an edition."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Edition.model_json_schema(by_alias=True),
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe config`."""
    parser.add_argument("file", nargs="?", type=Path, help="the edition to check and print in full")
    parser.add_argument("--json", help="an edition as a JSON string, instead of a file")
    parser.add_argument("--schema", action="store_true", help="print the JSON schema instead")
    parser.add_argument("--out", type=Path, help="write to this file; default: print")


def main(args: argparse.Namespace) -> None:
    """Check an edition and print or write it in full, or the schema."""
    if args.schema:
        text = json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"
    elif args.file or args.json:
        edition = check(json.loads(args.json)) if args.json else load(args.file)
        text = yaml.safe_dump(edition.model_dump(mode="json", by_alias=True), sort_keys=False, allow_unicode=True)
    else:
        raise UserError("pass the edition's file, or --schema")
    if args.out is None:
        sys.stdout.write(text)
    else:
        with atomic_write(args.out) as part:
            part.write_text(text, encoding="utf-8")
