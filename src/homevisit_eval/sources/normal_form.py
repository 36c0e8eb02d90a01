"""Cells in their normal form: the one spelling of each value that the data dictionary shows."""

from __future__ import annotations

from homevisit_eval.sources.columns import Column, TableSchema
from homevisit_eval.sources.engine import Engine, literal, quoted

__all__ = ["doubtful_columns", "normal_value"]

SPACE_CODES = (9, 10, 13, 160)


def normal_value(column: Column, text: str) -> str:
    """Return the SQL expression of a cell in normal form; NULL for any other text.

    Parameters
    ----------
    column
        Its kind and codes decide.
    text
        SQL expression of the cell, untrimmed.
    """
    match column.kind:
        case "identifier" | "text":
            return f"nullif({text}, '')"
        case "code":
            codes = ", ".join(literal(code) for code in column.allowed)
            return f"CASE WHEN {text} IN ({codes}) THEN {text} END"
        case "grade":
            branches = " ".join(
                f"WHEN {literal(code)} THEN {number - 1}"
                for number, code in enumerate(column.allowed)
            )
            return f"CASE {text} {branches} END"
        case "boolean":
            return f"CASE {text} WHEN '1' THEN true WHEN '0' THEN false END"
        case "date":
            return (
                f"CASE WHEN strlen({text}) = 10 AND {text} BETWEEN '1' AND '3' "
                f"THEN TRY_CAST({text} AS DATE) END"
            )
        case "integer" | "number":
            return _normal_number(column, text)


def _normal_number(column: Column, text: str) -> str:
    kind = "INTEGER" if column.kind == "integer" else "DOUBLE"
    number = f"TRY_CAST({text} AS {kind})"
    conditions = [
        f"CAST({number} AS VARCHAR) = {text}"
        if column.kind == "integer"
        else f"isfinite({number}) AND NOT ({_spaced(text)})"
    ]
    if column.minimum is not None:
        conditions.append(f"{number} >= {column.minimum:g}")
    if column.maximum is not None:
        conditions.append(f"{number} <= {column.maximum:g}")
    return f"CASE WHEN {' AND '.join(conditions)} THEN {number} END"


def _spaced(text: str) -> str:
    """Return the SQL condition that a text begins or ends with a space of any kind."""
    spaces = ["' '", *(f"chr({code})" for code in SPACE_CODES)]
    return " OR ".join(
        f"{function}({text}, {space})"
        for function in ("starts_with", "ends_with")
        for space in spaces
    )


def doubtful_columns(engine: Engine, schema: TableSchema, *, quotes: bool) -> frozenset[str]:
    """Return the columns with a cell that is not in normal form, or empty where it must not be.

    Parameters
    ----------
    engine
        Holds ``raw_NAME`` (text) and ``typed_NAME`` (normal values).
    schema
        The table.
    quotes
        Whether quotation marks in cells must be looked for.
    """
    raw, typed = quoted(f"raw_{schema.name}"), quoted(f"typed_{schema.name}")
    filled = ", ".join(f"count(nullif({quoted(name)}, ''))" for name in schema.names)
    ((total, *texts),) = engine.rows(f"SELECT count(*), {filled} FROM {raw}")
    read = ", ".join(f"count({quoted(name)})" for name in schema.names)
    ((*values,),) = engine.rows(f"SELECT {read} FROM {typed}")
    odd = _odd_texts(engine, schema, quotes)
    return frozenset(
        column.name
        for column, text, value in zip(schema.columns, texts, values, strict=True)
        if text != value or (text != total and not column.nullable) or column.name in odd
    )


def _odd_texts(engine: Engine, schema: TableSchema, quotes: bool) -> set[str]:
    """Return the identifiers and texts with spaces around them or quotation marks in them."""
    columns = [column for column in schema.columns if column.kind in ("identifier", "text")]
    conditions = []
    for column in columns:
        text = quoted(column.name)
        marks = f" OR contains({text}, '\"')" if quotes and column.kind != "text" else ""
        conditions.append(f"count(*) FILTER (WHERE {_spaced(text)}{marks})")
    if not conditions:
        return set()
    ((*counts,),) = engine.rows(
        f"SELECT {', '.join(conditions)} FROM {quoted(f'typed_{schema.name}')}"
    )
    return {column.name for column, count in zip(columns, counts, strict=True) if count != 0}
