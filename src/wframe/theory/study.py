"""`wframe theory`: every statement of the paper's theory, computed: does it hold, as printed or corrected?

One JSON file, less than a minute on one core. It needs no images but the embedded ones, and a bank.
"""

import argparse
from pathlib import Path
from typing import Any

import torch

from wframe.files import atomic_write, write_json
from wframe.model.bank import Bank, load_bank
from wframe.runtime.process import configure_process
from wframe.theory import (
    consistency,
    deviations,
    flows,
    fokker_planck,
    interpolation,
    jko,
    langevin,
    pieces,
    signs,
    small_steps,
    stability,
    topology,
    trained,
)
from wframe.theory.statement import Findings
from wframe.theory.tables import counted, fill
from wframe.weights import BUILTIN_BANK

LINE = (
    flows,
    signs,
    deviations,
    small_steps,
    langevin,
    interpolation,
    fokker_planck,
    jko,
    consistency,
    topology,
    stability,
)
BANK = (pieces, trained)
# as the paper tells it
ORDER = [
    "eq-2",
    "theorem-1",
    "eq-5",
    "eq-7",
    "lemma-1",
    "lemma-1-constant",
    "eq-20",
    "eq-21",
    "lemma-1-last-line",
    "proposition-1",
    "eq-8-gradient",
    "eq-9-x",
    "eq-9-theta",
    "line-8",
    "small-step",
    "small-step-algorithm",
    "weaker-topology",
    "kl-vanishing",
    "kl-vanishing-trained",
    "remark-1",
    "steady-state",
    "eq-13",
    "eq-13-action",
    "eq-14",
    "eq-15-16",
    "remark-2",
    "remark-2-smooth",
    "remark-2-kinks",
    "signs",
    "signs-penalty",
    "line-14-weights",
    "line-14-sign",
    "consistency",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe theory`."""
    add = parser.add_argument
    add("--out", type=Path, required=True, help="the findings (.json)")
    add("--bank", default="builtin", help="`builtin`, or a bank file made by `wframe bank`")
    add("--seed", type=int, default=0)
    add("--page", type=Path, help="a page (.md) whose tables and sections are written anew from the findings")
    add("--figure", type=Path, help="the figure (.png)")
    add("--figures", type=Path, help="a folder for the figure as PNG and PDF with its numbers, and an index of it")
    add("--threads", type=int)


def main(args: argparse.Namespace) -> None:
    """Compute all statements and write them."""
    configure_process(args.threads)
    bank = load_bank(BUILTIN_BANK if args.bank == "builtin" else args.bank)
    findings = study(bank, args.seed)
    write_json(args.out, findings)
    if args.page:
        page = fill(args.page.read_text(encoding="utf-8"), findings)
        with atomic_write(args.page) as part:
            part.write_text(page, encoding="utf-8")
    if args.figure:
        from wframe.theory.figure import draw

        canvas, _ = draw(findings)
        with atomic_write(args.figure) as part:
            canvas.savefig(part, format="png", dpi=200, metadata={"Software": None})
    if args.figures:
        from wframe.theory.figure import save_figure

        write_json(args.figures / "index.json", [save_figure(findings, args.figures)])
    print(f"{args.out}: {counted(findings['statements']).replace('**', '')}")


def study(bank: Bank, seed: int = 0) -> dict[str, Any]:
    """Return all findings as a JSON-like record; the same bytes for the same bank and seed."""
    with torch.inference_mode():
        parts: list[Findings] = [module.study(seed) for module in LINE]
        parts += [module.study(seed, bank) for module in BANK]
    statements = {statement.id: statement for part in parts for statement in part.statements}
    assert set(statements) == set(ORDER), set(statements) ^ set(ORDER)
    return {
        "about": {"seed": seed, "bank": {"name": bank.about.get("name"), "sha256": bank.sha256}},
        "statements": [statements[name].to_json() for name in ORDER],
        "derived": [statement.to_json() for part in parts for statement in part.derived],
        "curves": {name: values for part in parts for name, values in part.curves.items()},
    }
