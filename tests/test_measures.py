"""What is measured of line 14's two terms, and R's common unit."""

import pytest
import torch

from wframe.model.algorithm import iterate, observe, start
from wframe.model.bank import load_bank
from wframe.model.constants import Constants
from wframe.model.energy import mean_response
from wframe.model.noise import key_tensor
from wframe.model.readings import UNIT
from wframe.weights import BUILTIN_BANK


@pytest.mark.parametrize("beta", [0.0, 60.0])
def test_line_14_s_terms_explain_its_step(beta: float):
    torch.manual_seed(0)
    c = Constants(T=4, L=3, M=3, beta=beta, delta=0.3, lambda_=5e-3)
    bank = load_bank(BUILTIN_BANK).to(c.unit)
    observed = observe(bank, c, torch.randn(2, 3, 3, 16, 16) * 0.5)
    state = start(bank, observed)
    for _ in range(c.T):
        before = state
        state, record = iterate(bank, c, key_tensor([3, 4]), observed, before)
    misfit = (observed.H - mean_response(before.θ, state.r.F)).flatten(1)
    step = (state.θ - before.θ).flatten(1)
    assert torch.equal(record.misfit, misfit.norm(dim=1)) and torch.equal(record.step, step.norm(dim=1))
    if beta == 0:
        assert record.penalty.tolist() == [0, 0] and record.cosine.tolist() == [0, 0]
        torch.testing.assert_close(record.step, c.lambda_ * record.misfit, rtol=1e-4, atol=1e-7)
    else:
        pull = misfit - step / c.lambda_  # β/2·((1 − γ)𝒫_{t−1} + γ𝒫_t)
        torch.testing.assert_close(pull.norm(dim=1), beta / 2 * record.penalty, rtol=1e-3, atol=1e-5)
        cosine = torch.nn.functional.cosine_similarity(pull, misfit)
        torch.testing.assert_close(record.cosine, cosine, rtol=1e-2, atol=1e-3)


def test_R_has_one_unit_in_all_readings():
    """At x = 0, nothing learned and next to no noise: the same images, so the same R."""
    images = torch.randint(0, 256, (1, 3, 16, 16, 3), dtype=torch.uint8).numpy()
    found = []
    for reading in ("tempered", "lineage"):
        c = Constants(reading=reading, T=1, L=1, M=3, delta=1e-3, sigma=1.0, beta=0.0)
        bank = load_bank(BUILTIN_BANK).to(c.unit)
        observed = observe(bank, c, bank.pixels(images, c.unit))
        _, record = iterate(bank, c, key_tensor([1]), observed, start(bank, observed))
        found.append(float(record.R))
        assert c.unit in (1.0, UNIT)
    assert found[0] == pytest.approx(found[1], rel=1e-2)
