"""What matching returns: pairs, weights, matched sets and the estimand they realize."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Literal

import pandas as pd

from homevisit_eval.design import MatchingMethod
from homevisit_eval.disclosure import SMALLEST_COUNT_SHOWN, shown_count, shown_of
from homevisit_eval.sample.analytic_sample import AnalyticSample

__all__ = [
    "NO_MATCHING",
    "WEIGHTED_FOR_RESPONSE",
    "Estimand",
    "MatchedSample",
    "Matches",
    "PropensityModel",
    "shown_reasons",
]

WEIGHTED_FOR_RESPONSE = "weighted for response"
"""Said by the estimand of a sample whose respondents stand for those who did not answer."""

NO_MATCHING = "only if effects do not vary: regression without matching"


@dataclass(frozen=True, slots=True)
class Estimand:
    """Whose average effect is estimated.

    Parameters
    ----------
    target
        ``"ATT"``: the average effect on the treated; ``"ATC"``: on the comparison units;
        ``"ATE"``: on all; ``"ATO"``: on the overlap population.
    restriction
        Empty, or the words that say which of them are meant.
    """

    target: Literal["ATT", "ATC", "ATE", "ATO"]
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
    """A fitted model of treatment on covariates, for one band of units that share covariates.

    Attributes
    ----------
    band
        Which units: empty when all.
    names
        Columns of the design matrix, the intercept first.
    coefficients : mapping of name to coefficient
        On the scale of the link: log odds for a logit.
    converged
        Whether the iteration reached its tolerance.
    caliper_width
        The caliper in units of the score; None without one.
    link
        ``"logit"``, ``"probit"`` or ``"cloglog"``.
    """

    band: str
    names: tuple[str, ...]
    coefficients: Mapping[str, float]
    converged: bool
    caliper_width: float | None = None
    link: str = "logit"

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
        Row labels of the frame; rank is 1 for a first match of the unit that chose (the
        treated one for the ATT, the comparison one for the ATC). Empty for methods that make
        sets or weights.
    weights : Series on the frame's index
        What an outcome is weighted with; 0 = not used. Sampling weights are included. After
        matching, units of the group that the estimand is about have 1 and weights of the other
        group have mean 1 (for the ATE both groups have mean 1), before sampling weights; what
        weighting methods return stands in their descriptions.
    matched_set : Series of int on the frame's index
        The number of the matched set, stratum or subclass; -1 outside any, and for methods by
        which a unit may be in several sets, or in none.
    propensity_score, linear_propensity_score : Series on the frame's index, optional
        None if no propensity score was needed.
    score : Series on the frame's index, optional
        The score that was matched on, on its scale.
    estimand
        The realized one.
    propensity
        The fitted models; empty when scores were given or none was needed.
    unmatched : DataFrame with columns ``row``, ``reason``
        Units that the estimand is about and that are not used, and why: treated units for the
        ATT, comparison units for the ATC, both for the ATE.
    audit
        Facts about the run, as plain values; `hv.tables.match_audit` shows them.
    sampling_weights : Series on the frame's index, optional
    discarded : Series of bool on the frame's index
        Rows outside the common support that the method asks for.
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
    score: pd.Series | None = None
    sampling_weights: pd.Series | None = None
    discarded: pd.Series | None = None

    def __repr__(self) -> str:
        """Show the method, the realized estimand, counts and what they mean; no rows."""
        lines = [f"Matches({self.estimand}; {self.method}:"]
        if "treated_used" in self.audit:
            used = [
                _used_of(int(self.audit[f"{group}_used"]), int(self.audit[group]), group)
                for group in ("treated", "comparison")
            ]
            lines.append(f"  {' and '.join(used)} are used;")
        if self.audit.get("with_fewer_matches"):
            fewer = shown_count(int(self.audit["with_fewer_matches"]))
            lines.append(f"  {fewer} units have fewer matches than asked for;")
        if "tied_scores" in self.audit:
            lines.append(f"  {shown_count(int(self.audit['tied_scores']))} units are tied;")
        lines.append(f"  {self.audit.get('consequence', 'without an audit')})")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"


def shown_reasons(unmatched: pd.DataFrame) -> dict[str, str]:
    """Return how many were lost for each reason, as text from which no small count follows.

    Beside a count under 10, the smallest other one is only said to be 10 or more, or the total
    less the others would give the small one away.
    """
    counts = unmatched["reason"].value_counts().sort_index()
    shown = {str(reason): shown_count(int(count)) for reason, count in counts.items()}
    large = counts[counts >= SMALLEST_COUNT_SHOWN]
    if len(large) < len(counts) and len(large):
        shown[str(large.idxmin())] = f"{SMALLEST_COUNT_SHOWN} or more"
    return shown


def _used_of(used: int, whole: int, group: str) -> str:
    """Return how many of a group are used, without giving away how few are not."""
    shown = shown_of(used, whole)
    at_least = "" if shown == used else "at least "
    return f"{at_least}{shown_count(shown)} of {shown_count(whole)} {group} units"


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
        return f"<pre>{escape(repr(self))}</pre>"
