"""Arrays given to least squares -> checked rows of positive weight (arrays)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.errors import EstimationError

__all__ = ["checked_design", "checked_labels", "numbered"]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

SPREAD = 4  # range of whole numbers, times the rows, up to which they are counted, not sorted


def checked_design(
    X: ArrayLike, weights: ArrayLike | None
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return the columns (n, k) and weights (n,) of the rows used, and which these are.

    Weights have mean 1, or are all exactly 1 if they are constant.

    Raises
    ------
    EstimationError
        If shapes differ, a value is missing or infinite, a weight is negative, or no row has a
        positive weight.
    """
    columns = np.asarray(X, dtype=np.float64)
    if columns.ndim != 2:
        raise EstimationError(f"least squares: X has shape {columns.shape}; give (n, k).")
    n = len(columns)
    w = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    if w.shape != (n,):
        raise EstimationError(
            f"least squares: X has shape {columns.shape} and weights {w.shape}; give (n, k) and "
            "(n,)."
        )
    if not np.isfinite(w).all() or (w < 0).any():
        raise EstimationError(
            f"least squares: {int((~(w >= 0) | np.isinf(w)).sum())} weights are missing, "
            "infinite or negative; give weights of 0 or more."
        )
    used = w > 0
    if not used.any():
        raise EstimationError(
            "least squares: no row has a positive weight; give at least as many rows as parameters."
        )
    if not used.all():
        columns, w = columns[used], w[used]
    bad = int(columns.size - np.isfinite(columns).sum())
    if bad:
        raise EstimationError(
            f"least squares: X has {bad} missing or infinite values in rows of positive weight; "
            "leave these rows out."
        )
    w = np.ones(len(w)) if w.min() == w.max() else w / w.mean()
    return columns, w, used


def checked_labels(names: Sequence[str] | None, k: int) -> tuple[str, ...]:
    """Return one name for each of k columns.

    Raises
    ------
    EstimationError
        If there are more or fewer names, or one is there twice.
    """
    labels = tuple(names) if names is not None else tuple(f"x{j}" for j in range(k))
    if len(labels) != k or len(set(labels)) != k:
        raise EstimationError(
            f"least squares: names has {len(labels)} entries, {len(set(labels))} of them "
            f"different; X has {k} columns. Give one name for each, none twice."
        )
    return labels


def numbered(
    codes: ArrayLike, used: NDArray[np.bool_], what: str
) -> tuple[NDArray[np.generic], Codes]:
    """Return the different codes of the rows used, and the number of its code for each row.

    Raises
    ------
    EstimationError
        If the shape is another, or codes are missing or of several types.
    """
    values = np.asarray(codes)
    if values.shape != used.shape:
        raise EstimationError(
            f"least squares: {what} has shape {values.shape}; give one code for each of the "
            f"{len(used)} rows."
        )
    values = values[used]
    if values.dtype.kind == "O":
        values = values.astype(str) if all(isinstance(v, str) for v in values) else values
    missing = values.dtype.kind == "f" and bool(np.isnan(values).any())
    try:
        different, found = _different(values)
    except TypeError:
        missing = True
    if missing:
        raise EstimationError(
            f"least squares: {what} has missing codes, or codes of several types; give one "
            "code of the same type for each row."
        )
    return different, np.asarray(found, dtype=np.intp)


def _different(values: NDArray[np.generic]) -> tuple[NDArray[np.generic], Codes]:
    """Return the different values, sorted, and which of them each is."""
    if values.dtype.kind in "iu" and len(values):
        first, last = int(values.min()), int(values.max())
        if last - first < SPREAD * len(values) and last <= np.iinfo(np.intp).max:
            shifted = values.astype(np.intp) - first
            present = np.zeros(last - first + 1, dtype=bool)
            present[shifted] = True
            number = np.cumsum(present) - 1
            different = (np.flatnonzero(present) + first).astype(values.dtype)
            return different, number[shifted]
    different, found = np.unique(values, return_inverse=True)
    return different, found
