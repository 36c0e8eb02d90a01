"""A valid district small enough to read: 3 schools, 12 students, school years 2014 and 2015.

Every test that needs files starts from this folder and changes what it is about. The calendar of a
year has 20 instructional days (Monday to Friday, from the last Monday of August, four weeks);
Saturdays of these weeks are listed as not instructional. The count date is the second Friday.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

__all__ = ["TABLES", "first_day", "instructional_days", "write_table", "write_tiny_district"]

Row = Sequence[object]

TABLES = (
    "schools",
    "calendar",
    "students",
    "enrollments",
    "characteristics",
    "absences",
    "incidents",
    "assessments",
    "visits",
    "staff",
    "rosters",
    "surveys",
)
SCHOOL_YEARS = (2014, 2015)
SCHOOLS = ("S01", "S02", "S03")
STUDENTS = tuple(f"SYN{number:05d}" for number in range(1, 13))


def first_day(school_year: int) -> date:
    """Return the first instructional day: the last Monday of August of the fall."""
    last = date(school_year - 1, 8, 31)
    return last - timedelta(days=last.weekday())


def instructional_days(school_year: int) -> list[date]:
    """Return the 20 instructional days of a school year, in order."""
    start = first_day(school_year)
    return [start + timedelta(days=7 * week + day) for week in range(4) for day in range(5)]


def write_table(folder: Path, name: str, columns: Sequence[str], rows: Sequence[Row]) -> Path:
    """Write one table as UTF-8 CSV with LF line ends and return its path."""
    path = folder / f"{name}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def write_tiny_district(folder: Path) -> Path:
    """Write all tables of a valid tiny district into `folder` (made if needed) and return it."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _write_schools_and_calendar(folder)
    _write_students(folder)
    _write_attendance_and_incidents(folder)
    _write_assessments_and_visits(folder)
    _write_staff_and_surveys(folder)
    (folder / "district.toml").write_text(
        'format = 1\nname = "Tiny district"\nsynthetic = true\npreset = "tiny"\nseed = 1\n'
        'note = "Written by the tests."\n',
        encoding="utf-8",
    )
    return folder


def _write_schools_and_calendar(folder: Path) -> None:
    write_table(
        folder,
        "schools",
        ["school_id", "school_year", "name", "school_level", "fep", "fec", "early_childhood"],
        [
            [school, year, f"School {school[1:]}", "elementary", int(school != "S03"), 0, 0]
            for school in SCHOOLS
            for year in SCHOOL_YEARS
        ],
    )
    days: list[Row] = []
    for year in SCHOOL_YEARS:
        lessons = instructional_days(year)
        saturdays = [lessons[4 + 5 * week] + timedelta(days=1) for week in range(4)]
        days += [["", year, day, 1, int(day == lessons[9])] for day in lessons]
        days += [["", year, day, 0, 0] for day in saturdays]
    columns = ["school_id", "school_year", "date", "instructional", "count_date"]
    write_table(folder, "calendar", columns, sorted(days, key=lambda row: str(row[2])))


def _write_students(folder: Path) -> None:
    groups = ("black", "hispanic", "white", "asian")
    write_table(
        folder,
        "students",
        ["student_id", "birth_date", "sex", "race_ethnicity", "household_id"],
        [
            [
                student,
                date(2006 - index % 3, 1 + index, 15),
                ("female", "male")[index % 2],
                groups[index % 4],
                "H01" if index < 2 else "",
            ]
            for index, student in enumerate(STUDENTS)
        ],
    )
    write_table(
        folder,
        "enrollments",
        ["student_id", "school_id", "school_year", "grade", "entry_date", "exit_date"],
        _spells(),
    )
    write_table(
        folder,
        "characteristics",
        ["student_id", "school_year", "at_risk", "english_learner", "disability", "homeless"],
        [
            [student, year, int(index % 2 == 0), int(index % 4 == 1), int(index == 5), 0]
            for year in SCHOOL_YEARS
            for index, student in enumerate(STUDENTS)
        ],
    )


