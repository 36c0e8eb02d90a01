"""The sums of a Cox partial likelihood of one covariate, with ties and strata (arrays).

Rows are sorted by stratum and, within it, from the last time to the first, so that the rows at risk
at a time are those of the stratum up to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["TiedTimes", "Ties", "partial_likelihood", "score_residuals", "tied_times"]

Ties = Literal["efron", "breslow"]
Floats = NDArray[np.float64]
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TiedTimes:
    """Sorted rows, the times of a stratum at which something happens, and terms of its events.

    Attributes
    ----------
    order : array of shape (n,)
        Sorted rows as positions among those given.
    z, weights : arrays of shape (n,)
        Sorted.
    events : array of bool, shape (n,)
    group : array of shape (n,) of 0..m-1
        The stratum and time of each row.
    last_row, stratum_start : arrays of shape (m,)
        The last row of each group, and the first of its stratum.
    last_group : array of shape (n,)
        The last group (earliest time) of each row's stratum.
    term_group : array of shape (K,)
        The group of each term of the likelihood: one for each event (Efron) or each time with
        events (Breslow).
    fraction : array of shape (K,)
        What part of the events' own risk is taken out of the sum over those at risk.
    share : array of shape (K,)
        The part of the weight of the group's events that the term has; adds up to 1 by group.
    """

    order: Places
    z: Floats
    weights: Floats
    events: NDArray[np.bool_]
    group: Places
    last_row: Places
    stratum_start: Places
    last_group: Places
    term_group: Places
    fraction: Floats
    share: Floats

    @property
    def m(self) -> int:
        """Groups of rows of one stratum and time."""
        return len(self.last_row)

    def __repr__(self) -> str:
        """Show the number of times, no rows."""
        return f"TiedTimes({self.m} times)"


def tied_times(
    times: Floats,
    events: NDArray[np.bool_],
    z: Floats,
    *,
    weights: Floats,
    strata: Places,
    ties: Ties,
) -> TiedTimes:
    """Sort the rows and lay out the terms of the likelihood; all of shape (n,)."""
    order = np.lexsort((-times, strata))
    time, stratum, happened = times[order], strata[order], events[order]
    new_stratum = np.concatenate([[True], stratum[1:] != stratum[:-1]])
    new_group = new_stratum | np.concatenate([[True], time[1:] != time[:-1]])
    group = np.cumsum(new_group) - 1
    first_row = np.flatnonzero(new_group)
    last_row = np.append(first_row[1:], len(time)) - 1
    starts = np.flatnonzero(new_stratum)
    of_stratum = np.cumsum(new_stratum) - 1
    ends = np.append(starts[1:], len(time)) - 1
    count = np.bincount(group, happened, len(first_row)).astype(np.int64)
    with_events = np.flatnonzero(count)
    if ties == "efron":
        term_group = np.repeat(with_events, count[with_events])
        before = np.cumsum(count[with_events]) - count[with_events]
        place = np.arange(len(term_group)) - np.repeat(before, count[with_events])
        fraction = place / count[term_group]
        share = 1.0 / count[term_group]
    else:
        term_group = with_events
        fraction, share = np.zeros(len(with_events)), np.ones(len(with_events))
    return TiedTimes(
        order=order,
        z=z[order],
        weights=weights[order],
        events=happened,
        group=group,
        last_row=last_row,
        stratum_start=starts[of_stratum[first_row]],
        last_group=group[ends[of_stratum]],
        term_group=term_group,
        fraction=fraction,
        share=share,
    )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Terms:
    """What each term sees at one coefficient, shape (K,): risk, mean of z, its variance, weight."""

    risk: Floats
    mean: Floats
    variance: Floats
    weight: Floats


def _terms(tied: TiedTimes, coefficient: float) -> _Terms:
    risk = tied.weights * np.exp(coefficient * tied.z)
    sums = []
    for power in range(3):
        values = risk * tied.z**power
        running = np.concatenate([[0.0], np.cumsum(values)])
        at_risk = running[tied.last_row + 1] - running[tied.stratum_start]
        own = np.bincount(tied.group, values * tied.events, tied.m)
        sums.append(at_risk[tied.term_group] - tied.fraction * own[tied.term_group])
    mean = sums[1] / sums[0]
    of_events = np.bincount(tied.group, tied.weights * tied.events, tied.m)
    return _Terms(
        risk=sums[0],
        mean=mean,
        variance=np.maximum(sums[2] / sums[0] - mean**2, 0.0),
        weight=tied.share * of_events[tied.term_group],
    )


def partial_likelihood(tied: TiedTimes, coefficient: float) -> tuple[float, float, float]:
    """Return the log partial likelihood at a coefficient, its slope, and its information."""
    terms = _terms(tied, coefficient)
    observed = float((tied.weights * tied.z)[tied.events].sum())
    return (
        coefficient * observed - float(terms.weight @ np.log(terms.risk)),
        observed - float(terms.weight @ terms.mean),
        float(terms.weight @ terms.variance),
    )


def score_residuals(tied: TiedTimes, coefficient: float) -> Floats:
    """Return the weighted score residual of each row, in the order given; they sum to the slope.

    Each is the weight times the derivative of the slope by it, shape (n,).
    """
    terms = _terms(tied, coefficient)
    at, m = tied.term_group, tied.m
    rate = terms.weight / terms.risk

    def by_group(values: Floats) -> Floats:
        return np.bincount(at, values, m).astype(np.float64, copy=False)

    level, tilted = by_group(rate), by_group(rate * terms.mean)
    own_level = by_group(tied.fraction * rate)
    own_tilted = by_group(tied.fraction * rate * terms.mean)
    mean = by_group(tied.share * terms.mean)
    # groups run from late to early: those up to a row's time are its own and all after it
    reached = [np.append(np.cumsum(one), 0.0) for one in (level, tilted)]
    hazard, weighted_hazard = (
        one[tied.last_group] - one[tied.group - 1] * (tied.group > 0) for one in reached
    )
    relative = np.exp(coefficient * tied.z)
    residual = -relative * (tied.z * hazard - weighted_hazard)
    happened = tied.events
    here = tied.group[happened]
    residual[happened] += (
        tied.z[happened]
        - mean[here]
        + relative[happened] * (tied.z[happened] * own_level[here] - own_tilted[here])
    )
    found = np.empty(len(residual))
    found[tied.order] = tied.weights * residual
    return found
