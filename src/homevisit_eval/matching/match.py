"""Matching of any data frame, and of an analytic sample within its grade bands."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import assert_never

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.design import MatchingMethod, NearestNeighbor, NoMatching
from homevisit_eval.disclosure import shown_count
from homevisit_eval.errors import MatchingError
from homevisit_eval.matching.band import (
    BandMatches,
    given_scores,
    match_band,
    score_band,
)
from homevisit_eval.matching.frame_checks import (
    check_columns,
    check_distinct,
    check_index,
    check_method,
    check_names,
    check_usable,
    check_varies,
    read_scores,
    read_treatment,
)
from homevisit_eval.matching.matched_sample import (
    NO_MATCHING,
    Estimand,
    MatchedSample,
    Matches,
)
from homevisit_eval.matching.row_order import key_rank
from homevisit_eval.sample.analytic_sample import AnalyticSample

__all__ = ["match_frame", "match_students"]

Integers = NDArray[np.int64]

SAMPLE_KEY = ("unit_id", "school_year", "index_date")
DEFAULT_METHOD = NearestNeighbor()
ORDER_RULES = {
    "row": (
        "highest score first; scores rounded to 12 decimals; equal scores and equal distances "
        "in the order of a hashed key, whatever the order of rows"
    ),
    "matchit": "highest score first; ties in the order of rows, as in R MatchIt 4.7.2",
}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Band:
    """Rows that share covariates and a propensity model; `rows` are positions in the frame."""

    name: str
    rows: Integers
    covariates: tuple[str, ...]
    squared: tuple[str, ...]


def match_frame(
    frame: pd.DataFrame,
    *,
    treated: str,
    covariates: Sequence[str],
    method: MatchingMethod = DEFAULT_METHOD,
    propensity_score: ArrayLike | None = None,
    squared: Sequence[str] = (),
    key: Sequence[str] = (),
) -> Matches:
    """Match treated to comparison rows of any data frame.

    Parameters
    ----------
    frame
        One row a unit, with unique row labels. It is not changed.
    treated
        The column that is 1 for treated and 0 for comparison units.
    covariates
        Columns of the propensity model. Text and categoricals enter as one 0/1 column for each
        level but the first.
    method
        `NearestNeighbor` or `NoMatching`, with its options.
    propensity_score : array of shape (n,), optional
        Scores from elsewhere, between 0 and 1; no model is fitted then.
    squared
        Covariates whose square (of the value less its mean) enters as well.
    key
        Columns that identify a row, by which ties are broken under ``ties="row"``; the row
        labels if empty.

    Returns
    -------
    Matches
        Pairs, weights and matched sets by row label, with the estimand they realize.

    Raises
    ------
    MatchingError
        If labels repeat, a column is unknown, constant, incomplete or infinite, `treated` is
        not 0/1, a group is empty, given scores are not between 0 and 1, the covariates
        separate the groups, or no treated unit finds a match.

    Notes
    -----
    A level of a factor (or a value of a two-valued number) that only one group has cannot be
    scored: its rows are left out of the model, comparison rows among them are not used, treated
    ones are listed in `unmatched`, and `audit` says how many.

    References
    ----------
    Rosenbaum, P. R., & Rubin, D. B. (1985). Constructing a control group using multivariate
    matched sampling methods that incorporate the propensity score. *The American
    Statistician*, 39(1), 33-38.

    Examples
    --------
    >>> import pandas as pd
    >>> people = pd.DataFrame({"treat": [1, 0, 0, 1, 0], "age": [30, 31, 50, 44, 45]})
    >>> matches = match_frame(people, treated="treat", covariates=["age"])
    >>> matches.pairs[["treated", "comparison"]].to_numpy().tolist()
    [[0, 1], [3, 4]]
    """
    if not isinstance(frame, pd.DataFrame):
        raise MatchingError(f"frame must be a pandas DataFrame; it is a {type(frame).__name__}.")
    check_method(method)
    check_index(frame)
    check_columns(frame, [treated], "treated")
    group = read_treatment(frame, treated)
    check_names(covariates, "covariates", treated)
    check_columns(frame, covariates, "covariates")
    check_columns(frame, key, "key")
    check_usable(frame, covariates, "covariates")
    if propensity_score is None and isinstance(method, NearestNeighbor):
        if not covariates:
            raise MatchingError("covariates: name at least one, or give propensity_score.")
        check_varies(frame, covariates)
    scores = None if propensity_score is None else read_scores(frame, propensity_score)
    band = _Band("", np.arange(len(frame)), tuple(covariates), tuple(squared))
    return _match(frame, group, (band,), method, key=tuple(key), scores=scores)


def match_students(sample: AnalyticSample, method: MatchingMethod | None = None) -> MatchedSample:
    """Match visited to comparison student-years of a sample, within each grade band.

    Parameters
    ----------
    sample
        Candidates with a complete baseline.
    method
        By default that of the question, else that of the design.

    Returns
    -------
    MatchedSample
        Each band has its own propensity model (the covariates measured there, with the squares
        that the design names) and its own standard deviation for the caliper.

    Raises
    ------
    MatchingError
        As `match_frame`, naming the grade band; if a student is matched with himself in another
        year; if the question asks for comparisons of the same school without matching. A
        covariate that is constant in one band is not an error there: it is dropped, and named
        in `audit`.
    """
    method = _method(sample, method or sample.question.matching or sample.design.matching)
    baseline = sample.baseline
    check_index(baseline)
    check_columns(baseline, ["visited", "grade_band", *SAMPLE_KEY], "the sample's baseline")
    group = read_treatment(baseline, "visited")
    bands = tuple(_bands(sample))
    for band in bands:
        check_columns(baseline, band.covariates, f"band {band.name!r}: covariates")
        check_usable(
            baseline.iloc[band.rows], band.covariates, "covariates", f"band {band.name!r}: "
        )
    matches = _match(baseline, group, bands, method, key=SAMPLE_KEY, scores=None)
    check_distinct(baseline, matches.pairs)
    return MatchedSample(sample, matches)


def _method(sample: AnalyticSample, method: MatchingMethod) -> MatchingMethod:
    """Return the method with what the question asks of the comparison schools."""
    if sample.question.comparison_schools != "same_school":
        return method
    if isinstance(method, NoMatching):
        raise MatchingError(
            f"question {sample.question.name!r}: comparison_schools = 'same_school' needs a "
            "matching method, which keeps pairs within a school; 'no_matching' makes no pairs."
        )
    if "school_id" in method.exact:
        return method
    return replace(method, exact=(*method.exact, "school_id"))


def _bands(sample: AnalyticSample) -> list[_Band]:
    names = sample.baseline["grade_band"].astype(str).to_numpy()
    squares = [covariate.name for covariate in sample.design.covariates if covariate.squared]
    bands = []
    for name in sorted(set(names)):
        if name not in sample.covariates:
            raise MatchingError(
                f"band {name!r}: the sample names no covariates for it; "
                f"it has them for {', '.join(sample.covariates)}."
            )
        covariates = tuple(sample.covariates[name])
        squared = tuple(square for square in squares if square in covariates)
        bands.append(_Band(name, np.flatnonzero(names == name), covariates, squared))
    return bands


def _match(
    frame: pd.DataFrame,
    group: Integers,
    bands: tuple[_Band, ...],
    method: MatchingMethod,
    *,
    key: tuple[str, ...],
    scores: NDArray[np.float64] | None,
) -> Matches:
    match method:
        case NoMatching():
            return _unmatched_comparison(frame, group, method)
        case NearestNeighbor():
            return _match_nearest(frame, group, bands, method, key=key, scores=scores)
        case _:
            assert_never(method)


def _unmatched_comparison(frame: pd.DataFrame, group: Integers, method: NoMatching) -> Matches:
    """Keep everybody with weight 1: regression alone adjusts.

    Its coefficient weights students by how evenly their cell is divided, so it is the effect on
    the visited only if effects do not vary.
    """
    index = frame.index
    counts = {"rows": len(frame), "treated": int(group.sum())}
    return Matches(
        method=method,
        pairs=pd.DataFrame({"treated": index[:0], "rank": [], "comparison": index[:0]}),
        weights=pd.Series(1.0, index=index, name="weight"),
        matched_set=pd.Series(-1, index=index, name="matched_set", dtype="int64"),
        propensity_score=None,
        linear_propensity_score=None,
        estimand=Estimand("ATT", NO_MATCHING),
        propensity=(),
        unmatched=pd.DataFrame({"row": index[:0], "reason": pd.Series([], dtype=str)}),
        audit=MappingProxyType({**counts, "comparison": counts["rows"] - counts["treated"]}),
    )


def _match_nearest(
    frame: pd.DataFrame,
    group: Integers,
    bands: tuple[_Band, ...],
    method: NearestNeighbor,
    *,
    key: tuple[str, ...],
    scores: NDArray[np.float64] | None,
) -> Matches:
    check_columns(frame, method.exact, "exact")
    check_usable(frame, method.exact, "exact columns")
    stratum = _strata(frame, method.exact)
    by_key, by_row = key_rank(frame, key), np.arange(len(frame))
    rank = by_key if method.ties == "row" else by_row
    results = []
    for band in bands:
        rows = band.rows[np.argsort(rank[band.rows])]
        if scores is None:
            label = f"band {band.name!r}" if band.name else ""
            part = frame[list(band.covariates)].iloc[rows]
            found = score_band(part, group[rows], band.covariates, band.squared, label)
        else:
            found = given_scores(scores[rows])
        result = match_band(
            found,
            group[rows],
            stratum[rows],
            method,
            key_rank=by_key[rows],
            data_rank=by_row[rows],
        )
        results.append((band, rows, result))
        logger.info("matched %s pairs", shown_count(len(result.distances)))
    return _assemble(frame, group, stratum, method, rank=rank, results=results)


def _strata(frame: pd.DataFrame, exact: Sequence[str]) -> Integers:
    """Return a number for each row, equal where all exact columns are equal."""
    stratum = np.zeros(len(frame), dtype=np.int64)
    for name in exact:
        codes, values = pd.factorize(frame[name])
        stratum = pd.factorize(stratum * len(values) + codes)[0].astype(np.int64)
    return stratum


def _assemble(
    frame: pd.DataFrame,
    group: Integers,
    stratum: Integers,
    method: NearestNeighbor,
    *,
    rank: Integers,
    results: list[tuple[_Band, Integers, BandMatches]],
) -> Matches:
    """Put the bands together, numbering matched sets in the order of `rank`."""
    n, index = len(frame), frame.index
    partner, reason = np.full(n, -1, dtype=np.int64), np.full(n, "", dtype=object)
    probability, linear = np.full(n, np.nan), np.full(n, np.nan)
    for _, rows, result in results:
        has = result.partner >= 0
        partner[rows[has]] = rows[result.partner[has]]
        reason[rows] = result.reason
        probability[rows], linear[rows] = result.scores.probability, result.scores.linear
    order = np.argsort(rank)
    choosing = order[group[order] == 1]
    focal, lost = choosing[partner[choosing] >= 0], choosing[partner[choosing] < 0]
    if not len(focal):
        raise MatchingError(_nobody(pd.Series(reason[lost]), len(lost)))
    sets = np.full(n, -1, dtype=np.int64)
    sets[focal] = sets[partner[focal]] = np.arange(1, len(focal) + 1)
    audit = _audit(group, stratum, method, results, len(focal))
    return Matches(
        method=method,
        pairs=pd.DataFrame(
            {"treated": index[focal], "rank": 1, "comparison": index[partner[focal]]}
        ),
        weights=pd.Series((sets > 0).astype(np.float64), index=index, name="weight"),
        matched_set=pd.Series(sets, index=index, name="matched_set"),
        propensity_score=pd.Series(probability, index=index, name="propensity_score"),
        linear_propensity_score=pd.Series(linear, index=index, name="linear_propensity_score"),
        estimand=Estimand("ATT", "in the matched sample" if len(lost) else ""),
        propensity=tuple(
            result.scores.model for _, _, result in results if result.scores.model is not None
        ),
        unmatched=pd.DataFrame({"row": index[lost], "reason": pd.Series(reason[lost], dtype=str)}),
        audit=audit,
    )


def _nobody(reasons: pd.Series, count: int) -> str:
    counts = reasons.value_counts()
    listed = "; ".join(f"{text} ({shown_count(number)})" for text, number in counts.items())
    return (
        f"None of {shown_count(count)} treated units found a match: {listed}. Widen the caliper, "
        "or use fewer exact columns or covariates."
    )


def _audit(
    group: Integers,
    stratum: Integers,
    method: NearestNeighbor,
    results: list[tuple[_Band, Integers, BandMatches]],
    matched: int,
) -> Mapping[str, int | float | str]:
    """Collect the facts of a run, as plain values."""
    cells = np.zeros((2, int(stratum.max()) + 1), dtype=np.int64)
    np.add.at(cells, (group, stratum), 1)
    outside = np.concatenate([group[rows[r.scores.outside != ""]] for _, rows, r in results])
    distances = np.concatenate([result.distances for _, _, result in results])
    notes = [
        f"band {band.name!r}: {note}" if band.name else note
        for band, _, result in results
        for note in result.scores.notes
    ]
    return MappingProxyType(
        {
            "order_rule": ORDER_RULES[method.ties],
            "rows": len(group),
            "treated": int(group.sum()),
            "comparison": int(len(group) - group.sum()),
            "treated_matched": matched,
            "treated_off_support": int((outside == 1).sum()),
            "comparison_off_support": int((outside == 0).sum()),
            "exact_strata": int((cells.sum(axis=0) > 0).sum()),
            "exact_strata_without_comparison": int(((cells[1] > 0) & (cells[0] == 0)).sum()),
            "tied_scores": sum(result.tied for _, _, result in results),
            "pairs_under_other_tie_rule": sum(
                result.pairs_under_other_rule for _, _, result in results
            ),
            "mean_distance": float(distances.mean()),
            "largest_distance": float(distances.max()),
            "notes": "; ".join(notes),
        }
    )
