"""Defects of test scores: those missing not at random, and second results."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from homevisit_eval.synthetic.draws import normal

__all__ = ["add_retests", "lose_low_scores"]

CELL = ["instrument", "subject", "grade", "school_year"]
STEEPNESS = 1.5
GAIN, NOISE = 0.3, 0.3  # SDs, of a second result
OTHER = "other"


def _standardized(scores: pd.DataFrame) -> pd.Series:
    groups = scores.groupby(CELL)["scale_score"]
    return ((scores["scale_score"] - groups.transform("mean")) / groups.transform("std")).fillna(0)


def lose_low_scores(
    scores: pd.DataFrame, share: float, stream: np.random.Generator
) -> pd.DataFrame:
    """Leave out scores; one z SDs above the mean with probability 2 share / (1 + exp(1.5 z)).

    As many SDs below the mean it is likelier to the same extent, so that `share` are left out.
    """
    chance = 2 * share * expit(-STEEPNESS * _standardized(scores).to_numpy())
    kept: pd.DataFrame = scores[stream.random(len(scores)) >= chance]
    return kept.reset_index(drop=True)


def add_retests(scores: pd.DataFrame, share: float, stream: np.random.Generator) -> pd.DataFrame:
    """Add second results: instrument "other" in the same grade, or the grade below.

    A second result is .3 SDs above the first on average, with an SD of .3 around that. Where no
    test was given in the grade below there is none.
    """
    u_chosen, u_kind = stream.random((2, len(scores)))
    standing = _standardized(scores).to_numpy() + GAIN + NOISE * normal(stream, len(scores))
    below = np.where(u_kind < 0.5, scores["grade"], _grade_below(scores["grade"]))
    cells = scores.groupby(CELL)["scale_score"].agg(["mean", "std", "min", "max"])
    keys = scores[CELL].assign(grade=below)
    of_cell = cells.reindex(pd.MultiIndex.from_frame(keys)).reset_index(drop=True)
    points = of_cell["mean"] + of_cell["std"] * standing
    low, high = (of_cell[name].to_numpy(dtype=np.float64) for name in ("min", "max"))
    points = np.rint(np.clip(points.to_numpy(dtype=np.float64), low, high))
    chosen = (u_chosen < share) & np.isfinite(points)
    other = np.where(u_kind < 0.5, OTHER, scores["instrument"])
    added = scores[chosen].assign(
        instrument=other[chosen],
        grade=below[chosen],
        scale_score=points[chosen].astype(np.int64),
    )
    both: pd.DataFrame = pd.concat([scores, added], ignore_index=True)
    return both


def _grade_below(grade: pd.Series) -> NDArray[np.object_]:
    """Return the codes of the grades below 02 to 12; others are not a grade of a test."""
    codes = {f"{number:02d}": f"{number - 1:02d}" for number in range(2, 13)}
    return np.array([codes.get(code, "") for code in grade], dtype=object)
