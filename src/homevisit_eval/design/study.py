"""The design of a study: every choice that the published study leaves open, as a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field

from homevisit_eval.design.checks import (
    Days,
    Distinct,
    NotEmpty,
    SchoolYear,
    Text,
    allowed,
    between,
    check_fields,
    raise_faults,
)
from homevisit_eval.design.consistency import as_tables, inconsistencies
from homevisit_eval.design.matching_methods import MatchingMethod, NearestNeighbor
from homevisit_eval.design.missing_covariates import CompleteCases, MissingCovariates
from homevisit_eval.design.outcome_models import FixedEffects, OutcomeModel
from homevisit_eval.design.questions import Covariate, Outcome, Question, Variation
from homevisit_eval.errors import DesignError

__all__ = ["Behavior", "Eligibility", "IncidentRole", "Measurement", "PartialDay", "StudyDesign"]

PartialDay = Literal["fraction", "absent_if_over"]
IncidentRole = Literal["perpetrator", "victim", "witness"]
Behavior = Literal[
    "disruption",
    "disrespect",
    "fighting",
    "theft",
    "vandalism",
    "bullying",
    "truancy",
    "assault",
    "weapon",
    "drugs",
    "arson",
    "sexual_misconduct",
    "other",
]

SEVERE_BEHAVIORS: tuple[Behavior, ...] = (
    "assault",
    "weapon",
    "drugs",
    "arson",
    "sexual_misconduct",
)
Fraction = Annotated[float, between(0, 1)]


def _years_are_distinct(
    rules: tuple[tuple[int, PartialDay], ...],
) -> tuple[tuple[int, PartialDay], ...]:
    years = [year for year, _ in rules]
    twice = sorted({year for year in years if years.count(year) > 1})
    if twice:
        raise DesignError(f"holds {', '.join(map(str, twice))} more than once; keep one rule.")
    return rules


@dataclass(frozen=True, slots=True)
class Measurement:
    """The rules that turn dated records into measures of a school year.

    Parameters
    ----------
    partial_day
        ``"fraction"``: a partial day counts as the fraction missed. ``"absent_if_over"``: a
        day of which more than `partial_day_threshold` was missed counts as a whole day
        absent, any other as none.
    partial_day_by_year
        Exceptions to `partial_day`, as pairs (school year, rule).
    partial_day_threshold
        A fraction of the day, 0 to 1.
    chronic_absence_threshold
        A fraction of enrolled days, 0 to 1.
    chronic_absence_inclusive
        If true, exactly the threshold is chronic (the CEDS standard); if false only more
        than it (DC law).
    chronic_truancy_days
        Unexcused full days from which a student is a chronic truant.
    incident_roles
        Roles in an incident that count as taking part.
    serious_behaviors
        Behaviors that make an incident serious, besides any out-of-school suspension.

    Raises
    ------
    DesignError
        If an option is not one of those allowed.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    partial_day: PartialDay = "fraction"
    partial_day_by_year: Annotated[
        tuple[tuple[SchoolYear, PartialDay], ...], AfterValidator(_years_are_distinct)
    ] = ()
    partial_day_threshold: Fraction = 0.20
    chronic_absence_threshold: Fraction = 0.10
    chronic_absence_inclusive: bool = False
    chronic_truancy_days: Days = 10
    incident_roles: Annotated[tuple[IncidentRole, ...], NotEmpty, Distinct] = ("perpetrator",)
    serious_behaviors: Annotated[tuple[Behavior, ...], Distinct] = SEVERE_BEHAVIORS

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Who may be a visited or a comparison student.

    Parameters
    ----------
    min_days_enrolled_prior
        Enrolled days that a student needs in the baseline year.
    min_days_enrolled
        Enrolled days in the outcome year from which attendance and discipline (every scale but
        "continuous") count as observed. A test score counts wherever there is one.

    Raises
    ------
    DesignError
        If a number of days is not between 1 and 366.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    min_days_enrolled_prior: Days = 20
    min_days_enrolled: Days = 20

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class StudyDesign:
    """Everything that was decided about a study before its data were read.

    Parameters
    ----------
    title
        As printed on the report.
    school_years
        Outcome years, named by their spring: 2015 is 2014-15.
    grades
        Grades of the outcome years; kindergarten is 0, pre-kindergarten -1.
    covariates
        What matching and the outcome model adjust for, in the order of the tables.
    outcomes, questions
        What is measured, and what is asked. Names must be unique, and questions may use only
        outcomes that stand in `outcomes`.
    eligibility, measurement
        Who may be in the sample, and the rules of measurement.
    missing_covariates
        What becomes of student-years that lack a covariate of their grade.
    matching, model
        The method and the outcome model of every question that names no other.
    sensitivity
        Other ways to answer the primary questions.
    confidence_level
        Of every interval, 0.5 to 0.999.

    Raises
    ------
    DesignError
        If an option is outside its range, a name stands twice or is unknown, or parts of the
        design contradict each other. The message holds every fault that can be found at once.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    format: Literal[3]
    title: Text
    school_years: Annotated[tuple[SchoolYear, ...], NotEmpty, Distinct]
    grades: Annotated[tuple[Annotated[int, between(-1, 12)], ...], NotEmpty, Distinct]
    covariates: tuple[Covariate, ...]
    outcomes: Annotated[tuple[Outcome, ...], NotEmpty]
    questions: Annotated[tuple[Question, ...], NotEmpty]
    eligibility: Eligibility = field(default_factory=Eligibility)
    measurement: Measurement = field(default_factory=Measurement)
    missing_covariates: Annotated[MissingCovariates, Field(discriminator="rule")] = field(
        default_factory=CompleteCases
    )
    matching: Annotated[MatchingMethod, Field(discriminator="method")] = field(
        default_factory=lambda: NearestNeighbor(exact=("school_year", "grade", "visited_prior"))
    )
    model: Annotated[OutcomeModel, Field(discriminator="model")] = field(
        default_factory=FixedEffects
    )
    sensitivity: tuple[Variation, ...] = ()
    confidence_level: Annotated[float, between(0.5, 0.999)] = 0.95

    def __post_init__(self) -> None:
        check_fields(self)
        raise_faults("StudyDesign", inconsistencies(as_tables(self)))

    def outcome(self, name: str) -> Outcome:
        """Return the outcome called `name`.

        Raises
        ------
        DesignError
            If the design has no such outcome.
        """
        allowed("outcome", name, [outcome.name for outcome in self.outcomes])
        return next(outcome for outcome in self.outcomes if outcome.name == name)

    def question(self, name: str) -> Question:
        """Return the question called `name`.

        Raises
        ------
        DesignError
            If the design has no such question.
        """
        allowed("question", name, [question.name for question in self.questions])
        return next(question for question in self.questions if question.name == name)
