"""Scores of any classifier, each predicted by a copy that has not seen the row (arrays)."""

from __future__ import annotations

import copy
import logging
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.errors import MatchingError

__all__ = ["Classifier", "cross_fitted_scores"]

Integers = NDArray[np.int64]
FloatArray = NDArray[np.float64]

FOLDS_KEY = 41  # with the seed: another number is another draw of folds

logger = logging.getLogger(__name__)


class Classifier(Protocol):
    """What scikit-learn's classifiers, and those written like them, can do."""

    def fit(self, X: Any, y: Any) -> Any:
        """Learn from X of shape (n, k) and y of shape (n,), 0 or 1."""

    def predict_proba(self, X: Any) -> Any:
        """Return probabilities, shape (n, 2): of 0 and of 1, or in the order of `classes_`."""


def cross_fitted_scores(
    classifier: Classifier,
    X: ArrayLike,
    treated: ArrayLike,
    *,
    folds: int = 5,
    seed: int,
    groups: ArrayLike | None = None,
    key: ArrayLike | None = None,
) -> FloatArray:
    """Return propensity scores of a classifier, predicted out of fold.

    The units are divided into folds; the scores of a fold come from a copy of the classifier
    that was fitted to all other folds. So no unit's own treatment makes its score, and a
    flexible classifier cannot remember who was treated.

    Parameters
    ----------
    classifier
        Not yet fitted; anything with ``fit(X, y)`` and ``predict_proba(X)``. It is copied for
        each fold (``copy.deepcopy``) and stays as it is. If it draws random numbers, give it a
        seed of its own (``random_state``).
    X : array of shape (n, k)
        Finite numbers.
    treated : array of shape (n,)
        0 or 1.
    folds
        2 or more.
    seed
        Of the division into folds, 0 or above.
    groups : array of shape (n,), optional
        Values that can be sorted: rows that share one (the rows of a student) are in one fold.
    key : array of shape (n,), optional
        Values that can be sorted and identify a row: rows are handled in their order, so that
        the scores do not depend on the order in which rows are given.

    Returns
    -------
    array of shape (n,)
        Probabilities of treatment, above 0 and below 1, in the order of the rows.

    Raises
    ------
    MatchingError
        If a group has fewer units (or `groups`) than there are folds, shapes differ, a number
        is missing, a score is 0 or 1, or the classifier fails or lacks a method.

    Notes
    -----
    Units are the distinct values of `groups`, else rows. They are shuffled in their sorted order
    (rows: in the order of `key`, else as given) by ``PCG64(SeedSequence([seed, 41]))``, put in
    order of what they hold (comparison rows only, both, treated rows only), and dealt out to
    the folds in turn. So folds are stratified by treatment, and each has both groups; with
    `groups` or `key` they depend on these values, on treatment and on the seed, not on the
    order of rows.

    References
    ----------
    Chernozhukov, V., Chetverikov, D., Demirer, M., Duflo, E., Hansen, C., Newey, W., & Robins, J.
    (2018). Double/debiased machine learning for treatment and structural parameters. *The
    Econometrics Journal*, 21(1), C1-C68.
    """
    _check_classifier(classifier)
    matrix, y = _checked(X, treated)
    n = len(y)
    order = np.arange(n) if key is None else _order_of(key, n)
    unit = order.argsort() if groups is None else _numbered(groups, n, "groups")
    fold = _folds(unit, y, folds, seed)
    scores = np.empty(n)
    for number in range(folds):
        here = fold[order] == number
        inside, outside = order[here], order[~here]
        scores[inside] = _predicted(classifier, matrix, y, outside, inside)
    _check_scores(scores)
    logger.info("cross-fitted scores: %d rows, %d folds", n, folds)
    return scores


def _folds(unit: Integers, y: Integers, folds: int, seed: int) -> Integers:
    """Return the fold of each row; `unit` numbers the units in their sorted order."""
    if folds < 2 or seed < 0:
        raise MatchingError(
            f"cross_fitted_scores needs 2 or more folds and a seed of 0 or above; they are {folds} "
            f"and {seed}."
        )
    total = int(unit.max(initial=-1)) + 1
    counts = [np.bincount(unit[y == one], minlength=total) > 0 for one in (0, 1)]
    for has, name in zip(counts, ("comparison", "treated"), strict=True):
        if has.sum() < folds:
            raise MatchingError(
                f"cross_fitted_scores: {folds} folds need at least {folds} units (or groups) with "
                f"{name} rows, and there are fewer. Use fewer folds, at least 2, or more data."
            )
    place = np.where(counts[0], np.where(counts[1], 1, 0), 2)  # those with both stand between
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, FOLDS_KEY])))
    shuffled = random.permutation(total)
    dealt = shuffled[np.argsort(place[shuffled], kind="stable")]
    fold = np.empty(total, dtype=np.int64)
    fold[dealt] = np.arange(total) % folds
    return fold[unit]


