"""Pairs and sets within a band: nearest, optimal and full matching."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.design import FullMatching, NearestNeighbor, OptimalPairs
from homevisit_eval.disclosure import shown_count
from homevisit_eval.errors import MatchingError
from homevisit_eval.matching.band.problem import PairMethod, Problem, make_problem
from homevisit_eval.matching.band.result import BandResult, Facts, outside_reasons
from homevisit_eval.matching.band.rows import BandRows, other_group
from homevisit_eval.matching.band.scores import BandScores, ScoreRule, score_for
from homevisit_eval.matching.frame import uses_score
from homevisit_eval.matching.full import full_sets
from homevisit_eval.matching.nearest import lost_reasons, nearest_pairs, variable_ratio
from homevisit_eval.matching.optimal import optimal_pairs, optimal_total
from homevisit_eval.matching.units import (
    IN_USE,
    NOT_ALLOWED,
    NOT_IN_STRATUM,
    OUTSIDE_CALIPER,
    Pairs,
    Units,
)

__all__ = ["match_fully", "match_nearest", "match_optimal"]

Integers = NDArray[np.int64]
FloatArray = NDArray[np.float64]
TieRule = Literal["row", "matchit"]


def _start(
    rows: BandRows, method: PairMethod, *, persons_count: bool = False
) -> tuple[Problem, BandScores | None]:
    rule = ScoreRule(
        method.score, method.link, method.score_column, method.discard, method.reestimate
    )
    scores = score_for(rows, rule) if uses_score(method) else None
    problem = make_problem(rows, scores, method, persons_count=persons_count)
    width = problem.score_width
    if scores is not None and scores.model is not None and width is not None:
        scores = replace(scores, model=replace(scores.model, caliper_width=width))
    return problem, scores


def _check_pool(rows: BandRows, units: Units, method: NearestNeighbor | OptimalPairs) -> None:
    """Raise `MatchingError` if nobody could get as many matches as asked for."""
    wanted = method.ratio
    if isinstance(method, NearestNeighbor) and method.max_ratio:
        wanted = method.min_ratio
    pool = int((~units.focal).sum())
    if wanted > pool:
        other = other_group(0 if method.estimand == "ATC" else 1)
        raise MatchingError(
            f"{rows.where}ratio = {wanted}, but there are only {shown_count(pool)} {other} units. "
            "Ask for fewer matches."
        )


def _both_groups(units: Units) -> bool:
    return bool(units.focal.any()) and not units.focal.all()


def match_nearest(
    rows: BandRows, method: NearestNeighbor, person_uses: Integers | None
) -> BandResult:
    """Match the rows of a band greedily; `person_uses` is added to in place."""
    limit_per_person = (
        0 if method.max_uses_per_unit_id == "unlimited" else int(method.max_uses_per_unit_id)
    )
    problem, scores = _start(rows, method, persons_count=limit_per_person > 0)
    focal, score = problem.units.focal, problem.units.score
    if not _both_groups(problem.units):
        return _nobody(rows, problem, scores, method)
    _check_pool(rows, problem.units, method)
    ratio = np.full(int(focal.sum()), method.ratio, dtype=np.int64)
    per_row = np.zeros(len(focal), dtype=np.int64)
    if method.max_ratio and score is not None:  # there is one: see `uses_score`
        ratio = variable_ratio(
            _fewest_first(score, focal),
            focal,
            mean=method.ratio,
            least=method.min_ratio,
            most=method.max_ratio,
        )
    per_row[focal] = ratio
    uses = 0 if method.max_uses == "unlimited" else int(method.max_uses)

    def run(units: Units, order: Integers, ties: TieRule) -> Pairs:
        return nearest_pairs(
            units,
            ratio=per_row[order][units.focal],
            max_uses=uses,
            max_uses_per_person=limit_per_person,
            order=_order(method, units),
            seed=method.seed,
            ties=ties,
            person_uses=None if person_uses is None else person_uses.copy(),
        )

    pairs, other = _under_both_rules(rows, problem, method.ties, run)
    if person_uses is not None and problem.units.person is not None:
        np.add.at(person_uses, problem.units.person[pairs.match], 1)
    changed = _focal_that_differ(pairs, other, len(focal))
    received = np.bincount(pairs.focal, minlength=len(focal))
    fewer = int(((received > 0) & (received < per_row)).sum())
    facts = {"pairs_under_other_tie_rule": changed, "with_fewer_matches": fewer}
    return _paired(rows, problem, scores, method, pairs=pairs, facts=facts)


def _fewest_first(score: FloatArray, focal: NDArray[np.bool_]) -> FloatArray:
    """Return the score, turned so that focal units far from the others have the highest."""
    return score if score[focal].mean() > score[~focal].mean() else -score


def _order(
    method: NearestNeighbor, units: Units
) -> Literal["largest", "smallest", "data", "random", "closest", "farthest"]:
    if method.order != "default":
        return method.order
    if units.score is None or method.max_uses == "unlimited":
        return "data"
    return "largest" if method.estimand == "ATT" else "smallest"


def _under_both_rules(
    rows: BandRows,
    problem: Problem,
    ties: TieRule,
    run: Callable[[Units, Integers, TieRule], Pairs],
) -> tuple[Pairs, Pairs]:
    """Return the pairs under the method's rule for ties and under the other one."""
    here = np.arange(len(problem.rows))
    pairs = problem.in_score_units(run(problem.under(ties, here), here, ties), ties)
    in_data = np.argsort(rows.data_order[problem.rows], kind="stable")
    other: TieRule = "matchit" if ties == "row" else "row"
    order = in_data if ties == "row" else _by_key(rows, problem)
    found = run(problem.under(other, order), order, other)
    return pairs, replace(found, focal=order[found.focal], match=order[found.match])


