"""A visit now against no visit from then on.

Pairs are followed until the comparison student is visited, and days are weighted by the inverse
probability of being followed that long.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.censoring.followed_rows import Days, FollowedRows, days_after, fixed_columns
from homevisit_eval.censoring.hazards import Stay, stay_through_days
from homevisit_eval.censoring.later_years import later_years, probability_before
from homevisit_eval.design.measures import COUNTED_BY_DAY, measured_name
from homevisit_eval.disclosure import SMALLEST_COUNT_SHOWN, shown_count, shown_of
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching.matched_sample import MatchedSample
from homevisit_eval.sample.day_outcomes import ANY, DAYS_MISSED
from homevisit_eval.sample.day_records import BEYOND, day_records, ordinals
from homevisit_eval.sample.first_visits import next_visits, pace_of_visits

if TYPE_CHECKING:
    from homevisit_eval.panel import Panel

__all__ = ["LARGEST_WEIGHT", "follow_without_visits"]

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

AGAINST_NONE = "against no visit for the rest of the year"
AGAINST_NONE_LATER = "against no visit through the year in which the outcome is measured"
LARGEST_WEIGHT = 20.0
"""Weights above it are set to it: one pair must not stand for twenty. A note counts them."""


def follow_without_visits(
    matched: MatchedSample, panel: Panel, *, landmark: str = ""
) -> MatchedSample:
    """Return the matched sample with outcomes as if comparison students were never visited later.

    Both members of a pair are followed until the day on which the comparison student is visited,
    that day included: a visit works from the day after it. What happens on day d counts with
    the inverse probability that the pair is still followed then. So outcomes of single students
    are no longer rates or 0 and 1, but their means estimate those without later visits.

    Outcomes of later years are followed in the same way, day by day through all years up to theirs:
    they compare a visit, and whatever visits follow upon it, with no visit through that year.

    Parameters
    ----------
    matched
        Pairs of one visited and one comparison student-year.
    panel
        That the sample is from.
    landmark
        Month and day from which outcomes of the year of the visit count, such as ``"02-01"``; if
        empty, the day after time zero (and the question's lag). Pairs whose time zero is not before
        it are left out.

    Returns
    -------
    MatchedSample
        Outcomes that are not counted by the day (scores) are as before. An outcome of a later year
        into which no pair is followed is missing for all.

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

    In later years D, T and the sums are those of that year, while C and S run on from time zero. A
    pair that left in an earlier year counts there without events. S falls at two kinds of steps: on
    days, by one more logit for all later years, and between two years, by a logit of a visit before
    the year among comparison students enrolled on its first day. Both logits have the year after
    the visit, and absences and incidents of the school year before, as further columns; the
    second has the school's visits before that year in the place of the pace, and no time.

    Following day by day matters: to leave out the pairs of comparison students who are visited at
    some time in a later year, and to weight the others by the probability of that at its start,
    would choose them by what happened in that year, for visits follow absences and incidents.

    Leaving the district is no visit. Who is not observed in a later year has no outcome there, as
    without this function, and a comparison student who left is visited no more; both are right if
    visits do not change who leaves. Further visits to the *visited* student are part of what a
    visit leads to.

    References
    ----------
    Robins, J. M., & Finkelstein, D. M. (2000). Correcting for noncompliance and dependent censoring
    in an AIDS clinical trial with inverse probability of censoring weighted (IPCW) log-rank tests.
    *Biometrics*, 56(3), 779-788.
    Hernan, M. A., & Robins, J. M. (2016). Using big data to emulate a target trial when a
    randomized trial is not available. *American Journal of Epidemiology*, 183(8), 758-764.
    """
    sample = matched.sample
    counted = {
        name: (measure, after)
        for name in sample.question.outcomes
        for measure, after in [measured_name(name)]
        if measure in COUNTED_BY_DAY
    }
    years = max((after for _, after in counted.values()), default=0)
    used = np.flatnonzero(matched.matches.weights.to_numpy(dtype=np.float64) > 0)
    rows = sample.baseline.iloc[used].reset_index(drop=True)
    first = _first_year(matched, panel, rows, landmark, years)
    spans = [_first_span(first)]
    if years:
        spans.append(_later_span(spans[0], rows[["unit_id", "school_year"]], panel, years))
    made = {
        (measure, later): _outcome(spans[later], measure)
        for measure, later in {(measure, after > 0) for measure, after in counted.values()}
    }
    outcomes = sample.outcomes.copy()
    for name, (measure, after) in counted.items():
        values = outcomes[name].to_numpy(dtype=np.float64).copy()
        own = spans[after > 0].of_year(made[measure, after > 0], after, len(used))
        values[used] = np.where(np.isnan(values[used]), math.nan, own)
        outcomes[name] = values
    weights = matched.matches.weights.copy()
    if landmark:
        weights.iloc[used[first.start[first.partner] >= BEYOND]] = 0.0
    estimand = matched.matches.estimand
    words = f"{estimand.restriction} {AGAINST_NONE_LATER if years else AGAINST_NONE}".strip()
    notes = [*_notes(first, landmark, years), *(note for span in spans for note in _counts(span))]
    return MatchedSample(
        replace(sample, outcomes=outcomes, notes=(*sample.notes, *notes), followed=tuple(notes)),
        replace(matched.matches, weights=weights, estimand=replace(estimand, restriction=words)),
    )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Span:
    """The year of the visit, or all later ones, of r student-years: n rows with d days.

    origin: shape (n,), which of the r each row is of. S: shape (d,), the probability that the pair
    is still followed on the day. through: shape (n,), of no visit through the end of its days.
    """

    rows: FollowedRows
    days: Days
    origin: Integers
    S: Floats
    through: Floats

    def followed(self) -> Booleans:
        """Say on which days the pair is followed, shape (d,)."""
        return np.asarray(self.days.day <= self.rows.censored[self.days.row])

    def of_year(self, made: Floats, after: int, r: int) -> Floats:
        """Return what was made of one year as values of the r student-years, NaN where none.

        It is none for all if no pair is followed in that year.
        """
        values = np.full(r, math.nan)
        here = self.rows.after == after
        if self.followed()[here[self.days.row]].any():
            values[self.origin[here]] = made[here]
        return values


def _first_year(
    matched: MatchedSample, panel: Panel, rows: pd.DataFrame, landmark: str, years: int
) -> FollowedRows:
    """Return the used rows of a matched sample in the year of the visit.

    Their records hold so many later `years` as well.
    """
    sample = matched.sample
    reached = rows["school_year"].to_numpy(dtype=np.int64)
    keys = pd.MultiIndex.from_frame(
        pd.DataFrame(
            {
                "unit_id": np.tile(rows["unit_id"].to_numpy(dtype=object), years + 1),
                "school_year": np.concatenate([reached + after for after in range(years + 1)]),
            }
        )
    ).unique()
    records = day_records(panel, sorted({int(one) for one in keys.levels[1]}), keys)
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
        in_year = reached - (landmark[:2] >= "08")
        from_day = np.array([f"{one}-{landmark}" for one in in_year], dtype="datetime64[D]")
        day = from_day.astype(np.int64)
        start = np.where(index_day < day, np.maximum(start, day), BEYOND)
    visited = rows["visited"].to_numpy() == 1
    partner = _partners(matched, visited)
    first_day = records.next_school_day(school, index_day, 0)
    visit = np.maximum(next_visits(panel, rows, index_day), first_day)
    names = [
        one.name
        for one in sample.adjusted_for
        if one.name in rows.columns and not one.where_measured
    ]
    return FollowedRows(
        records=records,
        after=np.zeros(len(rows), dtype=np.int64),
        visited=visited,
        code=code.astype(np.int64),
        school=school.astype(np.int64),
        index_day=index_day,
        start=start,
        censored=visit[partner],
        partner=partner,
        fixed=fixed_columns(rows, names),
        pace=pace_of_visits(panel, records.schools)[school],
    )


def _partners(matched: MatchedSample, visited: Booleans) -> Integers:
    """Return for each used row the place, among them, of the comparison row of its pair."""
    pairs, weights = matched.matches.pairs, matched.matches.weights
    labels = weights.index[weights.to_numpy(dtype=np.float64) > 0]
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


def _first_span(rows: FollowedRows) -> _Span:
    days = days_after(rows)
    stay = stay_through_days(rows, days)
    n = len(rows.code)
    S = _still_followed(rows, days, stay, np.ones(n))
    return _Span(rows, days, np.arange(n), S, stay.through)


def _later_span(first: _Span, keys: pd.DataFrame, panel: Panel, years: int) -> _Span:
    later = later_years(first.rows, keys, panel, years)
    days = days_after(later.rows)
    stay = stay_through_days(later.rows, days)
    before = probability_before(later, stay, first.rows, first.through)
    S = _still_followed(later.rows, days, stay, before)
    return _Span(later.rows, days, later.origin, S, stay.through)


def _still_followed(rows: FollowedRows, days: Days, stay: Stay, before: Floats) -> Floats:
    """Return the probability, for each day, that the pair is still followed on it: shape (d,).

    That of a day of the visited student is the comparison student's on it, or the last day before.
    """
    S = before[days.row] * stay.within
    at = np.flatnonzero(rows.visited[days.row])
    key = days.row * BEYOND + days.day
    partner = rows.partner[days.row[at]]
    place = np.searchsorted(key, partner * BEYOND + days.day[at], side="right") - 1
    own = (place >= 0) & (days.row[np.maximum(place, 0)] == partner)
    S[at] = np.where(own, S[np.maximum(place, 0)], before[days.row[at]])
    return np.maximum(S, 1 / LARGEST_WEIGHT)


def _outcome(span: _Span, name: str) -> Floats:
    """Return one outcome of the rows of a span, shape (n,), see `follow_without_visits`.

    It is missing where a student is enrolled on none of the days that count.
    """
    rows, days, S = span.rows, span.days, span.S
    row, n = days.row, len(rows.code)
    enrolled = rows.records.days_enrolled(rows.code, rows.start, np.full(n, BEYOND - 1))
    at = np.flatnonzero((days.day >= rows.start[row]) & span.followed())
    since = np.maximum(days.since[at], rows.start[row[at]])
    fact = ANY.get(name) or DAYS_MISSED.get(name) or name
    amount = rows.records.total(fact, rows.code[row[at]], since, days.through[at])
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


def _notes(first: FollowedRows, landmark: str, years: int) -> Sequence[str]:
    until = "for the rest of the year" if not years else "through the year of the outcome"
    notes = [
        f"The comparison is of a visit with no visit {until}: both members of a pair are followed "
        "until the comparison student is visited, with days weighted by the inverse probability of "
        "still being followed. Single values are therefore no rates."
    ]
    if years:
        notes.append(
            "Further visits to the visited students are part of what a visit leads to, in the "
            "year of the visit and in later ones."
        )
    if landmark:
        late = int((first.start[first.visited] >= BEYOND).sum())
        few = "" if late < SMALLEST_COUNT_SHOWN else f" ({late:,} visited student-years)"
        notes.append(
            f"Outcomes count from {landmark} (month and day) on; visits from then on{few} are left "
            "out."
        )
    return notes


def _counts(span: _Span) -> Iterator[str]:
    """Yield for each year how many comparison students are visited, and the largest weight."""
    rows, followed = span.rows, span.followed()
    for after in np.unique(rows.after):
        comparison = (rows.after == after) & ~rows.visited
        left = int((comparison & (rows.censored < BEYOND)).sum())
        by_then = f"by the end of year {after} after it" if after else "later in the year"
        S = span.S[followed & (rows.after == after)[span.days.row]]
        if not left:
            yield f"No comparison student was visited {by_then}."
        elif not len(S):
            yield f"Of year {after} after the visit nothing is left: no pair is followed into it."
        else:
            shown = shown_count(shown_of(left, int(comparison.sum())))
            cut = " (where larger ones were cut)" if S.min() <= 1 / LARGEST_WEIGHT else ""
            yield (
                f"{shown} comparison students were visited {by_then}, and their pairs followed "
                f"until then; the largest inverse probability of being followed is "
                f"{1 / S.min():.2f}{cut}."
            )
