"""What a baseline's training costs: operations and memory, counted on a step of two images."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from wframe.baselines.batches import Batches
from wframe.baselines.trainer import build
from wframe.config.training import Training

AFFECTS_NO_RESULT = True
IMAGES = 2


class Cost(NamedTuple):
    """What a training costs."""

    flops: float  # a multiply-add counts as two
    bytes: float  # weights, gradients, Adam's two means, and what a step keeps for its gradients, at most


class Operations(TorchDispatchMode):
    """Count the operations of convolutions and products, by PyTorch's own formulas.

    (Its FlopCounterMode follows modules too, and fails where a gradient is taken with `autograd.grad`.)
    """

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count it."""
        out = func(*args, **(kwargs or {}))
        if formula := flop_registry.get(func._overloadpacket):
            self.total += formula(*args, **(kwargs or {}), out_val=out)
        return out


def training_cost(settings: Training, side: int) -> Cost:
    """Return what the whole training costs; images that climb a score are taken to climb as far as they may."""
    small = settings.sketch(IMAGES)
    blank = np.random.default_rng(0).integers(0, 256, (2 * IMAGES, side, side, 3), dtype=np.uint8)
    batches = Batches(small, blank, ("cost",), torch.device("cpu"), np.arange(len(blank)) % 2)
    _, model = build(batches)
    kept: dict[tuple[int, int], int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.data_ptr(), tensor.numel()] = tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), Operations() as of_step:
        model.step(0, batches)
    weights = sum(tensor.numel() for tensor in model.weights().values())
    flops = of_step.total * settings.batch / IMAGES * settings.length
    if settings.climbs:
        with Operations() as of_climb:
            model.sample(model.noise(IMAGES))
        flops += of_climb.total / IMAGES * settings.climbs
    return Cost(flops, 16 * weights + sum(kept.values()) * settings.batch / IMAGES)
