"""Absences against calendar and enrollment: which records count, and why others do not."""

from __future__ import annotations

from homevisit_eval.sources.engine import Check, Engine, quoted
from homevisit_eval.sources.problems import Problem

__all__ = ["absences_that_count", "fractions_over_day", "record_attendance"]

REASONS = ("not_instructional", "outside_enrollment", "other_school_counts")


def record_attendance(engine: Engine, table: str) -> None:
    """Make view ``recorded``: the absences of either attendance table, with complete fractions.

    Parameters
    ----------
    engine
        Holds ``typed_absences`` or ``typed_daily_attendance``.
    table
        Which of the two.
    """
    state = "status" if table == "daily_attendance" else "category"
    engine.run(f"""
        CREATE VIEW recorded AS
        SELECT _line, student_id, school_id, date, {state} AS category,
            CASE WHEN {state} = 'tardy' THEN 0.0::DOUBLE
                ELSE coalesce(fraction, 1.0::DOUBLE) END AS fraction
        FROM {quoted(f"typed_{table}")} WHERE {state} IS DISTINCT FROM 'present'
    """)


def fractions_over_day(engine: Engine, file: str) -> list[Problem]:
    """Count records of a student at a school on a date that add up to more than one day."""
    engine.run("""
        CREATE OR REPLACE TEMP TABLE full_days AS
        SELECT hash(student_id, school_id, date) AS mark FROM recorded WHERE fraction > 0
        GROUP BY mark HAVING sum(fraction) > 1.000001
    """)
    query = """
        SELECT unnest(lines) AS _line FROM (
            SELECT list(_line) AS lines FROM recorded
            WHERE fraction > 0 AND student_id IS NOT NULL AND school_id IS NOT NULL
                AND date IS NOT NULL
                AND hash(student_id, school_id, date) IN (SELECT mark FROM full_days)
            GROUP BY student_id, school_id, date
            HAVING sum(fraction) > 1.000001 AND count(DISTINCT category) > 1)
    """
    return engine.lines_problem(file, "fractions_over_day", query, "fraction")


def absences_that_count(engine: Engine, file: str) -> list[Problem]:
    """Make table ``absences`` of the records that count, and count the others by reason.

    A record counts on an instructional day of the school at which the student is enrolled. Where
    spells at several schools overlap, a day that is instructional at both counts for the spell
    that began last (on the same day: the one that ends last, then the last school_id in order).

    Needs ``recorded``, ``calendar``, and ``typed_enrollments`` with filled exits, without errors.
    """
    engine.run("""
        CREATE OR REPLACE TEMP TABLE not_counted AS
        SELECT r._line, CASE WHEN NOT coalesce(c.instructional, false) THEN 'not_instructional'
            ELSE 'outside_enrollment' END AS reason
        FROM recorded r
        LEFT JOIN calendar c ON c.school_id = r.school_id AND c.date = r.date
        LEFT JOIN typed_enrollments e
            ON e.student_id = r.student_id AND e.school_id = r.school_id
            AND e.school_year = c.school_year
            AND r.date BETWEEN e.entry_date AND e.exit_date
        WHERE (NOT coalesce(c.instructional, false) OR e._line IS NULL)
            AND r.student_id IS NOT NULL AND r.school_id IS NOT NULL AND r.date IS NOT NULL
    """)
    _other_school(engine)
    source = "(SELECT _line, reason FROM not_counted)"
    checks = [Check(reason, "", f"reason = '{reason}'") for reason in REASONS]
    problems = engine.problems(file, source, checks)
    engine.run("""
        CREATE TABLE absences AS SELECT student_id, school_id, date, category, fraction
        FROM recorded r ANTI JOIN not_counted n ON r._line = n._line
    """)
    return problems


def _other_school(engine: Engine) -> None:
    """Add the records at a school whose spell gives way to an overlapping later one."""
    engine.run("""
        INSERT INTO not_counted
        SELECT DISTINCT r._line, 'other_school_counts'
        FROM (
            SELECT a.student_id, a.school_id, b.school_id AS other, a.school_year,
                greatest(a.entry_date, b.entry_date) AS first,
                least(a.exit_date, b.exit_date) AS last
            FROM typed_enrollments a JOIN typed_enrollments b
                ON a.student_id = b.student_id AND a.school_year = b.school_year
            WHERE a.school_id <> b.school_id
                AND a.entry_date <= b.exit_date AND b.entry_date <= a.exit_date
                AND (b.entry_date, b.exit_date, b.school_id)
                    > (a.entry_date, a.exit_date, a.school_id)
        ) o
        JOIN recorded r ON r.student_id = o.student_id AND r.school_id = o.school_id
            AND r.date BETWEEN o.first AND o.last
        JOIN calendar own ON own.school_id = o.school_id AND own.date = r.date
            AND own.instructional AND own.school_year = o.school_year
        JOIN calendar c ON c.school_id = o.other AND c.date = r.date AND c.instructional
            AND c.school_year = o.school_year
        ANTI JOIN not_counted n ON n._line = r._line
    """)
