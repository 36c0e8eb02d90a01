"""Calendars and enrollment: one calendar for every school, and rules about spells."""

from __future__ import annotations

from homevisit_eval.sources.engine import Check, Engine
from homevisit_eval.sources.problems import Problem

__all__ = [
    "birth_problems",
    "calendar_problems",
    "dates_outside_calendar",
    "enrollment_problems",
    "expand_calendar",
    "fill_exits",
]


def expand_calendar(engine: Engine) -> None:
    """Make table ``calendar``: one row per school, school year and date, with its ``_line``.

    A school without rows of its own in a year gets the rows of that year without a school.
    """
    engine.run("""
        CREATE TABLE calendar AS
        WITH own AS (
            SELECT DISTINCT school_id, school_year FROM typed_calendar WHERE school_id IS NOT NULL
        ), borrowing AS (
            SELECT DISTINCT school_id, school_year FROM typed_schools
            WHERE school_id IS NOT NULL AND school_year IS NOT NULL
            EXCEPT SELECT school_id, school_year FROM own
        )
        SELECT b.school_id, c.school_year, c.date, c.instructional, c.count_date, c._line
        FROM borrowing b JOIN typed_calendar c
            ON c.school_year = b.school_year AND c.school_id IS NULL
        WHERE c.date IS NOT NULL
        UNION ALL
        SELECT school_id, school_year, date, instructional, count_date, _line
        FROM typed_calendar WHERE school_id IS NOT NULL AND date IS NOT NULL
    """)


def calendar_problems(engine: Engine, calendar_file: str, schools_file: str) -> list[Problem]:
    """Check the expanded calendar: one count date, years apart, days for every enrolled school."""
    several = """
        SELECT _line FROM typed_calendar WHERE count_date AND (coalesce(school_id, ''), school_year)
        IN (SELECT (coalesce(school_id, ''), school_year) FROM typed_calendar WHERE count_date
            GROUP BY coalesce(school_id, ''), school_year HAVING count(DISTINCT date) > 1)
    """
    overlap = """
        SELECT c._line FROM calendar c JOIN (
            SELECT school_id, school_year, min(date) AS first FROM calendar
            WHERE instructional GROUP BY school_id, school_year
        ) later ON c.school_id = later.school_id AND c.school_year = later.school_year - 1
        WHERE c.instructional AND c.date >= later.first
    """
    without = """
        SELECT s._line FROM typed_schools s
        SEMI JOIN typed_enrollments e
            ON e.school_id = s.school_id AND e.school_year = s.school_year
        ANTI JOIN (SELECT * FROM calendar WHERE instructional) c
            ON c.school_id = s.school_id AND c.school_year = s.school_year
    """
    return [
        *engine.lines_problem(calendar_file, "several_count_dates", several, "count_date"),
        *engine.lines_problem(calendar_file, "school_years_overlap", overlap, "date"),
        *(
            engine.lines_problem(schools_file, "no_calendar", without, "school_id, school_year")
            if "typed_enrollments" in engine.tables()
            else []
        ),
    ]


def enrollment_problems(engine: Engine, file: str) -> list[Problem]:
    """Check spells against each other and against the calendar."""
    engine.run("""
        CREATE OR REPLACE TEMP TABLE spells AS
        SELECT _line, student_id, school_id, school_year, entry_date,
            coalesce(exit_date, DATE '9999-12-31') AS exit_date
        FROM typed_enrollments
        WHERE entry_date <= coalesce(exit_date, DATE '9999-12-31')
            AND student_id IS NOT NULL AND school_id IS NOT NULL AND school_year IS NOT NULL
    """)
    overlap = """
        SELECT unnest([a._line, b._line]) AS _line FROM spells a JOIN spells b
            ON a.student_id = b.student_id AND a.school_year = b.school_year
        WHERE a._line < b._line AND a.entry_date <= b.exit_date AND b.entry_date <= a.exit_date
    """
    same = f"{overlap} AND a.school_id = b.school_id AND a.entry_date <> b.entry_date"
    other = f"{overlap} AND a.school_id <> b.school_id"
    dates = "entry_date, exit_date"
    problems = engine.lines_problem(file, "overlapping_spells", same, dates)
    problems += engine.lines_problem(file, "overlapping_schools", other, dates)
    if "calendar" in engine.tables():
        idle = """
            SELECT s._line FROM spells s ASOF LEFT JOIN (
                SELECT school_id, school_year, date FROM calendar WHERE instructional
            ) c ON s.school_id = c.school_id AND s.school_year = c.school_year
                AND s.entry_date <= c.date
            WHERE (c.date IS NULL OR c.date > s.exit_date) AND EXISTS (
                SELECT 1 FROM calendar k WHERE k.instructional
                AND k.school_id = s.school_id AND k.school_year = s.school_year)
        """
        problems += engine.lines_problem(file, "no_instructional_day", idle, dates)
    return problems


def fill_exits(engine: Engine) -> None:
    """Fill empty exit dates with the last calendar day of the school and year.

    A spell that starts after that day ends on the day on which it starts.
    """
    engine.run("""
        UPDATE typed_enrollments AS e
        SET exit_date = greatest(k.last, e.entry_date)
        FROM (SELECT school_id, school_year, max(date) AS last FROM calendar
              GROUP BY school_id, school_year) k
        WHERE e.exit_date IS NULL
            AND k.school_id = e.school_id AND k.school_year = e.school_year
    """)


def birth_problems(engine: Engine, file: str) -> list[Problem]:
    """Count students who were born on or after the day on which they entered a school."""
    query = """
        SELECT s._line FROM typed_students s JOIN (
            SELECT student_id, min(entry_date) AS entry FROM typed_enrollments GROUP BY student_id
        ) e ON s.student_id = e.student_id WHERE s.birth_date >= e.entry
    """
    return engine.lines_problem(file, "born_after_entry", query, "birth_date")


def dates_outside_calendar(engine: Engine, file: str, table: str) -> list[Problem]:
    """Count dated rows of ``typed_TABLE`` outside the school years of the calendar."""
    years = "SELECT min(school_year) AS first, max(school_year) AS last FROM calendar"
    source = f'(SELECT t._line, t.date, y.first, y.last FROM "typed_{table}" t, ({years}) y)'
    outside = "date NOT BETWEEN make_date(first - 1, 7, 1) AND make_date(last, 8, 31)"
    return engine.problems(file, source, [Check("outside_school_years", "date", outside)])
