"""How many records went into the panel, how many were used, and why the others were not."""

from __future__ import annotations

from dataclasses import dataclass

import narwhals as nw

from homevisit_eval.panel.engine import Frame, count_rows, sum_column

__all__ = [
    "PanelCount",
    "count_absences",
    "count_incidents",
    "count_persons",
    "count_scores",
    "count_student_years",
    "count_surveys",
    "count_visits",
]

STUDENT_YEAR = ["student_id", "school_year"]


@dataclass(frozen=True, slots=True)
class PanelCount:
    """One step from records to the panel, with how many came in and how many were used.

    Steps of the same source follow each other: what one step uses is what the next is given.

    Parameters
    ----------
    source
        The raw table.
    rows_in, rows_used
        Rows before and after the step.
    note
        What the rows used are, and why the others are not.
    """

    source: str
    rows_in: int
    rows_used: int
    note: str


def count_student_years(spells: Frame, enrolled: Frame, students: Frame) -> tuple[PanelCount, ...]:
    """Return what became of the enrollment spells."""
    at_school = [*STUDENT_YEAR, "school_id"]
    attending = spells.join(enrolled.select(*at_school), on=at_school, how="semi")
    return (
        PanelCount(
            "enrollments",
            count_rows(spells),
            count_rows(attending),
            "spells at a school where the student has an enrolled instructional day that year; "
            "the others add no day",
        ),
        PanelCount(
            "enrollments",
            count_rows(spells.select(*STUDENT_YEAR).unique()),
            count_rows(students),
            "distinct student-years, each one row of the panel",
        ),
    )


def count_persons(persons: Frame, status: Frame, students: Frame) -> tuple[PanelCount, ...]:
    """Return what became of the students and of their characteristics."""
    return (
        PanelCount(
            "students",
            count_rows(persons),
            count_rows(persons.join(students, on="student_id", how="semi")),
            "students enrolled in some year; the others are in no row of the panel",
        ),
        PanelCount(
            "characteristics",
            count_rows(status),
            count_rows(status.join(students, on=STUDENT_YEAR, how="semi")),
            "status of an enrolled student-year; the others are in no row of the panel",
        ),
    )


def count_absences(absences: Frame, dated: Frame, days: Frame) -> tuple[PanelCount, ...]:
    """Return what became of the absence records."""
    delivered, on_school_days = count_rows(absences), count_rows(dated)
    used = sum_column(days, "records")
    return (
        PanelCount(
            "absences",
            delivered,
            on_school_days,
            "records on an instructional day of their school; on other days nobody is absent",
        ),
        PanelCount(
            "absences",
            on_school_days,
            used,
            "records of a student enrolled at that school on that day; the others are not counted",
        ),
        PanelCount(
            "absences", used, count_rows(days), "days of students; records of one day are one day"
        ),
    )


def count_incidents(
    incidents: Frame, taken_part: Frame, held: Frame, used: Frame
) -> tuple[PanelCount, ...]:
    """Return what became of the incident records."""
    delivered, part, enrolled = count_rows(incidents), count_rows(taken_part), count_rows(held)
    return (
        PanelCount(
            "incidents",
            delivered,
            part,
            "records of students who took part; victims and witnesses are not counted",
        ),
        PanelCount(
            "incidents", part, enrolled, "records dated within an enrollment spell of the student"
        ),
        PanelCount(
            "incidents",
            enrolled,
            count_rows(used),
            "records on or after the first instructional day; earlier ones may precede a visit",
        ),
    )


def count_scores(
    assessments: Frame, standardized: Frame, chosen: Frame, students: Frame
) -> tuple[PanelCount, ...]:
    """Return what became of the test scores."""
    scored = count_rows(assessments.filter(~nw.col("scale_score").is_null()))
    comparable, one = count_rows(standardized), count_rows(chosen)
    used = count_rows(chosen.join(students, on=STUDENT_YEAR, how="semi"))
    return (
        PanelCount("assessments", count_rows(assessments), scored, "rows with a scale score"),
        PanelCount(
            "assessments",
            scored,
            comparable,
            "scores of an instrument, subject, grade and year with at least two tested students "
            "and unequal scores; the others cannot be standardized",
        ),
        PanelCount(
            "assessments",
            comparable,
            one,
            "one score per student, subject and year: of the test that most students took",
        ),
        PanelCount("assessments", one, used, "scores of a student enrolled in that year"),
    )


def count_surveys(
    surveys: Frame, answered: Frame, standardized: Frame, chosen: Frame, students: Frame
) -> tuple[PanelCount, ...]:
    """Return what became of the survey answers."""
    delivered = count_rows(surveys)
    given = count_rows(surveys.filter(~nw.col("response").is_null()))
    kept = sum_column(answered, "answered")
    scales, comparable = count_rows(answered), count_rows(standardized)
    named = count_rows(standardized.filter(~nw.col("student_id").is_null()))
    one = count_rows(chosen)
    used = count_rows(chosen.join(students, on=STUDENT_YEAR, how="semi"))
    return (
        PanelCount("surveys", delivered, given, "answers; an item left out has none"),
        PanelCount(
            "surveys", given, kept, "answers to a scale of which at least half was answered"
        ),
        PanelCount("surveys", kept, scales, "scale scores, one a respondent and scale"),
        PanelCount(
            "surveys",
            scales,
            comparable,
            "scores of a scale and year with at least two respondents and unequal scores; the "
            "others cannot be standardized",
        ),
        PanelCount(
            "surveys",
            comparable,
            named,
            "scores that name one student; the others count for the mean and the SD only",
        ),
        PanelCount(
            "surveys", named, one, "scores of a student, scale and year: means of respondents"
        ),
        PanelCount("surveys", one, used, "scores of a student enrolled in that year"),
    )


def count_visits(visits: Frame, dated: Frame, students: Frame) -> tuple[PanelCount, ...]:
    """Return what became of the visits."""
    done = dated.filter(nw.col("completed") == 1)
    delivered, completed = count_rows(visits), count_rows(done)
    return (
        PanelCount("visits", delivered, completed, "completed visits; the others are kept apart"),
        PanelCount(
            "visits",
            completed,
            count_rows(done.join(students, on=STUDENT_YEAR, how="semi")),
            "completed visits of a student enrolled in the school year that the visit belongs to",
        ),
    )
