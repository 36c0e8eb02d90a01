"""The data dictionary as a document."""

from __future__ import annotations

from homevisit_eval.sources.columns import Column, TableSchema
from homevisit_eval.sources.rule_catalogue import RULES
from homevisit_eval.sources.schema import SCHEMAS

__all__ = ["data_dictionary"]

INTRODUCTION = """# Data dictionary

A district delivers one folder with one file a table, `NAME.csv` or `NAME.parquet`. A CSV file
starts with a header line. Fields are separated by commas; semicolons and tabs are recognized, as
are UTF-8, UTF-16 with a byte-order mark and Windows-1252. Dates are written 2014-08-25 (a column
that is month/day/year throughout is read so), yes and no as 1 and 0. An empty cell means that the
value is missing. Identifiers are text: leading zeros matter, spaces around them do not. The order
of rows and columns does not matter.

Tables marked *required* must be there, and exactly one of `absences` and `daily_attendance`.
Without the others the study leaves out what needs them, and says so. An optional file
`district.toml` gives the name of the district:

```toml
format = 1
name = "Name of the district"
synthetic = false
```

Where a column is aligned with an element of the Common Education Data Standards
(<https://ceds.ed.gov>), the element is named; a number in parentheses is its global identifier.
"""


def data_dictionary() -> str:
    """Return the data dictionary as Markdown: all tables, columns, codes and rules."""
    parts = [INTRODUCTION, *(_table(schema) for schema in SCHEMAS), _rules()]
    return "\n".join(parts)


def _table(schema: TableSchema) -> str:
    state = "required" if schema.required else "optional"
    if schema.name in ("absences", "daily_attendance"):
        state = "one of the two is required"
    lines = [f"## {schema.name}", "", f"{schema.description} *{state.capitalize()}.*", ""]
    lines.append(f"Key: {_names(schema.key)}.")
    for reference in schema.references:
        lines.append(
            f"{_names(reference.columns)} must be in `{reference.target}`"
            f"{'' if reference.target != 'staff' else ', if that file is delivered'}."
        )
    lines += ["", "| column | kind | empty cells | description | CEDS element |"]
    lines.append("| --- | --- | --- | --- | --- |")
    lines += [_row(column) for column in schema.columns]
    return "\n".join([*lines, ""])


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _row(column: Column) -> str:
    empty = "allowed" if column.nullable else "no"
    if not column.required:
        empty += "; column may be missing"
    return (
        f"| `{column.name}` | {column.kind}{_unit(column)} | {empty} "
        f"| {column.description}{_values(column)} | {column.ceds} |"
    )


def _unit(column: Column) -> str:
    return f", {column.unit}" if column.unit and column.kind != "date" else ""


def _values(column: Column) -> str:
    text = ""
    if column.kind == "code":
        text += f" Codes: {_names(column.allowed)}."
    if column.synonyms:
        pairs = ", ".join(f"`{other}` as `{code}`" for other, code in column.synonyms.items())
        text += f" Also read: {pairs}."
    if column.minimum is not None and column.maximum is not None:
        text += f" From {column.minimum:g} to {column.maximum:g}."
    elif column.minimum is not None:
        text += f" At least {column.minimum:g}."
    return text


def _rules() -> str:
    lines = [
        "## Rules",
        "",
        "An *error* must be corrected before the study can run. A *decision* is made by the "
        "program, counted, and printed in the report.",
        "",
        "| rule | kind | what | what to do, or what was done |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| `{name}` | {rule.severity} | {rule.title.format(column='...')} | {rule.advice} |"
        for name, rule in RULES.items()
    ]
    return "\n".join([*lines, ""])
