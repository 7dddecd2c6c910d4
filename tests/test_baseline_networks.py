"""Baselines' networks against their publications' tables, and each technique against a reference written by hand."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from test_baselines import blank, small
from torch import nn

from wframe.baselines import ali, improved_gan, winn
from wframe.baselines.trainer import build
from wframe.config.baselines import training


def count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)


def published(model: str, **changes: object) -> nn.Module:
    return build(blank({"model": model, "steps": 1, "batch": 2} | changes))[1]


def shapes(network: nn.Sequential, x: torch.Tensor, kinds: tuple[type, ...]) -> list[tuple[int, ...]]:
    """The shape of what each layer of some kinds makes of x, without the batch."""
    found = []
    for layer in network:
        x = layer(x)
        if isinstance(layer, kinds):
            found.append(tuple(x.shape[1:]))
    return found


# --- Improved GAN: openai/improved-gan, mnist_svhn_cifar10/train_cifar_minibatch_discrimination.py -----------------


def test_improved_gans_networks_are_as_released():
    model = published("improved_gan")
    # dense 100 → 4·4·512 with a bias each, 5×5 up 512 → 256 → 128 → 3; the last has a scale g too
    G = (100 + 1) * 8192 + 25 * (512 * 256 + 256 * 128 + 128 * 3) + 256 + 128 + 2 * 3
    assert count(model.G) == G == 4_933_382
    D = 9 * (3 * 96 + 2 * 96 * 96 + 96 * 192 + 3 * 192 * 192) + 2 * 192 * 192 + 3 * 96 + 6 * 192
    D += 192 * 500 + 500 + 100 + (292 + 2) * 10  # 100 kernels of 5, with their scales and biases; ten outputs
    assert count(model.D) == D == 1_504_404
    convolutions = [layer.layer for layer in model.features if isinstance(layer, improved_gan.WeightNorm)]
    assert [layer.out_channels for layer in convolutions] == [96] * 3 + [192] * 6
    assert [layer.kernel_size[0] for layer in convolutions] == [3] * 7 + [1] * 2
    assert [layer.stride[0] for layer in convolutions] == [1, 1, 2, 1, 1, 2, 1, 1, 1]
    up = shapes(model.G, torch.rand(2, 100), (nn.Unflatten, improved_gan.WeightNorm, nn.ConvTranspose2d))
    assert up == [(512, 4, 4), (256, 8, 8), (128, 16, 16), (3, 32, 32)]
    assert shapes(model.features, torch.rand(2, 3, 32, 32), (nn.AdaptiveAvgPool2d,)) == [(192, 1, 1)]
    s = model.settings
    assert (s.batch, s.learning_rate, s.beta1) == (2, 3e-4, 0.5) and training({"model": "improved_gan"}).batch == 100
    assert training({"model": "improved_gan"}).length == 1200 * 500
    matched = published("improved_gan", generator_loss="feature-matching")
    assert count(matched.D) == D - 96_600 - 1000  # no kernels, so the last layer has 100 inputs fewer


def test_minibatch_discrimination_is_that_of_loops():
    layer = improved_gan.MinibatchDiscrimination(3, 4, 2)
    nn.init.normal_(layer.T)
    nn.init.normal_(layer.log_scale)
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)  # gradcheck wants doubles
    layer.double()
    expected = torch.zeros(5, 4, dtype=torch.float64)
    for b in range(4):
        for i in range(5):
            for j in range(5):
                far = 0.0
                for c in range(2):
                    column = layer.T[:, b, c]
                    column = column / column.norm() * layer.log_scale[b, c].exp()
                    far = far + (x[i] @ column - x[j] @ column).abs()
                expected[i, b] += torch.exp(-far) * (i != j)
    made = layer(x)
    assert torch.equal(made[:, :3], x)
    torch.testing.assert_close(made[:, 3:], expected + layer.bias)
    assert torch.autograd.gradcheck(layer, x)


@pytest.mark.parametrize("kind", ["convolution", "transposed", "linear"])
def test_weight_norm_divides_by_each_outputs_norm_and_begins_normalised(kind: str):
    plain, x = {
        "convolution": (nn.Conv2d(3, 4, 3, bias=False), torch.randn(6, 3, 5, 5)),
        "transposed": (nn.ConvTranspose2d(3, 4, 5, 2, 2, output_padding=1, bias=False), torch.randn(6, 3, 4, 4)),
        "linear": (nn.Linear(3, 4, bias=False), torch.randn(40, 3)),
    }[kind]
    layer = improved_gan.WeightNorm(plain, 4, deviation=0.1)
    weight = plain.weight.detach().clone()
    for output in range(4):
        part = weight[:, output] if kind == "transposed" else weight[output]
        part /= math.sqrt(float((part**2).sum()) + 1e-6)
    reference = type(plain)(*((3, 4) if kind == "linear" else (3, 4, 3 if kind == "convolution" else 5)), bias=False)
    if kind == "transposed":
        reference = nn.ConvTranspose2d(3, 4, 5, 2, 2, output_padding=1, bias=False)
    reference.weight.data = weight
    torch.testing.assert_close(layer(x), reference(x))
    layer.initialises = True
    layer(x)
    layer.initialises = False
    y = layer(x).transpose(0, 1).flatten(1)
    torch.testing.assert_close(y.mean(1), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.std(1, unbiased=False), torch.full((4,), 0.1))


def test_feature_matching_compares_means():
    real, fake = torch.tensor([[1.0, 2.0], [3.0, 6.0]]), torch.tensor([[0.0, 5.0]])
    assert improved_gan.feature_matching(real, fake).item() == pytest.approx((2 + 1) / 2)


def test_improved_gans_losses_are_those_of_probabilities():
    """With p(real) = Σe^l / (1 + Σe^l): −log p on real images, −log(1 − p) on generated ones, each by half."""
    model, batches = published("improved_gan", **SMALL), blank(small("improved_gan"))
    logits = torch.tensor([[0.3, -1.0, 2.0]])
    p = logits.exp().sum() / (1 + logits.exp().sum())
    of_real = logits.logsumexp(1)
    torch.testing.assert_close(nn.functional.softplus(-of_real), -p.log()[None])
    torch.testing.assert_close(nn.functional.softplus(of_real), -(1 - p).log()[None])
    assert model.loss_labels(0, batches).item() > 0 and model.labelled.shape == (4,)
    unlabelled = published("improved_gan", **SMALL | {"labels": None})
    assert unlabelled.loss_labels(0, batches).item() == 0


SMALL = {"width": 4, "features": 4, "kernels": 3, "labels": 2}


# --- ALI: Dumoulin et al. 2017, appendix A, "CIFAR10 model hyperparameters (unsupervised)" -------------------------


def test_alis_networks_are_those_of_its_table():
    model = published("ali")
    convolutions = (nn.Conv2d, nn.ConvTranspose2d)
    encoded = shapes(model.encoder, torch.rand(2, 3, 32, 32), convolutions)
    assert encoded == [(32, 28, 28), (64, 13, 13), (128, 10, 10), (256, 4, 4), (512, 1, 1), (512, 1, 1), (128, 1, 1)]
    decoded = shapes(model.decoder, torch.rand(2, 64, 1, 1), convolutions)
    assert decoded == [(256, 4, 4), (128, 10, 10), (64, 13, 13), (32, 28, 28), (32, 32, 32), (32, 32, 32), (3, 32, 32)]
    # kernels by the table; batch norm's scales and offsets; biases where the released code has any
    encoder = 25 * 3 * 32 + 16 * (32 * 64 + 64 * 128 + 128 * 256 + 256 * 512) + 512 * 512 + 512 * 128
    assert count(model.encoder) == encoder + 2 * (32 + 64 + 128 + 256 + 512 + 512) + 128 == 3_118_496
    decoder = 16 * (64 * 256 + 256 * 128 + 128 * 64 + 64 * 32) + 25 * 32 * 32 + 32 * 32 + 32 * 3
    assert count(model.decoder) == decoder + 2 * (256 + 128 + 64 + 32 + 32 + 32) + 3 * 32 * 32 == 981_152
    # of two neighbouring channels the greater one goes on: 32 → 16, 64 → 32, ...
    D = 25 * 3 * 32 + 32 + 16 * (16 * 64 + 32 * 128 + 64 * 256 + 128 * 512) + 64 * 512 + 256 * 512
    D += (512 + 1) * 1024 + (512 + 1) * 1024 + 512 + 1
    assert count(model.D) == D == 2_610_049
    by_table = published("ali", maxout="to-them")
    assert by_table.D.joint[1].in_channels == 1024 and by_table.D.last[1].in_channels == 1024
    dropout = [layer.p for part in (model.D.x, model.D.z) for layer in part if isinstance(layer, nn.Dropout)]
    assert dropout == [0.2, 0.5, 0.5, 0.5, 0.5, 0.2, 0.5]
    s = training({"model": "ali"})
    assert (s.batch, s.z, s.learning_rate, s.beta1, s.leak, s.deviation) == (100, 64, 1e-4, 0.5, 0.1, 0.01)
    assert s.length == 6475 * 450


def test_maxout_takes_the_greater_of_two_neighbours():
    x = torch.randn(2, 6, 3, 3)
    made = ali.Maxout()(x)
    for channel in range(3):
        assert torch.equal(made[:, channel], torch.maximum(x[:, 2 * channel], x[:, 2 * channel + 1]))


def test_alis_decoder_begins_at_the_images_mean():
    batches = blank({"model": "ali", "steps": 1, "batch": 2, "width": 4, "z": 8, "deviation": 1e-6})
    _, model = build(batches)
    images = torch.from_numpy(batches.array).float().div(255).mean(0).permute(2, 0, 1)
    torch.testing.assert_close(model.sample(model.noise(1))[0].add(1).div(2), images, atol=1e-3, rtol=0)


def test_alis_step_follows_both_gradients_of_the_same_pairs():
    """By autograd on the losses as the paper's equation 3 and its swap have them, with plain gradient descent."""
    batches = blank(small("ali"))
    _, model = build(batches)
    model.adam_D, model.adam_G = (torch.optim.SGD(of, 0.1) for of in (model.weights_D, model.weights_G))
    before = [weight.detach().clone() for weight in (*model.weights_D, *model.weights_G)]
    torch.manual_seed(5)
    x, z = batches[0].add(1).div(2), model.noise(4)
    z_hat, x_tilde = model.encode(x), model.decoder(z)
    D = torch.sigmoid(model.D(torch.cat([x, x_tilde]), torch.cat([z_hat, z])))
    value = -(D[:4].log() + (1 - D[4:]).log()).mean()
    swapped = -((1 - D[:4]).log() + D[4:].log()).mean()
    of_D = torch.autograd.grad(value, model.weights_D, retain_graph=True)
    of_G = torch.autograd.grad(swapped, model.weights_G)
    torch.manual_seed(5)
    model.step(0, batches)
    for old, gradient, new in zip(before, (*of_D, *of_G), (*model.weights_D, *model.weights_G), strict=True):
        torch.testing.assert_close(new.detach(), old - 0.1 * gradient, atol=1e-6, rtol=1e-4)


