"""What is known of an outcome in a matched sample before anything is estimated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.balance import assess_balance
from homevisit_eval.errors import DesignError
from homevisit_eval.matching import MatchedSample
from homevisit_eval.sample import AnalyticSample
from homevisit_eval.truth import true_effect, true_effect_of_rows

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "NONE",
    "Known",
    "known_of_matched",
    "known_of_part",
    "known_of_sample",
    "largest_differences",
    "mean_of_known",
    "naive_difference",
    "pooled_sd",
]

NONE = math.nan


@dataclass(frozen=True, slots=True)
class Known:
    """Fields of a `Trial` that no estimate enters; NaN and 0 where there is none."""

    truth_all: float = NONE
    truth_kept: float = NONE
    truth_total: float = NONE
    comparison_gain: float = NONE
    naive: float = NONE
    outcome_sd: float = NONE
    visited: int = 0
    kept: int = 0
    largest_smd_before: float = NONE
    largest_smd: float = NONE


def known_of_sample(truth: pd.DataFrame, sample: AnalyticSample, outcome: str) -> Known:
    """Return the true effect on all visited with the outcome, and the naive difference.

    Parameters
    ----------
    truth
        From `question_truth`.
    sample, outcome
        Of that question.

    Raises
    ------
    DesignError
        If no synthetic district knows the true effect on this outcome.
    """
    if f"{outcome}_m1" not in truth.columns:
        raise DesignError(
            f"question {sample.question.name!r}: the truth of the outcome {outcome} is not known "
            "in synthetic districts; certify the design without it."
        )
    groups = _groups(sample, outcome)
    if not (len(groups[0]) and len(groups[1])):
        return Known(visited=len(groups[0]))
    return Known(
        truth_all=true_effect(truth, outcome, sample),
        naive=naive_difference(sample, outcome),
        outcome_sd=pooled_sd(*groups),
        visited=len(groups[0]),
    )


def naive_difference(sample: AnalyticSample, outcome: str) -> float:
    """Return the mean of the visited minus that of the others, NaN if nobody has the outcome."""
    first, second = _groups(sample, outcome)
    return float(first.mean() - second.mean()) if len(first) and len(second) else NONE


def _groups(
    sample: AnalyticSample, outcome: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the observed values of the visited and of the others."""
    values = sample.outcomes[outcome].to_numpy(dtype=np.float64)
    visited, seen = sample.baseline["visited"].to_numpy() == 1, np.isfinite(values)
    return values[seen & visited], values[seen & ~visited]


def known_of_matched(
    truth: pd.DataFrame,
    matched: MatchedSample,
    outcome: str,
    known: Known,
    differences: tuple[float, float],
) -> Known:
    """Add the true effects on those kept to what is known of the sample.

    Parameters
    ----------
    truth, matched, outcome
        As for `true_effect`.
    known
        From `known_of_sample`.
    differences
        From `largest_differences`.
    """
    baseline, weights = matched.sample.baseline, matched.matches.weights.to_numpy(dtype=np.float64)
    seen = matched.sample.outcomes[outcome].notna().to_numpy(dtype=bool)
    visited = baseline["visited"].to_numpy() == 1
    kept = seen & (weights > 0)
    if not (kept & visited).any():
        return known
    others = kept & ~visited
    total, gain = _without_program(truth, matched, outcome, others, weights)
    before, after = differences
    return replace(
        known,
        truth_kept=true_effect(truth, outcome, matched),
        truth_total=total,
        comparison_gain=gain,
        kept=int((kept & visited).sum()),
        largest_smd_before=before,
        largest_smd=after,
    )


def known_of_part(
    truth: pd.DataFrame, matched: MatchedSample, outcome: str, part: NDArray[np.bool_]
) -> Known:
    """Return what is known of an outcome in a part of a matched sample; no balance is known.

    Parameters
    ----------
    truth, matched, outcome
        As for `true_effect`.
    part
        Shape (n,), which of the sample's rows, for example one subgroup.

    Raises
    ------
    DesignError
        As `known_of_sample`.
    """
    sample, weights = matched.sample, matched.matches.weights
    rows = replace(sample, baseline=sample.baseline[part], outcomes=sample.outcomes[part])
    known = known_of_sample(truth, rows, outcome)
    kept = MatchedSample(rows, replace(matched.matches, weights=weights[part]))
    return known_of_matched(truth, kept, outcome, known, (NONE, NONE))


def mean_of_known(over: Sequence[Known]) -> Known:
    """Return what is known on average over the samples that an estimate is pooled from."""
    if len(over) == 1:
        return over[0]
    first, every = asdict(over[0]), [asdict(one) for one in over]
    changed = dict[str, float]()
    for name, value in first.items():
        if any(one[name] != value for one in every):  # what all share is not rounded
            mean = float(np.mean([one[name] for one in every]))
            changed[name] = round(mean) if isinstance(value, int) else mean
    return Known(**{**first, **changed})


def largest_differences(matched: MatchedSample) -> tuple[float, float]:
    """Return the largest absolute standardized difference of a covariate, before and after."""
    table = assess_balance(matched).covariates
    sizes = (table[name].abs() for name in ("smd_before", "smd_after"))
    before, after = (float(size[np.isfinite(size)].max()) for size in sizes)
    return before, after


def _without_program(
    truth: pd.DataFrame,
    matched: MatchedSample,
    outcome: str,
    others: NDArray[np.bool_],
    weights: NDArray[np.float64],
) -> tuple[float, float]:
    """Return effects against no program at all: total of the visited, gain of the others.

    Both NaN where visits change nobody else's outcomes, so that the truth does not tell them.
    """
    none = f"{outcome}_mn"
    if none not in truth.columns:
        return NONE, NONE
    total = truth.assign(**{f"{outcome}_m0": truth[none]})
    gain = truth.assign(**{f"{outcome}_m1": truth[f"{outcome}_m0"], f"{outcome}_m0": truth[none]})
    rows = matched.sample.baseline.loc[others, ["unit_id", "school_year"]]
    return (
        true_effect(total, outcome, matched),
        true_effect_of_rows(gain, outcome, rows, weights[others]) if others.any() else NONE,
    )


def pooled_sd(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the standard deviation within two groups, NaN without a degree of freedom."""
    free = len(first) + len(second) - 2
    if free < 1:
        return NONE
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in (first, second))
    return math.sqrt(squares / free)
