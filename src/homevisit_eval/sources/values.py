"""Cells to values: text from a file is read as dates, numbers, codes, and checked."""

from __future__ import annotations

from homevisit_eval.sources.columns import Column, TableSchema
from homevisit_eval.sources.engine import Check, Engine, column_list, literal, quoted
from homevisit_eval.sources.normal_form import doubtful_columns
from homevisit_eval.sources.normal_form import normal_value as _normal
from homevisit_eval.sources.problems import Problem
from homevisit_eval.sources.row_rules import row_checks

__all__ = ["type_table"]

SPACES = "' ' || chr(9) || chr(10) || chr(13) || chr(160)"
MONTH_FIRST = "'^[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}$'"
MIDNIGHT = "'.{10}[T ]00:00(:00)?([.]0*)?([+]00)?'"
YES = ("1", "true", "yes", "y", "t", "1.0")
NO = ("0", "false", "no", "n", "f", "0.0")
FREE_TEXT = ("text",)


def type_table(
    engine: Engine, file: str, schema: TableSchema, *, decimal_comma: bool, quotes: bool
) -> list[Problem]:
    """Make table ``typed_NAME`` from the text table ``raw_NAME`` and return the problems.

    Parameters
    ----------
    engine
        Holds ``raw_NAME``: ``_line`` and a text column for every column of the schema.
    file
        Name for the problems.
    schema
        The data dictionary of the table.
    decimal_comma
        Whether 0,5 is a number: in files separated by semicolons.
    quotes
        Whether the file has quotation marks, which may then be out of place.

    Notes
    -----
    A cell that cannot be read, or is out of range, is empty in ``typed_NAME``, so that one fault
    is reported once. Rows without any content are left out and counted.

    All cells are first read in their normal form, which is fast. Only columns with a cell that is
    not in normal form are read again with all the forms that are accepted, and checked in detail.
    """
    raw, typed = quoted(f"raw_{schema.name}"), quoted(f"typed_{schema.name}")
    engine.run(f"CREATE TABLE {typed} AS SELECT _line, {_normal_values(schema)} FROM {raw}")
    doubtful = doubtful_columns(engine, schema, quotes=quotes)
    if not doubtful:
        texts = ", ".join(f"{quoted(name)} AS {quoted(name + '_text')}" for name in schema.names)
        return engine.problems(file, f"(SELECT *, {texts} FROM {typed})", row_checks(schema))
    month_first = {
        column.name
        for column in schema.columns
        if column.kind == "date"
        and column.name in doubtful
        and _is_month_first(engine, raw, column)
    }
    cells = f"(SELECT *, {_all_empty(schema)} AS _blank FROM ({_trimmed(raw, schema, doubtful)}))"
    values = ", ".join(
        f"{_value(column, column.name in month_first, decimal_comma)} AS {quoted(column.name)}"
        if column.name in doubtful
        else f"{_normal(column, quoted(column.name + '_text'))} AS {quoted(column.name)}"
        for column in schema.columns
    )
    source = f"(SELECT _line, _blank, COLUMNS('.*_(raw|text)$'), {values} FROM {cells})"
    checks = [Check("blank_line", "", "_blank")]
    for column in schema.columns:
        if column.name in doubtful:
            checks += _checks(column, column.name in month_first, decimal_comma, quotes)
    checks += row_checks(schema)
    problems = engine.problems(file, source, checks)
    engine.run(
        f"CREATE OR REPLACE TABLE {typed} AS SELECT _line, {column_list(schema.names)} "
        f"FROM {source} WHERE NOT _blank"
    )
    return problems


def _normal_values(schema: TableSchema) -> str:
    return ", ".join(
        f"{_normal(column, quoted(column.name))} AS {quoted(column.name)}"
        for column in schema.columns
    )


def _trimmed(raw: str, schema: TableSchema, doubtful: frozenset[str]) -> str:
    cells = ", ".join(
        f"{quoted(name)} AS {quoted(name + '_raw')}, "
        f"nullif(trim({quoted(name)}, {SPACES}), '') AS {quoted(name + '_text')}"
        if name in doubtful
        else f"nullif({quoted(name)}, '') AS {quoted(name + '_text')}"
        for name in schema.names
    )
    return f"SELECT _line, {cells} FROM {raw}"


def _all_empty(schema: TableSchema) -> str:
    return f"coalesce({column_list(tuple(f'{name}_text' for name in schema.names))}) IS NULL"


def _is_month_first(engine: Engine, raw: str, column: Column) -> bool:
    """Whether every date of a column, and there is one, is a valid month/day/year."""
    cell = f"trim({quoted(column.name)}, {SPACES})"
    ((first,),) = engine.rows(
        f"SELECT min({cell}) FROM {raw} WHERE {quoted(column.name)} LIKE '%/%/%'"
    )
    if first is None:
        return False
    ((others,),) = engine.rows(
        f"SELECT count(*) FROM {raw} WHERE {cell} <> '' AND NOT coalesce("
        f"regexp_full_match({cell}, {MONTH_FIRST}) "
        f"AND try_strptime({cell}, '%m/%d/%Y') IS NOT NULL, false)"
    )
    return others == 0


