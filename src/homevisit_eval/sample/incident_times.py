"""From the panel's dated facts to the days that pass until a first incident."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, TypeAlias

import narwhals as nw
import numpy as np
import pandas as pd

from homevisit_eval.design.checks import allowed
from homevisit_eval.errors import SourceError
from homevisit_eval.panel.engine import fetch_frame
from homevisit_eval.sample.analytic_sample import AnalyticSample
from homevisit_eval.sample.day_records import BEYOND, LAST_DAY, day_records, ordinals

if TYPE_CHECKING:
    from homevisit_eval.panel import Panel

__all__ = ["IncidentKind", "incident_times"]

IncidentKind: TypeAlias = Literal["incident", "serious_incident", "suspension"]

FACT: Mapping[IncidentKind, str] = {
    "incident": "incidents",
    "serious_incident": "serious_incidents",
    "suspension": "suspensions",
}
RECORDED: Mapping[IncidentKind, str] = {
    "incident": "any_incident",
    "serious_incident": "any_serious_incident",
    "suspension": "any_suspension",
}


def incident_times(
    panel: Panel, sample: AnalyticSample, kind: IncidentKind = "incident"
) -> pd.DataFrame:
    """Return after how many enrolled days each candidate's first incident came, if one did.

    Parameters
    ----------
    panel
        That the sample was selected from.
    sample
        Of students.
    kind
        ``"incident"``, ``"serious_incident"`` or ``"suspension"``, by the panel's rules.

    Returns
    -------
    DataFrame, one row for each of the sample's baseline, in its order
        ``unit_id, school_year, index_date`` as there. ``days``: enrolled days of instruction, at
        any school, from the first on which outcomes count through that of the incident (1 if it
        came on the first), else through the last of the school year. ``event``: 1 if there was an
        incident, 0 if the student left or the year ended without one. Both are missing where no
        discipline was recorded, or no day was enrolled. Of visits before the school year outcomes
        count from the index date on, of others from the next day of instruction (later by the
        question's lag).

    Raises
    ------
    DesignError
        If there is no such kind.
    SourceError
        If the panel has no dated enrollment or lacks student-years of the sample.

    Notes
    -----
    An incident on a day without instruction has the number of the last enrolled day before it.
    Days of the calendar on which a student was not enrolled, between two schools, do not count.
    """
    allowed("kind", kind, tuple(FACT))
    rows = sample.baseline
    years = sorted({int(year) for year in rows["school_year"]})
    frame = fetch_frame(
        panel.students.filter(nw.col("school_year").is_in(years)).select(
            "student_id", "school_year", recorded=nw.col(RECORDED[kind])
        ),
        ("student_id", "school_year"),
    )
    keys = pd.MultiIndex.from_frame(frame[["student_id", "school_year"]])
    asked = pd.MultiIndex.from_arrays([rows["unit_id"], rows["school_year"]])
    code = keys.get_indexer(asked).astype(np.int64)
    records = day_records(panel, years, keys)
    if (lost := int((code < 0).sum())) or not len(records.school_day):
        raise SourceError(
            f"panel: it lacks {lost:,} of {len(rows):,} student-years of the sample, or has no "
            "dated enrollment. Give the panel that the sample was selected from."
        )
    start = ordinals(rows["index_date"])
    if sample.question.window != "before_year":
        school = pd.MultiIndex.from_arrays([rows["school_id"], rows["school_year"]])
        place = records.schools.get_indexer(school).astype(np.int64)
        start = records.next_school_day(place, start, sample.question.lag_days)
    first = records.first_fact(FACT[kind], code, start)
    event = first < BEYOND
    last = np.where(event, first, LAST_DAY)
    every = records.days_enrolled(code, start, np.full_like(start, LAST_DAY))
    through = records.days_enrolled(code, start, last)
    known = frame["recorded"].notna().to_numpy(dtype=bool)[code] & (every > 0)
    return pd.DataFrame(
        {
            "unit_id": rows["unit_id"].to_numpy(),
            "school_year": rows["school_year"].to_numpy(),
            "index_date": rows["index_date"].to_numpy(),
            "days": np.where(known, np.maximum(through, 1), np.nan),
            "event": np.where(known, event, np.nan),
        }
    )
