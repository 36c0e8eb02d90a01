"""What the study asks: contrasts, outcomes and covariates, decided before the data are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from homevisit_eval.design.achievement import GradeRule
from homevisit_eval.design.checks import (
    Days,
    Distinct,
    MonthDay,
    Name,
    NotEmpty,
    Text,
    between,
    check_fields,
)
from homevisit_eval.design.matching_methods import MatchingMethod
from homevisit_eval.design.measures import (
    COUNTED_BY_DAY,
    LONGEST_FOLLOW_UP,
    TEACHER_OUTCOMES,
    YEAR_END,
    Scale,
    Subgroup,
    measured_name,
)
from homevisit_eval.design.missing_covariates import MissingCovariates
from homevisit_eval.design.outcome_models import OutcomeModel
from homevisit_eval.errors import DesignError

__all__ = [
    "ComparisonSchools",
    "Covariate",
    "Dose",
    "LaterVisits",
    "Mode",
    "Outcome",
    "Pool",
    "Program",
    "Question",
    "Role",
    "TimingContrast",
    "Variation",
    "Window",
]

Role = Literal["primary", "secondary", "exploratory"]
Pool = Literal["not_visited_before_year", "never_visited_that_year"]
ComparisonSchools = Literal["any", "same_school", "outside_program"]
Program = Literal["FEP", "FEC", "EC"]
Mode = Literal["in_person", "virtual"]
Window = Literal["before_year", "fall", "spring", "during_year", "any_time", "first_ever"]
Dose = Literal["any", "one", "two_or_more", "two_or_more_against_one"]
LaterVisits = Literal["natural_course", "none"]


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
        covariate. None if nothing does (a survey, teachers): baseline equivalence is then "not
        assessable".

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
    baseline: Text | None = None

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
    unit
        ``"student"``, or ``"teacher"``: who visited families, and stays on staff.
    window
        When the first completed visit of the year falls. ``"before_year"``: after the last
        instructional day of the previous school year and before the school's first one.
        ``"fall"``: from that day to the day before `RiskSets.spring_starts`. ``"spring"``: from
        then on. ``"during_year"``: fall or spring. ``"any_time"``: before or during the year.
        ``"first_ever"``: the same, of students without a completed visit in any earlier year of
        the extracts.
    programs, modes
        Visits that count. A student whose first completed visit that year is of another program
        or mode is in neither group from that day on.
    dose
        Days with a completed visit before the year: ``"any"``, exactly ``"one"``, or
        ``"two_or_more"``, each against none; who has another number is in neither group.
        ``"two_or_more_against_one"``: comparison students were visited once, and who was not
        visited is in neither group. Only with the window ``"before_year"``: later visits lie in
        the future of the first.
    pool
        Who may be a comparison student of the window ``"before_year"``.
        ``"never_visited_that_year"`` is chosen on the future and biased; it is offered to show
        how much. In other windows it is the risk set of the visit's day: enrolled, and not
        visited that year through that day.
    comparison_schools
        ``"any"``, ``"same_school"`` (as the visited student; only with a matching method that
        makes pairs), or ``"outside_program"`` (schools that take part in none of `programs`
        that year).
    later_visits
        ``"natural_course"``: a visit now against not yet; comparison students are followed to the
        end of the year whether or not they are visited later. ``"none"``: a visit now against no
        visit for the rest of the year, nor in later years up to that of the outcome; both members
        of a pair are followed until its comparison student is visited, weighted by the inverse
        probability of that (`follow_without_visits`). It needs pairs, and outcomes that are counted
        by the day. Further visits to the visited student take their natural course under both.
    lag_days
        Instructional days after the visit that are left out before outcomes count; only in
        windows during the year.
    follow_up
        Years after the year of the visit, 0 to 3, whose outcomes are estimated as well, on the
        same pairs; `later_visits` says what becomes of comparison students visited by then.
    subgroup
        By what effects are estimated in subgroups too; matching is then exact on it.
    matching, model
        If they differ from those of the design.

    Raises
    ------
    DesignError
        If an option is not one of those allowed, nothing is named where something must be, or
        two options contradict each other.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    name: Name
    label: Text
    role: Role
    outcomes: Annotated[tuple[str, ...], NotEmpty, Distinct]
    unit: Literal["student", "teacher"] = "student"
    window: Window = "before_year"
    programs: Annotated[tuple[Program, ...], NotEmpty, Distinct] = ("FEP", "FEC")
    modes: Annotated[tuple[Mode, ...], NotEmpty, Distinct] = ("in_person", "virtual")
    dose: Dose = "any"
    pool: Pool = "not_visited_before_year"
    comparison_schools: ComparisonSchools = "any"
    later_visits: LaterVisits = "natural_course"
    lag_days: Annotated[int, between(0, 90)] = 0
    follow_up: Annotated[int, between(0, LONGEST_FOLLOW_UP)] = 0
    subgroup: Subgroup | None = None
    matching: Annotated[MatchingMethod, Field(discriminator="method")] | None = None
    model: Annotated[OutcomeModel, Field(discriminator="model")] | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if faults := list(_contradictions(self)):
            raise DesignError(" ".join(faults))

    @property
    def against_one(self) -> bool:
        """Whether comparison students were visited before the year too, once."""
        return self.dose == "two_or_more_against_one"

    @property
    def during(self) -> bool:
        """Whether some of the visits asked about fall in the school year."""
        return self.window != "before_year"


def _faults_of_dose(question: Question, where: str) -> Iterator[str]:
    """Yield what does not go together with the number of visits that a question asks about."""
    if question.dose != "any" and question.during:
        yield (
            f"{where} dose {question.dose!r} needs window 'before_year'; of a visit during the "
            "year, further ones lie in the future."
        )
    if question.against_one:
        without = {
            "pool": question.pool == "never_visited_that_year",
            "comparison_schools": question.comparison_schools == "outside_program",
            "later_visits": question.later_visits == "none",
        }
        for name in [name for name, given in without.items() if given]:
            yield (
                f"{where} {name} {getattr(question, name)!r} is for comparison students without a "
                f"visit; those of dose {question.dose!r} were visited once. Leave it out."
            )


def _contradictions(question: Question) -> Iterator[str]:
    """Yield what options of one question do not go together."""
    where = f"question {question.name!r}:"
    yield from _faults_of_dose(question, where)
    if question.pool != "not_visited_before_year" and question.during:
        yield (
            f"{where} pool {question.pool!r} needs window 'before_year'; for visits during the "
            "year leave it out, the comparison is with the risk set of the day."
        )
    if question.lag_days and question.window in ("before_year", "any_time", "first_ever"):
        yield (
            f"{where} lag_days needs a window during the year: 'fall', 'spring' or 'during_year'."
        )
    if question.later_visits == "none" and question.pool != "not_visited_before_year":
        yield f"{where} later_visits 'none' needs pool 'not_visited_before_year'."
    measured = [measured_name(name) for name in question.outcomes]
    if question.later_visits == "none":
        others = [name for name, _ in measured if name not in COUNTED_BY_DAY]
        if others:
            yield (
                f"{where} later_visits 'none' follows pairs day by day, so it needs outcomes that "
                f"are counted by the day ({', '.join(COUNTED_BY_DAY)}); ask about "
                f"{', '.join(dict.fromkeys(others))} in a question of their own, or with "
                'later_visits = "natural_course".'
            )
    if question.unit == "teacher":
        usual = {field.name: field.default for field in fields(Question)}
        student_only = ("window", "dose", "pool", "comparison_schools", "later_visits")
        for name in (*student_only, "lag_days", "follow_up", "subgroup"):
            if getattr(question, name) != usual[name]:
                yield f"{where} {name} is for questions about students; leave it out."
    whole = [name for name, after in measured if not after and name not in COUNTED_BY_DAY]
    tests = [name for name in whole if question.window == "fall" and name in YEAR_END]
    if question.during and len(whole) > len(tests):
        yield (
            f"{where} of a visit during the year {', '.join(whole)} cannot be counted from the day "
            f"after it; allowed are {', '.join(COUNTED_BY_DAY)}, measures of later years, and for "
            f"window 'fall' {', '.join(YEAR_END)}."
        )
    teachers = [name for name in question.outcomes if name in TEACHER_OUTCOMES]
    if len(teachers) != (len(question.outcomes) if question.unit == "teacher" else 0):
        yield (
            f"{where} {' and '.join(TEACHER_OUTCOMES)} are outcomes of unit 'teacher', all others "
            "of unit 'student'; ask two questions."
        )


@dataclass(frozen=True, slots=True)
class TimingContrast:
    """Whether visits earlier in the year change outcomes more than visits later in it.

    Each question's own effect mixes when the visit was, how long it could work and who was
    visited. Here both are measured over the same days, from a common landmark to the end of the
    year, both against no visit that year, and the later-visited are weighted to be like the
    earlier-visited.

    Parameters
    ----------
    name, label
        As for a `Question`.
    earlier, later
        Names of two questions of the design, whose windows do not overlap.
    outcomes
        Names of outcomes of the design that are counted by the day.
    landmark
        The month and day from which outcomes count, for example ``"02-01"``. Visits on it or
        after it are left out.

    Raises
    ------
    DesignError
        If an option is not one of those allowed.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    name: Name
    label: Text
    earlier: Name
    later: Name
    outcomes: Annotated[tuple[str, ...], NotEmpty, Distinct]
    landmark: MonthDay = "02-01"

    def __post_init__(self) -> None:
        check_fields(self)
        if self.earlier == self.later:
            raise DesignError(
                f"timing contrast {self.name!r}: earlier and later are the same question "
                f"{self.earlier!r}; name two."
            )


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
        As for a `Question`. The pool ``"never_visited_that_year"`` of a question about visits
        during the year compares whole years, which is biased more.
    questions
        Names of the questions that are varied; all primary ones if empty.
    min_days_enrolled
        As for `Eligibility`.
    lag_days, later_visits
        As for a `Question`; a lag needs named questions, about visits during the year.
    grades_without_pretest
        As for `Achievement`; it needs questions about test scores.
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
    questions: Annotated[tuple[str, ...], Distinct] = ()
    pool: Pool | None = None
    comparison_schools: ComparisonSchools | None = None
    min_days_enrolled: Days | None = None
    lag_days: Annotated[int, between(0, 90)] | None = None
    later_visits: LaterVisits | None = None
    grades_without_pretest: GradeRule | None = None
    missing_covariates: Annotated[MissingCovariates, Field(discriminator="rule")] | None = None
    matching: Annotated[MatchingMethod, Field(discriminator="method")] | None = None
    model: Annotated[OutcomeModel, Field(discriminator="model")] | None = None

    def varies(self, question: Question) -> bool:
        """Return whether it is another way to answer this question."""
        return question.name in self.questions if self.questions else question.role == "primary"

    def __post_init__(self) -> None:
        check_fields(self)
        sample = (self.pool, self.comparison_schools, self.min_days_enrolled)
        clock = (self.lag_days, self.later_visits)
        rules = (self.grades_without_pretest, self.missing_covariates)
        if {*sample, *clock, *rules, self.matching, self.model} == {None}:
            raise DesignError(
                "must vary something: give at least one of pool, comparison_schools, "
                "min_days_enrolled, lag_days, later_visits, grades_without_pretest, "
                "missing_covariates, matching, model, or leave this variation out."
            )
