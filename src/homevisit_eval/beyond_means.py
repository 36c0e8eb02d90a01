"""More than the mean of an outcome: bands, quantiles, and time to the first incident."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from homevisit_eval.design import DifferenceInMeans, FixedEffects
from homevisit_eval.effects.distribution import BandEffects, estimate_bands
from homevisit_eval.effects.quantile_effects import QuantileEffects, estimate_quantile_effects
from homevisit_eval.effects.survival import SurvivalEffects, estimate_survival
from homevisit_eval.errors import EstimationError, SourceError
from homevisit_eval.sample.incident_times import incident_times

if TYPE_CHECKING:
    from homevisit_eval.matching import MatchedSample
    from homevisit_eval.panel import Panel

__all__ = ["Distribution", "estimate_distribution"]

SEED = 1  # of the schools redrawn for intervals of quantile effects


@dataclass(frozen=True, slots=True)
class Distribution:
    """More than means: shares of students by band, quantiles, and time to the first incident."""

    bands: tuple[BandEffects, ...]
    quantiles: tuple[QuantileEffects, ...]
    survival: tuple[SurvivalEffects, ...]


def estimate_distribution(
    panel: Panel, matched: Sequence[MatchedSample], skipped: list[str]
) -> Distribution | None:
    """Look at whole distributions of a question's outcomes; None where that has no sense.

    Only of one matched sample with a linear model, and outcomes that are not weighted for later
    visits.

    Parameters
    ----------
    panel
        With its history, for the time to the first incident.
    matched
        The question's matched samples.
    skipped
        Sentences about what cannot be looked at are added to it.
    """
    one, question = matched[0], matched[0].sample.question
    linear = isinstance(question.model or one.sample.design.model, FixedEffects | DifferenceInMeans)
    if len(matched) > 1 or not linear:
        return None
    if question.later_visits == "none":
        return None
    bands: list[BandEffects] = []
    quantiles: list[QuantileEffects] = []
    survival: list[SurvivalEffects] = []
    for name in question.outcomes:
        try:
            if name == "attendance_rate":
                bands.append(estimate_bands(one, name))
                quantiles.append(estimate_quantile_effects(one, name, seed=SEED))
            if name == "any_incident" and panel.has_history:
                survival.append(estimate_survival(one, incident_times(panel, one.sample)))
        except (SourceError, EstimationError) as error:
            skipped.append(f"{one.sample.design.outcome(name).label}, whole distribution: {error}")
    return Distribution(tuple(bands), tuple(quantiles), tuple(survival))
