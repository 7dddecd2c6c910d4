"""The GPU's Triton kernels against the layers that a CPU runs. Without a GPU, Triton interprets them (conftest.py)."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d, max_unpool2d

from wframe.model import layers, noise

pytest.importorskip("triton", reason="Triton isn't installed: PyTorch brings it where it supports a GPU")
from wframe.model import kernels

LAST = torch.channels_last


@pytest.fixture(
    params=["fp32", "bf16"] if torch.cuda.is_available() else ["fp32"]
)  # the interpreter has no bf16 products
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    return {"fp32": torch.float32, "bf16": torch.bfloat16}[request.param]


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    """Products in fp32, as `configure_process` sets them."""
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        yield


def random(*shape: int, dtype: torch.dtype, seed: int) -> Tensor:
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(device(), dtype)
    return values.contiguous(memory_format=LAST) if len(shape) == 4 else values


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def close(ours: Tensor, theirs: Tensor, dtype: torch.dtype) -> bool:
    return torch.allclose(ours.float(), theirs.float(), rtol=1e-5 if dtype == torch.float32 else 2e-2, atol=1e-4)


@pytest.mark.parametrize("shape", [(3, 8, 8), (3, 38, 36)])
def test_a_langevin_step_has_the_same_noise(shape: tuple[int, ...]):
    keys = noise.key_tensor([5, 2**63 + 7, 2**64 - 1])
    x, dΦ = (random(3, *shape, dtype=torch.float32, seed=seed).contiguous() for seed in (0, 1))
    theirs = 0.9 * x + 0.2 * dΦ + 2 * noise.normal(keys, 99, 49, shape).to(device())
    ours = kernels.langevin(x, dΦ, keys.to(device()), 99, 49, 0.9, 0.2, 2.0)
    assert ours.shape == theirs.shape and (ours - theirs).abs().max() < 1e-5


def test_first_layer(dtype: torch.dtype):
    x = random(3, 3, 6, 10, dtype=torch.float32, seed=0).contiguous()
    w, b = random(64, 3, 3, 3, dtype=dtype, seed=1), random(64, dtype=dtype, seed=2)
    ours = kernels.first(x, w, b)
    assert ours.dtype == dtype and ours.is_contiguous(memory_format=LAST)
    assert close(ours, conv2d(x.to(dtype).float(), w.float(), b.float(), padding=1).relu(), dtype)


def test_last_layer(dtype: torch.dtype):
    d, a = random(3, 64, 6, 10, dtype=dtype, seed=0), random(3, 64, 6, 10, dtype=dtype, seed=1)
    w = random(3, 64, 3, 3, dtype=dtype, seed=2)
    ours = kernels.last(d, a, w)
    assert ours.is_contiguous() and ours.dtype == torch.float32
    theirs = conv2d((d * (a > 0)).float(), w.float(), padding=1)
    assert (ours - theirs).norm() < (1e-6 if dtype == torch.float32 else 1e-2) * theirs.norm()


def test_pool_unpool_and_pick(dtype: torch.dtype):
    a, b = random(3, 64, 6, 10, dtype=dtype, seed=0), random(64, dtype=dtype, seed=1)
    a[0, :, :2, :2] = 0.5  # a tie: the first wins
    pooled, where = kernels.pool(a, b)
    most, at = max_pool2d(a.float(), 2, return_indices=True)
    assert close(pooled, (most + b.float()[:, None, None]).relu(), dtype)
    d, v = random(3, 64, 3, 5, dtype=dtype, seed=2), random(3, 64, 6, 10, dtype=dtype, seed=3)
    opened = pooled > 0
    assert 0.2 < opened.float().mean() < 0.9
    assert torch.equal(kernels.unpool(d, pooled, where).float(), max_unpool2d((d * opened).float(), at, 2))
    assert torch.equal(kernels.pick(v, pooled, where), layers.pick(v.cpu(), pooled.cpu(), at.cpu(), LAST).to(device()))


def test_relu_gate_and_head(dtype: torch.dtype):
    a, d = random(6, 128, 4, 4, dtype=dtype, seed=0), random(6, 128, 4, 4, dtype=dtype, seed=1)
    b = random(128, dtype=dtype, seed=2)
    assert torch.equal(kernels.gate_(d.clone(memory_format=torch.preserve_format), a), d * (a > 0))
    for side in (4, 1):
        θ = random(2, 128, side, side, dtype=torch.float32, seed=3)
        assert torch.equal(kernels.head(a, θ).cpu(), layers.head(θ.cpu(), a.cpu(), LAST))
    assert close(kernels.relu_(a.clone(memory_format=torch.preserve_format), b), (a + b[:, None, None]).relu(), dtype)


def test_a_whole_gradient(monkeypatch: pytest.MonkeyPatch):
    """The composition: responses, pull and push with the kernels equal those without."""
    from wframe.model.bank import load_bank
    from wframe.model.energy import gradient, penalty_gradient, responses
    from wframe.weights import BUILTIN_BANK

    bank = load_bank(BUILTIN_BANK).to(127.5, device())
    x, θ = (
        0.5 * random(4, 3, 8, 8, dtype=torch.float32, seed=0),
        0.01 * random(2, 128, 4, 4, dtype=torch.float32, seed=1),
    )

    def results() -> list[Tensor]:
        r = responses(bank, x)
        g = gradient(bank, θ, r)
        return [r.F, g, penalty_gradient(bank, θ, r, g, "mean")]

    monkeypatch.setattr(layers, "fused", lambda tensor: False)
    without = results()
    monkeypatch.setattr(layers, "fused", lambda tensor: True)
    for ours, theirs in zip(results(), without, strict=True):
        assert (ours - theirs).norm() < 1e-5 * theirs.norm()


def test_the_model_is_imported_without_triton():
    code = "import sys; sys.modules['triton'] = None; import wframe.model.algorithm, wframe.engine.learner"
    subprocess.run([sys.executable, "-c", code], check=True)
