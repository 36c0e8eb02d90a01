"""The truth of teacher mobility: the probability of staying with and without visits, by person."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.errors import DesignError
from homevisit_eval.synthetic.draws import Draws
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.school_year import SchoolYear, leaving_after
from homevisit_eval.synthetic.schools import Schools
from homevisit_eval.synthetic.simulate import simulate_years
from homevisit_eval.synthetic.staff import (
    SLOTS,
    leaving_probability,
    most_kept,
    posts,
    role_of,
    school_of,
    staff_ids,
    visitors,
)

__all__ = ["teacher_truth"]

DIGITS = 5

Floats = NDArray[np.float64]


def teacher_truth(district: District, seed: int) -> pd.DataFrame:
    """Return who on staff visited before a school year, and the probability of staying after it.

    Parameters
    ----------
    district
        Its parameters.
    seed
        As for `simulate`; the rows are those of its staff list, all roles.

    Returns
    -------
    DataFrame, one row a member of staff and school year
        Of the ``truth_years`` after which there is another year. ``staff_id, school_year,
        school_id, role``; ``visited_before_year`` (0/1): made a completed FEP or FEC visit; and
        the probabilities of being on the list of the same school (``retained_in_school``) and
        of any (``retained_in_district``) in the next year, if the person had made a visit
        (``_m1``) and had made none (``_m0``), all others doing as they did.

    Raises
    ------
    DesignError
        If no truth year is followed by a school year of the district.

    Notes
    -----
    Probabilities are given everybody's visits and the next year's enrollment, and exact. A person
    leaves, goes to another school at random, or stays; of those who then are at a school for one
    grade or post, those longest on staff are kept, at most as many as `most_kept`. How many of
    these there are is a sum of independent 0/1 variables (Poisson binomial), whose distribution
    is built up person by person.
    """
    years = simulate_years(district, Draws(seed))
    schools, _, lived = years
    known = [
        (year, after)
        for year, after in pairwise(lived)
        if year.roll.school_year in district.truth_years
    ]
    if not known:
        raise DesignError(
            "truth_years: none of them is followed by a school year of the district, so nobody is "
            "known to stay. Add a school year after them."
        )
    ids = staff_ids([year.staff for year in lived])
    parts = [_year_truth(district, schools, year, after, ids) for year, after in known]
    return pd.concat(parts, ignore_index=True)


def _year_truth(
    district: District,
    schools: Schools,
    lived: SchoolYear,
    after: SchoolYear,
    ids: NDArray[np.object_],
) -> pd.DataFrame:
    staff, staffing = lived.staff, district.staffing
    school = school_of(staff.cell)
    count = posts(schools, after.roll)
    made = visitors(staff, lived.classes, lived.summer.visited)
    arrives = _arrivals(staff.cell, count, len(schools.ids))
    natural = _where(leaving_after(district, lived), staffing.move, school, arrives)
    kept = _kept(staff.person, staff.cell, natural, most_kept(count))
    columns = {
        "staff_id": ids[staff.person],
        "school_year": np.full(len(school), lived.roll.school_year),
        "school_id": schools.ids[school],
        "role": role_of(staff.cell),
        "visited_before_year": made.astype(np.int64),
    }
    row = np.arange(len(school))
    for regime, visited in (("1", True), ("0", False)):
        everyone = np.full(len(school), visited)
        leave = leaving_probability(staffing, staff, everyone, district.effects.retention)
        stays = _where(leave, staffing.move, school, arrives) * kept
        columns[f"retained_in_school_m{regime}"] = np.round(stays[row, school], DIGITS)
        columns[f"retained_in_district_m{regime}"] = np.round(stays.sum(axis=1), DIGITS)
    return pd.DataFrame(columns)


def _arrivals(cell: NDArray[np.int64], count: NDArray[np.int64], schools: int) -> Floats:
    """Return the chance that who moves goes to each school, shape (t, S); the rest stays put."""
    there = np.arange(schools)[None, :] * SLOTS + (cell % SLOTS)[:, None]
    return np.asarray((count[there] > 0) / schools, dtype=np.float64)


def _where(leave: Floats, move: float, school: NDArray[np.int64], arrives: Floats) -> Floats:
    """Return the probability of wanting to be at each school in the next year, shape (t, S)."""
    wants = move * arrives
    wants[np.arange(len(school)), school] += 1 - leave - move * arrives.sum(axis=1)
    return wants


def _kept(
    person: NDArray[np.int64], cell: NDArray[np.int64], wants: Floats, most: NDArray[np.int64]
) -> Floats:
    """Return the probability of being kept at each school, for who wants to be there, (t, S).

    It is that of fewer than `most` others of the same grade or post there with a lower number,
    who have been on staff longer.
    """
    schools = wants.shape[1]
    kept = np.zeros_like(wants)
    for slot in np.unique(cell % SLOTS):
        limit = most[np.arange(schools) * SLOTS + slot]
        rows = np.flatnonzero(cell % SLOTS == slot)
        number = np.zeros((schools, int(limit.max()) + 1))  # more than the limit need not be told
        number[:, 0] = 1.0
        within = np.arange(number.shape[1]) < limit[:, None]
        for row in rows[np.argsort(person[rows])]:
            kept[row] = (number * within).sum(axis=1)
            comes = wants[row][:, None]
            number[:, 1:] = number[:, 1:] * (1 - comes) + number[:, :-1] * comes
            number[:, :1] *= 1 - comes
    return kept
