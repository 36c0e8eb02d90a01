"""Survey answers about family engagement, which visits do not change."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.synthetic.draws import Draw, Draws, normal
from homevisit_eval.synthetic.enrollment import Enrollment
from homevisit_eval.synthetic.parameters import District

__all__ = ["survey_table"]

SCALES = ("engagement_at_school", "involvement_at_home")
ITEMS = 4
LOADING = 0.75
CUTS = (-1.6, -0.9, -0.1, 0.9)
UNANSWERED = 0.04
ANONYMOUS = 0.05

Integers = NDArray[np.int64]


def survey_table(
    district: District, rolls: list[Enrollment], ids: NDArray[np.object_], draws: Draws
) -> pd.DataFrame:
    """Return one row per respondent and item: grades 3 to 5, answers 1 to 5, some missing."""
    parts, first = [], 0
    for roll in rolls:
        stream = draws.stream(Draw.SURVEYS, roll.school_year)
        n = len(roll.student)
        asked = (roll.grade >= 3) & (roll.grade <= 5) & ~roll.ends
        row = np.flatnonzero(asked & (stream.random(n) < district.survey_share))
        count = len(row)
        trait = normal(stream, (count, len(SCALES)))
        noise = normal(stream, (count, len(SCALES), ITEMS))
        latent = LOADING * trait[:, :, None] + np.sqrt(1 - LOADING**2) * noise
        response = (1.0 + np.searchsorted(CUTS, latent)).ravel()
        response[stream.random(response.size) < UNANSWERED] = np.nan
        named = ids[roll.student[row]]
        named[stream.random(count) < ANONYMOUS] = None
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
                    "response": pd.array(response, dtype="Float64").astype("Int64"),
                }
            )
        )
        first += count
    return pd.concat(parts, ignore_index=True)
