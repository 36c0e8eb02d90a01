"""Files as districts deliver them: encodings, separators, quotation marks, broken files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from delivered_files import append, change, check, contents, found, rewrite, to_parquet
from homevisit_eval.errors import SourceError
from homevisit_eval.sources import SourceReport, Sources, check_sources, read_sources
from homevisit_eval.sources.district import read_district
from tiny_district import TABLES, write_tiny_district


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_district(tmp_path / "district [2015]")  # a name that is a pattern to others


def values(sources: Sources, name: str, *columns: str) -> list[tuple[Any, ...]]:
    """Return the rows of a table in some columns."""
    return list(getattr(sources, name).select(*columns).to_native().fetchall())


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SourceReport]:
    """Return the valid district, which no test changes, and the report on it."""
    folder = write_tiny_district(tmp_path_factory.mktemp("valid") / "district [2015]")
    return folder, check(folder)


def test_a_valid_district_has_no_problems(valid: tuple[Path, SourceReport]) -> None:
    _, report = valid
    assert report.problems == ()
    assert report.ok
    assert report.text() == "12 files, 165 rows: 0 errors, 0 decisions."
    assert [file.name for file in report.files] == [
        f"{name}.csv" for name in (*TABLES[:6], *TABLES[6:])
    ]


def test_each_file_is_recorded_with_the_checksum_of_its_bytes(
    valid: tuple[Path, SourceReport],
) -> None:
    folder, report = valid
    for file in report.files:
        content = (folder / file.name).read_bytes()
        assert file.sha256 == hashlib.sha256(content).hexdigest()
        assert file.rows == content.count(b"\n") - 1
        assert (file.encoding, file.delimiter) == ("utf-8", ",")


WAYS = ("absolute", "relative", "up and down", "symbolic link")
FORMS = ("utf-8", "cp1252", "quoted line ends", "parquet")
USUAL = (("relative", "cp1252"), ("up and down", "quoted line ends"), ("symbolic link", "parquet"))


def often(name: str, way: str, form: str) -> object:
    """Return a case; in the usual ones is every way and form once, and `check` looks as well."""
    usual = name != "plain" and (way, form) in USUAL
    return pytest.param(name, way, form, marks=() if usual else pytest.mark.slow)


@pytest.mark.parametrize(
    ("name", "way", "form"),
    [often(*case) for case in product(("plain", "pattern [2015]"), WAYS, FORMS)],
)
def test_reading_leaves_the_delivered_files_as_they_are(
    name: str, way: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_tiny_district(tmp_path / name)
    if form == "cp1252":
        path = folder / "schools.csv"
        path.write_bytes(path.read_text("utf-8").replace("School", "École").encode("cp1252"))
    elif form == "quoted line ends":
        path = folder / "schools.csv"
        path.write_text(path.read_text("utf-8").replace("School", '"Sch\nool"', 1), "utf-8")
    elif form == "parquet":
        to_parquet(folder, "students")
    given = folder
    if way == "relative":
        monkeypatch.chdir(folder.parent)
        given = Path(folder.name)
    elif way == "up and down":
        given = folder / ".." / folder.name
    elif way == "symbolic link":
        given = tmp_path / "link"
        try:
            given.symlink_to(folder, target_is_directory=True)
        except OSError:
            pytest.skip("no symbolic links for this user")
    before = contents(folder)
    check_sources(given)
    assert contents(folder) == before
    assert len(before) > 10


def test_missing_folder(tmp_path: Path) -> None:
    report = check(tmp_path / "nowhere")
    assert "missing_folder" in [p.rule for p in report.errors]
    with pytest.raises(SourceError, match="no such folder"):
        read_sources(tmp_path / "nowhere")


def test_missing_required_files_and_attendance_in_neither_of_its_forms(folder: Path) -> None:
    (folder / "students.csv").unlink()
    (folder / "absences.csv").unlink()
    missing = {p.file: p for p in check(folder).errors if p.rule == "missing_file"}
    assert set(missing) == {"students.csv", "absences.csv"}
    assert "daily_attendance.csv" in missing["absences.csv"].text


def test_missing_optional_files_and_columns_are_no_error(folder: Path) -> None:
    for name in ("incidents", "assessments", "staff", "rosters", "surveys"):
        (folder / f"{name}.csv").unlink()
    path = folder / "students.csv"
    path.write_text("\n".join(row.rsplit(",", 1)[0] for row in path.read_text().splitlines()))
    with read_sources(folder) as sources:
        assert sources.incidents is None
        assert sources.surveys is None
        assert [(p.rule, p.column) for p in sources.decisions] == [
            ("absent_column", "household_id")
        ]
        assert sources.students.to_native().fetchall()[0][-1] is None


@pytest.fixture(scope="module")
def misnamed(tmp_path_factory: pytest.TempPathFactory) -> SourceReport:
    """Return the report on a district with too many files and files of other names."""
    folder = write_tiny_district(tmp_path_factory.mktemp("misnamed") / "district [2015]")
    (folder / "daily_attendance.csv").write_text(
        "student_id,school_id,date,status,fraction\nSYN00001,S01,2013-08-29,present,\n"
    )
    content = (folder / "visits.csv").read_bytes()
    to_parquet(folder, "visits")
    (folder / "visits.csv").write_bytes(content)
    (folder / "absence.csv").write_text("x\n")
    (folder / "QQQ.parquet").write_bytes(b"")
    (folder / "incidents.csv").rename(folder / "incident.csv")
    return check(folder)


def test_attendance_must_be_there_in_only_one_of_its_two_forms(misnamed: SourceReport) -> None:
    assert found(misnamed, "both_attendance_files").severity == "error"


def test_csv_and_parquet_for_one_table(misnamed: SourceReport) -> None:
    problem = found(misnamed, "both_formats")
    assert (problem.count, problem.file) == (2, "visits.csv")


def test_unknown_files_are_counted_without_their_names(misnamed: SourceReport) -> None:
    problem = found(misnamed, "unknown_file")
    assert (problem.count, problem.severity) == (3, "decision")
    assert "is one of them incidents?" in problem.text


NO_TABLE = {
    "nothing": ("students", b"", "empty_file"),
    "header": ("rosters", b"student_id,staff_id,school_id,school_year\n", "no_rows"),
    "header-no-end": (
        "surveys",
        b"respondent_id,student_id,school_year,scale,item,response",
        "no_rows",
    ),
    "zeros": ("schools", b"student_id\0birth_date", "encoding"),
    "undefined": ("calendar", b"name\nQQQ\x81\xff\n", "encoding"),
    "utf-32": ("enrollments", "\ufeffstudent_id".encode("utf-32"), "encoding"),
    "cut": ("absences", b"\xff\xfestudent_ids odd", "encoding"),
    "no-header": ("visits", b"V00001,SYN00001,2014-08-02,FEP,in_person,1\n", "missing_column"),
    "blank": ("staff", b"\n\n", "missing_column"),
}


@pytest.fixture(scope="module")
def no_tables(tmp_path_factory: pytest.TempPathFactory) -> SourceReport:
    """Return the report on a district of which most files hold no table."""
    folder = write_tiny_district(tmp_path_factory.mktemp("no_tables") / "district [2015]")
    for name, content, _ in NO_TABLE.values():
        (folder / f"{name}.csv").write_bytes(content)
    return check(folder)


@pytest.mark.parametrize("case", NO_TABLE)
def test_files_that_hold_no_table(no_tables: SourceReport, case: str) -> None:
    name, _, rule = NO_TABLE[case]
    assert [p.rule for p in no_tables.errors if p.file == f"{name}.csv"] == [rule]


UTF_16_BIG_ENDIAN = "utf-16-be with its mark"
DELIVERED = {
    "incidents": ("utf-8", "utf-8", None),
    "visits": ("utf-8-sig", "utf-8-sig", "UTF-8 with a mark"),
    "schools": ("cp1252", "cp1252", "Windows-1252"),
    "surveys": ("utf-16", "utf-16", "UTF-16"),
    "staff": (UTF_16_BIG_ENDIAN, "utf-16", "UTF-16"),
}
"""Table: the encoding in which it is written, that which is recorded, how that is said."""

FOREIGN = {
    "incidents": ("incident_id", "I00001", "Fußball n° 1"),
    "visits": ("visit_id", "V00001", "Été n° 1"),
    "schools": ("name", "School 01", "École n° 1"),
    "surveys": ("item", "q1", "Élève n° 1"),
    "staff": ("staff_id", "T0004", "Maître n° 4"),
}
"""Table: a column, and by what its text is replaced."""


@pytest.fixture(
    scope="module",
    params=["\r\n", *(pytest.param(end, marks=pytest.mark.slow) for end in ("\n", "\r"))],
)
def encoded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sources]:
    """Return the tables of a district of which every file has another encoding."""
    folder = write_tiny_district(tmp_path_factory.mktemp("encoded") / "district [2015]")
    for name, (encoding, *_) in DELIVERED.items():
        _, old, new = FOREIGN[name]
        rewrite(folder, name, old, new)
        path = folder / f"{name}.csv"
        text = path.read_text("utf-8").replace("\n", request.param)
        if encoding == UTF_16_BIG_ENDIAN:
            path.write_bytes(b"\xfe\xff" + text.encode("utf-16-be"))
        else:
            path.write_bytes(text.encode(encoding))
    before = contents(folder)
    with read_sources(folder) as sources:
        assert contents(folder) == before
        yield sources


@pytest.mark.parametrize("name", DELIVERED)
def test_text_encodings(encoded: Sources, name: str) -> None:
    _, recorded, decided = DELIVERED[name]
    (file,) = [file for file in encoded.files if file.name == f"{name}.csv"]
    assert file.encoding == recorded
    problems = [p for p in encoded.decisions if p.file == file.name]
    assert [p.rule for p in problems] == ([] if decided is None else ["decoded"])
    if decided is not None:
        assert decided in problems[0].text
    column, _, text = FOREIGN[name]
    assert (text,) in values(encoded, name, column)


def test_a_fault_in_a_decoded_file_has_its_line(folder: Path) -> None:
    change(folder, "schools", 4, "School 02", "École")
    change(folder, "schools", 6, "elementary", "QQQ")
    path = folder / "schools.csv"
    path.write_bytes(path.read_text("utf-8").replace("\n", "\r\n").encode("cp1252"))
    assert found(check(folder), "unknown_code").lines == (6,)


@pytest.fixture(scope="module")
def separated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sources]:
    """Return the tables of a district of files with semicolons and tabs, one with 0,5 for 0.5."""
    folder = write_tiny_district(tmp_path_factory.mktemp("separated") / "district [2015]")
    for path in folder.glob("*.csv"):
        delimiter = {"absences": ";", "visits": ";", "students": ";"}.get(path.stem, "\t")
        path.write_text(path.read_text().replace(",", delimiter))
    rewrite(folder, "absences", "0.", "0,")
    with read_sources(folder) as sources:
        yield sources


def test_other_separators(separated: Sources) -> None:
    said = {p.file: p.text for p in separated.decisions if p.rule == "delimiter"}
    assert set(said) == {file.name for file in separated.files}
    for name, text in said.items():
        semicolons = name in ("absences.csv", "visits.csv", "students.csv")
        assert ("semicolons" if semicolons else "tabs") in text
    assert {p.rule for p in separated.decisions} == {"delimiter", "decimal_comma"}


def test_decimal_commas_in_a_file_with_semicolons(separated: Sources) -> None:
    (problem,) = [p for p in separated.decisions if p.rule == "decimal_comma"]
    assert (problem.file, problem.count, problem.lines) == ("absences.csv", 2, (5, 7))
    fractions = sorted(value for (value,) in values(separated, "absences", "fraction"))
    assert fractions == [0, 0.25, 0.5, 1, 1, 1, 1, 1]


def test_quoted_line_ends_and_blank_lines_do_not_shift_line_numbers(folder: Path) -> None:
    change(folder, "schools", 2, "School 01", '"School\n01, ""the first"""')
    rewrite(folder, "schools", "S03,2014", "\nS03,2014")
    append(folder, "schools", "", "S01,2014,QQQ,elementary,1,0,0", "")
    lines = (folder / "schools.csv").read_text().splitlines()
    report = check(folder)
    problem = found(report, "duplicate_key")
    assert problem.lines == (2, lines.index("S01,2014,QQQ,elementary,1,0,0") + 1)
    blank = found(report, "blank_line")
    assert blank.lines == tuple(n for n, line in enumerate(lines[:-1], start=1) if line == "")
    assert blank.count == 2


