"""The rows of a mixed model, checked and projected for the search of its likelihood (arrays)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.effects.mixed.likelihood import GroupSums, LikelihoodMethod
from homevisit_eval.effects.regression.prepared_design import prepare_design
from homevisit_eval.errors import EstimationError

__all__ = ["MixedDesign", "check_identified", "mixed_design", "random_columns"]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

EXACT_BELOW = 1e-12  # residuals of an exact fit, relative to y
WITHIN_BELOW = 1e-13  # squares of residuals within groups, relative to all
COLLINEAR_BELOW = 1e-8
DETERMINED_BELOW = 1e-10  # squares that X leaves of the random effects' columns, a row
MOST_LEVELS = 500  # of absorbed factors, which enter as columns
LEVEL = "\0level "  # starts the names of their columns


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MixedDesign:
    """Rows of positive weight, with the fixed part's columns orthonormal.

    Attributes
    ----------
    Q : array of shape (n, p)
        Orthonormal basis of the fixed columns times `root_weights`.
    outcome : array of shape (n,)
        What Q leaves of y times `root_weights`, in units of `scale`.
    least_squares : array of shape (p,)
        The projection of y on Q, in units of `scale`.
    scale
        Root mean square of what Q leaves of y.
    contrasts : array of shape (k, p)
        Turn coefficients of Q into those of `names`.
    log_root
        The log determinant of the triangle between Q and the given columns.
    names, dropped : tuples of names
        Columns of X that are kept, and that are combinations of others.
    root_weights : array of shape (n,)
        Roots of the weights over their mean.
    mean_weight
    groups : array of shape (n,) of 0..G-1
    group_values : array of shape (G,)
        Codes of the groups as given.
    used : array of shape (rows given,)
        Which rows have a positive weight.
    method
        ``"REML"`` or ``"ML"``.
    """

    Q: Floats
    outcome: Floats
    least_squares: Floats
    scale: float
    contrasts: Floats
    log_root: float
    names: tuple[str, ...]
    dropped: tuple[str, ...]
    root_weights: Floats
    mean_weight: float
    groups: Codes
    group_values: NDArray[np.generic]
    used: NDArray[np.bool_]
    method: LikelihoodMethod

    def __repr__(self) -> str:
        """Show the sizes."""
        return f"MixedDesign({self.n} rows, {self.G} groups, {len(self.names)} columns)"

    @property
    def n(self) -> int:
        """Rows of positive weight."""
        return len(self.outcome)

    @property
    def G(self) -> int:
        """Groups."""
        return len(self.group_values)


def mixed_design(
    y: ArrayLike,
    X: ArrayLike,
    groups: ArrayLike,
    *,
    weights: ArrayLike | None,
    absorb: Sequence[ArrayLike],
    names: Sequence[str] | None,
    method: LikelihoodMethod,
) -> MixedDesign:
    """Check the arguments of a mixed model and project its rows.

    Raises
    ------
    EstimationError
        If shapes differ, a value is missing or infinite, a weight is negative, there are fewer
        than two groups, all groups have one row, or X fits y exactly.
    """
    if method not in get_args(LikelihoodMethod):
        raise EstimationError(f"mixed model: there is no method {method!r}; choose 'REML' or 'ML'.")
    columns, labels = _with_levels(np.asarray(X, dtype=np.float64), absorb, names)
    try:
        prepared = prepare_design(columns, weights=weights, names=labels)
    except EstimationError as error:
        raise EstimationError(str(error).replace("least squares:", "mixed model:", 1)) from None
    used, design = prepared.used, prepared.design
    values, codes = _codes(groups, used, "groups")
    _check_groups(codes, len(values))
    given = np.ones(len(used)) if weights is None else np.asarray(weights, dtype=np.float64)
    root = design.root_weights
    projected, left, scale = _projected(_checked_outcome(y, used) * root, design.Q)
    own = [j for j, label in enumerate(prepared.names) if not label.startswith(LEVEL)]
    return MixedDesign(
        Q=design.Q,
        outcome=left,
        least_squares=projected,
        scale=scale,
        contrasts=prepared.inverse[own],
        log_root=-float(np.log(np.abs(np.diag(prepared.inverse))).sum()),
        names=tuple(prepared.names[j] for j in own),
        dropped=tuple(label for label in prepared.dropped if not label.startswith(LEVEL)),
        root_weights=root,
        mean_weight=float(given[used].mean()),
        groups=codes,
        group_values=values,
        used=used,
        method=method,
    )


def _projected(values: Floats, Q: Floats) -> tuple[Floats, Floats, float]:
    """Return the projection on Q (p,), the rest (n,), and the rest's root mean square, the unit."""
    left, projected = values, np.zeros(Q.shape[1])
    for _ in range(2):
        part = Q.T @ left
        left = left - Q @ part
        projected += part
    scale = float(np.sqrt(left @ left / len(left)))
    if scale <= EXACT_BELOW * float(np.sqrt(values @ values / len(values))):
        raise EstimationError(
            "mixed model: the columns of X fit y exactly, so no variance is left to share out; "
            "look at y, or use fewer columns."
        )
    return projected / scale, left / scale, scale


