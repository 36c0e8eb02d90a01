"""How a design performed over replications: numbers with their Monte Carlo error, and verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from homevisit_eval.certificate.trial import Mode

__all__ = ["Answered", "Estimated", "Judgment", "Performance", "Spread", "Verdict"]

Answered = Literal["bias", "estimand drift", "coverage", "false positives"]
Judgment = Literal["pass", "conservative", "undecided", "fail", "statement"]


@dataclass(frozen=True, slots=True)
class Estimated:
    """A figure found by simulation, with its Monte Carlo error.

    Attributes
    ----------
    value
    std_error
        Monte Carlo standard error; NaN if there are too few replications to know it.
    ci_low, ci_high
        95 % Monte Carlo interval: Wilson's for shares, for the rest that of the t distribution
        with one degree of freedom less than there are independent districts.
    """

    value: float
    std_error: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True, slots=True)
class Spread:
    """How a figure differs between districts that were each replicated many times.

    Attributes
    ----------
    minimum, lower_quartile, median, upper_quartile, maximum
        Of the districts' own figures.
    sd
        Their standard deviation.
    sd_by_chance
        The standard deviation that the few replications in each district would give alone if
        all districts were alike.
    """

    minimum: float
    lower_quartile: float
    median: float
    upper_quartile: float
    maximum: float
    sd: float
    sd_by_chance: float


@dataclass(frozen=True, slots=True)
class Performance:
    """One design and outcome over the replications of one mode.

    Attributes
    ----------
    mode, study_question, design, outcome
        As in `Trial`.
    label, outcome_label
        For print.
    confidence_level
        Of the intervals whose coverage is counted.
    replications, failed, districts
        How many; `failed` of the replications gave no estimate, and enter no figure.
    null
        Whether the true effect is 0 in every replication.
    truth_all, truth_kept
        Means of (a) and (b); the mean of (a) is (c), the expected effect.
    truth_total, comparison_gain
        Means under spillover; NaN elsewhere.
    drift
        Mean of (b) - (a).
    bias
        Mean of estimate - (b), in units of the outcome.
    bias_sd_units, bias_of_std_error, bias_of_naive
        The bias as a multiple of the outcome's SD, of the mean standard error, and of the
        naive bias (NaN where the Monte Carlo interval of the naive bias holds 0).
    naive_bias
        Mean of the naive difference - (a).
    rmse
        Root mean square of estimate - (b).
    mean_std_error
        Root mean square of the standard errors.
    empirical_std_error, error_sd
        SD of the estimates, and of estimate - (b); within districts in mode fixed.
    se_ratio
        `mean_std_error` / `empirical_std_error`.
    coverage_all, coverage_kept, coverage_expected
        Shares of intervals that hold (a), (b), (c).
    rejection
        Share with p < .05.
    power
        Share with p < .05 and the sign of the true effect; NaN if `null`.
    power_published
        What the power would be if the effect were the published one and errors the same; NaN
        for outcomes without a published effect.
    share_matched
        Kept among the visited candidates: eligible, with a complete baseline.
    largest_smd_before, largest_smd
        Means of the trials' largest absolute standardized mean differences.
    bias_spread, coverage_spread
        Of the districts' bias and `coverage_kept` in mode fixed; None in mode redrawn.
    """

    mode: Mode
    study_question: str
    design: str
    label: str
    outcome: str
    outcome_label: str
    confidence_level: float
    replications: int
    failed: int
    districts: int
    null: bool
    truth_all: Estimated
    truth_kept: Estimated
    truth_total: Estimated
    comparison_gain: Estimated
    drift: Estimated
    bias: Estimated
    bias_sd_units: Estimated
    bias_of_std_error: Estimated
    bias_of_naive: Estimated
    naive_bias: Estimated
    rmse: Estimated
    mean_std_error: Estimated
    empirical_std_error: Estimated
    error_sd: Estimated
    se_ratio: Estimated
    coverage_all: Estimated
    coverage_kept: Estimated
    coverage_expected: Estimated
    rejection: Estimated
    power: Estimated
    power_published: Estimated
    share_matched: Estimated
    largest_smd_before: Estimated
    largest_smd: Estimated
    bias_spread: Spread | None
    coverage_spread: Spread | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer, by a stated rule, to one question about a design's performance.

    Attributes
    ----------
    mode, study_question, design, outcome
        As in `Performance`.
    question
        What is asked: bias, estimand drift, coverage, or false positives (if the truth is 0).
    verdict
        ``"conservative"`` is a pass whose intervals cover more than they promise;
        ``"statement"`` says what is the case and judges nothing.
    reason
        A sentence with the numbers.
    replications_needed
        How many would decide if the figures stayed as they are; None where it is decided, or
        no number would.
    """

    mode: Mode
    study_question: str
    design: str
    outcome: str
    question: Answered
    verdict: Judgment
    reason: str
    replications_needed: int | None = None
