"""Improved GAN (Salimans et al. 2016, "Improved Techniques for Training GANs"): Table 1's 4.36, and 8.09 with labels.

Their Table 3 has 8.09 for the whole model and 4.36 ± 0.04 "when labels are omitted from their training procedure" (so
Warde-Farley and Bengio 2016, section 5.1). The networks are those of the released code for CIFAR-10
(openai/improved-gan, mnist_svhn_cifar10/train_cifar_minibatch_discrimination.py and train_cifar_feature_matching.py),
which has no virtual batch norm, label smoothing or historical averaging: what Table 3's models had of these, the
publication doesn't say for each. (Its Adam has ε under the root; PyTorch's has it beside.)

D has a score l_k for each class; log Σ exp l_k is the logit of being real (their section 5).
"""

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy, softplus

from wframe.baselines.batches import Batches
from wframe.baselines.trainable import Trainable, learn
from wframe.config.trainings.improved_gan import Settings

MEASURES = ("loss_D", "loss_labels", "loss_G", "D_real", "D_fake")
FIRST = 500  # images that the initial scales are taken from


class WeightNorm(nn.Module):
    """A layer with y = g·(v/|v|)·x + b for each output; g and b begin so that y has mean 0 and a chosen deviation.

    Salimans and Kingma 2016, equations 2, 5 and 6; in the released code g isn't trained, except in the last layers.
    """

    layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear

    def __init__(
        self,
        layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear,
        channels: int,
        deviation: float = 1.0,
        train_g: bool = False,
    ) -> None:
        super().__init__()
        self.layer, self.deviation, self.initialises = layer, deviation, False
        self.output = 1 if isinstance(layer, nn.ConvTranspose2d) else 0  # the weight's axis of outputs
        self.g = nn.Parameter(torch.ones(channels), requires_grad=train_g)
        self.b = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return y of x."""
        v = self.layer.weight
        norm = v.square().sum([axis for axis in range(v.ndim) if axis != self.output], keepdim=True).add(1e-6).sqrt()
        y = functional_call(self.layer, {"weight": v / norm}, (x,))
        shape = (1, -1, *[1] * (y.ndim - 2))
        if self.initialises:
            rest = [axis for axis in range(y.ndim) if axis != 1]
            self.g.data = self.deviation / y.std(rest, unbiased=False)
            self.b.data = -y.mean(rest) * self.g
        return y * self.g.view(shape) + self.b.view(shape)


class MinibatchDiscrimination(nn.Module):
    """Features x (N, A) → [x, o] (N, A + B), with o_b(x_i) = Σ_{j≠i} exp(−|x_iT_b − x_jT_b|₁) + bias_b.

    Section 3.2; T_b has C columns, each with a norm of its own as in the released code.
    """

    def __init__(self, features: int, kernels: int, size: int) -> None:
        super().__init__()
        self.T = nn.Parameter(torch.zeros(features, kernels, size))
        self.log_scale = nn.Parameter(torch.zeros(kernels, size))
        self.bias = nn.Parameter(torch.full((kernels,), -1.0))
        self.initialises = False

    def forward(self, x: Tensor) -> Tensor:
        """Return the features and, beside them, how close each image is to the others of its batch."""
        T = self.T * (self.log_scale.exp() / self.T.square().sum(0).sqrt())
        M = torch.einsum("na,abc->nbc", x, T)
        distance = (M[:, None] - M).abs().sum(3)  # (N, N, B)
        distance = distance + 1e6 * torch.eye(len(x), device=x.device)[:, :, None]
        if self.initialises:
            nearest = 0.5 * distance.amin(1).mean(0)
            self.log_scale.data -= nearest.log()[:, None]
            distance = distance / nearest
            self.bias.data = -(-distance).exp().sum(1).mean(0)
        return torch.cat([x, (-distance).exp().sum(1) + self.bias], 1)


def generator(side: int, width: int, z: int) -> nn.Sequential:
    """Return G: z (N, z) → images (N, 3, side, side): 4×4×512 → 8×8×256 → 16×16×128 → 32×32×3 at width 128."""
    channels = width * side // 8
    dense = [nn.Linear(z, 16 * channels, bias=False), _norm(nn.BatchNorm1d(16 * channels, 1e-6)), nn.ReLU()]
    layers: list[nn.Module] = [*dense, nn.Unflatten(1, (channels, 4, 4))]
    while channels > width:
        channels //= 2
        layers += [_up(2 * channels, channels), _norm(nn.BatchNorm2d(channels, 1e-6)), nn.ReLU()]
    return nn.Sequential(*layers, WeightNorm(_up(width, 3), 3, 0.1, train_g=True), nn.Tanh())


def _up(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, 5, 2, 2, output_padding=1, bias=False)


def _norm(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> nn.Module:
    """Batch norm without a gain, by its own batch's statistics also in samples, as in the released code."""
    norm.weight.requires_grad_(False)
    norm.track_running_stats, norm.running_mean, norm.running_var = False, None, None
    norm.num_batches_tracked = None
    return norm


class Noise(nn.Module):
    """Gaussian noise on the discriminator's images."""

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma

    def forward(self, x: Tensor) -> Tensor:
        """Return x + σ·N(0, I)."""
        return x + self.sigma * torch.randn_like(x)