def random_columns(
    design: MixedDesign, slopes: ArrayLike, names: Sequence[str] | None
) -> tuple[Floats, tuple[str, ...]]:
    """Return the checked columns of random slopes (n, r) of the rows used, and their names.

    Raises
    ------
    EstimationError
        If the shape or number of names is wrong, a value is missing or infinite, or a column
        varies within no group.
    """
    columns = np.asarray(slopes, dtype=np.float64)
    if columns.ndim != 2 or len(columns) != len(design.used) or not columns.shape[1]:
        raise EstimationError(
            f"mixed model: slopes has shape {columns.shape}; give ({len(design.used)}, r), one "
            "column for each slope."
        )
    r = columns.shape[1]
    labels = tuple(names) if names is not None else tuple(f"slope{j}" for j in range(r))
    if len(labels) != r or len(set(labels)) != r:
        raise EstimationError(
            f"mixed model: slope_names has {len(labels)} entries, {len(set(labels))} of them "
            f"different; slopes has {r} columns. Give one name for each, none twice."
        )
    columns = columns[design.used]
    bad = int(columns.size - np.isfinite(columns).sum())
    if bad:
        raise EstimationError(
            f"mixed model: slopes has {bad} missing or infinite values in rows of positive "
            "weight; leave these rows out."
        )
    sizes = np.bincount(design.groups)
    for label, column in zip(labels, columns.T, strict=True):
        first = np.zeros(design.G)
        first[design.groups] = column
        if (first[design.groups] == column).all():
            raise EstimationError(
                f"mixed model: {label} varies within none of the {len(sizes)} groups, so its "
                "slope cannot; use a random intercept, or a column that varies within groups."
            )
    return columns, labels


def check_identified(sums: GroupSums) -> None:
    """Raise an error if the data cannot tell the variances apart.

    Raises
    ------
    EstimationError
        If columns of the random effects are collinear, no row is left within groups, y does
        not vary there, or X determines an effect of every group.

    Notes
    -----
    An effect a'u is determined where Z_g a is a combination of columns of X for every group: X
    then leaves nothing of sum |Z_g a|^2.
    """
    p = sums.p
    gram_of_effects = np.einsum("gij,gik->jk", sums.roots, sums.roots, optimize=True)
    if np.linalg.eigvalsh(gram_of_effects)[0] <= DETERMINED_BELOW * sums.n:
        raise EstimationError(
            "mixed model: the columns of slopes are collinear with each other or an intercept; "
            "leave out those that repeat others."
        )
    if sums.n <= int(sums.ranks.sum()):
        raise EstimationError(
            f"mixed model: {sums.G} groups with {sums.q} random effects each leave none of the "
            f"{sums.n} rows to tell them from residuals; use fewer slopes, or larger groups."
        )
    scale = np.sqrt(np.clip(np.diag(sums.within)[:p], 0.0, None))
    varying = scale > COLLINEAR_BELOW
    gram = sums.within[:p, :p][np.ix_(varying, varying)]
    rank = int(np.linalg.matrix_rank(gram, tol=COLLINEAR_BELOW**1.5, hermitian=True))
    coefficients = np.linalg.lstsq(gram, sums.within[:p, p][varying], rcond=1e-12)[0]
    left = float(sums.within[p, p] - coefficients @ sums.within[:p, p][varying])
    if sums.n - int(sums.ranks.sum()) <= rank or left <= WITHIN_BELOW * sums.n:
        raise EstimationError(
            "mixed model: y does not vary within groups once the columns of X are taken out, so "
            "there is no residual variance. Compare group means by least squares instead."
        )
    inside = sums.roots.mT @ sums.between[:, :, :p]
    left_over = gram_of_effects - np.einsum("gip,gjp->ij", inside, inside, optimize=True)
    if np.linalg.eigvalsh(left_over)[0] <= DETERMINED_BELOW * sums.n:
        raise EstimationError(
            f"mixed model: the columns of X determine the {'means' if sums.q == 1 else 'effects'} "
            f"of all {sums.G} groups (are there indicators of the groups among them?), so nothing "
            "tells how these vary. Leave out the columns that name groups, or absorb the groups "
            "by least squares."
        )


