"""ALI, adversarially learned inference (Dumoulin et al. 2017): Table 1's 5.34, by Warde-Farley and Bengio 2016.

An encoder G_z(x), a decoder G_x(z), and a discriminator that tells pairs (x, G_z(x)) from pairs (G_x(z), z). The
networks are those of appendix A ("CIFAR10 model hyperparameters"); where the table is silent (padding: none; biases;
running means) they are as in the released code (IshmaelBelghazi/ALI, experiments/ali_cifar10.py).
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from wframe.baselines.batches import Batches
from wframe.baselines.trainable import Trainable
from wframe.config.trainings.ali import Settings

MEASURES = ("loss_D", "loss_G", "D_data", "D_samples", "reconstruction")  # the last: RMS of x − x̂ in grey levels
PIECES = 2  # of maxout


class Maxout(nn.Module):
    """The greatest of each two neighbouring channels (Goodfellow et al. 2013)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C/2, H, W) of (N, C, H, W)."""
        return x.unflatten(1, (-1, PIECES)).amax(2)


class Bias(nn.Module):
    """A bias for each channel and position."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Return x plus the bias."""
        return x + self.bias


def encoder(s: Settings) -> nn.Sequential:
    """Return G_z: x (N, 3, 32, 32) → (μ, log σ) (N, 2z, 1, 1)."""
    w = s.width
    sizes = [(3, w, 5, 1), (w, 2 * w, 4, 2), (2 * w, 4 * w, 4, 1), (4 * w, 8 * w, 4, 2), (8 * w, 16 * w, 4, 1)]
    sizes += [(16 * w, 16 * w, 1, 1)]
    layers = [layer for size in sizes for layer in (nn.Conv2d(*size, bias=False), *_normed(size[1], s.leak))]
    return nn.Sequential(*layers, nn.Conv2d(16 * w, 2 * s.z, 1, bias=False), Bias(2 * s.z, 1, 1))


def decoder(s: Settings) -> nn.Sequential:
    """Return G_x: z (N, z, 1, 1) → x̃ (N, 3, 32, 32) in [0, 1]."""
    w = s.width
    sizes = [(s.z, 8 * w, 4, 1), (8 * w, 4 * w, 4, 2), (4 * w, 2 * w, 4, 1), (2 * w, w, 4, 2), (w, w, 5, 1)]
    layers = [layer for size in sizes for layer in (nn.ConvTranspose2d(*size, bias=False), *_normed(size[1], s.leak))]
    layers += [nn.Conv2d(w, w, 1, bias=False), *_normed(w, s.leak), nn.Conv2d(w, 3, 1, bias=False), Bias(3, 32, 32)]
    return nn.Sequential(*layers, nn.Sigmoid())


def _normed(channels: int, leak: float) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels, momentum=0.05), nn.LeakyReLU(leak)]


