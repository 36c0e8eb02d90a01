"""The truth of the family survey: the expected score of each student with and without a visit."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from homevisit_eval.errors import DesignError
from homevisit_eval.synthetic.draws import Draws
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.school_year import SchoolYear
from homevisit_eval.synthetic.simulate import simulate_years
from homevisit_eval.synthetic.students import student_ids
from homevisit_eval.synthetic.surveys import (
    CUTS,
    LOADING,
    MILLIONTHS,
    SCALES,
    asked,
    rise,
    scale_scores,
    survey_answers,
)

__all__ = ["survey_truth"]

DIGITS = 4

Floats = NDArray[np.float64]


def survey_truth(district: District, seed: int, *, replication: int = 0) -> pd.DataFrame:
    r"""Return the expected scales of the family survey under each regime.

    Parameters
    ----------
    district, seed, replication
        As given to `simulate`.

    Returns
    -------
    DataFrame
        One row for each student-year in ``truth_grades`` and ``truth_years`` whose family is
        asked, whether or not it answers: ``student_id, school_year, visited_before_year``, and
        for ``engagement_at_school`` and ``involvement_at_home`` the expected score with
        (``_m1``) and without (``_m0``) a FEP or FEC visit before the year, in SDs of the year's
        respondents as in the panel; NaN where nobody's score can be standardized.

    Raises
    ------
    DesignError
        If no truth grade is asked, or `replication` is negative.

    Notes
    -----
    An answer is 1 plus the number of cut points c below a normal variable with mean
    :math:`\lambda d` and variance 1, where d is the rise of the trait and :math:`\lambda` the
    loading: its mean is :math:`1 + \sum_c \Phi(\lambda d - c)`. Items are alike and left out
    by chance, so the mean of those answered has the same expectation. The mean and SD that
    standardize are those of the respondents that there are.
    """
    if replication < 0:
        raise DesignError(f"replication must be 0 or greater; it is {replication}.")
    draws = Draws(seed, district.truth_years[0] if replication else 0, replication)
    _, students, years = simulate_years(district, draws)
    ids = student_ids(len(students))
    kept = [year for year in years if year.roll.school_year in district.truth_years]
    made = pd.concat([_year_truth(district, year, ids, draws) for year in kept], ignore_index=True)
    if not len(made):
        raise DesignError("truth_grades: the family survey asks grades 3 to 5 only; add one.")
    return made


def _year_truth(
    district: District, year: SchoolYear, ids: NDArray[np.object_], draws: Draws
) -> pd.DataFrame:
    roll = year.roll
    rows = np.flatnonzero(asked(roll) & np.isin(roll.grade, district.truth_grades))
    scores = scale_scores(survey_answers(district, year, draws))
    table = {
        "student_id": ids[roll.student[rows]],
        "school_year": np.full(len(rows), roll.school_year),
        "visited_before_year": year.summer.visited[rows].astype(np.int64),
    }
    everyone = np.ones(len(roll.student), dtype=np.bool_)
    for scale, name in enumerate(SCALES):
        for regime, visited in (("m1", everyone), ("m0", ~everyone)):
            points = MILLIONTHS * _expected_answer(rise(district, year, visited)[rows])
            above = points - scores.lowest[scale]
            standardized = (above - scores.mean[scale]) / np.sqrt(scores.variance[scale])
            table[f"{name}_{regime}"] = np.round(standardized, DIGITS)
    return pd.DataFrame(table)


def _expected_answer(trait: Floats) -> Floats:
    """Return the mean of an answer, 1 to 5, given the mean of the trait, shape (n,)."""
    above = LOADING * trait[:, None] - np.array(CUTS)
    return np.asarray(1.0 + ndtr(above).sum(axis=1))