def _plain_code(column: Column) -> str:
    text = quoted(f"{column.name}_text")
    return f"replace(replace(lower({text}), ' ', '_'), '-', '_')"


def _number(column: Column, decimal_comma: bool) -> str:
    text = quoted(f"{column.name}_text")
    if decimal_comma:
        text = f"replace({text}, ',', '.')"
    cast = f"TRY_CAST({text} AS DOUBLE)"
    return f"CASE WHEN isfinite({cast}) THEN {cast} END"


def _parsed(column: Column, month_first: bool, decimal_comma: bool) -> str:
    """Return the SQL expression of a cell's value; NULL if it cannot be read."""
    text = quoted(f"{column.name}_text")
    match column.kind:
        case "identifier" | "text":
            return text
        case "code" | "grade":
            return _code_value(column)
        case "boolean":
            return (
                f"CASE WHEN lower({text}) IN ({_texts(YES)}) THEN true "
                f"WHEN lower({text}) IN ({_texts(NO)}) THEN false END"
            )
        case "integer":
            number = _number(column, decimal_comma)
            return (
                f"CASE WHEN {number} = floor({number}) AND abs({number}) < 1e9 "
                f"THEN CAST({number} AS INTEGER) END"
            )
        case "number":
            return _number(column, decimal_comma)
        case "date":
            return _date(text, month_first)


def _date(text: str, month_first: bool) -> str:
    if month_first:
        return f"CAST(try_strptime({text}, '%m/%d/%Y') AS DATE)"
    return (
        f"TRY_CAST(CASE WHEN {text} LIKE '____-__-__' THEN {text} "
        f"WHEN regexp_full_match({text}, {MIDNIGHT}) THEN left({text}, 10) END AS DATE)"
    )


def _texts(values: tuple[str, ...]) -> str:
    return ", ".join(literal(value) for value in values)


def _code_value(column: Column) -> str:
    spelled = {code.lower(): code for code in column.allowed}
    spelled |= {other.lower(): code for other, code in column.synonyms.items()}
    grades = {code: str(position - 1) for position, code in enumerate(column.allowed)}
    branches = " ".join(
        f"WHEN {literal(spelling)} THEN "
        + (grades[code] if column.kind == "grade" else literal(code))
        for spelling, code in spelled.items()
    )
    return f"CASE {_plain_code(column)} {branches} END"


def _in_range(column: Column) -> str:
    """Return the limits of a number as SQL with the place ``{value}``; empty without limits."""
    limits = []
    if column.minimum is not None:
        limits.append(f"{{value}} >= {column.minimum:g}")
    if column.maximum is not None:
        limits.append(f"{{value}} <= {column.maximum:g}")
    return " AND ".join(limits)


def _value(column: Column, month_first: bool, decimal_comma: bool) -> str:
    value = _parsed(column, month_first, decimal_comma)
    limits = _in_range(column)
    return f"CASE WHEN {limits.format(value=value)} THEN {value} END" if limits else value


def _checks(column: Column, month_first: bool, decimal_comma: bool, quotes: bool) -> list[Check]:
    name = column.name
    text, raw = quoted(f"{name}_text"), quoted(f"{name}_raw")
    value = f"({_parsed(column, month_first, decimal_comma)})"
    unread = f"{text} IS NOT NULL AND {value} IS NULL"
    checks = [Check("trimmed", name, f"{text} IS NOT NULL AND {raw} <> {text}")]
    if not column.nullable:
        checks.append(Check("missing_value", name, f"NOT _blank AND {text} IS NULL"))
    if quotes and column.kind not in FREE_TEXT:
        checks.append(Check("stray_quote", name, f"contains({text}, '\"')"))
        unread += f" AND NOT contains({text}, '\"')"
    match column.kind:
        case "code" | "grade":
            exact = _texts(column.allowed)
            respelled = f"{text} NOT IN ({exact}) AND {value} IS NOT NULL"
            checks.append(Check("unknown_code", name, unread, _allowed(column)))
            checks.append(Check("code_spelling", name, respelled))
        case "date":
            shaped = f"{text} LIKE '____-__-__'"
            checks.append(Check("impossible_date", name, f"{unread} AND {shaped}"))
            checks.append(
                Check("wrong_type", name, f"{unread} AND NOT ({shaped})", "dates are 2014-08-25")
            )
            if month_first:
                checks.append(Check("month_first_dates", name, f"{text} IS NOT NULL"))
        case "boolean":
            checks.append(Check("wrong_type", name, unread, "1 or 0"))
        case "integer" | "number":
            kind = "whole numbers" if column.kind == "integer" else "numbers"
            checks.append(Check("wrong_type", name, unread, kind))
            if limits := _in_range(column):
                outside = f"NOT ({limits.format(value=value)})"
                checks.append(Check("out_of_range", name, outside, _limits(column)))
            if decimal_comma:
                read = f"contains({text}, ',') AND {value} IS NOT NULL"
                checks.append(Check("decimal_comma", name, read))
    return checks


def _allowed(column: Column) -> str:
    return "allowed: " + ", ".join(column.allowed)


def _limits(column: Column) -> str:
    if column.maximum is None:
        return f"{column.minimum:g} or more"
    return f"{column.minimum:g} to {column.maximum:g}"
