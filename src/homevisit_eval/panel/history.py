"""Dated facts of each student: what happened, on which instructional day, and how much."""

from __future__ import annotations

import narwhals as nw

from homevisit_eval.panel.engine import Frame
from homevisit_eval.panel.expressions import exact_sum

__all__ = ["KINDS", "history_frame"]

ABSENCE_KINDS = ("excused", "unexcused", "partial", "tardy")
INCIDENT_KINDS = ("incident", "serious_incident", "suspension")
KINDS = (*ABSENCE_KINDS, *INCIDENT_KINDS)
COLUMNS = ("student_id", "school_year", "date", "instructional_day", "kind", "amount")


def history_frame(days: Frame, incidents: Frame | None, numbers: Frame) -> Frame:
    """Return one row per student, date and kind of fact.

    Parameters
    ----------
    days
        From `attendance.absence_days`.
    incidents
        From `discipline.student_incidents`, or None.
    numbers
        From `enrollment.number_days`.

    Returns
    -------
    Frame
        ``student_id, school_year, date, instructional_day, kind, amount``. The amount is in
        days for ``excused``, ``unexcused``, ``partial`` and ``suspension`` (a suspension of
        unknown length has amount 0), and a count for ``tardy``, ``incident`` and
        ``serious_incident``. The number of the instructional day is that of the school of
        enrollment; a fact on another day bears the number of the last instructional day
        before it, 0 before the first.
    """
    facts = [_facts(days.filter(nw.col(kind) > 0), kind) for kind in ABSENCE_KINDS]
    if incidents is not None:
        numbered = incidents.join(
            numbers.drop("instructional"), on=["school_id", "school_year", "date"]
        )
        daily = numbered.group_by("student_id", "school_year", "date", "instructional_day").agg(
            nw.len().cast(nw.Int64).alias("incident"),
            nw.col("serious").sum().alias("serious_incident"),
            nw.col("suspended").sum().alias("suspensions"),
            exact_sum(nw.col("days_suspended")).alias("suspension"),
        )
        happened = {
            "incident": nw.col("incident") > 0,
            "serious_incident": nw.col("serious_incident") > 0,
            "suspension": nw.col("suspensions") > 0,
        }
        facts += [_facts(daily.filter(happened[kind]), kind) for kind in INCIDENT_KINDS]
    return nw.concat(facts)


def _facts(days: Frame, kind: str) -> Frame:
    """Return the column called `kind` of daily facts as rows of that kind."""
    named = days.with_columns(kind=nw.lit(kind), amount=nw.col(kind).cast(nw.Float64))
    return named.select(*COLUMNS)
