"""Yearly status flags: at risk, low income, English learner, disability, homeless."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.synthetic.draws import Draw, Draws
from homevisit_eval.synthetic.enrollment import Enrollment
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.schools import Schools
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
    economically_disadvantaged: Booleans


def make_status(
    district: District, schools: Schools, students: Students, roll: Enrollment, draws: Draws
) -> Status:
    """Return the flags: lasting traits, with some changes from year to year.

    At-risk status comes and goes so that a school's share stays what it is. Everyone at risk
    is economically disadvantaged.
    """
    rules, who = district.families, roll.student
    u_risk, u_homeless = draws.stream(Draw.CHARACTERISTICS, roll.school_year).random((2, len(who)))
    lasting, share = students.at_risk[who], students.at_risk_share[who]
    changes = u_risk < rules.at_risk_change * np.where(lasting, 1 - share, share)
    at_risk = lasting ^ changes
    fluent = rules.fluent_from + (rules.fluent_until - rules.fluent_from) * students.proficiency
    identified = (
        rules.disability
        + rules.disability_male * students.male[who]
        + rules.disability_grade * np.maximum(roll.grade, 0)
    )
    everyone = schools.at_risk_share[roll.school] >= rules.community_eligibility
    return Status(
        at_risk=at_risk,
        english_learner=students.language_at_home[who] & (roll.grade < fluent[who]),
        disability=students.disposition[who] < identified,
        homeless=at_risk & (u_homeless < rules.homeless),
        economically_disadvantaged=at_risk | everyone | students.low_income[who],
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
                    "economically_disadvantaged": status.economically_disadvantaged.astype(
                        np.int64
                    ),
                }
            )
            for roll, status in years
        ],
        ignore_index=True,
    )
