"""Strata of a band: coarsened exact matching, exact matching, subclassification."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.design import CoarsenedExactMatching, ExactMatching, Subclassification
from homevisit_eval.errors import MatchingError
from homevisit_eval.matching.band.problem import dummy_columns, strata_of
from homevisit_eval.matching.band.result import BandResult
from homevisit_eval.matching.band.rows import BandRows, about, other_group
from homevisit_eval.matching.band.scores import ScoreRule, score_for
from homevisit_eval.matching.frame import is_factor
from homevisit_eval.matching.nearest import nearest_pairs
from homevisit_eval.matching.strata import coarsen, combine_codes, common_strata, subclasses
from homevisit_eval.matching.units import Units, mahalanobis_coordinates

__all__ = ["stratify"]

Integers = NDArray[np.int64]
StratumMethod = CoarsenedExactMatching | ExactMatching | Subclassification


def stratify(rows: BandRows, method: StratumMethod) -> BandResult:
    """Put the rows of a band into strata; those of strata with one group only are left out."""
    if isinstance(method, Subclassification):
        return _subclassify(rows, method)
    if isinstance(method, ExactMatching):
        stratum = strata_of(rows.frame, method.exact or rows.covariates)
        return _strata(rows, method, stratum)
    stratum = _coarsened(rows, method)
    if method.one_to_one:
        return _pairs_within(rows, method, stratum)
    return _strata(rows, method, stratum)


def _strata(rows: BandRows, method: StratumMethod, stratum: Integers) -> BandResult:
    matched_set = common_strata(stratum, rows.treated)
    reason = np.full(len(rows), "", dtype=object)
    left = matched_set < 0
    for group in (0, 1):
        if about(method.estimand, group):
            reason[left & (rows.treated == group)] = f"no {other_group(group)} unit in the stratum"
    return BandResult(
        reason, matched_set=matched_set, facts=MappingProxyType(_facts(stratum, matched_set))
    )


def _facts(stratum: Integers, matched_set: Integers) -> dict[str, int]:
    used = matched_set[matched_set >= 0]
    return {
        "exact_strata": int(np.unique(stratum).size),
        "exact_strata_with_both_groups": int(np.unique(used).size),
    }


def _coarsened(rows: BandRows, method: CoarsenedExactMatching) -> Integers:
    chosen = {one.covariate: one for one in method.coarsening}
    if stray := [name for name in chosen if name not in rows.covariates]:
        raise MatchingError(
            f"{rows.where}coarsening: {', '.join(stray)} is not among the covariates. Name it "
            "there as well, or leave it out."
        )
    codes: list[Integers] = []
    for name in rows.covariates:
        column, wanted = rows.frame[name], chosen.get(name)
        if name in method.exact or (is_factor(column) and wanted is None):
            codes.append(pd.factorize(column)[0].astype(np.int64))
            continue
        if is_factor(column):
            raise MatchingError(
                f"{rows.where}coarsening: {name} holds categories; only numbers are coarsened. "
                "Merge its categories in the data, or leave it out."
            )
        values = column.to_numpy(dtype=np.float64)
        if wanted is None:
            codes.append(coarsen(values, rule=method.rule))
        else:
            codes.append(coarsen(values, bins=wanted.bins, cut_points=wanted.cut_points))
    besides = [name for name in method.exact if name not in rows.covariates]
    codes += [pd.factorize(rows.frame[name])[0].astype(np.int64) for name in besides]
    return combine_codes(codes)


def _pairs_within(rows: BandRows, method: CoarsenedExactMatching, stratum: Integers) -> BandResult:
    if method.estimand == "ATE":
        raise MatchingError(
            "CoarsenedExactMatching: pairs (one_to_one) are about the treated or the comparison "
            "units; choose estimand 'ATT' or 'ATC'."
        )
    focal = rows.treated == (1 if method.estimand == "ATT" else 0)
    columns = dummy_columns(rows.frame, rows.covariates)
    coordinates = mahalanobis_coordinates(columns, rows.treated, rows.sampling_weights)
    units = Units(
        focal=focal,
        stratum=stratum,
        coordinates=np.ascontiguousarray(coordinates),
        person=rows.person,
    )
    pairs = nearest_pairs(
        units,
        ratio=np.ones(int(focal.sum()), dtype=np.int64),
        max_uses=1,
        max_uses_per_person=0,
        order="data",
        seed=1,
        ties=method.ties,
    )
    lost = focal.copy()
    lost[pairs.focal] = False
    here = common_strata(stratum, rows.treated) >= 0
    other = other_group(1 if method.estimand == "ATT" else 0)
    reason = np.full(len(rows), "", dtype=object)
    reason[lost & here] = f"{other} units of the stratum used up"
    reason[lost & ~here] = f"no {other} unit in the stratum"
    facts = {
        **_facts(stratum, common_strata(stratum, rows.treated)),
        "total_distance": float(pairs.distance.sum()),
        "largest_distance": float(pairs.distance.max(initial=0.0)),
        "pairs": len(pairs.distance),
    }
    return BandResult(reason, pairs=pairs, facts=MappingProxyType(facts))


def _subclassify(rows: BandRows, method: Subclassification) -> BandResult:
    rule = ScoreRule(
        method.score, method.link, method.score_column, method.discard, method.reestimate
    )
    scores = score_for(rows, rule)
    usable = np.flatnonzero(scores.outside == "")
    matched_set = np.full(len(rows), -1, dtype=np.int64)
    treated = rows.treated[usable]
    if np.unique(treated).size == 2:
        codes = subclasses(
            scores.score[usable],
            treated,
            number=method.subclasses,
            estimand=method.estimand,
            min_units=method.min_units,
        )
        matched_set[usable] = codes
    reason = scores.outside.copy()
    for group in (0, 1):
        mine = rows.treated == group
        if not about(method.estimand, group):
            reason[mine] = ""
        else:
            without = (matched_set < 0) & (scores.outside == "") & mine
            reason[without] = f"no {other_group(group)} unit in the subclass"
    facts = {"subclasses": int(np.unique(matched_set[matched_set >= 0]).size)}
    return replace(
        BandResult(reason, scores, matched_set=matched_set), facts=MappingProxyType(facts)
    )
