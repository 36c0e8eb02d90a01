"""Matched samples -> effects on the distribution of an outcome: shares of students by band."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.design import DifferenceInMeans, FixedEffects, Outcome, OutcomeModel
from homevisit_eval.design.checks import allowed
from homevisit_eval.design.questions import Role
from homevisit_eval.effects.distributional.bands import BandFits, band_codes, fit_bands
from homevisit_eval.effects.effect import tells_no_small_count
from homevisit_eval.effects.estimate import check_rows, notes_on_df, observed_estimand
from homevisit_eval.effects.model_fit import prepare_rows, said_of
from homevisit_eval.effects.regression_rows import TREATMENT, RegressionRows, regression_rows
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching.matched_sample import Estimand, MatchedSample

__all__ = [
    "CUT_POINTS",
    "BandEffect",
    "BandEffects",
    "check_scale",
    "estimate_bands",
    "group_counts",
]

CUT_POINTS: Mapping[str, tuple[float, ...]] = {
    "attendance_rate": (0.80, 0.90, 0.95, 0.98),
    "on_time_attendance_rate": (0.80, 0.90, 0.95, 0.98),
    "days_absent": (5.0, 10.0, 18.0, 36.0),
    "days_excused": (5.0, 10.0, 18.0),
    "days_unexcused": (1.0, 5.0, 10.0),
    "days_tardy": (1.0, 5.0, 10.0, 20.0),
    "incidents": (1.0, 2.0, 4.0),
    "days_suspended": (0.5, 3.0, 6.0),
}
"""Where outcomes are cut by default, in their own units. Ours, but .90 and .80 of attendance, the
usual limits of chronic and severe chronic absence."""


@dataclass(frozen=True, slots=True, repr=False)
class BandEffect:
    """The effect on the share of students in one band of an outcome, as a fraction.

    Attributes
    ----------
    low, high
        Values from `low` on and below `high`; infinite at the ends.
    share_visited, share_comparison
        Weighted shares of each group, unadjusted.
    estimate, std_error, df, ci_low, ci_high, p_value
        Adjusted difference of the shares, by a linear probability model; NaN but for the
        estimate, 0, if nobody or everybody is in the band.
    n_visited, n_comparison
        Student-years in the band.
    """

    low: float
    high: float
    share_visited: float
    share_comparison: float
    estimate: float
    std_error: float
    df: float
    ci_low: float
    ci_high: float
    p_value: float
    n_visited: int
    n_comparison: int

    def __repr__(self) -> str:
        """Show the band and its effect, no counts."""
        return (
            f"BandEffect({self.low:g} to below {self.high:g}: {self.estimate:+.4f} "
            f"[{self.ci_low:+.4f}, {self.ci_high:+.4f}])"
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BandEffects:
    """Effects on the shares of students in all bands of one outcome; they add up to 0.

    Attributes
    ----------
    outcome, question, question_label, role, estimand, model
    bands
        From the lowest to the highest.
    n_visited, n_comparison
        Student-years with the outcome.
    matched_visited, matched_comparison
        All matched student-years.
    covariance, df_convention, cluster, clusters, confidence_level
    notes : tuple of sentences
    synthetic
    """

    outcome: Outcome
    question: str
    question_label: str
    role: Role
    estimand: Estimand
    model: OutcomeModel
    bands: tuple[BandEffect, ...]
    n_visited: int
    n_comparison: int
    matched_visited: int
    matched_comparison: int
    covariance: str
    df_convention: str
    cluster: str
    clusters: int
    confidence_level: float
    notes: tuple[str, ...]
    synthetic: bool

    @property
    def tells_no_small_count(self) -> bool:
        """Whether clusters and degrees of freedom may be printed: no small count follows."""
        return tells_no_small_count(
            self.cluster,
            [
                (self.n_visited, self.matched_visited),
                (self.n_comparison, self.matched_comparison),
                *((one.n_visited, self.n_visited) for one in self.bands),
                *((one.n_comparison, self.n_comparison) for one in self.bands),
            ],
        )

    def __repr__(self) -> str:
        """Show the effect on every band on a line, no counts."""
        label = "synthetic data, " if self.synthetic else ""
        lines = [f"BandEffects({label}{self.outcome.name}, {self.estimand})"]
        lines += [
            f"  {one.low:g} to below {one.high:g}: {one.estimate:+.4f} "
            f"[{one.ci_low:+.4f}, {one.ci_high:+.4f}], p = {one.p_value:.3f}"
            for one in self.bands
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"


def estimate_bands(
    matched: MatchedSample,
    outcome: str,
    cut_points: Sequence[float] = (),
    model: OutcomeModel | None = None,
) -> BandEffects:
    """Estimate the effect on the share of students in each band of an outcome, as fractions.

    Parameters
    ----------
    matched
        Visited student-years and their comparisons.
    outcome
        One of the question's outcomes; not a binary one.
    cut_points
        Increasing, in units of the outcome; a value on one belongs to the band above it. If
        none are given, those of `CUT_POINTS`.
    model
        `FixedEffects` or `DifferenceInMeans`, with one clustering; by default that of the
        question, else that of the design.

    Returns
    -------
    BandEffects
        One more band than cut points.

    Raises
    ------
    DesignError
        If the question has no such outcome.
    EstimationError
        If the outcome is binary, has no default cut points and none are given, the model is
        not linear, all are in one band, or as `estimate_effect`.

    Notes
    -----
    Each band has its own weighted linear probability model with the covariates and cells of the
    design. The effects add up to 0: what one band loses others gain; who moved where is not known.
    p values are not adjusted for the number of bands.

    References
    ----------
    Chernozhukov, V., Fernandez-Val, I., & Melly, B. (2013). Inference on counterfactual
    distributions. *Econometrica*, 81(6), 2205-2268.
    """
    sample = matched.sample
    allowed("outcome", outcome, sample.question.outcomes)
    measured = sample.design.outcome(outcome)
    check_scale(measured)
    cuts = tuple(cut_points) or CUT_POINTS.get(outcome, ())
    if not cuts:
        raise EstimationError(
            f"{outcome}: there are no usual cut points for it; give cut_points in its unit."
        )
    model = model or sample.question.model or sample.design.model
    if not isinstance(model, FixedEffects | DifferenceInMeans) or "+" in model.cluster:
        raise EstimationError(
            f"{outcome}: shares by band are estimated by a linear model with one clustering. "
            "Give model=FixedEffects()."
        )
    rows = regression_rows(matched, outcome, model)
    check_rows(rows, outcome, model.cluster)
    try:
        codes = band_codes(rows.y, cuts)
        fits = fit_bands(
            prepare_rows(rows, outcome),
            codes,
            m=len(cuts) + 1,
            column=TREATMENT,
            covariance=model.covariance,
            confidence_level=sample.design.confidence_level,
        )
    except EstimationError as error:
        raise EstimationError(said_of(outcome, error)) from None
    counts = group_counts(rows)
    return BandEffects(
        outcome=measured,
        question=sample.question.name,
        question_label=sample.question.label,
        role=sample.question.role,
        estimand=observed_estimand(matched, counts),
        model=model,
        bands=_bands(rows, codes, cuts, fits),
        n_visited=counts[0],
        n_comparison=counts[1],
        matched_visited=rows.matched_visited,
        matched_comparison=rows.matched_comparison,
        covariance=fits.covariance_type,
        df_convention=fits.df_convention,
        cluster=model.cluster,
        clusters=fits.G,
        confidence_level=sample.design.confidence_level,
        notes=(*fits.notes, *notes_on_df(float(np.nanmin(fits.df)))),
        synthetic=sample.synthetic,
    )


def check_scale(outcome: Outcome) -> None:
    """Refuse a binary outcome, which has no distribution beside its mean.

    Raises
    ------
    EstimationError
        If the outcome is binary.
    """
    if outcome.scale == "binary":
        raise EstimationError(
            f"{outcome.name}: it has two values only, so that its mean says all of its "
            "distribution. Use estimate_effect."
        )


def group_counts(rows: RegressionRows) -> list[int]:
    """Return the student-years of the visited and of the comparison group."""
    return [int((rows.visited == group).sum()) for group in (1, 0)]


def _bands(
    rows: RegressionRows, codes: NDArray[np.intp], cuts: Sequence[float], fits: BandFits
) -> tuple[BandEffect, ...]:
    edges = (-math.inf, *map(float, cuts), math.inf)
    visited, comparison = (rows.visited == group for group in (1, 0))
    found = []
    for band, (low, high) in enumerate(pairwise(edges)):
        inside = codes == band
        found.append(
            BandEffect(
                low=low,
                high=high,
                share_visited=_share(rows.weights, inside, visited),
                share_comparison=_share(rows.weights, inside, comparison),
                estimate=float(fits.estimates[band]),
                std_error=float(fits.std_errors[band]),
                df=float(fits.df[band]),
                ci_low=float(fits.intervals[band, 0]),
                ci_high=float(fits.intervals[band, 1]),
                p_value=float(fits.p_values[band]),
                n_visited=int((visited & inside).sum()),
                n_comparison=int((comparison & inside).sum()),
            )
        )
    return tuple(found)


def _share(
    weights: NDArray[np.float64], inside: NDArray[np.bool_], group: NDArray[np.bool_]
) -> float:
    return float(weights[group & inside].sum() / weights[group].sum())
