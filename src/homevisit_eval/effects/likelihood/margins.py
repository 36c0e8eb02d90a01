"""Averages and their differences after a generalized linear model, by g-computation (arrays)."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.effects.likelihood.families import is_bounded, mean_terms
from homevisit_eval.effects.likelihood.generalized_covariance import Gradient
from homevisit_eval.effects.likelihood.generalized_linear import GeneralizedLinearFit
from homevisit_eval.effects.likelihood.generalized_rows import WHERE, checked_matrix
from homevisit_eval.effects.likelihood.margin_average import (
    AveragedRows,
    Averaging,
    PerfectlyPredicted,
    averaged_rows,
    mean_of_design,
    same_as_fitted,
)
from homevisit_eval.effects.likelihood.marginal_effect import MarginalEffect, Measure
from homevisit_eval.errors import EstimationError

__all__ = ["average_effect", "average_prediction", "average_slope"]

Floats = NDArray[np.float64]
EffectMeasure = Literal["difference", "risk_ratio", "odds_ratio"]


def average_effect(
    fit: GeneralizedLinearFit,
    X_treated: ArrayLike,
    X_comparison: ArrayLike,
    *,
    over: ArrayLike | None = None,
    measure: EffectMeasure = "difference",
    averaging: Averaging = "fixed",
    perfectly_predicted: PerfectlyPredicted = "left out",
) -> MarginalEffect:
    """Return the average difference of two predicted means, in units of the outcome.

    Parameters
    ----------
    fit
    X_treated, X_comparison : arrays of shape (rows given, k)
        The X of the fit as it would be if all were treated, and if none were, so that products
        with the treatment change with it. A row of X is a row of one of the two.
    over : array of shape (rows given,), optional
        Weights of the average, 0 or above, or a mask: the treated for the ATT, the others for
        the ATC. If not given, each fitted row counts once (the ATE, also after a weighted fit).
    measure
        ``"difference"`` of the two averaged means; ``"risk_ratio"``, their ratio;
        ``"odds_ratio"``, the ratio of their odds (a marginal odds ratio: not exp of the
        coefficient, which holds covariates constant).
    averaging
        ``"fixed"``: of these very rows, by the delta method, as R's marginaleffects and Stata's
        margins have it. ``"sampled"``: of the population that they are a sample of; the
        variation of rows is added (Stata: ``vce(unconditional)``).
    perfectly_predicted
        Rows of absorbed levels without variation of the outcome: ``"left out"`` of the average
        (which is then about the others), or in it with ``"no effect"``, their mean being what
        was observed.

    Returns
    -------
    MarginalEffect
        With both means. For ratios `influence` is that on the log of the ratio.

    Raises
    ------
    EstimationError
        If shapes differ, values are missing, `over` is negative or above 0 in rows that were not
        fitted, a ratio has a mean of 0 (or 1), or averaging ``"sampled"`` is asked for with a
        covariance that is not a sum of influences.

    Notes
    -----
    With weights v (sum 1), means m_1 and m_0 of the linear predictors x_1'b and x_0'b, the
    difference is sum v (m_1 - m_0), and its gradient by b is sum v (m_1' x_1 - m_0' x_0).

    References
    ----------
    Robins, J. (1986). A new approach to causal inference in mortality studies with a sustained
    exposure period. *Mathematical Modelling*, 7(9-12), 1393-1512.
    Graubard, B. I., & Korn, E. L. (1999). Predictive margins with survey data. *Biometrics*,
    55(2), 652-659.

    Examples
    --------
    >>> from homevisit_eval.effects.likelihood.generalized_linear import fit_generalized_linear
    >>> X = np.array([[1, 0], [1, 0], [1, 1], [1, 1]])
    >>> fit = fit_generalized_linear([1, 3, 4, 8], X, family="poisson")
    >>> effect = average_effect(fit, [[1, 1]] * 4, [[1, 0]] * 4)
    >>> round(effect.estimate, 6)
    4.0
    """
    _check_measure(measure)
    rows = averaged_rows(fit, over, averaging, perfectly_predicted)
    designs = [_design(fit, X, name, rows) for X, name in (
        (X_treated, "X_treated"), (X_comparison, "X_comparison"),
    )]  # fmt: skip
    first, second = (mean_of_design(fit, rows, one) for one in designs)
    means = (first.mean, second.mean)
    gradients = [first.gradient, second.gradient]
    influences = [first.influence(fit, rows), second.influence(fit, rows)]
    covariance = _covariance(fit, rows, gradients, influences)
    weights, estimate = _contrast(means, measure, fit)
    notes = (*rows.notes, *_side_notes(fit, rows, designs))
    return MarginalEffect(
        measure=measure,
        estimate=estimate,
        scale_std_error=_root(float(weights @ covariance @ weights)),
        df=fit.fitted.df_of(_combined(gradients, weights)),
        means=means,
        mean_std_errors=(_root(covariance[0, 0]), _root(covariance[1, 1])),
        influence=weights[0] * influences[0] + weights[1] * influences[1],
        n=rows.count,
        G=fit.G,
        recipe=_recipe(fit, rows),
        notes=(*fit.notes, *notes),
    )


def average_prediction(
    fit: GeneralizedLinearFit,
    X: ArrayLike,
    *,
    over: ArrayLike | None = None,
    averaging: Averaging = "fixed",
    perfectly_predicted: PerfectlyPredicted = "left out",
) -> MarginalEffect:
    """Return an adjusted mean: the average of predictions, in units of the outcome.

    Parameters
    ----------
    fit
    X : array of shape (rows given, k)
        The X of the fit, with one or more columns as they would be.
    over, averaging, perfectly_predicted
        As for `average_effect`.

    Raises
    ------
    EstimationError
        As for `average_effect`.
    """
    rows = averaged_rows(fit, over, averaging, perfectly_predicted)
    found = mean_of_design(fit, rows, _design(fit, X, "X", rows))
    influence = found.influence(fit, rows)
    variance = _covariance(fit, rows, [found.gradient], [influence])[0, 0]
    return MarginalEffect(
        measure="mean",
        estimate=found.mean,
        scale_std_error=_root(variance),
        df=fit.fitted.df_of(found.gradient),
        means=(found.mean,),
        mean_std_errors=(_root(variance),),
        influence=influence,
        n=rows.count,
        G=fit.G,
        recipe=_recipe(fit, rows),
        notes=(*fit.notes, *rows.notes),
    )


def average_slope(
    fit: GeneralizedLinearFit,
    X: ArrayLike,
    X_slopes: ArrayLike,
    *,
    over: ArrayLike | None = None,
    averaging: Averaging = "fixed",
    perfectly_predicted: PerfectlyPredicted = "left out",
) -> MarginalEffect:
    """Return the average derivative of the mean by a continuous variable, in units of y per unit.

    Parameters
    ----------
    fit
    X : array of shape (rows given, k)
        Where the derivative is taken; the X of the fit, usually.
    X_slopes : array of shape (rows given, k), or (k,) for all rows
        Derivatives of the columns of X by the variable: 1 for its own column, 2 x for its
        square, z for its product with z, 0 for the others.
    over, averaging, perfectly_predicted
        As for `average_effect`; the slope of a row predicted perfectly is 0.

    Raises
    ------
    EstimationError
        As for `average_effect`.

    Notes
    -----
    With d the derivative of x, the average of m' d'b; its gradient is that of m'' (d'b) x + m' d.
    """
    rows = averaged_rows(fit, over, averaging, perfectly_predicted)
    design = _design(fit, X, "X", rows)
    shape = (len(fit.fitted.rows.used), len(fit.names) + len(fit.dropped))
    given = np.asarray(X_slopes)
    if given.ndim == 1:
        given = np.broadcast_to(given, (shape[0], *given.shape))
    slopes = _finite(
        checked_matrix(given, "X_slopes", shape)[np.ix_(rows.at, fit.fitted.columns.kept)],
        "X_slopes",
    )
    fitted, v = fit.fitted, rows.weights
    terms = mean_terms(rows.predictor(fit, design), fit.family)
    steepness = slopes @ fitted.beta
    values = terms.slope * steepness
    estimate = float(v @ values)
    bend = v * terms.curvature * steepness
    gradient = (bend @ design + (v * terms.slope) @ slopes, rows.by_level(fit, bend))
    influence = fitted.influence(gradient)
    if averaging == "sampled":
        influence = influence + rows.own_influence(values, 0.0, estimate)
    variance = _covariance(fit, rows, [gradient], [influence])[0, 0]
    return MarginalEffect(
        measure="slope",
        estimate=estimate,
        scale_std_error=_root(variance),
        df=fitted.df_of(gradient),
        means=(),
        mean_std_errors=(),
        influence=influence,
        n=rows.count,
        G=fit.G,
        recipe=_recipe(fit, rows),
        notes=(*fit.notes, *rows.notes),
    )


def _contrast(
    means: tuple[float, float], measure: Measure, fit: GeneralizedLinearFit
) -> tuple[Floats, float]:
    """Return derivatives (2,) of the contrast, or of its log, by the two means; and its value."""
    first, second = means
    if measure == "difference":
        return np.array([1.0, -1.0]), first - second
    highest = 1.0 if is_bounded(fit.family) else np.inf
    if measure == "odds_ratio" and not is_bounded(fit.family):
        raise EstimationError(
            f"{WHERE}: an odds ratio is of outcomes from 0 to 1; with {fit.family} choose "
            "'risk_ratio', which is the ratio of means."
        )
    if min(means) <= 0 or (measure == "odds_ratio" and max(means) >= highest):
        raise EstimationError(
            f"{WHERE}: {measure} has no value where an averaged mean is at the limit of its "
            "range; choose 'difference'."
        )
    if measure == "risk_ratio":
        return np.array([1.0 / first, -1.0 / second]), first / second
    spread = np.array([first * (1.0 - first), -second * (1.0 - second)])
    return 1.0 / spread, first * (1.0 - second) / ((1.0 - first) * second)


def _combined(gradients: list[Gradient], weights: Floats) -> Gradient:
    return (
        weights[0] * gradients[0][0] + weights[1] * gradients[1][0],
        weights[0] * gradients[0][1] + weights[1] * gradients[1][1],
    )


def _covariance(
    fit: GeneralizedLinearFit,
    rows: AveragedRows,
    gradients: list[Gradient],
    influences: list[Floats],
) -> Floats:
    if rows.averaging == "sampled":
        return fit.fitted.covariance_by_sums(influences)
    return fit.fitted.covariance_of(gradients)


def _design(fit: GeneralizedLinearFit, X: ArrayLike, name: str, rows: AveragedRows) -> Floats:
    """Return the kept columns of X in the rows averaged over."""
    shape = (len(fit.fitted.rows.used), len(fit.names) + len(fit.dropped))
    matrix = checked_matrix(X, name, shape)
    if not rows.everywhere:
        matrix = matrix[rows.at]
    if fit.dropped:
        matrix = matrix[:, fit.fitted.columns.kept]
    return _finite(matrix, name)


def _finite(matrix: Floats, name: str) -> Floats:
    missing = int(matrix.size - np.isfinite(matrix).sum())
    if missing:
        raise EstimationError(
            f"{WHERE}: {name} has {missing} missing or infinite values in rows averaged over; "
            "fill them, or set over to 0 there."
        )
    return matrix


def _side_notes(
    fit: GeneralizedLinearFit, rows: AveragedRows, designs: list[Floats]
) -> tuple[str, ...]:
    """Say so if all rows that are as in one of the designs are in one cluster."""
    if not fit.fitted.rows.clustered:
        return ()
    clusters = fit.fitted.rows.all_clusters[rows.at]
    same = [same_as_fitted(fit, rows, one) for one in designs]
    notes = []
    for own, other, name in (
        (same[0], same[1], "treated"), (same[1], same[0], "comparison"),
    ):  # fmt: skip
        members = clusters[own & ~other]
        if len(members) and (members == members[0]).all() and len(np.unique(clusters)) > 1:
            notes.append(
                f"All {name} rows averaged over are in one cluster: the standard error says "
                "nothing about differences between clusters."
            )
    return tuple(notes)


def _recipe(fit: GeneralizedLinearFit, rows: AveragedRows) -> str:
    return f"{fit.family}, {fit.covariance_type}, df: {fit.df_convention}, rows {rows.averaging}"


def _check_measure(measure: str) -> None:
    known = get_args(EffectMeasure)
    if measure not in known:
        raise EstimationError(
            f"{WHERE}: measure must be one of {', '.join(known)}; it is {measure!r}."
        )


def _root(variance: float) -> float:
    return float(np.sqrt(max(variance, 0.0)))
