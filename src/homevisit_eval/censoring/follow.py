"""A visit now against no visit for the rest of the year.

Pairs are followed until the comparison student is visited, and days are weighted by the inverse
probability of being followed that long.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.design.measures import COUNTED_BY_DAY
from homevisit_eval.disclosure import SMALLEST_COUNT_SHOWN, shown_count
from homevisit_eval.errors import EstimationError, MatchingError
from homevisit_eval.matching.matched_sample import MatchedSample
from homevisit_eval.propensity import fit_propensity
from homevisit_eval.sample.day_outcomes import ANY, DAYS_MISSED
from homevisit_eval.sample.day_records import BEYOND, LAST_DAY, DayRecords, day_records, ordinals
from homevisit_eval.sample.first_visits import next_visits, pace_of_visits

if TYPE_CHECKING:
    from homevisit_eval.panel import Panel

__all__ = ["follow_without_visits"]

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

AGAINST_NONE = "against no visit for the rest of the year"
LARGEST_WEIGHT = 20.0
"""Weights above it are set to it: one pair must not stand for twenty. A note counts them."""


def follow_without_visits(
    matched: MatchedSample, panel: Panel, *, landmark: str = ""
) -> MatchedSample:
    """Return the matched sample with outcomes as if comparison students were never visited later.

    Both members of a pair are followed until the day on which the comparison student is visited,
    that day included: a visit works from the day after it. What happens on day d counts with
    the inverse probability that the pair is still followed then. So outcomes of single students
    are no longer rates or 0 and 1, but their means estimate those of a year without later visits.

    Parameters
    ----------
    matched
        Pairs of one visited and one comparison student-year.
    panel
        That the sample is from.
    landmark
        Month and day from which outcomes count, such as ``"02-01"``; if empty, the day after time
        zero (and the question's lag). Pairs whose time zero is not before it are left out.

    Returns
    -------
    MatchedSample
        Outcomes that are not counted by the day (scores, later years) are as before.

    Raises
    ------
    EstimationError
        If the matches are not pairs, no pair is left before the landmark, or the probability of a
        later visit cannot be fitted.

    Notes
    -----
    The hazard of a visit on day d, or between it and the next day of instruction, is a logit of the
    comparison students' enrolled days, on the covariates of the design, the pace of the
    school's visits that year, time, and absences and incidents of the year through the day
    before d. With it, S(d) is the product of (1 - hazard) over the days from time zero to
    d - 1, and with D enrolled days from the first that counts

    .. math:: \\text{rate} = 1 - \\frac1D \\sum_{d \\le C} \\frac{\\text{absent}_d}{S(d)}, \\quad
        \\text{count} = \\sum_{d \\le C} \\frac{\\text{events}_d}{S(d)}, \\quad
        \\text{any} = \\frac{1\\{T \\le C\\}}{S(T)},

    C being the day of the comparison student's visit and T that of the first event. Censoring both
    members on the same day keeps their exposure equal; censoring one alone would compare students
    selected by what happened to them. Standard errors take the hazard as known.

    References
    ----------
    Robins, J. M., & Finkelstein, D. M. (2000). Correcting for noncompliance and dependent censoring
    in an AIDS clinical trial with inverse probability of censoring weighted (IPCW) log-rank tests.
    *Biometrics*, 56(3), 779-788.
    Hernan, M. A., & Robins, J. M. (2016). Using big data to emulate a target trial when a
    randomized trial is not available. *American Journal of Epidemiology*, 183(8), 758-764.
    """
    run = _run(matched, panel, landmark)
    days = _days(run)
    survival, note = _survival(run, days)
    outcomes = matched.sample.outcomes.copy()
    used = np.flatnonzero(run.used)
    for name in matched.sample.question.outcomes:
        if name in COUNTED_BY_DAY:
            made = _outcome(run, days, survival, name)
            values = outcomes[name].to_numpy(dtype=np.float64).copy()
            values[used] = np.where(np.isnan(values[used]), np.nan, made)
            outcomes[name] = values
    late = run.start[run.row_of_pair] >= BEYOND
    weights = matched.matches.weights.copy()
    if landmark:
        weights.iloc[used[late]] = 0.0
    sample = matched.sample
    estimand = matched.matches.estimand
    words = f"{estimand.restriction} {AGAINST_NONE}".strip()
    return MatchedSample(
        replace(sample, outcomes=outcomes, notes=(*sample.notes, *_notes(run, landmark), note)),
        replace(matched.matches, weights=weights, estimand=replace(estimand, restriction=words)),
    )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Run:
    """The used rows of a matched sample: r rows, in pairs.

    code, school, index_day, start, censored: shape (r,); `censored` is the day of the next visit to
    the comparison student of the pair, but not before the first day of instruction after time
    zero. `row_of_pair`: the comparison row whose days each row has. `pace`: of the school's visits
    that year, see `pace_of_visits`.
    """

    matched: MatchedSample
    records: DayRecords
    used: Booleans
    visited: Booleans
    code: Integers
    school: Integers
    index_day: Integers
    start: Integers
    censored: Integers
    row_of_pair: Integers
    pace: Floats


def _run(matched: MatchedSample, panel: Panel, landmark: str) -> _Run:
    sample, matches = matched.sample, matched.matches
    used = matches.weights.to_numpy(dtype=np.float64) > 0
    rows = sample.baseline.loc[used].reset_index(drop=True)
    keys = pd.MultiIndex.from_frame(rows[["unit_id", "school_year"]]).unique()
    school_years = sorted({int(one) for one in rows["school_year"]})
    records = day_records(panel, school_years, keys)
    if not len(records.school_day):
        raise EstimationError(
            "later_visits = 'none' needs dated records, which this panel has not. Build it from "
            "extracts with build_panel."
        )
    code = keys.get_indexer(pd.MultiIndex.from_frame(rows[["unit_id", "school_year"]]))
    school = records.schools.get_indexer(
        pd.MultiIndex.from_frame(rows[["school_id", "school_year"]])
    )
    index_day = ordinals(rows["index_date"])
    if not sample.question.during:
        index_day = index_day - 1  # of visits before the year, time zero is the first day
    start = records.next_school_day(school, index_day, sample.question.lag_days)
    if landmark:
        years = rows["school_year"].to_numpy(np.int64) - (landmark[:2] >= "08")
        from_day = np.array([f"{one}-{landmark}" for one in years], dtype="datetime64[D]")
        day = from_day.astype(np.int64)
        start = np.where(index_day < day, np.maximum(start, day), BEYOND)
    visited = rows["visited"].to_numpy() == 1
    partner = _partners(matched, used, visited)
    first_day = records.next_school_day(school, index_day, 0)
    visit = np.maximum(next_visits(panel, rows, index_day), first_day)
    pace = pace_of_visits(panel, records.schools)[school]
    return _Run(
        matched, records, used, visited, code, school, index_day, start,
        np.where(visited, visit[partner], visit), partner, pace,
    )  # fmt: skip


def _partners(matched: MatchedSample, used: Booleans, visited: Booleans) -> Integers:
    """Return for each used row the place, among them, of the comparison row of its pair."""
    pairs = matched.matches.pairs
    labels = matched.matches.weights.index[used]
    treated, comparison = (
        labels.get_indexer(pd.Index(pairs[side])) for side in ("treated", "comparison")
    )
    count = np.bincount(treated[treated >= 0], minlength=len(labels))
    if not len(pairs) or (count[visited] != 1).any():
        raise EstimationError(
            "later_visits = 'none' follows pairs: match each visited student with one comparison "
            "student (nearest_neighbor or optimal_pairs with ratio = 1)."
        )
    partner = np.arange(len(labels))
    partner[treated] = comparison
    return partner


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Days:
    """Days of instruction after time zero, one row a day of a used row: shapes (d,).

    `row` is sorted, `first` (r + 1,) where each row's days begin; `day` ascends in a row. Facts
    dated from `since` through `through` count on `day`: what happens on a weekend, on Monday; what
    happens after the last day, on that. A visit dated before `following`, the next such day, but
    not before `day` is one after which the pair is no longer followed.
    """

    row: Integers
    day: Integers
    since: Integers
    through: Integers
    following: Integers
    first: Integers


def _days(run: _Run) -> _Days:
    calendar = run.records.school_day
    low = np.searchsorted(calendar, run.school * BEYOND + run.index_day, side="right")
    high = np.searchsorted(calendar, run.school * BEYOND + BEYOND - 1, side="right")
    many = high - low
    row = np.repeat(np.arange(len(low)), many)
    at = np.repeat(low - np.cumsum(many) + many, many) + np.arange(len(row))
    day = calendar[at] % BEYOND
    first = np.concatenate([[0], np.cumsum(many)])
    begins = np.zeros(len(row), dtype=bool)
    begins[first[:-1][many > 0]] = True
    since = np.where(begins, run.index_day[row] + 1, np.r_[0, day[:-1]] + 1)
    ends = np.r_[begins[1:], True][: len(row)]
    following = np.where(ends, BEYOND, np.r_[day[1:], BEYOND][: len(row)])
    return _Days(row, day, since, np.where(ends, LAST_DAY, day), following, first)


def _survival(run: _Run, days: _Days) -> tuple[Floats, str]:
    """Return the probability, for each row and day, that its pair is still followed on that day."""
    of_comparison = ~run.visited[days.row]
    followed = days.day <= run.censored[days.row]
    leaves = of_comparison & followed & (run.censored[days.row] < days.following)
    enrolled = of_comparison & (
        leaves | (run.records.days_enrolled(run.code[days.row], days.day, days.day) > 0)
    )
    at = np.flatnonzero(enrolled & followed)
    event = leaves[at]
    S = np.ones(len(days.row))
    if not event.any():
        return S, "No comparison student was visited later in the year."
    X = _hazard_columns(run, days)
    try:
        fit = fit_propensity(X[at], event)
    except MatchingError as error:
        raise EstimationError(
            f"the probability that a comparison student is visited later cannot be fitted: {error}"
        ) from None
    kept = np.isfinite(fit.coefficients)
    comparison = np.flatnonzero(enrolled)
    eta = X[comparison][:, kept] @ fit.coefficients[kept]
    log_stay = np.zeros(len(days.row))
    log_stay[comparison] = -np.logaddexp(0.0, eta)  # log(1 - hazard)
    total = np.concatenate([[0.0], np.cumsum(log_stay)])
    S = np.exp(total[:-1] - total[days.first[days.row]])
    visited_days = np.flatnonzero(~of_comparison)
    S[visited_days] = _of_partner(run, days, S, visited_days)
    cut = int((followed & (S < 1 / LARGEST_WEIGHT)).sum())
    largest = float(1 / np.maximum(S[followed], 1 / LARGEST_WEIGHT).min())
    pairs = len(np.unique(days.row[at][event]))
    note = (
        f"{shown_count(pairs)} comparison students were visited later in the year, and their pairs "
        f"followed until then; the largest inverse probability of being followed is {largest:.2f}"
        + (" (where larger ones were cut)." if cut else ".")
    )
    return np.maximum(S, 1 / LARGEST_WEIGHT), note


def _of_partner(run: _Run, days: _Days, S: Floats, at: Integers) -> Floats:
    """Return the probabilities of the comparison student's days for those of the visited one."""
    key = days.row * BEYOND + days.day
    partner = run.row_of_pair[days.row[at]]
    place = np.searchsorted(key, partner * BEYOND + days.day[at], side="right") - 1
    own = (place >= 0) & (days.row[np.maximum(place, 0)] == partner)
    return np.where(own, S[np.maximum(place, 0)], 1.0)


def _hazard_columns(run: _Run, days: _Days) -> Floats:
    """Return the columns of the hazard, shape (d, k): covariates, school, time and history."""
    sample = run.matched.sample
    baseline = sample.baseline.loc[run.used]
    fixed: list[Floats] = []
    for covariate in sample.adjusted_for:
        name = covariate.name
        if name not in baseline or covariate.where_measured:
            continue
        column = baseline[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            others = column.cat.categories[1:]
            fixed += [np.asarray(column == one, dtype=np.float64) for one in others]
        else:
            fixed.append(column.to_numpy(dtype=np.float64))
    fixed.append(np.asarray(baseline["visited_prior"] == "yes", dtype=np.float64))
    fixed.append(run.pace)
    columns = [np.ones(len(days.row)), *(one[days.row] for one in fixed)]
    length = np.maximum(days.first[1:] - days.first[:-1], 1)[days.row]
    elapsed = (np.arange(len(days.row)) - days.first[days.row]) / length
    code, before = run.code[days.row], days.since - 1
    first = np.ones_like(before)
    enrolled = np.maximum(run.records.days_enrolled(code, first, before), 1)
    absent = run.records.total("days_absent", code, first, before) / enrolled
    incidents = run.records.total("incidents", code, first, before)
    columns += [elapsed, elapsed**2, absent, (incidents > 0).astype(np.float64), incidents]
    X = np.column_stack(columns)
    varies = (X[0] != X).any(axis=0)
    varies[0] = True
    return X[:, varies]


def _outcome(run: _Run, days: _Days, S: Floats, name: str) -> Floats:
    """Return one outcome of the used rows, shape (r,), see `follow_without_visits`.

    It is missing where a student is enrolled on none of the days that count.
    """
    row, n = days.row, len(run.code)
    enrolled = run.records.days_enrolled(run.code, run.start, np.full(n, BEYOND - 1))
    counts = (days.day >= run.start[row]) & (days.day <= run.censored[row])
    at = np.flatnonzero(counts)
    since = np.maximum(days.since[at], run.start[row[at]])
    fact = ANY.get(name) or DAYS_MISSED.get(name) or name
    amount = run.records.total(fact, run.code[row[at]], since, days.through[at])
    if name in ANY:
        happened = np.flatnonzero(amount > 0)
        first = happened[np.unique(row[at[happened]], return_index=True)[1]]
        made = np.zeros(n)
        made[row[at[first]]] = 1 / S[at[first]]
    else:
        made = np.asarray(np.bincount(row[at], amount / S[at], n), dtype=np.float64)
    if name in DAYS_MISSED:
        made = 1 - made / np.maximum(enrolled, 1)
    return np.where(enrolled > 0, made, math.nan)


def _notes(run: _Run, landmark: str) -> Sequence[str]:
    notes = [
        "The comparison is of a visit with no visit for the rest of the year: both members of a "
        "pair are followed until the comparison student is visited, with days weighted by the "
        "inverse probability of still being followed. Single values are therefore no rates."
    ]
    if landmark:
        late = int((run.start[run.visited] >= BEYOND).sum())
        few = "" if late < SMALLEST_COUNT_SHOWN else f" ({late:,} visited student-years)"
        notes.append(
            f"Outcomes count from {landmark} (month and day) on; visits from then on{few} are left "
            "out."
        )
    return notes
