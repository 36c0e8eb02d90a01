"""Matching of any data frame, and of an analytic sample within its grade bands."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.design import ExactMatching, MatchingMethod, NearestNeighbor
from homevisit_eval.disclosure import shown_count
from homevisit_eval.errors import MatchingError
from homevisit_eval.matching.assemble import Placed, assemble
from homevisit_eval.matching.audit import audit_of, inputs_checksum
from homevisit_eval.matching.band import BandRows, match_band
from homevisit_eval.matching.frame import (
    RowView,
    check_columns,
    check_index,
    check_method,
    check_method_columns,
    check_names,
    check_usable,
    check_varies,
    exact_within,
    key_rank,
    method_columns,
    read_name,
    read_names,
    read_sampling_weights,
    read_scores,
    read_treatment,
    uses_covariates,
)
from homevisit_eval.matching.matched_sample import MatchedSample, Matches
from homevisit_eval.sample.analytic_sample import AnalyticSample
from homevisit_eval.sample.labels import listed

__all__ = ["match_frame", "match_students"]

Integers = NDArray[np.int64]
FloatArray = NDArray[np.float64]

SAMPLE_KEY = ("unit_id", "school_year", "index_date")
DEFAULT_METHOD = NearestNeighbor()

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
    unit_id: str = "",
    sampling_weights: str = "",
) -> Matches:
    """Match treated to comparison rows of any data frame, or weight them.

    Parameters
    ----------
    frame
        One row a unit, with unique row labels. It is not changed.
    treated
        The column that is 1 for treated and 0 for comparison units.
    covariates
        Columns of the propensity model, of a distance in covariates, of what is coarsened, or
        of what is balanced, as the method says. Text and categoricals are categories: in a
        model one 0/1 column for each level but the first.
    method
        Any matching or weighting method, with its options.
    propensity_score : array of shape (n,), optional
        Scores from elsewhere, between 0 and 1 (`cross_fitted_scores` makes them with any
        classifier); no model is fitted then.
    squared
        Covariates whose square (of the value less its mean) enters as well.
    key
        Columns that identify a row, by which ties are broken under ``ties="row"``; the row
        labels if empty.
    unit_id
        The column that says whose row it is, if units have several (a student in several
        years, or at several dates): they are never matched with themselves, and
        `max_uses_per_unit_id` limits them. Every row is a unit of its own if empty.
    sampling_weights
        The column of survey weights, at least 0; they enter the propensity model, covariances
        and the weights returned. Their scale does not matter; rows of weight 0 are not matched.
        All rows count alike if empty.

    Returns
    -------
    Matches
        Pairs, weights and matched sets by row label, with the estimand they realize.

    Raises
    ------
    MatchingError
        If labels repeat, a column is unknown, constant, incomplete or infinite, `treated` is
        not 0/1, a group is empty, given scores are not between 0 and 1, sampling weights are
        negative, the covariates separate the groups, weights do not converge, or nobody finds
        a match.

    Notes
    -----
    A level of a factor (or a value of a two-valued number) that only one group has cannot be
    scored: its rows are left out of the model, comparison rows among them are not used, treated
    ones are listed in `unmatched`, and `audit` says how many.

    References
    ----------
    Stuart, E. A. (2010). Matching methods for causal inference: a review and a look forward.
    *Statistical Science*, 25(1), 1-21. Each method value names its own source.

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
    treated = read_name(treated, "treated")
    covariates = read_names(covariates, "covariates")
    squared, key = read_names(squared, "squared"), read_names(key, "key")
    unit_id = read_name(unit_id, "unit_id")
    check_columns(frame, [treated], "treated")
    group = read_treatment(frame, treated)
    check_names(covariates, "covariates", treated)
    check_columns(frame, covariates, "covariates")
    check_columns(frame, key, "key")
    check_usable(frame, covariates, "covariates")
    if uses_covariates(method) and propensity_score is None:
        if not covariates:
            raise MatchingError("covariates: name at least one, or give propensity_score.")
        check_varies(frame, covariates)
    run = _Run(
        frame=frame,
        treated=group,
        bands=(_Band("", np.arange(len(frame)), tuple(covariates), tuple(squared)),),
        method=method,
        key=tuple(key),
        scores=None if propensity_score is None else read_scores(frame, propensity_score),
        unit_id=unit_id,
        sampling_weights=(
            read_sampling_weights(frame, sampling_weights, group) if sampling_weights else None
        ),
    )
    return _match(run)


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
        As `match_frame`, naming the grade band; if the question asks for comparisons of the
        same school by a method that keeps no columns exact. A covariate that is constant in
        one band is not an error there: it is dropped, and named in `audit`.

    Notes
    -----
    A student is never matched with himself in another year. Bands are matched one after the
    other in the order of their names, so a limit of uses of a student
    (`max_uses_per_unit_id`) is reached in that order.
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
    run = _Run(
        frame=baseline,
        treated=group,
        bands=bands,
        method=method,
        key=SAMPLE_KEY,
        scores=None,
        unit_id="unit_id",
        sampling_weights=None,
    )
    return MatchedSample(sample, _match(run))


