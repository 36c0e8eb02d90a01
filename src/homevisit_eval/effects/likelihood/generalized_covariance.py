"""Covariances of a generalized linear model, and influence of its rows (arrays)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import solve_triangular

from homevisit_eval.effects.likelihood.families import is_canonical, row_terms
from homevisit_eval.effects.likelihood.generalized_rows import WHERE, GeneralizedRows
from homevisit_eval.effects.likelihood.likelihood_maximum import (
    Maximum,
    PredictorProblem,
    expected_information,
)
from homevisit_eval.effects.likelihood.predictor_columns import (
    Information,
    PredictorColumns,
    sums_by_code,
)
from homevisit_eval.effects.regression.covariance import (
    RobustCovariance,
    robust_covariance,
    small_sample_factor,
)
from homevisit_eval.effects.regression.orthonormal import make_orthonormal
from homevisit_eval.effects.regression.projected_design import ProjectedDesign
from homevisit_eval.effects.regression.satterthwaite import satterthwaite_df
from homevisit_eval.errors import EstimationError

__all__ = [
    "FittedRows",
    "GeneralizedCovariance",
    "GeneralizedDf",
    "Gradient",
    "InformationType",
    "check_options",
    "fitted_rows",
]

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
Flags = NDArray[np.bool_]
Gradient: TypeAlias = tuple[Floats, Floats]
GeneralizedCovariance = Literal[
    "model", "HC0", "HC1", "HC2", "HC3", "CR0", "CR1", "CR1S", "CR1p", "CR2", "CR3"
]
GeneralizedDf = Literal["normal", "G - 1", "satterthwaite"]
InformationType = Literal["expected", "observed"]

LEVERAGE: tuple[GeneralizedCovariance, ...] = ("HC2", "HC3", "CR2", "CR3")
COLUMN_VALUES = 200_000_000  # rows times columns and levels up to which leverage is worked out


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Leverage:
    """The weighted regression that the last step of the fit is, levels as columns before Z."""

    design: ProjectedDesign
    robust: RobustCovariance


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FittedRows:
    """A fit and its rows, as covariances of coefficients and averages need them.

    Attributes
    ----------
    columns, information
    beta, effects : arrays of shape (k,) and (L,)
        Coefficients of the columns kept, as they were given, and effects of levels.
    eta, score : arrays of shape (n,)
        Linear predictor; weight times the derivative of the likelihood by it.
    rows
    kind, df_type
        Names of the covariance and of the degrees of freedom.
    K, G
        Parameters and clusters.
    leverage
        The working regression, for covariances that adjust for leverage.
    """

    columns: PredictorColumns
    information: Information
    beta: Floats
    effects: Floats
    eta: Floats
    score: Floats
    rows: GeneralizedRows
    kind: GeneralizedCovariance
    df_type: GeneralizedDf
    K: int
    G: int
    leverage: _Leverage | None

    def __repr__(self) -> str:
        """Show the size, no rows."""
        return f"FittedRows({len(self.eta)} rows, {self.kind})"

    @property
    def factor(self) -> float:
        """What sums of squared influence are multiplied by.

        Raises
        ------
        EstimationError
            For covariances that are not such sums.
        """
        if self.kind == "model" or self.kind in LEVERAGE:
            raise EstimationError(
                f"{WHERE}: averaging 'sampled' is worked out from sums of influence, not for "
                f"covariance {self.kind!r}; fit with HC1, CR1 or CR1S."
            )
        return small_sample_factor(self.kind, n=len(self.eta), K=self.K, G=self.G)

    def influence(self, gradient: Gradient) -> Floats:
        """Return what each row adds to the error of a function of the coefficients.

        Parameters
        ----------
        gradient
            Derivatives of the function by `beta` and `effects`.

        Returns
        -------
        array of shape (rows given,)
            0 for rows that were not fitted.
        """
        gamma, effects = self.information.solve(*self.columns.working_gradient(*gradient))
        moved = self.columns.Z @ gamma
        if self.columns.levels is not None:
            moved += effects[self.columns.levels]
        found = np.zeros(len(self.rows.used))
        found[self.rows.used] = self.score * moved
        return found

    def covariance_of(self, gradients: Sequence[Gradient]) -> Floats:
        """Return the covariance of functions of the coefficients, by their gradients, (m, m)."""
        if self.leverage is not None:
            stacked = np.array([self._stacked(one) for one in gradients])
            return np.asarray(stacked @ self.leverage.robust.matrix @ stacked.T)
        if self.kind == "model":
            working = [self.columns.working_gradient(*one) for one in gradients]
            solved = [self.information.solve(*one) for one in working]
            return np.array([[a @ c + b @ d for c, d in solved] for a, b in working])
        return self.covariance_by_sums([self.influence(one) for one in gradients])

    def covariance_by_sums(self, influences: Sequence[Floats]) -> Floats:
        """Return the covariance of estimates from the influences (rows given,) on them, (m, m)."""
        inside = self.rows.all_clusters >= 0
        codes = self.rows.all_clusters[inside]
        sums = np.array([np.bincount(codes, one[inside]) for one in influences])
        return np.asarray(self.factor * (sums @ sums.T), dtype=np.float64)

    def coefficient_covariance(self) -> Floats:
        """Return the covariance of `beta`, shape (k, k)."""
        turn = self.columns.turning()
        if self.leverage is not None:
            L = self.columns.L
            return np.asarray(turn @ self.leverage.robust.matrix[L:, L:] @ turn.T)
        inverse = self.information.inverse()
        if self.kind != "model":
            inverse = self.factor * (inverse @ self._score_products() @ inverse)
        return np.asarray(turn @ inverse @ turn.T)

    def df_of(self, gradient: Gradient) -> float:
        """Return the degrees of freedom of a function of the coefficients."""
        if self.df_type != "satterthwaite" or self.leverage is None:
            return self.G - 1.0 if self.df_type == "G - 1" else float("inf")
        contrast = self.leverage.robust.contrasts @ self._stacked(gradient)
        return satterthwaite_df(self.leverage.design, np.asarray(contrast))

    def _stacked(self, gradient: Gradient) -> Floats:
        gamma, effects = self.columns.working_gradient(*gradient)
        return np.concatenate([effects, gamma])

    def _score_products(self) -> Floats:
        """Return cross products of scores by gamma, levels eliminated, summed by cluster."""
        columns, clusters = self.columns, self.rows.clusters
        means = self.information.level_means
        if len(self.eta) > self.G:
            sums = sums_by_code(clusters, self.score, columns.Z, self.G)
            if columns.levels is not None:
                shape = (self.G, columns.L)
                sums -= sparse.coo_array((self.score, (clusters, columns.levels)), shape) @ means
            return np.asarray(sums.T @ sums)
        products = np.zeros((columns.k, columns.k))
        for rows in columns.blocks():
            block = columns.Z[rows]
            if columns.levels is not None:
                block = block - means[columns.levels[rows]]
            scores = block * self.score[rows, None]
            products += scores.T @ scores
        return products


def fitted_rows(
    rows: GeneralizedRows,
    problem: PredictorProblem,
    found: Maximum,
    *,
    covariance: GeneralizedCovariance,
    df: GeneralizedDf,
    information: InformationType,
) -> FittedRows:
    """Return the fit with what its covariance needs.

    Raises
    ------
    EstimationError
        If options are unknown or do not go together, or leverage cannot be worked out.
    """
    columns = problem.columns
    beta, effects = columns.original(found.gamma, found.effects)
    K, G = columns.k + columns.L, int(rows.clusters.max()) + 1
    leverage = None
    if covariance in LEVERAGE:
        leverage = _leverage(rows, problem, found, covariance, K)
    return FittedRows(
        columns=columns,
        information=(
            found.information
            if information == "observed" or is_canonical(problem.family)
            else expected_information(problem, found.eta)
        ),
        beta=beta,
        effects=effects,
        eta=found.eta,
        score=found.score,
        rows=replace(rows, X=rows.X[:0]),  # Z has it
        kind=covariance,
        df_type=df,
        K=K,
        G=G,
        leverage=leverage,
    )


def check_options(covariance: str, df: str, information: str, *, clustered: bool) -> None:
    """Refuse options that are unknown or do not go together.

    Raises
    ------
    EstimationError
        If they are so.
    """
    allowed = {
        "covariance": (covariance, get_args(GeneralizedCovariance)),
        "df": (df, get_args(GeneralizedDf)),
        "information": (information, get_args(InformationType)),
    }
    for option, (value, known) in allowed.items():
        if value not in known:
            raise EstimationError(
                f"{WHERE}: {option} must be one of {', '.join(known)}; it is {value!r}."
            )
    if clustered and not covariance.startswith("CR"):
        raise EstimationError(
            f"{WHERE}: {covariance} is for independent rows; with clusters choose CR1, CR1S or CR2."
        )
    if df == "satterthwaite" and covariance not in ("CR2", "CR3"):
        raise EstimationError(
            f"{WHERE}: df 'satterthwaite' belongs to CR2 and CR3; with {covariance} choose "
            "'normal' or 'G - 1'."
        )
    if information == "observed" and covariance in LEVERAGE:
        raise EstimationError(
            f"{WHERE}: {covariance} adjusts for leverage in the working regression, which has the "
            "expected information; choose information 'expected', or CR1S."
        )


def _leverage(
    rows: GeneralizedRows,
    problem: PredictorProblem,
    found: Maximum,
    covariance: GeneralizedCovariance,
    K: int,
) -> _Leverage:
    """Adjust for leverage in the regression of working residuals, each in units of the model's
    standard deviation of its row."""
    columns, w = problem.columns, problem.weights
    n = len(w)
    if n * K > COLUMN_VALUES:
        raise EstimationError(
            f"{WHERE}: {covariance} needs {n:,} x {K:,} numbers at once, {COLUMN_VALUES:,} are "
            "possible; choose CR1S, or absorb fewer levels."
        )
    w = np.ones(n) if w.min() == w.max() else w / w.mean()
    terms = row_terms(found.eta, problem.y, problem.family, problem.dispersion)
    root = np.sqrt(terms.expected)
    matrix = np.zeros((n, K), order="F")
    if columns.levels is not None:
        matrix[np.arange(n), columns.levels] = 1.0
    matrix[:, columns.L :] = columns.Z
    matrix *= (root * np.sqrt(w))[:, None]
    Q, R = make_orthonormal(matrix)
    design = ProjectedDesign(Q=Q, weights=w, cells=None, clusters=rows.clusters)
    inverse = solve_triangular(R, np.eye(K))
    try:
        robust = robust_covariance(
            design,
            terms.score / root,
            inverse,
            covariance=covariance,  # type: ignore[arg-type]
            K=K,
            wanted=range(K),
        )
    except EstimationError as error:
        raise EstimationError(f"{WHERE}: {str(error).partition(': ')[2]}") from None
    return _Leverage(design, robust)
