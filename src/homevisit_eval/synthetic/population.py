"""Which schools and families a synthetic district has, and who comes, goes and stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from homevisit_eval.design.checks import NotEmpty, between, check_fields
from homevisit_eval.errors import DesignError
from homevisit_eval.synthetic.limits import NotNegative, Positive, Share, at_least, values

__all__ = ["GRADES", "LOWEST_GRADE", "RACES", "Families", "Mobility", "SchoolMix"]

LOWEST_GRADE = -2
GRADES = 11
RACES = (
    "black", "hispanic", "white", "asian", "two_or_more", "american_indian", "pacific_islander",
)  # fmt: skip
AT_RISK_QUANTILES = (
    (0.0, 0.007), (0.10, 0.04), (0.20, 0.10), (0.25, 0.20), (0.35, 0.43), (0.50, 0.54),
    (0.60, 0.70), (0.75, 0.73), (0.90, 0.78), (0.96, 0.80), (1.0, 0.83),
)  # fmt: skip
"""Of 59 elementary schools of DCPS in 2014-15: published are the quantiles at .10, .25, .50, .75
and .90; the points between give the published mean, 12 schools under .10 and 18 from .70 to .80,
once the students of a school are drawn."""


@dataclass(frozen=True, slots=True)
class SchoolMix:
    """Which schools there are, how large they are and when they take part.

    Parameters
    ----------
    early, elementary, k8, middle
        Numbers of schools by level: early (pre-K and kindergarten), elementary (to grade 5),
        K-8 (to grade 8), middle (grades 6 to 8).
    elementary_lowest
        The lowest grade of elementary schools, taken in turn: -2 and -1 are the two years of
        pre-K, 0 is kindergarten.
    students
        Students enrolled at the start of a year, all schools; of no consequence where
        `enrollment` is given.
    enrollment
        Students at the start of each year, by school year and grade: 11 numbers a year, the
        two years of pre-K, kindergarten and grades 1 to 8. Empty: `students` in every year.
    first_year
        School year of the first values of `enrollment` and `program_share`; 0 for the
        district's first school year.
    size_sd, size_at_risk
        SD of the logarithm of school size, and its slope on the at-risk share.
    k8_size, middle_size
        Students a grade of K-8 and of middle schools, relative to the other schools.
    at_risk_quantiles
        The distribution of schools' at-risk shares: pairs of a fraction of schools, from 0 to
        1, and the share that this fraction does not exceed. Each level of schools is spread
        evenly over it.
    program_share
        Share of schools in the visit program, by school year.
    program_leaving
        Share of the program's schools that leave it each year, or more where `program_share`
        falls; others take their places.
    program_at_risk
        How much likelier the program is where more students are at risk (log hazard per
        unit of the share): schools join sooner and leave later.
    collaborative_share
        Share of program schools in FEC rather than FEP.
    early_childhood_share
        Share of schools with pre-K in the early childhood initiative.
    own_calendar_share
        Share of schools whose first day, last day or a closed day is their own.

    Raises
    ------
    DesignError
        If a row of `enrollment` has not 11 numbers, or quantiles do not rise from 0 to 1.
    """

    early: int = 0
    elementary: int = 12
    k8: int = 0
    middle: int = 0
    elementary_lowest: Annotated[tuple[Annotated[int, between(LOWEST_GRADE, 5)], ...], NotEmpty] = (
        0,
        -1,
    )
    students: Annotated[int, at_least(1)] = 3850
    enrollment: tuple[tuple[int, ...], ...] = ()
    first_year: int = 0
    size_sd: NotNegative = 0.31
    size_at_risk: float = -0.12
    k8_size: Positive = 1.0
    middle_size: Positive = 2.5
    at_risk_quantiles: tuple[tuple[float, float], ...] = AT_RISK_QUANTILES
    program_share: tuple[Share, ...] = (0.42, 0.50, 0.58, 0.58)
    program_leaving: Share = 0.0
    program_at_risk: float = 2.0
    collaborative_share: Share = 0.30
    early_childhood_share: Share = 0.50
    own_calendar_share: Share = 0.30

    def __post_init__(self) -> None:
        """Refuse tables that do not fit together."""
        check_fields(self)
        if any(len(row) != GRADES or min(row) < 0 for row in self.enrollment):
            raise DesignError(f"enrollment needs {GRADES} counts for each school year.")
        at = [fraction for fraction, _ in self.at_risk_quantiles]
        share = [value for _, value in self.at_risk_quantiles]
        rises = at == sorted(set(at)) and share == sorted(share) and len(at) > 1
        if not rises or (at[0], at[-1]) != (0, 1) or not 0 <= share[0] <= share[-1] <= 1:
            raise DesignError(
                "at_risk_quantiles must rise, from a fraction of 0 to a fraction of 1, and hold "
                "shares between 0 and 1."
            )

    def rows(self, school_years: tuple[int, ...]) -> slice:
        """Return which values of `program_share` and `enrollment` are those of these years.

        Raises
        ------
        DesignError
            If there is none for one of them.
        """
        first = school_years[0] - self.first_year if self.first_year else 0
        stop = first + len(school_years)
        for name, given in (
            ("program_share", self.program_share),
            ("enrollment", self.enrollment),
        ):
            if given and not 0 <= first < stop <= len(given):
                raise DesignError(f"{name} must have a value for each school year.")
        return slice(first, stop)


@dataclass(frozen=True, slots=True)
class Families:
    """Who the students are, given the share at risk of the school where they enter.

    Parameters
    ----------
    boys
        Probability of being a boy.
    race_at_risk, race_affluent, race_other
        Weights of the seven codes of race/ethnicity (`RACES`) for students at risk, and for
        the others of a school where nobody is at risk and where everybody is.
    race_curve
        The others' weights are ``(1 - share) ** race_curve`` of the way to `race_affluent`.
    hispanic_trend, white_trend
        Change of the logarithm of two weights from one cohort to the next, of new families.
    trend_from
        The cohort (school year minus grade) with the weights as given.
    language_at_home
        Probability of another language than English at home, by race/ethnicity.
    fluent_from, fluent_until
        A child with another language stops being an English learner in a grade that is
        uniform between these.
    disability, disability_male, disability_grade
        Probability of an identified disability: anyone; added for boys; added a grade after
        kindergarten.
    at_risk_change
        How often the at-risk status changes: in a school with share s it differs from the
        lasting status with probability ``2 s (1 - s)`` times this.
    newcomer_at_risk
        Odds of being at risk of those who enter after kindergarten, in later years than the
        first, relative to their school's: students at risk leave more often, too.
    homeless
        Probability of being homeless in a year, of students at risk.
    community_eligibility
        Every student of a school whose share at risk is this or more counts as economically
        disadvantaged.
    low_income
        Probability that a student who is not at risk is economically disadvantaged elsewhere.
    older
        Probability of being a year older than usual, of those who enter after kindergarten.
    """

    boys: Share = 0.51
    race_at_risk: Annotated[tuple[NotNegative, ...], values(len(RACES))] = (
        0.84,
        0.14,
        0.006,
        0.004,
        0.008,
        0.001,
        0.001,
    )
    race_affluent: Annotated[tuple[NotNegative, ...], values(len(RACES))] = (
        0.40,
        0.14,
        0.365,
        0.045,
        0.04,
        0.005,
        0.005,
    )
    race_other: Annotated[tuple[NotNegative, ...], values(len(RACES))] = (
        0.755,
        0.205,
        0.015,
        0.01,
        0.012,
        0.002,
        0.001,
    )
    race_curve: NotNegative = 1.5
    hispanic_trend: float = 0.11
    white_trend: float = 0.09
    trend_from: int = 2011
    language_at_home: Annotated[tuple[Share, ...], values(len(RACES))] = (
        0.02,
        0.66,
        0.05,
        0.45,
        0.04,
        0.05,
        0.2,
    )
    fluent_from: float = 1.0
    fluent_until: float = 10.0
    disability: Share = 0.08
    disability_male: float = 0.06
    disability_grade: float = 0.012
    at_risk_change: Share = 0.08
    newcomer_at_risk: Positive = 1.5
    homeless: Share = 0.06
    community_eligibility: NotNegative = 0.45
    low_income: Share = 0.30
    older: Share = 0.04

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True)
class Mobility:
    """Who comes, goes and stays; all shares are probabilities a student and year.

    Parameters
    ----------
    leave, leave_at_risk, leave_at_transition
        Of leaving the district between two years: anyone; added if at risk; added where the
        next grade is in another school.
    leave_after
        Added after each grade: the two years of pre-K, kindergarten and grades 1 to 8.
    change_school
        Of changing school between two years.
    retention
        Of repeating the grade.
    late_entry
        Students who enter during the year, for each new student at its start.
    leave_during, transfer_during
        Of leaving and of changing school within a year.
    sibling
        Of a new student being the sibling of a student of the same school.
    """

    leave: Share = 0.06
    leave_at_risk: Share = 0.03
    leave_at_transition: Share = 0.22
    leave_after: Annotated[tuple[Annotated[float, between(-1, 1)], ...], values(GRADES)] = (
        0.0,
    ) * GRADES
    change_school: Share = 0.05
    retention: Share = 0.015
    late_entry: Share = 0.12
    leave_during: Share = 0.03
    transfer_during: Share = 0.03
    sibling: Share = 0.28

    def __post_init__(self) -> None:
        check_fields(self)
        if self.leave_during + self.transfer_during > 1:
            raise DesignError("leave_during and transfer_during must not add up to over 1.")
