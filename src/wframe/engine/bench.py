"""`wframe bench`: compare the engine with a naive PyTorch loop and the machine's ceiling, and measure how cost grows.

Machines are noisy, so the two sides of a comparison take turns in one process, and ratios are taken pair by pair.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import conv2d

from wframe.engine.memory import choose_batch
from wframe.engine.naive import naive_iteration, naive_responses, random_images
from wframe.engine.speed import device_name
from wframe.files import atomic_write, write_json
from wframe.model.algorithm import iterate, observe, start
from wframe.model.bank import load_bank
from wframe.model.constants import Constants
from wframe.model.cost import LAYERS, learning_flops
from wframe.model.noise import key_tensor
from wframe.model.state import Observed, State
from wframe.runtime.machine import machine, native_bf16, versions
from wframe.runtime.process import choose_device, configure_process
from wframe.weights import BUILTIN_BANK

Ratio = dict[str, float]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wframe bench`."""
    add = parser.add_argument
    add("--out", type=Path, default=Path("results/bench.json"), help="the measurements; a chart (.png) goes beside it")
    add("--device", choices=["auto", "cpu", "cuda"], default="auto", help="where to measure; auto: a GPU if any")
    add("--precisions", nargs="+", choices=["fp32", "tf32", "bf16"], help="default: fp32 and bf16, on a GPU also tf32")
    add("--pairs", type=int, default=5, help="how often to run each comparison")
    add("--threads", type=int, help="CPU threads; default: all cores this process may use")


def main(args: argparse.Namespace) -> None:
    """Measure, print one line per measurement, write JSON and a chart."""
    device = choose_device(args.device)
    configure_process(args.threads)
    precisions = args.precisions or ["fp32", *(["tf32"] if device.type == "cuda" else []), "bf16"]
    if "bf16" in precisions and device.type == "cpu" and not native_bf16():
        print("bf16: this processor has none of its own, so it is emulated", file=sys.stderr)
    bench = Bench(device, args.pairs)
    figures: dict[str, Any] = {
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "machine": machine(),
        "versions": versions("torch"),
        "command": " ".join(["wframe", *sys.argv[1:]]),
        "load_average": os.getloadavg()[0],
        "native_bf16": native_bf16(),
        "precisions": {precision: bench.precision(precision) for precision in precisions},
        "growth": bench.growth(),
    }
    write_json(args.out, figures)
    draw(figures, args.out.with_suffix(".png"))
    print(f"{args.out}, {args.out.with_suffix('.png')}")


