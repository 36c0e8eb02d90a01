"""A matched sample and an outcome model -> the arrays of a regression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import assert_never

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.design import (
    AbadieImbens,
    CountMargins,
    DifferenceInMeans,
    DoublyRobust,
    FixedEffects,
    LogisticMargins,
    NearestNeighbor,
    OutcomeModel,
    RandomIntercept,
)
from homevisit_eval.design.method_facts import makes_matched_sets
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching.frame import INTERCEPT, make_design_matrix
from homevisit_eval.matching.matched_sample import MatchedSample

__all__ = [
    "TREATMENT",
    "RegressionRows",
    "clustered_by",
    "covariate_columns",
    "one_row_a_match",
    "regression_rows",
]

TREATMENT = "visited"

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RegressionRows:
    """The student-years that enter the estimate of one effect, as arrays.

    Attributes
    ----------
    y, visited, weights : arrays of shape (n,)
        Rows with a positive matching weight and the outcome observed.
    X : array of shape (n, k)
        Covariates (the intercept first if nothing is absorbed), without treatment.
    names : tuple of k names
    absorb : tuple of arrays of shape (n,)
        Codes of the absorbed cells, and of grade bands where these do not nest the cells.
    clusters, students : arrays of shape (n,)
        Codes.
    places : array of shape (n,)
        The position of each row in the sample's baseline.
    matched_visited, matched_comparison, matched_students_visited, matched_students_comparison
        All matched student-years, and distinct students, with and without the outcome observed.
    formula
        The model in words and symbols.
    """

    y: Floats
    visited: NDArray[np.int64]
    weights: Floats
    X: Floats
    names: tuple[str, ...]
    absorb: tuple[NDArray[np.int64], ...]
    clusters: NDArray[np.int64]
    students: NDArray[np.int64]
    places: NDArray[np.intp]
    matched_visited: int
    matched_comparison: int
    matched_students_visited: int
    matched_students_comparison: int
    formula: str

    def with_cells(self) -> Floats:
        """Return X without a constant, then a 0/1 column for each absorbed level but the first."""
        columns = [column for column in self.X.T if column.min() != column.max()]
        for codes in self.absorb:
            columns += [(codes == level).astype(np.float64) for level in np.unique(codes)[1:]]
        return np.array(columns).T.reshape(len(self.y), len(columns))

    def only(self, kept: NDArray[np.bool_]) -> RegressionRows:
        """Return some of the rows, clusters numbered anew; `kept` has shape (n,)."""
        return replace(
            self,
            y=self.y[kept],
            visited=self.visited[kept],
            weights=self.weights[kept],
            X=self.X[kept],
            absorb=tuple(codes[kept] for codes in self.absorb),
            clusters=np.unique(self.clusters[kept], return_inverse=True)[1].astype(np.int64),
            students=self.students[kept],
            places=self.places[kept],
        )

    def __repr__(self) -> str:
        """Show the shape and names, no rows."""
        return f"RegressionRows({len(self.y)} rows: {', '.join(self.names)})"


def regression_rows(matched: MatchedSample, outcome: str, model: OutcomeModel) -> RegressionRows:
    """Take from a matched sample what the model needs for one outcome.

    Raises
    ------
    EstimationError
        If a column is missing or incomplete, nobody of a group has the outcome observed, or the
        question asks for no later visits and the pairs were not followed until them.
    """
    question = matched.sample.question
    if question.later_visits == "none" and not matched.sample.followed:
        raise EstimationError(
            f"question {question.name!r} has later_visits = 'none', but its outcomes "
            "are still those of the natural course. Call matched = follow_without_visits(matched, "
            "panel) first."
        )
    sample, weights = matched.sample, matched.matches.weights.to_numpy(dtype=np.float64)
    values = sample.outcomes[outcome].to_numpy(dtype=np.float64, na_value=np.nan)
    group = sample.baseline["visited"].to_numpy(dtype=np.int64)
    used = (weights > 0) & ~np.isnan(values)
    units = sample.baseline["unit_id"]
    visited, comparison = (units[(weights > 0) & (group == code)] for code in (1, 0))
    for code, words in ((1, "visited"), (0, "comparison")):
        if not (used & (group == code)).any():
            raise EstimationError(
                f"{outcome}: it is observed for no matched {words} student-year, so no effect "
                "can be estimated. Choose another outcome, or lower min_days_enrolled."
            )
    rows = sample.baseline.loc[used]
    X, names, absorb, right = _columns(matched, rows, model)
    return RegressionRows(
        y=values[used],
        visited=group[used],
        weights=weights[used],
        X=X,
        names=names,
        absorb=absorb,
        clusters=_clusters(matched, rows, model.cluster.partition("+")[0]),
        students=_codes(rows, ["unit_id"]),
        places=np.flatnonzero(used),
        matched_visited=len(visited),
        matched_comparison=len(comparison),
        matched_students_visited=visited.nunique(),
        matched_students_comparison=comparison.nunique(),
        formula=f"{outcome} ~ {right}",
    )


def clustered_by(matched: MatchedSample, rows: RegressionRows, cluster: str) -> RegressionRows:
    """Return the same rows with clusters of another kind.

    Raises
    ------
    EstimationError
        If a row has no such cluster.
    """
    part = matched.sample.baseline.iloc[rows.places]
    return replace(rows, clusters=_clusters(matched, part, cluster))


def _columns(
    matched: MatchedSample, rows: pd.DataFrame, model: OutcomeModel
) -> tuple[Floats, tuple[str, ...], tuple[NDArray[np.int64], ...], str]:
    """Return covariates, their names, absorbed codes and the right side of the formula."""
    match model:
        case DifferenceInMeans():
            return np.ones((len(rows), 1)), (INTERCEPT,), (), TREATMENT
        case (
            FixedEffects()
            | LogisticMargins()
            | CountMargins()
            | DoublyRobust()
            | RandomIntercept()
            | AbadieImbens()
        ):
            X, names, terms, partial = _covariates(matched, rows)
            absorbed = () if isinstance(model, AbadieImbens) else model.absorb
            absorb = [_codes(rows, absorbed)] if absorbed else []
            if partial:
                bands = _codes(rows, ["grade_band"])
                if not absorb or _splits(absorb[0], bands):
                    absorb.append(bands)
            if not absorb:
                X, names = np.column_stack([np.ones(len(rows)), X]), (INTERCEPT, *names)
            right = " + ".join([TREATMENT, *terms])
            if absorbed:
                right += f" | {' x '.join(absorbed)}"
            if len(absorb) > bool(absorbed):
                right += f" {'+' if absorbed else '|'} grade_band"
            return X, names, tuple(absorb), right
        case _:
            assert_never(model)


def one_row_a_match(
    matched: MatchedSample, rows: RegressionRows
) -> tuple[NDArray[np.intp], Floats, NDArray[np.int64]]:
    """Return rows, weights and sets in which a student stands once for each of his matches.

    Matching with replacement has no sets: a comparison student may be in several. Here the set of
    a student who looked for matches is his own and that of his matches; one who was matched
    several times stands in each set, with a part of his weight. Coefficients stay as they are.

    Returns
    -------
    at : array of shape (m,)
        Positions among the rows, some several times.
    weights : array of shape (m,)
    sets : array of shape (m,)

    Raises
    ------
    EstimationError
        If the matching made neither sets nor pairs.
    """
    matches = matched.matches
    sets = matches.matched_set.to_numpy(dtype=np.int64)[rows.places]
    if (sets >= 0).all():
        return np.arange(len(rows.y)), rows.weights, sets
    if not len(matches.pairs):
        _clusters(matched, matched.sample.baseline.iloc[rows.places], "matched_set")
    where = np.full(len(matches.weights), -1)
    where[rows.places] = np.arange(len(rows.places))
    sides = ("treated", "comparison")
    focal, match = sides if matches.estimand.target != "ATC" else sides[::-1]
    own, other = (
        where[matched.sample.baseline.index.get_indexer(pd.Index(matches.pairs[side]))]
        for side in (focal, match)
    )
    label = pd.factorize(matches.pairs[focal])[0]
    share = 1.0 / np.bincount(label)[label]
    kept = other >= 0
    other, share, numbers = other[kept], share[kept], label[kept]
    parts = rows.weights[other] * share / np.bincount(other, share)[other]
    alone, first = np.unique(own[own >= 0], return_index=True)
    return (
        np.concatenate([alone, other]).astype(np.intp),
        np.concatenate([rows.weights[alone], parts]),
        np.concatenate([label[own >= 0][first], numbers]).astype(np.int64),
    )


def covariate_columns(matched: MatchedSample, rows: pd.DataFrame) -> Floats:
    """Return the covariates of some rows of the baseline, without an intercept, (n, k).

    Where some are measured in some bands only, a 0/1 column for each band but the first follows.

    Raises
    ------
    EstimationError
        If a covariate is missing or incomplete.
    """
    X, _, _, partial = _covariates(matched, rows)
    if not partial:
        return X
    bands = _codes(rows, ["grade_band"])
    return np.hstack([X, (bands[:, None] == np.arange(1, bands.max() + 1)).astype(np.float64)])


def _covariates(
    matched: MatchedSample, rows: pd.DataFrame
) -> tuple[Floats, tuple[str, ...], list[str], bool]:
    """Return the covariates of all bands; whether one is measured in some bands only.

    A covariate that a band does not have is centered where it is measured and 0 elsewhere: the
    intercept of the band takes up the rest.
    """
    sample = matched.sample
    band_codes, bands = pd.factorize(rows["grade_band"].astype(str))
    squares = {covariate.name for covariate in sample.design.covariates if covariate.squared}
    parts: list[Floats] = [np.empty((len(rows), 0))]
    names: list[str] = []
    terms: list[str] = []
    partial = False
    for covariate in sample.adjusted_for:
        name = covariate.name
        measured = np.array([name in sample.covariates[band] for band in bands], dtype=bool)
        where = measured[band_codes]
        if not where.any():
            continue
        partial |= not where.all()
        _check_complete(rows, name, where)
        matrix = make_design_matrix(rows.loc[where], [name], [name] if name in squares else [])
        columns = matrix.columns[:, 1:]
        spread = np.zeros((len(rows), columns.shape[1]))
        spread[where] = columns if where.all() else columns - columns.mean(axis=0)
        parts.append(spread)
        names += matrix.names[1:]
        terms += [name, f"{name}^2"] if name in squares else [name]
    return np.hstack(parts), tuple(names), terms, partial


def _check_complete(rows: pd.DataFrame, name: str, where: NDArray[np.bool_]) -> None:
    if name not in rows.columns:
        raise EstimationError(
            f"{name}: the sample's baseline has no such column; name only columns that it has."
        )
    missing = int(rows.loc[where, name].isna().sum())
    if missing:
        raise EstimationError(
            f"{name}: missing for {missing} matched student-years of grade bands that measure "
            "it. Leave these rows out of the sample, or declare the covariate where_measured."
        )


def _splits(cells: NDArray[np.int64], bands: NDArray[np.int64]) -> bool:
    """Say whether rows of one cell lie in more than one band."""
    pairs = np.unique(np.column_stack([cells, bands]), axis=0)
    return len(pairs) > len(np.unique(cells))


def _clusters(matched: MatchedSample, rows: pd.DataFrame, cluster: str) -> NDArray[np.int64]:
    if cluster == "matched_set":
        sets: NDArray[np.int64] = matched.matches.matched_set.loc[rows.index].to_numpy(np.int64)
        if (sets < 0).any():
            method = matched.matches.method
            why = f"method {method.method!r} makes none"
            if isinstance(method, NearestNeighbor) and not makes_matched_sets(method):
                why = (
                    f"{method.method!r} with max_uses = {method.max_uses!r} may use one in several"
                )
            raise EstimationError(
                f"cluster matched_set: {int((sets < 0).sum())} student-years are in no matched "
                f"set; {why}. Choose cluster school_id, or a method that makes sets: "
                "nearest_neighbor with max_uses = 1, optimal_pairs, full_matching, "
                "coarsened_exact, exact or subclassification."
            )
        return sets
    if cluster == "none":
        return np.arange(len(rows), dtype=np.int64)
    return _codes(rows, ["unit_id" if cluster == "student_id" else cluster])


def _codes(rows: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.int64]:
    """Number the combinations of some columns, one number a row."""
    for name in columns:
        if name not in rows.columns:
            raise EstimationError(
                f"{name}: the sample's baseline has no such column; choose one that it has."
            )
        missing = int(rows[name].isna().sum())
        if missing:
            raise EstimationError(
                f"{name}: missing for {missing} matched student-years; it must be known to "
                "absorb it or to cluster by it."
            )
    codes = np.zeros(len(rows), dtype=np.int64)
    for name in columns:
        values, levels = pd.factorize(rows[name])
        codes = pd.factorize(codes * len(levels) + values)[0].astype(np.int64)
    return codes
