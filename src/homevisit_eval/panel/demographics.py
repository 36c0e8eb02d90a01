"""Who a student is: sex, race/ethnicity, household, age, and the status flags of the year."""

from __future__ import annotations

import narwhals as nw

from homevisit_eval.panel.engine import Frame
from homevisit_eval.panel.expressions import years_between, zero_one

__all__ = ["STATUS_FLAGS", "demographic_measures"]

STATUS_FLAGS = (
    "at_risk",
    "english_learner",
    "disability",
    "homeless",
    "economically_disadvantaged",
)
AGE_IN_KINDERGARTEN = 5.5


def demographic_measures(years: Frame, students: Frame, characteristics: Frame) -> Frame:
    """Add ``sex, race_ethnicity, household_id``, age, age for grade and the status flags.

    Age is in years on 30 September of the school year's fall. Age for grade is that age minus
    the middle of the usual year (5.5 in kindergarten, 6.5 in grade 1). Flags are 0/1, and
    missing for a student-year without a row in `characteristics` or without that value.
    """
    names = students.collect_schema().names()
    household = nw.col("household_id") if "household_id" in names else nw.lit(None)
    persons = students.select(
        "student_id",
        "birth_date",
        "sex",
        "race_ethnicity",
        household_id=household.cast(nw.String),
    )
    known = characteristics.collect_schema().names()
    flags = {
        name: zero_one(nw.col(name)) if name in known else nw.lit(None).cast(nw.Int64)
        for name in STATUS_FLAGS
    }
    status = characteristics.select("student_id", "school_year", **flags)
    fall = (nw.col("school_year") - 1).cast(nw.String)
    reference = nw.concat_str([fall, nw.lit("-09-30")]).str.to_date("%Y-%m-%d")
    return (
        years.join(persons, on="student_id", how="left")
        .join(status, on=["student_id", "school_year"], how="left")
        .with_columns(age=years_between(nw.col("birth_date"), reference))
        .with_columns(age_for_grade=nw.col("age") - (nw.col("grade") + AGE_IN_KINDERGARTEN))
        .drop("birth_date")
    )
