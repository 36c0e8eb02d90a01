"""Performance -> verdicts, by rules that were stated before anything was simulated.

- *Bias*, against (b), the effect on the visited whom the design kept: pass if the upper end of
  the 95 % Monte Carlo interval of |bias| is at most 0.25 mean standard errors and at most 10 % of
  the naive bias (the second only where the naive bias exceeds one standard error).
- *Estimand drift*: a statement of (b) - (a) and the share kept. A design that drops visited
  students never claims (a), the effect on all of them.
- *Coverage* of 95 % intervals: with schools redrawn, of (c), the expected effect: pass if the
  Monte Carlo interval lies within .925 to .975. With the district fixed, of (b): pass from .925
  on, and "conservative" if the share is above .975.
- *False positives*, where the true effect is 0 everywhere: the share with p < .05, pass within
  .025 to .075; with the district fixed up to .075, and "conservative" below .025.

A verdict is *fail* if the Monte Carlo interval lies wholly outside its bounds, else *undecided*,
with the number of replications that would decide. A design that gave no estimate in more than 5 %
of the replications passes nothing: it is undecided how it does in the others. And fewer than 20
replications decide nothing: of two intervals one misses the truth by chance in 10 of 100 runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from homevisit_eval.certificate.monte_carlo import wilson_interval
from homevisit_eval.certificate.performance import (
    Answered,
    Estimated,
    Judgment,
    Performance,
    Verdict,
)

__all__ = [
    "FEWEST_REPLICATIONS",
    "LARGEST_BIAS_OF_NAIVE",
    "LARGEST_BIAS_OF_STD_ERROR",
    "LARGEST_SHARE_FAILED",
    "NOMINAL_COVERAGE",
    "NOMINAL_REJECTION",
    "judge",
]

LARGEST_BIAS_OF_STD_ERROR = 0.25
LARGEST_BIAS_OF_NAIVE = 0.10
NOMINAL_COVERAGE = (0.925, 0.975)
NOMINAL_REJECTION = (0.025, 0.075)
LARGEST_SHARE_FAILED = 0.05
FEWEST_REPLICATIONS = 20

MOST_REPLICATIONS = 10_000_000
Z = 1.959964


def judge(performance: Iterable[Performance]) -> tuple[Verdict, ...]:
    """Return the verdicts on every performance, in its order.

    Returns
    -------
    tuple of Verdict
        For each performance: bias, estimand drift, coverage, and where the true effect is 0
        false positives.

    Notes
    -----
    The rules stand at the top of this module. `replications_needed` is the smallest number at
    which the interval, of the same center and spread, would lie wholly inside or outside the
    bounds; None where the center lies on a bound. In mode fixed it supposes that districts and
    replications of each grow together.
    """
    return tuple(verdict for one in performance for verdict in _verdicts(one))


def _verdicts(one: Performance) -> list[Verdict]:
    verdicts = [_bias(one), _drift(one), _coverage(one)]
    if one.null:
        verdicts.append(_false_positives(one))
    return [_despite_failures(one, _if_enough(one, verdict)) for verdict in verdicts]


def _bias(one: Performance) -> Verdict:
    bias, unit = one.bias, one.mean_std_error.value
    bound = LARGEST_BIAS_OF_STD_ERROR * unit
    naive = abs(one.naive_bias.value)
    if naive > unit:
        bound = min(bound, LARGEST_BIAS_OF_NAIVE * naive)
    low, high = _absolute(bias)
    if not (math.isfinite(low) and math.isfinite(high) and bound > 0):
        return _verdict(one, "bias", "undecided", _unknown(one))
    reason = (
        f"Bias is {bias.value / unit:+.2f} mean standard errors (95 % Monte Carlo interval "
        f"{bias.ci_low / unit:+.2f} to {bias.ci_high / unit:+.2f}; allowed "
        f"{LARGEST_BIAS_OF_STD_ERROR:g})"
    )
    if naive > unit:
        reason += (
            f", and {100 * bias.value / one.naive_bias.value:+.1f} % of the naive bias (largest "
            f"in the interval {100 * high / naive:.1f} %; allowed "
            f"{100 * LARGEST_BIAS_OF_NAIVE:g} %)"
        )
    if high <= bound:
        return _verdict(one, "bias", "pass", f"{reason}.")
    if low > bound:
        return _verdict(one, "bias", "fail", f"{reason}.")
    return _verdict(one, "bias", "undecided", f"{reason}.", _needed_for_mean(one, bias, bound))


def _drift(one: Performance) -> Verdict:
    share, drift, unit = one.share_matched.value, one.drift, one.mean_std_error.value
    if math.isnan(drift.value):
        return _verdict(one, "estimand drift", "statement", _unknown(one))
    if drift.value == 0 and share == 1:
        reason = "Every visited student is kept: the effect on the kept is that on all of them."
    else:
        apart = f"{drift.value / unit:+.2f} mean standard errors" if unit > 0 else "some way"
        reason = (
            f"{100 * share:.1f} % of visited candidates are kept. The effect on them lies "
            f"{apart} from the effect on all, which this design does not claim."
        )
    return _verdict(one, "estimand drift", "statement", reason)


def _coverage(one: Performance) -> Verdict:
    redrawn = one.mode == "redrawn"
    share = one.coverage_expected if redrawn else one.coverage_kept
    low, high = NOMINAL_COVERAGE
    whose = "the expected effect" if redrawn else "the effect on the kept"
    words = f"95 % intervals hold {whose} in"
    if not math.isclose(one.confidence_level, 0.95):
        reason = (
            f"The rule is for 95 % intervals; the design's are {100 * one.confidence_level:g} %."
        )
        return _verdict(one, "coverage", "undecided", reason)
    bounds = (low, high) if redrawn else (low, 1.0)
    return _share_verdict(one, "coverage", share, bounds, words, conservative_above=high)


def _false_positives(one: Performance) -> Verdict:
    low, high = NOMINAL_REJECTION
    bounds = (low, high) if one.mode == "redrawn" else (0.0, high)
    words = "An effect is found (p < .05), where there is none, in"
    return _share_verdict(
        one, "false positives", one.rejection, bounds, words, conservative_below=low
    )


def _share_verdict(
    one: Performance,
    question: Answered,
    share: Estimated,
    bounds: tuple[float, float],
    words: str,
    *,
    conservative_above: float = 1.0,
    conservative_below: float = 0.0,
) -> Verdict:
    if math.isnan(share.ci_low):
        return _verdict(one, question, "undecided", _unknown(one))
    low, high = bounds
    reason = (
        f"{words} {100 * share.value:.1f} % of replications (95 % Monte Carlo interval "
        f"{100 * share.ci_low:.1f} to {100 * share.ci_high:.1f}; allowed {100 * low:g} to "
        f"{100 * high:g})."
    )
    if low <= share.ci_low and share.ci_high <= high:
        cautious = share.value > conservative_above or share.value < conservative_below
        return _verdict(one, question, "conservative" if cautious else "pass", reason)
    if share.ci_high < low or share.ci_low > high:
        return _verdict(one, question, "fail", reason)
    return _verdict(one, question, "undecided", reason, _needed_for_share(one, share, bounds))


def _absolute(estimated: Estimated) -> tuple[float, float]:
    """Return the ends of the interval of the absolute value."""
    ends = abs(estimated.ci_low), abs(estimated.ci_high)
    inside = estimated.ci_low <= 0 <= estimated.ci_high
    return 0.0 if inside else min(ends), max(ends)


def _needed_for_mean(one: Performance, bias: Estimated, bound: float) -> int | None:
    """Return at how many replications 1.96 standard errors reach from |bias| to the bound."""
    distance = abs(abs(bias.value) - bound)
    if distance == 0:
        return None
    used = one.replications - one.failed
    needed = used * (Z * bias.std_error / distance) ** 2
    if not needed < MOST_REPLICATIONS:
        return None
    if abs(bias.value) > bound:
        needed = math.floor(needed) + 1  # wholly outside: the bound itself is inside
    return max(_whole(used + 1, one), _whole(needed, one))


def _needed_for_share(
    one: Performance, share: Estimated, bounds: tuple[float, float]
) -> int | None:
    """Return at how many replications Wilson's interval of that share would be decided."""
    low, high = bounds
    binomial = share.value * (1 - share.value)
    used = one.replications - one.failed
    districts = one.districts if one.mode == "fixed" else 0
    alike = max(1.0, used * share.std_error**2 / binomial) if binomial > 0 else 1.0

    def decided(n: int) -> bool:
        first, last = wilson_interval(share.value, n / alike, districts)
        return (low <= first and last <= high) or last < low or first > high

    if not decided(MOST_REPLICATIONS):
        return None
    below, above = used, MOST_REPLICATIONS
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (below, middle) if decided(middle) else (middle, above)
    return _whole(above, one)


