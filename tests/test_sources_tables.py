"""What `read_sources` hands on: normalized tables, counted decisions, nothing printed of a row."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from delivered_files import append, change, check
from homevisit_eval.errors import SourceError
from homevisit_eval.sources import (
    RULES,
    SCHEMAS,
    Sources,
    check_sources,
    data_dictionary,
    read_sources,
)
from tiny_district import TABLES, instructional_days, write_table, write_tiny_district


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_district(tmp_path / "district")


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the valid district, for tests that change none of its files."""
    return write_tiny_district(tmp_path_factory.mktemp("delivered") / "district")


@pytest.fixture(scope="module")
def tables(delivered: Path) -> Iterator[Sources]:
    """Return the tables of the valid district."""
    with read_sources(delivered) as sources:
        yield sources


YES_AND_NO = (("TRUE", "False"), ("yes", "NO"), ("Y", "n"))


@pytest.fixture(scope="module")
def peculiar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sources]:
    """Return the tables of a district with other grades, other spellings and other calendars."""
    folder = write_tiny_district(tmp_path_factory.mktemp("peculiar") / "district")
    change(folder, "enrollments", 2, ",KG,", ",PK3,")
    change(folder, "enrollments", 3, ",01,", ",12,")
    for number, (yes, no) in enumerate(YES_AND_NO):
        append(
            folder,
            "visits",
            f"Y{number},SYN00001,2014-08-02,FEP,in_person,{yes},,",
            f"N{number},SYN00001,2014-08-02,FEP,in_person,{no},,",
        )
    append(folder, "calendar", "S02,2015,2014-08-25,1,1", "S02,2015,2014-10-31,0,0")
    days = instructional_days(2015)
    append(
        folder,
        "absences",
        f"SYN00003,S01,{days[4] + timedelta(days=1)},excused,",  # a Saturday
        f"SYN00003,S02,{days[0]},excused,",  # of another school
    )
    with read_sources(folder) as sources:
        yield sources


def rows(sources: Sources, name: str) -> list[tuple[Any, ...]]:
    return sorted(getattr(sources, name).to_native().fetchall(), key=str)


def test_columns_and_types_of_the_tables(tables: Sources) -> None:
    types = {
        name: {k: str(v) for k, v in getattr(tables, name).collect_schema().items()}
        for name in TABLES
    }
    for schema in SCHEMAS:
        if schema.name not in ("absences", "daily_attendance"):
            assert tuple(types[schema.name]) == schema.names
    assert types["absences"] == {
        "student_id": "String",
        "school_id": "String",
        "date": "Date",
        "category": "String",
        "fraction": "Float64",
    }
    assert types["enrollments"]["grade"] == "Int32"
    assert types["enrollments"]["exit_date"] == "Date"
    assert types["schools"]["fep"] == "Boolean"
    assert types["schools"]["school_year"] == "Int32"
    assert types["assessments"]["scale_score"] == "Float64"


def test_grades_become_integers(peculiar: Sources) -> None:
    grades = {(row[0], row[2]): row[3] for row in rows(peculiar, "enrollments")}
    assert grades["SYN00001", 2014] == -1
    assert grades["SYN00002", 2014] == 12
    assert grades["SYN00004", 2014] == 0
    assert grades["SYN00003", 2015] == 3
    respelled = {p.file: p.count for p in peculiar.decisions if p.rule == "code_spelling"}
    assert respelled["enrollments.csv"] == 1


def test_spellings_of_yes_and_no(peculiar: Sources) -> None:
    completed = {row[0]: row[5] for row in rows(peculiar, "visits")}
    assert completed["V00001"] is True  # 1
    assert completed["V00003"] is False  # 0
    for number in range(len(YES_AND_NO)):
        assert completed[f"Y{number}"] is True
        assert completed[f"N{number}"] is False


def test_an_empty_exit_is_the_last_calendar_day_of_the_school_and_year(peculiar: Sources) -> None:
    exits = {(row[0], row[1], row[2]): row[5] for row in rows(peculiar, "enrollments")}
    saturday = instructional_days(2015)[-1] + timedelta(days=1)
    assert exits["SYN00001", "S01", 2015] == saturday
    assert exits["SYN00005", "S02", 2015] == date(2014, 10, 31)
    assert exits["SYN00012", "S03", 2015] == instructional_days(2015)[9]


def test_every_school_has_a_calendar_of_its_own(peculiar: Sources) -> None:
    days: dict[tuple[str, int], int] = {}
    for school, year, *_ in rows(peculiar, "calendar"):
        days[school, year] = days.get((school, year), 0) + 1
    assert days == {
        ("S01", 2014): 24,
        ("S01", 2015): 24,
        ("S02", 2014): 24,
        ("S02", 2015): 2,
        ("S03", 2014): 24,
        ("S03", 2015): 24,
    }


