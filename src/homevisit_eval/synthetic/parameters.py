"""What a synthetic district is like: frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from homevisit_eval.design.checks import Distinct, NotEmpty, Text, between, check_fields
from homevisit_eval.errors import DesignError
from homevisit_eval.synthetic.defects import Defects
from homevisit_eval.synthetic.limits import NotNegative, Positive, Share, values
from homevisit_eval.synthetic.population import (
    GRADES,
    LOWEST_GRADE,
    Families,
    Mobility,
    SchoolMix,
)
from homevisit_eval.synthetic.staffing import Staffing

__all__ = [
    "Achievement",
    "Attendance",
    "Discipline",
    "District",
    "Hidden",
    "ProgramSchools",
    "Selection",
    "VisitEffects",
]


TruthGrade = Annotated[int, between(LOWEST_GRADE, LOWEST_GRADE + GRADES - 1)]


@dataclass(frozen=True, slots=True)
class Attendance:
    """How days are missed.

    Each student has a propensity B to be absent in a year, beta distributed. On an enrolled day
    d the student is absent with probability ``B * c[d] * f[d]``: `c` is the calendar's factor (of
    weekday and month, 1 on the worst day), `f` that of home visits (see `VisitEffects`). A
    part of the day is missed with probability ``partial * f[d]``, of a quarter, a half or
    three quarters with equal chance. Days are independent given B, so the days absent of a
    year are overdispersed: beta-binomial where `c` and `f` are constant, the bounded relative
    of the negative binomial. The logit of the mean of B is linear in the terms below.

    Parameters
    ----------
    intercept, at_risk, disability, trait
        Terms of the logit; `trait` is the SD of the lasting trait of the student.
    by_grade
        Terms for the two years of pre-K, kindergarten and grades 1 to 8.
    school_sd, school_year_sd
        SDs of what lasts at a school and of what is new each year.
    teacher
        Term of the class teacher's quality (standard normal, lasting): fewer absences.
    precision
        Sum of the two parameters of the beta distribution: the smaller, the heavier the tail.
    by_weekday, by_month
        Relative frequency of absences from Monday to Friday and from January to December.
    partial
        Probability a day that a part of it is missed.
    unexcused, unexcused_at_risk, unexcused_trait
        Terms of the logit that a full absence is unexcused.
    tardy, tardy_trait
        Mean tardies a year of 180 days, and the term of the trait in its logarithm.
    """

    intercept: float = -3.625
    at_risk: float = 0.32
    disability: float = 0.20
    trait: NotNegative = 1.0
    by_grade: Annotated[tuple[float, ...], values(GRADES)] = (
        0.45, 0.35, 0.22, 0.10, 0.04, 0.0, -0.03, 0.0, 0.05, 0.15, 0.25,
    )  # fmt: skip
    school_sd: NotNegative = 0.10
    school_year_sd: NotNegative = 0.08
    teacher: float = 0.08
    precision: Positive = 28.0
    by_weekday: Annotated[tuple[NotNegative, ...], values(5)] = (1.15, 0.95, 0.90, 0.95, 1.25)
    by_month: Annotated[tuple[NotNegative, ...], values(12)] = (
        1.15, 1.20, 1.05, 1.0, 1.05, 1.25, 1.0, 0.80, 0.85, 0.95, 1.0, 1.20,
    )  # fmt: skip
    partial: Share = 0.0045
    unexcused: float = -0.75
    unexcused_at_risk: float = 0.45
    unexcused_trait: float = 0.35
    tardy: NotNegative = 1.0
    tardy_trait: float = 0.5

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class Discipline:
    """How many incidents a student takes part in: negative binomial, thinned by visits.

    Parameters
    ----------
    intercept, male, at_risk, disability, grade, trait
        Terms of the logarithm of the mean for a year of 180 days; `grade` a grade from
        grade 3 on, both ways; `trait` is the SD of the lasting trait.
    school_sd, school_year_sd
        SDs of what lasts at a school and of what is new each year.
    teacher
        Term of the class teacher's quality: fewer incidents.
    shape
        Gamma shape: the smaller, the heavier the tail.
    joint
        Probability that two students with an incident at one school on one day share it.
    victim, witness
        Probability that an incident has a victim, a witness.
    """

    intercept: float = -3.29
    male: float = 0.62
    at_risk: float = 0.55
    disability: float = 0.30
    grade: float = 0.18
    trait: NotNegative = 0.95
    school_sd: NotNegative = 0.22
    school_year_sd: NotNegative = 0.18
    teacher: float = 0.12
    shape: Positive = 2.0
    joint: Share = 0.60
    victim: Share = 0.25
    witness: Share = 0.12

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class Achievement:
    """How scores arise, in SDs of students of one grade.

    Parameters
    ----------
    at_risk, english_learner_math, english_learner_reading, disability
        Terms of the mean score.
    trait, noise
        SDs of the lasting ability and of what is new each year.
    school_sd, school_year_sd
        SDs of what lasts at a school and of what is new each year.
    teacher
        Term of the class teacher's quality: higher scores.
    missing
        Probability that an enrolled student has no score; higher for students whose trait
        is to be absent.
    """

    at_risk: float = -0.55
    english_learner_math: float = -0.20
    english_learner_reading: float = -0.40
    disability: float = -0.45
    trait: NotNegative = 0.78
    noise: NotNegative = 0.40
    school_sd: NotNegative = 0.15
    school_year_sd: NotNegative = 0.08
    teacher: float = 0.10
    missing: Share = 0.04

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class Selection:
    """Who is visited, at a school that takes part.

    Before the year the probability is ``highest * expit(score)``. The score is linear in the terms
    below, all measured in the school year before; a student without that year counts as average.

    Of students visited before the year under FEP or FEC, a share has a second completed visit on
    another day before it, of the same program and mode: with probability ``twice * expit(
    twice_absence * x + twice_any_incident * any incident + twice_at_risk * at risk)``. To the
    sum the hidden trait adds as to the score.

    During the year each student of a program school has one round: a day drawn from the first
    days of the year's two-week rounds, the same weekday for all rounds of a student. On that
    day the student is visited with probability ``during + during_incident * (any incident so
    far) + during_absence * (full days absent so far / days so far)``. Students who change
    school that year are not visited during it.

    Parameters
    ----------
    highest
        Bound of the probability: nobody is sure to be visited.
    intercept, uptake_sd, teacher_uptake_sd
        The constant, and the SDs of a school's uptake in a year and of a class teacher's (of no
        consequence for outcomes).
    teacher
        Term of the class teacher's quality, which does matter for outcomes.
    teacher_experience
        Term of the class teacher's experience, from -1 (none) to 1 (ten years or more).
    absence, absence_squared
        Terms of ``x = min(max(absence rate - absence_hinge, 0) / .05, 3)`` and its square.
    absence_hinge
        An absence rate: below it, attendance plays no part.
    chronic
        Added if more than 10 % of days were missed.
    unexcused
        Term of unexcused days, at most 10, divided by 5.
    any_incident, at_risk, at_risk_any_incident
        Main effects and the interaction.
    english_learner, disability, visited_prior, grade
        Further terms; `grade` a grade from grade 3 on, both ways.
    twice
        Bound of the probability of a second visit before the year; 0: no student has two.
    twice_absence, twice_any_incident, twice_at_risk
        Terms of that probability, measured as those of the score.
    early_childhood, early_childhood_during
        Probability of a visit under EC before and during the year, in pre-K of a school that
        takes part.
    during, during_incident, during_absence
        See above; `during` by school year.
    second
        Probability of another visit during the year after a summer visit; it changes nothing.
    attempted
        Probability of a summer attempt that is not completed.
    virtual
        Share of visits by video or telephone from 2020-21 on.
    """

    highest: Share = 0.60
    intercept: float = -2.15
    uptake_sd: NotNegative = 0.45
    teacher_uptake_sd: NotNegative = 0.30
    teacher: float = 0.0
    teacher_experience: float = 0.0
    absence: float = 0.52
    absence_squared: float = -0.04
    absence_hinge: Share = 0.04
    chronic: float = 0.0
    unexcused: float = 0.12
    any_incident: float = 0.70
    at_risk: float = 0.30
    at_risk_any_incident: float = 0.70
    english_learner: float = 0.15
    disability: float = 0.20
    visited_prior: float = 0.50
    grade: float = -0.08
    twice: Share = 0.0
    twice_absence: float = 0.6
    twice_any_incident: float = 1.5
    twice_at_risk: float = 0.5
    early_childhood: Share = 0.25
    early_childhood_during: Share = 0.25
    during: tuple[Share, ...] = (0.05, 0.05, 0.05, 0.05, 0.05, 0.05)
    during_incident: Share = 0.12
    during_absence: Share = 0.50
    second: Share = 0.15
    attempted: Share = 0.02
    virtual: Share = 0.40

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class VisitEffects:
    """What a completed FEP or FEC visit changes, from the day after it to the end of the year.

    The daily probability of an absence, and of a part of a day missed, is multiplied by
    ``exp(-strength * attendance * (1 + attendance_at_risk * at risk + attendance_absence * x +
    attendance_grade * (grade - 3)) * m)``, with x as in `Selection` and m the school's multiplier.
    Each incident is prevented with probability ``1 - exp(-strength * incidents * (1 +
    incidents_at_risk * at risk + incidents_grade * (grade - 3)) * m)``. Scores rise by
    ``strength * (math + math_grade * (grade - 4)) * m``, and ``strength * reading * m``, in SDs
    of students of one grade, times the part of the year that is left at the visit. No visit does
    harm: an exponent or a rise below 0 counts as 0.

    The strength is 1 after a visit of the year, and ``1 + twice`` if there were two before it;
    `lasting` to the power k before a visit if the last one was k years ago, else 0; `classmates`
    times the share of classmates visited before the year is added to it. Visits under EC, attempts,
    and a further visit during the year change nothing.

    Parameters
    ----------
    attendance, incidents, math, reading
        The size.
    attendance_at_risk, attendance_absence, attendance_grade, incidents_at_risk, \
