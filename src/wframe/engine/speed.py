"""How fast this machine learns, measured briefly."""

import os
import time

import torch

from wframe.engine.memory import choose_batch
from wframe.model.algorithm import iterate, observe, start
from wframe.model.bank import load_bank
from wframe.model.constants import Constants
from wframe.model.cost import learning_flops
from wframe.model.noise import key_tensor
from wframe.weights import BUILTIN_BANK


def measure_rate(side: int, precision: str, device: torch.device, seconds: float = 2.0) -> float:
    """Return this machine's learning rate on images of side² pixels, in floating-point operations per second.

    Run whole iterations of Algorithm 1 on random images, in the batches that `wframe train` would choose.
    """
    c = Constants(T=1, L=20, beta=0.0)
    groups = min(choose_batch(c, side, device), 512)
    bank = load_bank(BUILTIN_BANK).to(c.unit, device, precision)
    keys = key_tensor(list(range(groups)), device)
    with torch.inference_mode():
        y = torch.rand(groups, c.M, 3, side, side, device=device) - 0.5
        observed = observe(bank, c, y)
        state = start(bank, observed)
        state, _ = iterate(bank, c, keys, observed, state)  # warm up
        begin, done = time.monotonic(), 0
        while time.monotonic() - begin < seconds:
            state, record = iterate(bank, c, keys, observed, state)
            record.R.cpu()  # waits for the device
            done += 1
        rate = done * learning_flops(side, groups * c.M, 1, c.L, penalty=None).total / (time.monotonic() - begin)
    return rate


def device_name(device: torch.device) -> str:
    """Return a device's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {os.cpu_count()} cores"