def _whole(replications: float, one: Performance) -> int:
    """Round up, in mode fixed to a multiple of the number of districts."""
    step = one.districts if one.mode == "fixed" else 1
    return math.ceil(replications / step) * step


def _if_enough(one: Performance, verdict: Verdict) -> Verdict:
    """Return the verdict, undecided where so few replications gave an estimate."""
    few = one.replications - one.failed < FEWEST_REPLICATIONS
    if not few or verdict.verdict == "statement":
        return verdict
    if verdict.verdict == "undecided":
        needed = verdict.replications_needed
        at_least = None if needed is None else max(needed, _whole(FEWEST_REPLICATIONS, one))
        return _verdict(one, verdict.question, "undecided", verdict.reason, at_least)
    reason = f"{verdict.reason} Fewer than {FEWEST_REPLICATIONS} replications decide nothing."
    return _verdict(one, verdict.question, "undecided", reason, _whole(FEWEST_REPLICATIONS, one))


def _despite_failures(one: Performance, verdict: Verdict) -> Verdict:
    """Say how many replications gave no estimate; a pass needs nearly all of them."""
    if not one.failed:
        return verdict
    reason = f"{verdict.reason} {one.failed} of {one.replications} replications gave no estimate."
    passed = verdict.verdict in ("pass", "conservative")
    many = one.failed > LARGEST_SHARE_FAILED * one.replications
    judgment: Judgment = "undecided" if passed and many else verdict.verdict
    return _verdict(one, verdict.question, judgment, reason, verdict.replications_needed)


def _unknown(one: Performance) -> str:
    if one.failed == one.replications:
        return "No replication gave an estimate."
    return f"{one.replications - one.failed} replications in {one.districts} districts: too few."


def _verdict(
    one: Performance,
    question: Answered,
    verdict: Judgment,
    reason: str,
    replications_needed: int | None = None,
) -> Verdict:
    return Verdict(
        mode=one.mode,
        study_question=one.study_question,
        design=one.design,
        outcome=one.outcome,
        question=question,
        verdict=verdict,
        reason=reason,
        replications_needed=replications_needed,
    )
