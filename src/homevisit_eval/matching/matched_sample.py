"""What matching returns: pairs, weights, matched sets and the estimand they realize."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from homevisit_eval.design import MatchingMethod
from homevisit_eval.disclosure import shown_count
from homevisit_eval.sample.analytic_sample import AnalyticSample

__all__ = ["NO_MATCHING", "Estimand", "MatchedSample", "Matches", "PropensityModel"]

NO_MATCHING = "only if effects do not vary: regression without matching"


@dataclass(frozen=True, slots=True)
class Estimand:
    """Whose average effect is estimated.

    Parameters
    ----------
    target
        ``"ATT"``: the average effect on the treated.
    restriction
        Empty, or the words that say which treated units are meant.
    """

    target: Literal["ATT", "ATC", "ATE"]
    restriction: str = ""

    @property
    def by_matching(self) -> bool:
        """Whether the comparison group was matched; if not, regression alone adjusts."""
        return not self.restriction.startswith(NO_MATCHING)

    def __str__(self) -> str:
        """Return for example "ATT in the matched sample"."""
        return f"{self.target} {self.restriction}".strip()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PropensityModel:
    """A fitted logit of treatment on covariates, for one band of units that share covariates.

    Attributes
    ----------
    band
        Which units: empty when all.
    names
        Columns of the design matrix, the intercept first.
    coefficients : mapping of name to log odds
    converged
        Whether the iteration reached its tolerance.
    caliper_width
        The caliper in units of the distance; None without one.
    """

    band: str
    names: tuple[str, ...]
    coefficients: Mapping[str, float]
    converged: bool
    caliper_width: float | None = None

    def __repr__(self) -> str:
        """Show the number of terms, not the scores."""
        return f"PropensityModel({self.band or 'all units'}: {len(self.names)} terms)"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Matches:
    """Who is compared with whom, for any data frame.

    Attributes
    ----------
    method
        What was asked for.
    pairs : DataFrame with columns ``treated``, ``rank``, ``comparison``
        Row labels of the frame; rank is 1 for a first match.
    weights : Series on the frame's index
        0 = not used; matched treated units have 1; comparison weights have mean 1.
    matched_set : Series of int on the frame's index
        The number of the matched set, -1 outside any.
    propensity_score, linear_propensity_score : Series on the frame's index
    estimand
        The realized one.
    propensity
        The fitted models; empty when scores were given or none was needed.
    unmatched : DataFrame with columns ``row``, ``reason``
        Treated units that found no match, and why.
    audit
        Facts about the run: ties, order rule, counts.
    """

    method: MatchingMethod
    pairs: pd.DataFrame
    weights: pd.Series
    matched_set: pd.Series
    propensity_score: pd.Series | None
    linear_propensity_score: pd.Series | None
    estimand: Estimand
    propensity: tuple[PropensityModel, ...]
    unmatched: pd.DataFrame
    audit: Mapping[str, int | float | str]

    def __repr__(self) -> str:
        """Show the method, the realized estimand and counts."""
        matched, lost = len(self.pairs["treated"].unique()), len(self.unmatched)
        return (
            f"Matches({type(self.method).__name__}, {self.estimand}: "
            f"{shown_count(matched)} treated units matched, {shown_count(lost)} not)"
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MatchedSample:
    """An analytic sample and the matches found in it; row labels are those of its baseline."""

    sample: AnalyticSample
    matches: Matches

    @property
    def n_visited(self) -> int:
        """Visited student-years with a positive weight."""
        return int(((self.matches.weights > 0) & (self.sample.baseline["visited"] == 1)).sum())

    @property
    def n_comparison(self) -> int:
        """Comparison student-years with a positive weight."""
        return int(((self.matches.weights > 0) & (self.sample.baseline["visited"] == 0)).sum())

    def __repr__(self) -> str:
        """Show the method, the realized estimand and counts."""
        label = "synthetic data, " if self.sample.synthetic else ""
        return (
            f"MatchedSample({label}question {self.sample.question.name!r}, "
            f"{self.matches.estimand}:\n"
            f"  {shown_count(self.n_visited)} of {shown_count(self.sample.n_visited)} visited "
            f"student-years, {shown_count(self.n_comparison)} comparison student-years;\n"
            f"  {self.matches.method})"
        )

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(repr(self))}</pre>"
