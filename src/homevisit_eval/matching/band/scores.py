"""The scores of a band: fitted or given, who has none, and who is discarded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.design.matching_options import Discard, Link, Score
from homevisit_eval.disclosure import shown_count
from homevisit_eval.errors import MatchingError
from homevisit_eval.matching.band.rows import BandRows, other_group
from homevisit_eval.matching.band.support import find_support
from homevisit_eval.matching.frame import DesignMatrix, RowView, make_design_matrix
from homevisit_eval.matching.matched_sample import PropensityModel
from homevisit_eval.propensity import PropensityFit, fit_propensity, linear_score

__all__ = ["BandScores", "ScoreRule", "score_band", "score_for", "with_factors"]

Flags = NDArray[np.bool_]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ScoreRule:
    """What a method says of its score.

    Parameters
    ----------
    score, link, score_column, discard, reestimate
        As the options of `NearestNeighbor`.
    """

    score: Score = "linear_propensity_score"
    link: Link = "logit"
    score_column: str = ""
    discard: Discard = "none"
    reestimate: bool = False


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BandScores:
    """Scores of a band; NaN for rows off support.

    Attributes
    ----------
    probability, linear : array of shape (n,)
        The propensity score and its linear predictor; all NaN if a column is the score.
    score : array of shape (n,)
        On the scale that the method asks for.
    outside : array of str, shape (n,)
        Why a row cannot be used: it has no score, or is discarded; empty if it can.
    discarded : array of bool, shape (n,)
    model
        None if the scores were given, or no fit is possible for want of a group.
    notes
        One sentence for each level left out and each column dropped.
    """

    probability: FloatArray
    linear: FloatArray
    score: FloatArray
    outside: NDArray[np.object_]
    discarded: Flags
    model: PropensityModel | None
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Show the model, no rows."""
        return f"BandScores({self.model!r})"


def score_for(rows: BandRows, rule: ScoreRule, factors: Sequence[str] = ()) -> BandScores:
    """Score the rows of a band as a rule asks, and discard whom it discards.

    `factors` are columns that enter the model as categories, besides the covariates.

    Raises
    ------
    MatchingError
        As `score_band`; if everybody of a group is discarded.
    """
    scores = _scored(rows, rule, factors, np.ones(len(rows), dtype=bool))
    if rule.discard == "none":
        return scores
    discarded = _out_of_range(scores.score, rows.treated, rule.discard)
    if rule.reestimate and discarded.any() and rows.given is None and rule.score != "column":
        again = _scored(rows, rule, factors, ~discarded)
        scores = replace(again, notes=(*again.notes, "fitted again without discarded units"))
    outside = scores.outside.copy()
    for group in (0, 1):
        text = f"discarded: score outside the range of the {other_group(group)} units"
        outside[discarded & (rows.treated == group)] = text
        if not ((outside == "") & (rows.treated == group)).any():
            raise MatchingError(
                f"{rows.where}no {other_group(1 - group)} unit is left after discard = "
                f"{rule.discard!r} and units without a score: the scores of the two groups do "
                "not overlap. Use other covariates, or discard nothing."
            )
    return replace(scores, outside=outside, discarded=discarded)


def _scored(rows: BandRows, rule: ScoreRule, factors: Sequence[str], inside: Flags) -> BandScores:
    if rule.score == "column":
        column = rows.frame[rule.score_column].to_numpy(dtype=np.float64)
        return _without_model(np.full(len(rows), np.nan), column, rows)
    if rows.given is not None:
        scores = _without_model(rows.given, linear_score(rows.given, rule.link), rows)
    else:
        scores = score_band(rows, rule.link, factors=factors, inside=inside)
    linear = rule.score == "linear_propensity_score"
    return replace(scores, score=scores.linear if linear else scores.probability)


def _without_model(probability: FloatArray, linear: FloatArray, rows: BandRows) -> BandScores:
    nowhere = np.full(len(rows), "", dtype=object)
    nobody = np.zeros(len(rows), dtype=bool)
    given = not np.isnan(probability).all()
    shown = linear if given else np.full(len(rows), np.nan)
    return BandScores(probability, shown, linear, nowhere, nobody, None, ())


def _out_of_range(score: FloatArray, treated: NDArray[np.int64], which: Discard) -> Flags:
    """Return rows whose score lies outside the range of the other group, in the groups asked."""
    discarded = np.zeros(len(score), dtype=bool)
    has = ~np.isnan(score)
    groups = {"treated": (1,), "comparison": (0,), "both": (0, 1), "none": ()}[which]
    for group in groups:
        others = score[has & (treated != group)]
        if others.size:
            out = (score < others.min()) | (score > others.max())
            discarded |= out & has & (treated == group)
    return discarded


