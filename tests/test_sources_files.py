"""Files as districts deliver them: encodings, separators, quotation marks, broken files."""

from __future__ import annotations

import hashlib
from itertools import product
from pathlib import Path

import pytest

from delivered_files import append, change, check, contents, found, rewrite, to_parquet
from homevisit_eval.errors import SourceError
from homevisit_eval.sources import check_sources, read_sources
from tiny_district import TABLES, write_tiny_district


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_district(tmp_path / "district [2015]")  # a name that is a pattern to others


def school_names(folder: Path) -> list[str]:
    with read_sources(folder) as sources:
        names = sources.schools.select("name").unique().to_native().fetchall()
    return sorted(str(name) for (name,) in names)


def test_a_valid_district_has_no_problems(folder: Path) -> None:
    report = check(folder)
    assert report.problems == ()
    assert report.ok
    assert report.text() == "12 files, 165 rows: 0 errors, 0 decisions."
    assert [file.name for file in report.files] == [
        f"{name}.csv" for name in (*TABLES[:6], *TABLES[6:])
    ]


def test_each_file_is_recorded_with_the_checksum_of_its_bytes(folder: Path) -> None:
    for file in check_sources(folder).files:
        content = (folder / file.name).read_bytes()
        assert file.sha256 == hashlib.sha256(content).hexdigest()
        assert file.rows == content.count(b"\n") - 1
        assert (file.encoding, file.delimiter) == ("utf-8", ",")


WAYS = ("absolute", "relative", "up and down", "symbolic link")
FORMS = ("utf-8", "cp1252", "quoted line ends", "parquet")


def often(name: str, way: str, form: str) -> object:
    """Return a case; those that combine two unusual things belong to the slow run."""
    usual = name != "plain" and (way == "absolute" or form == "utf-8")
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


def test_missing_required_file(folder: Path) -> None:
    (folder / "students.csv").unlink()
    problem = found(check(folder), "missing_file")
    assert (problem.file, problem.severity) == ("students.csv", "error")


def test_missing_optional_files_are_no_problem(folder: Path) -> None:
    for name in ("incidents", "assessments", "staff", "rosters", "surveys"):
        (folder / f"{name}.csv").unlink()
    assert check(folder).problems == ()
    with read_sources(folder) as sources:
        assert sources.incidents is None
        assert sources.surveys is None


def test_attendance_must_be_there_in_one_of_its_two_forms(folder: Path) -> None:
    (folder / "absences.csv").rename(folder / "elsewhere.txt")
    problem = found(check(folder), "missing_file")
    assert "daily_attendance.csv" in problem.text
    (folder / "elsewhere.txt").rename(folder / "absences.csv")
    (folder / "daily_attendance.csv").write_text(
        "student_id,school_id,date,status,fraction\nSYN00001,S01,2013-08-29,present,\n"
    )
    assert found(check(folder), "both_attendance_files").severity == "error"


def test_csv_and_parquet_for_one_table(folder: Path) -> None:
    content = (folder / "visits.csv").read_bytes()
    to_parquet(folder, "visits")
    (folder / "visits.csv").write_bytes(content)
    assert found(check(folder), "both_formats").count == 2


def test_unknown_files_are_counted_without_their_names(folder: Path) -> None:
    (folder / "absence.csv").write_text("x\n")
    (folder / "QQQ.parquet").write_bytes(b"")
    (folder / "incidents.csv").rename(folder / "incident.csv")
    problem = found(check(folder), "unknown_file")
    assert (problem.count, problem.severity) == (3, "decision")
    assert "is one of them incidents?" in problem.text


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "empty_file"),
        (b"student_id,birth_date,sex,race_ethnicity\n", "no_rows"),
        (b"student_id,birth_date,sex,race_ethnicity", "no_rows"),
        (b"student_id\0birth_date", "encoding"),
        (b"name\nQQQ\x81\xff\n", "encoding"),
        ("\ufeffstudent_id".encode("utf-32"), "encoding"),
        (b"\xff\xfestudent_ids odd", "encoding"),
        (b"SYN00001,2006-01-15,female,black\n", "missing_column"),
        (b"\n\n", "missing_column"),
    ],
    ids=[
        "nothing",
        "header",
        "header-no-end",
        "zeros",
        "undefined",
        "utf-32",
        "cut",
        "no-header",
        "blank",
    ],
)
def test_files_that_hold_no_table(folder: Path, content: bytes, rule: str) -> None:
    (folder / "students.csv").write_bytes(content)
    problem = found(check(folder), rule)
    assert (problem.file, problem.severity) == ("students.csv", "error")


