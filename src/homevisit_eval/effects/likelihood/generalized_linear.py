"""Logit, probit, Poisson and negative binomial regression with weights and clusters (arrays)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from homevisit_eval.effects.likelihood.count_dispersion import maximize_with_dispersion
from homevisit_eval.effects.likelihood.families import FRACTIONAL, Family
from homevisit_eval.effects.likelihood.generalized_covariance import (
    FittedRows,
    GeneralizedCovariance,
    GeneralizedDf,
    InformationType,
    check_options,
    fitted_rows,
)
from homevisit_eval.effects.likelihood.generalized_rows import (
    WHERE,
    GeneralizedRows,
    generalized_rows,
)
from homevisit_eval.effects.likelihood.likelihood_maximum import (
    MAX_ITERATIONS,
    Maximum,
    PredictorProblem,
    maximize,
)
from homevisit_eval.effects.likelihood.predictor_columns import PredictorColumns, predictor_columns
from homevisit_eval.errors import EstimationError
from homevisit_eval.threads import one_thread

__all__ = ["GeneralizedLinearFit", "fit_generalized_linear"]

Floats = NDArray[np.float64]

FEW_CLUSTERS = 10
SMALL_MOVE = 1e-4  # share of the largest move that a column has in a direction without end
NAMED = 8


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GeneralizedLinearFit:
    """Coefficients of a generalized linear model with their covariance.

    Attributes
    ----------
    coefficients : array of shape (p,)
        In units of the linear predictor (log odds, standard deviations, logs), in the order of
        `names`: the columns of X that are kept.
    covariance : array of shape (p, p)
    std_errors : array of shape (p,)
    df : array of shape (p,)
        Degrees of freedom of the t distribution of each coefficient (infinite: normal).
    names : tuple of p names
    dropped : tuple of names
        Columns of X that are linear combinations of absorbed levels and earlier columns.
    family
    dispersion
        a of the negative binomial variance mu + a mu^2 (1 / theta of R's glm.nb); else 0.
    n
        Rows fitted: of positive weight, and not predicted perfectly by an absorbed level.
    K
        Parameters: kept columns and absorbed levels.
    G
        Clusters; rows if none were given.
    covariance_type, df_convention
        How `covariance` and `df` were found.
    iterations
        Newton steps.
    notes : tuple of sentences
        What a reader must know.
    fitted
        What averages and differences need of the rows.
    """

    coefficients: Floats
    covariance: Floats
    std_errors: Floats
    df: Floats
    names: tuple[str, ...]
    dropped: tuple[str, ...]
    family: Family
    dispersion: float
    n: int
    K: int
    G: int
    covariance_type: GeneralizedCovariance
    df_convention: str
    iterations: int
    notes: tuple[str, ...]
    fitted: FittedRows

    @property
    def p_values(self) -> Floats:
        """Two-sided p values of zero coefficients, shape (p,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.abs(self.coefficients / self.std_errors)
        return np.asarray(2.0 * stdtr(self.df, -t), dtype=np.float64)

    def intervals(self, confidence_level: float = 0.95) -> Floats:
        """Return confidence intervals, shape (p, 2): lower and upper bounds."""
        half = stdtrit(self.df, 0.5 + confidence_level / 2.0) * self.std_errors
        return np.column_stack([self.coefficients - half, self.coefficients + half])

    def __repr__(self) -> str:
        """Show the recipe, not the rows."""
        return (
            f"GeneralizedLinearFit({self.family}, {len(self.names)} coefficients, "
            f"{self.covariance_type}, df: {self.df_convention}; n = {self.n}, K = {self.K}, "
            f"G = {self.G})"
        )


def fit_generalized_linear(
    y: ArrayLike,
    X: ArrayLike,
    *,
    family: Family,
    weights: ArrayLike | None = None,
    absorb: Sequence[ArrayLike] = (),
    clusters: ArrayLike | None = None,
    covariance: GeneralizedCovariance = "CR1S",
    df: GeneralizedDf = "normal",
    information: InformationType = "expected",
    names: Sequence[str] | None = None,
) -> GeneralizedLinearFit:
    """Fit a binary outcome, a fraction or a count by maximum (quasi-)likelihood.

    Parameters
    ----------
    y : array of shape (n,)
        0 or 1 (``"logit"``, ``"probit"``, ``"cloglog"``), from 0 to 1 (``"fractional_logit"``,
        ``"fractional_probit"``), 0 or more (``"poisson"``), or whole numbers of 0 or more
        (``"negative_binomial"``, variance mu + a mu^2).
    X : array of shape (n, k)
        Used as it is: without `absorb`, give an intercept column yourself, best as the first.
    family
    weights : array of shape (n,), optional
        At least 0; all 1 if not given. They are part of the estimator (matching or sampling
        weights), and their scale matters to covariance ``"model"`` only. Rows of weight 0 are
        left out.
    absorb : sequence of one array of shape (n,), or of none
        Codes of a factor that gets one intercept for each level, as if by indicators. With few
        rows in each, its intercepts bias other coefficients of logit, probit and cloglog.
    clusters : array of shape (n,), optional
        Codes of the groups within which outcomes may be dependent; each row its own if not
        given, which makes CR1S the covariance known as HC1.
    covariance
        The sandwich of information and scores, for independent rows (``"HC0"``, ``"HC1"``: times
        n / (n - K)) or clusters (``"CR0"``; ``"CR1"``: times G / (G - 1); ``"CR1S"``: times
        G (n - 1) / ((G - 1) (n - K)); ``"CR1p"``: times G / (G - K)). R's ``sandwich::vcovCL``
        calls CR1 type HC0, and CR1S type HC1. ``"HC2"``, ``"HC3"``, ``"CR2"``, ``"CR3"`` adjust
        for leverage in the weighted regression of the last step. ``"model"``: the inverse of the
        information, for which weights count as numbers of rows; not for fractions.
    df
        ``"normal"``, ``"G - 1"``, or ``"satterthwaite"`` (of the weighted regression; CR2, CR3).
    information
        ``"expected"``, as R's glm and MASS have it, or ``"observed"``, as Stata and the discrete
        models of statsmodels. They differ for probit, cloglog and the negative binomial.
    names : sequence of k names, optional
        ``x0``, ``x1``, ... if not given.

    Returns
    -------
    GeneralizedLinearFit

    Raises
    ------
    EstimationError
        If shapes differ, a value is missing or infinite, outcomes do not fit the family or are
        all at one limit of their range, weights are negative or all 0, all rows are in one
        cluster, no column varies, there are not more rows than parameters, columns separate the
        outcomes (wholly or in part), the fit does not converge, or options do not go together.

    Notes
    -----
    Means mu of the linear predictor solve the sum of w x (y - mu) mu' / V(mu) = 0, mu' being the
    derivative and V the variance of the family, by Newton steps to rounding error. For a fraction
    this is a quasi-likelihood: right if the mean is, and its covariance must be robust.

    Rows of absorbed levels whose outcomes are all 0 (or all 1, if outcomes cannot exceed it) are
    predicted perfectly: they are left out of n and counted in the notes. `average_effect` says
    what they do to averages.

    The dispersion of the negative binomial is found by maximum likelihood, in turns with the
    coefficients. Standard errors take it as given, as MASS::glm.nb does (under the model the
    two are uncorrelated). The working model of CR2 and CR3 has the family's variance for each
    row, whatever its weight.

    References
    ----------
    McCullagh, P., & Nelder, J. A. (1989). *Generalized Linear Models* (2nd ed.).
    Papke, L. E., & Wooldridge, J. M. (1996). Econometric methods for fractional response
    variables. *Journal of Applied Econometrics*, 11(6), 619-632.
    Lawless, J. F. (1987). Negative binomial and mixed Poisson regression. *Canadian Journal of
    Statistics*, 15(3), 209-225.
    Liang, K.-Y., & Zeger, S. L. (1986). Longitudinal data analysis using generalized linear
    models. *Biometrika*, 73(1), 13-22.
    Pustejovsky, J. E., & Tipton, E. (2018). Small-sample methods for cluster-robust variance
    estimation and hypothesis testing in fixed effects models. *Journal of Business & Economic
    Statistics*, 36(4), 672-683.

    Examples
    --------
    >>> fit = fit_generalized_linear(
    ...     [1, 3, 4, 8], [[1, 0], [1, 0], [1, 1], [1, 1]], family="poisson"
    ... )
    >>> fit.coefficients.round(6).tolist()
    [0.693147, 1.098612]
    """
    check_options(covariance, df, information, clustered=clusters is not None)
    rows = generalized_rows(
        y, X, family=family, weights=weights, absorb=absorb, clusters=clusters, names=names
    )
    if covariance == "model" and family in FRACTIONAL:
        raise EstimationError(
            f"{WHERE}: a quasi-likelihood of fractions has no covariance 'model'; choose HC1 or "
            "CR1S."
        )
    with one_thread():
        columns = predictor_columns(rows.X, rows.levels, rows.weights)
        _check_identified(rows, columns)
        problem = PredictorProblem(columns, rows.y, rows.weights, family)
        found, problem = _optimum(rows, problem)
        fitted = fitted_rows(
            rows, problem, found, covariance=covariance, df=df, information=information
        )
        covariances = fitted.coefficient_covariance()
        k, L = columns.k, columns.L
        freedom = [fitted.df_of((unit, np.zeros(L))) for unit in np.eye(k)]
    return GeneralizedLinearFit(
        coefficients=fitted.beta,
        covariance=covariances,
        std_errors=np.sqrt(np.maximum(np.diag(covariances), 0.0)),
        df=np.array(freedom),
        names=tuple(rows.labels[j] for j in columns.kept),
        dropped=tuple(rows.labels[j] for j in columns.dropped),
        family=family,
        dispersion=problem.dispersion,
        n=len(rows.y),
        K=fitted.K,
        G=fitted.G,
        covariance_type=covariance,
        df_convention=df,
        iterations=found.iterations,
        notes=(*rows.notes, *_notes(rows, problem, fitted)),
        fitted=fitted,
    )


def _check_identified(rows: GeneralizedRows, columns: PredictorColumns) -> None:
    if not columns.k:
        raise EstimationError(
            f"{WHERE}: no column of X varies beyond the absorbed levels; give a column that does."
        )
    if len(rows.y) <= columns.k + columns.L:
        raise EstimationError(
            f"{WHERE}: {len(rows.y)} rows are too few to determine {columns.k + columns.L} "
            "parameters; use fewer columns or absorb fewer levels."
        )


def _optimum(rows: GeneralizedRows, problem: PredictorProblem) -> tuple[Maximum, PredictorProblem]:
    """Return the optimum, and the problem with its dispersion."""
    if problem.family == "negative_binomial":
        found, problem = maximize_with_dispersion(problem)
    else:
        found = maximize(problem)
    if found.end == "converged":
        return found, problem
    if found.end == "separated":
        raise _separated(rows, problem, found)
    raise EstimationError(
        f"{WHERE}: the {problem.family} model did not converge: {found.iterations} of at most "
        f"{MAX_ITERATIONS} Newton steps were tried, halved where the likelihood fell. Columns "
        "probably predict outcomes almost with certainty, or are nearly collinear: leave some "
        "out, merge levels, or choose a linear model."
    )


def _separated(rows: GeneralizedRows, problem: PredictorProblem, found: Maximum) -> EstimationError:
    """Return an error that names the columns along which the likelihood grows without end."""
    columns = problem.columns
    beta, _ = columns.original(*found.last_step)
    moves = np.abs(beta) / columns.scale  # by as much as the column varies
    if columns.constant:
        moves[0] = 0.0
    largest = float(moves.max(initial=0.0))
    places = np.flatnonzero(moves > SMALL_MOVE * largest)
    listed = [rows.labels[columns.kept[j]] for j in places]
    shown = ", ".join(listed[:NAMED]) + (f" and {len(listed) - NAMED} more" * (len(listed) > NAMED))
    together = " together" if len(listed) > 1 else ""
    return EstimationError(
        f"{WHERE}: {shown}{together} separate the outcomes: {found.moved} of {len(rows.y)} rows "
        f"are predicted with certainty, so the {problem.family} model has no finite fit. Leave "
        "these columns out, merge their levels, leave out the rows they decide, or choose a "
        "linear model."
    )


def _notes(rows: GeneralizedRows, problem: PredictorProblem, fitted: FittedRows) -> tuple[str, ...]:
    notes = []
    if problem.columns.dropped:
        left = ", ".join(rows.labels[j] for j in problem.columns.dropped)
        notes.append(f"Left out because they add nothing to the other columns: {left}.")
    if problem.family == "negative_binomial":
        notes.append(
            f"Dispersion {problem.dispersion:.6g} by maximum likelihood; standard errors take it "
            "as given."
            if problem.dispersion
            else "Counts vary no more than Poisson counts: the dispersion is 0, and the fit is "
            "that of Poisson."
        )
    if rows.clustered and fitted.G < FEW_CLUSTERS:
        notes.append(
            f"Only {fitted.G} clusters: the standard error may be too small; see the wild cluster "
            "bootstrap of a linear model beside it."
        )
    return tuple(notes)
