"""WINN (Lee et al. 2018, "Wasserstein Introspective Neural Networks"): Table 1's WINN-5CNNs, 5.58.

A cascade of classifiers f that are their own generators: each learns to tell real images from pseudo-negatives, by the
Wasserstein loss with gradient penalty; pseudo-negatives are images that have climbed f, from where the classifiers
before it left them (Algorithm 1). The networks and constants are the released code's for 64×64 (kjunelee/WINN,
unsupervised/WINN_64x64_train.ipynb): eight 3×3 convolutions with swish, layer norm and mean pooling; first
pseudo-negatives from a random network. wFRAME's closest relative: there F is frozen and only θ is learned.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from wframe.baselines.batches import Batches, to_images, to_pixels
from wframe.baselines.trainable import Trainable, learn
from wframe.config.trainings.winn import Settings

MEASURES = ("loss", "distance", "penalty")  # distance: mean f of real images less that of pseudo-negatives


class Classifier(nn.Module):
    """f: images (N, 3, S, S) → scores (N,)."""

    def __init__(self, side: int, width: int, narrowest: int) -> None:
        super().__init__()
        channels = [3, *(width * factor for factor in (1, 2, 2, 4, 4, 8, 8, 16))]
        self.convolutions = nn.ModuleList(nn.Conv2d(*pair, 3, padding=1) for pair in pairwise(channels))
        # over channels and positions, with a scale and offset for each channel; not after the first convolution
        self.norms = nn.ModuleList([nn.Identity(), *(nn.GroupNorm(1, count) for count in channels[2:])])
        self.halves = [k % 2 == 1 and side >> (k // 2 + 1) >= narrowest for k in range(8)]
        self.last = nn.Linear(16 * width * (side >> sum(self.halves)) ** 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores."""
        for convolution, norm, halve in zip(self.convolutions, self.norms, self.halves, strict=True):
            x = nn.functional.silu(norm(convolution(x)))
            x = avg_pool2d(x, 2) if halve else x
        return self.last(x.flatten(1)).flatten()


