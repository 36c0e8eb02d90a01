"""What the panel asks of the engine: keep a table, count rows, hand a table to pandas.

The steps of the panel are Narwhals lazy expressions, which run where the data are. Only here
is the engine (DuckDB) named.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias, cast

import duckdb
import narwhals as nw
import pandas as pd

__all__ = ["Frame", "count_rows", "fetch_frame", "kept", "store", "sum_column"]

log = logging.getLogger(__name__)

Frame: TypeAlias = nw.LazyFrame[Any]
"""A lazy table in the engine."""

_numbers = itertools.count(1)


def store(connection: duckdb.DuckDBPyConnection, frame: Frame, name: str) -> Frame:
    """Compute `frame` once, keep it as a temporary table, and return that table, lazy.

    The table's name is new at every call, so a second panel on the same connection never
    changes the first.
    """
    return nw.from_native(connection.table(_store(connection, frame, name)))


@contextmanager
def kept(connection: duckdb.DuckDBPyConnection, frame: Frame, name: str) -> Iterator[Frame]:
    """Compute `frame` once, for several questions to it, and forget it at the end."""
    table = _store(connection, frame, name)
    try:
        yield nw.from_native(connection.table(table))
    finally:
        connection.execute(f"DROP TABLE {table}")


def _store(connection: duckdb.DuckDBPyConnection, frame: Frame, name: str) -> str:
    relation = cast(duckdb.DuckDBPyRelation, nw.to_native(frame))
    table = f"homevisit_panel_{name}_{next(_numbers)}"
    connection.execute(f"CREATE TEMPORARY TABLE {table} AS {relation.sql_query()}")
    log.debug("kept the table %s", table)
    return table


def count_rows(frame: Frame) -> int:
    """Return the number of rows of `frame`; only the number leaves the engine."""
    return len(cast(duckdb.DuckDBPyRelation, nw.to_native(frame)))


def sum_column(frame: Frame, column: str) -> int:
    """Return the sum of a column of whole numbers, 0 if there are no rows."""
    relation = cast(duckdb.DuckDBPyRelation, nw.to_native(frame.select(nw.col(column).sum())))
    value = relation.fetchall()[0][0]
    return 0 if value is None else int(value)


def fetch_frame(frame: Frame, order: tuple[str, ...]) -> pd.DataFrame:
    """Return `frame` as a pandas frame in the given order, whatever the engine's order is.

    Integers and 0/1 values with missing ones become floats (missing = NaN), dates become
    ``datetime64``, texts stay as pandas reads them.
    """
    relation = cast(duckdb.DuckDBPyRelation, nw.to_native(frame.sort(*order)))
    result: pd.DataFrame = relation.df()
    for name in result.columns:
        kind = result[name].dtype
        if not pd.api.types.is_extension_array_dtype(kind):
            continue
        if pd.api.types.is_bool_dtype(kind) or pd.api.types.is_numeric_dtype(kind):
            missing = bool(result[name].isna().any())
            whole = not missing and not pd.api.types.is_float_dtype(kind)
            result[name] = result[name].astype("int64" if whole else "float64")
    return result