def test_absences_have_a_fraction_and_only_days_that_count(peculiar: Sources) -> None:
    absences = rows(peculiar, "absences")
    dropped = {p.rule: p.count for p in peculiar.decisions if p.file == "absences.csv"}
    assert dropped == {"not_instructional": 1, "outside_enrollment": 1}
    assert len(absences) == 8
    assert [row[4] for row in absences if row[3] == "tardy"] == [0.0]
    assert [row[4] for row in absences if row[3] == "partial"] == [0.5, 0.25]
    assert {row[4] for row in absences if row[3] in ("excused", "unexcused")} == {1.0}


LONGER_OR_LAST = {
    "SYN00002": ("", "S02"),
    "SYN00003": ("2014-09-12", "S01"),
    "SYN00004": ("2014-12-01", "S02"),
}
"""Last day at S02 of students of S01, and the school that holds the days at both."""


@pytest.fixture(scope="module")
def overlapping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sources]:
    """Return the tables of a district with students at two schools at once."""
    folder = write_tiny_district(tmp_path_factory.mktemp("overlapping") / "district")
    days = instructional_days(2015)
    append(folder, "enrollments", f"SYN00001,S02,2015,01,{days[5]},{days[14]}")
    append(
        folder,
        "absences",
        f"SYN00001,S01,{days[4]},excused,",
        f"SYN00001,S01,{days[5]},excused,",
        f"SYN00001,S02,{days[5]},unexcused,",
        f"SYN00001,S01,{days[14]},excused,",
        f"SYN00001,S01,{days[15]},excused,",
    )
    for student, (last_day, _) in LONGER_OR_LAST.items():
        append(folder, "enrollments", f"{student},S02,2015,01,{days[0]},{last_day}")
        both = [f"{student},{school},{days[3]},excused," for school in ("S01", "S02")]
        append(folder, "absences", *both)
    # a student of S02 enters S03, which is closed on a day of absence
    append(folder, "enrollments", f"SYN00005,S03,2015,02,{days[5]},")
    append(folder, "absences", f"SYN00005,S02,{days[6]},excused,")
    append(
        folder,
        "calendar",
        *(f"S03,2015,{day},{int(day != days[6])},{int(day == days[9])}" for day in days),
    )
    with read_sources(folder) as sources:
        yield sources


def test_a_day_in_overlapping_spells_counts_at_the_school_that_was_entered_last(
    overlapping: Sources,
) -> None:
    days = instructional_days(2015)
    kept = {
        (school, day)
        for student, school, day, *_ in rows(overlapping, "absences")
        if student == "SYN00001" and day > days[0]
    }
    assert kept == {("S01", days[4]), ("S02", days[5]), ("S01", days[15])}


@pytest.mark.parametrize("student", LONGER_OR_LAST)
def test_of_spells_that_begin_on_one_day_the_longer_then_the_last_school_holds_the_days(
    overlapping: Sources, student: str
) -> None:
    _, holder = LONGER_OR_LAST[student]
    day = instructional_days(2015)[3]
    absences = rows(overlapping, "absences")
    assert [row[1] for row in absences if (row[0], row[2]) == (student, day)] == [holder]


def test_where_only_the_earlier_school_is_in_session_the_day_counts_there(
    overlapping: Sources,
) -> None:
    kept = [row[1:3] for row in rows(overlapping, "absences") if row[0] == "SYN00005"]
    assert kept == [("S02", instructional_days(2015)[6])]


def test_records_of_the_school_that_does_not_hold_the_day_are_counted_at_their_lines(
    overlapping: Sources,
) -> None:
    decisions = {p.rule: (p.count, p.lines) for p in overlapping.decisions}
    assert set(decisions) == {"overlapping_schools", "other_school_counts"}
    assert decisions["other_school_counts"] == (5, (11, 13, 15))


def test_daily_attendance_gives_the_same_absences(tables: Sources, tmp_path: Path) -> None:
    other = write_tiny_district(tmp_path / "daily")
    lines = (other / "absences.csv").read_text().splitlines()
    records = [line.split(",") for line in lines[1:]]
    present = [["SYN00003", "S01", str(day), "present", ""] for day in instructional_days(2015)]
    columns = ["student_id", "school_id", "date", "status", "fraction"]
    (other / "absences.csv").unlink()
    write_table(other, "daily_attendance", columns, records + present)
    with read_sources(other) as second:
        assert rows(tables, "absences") == rows(second, "absences")
        assert {p.rule: p.count for p in second.decisions} == {"present_days": 20}


def test_identifiers_keep_leading_zeros_and_lose_spaces(folder: Path) -> None:
    """Nothing says that these data are synthetic, neither a file nor every identifier."""
    (folder / "district.toml").unlink()
    for path in folder.glob("*.csv"):
        path.write_text(path.read_text().replace("SYN000", "000"))
    change(folder, "visits", 2, ",00001", ", 00001 ")
    with read_sources(folder) as sources:
        assert {p.rule: p.count for p in sources.decisions} == {"trimmed": 1}
        assert {row[0] for row in rows(sources, "students")} == {
            f"{number:05d}" for number in range(1, 13)
        }
        assert sources.synthetic is False
        assert sources.district == "District"


