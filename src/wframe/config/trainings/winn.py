"""WINN's settings (Lee et al. 2018), as the released code has them for 64×64; with five classifiers, as in Table 1."""

from itertools import accumulate
from typing import Literal

from pydantic import Field, model_validator

from wframe.config.training import Training


class Settings(Training):
    """WINN's. An iteration is `passes` over some images, then the synthesis of new pseudo-negatives."""

    model: Literal["winn"] = "winn"
    cascades: int = Field(5, ge=1, description="number of classifiers; each starts where the previous one ends")
    iterations: int = Field(100, ge=1, description="iterations of classification and synthesis per classifier")
    passes: int = Field(3, ge=1, description="passes over an iteration's images (k of Algorithm 1)")
    positives: int = Field(
        1000, ge=2, description="real images in a classifier's first iteration, with as many negatives"
    )
    growth: int = Field(
        5, ge=1, description="the second iteration uses twice as many, the third three times, up to this factor"
    )
    synthesised: int = Field(1000, ge=1, description="pseudo-negatives that an iteration adds")
    starts: int = Field(
        10_000, ge=1, description="pseudo-negatives before the first iteration and after each classifier's last one"
    )
    batch: int = Field(50, ge=2, description="real images per update, with as many negatives")
    together: int = Field(100, ge=1, description="images whose ascent is run together: it stops by their mean score")
    width: int = Field(32, ge=4, description="channels of the first convolution; the last has 16 times as many")
    narrowest: int = Field(
        4,
        ge=2,
        description="the side at which downsampling ends. The released networks are for 64×64 and end at 4×4; none is "
        "released for 32×32, where the last two convolutions keep 4×4 here",
    )
    penalty: float = Field(10.0, ge=0, description="weight λ of the gradient penalty")
    learning_rate: float = Field(
        1e-4, gt=0, lt=1, description="Adam's; constant, because the released code never advances its decay's counter"
    )
    beta1: float = Field(0.0, ge=0, lt=1, description="Adam's β₁; β₂ is 0.9")
    climb_rate: float = Field(0.01, gt=0, description="Adam's learning rate on the images (β₁ 0.9, β₂ 0.999)")
    climb_steps: int = Field(2000, ge=1, description="maximum gradient-ascent steps on a classifier's score")
    climb_noise: float = Field(
        0.0,
        ge=0,
        description="standard deviation of the noise in each of these steps: Algorithm 1 can be read as Langevin "
        "dynamics; the released code adds none, and draws at random the score to stop at",
    )

    def updates(self, iteration: int) -> int:
        """How many updates of the classifier an iteration has."""
        return self.passes * (min(iteration + 1, self.growth) * self.positives // self.batch)

    @property
    def length(self) -> int:
        """The updates of all classifiers."""
        return self.cascades * sum(self.updates(iteration) for iteration in range(self.iterations))

    @property
    def climbs(self) -> int:
        """The most steps of all pseudo-negatives and samples: each classifier's own, and through all of them."""
        made = self.cascades * sum(self.added(iteration) for iteration in range(self.iterations))
        return self.climb_steps * (made + self.cascades * self.samples)

    def sketch(self, batch: int) -> "Settings":
        """Return the same networks' settings with a batch of so many images: one step up one classifier."""
        less = {"positives": batch, "starts": batch, "synthesised": batch, "climb_steps": 1, "cascades": 1, "passes": 1}
        return super().sketch(batch).model_copy(update=less)

    def place(self, t: int) -> tuple[int, int, int]:
        """Return which classifier, iteration and update step t is."""
        cascade, rest = divmod(t, self.length // self.cascades)
        ends = list(accumulate(self.updates(iteration) for iteration in range(self.iterations)))
        iteration = next(i for i, end in enumerate(ends) if rest < end)
        return cascade, iteration, rest - ends[iteration] + self.updates(iteration)

    def added(self, iteration: int) -> int:
        """How many pseudo-negatives an iteration makes."""
        return self.starts if iteration == self.iterations - 1 else self.synthesised

    @model_validator(mode="after")
    def _an_update_has_images(self) -> "Settings":
        if self.positives < self.batch:
            raise ValueError(f"positives {self.positives} are less than a batch of {self.batch}")
        if self.starts < self.synthesised:
            raise ValueError(f"starts {self.starts} are less than the synthesised {self.synthesised} that begin there")
        return self
