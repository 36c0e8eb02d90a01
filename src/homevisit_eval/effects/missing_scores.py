"""Whether an outcome is missing as often among the visited as among those compared with them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.design import DifferenceInMeans, Outcome
from homevisit_eval.effects.model_fit import fit_linear
from homevisit_eval.effects.regression_rows import regression_rows
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching.matched_sample import MatchedSample

__all__ = ["MissingScores", "compare_missing"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MissingScores:
    """Shares of the matched without an outcome, by group, and their difference.

    Attributes
    ----------
    outcome
    share_visited, share_comparison
        0 to 1, weighted by the matching weights.
    difference, std_error, df, ci_low, ci_high
        Visited less comparison, clustered by school (CR2). The error is 0 and the interval a point
        if nobody lacks the outcome, or everybody does.
    confidence_level
    missing_visited, missing_comparison, among_visited, among_comparison
        Student-years without the outcome, and all that were looked at.
    synthetic
    """

    outcome: Outcome
    share_visited: float
    share_comparison: float
    difference: float
    std_error: float
    df: float
    ci_low: float
    ci_high: float
    confidence_level: float
    missing_visited: int
    missing_comparison: int
    among_visited: int
    among_comparison: int
    synthetic: bool

    def __repr__(self) -> str:
        """Show the difference with its interval; no share, which would tell a count."""
        label = "synthetic data, " if self.synthetic else ""
        return (
            f"MissingScores({label}{self.outcome.name}: share missing {self.difference:+.3f} "
            f"[{self.ci_low:+.3f}, {self.ci_high:+.3f}] visited less comparison)"
        )

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"


def compare_missing(
    matched: MatchedSample, outcome: str, among: NDArray[np.bool_]
) -> MissingScores:
    """Return the shares without an outcome by group, and their difference with an interval.

    Parameters
    ----------
    matched
        Student-years with a positive weight are looked at.
    outcome
        A column of the sample's outcomes.
    among
        Shape (n,): rows that could have it, of grades and years in which it is measured.

    Raises
    ------
    EstimationError
        If a group is empty, or all student-years are in one school.

    Notes
    -----
    The difference of weighted means of "is missing" by least squares, with the CR2 covariance over
    schools and Satterthwaite degrees of freedom.

    References
    ----------
    Pustejovsky, J. E., & Tipton, E. (2018). Small-sample methods for cluster-robust variance
    estimation and hypothesis testing in fixed effects models. *Journal of Business & Economic
    Statistics*, 36(4), 672-683.
    """
    sample = matched.sample
    here = among & (matched.matches.weights.to_numpy() > 0)
    lacks = sample.outcomes[outcome].isna().to_numpy(dtype=np.float64)
    visited = (sample.baseline["visited"] == 1).to_numpy()
    counts = {
        name: (int(lacks[here & own].sum()), int((here & own).sum()))
        for name, own in (("visited", visited), ("comparison", ~visited))
    }
    if empty := [name for name, (_, whole) in counts.items() if not whole]:
        raise EstimationError(
            f"{outcome}: there is no matched {empty[0]} student-year that could have it, so what "
            "is missing cannot be compared."
        )
    asked = sample.outcomes.assign(**{outcome: np.where(here, lacks, np.nan)})
    rows = regression_rows(
        MatchedSample(replace(sample, outcomes=asked), matched.matches),
        outcome,
        DifferenceInMeans(),
    )
    shares = [
        float(np.average(rows.y[rows.visited == code], weights=rows.weights[rows.visited == code]))
        for code in (1, 0)
    ]
    level = sample.design.confidence_level
    difference, std_error, df, low, high = shares[0] - shares[1], 0.0, np.inf, 0.0, 0.0
    if rows.y.min() < rows.y.max():
        fit = fit_linear(rows, outcome, "CR2")
        difference, std_error, df = fit.estimate, fit.std_error, fit.df
        low, high = fit.interval(level)
    return MissingScores(
        outcome=sample.design.outcome(outcome),
        share_visited=shares[0],
        share_comparison=shares[1],
        difference=difference,
        std_error=std_error,
        df=df,
        ci_low=low,
        ci_high=high,
        confidence_level=level,
        missing_visited=counts["visited"][0],
        missing_comparison=counts["comparison"][0],
        among_visited=counts["visited"][1],
        among_comparison=counts["comparison"][1],
        synthetic=sample.synthetic,
    )
