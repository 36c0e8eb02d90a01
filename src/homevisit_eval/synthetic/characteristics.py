"""Yearly status flags: at risk, English learner, disability, homeless."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.synthetic.draws import Draw, Draws
from homevisit_eval.synthetic.enrollment import Enrollment
from homevisit_eval.synthetic.students import Students

__all__ = ["Status", "characteristics_table", "make_status"]

Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Status:
    """Flags of the student-years of one school year, shape (n,) each."""

    at_risk: Booleans
    english_learner: Booleans
    disability: Booleans
    homeless: Booleans


def make_status(students: Students, roll: Enrollment, draws: Draws) -> Status:
    """Return the flags: lasting traits, with some changes from year to year."""
    who = roll.student
    u_risk, u_homeless = draws.stream(Draw.CHARACTERISTICS, roll.school_year).random((2, len(who)))
    at_risk = students.at_risk[who] ^ (u_risk < 0.04)
    leaves_english = 1 + 9 * students.proficiency[who]
    identified = 0.08 + 0.06 * students.male[who] + 0.012 * np.maximum(roll.grade, 0)
    return Status(
        at_risk,
        students.language_at_home[who] & (roll.grade < leaves_english),
        students.disposition[who] < identified,
        at_risk & (u_homeless < 0.06),
    )


def characteristics_table(
    years: list[tuple[Enrollment, Status]], ids: NDArray[np.object_]
) -> pd.DataFrame:
    """Return one row per student and school year."""
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "student_id": ids[roll.student],
                    "school_year": roll.school_year,
                    "at_risk": status.at_risk.astype(np.int64),
                    "english_learner": status.english_learner.astype(np.int64),
                    "disability": status.disability.astype(np.int64),
                    "homeless": status.homeless.astype(np.int64),
                }
            )
            for roll, status in years
        ],
        ignore_index=True,
    )
