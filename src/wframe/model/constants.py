"""The constants of Algorithm 1 (validated in `config/learning.py`)."""

from typing import Any, NamedTuple

from wframe.model.readings import READINGS, Step


class Constants(NamedTuple):
    """The constants of Algorithm 1, and the choices that the paper leaves open."""

    reading: str = "tempered"
    T: int = 100
    L: int = 50
    M: int = 9
    sigma: float = 0.01
    beta: float = 60.0
    delta: float = 0.15
    lambda_: float = 2e-3
    theta: str = "position"
    penalty: str = "mean"
    before: str = "renewed"
    clip: float | None = None
    precision: str = "fp32"

    def named(self) -> dict[str, Any]:
        """Return the constants by their names in a configuration, in which λ is `lambda`."""
        return {"lambda" if name == "lambda_" else name: value for name, value in self._asdict().items()}

    @property
    def unit(self) -> float:
        """Grey levels in one unit of x."""
        return READINGS[self.reading].unit

    @property
    def step(self) -> Step:
        """The coefficients of one Langevin step."""
        return READINGS[self.reading].step(self.delta, self.sigma)
