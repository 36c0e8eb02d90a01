"""The DuckDB connection that holds the tables, and its private temporary folder."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import weakref
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from homevisit_eval.sources.problems import Problem, make_problem

__all__ = ["Check", "Engine", "column_list", "literal", "quoted"]

MEMORY_LIMIT = "2GB"


@dataclass(frozen=True, slots=True)
class Engine:
    """An in-memory database, and a folder (mode 0700) for what does not fit.

    Parameters
    ----------
    connection
        The database. The folder is removed when the connection is no longer used, at the latest
        when Python ends.
    folder
        The private folder.
    remove
        Removes the folder at once.
    """

    connection: duckdb.DuckDBPyConnection
    folder: Path = field(repr=False)
    remove: weakref.finalize[..., duckdb.DuckDBPyConnection] = field(repr=False)

    @classmethod
    def start(cls) -> Engine:
        """Open an empty database that reads no file but those that are given to it."""
        folder = Path(tempfile.mkdtemp(prefix="homevisit-eval-"))
        connection = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": MEMORY_LIMIT,
                "temp_directory": str(folder / "spill"),
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            },
        )
        with contextlib.suppress(duckdb.Error):  # notebooks without widgets have no bar to disable
            connection.execute("SET enable_progress_bar = false").fetchall()
        remove = weakref.finalize(connection, shutil.rmtree, str(folder), ignore_errors=True)
        return cls(connection, folder, remove)

    def close(self) -> None:
        """Close the database and remove the folder."""
        self.connection.close()
        self.remove()

    def discard(self, file: Path) -> None:
        """Remove a file of the private folder early; a delivered file is left alone."""
        if file.parent == self.folder:
            file.unlink(missing_ok=True)

    def rows(self, sql: str, values: dict[str, object] | None = None) -> list[tuple[object, ...]]:
        """Run a query and return its rows."""
        return self.connection.execute(sql, values or {}).fetchall()

    def run(self, sql: str, values: dict[str, object] | None = None) -> None:
        """Run a statement."""
        self.connection.execute(sql, values or {}).fetchall()

    def tables(self) -> frozenset[str]:
        """Return the names of all tables and views."""
        found = self.rows("SELECT table_name FROM information_schema.tables")
        return frozenset(str(name) for (name,) in found)

    def problems(self, file: str, source: str, checks: list[Check]) -> list[Problem]:
        """Count the rows of `source` for which each check is true, in one pass.

        Parameters
        ----------
        file
            Name for the problems.
        source
            A table, view or subquery in parentheses with a column ``_line``.
        checks
            Predicates over its columns.
        """
        if not checks:
            return []
        counters = ", ".join(f"count(*) FILTER (WHERE {check.predicate})" for check in checks)
        ((*counts,),) = self.rows(f"SELECT {counters} FROM {source}")
        return [
            make_problem(
                file,
                check.rule,
                column=check.column,
                count=count,
                lines=self._first_lines(source, check),
                detail=check.detail,
            )
            for check, count in zip(checks, counts, strict=True)
            if isinstance(count, int) and count > 0
        ]

    def _first_lines(self, source: str, check: Check) -> list[int]:
        found = self.rows(
            f"SELECT _line FROM {source} WHERE {check.predicate} ORDER BY _line LIMIT 3"
        )
        return [line for (line,) in found if isinstance(line, int)]

    def lines_problem(
        self, file: str, rule: str, query: str, column: str = "", detail: str = ""
    ) -> list[Problem]:
        """Count the distinct lines that `query` (one column, ``_line``) returns."""
        check = Check(rule, column, "true", detail)
        return self.problems(file, f"(SELECT DISTINCT _line FROM ({query}))", [check])


@dataclass(frozen=True, slots=True)
class Check:
    """A rule as a predicate over the columns of a table, true for a row that breaks it."""

    rule: str
    column: str
    predicate: str
    detail: str = ""


def quoted(name: str) -> str:
    """Return a name of the data dictionary as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a code of the data dictionary as an SQL text."""
    return "'" + text.replace("'", "''") + "'"


def column_list(names: tuple[str, ...], prefix: str = "") -> str:
    """Return names of the data dictionary as a list of SQL identifiers."""
    return ", ".join(f"{prefix}{quoted(name)}" for name in names)
