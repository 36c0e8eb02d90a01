"""One band of units that share covariates: scores, support, caliper, nearest neighbors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.design import NearestNeighbor
from homevisit_eval.disclosure import shown_count
from homevisit_eval.errors import MatchingError
from homevisit_eval.matching.design_matrix import DesignMatrix, make_design_matrix
from homevisit_eval.matching.matched_sample import PropensityModel
from homevisit_eval.matching.support import find_support
from homevisit_eval.propensity import LogitFit, fit_logit, logit

if TYPE_CHECKING:
    from homevisit_eval.matching.nearest import NearestMatches

__all__ = ["BandMatches", "BandScores", "given_scores", "match_band", "score_band"]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
FloatArray = NDArray[np.float64]

UNITS_PER_ONE = 1e12  # under ties="row" scores are rounded to 12 decimals

NO_COUNTERPART_IN_BAND = "no comparison unit in the band"
PREDICTED = "no comparison unit is like it: its covariates predict treatment with certainty"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BandScores:
    """Propensity scores of a band; NaN for rows off support.

    Attributes
    ----------
    probability, linear : array of shape (n,)
    outside : array of str, shape (n,)
        Why a row has no score; empty if it has one.
    model
        None if the scores were given, or no fit is possible for want of a group.
    notes
        One sentence for each level left out and each column dropped.
    """

    probability: FloatArray
    linear: FloatArray
    outside: NDArray[np.object_]
    model: PropensityModel | None
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Show the model, no rows."""
        return f"BandScores({self.model!r})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BandMatches:
    """Matches within a band, by position.

    Attributes
    ----------
    partner : array of int, shape (n,)
        Position of the match; -1 without.
    reason : array of str, shape (n,)
        For treated rows without a match; else empty.
    scores
        As matched on.
    distances : array of shape (pairs,)
        On the scale of the method's distance.
    tied
        Rows that share a score with another row of their stratum.
    pairs_under_other_rule
        Treated rows whose partner would differ under the other rule for ties.
    """

    partner: Integers
    reason: NDArray[np.object_]
    scores: BandScores
    distances: FloatArray
    tied: int
    pairs_under_other_rule: int

    def __repr__(self) -> str:
        """Show the number of pairs, no rows."""
        return f"BandMatches({len(self.distances)} pairs)"


def given_scores(probability: FloatArray) -> BandScores:
    """Wrap propensity scores that come as data; every row has one."""
    nowhere = np.full(len(probability), "", dtype=object)
    return BandScores(probability, logit(probability), nowhere, None, ())


def score_band(
    frame: pd.DataFrame,
    treated: Integers,
    covariates: Sequence[str],
    squared: Sequence[str] = (),
    band: str = "",
) -> BandScores:
    """Fit the propensity model of a band and score its rows.

    Rows without a counterpart (see `find_support`), and rows whose group the covariates in
    combination predict with certainty, are left out, named and counted; they get no score.

    Raises
    ------
    MatchingError
        If the covariates separate the two groups completely, or the fit does not converge.
    """
    where = f"{band}: " if band else ""
    outside = np.full(len(frame), "", dtype=object)
    notes: list[str] = []
    support = find_support(frame, covariates, treated)
    for name in dict.fromkeys(support.covariate[~support.inside]):
        outside[support.covariate == name] = f"no comparison unit has the same {name}"
    notes += [str(level) for level in support.levels]
    if len(np.unique(treated)) < 2:
        outside[:] = NO_COUNTERPART_IN_BAND
        notes = [f"no {'comparison' if treated.any() else 'treated'} unit, so no model"]
    probability, linear = np.full(len(frame), np.nan), np.full(len(frame), np.nan)
    inside = outside == ""
    if len(np.unique(treated[inside])) < 2:
        return BandScores(probability, linear, outside, None, tuple(notes))
    matrix, fit, inside = _fit(frame, treated, covariates, squared, inside=inside, where=where)
    predicted = (outside == "") & ~inside
    if predicted.any():
        outside[predicted] = PREDICTED
        notes.append(
            f"the covariates in combination predict the group of {_groups(treated[predicted])} "
            "with certainty; left out of the propensity model"
        )
    if fit.dropped:
        dropped = ", ".join(matrix.names[column] for column in fit.dropped)
        notes.append(f"dropped as combinations of other covariates: {dropped}")
    probability[inside], linear[inside] = fit.probability, fit.linear_predictor
    coefficients = dict(zip(matrix.names, fit.coefficients.tolist(), strict=True))
    model = PropensityModel(band, matrix.names, MappingProxyType(coefficients), fit.converged)
    return BandScores(probability, linear, outside, model, tuple(notes))


