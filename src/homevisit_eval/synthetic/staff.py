"""Staff, their schools over the years, the classes they teach, and how well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.synthetic.draws import Draw, Draws, normal
from homevisit_eval.synthetic.enrollment import Enrollment
from homevisit_eval.synthetic.schools import GRADES, LOWEST_GRADE, Schools
from homevisit_eval.synthetic.staffing import EXPERIENCED, Staffing

__all__ = [
    "Classes",
    "StaffYear",
    "leaving_probability",
    "make_classes",
    "most_kept",
    "posts",
    "role_of",
    "roster_table",
    "school_of",
    "staff_ids",
    "staff_of_year",
    "staff_table",
    "visitors",
]

CLASS_SIZE = 23
ROLES = np.array(["teacher", "aide", "counselor", "administrator", "other"], dtype=object)
OTHER_STAFF = (1, 1, 2, 3, 4)  # roles of the staff that every school has besides teachers
MOST_EXPERIENCE = 25

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class StaffYear:
    """Everyone on staff in one school year, shape (t,) each, and classes.

    Parameters
    ----------
    person
        Number of the person, the same in every year.
    cell
        ``school * slots + slot``: slots are the 11 grades, then the other posts.
    experience
        Years.
    people
        Persons ever on staff up to this year, a number.
    """

    person: Integers
    cell: Integers
    experience: Integers
    people: int


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """The class of each student-year, shape (n,) each.

    Parameters
    ----------
    teacher, partner
        Numbers of persons: the class teacher at the first school, and who visits with them.
    quality, uptake
        Of the class teacher, standard normal and lasting: how well they teach, and how eagerly
        they visit.
    experience
        Of the class teacher, years.
    """

    teacher: Integers
    partner: Integers
    quality: Floats
    uptake: Floats
    experience: Integers


SLOTS = GRADES + len(OTHER_STAFF)


def school_of(cell: Integers) -> Integers:
    """Return the number of the school of each cell."""
    return cell // SLOTS


def role_of(cell: Integers) -> NDArray[np.object_]:
    """Return what the staff of each cell do."""
    roles = np.array([0] * GRADES + list(OTHER_STAFF))
    return np.asarray(ROLES[roles[cell % SLOTS]], dtype=object)


def posts(schools: Schools, roll: Enrollment) -> Integers:
    """Return the number of posts of each cell, shape (S * SLOTS,)."""
    count = np.zeros((len(schools.ids), GRADES), dtype=np.int64)
    np.add.at(count, (roll.school, roll.grade - LOWEST_GRADE), 1)
    classes = np.where(count > 0, np.maximum(np.rint(count / CLASS_SIZE), 1), 0)
    others = np.ones((len(schools.ids), len(OTHER_STAFF)))
    return np.concatenate([classes, others], axis=1).astype(np.int64).ravel()


def most_kept(count: Integers) -> Integers:
    """Return how many stay in each cell at most: one more than there are classes, of `posts`."""
    return count + (np.arange(len(count)) % SLOTS < GRADES)


def _rank_within(cell: Integers) -> Integers:
    """Return 0, 1, 2 ... within each run of equal cells (sorted)."""
    start = np.searchsorted(cell, cell, side="left")
    return np.arange(len(cell)) - start


def visitors(staff: StaffYear, classes: Classes, visited: Booleans) -> Booleans:
    """Return who on staff made a visit, as class teacher or as partner, shape (t,).

    Parameters
    ----------
    visited
        Shape (n,), which students were visited.
    """
    teams = np.concatenate([classes.teacher[visited], classes.partner[visited]])
    return np.isin(staff.person, teams)


def leaving_probability(
    staffing: Staffing, staff: StaffYear, visited: Booleans, retention: float
) -> Floats:
    """Return each person's probability of leaving the district after the year, shape (t,).

    Parameters
    ----------
    visited
        Shape (t,), who made a visit before the year.
    retention
        What a visit takes from the logarithm of the probability.
    """
    new = 1 - np.minimum(staff.experience, EXPERIENCED) / EXPERIENCED
    return np.asarray(
        staffing.leave * np.exp(staffing.leave_beginner * new) * np.exp(-retention * visited)
    )


def staff_of_year(
    schools: Schools,
    roll: Enrollment,
    last: StaffYear | None,
    draws: Draws,
    *,
    leave: Floats,
    move: float,
) -> StaffYear:
    """Return the staff of a year: most stay, some leave or move, the new fill the posts.

    Parameters
    ----------
    last
        Of the year before; None in the first year.
    leave
        Shape (t,), the probability that each of them leaves the district.
    move
        The probability of moving to another school of the district.
    """
    count = posts(schools, roll)
    stream = draws.stream(Draw.STAFF, roll.school_year)
    person, cell, experience = (np.empty(0, np.int64) for _ in range(3))
    people = 0
    if last is not None:
        people = last.people
        u_stay, u_where = stream.random((2, len(last.person)))
        stays = u_stay >= leave
        moves = stays & (u_stay < leave + move)
        slot = last.cell % SLOTS
        other = np.floor(u_where * len(schools.ids)).astype(np.int64) * SLOTS + slot
        cell = np.where(moves & (count[other] > 0), other, last.cell)
        order = np.lexsort((last.person[stays], cell[stays]))
        person, cell = last.person[stays][order], cell[stays][order]
        experience = last.experience[stays][order] + 1
        kept = _rank_within(cell) < most_kept(count)[cell]
        person, cell, experience = person[kept], cell[kept], experience[kept]
    free = np.maximum(count - np.bincount(cell, minlength=len(count)), 0)
    hired = np.repeat(np.arange(len(count)), free)
    years = np.floor(MOST_EXPERIENCE * stream.random(len(hired)) ** 2).astype(np.int64)
    person = np.concatenate([person, people + np.arange(len(hired))])
    experience = np.concatenate([experience, years])
    cell = np.concatenate([cell, hired])
    order = np.lexsort((person, cell))
    return StaffYear(person[order], cell[order], experience[order], people + len(hired))


def make_classes(staff: StaffYear, roll: Enrollment, draws: Draws) -> Classes:
    """Give each student a class teacher of the first school and grade, and the pair's partner."""
    u_class, u_partner = draws.stream(Draw.ROSTERS, roll.school_year).random((2, len(roll.student)))
    cell = roll.school * SLOTS + roll.grade - LOWEST_GRADE
    start = np.searchsorted(staff.cell, cell, side="left")
    count = np.searchsorted(staff.cell, cell, side="right") - start
    teacher = start + np.floor(u_class * count).astype(np.int64)
    school_start = np.searchsorted(staff.cell, roll.school * SLOTS, side="left")
    school_stop = np.searchsorted(staff.cell, (roll.school + 1) * SLOTS, side="left")
    school_count = school_stop - school_start
    step = 1 + np.floor(u_partner * (school_count - 1)).astype(np.int64)
    partner = school_start + (teacher - school_start + step) % school_count
    quality, uptake = normal(draws.stream(Draw.TEACHERS), (staff.people, 2)).T
    person = staff.person[teacher]
    return Classes(
        person, staff.person[partner], quality[person], uptake[person], staff.experience[teacher]
    )


