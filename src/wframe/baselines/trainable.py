"""What the trainer needs of a baseline: its networks and optimisers, what a step does, and what a sample is."""

from torch import Tensor, nn
from torch.optim import Optimizer

from wframe.baselines.batches import Batches


class Trainable:
    """A model under training; a module's `build(settings, batches, random)` makes it.

    Random numbers that a step draws (z, dropout, noise) are PyTorch's own: the trainer seeds them before each step and
    before `noise`, by what they are for, so that a resumed training needs none of their state.
    """

    networks: dict[str, nn.Module]
    optimisers: dict[str, Optimizer]

    def noise(self, count: int) -> Tensor:
        """Draw what `count` samples are made from."""
        raise NotImplementedError

    def step(self, t: int, batches: Batches) -> Tensor:
        """Take step t (from 0), on real images in [−1, 1]; return the module's MEASURES."""
        raise NotImplementedError

    def sample(self, noise: Tensor) -> Tensor:
        """Return an image (3, H, W) in [−1, 1] for each row of what `noise` drew."""
        raise NotImplementedError

    def weights(self) -> dict[str, Tensor]:
        """Return what has been learned, as named tensors."""
        return {
            f"{name}.{key}": value
            for name, network in self.networks.items()
            for key, value in network.state_dict().items()
        }

    def restore_weights(self, tensors: dict[str, Tensor]) -> None:
        """Set what `weights` returned."""
        for name, network in self.networks.items():
            network.load_state_dict(below(name, tensors))

    def state(self) -> dict[str, Tensor]:
        """Return everything that training changes, as named tensors."""
        tensors = self.weights()
        for name, optimiser in self.optimisers.items():
            for index, values in optimiser.state_dict()["state"].items():
                tensors |= {f"{name}.{index}.{key}": value for key, value in values.items()}
        return tensors

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Set what `state` returned."""
        self.restore_weights(tensors)
        for name, optimiser in self.optimisers.items():
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in below(name, tensors).items():
                index, _, what = key.partition(".")
                state.setdefault(int(index), {})[what] = value
            optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def below(name: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `name.`, without it."""
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}


def learn(optimiser: Optimizer, loss: Tensor) -> None:
    """Take an optimiser's step down a loss's gradient."""
    optimiser.zero_grad()
    loss.backward(inputs=[weight for group in optimiser.param_groups for weight in group["params"]])
    optimiser.step()
