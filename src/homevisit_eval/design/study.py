"""The design of a study: every choice that the published study leaves open, as a value."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field

from homevisit_eval.design.achievement import Achievement
from homevisit_eval.design.checks import (
    Days,
    Distinct,
    MonthDay,
    NotEmpty,
    SchoolYear,
    Text,
    allowed,
    between,
    check_fields,
    raise_faults,
)
from homevisit_eval.design.consistency import APART, as_tables, inconsistencies
from homevisit_eval.design.matching_methods import MatchingMethod, NearestNeighbor
from homevisit_eval.design.measures import (
    TEACHER_BASELINE_COLUMNS,
    TO_DATE_COLUMNS,
    followed_name,
    measured_name,
)
from homevisit_eval.design.missing_covariates import CompleteCases, MissingCovariates
from homevisit_eval.design.outcome_models import FixedEffects, OutcomeModel
from homevisit_eval.design.questions import Covariate, Outcome, Question, TimingContrast, Variation
from homevisit_eval.errors import DesignError

__all__ = [
    "Behavior",
    "Eligibility",
    "IncidentRole",
    "Measurement",
    "PartialDay",
    "RiskSets",
    "StudyDesign",
]

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
        "continuous") count as observed. A test score counts wherever there is one. Of a visit
        during the year: enrolled days after it.
    highest_grade_followed
        In later years students are followed as far as this grade.

    Raises
    ------
    DesignError
        If a number of days is not between 1 and 366.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    min_days_enrolled_prior: Days = 20
    min_days_enrolled: Days = 20
    highest_grade_followed: Annotated[int, between(-1, 12)] = 8

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class RiskSets:
    """With whom a student visited during the year may be compared.

    Parameters
    ----------
    spring_starts
        Month and day, from January to July: visits from then on are spring visits.
    candidates_per_visit
        On each day of a visit, possible comparison students are drawn from the risk set within
        school year, grade and (for "same_school") school: this many for each visit there, or
        all if there are fewer. Drawn with equal chances, they stand for the whole risk set, and
        the propensity model is that of a discrete-time hazard.
    seed
        Of the draws.

    Raises
    ------
    DesignError
        If an option is not one of those allowed.

    References
    ----------
    Langholz, B., & Goldstein, L. (1996). Risk set sampling in epidemiologic cohort studies.
    *Statistical Science*, 11(1), 35-53.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    spring_starts: MonthDay = "01-01"
    candidates_per_visit: Annotated[int, between(1, 10_000)] = 50
    seed: Annotated[int, between(0, 2**53)] = 1

    def __post_init__(self) -> None:
        check_fields(self)
        if not "01" <= self.spring_starts[:2] <= "07":
            raise DesignError(
                f"spring_starts must lie from January to July; it is {self.spring_starts!r}."
            )


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
    achievement
        Which grades and years impacts on test scores are about.
    matching, model
        The method and the outcome model of every question that names no other.
    sensitivity
        Other ways to answer the primary questions.
    timing_contrasts
        Comparisons of earlier with later visits.
    risk_sets
        With whom students visited during the year are compared.
    version
        Of the design, as printed on the report beside its checksum.
    confidence_level
        Of every interval, 0.5 to 0.999.
    registered
        The design that was registered before the data were read, if there is one. Questions that
        are not in it, or not answered as there, are exploratory whatever their role says
        (`compare_designs`). It is no part of the checksum, and registers no further one. A file
        names the file that holds it.

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
    achievement: Achievement = field(default_factory=Achievement)
    matching: Annotated[MatchingMethod, Field(discriminator="method")] = field(
        default_factory=lambda: NearestNeighbor(exact=("school_year", "grade", "visited_prior"))
    )
    model: Annotated[OutcomeModel, Field(discriminator="model")] = field(
        default_factory=FixedEffects
    )
    sensitivity: tuple[Variation, ...] = ()
    timing_contrasts: tuple[TimingContrast, ...] = ()
    risk_sets: RiskSets = field(default_factory=RiskSets)
    version: Text = "1"
    confidence_level: Annotated[float, between(0.5, 0.999)] = 0.95
    registered: StudyDesign | None = field(default=None, metadata=APART)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.registered is not None and self.registered.registered is not None:
            raise DesignError(
                "StudyDesign.registered names a registered design itself; a registered design "
                "stands alone. Give it without one, or the one that it names."
            )
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

    def asked(self, question: Question) -> tuple[StudyDesign, Question]:
        """Return the design and the question as a sample needs them.

        Outcomes of later years are outcomes of their own. The history of the school year to date
        is a covariate of visits during the year, and of no others.
        """
        outcomes = [
            followed_outcome(self.outcome(name), after)
            for name in question.outcomes
            for after in range(question.follow_up + 1)
            if not (after and measured_name(name)[1])
        ]
        here = dict.fromkeys(outcome.name for outcome in outcomes)
        others = tuple(one for one in self.outcomes if one.name not in here)
        left_out = unused_covariates(question)
        covariates = tuple(one for one in self.covariates if one.name not in left_out)
        distinct = tuple({one.name: one for one in outcomes}.values())
        design = replace(self, outcomes=(*distinct, *others), covariates=covariates)
        return design, replace(question, outcomes=tuple(here), follow_up=0)

    def question(self, name: str) -> Question:
        """Return the question called `name`.

        Raises
        ------
        DesignError
            If the design has no such question.
        """
        allowed("question", name, [question.name for question in self.questions])
        return next(question for question in self.questions if question.name == name)


NOT_BEFORE_YEAR = (*TO_DATE_COLUMNS, *TEACHER_BASELINE_COLUMNS)


def unused_covariates(question: Question) -> tuple[str, ...]:
    """Return the names of covariates of a design that a question about students does not use."""
    return TEACHER_BASELINE_COLUMNS if question.during else NOT_BEFORE_YEAR


def followed_outcome(outcome: Outcome, years_after: int) -> Outcome:
    """Return the outcome of the same name in a year after that of the visit."""
    if years_after == 0:
        return outcome
    when = "1 year later" if years_after == 1 else f"{years_after} years later"
    return replace(
        outcome,
        name=followed_name(outcome.name, years_after),
        label=f"{outcome.label}, {when}",
    )
