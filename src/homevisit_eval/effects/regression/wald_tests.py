"""Tests of several coefficients together, and linear combinations of them (arrays)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, fdtrc, stdtr, stdtrit

from homevisit_eval.effects.regression.covariance import COVARIANCES, robust_covariance
from homevisit_eval.effects.regression.degrees_of_freedom import CONVENTIONS
from homevisit_eval.effects.regression.least_squares import LeastSquaresFit
from homevisit_eval.effects.regression.prepared_design import PreparedDesign
from homevisit_eval.effects.regression.satterthwaite import covariance_moments
from homevisit_eval.errors import EstimationError
from homevisit_eval.threads import one_thread

__all__ = [
    "JointTest",
    "LinearCombination",
    "joint_test",
    "linear_combination",
    "zero_constraints",
]

TestType = Literal["HTZ", "HTA", "F", "chi-square"]
Floats = NDArray[np.float64]

SATTERTHWAITE = CONVENTIONS["satterthwaite"]
RANK_BELOW = 1e-10  # eigenvalues, as a share of the largest


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class JointTest:
    """A test that r linear combinations of coefficients have given values.

    Attributes
    ----------
    test
        ``"HTZ"``, ``"HTA"``, ``"F"`` or ``"chi-square"``.
    statistic
        F, or chi-square divided by r.
    df_numerator
        r.
    df_denominator
        Infinite for chi-square.
    p_value
    quadratic_form
        The Wald statistic before it is scaled.
    covariance_type
        Of the coefficients.
    n, K, G
        Rows, parameters, clusters.
    """

    test: TestType
    statistic: float
    df_numerator: int
    df_denominator: float
    p_value: float
    quadratic_form: float
    covariance_type: str
    n: int
    K: int
    G: int

    def __repr__(self) -> str:
        """Show the test with its recipe."""
        return (
            f"JointTest({self.test}: F = {self.statistic:.4g} on {self.df_numerator} and "
            f"{self.df_denominator:.4g} df, p = {self.p_value:.4g}; {self.covariance_type}, "
            f"n = {self.n}, K = {self.K}, G = {self.G})"
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LinearCombination:
    """A linear combination of coefficients, in their units.

    Attributes
    ----------
    estimate, std_error
    df, df_convention
        Degrees of freedom of its t distribution, and how they were found.
    covariance_type
        Of the coefficients.
    n, K, G
        Rows, parameters, clusters.
    """

    estimate: float
    std_error: float
    df: float
    df_convention: str
    covariance_type: str
    n: int
    K: int
    G: int

    @property
    def p_value(self) -> float:
        """Two-sided p value of zero."""
        return float(2.0 * stdtr(self.df, -abs(self.estimate / self.std_error)))

    def interval(self, confidence_level: float = 0.95) -> tuple[float, float]:
        """Return the lower and upper bound of a confidence interval."""
        half = float(stdtrit(self.df, 0.5 + confidence_level / 2.0)) * self.std_error
        return self.estimate - half, self.estimate + half

    def __repr__(self) -> str:
        """Show the estimate with its recipe."""
        return (
            f"LinearCombination({self.estimate:.6g}, std_error {self.std_error:.6g}, "
            f"{self.covariance_type}, df {self.df:.4g}: {self.df_convention}; n = {self.n}, "
            f"K = {self.K}, G = {self.G})"
        )


def joint_test(
    prepared: PreparedDesign,
    fit: LeastSquaresFit,
    constraints: ArrayLike,
    *,
    values: ArrayLike | None = None,
    test: TestType = "HTZ",
) -> JointTest:
    """Test linear combinations of coefficients together, with small-sample degrees of freedom.

    Parameters
    ----------
    prepared
        The design of the fit.
    fit
        From `fit_outcome`, with any covariance by name.
    constraints : array of shape (r, q)
        One row for each combination of the q coefficients; see `zero_constraints`.
    values : array of shape (r,), optional
        What the combinations are under the null hypothesis; 0 if not given.
    test
        ``"HTZ"``: Hotelling's T squared with Zhang's degrees of freedom, which match the total
        variance of the covariance under independent errors of one variance. ``"HTA"``: those
        that bring all variances and covariances of its entries nearest to a Wishart's.
        ``"F"``: the Wald statistic over r, with the degrees of freedom of the fit; G - 1 where
        those are Satterthwaite's. ``"chi-square"``: its large-sample distribution.

    Returns
    -------
    JointTest

    Raises
    ------
    EstimationError
        If shapes do not fit, constraints are redundant, the covariance is singular in them,
        there are too few clusters, or HT is asked for with several clusterings.

    Notes
    -----
    With Q the Wald statistic and eta the degrees of freedom of the Wishart distribution,
    (eta - r + 1) / (eta r) Q is compared with F(r, eta - r + 1). The entries of the covariance,
    in units of its expectation, have covariances c, and a Wishart's omega / eta with omega_abcd =
    [a = c][b = d] + [a = d][b = c]. For HTZ, eta is r (r + 1) over the sum of the variances in c;
    for HTA, sum omega c / sum c^2.

    References
    ----------
    Tipton, E., & Pustejovsky, J. E. (2015). Small-sample adjustments for tests of moderators
    and model fit using robust variance estimation in meta-regression. *Journal of Educational
    and Behavioral Statistics*, 40(6), 604-634.
    Zhang, J.-T. (2013). Tests of linear hypotheses in the ANOVA under heteroscedasticity.
    *International Journal of Advanced Statistics and Probability*, 1(2), 9-24.
    """
    if test not in get_args(TestType):
        raise EstimationError(
            f"joint test: test must be one of {', '.join(get_args(TestType))}; it is {test!r}."
        )
    C = _checked(fit, constraints)
    r = len(C)
    null = np.zeros(r) if values is None else np.asarray(values, dtype=np.float64)
    if null.shape != (r,):
        raise EstimationError(
            f"joint test: values has shape {null.shape} for {r} constraints; give one for each."
        )
    Q = _quadratic_form(C @ fit.coefficients - null, C @ fit.covariance @ C.T)
    scale, denominator = 1.0, float("inf")
    if test == "F":
        denominator = _counted(fit)
    elif test in ("HTZ", "HTA"):
        eta = _wishart_df(prepared, fit, C, test)
        denominator = eta - r + 1.0
        scale = denominator / eta
        if not denominator > 0:
            raise EstimationError(
                f"joint test: {r} constraints leave {denominator:.2f} degrees of freedom with "
                f"{fit.G} clusters; test fewer constraints, or use the wild bootstrap."
            )
    statistic = scale * Q / r
    p = chdtrc(r, Q) if test == "chi-square" else fdtrc(r, denominator, statistic)
    return JointTest(
        test=test,
        statistic=statistic,
        df_numerator=r,
        df_denominator=denominator,
        p_value=float(p),
        quadratic_form=Q,
        covariance_type=fit.covariance_type,
        n=fit.n,
        K=fit.K,
        G=fit.G,
    )


def linear_combination(
    prepared: PreparedDesign, fit: LeastSquaresFit, combination: ArrayLike
) -> LinearCombination:
    """Return a linear combination of coefficients, as the effect in a subgroup, in their units.

    Parameters
    ----------
    prepared
        The design of the fit.
    fit
        From `fit_outcome`; its convention of degrees of freedom is kept.
    combination : array of shape (q,)
        What each coefficient is multiplied by.

    Returns
    -------
    LinearCombination

    Raises
    ------
    EstimationError
        If the shape does not fit, or the standard error is 0.
    """
    C = _checked(fit, np.asarray(combination, dtype=np.float64)[None, :])
    variance = float((C @ fit.covariance @ C.T)[0, 0])
    if not variance > 0:
        raise EstimationError(
            "linear combination: its standard error is 0, so nothing can be said of its "
            "uncertainty. Use another level of clustering, or fewer columns."
        )
    if fit.df_convention == SATTERTHWAITE:
        means, covariances = _moments(prepared, fit, C)
        df = 2.0 * float(means.item()) ** 2 / float(covariances.item())
    else:
        df = float(fit.df[0])
    return LinearCombination(
        estimate=float(C[0] @ fit.coefficients),
        std_error=float(np.sqrt(variance)),
        df=df,
        df_convention=fit.df_convention,
        covariance_type=fit.covariance_type,
        n=fit.n,
        K=fit.K,
        G=fit.G,
    )


def zero_constraints(fit: LeastSquaresFit, columns: Sequence[str]) -> Floats:
    """Return the constraints (r, q) that the coefficients of r columns are 0.

    Raises
    ------
    EstimationError
        If a column is not in the fit.
    """
    unknown = [name for name in columns if name not in fit.names]
    if unknown:
        raise EstimationError(
            f"joint test: {', '.join(unknown)} not among the columns of the fit. Those left out "
            "as collinear have no coefficient to be tested; name others."
        )
    constraints = np.zeros((len(columns), len(fit.names)))
    constraints[np.arange(len(columns)), [fit.names.index(name) for name in columns]] = 1.0
    return constraints


def _checked(fit: LeastSquaresFit, constraints: ArrayLike) -> Floats:
    C = np.asarray(constraints, dtype=np.float64)
    q = len(fit.names)
    if C.ndim != 2 or C.shape[1] != q or len(C) == 0 or not np.isfinite(C).all():
        raise EstimationError(
            f"joint test: constraints have shape {C.shape} for {q} coefficients; give finite "
            f"numbers of shape (r, {q}), or ({q},) for one combination."
        )
    rank = int(np.linalg.matrix_rank(C))
    if rank < len(C):
        raise EstimationError(
            f"joint test: of {len(C)} constraints {len(C) - rank} follow from the others; leave "
            "these out."
        )
    return C


def _quadratic_form(difference: Floats, covariance: Floats) -> float:
    size = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    if (size > 0).all():
        scaled = covariance / np.outer(size, size)
        if np.linalg.eigvalsh(scaled)[0] > RANK_BELOW:
            return float(difference / size @ np.linalg.solve(scaled, difference / size))
    raise EstimationError(
        f"joint test: the covariance of the {len(difference)} combinations is singular, as where "
        "there are not more clusters than combinations. Test fewer at once."
    )


def _counted(fit: LeastSquaresFit) -> float:
    return fit.G - 1.0 if fit.df_convention == SATTERTHWAITE else float(fit.df[0])


def _wishart_df(prepared: PreparedDesign, fit: LeastSquaresFit, C: Floats, test: TestType) -> float:
    means, _ = _moments(prepared, fit, C)
    eigenvalues, V = np.linalg.eigh(means)
    if not eigenvalues[0] > RANK_BELOW * eigenvalues[-1]:
        raise EstimationError(
            f"joint test: the expected covariance of the {len(C)} combinations is singular. Test "
            "fewer at once, or use another level of clustering."
        )
    root = (V / np.sqrt(eigenvalues)) @ V.T
    _, covariances = _moments(prepared, fit, root @ C)
    variances = float(np.einsum("abab", covariances))
    if test == "HTA":
        return 2.0 * variances / float(np.sum(covariances**2))
    return len(C) * (len(C) + 1) / variances


def _moments(prepared: PreparedDesign, fit: LeastSquaresFit, C: Floats) -> tuple[Floats, Floats]:
    """Return means and covariances of the entries of the covariance of C times the coefficients."""
    named = [one for one in COVARIANCES if one == fit.covariance_type]
    if fit.cluster_counts or not named:
        raise EstimationError(
            "joint test: degrees of freedom of this kind are for one clustering and a covariance "
            f"by name, not for {fit.covariance_type} in {len(fit.cluster_counts) or 1} ways; use "
            "test='F'."
        )
    with one_thread():
        found = robust_covariance(
            prepared.design,
            fit.residuals[prepared.used],
            C @ prepared.inverse,
            covariance=named[0],
            K=fit.K,
            wanted=range(len(C)),
        )
        return covariance_moments(prepared.design, found.contrasts)