def features(settings: Settings) -> nn.Sequential:
    """Return D up to its features: nine convolutions with weight norm, and the mean over positions."""
    w, minibatch = settings.features, settings.generator_loss == "minibatch"

    def layer(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, padding: int = 1) -> list[nn.Module]:
        convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        return [WeightNorm(convolution, outputs), nn.LeakyReLU(0.2)]

    layers = [
        Noise(settings.noise) if minibatch else nn.Dropout(0.2),
        *layer(3, w),
        *layer(w, w),
        *layer(w, w, stride=2),
        nn.Dropout(0.5),
        *layer(w, 2 * w),
        *layer(2 * w, 2 * w),
        *layer(2 * w, 2 * w, stride=2),
        nn.Dropout(0.5),
        *layer(2 * w, 2 * w, padding=0),
        *layer(2 * w, 2 * w, kernel=1, padding=0),
        *layer(2 * w, 2 * w, kernel=1, padding=0),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    ]
    if minibatch:
        layers.append(MinibatchDiscrimination(2 * w, settings.kernels, settings.kernel_size))
    return nn.Sequential(*layers)


def scores(settings: Settings) -> WeightNorm:
    """Return D's last layer: features → a score for each class."""
    inputs = 2 * settings.features + (settings.kernels if settings.generator_loss == "minibatch" else 0)
    return WeightNorm(nn.Linear(inputs, settings.outputs, bias=False), settings.outputs, 0.1, train_g=True)


def feature_matching(real: Tensor, fake: Tensor) -> Tensor:
    """Return the distance of mean features (N, A); section 3.1 squares it, the released code has |·| and its mean."""
    return (real.mean(0) - fake.mean(0)).abs().mean()


class ImprovedGAN(Trainable):
    """Generator, discriminator, and the labelled images if there are any."""

    def __init__(self, settings: Settings, batches: Batches, random: torch.Generator) -> None:
        self.settings, self.device = settings, batches.device
        self.G = generator(batches.side, settings.width, settings.z)
        self.features, self.scores = features(settings), scores(settings)
        self.D = nn.Sequential(self.features, self.scores)
        for network in (self.G, self.D):
            for name, weight in network.named_parameters():
                if name.endswith(("weight", ".T")) and weight.ndim > 1:
                    nn.init.normal_(weight, 0.0, 0.05, random)
        self.networks = {"G": self.G.to(self.device), "D": self.D.to(self.device)}
        betas = (settings.beta1, settings.beta2)
        adams = [
            torch.optim.Adam([p for p in net.parameters() if p.requires_grad], settings.learning_rate, betas)
            for net in (self.G, self.D)
        ]
        self.adam_G, self.adam_D = adams
        self.optimisers = {"adam_G": self.adam_G, "adam_D": self.adam_D}
        self.labelled = None if settings.labels is None else batches.some_of_each_class(settings.labels)
        first = torch.randperm(len(batches.images), generator=random)[:FIRST]
        self.initialise(batches.pixels(first))

    @torch.no_grad()
    def initialise(self, images: Tensor) -> None:
        """Set scales and biases by what real images and z give, layer by layer."""
        kinds = (WeightNorm, MinibatchDiscrimination)
        layers = [layer for net in (self.G, self.D) for layer in net.modules() if isinstance(layer, kinds)]
        for layer in layers:
            layer.initialises = True
        self.G(self.noise(self.settings.batch))
        self.D(images)
        for layer in layers:
            layer.initialises = False

    def noise(self, count: int) -> Tensor:
        """Return z, uniform in [0, 1], (count, z)."""
        return torch.rand(count, self.settings.z).to(self.device)

    def step(self, t: int, batches: Batches) -> Tensor:
        """One step of D on labelled, real and generated images, then G's."""
        rate = self.settings.learning_rate * min(3 - 3 * t / self.settings.length, 1)
        for group in (*self.adam_G.param_groups, *self.adam_D.param_groups):
            group["lr"] = rate
        fake = self.G(self.noise(self.settings.batch)).detach()
        real_logit, fake_logit = (self.D(x).logsumexp(1) for x in (batches[t], fake))
        loss_D = 0.5 * (softplus(-real_logit) + softplus(fake_logit)).mean()  # −log D(x) − log(1 − D(G(z))), halved
        loss_labels = self.loss_labels(t, batches)
        learn(self.adam_D, loss_D + loss_labels)
        for _ in range(self.settings.generator_steps or (3 if self.settings.generator_loss == "minibatch" else 1)):
            loss_G = self.loss_G(t, batches)
            learn(self.adam_G, loss_G)
        measures = (loss_D, loss_labels, loss_G, real_logit.sigmoid().mean(), fake_logit.sigmoid().mean())
        return torch.stack([value.detach() for value in measures])

    def loss_labels(self, t: int, batches: Batches) -> Tensor:
        """Return −log p(class | x) of labelled images; 0 without labels."""
        if self.labelled is None:
            return torch.zeros((), device=self.device)
        rows = batches.rows(t, "labels", among=self.labelled)
        return cross_entropy(self.D(batches.pixels(rows)), batches.labels[rows].to(self.device))

    def loss_G(self, t: int, batches: Batches) -> Tensor:
        """Return G's loss on new z: −log D(G(z)), up to its constant, or the distance of mean features."""
        fake = self.G(self.noise(self.settings.batch))
        if self.settings.generator_loss == "minibatch":
            return -softplus(self.D(fake).logsumexp(1)).mean()
        with torch.no_grad():
            real = self.features(batches.pixels(batches.rows(t, "matched")))
        return feature_matching(real, self.features(fake))

    @torch.no_grad()
    def sample(self, noise: Tensor) -> Tensor:
        """Return images; batch norm takes the statistics of each batch, as in training, so one image needs another."""
        parts = noise.tensor_split(-(-len(noise) // self.settings.batch))
        return torch.cat([self.G(part if len(part) > 1 else part.repeat(2, 1))[: len(part)] for part in parts])


build = ImprovedGAN
