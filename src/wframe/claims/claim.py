"""A claim: one number, figure or statement of the paper, and the rule by which it is judged."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from wframe.claims.evidence import JUDGES, wrong_parameters
from wframe.claims.judges import load_judges
from wframe.config.base import Model, Name, explain
from wframe.errors import UserError
from wframe.files import read_yaml


class Stated(Model):
    """A number as the paper states it."""

    value: float
    plus_minus: float | None = None
    meaning: str = Field("", description="what the ± is")


class Expects(Model):
    """The rule that turns a statistic into a verdict: where its interval has to lie. Exactly one."""

    near: float | None = Field(None, description="within `within` of this")
    within: float | None = Field(None, gt=0)
    below: float | None = Field(None, description="below this, and not at it")
    above: float | None = Field(None, description="above this, and not at it")
    at_most: float | None = None
    at_least: float | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> "Expects":
        names = ("near", "below", "above", "at_most", "at_least")
        rules = [name for name in names if getattr(self, name) is not None]
        if len(rules) != 1:
            raise ValueError(f"expected exactly one of {', '.join(names)}; got {rules or 'none'}")
        if (self.near is None) != (self.within is None):
            raise ValueError("near and within go together")
        return self

    @property
    def region(self) -> tuple[float, float]:
        """The ends of where the interval has to lie."""
        if self.near is not None and self.within is not None:
            return self.near - self.within, self.near + self.within
        highest = self.below if self.at_most is None else self.at_most
        lowest = self.above if self.at_least is None else self.at_least
        return (-math.inf if lowest is None else lowest), (math.inf if highest is None else highest)

    @property
    def strict(self) -> bool:
        """Whether the ends don't belong to it."""
        return self.below is not None or self.above is not None

    @property
    def words(self) -> str:
        """The rule in words."""
        if self.near is not None:
            return f"within {self.within:g} of {self.near:g}"
        name = next(name for name in ("below", "above", "at_most", "at_least") if getattr(self, name) is not None)
        return f"{name.replace('_', ' ')} {getattr(self, name):g}".replace("-", "−")


class Claim(Model):
    """One number, figure or statement of the paper."""

    id: Name
    where: str = Field(description="where in the paper it stands")
    says: str = Field(description="what it says, in a sentence")
    paper: Stated | None = Field(None, description="its number, if it has one")
    quoted: str | None = Field(None, description="where the paper took the number from; null: it measured it")
    unjudged: str | None = Field(None, description="why nothing here can judge it")
    judge: str | None = Field(
        None, description="which statistic: a function in src/wframe/claims/judges; null: no producer here"
    )
    of: dict[str, Any] = Field({}, description="what the judge looks at")
    expects: Expects | None = None
    figure: str | None = Field(None, description="the figure that shows it")
    note: str | None = Field(None, description="what a reader should know, in a sentence")
    post_hoc: bool = Field(False, description="written after its result had been seen: other data has to confirm it")
    always: bool = Field(False, description="doesn't depend on the edition (theory): judged in every one")

    @property
    def against_a_number(self) -> bool:
        """Whether it sets a number of ours against one of the paper's; else it's about a direction or a share."""
        return self.paper is not None or any(str(value).startswith("paper:") for value in self.of.values())

    @model_validator(mode="after")
    def _judged_or_said_why_not(self) -> "Claim":
        if self.judge is None and self.quoted is None and self.unjudged is None:
            raise ValueError(f"{self.id}: neither judged nor quoted, nor `unjudged` with the reason: which is it?")
        if self.judge is not None and self.unjudged is not None:
            raise ValueError(f"{self.id}: judge and unjudged exclude each other")
        if (self.judge is None) != (self.expects is None):
            raise ValueError(f"{self.id}: judge and expects go together")
        load_judges()
        if self.judge is not None and self.judge not in JUDGES:
            raise ValueError(f"{self.id}: there is no judge {self.judge!r} (known: {', '.join(JUDGES)})")
        if self.judge is not None and (wrong := wrong_parameters(self.judge, self.of)):
            raise ValueError(f"{self.id}: of: {wrong}")
        return self


def load_claims(path: Path) -> list[Claim]:
    """Read and check the claims.

    Raises:
        UserError: unknown keys, a claim without a producer, a producer without a claim, the same id twice.
    """
    try:
        claims = [Claim.model_validate(entry) for entry in read_yaml(path)]
    except ValidationError as error:
        raise UserError(explain(error, str(path))) from None
    twice = [name for name, n in Counter(claim.id for claim in claims).items() if n > 1]
    if twice:
        raise UserError(f"{path}: the same id is used twice: {', '.join(twice)}")
    idle = set(JUDGES) - {claim.judge for claim in claims}
    if idle:
        raise UserError(f"{path}: no claim uses the judge {', '.join(sorted(idle))}: add a claim or remove the judge")
    return claims
