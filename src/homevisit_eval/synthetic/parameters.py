"""What a synthetic district is like: frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field

from homevisit_eval.errors import DesignError
from homevisit_eval.synthetic.defects import Defects
from homevisit_eval.synthetic.population import Mobility, SchoolMix

__all__ = [
    "Achievement",
    "Attendance",
    "Discipline",
    "District",
    "Selection",
    "VisitEffects",
]


@dataclass(frozen=True, slots=True)
class Attendance:
    """How days are missed.

    A student-year of n days has ``m = n // 45`` slots for partial days, each used with
    probability `partial` and missing a quarter, a half or three quarters of the day with
    equal probability; full days absent are beta-binomial with ``n - m`` trials. The logit of
    the mean is linear in the terms below.

    Parameters
    ----------
    intercept, at_risk, disability, trait
        Terms of the logit; `trait` is the SD of the lasting trait of the student.
    by_grade
        Terms for the two years of pre-K, kindergarten and grades 1 to 8.
    school_sd, school_year_sd
        SDs of what lasts at a school and of what is new each year.
    precision
        Sum of the two parameters of the beta distribution.
    partial
        Probability that a slot holds a partial day.
    unexcused, unexcused_at_risk, unexcused_trait
        Terms of the logit that a full absence is unexcused.
    tardy, tardy_trait
        Mean tardies a year, and the term of the trait in its logarithm.
    """

    intercept: float = -3.63
    at_risk: float = 0.32
    disability: float = 0.20
    trait: float = 0.76
    by_grade: tuple[float, ...] = (
        0.45, 0.35, 0.22, 0.10, 0.04, 0.0, -0.03, 0.0, 0.05, 0.15, 0.25,
    )  # fmt: skip
    school_sd: float = 0.10
    school_year_sd: float = 0.08
    precision: float = 52.0
    partial: float = 0.20
    unexcused: float = -0.75
    unexcused_at_risk: float = 0.45
    unexcused_trait: float = 0.35
    tardy: float = 1.0
    tardy_trait: float = 0.5


@dataclass(frozen=True, slots=True)
class Discipline:
    """How many incidents a student takes part in: negative binomial.

    Parameters
    ----------
    intercept, male, at_risk, disability, grade, trait
        Terms of the logarithm of the mean for a year of 180 days; `grade` a grade from
        grade 3 on, both ways; `trait` is the SD of the lasting trait.
    school_sd, school_year_sd
        SDs of what lasts at a school and of what is new each year.
    shape
        Gamma shape: the smaller, the heavier the tail.
    joint
        Probability that every second row joins the incident before it in that school.
    victim, witness
        Probability that an incident has a victim, a witness.
    """

    intercept: float = -3.30
    male: float = 0.62
    at_risk: float = 0.55
    disability: float = 0.30
    grade: float = 0.18
    trait: float = 0.95
    school_sd: float = 0.22
    school_year_sd: float = 0.18
    shape: float = 2.0
    joint: float = 0.40
    victim: float = 0.25
    witness: float = 0.12


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
    missing
        Probability that an enrolled student has no score; higher for students whose trait
        is to be absent.
    """

    at_risk: float = -0.55
    english_learner_math: float = -0.20
    english_learner_reading: float = -0.40
    disability: float = -0.45
    trait: float = 0.78
    noise: float = 0.40
    school_sd: float = 0.15
    school_year_sd: float = 0.08
    missing: float = 0.04