def test_quoted_fields_are_read_as_they_stand(folder: Path) -> None:
    for path in folder.glob("*.csv"):
        lines = path.read_text("utf-8").splitlines()
        quoted = [",".join(f'"{cell}"' for cell in line.split(",")) for line in lines]
        path.write_text("\n".join(quoted) + "\n", encoding="utf-8")
    change(folder, "schools", 2, '"School 01"', '"School 01, ""the first"""')
    with read_sources(folder) as sources:
        assert sources.decisions == ()
        assert ('School 01, "the first"',) in values(sources, "schools", "name")


def test_short_and_long_lines(folder: Path) -> None:
    change(folder, "students", 3, ",male", "")
    change(folder, "students", 5, ",male", ",male,QQQ,QQQ")
    change(folder, "students", 13, "male", "QQQ")
    report = check(folder)
    assert found(report, "short_line").lines == (3,)
    assert found(report, "long_line").lines == (5,)
    assert found(report, "unknown_code").lines == (13,)  # right though lines before are left out
    assert {p.rule for p in report.errors} == {"short_line", "long_line", "unknown_code"}


def test_only_empty_fields_may_stand_after_the_last_column(folder: Path) -> None:
    path = folder / "students.csv"
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *(f"{row},," for row in rows)]) + "\n")
    change(folder, "students", 3, ",,", ",,QQQ")
    (problem,) = check(folder).problems
    assert (problem.rule, problem.lines) == ("long_line", (3,))