def score_band(
    rows: BandRows,
    link: Link = "logit",
    *,
    factors: Sequence[str] = (),
    inside: Flags | None = None,
) -> BandScores:
    """Fit the propensity model of a band and score its rows.

    Rows without a counterpart (see `find_support`), and rows whose group the covariates in
    combination predict with certainty, are left out, named and counted; they get no score.

    Parameters
    ----------
    rows
        Of the band.
    link
        Of the model.
    factors
        Columns that enter as categories, besides the covariates.
    inside : array of bool, shape (n,), optional
        The rows that are fitted and scored; all by default.

    Raises
    ------
    MatchingError
        If the covariates separate the two groups completely, or the fit does not converge.
    """
    treated, n = rows.treated, len(rows)
    fitted = np.ones(n, dtype=bool) if inside is None else inside.copy()
    outside = np.full(n, "", dtype=object)
    frame, covariates = with_factors(rows.frame, rows.covariates, factors)
    notes: list[str] = []
    place = np.flatnonzero(fitted)
    support = find_support(frame.take(place), covariates, treated[place])
    for name in dict.fromkeys(support.covariate[~support.inside]):
        for group in (0, 1):
            alike = place[(support.covariate == name) & (treated[place] == group)]
            outside[alike] = f"no {other_group(group)} unit has the same {name}"
    notes += [str(level) for level in support.levels]
    if len(np.unique(treated)) < 2:
        has = int(treated[0]) if n else 0
        outside[:] = f"no {other_group(has)} unit in the band"
        notes = [f"no {other_group(has)} unit, so no model"]
    missing = np.full(n, np.nan)
    fitted &= outside == ""
    nobody = np.zeros(n, dtype=bool)
    if len(np.unique(treated[fitted])) < 2:
        return BandScores(missing, missing, missing, outside, nobody, None, tuple(notes))
    matrix, fit, certain = _fit(rows, frame, covariates, link, fitted)
    if certain.any():
        for group in (0, 1):
            outside[certain & (treated == group)] = (
                f"no {other_group(group)} unit is like it: its covariates predict treatment with "
                "certainty"
            )
        notes.append(
            f"the covariates in combination predict the group of {_groups(treated[certain])} "
            "with certainty; left out of the propensity model"
        )
    if fit.dropped:
        dropped = ", ".join(matrix.names[column] for column in fit.dropped)
        notes.append(f"dropped as combinations of other covariates: {dropped}")
    probability, linear = missing.copy(), missing.copy()
    scored = fitted & ~certain
    probability[scored], linear[scored] = fit.probability, fit.linear_predictor
    coefficients = dict(zip(matrix.names, fit.coefficients.tolist(), strict=True))
    model = PropensityModel(
        f"band {rows.name!r}" if rows.name else "",
        matrix.names,
        MappingProxyType(coefficients),
        fit.converged,
        link=link,
    )
    return BandScores(probability, linear, linear, outside, nobody, model, tuple(notes))


def with_factors(
    frame: RowView, covariates: Sequence[str], factors: Sequence[str]
) -> tuple[RowView, tuple[str, ...]]:
    """Return the rows with `factors` as categories, and the covariates with them."""
    if not factors:
        return frame, tuple(covariates)
    others = tuple(name for name in covariates if name not in factors)
    return frame.with_categories(tuple(factors)), (*others, *factors)


def _fit(
    rows: BandRows, frame: RowView, covariates: Sequence[str], link: Link, fitted: Flags
) -> tuple[DesignMatrix, PropensityFit, Flags]:
    """Fit, leave out rows that run away to certainty, and fit again until none does."""
    certain = np.zeros(len(rows), dtype=bool)
    while True:
        at = np.flatnonzero(fitted & ~certain)
        matrix = make_design_matrix(frame.take(at), covariates, rows.squared)
        treated = rows.treated[at]
        weights = None if rows.sampling_weights is None else rows.sampling_weights[at]
        try:
            fit = fit_propensity(matrix.columns, treated, link, weights)
        except MatchingError:
            raise _separation(matrix, treated, rows.where) from None
        if not fit.diverging.any():
            break
        certain[at[fit.diverging]] = True
        if len(np.unique(rows.treated[fitted & ~certain])) < 2:
            raise _separation(matrix, treated, rows.where)
    if not fit.converged:
        raise MatchingError(
            f"{rows.where}the propensity model did not converge in {fit.iterations} iterations. "
            "Use fewer covariates, or look for extreme values in them."
        )
    return matrix, fit, certain


def _separation(matrix: DesignMatrix, treated: NDArray[np.int64], where: str) -> MatchingError:
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
        "fewer covariates, or pool bands; or match on a distance that needs no score, such as "
        "NearestNeighbor(distance='mahalanobis', caliper='none')."
    )


def _groups(treated: NDArray[np.int64]) -> str:
    counts = shown_count(int((treated == 1).sum())), shown_count(int((treated == 0).sum()))
    return f"{counts[0]} treated and {counts[1]} comparison units"
