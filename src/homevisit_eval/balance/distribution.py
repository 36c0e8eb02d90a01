"""One column of the two groups, before and after matching: what figures of it draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.balance.characteristics import PROPENSITY, covariate_unit
from homevisit_eval.balance.published import GroupWords
from homevisit_eval.balance.sizes import weights_after, weights_before
from homevisit_eval.disclosure import shown_count
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching.frame import check_columns, is_factor, read_treatment
from homevisit_eval.matching.matched_sample import MatchedSample, Matches
from homevisit_eval.table import PERCENT

__all__ = ["Distribution", "frame_distribution", "sample_distribution"]

SCORE_LABELS = {
    "propensity_score": "Propensity score",
    PROPENSITY: "Linear propensity score",
}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Distribution:
    """A column of numbers in two groups, with weights before and after matching.

    Attributes
    ----------
    name, label
        The column, and what it is called in print.
    values : array of shape (n,)
        Rows where it is measured.
    treated : array of bool, shape (n,)
    before, after : arrays of shape (n,)
        Weights, at least 0.
    words
        What the groups and their units are called.
    percent
        Whether values are fractions that are printed as percents.
    bounded
        Whether values lie between 0 and 1, as a propensity score does.
    synthetic
        Whether the data are.
    """

    name: str
    label: str
    values: NDArray[np.float64]
    treated: NDArray[np.bool_]
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    words: GroupWords
    percent: bool = False
    bounded: bool = False
    synthetic: bool = False

    def __repr__(self) -> str:
        """Show the name and counts, no rows."""
        counts = [shown_count(int((self.treated == group).sum())) for group in (True, False)]
        return (
            f"Distribution({self.name!r}: {counts[0]} {self.words.treated} and {counts[1]} "
            f"{self.words.comparison} {self.words.units})"
        )


def sample_distribution(matched: MatchedSample, column: str = "propensity_score") -> Distribution:
    """Return a baseline column of a matched sample, or its score, for a figure.

    Parameters
    ----------
    matched
        A matched sample.
    column
        A baseline column of numbers, ``"propensity_score"`` or ``"linear_propensity_score"``.

    Raises
    ------
    MatchingError
        If there is no such column.
    EstimationError
        If it holds categories, or no score was made.
    """
    sample = matched.sample
    labels = {covariate.name: covariate.label for covariate in sample.adjusted_for}
    values = _values(sample.baseline, matched.matches, column)
    return _distribution(
        column,
        SCORE_LABELS.get(column, labels.get(column, column)),
        values,
        sample.baseline["visited"].to_numpy() == 1,
        matched.matches,
        words=GroupWords("visited", "comparison", "student-years"),
        percent=covariate_unit(column) == PERCENT,
        synthetic=sample.synthetic,
    )


def frame_distribution(
    frame: pd.DataFrame, matches: Matches, *, treated: str, column: str = "propensity_score"
) -> Distribution:
    """Return a column of a data frame that was matched, or its score, for a figure.

    Parameters
    ----------
    frame
        The data frame that was matched.
    matches
        What `match_frame` returned for it.
    treated
        The column that is 1 for treated and 0 for comparison units.
    column
        A column of numbers, ``"propensity_score"`` or ``"linear_propensity_score"``.

    Raises
    ------
    MatchingError
        If there is no such column, or `treated` is not 0/1.
    EstimationError
        If it holds categories, no score was made, or the matches are those of another frame.
    """
    check_columns(frame, [treated], "treated")
    if not matches.weights.index.equals(frame.index):
        raise EstimationError(
            "matches: its row labels differ from those of the data frame. Give the frame that was "
            "matched, with its rows in the same order."
        )
    return _distribution(
        column,
        SCORE_LABELS.get(column, column.replace("_", " ")),
        _values(frame, matches, column),
        read_treatment(frame, treated) == 1,
        matches,
        words=GroupWords("treated", "comparison", "units"),
        percent=False,
        synthetic=False,
    )


def _values(frame: pd.DataFrame, matches: Matches, column: str) -> NDArray[np.float64]:
    if column in SCORE_LABELS:
        linear = column == PROPENSITY
        scores = matches.linear_propensity_score if linear else matches.propensity_score
        if scores is None:
            raise EstimationError(
                f"{column}: this matching made no propensity score. Give the name of a column."
            )
        return scores.to_numpy(dtype=np.float64)
    check_columns(frame, [column], "column")
    if is_factor(frame[column]):
        raise EstimationError(
            f"column {column!r} holds categories or dates, which have no distribution function. "
            "Give a column of numbers; the love plot shows categories."
        )
    return frame[column].to_numpy(dtype=np.float64, na_value=np.nan)


def _distribution(
    name: str,
    label: str,
    values: NDArray[np.float64],
    treated: NDArray[np.bool_],
    matches: Matches,
    *,
    words: GroupWords,
    percent: bool,
    synthetic: bool,
) -> Distribution:
    has = np.isfinite(values)
    return Distribution(
        name=name,
        label=label,
        values=values[has],
        treated=treated[has],
        before=weights_before(matches)[has],
        after=weights_after(matches)[has],
        words=words,
        percent=percent,
        bounded=name == "propensity_score",
        synthetic=synthetic,
    )