# --- WINN: kjunelee/WINN, unsupervised/WINN_64x64_train.ipynb --------------------------------------------------------


def test_winns_classifier_is_as_released():
    """For 64×64: 32, 64, pool, 64, 128, pool, 128, 256, pool, 256, 512, pool, 4·4·512 → 1."""
    f = winn.Classifier(64, 32, 4)
    channels = [3, 32, 64, 64, 128, 128, 256, 256, 512]
    convolutions = sum((9 * a + 1) * b for a, b in pairwise(channels))
    assert count(f) == convolutions + 2 * sum(channels[2:]) + 8192 + 1 == 2_354_177
    assert f.halves == [False, True] * 4 and f(torch.rand(2, 3, 64, 64)).shape == (2,)
    at_32 = winn.Classifier(32, 32, 4)
    assert count(at_32) == count(f) and at_32.halves == [False, True] * 3 + [False] * 2
    s = training({"model": "winn"})
    assert (s.cascades, s.passes, s.penalty, s.learning_rate, s.beta1, s.climb_rate) == (5, 3, 10, 1e-4, 0, 0.01)
    assert s.length == 5 * 3 * (20 + 40 + 60 + 80 + 96 * 100)


def test_winns_provider_makes_images_of_the_whole_range():
    x = winn.NoiseProvider(32, 4)(torch.rand(3, 64, 4, 4) * 2 - 1)
    assert x.shape == (3, 3, 32, 32)
    torch.testing.assert_close(x.amax((1, 2, 3)), torch.ones(3))
    torch.testing.assert_close(x.amin((1, 2, 3)), -torch.ones(3))


