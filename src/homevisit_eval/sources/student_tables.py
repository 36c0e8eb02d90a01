"""The data dictionary of students: enrollment, attendance, incidents, tests."""

from __future__ import annotations

from homevisit_eval.sources.columns import Column, TableSchema
from homevisit_eval.sources.repeated_columns import (
    CATEGORIES,
    SCHOOL,
    SCHOOL_YEAR,
    STUDENT,
    fraction,
    grade,
    school,
    student,
    year,
    yes_no,
)

__all__ = [
    "ABSENCES",
    "ASSESSMENTS",
    "CHARACTERISTICS",
    "DAILY_ATTENDANCE",
    "ENROLLMENTS",
    "INCIDENTS",
    "STUDENTS",
]

STUDENTS = TableSchema(
    "students",
    "One row a student.",
    required=True,
    columns=(
        student(),
        Column("birth_date", "date", "Date of birth.", unit="date", ceds="Birthdate (000033)"),
        Column("sex", "code", "Sex.", allowed=("female", "male", "x"), ceds="Sex (000255)"),
        Column(
            "race_ethnicity",
            "code",
            "Race and ethnicity in one code, as the district reports it.",
            allowed=(
                "american_indian",
                "asian",
                "black",
                "hispanic",
                "pacific_islander",
                "white",
                "two_or_more",
            ),
            ceds="Race",
        ),
        Column(
            "household_id",
            "identifier",
            "The household; students who share it are siblings for the study.",
            required=False,
            nullable=True,
        ),
    ),
    key=("student_id",),
    rules=("born_after_entry",),
)

ENROLLMENTS = TableSchema(
    "enrollments",
    "One row a spell of a student at a school within a school year; there may be several.",
    required=True,
    columns=(
        student(),
        school(),
        year(),
        grade("Entry Grade Level (000100)"),
        Column("entry_date", "date", "First day of the spell.", unit="date"),
        Column(
            "exit_date",
            "date",
            "Last day of the spell, included; empty if enrolled to the end of the year.",
            unit="date",
            nullable=True,
        ),
    ),
    key=("student_id", "school_id", "school_year", "entry_date"),
    references=(STUDENT, SCHOOL_YEAR),
    rules=(
        "exit_before_entry",
        "date_outside_school_year",
        "overlapping_spells",
        "overlapping_schools",
        "no_instructional_day",
    ),
)

CHARACTERISTICS = TableSchema(
    "characteristics",
    "One row a student and school year.",
    required=True,
    columns=(
        student(),
        year(),
        yes_no(
            "at_risk",
            "At risk by the district's definition, or economically disadvantaged where that is all "
            "that is recorded.",
            ceds="Economic Disadvantage Status",
        ),
        yes_no("english_learner", "English learner.", ceds="English Learner Status"),
        yes_no("disability", "Student with a disability (IDEA).", ceds="IDEA Indicator"),
        yes_no("homeless", "Homeless.", nullable=True, ceds="Homelessness Status (000149)"),
        Column(
            "economically_disadvantaged",
            "boolean",
            "Economically disadvantaged, where at_risk is something else; it is carried along.",
            required=False,
            nullable=True,
            descriptive=True,
            ceds="Economic Disadvantage Status",
        ),
    ),
    key=("student_id", "school_year"),
    references=(STUDENT,),
)

ABSENCES = TableSchema(
    "absences",
    "One row an absence or tardy of a student on a day: negative attendance. Deliver this file or "
    "daily_attendance, not both.",
    required=False,
    columns=(
        student(),
        school(),
        Column("date", "date", "The day.", unit="date", ceds="Attendance Event Date (001649)"),
        Column(
            "category",
            "code",
            "What was recorded.",
            allowed=CATEGORIES,
            ceds="Attendance Status (000076)",
        ),
        fraction(),
    ),
    key=("student_id", "school_id", "date", "category"),
    references=(STUDENT, SCHOOL),
    rules=(
        "fraction_missing",
        "tardy_fraction",
        "not_instructional",
        "outside_enrollment",
        "other_school_counts",
        "fractions_over_day",
    ),
)

DAILY_ATTENDANCE = TableSchema(
    "daily_attendance",
    "One row a student and school day, present or not. Deliver this file or absences, not both.",
    required=False,
    columns=(
        student(),
        school(),
        Column("date", "date", "The day.", unit="date", ceds="Attendance Event Date (001649)"),
        Column(
            "status",
            "code",
            "What was recorded.",
            allowed=("present", *CATEGORIES),
            ceds="Attendance Status (000076)",
        ),
        fraction(),
    ),
    key=("student_id", "school_id", "date"),
    references=(STUDENT, SCHOOL),
    rules=("present_days", *ABSENCES.rules),
)

INCIDENTS = TableSchema(
    "incidents",
    "One row a student who was involved in a disciplinary incident.",
    required=False,
    columns=(
        Column("incident_id", "identifier", "The incident.", ceds="Incident Identifier (000501)"),
        student(),
        school(),
        Column("date", "date", "The day.", unit="date", ceds="Incident Date (000502)"),
        Column(
            "behavior",
            "code",
            "What happened.",
            allowed=(
                "disruption",
                "disrespect",
                "fighting",
                "theft",
                "vandalism",
                "bullying",
                "truancy",
                "assault",
                "weapon",
                "drugs",
                "arson",
                "sexual_misconduct",
                "other",
            ),
            ceds="Incident Behavior (000509)",
        ),
        Column(
            "role",
            "code",
            "The part of this student.",
            allowed=("perpetrator", "victim", "witness"),
            ceds="Incident Person Role Type (001373)",
        ),
        Column(
            "action",
            "code",
            "What was decided for this student.",
            allowed=("none", "in_school_suspension", "out_of_school_suspension", "other"),
            ceds="Disciplinary Action Taken (000488)",
        ),
        Column(
            "days",
            "number",
            "Length of the action.",
            unit="school days",
            minimum=0,
            maximum=180,
            ceds="Duration of Disciplinary Action (000511)",
        ),
    ),
    key=("incident_id", "student_id"),
    references=(STUDENT, SCHOOL),
    rules=("outside_school_years",),
)

ASSESSMENTS = TableSchema(
    "assessments",
    "One row a test result of a student, of all tested students of the district.",
    required=False,
    columns=(
        student(),
        year(),
        Column("instrument", "code", "The test.", allowed=("dc_cas", "parcc", "other")),
        Column(
            "subject",
            "code",
            "The subject.",
            allowed=("math", "reading"),
            ceds="Assessment Academic Subject (000021)",
        ),
        grade("Grade Level When Assessed (000126)"),
        Column(
            "scale_score",
            "number",
            "The scale score; 650 to 850 in parcc.",
            unit="points",
            ceds="Assessment Result Score Value (000245)",
        ),
        Column(
            "performance_level",
            "integer",
            "The performance level.",
            required=False,
            nullable=True,
            minimum=0,
            maximum=10,
        ),
    ),
    key=("student_id", "school_year", "instrument", "subject", "grade"),
    references=(STUDENT,),
    rules=("score_range",),
)
