"""An estimated effect with everything needed to read, check and report it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from homevisit_eval.design import MatchingMethod, Outcome, OutcomeModel
from homevisit_eval.design.questions import Role
from homevisit_eval.disclosure import SMALLEST_COUNT_SHOWN, shown_count, shown_of
from homevisit_eval.matching.matched_sample import Estimand

__all__ = ["Effect", "observed_of_matched", "tells_no_small_count"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Effect:
    """The estimated effect of a visit on one outcome. Plain values only; fractions, not percents.

    Attributes
    ----------
    estimand, method
        Whose effect it is, and how the groups were matched or weighted for it.
    estimate, std_error, ci_low, ci_high
        In units of the outcome (a fraction for rates and binary outcomes).
    adjusted_mean_visited, adjusted_mean_comparison
        The weighted mean of the visited, and the same less the estimate: what the model says
        the visited, so weighted, would have shown without the visit. Weights make them stand
        for those whom the estimand is about.
    mean_visited, mean_comparison, sd_visited, sd_comparison
        Weighted, unadjusted.
    effect_size, effect_size_kind
        Hedges' g, or the Cox index for a binary outcome, in standard deviations. Its sign is
        that of the difference.
    improvement_index
        Percentile points: 100 (Phi(effect size) - .5), positive where the difference is
        favorable (`Outcome.beneficial`), whatever its sign.
    estimate_interacted, std_error_interacted
        The average effect on those whom the estimand is about (for the ATT the visited) by
        regression with treatment interacted with every covariate and cell, in units of the
        outcome, with its standard error (influence functions summed by cluster, times
        G / (G - 1)); NaN for other models than `FixedEffects`, or if it cannot be computed. The
        estimate is that effect only if effects do not vary.
    n_visited, n_comparison, students_visited, students_comparison
        Student-years with this outcome observed, and distinct students among them.
    matched_visited, matched_comparison, matched_students_visited, matched_students_comparison
        The same counts of all matched, whether the outcome was observed or not.
    clusters, clusters_visited, clusters_comparison, parameters
        G, clusters with visited and with comparison units, and K (absorbed cells counted).
    df, df_convention
        Degrees of freedom of the t distribution and how they were found.
    p_value_adjusted
        NaN until `adjust_p_values`.
    """

    outcome: Outcome
    question: str
    question_label: str
    role: Role
    sensitivity: str
    estimand: Estimand
    method: MatchingMethod
    model: OutcomeModel
    estimate: float
    std_error: float
    df: float
    df_convention: str
    covariance: str
    cluster: str
    confidence_level: float
    ci_low: float
    ci_high: float
    t: float
    p_value: float
    p_value_adjusted: float
    adjusted_mean_visited: float
    adjusted_mean_comparison: float
    mean_visited: float
    mean_comparison: float
    sd_visited: float
    sd_comparison: float
    effect_size: float
    effect_size_kind: str
    improvement_index: float
    estimate_interacted: float
    std_error_interacted: float
    n_visited: int
    n_comparison: int
    students_visited: int
    students_comparison: int
    matched_visited: int
    matched_comparison: int
    matched_students_visited: int
    matched_students_comparison: int
    clusters: int
    clusters_visited: int
    clusters_comparison: int
    parameters: int
    coefficients: Mapping[str, tuple[float, float]]
    formula: str
    notes: tuple[str, ...]
    synthetic: bool

    def __repr__(self) -> str:
        """Show the estimate with its interval, estimand, sample and recipe."""
        label = "synthetic data, " if self.synthetic else ""
        visited = _at_least(self.n_visited, self.matched_visited)
        comparison = _at_least(self.n_comparison, self.matched_comparison)
        recipe = (
            self.covariance if self.cluster == "none" else f"{self.covariance} by {self.cluster}"
        )
        known = tells_no_small_count(self.cluster, observed_of_matched(self))
        if known and self.cluster != "none":
            recipe += f", G = {self.clusters}"
        recipe += f", K = {self.parameters}"
        if known:
            recipe += f", df = {self.df:.1f} ({self.df_convention.partition(' (')[0]})"
        return (
            f"Effect({label}{self.outcome.name}, {self.estimand}: {self.estimate:+.4f} "
            f"[{self.ci_low:+.4f}, {self.ci_high:+.4f}], p = {self.p_value:.3f};\n"
            f"  {visited} visited and {comparison} comparison student-years;\n  {recipe})"
        )

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(repr(self))}</pre>"


def observed_of_matched(effect: Effect) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return student-years with the outcome, and all matched, of the visited and the others."""
    return (
        (effect.n_visited, effect.matched_visited),
        (effect.n_comparison, effect.matched_comparison),
    )


def tells_no_small_count(cluster: str, counts: Sequence[tuple[int, int]]) -> bool:
    """Say whether the number of clusters and degrees of freedom may be printed.

    Those of students, matched sets or rows tell how many student-years there are, from which the
    few that are hidden, or that lack the outcome, would follow. Those of schools do not.

    Parameters
    ----------
    cluster
        The level of the clusters.
    counts
        Counts that stand beside them, each with the whole that it is a part of.
    """
    return cluster == "school_id" or not any(
        0 < count < SMALLEST_COUNT_SHOWN or shown_of(count, whole) != count
        for count, whole in counts
    )


def _at_least(count: int, whole: int) -> str:
    """Return a count as text that does not give away how few of the whole are not in it."""
    shown = shown_of(count, whole)
    return shown_count(shown) if shown == count else f"at least {shown_count(shown)}"