def _with_levels(
    X: Floats, absorb: Sequence[ArrayLike], names: Sequence[str] | None
) -> tuple[Floats, Sequence[str] | None]:
    """Put an indicator column for each level of absorbed factors before those of X."""
    if not len(absorb):
        return X, names
    if X.ndim != 2:
        raise EstimationError(f"mixed model: X has shape {X.shape}; give (n, k).")
    everyone = np.ones(len(X), dtype=bool)
    coded = [_codes(codes, everyone, "a factor of absorb") for codes in absorb]
    count = sum(len(values) for values, _ in coded)
    if count > MOST_LEVELS:
        raise EstimationError(
            f"mixed model: the factors of absorb have {count} levels, each a column; at most "
            f"{MOST_LEVELS} are taken. Absorb a factor of fewer levels."
        )
    labels = tuple(names) if names is not None else tuple(f"x{j}" for j in range(X.shape[1]))
    if len(labels) != X.shape[1]:
        raise EstimationError(
            f"mixed model: names has {len(labels)} entries; X has {X.shape[1]} columns. Give one "
            "name for each."
        )
    indicators = [codes[:, None] == np.arange(len(values)) for values, codes in coded]
    return np.hstack([*indicators, X]), [f"{LEVEL}{j}" for j in range(count)] + list(labels)


def _codes(
    given: ArrayLike, used: NDArray[np.bool_], what: str
) -> tuple[NDArray[np.generic], Codes]:
    """Return the different codes of the rows used, and the number of its code for each row."""
    values = np.asarray(given)
    if values.shape != used.shape:
        raise EstimationError(
            f"mixed model: {what} has shape {values.shape}; give one code for each of the "
            f"{len(used)} rows."
        )
    values = values[used]
    if values.dtype.kind == "O" and all(isinstance(v, str) for v in values):
        values = values.astype(str)
    missing = values.dtype.kind == "f" and np.isnan(values).any()
    try:
        different, found = np.unique(values, return_inverse=True)
    except TypeError:
        missing = True
    if missing:
        raise EstimationError(
            f"mixed model: {what} has missing codes, or codes of several types; give one code of "
            "the same type for each row."
        )
    return different, np.asarray(found, dtype=np.intp)


def _check_groups(codes: Codes, G: int) -> None:
    if G < 2:
        raise EstimationError(
            "mixed model: all rows are in one group, so nothing tells how groups vary; give a "
            "factor of at least two groups, or use least squares."
        )
    if len(codes) == G:
        raise EstimationError(
            f"mixed model: all {G} groups have one row, which does not tell groups from "
            "residuals; give a factor whose groups have several rows, or use least squares."
        )


def _checked_outcome(y: ArrayLike, used: NDArray[np.bool_]) -> Floats:
    outcome = np.asarray(y, dtype=np.float64)
    if outcome.shape != used.shape:
        raise EstimationError(
            f"mixed model: y has shape {outcome.shape} for {len(used)} rows of X; give one value "
            "for each."
        )
    outcome = outcome[used]
    bad = int(len(outcome) - np.isfinite(outcome).sum())
    if bad:
        raise EstimationError(
            f"mixed model: y has {bad} missing or infinite values in rows of positive weight; "
            "leave these rows out."
        )
    return outcome