def match_band(
    scores: BandScores,
    treated: Integers,
    stratum: Integers,
    method: NearestNeighbor,
    *,
    key_rank: Integers,
    data_rank: Integers,
) -> BandMatches:
    """Match the treated rows of a band on their scores.

    Parameters
    ----------
    scores, treated, stratum
        Rows in any one order.
    key_rank, data_rank : array of int, shape (n,)
        The order of rows by key, and the order in which they stand in the data.
    """
    linear = method.distance == "linear_propensity_score"
    score = scores.linear if linear else scores.probability
    rows = np.flatnonzero(scores.outside == "")
    partner = np.full(len(score), -1, dtype=np.int64)
    reason = np.where(treated == 1, scores.outside, "")
    if len(np.unique(treated[rows])) < 2:
        return BandMatches(partner, reason, scores, np.empty(0), 0, 0)
    width = _width(score[rows], method)
    ranks = {"row": key_rank[rows], "matchit": data_rank[rows]}
    found, other = (
        _nearest(
            score[rows], treated[rows], stratum[rows], width=width, rule=rule, rank=ranks[rule]
        )
        for rule in (method.ties, "matchit" if method.ties == "row" else "row")
    )
    has = found.partner >= 0
    partner[rows[has]] = rows[found.partner[has]]
    for code, text in _reason_texts(method).items():
        lost = rows[(found.reason == code) & (treated[rows] == 1)]
        reason[lost] = text
    pairs = np.flatnonzero((treated == 1) & (partner >= 0))
    changed = (treated[rows] == 1) & (found.partner != other.partner)
    if scores.model is not None and np.isfinite(width):
        scores = replace(scores, model=replace(scores.model, caliper_width=width))
    distances = np.abs(score[pairs] - score[partner[pairs]])
    return BandMatches(partner, reason, scores, distances, found.tied, int(changed.sum()))


def _fit(
    frame: pd.DataFrame,
    treated: Integers,
    covariates: Sequence[str],
    squared: Sequence[str],
    *,
    inside: Flags,
    where: str,
) -> tuple[DesignMatrix, LogitFit, Flags]:
    """Fit, leave out rows that run away to certainty, and fit again until none does."""
    while True:
        rows = np.flatnonzero(inside)
        part = frame if inside.all() else frame.iloc[rows]
        matrix = make_design_matrix(part, covariates, squared)
        try:
            fit = fit_logit(matrix.columns, treated[rows])
        except MatchingError:
            raise _separation(matrix, treated[rows], where) from None
        if not fit.diverging.any():
            break
        inside = inside.copy()
        inside[rows[fit.diverging]] = False
        if len(np.unique(treated[inside])) < 2:
            raise _separation(matrix, treated[rows], where)
    if not fit.converged:
        raise MatchingError(
            f"{where}the propensity model did not converge in {fit.iterations} iterations. "
            "Use fewer covariates, or look for extreme values in them."
        )
    return matrix, fit, inside


def _separation(matrix: DesignMatrix, treated: Integers, where: str) -> MatchingError:
    high, low = matrix.columns[treated == 1], matrix.columns[treated == 0]
    apart = (high.min(axis=0) > low.max(axis=0)) | (high.max(axis=0) < low.min(axis=0))
    names = [name for name, alone in zip(matrix.names, apart, strict=True) if alone]
    cause = (
        f"{', '.join(names)} alone tells them apart"
        if names
        else f"{len(matrix.names) - 1} columns of covariates together tell them apart"
    )
    return MatchingError(
        f"{where}the covariates separate {_groups(treated)} completely ({cause}), so no "
        "propensity score exists. Leave out the covariate that decides who is treated, use "
        "fewer covariates, or pool bands."
    )


def _groups(treated: Integers) -> str:
    counts = shown_count(int((treated == 1).sum())), shown_count(int((treated == 0).sum()))
    return f"{counts[0]} treated and {counts[1]} comparison units"


def _width(score: FloatArray, method: NearestNeighbor) -> float:
    """Return the caliper in units of the score: its SD (n - 1) times the method's number."""
    if method.caliper == "none":
        return float(np.inf)
    return float(method.caliper * np.std(score, ddof=1))


def _nearest(
    score: FloatArray,
    treated: Integers,
    stratum: Integers,
    *,
    width: float,
    rule: str,
    rank: Integers,
) -> NearestMatches:
    """Run one rule with the rows in the order of `rank`; positions are those of the input."""
    from homevisit_eval.matching.nearest import (
        NearestMatches,
        nearest_by_key,
        nearest_in_data_order,
    )

    order = np.argsort(rank)
    if rule == "row":
        units = np.rint(score[order] * UNITS_PER_ONE).astype(np.int64)
        caliper = round(width * UNITS_PER_ONE) if np.isfinite(width) else None
        found = nearest_by_key(units, treated[order], stratum[order], caliper=caliper)
    else:
        found = nearest_in_data_order(score[order], treated[order], stratum[order], caliper=width)
    partner, reason = np.full(len(score), -1, dtype=np.int64), np.zeros(len(score), dtype=np.int64)
    partner[order] = np.where(found.partner >= 0, order[found.partner], -1)
    reason[order] = found.reason
    return NearestMatches(partner, reason, found.tied)


def _reason_texts(method: NearestNeighbor) -> dict[int, str]:
    from homevisit_eval.matching.nearest import IN_USE, NOT_IN_STRATUM, OUTSIDE_CALIPER

    stratum = " of the stratum" if method.exact else ""
    limit = " within the caliper" if method.caliper != "none" else stratum
    return {
        NOT_IN_STRATUM: "no comparison unit in the exact stratum",
        OUTSIDE_CALIPER: "no comparison unit within the caliper",
        IN_USE: f"comparison units{limit} used up",
    }
