"""Columns and references that several tables of the data dictionary have."""

from __future__ import annotations

from homevisit_eval.sources.columns import Column, Reference

__all__ = [
    "CATEGORIES",
    "GRADES",
    "SCHOOL",
    "SCHOOL_YEAR",
    "STUDENT",
    "fraction",
    "grade",
    "school",
    "student",
    "year",
    "yes_no",
]

GRADES: tuple[str, ...] = ("PK", "KG", *(f"{grade:02d}" for grade in range(1, 13)))
GRADE_SYNONYMS = {
    **{str(grade): f"{grade:02d}" for grade in range(1, 10)},
    "K": "KG",
    "PS": "PK",
    "PK3": "PK",
    "PK4": "PK",
}
CATEGORIES = ("excused", "unexcused", "tardy", "partial")

STUDENT = Reference(("student_id",), "students", ("student_id",))
SCHOOL_YEAR = Reference(("school_id", "school_year"), "schools", ("school_id", "school_year"))
SCHOOL = Reference(("school_id",), "schools", ("school_id",))


def student() -> Column:
    """Return the column that names the student."""
    return Column(
        "student_id",
        "identifier",
        "The student, the same in every file.",
        ceds="Student Identifier",
    )


def school(nullable: bool = False, description: str = "The school.") -> Column:
    """Return the column that names the school."""
    return Column("school_id", "identifier", description, required=not nullable, nullable=nullable)


def year() -> Column:
    """Return the column of the school year."""
    return Column(
        "school_year",
        "integer",
        "The school year, named by its spring: 2015 is 2014-15.",
        unit="year",
        minimum=1990,
        maximum=2100,
        ceds="School Year",
    )


def yes_no(name: str, description: str, nullable: bool = False, ceds: str = "") -> Column:
    """Return a column of 1 and 0."""
    return Column(name, "boolean", description, required=not nullable, nullable=nullable, ceds=ceds)


def grade(ceds: str) -> Column:
    """Return the column of the grade, aligned with CEDS element `ceds`."""
    return Column(
        "grade",
        "grade",
        "The grade: PK, KG, 01 to 12.",
        allowed=GRADES,
        synonyms=GRADE_SYNONYMS,
        ceds=ceds,
    )


def fraction() -> Column:
    """Return the column of the missed part of a day."""
    return Column(
        "fraction",
        "number",
        "Part of the school day that was missed. Empty means 1 for excused and unexcused, 0 for "
        "tardy; a partial absence must have it.",
        unit="of a day",
        required=False,
        nullable=True,
        minimum=0,
        maximum=1,
        ceds="Attendance Event Duration Day (002098)",
    )