def _predicted(
    classifier: Classifier, matrix: FloatArray, y: Integers, outside: Integers, inside: Integers
) -> FloatArray:
    """Fit a copy to the rows outside a fold and predict those inside."""
    try:
        copied = copy.deepcopy(classifier)
        copied.fit(matrix[outside], y[outside])
        probabilities = np.asarray(copied.predict_proba(matrix[inside]), dtype=np.float64)
        classes = list(getattr(copied, "classes_", (0, 1)))
    except Exception as error:  # whatever it says may quote the data
        raise MatchingError(
            f"cross_fitted_scores: the classifier {type(classifier).__name__} failed with "
            f"{type(error).__name__} on {len(outside):,} rows of {matrix.shape[1]} columns. Fit it "
            "to them alone to see why."
        ) from None
    if probabilities.shape != (len(inside), 2) or 1 not in classes:
        raise MatchingError(
            f"cross_fitted_scores: predict_proba of {type(classifier).__name__} must return shape "
            f"(n, 2), the probabilities of 0 and of 1; for {len(inside):,} rows it returned "
            f"{probabilities.shape}."
        )
    return np.asarray(probabilities[:, classes.index(1)])


def _check_scores(scores: FloatArray) -> None:
    wrong = int((~((scores >= 0) & (scores <= 1))).sum())
    if wrong:
        raise MatchingError(
            f"cross_fitted_scores: {wrong:,} of {len(scores):,} scores are missing or not between "
            "0 and 1. Use a classifier whose predict_proba returns probabilities."
        )
    certain = int(((scores == 0) | (scores == 1)).sum())
    if certain:
        raise MatchingError(
            f"cross_fitted_scores: {certain:,} of {len(scores):,} scores are exactly 0 or 1; such "
            "units have no counterpart, and their log odds and weights are infinite. Use a "
            "classifier that is less certain (larger leaves, more regularization, calibrated "
            "probabilities), or leave out the covariate that decides who is treated."
        )


def _check_classifier(classifier: Classifier) -> None:
    for method in ("fit", "predict_proba"):
        if not callable(getattr(classifier, method, None)):
            raise MatchingError(
                f"cross_fitted_scores: {type(classifier).__name__} has no method {method}. Use a "
                "classifier in the style of scikit-learn that predicts probabilities."
            )
    if getattr(classifier, "warm_start", False):
        raise MatchingError(
            f"cross_fitted_scores: {type(classifier).__name__} has warm_start, so a copy may "
            "remember rows that it was fitted to before. Set warm_start to False."
        )


def _checked(X: ArrayLike, treated: ArrayLike) -> tuple[FloatArray, Integers]:
    try:
        matrix, group = np.asarray(X, dtype=np.float64), np.asarray(treated)
    except (TypeError, ValueError):
        raise MatchingError(
            "cross_fitted_scores needs numbers in X. Turn categories into columns of 0 and 1 first."
        ) from None
    if matrix.ndim != 2 or group.shape != matrix.shape[:1] or not matrix.size:
        raise MatchingError(
            "cross_fitted_scores needs X of shape (n, k) and treated of shape (n,), at least one "
            f"row and column; they are {matrix.shape} and {group.shape}."
        )
    unusable = int((~np.isfinite(matrix)).any(axis=1).sum())
    if unusable:
        raise MatchingError(
            f"cross_fitted_scores needs finite numbers in X; {unusable:,} of {len(matrix):,} rows "
            "have missing or infinite ones. Leave out or fill these rows first."
        )
    if not ((group == 0) | (group == 1)).all():
        raise MatchingError("cross_fitted_scores needs treated to be 0 or 1.")
    return matrix, group.astype(np.int64)


def _order_of(key: ArrayLike, n: int) -> Integers:
    number = _numbered(key, n, "key")
    repeated = n - len(np.unique(number))
    if repeated:
        raise MatchingError(
            f"cross_fitted_scores: {repeated:,} rows repeat a value of key, which must identify a "
            "row. For rows that belong together give groups."
        )
    return np.argsort(number)


def _numbered(values: ArrayLike, n: int, name: str) -> Integers:
    """Number distinct values in their sorted order."""
    given = np.asarray(values)
    number: Integers | None = None
    try:
        if given.shape == (n,) and not (given != given).any():  # noqa: PLR0124
            number = np.unique(given, return_inverse=True)[1].astype(np.int64)
    except (TypeError, ValueError):
        number = None
    if number is None:
        raise MatchingError(
            f"cross_fitted_scores: {name} must hold one value for each of {n:,} rows, none "
            "missing, all of one type that can be sorted."
        )
    return number
