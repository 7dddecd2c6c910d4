"""The code for a GPU, without one: on fake CUDA tensors, which have a device and a shape but no values.

A tensor on the wrong device, and a value that the host waits for inside an iteration, are errors here.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from wframe.engine import train
from wframe.engine.train import check_device
from wframe.errors import UserError
from wframe.model import layers, noise
from wframe.model.algorithm import iterate, observe, start
from wframe.model.bank import Bank, load_bank
from wframe.model.constants import Constants
from wframe.model.state import Record
from wframe.weights import BUILTIN_BANK

GPU = torch.device("cuda")


@pytest.fixture
def bank(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bank]:
    """The builtin bank; everything computed with it is fake. The noise isn't compiled."""
    monkeypatch.setenv("WFRAME_NO_COMPILE", "1")
    bank = load_bank(BUILTIN_BANK)
    with FakeTensorMode() as mode:
        yield replace(bank, layers=tuple((mode.from_tensor(w), mode.from_tensor(b)) for w, b in bank.layers))


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
@pytest.mark.parametrize("before", ["kept", "renewed"])
@pytest.mark.parametrize("theta", ["position", "filter"])
def test_an_iteration_stays_on_the_gpu(bank: Bank, precision: str, before: str, theta: str):
    c = Constants(T=1, L=2, precision=precision, before=before, theta=theta, clip=0.01)
    bank = bank.to(c.unit, GPU, precision)
    keys = torch.zeros((3, 2), dtype=torch.int64, device=GPU)
    with torch.inference_mode():
        observed = observe(bank, c, torch.zeros((3, 9, 3, 16, 16), device=GPU))
        state, record = iterate(bank, c, keys, observed, start(bank, observed))
    assert {tensor.device.type for tensor in (state.x, state.θ, state.P, *state.r, *record)} == {"cuda"}
    assert state.x.dtype == state.θ.dtype == state.r.F.dtype == torch.float32, "x and what θ learns from are fp32"
    assert record._fields == Record._fields and all(value.shape == (3,) for value in record)


def test_a_wait_for_the_gpu_is_noticed(bank: Bank):
    with pytest.raises(Exception, match="_local_scalar_dense"):
        bool(torch.zeros(3, device=GPU).any())
    assert noise.normal(torch.zeros((2, 2), dtype=torch.int64, device=GPU), 0, 0, (4,)).device.type == "cuda"


def test_a_device_on_which_no_step_runs_is_refused_first(monkeypatch: pytest.MonkeyPatch):
    bank, c = load_bank(BUILTIN_BANK), Constants()
    check_device(torch.device("cpu"), c, bank)
    monkeypatch.setattr(train, "force", lambda *_: (_ for _ in ()).throw(OSError("no C compiler\nat ...")))
    with pytest.raises(UserError, match=r"doesn't run here \(no C compiler\).*WFRAME_NO_COMPILE=1"):
        check_device(torch.device("cpu"), c, bank)


@pytest.mark.parametrize(
    ("triton", "variable", "why"), [(False, None, "Triton"), (True, "1", "WFRAME_NO_COMPILE is set")]
)
def test_a_gpu_without_kernels_says_why(monkeypatch: pytest.MonkeyPatch, triton: bool, variable: str | None, why: str):
    monkeypatch.setattr(layers, "HAS_TRITON", triton)
    monkeypatch.delenv("WFRAME_NO_COMPILE", raising=False)
    if variable:
        monkeypatch.setenv("WFRAME_NO_COMPILE", variable)
    assert not layers.has_kernels(GPU) and (layers.why_no_kernels() or "").startswith(why)
