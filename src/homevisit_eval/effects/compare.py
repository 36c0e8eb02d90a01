"""The difference of two effects, from samples that may share students."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from homevisit_eval.design import DifferenceInMeans, FixedEffects, OutcomeModel
from homevisit_eval.design.checks import allowed
from homevisit_eval.effects.effect import Effect, observed_of_matched, tells_no_small_count
from homevisit_eval.effects.estimate import estimate_effect
from homevisit_eval.effects.fit_model import fit_model
from homevisit_eval.effects.regression.least_squares import CovarianceType, fit_outcome
from homevisit_eval.effects.regression.prepared_design import prepare_design
from homevisit_eval.effects.regression_rows import RegressionRows, regression_rows
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching.matched_sample import MatchedSample

__all__ = ["EffectDifference", "compare_effects"]

DIFFERENCE = "difference"
FEW_CLUSTERS = 10
SAME_EFFECT = 1e-6  # of the larger standard error: below it only rounding is left


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class EffectDifference:
    """How far one effect is from another, in units of the outcome.

    Attributes
    ----------
    first, second
        The two effects, each as it stands alone.
    estimate
        The first less the second.
    std_error, df, df_convention, covariance
        Of the difference: students and clusters in both samples are taken into account.
    cluster, clusters
        The level at which errors may be dependent, and how many clusters there are in either
        sample.
    clusters_shared, students_shared
        Clusters and students in both.
    confidence_level, ci_low, ci_high, p_value
    notes : tuple of sentences
    """

    first: Effect
    second: Effect
    estimate: float
    std_error: float
    df: float
    df_convention: str
    covariance: str
    cluster: str
    clusters: int
    clusters_shared: int
    students_shared: int
    confidence_level: float
    ci_low: float
    ci_high: float
    p_value: float
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Show the difference with its interval, and what it is between."""
        label = "synthetic data, " if self.first.synthetic else ""
        counts = (*observed_of_matched(self.first), *observed_of_matched(self.second))
        told = tells_no_small_count(self.cluster, counts)
        how = f", G = {self.clusters}, df = {self.df:.1f} ({self.df_convention})" if told else ""
        return (
            f"EffectDifference({label}{self.first.outcome.name}: {self.first.estimate:+.4f} less "
            f"{self.second.estimate:+.4f} = {self.estimate:+.4f} "
            f"[{self.ci_low:+.4f}, {self.ci_high:+.4f}], p = {self.p_value:.3f};\n"
            f"  {self.covariance} by {self.cluster}{how})"
        )

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"


def compare_effects(
    first: MatchedSample, second: MatchedSample, outcome: str, model: OutcomeModel | None = None
) -> EffectDifference:
    """Return the difference of the effects in two matched samples, first less second.

    Parameters
    ----------
    first, second
        Of two questions, windows, subgroups or methods. A student may be in both.
    outcome
        An outcome of both questions.
    model
        For both; by default that of the first question, else that of its design. Its clusters
        must mean the same in both samples: ``"school_id"`` or ``"student_id"``.

    Returns
    -------
    EffectDifference

    Raises
    ------
    DesignError
        If a question has no such outcome.
    EstimationError
        As `estimate_effect`; if the clusters are matched sets, the model has no influence
        function, or the two effects are the same.

    Notes
    -----
    With a linear model both regressions are fitted as one, stacked, whose coefficient of
    "visited, in the first sample" is the difference; its covariance (CR2 by default, with
    Satterthwaite degrees of freedom) is that of the model, over the clusters of both. With other
    models the influence functions of the two estimates are summed by cluster, subtracted and
    squared, times G / (G - 1), with G - 1 degrees of freedom. Either way what the two samples
    share is counted.

    References
    ----------
    Weesie, J. (1999). Seemingly unrelated estimation and the cluster-adjusted sandwich
    estimator. *Stata Technical Bulletin*, 52, 34-47.
    """
    for matched in (first, second):
        allowed("outcome", outcome, matched.sample.question.outcomes)
    model = model or first.sample.question.model or first.sample.design.model
    if model.cluster not in ("school_id", "student_id"):
        raise EstimationError(
            f"{outcome}: effects are compared over clusters that both samples have; "
            f"{model.cluster!r} means other groups in each. Choose cluster school_id or student_id."
        )
    effects = [estimate_effect(matched, outcome, model) for matched in (first, second)]
    sides = _sides(first, second, outcome, model)
    G = int(max(side.clusters.max() for side in sides)) + 1
    same_form = len(sides[0].rows.absorb) == len(sides[1].rows.absorb)
    if isinstance(model, FixedEffects | DifferenceInMeans) and same_form:
        found = _stacked(sides, outcome, model.covariance)
    else:
        found = _by_influence(sides, outcome, model, G)
    estimate, std_error, df, convention, covariance, notes = found
    if not std_error > SAME_EFFECT * max(effect.std_error for effect in effects):
        raise EstimationError(
            f"{outcome}: the two effects rest on the same student-years in the same way, so their "
            "difference has no standard error. Compare different samples."
        )
    level = first.sample.design.confidence_level
    half = float(stdtrit(df, (1 + level) / 2)) * std_error
    if G < FEW_CLUSTERS:
        notes = (*notes, f"Only {G} clusters ({model.cluster}): the test rests on few groups.")
    return EffectDifference(
        first=effects[0],
        second=effects[1],
        estimate=estimate,
        std_error=std_error,
        df=df,
        df_convention=convention,
        covariance=covariance,
        cluster=model.cluster,
        clusters=G,
        clusters_shared=len(set(sides[0].clusters) & set(sides[1].clusters)),
        students_shared=len(sides[0].students & sides[1].students),
        confidence_level=level,
        ci_low=estimate - half,
        ci_high=estimate + half,
        p_value=float(2 * stdtr(df, -abs(estimate / std_error))),
        notes=notes,
    )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Side:
    """One of the two samples; clusters (n,) are numbered as in the other."""

    matched: MatchedSample
    rows: RegressionRows
    clusters: NDArray[np.intp]
    students: frozenset[object]