@pytest.mark.parametrize(
    ("encoding", "recorded", "decided"),
    [
        ("utf-8", "utf-8", None),
        ("utf-8-sig", "utf-8-sig", "UTF-8 with a mark"),
        ("cp1252", "cp1252", "Windows-1252"),
        ("utf-16", "utf-16", "UTF-16"),
        ("utf-16-be-mark", "utf-16", "UTF-16"),
    ],
)
@pytest.mark.parametrize(
    "line_end", ["\r\n", *(pytest.param(end, marks=pytest.mark.slow) for end in ("\n", "\r"))]
)
def test_text_encodings(
    folder: Path, encoding: str, recorded: str, decided: str | None, line_end: str
) -> None:
    rewrite(folder, "schools", "School 01", "École n° 1")
    path = folder / "schools.csv"
    text = path.read_text("utf-8").replace("\n", line_end)
    if encoding == "utf-16-be-mark":
        path.write_bytes(b"\xfe\xff" + text.encode("utf-16-be"))
    else:
        path.write_bytes(text.encode(encoding))
    report = check(folder)
    assert report.ok
    assert report.files[0].encoding == recorded
    if decided is None:
        assert report.problems == ()
    else:
        assert decided in found(report, "decoded").text
    assert "École n° 1" in school_names(folder)


def test_a_fault_in_a_decoded_file_has_its_line(folder: Path) -> None:
    change(folder, "schools", 4, "School 02", "École")
    change(folder, "schools", 6, "elementary", "QQQ")
    path = folder / "schools.csv"
    path.write_bytes(path.read_text("utf-8").replace("\n", "\r\n").encode("cp1252"))
    assert found(check(folder), "unknown_code").lines == (6,)


@pytest.mark.parametrize(("delimiter", "words"), [(";", "semicolons"), ("\t", "tabs")])
def test_other_separators(folder: Path, delimiter: str, words: str) -> None:
    for path in folder.glob("*.csv"):
        path.write_bytes(path.read_bytes().replace(b",", delimiter.encode()))
    report = check(folder)
    assert report.ok
    assert {p.rule for p in report.problems} == {"delimiter"}
    assert len(report.problems) == len(report.files)
    assert words in report.text()


def test_decimal_commas_in_a_file_with_semicolons(folder: Path) -> None:
    path = folder / "absences.csv"
    path.write_text(path.read_text().replace(",", ";").replace("0.", "0,"))
    report = check(folder)
    assert report.ok
    problem = found(report, "decimal_comma")
    assert (problem.count, problem.lines) == (2, (5, 7))
    with read_sources(folder) as sources:
        rows = sources.absences.select("fraction").to_native().fetchall()
    assert sorted(value for (value,) in rows) == [0, 0.25, 0.5, 1, 1, 1, 1, 1]


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


def test_a_quoted_text_is_read_as_it_stands(folder: Path) -> None:
    change(folder, "schools", 2, "School 01", '"School 01, ""the first"""')
    assert check(folder).problems == ()
    assert 'School 01, "the first"' in school_names(folder)


def test_all_fields_quoted(folder: Path) -> None:
    for path in folder.glob("*.csv"):
        lines = path.read_text("utf-8").splitlines()
        quoted = [",".join(f'"{cell}"' for cell in line.split(",")) for line in lines]
        path.write_text("\n".join(quoted) + "\n", encoding="utf-8")
    assert check(folder).problems == ()


def test_short_and_long_lines(folder: Path) -> None:
    change(folder, "students", 3, ",male", "")
    change(folder, "students", 5, ",male", ",male,QQQ,QQQ")
    change(folder, "students", 13, "male", "QQQ")
    report = check(folder)
    assert found(report, "short_line").lines == (3,)
    assert found(report, "long_line").lines == (5,)
    assert found(report, "unknown_code").lines == (13,)  # right though lines before are left out
    assert {p.rule for p in report.errors} == {"short_line", "long_line", "unknown_code"}


def test_empty_fields_after_the_last_column(folder: Path) -> None:
    path = folder / "students.csv"
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *(f"{row},," for row in rows)]) + "\n")
    assert check(folder).problems == ()
    change(folder, "students", 3, ",,", ",,QQQ")
    assert found(check(folder), "long_line").lines == (3,)


@pytest.mark.parametrize(
    "text", ['"QQQ', 'QQQ"', '"QQQ"QQQ', 'Q"QQ'], ids=["open", "close", "after", "inside"]
)
def test_stray_quotation_marks_are_found_and_the_rest_is_still_checked(
    folder: Path, text: str
) -> None:
    change(folder, "enrollments", 3, "SYN00002", text)
    change(folder, "enrollments", 26, "2015", "20155")
    report = check(folder)
    stray = found(report, "stray_quote")
    assert (stray.file, stray.lines) == ("enrollments.csv", (3,))
    assert found(report, "out_of_range").lines == (26,)