incidents_grade, math_grade
        How it differs between students.
    school_sd
        SD of the school's multiplier, whose mean is 1.
    twice
        What a second visit before the year adds to the strength of one, in that year.
    lasting
        What is left of a visit's strength a year later.
    classmates
        Strength of a class in which all others were visited before the year.
    retention
        What a visit before the year takes from the logarithm of the probability that who made
        it, as class teacher or partner, leaves the district after the year.
    engagement
        By how many SDs a visit before the year raises the traits that the survey measures.
    """

    attendance: float = 0.0675
    attendance_at_risk: float = 0.40
    attendance_absence: float = 0.15
    attendance_grade: float = -0.10
    incidents: float = 0.40
    incidents_at_risk: float = 0.25
    incidents_grade: float = -0.06
    math: float = 0.149
    math_grade: float = 0.02
    reading: float = 0.040
    school_sd: NotNegative = 0.0
    twice: NotNegative = 0.0
    lasting: Share = 0.25
    classmates: NotNegative = 0.0
    retention: NotNegative = 0.0
    engagement: NotNegative = 0.0

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class Hidden:
    """A family trait that no record holds, standard normal, half of it lasting by default.

    Parameters
    ----------
    strength
        Multiplies the terms below; 0 for no hidden confounding.
    visits
        Term in the score of `Selection`.
    absence, incidents
        Terms in the logit of absence and the logarithm of incidents: the trait lowers them.
    scores
        Term in scores, SDs.
    lasting
        Share of the trait's variance that stays with the family; the rest is new each year.
    """

    strength: float = 0.0
    visits: float = 1.0
    absence: float = 0.30
    incidents: float = 0.45
    scores: float = 0.20
    lasting: Share = 0.5

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class ProgramSchools:
    """What differs at program schools for other reasons than visits.

    Parameters
    ----------
    absence, incidents, scores
        Improvement a year in the program: the logit of absence and the logarithm of incidents
        fall, scores (SDs) rise, for all students of the school.
    teachers
        By how much the mean quality of teachers is lower at program schools, SDs.
    """

    absence: float = 0.0
    incidents: float = 0.0
    scores: float = 0.0
    teachers: float = 0.0


@dataclass(frozen=True, slots=True)
class District:
    """All parameters of one synthetic district.

    Parameters
    ----------
    name
        The preset's name, as printed.
    school_years
        Consecutive school years, named by their spring.
    schools, families, mobility, attendance, discipline, achievement, selection, effects, hidden, \
