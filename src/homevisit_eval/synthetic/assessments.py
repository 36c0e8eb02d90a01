"""Test scores: DC CAS to 2014 (from grade 2), PARCC from 2015 (grades 3 to 8)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.synthetic.draws import Draw, Draws
from homevisit_eval.synthetic.enrollment import Enrollment, grade_codes
from homevisit_eval.synthetic.outcomes import Conduct
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.students import Students

__all__ = ["SUBJECTS", "Scores", "assessment_table", "score"]

LAST_DC_CAS = 2014
SUBJECTS = ("math", "reading")

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Scores of the student-years of one school year, shape (2, n): mathematics, reading.

    Parameters
    ----------
    tested
        Whether there is a score.
    scale_score
        Whole numbers, 0 where not tested.
    mean, sd
        Of the tested students of the same grade and year, NaN in grades without a test.
    scale
        Shape (n,), points on the scale for one SD before standardization.
    center
        Shape (n,), the scale score of an average student.
    """

    tested: Booleans
    scale_score: Integers
    mean: Floats
    sd: Floats
    scale: Floats
    center: Floats

    def standardized(self, subject: int, rows: Integers, latent: Floats) -> Floats:
        """Return what the panel makes of scores of `rows`, `latent` SDs above the average."""
        points = self.center[rows] + self.scale[rows] * latent
        return np.asarray((points - self.mean[subject, rows]) / self.sd[subject, rows])


def score(
    district: District, students: Students, roll: Enrollment, conduct: Conduct, draws: Draws
) -> Scores:
    """Return the scores of a year."""
    n, year, grade = len(roll.student), roll.school_year, roll.grade
    dc_cas = year <= LAST_DC_CAS
    has_test = (grade >= (2 if dc_cas else 3)) & (grade <= 8)
    scale = np.full(n, 13.0 if dc_cas else 28.0)
    center = 50.0 + 100 * grade.astype(np.float64) if dc_cas else np.full(n, 740.0)
    low, high = (100.0 * grade, 100.0 * grade + 99) if dc_cas else (650.0, 850.0)
    latent = np.stack([conduct.math, conduct.reading])
    scale_score = np.clip(np.rint(center + scale * latent), low, high)
    missing = district.achievement.missing * np.exp(0.4 * students.absence[roll.student])
    there = has_test & ~roll.ends & (roll.days >= 40)
    tested = there & (draws.stream(Draw.TEST_TAKING, year).random((2, n)) >= missing)
    mean, sd = np.full((2, n), np.nan), np.full((2, n), np.nan)
    for subject in range(2):
        for value in np.unique(grade[has_test]):
            taken = scale_score[subject, tested[subject] & (grade == value)]
            if len(taken) > 1:
                mean[subject, grade == value] = taken.mean()
                sd[subject, grade == value] = taken.std(ddof=1)
    kept = np.where(tested, scale_score, 0).astype(np.int64)
    return Scores(tested, kept, mean, sd, scale, center)


def _performance_level(scale_score: Integers, dc_cas: bool, grade: Integers) -> Integers:
    """Return level 1 to 5 (PARCC, DC's cut scores) or 1 to 4 (quarters of the DC CAS scale)."""
    if dc_cas:
        return 1 + np.searchsorted([40, 55, 70], scale_score - 100 * grade, side="right")
    return 1 + np.searchsorted([700, 725, 750, 790], scale_score, side="right")


def assessment_table(roll: Enrollment, scores: Scores, ids: NDArray[np.object_]) -> pd.DataFrame:
    """Return one row per student and subject of one school year."""
    dc_cas = roll.school_year <= LAST_DC_CAS
    row, subject = np.nonzero(scores.tested.T)
    points = scores.scale_score[subject, row]
    return pd.DataFrame(
        {
            "student_id": ids[roll.student[row]],
            "school_year": roll.school_year,
            "instrument": np.full(len(row), "dc_cas" if dc_cas else "parcc", dtype=object),
            "subject": np.array(SUBJECTS, dtype=object)[subject],
            "grade": grade_codes(roll.grade[row]),
            "scale_score": points,
            "performance_level": _performance_level(points, dc_cas, roll.grade[row]),
        }
    )