def test_the_gradient_penalty_is_that_of_differences():
    torch.manual_seed(0)
    f = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.SiLU(), nn.Linear(5, 1), nn.Flatten(0)).double()
    real, negatives = torch.randn(4, 3, 2, 2).double(), torch.randn(4, 3, 2, 2).double()
    torch.manual_seed(1)
    penalty = winn.gradient_penalty(f, real, negatives)
    torch.manual_seed(1)
    share = torch.rand(4)
    expected, h = 0.0, 1e-5
    for image in range(4):
        x = share[image] * real[image] + (1 - share[image]) * negatives[image]
        squares = 0.0
        for place in np.ndindex(3, 2, 2):
            step = torch.zeros(3, 2, 2, dtype=torch.float64)
            step[place] = h
            squares += float((f((x + step)[None]) - f((x - step)[None])) / (2 * h)) ** 2
        expected += (math.sqrt(squares) - 1) ** 2 / 4
    assert penalty.item() == pytest.approx(expected, rel=1e-6)
    (gradient,) = torch.autograd.grad(penalty, f[1].weight)
    assert gradient.abs().sum() > 0, "it reaches the weights"


def test_the_schedule_places_every_step():
    s = training(small("winn", iterations=3, growth=2))
    assert [s.updates(iteration) for iteration in range(3)] == [2, 4, 4] and s.length == 20
    places = [s.place(t) for t in range(s.length)]
    assert places[:7] == [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (0, 1, 2), (0, 1, 3), (0, 2, 0)]
    assert places[10] == (1, 0, 0) and len(set(places)) == 20


