"""Weights of a band: cardinality matching, inverse probability, overlap, entropy balancing."""

from __future__ import annotations

from types import MappingProxyType
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.design import (
    CardinalityMatching,
    EntropyBalancing,
    InverseProbability,
    OverlapWeights,
)
from homevisit_eval.errors import MatchingError
from homevisit_eval.matching.band.problem import dummy_columns, strata_of
from homevisit_eval.matching.band.result import BandResult
from homevisit_eval.matching.band.rows import BandRows, about, other_group
from homevisit_eval.matching.band.scores import BandScores, ScoreRule, score_for, with_factors
from homevisit_eval.matching.cardinality import largest_balanced
from homevisit_eval.matching.frame import make_design_matrix
from homevisit_eval.matching.weighting import (
    entropy_balancing_weights,
    inverse_probability_weights,
    overlap_weights,
)

__all__ = ["weigh"]

FloatArray = NDArray[np.float64]
WeightMethod = CardinalityMatching | InverseProbability | OverlapWeights | EntropyBalancing


def weigh(rows: BandRows, method: WeightMethod) -> BandResult:
    """Weight the rows of a band; rows that cannot be weighted get 0."""
    match method:
        case CardinalityMatching():
            return _choose(rows, method)
        case InverseProbability():
            asked = ScoreRule(
                link=method.link, discard=method.discard, reestimate=method.reestimate
            )
            return _by_score(rows, method, asked)
        case OverlapWeights():
            return _by_score(rows, method, ScoreRule(link=method.link))
        case EntropyBalancing():
            return _balance(rows, method)
        case _:
            assert_never(method)


def _by_score(
    rows: BandRows, method: InverseProbability | OverlapWeights, asked: ScoreRule
) -> BandResult:
    scores = score_for(rows, asked, method.factors)
    usable = scores.outside == ""
    weights = np.zeros(len(rows))
    probability, treated = scores.probability[usable], rows.treated[usable]
    if np.unique(treated).size == 2:
        if isinstance(method, OverlapWeights):
            weights[usable] = overlap_weights(probability, treated)
        else:
            sampling = rows.sampling_weights
            weights[usable] = inverse_probability_weights(
                probability,
                treated,
                estimand=method.estimand,
                truncate=None if method.truncate == "none" else method.truncate,
                sampling_weights=None if sampling is None else sampling[usable],
            )
    estimand = "ATE" if isinstance(method, OverlapWeights) else method.estimand
    return BandResult(_of_those_it_is_about(rows, scores, estimand), scores, weights=weights)


def _of_those_it_is_about(rows: BandRows, scores: BandScores, estimand: str) -> NDArray[np.object_]:
    reason = scores.outside.copy()
    for group in (0, 1):
        if not about(estimand, group):
            reason[rows.treated == group] = ""
    return reason


def _columns(rows: BandRows, factors: tuple[str, ...] = (), moments: int = 1) -> FloatArray:
    """Return the columns whose means are balanced, without an intercept, shape (n, k)."""
    frame, covariates = with_factors(rows.frame, rows.covariates, factors)
    matrix = make_design_matrix(frame, covariates, rows.squared).columns[:, 1:]
    parts = [matrix]
    numbers = [x for x in matrix.T if np.unique(x[:10_000]).size > 2 or np.unique(x).size > 2]
    for power in range(2, moments + 1):
        parts += [((x - x.mean()) / x.std())[:, None] ** power for x in numbers]
    columns = np.hstack(parts) if len(parts) > 1 else matrix
    varies = np.ptp(columns, axis=0) > 0
    return np.ascontiguousarray(columns if varies.all() else columns[:, varies])


def _every_level(rows: BandRows) -> FloatArray:
    """Return covariates as columns, a factor as one for each level, and squares, shape (n, k)."""
    columns = [dummy_columns(rows.frame, rows.covariates)]
    for name in rows.squared:
        values = rows.frame[name].to_numpy(dtype=np.float64)
        columns.append(((values - values.mean()) ** 2)[:, None])
    return np.ascontiguousarray(np.hstack(columns))


def _one_group(rows: BandRows, estimand: str) -> BandResult:
    reason = np.full(len(rows), "", dtype=object)
    for group in (0, 1):
        if about(estimand, group):
            reason[rows.treated == group] = f"no {other_group(group)} unit in the band"
    return BandResult(reason, weights=np.zeros(len(rows)))


def _balance(rows: BandRows, method: EntropyBalancing) -> BandResult:
    if np.unique(rows.treated).size < 2:
        return _one_group(rows, method.estimand)
    try:
        found = entropy_balancing_weights(
            _columns(rows, method.factors, method.moments),
            rows.treated,
            estimand=method.estimand,
            base_weights=rows.sampling_weights,
            tolerance=method.tolerance,
        )
    except MatchingError as error:
        raise MatchingError(f"{rows.where}{error}") from None
    weights = found.weights
    if rows.sampling_weights is not None:  # they come in again where everything is put together
        weights = np.divide(
            weights,
            rows.sampling_weights,
            out=np.zeros(len(rows)),
            where=rows.sampling_weights > 0,
        )
    facts = {
        "largest_difference_left": found.largest_difference,
        "iterations": found.iterations,
    }
    reason = np.full(len(rows), "", dtype=object)
    return BandResult(reason, weights=weights, facts=MappingProxyType(facts))


def _choose(rows: BandRows, method: CardinalityMatching) -> BandResult:
    if np.unique(rows.treated).size < 2:
        return _one_group(rows, method.estimand)
    try:
        choice = largest_balanced(
            _every_level(rows),
            rows.treated,
            strata_of(rows.frame, method.exact),
            estimand=method.estimand,
            ratio=method.ratio,
            tolerance=method.tolerance,
            time_limit=method.time_limit,
            relative_gap=method.relative_gap,
        )
    except MatchingError as error:
        raise MatchingError(f"{rows.where}{error}") from None
    reason = np.full(len(rows), "", dtype=object)
    for group in (0, 1):
        if about(method.estimand, group):
            left = ~choice.chosen & (rows.treated == group)
            reason[left] = "not in the largest balanced sample"
    facts: dict[str, int | float | str] = {
        "chosen": int(choice.chosen.sum()),
        "solver_gap": choice.gap,
    }
    weights = choice.chosen.astype(np.float64)
    return BandResult(reason, weights=weights, facts=MappingProxyType(facts))