STRAY = {
    "open": ("enrollments", '"QQQ', ("2015", "20155"), "out_of_range"),
    "close": ("absences", 'QQQ"', ("excused", "QQQ"), "unknown_code"),
    "after": ("characteristics", '"QQQ"QQQ', ("2015", "20155"), "out_of_range"),
    "inside": ("assessments", 'Q"QQ', ("parcc", "QQQ"), "unknown_code"),
}
"""A table, a student with a stray mark at line 3, another fault at the last line, its rule."""


@pytest.fixture(scope="module")
def stray(tmp_path_factory: pytest.TempPathFactory) -> tuple[SourceReport, dict[str, int]]:
    """Return the report on a district with stray quotation marks, and last lines of its files."""
    folder = write_tiny_district(tmp_path_factory.mktemp("stray") / "district [2015]")
    last = {}
    for name, mark, fault, _ in STRAY.values():
        lines = (folder / f"{name}.csv").read_text().splitlines()
        last[name] = len(lines)
        change(folder, name, 3, lines[2].split(",")[0], mark)
        change(folder, name, last[name], *fault)
    return check(folder), last


@pytest.mark.parametrize("case", STRAY)
def test_stray_quotation_marks_are_found_and_the_rest_is_still_checked(
    stray: tuple[SourceReport, dict[str, int]], case: str
) -> None:
    report, last = stray
    name, _, _, rule = STRAY[case]
    problems = {p.rule: p.lines for p in report.errors if p.file == f"{name}.csv"}
    assert problems.pop("stray_quote") == (3,)
    assert problems.pop(rule) == (last[name],)
    assert problems in ({}, {"unknown_student": (3,)})