def _by_key(rows: BandRows, problem: Problem) -> Integers:
    return np.argsort(rows.key_order[problem.rows], kind="stable")


def _focal_that_differ(pairs: Pairs, other: Pairs, n: int) -> int:
    """Count focal rows whose matches are not the same rows in both."""
    ours, theirs = pairs.focal * n + pairs.match, other.focal * n + other.match
    differ = np.setxor1d(ours, theirs, assume_unique=True)
    return int(np.unique(differ // n).size)


def match_optimal(rows: BandRows, method: OptimalPairs) -> BandResult:
    """Match the rows of a band at the smallest total distance."""
    problem, scores = _start(rows, method)
    if not _both_groups(problem.units):
        return _nobody(rows, problem, scores, method)
    _check_pool(rows, problem.units, method)
    units = problem.under(method.ties, np.arange(len(problem.rows)))
    pairs = optimal_pairs(units, ratio=method.ratio, ties=method.ties)
    pairs = problem.in_score_units(pairs, method.ties)
    received = np.bincount(pairs.focal, minlength=len(problem.rows))
    fewer = int(((received > 0) & (received < method.ratio)).sum())
    return _paired(rows, problem, scores, method, pairs=pairs, facts={"with_fewer_matches": fewer})


def _paired(
    rows: BandRows,
    problem: Problem,
    scores: BandScores | None,
    method: NearestNeighbor | OptimalPairs,
    *,
    pairs: Pairs,
    facts: Facts,
) -> BandResult:
    units = problem.under(method.ties, np.arange(len(problem.rows)))
    codes = lost_reasons(units, pairs)
    reason = outside_reasons(rows, scores, method.estimand)
    for code, text in _reason_texts(method).items():
        reason[problem.rows[codes == code]] = text
    found = {
        **facts,
        **_stratum_facts(units),
        "tied_scores": _tied(units),
        "total_distance": float(pairs.distance.sum()),
        "largest_distance": float(pairs.distance.max(initial=0.0)),
        "pairs": len(pairs.distance),
    }
    without_replacement = isinstance(method, OptimalPairs) or method.max_uses == 1
    if without_replacement and not (isinstance(method, NearestNeighbor) and method.max_ratio):
        best = optimal_total(problem.units, method.ratio)
        if best is not None:
            found["optimal_total_distance"] = best
    placed = replace(pairs, focal=problem.rows[pairs.focal], match=problem.rows[pairs.match])
    return BandResult(reason, scores, placed, facts=MappingProxyType(found))


def _nobody(
    rows: BandRows, problem: Problem, scores: BandScores | None, method: PairMethod
) -> BandResult:
    """Return the result of a band in which one group has no usable row."""
    reason = outside_reasons(rows, scores, method.estimand)
    focal = 0 if method.estimand == "ATC" else 1
    left = problem.rows[rows.treated[problem.rows] == focal]
    reason[left] = f"no {other_group(focal)} unit in the band"
    none = np.empty(0, dtype=np.int64)
    return BandResult(reason, scores, Pairs(none, none, none, np.empty(0)))


def _reason_texts(method: NearestNeighbor | OptimalPairs) -> dict[int, str]:
    other = other_group(0 if method.estimand == "ATC" else 1)
    stratum = " of the stratum" if method.exact else ""
    calipers = method.caliper != "none" or bool(method.covariate_calipers)
    limit = " within the caliper" if calipers else stratum
    if len(method.covariate_calipers) + (method.caliper != "none") > 1:
        limit = " within all calipers"
    apart = ", ".join(method.anti_exact)
    return {
        NOT_IN_STRATUM: f"no {other} unit in the exact stratum",
        OUTSIDE_CALIPER: f"no {other} unit{limit}",
        IN_USE: f"{other} units{limit} used up",
        NOT_ALLOWED: f"no {other} unit{limit} that differs in {apart}"
        if apart
        else f"no {other} unit{limit} but rows of the same one",
    }


def _stratum_facts(units: Units) -> dict[str, int]:
    count = int(units.stratum.max(initial=-1)) + 1
    focal = np.bincount(units.stratum[units.focal], minlength=count)
    others = np.bincount(units.stratum[~units.focal], minlength=count)
    return {
        "exact_strata": int(((focal > 0) | (others > 0)).sum()),
        "exact_strata_without_match": int(((focal > 0) & (others == 0)).sum()),
    }


def _tied(units: Units) -> int:
    """Count rows that share stratum and score (or all coordinates) with another row."""
    if units.coordinates is not None:
        columns = tuple(units.coordinates.T)
    elif units.score is not None:
        columns = (units.score,)
    else:
        return 0
    order = np.lexsort((*columns, units.stratum))
    same = units.stratum[order][1:] == units.stratum[order][:-1]
    for column in columns:
        values = column[order]
        same &= values[1:] == values[:-1]
    tied = np.zeros(len(order), dtype=bool)
    tied[1:] |= same
    tied[:-1] |= same
    return int(tied.sum())


def match_fully(rows: BandRows, method: FullMatching) -> BandResult:
    """Put the rows of a band into sets: one of a group with one or more of the other."""
    problem, scores = _start(rows, method)
    if not _both_groups(problem.units):
        return replace(
            _nobody(rows, problem, scores, method),
            pairs=None,
            matched_set=np.full(len(rows), -1, dtype=np.int64),
        )
    units = problem.under(method.ties, np.arange(len(problem.rows)))
    if method.estimand == "ATC":
        units = replace(units, focal=~units.focal)  # sets are the same whoever they are about
    most = np.inf if method.max_ratio == "unlimited" else float(method.max_ratio)
    sets = full_sets(units, min_ratio=method.min_ratio, max_ratio=most)
    matched_set = np.full(len(rows), -1, dtype=np.int64)
    matched_set[problem.rows] = sets.matched_set
    reason = outside_reasons(rows, scores, method.estimand)
    left = problem.rows[sets.matched_set < 0]
    for group in (0, 1):
        text = f"no {other_group(group)} unit that it may be matched with"
        reason[left[rows.treated[left] == group]] = text
    scale = (
        1.0 if problem.units.coordinates is not None or method.ties != "row" else problem.per_unit
    )
    facts = {
        **_stratum_facts(units),
        "tied_scores": _tied(units),
        "total_distance": sets.total_distance / scale,
        "optimal_total_distance": sets.total_distance / scale,
    }
    return BandResult(reason, scores, matched_set=matched_set, facts=MappingProxyType(facts))
