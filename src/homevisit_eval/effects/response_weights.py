"""Who answered: response by group, and weights that let respondents stand for those who did not."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.design import Outcome
from homevisit_eval.design.checks import allowed
from homevisit_eval.disclosure import SMALLEST_COUNT_SHOWN, shown_count, shown_of
from homevisit_eval.effects.regression_rows import TREATMENT, covariate_columns
from homevisit_eval.errors import EstimationError, MatchingError
from homevisit_eval.matching.matched_sample import WEIGHTED_FOR_RESPONSE, MatchedSample
from homevisit_eval.propensity import PropensityFit, fit_propensity

__all__ = ["WEIGHTED_FOR_RESPONSE", "ResponseRate", "response_rates", "weight_for_response"]

FEWEST = SMALLEST_COUNT_SHOWN
LARGE_FACTOR = 20.0
GROUPS = (("visited", 1), ("comparison", 0))

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ResponseRate:
    """How many of the matched answered, by group, for one outcome.

    Attributes
    ----------
    outcome
    asked_visited, asked_comparison
        Matched student-years of grades and school years in which any candidate has the outcome.
    answered_visited, answered_comparison
        Those of them with the outcome.
    rate_visited, rate_comparison
        Shares who answered, 0 to 1, weighted by the matching weights; NaN if nobody was asked.
    synthetic
        Whether the data are.
    """

    outcome: Outcome
    asked_visited: int
    answered_visited: int
    rate_visited: float
    asked_comparison: int
    answered_comparison: int
    rate_comparison: float
    synthetic: bool

    @property
    def difference(self) -> float:
        """Share of the visited who answered less that of the comparison group."""
        return self.rate_visited - self.rate_comparison

    def __repr__(self) -> str:
        """Show counts from which no small one follows, and no rate that would tell one."""
        label = "synthetic data, " if self.synthetic else ""
        groups = [
            f"{shown_count(shown_of(count, among))} of {shown_count(among)} {group}"
            for group, count, among in (
                ("visited", self.answered_visited, self.asked_visited),
                ("comparison", self.answered_comparison, self.asked_comparison),
            )
        ]
        return f"ResponseRate({label}{self.outcome.name}: about {' and '.join(groups)})"


def response_rates(matched: MatchedSample, outcomes: Sequence[str]) -> tuple[ResponseRate, ...]:
    """Return for each outcome how many of the matched who were asked have it, by group.

    Asked counts as everyone of a grade and school year in which any candidate of the sample has
    the outcome: a survey of grades 3 to 5 is not refused by the others.

    Parameters
    ----------
    matched
        Student-years with a positive weight are counted.
    outcomes
        Names of outcomes of the question.

    Raises
    ------
    DesignError
        If the question has no such outcome.
    """
    return tuple(_rate(matched, name) for name in outcomes)


def _rate(matched: MatchedSample, name: str) -> ResponseRate:
    asked, answered, visited, weights = _rows(matched, name)
    counts: dict[str, tuple[int, int, float]] = {}
    for group, code in GROUPS:
        among = asked & (visited == code)
        have = among & answered
        whole = weights[among].sum()
        rate = float(weights[have].sum() / whole) if whole > 0 else float("nan")
        counts[group] = int(among.sum()), int(have.sum()), rate
    return ResponseRate(
        matched.sample.design.outcome(name),
        *counts["visited"],
        *counts["comparison"],
        synthetic=matched.sample.synthetic,
    )


def weight_for_response(matched: MatchedSample, outcome: str) -> MatchedSample:
    """Weight those who have an outcome to stand for all matched who were asked.

    The matching weights of respondents are multiplied by one over their probability of
    responding, and scaled so that they add up to the weights of all of their group who were
    asked. Visited and comparison students share one model of response.

    Parameters
    ----------
    matched
        Visited student-years and their comparisons.
    outcome
        One of the question's outcomes, missing for those who did not respond.

    Returns
    -------
    MatchedSample
        With that one outcome, because the weights are those of its respondents, and the same
        object if everyone who was asked responded. Its estimand says that it is weighted for
        response; its notes say how far apart the weights are. Weights of those without the
        outcome, who enter no estimate, stay as they were.

    Raises
    ------
    DesignError
        If the question has no such outcome.
    EstimationError
        If fewer than 10 of a group responded, a covariate is incomplete, or response cannot be
        modeled because the covariates predict it with certainty.

    Notes
    -----
    The model is a logit of "outcome observed" on visited, the baseline covariates and the cells of
    school year and grade, among the matched who were asked, fitted with the matching weights. The
    weights remove the bias from nonresponse only as far as those who responded resemble those who
    did not, given these. Standard errors take the weights as known, which is usually conservative.

    References
    ----------
    Seaman, S. R., & White, I. R. (2013). Review of inverse probability weighting for dealing with
    missing data. *Statistical Methods in Medical Research*, 22(3), 278-295.
    """
    asked, answered, visited, weights = _rows(matched, outcome)
    label = matched.sample.design.outcome(outcome).label
    for group, code in GROUPS:
        if int((asked & answered & (visited == code)).sum()) < FEWEST:
            raise EstimationError(
                f"{outcome}: it is observed for fewer than {FEWEST} matched {group} "
                "student-years, too few to stand for those who did not respond. Report the "
                "response rates and leave the effect out, or widen the sample."
            )
    if answered[asked].all():
        return matched
    fit = _response_model(matched, outcome, asked, answered, weights)
    factor = 1.0 / fit.probability[answered[asked]]
    changed = weights.copy()
    changed[asked & answered] *= factor
    for _, code in GROUPS:
        group = asked & (visited == code)
        have = group & answered
        changed[have] *= weights[group].sum() / changed[have].sum()
    logger.info("%s: response weights from %.2f to %.2f", outcome, factor.min(), factor.max())
    return _weighted(matched, outcome, changed, _notes(label, factor, fit, answered[asked]))


def _rows(
    matched: MatchedSample, outcome: str
) -> tuple[Booleans, Booleans, NDArray[np.int64], Floats]:
    """Return who was asked and matched, who has the outcome, who was visited, and weights."""
    sample = matched.sample
    allowed("outcome", outcome, sample.question.outcomes)
    baseline = sample.baseline
    answered = sample.outcomes[outcome].notna().to_numpy(dtype=np.bool_)
    cells = _cells(baseline)
    ever = np.bincount(cells, answered)[cells] > 0
    weights = matched.matches.weights.to_numpy(dtype=np.float64)
    return (
        np.asarray(ever & (weights > 0)),
        answered,
        baseline["visited"].to_numpy(dtype=np.int64),
        weights,
    )


def _cells(baseline: pd.DataFrame) -> NDArray[np.int64]:
    """Number the school years and grades."""
    pairs = baseline[["school_year", "grade"]].to_numpy(dtype=np.int64)
    return np.unique(pairs, axis=0, return_inverse=True)[1].ravel().astype(np.int64)


def _response_model(
    matched: MatchedSample, outcome: str, asked: Booleans, answered: Booleans, weights: Floats
) -> PropensityFit:
    """Fit the probability of responding among those who were asked."""
    rows = matched.sample.baseline.loc[asked]
    cells = _cells(rows)
    dummies = (cells[:, None] == np.arange(1, cells.max() + 1)).astype(np.float64)
    visited = rows[TREATMENT].to_numpy(dtype=np.float64)
    X = np.column_stack([np.ones(len(rows)), visited, covariate_columns(matched, rows), dummies])
    advice = "Leave out the covariate that decides who responds, or merge its categories."
    try:
        fit = fit_propensity(X, answered[asked], weights=weights[asked])
    except MatchingError:
        raise EstimationError(
            f"{outcome}: the covariates tell with certainty who responded, so that nobody can "
            f"stand for those who did not. {advice}"
        ) from None
    if not (fit.converged or fit.diverging.any()):
        raise EstimationError(f"{outcome}: the model of response did not converge. {advice}")
    return fit


def _notes(label: str, factor: Floats, fit: PropensityFit, answered: Booleans) -> tuple[str, ...]:
    notes = [
        f"{label}: those who responded are weighted by one over their probability of responding "
        f"(logit on visited, the covariates, school year and grade), from {factor.min():.2f} to "
        f"{factor.max():.2f}, to stand for all matched who were asked. This removes the bias from "
        "nonresponse only as far as these explain who responds. Standard errors take the weights "
        "as known."
    ]
    if factor.max() > LARGE_FACTOR:
        notes.append(
            f"{label}: a single answer stands for more than {LARGE_FACTOR:g} students; the "
            "estimate may rest on few."
        )
    if (fit.diverging & ~answered).any():
        notes.append(
            f"{label}: some who were asked have a category of a covariate, or a grade, of which "
            "nobody responded; nobody stands for them."
        )
    return tuple(notes)


def _weighted(
    matched: MatchedSample, outcome: str, weights: Floats, notes: tuple[str, ...]
) -> MatchedSample:
    sample, matches = matched.sample, matched.matches
    words = matches.estimand.restriction
    restriction = f"{words}, {WEIGHTED_FOR_RESPONSE}" if words else WEIGHTED_FOR_RESPONSE
    return MatchedSample(
        replace(
            sample,
            question=replace(sample.question, outcomes=(outcome,)),
            outcomes=sample.outcomes[[outcome, "days_enrolled"]],
            notes=(*sample.notes, *notes),
        ),
        replace(
            matches,
            weights=pd.Series(weights, index=matches.weights.index, name=matches.weights.name),
            estimand=replace(matches.estimand, restriction=restriction),
        ),
    )
