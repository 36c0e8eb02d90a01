"""What happened to candidates before time zero in the school year, and from the next day on."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.design import Question, StudyDesign
from homevisit_eval.design.measures import COUNTED_BY_DAY, followed_name, measured_name
from homevisit_eval.sample.day_records import FIRST_DAY, LAST_DAY, DayRecords

__all__ = ["day_measure", "first_outcome_day", "history_to_date", "outcomes_from"]

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

ATTENDANCE = (
    "attendance_rate",
    "on_time_attendance_rate",
    "days_absent",
    "days_excused",
    "days_unexcused",
    "days_tardy",
)
ANY = {
    "any_incident": "incidents",
    "any_serious_incident": "serious_incidents",
    "any_suspension": "suspensions",
}
DAYS_MISSED = {"attendance_rate": "days_absent", "on_time_attendance_rate": "days_not_on_time"}


def history_to_date(pool: pd.DataFrame, records: DayRecords) -> pd.DataFrame:
    """Add what happened in the school year through the day before the visit.

    Parameters
    ----------
    pool
        Candidates by day, with ``code``, ``index_day``, ``no_history``, and the measures
        ``attendance_rate`` and ``any_incident`` of the whole year, which are missing where nothing
        was recorded.

    Notes
    -----
    Through the first day of instruction (``no_history``) there is none: these rows, which are
    matched with each other, get the mean of the others, so that they do not bend the propensity
    model. Who enters a school later, and is on it without a day before, lacks a rate.
    """
    code = pool["code"].to_numpy(np.int64)
    until = pool["index_day"].to_numpy(np.int64) - 1
    first = np.full_like(until, FIRST_DAY)
    days = records.days_enrolled(code, first, until)
    rate = day_measure("attendance_rate", records, code, first, until)
    columns = {
        "attendance_rate_to_date": np.where(days > 0, rate, np.nan),
        "days_unexcused_to_date": records.total("days_unexcused", code, first, until),
        "days_tardy_to_date": records.total("days_tardy", code, first, until),
        "any_incident_to_date": day_measure("any_incident", records, code, first, until),
        "incidents_to_date": records.total("incidents", code, first, until),
    }
    attended, disciplined = _recorded(pool)
    none = pool["no_history"].to_numpy(bool)
    made = {}
    for name, values in columns.items():
        known = attended if name.split("_")[0] in ("attendance", "days") else disciplined
        seen = np.where(known, values, np.nan)
        others = seen[~none & np.isfinite(seen)]
        made[name] = np.where(none, others.mean() if len(others) else 0.0, seen)
    return pool.assign(**made)


def first_outcome_day(rows: pd.DataFrame, records: DayRecords, lag_days: int) -> Integers:
    """Return the day from which the outcomes of candidates count, shape (n,), since 1970.

    It is the next day of instruction after time zero at the school of that day, or as many such
    days later as the lag says.
    """
    day = rows["index_day"].to_numpy(np.int64)
    return records.next_school_day(rows["school_code"].to_numpy(np.int64), day, lag_days)


def outcomes_from(
    candidates: pd.DataFrame, records: DayRecords, design: StudyDesign, question: Question
) -> pd.DataFrame:
    """Return the outcomes of candidates and ``days_enrolled``, the days they are counted over."""
    code = candidates["code"].to_numpy(np.int64)
    start = first_outcome_day(candidates, records, question.lag_days)
    end = np.full_like(start, LAST_DAY)
    days = records.days_enrolled(code, start, end)
    attended, disciplined = _recorded(candidates)
    columns: dict[str, Floats] = {}
    for name in question.outcomes:
        measure, after = measured_name(name)
        continuous = design.outcome(name).scale == "continuous"
        counted = not after and measure in COUNTED_BY_DAY
        if counted:
            known = attended if measure in ATTENDANCE else disciplined
            values = np.where(known, day_measure(measure, records, code, start, end), np.nan)
        else:
            values = candidates[name].to_numpy(dtype=np.float64)
        enrolled = candidates[followed_name("days_enrolled", after)].fillna(0).to_numpy()
        enough = (days if not after else enrolled) >= design.eligibility.min_days_enrolled
        columns[name] = np.where(enough | (continuous and not counted), values, np.nan)
    return pd.DataFrame({**columns, "days_enrolled": days.astype("int64")})


def day_measure(
    measure: str, records: DayRecords, code: Integers, first: Integers, last: Integers
) -> Floats:
    """Return a measure of `COUNTED_BY_DAY` over the days from `first` through `last`, shape (n,).

    Rates are missing where no day was enrolled.
    """
    if measure in ANY:
        return (records.total(ANY[measure], code, first, last) > 0).astype(np.float64)
    if measure in DAYS_MISSED:
        days = records.days_enrolled(code, first, last)
        with np.errstate(invalid="ignore", divide="ignore"):
            rate = 1 - records.total(DAYS_MISSED[measure], code, first, last) / days
        return np.where(days > 0, rate, np.nan)
    return records.total(measure, code, first, last)


def _recorded(rows: pd.DataFrame) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Say where attendance, and where discipline, was recorded at all that year."""
    return (
        rows["attendance_rate"].notna().to_numpy(dtype=bool),
        rows["any_incident"].notna().to_numpy(dtype=bool),
    )
