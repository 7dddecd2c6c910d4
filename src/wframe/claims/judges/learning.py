"""Judges of θ's step: the penalty against the gradient, how steady the step is, and where it comes to rest."""

import numpy as np
import pandas as pd

from wframe.claims.evidence import Evidence, judge
from wframe.claims.judges._common import Models, Pairs, as_ratio, evidence, of_each
from wframe.config.learning import METHODS
from wframe.results.outcomes import TIE, end
from wframe.results.statistics import Estimate
from wframe.results.store import NotAvailable, Store


@judge
def anti_force(store: Store, study: str, datasets: list[str], setting: str | None = None) -> Evidence:
    """The cosine of the angle between 𝒫 and H_obs − H_syn: the median over iterations, then over groups.

    θ moves by H_obs − H_syn − β/2·𝒫, so above 0 the penalty holds against the gradient. Diverged models count as −1.
    """
    models = Models(store, study, datasets, setting, "wframe")
    cosine = models.curves("cosine").iloc[1:]  # at t = 1 θ is 0, and so is 𝒫
    if cosine.empty:
        raise NotAvailable("one iteration is too short: θ is still 0, and so is 𝒫")
    middle = cosine.median().where(~models.diverged, -1.0).fillna(-1.0)
    middle = middle.where(middle.abs() >= TIE, 0.0)
    said = "cosine of 𝒫 and H_obs − H_syn: median over groups"
    estimate, parts = of_each(middle, models.median)
    return evidence(store, study, said, estimate, models, parts=parts)


@judge
def bias(store: Store, study: str, datasets: list[str], setting: str | None = None) -> Evidence:
    """The penalty's pull β/2·‖𝒫‖ at the end, over ‖H_obs − H_syn‖ at the start: what Eq. 18 leaves unlearned at rest.

    Where θ rests, H_obs − H_syn = β/2·𝒫, so the statistics that the model keeps differ from the observed by that. Where
    more is left than the pull, θ doesn't rest yet, and a small pull says nothing of where it will: the interval then
    reaches up to what is left. (A model that learned nothing has θ = 0, and no pull.) Lost models count as the worst.
    """
    models = Models(store, study, datasets, setting, "wframe")
    constants = {
        name: store.edition.constants(study, name, models.setting, "wframe")
        for name in models.R.columns.get_level_values("dataset").unique()
    }
    β = np.array([constants[name].beta for name in models.R.columns.get_level_values("dataset")])
    pull = β / 2 * end(models.curves("penalty")) / models.curves("misfit").iloc[0]
    misfit = models.curves("misfit")
    both = pd.DataFrame({"pull": pull, "left": end(misfit) / misfit.iloc[0]})
    both = both.apply(models.worst_where_lost).fillna(np.inf)

    def of(part: pd.DataFrame) -> Estimate:
        pulls, left = models.median(part["pull"]), models.median(part["left"])

        def interval(level: float) -> tuple[float, float]:
            low, high = pulls.interval(level)
            return low, max(high, left.interval(level)[1])

        return pulls._replace(interval=interval)

    estimate, parts = of_each(both, of)
    notes = (f"misfit that is left, over that at the start: {models.median(both['left']).value:.3g} (median)",)
    said = "β/2·‖𝒫‖ at the end over ‖H_obs − H_syn‖ at the start: median over groups"
    return evidence(store, study, said, estimate, models, *notes, parts=parts)


@judge
def theta_steps(store: Store, study: str, datasets: list[str], setting: str | None = None) -> Evidence:
    """The unrest of θ: the largest ‖Δθ‖ of the second half of learning, wFRAME's over FRAME's. Lost is the worst."""
    pairs = Pairs(store, study, datasets, setting)
    steps = [models.curves("step") for models in (pairs.frame, pairs.wframe)]
    ever = pd.concat([part.where(np.isfinite(part)).max()[pairs.both] for part in steps], axis=1).max(axis=1)
    logs = []
    for models, part in zip((pairs.frame, pairs.wframe), steps, strict=True):
        largest = part.iloc[len(part) // 2 :].max(skipna=False)[pairs.both]
        largest = largest.clip(lower=(TIE * ever).clip(lower=1e-300))  # next to 0, of all steps that there were
        logs.append(models.worst_where_lost(np.log(largest)).fillna(np.inf))
    apart = pairs.difference(*logs)
    estimate, parts = of_each(apart, lambda part: pairs.guarded(pairs.median(part), part.index).map(as_ratio))
    said = f"largest ‖Δθ‖ of the second half, {METHODS['wframe']} over {METHODS['frame']}: median over groups"
    return evidence(store, study, said, estimate, pairs, parts=parts)
