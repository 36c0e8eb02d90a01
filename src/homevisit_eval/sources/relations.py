"""Rules between rows and between tables: keys are unique, references are found."""

from __future__ import annotations

from homevisit_eval.sources.columns import Reference, TableSchema
from homevisit_eval.sources.engine import Engine, column_list, quoted
from homevisit_eval.sources.problems import Problem

__all__ = ["duplicate_keys", "unknown_references"]

UNKNOWN = {"students": "unknown_student", "schools": "unknown_school", "staff": "unknown_staff"}


def duplicate_keys(engine: Engine, file: str, schema: TableSchema) -> list[Problem]:
    """Count the rows of ``typed_NAME`` that share their key with another row.

    Rows with an empty cell in their key are not compared (but an empty school of the calendar
    means all schools). Equal hashes are found first, then compared exactly: a table of millions
    of rows needs only their hashes in memory.
    """
    typed = quoted(f"typed_{schema.name}")
    parts = [
        f"coalesce({quoted(name)}, '')" if schema.column(name).nullable else quoted(name)
        for name in schema.key
    ]
    filled = " AND ".join(f"{part} IS NOT NULL" for part in parts)
    mark = f"hash({', '.join(parts)})"
    ((hashes,),) = engine.rows(
        f"CREATE OR REPLACE TEMP TABLE equal_hashes AS SELECT {mark} AS mark FROM {typed} "
        f"WHERE {filled} GROUP BY mark HAVING count(*) > 1"
    )
    if hashes == 0:
        return []
    groups = ", ".join(parts)
    query = (
        f"SELECT unnest(lines) AS _line FROM (SELECT list(_line) AS lines FROM {typed} "
        f"WHERE {filled} AND {mark} IN (SELECT mark FROM equal_hashes) "
        f"GROUP BY {groups} HAVING count(*) > 1)"
    )
    return engine.lines_problem(file, "duplicate_key", query, ", ".join(schema.key))


def unknown_references(
    engine: Engine, file: str, schema: TableSchema, reference: Reference
) -> list[Problem]:
    """Count the rows of ``typed_NAME`` that refer to something that is not there."""
    typed, target = quoted(f"typed_{schema.name}"), quoted(f"typed_{reference.target}")
    pairs = zip(reference.columns, reference.target_columns, strict=True)
    equal = " AND ".join(f"t.{quoted(ours)} = o.{quoted(theirs)}" for ours, theirs in pairs)
    filled = " AND ".join(f"t.{quoted(name)} IS NOT NULL" for name in reference.columns)
    query = (
        f"SELECT t._line FROM {typed} t ANTI JOIN "
        f"(SELECT DISTINCT {column_list(reference.target_columns)} FROM {target}) o ON {equal} "
        f"WHERE {filled}"
    )
    return engine.lines_problem(
        file, UNKNOWN[reference.target], query, ", ".join(reference.columns)
    )