def test_the_district_file_says_whether_data_are_synthetic(tables: Sources) -> None:
    assert tables.synthetic is True
    assert tables.district == "Tiny district"


def test_data_without_a_district_file_are_synthetic_if_every_student_is(folder: Path) -> None:
    (folder / "district.toml").unlink()
    with read_sources(folder) as sources:
        assert sources.synthetic is True
        assert sources.district == "District"


def test_the_representation_shows_counts_and_columns_only(tables: Sources) -> None:
    text, html = repr(tables), tables._repr_html_()
    assert "students: 12 rows: student_id, birth_date, sex" in text
    assert "visits: <10 rows: visit_id" in text
    assert "(synthetic data)" in text
    for shown in (text, html):
        assert "SYN0" not in shown
        assert "fighting" not in shown
    assert "<td>students</td>" in html


def test_other_files_cannot_be_read_through_the_connection(
    delivered: Path, tables: Sources
) -> None:
    with pytest.raises(duckdb.Error):
        tables.connection.execute(
            "SELECT * FROM read_csv($path)", {"path": str(delivered / "students.csv")}
        ).fetchall()


def test_the_temporary_folder_is_private_and_removed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    sources = read_sources(folder)
    (private,) = place.iterdir()
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    sources.close()
    assert list(place.iterdir()) == []
    for path in folder.glob("*.csv"):
        if path.stem != "students":
            path.unlink()
    with pytest.raises(SourceError):
        read_sources(folder)
    check_sources(folder)
    assert list(place.iterdir()) == []


def test_reading_twice_gives_the_same_and_changes_no_file(delivered: Path, tables: Sources) -> None:
    before = {path.name: path.read_bytes() for path in delivered.iterdir()}
    with read_sources(str(delivered)) as second:
        assert tables.files == second.files
        assert tables.decisions == second.decisions
        assert rows(tables, "absences") == rows(second, "absences")
    assert {path.name: path.read_bytes() for path in delivered.iterdir()} == before


def test_importing_the_package_does_not_load_the_engine() -> None:
    code = "import sys, homevisit_eval; print('duckdb' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("number", [7_500, pytest.param(15_000, marks=pytest.mark.slow)])
def test_a_large_file_is_read_completely(folder: Path, number: int) -> None:
    """150,000 records, or twice as many: a student a day at most, every fault in its place."""
    days = instructional_days(2014)
    size = number * len(days)
    assert size > 122_880, "more than the engine keeps in one group of rows"
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([1])))
    students = [f"SYN{student:06d}" for student in range(number)]
    append_many(folder, "students", ([s, "2006-01-01", "male", "black", ""] for s in students))
    append_many(folder, "enrollments", ([s, "S01", 2014, "01", days[0], ""] for s in students))
    categories = generator.choice(["excused", "unexcused", "tardy"], size=size)
    records = [
        [student, "S01", day, category, ""]
        for (student, day), category in zip(
            ((s, d) for s in students for d in days), categories, strict=True
        )
    ]
    unknown, lost, first, last = size * 41 // 100, size * 74 // 100, size - 20, size - 1
    records[unknown][3] = "QQQ"
    records[lost][0] = "SYN999999"
    records[last][2] = days[0]
    append_many(folder, "absences", records)
    report = check(folder)
    errors = {p.rule: (p.count, p.lines) for p in report.errors}
    assert errors["unknown_code"] == (1, (unknown + 10,))
    assert errors["unknown_student"] == (1, (lost + 10,))
    twice = (2, (first + 10, last + 10))
    same_category = categories[first] == categories[last]
    assert errors.get("duplicate_key") == (twice if same_category else None)
    assert next(f for f in report.files if f.name == "absences.csv").rows == size + 8


def append_many(folder: Path, name: str, records: Any) -> None:
    append(folder, name, *(",".join(map(str, record)) for record in records))


def test_the_data_dictionary_names_everything() -> None:
    text = data_dictionary()
    for schema in SCHEMAS:
        assert f"\n## {schema.name}\n" in text
        for column in schema.columns:
            assert f"| `{column.name}` |" in text
            assert column.description in text
    for name in RULES:
        assert f"| `{name}` |" in text


def test_the_data_dictionary_is_consistent() -> None:
    names = [schema.name for schema in SCHEMAS]
    assert len(set(names)) == len(names)
    for schema in SCHEMAS:
        assert len(set(schema.names)) == len(schema.names)
        assert set(schema.key) <= set(schema.names)
        for reference in schema.references:
            target = next(other for other in SCHEMAS if other.name == reference.target)
            assert set(reference.columns) <= set(schema.names)
            assert set(reference.target_columns) <= set(target.names)
        for column in schema.columns:
            assert bool(column.allowed) == (column.kind in ("code", "grade"))
            assert set(column.synonyms.values()) <= set(column.allowed)
            assert column.required or column.nullable
