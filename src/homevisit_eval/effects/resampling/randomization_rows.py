"""The rows of a randomization test, ordered by matched set, and its statistic (arrays)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.effects.regression.prepared_design import PreparedDesign, prepare_design
from homevisit_eval.effects.resampling.randomization_statistics import (
    CoefficientStatistic,
    DifferenceStatistic,
    StandardError,
)
from homevisit_eval.errors import EstimationError

__all__ = [
    "AssignedBy",
    "RandomizationRows",
    "StatisticName",
    "StudentizeBy",
    "make_statistic",
    "randomization_rows",
]

StatisticName = Literal["difference", "adjusted", "coefficient"]
StudentizeBy = Literal["none", "by_row", "by_set", "by_cluster"]
AssignedBy = Literal["row", "cluster"]
Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

SAME_WEIGHT = 1e-9


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RandomizationRows:
    """Rows of positive weight, those of a set together, and the units that are assigned.

    Attributes
    ----------
    y, treated : arrays of shape (n,)
    sets : array of shape (n,) of 0..S-1, ascending
    clusters : array of shape (n,) of 0..G-1, or None
    if_treated, if_comparison : arrays of shape (n,)
        The weight of a row in either role.
    columns : array of shape (n, k)
        Covariates, with an intercept if nothing is absorbed.
    absorb : tuple of arrays of shape (n,)
    covariates_given
        Whether there are covariates or absorbed factors.
    units : array of shape (n,)
        The unit that each row belongs to.
    sizes, unit_treated : arrays of shape (S,)
        Units, and treated units, of each set.
    assigned_by
    """

    y: Floats
    treated: Floats
    sets: Codes
    clusters: Codes | None
    if_treated: Floats
    if_comparison: Floats
    columns: Floats
    absorb: tuple[NDArray[np.generic], ...]
    covariates_given: bool
    units: Codes
    sizes: Codes
    unit_treated: Codes
    assigned_by: AssignedBy

    def __repr__(self) -> str:
        """Show the sizes, no rows."""
        return f"RandomizationRows({len(self.y):,} rows in {self.S:,} sets)"

    @property
    def S(self) -> int:
        """Sets."""
        return len(self.sizes)

    def assign(self, block: Floats) -> Floats:
        """Return the treatment of rows from that of units, (draws, n) from (draws, units)."""
        return block if self.assigned_by == "row" else block[:, self.units]


def randomization_rows(
    y: ArrayLike,
    treated: ArrayLike,
    *,
    sets: ArrayLike | None,
    clusters: ArrayLike | None,
    assigned_by: AssignedBy,
    X: ArrayLike | None,
    absorb: Sequence[ArrayLike],
    weights: ArrayLike | None,
    sampling_weights: ArrayLike | None,
) -> RandomizationRows:
    """Check the arrays of a randomization test and order their rows by set.

    Raises
    ------
    EstimationError
        As `randomization_test`.
    """
    outcome = np.asarray(y, dtype=np.float64)
    n = outcome.size
    role = _column(treated, n, "treated")
    matching = np.ones(n) if weights is None else _column(weights, n, "weights")
    sampling = (
        np.ones(n) if sampling_weights is None else _column(sampling_weights, n, "sampling_weights")
    )
    for values, name in ((matching, "weights"), (sampling, "sampling_weights")):
        bad = int((~(values >= 0) | np.isinf(values)).sum())
        if bad:
            raise _error(f"{bad} {name} are missing, infinite or negative; give 0 or more")
    used = np.flatnonzero((matching > 0) & (sampling > 0))
    if not len(used):
        raise _error("no row has a positive weight; give some")
    outcome, role = _column(y, n, "y")[used], role[used]
    if not np.isfinite(outcome).all():
        raise _error(
            f"y has {int((~np.isfinite(outcome)).sum())} missing or infinite values in rows of "
            "positive weight; leave these rows out"
        )
    if not np.isin(role, (0.0, 1.0)).all() or role.min(initial=1) == role.max(initial=0):
        raise _error("treated must be 0 and 1 in rows of positive weight, and both occur")
    strata = np.zeros(len(used), dtype=np.intp) if sets is None else _codes(sets, n, used, "sets")
    schools = None if clusters is None else _codes(clusters, n, used, "clusters")
    units, sizes, unit_treated, order = _units(role, strata, schools, assigned_by)
    a, b = _role_weights(matching[used], role, strata)
    covariates = _covariates(X, n, used)
    if not absorb:
        covariates = np.column_stack([np.ones(len(used)), covariates])
    rows = used[order]
    return RandomizationRows(
        y=outcome[order],
        treated=role[order],
        sets=strata[order],
        clusters=None if schools is None else schools[order],
        if_treated=(a[strata] * sampling[used])[order],
        if_comparison=(b[strata] * sampling[used])[order],
        columns=(covariates if absorb else np.column_stack([np.ones(len(used)), covariates]))[
            order
        ],
        absorb=tuple(_given(codes, n, "a factor of absorb")[rows] for codes in absorb),
        covariates_given=X is not None or bool(absorb),
        units=units[order],
        sizes=sizes,
        unit_treated=unit_treated,
        assigned_by=assigned_by,
    )


def _units(
    role: Floats, strata: Codes, schools: Codes | None, assigned_by: AssignedBy
) -> tuple[Codes, Codes, Codes, Codes]:
    """Return the unit of each row, units and treated units by set, and the order of rows."""
    order = np.argsort(strata, kind="stable")
    if assigned_by == "row":
        units = np.empty(len(role), dtype=np.intp)
        units[order] = np.arange(len(role))
        unit_set, unit_role = strata[order], role[order]
    else:
        if schools is None:
            raise _error("assigned_by is cluster, but no clusters are given; give their codes")
        _, first, codes = np.unique(schools, return_index=True, return_inverse=True)
        mixed = {
            words: len(np.unique(codes[values != values[first][codes]]))
            for values, words in ((role, "treatment"), (strata, "the set"))
        }
        for words, count in mixed.items():
            if count:
                raise _error(
                    f"{words} varies within {count} clusters, so they were not assigned as a "
                    "whole; use assigned_by row, or clusters that were"
                )
        by_set = np.argsort(strata[first], kind="stable")
        units = np.argsort(by_set)[codes].astype(np.intp)
        unit_set, unit_role = strata[first][by_set], role[first][by_set]
    sizes = np.bincount(unit_set).astype(np.intp)
    unit_treated = np.bincount(unit_set, unit_role).round().astype(np.intp)
    alone = int(((unit_treated == 0) | (unit_treated == sizes)).sum())
    if alone:
        raise _error(
            f"{alone} of {len(sizes)} sets hold one group only, so nothing can be permuted in "
            "them; leave their rows out (weight 0), or use coarser sets"
        )
    return units, sizes, unit_treated, order


def _role_weights(weights: Floats, role: Floats, strata: Codes) -> tuple[Floats, Floats]:
    """Return the weight of treated and of comparison rows in each set, (S,) each."""
    found = []
    for code in (1.0, 0.0):
        rows = role == code
        S = int(strata.max()) + 1
        low, high = np.full(S, np.inf), np.zeros(S)
        np.minimum.at(low, strata[rows], weights[rows])
        np.maximum.at(high, strata[rows], weights[rows])
        unequal = int((high - low > SAME_WEIGHT * high).sum())
        if unequal:
            raise _error(
                f"weights differ among the {'treated' if code else 'comparison'} rows of "
                f"{unequal} sets, so it is not known which weight a row would have had; give "
                "weights that are constant by set and treatment, and others as sampling_weights"
            )
        found.append(high)
    return found[0], found[1]


def make_statistic(
    rows: RandomizationRows, statistic: StatisticName, studentize: StudentizeBy, *, shift: float
) -> DifferenceStatistic | CoefficientStatistic:
    """Return the statistic of the outcome less a constant effect.

    Raises
    ------
    EstimationError
        If it cannot be had for these rows.
    """
    std_error = _standard_error(rows, statistic, studentize)
    y = rows.y - shift * rows.treated
    match statistic:
        case "difference":
            if rows.covariates_given:
                raise _error("the difference takes no covariates; use adjusted or coefficient")
            z, weights = rows.treated, (rows.if_treated, rows.if_comparison)
            return DifferenceStatistic(y - y.mean(), z, *weights, std_error)
        case "adjusted":
            prepared = _prepared(rows, _weights_of_any_role(rows))
            root = prepared.design.root_weights
            basis = prepared.design.Q[:, :-1]
            left, z = (_residual(prepared, basis, v) / root for v in (y, rows.treated))
            return DifferenceStatistic(left, z, rows.if_treated, rows.if_comparison, std_error)
        case "coefficient":
            unequal = np.abs(rows.if_treated - rows.if_comparison)
            if (unequal > SAME_WEIGHT * rows.if_treated).any():
                raise _error(
                    "weights differ between treated and comparison rows of a set, so they trade "
                    "places with treatment; the coefficient needs equal ones, use adjusted"
                )
            prepared = _prepared(rows, rows.if_treated)
            basis = prepared.design.Q[:, :-1]
            left, z = (_residual(prepared, basis, v) for v in (y, rows.treated))
            return CoefficientStatistic(left, z, basis, prepared.design, std_error)
    assert_never(statistic)


def _standard_error(
    rows: RandomizationRows, statistic: StatisticName, studentize: StudentizeBy
) -> StandardError | None:
    match studentize:
        case "none":
            return None
        case "by_set":
            if rows.S < 2:
                raise _error("by_set needs two sets or more; use by_row")
            return StandardError(rows.sets, within=False)
        case "by_cluster":
            if rows.clusters is None:
                raise _error("by_cluster needs clusters; give their codes")
            return StandardError(rows.clusters, within=False)
        case "by_row":
            if rows.assigned_by == "cluster":
                raise _error("clusters were assigned, so rows are not independent; use by_cluster")
            fewest = np.minimum(rows.unit_treated, rows.sizes - rows.unit_treated)
            if statistic != "coefficient" and (fewest < 2).any():
                raise _error("by_row needs two rows of both groups in every set; use by_set")
            return StandardError(rows.sets, within=True)
    assert_never(studentize)


def _weights_of_any_role(rows: RandomizationRows) -> Floats:
    """Return the mean of both weights, by how many of the set have them: no assignment changes
    it."""
    share = (rows.unit_treated / rows.sizes)[rows.sets]
    return share * rows.if_treated + (1.0 - share) * rows.if_comparison


def _prepared(rows: RandomizationRows, weights: Floats) -> PreparedDesign:
    names = [*(f"x{j}" for j in range(rows.columns.shape[1])), "treated"]
    X = np.column_stack([rows.columns, rows.treated])
    prepared = prepare_design(X, weights=weights, absorb=rows.absorb, names=names)
    if "treated" in prepared.dropped:
        raise _error(
            "treated is a linear combination of covariates and absorbed factors; leave these out"
        )
    return prepared


def _residual(prepared: PreparedDesign, basis: Floats, values: Floats) -> Floats:
    """Return values less their projection on covariates and cells, times the root weights."""
    swept = prepared.sweep(values) * prepared.design.root_weights
    return np.asarray(swept - basis @ (basis.T @ swept), dtype=np.float64)


def _covariates(X: ArrayLike | None, n: int, used: Codes) -> Floats:
    if X is None:
        return np.empty((len(used), 0))
    values = np.asarray(X, dtype=np.float64)
    if values.ndim != 2 or len(values) != n:
        raise _error(f"X has shape {values.shape} for {n} rows; give (n, k)")
    return np.asarray(values[used], dtype=np.float64)


def _column(values: ArrayLike, n: int, name: str) -> Floats:
    return np.asarray(_given(values, n, name), dtype=np.float64)


def _given(values: ArrayLike, n: int, name: str) -> NDArray[np.generic]:
    given: NDArray[np.generic] = np.asarray(values)
    if given.shape != (n,):
        raise _error(f"{name} has shape {given.shape} for {n} rows; give one value for each")
    return given


def _codes(codes: ArrayLike, n: int, used: Codes, name: str) -> Codes:
    values = _given(codes, n, name)[used]
    missing = values.dtype.kind == "f" and bool(np.isnan(values.astype(np.float64)).any())
    try:
        found = np.unique(values, return_inverse=True)[1]
    except TypeError:
        missing = True
    if missing:
        raise _error(
            f"{name} has missing codes, or codes of several types, in rows of positive weight; "
            "give one code of the same type for each row"
        )
    return np.asarray(found, dtype=np.intp)


def _error(text: str) -> EstimationError:
    return EstimationError(f"randomization test: {text}.")
