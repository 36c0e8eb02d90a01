"""Trials -> performance: how each design did on each outcome over the replications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from homevisit_eval.certificate.monte_carlo import (
    UNKNOWN,
    estimated_mean,
    estimated_multiple,
    estimated_ratio,
    estimated_ratio_of_errors,
    estimated_root_mean_square,
    estimated_sd,
    estimated_share,
    ratio_of_independent,
)
from homevisit_eval.certificate.performance import Estimated, Performance, Spread
from homevisit_eval.certificate.trial import Trial

__all__ = ["PUBLISHED_EFFECTS", "SIGNIFICANCE", "power_curve", "summarize"]

SIGNIFICANCE = 0.05
SMALLEST_EFFECT = 1e-12  # a true effect below it is 0: what is left of adding and dividing

PUBLISHED_EFFECTS: Mapping[str, float] = {
    "any_incident": -0.0295,
    "attendance_rate": 0.0035,
    "any_serious_incident": -0.01,
    "math_score_std": 0.11,
    "reading_score_std": 0.03,
}
"""The replicated study's estimates, in units of the outcome (fractions, SDs)."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DERIVED = ("district", "share_matched")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Runs:
    """The trials of one mode, design and outcome as arrays of shape (n,); failed ones left out."""

    district: Integers
    estimate: Floats
    std_error: Floats
    df: Floats
    ci_low: Floats
    ci_high: Floats
    p_value: Floats
    truth_all: Floats
    truth_kept: Floats
    truth_total: Floats
    comparison_gain: Floats
    naive: Floats
    outcome_sd: Floats
    share_matched: Floats
    largest_smd_before: Floats
    largest_smd: Floats

    @property
    def error(self) -> Floats:
        """Estimate - (b)."""
        return self.estimate - self.truth_kept


def summarize(
    trials: Sequence[Trial],
    *,
    labels: Mapping[str, str] | None = None,
    confidence_level: float = 0.95,
) -> tuple[Performance, ...]:
    """Return the performance of every mode, question, design and outcome among the trials.

    Parameters
    ----------
    trials
        Of one certificate, in any number of replications and modes.
    labels
        For print, of designs and outcomes by name; names where not given.
    confidence_level
        Of the trials' intervals.

    Returns
    -------
    tuple of Performance
        In the order in which the trials first name them.

    Notes
    -----
    Formulas: see `monte_carlo`. A trial without an estimate enters no figure; it is counted.
    The mean standard error is the root of the mean square, as variances add up, so that its
    ratio to the empirical one is 1 if the standard errors are right.
    """
    together: dict[tuple[str, ...], list[Trial]] = {}
    for trial in trials:
        key = (trial.mode, trial.study_question, trial.design, trial.outcome)
        together.setdefault(key, []).append(trial)
    names = labels or {}
    return tuple(_performance(found, names, confidence_level) for found in together.values())


def power_curve(trials: Sequence[Trial], effects: Sequence[float]) -> tuple[Estimated, ...]:
    """Return the share of trials that would find each effect, if it were the true one.

    Parameters
    ----------
    trials
        Of one mode, design and outcome.
    effects
        True effects, not 0, in units of the outcome.

    Returns
    -------
    tuple of Estimated
        Shares with p < .05 and the sign of the effect.

    Notes
    -----
    Each trial keeps its error (estimate - (b)) and its standard error, and is given another true
    effect: exact where neither depends on the effect, close for effects of the size of the
    district's own.
    """
    runs = _arrays([trial for trial in trials if not trial.problem])
    return tuple(_found(runs, effect) for effect in effects)


def _found(runs: _Runs, effect: float) -> Estimated:
    critical = -stdtrit(runs.df, SIGNIFICANCE / 2)
    t = (runs.error + effect) / runs.std_error
    return estimated_share(np.sign(effect) * t > critical, runs.district)


def _arrays(trials: Sequence[Trial]) -> _Runs:
    def column(name: str) -> Floats:
        return np.array([getattr(trial, name) for trial in trials], dtype=np.float64)

    visited = np.maximum(column("visited"), 1)
    numbers = {name: column(name) for name in _Runs.__slots__ if name not in DERIVED}
    districts = {trial.district: k for k, trial in reversed(list(enumerate(trials)))}
    return _Runs(
        district=np.array([districts[trial.district] for trial in trials], dtype=np.int64),
        share_matched=column("kept") / visited,
        **numbers,
    )


def _performance(
    trials: Sequence[Trial], labels: Mapping[str, str], confidence_level: float
) -> Performance:
    first = trials[0]
    good = [trial for trial in trials if not trial.problem]
    runs = _arrays(good)
    fixed = first.mode == "fixed"
    return Performance(
        mode=first.mode,
        study_question=first.study_question,
        design=first.design,
        label=labels.get(first.design, first.design),
        outcome=first.outcome,
        outcome_label=labels.get(first.outcome, first.outcome),
        confidence_level=confidence_level,
        replications=len(trials),
        failed=len(trials) - len(good),
        districts=len({trial.district for trial in trials}),
        null=_is_null(runs),
        **_truths(runs),
        **_errors(runs, fixed),
        **_rates(runs, first.outcome, _expected(trials)),
        share_matched=_mean(runs.share_matched, runs),
        largest_smd_before=_mean(runs.largest_smd_before, runs),
        largest_smd=_mean(runs.largest_smd, runs),
        bias_spread=_spread(runs.error, runs) if fixed else None,
        coverage_spread=_spread(_covers(runs, runs.truth_kept), runs) if fixed else None,
    )