def test_a_classifier_hands_its_images_to_the_next():
    """Pseudo-negatives gather; the last of a classifier are where the next one's begin; it keeps its own weights."""
    batches = blank(small("winn"))
    _, model = build(batches)
    sizes = []
    for t in range(model.settings.length):
        batches.seed("z", t)
        model.step(t, batches)
        sizes.append(len(model.negatives))
    assert sizes == [8, 12, 12, 20, 20, 24, 24, 32] and torch.equal(model.starts, model.negatives[-8:])
    first, last = model.cascade.finished[0], model.cascade.f
    assert not torch.equal(first.last.weight, last.last.weight)
    assert model.cascade.bounds.isfinite().all() and (model.cascade.bounds[:, 0] <= model.cascade.bounds[:, 1]).all()


def test_images_climb_until_they_score_as_real_ones_do():
    batches = blank(small("winn", climb_steps=500, climb_rate=0.0005))
    _, model = build(batches)
    f, x = model.cascade.f, batches.pixels(torch.arange(4)) * 0.1
    start = f(x).mean().item()
    model.cascade.bounds[0] = torch.tensor([start + 0.01, start + 0.02])
    y = model.climb(f, 0, x)
    assert start + 0.01 <= f(y).mean().item() < start + 0.2 and y.abs().max() <= 1
    model.cascade.bounds[0] = torch.tensor([1e9, 1e9])
    assert f(model.climb(f, 0, x)).mean() > f(y).mean(), "out of reach: as far as it may"
