"""A synthetic state: many districts, made one after the other, in one Parquet file a table."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from homevisit_eval.errors import DesignError, OutputError
from homevisit_eval.sources.schema import schema_of
from homevisit_eval.synthetic.district_file import district_text
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.presets import preset
from homevisit_eval.synthetic.simulate import TABLES, simulate
from homevisit_eval.synthetic.write import PARAMETERS, settings_text, write_checksums

__all__ = ["TRUTH_FILE", "district_seed", "own_calendar", "write_state"]

MOST_DISTRICTS = 99
TRUTH_FILE = "truth/outcomes.parquet"
TRUTH = "truth"
DATABASE = ".state.duckdb"
MEMORY_LIMIT = "1GB"
ROW_GROUP = 122_880
STATE_KEY = 7001  # apart from every key of `Draw`
SQL_TYPES = {
    "identifier": "VARCHAR",
    "code": "VARCHAR",
    "text": "VARCHAR",
    "grade": "VARCHAR",
    "date": "DATE",
    "integer": "INTEGER",
    "number": "DOUBLE",
    "boolean": "TINYINT",
}


def _no_step(_: str) -> None:
    """Show nothing."""


def write_state(
    folder: str | Path,
    seed: int,
    *,
    districts: int = 20,
    district: District | None = None,
    step: Callable[[str], None] = _no_step,
) -> None:
    """Write a synthetic state of several districts to `folder`, one Parquet file a table.

    Only one district is in memory at a time. Identifiers of students, schools, staff, visits,
    incidents, households and survey respondents carry the number of their district, so none
    occurs in two; the districts share one calendar, and nobody moves between them.

    Parameters
    ----------
    folder
        Made if it does not exist.
    seed
        The same seed gives the same state.
    districts
        How many, at most 99. With the usual 20 a state has one million students a year.
    district
        The parameters of every district; those of the preset ``"state"`` if not given.
    step
        Called with what is done next, once for each district and once more.

    Raises
    ------
    DesignError
        If there are too many districts, or none.
    OutputError
        If the folder or a file cannot be written.

    Notes
    -----
    Each district is `simulate` of `district_seed`. ``truth`` holds ``outcomes.parquet`` and
    ``parameters.toml``; no loader opens it. Bytes are the same for the same version of DuckDB,
    which writes its name and version into each file, on any number of cores; rows and their
    order are the same for all versions.
    """
    if not 1 <= districts <= MOST_DISTRICTS:
        raise DesignError(f"districts must be between 1 and {MOST_DISTRICTS}; it is {districts}.")
    root, parameters = Path(folder), preset("state") if district is None else district
    try:
        (root / "truth").mkdir(parents=True, exist_ok=True)
        with _database(root / DATABASE) as connection:
            _add_districts(connection, parameters, seed, districts, step)
            written = _write_files(connection, root)
        (root / "district.toml").write_bytes(settings_text("state", parameters.name, seed).encode())
        (root / PARAMETERS).write_bytes(district_text(parameters).encode())
        write_checksums(root, [*written, "district.toml", PARAMETERS])
        step("Written")
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise OutputError(f"{root}: the synthetic state cannot be written: {reason}.") from None
    except duckdb.Error as error:
        raise OutputError(
            f"{root}: the synthetic state cannot be written (database: {type(error).__name__}). "
            "Check that there is space and permission."
        ) from None
    finally:
        for name in (DATABASE, f"{DATABASE}.wal"):
            with contextlib.suppress(OSError):
                (root / name).unlink()


def district_seed(seed: int, number: int) -> int:
    """Return the seed of district `number` (from 1 on) of the state of that seed."""
    key = np.random.SeedSequence([seed, STATE_KEY, number])
    return int(key.generate_state(1, np.uint64)[0] >> np.uint64(1))


def _database(path: Path) -> duckdb.DuckDBPyConnection:
    """Return a new database in a file, that keeps rows in order and works with one thread."""
    path.unlink(missing_ok=True)
    connection = duckdb.connect(
        str(path),
        config={
            "memory_limit": MEMORY_LIMIT,
            "threads": 1,
            "preserve_insertion_order": "true",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        },
    )
    with contextlib.suppress(duckdb.Error):  # notebooks without widgets have no bar to disable
        connection.execute("SET enable_progress_bar = false")
    return connection


def _add_districts(
    connection: duckdb.DuckDBPyConnection,
    parameters: District,
    seed: int,
    districts: int,
    step: Callable[[str], None],
) -> None:
    """Simulate one district after the other and put its rows into tables of the database."""
    shared = None
    for number in range(1, districts + 1):
        simulation = simulate(parameters, district_seed(seed, number))
        tables = dict(simulation.tables)
        if shared is None:
            shared = tables["calendar"][tables["calendar"]["school_id"].isna()]
        else:
            tables["calendar"] = own_calendar(tables["calendar"], tables["schools"], shared)
        for name, table in {**tables, TRUTH: simulation.truth}.items():
            _add_rows(connection, name, table, number)
        step(f"Simulated {number} of {districts} districts")


def own_calendar(
    calendar: pd.DataFrame, schools: pd.DataFrame, shared: pd.DataFrame
) -> pd.DataFrame:
    """Return the calendar of a further district, in a state that has days of all schools.

    Parameters
    ----------
    calendar, schools
        Of the district.
    shared
        The days of all schools that the state has. Where the district's are others, its schools
        without days of their own are given them as their own.
    """
    theirs = calendar[calendar["school_id"].notna()]
    common = calendar[calendar["school_id"].isna()]
    if common.reset_index(drop=True).equals(shared.reset_index(drop=True)):
        return theirs
    keys = ["school_id", "school_year"]
    listed = pd.MultiIndex.from_frame(theirs[keys])
    borrowing = schools.loc[~pd.MultiIndex.from_frame(schools[keys]).isin(listed), keys]
    given = borrowing.merge(common.drop(columns="school_id"), on="school_year")
    return pd.concat([theirs, given[calendar.columns]], ignore_index=True)


def _kinds(name: str, table: pd.DataFrame) -> dict[str, str]:
    """Return the kind, in the data dictionary, of each column of a table or of the truth."""
    if name != TRUTH:
        columns = {column.name: column.kind for column in schema_of(name).columns}
        return {column: columns[column] for column in table.columns}
    integers = ("school_year", "visited_before_year", "visits_before_year")
    known = {"student_id": "identifier", **dict.fromkeys(integers, "integer")}
    return {column: known.get(column, "number") for column in table.columns}


def _add_rows(
    connection: duckdb.DuckDBPyConnection, name: str, table: pd.DataFrame, number: int
) -> None:
    """Add the rows of one district; two digits follow the letters of each identifier."""
    cells = []
    for column, kind in _kinds(name, table).items():
        value = f'CAST("{column}" AS {SQL_TYPES[kind]})'
        if kind == "identifier":
            value = f"regexp_replace({value}, '^([A-Za-z]*)', '\\1{number:02d}')"
        cells.append(f'{value} AS "{column}"')
    rows = f"SELECT {', '.join(cells)} FROM rows_of_district"
    into = f'INSERT INTO "{name}"' if number > 1 else f'CREATE TABLE "{name}" AS'
    connection.register("rows_of_district", table)
    connection.execute(f"{into} {rows}")
    connection.unregister("rows_of_district")


def _write_files(connection: duckdb.DuckDBPyConnection, root: Path) -> list[str]:
    """Write each table to a Parquet file, in the order of the districts; return their names."""
    files = {**{name: f"{name}.parquet" for name in TABLES}, TRUTH: TRUTH_FILE}
    for name, file in files.items():
        path = str(root / file).replace("'", "''")
        connection.execute(
            f"COPY \"{name}\" TO '{path}' "
            f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})"
        )
        connection.execute(f'DROP TABLE "{name}"')
    return list(files.values())
