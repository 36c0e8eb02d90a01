"""Every rule of the data dictionary: a fault in a valid district, found where it is.

Faults that do not touch each other are in one folder: each is found, and nothing else.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from delivered_files import append, change, check, found, rewrite
from homevisit_eval.sources import RULES, SCHEMAS, Problem, SourceReport
from tiny_district import write_tiny_district

Edit = Callable[[Path], None]
Case = tuple[str, str, str, int, tuple[int, ...], Edit]


def changed(name: str, line: int, old: str, new: str) -> Edit:
    return lambda folder: change(folder, name, line, old, new)


def appended(name: str, *lines: str) -> Edit:
    return lambda folder: append(folder, name, *lines)


# (rule, file, column, count, lines, how the fault gets there); the faults of one group are put in
# one folder and must not touch each other
ERRORS: dict[str, list[Case]] = {
    "values": [
        ("missing_value", "students", "sex", 1, (3,), changed("students", 3, "male", "")),
        ("wrong_type", "schools", "fep", 1, (2,), changed("schools", 2, ",1,", ",QQQ,")),
        (
            "wrong_type",
            "characteristics",
            "school_year",
            1,
            (2,),
            changed("characteristics", 2, "2014", "2014.5"),
        ),
        (
            "wrong_type",
            "assessments",
            "scale_score",
            1,
            (2,),
            changed("assessments", 2, "246", "nan"),
        ),
        (
            "wrong_type",
            "students",
            "birth_date",
            1,
            (2,),
            changed("students", 2, "2006-01-15", "QQQ"),
        ),
        (
            "impossible_date",
            "students",
            "birth_date",
            1,
            (4,),
            changed("students", 4, "2004-03-15", "2015-02-30"),
        ),
        ("unknown_code", "students", "sex", 1, (6,), changed("students", 6, "female", "QQQ")),
        ("unknown_code", "visits", "program", 1, (2,), changed("visits", 2, "FEP", "QQQ")),
        ("unknown_code", "enrollments", "grade", 1, (2,), changed("enrollments", 2, "KG", "13")),
        (
            "out_of_range",
            "incidents",
            "days",
            1,
            (4,),
            changed("incidents", 4, "suspension,2", "suspension,-2"),
        ),
        ("out_of_range", "absences", "fraction", 1, (5,), changed("absences", 5, "0.5", "1.5")),
        ("fraction_missing", "absences", "fraction", 1, (7,), changed("absences", 7, "0.25", "")),
        ("out_of_range", "surveys", "response", 1, (2,), changed("surveys", 2, ",5", ",6")),
        (
            "score_range",
            "assessments",
            "scale_score",
            1,
            (10,),
            changed("assessments", 10, "726", "426"),
        ),
        ("unknown_staff", "visits", "staff_id_2", 1, (2,), changed("visits", 2, "T0002", "T0099")),
        ("unknown_staff", "rosters", "staff_id", 1, (2,), changed("rosters", 2, "T0001", "T0099")),
    ],
    "years": [
        ("wrong_type", "schools", "school_year", 1, (2,), changed("schools", 2, "2014", "QQQ")),
        ("out_of_range", "schools", "school_year", 1, (4,), changed("schools", 4, "2014", "20144")),
    ],
    "keys": [
        (
            "wrong_type",
            "students",
            "birth_date",
            1,
            (4,),
            changed("students", 4, "2004-03-15", "3/15/2004"),
        ),
        (
            "duplicate_key",
            "students",
            "student_id",
            2,
            (2, 14),
            appended("students", "SYN00001,2006-01-15,female,black,"),
        ),
        (
            "duplicate_key",
            "calendar",
            "school_id, date",
            2,
            (2, 50),
            appended("calendar", ",2014,2013-08-26,1,0"),
        ),
        (
            "unknown_student",
            "absences",
            "student_id",
            1,
            (2,),
            changed("absences", 2, "SYN00001", "QQQ"),
        ),
        ("unknown_school", "absences", "school_id", 1, (3,), changed("absences", 3, "S01", "QQQ")),
        (
            "unknown_school",
            "enrollments",
            "school_id, school_year",
            1,
            (2,),
            changed("enrollments", 2, "S01", "S99"),
        ),
    ],
    "dates": [
        (
            "no_calendar",
            "schools",
            "school_id, school_year",
            1,
            (3,),
            appended("calendar", "S01,2015,2014-08-25,0,0"),
        ),
        (
            "date_outside_school_year",
            "enrollments",
            "entry_date",
            1,
            (2,),
            changed("enrollments", 2, "2013-08-26", "2012-08-26"),
        ),
        (
            "several_count_dates",
            "calendar",
            "count_date",
            2,
            (2, 12),
            changed("calendar", 2, ",1,0", ",1,1"),
        ),
        (
            "born_after_entry",
            "students",
            "birth_date",
            1,
            (3,),
            changed("students", 3, "2005-02-15", "2016-01-15"),
        ),
        (
            "exit_before_entry",
            "enrollments",
            "exit_date",
            1,
            (25,),
            changed("enrollments", 25, "2014-09-05", "2014-08-05"),
        ),
        (
            "overlapping_spells",
            "enrollments",
            "entry_date, exit_date",
            2,
            (4, 27),
            appended("enrollments", "SYN00003,S01,2014,02,2013-09-02,"),
        ),
        (
            "fractions_over_day",
            "absences",
            "fraction",
            2,
            (2, 10),
            appended("absences", "SYN00001,S01,2013-08-29,partial,0.25"),
        ),
    ],
    "a calendar that goes on": [
        (
            "date_outside_school_year",
            "calendar",
            "date",
            1,
            (50,),
            appended("calendar", ",2015,2016-03-01,1,0"),
        ),
        (
            "school_years_overlap",
            "calendar",
            "date",
            1,
            (51,),
            appended("calendar", ",2014,2014-08-31,1,0"),
        ),
    ],
}


CASES = [(group, case) for group, cases in ERRORS.items() for case in cases]
KNOCK_ON = {"years": {"unknown_school"}}
"""Rules that find rows of other tables without what they refer to, once a key is changed."""


def report_of(folder: Path, cases: list[Case]) -> SourceReport:
    """Return the report on a district with the faults of the cases."""
    write_tiny_district(folder)
    for *_, edit in cases:
        edit(folder)
    return check(folder)


def described(problem: Problem) -> tuple[object, ...]:
    return problem.rule, problem.file, problem.column, problem.count, problem.lines


def expected(case: Case) -> tuple[object, ...]:
    rule, name, column, count, lines, _ = case
    return rule, f"{name}.csv", column, count, lines


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SourceReport]:
    base = tmp_path_factory.mktemp("errors")
    return {group: report_of(base / group, cases) for group, cases in ERRORS.items()}


@pytest.mark.parametrize(
    ("group", "case"),
    CASES,
    ids=[f"{case[0]}-{case[1]}-{number}" for number, (_, case) in enumerate(CASES)],
)
def test_a_fault_is_an_error_at_its_line(
    reports: dict[str, SourceReport], group: str, case: Case
) -> None:
    report = reports[group]
    rule, name, column, *_ = case
    problem = next(
        p for p in report.errors if (p.rule, p.file, p.column) == (rule, f"{name}.csv", column)
    )
    assert described(problem) == expected(case)
    assert problem.advice
    assert not report.ok


@pytest.mark.parametrize("group", ERRORS)
def test_nothing_but_the_faults_is_found(reports: dict[str, SourceReport], group: str) -> None:
    others = {described(p) for p in reports[group].errors} - {expected(c) for c in ERRORS[group]}
    assert {rule for rule, *_ in others} == KNOCK_ON.get(group, set())


# in one folder: lines are appended in the order of the cases
DECISIONS: list[Case] = [
    ("code_spelling", "students", "sex", 1, (2,), changed("students", 2, "female", "Female")),
    ("code_spelling", "enrollments", "grade", 1, (3,), changed("enrollments", 3, ",01,", ",1,")),
    (
        "trimmed",
        "students",
        "student_id",
        1,
        (3,),
        changed("students", 3, "SYN00002", " SYN00002 "),
    ),
    ("blank_line", "students", "", 1, (14,), appended("students", ",,,,")),
    (
        "overlapping_schools",
        "enrollments",
        "entry_date, exit_date",
        2,
        (2, 27),
        appended("enrollments", "SYN00001,S02,2014,KG,2013-09-02,"),
    ),
    (
        "no_instructional_day",
        "enrollments",
        "entry_date, exit_date",
        1,
        (28,),
        appended("enrollments", "SYN00001,S01,2014,KG,2013-08-01,2013-08-20"),
    ),
    (
        "not_instructional",
        "absences",
        "",
        2,
        (10, 11),
        appended(
            "absences", "SYN00002,S01,2013-08-31,excused,", "SYN00002,S01,2013-12-25,excused,"
        ),
    ),
    (
        "outside_enrollment",
        "absences",
        "",
        1,
        (12,),
        appended("absences", "SYN00012,S03,2014-09-08,tardy,"),
    ),
    (
        "tardy_fraction",
        "absences",
        "fraction",
        1,
        (4,),
        changed("absences", 4, "tardy,", "tardy,0.1"),
    ),
    (
        "outside_school_years",
        "visits",
        "date",
        1,
        (2,),
        changed("visits", 2, "2014-08-02", "2019-08-02"),
    ),
]


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> SourceReport:
    return report_of(tmp_path_factory.mktemp("decisions") / "district", DECISIONS)


@pytest.mark.parametrize("case", DECISIONS, ids=[f"{rule}-{name}" for rule, name, *_ in DECISIONS])
def test_a_decision_is_counted(decided: SourceReport, case: Case) -> None:
    rule, name, *_ = case
    (problem,) = [p for p in decided.decisions if (p.rule, p.file) == (rule, f"{name}.csv")]
    assert described(problem) == expected(case)


def test_decisions_leave_the_files_usable_and_nothing_else_is_decided(
    decided: SourceReport,
) -> None:
    assert decided.ok
    assert {described(p) for p in decided.decisions} == {expected(case) for case in DECISIONS}


def test_every_problem_of_every_file_is_found_at_once(tmp_path: Path) -> None:
    folder = write_tiny_district(tmp_path / "district")
    change(folder, "students", 2, "female", "QQQ")
    change(folder, "students", 3, "2005-02-15", "2005-02-30")
    change(folder, "incidents", 4, "suspension,2", "suspension,-2")
    change(folder, "absences", 2, "SYN00001", "QQQ")
    (folder / "visits.csv").unlink()
    report = check(folder)
    assert [(p.file, p.rule) for p in report.errors] == [
        ("absences.csv", "unknown_student"),
        ("incidents.csv", "out_of_range"),
        ("students.csv", "impossible_date"),
        ("students.csv", "unknown_code"),
        ("visits.csv", "missing_file"),
    ]
    text = report.text()
    assert text.splitlines()[0] == "11 files, 160 rows: 5 errors, 0 decisions."
    assert (
        "students.csv\n  error: a date that does not exist in birth_date: 1 row, at line 3." in text
    )


def test_only_the_first_three_lines_are_named(tmp_path: Path) -> None:
    folder = write_tiny_district(tmp_path / "district")
    rewrite(folder, "characteristics", ",0,0\n", ",0,QQQ\n")
    problem = found(check(folder), "wrong_type")
    assert problem.count == 22
    assert problem.lines == (2, 3, 4)
    assert "22 rows, first at lines 2, 3, 4." in problem.text


def test_rules_named_in_the_data_dictionary_exist_and_are_tested() -> None:
    named = {rule for schema in SCHEMAS for rule in schema.rules}
    assert named <= set(RULES)
    tested = {case[0] for case in [*(case for _, case in CASES), *DECISIONS]}
    assert named - tested == {"present_days", "other_school_counts"}  # test_sources_tables.py


def disordered(folder: Path) -> Path:
    """Write a district with faults of many kinds."""
    write_tiny_district(folder)
    append(folder, "enrollments", "SYN00001,S01,2014,KG,2013-09-02,", "SYN00002,QQQ,2014,KG,,")
    append(folder, "students", "SYN00001,2006-01-15,QQQ,black,")
    append(folder, "absences", "SYN00001,S01,2013-08-29,partial,0.25", "QQQ,S01,2013-08-29,x,7")
    append(folder, "calendar", ",2014,2014-08-30,1,0", ",2014,2013-08-26,1,0")
    return folder


def counts(folder: Path) -> Counter[tuple[str, str, str]]:
    return Counter({(p.file, p.rule, p.column): p.count for p in check(folder).problems})


@pytest.fixture(scope="module")
def counts_in_order(tmp_path_factory: pytest.TempPathFactory) -> Counter[tuple[str, str, str]]:
    return counts(disordered(tmp_path_factory.mktemp("order") / "district"))


@pytest.mark.parametrize(
    "seed", [1, 2, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 9))]
)
def test_the_order_of_rows_does_not_change_the_counts(
    tmp_path: Path, counts_in_order: Counter[tuple[str, str, str]], seed: int
) -> None:
    folder = disordered(tmp_path / "district")
    generator = random.Random(seed)
    for path in folder.glob("*.csv"):
        header, *rows = path.read_text("utf-8").splitlines()
        generator.shuffle(rows)
        path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    assert counts(folder) == counts_in_order
    assert len(counts_in_order) >= 8