def test_broken_parquet(folder: Path) -> None:
    broken = {"visits": b"", "incidents": b"QQQ not parquet", "surveys": b"PAR1\0\0PAR1"}
    for name, content in broken.items():
        (folder / f"{name}.csv").unlink()
        (folder / f"{name}.parquet").write_bytes(content)
    assert [(p.file, p.rule) for p in check(folder).errors] == [
        ("incidents.parquet", "unreadable"),
        ("surveys.parquet", "unreadable"),
        ("visits.parquet", "empty_file"),
    ]


def test_parquet_gives_the_same_tables_as_csv(
    valid: tuple[Path, SourceReport], folder: Path
) -> None:
    for name in TABLES:
        to_parquet(folder, name)
    with read_sources(valid[0]) as first, read_sources(folder) as second:
        for name in TABLES:
            rows = [
                sorted(map(str, getattr(sources, name).to_native().fetchall()))
                for sources in (first, second)
            ]
            assert rows[0] == rows[1]
        assert {file.encoding for file in second.files} == {"parquet"}
        assert second.decisions == ()


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> SourceReport:
    """Return the report on a district with Parquet files of which some cannot be used."""
    folder = write_tiny_district(tmp_path_factory.mktemp("parquet") / "district [2015]")
    to_parquet(
        folder,
        "absences",
        "student_id, school_id, date::TIMESTAMP AS date, category, fraction::DOUBLE AS fraction",
    )
    to_parquet(folder, "schools", "* REPLACE (school_year::DOUBLE AS school_year, fep='1' AS fep)")
    to_parquet(folder, "visits", "* REPLACE ([program] AS program, 1.5::DOUBLE AS student_id)")
    change(folder, "incidents", 4, "perpetrator", "QQQ")
    to_parquet(folder, "incidents")
    return check(folder)