class Discriminator(nn.Module):
    """D(x, z): D(x) and D(z) side by side, then three layers on both; a logit of being (data, its code)."""

    def __init__(self, s: Settings) -> None:
        super().__init__()
        pieces = PIECES if s.maxout == "to-them" else 1
        kept = pieces / PIECES  # what maxout leaves of the table's feature maps
        w = s.width

        def layers(
            channels: list[int], kernels: list[tuple[int, int]], dropout: float, biases: tuple[int, ...] = ()
        ) -> nn.Sequential:
            parts: list[nn.Module] = []
            for place, ((inputs, outputs), kernel) in enumerate(zip(pairwise(channels), kernels, strict=True)):
                before = int(kept * inputs) if parts else inputs
                convolution = nn.Conv2d(before, pieces * outputs, *kernel, bias=place in biases)
                parts += [nn.Dropout(s.dropout if parts else dropout), convolution, Maxout()]
            return nn.Sequential(*parts)

        of_x = [(5, 1), (4, 2), (4, 1), (4, 2), (4, 1)]
        self.x = layers([3, w, 2 * w, 4 * w, 8 * w, 16 * w], of_x, s.input_dropout, biases=(0,))
        self.z = layers([s.z, 16 * w, 16 * w], [(1, 1)] * 2, s.input_dropout)
        self.joint = layers([int(kept * 32 * w), 32 * w, 32 * w], [(1, 1)] * 2, s.dropout, biases=(0, 1))
        self.last = nn.Sequential(nn.Dropout(s.dropout), nn.Conv2d(int(kept * 32 * w), 1, 1))

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Return the logits (N,) of pairs x in [0, 1] (N, 3, 32, 32) and z (N, z, 1, 1)."""
        return self.last(self.joint(torch.cat([self.x(x), self.z(z)], 1))).flatten()


class ALI(Trainable):
    """The three networks; encoder and decoder are trained by one loss."""

    def __init__(self, settings: Settings, batches: Batches, random: torch.Generator) -> None:
        self.settings, self.device = settings, batches.device
        self.encoder, self.decoder, self.D = encoder(settings), decoder(settings), Discriminator(settings)
        self.networks = {"encoder": self.encoder, "decoder": self.decoder, "D": self.D}
        for network in self.networks.values():
            for module in network.modules():
                if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                    nn.init.normal_(module.weight, 0.0, settings.deviation, random)
                    if module.bias is not None:
                        nn.init.zeros_(module.bias)
            network.to(self.device)
        first = torch.randperm(len(batches.images), generator=random)[:500]
        self.decoder[-2].bias.data = log_odds(batches.pixels(first))
        self.weights_G = [*self.encoder.parameters(), *self.decoder.parameters()]
        self.weights_D = list(self.D.parameters())
        betas = (settings.beta1, settings.beta2)
        self.adam_G = torch.optim.Adam(self.weights_G, settings.learning_rate, betas)
        self.adam_D = torch.optim.Adam(self.weights_D, settings.learning_rate, betas)
        self.optimisers = {"adam_G": self.adam_G, "adam_D": self.adam_D}

    def noise(self, count: int) -> Tensor:
        """Return z ~ N(0, I), (count, z, 1, 1)."""
        return torch.randn(count, self.settings.z, 1, 1).to(self.device)

    def encode(self, x: Tensor) -> Tensor:
        """Return ẑ ~ N(μ(x), σ(x)²) of x in [0, 1]."""
        mean, log_deviation = self.encoder(x).chunk(2, 1)
        return mean + log_deviation.exp() * self.noise(len(x))

    def step(self, t: int, batches: Batches) -> Tensor:
        """One step of all networks on the same pairs: D's loss, and encoder's and decoder's with the sides swapped."""
        self.encoder.train()
        self.decoder.train()
        x, z = batches[t].add(1).div(2), self.noise(self.settings.batch)
        z_hat, x_tilde = self.encode(x), self.decoder(z)
        on_data, on_samples = self.D(torch.cat([x, x_tilde]), torch.cat([z_hat, z])).chunk(2)
        loss_D = (softplus(-on_data) + softplus(on_samples)).mean()
        loss_G = (softplus(on_data) + softplus(-on_samples)).mean()
        self.adam_D.zero_grad()
        self.adam_G.zero_grad()
        loss_D.backward(inputs=self.weights_D, retain_graph=True)
        loss_G.backward(inputs=self.weights_G)
        self.adam_D.step()
        self.adam_G.step()
        error = 255 * (self.reconstruct(batches.pixels(batches.rows(t)[:10])) / 2 + 0.5 - x[:10])
        measures = (loss_D, loss_G, on_data.sigmoid().mean(), on_samples.sigmoid().mean(), error.square().mean().sqrt())
        return torch.stack([value.detach() for value in measures])

    @torch.no_grad()
    def reconstruct(self, images: Tensor) -> Tensor:
        """Return x̂ = G_x(ẑ), ẑ ~ G_z(x), of images in [−1, 1]; batch norm by running means."""
        self.encoder.eval()
        self.decoder.eval()
        return self.decoder(self.encode(images.add(1).div(2))).mul(2).sub(1)

    @torch.no_grad()
    def sample(self, noise: Tensor) -> Tensor:
        """Return images; batch norm by running means, so that each is its own."""
        self.decoder.eval()
        return self.decoder(noise).mul(2).sub(1)


def log_odds(images: Tensor) -> Tensor:
    """Return log(p/(1 − p)) of the mean of images in [−1, 1], for each channel and position: the decoder's bias."""
    p = images.add(1).div(2).mean(0).clamp(1e-7, 1 - 1e-7)
    return (p / (1 - p)).log()


build = ALI
