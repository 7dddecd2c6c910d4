"""A claim: one number, figure or statement of the paper, and the rule by which it is judged."""

from collections import Counter
from pathlib import Path
from typing import Any, Literal

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
    """The rule that turns a statistic into a verdict: exactly one of four."""

    near: float | None = Field(None, description="the statistic is within `within` of this")
    within: float | None = Field(None, gt=0)
    sign: Literal["negative", "positive"] | None = Field(None, description="the statistic's interval is on this side")
    at_most: float | None = None
    at_least: float | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> "Expects":
        rules = [name for name in ("near", "sign", "at_most", "at_least") if getattr(self, name) is not None]
        if len(rules) != 1:
            raise ValueError(f"expected exactly one of near, sign, at_most, at_least; got {rules or 'none'}")
        if (self.near is None) != (self.within is None):
            raise ValueError("near and within go together")
        return self


class Claim(Model):
    """One number, figure or statement of the paper."""

    id: Name
    where: str = Field(description="where in the paper it stands")
    says: str = Field(description="what it says, in a sentence")
    paper: Stated | None = Field(None, description="its number, if it has one")
    quoted: str | None = Field(None, description="where the paper took the number from; null: it measured it")
    judge: str | None = Field(
        None, description="which statistic: a function in src/wframe/claims/judges; null: no producer here"
    )
    of: dict[str, Any] = Field({}, description="what the judge looks at")
    expects: Expects | None = None
    figure: str | None = Field(None, description="the regenerated figure that shows it")

    @property
    def against_a_number(self) -> bool:
        """Whether it sets a number of ours against one of the paper's; else it's about a direction or a share."""
        return self.paper is not None or any(str(value).startswith("paper:") for value in self.of.values())

    @model_validator(mode="after")
    def _judged_or_quoted(self) -> "Claim":
        if self.judge is None and self.quoted is None:
            raise ValueError(f"{self.id}: neither judged nor quoted: a claim needs a producer")
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