def _is_null(runs: _Runs) -> bool:
    effects = np.concatenate([runs.truth_all, runs.truth_kept])
    return bool(len(effects)) and bool((np.abs(effects) < SMALLEST_EFFECT).all())


def _expected(trials: Sequence[Trial]) -> float:
    """Return (c), the mean of (a) over all replications in which it is known."""
    known = [trial.truth_all for trial in trials if np.isfinite(trial.truth_all)]
    return float(np.mean(known)) if known else float("nan")


def _mean(values: Floats, runs: _Runs) -> Estimated:
    """Return the mean of the values, NaN if one is (a figure that this district has not)."""
    return UNKNOWN if np.isnan(values).any() else estimated_mean(values, runs.district)


def _truths(runs: _Runs) -> dict[str, Estimated]:
    return {
        "truth_all": _mean(runs.truth_all, runs),
        "truth_kept": _mean(runs.truth_kept, runs),
        "truth_total": _mean(runs.truth_total, runs),
        "comparison_gain": _mean(runs.comparison_gain, runs),
        "drift": _mean(runs.truth_kept - runs.truth_all, runs),
    }


def _errors(runs: _Runs, fixed: bool) -> dict[str, Estimated]:
    """Return bias, root mean square error and standard errors."""
    districts, naive = runs.district, runs.naive - runs.truth_all
    together = np.zeros(len(districts), dtype=np.int64)
    within = districts if fixed else together
    mean_error = estimated_root_mean_square(runs.std_error, districts)
    empirical = estimated_sd(runs.estimate, within)
    return {
        "bias": estimated_mean(runs.error, districts),
        "bias_sd_units": estimated_ratio(runs.error, runs.outcome_sd, districts),
        "bias_of_std_error": estimated_multiple(runs.error, runs.std_error, districts),
        "bias_of_naive": _multiple_of_naive(runs, naive),
        "naive_bias": estimated_mean(naive, districts),
        "rmse": estimated_root_mean_square(runs.error, districts),
        "mean_std_error": mean_error,
        "empirical_std_error": empirical,
        "error_sd": estimated_sd(runs.error, within),
        "se_ratio": (
            estimated_ratio_of_errors(runs.std_error, runs.estimate, districts)
            if fixed
            else ratio_of_independent(mean_error, empirical)
        ),
    }


def _multiple_of_naive(runs: _Runs, naive: Floats) -> Estimated:
    """Return the bias as a multiple of the naive bias, unknown where that may well be 0."""
    whole = estimated_mean(naive, runs.district)
    if whole.ci_low <= 0 <= whole.ci_high:
        return UNKNOWN
    return estimated_ratio(runs.error, naive, runs.district)


def _covers(runs: _Runs, truth: Floats | float) -> Floats:
    """Return 1.0 for each interval that holds the truth, else 0.0."""
    return ((runs.ci_low <= truth) & (truth <= runs.ci_high)).astype(np.float64)


def _rates(runs: _Runs, outcome: str, expected: float) -> dict[str, Estimated]:
    def share(holds: Floats) -> Estimated:
        return estimated_share(holds > 0, runs.district)

    rejects = runs.p_value < SIGNIFICANCE
    right = rejects & (np.sign(runs.estimate) == np.sign(runs.truth_kept))
    published = PUBLISHED_EFFECTS.get(outcome)
    return {
        "coverage_all": share(_covers(runs, runs.truth_all)),
        "coverage_kept": share(_covers(runs, runs.truth_kept)),
        "coverage_expected": share(_covers(runs, expected)),
        "rejection": estimated_share(rejects, runs.district),
        "power": UNKNOWN if _is_null(runs) else estimated_share(right, runs.district),
        "power_published": UNKNOWN if published is None else _found(runs, published),
    }


def _spread(values: Floats, runs: _Runs) -> Spread | None:
    """Return how the districts' means of values differ; None without a district."""
    if not len(values):
        return None
    _, codes = np.unique(runs.district, return_inverse=True)
    counts = np.bincount(codes)
    means = np.bincount(codes, weights=values) / counts
    free = len(values) - len(means)
    within = float(((values - means[codes]) ** 2).sum()) / free if free > 0 else float("nan")
    low, first, middle, third, high = np.quantile(means, [0, 0.25, 0.5, 0.75, 1])
    return Spread(
        minimum=float(low),
        lower_quartile=float(first),
        median=float(middle),
        upper_quartile=float(third),
        maximum=float(high),
        sd=float(means.std(ddof=1)) if len(means) > 1 else float("nan"),
        sd_by_chance=float(np.sqrt(within * (1 / counts).mean())),
    )
