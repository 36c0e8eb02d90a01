"""The panel: the value that `build_panel` returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Literal, TypeAlias

from homevisit_eval.design import Measurement
from homevisit_eval.disclosure import shown_count
from homevisit_eval.errors import SourceError
from homevisit_eval.panel.counts import PanelCount
from homevisit_eval.panel.engine import Frame, fetch_frame
from homevisit_eval.sources import Problem, SourceFile

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

__all__ = ["STUDENT_COLUMNS", "Panel", "PanelTable"]

PanelTable: TypeAlias = Literal[
    "students", "schools", "teachers", "history", "visits", "spells", "stretches", "school_days"
]

STUDENT_COLUMNS = (
    "student_id",
    "school_year",
    "grade",
    "school_id",
    "school_id_count_date",
    "schools_attended",
    "first_instructional_day",
    "last_instructional_day",
    "days_enrolled",
    "days_absent",
    "days_excused",
    "days_unexcused",
    "days_unexcused_full",
    "days_tardy",
    "attendance_rate",
    "on_time_attendance_rate",
    "chronic_absence",
    "chronic_truancy",
    "incidents",
    "any_incident",
    "any_serious_incident",
    "any_suspension",
    "days_suspended",
    "math_score_std",
    "reading_score_std",
    "engagement_at_school",
    "involvement_at_home",
    "sex",
    "race_ethnicity",
    "household_id",
    "age",
    "age_for_grade",
    "at_risk",
    "english_learner",
    "disability",
    "homeless",
    "economically_disadvantaged",
)
ORDERS: dict[PanelTable, tuple[str, ...]] = {
    "students": ("student_id", "school_year"),
    "schools": ("school_id", "school_year"),
    "teachers": ("staff_id", "school_year", "school_id"),
    "history": ("student_id", "school_year", "date", "kind"),
    "visits": ("student_id", "date", "visit_id"),
    "spells": ("student_id", "school_year", "entry_date", "exit_date", "school_id", "grade"),
    "stretches": ("student_id", "school_year", "start", "school_id"),
    "school_days": ("school_id", "school_year", "date"),
}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Panel:
    """Student-years, schools, teachers and dated facts, in the engine until asked for.

    Attributes
    ----------
    students
        One row per student and school year with at least one enrollment spell; columns as in
        `STUDENT_COLUMNS`. Rates are fractions (0 to 1), indicators are 0/1, ages are in years,
        scores and scales of the survey in standard deviations. ``school_id`` is the school of
        time zero, missing for a student who was not enrolled on its first instructional day.
    schools
        One row per school and school year; see `schools.school_frame`.
    teachers
        One row per staff member, school and school year, or None; see
        `teachers.teacher_frame`.
    history
        One row per student, date and kind of fact; see `history.history_frame`.
    visits
        All visits and the school year each belongs to; see `visits.visit_frame`.
    spells
        ``student_id, school_id, school_year, grade, entry_date, exit_date`` as delivered.
    stretches
        ``student_id, school_id, school_year, start, end``: spells without what overlaps; no two
        hold the same instructional day of a student. See `enrollment.resolve_segments`.
    school_days
        ``school_id, school_year, date, instructional_day``: one row per school and day of
        instruction.
    counts
        From records to the panel, step by step.
    missing
        What cannot be computed because it was not delivered or not recorded, one sentence each.
    measurement
        The rules by which the panel was made.
    district, synthetic, files, decisions
        Taken over from the sources.
    connection
        The engine's; it is owned, and closed, by the sources.
    surveys
        Answers to the family survey as delivered, or None; see `scale_reliability`.
    """

    students: Frame
    schools: Frame
    teachers: Frame | None
    history: Frame
    visits: Frame
    spells: Frame
    stretches: Frame
    school_days: Frame
    counts: tuple[PanelCount, ...]
    missing: tuple[str, ...]
    measurement: Measurement
    district: str
    synthetic: bool
    files: tuple[SourceFile, ...]
    decisions: tuple[Problem, ...]
    connection: duckdb.DuckDBPyConnection = field(repr=False)
    surveys: Frame | None = None

    @property
    def has_history(self) -> bool:
        """Whether there are dated facts and calendars: not in a panel without them."""
        return bool(len(fetch_frame(self.school_days.head(1), ("date",))))

    def to_pandas(self, table: PanelTable = "students") -> pd.DataFrame:
        """Return one of the panel's tables as a pandas frame, in the order of its key.

        Whole numbers with missing values are floats. The history of a large district has
        millions of rows.

        Raises
        ------
        SourceError
            If the table does not exist because its extract was not delivered.
        """
        frame: Frame | None = getattr(self, table)
        if frame is None:
            raise SourceError(f"{table}: there is none. {' '.join(self.missing)}")
        return fetch_frame(frame, ORDERS[table])

    def __repr__(self) -> str:
        """Show counts (under 10 as "<10") and column names, never rows."""
        label = ", synthetic data" if self.synthetic else ""
        steps = [
            f"  {step.source}: {shown_count(step.rows_in)} -> {shown_count(step.rows_used)} "
            f"({step.note})"
            for step in self.counts
        ]
        columns = [f"  columns of students: {', '.join(STUDENT_COLUMNS)}"]
        missing = [f"  missing: {sentence}" for sentence in self.missing]
        return "\n".join([f"Panel({self.district}{label}", *steps, *columns, *missing]) + ")"

    def _repr_html_(self) -> str:
        return f"<pre>{escape(repr(self))}</pre>"
