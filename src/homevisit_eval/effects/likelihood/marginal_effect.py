"""An average after a generalized linear model, with its error (arrays)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

__all__ = ["MarginalEffect", "Measure"]

Floats = NDArray[np.float64]
Measure = Literal["difference", "risk_ratio", "odds_ratio", "slope", "mean"]

RATIOS: tuple[Measure, ...] = ("risk_ratio", "odds_ratio")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MarginalEffect:
    """An averaged effect, slope or mean, in units of the outcome; or a ratio.

    Attributes
    ----------
    measure
        ``"difference"``, ``"risk_ratio"``, ``"odds_ratio"``, ``"slope"`` or ``"mean"``.
    estimate
    scale_std_error
        Standard error on the scale of the interval: of the log, for a ratio; else of `estimate`.
    df
        Degrees of freedom of the t distribution (infinite: normal).
    means, mean_std_errors : tuples
        The averaged means with treatment and without; one for ``"mean"``, none for ``"slope"``.
    influence : array of shape (rows given,)
        What each row adds to the error of the estimate (of its log, for a ratio), before
        small-sample factors. Sums by cluster, over estimates that share rows, give the variance
        of a difference.
    n
        Rows averaged over.
    G
        Clusters of the fit.
    recipe
        How it was found, in words.
    notes : tuple of sentences
    """

    measure: Measure
    estimate: float
    scale_std_error: float
    df: float
    means: tuple[float, ...]
    mean_std_errors: tuple[float, ...]
    influence: Floats
    n: int
    G: int
    recipe: str
    notes: tuple[str, ...]

    @property
    def mean_treated(self) -> float:
        """The averaged mean with treatment; NaN if there is none."""
        return self.means[0] if len(self.means) == 2 else float("nan")

    @property
    def mean_comparison(self) -> float:
        """The averaged mean without treatment; NaN if there is none."""
        return self.means[1] if len(self.means) == 2 else float("nan")

    @property
    def std_error(self) -> float:
        """Standard error of the estimate; of a ratio by the delta method."""
        return self.scale_std_error * (self.estimate if self.measure in RATIOS else 1.0)

    @property
    def p_value(self) -> float:
        """Two-sided p value of a difference, slope or mean of 0, or a ratio of 1."""
        distance = np.log(self.estimate) if self.measure in RATIOS else self.estimate
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.abs(np.float64(distance) / self.scale_std_error)
        return float(2.0 * stdtr(self.df, -t))

    def interval(self, confidence_level: float = 0.95) -> tuple[float, float]:
        """Return the lower and upper bound of a confidence interval; of a ratio by its log."""
        half = self._quantile(confidence_level) * self.scale_std_error
        if self.measure in RATIOS:
            return self.estimate * float(np.exp(-half)), self.estimate * float(np.exp(half))
        return self.estimate - half, self.estimate + half

    def mean_intervals(self, confidence_level: float = 0.95) -> Floats:
        """Return confidence intervals of the means, shape (means, 2): lower and upper bounds."""
        half = self._quantile(confidence_level) * np.array(self.mean_std_errors)
        return np.column_stack([np.array(self.means) - half, np.array(self.means) + half])

    def _quantile(self, confidence_level: float) -> float:
        return float(stdtrit(self.df, 0.5 + confidence_level / 2.0))

    def __repr__(self) -> str:
        """Show the estimate and the recipe, no rows."""
        return (
            f"MarginalEffect({self.measure} {self.estimate:.6g}, std_error {self.std_error:.6g}, "
            f"df {self.df:g}; {self.recipe}; n = {self.n}, G = {self.G})"
        )
