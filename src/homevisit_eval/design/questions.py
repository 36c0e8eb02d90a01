"""What the study asks: contrasts, outcomes and covariates, decided before the data are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from homevisit_eval.design.checks import Days, Distinct, Name, NotEmpty, Text, check_fields
from homevisit_eval.design.matching_methods import MatchingMethod
from homevisit_eval.design.missing_covariates import MissingCovariates
from homevisit_eval.design.outcome_models import OutcomeModel
from homevisit_eval.errors import DesignError

__all__ = [
    "BASELINE_COLUMNS",
    "OUTCOME_COLUMNS",
    "OUTCOME_SCALES",
    "STRATUM_COLUMNS",
    "ComparisonSchools",
    "Covariate",
    "Mode",
    "Outcome",
    "Pool",
    "Program",
    "Question",
    "Role",
    "Scale",
    "Variation",
]

Role = Literal["primary", "secondary", "exploratory"]
Pool = Literal["not_visited_before_year", "never_visited_that_year"]
ComparisonSchools = Literal["any", "same_school", "outside_program"]
Scale = Literal["continuous", "fraction", "binary", "count"]
Program = Literal["FEP", "FEC", "EC"]
Mode = Literal["in_person", "virtual"]

BINARY_BASELINE_COLUMNS = (
    "any_incident_prior",
    "any_suspension_prior",
    "chronic_absence_prior",
    "female",
    "english_learner_prior",
    "disability_prior",
    "at_risk_prior",
    "homeless_prior",
    "mobile_prior",
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
)

BASELINE_COLUMNS = (
    BINARY_BASELINE_COLUMNS + CATEGORICAL_BASELINE_COLUMNS + CONTINUOUS_BASELINE_COLUMNS
)
"""What a covariate, or the baseline of an outcome, may be called."""

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
}
"""The measures of a student-year that an outcome may name, and the scales of each."""

OUTCOME_COLUMNS = tuple(OUTCOME_SCALES)
"""What an outcome may be called."""

STRATUM_COLUMNS = ("school_year", "grade", "school_id", "visited_prior")
"""Columns, besides covariates, within which students may be matched or compared."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One measured outcome of a student-year.

    Parameters
    ----------
    name
        A column of the panel's student-years; a `StudyDesign` allows `OUTCOME_COLUMNS`.
    label
        As printed in tables, for example "Attendance rate".
    domain
        The family within which p values are adjusted, for example "student behavior".
    scale
        ``"continuous"``, ``"fraction"`` (0 to 1), ``"binary"`` (0/1) or ``"count"``.
    unit
        As printed: ``"percent"`` (fractions and binary outcomes are shown times 100),
        ``"incidents"``, ``"standard deviations"`` and so on.
    beneficial
        Which direction is good for the student: ``"higher"`` or ``"lower"``.
    baseline
        The `_prior` column that measures the same thing before the visit; it need not be a
        covariate.

    Raises
    ------
    DesignError
        If an option is not one of those allowed.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    name: Text
    label: Text
    domain: Text
    scale: Scale
    unit: Text
    beneficial: Literal["higher", "lower"]
    baseline: Text

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class Covariate:
    """One baseline characteristic that matching and the outcome model adjust for.

    Parameters
    ----------
    name
        A baseline column; a `StudyDesign` allows `BASELINE_COLUMNS`.
    label
        As printed in tables.
    squared
        Whether the square enters as well.
    where_measured
        If true, the covariate enters in the grade-years of the district that have it (a
        pretest), and is not missing where the grade-year has none.

    Raises
    ------
    DesignError
        If an option is not one of those allowed.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    name: Text
    label: Text
    squared: bool = False
    where_measured: bool = False

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class Question:
    """One contrast: who is visited, against whom, for which outcomes.

    Parameters
    ----------
    name, label
        The short name used in code and files, and the words used in reports.
    role
        ``"primary"``, ``"secondary"`` or ``"exploratory"``: p values are adjusted within role.
    outcomes
        Names of outcomes of the design.
    window
        ``"before_year"``: the first completed visit falls after the last instructional day of
        the previous school year and before the school's first instructional day.
    programs, modes
        Visits that count.
    pool
        Who may be a comparison student. ``"never_visited_that_year"`` is chosen on the future
        and biased; it is offered to show how much.
    comparison_schools
        ``"any"``, ``"same_school"`` (as the visited student; only with a matching method that
        makes pairs), or ``"outside_program"`` (schools that take part in none of `programs`
        that year).
    matching, model
        If they differ from those of the design.

    Raises
    ------
    DesignError
        If an option is not one of those allowed, or nothing is named where something must be.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    name: Name
    label: Text
    role: Role
    outcomes: Annotated[tuple[str, ...], NotEmpty, Distinct]
    unit: Literal["student"] = "student"
    window: Literal["before_year"] = "before_year"
    programs: Annotated[tuple[Program, ...], NotEmpty, Distinct] = ("FEP", "FEC")
    modes: Annotated[tuple[Mode, ...], NotEmpty, Distinct] = ("in_person", "virtual")
    pool: Pool = "not_visited_before_year"
    comparison_schools: ComparisonSchools = "any"
    matching: Annotated[MatchingMethod, Field(discriminator="method")] | None = None
    model: Annotated[OutcomeModel, Field(discriminator="model")] | None = None

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class Variation:
    """One other way to answer the primary questions, printed beside the main answer.

    Everything that is not given stays as in the question. Its results are labeled as
    sensitivity rows and enter no family of adjusted p values.

    Parameters
    ----------
    name, label
        As for a `Question`.
    pool, comparison_schools, matching, model
        As for a `Question`.
    min_days_enrolled
        As for `Eligibility`.
    missing_covariates
        As for a `StudyDesign`.

    Raises
    ------
    DesignError
        If an option is not one of those allowed, or nothing varies.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    name: Name
    label: Text
    pool: Pool | None = None
    comparison_schools: ComparisonSchools | None = None
    min_days_enrolled: Days | None = None
    missing_covariates: Annotated[MissingCovariates, Field(discriminator="rule")] | None = None
    matching: Annotated[MatchingMethod, Field(discriminator="method")] | None = None
    model: Annotated[OutcomeModel, Field(discriminator="model")] | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        sample = (self.pool, self.comparison_schools, self.min_days_enrolled)
        if {*sample, self.missing_covariates, self.matching, self.model} == {None}:
            raise DesignError(
                "must vary something: give at least one of pool, comparison_schools, "
                "min_days_enrolled, missing_covariates, matching, model, or leave this variation "
                "out."
            )
