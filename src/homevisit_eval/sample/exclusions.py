"""Which student-years leave the sample before the baseline is looked at, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import narwhals as nw

from homevisit_eval.design import Question, StudyDesign
from homevisit_eval.design.measures import followed_name, measured_name
from homevisit_eval.design.questions import Mode, Program
from homevisit_eval.sample.baseline import baseline_expressions, join_baseline
from homevisit_eval.sample.labels import listed
from homevisit_eval.sample.windows import (
    households_visited,
    visited_school_years,
    visits_before_year,
)

if TYPE_CHECKING:
    from homevisit_eval.panel import Panel
    from homevisit_eval.panel.engine import Frame

__all__ = [
    "Exclusion",
    "contrast_rules",
    "eligibility_rules",
    "program_schools",
    "student_years",
    "with_followed",
]

KEY = ["student_id", "school_year"]
VISIT_FLAGS = (
    "visited",
    "visited_other_mode",
    "visited_other_program",
    "attempted",
    "visited_later",
    "visits",
)
PROGRAM_COLUMNS = {"FEP": "fep", "FEC": "fec", "EC": "early_childhood"}


@dataclass(frozen=True, slots=True, eq=False)
class Exclusion:
    """One rule by which a student-year leaves.

    Parameters
    ----------
    name, label
        As in a `FlowStep`.
    applies
        A condition on the columns of `student_years`, never missing.
    """

    name: str
    label: str
    applies: nw.Expr


def eligibility_rules(design: StudyDesign) -> tuple[Exclusion, ...]:
    """Return the rules that make a student-year eligible, whatever the question asks."""
    days = design.eligibility.min_days_enrolled_prior
    return (
        Exclusion(
            "not_at_time_zero",
            "Not enrolled on the first instructional day",
            nw.col("school_id").is_null(),
        ),
        Exclusion(
            "not_in_baseline_year",
            "Not enrolled in the year before",
            nw.col("enrolled_prior").is_null(),
        ),
        Exclusion(
            "few_days_in_baseline_year",
            f"Enrolled fewer than {days} days in the year before",
            nw.col("days_enrolled_prior").fill_null(0) < days,
        ),
    )


def contrast_rules(question: Question) -> tuple[Exclusion, ...]:
    """Return the rules that a question sets for its two groups, in their order."""
    programs = listed(question.programs, "or")
    neither = nw.col("contrast") == "neither"
    comparison = nw.col("contrast") == "comparison"
    rules = []
    if set(question.modes) != set(get_args(Mode)):
        rules.append(
            Exclusion(
                "other_mode",
                f"Visited before the year under {programs}, but not "
                f"{listed([mode.replace('_', ' ') for mode in question.modes], 'or')}",
                neither & (nw.col("visited_other_mode") == 1),
            )
        )
    if question.against_one:
        rules.append(
            Exclusion("not_visited", "Not visited before the year", neither & (_met() == 0))
        )
    elif question.dose != "any":
        number = {"one": "one completed visit", "two_or_more": "two or more completed visits"}
        rules.append(
            Exclusion(
                "other_dose",
                f"Visited before the year, but not with {number[question.dose]}",
                neither & (nw.col("visited") == 1),
            )
        )
    if set(question.programs) != set(get_args(Program)):
        rules.append(
            Exclusion(
                "other_program",
                f"Visited before the year, but not under {programs}",
                neither,
            )
        )
    if question.pool == "never_visited_that_year":
        rules.append(
            Exclusion(
                "visited_later",
                "Visited later in the year (a pool chosen on the future)",
                comparison & (nw.col("visited_later") == 1),
            )
        )
    visited = "visited twice or more" if question.against_one else "visited"
    rules.append(
        Exclusion(
            "sibling",
            f"Sibling of a student {visited} before the year",
            comparison & (nw.col("household_visited") == 1),
        )
    )
    if question.comparison_schools == "outside_program":
        rules.append(
            Exclusion(
                "program_school",
                f"Not visited, at a school that takes part in {programs}",
                comparison & (nw.col("program_school") == 1),
            )
        )
    return tuple(rules)


def student_years(
    panel: Panel,
    design: StudyDesign,
    question: Question,
    names: Sequence[str],
) -> Frame:
    """Return the student-years of a design's years and grades, each with its group and exclusion.

    Parameters
    ----------
    panel
        Nothing of it is read yet.
    design, question
        What is asked.
    names
        Baseline columns that are wanted.

    Returns
    -------
    Frame
        One row for each such row of the panel: key, grade, school, days, outcomes, baseline
        columns, visit flags, ``visited_prior`` (0/1), ``contrast`` (visited, comparison,
        neither) and ``exclusion``: the name of the first of `eligibility_rules` and
        `contrast_rules` that applies, or empty.
    """
    visits = visits_before_year(panel, question, design.school_years)
    treated = visits.filter(nw.col("visits") >= 2) if question.against_one else visits
    prior_visits = visited_school_years(panel).select(
        "student_id", nw.col("school_year") + 1, nw.lit(1).alias("visited_prior")
    )
    rows = panel.students.filter(
        nw.col("school_year").is_in(list(design.school_years)),
        nw.col("grade").is_in(list(design.grades)),
    ).select(
        *KEY,
        "grade",
        "school_id",
        "first_instructional_day",
        "household_id",
        "days_enrolled",
        *(name for name in question.outcomes if not measured_name(name)[1]),
        *baseline_expressions(names, "current"),
    )
    rows = with_followed(rows, panel, question, design.eligibility.highest_grade_followed)
    return (
        join_baseline(rows, panel, names)
        .join(visits, on=KEY, how="left")
        .join(prior_visits, on=KEY, how="left")
        .join(households_visited(panel, treated), on=["household_id", "school_year"], how="left")
        .join(program_schools(panel, question), on=["school_id", "school_year"], how="left")
        .with_columns(
            *(
                nw.col(name).fill_null(0)
                for name in (*VISIT_FLAGS, "visited_prior", "household_visited")
            ),
            nw.col("program_school").fill_null(1),
        )
        .with_columns(contrast=_contrast(question))
        .with_columns(exclusion=_first((*eligibility_rules(design), *contrast_rules(question))))
    )


def _contrast(question: Question) -> nw.Expr:
    """Return the group of each row by what was completed before the year."""
    visits = nw.col("visits")
    doses = {"any": visits >= 1, "one": visits == 1}
    treated = doses.get(question.dose, visits >= 2)
    compared = visits == 1 if question.against_one else _met() == 0
    rest = nw.when(compared).then(nw.lit("comparison")).otherwise(nw.lit("neither"))
    return nw.when(treated).then(nw.lit("visited")).otherwise(rest)


def _met() -> nw.Expr:
    """Return 1 where any visit was completed before the year, of any program and mode."""
    return nw.max_horizontal("visited", "visited_other_mode", "visited_other_program")


def with_followed(rows: Frame, panel: Panel, question: Question, highest_grade: int) -> Frame:
    """Add the measures of later school years that the question names, and their enrolled days."""
    later: dict[int, list[str]] = {}
    for name in question.outcomes:
        measure, after = measured_name(name)
        if after:
            later.setdefault(after, []).append(measure)
    for after, measures in later.items():
        named = {followed_name(name, after): nw.col(name) for name in ("days_enrolled", *measures)}
        then = panel.students.filter(nw.col("grade") <= highest_grade).select(
            "student_id", nw.col("school_year") - after, **named
        )
        rows = rows.join(then, on=KEY, how="left")
    return rows


def _first(rules: Sequence[Exclusion]) -> nw.Expr:
    """Return the name of the first rule that applies, as nested conditions; empty if none does."""
    reason = nw.lit("")
    for rule in reversed(rules):
        reason = nw.when(rule.applies).then(nw.lit(rule.name)).otherwise(reason)
    return reason


def program_schools(panel: Panel, question: Question) -> Frame:
    """Return school-years with ``program_school``: 1 unless none of the programs is there.

    A school whose part is not known is not known to be outside the programs.
    """
    flags = [
        nw.col(PROGRAM_COLUMNS[name]).cast(nw.Int32).fill_null(1) for name in question.programs
    ]
    return panel.schools.select(
        "school_id", "school_year", nw.max_horizontal(*flags).alias("program_school")
    )
