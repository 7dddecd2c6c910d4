"""DCGAN (Radford, Metz and Chintala 2016): the paper's Table 1 and Figure 6.

Strided convolutions, batch norm except at the generator's output and the discriminator's input, ReLU and
LeakyReLU(0.2), tanh, weights from N(0, 0.02²), Adam. Kernels are 4×4, as in PyTorch's example, so that a stride
of two doubles or halves a side exactly.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from wframe.baselines.batches import Batches
from wframe.baselines.trainable import Trainable, learn
from wframe.config.trainings.dcgan import Settings

MEASURES = ("loss_D", "loss_G", "D_real", "D_fake")  # losses, and the mean probabilities of being real


def generator(side: int, width: int, z: int) -> nn.Sequential:
    """Return G: z (N, z, 1, 1) → images (N, 3, side, side) in [−1, 1]; `width` channels at half the side."""
    channels = width * side // 8
    layers: list[nn.Module] = [nn.ConvTranspose2d(z, channels, 4, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
    while channels > width:
        channels //= 2
        up = nn.ConvTranspose2d(2 * channels, channels, 4, 2, 1, bias=False)
        layers += [up, nn.BatchNorm2d(channels), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False), nn.Tanh())


def discriminator(side: int, width: int) -> nn.Sequential:
    """Return D: images (N, 3, side, side) → logits of being real (N, 1, 1, 1)."""
    channels = width
    layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
    while channels < width * side // 8:
        down = nn.Conv2d(channels, 2 * channels, 4, 2, 1, bias=False)
        channels *= 2
        layers += [down, nn.BatchNorm2d(channels), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(channels, 1, 4, bias=False))


class DCGAN(Trainable):
    """The two networks and their optimisers."""

    def __init__(self, settings: Settings, batches: Batches, random: torch.Generator) -> None:
        self.settings, self.device = settings, batches.device
        self.G = generator(batches.side, settings.width, settings.z)
        self.D = discriminator(batches.side, settings.width)
        for module in (*self.G, *self.D):
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, 0.0, 0.02, random)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1.0, 0.02, random)
        self.networks = {"G": self.G.to(self.device), "D": self.D.to(self.device)}
        betas = (settings.beta1, 0.999)
        self.adam_G = torch.optim.Adam(self.G.parameters(), settings.learning_rate, betas)
        self.adam_D = torch.optim.Adam(self.D.parameters(), settings.learning_rate, betas)
        self.optimisers = {"adam_G": self.adam_G, "adam_D": self.adam_D}

    def noise(self, count: int) -> Tensor:
        """Return z ~ N(0, I), (count, z, 1, 1)."""
        return torch.randn(count, self.settings.z).to(self.device)[:, :, None, None]

    def step(self, t: int, batches: Batches) -> Tensor:
        """One step of D on real and generated images, then one of G."""
        self.G.train()
        fake = self.G(self.noise(self.settings.batch))
        on_real, on_fake = self.D(batches[t]), self.D(fake.detach())
        loss_D = softplus(-on_real).mean() + softplus(on_fake).mean()  # −log D(x) − log(1 − D(G(z)))
        learn(self.adam_D, loss_D)
        loss_G = softplus(-self.D(fake)).mean()  # −log D(G(z))
        learn(self.adam_G, loss_G)
        measures = (loss_D, loss_G, on_real.sigmoid().mean(), on_fake.sigmoid().mean())
        return torch.stack([value.detach() for value in measures])

    @torch.no_grad()
    def sample(self, noise: Tensor) -> Tensor:
        """Return images, with batch norm's running means, so that each is its own."""
        self.G.eval()
        return self.G(noise)


build = DCGAN
