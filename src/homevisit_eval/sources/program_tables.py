"""The data dictionary of schools, staff, home visits and surveys."""

from __future__ import annotations

from homevisit_eval.sources.columns import Column, Reference, TableSchema
from homevisit_eval.sources.repeated_columns import (
    SCHOOL_YEAR,
    STUDENT,
    school,
    student,
    year,
    yes_no,
)

__all__ = [
    "CALENDAR",
    "ROSTERS",
    "SCHOOLS",
    "STAFF",
    "SURVEYS",
    "VISITS",
]

SCHOOLS = TableSchema(
    "schools",
    "One row a school and school year.",
    required=True,
    columns=(
        school(),
        year(),
        Column("name", "text", "Name of the school.", ceds="Name of Institution (000191)"),
        Column(
            "school_level",
            "code",
            "Which grades the school serves.",
            allowed=("early", "elementary", "k8", "middle"),
            ceds="School Level (000241)",
        ),
        yes_no("fep", "Takes part in the Family Engagement Partnership that year."),
        yes_no("fec", "Takes part in the Family Engagement Collaborative that year."),
        yes_no("early_childhood", "Takes part in the early childhood home visits that year."),
    ),
    key=("school_id", "school_year"),
    rules=("no_calendar",),
)

CALENDAR = TableSchema(
    "calendar",
    "One row a day on which a school was, or could have been, in session.",
    required=True,
    columns=(
        school(
            nullable=True,
            description="The school; empty for all schools without rows of their own that year.",
        ),
        year(),
        Column("date", "date", "The day.", unit="date", ceds="Calendar Event Date (001275)"),
        yes_no(
            "instructional",
            "Whether it is a day of instruction.",
            ceds="Calendar Event Type (000603)",
        ),
        yes_no("count_date", "Whether enrollment is officially counted on this day."),
    ),
    key=("school_id", "date"),
    references=(SCHOOL_YEAR,),
    rules=("date_outside_school_year", "several_count_dates", "school_years_overlap"),
)

STAFF = TableSchema(
    "staff",
    "One row a member of staff, school and school year.",
    required=False,
    columns=(
        Column("staff_id", "identifier", "The member of staff.", ceds="Staff Member Identifier"),
        school(),
        year(),
        Column(
            "role",
            "code",
            "The work.",
            allowed=("teacher", "aide", "counselor", "administrator", "other"),
            ceds="K12 Staff Classification (000087)",
        ),
        Column(
            "experience_years",
            "number",
            "Years of teaching before this one.",
            unit="years",
            required=False,
            nullable=True,
            minimum=0,
            maximum=70,
            ceds="Years of Prior Teaching Experience (000302)",
        ),
    ),
    key=("staff_id", "school_id", "school_year"),
    references=(SCHOOL_YEAR,),
)

ROSTERS = TableSchema(
    "rosters",
    "One row a student in the class of a member of staff in a school year.",
    required=False,
    columns=(
        student(),
        Column("staff_id", "identifier", "The member of staff.", ceds="Staff Member Identifier"),
        school(),
        year(),
    ),
    key=("student_id", "staff_id", "school_id", "school_year"),
    references=(STUDENT, SCHOOL_YEAR, Reference(("staff_id",), "staff", ("staff_id",))),
)

VISITS = TableSchema(
    "visits",
    "One row a home visit to the family of a student, made or attempted.",
    required=True,
    columns=(
        Column("visit_id", "identifier", "The visit."),
        student(),
        Column("date", "date", "The day of the visit.", unit="date"),
        Column("program", "code", "The program.", allowed=("FEP", "FEC", "EC")),
        Column("mode", "code", "How.", allowed=("in_person", "virtual")),
        yes_no("completed", "Whether the visit took place; 0 is an attempt."),
        Column(
            "staff_id_1",
            "identifier",
            "Who visited.",
            required=False,
            nullable=True,
            ceds="Staff Member Identifier",
        ),
        Column(
            "staff_id_2",
            "identifier",
            "The second visitor.",
            required=False,
            nullable=True,
            ceds="Staff Member Identifier",
        ),
    ),
    key=("visit_id",),
    references=(
        STUDENT,
        Reference(("staff_id_1",), "staff", ("staff_id",)),
        Reference(("staff_id_2",), "staff", ("staff_id",)),
    ),
    rules=("outside_school_years",),
)

SURVEYS = TableSchema(
    "surveys",
    "One row an answer to a question of a family survey.",
    required=False,
    columns=(
        Column("respondent_id", "identifier", "Who answered."),
        Column(
            "student_id",
            "identifier",
            "The student, if the answers can be linked.",
            required=False,
            nullable=True,
            ceds="Student Identifier",
        ),
        year(),
        Column(
            "scale",
            "code",
            "The scale of the question.",
            allowed=("engagement_at_school", "involvement_at_home"),
        ),
        Column("item", "text", "Short name of the question."),
        Column(
            "response", "integer", "The answer.", nullable=True, minimum=1, maximum=5, unit="1-5"
        ),
    ),
    key=("respondent_id", "school_year", "scale", "item"),
    references=(STUDENT,),
)
