"""Defects of absence, incident and visit records."""

from __future__ import annotations

import numpy as np
import pandas as pd

from homevisit_eval.synthetic.defective_enrollment import days, departures, transfers

__all__ = [
    "absences_after_exit",
    "absences_at_old_school",
    "absences_on_saturdays",
    "double_visits",
    "early_visits",
    "incidents_after_exit",
    "with_absences",
]

MARKED_AFTER_EXIT = 5  # weekdays
CLOSED_AFTER_EXIT = 30  # days
YEAR = 365
EARLIER_STILL = 60  # days
SATURDAY = 5


def with_absences(absences: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Add unexcused absences of whole days where there is no record of that day and school yet.

    Parameters
    ----------
    rows
        ``student_id, school_id, date``.
    """
    key = ["student_id", "school_id", "date"]
    there = absences.loc[absences["student_id"].isin(rows["student_id"]), key]
    taken = pd.MultiIndex.from_frame(there)
    fresh = rows[key].drop_duplicates()
    fresh = fresh[~pd.MultiIndex.from_frame(fresh).isin(taken)]
    if fresh.empty:
        return absences
    added = fresh.assign(category="unexcused", fraction=np.nan)[absences.columns]
    added = added.astype(absences.dtypes.to_dict())
    return pd.concat([absences, added], ignore_index=True)


def absences_after_exit(
    spells: pd.DataFrame, share: float, stream: np.random.Generator
) -> pd.DataFrame:
    """Return absences of students who left, on weekdays after the exit."""
    left = departures(spells)
    u_marked, u_days = stream.random((2, len(left)))
    marked = left[u_marked < share]
    count = 1 + np.floor(u_days[u_marked < share] * MARKED_AFTER_EXIT).astype(np.int64)
    rows = marked.loc[np.repeat(marked.index, count), ["student_id", "school_id", "exit_date"]]
    number = rows.groupby("student_id", sort=False).cumcount().to_numpy() + 1
    exits = rows["exit_date"].to_numpy().astype("datetime64[D]")
    dates = np.busday_offset(exits, number, roll="backward").astype("datetime64[s]")
    dated: pd.DataFrame = rows.assign(date=dates)[["student_id", "school_id", "date"]]
    return dated


def absences_at_old_school(
    absences: pd.DataFrame, spells: pd.DataFrame, share: float, stream: np.random.Generator
) -> pd.DataFrame:
    """Record some absences after a transfer at the school before."""
    uniform = stream.random(len(absences))
    moves = transfers(spells)[["student_id", "school_id", "new_school_id", "new_entry_date"]]
    moves = moves.rename(columns={"school_id": "old_school_id", "new_school_id": "school_id"})
    rows = absences.reset_index(names="row").merge(moves, on=["student_id", "school_id"])
    since = (rows["date"] - rows["new_entry_date"]).dt.days
    rows = rows[(since >= 0) & (since < YEAR) & (uniform[rows["row"]] < share)]
    rows = rows[_same_year(rows["date"], rows["new_entry_date"])]
    changed = absences.copy()
    changed.loc[rows["row"].to_numpy(), "school_id"] = rows["old_school_id"].to_numpy()
    return changed


def _same_year(one: pd.Series, other: pd.Series) -> pd.Series:
    """Return whether two dates lie in one school year, July to June."""
    springs = [dates.dt.year + (dates.dt.month > 6) for dates in (one, other)]
    same: pd.Series = springs[0] == springs[1]
    return same


def absences_on_saturdays(
    absences: pd.DataFrame, share: float, stream: np.random.Generator
) -> pd.DataFrame:
    """Return second records of some absences, dated on the next Saturday."""
    rows = absences[stream.random(len(absences)) < share]
    wait = (SATURDAY - rows["date"].dt.day_of_week.to_numpy() - 1) % 7 + 1
    return rows.assign(date=rows["date"] + days(wait))[["student_id", "school_id", "date"]]


def incidents_after_exit(
    incidents: pd.DataFrame, spells: pd.DataFrame, share: float, stream: np.random.Generator
) -> pd.DataFrame:
    """Date some records of students who left after their exit."""
    u_late, u_days = stream.random((2, len(incidents)))
    left = departures(spells).set_index("student_id")
    entry, leaving = (
        incidents["student_id"].map(left[name]) for name in ("entry_date", "exit_date")
    )
    late = (incidents["date"] >= entry) & (incidents["date"] <= leaving) & (u_late < share)
    dates = leaving + days(1 + np.floor(u_days * CLOSED_AFTER_EXIT))
    return incidents.assign(date=incidents["date"].where(~late, dates))


def double_visits(visits: pd.DataFrame, share: float, stream: np.random.Generator) -> pd.DataFrame:
    """Enter some visits a second time, under a visit_id of its own."""
    return _with_visits(visits, visits[stream.random(len(visits)) < share])


def early_visits(
    visits: pd.DataFrame, first_school_year: int, share: float, stream: np.random.Generator
) -> pd.DataFrame:
    """Give some families visited in the first school year a visit more than a year before."""
    until = pd.Timestamp(f"{first_school_year}-07-01")
    first = visits[visits["date"] < until]
    u_chosen, u_days = stream.random((2, len(first)))
    chosen = u_chosen < share
    back = days(YEAR + np.floor(u_days[chosen] * EARLIER_STILL))
    return _with_visits(visits, first[chosen].assign(date=first.loc[chosen, "date"] - back))


def _with_visits(visits: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    number = np.arange(len(visits) + 1, len(visits) + len(rows) + 1)
    width = len(visits["visit_id"].iloc[-1]) - 1 if len(visits) else 5
    names = np.array([f"V{one:0{width}d}" for one in number], dtype=object)
    return pd.concat([visits, rows.assign(visit_id=names)], ignore_index=True)
