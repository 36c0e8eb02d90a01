"""What a visit before one school year changes in the years after it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.design.questions import LaterVisits
from homevisit_eval.errors import DesignError
from homevisit_eval.synthetic.draws import Draws
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.school_year import SchoolYear
from homevisit_eval.synthetic.simulate import simulate_years
from homevisit_eval.synthetic.students import student_ids
from homevisit_eval.synthetic.truths import expected_of_rows, standardized

__all__ = ["follow_up_truth"]

LONGEST = 3

Floats = NDArray[np.float64]


def follow_up_truth(
    district: District,
    seed: int,
    *,
    replications: int = 20,
    later_visits: LaterVisits = "natural_course",
) -> pd.DataFrame:
    """Return expected outcomes in later years with and without the visit before one year.

    Parameters
    ----------
    district, seed
        As given to `simulate`.
    replications
        How often the years from the visit on are drawn; the expected values are means over
        them, with a Monte Carlo error. Both worlds share every random number.
    later_visits
        Whether later visits take their natural course in the world without the visit, or there
        are none in it from that year on (``"none"``). In the world with the visit they take it.

    Returns
    -------
    DataFrame
        One row for each visited student-year in ``truth_grades`` and ``truth_years`` and each
        later year (``follow_up`` 1 to 3) in which the student is enrolled: ``student_id,
        school_year`` (of the visit), ``follow_up``, and for each outcome ``_m1`` and ``_m0``. In
        the world without the visit nobody is visited before that year: where classmates gain, the
        difference is the total effect.

    Raises
    ------
    DesignError
        If `replications` is less than 1, or no year follows one of ``truth_years``.
    """
    if replications < 1:
        raise DesignError(f"replications must be 1 or greater; it is {replications}.")
    years = [year for year in district.truth_years if year < district.school_years[-1]]
    if not years:
        raise DesignError("a truth of later years needs a later school year in the district.")
    parts = [_after(district, seed, year, replications, later_visits) for year in years]
    return pd.concat([rows for part in parts for rows in part], ignore_index=True)


def _after(
    district: District, seed: int, visit_year: int, replications: int, later_visits: LaterVisits
) -> list[pd.DataFrame]:
    """Return one frame for each later year."""
    none = later_visits == "none"
    first = district.school_years.index(visit_year)
    later = range(first + 1, min(first + 1 + LONGEST, len(district.school_years)))
    sums: dict[int, dict[str, Floats]] = {}
    for replication in range(1, replications + 1):
        draws = Draws(seed, visit_year, replication, keep_first_summer=True)
        _, students, visited = simulate_years(district, draws)
        _, _, never = simulate_years(
            district,
            draws,
            no_summer_visits_in=visit_year,
            no_visits_from=visit_year if none else 0,
        )
        start = visited[first]
        asked = start.summer.visited & np.isin(start.roll.grade, district.truth_grades)
        for at in later:
            rows = np.flatnonzero(np.isin(visited[at].roll.student, start.roll.student[asked]))
            for regime, world in (("1", visited[at]), ("0", never[at])):
                unvisited = none and regime == "0"
                expected = _expected(district, world, visited[at], rows, unvisited=unvisited)
                for name, values in expected.items():
                    total = sums.setdefault(at, {})
                    column = f"{name}_m{regime}"
                    total[column] = total.get(column, 0) + values / replications
    ids = student_ids(len(students))
    frames = []
    for at, columns in sums.items():
        rows = np.flatnonzero(np.isin(visited[at].roll.student, start.roll.student[asked]))
        key = {
            "student_id": ids[visited[at].roll.student[rows]],
            "school_year": np.full(len(rows), visit_year),
            "follow_up": np.full(len(rows), at - first),
        }
        frames.append(pd.DataFrame({**key, **columns}))
    return frames


def _expected(
    district: District,
    lived: SchoolYear,
    scale: SchoolYear,
    rows: NDArray[np.int64],
    *,
    unvisited: bool,
) -> dict[str, Floats]:
    """Return expected outcomes of a year under the visits that are made before it.

    Parameters
    ----------
    scale
        The year whose tested students set the scale of scores.
    unvisited
        Whether there are no visits during the year either; else they take their natural course.
    """
    expected = standardized(expected_of_rows(district, lived, rows), scale, rows)
    if unvisited:
        return expected["u"]
    visited = lived.summer.visited[rows]
    with_visit, without = expected["1"], expected["0"]
    return {name: np.where(visited, with_visit[name], without[name]) for name in with_visit}
