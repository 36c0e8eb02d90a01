"""How likely comparison students are visited: on a day of the year, and before a later year."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.censoring.followed_rows import Days, FollowedRows, history_until
from homevisit_eval.errors import EstimationError, MatchingError
from homevisit_eval.propensity import fit_propensity

__all__ = ["Stay", "log_stay", "stay_through_days"]

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

CERTAIN = -700.0
"""The logarithm of a probability that is 0 for every purpose, but can be summed."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Stay:
    """The probability that the pairs of n rows are followed, over their d days.

    Attributes
    ----------
    within
        Shape (d,), that of no visit from the row's first day to the day before, given none before.
    through
        Shape (n,), that of no visit on any of its days. Both are of the comparison students only, 1
        for other rows, and right as long as the pair is followed.
    """

    within: Floats
    through: Floats


def stay_through_days(rows: FollowedRows, days: Days) -> Stay:
    """Return how likely comparison students are not visited day by day.

    The hazard of a visit on a day, or between it and the next, is a logit of the enrolled days of
    comparison students that are followed, on `FollowedRows.fixed`, the pace of the school, time,
    and the absences and incidents of the year through the day before.

    Raises
    ------
    EstimationError
        If it cannot be fitted.
    """
    row = days.row
    last = rows.censored[row]
    followed = ~rows.visited[row] & (days.day <= last)
    leaves = followed & (last < days.following)
    at_risk = followed & (
        leaves | (rows.records.days_enrolled(rows.code[row], days.day, days.day) > 0)
    )
    at = np.flatnonzero(at_risk)
    log = np.zeros(len(row))
    log[at] = log_stay(_day_columns(rows, days, at), leaves[at], rows.after[row[at]])
    total = np.concatenate([[0.0], np.cumsum(log)])
    return Stay(
        within=np.exp(total[:-1] - total[days.first[row]]),
        through=np.exp(total[days.first[1:]] - total[days.first[:-1]]),
    )


def log_stay(X: Floats, event: Booleans, after: Integers) -> Floats:
    """Return the logarithm of the probability of no visit, by a logit of visits on X: shape (n,).

    A year in which all have a visit, or nobody, needs no model: the probability is 0 there, or 1.

    Parameters
    ----------
    X
        Shape (n, k), the intercept first.
    event, after
        Shape (n,), whether there is a visit, and how many years after the visit's the row is.

    Raises
    ------
    EstimationError
        If the covariates tell with certainty who is visited.
    """
    share = (np.bincount(after, event) / np.maximum(np.bincount(after), 1))[after]
    log = np.where(share == 1, CERTAIN, 0.0)
    at = np.flatnonzero((share > 0) & (share < 1))
    at = at[_visited_at_all(X[at], event[at])]
    if not len(at):
        return log
    varies = (X[at] != X[at[0]]).any(axis=0)
    varies[0] = True
    try:
        fit = fit_propensity(X[at][:, varies], event[at])
    except MatchingError as error:
        raise EstimationError(
            f"the probability that a comparison student is visited later cannot be fitted: {error}"
        ) from None
    log[at] = np.maximum(-np.logaddexp(0.0, fit.linear_predictor), CERTAIN)
    return log


def _visited_at_all(X: Floats, event: Booleans) -> Booleans:
    """Say which rows have no 0/1 value that nobody with a visit has: shape (n,).

    The logit's probability of a visit is 0 for the others, which it reaches in no finite step.
    """
    with_visit = X[event]
    if not len(with_visit):
        return np.zeros(len(event), dtype=np.bool_)
    binary = ((X == 0) | (X == 1)).all(axis=0)
    same = binary & (with_visit == with_visit[0]).all(axis=0)
    return np.asarray((X[:, same] == with_visit[0, same]).all(axis=1))


def _day_columns(rows: FollowedRows, days: Days, at: Integers) -> Floats:
    """Return the columns of the hazard of some days, the intercept first: shape (len(at), k)."""
    row = days.row[at]
    length = np.maximum(days.first[1:] - days.first[:-1], 1)[row]
    elapsed = (at - days.first[row]) / length
    return np.column_stack(
        [
            np.ones(len(at)),
            rows.fixed[row],
            rows.pace[row],
            elapsed,
            elapsed**2,
            history_until(rows.records, rows.code[row], days.since[at] - 1),
        ]
    )