class NoiseProvider(nn.Module):
    """A random network, never trained: noise (N, 16w, 4, 4) → first pseudo-negatives (N, 3, S, S) in [−1, 1]."""

    def __init__(self, side: int, width: int) -> None:
        super().__init__()
        channels = [16 * width >> level for level in range((side // 4).bit_length() - 1)] + [3]
        self.convolutions = nn.ModuleList(nn.Conv2d(*pair, 5, padding=2) for pair in pairwise(channels))
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return images, each stretched to the whole range."""
        for place, convolution in enumerate(self.convolutions):
            x = interpolate(convolution(x), scale_factor=2)
            x = x if place == len(self.convolutions) - 1 else nn.functional.layer_norm(x, x.shape[1:])
        low, high = x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True)
        return 2 * (x - low) / (high - low) - 1


class Cascade(nn.Module):
    """The classifiers: those that are finished, the one in training, and the scores at which each lets images go."""

    def __init__(self, settings: Settings, side: int) -> None:
        super().__init__()
        self.finished = nn.ModuleList(
            Classifier(side, settings.width, settings.narrowest) for _ in range(settings.cascades - 1)
        )
        self.f = Classifier(side, settings.width, settings.narrowest)
        self.bounds: Tensor
        self.register_buffer("bounds", torch.tensor([[torch.inf, -torch.inf]] * settings.cascades))


def gradient_penalty(f: nn.Module, real: Tensor, negatives: Tensor) -> Tensor:
    """Return the mean of (|∇f(x̂)| − 1)², x̂ at random between real images and negatives (Gulrajani et al. 2017)."""
    share = torch.rand(len(real)).to(real.device)[:, None, None, None]
    between = (share * real + (1 - share) * negatives).requires_grad_()
    (gradient,) = torch.autograd.grad(f(between).sum(), between, create_graph=True)
    return (gradient.flatten(1).square().sum(1).sqrt() - 1).square().mean()


class WINN(Trainable):
    """The cascade and its pseudo-negatives, all that were ever made, so that nothing is forgotten."""

    def __init__(self, settings: Settings, batches: Batches, random: torch.Generator) -> None:
        self.settings, self.device, self.side = settings, batches.device, batches.side
        self.provider = NoiseProvider(batches.side, settings.width)
        self.cascade = Cascade(settings, batches.side)
        for network, deviation in ((self.provider, 0.1), (self.cascade, 0.02)):
            for module in network.modules():
                if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                    nn.init.uniform_(module.weight, -(3**0.5) * deviation, 3**0.5 * deviation, random)
                    module.bias.data.zero_()
        self.networks = {"provider": self.provider.to(self.device), "cascade": self.cascade.to(self.device)}
        betas = (settings.beta1, 0.9)
        self.adam = torch.optim.Adam(self.cascade.f.parameters(), settings.learning_rate, betas)
        self.optimisers = {"adam": self.adam}
        self.starts = torch.cat([to_images(self.provider(part)) for part in self.noise(settings.starts).split(250)])
        self.negatives = self.starts.clone()

    def noise(self, count: int) -> Tensor:
        """Return noise, uniform in [−1, 1], (count, 16w, 4, 4)."""
        return torch.rand(count, 16 * self.settings.width, 4, 4).to(self.device).mul(2).sub(1)

    def step(self, t: int, batches: Batches) -> Tensor:
        """One update of the classifier; an iteration's last is followed by the synthesis of pseudo-negatives."""
        s, f = self.settings, self.cascade.f
        cascade, iteration, update = s.place(t)
        if t > 0 and iteration == update == 0:
            self.cascade.finished[cascade - 1].load_state_dict(f.state_dict())
        real, negatives = self.images_of(cascade, iteration, update, batches)
        distance, penalty = f(real).mean() - f(negatives).mean(), gradient_penalty(f, real, negatives)
        loss = -distance + s.penalty * penalty
        learn(self.adam, loss)
        self.remember_score(cascade, iteration, update, real)
        if update == s.updates(iteration) - 1:
            self.synthesise(cascade, iteration)
        return torch.stack([value.detach() for value in (loss, distance, penalty)])

    def images_of(self, cascade: int, iteration: int, update: int, batches: Batches) -> tuple[Tensor, Tensor]:
        """Return an update's real images and pseudo-negatives: an iteration draws its own, and passes over them."""
        s = self.settings
        count = s.updates(iteration) // s.passes * s.batch
        random = batches.random("iteration", cascade, iteration)
        known = len(batches.images)
        rows = (
            torch.randperm(known, generator=random)
            if known > count
            else torch.randint(known, (count,), generator=random)
        )
        drawn = torch.randint(len(self.negatives), (count,), generator=random)
        some = slice(update * s.batch % count, update * s.batch % count + s.batch)
        return batches.pixels(rows[some]), to_pixels(self.negatives[drawn[some].to(self.device)])

    @torch.no_grad()
    def remember_score(self, cascade: int, iteration: int, update: int, real: Tensor) -> None:
        """Keep the least and greatest mean score of real batches in an iteration's last pass."""
        last_pass = self.settings.updates(iteration) * (self.settings.passes - 1) // self.settings.passes
        if update == last_pass:
            self.cascade.bounds[cascade] = torch.tensor([torch.inf, -torch.inf])
        if update >= last_pass:
            low, high = self.cascade.bounds[cascade]
            score = self.cascade.f(real).mean()
            self.cascade.bounds[cascade] = torch.stack([torch.minimum(low, score), torch.maximum(high, score)])

    def synthesise(self, cascade: int, iteration: int) -> None:
        """Add pseudo-negatives: images that climb the classifier from where the one before left them."""
        order = torch.randperm(len(self.starts))[: self.settings.added(iteration)]
        parts = [self.starts[rows.to(self.device)] for rows in order.split(self.settings.together)]
        made = torch.cat([to_images(self.climb(self.cascade.f, cascade, to_pixels(part))) for part in parts])
        self.negatives = torch.cat([self.negatives, made])
        if iteration == self.settings.iterations - 1:
            self.starts = made

    def climb(self, f: nn.Module, cascade: int, x: Tensor) -> Tensor:
        """Return images moved up f until their mean score is one of real images', drawn between their bounds."""
        s = self.settings
        low, high = self.cascade.bounds[cascade].tolist()
        enough = low + (high - low) * torch.rand(()).item()
        x = x.clone().requires_grad_()
        adam = torch.optim.Adam([x], s.climb_rate)
        for climbed in range(s.climb_steps):
            score = f(x).mean()
            if climbed > 0 and score.item() >= enough:
                break
            learn(adam, -score)
            with torch.no_grad():
                if s.climb_noise:
                    x.add_(s.climb_noise * torch.randn(x.shape).to(x.device))
                x.clamp_(-1, 1)
        return x.detach()

    def sample(self, noise: Tensor) -> Tensor:
        """Return images: from the random network up one classifier after the other, as far as they are trained."""
        trained = int(self.cascade.bounds.isfinite().all(1).sum())
        classifiers = [*self.cascade.finished[: trained - 1], self.cascade.f] if trained else []
        parts = []
        for part in noise.split(self.settings.together):
            x = self.provider(part)
            for cascade, f in enumerate(classifiers):
                x = self.climb(f, cascade, to_pixels(to_images(x)))
            parts.append(x)
        return torch.cat(parts)

    def state(self) -> dict[str, Tensor]:
        """Return everything that training changes."""
        return super().state() | {"starts": self.starts, "negatives": self.negatives}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Set what `state` returned."""
        self.starts, self.negatives = (tensors.pop(name).to(self.device) for name in ("starts", "negatives"))
        super().restore(tensors)


build = WINN
