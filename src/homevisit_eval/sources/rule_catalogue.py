"""Every rule that the raw tables are checked against: its name, what it means, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

__all__ = ["RULES", "Rule"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the data dictionary.

    Parameters
    ----------
    severity
        ``"error"`` or ``"decision"``.
    title
        What breaks the rule, as a noun phrase; ``{column}`` stands for the name of the column.
    unit
        What is counted, in the singular; empty if the count says nothing.
    advice
        What to do about an error; what was done by a decision.
    """

    severity: Literal["error", "decision"]
    title: str
    unit: str
    advice: str

    def describe(self, column: str) -> str:
        """Return what breaks the rule in a column; the column may be empty."""
        if "{column}" in self.title:
            return self.title.format(column=column)
        return f"{self.title} in {column}" if column else self.title


def _error(title: str, unit: str, advice: str) -> Rule:
    return Rule("error", title, unit, advice)


def _decision(title: str, unit: str, advice: str) -> Rule:
    return Rule("decision", title, unit, advice)


_FOLDER_AND_FILES = {
    "missing_folder": _error(
        "no such folder", "", "Give the path of the folder that holds the district's files."
    ),
    "missing_file": _error(
        "required file missing", "", "Add it as CSV or Parquet; see the data dictionary."
    ),
    "both_formats": _error(
        "the table is there more than once", "file", "Keep one file for the table."
    ),
    "both_attendance_files": _error(
        "both absences and daily_attendance are there",
        "",
        "Keep the one that is complete: both would count a day twice.",
    ),
    "unknown_file": _decision(
        "not a table of the data dictionary",
        "CSV or Parquet file",
        "Not read. Rename a file if it should be.",
    ),
    "unreadable": _error(
        "the file cannot be read",
        "",
        "Check that it is complete, not open in another program, and not locked; deliver it again.",
    ),
    "empty_file": _error("the file is empty", "", "Deliver it again, or remove an optional file."),
    "no_rows": _error(
        "the file has a header and no rows",
        "",
        "Deliver it again, or remove an optional file.",
    ),
    "encoding": _error("the text encoding cannot be decided", "", "Save the file as CSV UTF-8."),
    "decoded": _decision(
        "not plain UTF-8", "", "Read with the encoding that its bytes show; names keep accents."
    ),
    "delimiter": _decision(
        "fields are not separated by commas", "", "Read with the separator that the header shows."
    ),
    "district_file": _error(
        "district.toml cannot be used",
        "",
        "It must be valid TOML in UTF-8 with format = 1, a name, and synthetic = true or false.",
    ),
}

_LINES_AND_COLUMNS = {
    "missing_column": _error(
        "missing column {column}", "", "Add the column, or correct its spelling in the header line."
    ),
    "duplicate_column": _error(
        "column {column} there more than once", "header", "Keep one column of the name."
    ),
    "wrong_column_type": _error(
        "type of column {column} that cannot be used",
        "",
        "Save the column as text, or as its kind.",
    ),
    "extra_column": _decision(
        "not in the data dictionary", "column", "Not read. Correct a header if it should be."
    ),
    "absent_column": _decision(
        "optional column {column} not delivered", "", "Taken as empty in all rows."
    ),
    "header_spelling": _decision(
        "header of {column} in other case or with spaces",
        "column",
        "Read as the column of the data dictionary.",
    ),
    "short_line": _error(
        "too few fields", "line", "Check for a broken line; every line needs all separators."
    ),
    "long_line": _error(
        "too many fields", "line", "Check for a separator inside a text that is not in quotes."
    ),
    "stray_quote": _error(
        "quotation mark out of place",
        "line",
        "Double it inside a quoted text, or remove it from identifiers and codes.",
    ),
    "blank_line": _decision("blank lines", "line", "Left out: they hold nothing."),
}

