"""Which schools and families a synthetic district has, and who comes, goes and stays."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Mobility", "SchoolMix"]


@dataclass(frozen=True, slots=True)
class SchoolMix:
    """Which schools there are.

    Parameters
    ----------
    early, elementary, k8, middle
        Numbers of schools by level: early (pre-K and kindergarten), elementary (to grade 5),
        K-8 (to grade 8), middle (grades 6 to 8).
    elementary_lowest
        The lowest grade of elementary schools, taken in turn: -2 and -1 are the two years of
        pre-K, 0 is kindergarten.
    students
        Students enrolled at the start of a year, all schools.
    size_sd
        SD of the logarithm of school size.
    middle_size
        Students a grade of middle schools, relative to the other schools.
    low_share
        Share of schools in the lower mode of the at-risk share.
    low_mean, low_sd, high_mean, high_sd
        The two modes: shares of students at risk.
    program_share
        Share of schools in the visit program, by school year from the first on; a school
        stays once it takes part.
    program_at_risk
        How much likelier the program is where more students are at risk (log hazard per
        unit of the share).
    collaborative_share
        Share of program schools in FEC rather than FEP.
    early_childhood_share
        Share of schools with pre-K in the early childhood initiative.
    own_calendar_share
        Share of schools whose first day, last day or a closed day is their own.
    """

    early: int = 0
    elementary: int = 12
    k8: int = 0
    middle: int = 0
    elementary_lowest: tuple[int, ...] = (0, -1)
    students: int = 3850
    size_sd: float = 0.32
    middle_size: float = 2.5
    low_share: float = 0.25
    low_mean: float = 0.10
    low_sd: float = 0.05
    high_mean: float = 0.62
    high_sd: float = 0.14
    program_share: tuple[float, ...] = (0.42, 0.50, 0.58, 0.58)
    program_at_risk: float = 2.0
    collaborative_share: float = 0.30
    early_childhood_share: float = 0.50
    own_calendar_share: float = 0.30


@dataclass(frozen=True, slots=True)
class Mobility:
    """Who comes, goes and stays; all shares are probabilities a student and year.

    Parameters
    ----------
    leave, leave_at_risk, leave_at_transition
        Of leaving the district between two years: anyone; added if at risk; added where the
        next grade is in another school.
    change_school
        Of changing school between two years.
    retention
        Of repeating the grade.
    late_entry, leave_during, transfer_during
        Of entering late (of new students), of leaving and of changing school within a year.
    sibling
        Of a new student being the sibling of a student of the same school.
    """

    leave: float = 0.06
    leave_at_risk: float = 0.03
    leave_at_transition: float = 0.22
    change_school: float = 0.05
    retention: float = 0.015
    late_entry: float = 0.12
    leave_during: float = 0.03
    transfer_during: float = 0.03
    sibling: float = 0.28
