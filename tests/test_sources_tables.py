"""What `read_sources` hands on: normalized tables, counted decisions, nothing printed of a row."""

from __future__ import annotations

import stat
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from delivered_files import append, change, check, found
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


def rows(sources: Sources, name: str) -> list[tuple[Any, ...]]:
    return sorted(getattr(sources, name).to_native().fetchall(), key=str)


def test_columns_and_types_of_the_tables(folder: Path) -> None:
    with read_sources(folder) as sources:
        types = {
            name: {k: str(v) for k, v in getattr(sources, name).collect_schema().items()}
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


def test_grades_become_integers(folder: Path) -> None:
    change(folder, "enrollments", 2, ",KG,", ",PK3,")
    change(folder, "enrollments", 3, ",01,", ",12,")
    with read_sources(folder) as sources:
        grades = {(row[0], row[2]): row[3] for row in rows(sources, "enrollments")}
        assert found(check(folder), "code_spelling").count == 1
    assert grades["SYN00001", 2014] == -1
    assert grades["SYN00002", 2014] == 12
    assert grades["SYN00004", 2014] == 0
    assert grades["SYN00003", 2015] == 3


@pytest.mark.parametrize(("yes", "no"), [("1", "0"), ("TRUE", "False"), ("yes", "NO"), ("Y", "n")])
def test_spellings_of_yes_and_no(folder: Path, yes: str, no: str) -> None:
    change(folder, "visits", 2, ",1,", f",{yes},")
    change(folder, "visits", 4, ",0,", f",{no},")
    with read_sources(folder) as sources:
        completed = {row[0]: row[5] for row in rows(sources, "visits")}
    assert completed["V00001"] is True
    assert completed["V00003"] is False


def test_an_empty_exit_is_the_last_calendar_day_of_the_school_and_year(folder: Path) -> None:
    append(folder, "calendar", "S02,2015,2014-08-25,1,1", "S02,2015,2014-10-31,0,0")
    with read_sources(folder) as sources:
        exits = {(row[0], row[1], row[2]): row[5] for row in rows(sources, "enrollments")}
    saturday = instructional_days(2015)[-1] + timedelta(days=1)
    assert exits["SYN00001", "S01", 2015] == saturday
    assert exits["SYN00005", "S02", 2015] == date(2014, 10, 31)
    assert exits["SYN00012", "S03", 2015] == instructional_days(2015)[9]


def test_every_school_has_a_calendar_of_its_own(folder: Path) -> None:
    append(folder, "calendar", "S02,2015,2014-08-25,1,1")
    with read_sources(folder) as sources:
        days: dict[tuple[str, int], int] = {}
        for school, year, *_ in rows(sources, "calendar"):
            days[school, year] = days.get((school, year), 0) + 1
    assert days == {
        ("S01", 2014): 24,
        ("S01", 2015): 24,
        ("S02", 2014): 24,
        ("S02", 2015): 1,
        ("S03", 2014): 24,
        ("S03", 2015): 24,
    }


def test_absences_have_a_fraction_and_only_days_that_count(folder: Path) -> None:
    days = instructional_days(2015)
    append(
        folder,
        "absences",
        f"SYN00003,S01,{days[4] + timedelta(days=1)},excused,",  # a Saturday
        f"SYN00003,S02,{days[4]},excused,",  # of another school
    )
    with read_sources(folder) as sources:
        absences = rows(sources, "absences")
        decisions = {p.rule: p.count for p in sources.decisions}
    assert decisions == {"not_instructional": 1, "outside_enrollment": 1}
    assert len(absences) == 8
    assert [row[4] for row in absences if row[3] == "tardy"] == [0.0]
    assert [row[4] for row in absences if row[3] == "partial"] == [0.5, 0.25]
    assert {row[4] for row in absences if row[3] in ("excused", "unexcused")} == {1.0}


def test_a_day_in_overlapping_spells_counts_at_the_school_that_was_entered_last(
    folder: Path,
) -> None:
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
    report = check(folder)
    assert found(report, "other_school_counts").lines == (11, 13)
    with read_sources(folder) as sources:
        kept = {
            (school, day)
            for student, school, day, *_ in rows(sources, "absences")
            if student == "SYN00001" and day > days[0]
        }
    assert kept == {("S01", days[4]), ("S02", days[5]), ("S01", days[15])}


@pytest.mark.parametrize(
    ("last_day", "holder"), [("", "S02"), ("2014-09-12", "S01"), ("2014-12-01", "S02")]
)
def test_of_spells_that_begin_on_one_day_the_longer_then_the_last_school_holds_the_days(
    folder: Path, last_day: str, holder: str
) -> None:
    first, day = instructional_days(2015)[0], instructional_days(2015)[3]
    append(folder, "enrollments", f"SYN00003,S02,2015,01,{first},{last_day}")
    append(folder, "absences", f"SYN00003,S01,{day},excused,", f"SYN00003,S02,{day},excused,")
    with read_sources(folder) as sources:
        schools = [row[1] for row in rows(sources, "absences") if row[0] == "SYN00003"]
    assert schools == [holder]


def test_where_only_the_earlier_school_is_in_session_the_day_counts_there(folder: Path) -> None:
    days = instructional_days(2015)
    append(folder, "enrollments", f"SYN00001,S02,2015,01,{days[5]},")
    append(folder, "absences", f"SYN00001,S01,{days[6]},excused,")
    append(
        folder,
        "calendar",
        *(f"S02,2015,{day},{int(day != days[6])},{int(day == days[9])}" for day in days),
    )
    report = check(folder)
    assert report.ok
    assert [p.rule for p in report.decisions] == ["overlapping_schools"]


def test_daily_attendance_gives_the_same_absences(folder: Path, tmp_path: Path) -> None:
    other = write_tiny_district(tmp_path / "daily")
    lines = (other / "absences.csv").read_text().splitlines()
    records = [line.split(",") for line in lines[1:]]
    present = [["SYN00003", "S01", str(day), "present", ""] for day in instructional_days(2015)]
    columns = ["student_id", "school_id", "date", "status", "fraction"]
    (other / "absences.csv").unlink()
    write_table(other, "daily_attendance", columns, records + present)
    with read_sources(folder) as first, read_sources(other) as second:
        assert rows(first, "absences") == rows(second, "absences")
        assert {p.rule: p.count for p in second.decisions} == {"present_days": 20}


def test_identifiers_keep_leading_zeros_and_lose_spaces(folder: Path) -> None:
    for path in folder.glob("*.csv"):
        path.write_text(path.read_text().replace("SYN000", "000"))
    change(folder, "visits", 2, ",00001", ", 00001 ")
    report = check(folder)
    assert report.ok
    assert found(report, "trimmed").count == 1
    with read_sources(folder) as sources:
        assert {row[0] for row in rows(sources, "students")} == {
            f"{number:05d}" for number in range(1, 13)
        }


@pytest.mark.parametrize(
    ("file", "students", "synthetic"),
    [
        (True, "SYN000", True),
        (False, "SYN000", True),
        (False, "000", False),
    ],
)
def test_whether_data_are_synthetic(
    folder: Path, file: bool, students: str, synthetic: bool
) -> None:
    if not file:
        (folder / "district.toml").unlink()
    for path in folder.glob("*.csv"):
        path.write_text(path.read_text().replace("SYN000", students))
    with read_sources(folder) as sources:
        assert sources.synthetic is synthetic
        assert sources.district == ("Tiny district" if file else "District")


def test_the_representation_shows_counts_and_columns_only(folder: Path) -> None:
    with read_sources(folder) as sources:
        text, html = repr(sources), sources._repr_html_()
    assert "students: 12 rows: student_id, birth_date, sex" in text
    assert "visits: <10 rows: visit_id" in text
    assert "(synthetic data)" in text
    for shown in (text, html):
        assert "SYN0" not in shown
        assert "fighting" not in shown
    assert "<td>students</td>" in html


def test_other_files_cannot_be_read_through_the_connection(folder: Path) -> None:
    with read_sources(folder) as sources, pytest.raises(duckdb.Error):
        sources.connection.execute(
            "SELECT * FROM read_csv($path)", {"path": str(folder / "students.csv")}
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
    change(folder, "students", 2, "female", "QQQ")
    with pytest.raises(SourceError):
        read_sources(folder)
    check_sources(folder)
    assert list(place.iterdir()) == []


def test_reading_twice_gives_the_same_and_changes_no_file(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with read_sources(folder) as first, read_sources(str(folder)) as second:
        assert first.files == second.files
        assert first.decisions == second.decisions
        assert rows(first, "absences") == rows(second, "absences")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_importing_the_package_does_not_load_the_engine() -> None:
    code = "import sys, homevisit_eval; print('duckdb' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_large_file_is_read_completely(folder: Path) -> None:
    """300,000 records: a student a day at most, every fault in its place."""
    days = instructional_days(2014)
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([1])))
    students = [f"SYN{number:06d}" for number in range(15_000)]
    append_many(folder, "students", ([s, "2006-01-01", "male", "black", ""] for s in students))
    append_many(folder, "enrollments", ([s, "S01", 2014, "01", days[0], ""] for s in students))
    categories = generator.choice(["excused", "unexcused", "tardy"], size=300_000)
    records = [
        [student, "S01", day, category, ""]
        for (student, day), category in zip(
            ((s, d) for s in students for d in days), categories, strict=True
        )
    ]
    records[123_456][3] = "QQQ"
    records[222_222][0] = "SYN999999"
    records[299_999][2] = days[0]
    append_many(folder, "absences", records)
    report = check(folder)
    errors = {p.rule: (p.count, p.lines) for p in report.errors}
    assert errors["unknown_code"] == (1, (123_456 + 10,))
    assert errors["unknown_student"] == (1, (222_222 + 10,))
    twice = (2, (299_980 + 10, 299_999 + 10))
    same_category = categories[299_980] == categories[299_999]
    assert errors.get("duplicate_key") == (twice if same_category else None)
    assert next(f for f in report.files if f.name == "absences.csv").rows == 300_008


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