def test_parquet_with_typed_columns(parquet: SourceReport) -> None:
    assert {p.file for p in parquet.problems} == {"incidents.parquet", "visits.parquet"}
    rows = {file.name: file.rows for file in parquet.files}
    assert (rows["absences.parquet"], rows["schools.parquet"]) == (8, 6)


def test_parquet_columns_that_cannot_be_used(parquet: SourceReport) -> None:
    errors = [p for p in parquet.errors if p.file == "visits.parquet"]
    assert [(p.rule, p.column) for p in errors] == [
        ("wrong_column_type", "program"),
        ("wrong_column_type", "student_id"),
    ]


def test_places_in_parquet_are_rows(parquet: SourceReport) -> None:
    (problem,) = [p for p in parquet.problems if p.file == "incidents.parquet"]
    assert (problem.rule, problem.lines) == ("unknown_code", (3,))
    assert "at row 3" in problem.text


def test_columns_missing_doubled_unknown_and_respelled(folder: Path) -> None:
    change(folder, "visits", 1, "mode", "mod")
    change(folder, "students", 1, "household_id", "sex")
    change(folder, "schools", 1, "school_id", " School ID")
    change(folder, "incidents", 1, "role", "QQQ")
    report = check(folder)
    errors = {(p.file, p.rule, p.column) for p in report.errors}
    assert errors == {
        ("visits.csv", "missing_column", "mode"),
        ("students.csv", "duplicate_column", "sex"),
        ("incidents.csv", "missing_column", "role"),
    }
    extra = {p.file: p.text for p in report.decisions if p.rule == "extra_column"}
    assert "column 5, is it mode?" in extra["visits.csv"]
    assert "column 6)" in extra["incidents.csv"]
    assert found(report, "header_spelling").column == "school_id"


def test_month_first_dates_of_a_whole_column(folder: Path) -> None:
    for iso, other in (
        ("2014-08-02", "8/2/2014"),
        ("2014-09-10", "9/10/2014"),
        ("2013-08-03", "8/3/2013"),
    ):
        rewrite(folder, "visits", iso, other)
    with read_sources(folder) as sources:
        (problem,) = sources.decisions
        assert (problem.rule, problem.count) == ("month_first_dates", 5)
        dates = {str(date) for (date,) in values(sources, "visits", "date")}
    assert dates == {"2014-08-02", "2014-09-10", "2013-08-03"}
    rewrite(folder, "visits", "9/10/2014", "19/10/2014")
    problem = found(check(folder), "wrong_type")  # day first cannot be told from month first
    assert problem.count == 5


def test_a_district_file_may_begin_with_a_mark(tmp_path: Path) -> None:
    content = '\ufeffformat = 1\nname = "Tiny"\nsynthetic = false\n'
    (tmp_path / "district.toml").write_text(content, encoding="utf-8")
    district, problems = read_district(tmp_path)
    assert problems == []
    assert (district.name, district.synthetic) == ("Tiny", False)


@pytest.mark.parametrize(
    "content",
    ["format = 2\n", 'format = 1\nsynthetic = "QQQ"\n', 'format = 1\nname = ""\n', "QQQ"],
)
def test_district_files_that_cannot_be_used(tmp_path: Path, content: str) -> None:
    (tmp_path / "district.toml").write_text(content, encoding="utf-8")
    _, problems = read_district(tmp_path)
    assert [(p.rule, p.severity) for p in problems] == [("district_file", "error")]


def test_the_error_of_read_sources_lists_all_problems(folder: Path) -> None:
    change(folder, "students", 2, "female", "QQQ")
    change(folder, "visits", 2, "SYN00001", "SYN99999")
    (folder / "district.toml").write_text("QQQ", encoding="utf-8")
    with pytest.raises(SourceError) as caught:
        read_sources(folder)
    message = str(caught.value)
    assert message.startswith("The files do not fit the data dictionary (3 problems):\n")
    assert "district.toml" in message
    assert "QQQ" not in message
    assert "SYN" not in message
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
