"""Small tables in, small table out: the language in which the rules of measurement are tested.

A table is written as text, its first line naming the columns; `-` is an empty cell. What a test
does not mention is filled in: two schools (S1, S2), two school years of ten instructional days
(Monday to Friday: 2014 from 2013-08-26, 2015 from 2014-08-25), students enrolled at S1 in grade 1
in 2015 from the first day to the last, excused absences of a whole day, and so on (`DEFAULTS`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, timedelta

import duckdb
import narwhals as nw
import numpy as np
import pandas as pd

from homevisit_eval.design import Measurement
from homevisit_eval.panel import Panel, PanelCount, build_panel
from homevisit_eval.sources import Sources

Row = dict[str, str]

TYPES = {
    "schools": "school_id VARCHAR, school_year INTEGER, name VARCHAR, school_level VARCHAR, "
    "fep BOOLEAN, fec BOOLEAN, early_childhood BOOLEAN",
    "calendar": "school_id VARCHAR, school_year INTEGER, date DATE, instructional BOOLEAN, "
    "count_date BOOLEAN",
    "students": "student_id VARCHAR, birth_date DATE, sex VARCHAR, race_ethnicity VARCHAR, "
    "household_id VARCHAR",
    "enrollments": "student_id VARCHAR, school_id VARCHAR, school_year INTEGER, grade INTEGER, "
    "entry_date DATE, exit_date DATE",
    "characteristics": "student_id VARCHAR, school_year INTEGER, at_risk BOOLEAN, "
    "english_learner BOOLEAN, disability BOOLEAN, homeless BOOLEAN",
    "absences": "student_id VARCHAR, school_id VARCHAR, date DATE, category VARCHAR, "
    "fraction DOUBLE",
    "incidents": "incident_id VARCHAR, student_id VARCHAR, school_id VARCHAR, date DATE, "
    "behavior VARCHAR, role VARCHAR, action VARCHAR, days DOUBLE",
    "assessments": "student_id VARCHAR, school_year INTEGER, instrument VARCHAR, "
    "subject VARCHAR, grade INTEGER, scale_score DOUBLE, performance_level VARCHAR",
    "visits": "visit_id VARCHAR, student_id VARCHAR, date DATE, program VARCHAR, mode VARCHAR, "
    "completed BOOLEAN, staff_id_1 VARCHAR, staff_id_2 VARCHAR",
    "staff": "staff_id VARCHAR, school_id VARCHAR, school_year INTEGER, role VARCHAR, "
    "experience_years DOUBLE",
    "rosters": "student_id VARCHAR, staff_id VARCHAR, school_id VARCHAR, school_year INTEGER",
    "surveys": "respondent_id VARCHAR, student_id VARCHAR, school_year INTEGER, scale VARCHAR, "
    "item VARCHAR, response INTEGER",
}
FRACTIONS = {"excused": "1", "unexcused": "1", "tardy": "0", "partial": "-"}
DEFAULTS: Mapping[str, Mapping[str, str | Callable[[Row, int], str]]] = {
    "schools": {"school_year": "2015", "school_level": "elementary", "name": "A school"},
    "calendar": {
        "school_id": "S1",
        "school_year": "2015",
        "instructional": "1",
        "count_date": "0",
    },
    "students": {"birth_date": "2008-03-31", "sex": "female", "race_ethnicity": "black"},
    "enrollments": {
        "school_id": "S1",
        "school_year": "2015",
        "grade": "1",
        "entry_date": lambda row, _: str(WEEKS[int(row["school_year"])]),
        "exit_date": lambda row, _: str(WEEKS[int(row["school_year"])] + timedelta(days=11)),
    },
    "characteristics": {"school_year": "2015"},
    "absences": {
        "school_id": "S1",
        "category": "excused",
        "fraction": lambda row, _: FRACTIONS[row["category"]],
    },
    "incidents": {
        "incident_id": lambda _, number: f"I{number}",
        "school_id": "S1",
        "behavior": "disruption",
        "role": "perpetrator",
        "action": "none",
    },
    "assessments": {
        "school_year": "2015",
        "instrument": "parcc",
        "subject": "math",
        "grade": "4",
    },
    "visits": {
        "visit_id": lambda _, number: f"V{number}",
        "program": "FEP",
        "mode": "in_person",
        "completed": "1",
    },
    "staff": {"school_id": "S1", "school_year": "2015", "role": "teacher"},
    "rosters": {},
    "surveys": {},
}
WEEKS = {2014: date(2013, 8, 26), 2015: date(2014, 8, 25)}
OPTIONAL = ("incidents", "assessments", "staff", "rosters", "surveys")


def read_rows(text: str) -> list[Row]:
    """Return the rows of a table written as text."""
    lines = [line.split() for line in text.strip().splitlines() if line.strip()]
    header, *body = lines
    assert all(len(cells) == len(header) for cells in body), "a row has too many or too few cells"
    return [dict(zip(header, cells, strict=True)) for cells in body]


def fill(table: str, rows: list[Row]) -> list[list[str | None]]:
    """Fill in what the rows do not mention, and return their cells in the order of `TYPES`."""
    names = [column.split()[0] for column in TYPES[table].split(", ")]
    filled = []
    for number, row in enumerate(rows, start=1):
        assert set(row) <= set(names), f"{table} has no column {sorted(set(row) - set(names))}"
        whole = dict(row)
        for name in names:
            default = DEFAULTS[table].get(name, "-")
            if name not in whole:
                whole[name] = default(whole, number) if callable(default) else default
        filled.append([None if whole[name] == "-" else whole[name] for name in names])
    return filled


def two_weeks(school_id: str, school_year: int) -> list[Row]:
    """Return the default calendar: Monday to Friday, twice."""
    days = [WEEKS[school_year] + timedelta(days=d) for d in (0, 1, 2, 3, 4, 7, 8, 9, 10, 11)]
    return [
        {"school_id": school_id, "school_year": str(school_year), "date": str(day)} for day in days
    ]


def complete(tables: Mapping[str, str]) -> dict[str, list[Row]]:
    """Return the rows of all tables; those that a test leaves out follow from the others."""
    rows = {name: read_rows(text) for name, text in tables.items()}
    rows.setdefault(
        "calendar", [row for s in ("S1", "S2") for y in WEEKS for row in two_weeks(s, y)]
    )
    pairs = {
        (row.get("school_id", "S1"), row.get("school_year", "2015")) for row in rows["calendar"]
    }
    rows.setdefault("schools", [{"school_id": s, "school_year": y} for s, y in sorted(pairs)])
    rows.setdefault("enrollments", [{"student_id": "ann"}])
    persons = sorted({row["student_id"] for row in rows["enrollments"]})
    rows.setdefault("students", [{"student_id": person} for person in persons])
    for name in ("characteristics", "absences", "visits"):
        rows.setdefault(name, [])
    return rows


def sources_of(rows: Mapping[str, list[Row]], connection: duckdb.DuckDBPyConnection) -> Sources:
    """Return validated tables in the engine, as `read_sources` would."""
    frames = {}
    for name, types in TYPES.items():
        if name in OPTIONAL and name not in rows:
            continue
        connection.execute(f"CREATE TABLE {name} ({types})")
        cells = fill(name, rows[name])
        if cells:
            marks = f"({', '.join('?' for _ in cells[0])})"
            values = ", ".join(marks for _ in cells)
            connection.execute(
                f"INSERT INTO {name} VALUES {values}", [cell for row in cells for cell in row]
            )
        frames[name] = nw.from_native(connection.table(name))
    return Sources(
        **{name: frames.get(name) for name in TYPES},
        files=(),
        decisions=(),
        district="A district",
        synthetic=True,
        connection=connection,
        remove_temporary=lambda: None,
    )


@contextmanager
def sources_from(**tables: str) -> Iterator[Sources]:
    """Return validated tables written as text; they can be used within the block."""
    with duckdb.connect() as connection:
        yield sources_of(complete(tables), connection)


@contextmanager
def panel_from(measurement: Measurement = Measurement(), **tables: str) -> Iterator[Panel]:  # noqa: B008
    """Build a panel from tables written as text; it can be used within the block."""
    with sources_from(**tables) as sources:
        yield build_panel(sources, measurement)


def student_years(measurement: Measurement = Measurement(), **tables: str) -> pd.DataFrame:  # noqa: B008
    """Return the student-years of tables written as text."""
    with panel_from(measurement, **tables) as panel:
        return panel.to_pandas("students")


def write_cell(value: object) -> str:
    """Return a value as it is written in a table of text."""
    if value is None or value is pd.NaT or value is pd.NA:
        return "-"
    if isinstance(value, pd.Timestamp | date):
        return str(value)[:10]
    if isinstance(value, float | np.floating):
        return "-" if np.isnan(value) else f"{round(float(value), 6):.10g}"
    return str(value)


def write_rows(frame: pd.DataFrame, columns: list[str]) -> list[str]:
    """Return the given columns of a frame as lines of text, cells separated by one blank."""
    body = frame[columns].itertuples(index=False, name=None)
    return [" ".join(columns), *(" ".join(write_cell(cell) for cell in row) for row in body)]


def expect(frame: pd.DataFrame, text: str) -> None:
    """Assert that a frame is the table written as text, in the columns that the text names."""
    lines = [" ".join(line.split()) for line in text.strip().splitlines()]
    found = write_rows(frame, lines[0].split())
    assert found == lines, "found:\n" + "\n".join(found)


def expect_students(frame: pd.DataFrame, text: str) -> None:
    """Assert of a frame with more students that the rows of those named are the text."""
    named = {row["student_id"] for row in read_rows(text)}
    expect(frame[frame["student_id"].isin(named)], text)


def steps(counts: Iterable[PanelCount], source: str) -> list[tuple[int, int]]:
    """Return how many rows of a source came into each step and how many were used."""
    return [(count.rows_in, count.rows_used) for count in counts if count.source == source]
