"""Table of impacts on test scores by grade, in months of learning, and of missing scores (B6)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from homevisit_eval.design import DifferenceInMeans, FixedEffects
from homevisit_eval.design.measures import measured_name
from homevisit_eval.disclosure import is_few, round_where_few_are_lost, suppress_small_counts
from homevisit_eval.effects import estimate_subgroups
from homevisit_eval.effects.learning import (
    HILL_ET_AL_2008,
    ROUGH,
    LearningGains,
    grades_with_scores,
    months_of_learning,
    subject_of,
)
from homevisit_eval.effects.missing_scores import MissingScores, compare_missing
from homevisit_eval.errors import EstimationError
from homevisit_eval.report.follow_up_tables import (
    attrition_to_hide,
    could_be_followed,
    lost_by_group,
)
from homevisit_eval.report.rounded_blocks import tens_where_few_are_lost
from homevisit_eval.report.score_words import score_rules_aloud
from homevisit_eval.report.words import outcome_unit, question_words
from homevisit_eval.sample.labels import grades_text
from homevisit_eval.sample.score_grades import score_notes
from homevisit_eval.table import Cell, HidingRule, Kind, Sum, Table

if TYPE_CHECKING:
    from homevisit_eval.effects import Effect, SubgroupEffect
    from homevisit_eval.matching import MatchedSample

__all__ = ["achievement_by_grade"]

ALL_GRADES = "All grades"
GROUPS = ("visited", "comparison")
NUMBERS = (
    "estimate", "ci_low", "ci_high", "p_value", "months", "months_low", "months_high",
)  # fmt: skip
MISSING = (
    "missing_visited", "missing_comparison", "missing_difference", "missing_low", "missing_high",
)  # fmt: skip
KINDS: Mapping[str, Kind] = {
    "grade": "text",
    "outcome": "text",
    "unit": "text",
    "n_visited": "count",
    "n_comparison": "count",
    "estimate": "effect",
    "ci_low": "effect",
    "ci_high": "effect",
    "p_value": "p_value",
    **dict.fromkeys(("months", "months_low", "months_high"), "number"),
    **dict.fromkeys(MISSING, "rate"),
}
LABELS: Mapping[str, str] = {
    "grade": "Grade",
    "n_visited": "Visited",
    "n_comparison": "Comparison",
    "estimate": "Difference",
    "ci_low": "from",
    "ci_high": "to",
    "p_value": "p",
    "months": "Difference",
    "months_low": "from",
    "months_high": "to",
    "missing_visited": "Visited",
    "missing_comparison": "Comparison",
    "missing_difference": "Visited less comparison",
    "missing_low": "from",
    "missing_high": "to",
}


def achievement_by_grade(
    matched: MatchedSample,
    effects: Sequence[Effect],
    conversion: LearningGains = HILL_ET_AL_2008,
    name: str = "B6",
) -> Table:
    """Return impacts on test scores in all grades and by grade, with missing scores by group.

    Parameters
    ----------
    matched
        The achievement sample.
    effects
        Of its test scores; other outcomes are left out.
    conversion
        Yearly gains by which impacts become months of learning. Where a grade has none, there are
        no months.
    name
        The number of the table in a report.

    Returns
    -------
    Table
        Safe to publish. Effects in standard deviations.

    Raises
    ------
    EstimationError
        If there is no effect on a test score; as `estimate_subgroups`.
    """
    scores = [one for one in effects if subject_of(one.outcome) is not None]
    if not scores:
        raise EstimationError("achievement by grade: there is no effect on a test score to show.")
    rows: list[dict[str, Any]] = []
    wholes: dict[str, list[int]] = {f"n_{group}": [] for group in GROUPS}
    blocks: list[range] = []
    hidden: dict[Cell, HidingRule] = {}
    notes: dict[str, None] = {}
    for effect in scores:
        lost = lost_by_group(effect.outcome.name, matched)
        for column in MISSING if attrition_to_hide(lost) else ():
            hidden[len(rows), column] = "would reveal a small count"
        found, said = _by_grade(matched, effect)
        notes |= dict.fromkeys(said)
        blocks.append(range(len(rows) + 1, len(rows) + 1 + len(found)))
        rows.append(_all_grades(effect, matched, conversion))
        rows += [_grade(effect, one, lost, conversion) for one in found]
        for group in GROUPS:
            _, could, others = lost[group]
            wholes[f"n_{group}"].append(could + others)
            wholes[f"n_{group}"] += [getattr(one, f"matched_{group}") for one in found]
    table = Table(
        name=name,
        title="Impact on test scores by grade",
        frame=pd.DataFrame(rows).astype({f"n_{group}": "Int64" for group in GROUPS}),
        kinds=KINDS,
        labels=LABELS,
        notes=(*_rules(matched, conversion), *notes),
        synthetic=matched.sample.synthetic,
        population=question_words(matched.sample.question),
        unit="unit",
        digits=dict.fromkeys(("months", "months_low", "months_high"), 1),
        section="outcome",
        csv_only=("unit",),
        spanners=(
            ("Student-years", ("n_visited", "n_comparison")),
            (f"{100 * scores[0].confidence_level:g}% interval", ("ci_low", "ci_high")),
            ("In months of learning", ("months", "months_low", "months_high")),
            ("Without a score", MISSING),
        ),
        groups={"n_visited": NUMBERS, "n_comparison": NUMBERS},
        sums=tuple(
            Sum(tuple((row, f"n_{group}") for row in block), (block.start - 1, f"n_{group}"))
            for block in blocks
            for group in GROUPS
            if len(block)
        ),
        hidden=hidden,
    )
    safe = tens_where_few_are_lost(suppress_small_counts(table), wholes, blocks)
    totals = {
        column: [0 if any(row in block for block in blocks) else count for row, count in here]
        for column, here in ((column, list(enumerate(of))) for column, of in wholes.items())
    }
    return round_where_few_are_lost(safe, totals)


def _by_grade(matched: MatchedSample, effect: Effect) -> tuple[list[SubgroupEffect], list[str]]:
    """Return the effects of the grades that are tested, and what is to be said of them."""
    name, label = effect.outcome.name, effect.outcome.label
    could = could_be_followed(name, matched)
    grades = matched.sample.baseline["grade"]
    measured = set(grades[could])
    others = sorted(set(grades[(matched.matches.weights > 0).to_numpy()]) - measured)
    notes = []
    if others:
        notes.append(
            f"{label}: {grades_text(others)}: not tested, only a few are, or left out; "
            "without a row."
        )
    model = effect.model
    if not isinstance(model, FixedEffects | DifferenceInMeans) or "+" in model.cluster:
        model = FixedEffects()
    try:
        found = estimate_subgroups(matched, name, "grade", model)
    except EstimationError as error:
        return [], [*notes, f"No effects by grade: {error}"]
    if found.test is not None:
        of = f" and {found.test.df_denominator:.1f}" if found.tells_no_small_count else ""
        notes.append(
            f"{label}: test of equal effects in all grades F = {found.test.statistic:.2f} on "
            f"{found.test.df_numerator}{of} df, p = {found.test.p_value:.3f}."
        )
    return [one for one in found.subgroups if int(one.subgroup) in measured], notes


def _all_grades(
    effect: Effect, matched: MatchedSample, conversion: LearningGains
) -> dict[str, Any]:
    """Return the row of the main estimate, with what is missing."""
    grades = grades_with_scores(matched, effect.outcome.name)
    missing = _missing(matched, effect.outcome.name)
    return {
        "grade": ALL_GRADES,
        "outcome": effect.outcome.label,
        "unit": outcome_unit(effect.outcome),
        "n_visited": effect.n_visited,
        "n_comparison": effect.n_comparison,
        "estimate": effect.estimate,
        "ci_low": effect.ci_low,
        "ci_high": effect.ci_high,
        "p_value": effect.p_value,
        **_months(effect, grades, conversion),
        "missing_visited": missing.share_visited if missing else math.nan,
        "missing_comparison": missing.share_comparison if missing else math.nan,
        "missing_difference": missing.difference if missing else math.nan,
        "missing_low": missing.ci_low if missing else math.nan,
        "missing_high": missing.ci_high if missing else math.nan,
    }


def _missing(matched: MatchedSample, outcome: str) -> MissingScores | None:
    """Return what is missing where the score is measured; None if it cannot be compared."""
    try:
        return compare_missing(matched, outcome, could_be_followed(outcome, matched))
    except EstimationError:
        return None


def _grade(
    effect: Effect,
    one: SubgroupEffect,
    lost: Mapping[str, tuple[int, int, int]],
    conversion: LearningGains,
) -> dict[str, Any]:
    """Return the row of one grade: its effect from the regression of all grades together.

    Where a few were tested in grades without a row, counts are rounded down to a ten, or the sum
    over all grades would tell these few.
    """
    counts = {}
    for group in GROUPS:
        count = getattr(one, f"n_{group}")
        rounded = count - count % 10 if count >= 10 and is_few(lost[group][2]) else count
        counts[f"n_{group}"] = rounded
    own = replace(effect, estimate=one.estimate, ci_low=one.ci_low, ci_high=one.ci_high)
    after = measured_name(effect.outcome.name)[1]
    grade = int(one.subgroup)
    return {
        "grade": grades_text([grade]).capitalize(),
        "outcome": effect.outcome.label,
        "unit": outcome_unit(effect.outcome),
        **counts,
        **{column: getattr(one, column) for column in NUMBERS[:4]},
        **_months(own, {grade + after: 1.0}, conversion),
        **dict.fromkeys(MISSING, math.nan),
    }


def _months(
    effect: Effect, grades: Mapping[int, float], conversion: LearningGains
) -> dict[str, float]:
    """Return months of learning with their interval; missing where a grade has no gain."""
    try:
        found = months_of_learning(effect, grades, conversion)
    except EstimationError:
        return dict.fromkeys(NUMBERS[4:], math.nan)
    return {"months": found.months, "months_low": found.ci_low, "months_high": found.ci_high}


def _rules(matched: MatchedSample, conversion: LearningGains) -> tuple[str, ...]:
    """Return what is said of grades without a pretest and of months, once."""
    sample = matched.sample
    return (
        *score_rules_aloud(sample.design.achievement),
        *score_notes(sample.design, sample.score_grades),
        "A student-year without a score in the outcome year is not in the impact; the "
        "columns “Without a score” compare how many these are, in grades and years in which "
        "matched students are tested, with an interval by school.",
        "Effects of grades are from one regression of all grades, with a coefficient of visited "
        "in each; p values are not adjusted for their number.",
        f"{ROUGH} Source: {conversion.source}; a school year of {conversion.months:g} months."
        + (f" {conversion.caution}" if conversion.caution else ""),
    )
