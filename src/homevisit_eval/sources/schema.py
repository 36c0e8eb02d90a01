"""The data dictionary: every table and column that a district can deliver.

References
----------
Element names in `Column.ceds` are those of the Common Education Data Standards (CEDS), U.S.
Department of Education, https://ceds.ed.gov, as published in its Integrated Data Store.
"""

from __future__ import annotations

from homevisit_eval.sources.columns import TableSchema
from homevisit_eval.sources.program_tables import (
    CALENDAR,
    ROSTERS,
    SCHOOLS,
    STAFF,
    SURVEYS,
    VISITS,
)
from homevisit_eval.sources.student_tables import (
    ABSENCES,
    ASSESSMENTS,
    CHARACTERISTICS,
    DAILY_ATTENDANCE,
    ENROLLMENTS,
    INCIDENTS,
    STUDENTS,
)

__all__ = ["ATTENDANCE_TABLES", "SCHEMAS", "schema_of"]

ATTENDANCE_TABLES = ("absences", "daily_attendance")
SCHEMAS: tuple[TableSchema, ...] = (
    SCHOOLS,
    CALENDAR,
    STUDENTS,
    ENROLLMENTS,
    CHARACTERISTICS,
    ABSENCES,
    DAILY_ATTENDANCE,
    INCIDENTS,
    ASSESSMENTS,
    VISITS,
    STAFF,
    ROSTERS,
    SURVEYS,
)


def schema_of(name: str) -> TableSchema:
    """Return the schema of table `name`.

    Raises
    ------
    KeyError
        If there is no such table.
    """
    for schema in SCHEMAS:
        if schema.name == name:
            return schema
    raise KeyError(name)