@pytest.mark.parametrize("content", [b"", b"QQQ not parquet", b"PAR1\0\0PAR1"])
def test_broken_parquet(folder: Path, content: bytes) -> None:
    (folder / "visits.csv").unlink()
    (folder / "visits.parquet").write_bytes(content)
    report = check(folder)
    assert [p.rule for p in report.errors] == ["unreadable" if content else "empty_file"]
    assert report.errors[0].file == "visits.parquet"


def test_parquet_gives_the_same_tables_as_csv(folder: Path, tmp_path: Path) -> None:
    other = write_tiny_district(tmp_path / "parquet")
    for name in TABLES:
        to_parquet(other, name)
    assert check(other).problems == ()
    with read_sources(folder) as first, read_sources(other) as second:
        for name in TABLES:
            rows = [
                sorted(map(str, getattr(sources, name).to_native().fetchall()))
                for sources in (first, second)
            ]
            assert rows[0] == rows[1]
        assert {file.encoding for file in second.files} == {"parquet"}


def test_parquet_with_typed_columns(folder: Path) -> None:
    to_parquet(
        folder,
        "absences",
        "student_id, school_id, date::TIMESTAMP AS date, category, fraction::DOUBLE AS fraction",
    )
    to_parquet(folder, "schools", "* REPLACE (school_year::DOUBLE AS school_year, fep='1' AS fep)")
    assert check(folder).problems == ()


def test_parquet_columns_that_cannot_be_used(folder: Path) -> None:
    to_parquet(folder, "visits", "* REPLACE ([program] AS program, 1.5::DOUBLE AS student_id)")
    errors = check(folder).errors
    assert [(p.rule, p.column) for p in errors] == [
        ("wrong_column_type", "program"),
        ("wrong_column_type", "student_id"),
    ]


def test_places_in_parquet_are_rows(folder: Path) -> None:
    change(folder, "visits", 4, "FEP", "QQQ")
    to_parquet(folder, "visits")
    problem = found(check(folder), "unknown_code")
    assert problem.lines == (3,)
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


def test_an_optional_column_may_be_missing(folder: Path) -> None:
    path = folder / "students.csv"
    path.write_text("\n".join(row.rsplit(",", 1)[0] for row in path.read_text().splitlines()))
    report = check(folder)
    assert report.ok
    assert found(report, "absent_column").column == "household_id"
    with read_sources(folder) as sources:
        assert sources.students.to_native().fetchall()[0][-1] is None


def test_month_first_dates_of_a_whole_column(folder: Path) -> None:
    path = folder / "visits.csv"
    for iso, other in (
        ("2014-08-02", "8/2/2014"),
        ("2014-09-10", "9/10/2014"),
        ("2013-08-03", "8/3/2013"),
    ):
        rewrite(folder, "visits", iso, other)
    report = check(folder)
    assert report.ok
    assert found(report, "month_first_dates").count == 5
    with read_sources(folder) as sources:
        dates = {str(date) for (date,) in sources.visits.select("date").to_native().fetchall()}
    assert dates == {"2014-08-02", "2014-09-10", "2013-08-03"}
    path.write_text(path.read_text().replace("9/10/2014", "19/10/2014"))
    problem = found(check(folder), "wrong_type")  # day first cannot be told from month first
    assert problem.count == 5


@pytest.mark.parametrize(
    ("content", "usable"),
    [
        ('\ufeffformat = 1\nname = "Tiny"\nsynthetic = false\n', True),
        ("format = 2\n", False),
        ('format = 1\nsynthetic = "QQQ"\n', False),
        ('format = 1\nname = ""\n', False),
        ("QQQ", False),
    ],
)
def test_district_file(folder: Path, content: str, usable: bool) -> None:
    (folder / "district.toml").write_text(content, encoding="utf-8")
    assert check(folder).ok == usable


def test_the_error_of_read_sources_lists_all_problems(folder: Path) -> None:
    change(folder, "students", 2, "female", "QQQ")
    change(folder, "visits", 2, "SYN00001", "SYN99999")
    with pytest.raises(SourceError) as caught:
        read_sources(folder)
    message = str(caught.value)
    assert message.startswith("The files do not fit the data dictionary (2 problems):\n")
    assert "QQQ" not in message
    assert "SYN" not in message
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