class Bench:
    """The measurements on one device."""

    def __init__(self, device: torch.device, pairs: int) -> None:
        self.device, self.pairs = device, pairs
        self.bank = load_bank(BUILTIN_BANK)

    def precision(self, name: str) -> dict[str, Any]:
        """Return the measurements of the engine in one precision. The naive loop is always fp32."""
        c = Constants(T=1, L=10, precision=name)
        measurements: dict[str, Callable[[], dict[str, Any]]] = {
            "one_group": lambda: self.against_naive(1, c, 32),
            "batch": lambda: self.against_naive(self.batch(32), c, 32),
            "batch_64": lambda: self.against_naive(self.batch(64), c, 64),
            "batch_paper": lambda: self.against_naive(self.batch(32), c._replace(L=50), 32),
            "limit": lambda: self.limit(c, 32),
            "limit_paper": lambda: self.limit(c._replace(L=50), 32),
            "ceiling": lambda: self.ceiling(32, name),
            "ceiling_64": lambda: self.ceiling(64, name),
            "wframe_over_frame": lambda: self.wframe_over_frame(32, name),
        }
        measured = {}
        for what, measure in measurements.items():
            measured[what] = measure()
            said = ", ".join(f"{key} {value:.3g}" for key, value in measured[what].items())
            print(f"{name} {what}: {said}", flush=True)
        return measured

    def batch(self, side: int) -> int:
        """Return the engine's batch size for images of this side, limited on a GPU to what takes about a second."""
        return min(choose_batch(Constants(), side, self.device), 256 * 32 * 32 // side**2)

    def engine(self, groups: int, side: int, c: Constants) -> Callable[[], None]:
        """Return one learning iteration of the engine on random images, as a call."""
        bank = self.bank.to(c.unit, self.device, c.precision)
        keys = key_tensor(list(range(groups)), self.device)
        y = random_images(groups, c.M, side, self.device)
        with torch.inference_mode():
            observed: Observed = observe(bank, c, y)
            state: State = start(bank, observed)._replace(θ=observed.H * 1e-3)

        def run() -> None:
            with torch.inference_mode():
                _, record = iterate(bank, c, keys, observed, state)
                record.R.cpu()

        return run

    def naive(self, groups: int, side: int, c: Constants) -> Callable[[], None]:
        """Return one learning iteration of the naive loop, one group after the other, as a call."""
        bank = self.bank.to(c.unit, self.device, layout=torch.contiguous_format)
        y = random_images(groups, c.M, side, self.device)
        θ = [naive_responses(bank, part).mean(0) * 1e-3 for part in y]

        def run() -> None:
            for part, weights in zip(y, θ, strict=True):
                float(naive_iteration(bank, c, part, weights, torch.zeros_like(part))[0].sum())

        return run

    def in_turn(self, ours: Callable[[], None], other: Callable[[], None], scale: float = 1.0) -> Ratio:
        """Return the ratio of `other`'s time to `ours`, times `scale`: median and range over the pairs."""
        for run in (ours, other):  # warm up
            run()
        ratios = []
        for _ in range(self.pairs):
            a, b = seconds(ours), seconds(other)
            ratios.append(scale * b / a)
        return {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}

    def against_naive(self, groups: int, c: Constants, side: int) -> dict[str, Any]:
        """Return the engine's speed-up over the naive loop, in images·steps per second."""
        alone = min(groups, 4)  # the naive loop takes the same time for each group
        ratio = self.in_turn(self.engine(groups, side, c), self.naive(alone, side, c), scale=groups / alone)
        return {**ratio, "groups": groups, "side": side}

    def limit(self, c: Constants, side: int) -> dict[str, Any]:
        """Return the speed-up over the naive loop of nothing but the convolutions, all at the best single one's rate.

        Langevin steps in the engine's precision, statistics in fp32, as the engine has them: no engine that computes
        these convolutions can be faster.
        """
        flops = learning_flops(side, c.M, 1, c.L, c.before)
        parts = (
            (flops.sampling, self.convolutions(side, c.precision)),
            (flops.statistics, self.convolutions(side, "fp32")),
        )
        naive, ratios = self.naive(1, side, c), []
        for turn in range(self.pairs + 1):
            with torch.inference_mode(), self.tf32(c.precision):
                least = sum(work / max(done / seconds(run) for done, run in each) for work, each in parts)
            if turn:  # the first turn is a warm-up
                ratios.append(seconds(naive) / least)
        return {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios), "side": side}

    def convolutions(self, side: int, precision: str) -> list[tuple[int, Callable[[], Any]]]:
        """Return a Langevin step's eight convolutions on random images: their operations, and a call of each."""
        images, type_ = self.batch(side) * Constants().M, torch.bfloat16 if precision == "bf16" else torch.float32
        found: list[tuple[int, Callable[[], Any]]] = []
        for inputs, outputs, halved in [*LAYERS, *((outputs, inputs, halved) for inputs, outputs, halved in LAYERS)]:
            x = torch.randn(images, inputs, side // halved, side // halved, device=self.device, dtype=type_)
            w = torch.randn(outputs, inputs, 3, 3, device=self.device, dtype=type_)
            x, w = (tensor.contiguous(memory_format=torch.channels_last) for tensor in (x, w))
            flops = 2 * 9 * inputs * outputs * (side // halved) ** 2 * images
            found.append((flops, partial(conv2d, x, w, padding=1)))
        return found

    def tf32(self, precision: str) -> AbstractContextManager[None]:
        """Return the settings under which convolutions run in a precision."""
        return torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=precision == "tf32")

    def ceiling(self, side: int, precision: str) -> dict[str, float]:
        """Return the engine's convolution rate and the ceilings' rates in TFLOP/s, measured in turn, and their ratios.

        The ceilings are a large matrix product and, of a Langevin step's convolutions in the engine's precision, the
        best one and all eight (`convolutions`), each called alone. `iteration` is a whole iteration of FRAME (L = 50)
        with its noise, updates and measures, counting convolutions only.
        """
        c, groups = Constants(T=1, L=50, beta=0.0, precision=precision), self.batch(side)
        n = 8192 if self.device.type == "cuda" else 1536
        a = torch.randn(n, n, device=self.device, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
        layers, whole = self.convolutions(side, precision), self.engine(groups, side, c)
        rates: dict[str, list[float]] = {"matrix": [], "convolution": [], "convolutions": [], "iteration": []}
        work = learning_flops(side, groups * c.M, 1, c.L, penalty=None).total
        with torch.inference_mode(), self.tf32(precision):
            for turn in range(self.pairs + 1):
                torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
                product = seconds(partial(torch.matmul, a, a))
                torch.backends.cuda.matmul.allow_tf32 = False
                took = [(flops, seconds(run)) for flops, run in layers]
                iteration = work / seconds(whole)
                if turn:  # the first turn is a warm-up
                    rates["matrix"].append(2 * n**3 / product)
                    rates["convolution"].append(max(flops / time for flops, time in took))
                    rates["convolutions"].append(sum(flops for flops, _ in took) / sum(time for _, time in took))
                    rates["iteration"].append(iteration)
        middle = {name: statistics.median(values) for name, values in rates.items()}

        def over(part: str, whole: str) -> float:
            return statistics.median(a / b for a, b in zip(rates[part], rates[whole], strict=True))

        return {
            **{f"{name}_tflops": value / 1e12 for name, value in middle.items()},
            "iteration_over_matrix": over("iteration", "matrix"),
            "iteration_over_convolution": over("iteration", "convolution"),
            "convolutions_over_convolution": over("convolutions", "convolution"),
        }

    def wframe_over_frame(self, side: int, precision: str) -> dict[str, Any]:
        """Return wFRAME's time over FRAME's for one iteration at the paper's L = 50."""
        groups = self.batch(side)
        c = Constants(T=1, L=50, precision=precision)
        ratio = self.in_turn(self.engine(groups, side, c._replace(beta=0.0)), self.engine(groups, side, c))
        return {**ratio, "groups": groups, "side": side}

    def growth(self) -> dict[str, list[list[float]]]:
        """Return the seconds of an iteration against G, the image's side and L (minimum over the repeats)."""
        least = lambda run: min(seconds(run) for _ in range(self.pairs))  # noqa: E731
        c, most = Constants(T=1, L=5), self.batch(32)
        counts = sorted({max(1, most * k // 4) for k in (1, 2, 4)} | {1})
        return {
            "G": [[G, least(self.engine(G, 32, c))] for G in counts],
            "side": [[side, least(self.engine(max(1, most // 16), side, c))] for side in (16, 32, 64, 128)],
            "L": [[L, least(self.engine(1, 32, c._replace(L=L)))] for L in (5, 10, 20, 40)],
        }


def seconds(run: Callable[[], Any]) -> float:
    """Return how long a call takes, until the device has finished."""
    wait = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    wait()
    begin = time.perf_counter()
    run()
    wait()
    return time.perf_counter() - begin


def draw(figures: dict[str, Any], path: Path) -> None:
    """Draw the chart: speed-ups, rates and ceilings, growth."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    canvas, (speed, rate, growth) = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
    names = {"one_group": "one group", "batch": "batch,\n32×32", "batch_64": "batch,\n64×64"}
    of = figures["precisions"]
    parts = {
        "matrix": "matrix\nproduct",
        "convolution": "best\nconvolution",
        "convolutions": "a step's\nconvolutions",
        "iteration": "whole\niteration",
    }
    width = 0.8 / len(of)
    for k, (precision, measured) in enumerate(of.items()):
        place = [index + width * k for index in range(4)]
        middle = [measured[name]["median"] for name in names]
        low = [measured[name]["median"] - measured[name]["low"] for name in names]
        high = [measured[name]["high"] - measured[name]["median"] for name in names]
        speed.bar(place[:3], middle, yerr=[low, high], width=0.9 * width, label=precision)
        rate.bar(place, [measured["ceiling"][f"{part}_tflops"] for part in parts], width=0.9 * width, label=precision)
    speed.set_xticks([index + 0.4 - width / 2 for index in range(3)], list(names.values()), fontsize=8)
    speed.axhline(1, color="black", lw=0.5)
    speed.set_title("speed-up over the naive fp32 loop", fontsize=9)
    speed.legend(fontsize=7)
    rate.set_xticks([index + 0.4 - width / 2 for index in range(4)], list(parts.values()), fontsize=7)
    rate.set_title("TFLOP/s at 32×32", fontsize=9)
    rate.legend(fontsize=7)
    for (name, points), style in zip(figures["growth"].items(), ("o-", "s--", "^:"), strict=True):
        first = points[0]
        x = [(point[0] / first[0]) ** (2 if name == "side" else 1) for point in points]
        label = {"G": "groups G", "side": "pixels", "L": "Langevin steps L"}[name]
        growth.loglog(x, [point[1] / first[1] for point in points], style, label=label, ms=4)
    growth.plot([1, 64], [1, 64], color="grey", lw=0.5)
    growth.set_title("relative time of an iteration (grey: linear)", fontsize=9)
    growth.legend(fontsize=7)
    with atomic_write(path) as part:
        canvas.savefig(part, format="png", dpi=150)
