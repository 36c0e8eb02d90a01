"""Survey answers about family engagement: who answers, what, and how visits change it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.synthetic.draws import Draw, Draws, normal
from homevisit_eval.synthetic.enrollment import Enrollment
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.school_year import SchoolYear

__all__ = [
    "CUTS",
    "ITEMS",
    "LOADING",
    "MILLIONTHS",
    "SCALES",
    "ScaleScores",
    "SurveyAnswers",
    "asked",
    "rise",
    "scale_scores",
    "survey_answers",
    "survey_table",
]

SCALES = ("engagement_at_school", "involvement_at_home")
ITEMS = 4
LOADING = 0.75
CUTS = (-1.6, -0.9, -0.1, 0.9)
UNANSWERED = 0.04
ANONYMOUS = 0.05
GRADES_ASKED = (3, 5)
MILLIONTHS = 10**6  # of a response point, in which the panel adds scores up

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class SurveyAnswers:
    """The answers of the m respondents of one school year, at most one a student.

    Parameters
    ----------
    row
        Shape (m,), the student-year that each is about.
    response
        Shape (m, 2, 4), 1 to 5 by scale and item, NaN where not answered.
    named
        Shape (m,), whether the answers name the student.
    """

    row: Integers
    response: Floats
    named: Booleans


@dataclass(frozen=True, slots=True, eq=False)
class ScaleScores:
    """The scores of the m respondents of one school year, in millionths of a response point.

    Parameters
    ----------
    above
        Shape (m, 2), score less `lowest`, NaN where fewer than half of the items are answered.
    lowest, mean, variance
        Shape (2,), of all respondents: the lowest score, and mean and variance of `above`; NaN
        where there are not two unequal scores.
    """

    above: Floats
    lowest: Floats
    mean: Floats
    variance: Floats


def asked(roll: Enrollment) -> Booleans:
    """Return whose family is asked, shape (n,): grades 3 to 5, still there in spring."""
    low, high = GRADES_ASKED
    return np.asarray((roll.grade >= low) & (roll.grade <= high) & ~roll.ends)


def rise(district: District, lived: SchoolYear, visited: Booleans) -> Floats:
    """Return by how many SDs the mean of the latent trait is above average, shape (n,)."""
    risk = lived.status.at_risk
    return np.asarray(district.effects.engagement * visited - district.survey_at_risk * risk)


def survey_answers(district: District, lived: SchoolYear, draws: Draws) -> SurveyAnswers:
    """Return who answers in a school year, and what.

    Both scales have a latent trait of their own. An item is the trait, with loading .75, and
    noise, cut at four points; 4 % of the items are left out.
    """
    roll, visited = lived.roll, lived.summer.visited
    stream = draws.stream(Draw.SURVEYS, roll.school_year)
    answers = stream.random(len(roll.student)) < _probability(district, lived)
    row = np.flatnonzero(asked(roll) & answers)
    count = len(row)
    trait = normal(stream, (count, len(SCALES))) + rise(district, lived, visited)[row, None]
    noise = normal(stream, (count, len(SCALES), ITEMS))
    latent = LOADING * trait[:, :, None] + np.sqrt(1 - LOADING**2) * noise
    response = 1.0 + np.searchsorted(CUTS, latent)
    left_out = stream.random(response.size) < UNANSWERED
    response[left_out.reshape(response.shape)] = np.nan
    return SurveyAnswers(row, response, stream.random(count) >= ANONYMOUS)


def _probability(district: District, lived: SchoolYear) -> Floats:
    """Return the probability that a family answers, if it is asked, shape (n,)."""
    share, selective = district.survey_share, district.survey_selective
    reasons = lived.status.at_risk.astype(np.float64) + lived.summer.visited
    odds = share * np.exp(selective * reasons)
    return np.where(selective * reasons == 0, share, odds / (1 - share + odds))


def scale_scores(answers: SurveyAnswers) -> ScaleScores:
    """Return the scores of a year's respondents by the panel's sums, to the last digit."""
    given = (~np.isnan(answers.response)).sum(axis=2)
    total = np.nansum(answers.response, axis=2)
    scored = 2 * given >= ITEMS
    score = np.where(scored, np.rint(total * MILLIONTHS / np.maximum(given, 1)), np.nan)
    n_scales = len(SCALES)
    lowest, mean, variance = (np.full(n_scales, np.nan) for _ in range(3))
    for scale in range(n_scales):
        values = score[scored[:, scale], scale]
        if len(values) < 2 or values.min() == values.max():
            continue
        above = (values - values.min()).astype(np.int64)
        n, sum_, squares = len(above), float(above.sum()), float((above**2).sum())
        lowest[scale], mean[scale] = values.min(), sum_ / n
        variance[scale] = (squares - sum_ * sum_ / n) / (n - 1)
    return ScaleScores(score - lowest, lowest, mean, variance)


def survey_table(
    rolls: list[Enrollment], answers: list[SurveyAnswers], ids: NDArray[np.object_]
) -> pd.DataFrame:
    """Return one row per respondent and item: grades 3 to 5, answers 1 to 5, some missing."""
    parts, first = [], 0
    for roll, given in zip(rolls, answers, strict=True):
        count = len(given.row)
        named = ids[roll.student[given.row]]
        named[~given.named] = None
        each = np.repeat(np.arange(count), len(SCALES) * ITEMS)
        numbers = np.array([f"R{first + k + 1:05d}" for k in range(count)], dtype=object)
        scale = np.tile(np.repeat(np.array(SCALES, dtype=object), ITEMS), count)
        item = np.tile(np.arange(1, ITEMS + 1), count * len(SCALES))
        parts.append(
            pd.DataFrame(
                {
                    "respondent_id": numbers[each],
                    "student_id": named[each],
                    "school_year": roll.school_year,
                    "scale": scale,
                    "item": np.array([f"q{k}" for k in range(ITEMS + 1)], dtype=object)[item],
                    "response": pd.array(given.response.ravel(), dtype="Float64").astype("Int64"),
                }
            )
        )
        first += count
    return pd.concat(parts, ignore_index=True)
