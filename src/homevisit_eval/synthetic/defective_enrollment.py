"""Defects of enrollment spells, schools and calendars."""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = [
    "departures",
    "long_calendars",
    "overlap_transfers",
    "rename_schools",
    "split_spells",
    "summer_registrations",
    "transfers",
]

LATEST_EXIT = 10  # days after the entry at the new school
SUMMER = ("07-01", "08-15")
SCHOOL_YEAR = ("07-01", "06-30")
LAST_SPLIT = "05-15"
SHORTEST_PART = 5  # days


def days(count: np.ndarray) -> pd.TimedeltaIndex:
    """Return whole days as differences of dates."""
    return pd.to_timedelta(np.asarray(count, dtype=np.int64), unit="D").as_unit("s")


def dates_of(school_year: pd.Series, month_day: str, years_before: int = 0) -> pd.Series:
    """Return one date for each school year, `years_before` the year of its spring."""
    texts = (school_year - years_before).astype(str) + f"-{month_day}"
    return texts.astype("datetime64[s]")


def departures(spells: pd.DataFrame) -> pd.DataFrame:
    """Return the last spells of the students who leave during a year and do not come back."""
    ordered = spells.sort_values(["student_id", "entry_date"], kind="stable")
    last = ordered.drop_duplicates("student_id", keep="last")
    return last[last["exit_date"].notna()].sort_index()


def transfers(spells: pd.DataFrame) -> pd.DataFrame:
    """Return the spells that another school's spell follows within the school year.

    Adds ``new_school_id``, ``new_entry_date`` and ``new_exit_date``; the index is that of
    `spells`.
    """
    ordered = spells.sort_values(["student_id", "school_year", "entry_date"], kind="stable")
    after = ordered.shift(-1)
    same = (after["student_id"] == ordered["student_id"]) & (
        after["school_year"] == ordered["school_year"]
    )
    other = same & (after["school_id"] != ordered["school_id"])
    found = ordered.assign(
        new_school_id=after["school_id"],
        new_entry_date=after["entry_date"],
        new_exit_date=after["exit_date"],
    )
    return found[other].sort_index()


def overlap_transfers(
    spells: pd.DataFrame, share: float, stream: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Let old schools report the exit late; return spells, and an absence there of each student.

    The absence is dated on the first day at the new school.
    """
    moves = transfers(spells)
    u_late, u_days = stream.random((2, len(moves)))
    late = moves[u_late < share]
    exits = late["new_entry_date"] + days(1 + np.floor(u_days[u_late < share] * LATEST_EXIT))
    exits = exits.where(~(exits > late["new_exit_date"]), late["new_exit_date"])
    changed = spells.copy()
    changed.loc[late.index, "exit_date"] = exits
    absences = pd.DataFrame(
        {
            "student_id": late["student_id"],
            "school_id": late["school_id"],
            "date": late["new_entry_date"],
        }
    )
    return changed, absences


def split_spells(spells: pd.DataFrame, share: float, stream: np.random.Generator) -> pd.DataFrame:
    """Deliver some spells as two that follow each other at the same school."""
    u_split, u_day = stream.random((2, len(spells)))
    end = spells["exit_date"].fillna(dates_of(spells["school_year"], LAST_SPLIT))
    span = (end - spells["entry_date"]).dt.days.to_numpy() - 2 * SHORTEST_PART
    chosen = (u_split < share) & (span > 0)
    first = spells[chosen]
    after = SHORTEST_PART + np.floor(u_day[chosen] * span[chosen])
    last_day = first["entry_date"] + days(after)
    second = first.assign(entry_date=last_day + days(np.ones(len(first))))
    changed = spells.copy()
    changed.loc[first.index, "exit_date"] = last_day
    return _with_rows(changed, second)


def summer_registrations(
    spells: pd.DataFrame, share: float, stream: np.random.Generator
) -> pd.DataFrame:
    """Add spells of the summer, ended before school begins, to student-years that begin on time."""
    u_chosen, u_entry = stream.random((2, len(spells)))
    begin = dates_of(spells["school_year"], SUMMER[0], years_before=1)
    finish = dates_of(spells["school_year"], SUMMER[1], years_before=1)
    on_time = (spells["entry_date"] > finish) & (spells["entry_date"].dt.month == 8)
    again = spells.duplicated(["student_id", "school_id", "school_year"])
    chosen = (u_chosen < share) & on_time.to_numpy() & ~again.to_numpy()
    added = spells[chosen].assign(
        entry_date=begin[chosen] + days(np.floor(u_entry[chosen] * 30)), exit_date=finish[chosen]
    )
    return _with_rows(spells, added)


def _with_rows(table: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Put rows after those of the same index."""
    both = pd.concat([table, rows]) if len(rows) else table
    return both.sort_index(kind="stable").reset_index(drop=True)


def rename_schools(
    schools: pd.DataFrame, share: float, stream: np.random.Generator
) -> pd.DataFrame:
    """Give some schools another name from their second school year, or a later one, on."""
    code, ids = pd.factorize(schools["school_id"])
    years = np.unique(schools["school_year"])
    u_chosen, u_since = stream.random((2, len(ids)))
    since = years[0] + 1 + np.floor(u_since * (len(years) - 1))
    renamed = (u_chosen < share)[code] & (schools["school_year"] >= since[code])
    return schools.assign(name=schools["name"].where(~renamed, schools["name"] + " Academy"))


def long_calendars(
    calendar: pd.DataFrame,
    schools: pd.DataFrame,
    share: float,
    stream: np.random.Generator,
) -> pd.DataFrame:
    """Add rows of their own, one for every day of the year, of schools on the shared calendar."""
    own = calendar["school_id"].dropna().unique()
    sharing = np.setdiff1d(schools["school_id"].unique().astype(object), own.astype(object))
    chosen = sharing[stream.random(len(sharing)) < share]
    parts = [calendar]
    together = calendar[calendar["school_id"].isna()]
    for school_year in np.unique(together["school_year"]).tolist():
        shared = together[together["school_year"] == school_year]
        first, last = f"{school_year - 1}-{SCHOOL_YEAR[0]}", f"{school_year}-{SCHOOL_YEAR[1]}"
        every = pd.date_range(first, last, unit="s")
        listed = shared.set_index("date")[["instructional", "count_date"]]
        listed = listed.reindex(every, fill_value=0).rename_axis("date").reset_index()
        there = set(schools.loc[schools["school_year"] == school_year, "school_id"])
        parts += [
            listed.assign(school_id=school, school_year=school_year)[calendar.columns]
            for school in chosen
            if school in there
        ]
    return pd.concat(parts, ignore_index=True)
