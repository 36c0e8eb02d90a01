"""Results of the bands -> `Matches`: labels, weights, sets, the realized estimand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.design import (
    CardinalityMatching,
    EntropyBalancing,
    InverseProbability,
    MatchingMethod,
    NearestNeighbor,
    NoMatching,
    OverlapWeights,
    Subclassification,
)
from homevisit_eval.disclosure import shown_count
from homevisit_eval.errors import MatchingError
from homevisit_eval.matching.band import BandResult, BandRows
from homevisit_eval.matching.matched_sample import NO_MATCHING, Estimand, Matches
from homevisit_eval.matching.strata import pair_weights, set_weights
from homevisit_eval.matching.units import Pairs

__all__ = ["Placed", "assemble"]

Integers = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Target = Literal["ATT", "ATC", "ATE", "ATO"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Placed:
    """A band's rows, their positions in the frame, and what was made of them."""

    rows: BandRows
    at: Integers
    result: BandResult

    def __repr__(self) -> str:
        """Show the band."""
        return f"Placed({self.rows!r})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Used:
    """Pairs, sets and weights over the whole frame; sampling weights not included."""

    pairs: Pairs | None
    matched_set: Integers
    weights: FloatArray

    def __repr__(self) -> str:
        """Show the number of rows used."""
        return f"_Used({int((self.weights > 0).sum())} rows)"


def assemble(
    frame: pd.DataFrame,
    treated: Integers,
    method: MatchingMethod,
    placed: list[Placed],
    *,
    rank: Integers,
    sampling_weights: FloatArray | None,
) -> Matches:
    """Put bands together; matched sets are numbered in the order of `rank`.

    The audit is left empty.

    Raises
    ------
    MatchingError
        If nobody whom the estimand is about is used, or nobody of the other group.
    """
    index = frame.index
    used = _used(treated, method, placed, rank)
    estimand = _target(method)
    concerned = _concerned(estimand, treated)
    if sampling_weights is not None:
        concerned &= sampling_weights > 0
    reason = _reasons(placed, len(frame))
    lost = np.flatnonzero(concerned & (used.weights <= 0))
    lost = lost[np.argsort(rank[lost], kind="stable")]
    _check_somebody(treated, used.weights, concerned, reason)
    unmatched = pd.DataFrame({"row": index[lost], "reason": pd.Series(reason[lost], dtype=str)})
    weights = used.weights if sampling_weights is None else used.weights * sampling_weights
    scores = _scores(placed, len(frame))
    return Matches(
        method=method,
        pairs=_labelled(index, treated, used.pairs, rank),
        weights=pd.Series(weights, index=index, name="weight"),
        matched_set=pd.Series(used.matched_set, index=index, name="matched_set"),
        propensity_score=_series(scores.get("probability"), index, "propensity_score"),
        linear_propensity_score=_series(scores.get("linear"), index, "linear_propensity_score"),
        estimand=_realized(method, estimand, bool(len(lost))),
        propensity=tuple(
            one.result.scores.model
            for one in placed
            if one.result.scores is not None and one.result.scores.model is not None
        ),
        unmatched=unmatched,
        audit={},
        score=_series(scores.get("score"), index, "score"),
        sampling_weights=_series(sampling_weights, index, "sampling_weight"),
        discarded=pd.Series(
            scores.get("discarded", np.zeros(len(frame))) == 1, index=index, name="discarded"
        ),
    )


def _target(method: MatchingMethod) -> Target:
    if isinstance(method, OverlapWeights):
        return "ATO"
    return "ATT" if isinstance(method, NoMatching) else method.estimand


def _concerned(estimand: str, treated: Integers) -> NDArray[np.bool_]:
    """Return whom an estimand is about."""
    if estimand in ("ATT", "ATC"):
        return np.asarray(treated == (1 if estimand == "ATT" else 0))
    return np.ones(len(treated), dtype=bool)


def _realized(method: MatchingMethod, target: Target, some_lost: bool) -> Estimand:
    if isinstance(method, NoMatching):
        return Estimand("ATT", NO_MATCHING)
    weighted = isinstance(method, InverseProbability | OverlapWeights | EntropyBalancing)
    words = "in the weighted sample" if weighted else "in the matched sample"
    return Estimand(target, words if some_lost else "")


def _check_somebody(
    treated: Integers,
    weights: FloatArray,
    concerned: NDArray[np.bool_],
    reason: NDArray[np.object_],
) -> None:
    groups = [(treated == group) & (weights > 0) for group in (1, 0)]
    if all(group.any() for group in groups):
        return
    lost = concerned & (weights <= 0)
    counts = pd.Series(reason[lost]).value_counts()
    listed = "; ".join(f"{text} ({shown_count(number)})" for text, number in counts.items() if text)
    about = np.unique(treated[concerned]).tolist()
    who = {(1,): "treated units", (0,): "comparison units"}.get(tuple(about), "units")
    raise MatchingError(
        f"None of {shown_count(int(lost.sum()))} {who} found a match: {listed}. Widen the "
        "calipers, or use fewer exact columns or covariates."
    )


def _reasons(placed: list[Placed], n: int) -> NDArray[np.object_]:
    reason: NDArray[np.object_] = np.full(n, "", dtype=object)
    for one in placed:
        reason[one.at] = one.result.reason
    return reason


