"""Tables of family engagement (B9): the effects with who responded, and the survey's scales."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from homevisit_eval.design import Outcome
from homevisit_eval.design.school_years import school_year_text
from homevisit_eval.disclosure import (
    SMALLEST_COUNT_SHOWN,
    round_where_few_are_lost,
    suppress_small_counts,
)
from homevisit_eval.effects.response_weights import WEIGHTED_FOR_RESPONSE, ResponseRate
from homevisit_eval.errors import EstimationError
from homevisit_eval.report.effect_notes import with_effect_notes
from homevisit_eval.report.words import outcome_unit, with_role
from homevisit_eval.table import Kind, Table

if TYPE_CHECKING:
    from homevisit_eval.effects import Effect

__all__ = ["NOT_ASSESSABLE", "family_engagement", "survey_scales"]

NOT_ASSESSABLE = "not assessable"
NO_BASELINE = (
    "There was no survey before the visits, so baseline equivalence on family engagement is "
    f"{NOT_ASSESSABLE}: the groups may have differed before. Exploratory: it can suggest, not "
    "confirm."
)
WHO_RESPONDED = (
    "Responded: share with a score of the matched student-years in grades and school years in "
    "which anyone was surveyed, by the weights of matching. A share is not shown where fewer than "
    "10 students could be told from it."
)
AS_ANSWERED = "Those who responded"
FOR_RESPONSE = "Weighted for response"

EFFECT_COLUMNS = (
    "estimate", "std_error", "ci_low", "ci_high", "p_value", "p_value_adjusted", "effect_size",
)  # fmt: skip
KINDS: Mapping[str, Kind] = {
    "analysis": "text",
    "outcome": "text",
    "question": "text",
    "unit": "text",
    "estimand": "text",
    "estimate": "effect",
    "std_error": "spread",
    "ci_low": "effect",
    "ci_high": "effect",
    "p_value": "p_value",
    "p_value_adjusted": "p_value",
    "effect_size": "effect_size",
    "n_visited": "count",
    "n_comparison": "count",
    "rate_visited": "rate",
    "rate_comparison": "rate",
    "rate_difference": "rate",
    "equivalence": "text",
}
LABELS: Mapping[str, str] = {
    "analysis": "Analysis",
    "estimate": "Difference",
    "std_error": "Standard error",
    "ci_low": "from",
    "ci_high": "to",
    "p_value": "p",
    "p_value_adjusted": "p, adjusted",
    "effect_size": "Effect size",
    "n_visited": "Visited",
    "n_comparison": "Comparison",
    "rate_visited": "Visited",
    "rate_comparison": "Comparison",
    "rate_difference": "Visited less comparison",
    "equivalence": "Baseline equivalence",
}

SCALE_KINDS: Mapping[str, Kind] = {
    "school_year": "text",
    "scale": "text",
    "items": "whole_number",
    "respondents": "count",
    "mean": "number",
    "standard_deviation": "spread",
    "complete": "count",
    "cronbach_alpha": "number",
}
SCALE_LABELS: Mapping[str, str] = {
    "school_year": "School year",
    "items": "Items",
    "respondents": "Respondents with a score",
    "mean": "Mean (1 to 5)",
    "standard_deviation": "SD",
    "complete": "Complete respondents",
    "cronbach_alpha": "Cronbach's alpha",
}


def family_engagement(
    effects: Sequence[Effect],
    rates: Sequence[ResponseRate],
    *,
    weighting_notes: Sequence[str] = (),
    name: str = "B9",
) -> Table:
    """Return effects on the scales of the family survey, with and without response weights.

    Parameters
    ----------
    effects
        Of outcomes of one question; those of `weight_for_response` are told by their estimand.
    rates
        From `response_rates`, one for each outcome of `effects`.
    weighting_notes
        What the samples weighted for response say of their weights.
    name
        The number of the table in a report.

    Returns
    -------
    Table
        Safe to publish.

    Raises
    ------
    EstimationError
        If there is no effect, or one without its response rate.
    """
    if not effects:
        raise EstimationError("family engagement: there is no effect to show; estimate one.")
    by_name = {rate.outcome.name: rate for rate in rates}
    if lacking := [one.outcome.name for one in effects if one.outcome.name not in by_name]:
        raise EstimationError(
            f"family engagement: {lacking[0]} has no response rate; give that of every outcome, "
            "from response_rates."
        )
    names = list(dict.fromkeys(effect.outcome.name for effect in effects))
    lines = sorted(effects, key=lambda one: (names.index(one.outcome.name), _is_weighted(one)))
    answered = [by_name[effect.outcome.name] for effect in lines]
    no_baseline = any(effect.outcome.baseline is None for effect in lines)
    table = Table(
        name=name,
        title="Family engagement, as answered in the survey",
        frame=pd.DataFrame(
            [_line(effect, rate) for effect, rate in zip(lines, answered, strict=True)],
            columns=list(KINDS),
        ),
        kinds=KINDS,
        labels=LABELS,
        notes=(*((NO_BASELINE,) if no_baseline else ()), WHO_RESPONDED, *weighting_notes),
        synthetic=any(effect.synthetic for effect in lines),
        population=with_role(lines[0].question_label, lines[0].role),
        unit="unit",
        section="outcome",
        csv_only=("question", "unit", "estimand"),
        spanners=(
            (f"{100 * lines[0].confidence_level:g}% interval", ("ci_low", "ci_high")),
            ("Student-years", ("n_visited", "n_comparison")),
            ("Responded", ("rate_visited", "rate_comparison", "rate_difference")),
        ),
        groups={
            "n_visited": (*EFFECT_COLUMNS, "rate_visited", "rate_difference"),
            "n_comparison": (*EFFECT_COLUMNS, "rate_comparison", "rate_difference"),
        },
        hidden={
            (row, column): "would reveal a small count"
            for row, (effect, rate) in enumerate(zip(lines, answered, strict=True))
            for column in _rates_to_hide(effect, rate)
        },
    )
    wholes = {
        f"n_{group}": [
            _whole(effect, rate, group) for effect, rate in zip(lines, answered, strict=True)
        ]
        for group in ("visited", "comparison")
    }
    return with_effect_notes(round_where_few_are_lost(suppress_small_counts(table), wholes), lines)


def survey_scales(
    reliability: pd.DataFrame,
    outcomes: Sequence[Outcome],
    *,
    synthetic: bool,
    name: str = "B9_scales",
) -> Table:
    """Return the scales of the family survey by school year, with Cronbach's alpha.

    Parameters
    ----------
    reliability
        From `scale_reliability`.
    outcomes
        Those of the design, whose labels the scales take.
    synthetic
        Whether the data are.
    name
        The number of the table in a report.

    Returns
    -------
    Table
        Safe to publish.

    Raises
    ------
    EstimationError
        If there is no scale to show.
    """
    if not len(reliability):
        raise EstimationError("survey scales: there is no answer, so no scale to show.")
    labels = {outcome.name: outcome.label for outcome in outcomes}
    frame = pd.DataFrame(
        {
            "school_year": [school_year_text(int(year)) for year in reliability["school_year"]],
            "scale": [labels.get(str(scale), str(scale)) for scale in reliability["scale"]],
            **{column: reliability[column].to_numpy() for column in list(SCALE_KINDS)[2:]},
        }
    )
    table = Table(
        name=name,
        title="Scales of the family survey",
        frame=frame,
        kinds=SCALE_KINDS,
        labels=SCALE_LABELS,
        notes=(
            "A score is the mean of the items answered, where at least half are. All respondents "
            "count, also those who cannot be linked to a student. Alpha is that of respondents who "
            "answered every item; .70 or more is usually asked of a scale that compares groups.",
        ),
        synthetic=synthetic,
        section="scale",
        groups={"respondents": ("mean", "standard_deviation"), "complete": ("cronbach_alpha",)},
    )
    wholes = {"complete": reliability["respondents"].tolist()}
    return round_where_few_are_lost(suppress_small_counts(table), wholes)


def _is_weighted(effect: Effect) -> bool:
    return WEIGHTED_FOR_RESPONSE in effect.estimand.restriction


def _line(effect: Effect, rate: ResponseRate) -> dict[str, object]:
    """Return the cells of one row."""
    made: dict[str, object] = {
        "analysis": FOR_RESPONSE if _is_weighted(effect) else AS_ANSWERED,
        "outcome": effect.outcome.label,
        "question": effect.question_label,
        "unit": outcome_unit(effect.outcome),
        "estimand": str(effect.estimand),
        "rate_visited": rate.rate_visited,
        "rate_comparison": rate.rate_comparison,
        "rate_difference": rate.difference,
        "equivalence": NOT_ASSESSABLE if effect.outcome.baseline is None else "see A8",
    }
    return {column: made.get(column, getattr(effect, column, None)) for column in KINDS}


def _rates_to_hide(effect: Effect, rate: ResponseRate) -> list[str]:
    """Return the shares from which a count of few students would follow."""
    hide = []
    for group in ("visited", "comparison"):
        asked, answered = getattr(rate, f"asked_{group}"), getattr(rate, f"answered_{group}")
        not_asked = getattr(effect, f"matched_{group}") - asked
        if any(_few(count) for count in (answered, asked - answered, not_asked)):
            hide.append(f"rate_{group}")
    return [*hide, "rate_difference"] if hide else []


def _whole(effect: Effect, rate: ResponseRate, group: str) -> int:
    """Return the total of which few could be told to lack a score: all matched, or all asked."""
    matched: int = getattr(effect, f"matched_{group}")
    asked: int = getattr(rate, f"asked_{group}")
    return matched if _few(matched - getattr(rate, f"answered_{group}")) else asked


def _few(count: float) -> bool:
    return math.isfinite(count) and 0 < count < SMALLEST_COUNT_SHOWN
