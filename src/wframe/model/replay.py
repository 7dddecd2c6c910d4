"""A function of GPU tensors as a CUDA graph: on a few groups, starting kernels one by one takes longer than they do."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Captured(NamedTuple):
    """A function's kernels, with the memory that they read and write."""

    inputs: list[Tensor]
    graph: torch.cuda.CUDAGraph
    output: Tensor


class Replayed:
    """A function of tensors, captured when it first sees their shapes, then replayed.

    A tensor that it was given before is taken to be unchanged.
    """

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self.function = function
        self.captured: Captured | None = None
        self.given: tuple[Tensor, ...] = ()

    def __call__(self, *tensors: Tensor) -> Tensor:
        """Return the function's result, which the next call overwrites."""
        shapes = [tensor.shape for tensor in tensors]
        if self.captured is None or shapes != [tensor.shape for tensor in self.captured.inputs]:
            self.captured = None  # frees the memory of the former shapes
            self.captured = capture(self.function, tensors)
            self.given = tensors
        inputs, graph, output = self.captured
        for static, tensor, before in zip(inputs, tensors, self.given, strict=True):
            if tensor is not before:
                static.copy_(tensor)
        self.given = tensors
        graph.replay()
        return output


def capture(function: Callable[..., Tensor], tensors: tuple[Tensor, ...]) -> Captured:
    """Record the kernels that a function starts for inputs like these."""
    inputs = [tensor.clone(memory_format=torch.preserve_format) for tensor in tensors]
    current, aside = torch.cuda.current_stream(), torch.cuda.Stream()
    aside.wait_stream(current)
    with torch.cuda.stream(aside):
        function(*inputs)  # compiles kernels and chooses algorithms, which can't be captured
    current.wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = function(*inputs)
    return Captured(inputs, graph, output)
