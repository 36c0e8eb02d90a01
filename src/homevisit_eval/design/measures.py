"""What is measured of a student-year or a teacher-year: the names that a design may use."""

from __future__ import annotations

from typing import Literal, get_args

__all__ = [
    "BASELINE_COLUMNS",
    "BINARY_BASELINE_COLUMNS",
    "CATEGORICAL_BASELINE_COLUMNS",
    "CONTINUOUS_BASELINE_COLUMNS",
    "COUNTED_BY_DAY",
    "COUNT_BASELINE_COLUMNS",
    "LONGEST_FOLLOW_UP",
    "OUTCOME_COLUMNS",
    "OUTCOME_SCALES",
    "STRATUM_COLUMNS",
    "SUBGROUPS",
    "SURVEY_OUTCOMES",
    "TEACHER_BASELINE_COLUMNS",
    "TEACHER_OUTCOMES",
    "TEST_SCORES",
    "TO_DATE_COLUMNS",
    "YEAR_END",
    "Scale",
    "Subgroup",
    "followed_name",
    "measured_name",
]

Scale = Literal["continuous", "fraction", "binary", "count"]
Subgroup = Literal[
    "grade",
    "female",
    "race_ethnicity",
    "english_learner_prior",
    "disability_prior",
    "at_risk_prior",
    "economically_disadvantaged_prior",
    "attendance_rate_prior",
    "any_incident_prior",
    "school_at_risk_prior",
]

BINARY_BASELINE_COLUMNS = (
    "any_incident_prior",
    "any_suspension_prior",
    "chronic_absence_prior",
    "female",
    "english_learner_prior",
    "disability_prior",
    "at_risk_prior",
    "economically_disadvantaged_prior",
    "homeless_prior",
    "mobile_prior",
    "any_incident_to_date",
)
CATEGORICAL_BASELINE_COLUMNS = ("race_ethnicity",)
CONTINUOUS_BASELINE_COLUMNS = (
    "attendance_rate_prior",
    "days_unexcused_prior",
    "days_tardy_prior",
    "incidents_prior",
    "math_score_std_prior",
    "reading_score_std_prior",
    "age_for_grade",
    "school_attendance_prior",
    "school_incident_rate_prior",
    "school_at_risk_prior",
    "attendance_rate_to_date",
    "days_unexcused_to_date",
    "days_tardy_to_date",
    "incidents_to_date",
)
COUNT_BASELINE_COLUMNS = tuple(
    name for name in CONTINUOUS_BASELINE_COLUMNS if name.startswith(("days_", "incidents_"))
)
"""Days and incidents: their mean times the students is the number of what was counted."""
TEACHER_BASELINE_COLUMNS = ("experience_years",)

BASELINE_COLUMNS = (
    BINARY_BASELINE_COLUMNS
    + CATEGORICAL_BASELINE_COLUMNS
    + CONTINUOUS_BASELINE_COLUMNS
    + TEACHER_BASELINE_COLUMNS
)
"""What a covariate, or the baseline of an outcome, may be called."""

TO_DATE_COLUMNS = tuple(name for name in BASELINE_COLUMNS if name.endswith("_to_date"))
"""What happened in the school year through the day before a visit during it."""

SUBGROUPS: tuple[str, ...] = get_args(Subgroup)
"""By what a question may ask for effects in subgroups."""

OUTCOME_SCALES: dict[str, tuple[Scale, ...]] = {
    "attendance_rate": ("fraction",),
    "on_time_attendance_rate": ("fraction",),
    "chronic_absence": ("binary",),
    "chronic_truancy": ("binary",),
    "any_incident": ("binary",),
    "any_serious_incident": ("binary",),
    "any_suspension": ("binary",),
    "incidents": ("count",),
    "days_absent": ("count", "continuous"),
    "days_excused": ("count", "continuous"),
    "days_unexcused": ("count", "continuous"),
    "days_unexcused_full": ("count",),
    "days_tardy": ("count",),
    "days_suspended": ("count", "continuous"),
    "math_score_std": ("continuous",),
    "reading_score_std": ("continuous",),
    "engagement_at_school": ("continuous",),
    "involvement_at_home": ("continuous",),
    "retained_in_school": ("binary",),
    "retained_in_district": ("binary",),
}
"""The measures of a student-year or teacher-year that an outcome may name, and their scales."""

TEACHER_OUTCOMES = ("retained_in_school", "retained_in_district")
"""The measures of a teacher-year."""

SURVEY_OUTCOMES = ("engagement_at_school", "involvement_at_home")
"""The scales of the family survey, which not everybody answers."""

TEST_SCORES = ("math_score_std", "reading_score_std")
"""The measures that are test scores, which not every grade takes."""

LONGEST_FOLLOW_UP = 3
FOLLOW_UP = "_after_"
"""Stands between a measure and the number of years after the visit's in which it is taken."""


def followed_name(measure: str, years_after: int) -> str:
    """Return the name of a measure some years after the school year of the visit."""
    return f"{measure}{FOLLOW_UP}{years_after}" if years_after else measure


def measured_name(outcome: str) -> tuple[str, int]:
    """Return the measure that an outcome names, and how many years after the visit's it is taken.

    >>> measured_name("attendance_rate_after_2")
    ('attendance_rate', 2)
    """
    measure, after, years = outcome.rpartition(FOLLOW_UP)
    followed = after and years in map(str, range(1, LONGEST_FOLLOW_UP + 1))
    return (measure, int(years)) if followed else (outcome, 0)


COUNTED_BY_DAY = (
    "attendance_rate",
    "on_time_attendance_rate",
    "any_incident",
    "any_serious_incident",
    "any_suspension",
    "incidents",
    "days_absent",
    "days_excused",
    "days_unexcused",
    "days_tardy",
    "days_suspended",
)
"""The outcomes that can be counted from any day of the school year on."""

YEAR_END = (*TEST_SCORES, *SURVEY_OUTCOMES)
"""The outcomes that are measured once, towards the end of a school year."""

OUTCOME_COLUMNS = tuple(OUTCOME_SCALES)
"""What an outcome may be called."""

STRATUM_COLUMNS = ("school_year", "grade", "school_id", "visited_prior")
"""Columns, besides covariates, within which students may be matched or compared."""