@dataclass(frozen=True, slots=True)
class Selection:
    """Who is visited in the summer, at a school that takes part.

    The probability is ``highest * expit(score)``. The score is linear in the terms below,
    all measured in the school year before; a student without that year counts as average.

    Parameters
    ----------
    highest
        Bound of the probability: nobody is sure to be visited.
    intercept, uptake_sd
        The constant, and the SD of a school's uptake in a year (of no consequence for
        outcomes).
    absence, absence_squared
        Terms of ``x = min(max(absence rate - absence_hinge, 0) / .05, 3)`` and its square.
    absence_hinge
        An absence rate: below it, attendance plays no part.
    unexcused
        Term of unexcused days, at most 10, divided by 5.
    any_incident, at_risk, at_risk_any_incident
        Main effects and the interaction.
    english_learner, disability, visited_prior, grade
        Further terms; `grade` a grade from grade 3 on, both ways.
    early_childhood
        Probability of a summer visit under EC, in pre-K of a school that takes part.
    during, during_incident, during_absent
        Probability of a first visit during the year: anyone; added after an incident of that
        year; added if more than 8 % of days were missed that year.
    second
        Probability of another visit during the year after a summer visit.
    attempted
        Probability of a summer attempt that is not completed.
    """

    highest: float = 0.60
    intercept: float = -2.15
    uptake_sd: float = 0.45
    absence: float = 0.52
    absence_squared: float = -0.04
    absence_hinge: float = 0.04
    unexcused: float = 0.12
    any_incident: float = 0.70
    at_risk: float = 0.30
    at_risk_any_incident: float = 0.70
    english_learner: float = 0.15
    disability: float = 0.20
    visited_prior: float = 0.50
    grade: float = -0.08
    early_childhood: float = 0.25
    during: float = 0.05
    during_incident: float = 0.12
    during_absent: float = 0.05
    second: float = 0.15
    attempted: float = 0.02


@dataclass(frozen=True, slots=True)
class VisitEffects:
    """What a completed FEP or FEC visit before the school year changes in that year.

    Attendance: the logit of the mean absence falls by
    ``attendance * (1 + attendance_at_risk * at risk + attendance_absence * x +
    attendance_grade * (grade - 3))`` with x as in `Selection`. Incidents: the logarithm of
    the mean falls by ``incidents * (1 + incidents_at_risk * at risk + incidents_grade *
    (grade - 3))``. Scores rise by `math` + `math_grade` * (grade - 4), and by `reading`,
    in SDs of students of one grade. Nothing else changes: no carry-over to later years except
    through the next year's baseline measures, no effect of visits during the year.
    """

    attendance: float = 0.075
    attendance_at_risk: float = 0.40
    attendance_absence: float = 0.15
    attendance_grade: float = -0.10
    incidents: float = 0.34
    incidents_at_risk: float = 0.25
    incidents_grade: float = -0.06
    math: float = 0.11
    math_grade: float = 0.02
    reading: float = 0.03


@dataclass(frozen=True, slots=True)
class District:
    """All parameters of one synthetic district.

    Parameters
    ----------
    name
        The preset's name, as printed.
    school_years
        Consecutive school years, named by their spring.
    schools, mobility, attendance, discipline, achievement, selection, effects
        The parts.
    survey_share
        Share of students of grades 3 to 5 who answer the survey.
    truth_grades, truth_years
        Student-years in the truth table.
    defects
        What is wrong with the extracts; None if they are as they should be.

    Raises
    ------
    DesignError
        If school years are not consecutive, or shares and schools do not fit together.
    """

    name: str
    school_years: tuple[int, ...] = (2014, 2015, 2016, 2017)
    schools: SchoolMix = field(default_factory=SchoolMix)
    mobility: Mobility = field(default_factory=Mobility)
    attendance: Attendance = field(default_factory=Attendance)
    discipline: Discipline = field(default_factory=Discipline)
    achievement: Achievement = field(default_factory=Achievement)
    selection: Selection = field(default_factory=Selection)
    effects: VisitEffects = field(default_factory=VisitEffects)
    survey_share: float = 0.07
    truth_grades: tuple[int, ...] = (1, 2, 3, 4, 5)
    truth_years: tuple[int, ...] = (2015, 2016, 2017)
    defects: Defects | None = None

    def __post_init__(self) -> None:
        years = self.school_years
        if not years or years != tuple(range(years[0], years[0] + len(years))):
            raise DesignError("school_years must be consecutive, for example 2014 to 2017.")
        if len(self.schools.program_share) < len(years):
            raise DesignError("program_share must have a value for each school year.")
        mix = self.schools
        if min(mix.early, mix.k8, mix.middle, mix.elementary - 1) < 0:
            raise DesignError("a district needs at least one elementary school.")
