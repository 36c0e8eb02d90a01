"""Reading one file into the engine as a table of text, with the line of every row."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import duckdb

from homevisit_eval.sources.bytes_on_disk import (
    FileBytes,
    blank_lines_at_end,
    decode_to,
    examine_bytes,
)
from homevisit_eval.sources.columns import TableSchema
from homevisit_eval.sources.engine import Engine, literal, quoted
from homevisit_eval.sources.header import DELIMITERS, Header, match_columns, read_header
from homevisit_eval.sources.problems import Problem, SourceFile, make_problem
from homevisit_eval.sources.records import SEPARATOR, rewrite_records

__all__ = ["LoadedTable", "load_table"]

ENCODING_NAMES = {"utf-8-sig": "UTF-8 with a mark", "utf-16": "UTF-16", "cp1252": "Windows-1252"}
GLOB_CHARACTERS = "*?[]{}"
NOT_TABULAR = ("[", "STRUCT", "MAP", "UNION", "BLOB")


@dataclass(frozen=True, slots=True)
class LoadedTable:
    """What reading one file gave.

    Parameters
    ----------
    schema
        The table.
    file
        Facts for the record; None if the file could not be read.
    problems
        Of the file, its lines and columns.
    loaded
        Whether ``raw_NAME`` is there: all required columns could be read.
    quotes
        Whether the file may have quotation marks.
    """

    schema: TableSchema
    file: SourceFile | None
    problems: tuple[Problem, ...]
    loaded: bool
    quotes: bool


def load_table(engine: Engine, path: Path, schema: TableSchema) -> LoadedTable:
    """Read a CSV or Parquet file into ``raw_NAME``: ``_line`` and all columns, as text.

    Parameters
    ----------
    engine
        Where the table goes.
    path
        ``NAME.csv`` or ``NAME.parquet``.
    schema
        The data dictionary of the table.
    """
    try:
        facts = examine_bytes(path)
        if facts.size == 0:
            return _failed(schema, path, "empty_file")
        if path.suffix.lower() == ".parquet":
            return _load_parquet(engine, path, schema, facts)
        if facts.encoding:
            return _load_csv(engine, path, schema, facts)
    except OSError:
        return _failed(schema, path, "unreadable")
    except duckdb.InvalidInputException:
        return _failed(schema, path, "unreadable")
    except UnicodeDecodeError:
        pass
    return _failed(schema, path, "encoding")


def _failed(schema: TableSchema, path: Path, rule: str) -> LoadedTable:
    problem = make_problem(path.name, rule)
    return LoadedTable(schema, None, (problem,), loaded=False, quotes=False)


def _load_csv(engine: Engine, path: Path, schema: TableSchema, facts: FileBytes) -> LoadedTable:
    name, text, lines = path.name, path, facts.lines
    problems = []
    if facts.encoding not in ("utf-8", "utf-8-sig") or facts.old_line_ends:
        text = engine.folder / f"{schema.name}.decoded"
        lines = decode_to(path, facts.encoding, text)
    if facts.encoding != "utf-8":
        detail = ENCODING_NAMES[facts.encoding]
        problems.append(make_problem(name, "decoded", detail=detail))
    fields, delimiter = read_header(text, schema)
    header, found = match_columns(name, fields, delimiter, schema)
    problems += found
    if delimiter != ",":
        problems.append(make_problem(name, "delimiter", detail=DELIMITERS[delimiter]))
    loaded = not any(problem.severity == "error" for problem in problems)
    rows = 0
    if loaded:
        broken, rows = _read_csv(engine, text, schema, header, name=name, lines=lines)
        problems += broken
        if rows == 0 and not broken:
            problems.append(make_problem(name, "no_rows"))
    engine.discard(text)
    file = SourceFile(name, facts.sha256, rows, facts.encoding, delimiter)
    return LoadedTable(schema, file, tuple(problems), loaded, facts.quotes)


def _read_csv(
    engine: Engine, path: Path, schema: TableSchema, header: Header, *, name: str, lines: int
) -> tuple[list[Problem], int]:
    """Read with the engine if every record is one line, else record by record."""
    plain = _plain_path(engine, path, schema.name)
    table = quoted(f"rows_{schema.name}")
    fields = tuple(f"c{position}" for position in range(header.width))
    try:
        _run_read_csv(engine, table, plain, fields, delimiter=header.delimiter, quote='"', skip=1)
        rows = _count(engine, table)
        regular = rows == lines - 1 - blank_lines_at_end(path)
    except duckdb.Error:
        rows, regular = 0, False
    problems: list[Problem] = []
    line = "rowid + 2"
    if not regular:
        rewritten = engine.folder / f"{schema.name}.records"
        problems = rewrite_records(name, path, header, rewritten)
        _run_read_csv(
            engine, table, rewritten, ("line", *fields), delimiter=SEPARATOR, quote="", skip=0
        )
        engine.discard(rewritten)
        rows = _count(engine, table)
        line = "CAST(line AS BIGINT)"
    engine.discard(plain)
    columns = ", ".join(
        f"{quoted(f'c{header.positions[column]}') if column in header.positions else 'NULL'}"
        f"::VARCHAR AS {quoted(column)}"
        for column in schema.names
    )
    engine.run(
        f"CREATE VIEW {quoted(f'raw_{schema.name}')} AS SELECT {line} AS _line, {columns} "
        f"FROM {table}"
    )
    return problems, rows


def _run_read_csv(
    engine: Engine,
    table: str,
    path: Path,
    fields: tuple[str, ...],
    *,
    delimiter: str,
    quote: str,
    skip: int,
) -> None:
    columns = ", ".join(f"{literal(field)}: 'VARCHAR'" for field in fields)
    engine.run(
        f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM read_csv($path, delim=$delimiter, "
        f"quote=$quote, escape=$quote, header=false, skip=$skip, auto_detect=false, "
        f"strict_mode=true, null_padding=false, columns={{{columns}}})",
        {"path": str(path), "delimiter": delimiter, "quote": quote, "skip": skip},
    )


def _count(engine: Engine, table: str) -> int:
    ((count,),) = engine.rows(f"SELECT count(*) FROM {table}")
    return count if isinstance(count, int) else 0


def _plain_path(engine: Engine, path: Path, table: str) -> Path:
    """Return a path without characters that the engine takes for a pattern."""
    if not any(character in str(path) for character in GLOB_CHARACTERS):
        return path
    target = engine.folder / f"{table}.delivered{path.suffix.lower()}"
    try:
        target.symlink_to(path.resolve())
    except OSError:
        shutil.copyfile(path, target)
    return target


def _load_parquet(engine: Engine, path: Path, schema: TableSchema, facts: FileBytes) -> LoadedTable:
    name = path.name
    table = quoted(f"rows_{schema.name}")
    plain = _plain_path(engine, path, schema.name)
    try:
        described = engine.rows(
            "DESCRIBE SELECT * FROM read_parquet($path, file_row_number=false)",
            {"path": str(plain)},
        )
        types = [str(row[1]) for row in described]
        header, found = match_columns(name, [str(row[0]) for row in described], "", schema)
        problems = [*found, *_type_problems(name, schema, header, types)]
        loaded = not any(problem.severity == "error" for problem in problems)
        rows = 0
        if loaded:
            cells = _parquet_cells(schema, header, [str(row[0]) for row in described], types)
            engine.run(
                f"CREATE TABLE {table} AS SELECT {cells} FROM read_parquet($path)",
                {"path": str(plain)},
            )
            rows = _count(engine, table)
            engine.run(
                f"CREATE VIEW {quoted(f'raw_{schema.name}')} AS "
                f"SELECT rowid + 1 AS _line, * FROM {table}"
            )
            if rows == 0:
                problems.append(make_problem(name, "no_rows"))
    except duckdb.Error:
        return _failed(schema, path, "unreadable")
    file = SourceFile(name, facts.sha256, rows, "parquet", "")
    return LoadedTable(schema, file, tuple(problems), loaded, quotes=False)


def _type_problems(
    name: str, schema: TableSchema, header: Header, types: list[str]
) -> list[Problem]:
    """Refuse columns that hold no single values, and identifiers stored as decimal numbers."""
    problems = []
    for column, position in header.positions.items():
        kind = types[position]
        if any(mark in kind for mark in NOT_TABULAR):
            detail = "stored as a list or another composed type"
            problems.append(make_problem(name, "wrong_column_type", column=column, detail=detail))
        elif schema.column(column).kind == "identifier" and kind.startswith(
            ("DOUBLE", "FLOAT", "DECIMAL")
        ):
            detail = "identifiers stored as decimal numbers"
            problems.append(make_problem(name, "wrong_column_type", column=column, detail=detail))
    return problems


def _parquet_cells(schema: TableSchema, header: Header, fields: list[str], types: list[str]) -> str:
    """Return each column of the schema as text; a number that is no number counts as empty."""
    cells = []
    for column in schema.names:
        if column not in header.positions:
            cells.append(f"NULL::VARCHAR AS {quoted(column)}")
            continue
        position = header.positions[column]
        source = quoted(fields[position])
        if types[position] in ("DOUBLE", "FLOAT"):
            source = f"CASE WHEN NOT isnan({source}) THEN {source} END"
        cells.append(f"{source}::VARCHAR AS {quoted(column)}")
    return ", ".join(cells)
