"""Matched samples -> effects on quantiles of an outcome's distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from homevisit_eval.design import DifferenceInMeans, Outcome, OutcomeModel
from homevisit_eval.design.checks import allowed
from homevisit_eval.design.questions import Role
from homevisit_eval.effects.distribution import check_scale, group_counts
from homevisit_eval.effects.distributional.quantiles import (
    QuantileDifferences,
    quantile_differences,
)
from homevisit_eval.effects.effect import tells_no_small_count
from homevisit_eval.effects.estimate import check_rows, observed_estimand
from homevisit_eval.effects.model_fit import said_of
from homevisit_eval.effects.regression_rows import RegressionRows, regression_rows
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching.matched_sample import Estimand, MatchedSample

__all__ = ["QUANTILES", "QuantileEffect", "QuantileEffects", "estimate_quantile_effects"]

QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9)
LUMPY = 0.05  # of a group have one and the same value
FEW_CLUSTERS = 10


@dataclass(frozen=True, slots=True, repr=False)
class QuantileEffect:
    """The difference between the two groups' quantiles, in units of the outcome.

    Attributes
    ----------
    quantile
        Between 0 and 1.
    visited, comparison
        The weighted quantiles.
    estimate, std_error, ci_low, ci_high
        Their difference, the bootstrap's standard deviation and percentile interval.
    """

    quantile: float
    visited: float
    comparison: float
    estimate: float
    std_error: float
    ci_low: float
    ci_high: float

    def __repr__(self) -> str:
        """Show the quantile and its effect."""
        return (
            f"QuantileEffect({self.quantile:g}: {self.estimate:+.4f} "
            f"[{self.ci_low:+.4f}, {self.ci_high:+.4f}])"
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class QuantileEffects:
    """Effects of visits on the distribution of an outcome, at some of its quantiles.

    Attributes
    ----------
    outcome, question, question_label, role, estimand
    quantiles
        In the order asked for.
    n_visited, n_comparison, matched_visited, matched_comparison
        Student-years with the outcome, and all matched.
    cluster, clusters
        What is redrawn, and how many there are.
    draws, seed
        Of the bootstrap.
    confidence_level
    notes : tuple of sentences
    synthetic
    """

    outcome: Outcome
    question: str
    question_label: str
    role: Role
    estimand: Estimand
    quantiles: tuple[QuantileEffect, ...]
    n_visited: int
    n_comparison: int
    matched_visited: int
    matched_comparison: int
    cluster: str
    clusters: int
    draws: int
    seed: int
    confidence_level: float
    notes: tuple[str, ...]
    synthetic: bool

    @property
    def tells_no_small_count(self) -> bool:
        """Whether the number of clusters may be printed: no small count follows."""
        return tells_no_small_count(
            self.cluster,
            [
                (self.n_visited, self.matched_visited),
                (self.n_comparison, self.matched_comparison),
            ],
        )

    def __repr__(self) -> str:
        """Show the effect at every quantile on a line, no counts."""
        label = "synthetic data, " if self.synthetic else ""
        lines = [f"QuantileEffects({label}{self.outcome.name}, {self.estimand})"]
        lines += [
            f"  quantile {one.quantile:g}: {one.estimate:+.4f} "
            f"[{one.ci_low:+.4f}, {one.ci_high:+.4f}]"
            for one in self.quantiles
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"


def estimate_quantile_effects(
    matched: MatchedSample,
    outcome: str,
    quantiles: Sequence[float] = QUANTILES,
    *,
    seed: int,
    draws: int = 999,
    model: OutcomeModel | None = None,
) -> QuantileEffects:
    """Estimate the effect on quantiles of an outcome's distribution, in units of the outcome.

    Parameters
    ----------
    matched
        Visited student-years and their comparisons.
    outcome
        One of the question's outcomes; not a binary one.
    quantiles
        Between 0 and 1.
    seed
        Of the draws.
    draws
        Of the cluster bootstrap, 99 or more.
    model
        Says what is redrawn (its cluster; of two the first); by default that of the question,
        else that of the design. It plays no other part: quantiles are not adjusted by regression.

    Raises
    ------
    DesignError
        If the question has no such outcome.
    EstimationError
        If the outcome is binary, does not vary, or as `quantile_differences`.

    Notes
    -----
    For the ATT this is the quantile treatment effect on the treated (Firpo 2007), with the
    matching weights in place of weights from a propensity score: the q-th quantile of the visited
    less that of the weighted comparison group. It is an effect on the distribution. It is the
    quantile of individual effects only if visits leave everybody's rank as it was.

    Draws redraw clusters and keep the matching weights: they do not repeat the matching, which
    for matching with a fixed number of matches a bootstrap cannot imitate (Abadie & Imbens 2008).

    References
    ----------
    Abadie, A., & Imbens, G. W. (2008). On the failure of the bootstrap for matching estimators.
    *Econometrica*, 76(6), 1537-1557.
    Firpo, S. (2007). Efficient semiparametric estimation of quantile treatment effects.
    *Econometrica*, 75(1), 259-276.
    """
    sample = matched.sample
    allowed("outcome", outcome, sample.question.outcomes)
    measured = sample.design.outcome(outcome)
    check_scale(measured)
    model = model or sample.question.model or sample.design.model
    given = model.cluster
    redrawn = DifferenceInMeans(
        cluster="student_id" if given == "none" else given, covariance="CR1S"
    )
    cluster = redrawn.cluster.partition("+")[0]
    rows = regression_rows(matched, outcome, redrawn)
    check_rows(rows, outcome, cluster)
    try:
        found = quantile_differences(
            rows.y,
            rows.visited,
            clusters=rows.clusters,
            seed=seed,
            quantiles=quantiles,
            weights=rows.weights,
            draws=draws,
            confidence_level=sample.design.confidence_level,
        )
    except EstimationError as error:
        raise EstimationError(said_of(outcome, error)) from None
    lumpy = found.quantiles[found.share_at_value > LUMPY]
    counts = group_counts(rows)
    return QuantileEffects(
        outcome=measured,
        question=sample.question.name,
        question_label=sample.question.label,
        role=sample.question.role,
        estimand=observed_estimand(matched, counts),
        quantiles=_each(found),
        n_visited=counts[0],
        n_comparison=counts[1],
        matched_visited=rows.matched_visited,
        matched_comparison=rows.matched_comparison,
        cluster=cluster,
        clusters=found.G,
        draws=found.draws_used,
        seed=seed,
        confidence_level=sample.design.confidence_level,
        notes=(*found.notes, *_quantile_notes(rows, lumpy.tolist())),
        synthetic=sample.synthetic,
    )


def _each(found: QuantileDifferences) -> tuple[QuantileEffect, ...]:
    return tuple(
        QuantileEffect(*map(float, numbers))
        for numbers in zip(
            found.quantiles, found.treated, found.comparison, found.estimates, found.std_errors,
            *found.intervals.T, strict=True,
        )
    )  # fmt: skip


def _quantile_notes(rows: RegressionRows, lumpy: Sequence[float]) -> list[str]:
    notes = [
        "Effects on quantiles of the distribution, not quantiles of individual effects; not "
        "adjusted by regression. Intervals redraw clusters and keep the matching."
    ]
    for words, code in (("visited", 1), ("comparison", 0)):
        count = len(np.unique(rows.clusters[rows.visited == code]))
        if count < FEW_CLUSTERS:
            notes.append(
                f"{words.capitalize()} student-years are in fewer than {FEW_CLUSTERS} clusters: "
                "a bootstrap of so few is unreliable."
            )
    if lumpy:
        notes.append(
            f"More than {100 * LUMPY:g} % of a group have exactly the value of the quantile at "
            f"{', '.join(f'{one:g}' for one in lumpy)}: there it moves in jumps, and its standard "
            "error and interval are rough."
        )
    return notes