_VALUES = {
    "missing_value": _error("empty cell", "row", "Fill it in, or remove the row."),
    "wrong_type": _error(
        "cell that cannot be read as its kind", "row", "Correct it; leave it empty only if allowed."
    ),
    "impossible_date": _error("a date that does not exist", "row", "Correct the date."),
    "month_first_dates": _decision(
        "dates written month/day/year", "row", "Read as month/day/year, as the whole column is."
    ),
    "decimal_comma": _decision("numbers with a decimal comma", "row", "Read as decimal numbers."),
    "unknown_code": _error("code that is not allowed", "row", "Use a code of the data dictionary."),
    "code_spelling": _decision(
        "code in another spelling", "row", "Read as the code of the data dictionary."
    ),
    "trimmed": _decision("spaces around a value", "row", "Removed."),
    "out_of_range": _error(
        "number outside its limits", "row", "Correct the number; see the data dictionary."
    ),
    "score_range": _error(
        "parcc score outside 650 to 850", "row", "Deliver the scale score, or instrument other."
    ),
    "fraction_missing": _error(
        "partial absence without its part of the day", "row", "Fill in fraction, from 0 to 1."
    ),
}

_TABLES = {
    "duplicate_key": _error(
        "rows with the same key ({column})", "row", "Keep one row of each key, or correct the key."
    ),
    "unknown_student": _error(
        "{column} that is not in students", "row", "Add the student there, or remove the row."
    ),
    "unknown_school": _error(
        "{column} that is not in schools",
        "row",
        "Add it there, or correct the row.",
    ),
    "unknown_staff": _error(
        "{column} that is not in staff", "row", "Add them there, or correct the row."
    ),
    "no_calendar": _error(
        "school and school year with enrollments and no instructional day in calendar",
        "row",
        "Add the school's days to calendar, or rows for all schools of that year.",
    ),
    "date_outside_school_year": _error(
        "date outside July 1 to August 31 around the school year of the row",
        "row",
        "Correct the date or school_year (2015 is 2014-15); give one row a school year.",
    ),
    "several_count_dates": _error(
        "more than one count date in a school and school year", "row", "Mark one day."
    ),
    "school_years_overlap": _error(
        "instructional day of one school year inside the next one",
        "row",
        "Correct school_year or the dates of the calendar.",
    ),
    "born_after_entry": _error(
        "born after entering school", "row", "Correct birth_date, or entry_date in enrollments."
    ),
    "exit_before_entry": _error(
        "exit before entry", "row", "Correct the dates; exit_date is the last day, included."
    ),
    "overlapping_spells": _error(
        "overlapping spells at one school in one year",
        "row",
        "Merge them, or correct the dates; exit_date is the last day, included.",
    ),
    "overlapping_schools": _decision(
        "overlapping spells at different schools",
        "row",
        "A day counts once, for the spell that began last (on the same day: that ends last, then "
        "the last school_id in order).",
    ),
    "no_instructional_day": _decision(
        "spell without an instructional day", "row", "Kept; it adds no enrolled day."
    ),
    "present_days": _decision("day present", "row", "Not handed on: it is not an absence."),
    "tardy_fraction": _decision(
        "tardy with a part of the day", "row", "Fraction set to 0: a tardy is not an absence."
    ),
    "not_instructional": _decision(
        "record on a day that is not instructional at the school",
        "row",
        "Not counted: left out of the absences handed on.",
    ),
    "outside_enrollment": _decision(
        "record of a student not enrolled at the school that day",
        "row",
        "Not counted: left out of the absences handed on.",
    ),
    "other_school_counts": _decision(
        "record at a school where the day does not count, because of overlapping spells",
        "row",
        "Not counted: left out of the absences handed on.",
    ),
    "fractions_over_day": _error(
        "absences of a student that add up to more than one day on a date",
        "row",
        "Keep one record of the day, or correct fraction.",
    ),
    "outside_school_years": _decision(
        "date before or after the school years of calendar",
        "row",
        "Handed on; it belongs to no school year and is not counted.",
    ),
}

RULES: Mapping[str, Rule] = MappingProxyType(
    _FOLDER_AND_FILES | _LINES_AND_COLUMNS | _VALUES | _TABLES
)