def _method(sample: AnalyticSample, method: MatchingMethod) -> MatchingMethod:
    """Return the method with what the question needs to be exact: day, school, subgroup."""
    same_school = ("school_id",) if sample.question.comparison_schools == "same_school" else ()
    needed = (*sample.exact, *same_school)
    if not needed:
        return method
    why = f"question {sample.question.name!r} compares only within {listed(needed)}"
    if isinstance(method, ExactMatching) and not method.exact:
        raise MatchingError(
            f"{why}, which is added to the exact columns, and 'exact' names none. Name its "
            "columns in exact."
        )
    within = exact_within(method, needed)
    if within is None:
        raise MatchingError(
            f"{why}, which needs a matching method that keeps units within exact columns; "
            f"{method.method!r} has none. Choose nearest_neighbor, optimal_pairs, full_matching "
            "or coarsened_exact, or ask otherwise (comparison_schools, window, subgroup)."
        )
    return within


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


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Run:
    """A checked call: a frame whose bands are matched by one method."""

    frame: pd.DataFrame
    treated: Integers
    bands: tuple[_Band, ...]
    method: MatchingMethod
    key: tuple[str, ...]
    scores: FloatArray | None
    unit_id: str
    sampling_weights: FloatArray | None


def _match(run: _Run) -> Matches:
    check_method_columns(run.frame, run.method)
    n = len(run.frame)
    by_key, by_row = key_rank(run.frame, run.key), np.arange(n)
    rank = by_row if getattr(run.method, "ties", "row") == "matchit" else by_key
    person = _persons(run)
    person_uses = (
        np.zeros(int(person.max()) + 1, dtype=np.int64)
        if person is not None and isinstance(run.method, NearestNeighbor)
        else None
    )
    sampling = _of_mean_one(run.sampling_weights)
    placed = []
    for band in run.bands:
        counted = band.rows if sampling is None else band.rows[sampling[band.rows] > 0]
        at = counted[np.argsort(rank[counted], kind="stable")]
        rows = BandRows(
            name=band.name,
            frame=RowView(run.frame, at),
            treated=run.treated[at],
            covariates=band.covariates,
            squared=band.squared,
            given=None if run.scores is None else run.scores[at],
            sampling_weights=None if sampling is None else sampling[at],
            person=None if person is None else person[at],
            data_order=at,
            key_order=by_key[at],
        )
        result = match_band(rows, run.method, person_uses)
        placed.append(Placed(rows, at, result))
        logger.info("%s%s of %s rows", rows.where, run.method.method, shown_count(len(rows)))
    matches = assemble(
        run.frame,
        run.treated,
        run.method,
        placed,
        rank=rank,
        sampling_weights=run.sampling_weights,
    )
    checksum = inputs_checksum(
        run.frame,
        [name for band in run.bands for name in band.covariates] + method_columns(run.method),
        [run.treated.astype(np.float64)] + ([] if run.scores is None else [run.scores]),
    )
    return replace(matches, audit=audit_of(matches, run.treated, placed, checksum))


def _of_mean_one(weights: FloatArray | None) -> FloatArray | None:
    """Return sampling weights with mean 1 over those above 0: their scale must not matter."""
    return None if weights is None else weights / weights[weights > 0].mean()


def _persons(run: _Run) -> Integers | None:
    if not run.unit_id:
        if isinstance(run.method, NearestNeighbor) and (
            run.method.max_uses_per_unit_id != "unlimited"
        ):
            raise MatchingError(
                "max_uses_per_unit_id limits the rows of a unit: name the column that says whose "
                "row it is, as unit_id."
            )
        return None
    check_columns(run.frame, [run.unit_id], "unit_id")
    codes = pd.factorize(run.frame[run.unit_id])[0].astype(np.int64)
    if (codes < 0).any():
        raise MatchingError(
            f"unit_id: {int((codes < 0).sum()):,} rows have no value in {run.unit_id!r}. Fill "
            "or leave out these rows."
        )
    return codes
