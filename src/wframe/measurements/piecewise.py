"""`wframe piecewise`: does ∇ₓΦ stay the same under a tiny step, so that ∇|∇ₓΦ|² = 0 there (Remark 2)?

In float64, from final chains, in a random direction: F is piecewise linear, so the gradient is the same on the same
piece.
"""

import argparse
from pathlib import Path

import pandas as pd
import torch

from wframe.data.arrays import load_images
from wframe.files import atomic_write
from wframe.model.bank import load_bank
from wframe.model.energy import gradient, responses
from wframe.model.readings import UNIT
from wframe.runtime.process import configure_process


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe piecewise`."""
    add = parser.add_argument
    add("--samples", type=Path, nargs="+", required=True, help="final chains of runs (.safetensors)")
    add("--bank", type=Path, required=True, help="the bank file")
    add("--group-size", type=int, default=9, help="chains of the first group (M of Algorithm 1)")
    add("--threads", type=int, help="CPU threads; default: all that this process may use")
    add("--out", type=Path, required=True, help="the table to write (.csv): file, chain, change of the gradient")


def main(args: argparse.Namespace) -> None:
    """Write the table: for each chain, the largest change of ∇ₓΦ and its largest value."""
    configure_process(args.threads)
    bank = load_bank(args.bank).to(UNIT, precision="fp64")
    generator = torch.Generator().manual_seed(0)
    parts = []
    for number, path in enumerate(args.samples):
        x = bank.pixels(load_images(path)[: args.group_size], UNIT).double()
        # quantised pixels sit on no border of a piece: noise far below a grey level decides which side
        x = x + 1e-3 * torch.randn(x.shape, generator=generator, dtype=torch.float64)
        step = 1e-9 * torch.randn(x.shape, generator=generator, dtype=torch.float64)
        with torch.inference_mode():
            here, there = responses(bank, x), responses(bank, x + step)
            θ = torch.randn((1, *here.F.shape[1:]), generator=generator, dtype=torch.float64)
            before, after = gradient(bank, θ, here), gradient(bank, θ, there)
        change = (before - after).flatten(1).abs().amax(1)
        columns = {
            "file": number,
            "chain": range(len(x)),
            "change": change,
            "gradient": before.flatten(1).abs().amax(1),
        }
        parts.append(pd.DataFrame(columns))
    with atomic_write(args.out) as part:
        pd.concat(parts).to_csv(part, index=False)
