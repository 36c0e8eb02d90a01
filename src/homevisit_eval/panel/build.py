"""Validated tables -> the panel of student-years, schools, teachers and dated facts."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import narwhals as nw

from homevisit_eval.design import Measurement
from homevisit_eval.errors import SourceError
from homevisit_eval.panel import (
    achievement,
    attendance,
    counts,
    discipline,
    engagement,
    enrollment,
    unrecorded,
)
from homevisit_eval.panel.counts import PanelCount
from homevisit_eval.panel.demographics import demographic_measures
from homevisit_eval.panel.engine import Frame, count_rows, store
from homevisit_eval.panel.history import history_frame
from homevisit_eval.panel.not_delivered import missing_sentences
from homevisit_eval.panel.schools import school_frame
from homevisit_eval.panel.student_years import STUDENT_COLUMNS, Panel
from homevisit_eval.panel.teachers import teacher_frame
from homevisit_eval.panel.visits import visit_frame
from homevisit_eval.sources import Sources

__all__ = ["Panel", "PanelCount", "build_panel"]

log = logging.getLogger(__name__)

STUDENT_YEAR = ["student_id", "school_year"]
SPELL_COLUMNS = ("student_id", "school_id", "school_year", "grade", "entry_date", "exit_date")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Enrollment:
    """What all measures need to know of calendars and enrollment; kept as tables."""

    spells: Frame
    years: Frame
    districts: Frame
    numbers: Frame
    segments: Frame
    enrolled: Frame


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Step:
    """Student-years with the columns of one more source, its dated facts, counts and gaps."""

    rows: Frame
    facts: Frame | None = None
    counts: tuple[PanelCount, ...] = ()
    missing: tuple[str, ...] = ()


def build_panel(sources: Sources, measurement: Measurement = Measurement()) -> Panel:  # noqa: B008
    """Return the panel: one row per student and school year, by the rules of measurement.

    Parameters
    ----------
    sources
        Validated tables, from `read_sources`; they must stay open as long as the panel is used.
    measurement
        The rules; see `Measurement`. `select_sample` refuses a panel that was made by others
        than those of its design.

    Raises
    ------
    SourceError
        If the panel would not have exactly one row for every student-year of `enrollments`.

    Notes
    -----
    Everything is computed in the engine. The student-years, also halfway, and what several steps
    or every sample need (the numbers of the instructional days, stretches of enrollment, days
    missed, incidents, visits, schools) are computed once and kept as temporary tables; the rest
    is computed when asked for.
    """
    started = time.perf_counter()
    held = _enrollment(sources)
    dated = attendance.absences_on_school_days(sources.absences, held.numbers)
    missed = attendance.absence_days(dated, held.segments, measurement)
    days = store(sources.connection, missed, "absence_days")
    attended = _attendance(sources, held, dated, days, measurement)
    persons = demographic_measures(attended.rows, sources.students, sources.characteristics)
    persons = store(sources.connection, persons, "persons")
    disciplined = _discipline(persons, sources, held, measurement)
    tested = _achievement(store(sources.connection, disciplined.rows, "disciplined"), sources)
    asked = _engagement(tested.rows, sources)
    ordered = asked.rows.select(*STUDENT_COLUMNS).sort(*STUDENT_YEAR)
    students = store(sources.connection, ordered, "students")
    _require_one_row_each(students, held.spells)
    visits = visit_frame(sources.visits, students, held.districts)
    visits = store(sources.connection, visits, "visits")
    schools = school_frame(sources.schools, held.years, students)
    panel = Panel(
        students=students,
        schools=store(sources.connection, schools, "schools"),
        teachers=_teachers(sources, held),
        history=history_frame(days, disciplined.facts, held.numbers),
        visits=visits,
        spells=held.spells,
        stretches=held.segments,
        school_days=held.numbers.filter(nw.col("instructional") == 1).drop("instructional"),
        counts=(
            *counts.count_student_years(held.spells, held.enrolled, students),
            *counts.count_persons(sources.students, sources.characteristics, students),
            *attended.counts,
            *disciplined.counts,
            *tested.counts,
            *asked.counts,
            *counts.count_visits(sources.visits, visits, students),
        ),
        missing=(
            *missing_sentences(sources),
            *attended.missing,
            *disciplined.missing,
            *asked.missing,
        ),
        measurement=measurement,
        district=sources.district,
        synthetic=sources.synthetic,
        files=sources.files,
        decisions=sources.decisions,
        connection=sources.connection,
        surveys=sources.surveys,
    )
    log.info("panel built in %.1f seconds", time.perf_counter() - started)
    return panel


def _enrollment(sources: Sources) -> _Enrollment:
    keep = sources.connection
    spells = sources.enrollments.select(*SPELL_COLUMNS)
    dates = [enrollment.spell_dates(spells)]
    if sources.incidents is not None:
        dates.append(sources.incidents.select("date"))
    years = store(keep, enrollment.school_years(sources.calendar), "school_years")
    numbers = store(keep, enrollment.number_days(sources.calendar, nw.concat(dates)), "numbers")
    segments = store(keep, enrollment.resolve_segments(spells, numbers), "segments")
    return _Enrollment(
        spells=spells,
        years=years,
        districts=store(keep, enrollment.district_years(years), "district_years"),
        numbers=numbers,
        segments=segments,
        enrolled=store(keep, enrollment.days_enrolled(segments, numbers), "enrolled"),
    )


def _attendance(
    sources: Sources, held: _Enrollment, dated: Frame, days: Frame, measurement: Measurement
) -> _Step:
    schools = dated.select("school_id", "school_year").unique()
    recorded = store(sources.connection, schools, "schools_with_absences")
    gap = unrecorded.without_absences(held.spells, held.enrolled, recorded)
    rows = enrollment.schools_of_students(held.spells, held.years, held.enrolled)
    rows = rows.join(attendance.attendance_sums(days), on=STUDENT_YEAR, how="left")
    measured = attendance.attendance_measures(rows, measurement)
    return _Step(
        unrecorded.leave_missing(measured, gap.student_years, attendance.ATTENDANCE_COLUMNS),
        counts=counts.count_absences(sources.absences, dated, days),
        missing=gap.sentences,
    )


def _discipline(
    rows: Frame, sources: Sources, held: _Enrollment, measurement: Measurement
) -> _Step:
    if sources.incidents is None:
        return _Step(discipline.discipline_not_delivered(rows))
    part = discipline.incidents_taken_part(sources.incidents, measurement)
    dated = discipline.student_incidents(part, held.spells, measurement)
    in_year = discipline.from_first_day(dated, rows)
    incidents = store(sources.connection, in_year, "incidents")
    measured = discipline.discipline_measures(rows, incidents)
    gap = unrecorded.without_incidents(held.spells, sources.incidents, held.districts)
    return _Step(
        unrecorded.leave_missing(measured, gap.student_years, discipline.DISCIPLINE_COLUMNS),
        incidents,
        counts.count_incidents(sources.incidents, part, dated, incidents),
        gap.sentences,
    )


def _achievement(rows: Frame, sources: Sources) -> _Step:
    if sources.assessments is None:
        return _Step(achievement.achievement_not_delivered(rows))
    standardized = achievement.standardize_scores(sources.assessments)
    scores = store(sources.connection, standardized, "scores")
    chosen = store(sources.connection, achievement.one_score(scores), "chosen_scores")
    return _Step(
        achievement.achievement_measures(rows, chosen),
        counts=counts.count_scores(sources.assessments, scores, chosen, sources.enrollments),
    )


def _engagement(rows: Frame, sources: Sources) -> _Step:
    if sources.surveys is None:
        return _Step(engagement.engagement_not_delivered(rows))
    answered = engagement.answered_scales(sources.surveys)
    scales = store(sources.connection, answered, "scales")
    standardized = store(sources.connection, engagement.standardize_scales(scales), "scale_scores")
    chosen = store(
        sources.connection, engagement.one_scale_score(standardized), "chosen_scale_scores"
    )
    return _Step(
        engagement.engagement_measures(rows, chosen),
        counts=counts.count_surveys(
            sources.surveys, scales, standardized, chosen, sources.enrollments
        ),
        missing=engagement.without_answers(sources.surveys, sources.enrollments),
    )


def _teachers(sources: Sources, held: _Enrollment) -> Frame | None:
    if sources.staff is None:
        return None
    return teacher_frame(sources.staff, sources.visits, held.years, held.districts)


def _require_one_row_each(students: Frame, spells: Frame) -> None:
    """Raise unless the panel has each student-year of the spells once, and no other row."""
    expected = count_rows(spells.select(*STUDENT_YEAR).unique())
    rows = count_rows(students)
    distinct = count_rows(students.select(*STUDENT_YEAR).unique())
    if not expected == rows == distinct:
        raise SourceError(
            f"panel: {rows:,} rows with {distinct:,} distinct (student_id, school_year) for "
            f"{expected:,} student-years of enrollments. A key stands twice in students, "
            "characteristics or calendar; run check on the folder and correct the extract."
        )
