"""What an outcome model says of one effect: the form that all models have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from homevisit_eval.effects.regression.least_squares import (
    CovarianceType,
    LeastSquaresFit,
    fit_outcome,
)
from homevisit_eval.effects.regression.prepared_design import (
    PreparedDesign,
    prepare_design,
    row_influence,
)
from homevisit_eval.effects.regression.several_clusterings import (
    SeveralCovariance,
    fit_several_clusterings,
)
from homevisit_eval.effects.regression_rows import TREATMENT, RegressionRows, one_row_a_match
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching.matched_sample import MatchedSample

__all__ = ["ModelFit", "fit_linear", "fit_two_ways", "prepare_rows", "said_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ModelFit:
    """The effect on one outcome by one model, in units of the outcome.

    Attributes
    ----------
    estimate, std_error
    df, df_convention
        Degrees of freedom of the t distribution (infinite: the normal one), and how they were
        found.
    covariance
        The name of the covariance behind `std_error`.
    clusters, parameters
        G and K.
    coefficients : mapping of name to (estimate, standard error)
    influence : array of shape (n,), or None
        What each row adds to the error of the estimate. Sums by cluster, over two samples that
        share students, give the variance of a difference. None if the model has none.
    notes : tuple of sentences
    """

    estimate: float
    std_error: float
    df: float
    df_convention: str
    covariance: str
    clusters: int
    parameters: int
    coefficients: Mapping[str, tuple[float, float]]
    influence: Floats | None
    notes: tuple[str, ...] = ()

    @property
    def p_value(self) -> float:
        """Two-sided p value of no effect."""
        return float(2 * stdtr(self.df, -abs(self.estimate / self.std_error)))

    def interval(self, confidence_level: float) -> tuple[float, float]:
        """Return the lower and upper bound of a confidence interval."""
        half = float(stdtrit(self.df, (1 + confidence_level) / 2)) * self.std_error
        return self.estimate - half, self.estimate + half

    def __repr__(self) -> str:
        """Show the estimate and its recipe, no rows."""
        return (
            f"ModelFit({self.estimate:.6g}, std_error {self.std_error:.6g}, {self.covariance}, "
            f"G = {self.clusters}, df = {self.df:.1f})"
        )


def prepare_rows(rows: RegressionRows, outcome: str) -> PreparedDesign:
    """Return the design of covariates and treatment, ready for least squares.

    Raises
    ------
    EstimationError
        If covariates and cells determine who was visited, or there are too few rows.
    """
    try:
        prepared = prepare_design(
            np.column_stack([rows.X, rows.visited]),  # last, so that it is dropped if determined
            weights=rows.weights,
            absorb=rows.absorb,
            clusters=None if len(np.unique(rows.clusters)) == len(rows.y) else rows.clusters,
            names=[*rows.names, TREATMENT],
        )
    except EstimationError as error:
        raise EstimationError(said_of(outcome, error)) from None
    if TREATMENT not in prepared.names:
        raise EstimationError(
            f"{outcome}: the {len(rows.names)} columns of covariates and the absorbed cells "
            "determine who was visited, so no effect is identified. Absorb fewer columns, or "
            "leave out the covariate that decides who is visited."
        )
    return prepared


def said_of(outcome: str, error: EstimationError) -> str:
    """Return what an array function says, of an outcome instead of the function."""
    return f"{outcome}: {str(error).partition(': ')[2] or error}"


def fit_linear(rows: RegressionRows, outcome: str, covariance: CovarianceType) -> ModelFit:
    """Regress the outcome on treatment and covariates by weighted least squares.

    Raises
    ------
    EstimationError
        If the effect is not identified, or has no standard error.
    """
    prepared = prepare_rows(rows, outcome)
    try:
        fit = fit_outcome(prepared, rows.y, covariance=covariance, df_for=[TREATMENT])
    except EstimationError as error:
        raise EstimationError(said_of(outcome, error)) from None
    return _model_fit(fit, prepared, outcome)


def _model_fit(fit: LeastSquaresFit, prepared: PreparedDesign, outcome: str) -> ModelFit:
    position = fit.names.index(TREATMENT)
    std_error, df = float(fit.std_errors[position]), float(fit.df[position])
    if not (std_error > 0 and df > 0):
        raise EstimationError(
            f"{outcome}: the standard error of the effect is 0 with {fit.G} clusters, because "
            "the model fits the clusters that hold visited students perfectly. Choose a finer "
            "cluster level, or fewer covariates."
        )
    return ModelFit(
        estimate=float(fit.coefficients[position]),
        std_error=std_error,
        df=df,
        df_convention=fit.df_convention,
        covariance=fit.covariance_type,
        clusters=fit.G,
        parameters=fit.K,
        coefficients=_coefficients(fit),
        influence=row_influence(prepared, fit.residuals)[:, position],
        notes=tuple(note for note in fit.notes if not note.startswith("Only ")),
    )


def fit_two_ways(
    matched: MatchedSample, rows: RegressionRows, outcome: str, covariance: SeveralCovariance
) -> ModelFit:
    """Regress the outcome with errors dependent within the rows' clusters and within matched sets.

    Raises
    ------
    EstimationError
        If the effect is not identified, has no standard error, or there are no matched sets.
    """
    at, weights, sets = one_row_a_match(matched, rows)
    parts = replace(
        rows,
        y=rows.y[at],
        X=rows.X[at],
        visited=rows.visited[at],
        weights=weights,
        absorb=tuple(codes[at] for codes in rows.absorb),
        clusters=rows.clusters[at],
    )
    prepared = prepare_rows(parts, outcome)
    try:
        fit = fit_several_clusterings(
            prepared, parts.y, [parts.clusters, sets], covariance=covariance
        )
    except EstimationError as error:
        raise EstimationError(said_of(outcome, error)) from None
    found = _model_fit(fit, prepared, outcome)
    assert found.influence is not None
    whole = np.bincount(at, found.influence, len(rows.y)).astype(np.float64, copy=False)
    return replace(found, influence=whole, covariance=f"{covariance}, two-way")


def _coefficients(fit: LeastSquaresFit) -> Mapping[str, tuple[float, float]]:
    """Return estimates and standard errors by name, the effect first."""
    values = {
        name: (float(estimate), float(std_error))
        for name, estimate, std_error in zip(
            fit.names, fit.coefficients, fit.std_errors, strict=True
        )
    }
    return MappingProxyType({TREATMENT: values.pop(TREATMENT), **values})