def _spells() -> list[Row]:
    """One spell a student and year, but SYN00012 moves from S03 to S01 in 2015, after 10 days."""
    spells: list[Row] = []
    for year in SCHOOL_YEARS:
        days = instructional_days(year)
        for index, student in enumerate(STUDENTS):
            grade = ("KG", "01", "02", "03")[index % 3 + year - 2014]
            school = SCHOOLS[index // 4]
            if student == "SYN00012" and year == 2015:
                spells.append([student, "S03", year, grade, days[0], days[9]])
                spells.append([student, "S01", year, grade, days[10], ""])
            else:
                spells.append([student, school, year, grade, days[0], ""])
    return spells


def _write_attendance_and_incidents(folder: Path) -> None:
    old, new = instructional_days(2014), instructional_days(2015)
    write_table(
        folder,
        "absences",
        ["student_id", "school_id", "date", "category", "fraction"],
        [
            ["SYN00001", "S01", old[3], "excused", ""],
            ["SYN00001", "S01", old[4], "unexcused", 1],
            ["SYN00002", "S01", old[5], "tardy", ""],
            ["SYN00006", "S02", old[0], "partial", 0.5],
            ["SYN00001", "S01", new[0], "unexcused", ""],
            ["SYN00009", "S03", new[19], "partial", 0.25],
            ["SYN00012", "S03", new[9], "excused", ""],
            ["SYN00012", "S01", new[10], "excused", ""],
        ],
    )
    write_table(
        folder,
        "incidents",
        [
            "incident_id",
            "student_id",
            "school_id",
            "date",
            "behavior",
            "role",
            "action",
            "days",
        ],
        [
            ["I00001", "SYN00003", "S01", old[7], "fighting", "perpetrator", "none", 0],
            ["I00001", "SYN00004", "S01", old[7], "fighting", "victim", "none", 0],
            [
                "I00002",
                "SYN00007",
                "S02",
                new[8],
                "disruption",
                "perpetrator",
                "out_of_school_suspension",
                2,
            ],
        ],
    )


def _write_assessments_and_visits(folder: Path) -> None:
    write_table(
        folder,
        "assessments",
        [
            "student_id",
            "school_year",
            "instrument",
            "subject",
            "grade",
            "scale_score",
            "performance_level",
        ],
        [
            [student, year, instrument, subject, grade, low + 3 * index, 3]
            for year, instrument, low, position, grade in (
                (2014, "dc_cas", 240, 2, "02"),
                (2015, "parcc", 720, 2, "03"),
            )
            for subject in ("math", "reading")
            for index, student in enumerate(STUDENTS)
            if index % 3 == position
        ],
    )
    before, during = date(2014, 8, 2), instructional_days(2015)[12]
    write_table(
        folder,
        "visits",
        [
            "visit_id",
            "student_id",
            "date",
            "program",
            "mode",
            "completed",
            "staff_id_1",
            "staff_id_2",
        ],
        [
            ["V00001", "SYN00001", before, "FEP", "in_person", 1, "T0001", "T0002"],
            ["V00002", "SYN00005", before, "FEP", "virtual", 1, "T0003", ""],
            ["V00003", "SYN00006", before, "FEP", "in_person", 0, "T0003", ""],
            ["V00004", "SYN00002", during, "FEP", "in_person", 1, "T0001", ""],
            ["V00005", "SYN00009", date(2013, 8, 3), "FEC", "in_person", 1, "", ""],
        ],
    )


def _write_staff_and_surveys(folder: Path) -> None:
    teachers = {"T0001": "S01", "T0002": "S01", "T0003": "S02", "T0004": "S03"}
    write_table(
        folder,
        "staff",
        ["staff_id", "school_id", "school_year", "role", "experience_years"],
        [
            [teacher, school, year, "teacher", 5 + index]
            for year in SCHOOL_YEARS
            for index, (teacher, school) in enumerate(teachers.items())
            if (teacher, year) != ("T0004", 2015)
        ],
    )
    write_table(
        folder,
        "rosters",
        ["student_id", "staff_id", "school_id", "school_year"],
        [
            ["SYN00001", "T0001", "S01", 2015],
            ["SYN00002", "T0002", "S01", 2015],
            ["SYN00005", "T0003", "S02", 2015],
        ],
    )
    write_table(
        folder,
        "surveys",
        ["respondent_id", "student_id", "school_year", "scale", "item", "response"],
        [
            [respondent, student, 2015, scale, item, response]
            for respondent, student, response in (("R0001", "SYN00001", 5), ("R0002", "", 3))
            for scale in ("engagement_at_school", "involvement_at_home")
            for item in ("q1", "q2")
        ],
    )