def _scores(placed: list[Placed], n: int) -> dict[str, FloatArray]:
    """Return scores over the frame; none where no band has them."""
    found: dict[str, FloatArray] = {}
    for one in placed:
        scores = one.result.scores
        if scores is None:
            continue
        parts = {"score": scores.score, "discarded": scores.discarded.astype(np.float64)}
        if not np.isnan(scores.probability).all() or scores.model is not None:
            parts |= {"probability": scores.probability, "linear": scores.linear}
        for name, values in parts.items():
            found.setdefault(name, np.full(n, np.nan))[one.at] = values
    return found


def _series(values: FloatArray | None, index: pd.Index, name: str) -> pd.Series | None:
    return None if values is None else pd.Series(values, index=index, name=name)


def _used(treated: Integers, method: MatchingMethod, placed: list[Placed], rank: Integers) -> _Used:
    n = len(treated)
    if all(one.result.pairs is not None for one in placed):
        pairs = _all_pairs(placed)
        focal = treated == (1 if _target(method) == "ATT" else 0)
        by_rank = replace(pairs, focal=rank[pairs.focal], match=rank[pairs.match])
        order = np.lexsort((by_rank.rank, by_rank.focal))
        by_rank = Pairs(
            by_rank.focal[order], by_rank.rank[order], by_rank.match[order], by_rank.distance[order]
        )
        weights = pair_weights(by_rank, n, focal[np.argsort(rank)])[rank]
        return _Used(pairs, _sets_of_pairs(pairs, method, rank), weights)
    if all(one.result.matched_set is not None for one in placed):
        sets = _all_sets(placed, n, rank, by_code=isinstance(method, Subclassification))
        order = np.argsort(rank)  # sums are taken in the same order whatever the order of rows
        target = _target(method)
        assert target != "ATO"  # overlap weights make no sets
        weights = set_weights(sets[order], treated[order], estimand=target)[rank]
        return _Used(None, sets, weights)
    return _Used(None, np.full(n, -1, dtype=np.int64), _all_weights(treated, method, placed))


def _all_pairs(placed: list[Placed]) -> Pairs:
    found = [(one.at, one.result.pairs) for one in placed if one.result.pairs is not None]
    return Pairs(
        focal=np.concatenate([at[pairs.focal] for at, pairs in found]),
        rank=np.concatenate([pairs.rank for _, pairs in found]),
        match=np.concatenate([at[pairs.match] for at, pairs in found]),
        distance=np.concatenate([pairs.distance for _, pairs in found]),
    )


def _sets_of_pairs(pairs: Pairs, method: MatchingMethod, rank: Integers) -> Integers:
    """Number the sets of a focal row and its matches by the rank of the focal row."""
    sets = np.full(len(rank), -1, dtype=np.int64)
    if isinstance(method, NearestNeighbor) and method.max_uses != 1:
        return sets
    focal = np.unique(pairs.focal)
    focal = focal[np.argsort(rank[focal], kind="stable")]
    sets[focal] = np.arange(1, len(focal) + 1)
    sets[pairs.match] = sets[pairs.focal]
    return sets


def _all_sets(placed: list[Placed], n: int, rank: Integers, *, by_code: bool) -> Integers:
    """Number the sets of all bands from 1: by their code, or in the order of their first rows."""
    codes, most = np.full(n, -1, dtype=np.int64), 0
    for one in placed:
        own = one.result.matched_set
        if own is not None:
            codes[one.at] = np.where(own >= 0, own + most, -1)
            most += int(own.max(initial=-1)) + 1
    if by_code:
        return np.where(codes >= 0, codes + 1, -1)
    order = np.argsort(rank, kind="stable")
    order = order[codes[order] >= 0]
    sets = np.full(n, -1, dtype=np.int64)
    sets[order] = pd.factorize(codes[order])[0] + 1
    return sets


def _all_weights(treated: Integers, method: MatchingMethod, placed: list[Placed]) -> FloatArray:
    """Return the weights of all bands, so scaled that bands count as their estimand says."""
    weights = np.zeros(len(treated))
    for one in placed:
        if one.result.weights is not None:
            weights[one.at] = one.result.weights
    if len(placed) == 1 or not isinstance(method, EntropyBalancing | CardinalityMatching):
        return weights
    target = _target(method)
    for one in placed:
        own, group = weights[one.at], treated[one.at]
        about = (own > 0) & _concerned(target, group)
        for number in (0, 1):
            mine = group == number
            total = own[mine].sum()
            if total > 0:
                own[mine] *= about.sum() / total
        weights[one.at] = own
    for number in (0, 1):
        mine = (treated == number) & (weights > 0)
        weights[mine] *= mine.sum() / weights[mine].sum()
    return weights


def _labelled(
    index: pd.Index, treated: Integers, pairs: Pairs | None, rank: Integers
) -> pd.DataFrame:
    """Return pairs by label, in the order of the focal row's rank and the match's."""
    if pairs is None or not len(pairs.focal):
        return pd.DataFrame(
            {"treated": index[:0], "rank": np.empty(0, dtype=np.int64), "comparison": index[:0]}
        )
    order = np.lexsort((pairs.rank, rank[pairs.focal]))
    focal, match = pairs.focal[order], pairs.match[order]
    if treated[focal[0]] != 1:
        focal, match = match, focal
    return pd.DataFrame(
        {"treated": index[focal], "rank": pairs.rank[order], "comparison": index[match]}
    )
