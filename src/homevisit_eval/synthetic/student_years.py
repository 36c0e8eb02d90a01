"""Student-years of a simulation: what the panel would measure."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.synthetic.attendance import PARTIAL, TARDY, TRUANT_DAYS, UNEXCUSED
from homevisit_eval.synthetic.calendars import count_positions
from homevisit_eval.synthetic.incidents import suspended
from homevisit_eval.synthetic.school_year import SchoolYear
from homevisit_eval.synthetic.schools import Schools
from homevisit_eval.synthetic.students import RACES, Students, household_ids
from homevisit_eval.synthetic.surveys import SCALES, SurveyAnswers, scale_scores

__all__ = ["student_year_table"]

THOUSANDTHS = 1000  # of a scale point, in which the panel adds scores up
AGE_IN_KINDERGARTEN = 5.5

Floats = NDArray[np.float64]
Columns = dict[str, NDArray[np.generic]]


def student_year_table(
    years: list[SchoolYear],
    answers: list[SurveyAnswers],
    students: Students,
    schools: Schools,
    ids: NDArray[np.object_],
) -> pd.DataFrame:
    """Return one row per student and school year with the measures of the panel.

    The columns have the panel's names and meaning, at its default rules of measurement;
    ``visited_before_year`` is 1 after a completed FEP or FEC visit.
    """
    households = household_ids(students)
    parts = [
        _measures(year, students, households, schools, ids) | _scales(year, given)
        for year, given in zip(years, answers, strict=True)
    ]
    return pd.concat([pd.DataFrame(columns) for columns in parts], ignore_index=True)


def _measures(
    year: SchoolYear,
    students: Students,
    households: NDArray[np.object_],
    schools: Schools,
    ids: NDArray[np.object_],
) -> Columns:
    who = year.roll.student
    columns: Columns = {"student_id": ids[who], "school_year": _filled(year, year.roll.school_year)}
    columns |= _enrollment(year, schools) | _attendance(year) | _discipline(year) | _scores(year)
    columns |= _person(year, students, households)
    columns["visited_before_year"] = year.summer.visited.astype(np.int64)
    return columns


def _filled(year: SchoolYear, value: int) -> NDArray[np.int64]:
    return np.full(len(year.roll.student), value, dtype=np.int64)


def _enrollment(year: SchoolYear, schools: Schools) -> Columns:
    roll, calendar = year.roll, year.calendar
    zero = schools.ids[roll.school].copy()
    zero[~roll.at_time_zero] = None
    counted = count_positions(calendar)
    first = (roll.start <= counted[roll.school]) & (counted[roll.school] <= roll.stop)
    later = (roll.second_school >= 0) & (roll.second_start <= counted[roll.second_school])
    on_date = np.select([first, later], [schools.ids[roll.school], schools.ids[roll.second_school]])
    on_date[~(first | later)] = None
    begins = np.where(roll.at_time_zero, calendar.first[roll.school], calendar.first.min())
    ends = calendar.last[roll.school]
    ends = np.where(
        roll.second_school >= 0, np.maximum(ends, calendar.last[roll.second_school]), ends
    )
    return {
        "grade": np.maximum(roll.grade, -1),
        "school_id": zero,
        "school_id_count_date": on_date,
        "schools_attended": 1 + (roll.second_school >= 0),
        "first_instructional_day": calendar.dates[begins].astype("datetime64[s]"),
        "last_instructional_day": calendar.dates[ends].astype("datetime64[s]"),
        "days_enrolled": roll.days,
    }


def _attendance(year: SchoolYear) -> Columns:
    absences, happened, n = year.chance.absences, year.conduct.absent, len(year.roll.student)
    row, category = absences.row[happened], absences.category[happened]
    quarters, days = absences.quarters[happened], year.roll.days
    partial = np.bincount(row[category == PARTIAL], quarters[category == PARTIAL], n) / 4
    full = np.bincount(row, quarters == 4, n)
    tardy = np.bincount(row[category == TARDY], minlength=n)
    unexcused = np.bincount(row[category == UNEXCUSED], minlength=n)
    absent = full + partial
    return {
        "days_absent": absent,
        "days_excused": full - unexcused,
        "days_unexcused": unexcused.astype(np.float64),
        "days_unexcused_full": unexcused,
        "days_tardy": tardy,
        "attendance_rate": 1 - absent / days,
        "on_time_attendance_rate": 1 - (absent + tardy) / days,
        "chronic_absence": (absent * 10 > days).astype(np.int64),
        "chronic_truancy": (unexcused >= TRUANT_DAYS).astype(np.int64),
    }


def _discipline(year: SchoolYear) -> Columns:
    events, n, incidents = year.events, len(year.roll.student), year.conduct.incidents
    out = suspended(events)
    return {
        "incidents": incidents,
        "any_incident": (incidents > 0).astype(np.int64),
        "any_serious_incident": np.bincount(events.row, events.serious, n).astype(bool) * 1,
        "any_suspension": np.bincount(events.row, out, n).astype(bool) * 1,
        "days_suspended": np.bincount(events.row, events.days * out, n),
    }


def _scores(year: SchoolYear) -> Columns:
    return {
        name: _standardized(year.scores.scale_score[k], year.scores.tested[k], year.roll.grade)
        for k, name in enumerate(("math_score_std", "reading_score_std"))
    }


def _standardized(
    points: NDArray[np.int64], tested: NDArray[np.bool_], grade: NDArray[np.int64]
) -> Floats:
    """Return scores in SDs from the mean of the grade, by the panel's sums, to the last digit."""
    standardized = np.full(len(points), np.nan)
    for value in np.unique(grade[tested]):
        rows = np.flatnonzero(tested & (grade == value))
        above = THOUSANDTHS * (points[rows] - points[rows].min())
        n, total, squares = len(rows), float(above.sum()), float((above**2).sum())
        variance = (squares - total * total / n) / max(n - 1, 1)
        if variance > 0:
            standardized[rows] = (above - total / n) / np.sqrt(variance)
    return standardized


def _scales(year: SchoolYear, answers: SurveyAnswers) -> Columns:
    """Return scales of the survey of those whom an answer names, by the panel's sums."""
    scores = scale_scores(answers)
    standardized = np.full((len(SCALES), len(year.roll.student)), np.nan)
    each = (scores.above - scores.mean) / np.sqrt(scores.variance)
    standardized[:, answers.row[answers.named]] = each[answers.named].T
    return dict(zip(SCALES, standardized, strict=True))


def _person(year: SchoolYear, students: Students, households: NDArray[np.object_]) -> Columns:
    roll, status, who = year.roll, year.status, year.roll.student
    fall = np.datetime64(f"{roll.school_year - 1}-09-30")
    age = (fall - students.birth[who]).astype(np.int64) / 365.25
    flags = {
        "at_risk": status.at_risk,
        "english_learner": status.english_learner,
        "disability": status.disability,
        "homeless": status.homeless,
        "economically_disadvantaged": status.economically_disadvantaged,
    }
    return {
        "sex": np.where(students.male[who], "male", "female").astype(object),
        "race_ethnicity": np.array(RACES, dtype=object)[students.race[who]],
        "household_id": households[who],
        "age": age,
        "age_for_grade": age - (np.maximum(roll.grade, -1) + AGE_IN_KINDERGARTEN),
        **{name: flag.astype(np.int64) for name, flag in flags.items()},
    }
