"""Tests that nothing happened before treatment, of several estimates together (arrays)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc

from homevisit_eval.effects.wald_tests import JointTest
from homevisit_eval.errors import EstimationError

__all__ = ["PretrendTest", "hotelling_pretrend", "pretrend_of"]

Floats = NDArray[np.float64]

RANK_BELOW = 1e-10  # eigenvalues of the correlations, as a share of the largest


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PretrendTest:
    """A joint test that all r estimates before treatment are 0.

    A large p value does not show that trends were parallel: with few units large differences
    stay unseen (Roth 2022). Read it beside the estimates and their intervals.

    Attributes
    ----------
    statistic
        F.
    df_numerator, df_denominator
        r, and those of the denominator.
    p_value
    quadratic_form
        The Wald statistic before it is scaled.
    recipe
        For example ``"Hotelling's T squared, influence by cluster"``.
    G
        Clusters.
    """

    statistic: float
    df_numerator: int
    df_denominator: float
    p_value: float
    quadratic_form: float
    recipe: str
    G: int

    def __repr__(self) -> str:
        """Show the test with its recipe."""
        return f"PretrendTest({self.sentence}; {self.recipe}, G = {self.G})"

    @property
    def sentence(self) -> str:
        """The result in words, as figures show it."""
        p = "p < 0.001" if self.p_value < 0.001 else f"p = {self.p_value:.3f}"
        return (
            f"No difference before treatment: F({self.df_numerator}, {self.df_denominator:.0f}) "
            f"= {self.statistic:.2f}, {p}"
        )


def pretrend_of(test: JointTest) -> PretrendTest:
    """Return a joint test of regression coefficients as a test of pretrends."""
    return PretrendTest(
        statistic=test.statistic,
        df_numerator=test.df_numerator,
        df_denominator=test.df_denominator,
        p_value=test.p_value,
        quadratic_form=test.quadratic_form,
        recipe=f"{test.test}, {test.covariance_type}",
        G=test.G,
    )


def hotelling_pretrend(estimates: Floats, covariance: Floats, G: int) -> PretrendTest:
    """Test that r estimates are 0 together, from sums of influence by cluster.

    Parameters
    ----------
    estimates : array of shape (r,)
    covariance : array of shape (r, r)
        From `clustered_covariance`.
    G
        Clusters.

    Raises
    ------
    EstimationError
        If there is nothing to test, or there are not more clusters than estimates, or the
        covariance is singular.

    Notes
    -----
    With Q the Wald statistic, (G - r) / (r (G - 1)) Q is compared with F(r, G - r): Hotelling's
    T squared of the G sums.

    References
    ----------
    Hotelling, H. (1931). The generalization of Student's ratio. *Annals of Mathematical
    Statistics*, 2(3), 360-378.
    Roth, J. (2022). Pretest with caution: Event-study estimates after testing for parallel
    trends. *American Economic Review: Insights*, 4(3), 305-322.
    """
    r = len(estimates)
    if r == 0:
        raise EstimationError(
            "pretrend test: there is no estimate before treatment; give at least two periods "
            "before the first treatment (and before it is anticipated)."
        )
    if r >= G:
        raise EstimationError(
            f"pretrend test: {r} estimates cannot be tested together with {G} clusters; test "
            "fewer, as those by event time."
        )
    size = np.sqrt(np.diag(covariance))
    if not (size > 0).all():
        raise EstimationError(
            f"pretrend test: {int((~(size > 0)).sum())} of {r} standard errors are 0; leave these "
            "estimates out."
        )
    correlation = covariance / np.outer(size, size)
    eigenvalues = np.linalg.eigvalsh(correlation)
    if not eigenvalues[0] > RANK_BELOW * eigenvalues[-1]:
        raise EstimationError(
            f"pretrend test: the covariance of {r} estimates is singular, as where they follow "
            "from each other. Test fewer at once."
        )
    t = estimates / size
    Q = float(t @ np.linalg.solve(correlation, t))
    statistic = (G - r) / (r * (G - 1.0)) * Q
    return PretrendTest(
        statistic=statistic,
        df_numerator=r,
        df_denominator=float(G - r),
        p_value=float(fdtrc(r, G - r, statistic)),
        quadratic_form=Q,
        recipe="Hotelling's T squared, influence by cluster",
        G=G,
    )
