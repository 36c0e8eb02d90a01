"""Augmented weighting with predictions that have not seen the row: cross-fitting (arrays)."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.effects.weighting.average_effect import (
    AverageEffect,
    EffectRows,
    check_groups,
    checked_columns,
    checked_rows,
    clustered_effect,
    unit_codes,
)
from homevisit_eval.effects.weighting.overlap import (
    Overlap,
    check_bound,
    check_overlap,
    inside_bound,
    trimmed_note,
    weights_by_score,
)
from homevisit_eval.effects.weighting.working_models import (
    OutcomeModel,
    Regression,
    fit_outcome,
    fit_treatment,
    standard_columns,
)
from homevisit_eval.errors import EstimationError

__all__ = ["augmented_effect", "cross_fitted_effect"]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
Estimand = Literal["ATT", "ATC", "ATE"]

CROSS = "cross_fitted_effect"
GIVEN = "augmented_effect"
FOLDS_KEY = 53  # with the seed: another number is another draw of folds


def cross_fitted_effect(
    y: ArrayLike,
    treated: ArrayLike,
    X: ArrayLike,
    *,
    estimand: Estimand,
    seed: int,
    folds: int = 5,
    groups: ArrayLike | None = None,
    outcome_model: OutcomeModel = "linear",
    propensity_columns: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    overlap: Overlap = "refuse",
    smallest_probability: float = 0.001,
) -> AverageEffect:
    """Return the doubly robust average effect with models fitted out of fold, in units of y.

    Parameters
    ----------
    y : array of shape (n,)
    treated : array of shape (n,)
        0 or 1; both occur.
    X : array of shape (n, k)
        Columns of the outcome model, without an intercept. It is fitted to each group apart.
    estimand
        ``"ATT"``, ``"ATC"`` or ``"ATE"``.
    seed
        Of the division into folds, 0 or above.
    folds
        2 or more.
    groups : array of shape (n,), optional
        Rows that share a value (the rows of a student) are in one fold; the clusters if not
        given, else each row alone.
    outcome_model
        ``"linear"``, ``"logit"`` (y from 0 to 1, fractions too) or ``"poisson"`` (y of 0 or more).
    propensity_columns : array of shape (n, m), optional
        Columns of the propensity score (a logit), without an intercept; X if not given.
    weights : array of shape (n,), optional
        Sampling weights, 0 or above; rows of weight 0 take no part.
    clusters : array of shape (n,), optional
        Codes of the groups within which rows may be dependent; each row its own if not given.
    overlap, smallest_probability
        As in `doubly_robust_effect`; trimming goes by the score out of fold.

    Returns
    -------
    AverageEffect

    Raises
    ------
    EstimationError
        If the input is unusable, a fold lacks a group, groups do not overlap, or a model cannot
        be fitted.

    Notes
    -----
    Score and outcome models are fitted to all other folds and predict the rows of a fold; all
    rows then enter the AIPW equation of `doubly_robust_effect` at once. As the equation is
    orthogonal to its models, their estimation does not enter the standard error (Chernozhukov et
    al. 2018), which is that of cluster sums of influence, with G - 1 degrees of freedom. Folds
    are drawn by ``PCG64(SeedSequence([seed, 53]))`` over the sorted values of `groups`, apart for
    those with rows of one group and of both; without groups and clusters they follow the order
    of the rows. For a learner of your own, predict out of fold and use `augmented_effect`.

    References
    ----------
    Chernozhukov, V., Chetverikov, D., Demirer, M., Duflo, E., Hansen, C., Newey, W., & Robins, J.
    (2018). Double/debiased machine learning for treatment and structural parameters. *The
    Econometrics Journal*, 21(1), C1-C68.
    """
    check_bound(CROSS, overlap, smallest_probability)
    rows = checked_rows(CROSS, y, treated, weights, clusters)
    columns = standard_columns(checked_columns(CROSS, X, rows.used))
    of_score = columns
    if propensity_columns is not None:
        of_score = standard_columns(
            checked_columns(CROSS, propensity_columns, rows.used, "propensity_columns")
        )
    fold = _folds(rows, groups, folds, seed)
    predictions = np.empty((3, len(rows.y)))
    for number in range(folds):
        here = fold == number
        learned = np.where(here, 0.0, rows.weights)
        score, _ = fit_treatment(CROSS, rows.treated, of_score, learned)
        predictions[0, here] = score.predict(of_score[here])[0]
        for arm, place in ((True, 1), (False, 2)):
            if estimand == ("ATT" if arm else "ATC"):
                predictions[place, here] = 0.0  # not used: the arm is the target
                continue
            problem = Regression(
                rows.y, columns, learned * (rows.treated == arm), outcome_model
            )  # fmt: skip
            model = fit_outcome(CROSS, problem, "treated" if arm else "comparison")
            predictions[place, here] = model.predict(columns[here])[0]
    if not np.isfinite(predictions).all():
        raise EstimationError(
            f"{CROSS}: the {outcome_model} model predicts infinite means out of fold; choose a "
            "linear one, or trim rows without a counterpart."
        )
    return _augmented(
        CROSS,
        rows,
        predictions,
        estimand=estimand,
        overlap=overlap,
        bound=smallest_probability,
        recipe=f"AIPW, {outcome_model} outcome model and logit score, cross-fitted in {folds} "
        f"folds (seed {seed})",
    )


def augmented_effect(
    y: ArrayLike,
    treated: ArrayLike,
    *,
    estimand: Estimand,
    probability: ArrayLike,
    predicted_treated: ArrayLike | None = None,
    predicted_comparison: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    overlap: Overlap = "refuse",
    smallest_probability: float = 0.001,
) -> AverageEffect:
    """Return the doubly robust average effect from predictions of any learner, in units of y.

    Parameters
    ----------
    y : array of shape (n,)
    treated : array of shape (n,)
        0 or 1; both occur.
    estimand
        ``"ATT"``, ``"ATC"`` or ``"ATE"``.
    probability : array of shape (n,)
        Of treatment, between 0 and 1, exclusive; predicted out of fold (`cross_fitted_scores`).
    predicted_treated, predicted_comparison : arrays of shape (n,), optional
        Means of y with and without treatment, predicted out of fold. The ATT needs only the
        second, the ATC only the first.
    weights, clusters, overlap, smallest_probability
        As in `cross_fitted_effect`.

    Returns
    -------
    AverageEffect
        Its standard error holds if the predictions did not see the row (nor others that depend
        on it) and come close enough to the truth; see `cross_fitted_effect`.

    Raises
    ------
    EstimationError
        If the input is unusable, or groups do not overlap.
    """
    check_bound(GIVEN, overlap, smallest_probability)
    rows = checked_rows(GIVEN, y, treated, weights, clusters)
    predictions = np.zeros((3, len(rows.y)))
    given: dict[str, ArrayLike | None] = {"probability": probability}
    if estimand != "ATT":
        given["predicted_treated"] = predicted_treated
    if estimand != "ATC":
        given["predicted_comparison"] = predicted_comparison
    places = ("probability", "predicted_treated", "predicted_comparison")
    for name, values in given.items():
        if values is None:
            raise EstimationError(f"{GIVEN}: the {estimand} needs {name}.")
        column = np.asarray(values)[..., None]
        predictions[places.index(name)] = checked_columns(GIVEN, column, rows.used, name)[:, 0]
    outside = int(((predictions[0] <= 0) | (predictions[0] >= 1)).sum())
    if outside:
        raise EstimationError(
            f"{GIVEN}: {outside} of {len(rows.y)} probabilities are not between 0 and 1, "
            "exclusive; use a learner that is less certain, or leave these rows out."
        )
    return _augmented(
        GIVEN,
        rows,
        predictions,
        estimand=estimand,
        overlap=overlap,
        bound=smallest_probability,
        recipe="AIPW with given predictions",
    )


def _augmented(
    function: str,
    rows: EffectRows,
    predictions: Floats,
    *,
    estimand: Estimand,
    overlap: Overlap,
    bound: float,
    recipe: str,
) -> AverageEffect:
    """Return the effect from scores and means with and without treatment, (3, n)."""
    if estimand not in get_args(Estimand):
        raise EstimationError(f"{function}: estimand must be ATT, ATC or ATE, not {estimand!r}.")
    kept = np.ones(len(rows.y), dtype=bool)
    if overlap == "trim":
        kept = inside_bound(predictions[0], estimand, bound)
        rows = rows.only(kept)
        check_groups(function, rows)
    notes = trimmed_note(kept, bound, "scores and predictions of the others stay as they are")
    p, means, influences = predictions[0, kept], [], []
    notes += check_overlap(function, p, rows.treated, estimand=estimand, bound=bound)
    everybody = np.ones(len(p), dtype=bool)
    share = {"ATE": everybody, "ATT": rows.treated, "ATC": ~rows.treated}[estimand] * rows.weights
    total = float(share.sum())
    for arm, predicted in ((True, predictions[1, kept]), (False, predictions[2, kept])):
        own = rows.weights * (rows.treated == arm)
        own = own * weights_by_score(p, estimand=estimand, arm=arm)[0]
        mean = float(share @ predicted + own @ (rows.y - predicted)) / total
        means.append(mean)
        influences.append((share * (predicted - mean) + own * (rows.y - predicted)) / total)
    return clustered_effect(
        rows,
        (means[0], means[1]),
        (influences[0], influences[1]),
        estimand=estimand,
        recipe=recipe,
        notes=notes,
    )


def _folds(rows: EffectRows, groups: ArrayLike | None, folds: int, seed: int) -> Codes:
    """Return the fold of each row, those of one unit together."""
    if folds < 2 or seed < 0:
        raise EstimationError(
            f"{CROSS}: folds must be 2 or more and seed 0 or above; they are {folds} and {seed}."
        )
    unit = rows.clusters
    if groups is not None:
        unit = unit_codes(CROSS, groups, rows.used, "groups")
    total = int(unit.max()) + 1
    has = [np.bincount(unit[rows.treated == arm], minlength=total) > 0 for arm in (False, True)]
    for members, name in zip(has, ("comparison", "treated"), strict=True):
        if members.sum() < folds:
            raise EstimationError(
                f"{CROSS}: {folds} folds need at least {folds} units (rows, clusters or groups) "
                f"with {name} rows; there are {int(members.sum())}. Use fewer folds, at least 2, "
                "or smaller groups."
            )
    place = np.where(has[0], np.where(has[1], 1, 0), 2)  # those with both stand between
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, FOLDS_KEY])))
    shuffled = random.permutation(total)
    dealt = shuffled[np.argsort(place[shuffled], kind="stable")]
    fold = np.empty(total, dtype=np.intp)
    fold[dealt] = np.arange(total) % folds
    return fold[unit]
