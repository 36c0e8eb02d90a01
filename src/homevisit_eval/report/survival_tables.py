"""Tables of the time to a first event: incidence by day (B17) and hazard ratios (B18)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from homevisit_eval.disclosure import (
    SMALLEST_COUNT_SHOWN,
    round_where_few_are_lost,
    suppress_small_counts,
)
from homevisit_eval.errors import EstimationError
from homevisit_eval.report.survival_places import shown_days
from homevisit_eval.report.words import one_question, with_role
from homevisit_eval.table import PERCENT_OF_STUDENTS, Cell, HidingRule, Kind, Table

if TYPE_CHECKING:
    from homevisit_eval.effects.survival import SurvivalEffects

__all__ = ["hazard_ratios", "time_to_event"]

KINDS: Mapping[str, Kind] = {
    "measure": "text",
    "event": "text",
    "unit": "text",
    "day": "number",
    "visited": "mean",
    "comparison": "mean",
    "estimate": "effect",
    "std_error": "spread",
    "ci_low": "effect",
    "ci_high": "effect",
    "p_value": "p_value",
    "n_visited": "count",
    "n_comparison": "count",
}
LABELS: Mapping[str, str] = {
    "measure": "Measure",
    "visited": "Visited",
    "comparison": "Comparison",
    "estimate": "Difference",
    "std_error": "Standard error",
    "ci_low": "from",
    "ci_high": "to",
    "p_value": "p",
}
NUMBERS = ("visited", "comparison", "estimate", "std_error", "ci_low", "ci_high", "p_value")
RATIO = ("hazard_ratio", "ci_low", "ci_high", "log_std_error", "p_value", "log_rank_p_value")


def time_to_event(effects: Sequence[SurvivalEffects], name: str = "B17") -> Table:
    """Return the share of students with a first event by given days, and mean days without it.

    Parameters
    ----------
    effects
        From `estimate_survival`.
    name
        The number of the table in a report.

    Returns
    -------
    Table
        Safe to publish: a day is hidden on which fewer than ten of a group are still followed, or
        since which fewer than ten had the event. Shares are fractions.

    Raises
    ------
    EstimationError
        If there is nothing to show.
    """
    if not effects:
        raise EstimationError("There is no time to an event to show; estimate one.")
    headings = _headings(effects)
    parts = [_lines(one, heading) for one, heading in zip(effects, headings, strict=True)]
    frame = pd.DataFrame([line for lines in parts for line in lines])
    owners = [one for one, lines in zip(effects, parts, strict=True) for _ in lines]
    hidden: dict[Cell, HidingRule] = {}
    first = 0
    for one, lines in zip(effects, parts, strict=True):
        for position, safe in enumerate(_safe_lines(one), start=first):
            if not safe:
                hidden |= dict.fromkeys(
                    ((position, column) for column in NUMBERS), "would reveal a small count"
                )
        first += len(lines)
    table = Table(
        name=name,
        title="Time to the first event",
        population=one_question(effects),
        frame=frame,
        kinds={str(column): KINDS[str(column)] for column in frame},
        labels=dict(LABELS),
        notes=(
            "Days are enrolled days of instruction. Shares are those of weighted Kaplan-Meier "
            "curves; nothing is adjusted by regression. p values are not adjusted for the number "
            "of days.",
            *_notes_of(effects),
        ),
        synthetic=any(one.synthetic for one in effects),
        unit="unit",
        section="event",
        csv_only=("unit", "day", "n_visited", "n_comparison"),
        spanners=((f"{100 * effects[0].confidence_level:g}% interval", ("ci_low", "ci_high")),),
        groups={
            "n_visited": tuple(column for column in NUMBERS if column != "comparison"),
            "n_comparison": tuple(column for column in NUMBERS if column != "visited"),
        },
        hidden=hidden,
    )
    wholes = {
        f"n_{group}": [getattr(one, f"matched_{group}") for one in owners]
        for group in ("visited", "comparison")
    }
    return round_where_few_are_lost(suppress_small_counts(table), wholes)


def hazard_ratios(effects: Sequence[SurvivalEffects], name: str = "B18") -> Table:
    """Return the hazard ratio of visited to comparison students, and the log-rank test.

    Parameters
    ----------
    effects
        From `estimate_survival`.
    name
        The number of the table in a report.

    Returns
    -------
    Table
        Safe to publish: hidden where fewer than ten of a group had the event. Events are rounded
        down to a ten.

    Raises
    ------
    EstimationError
        If there is nothing to show.
    """
    if not effects:
        raise EstimationError("There is no hazard ratio to show; estimate one.")
    frame = pd.DataFrame(
        [_ratio_line(*pair) for pair in zip(effects, _headings(effects), strict=True)]
    )
    kinds: dict[str, Kind] = {"event": "text", "strata": "text"}
    kinds |= dict.fromkeys(("hazard_ratio", "ci_low", "ci_high", "log_std_error"), "number")
    kinds |= dict.fromkeys(("p_value", "log_rank_p_value"), "p_value")
    counts = [f"{what}_{group}" for what in ("events", "n") for group in ("visited", "comparison")]
    kinds |= dict.fromkeys(counts, "count")
    table = suppress_small_counts(
        Table(
            name=name,
            title="Hazard ratios of visited to comparison students",
        population=one_question(effects),
            frame=frame,
            kinds=kinds,
            labels={
                "event": "Event", "hazard_ratio": "Hazard ratio", "ci_low": "from",
                "ci_high": "to", "log_std_error": "Standard error of its logarithm",
                "p_value": "p", "log_rank_p_value": "p of the log-rank test",
                "events_visited": "Visited", "events_comparison": "Comparison",
            },
            notes=(
                "A ratio below 1 means that at any time fewer of the visited have their first "
                "event, of those without one so far. Standard errors and tests are by cluster. "
                "Events are rounded down to a ten.",
                *_notes_of(effects),
            ),
            synthetic=any(one.synthetic for one in effects),
            csv_only=("strata", "n_visited", "n_comparison"),
            spanners=(
                (f"{100 * effects[0].confidence_level:g}% interval", ("ci_low", "ci_high")),
                ("Student-years with the event", ("events_visited", "events_comparison")),
            ),
            groups=dict.fromkeys(counts, RATIO),
        )
    )  # fmt: skip
    rounded = table.frame.copy()
    for column in counts[:2]:
        rounded[column] = rounded[column] // SMALLEST_COUNT_SHOWN * SMALLEST_COUNT_SHOWN
    wholes = {
        f"n_{group}": [getattr(one, f"matched_{group}") for one in effects]
        for group in ("visited", "comparison")
    }
    return round_where_few_are_lost(replace(table, frame=rounded), wholes)


def _headings(effects: Sequence[SurvivalEffects]) -> list[str]:
    """Return the heading of each effect, with its question if there are several."""
    several = len({one.question for one in effects}) > 1
    return [
        f"{one.event}. {with_role(one.question_label, one.role)}" if several else one.event
        for one in effects
    ]


def _lines(one: SurvivalEffects, heading: str) -> list[dict[str, object]]:
    """Return a line for each day, and one for the restricted mean."""
    found = one.curves
    lines: list[dict[str, object]] = [
        _line(
            one, heading, f"Had it by day {found.at[k]:g}", PERCENT_OF_STUDENTS, found.at[k],
            found.incidence_treated[k], found.incidence_comparison[k], found.differences[k],
            found.std_errors[k], *found.intervals[k], found.p_values[k],
        )
        for k in range(len(found.at))
    ]  # fmt: skip
    lines.append(
        _line(
            one, heading, f"Mean days without it, up to day {found.restricted_to:g}", "days",
            found.restricted_to, found.mean_treated, found.mean_comparison,
            found.mean_difference, found.mean_std_error, *found.mean_interval, found.mean_p_value,
        )
    )  # fmt: skip
    return lines


def _line(
    one: SurvivalEffects, heading: str, measure: str, unit: str, day: float, *numbers: float
) -> dict[str, object]:
    return {
        "measure": measure,
        "event": heading,
        "unit": unit,
        "day": float(day),
        **{name: float(number) for name, number in zip(NUMBERS, numbers, strict=True)},
        "n_visited": one.n_visited,
        "n_comparison": one.n_comparison,
    }


def _safe_lines(one: SurvivalEffects) -> list[bool]:
    """Say which lines of an effect give no small count away."""
    found = one.curves
    curves = (found.treated, found.comparison)
    order = np.argsort(found.at, kind="stable")
    shown = np.empty(len(order), dtype=bool)
    shown[order] = shown_days(curves, found.at[order].tolist())
    through = [int(curve.events[curve.times <= found.restricted_to].sum()) for curve in curves]
    mean = not any(0 < count < SMALLEST_COUNT_SHOWN for count in through)
    return [*map(bool, shown), mean]


def _ratio_line(one: SurvivalEffects, heading: str) -> dict[str, object]:
    nan = float("nan")
    fit, test = one.hazard, one.log_rank
    low, high = fit.interval if fit else (nan, nan)
    return {
        "event": heading,
        "hazard_ratio": fit.hazard_ratio if fit else nan,
        "ci_low": low,
        "ci_high": high,
        "log_std_error": fit.std_error if fit else nan,
        "p_value": fit.p_value if fit else nan,
        "log_rank_p_value": test.p_value if test else nan,
        "strata": one.strata,
        "events_visited": one.events_visited,
        "events_comparison": one.events_comparison,
        "n_visited": one.n_visited,
        "n_comparison": one.n_comparison,
    }


def _notes_of(effects: Sequence[SurvivalEffects]) -> list[str]:
    """Return the notes of the effects once each, without those that count clusters."""
    notes = [
        note
        for one in effects
        for note in one.notes
        if one.tells_no_small_count or not note.startswith("Only ")
    ]
    return list(dict.fromkeys(notes))