def staff_ids(years: list[StaffYear]) -> NDArray[np.object_]:
    """Return identifiers of all persons: T0001 and so on."""
    count = years[-1].people
    width = max(4, len(str(count)))
    return np.array([f"T{number:0{width}d}" for number in range(1, count + 1)], dtype=object)


def staff_table(
    years: list[StaffYear],
    school_years: tuple[int, ...],
    schools: Schools,
    ids: NDArray[np.object_],
) -> pd.DataFrame:
    """Return one row per person and school year."""
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "staff_id": ids[staff.person],
                    "school_id": schools.ids[school_of(staff.cell)],
                    "school_year": school_year,
                    "role": role_of(staff.cell),
                    "experience_years": staff.experience,
                }
            )
            for staff, school_year in zip(years, school_years, strict=True)
        ],
        ignore_index=True,
    )


def roster_table(
    rolls: list[Enrollment],
    teaching: list[Classes],
    schools: Schools,
    ids: NDArray[np.object_],
    teacher_ids: NDArray[np.object_],
) -> pd.DataFrame:
    """Return one row per student-year: the class teacher at the first school."""
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "student_id": ids[roll.student],
                    "staff_id": teacher_ids[classes.teacher],
                    "school_id": schools.ids[roll.school],
                    "school_year": roll.school_year,
                }
            )
            for roll, classes in zip(rolls, teaching, strict=True)
        ],
        ignore_index=True,
    )