def _sides(
    first: MatchedSample, second: MatchedSample, outcome: str, model: OutcomeModel
) -> tuple[_Side, _Side]:
    column = "unit_id" if model.cluster == "student_id" else model.cluster
    both = (first, second)
    rows = [regression_rows(matched, outcome, model) for matched in both]
    taken = [
        matched.sample.baseline.iloc[part.places] for matched, part in zip(both, rows, strict=True)
    ]
    codes = pd.factorize(pd.concat([part[column].astype(object) for part in taken]))[0]
    at = len(taken[0])
    one, two = (
        _Side(matched, part, numbers, frozenset(frame["unit_id"]))
        for matched, part, numbers, frame in zip(
            both, rows, (codes[:at], codes[at:]), taken, strict=True
        )
    )
    return one, two


Found = tuple[float, float, float, str, str, tuple[str, ...]]


def _stacked(sides: tuple[_Side, _Side], outcome: str, covariance: CovarianceType) -> Found:
    """Fit both regressions as one; the coefficient of the first sample's visits is the answer."""
    one, two = (side.rows for side in sides)
    n = len(one.y), len(two.y)
    X = np.zeros((sum(n), len(one.names) + len(two.names) + 2))
    X[: n[0], : len(one.names)] = one.X
    X[n[0] :, len(one.names) : -2] = two.X
    X[:, -2] = np.concatenate([one.visited, two.visited])
    X[: n[0], -1] = one.visited
    absorb = [
        np.concatenate([left, right + left.max() + 1])
        for left, right in zip(one.absorb, two.absorb, strict=True)
    ]
    names = [f"first: {name}" for name in one.names] + [f"second: {name}" for name in two.names]
    try:
        prepared = prepare_design(
            X,
            weights=np.concatenate([part.weights / part.weights.mean() for part in (one, two)]),
            absorb=absorb,
            clusters=np.concatenate([side.clusters for side in sides]),
            names=[*names, "visited", DIFFERENCE],
        )
        fit = fit_outcome(
            prepared,
            np.concatenate([one.y, two.y]),
            covariance=covariance,
            df_for=[DIFFERENCE],
        )
    except EstimationError as error:
        raise EstimationError(f"{outcome}, both samples together: {error}") from None
    at = fit.names.index(DIFFERENCE)
    return (
        float(fit.coefficients[at]),
        float(fit.std_errors[at]),
        float(fit.df[at]),
        fit.df_convention,
        f"{fit.covariance_type}, stacked",
        (),
    )


def _by_influence(sides: tuple[_Side, _Side], outcome: str, model: OutcomeModel, G: int) -> Found:
    """Subtract the influence functions of the two estimates, summed by cluster."""
    sums, estimate = np.zeros(G), 0.0
    for sign, side in zip((1, -1), sides, strict=True):
        measured = side.matched.sample.design.outcome(outcome)
        fit = fit_model(side.matched, side.rows, measured, model)
        if fit.influence is None:
            raise EstimationError(
                f"{outcome}: model {model.model!r} has no influence function, so two of its "
                "effects cannot be compared. Choose another model."
            )
        sums += sign * np.bincount(side.clusters, fit.influence, G)
        estimate += sign * fit.estimate
    error = math.sqrt(G / (G - 1) * float(sums @ sums))
    return estimate, error, G - 1.0, "G - 1", "influence functions, stacked", ()
