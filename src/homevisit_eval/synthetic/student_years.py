"""Student-years of a simulation: what the panel would measure, and the truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.synthetic.outcomes import (
    expected_any_incident,
    expected_attendance,
    expected_chronic_absence,
)
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.school_year import SchoolYear
from homevisit_eval.synthetic.schools import Schools
from homevisit_eval.synthetic.students import RACES, Students

__all__ = ["student_year_table", "truth_table"]

RATE_DIGITS, SCORE_DIGITS = 5, 4

Floats = NDArray[np.float64]


def student_year_table(
    years: list[SchoolYear], students: Students, schools: Schools, ids: NDArray[np.object_]
) -> pd.DataFrame:
    """Return one row per student and school year with the measures of the panel.

    The columns have the panel's names and meaning; ``visited_before_year`` is 1 after a
    completed FEP or FEC visit.
    """
    return pd.concat([_measures(year, students, schools, ids) for year in years], ignore_index=True)


def _measures(
    year: SchoolYear, students: Students, schools: Schools, ids: NDArray[np.object_]
) -> pd.DataFrame:
    roll, conduct, status = year.roll, year.conduct, year.status
    who, absent = roll.student, conduct.days_absent
    fall = np.datetime64(f"{roll.school_year - 1}-09-30")
    age = (fall - students.birth[who]).astype(np.int64) / 365.25
    school = schools.ids[roll.school].copy()
    school[~roll.at_time_zero] = None
    scores = [
        np.where(
            year.scores.tested[k],
            (year.scores.scale_score[k] - year.scores.mean[k]) / year.scores.sd[k],
            np.nan,
        )
        for k in range(2)
    ]
    return pd.DataFrame(
        {
            "student_id": ids[who],
            "school_year": roll.school_year,
            "grade": np.maximum(roll.grade, -1),
            "school_id": school,
            "schools_attended": 1 + (roll.second_school >= 0),
            "days_enrolled": roll.days,
            "days_absent": absent,
            "days_unexcused": year.unexcused,
            "days_tardy": year.tardies,
            "attendance_rate": 1 - absent / roll.days,
            "chronic_absence": (absent * 10 > roll.days).astype(np.int64),
            "incidents": conduct.incidents,
            "any_incident": (conduct.incidents > 0).astype(np.int64),
            "math_score_std": scores[0],
            "reading_score_std": scores[1],
            "female": (~students.male[who]).astype(np.int64),
            "race_ethnicity": np.array(RACES, dtype=object)[students.race[who]],
            "household": students.household[who],
            "age_for_grade": age - (roll.grade + 5.5),
            "at_risk": status.at_risk.astype(np.int64),
            "english_learner": status.english_learner.astype(np.int64),
            "disability": status.disability.astype(np.int64),
            "visited_before_year": year.summer.visited.astype(np.int64),
        }
    )


def truth_table(
    district: District, years: list[SchoolYear], ids: NDArray[np.object_]
) -> pd.DataFrame:
    """Return the expected and realized outcomes of both regimes for each student-year.

    Columns end in ``_m1`` and ``_m0`` (expected with and without a visit before the year),
    ``_y1`` and ``_y0`` (realized).
    """
    parts = [_truth(district, year, ids) for year in years]
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True)


def _truth(district: District, year: SchoolYear, ids: NDArray[np.object_]) -> pd.DataFrame:
    roll, scores = year.roll, year.scores
    columns: dict[str, NDArray[np.float64]] = {}
    regimes = (("1", year.expected.visited), ("0", year.expected.unvisited))
    for suffix, regime in regimes:
        columns[f"attendance_rate_m{suffix}"] = expected_attendance(district, roll, regime)
        columns[f"any_incident_m{suffix}"] = expected_any_incident(district, regime)
        columns[f"incidents_m{suffix}"] = regime.incidents
        columns[f"chronic_absence_m{suffix}"] = expected_chronic_absence(district, roll, regime)
        columns[f"math_score_std_m{suffix}"] = scores.standardized(0, regime.math)
        columns[f"reading_score_std_m{suffix}"] = scores.standardized(1, regime.reading)
    for suffix, conduct in (("1", year.if_visited), ("0", year.if_unvisited)):
        columns[f"attendance_rate_y{suffix}"] = 1 - conduct.days_absent / roll.days
        columns[f"any_incident_y{suffix}"] = (conduct.incidents > 0).astype(np.float64)
        columns[f"incidents_y{suffix}"] = conduct.incidents.astype(np.float64)
        columns[f"math_score_std_y{suffix}"] = scores.standardized(0, conduct.math)
        columns[f"reading_score_std_y{suffix}"] = scores.standardized(1, conduct.reading)
    keep = np.isin(roll.grade, district.truth_grades)
    keep &= roll.school_year in district.truth_years
    table = pd.DataFrame(
        {
            "student_id": ids[roll.student[keep]],
            "school_year": roll.school_year,
            "visited_before_year": year.summer.visited[keep].astype(np.int64),
        }
    )
    order = (
        "attendance_rate", "any_incident", "incidents", "chronic_absence", "math_score_std",
        "reading_score_std",
    )  # fmt: skip
    for name in order:
        digits = SCORE_DIGITS if name.endswith("std") else RATE_DIGITS
        for suffix in ("m1", "m0", "y1", "y0"):
            if f"{name}_{suffix}" in columns:
                values = columns[f"{name}_{suffix}"][keep]
                whole = suffix[0] == "y" and "incident" in name
                rounded = values.astype(np.int64) if whole else np.round(values, digits)
                table[f"{name}_{suffix}"] = rounded
    return table