program_schools, staffing
        The parts.
    survey_share
        Share of students of grades 3 to 5 who answer the survey; of those neither at risk nor
        visited, if response is selective.
    survey_selective
        Rise of the log odds of answering of a student at risk, and again of a student visited
        under FEP or FEC before the year.
    survey_at_risk
        How much lower the traits that the survey measures are of students at risk, SDs.
    truth_grades, truth_years
        Student-years in the truth table: years in their order.
    defects
        What is wrong with the extracts; None if they are as they should be.

    Raises
    ------
    DesignError
        If school years are not consecutive, or shares and schools do not fit together.
    """

    name: Text
    school_years: tuple[int, ...] = (2014, 2015, 2016, 2017)
    schools: SchoolMix = field(default_factory=SchoolMix)
    families: Families = field(default_factory=Families)
    mobility: Mobility = field(default_factory=Mobility)
    attendance: Attendance = field(default_factory=Attendance)
    discipline: Discipline = field(default_factory=Discipline)
    achievement: Achievement = field(default_factory=Achievement)
    selection: Selection = field(default_factory=Selection)
    effects: VisitEffects = field(default_factory=VisitEffects)
    hidden: Hidden = field(default_factory=Hidden)
    program_schools: ProgramSchools = field(default_factory=ProgramSchools)
    staffing: Staffing = field(default_factory=Staffing)
    survey_share: Share = 0.07
    survey_selective: float = 0.0
    survey_at_risk: float = 0.0
    truth_grades: Annotated[tuple[TruthGrade, ...], NotEmpty, Distinct] = (1, 2, 3, 4, 5)
    truth_years: Annotated[tuple[int, ...], NotEmpty] = (2015, 2016, 2017)
    defects: Defects | None = None

    def __post_init__(self) -> None:
        """Refuse parts that do not fit together."""
        check_fields(self)
        years = self.school_years
        if not years or years != tuple(range(years[0], years[0] + len(years))):
            raise DesignError("school_years must be consecutive, for example 2014 to 2017.")
        self.schools.rows(years)
        rules = self.selection
        if len(rules.during) < len(years):
            raise DesignError("during must have a value for each school year.")
        if max(rules.during) + rules.during_incident + rules.during_absence > 1:
            raise DesignError(
                "during, during_incident and during_absence must not add up to over 1."
            )
        mix = self.schools
        if min(mix.early, mix.k8, mix.middle, mix.elementary - 1) < 0:
            raise DesignError("a district needs at least one elementary school.")
        if list(self.truth_years) != sorted(set(self.truth_years)):
            raise DesignError("truth_years must be in their order, each once.")
        if not set(self.truth_years) & set(years):
            raise DesignError("truth_years must hold one of school_years.")
