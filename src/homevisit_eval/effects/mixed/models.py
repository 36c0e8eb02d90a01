"""Linear mixed models: random intercept and slopes of one factor, by likelihood (arrays)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from homevisit_eval.effects.mixed.design import (
    MixedDesign,
    check_identified,
    mixed_design,
    random_columns,
)
from homevisit_eval.effects.mixed.fit import RANDOM_INTERCEPT, MixedCovariance, MixedFit
from homevisit_eval.effects.mixed.inference import (
    MixedRows,
    bias_reduced_covariance,
    satterthwaite_df,
)
from homevisit_eval.effects.mixed.likelihood import (
    LikelihoodMethod,
    ProfilePoint,
    group_sums,
)
from homevisit_eval.effects.mixed.optimum import best_factor
from homevisit_eval.effects.regression.projected_design import sums
from homevisit_eval.errors import EstimationError
from homevisit_eval.threads import one_thread

__all__ = ["MixedFit", "fit_random_intercept", "fit_random_slopes"]

Floats = NDArray[np.float64]

SINGULAR_BELOW = 1e-8  # smallest eigenvalue of the random effects' correlations
DF_CONVENTIONS = {
    "model": "Satterthwaite (Giesbrecht-Burns)",
    "CR2": "Satterthwaite (Bell-McCaffrey)",
}


def fit_random_intercept(
    y: ArrayLike,
    X: ArrayLike,
    groups: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    absorb: Sequence[ArrayLike] = (),
    method: LikelihoodMethod = "REML",
    covariance: MixedCovariance = "model",
    names: Sequence[str] | None = None,
) -> MixedFit:
    """Regress y on X with a random intercept for each group, by (restricted) maximum likelihood.

    Parameters
    ----------
    y : array of shape (n,)
    X : array of shape (n, k)
        Columns of the fixed part, used as they are: without `absorb`, give an intercept column
        yourself. A column may be constant within groups.
    groups : array of shape (n,)
        Codes of the groups, of at least two rows somewhere.
    weights : array of shape (n,), optional
        Precision weights: a row's residual variance is ``residual_variance`` / weight. 1 if not
        given. Their scale matters for the variances, not for the coefficients. Rows of weight
        0 are left out.
    absorb : sequence of arrays of shape (n,)
        Codes of factors that enter the fixed part as columns, one for each level.
    method
        ``"REML"``: restricted likelihood, which counts the fixed effects. ``"ML"``.
    covariance
        ``"model"``: s^2 (X'V^(-1)X)^(-1) with Satterthwaite degrees of freedom (lmerTest's).
        ``"CR2"``: robust to what the model gets wrong within groups, with the fitted model as
        working model (clubSandwich's).
    names : sequence of k names, optional
        ``x0``, ``x1``, ... if not given.

    Returns
    -------
    MixedFit

    Raises
    ------
    EstimationError
        If shapes differ, a value is missing or infinite, a weight is negative, there are fewer
        than two groups, all groups have one row, y does not vary within groups or is fitted
        exactly, X determines the groups' means, or no maximum of the likelihood could be proven.

    Notes
    -----
    y_ig = x_ig'b + u_g + e_ig with Var(u_g) = L s^2 and Var(e_ig) = s^2 / w_ig. The likelihood,
    with b and s^2 at their best, is a function of L alone; see `mixed_likelihood`. A variance
    of zero is allowed: the fit is then that of least squares, `singular`, with a sentence in
    `notes`.

    References
    ----------
    Laird, N. M., & Ware, J. H. (1982). Random-effects models for longitudinal data. *Biometrics*,
    38(4), 963-974.
    Bates, D., Maechler, M., Bolker, B., & Walker, S. (2015). Fitting linear mixed-effects models
    using lme4. *Journal of Statistical Software*, 67(1).

    Examples
    --------
    >>> fit = fit_random_intercept([1.0, 2.0, 4.0, 7.0], [[1.0]] * 4, ["a", "a", "b", "b"])
    >>> round(fit.residual_variance, 6), fit.random_covariance.round(6).tolist()
    (2.5, [[6.75]])
    """
    design = mixed_design(y, X, groups, weights=weights, absorb=absorb, names=names, method=method)
    _check_covariance(covariance)
    return _fit(design, np.empty((design.n, 0)), (), covariance)


def fit_random_slopes(
    y: ArrayLike,
    X: ArrayLike,
    groups: ArrayLike,
    slopes: ArrayLike,
    *,
    slope_names: Sequence[str] | None = None,
    weights: ArrayLike | None = None,
    absorb: Sequence[ArrayLike] = (),
    method: LikelihoodMethod = "REML",
    covariance: MixedCovariance = "model",
    names: Sequence[str] | None = None,
) -> MixedFit:
    """Regress y on X with an intercept and slopes that vary over groups, and are correlated.

    Parameters
    ----------
    y, X, groups, weights, absorb, method, covariance, names
        As in `fit_random_intercept`.
    slopes : array of shape (n, r)
        Columns whose slopes vary. Their mean slopes are fixed effects only if X has them too.
    slope_names : sequence of r names, optional
        ``slope0``, ``slope1``, ... if not given.

    Returns
    -------
    MixedFit

    Raises
    ------
    EstimationError
        As in `fit_random_intercept`; and if a slope's column varies within no group, the
        columns are collinear, or no row is left within groups once they have their own slopes.

    Notes
    -----
    y_ig = x_ig'b + z_ig'u_g + e_ig with z = (1, slopes), Var(u_g) = s^2 T T'. The columns are
    centered and scaled for the search only.

    References
    ----------
    Laird, N. M., & Ware, J. H. (1982). Random-effects models for longitudinal data. *Biometrics*,
    38(4), 963-974.
    """
    design = mixed_design(y, X, groups, weights=weights, absorb=absorb, names=names, method=method)
    _check_covariance(covariance)
    columns, labels = random_columns(design, slopes, slope_names)
    return _fit(design, columns, labels, covariance)


def _check_covariance(covariance: str) -> None:
    if covariance not in get_args(MixedCovariance):
        raise EstimationError(
            f"mixed model: there is no covariance {covariance!r}; choose "
            f"{' or '.join(map(repr, get_args(MixedCovariance)))}."
        )


def _fit(
    design: MixedDesign, slopes: Floats, slope_names: tuple[str, ...], covariance: MixedCovariance
) -> MixedFit:
    """Fit the model in a basis of its own, and turn everything back to the units given."""
    with one_thread():
        Z, back = _scaled(design, slopes)
        totals = group_sums(
            np.column_stack([design.Q, design.outcome]),
            Z * design.root_weights[:, None],
            design.groups,
            design.G,
            design.method,
        )
        check_identified(totals)
        point, optima = best_factor(totals)
        residuals = (design.outcome - design.Q @ point.coefficients) / design.root_weights
        matrix, df = _inference(design, Z, point, residuals, covariance)
    effects = point.scores @ point.factor @ point.factor.T
    names = (RANDOM_INTERCEPT, *slope_names)
    variance = point.variance * design.scale**2
    residual_variance = variance * design.mean_weight
    relative = back @ point.factor
    random = variance * (relative @ relative.T)
    singular = _is_singular(point)
    everywhere = np.full(design.used.shape, np.nan)
    everywhere[design.used] = residuals * design.scale
    return MixedFit(
        coefficients=design.contrasts @ (design.least_squares + point.coefficients) * design.scale,
        covariance=matrix,
        std_errors=np.sqrt(np.maximum(np.diag(matrix), 0.0)),
        df=df,
        names=design.names,
        dropped=design.dropped,
        residual_variance=residual_variance,
        random_covariance=random,
        random_names=names,
        intraclass_correlation=float(random[0, 0] / (random[0, 0] + residual_variance)),
        log_likelihood=_log_likelihood(design, point),
        method=design.method,
        singular=singular,
        largest_gradient=float(np.abs(point.gradient()).max()),
        group_values=design.group_values,
        group_effects=effects @ back.T * design.scale,
        group_influence=_group_influence(design, Z, residuals, effects, point),
        residuals=everywhere,
        n=design.n,
        K=totals.p,
        G=design.G,
        covariance_type=covariance,
        df_convention=DF_CONVENTIONS[covariance],
        notes=_notes(design.dropped, point, optima, singular=singular),
    )


def _inference(
    design: MixedDesign,
    Z: Floats,
    point: ProfilePoint,
    residuals: Floats,
    covariance: MixedCovariance,
) -> tuple[Floats, Floats]:
    """Return the covariance of the coefficients in the units of y, and their df."""
    if covariance == "CR2":
        rows = _rows(design, Z, residuals * design.scale)
        return bias_reduced_covariance(point, rows, design.contrasts)
    matrix = design.contrasts @ point.inverse @ design.contrasts.T
    df = satterthwaite_df(point, design.contrasts)
    return np.asarray(point.variance * design.scale**2 * matrix, dtype=np.float64), df


def _scaled(design: MixedDesign, slopes: Floats) -> tuple[Floats, Floats]:
    """Return columns of the random effects, slopes centered and scaled, and the way back.

    With Z the columns given and Z B those returned, effects u of the latter are B u of the former.
    """
    w = design.root_weights**2
    centers = w @ slopes / w.sum()
    slopes = slopes - centers
    spread = np.sqrt(w @ slopes**2 / w.sum())
    back = np.eye(1 + len(spread))
    back[1:, 1:] = np.diag(1.0 / spread)
    back[0, 1:] = -centers / spread
    return np.column_stack([np.ones(design.n), slopes / spread]), back


def _rows(design: MixedDesign, Z: Floats, residuals: Floats) -> MixedRows:
    """Return the rows in the order of their groups, fixed columns without their weights."""
    order = np.argsort(design.groups, kind="stable")
    columns = design.Q / design.root_weights[:, None]
    starts = np.zeros(design.G + 1, dtype=np.intp)
    np.cumsum(np.bincount(design.groups, minlength=design.G), out=starts[1:])
    return MixedRows(
        values=np.column_stack([Z, columns, residuals])[order],
        weights=design.root_weights[order] ** 2,
        starts=starts,
    )


def _group_influence(
    design: MixedDesign, Z: Floats, residuals: Floats, effects: Floats, point: ProfilePoint
) -> Floats:
    """Return C X'V^(-1)(y - Xb) by group, with V^(-1)(y - Xb) = W (y - Xb - Z u)."""
    own = residuals - np.einsum("ij,ij->i", Z, effects[design.groups])
    own *= design.root_weights
    scores = [sums(design.groups, column * own, design.G) for column in design.Q.T]
    influence = np.column_stack(scores) @ point.inverse @ design.contrasts.T
    return np.asarray(influence * design.scale, dtype=np.float64)


def _log_likelihood(design: MixedDesign, point: ProfilePoint) -> float:
    """Return the (restricted) log likelihood in the units of y and X."""
    divisor = point.sums.divisor
    deviance = point.deviance + 2 * divisor * np.log(design.scale)
    deviance -= 2 * np.log(design.root_weights).sum()
    if design.method == "REML":
        deviance += 2 * design.log_root
    return -float(deviance) / 2


def _is_singular(point: ProfilePoint) -> bool:
    """Say whether one of the (scaled) effects is a combination of the others, or is constant."""
    variances = np.sum(point.factor**2, axis=1)
    if (variances <= 0).any():
        return True
    corner = point.factor / np.sqrt(variances)[:, None]
    return bool(np.linalg.eigvalsh(corner @ corner.T)[0] < SINGULAR_BELOW)


def _notes(
    dropped: Sequence[str], point: ProfilePoint, optima: int, *, singular: bool
) -> tuple[str, ...]:
    notes = []
    if dropped:
        names = ", ".join(dropped)
        notes.append(f"Left out because they add nothing to the other columns: {names}.")
    if singular and not point.factor.any():
        notes.append(
            "Singular fit: the variance of the groups is estimated as zero, so the numbers are "
            "those of least squares, and rows of one group count as independent."
        )
    elif singular:
        notes.append(
            "Singular fit: a variance of the random effects is estimated as zero, or two of them "
            "as perfectly correlated; a simpler random part fits as well."
        )
    if optima > 1:
        notes.append(
            f"The likelihood has {optima} local maxima; the highest is reported. Its curvature, "
            "and so standard errors and degrees of freedom, say little here."
        )
    return tuple(notes)
