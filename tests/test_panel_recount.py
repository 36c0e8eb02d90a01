"""The panel equals a slow recount, day by day in plain Python and by pandas from the CSV files."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from homevisit_eval.design import Measurement
from homevisit_eval.panel import build_panel
from homevisit_eval.sources import read_sources
from panel_spec import WEEKS, Row, complete, fill, sources_of, two_weeks

SYNTHETIC = Path(__file__).parents[1] / "data" / "synthetic"
RULE = Measurement(partial_day_by_year=((2014, "absent_if_over"),))


TABLES = ("students", "schools", "history")


def first_of(seeds: range) -> list[Any]:
    """Return the seed of the default run; the others are for the slow one."""
    return [seeds[0], *(pytest.param(one, marks=pytest.mark.slow) for one in seeds[1:])]


def random_district(seed: int) -> dict[str, list[Row]]:
    """Return tables with overlapping spells, unequal calendars and records on the wrong days."""
    draw = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 1])))
    calendar = [row for s in ("S1", "S2", "S3") for y in WEEKS for row in two_weeks(s, y)]
    for row in calendar:
        row["instructional"] = str(int(draw.random() < 0.8))
    spells, absences, incidents = {}, {}, []

    def day(year: int) -> str:
        return str(WEEKS[year] + pd.Timedelta(days=int(draw.integers(-2, 15))).to_pytimedelta())

    for _ in range(90):
        year = int(draw.choice(list(WEEKS)))
        first, last = sorted((day(year), day(year)))
        student, school = f"s{draw.integers(30):02}", f"S{draw.integers(1, 4)}"
        spells[student, school, year, first] = {
            "student_id": student,
            "school_id": school,
            "school_year": str(year),
            "grade": str(draw.integers(0, 6)),
            "entry_date": first,
            "exit_date": last,
        }
    for _ in range(400):
        student, school = f"s{draw.integers(30):02}", f"S{draw.integers(1, 4)}"
        date, category = (
            day(int(draw.choice(list(WEEKS)))),
            str(draw.choice(["excused", "unexcused", "partial", "tardy"])),
        )
        fraction = 0.0 if category == "tardy" else round(float(draw.choice([0.1, 0.2, 0.7, 1])), 2)
        absences[student, school, date, category] = {
            "student_id": student,
            "school_id": school,
            "date": date,
            "category": category,
            "fraction": str(fraction),
        }
    for number in range(60):
        incidents.append(
            {
                "incident_id": f"I{number}",
                "student_id": f"s{draw.integers(30):02}",
                "school_id": f"S{draw.integers(1, 4)}",
                "date": day(int(draw.choice(list(WEEKS)))),
                "role": str(draw.choice(["perpetrator", "victim"])),
            }
        )
    rows = complete({})
    rows["calendar"], rows["enrollments"] = calendar, list(spells.values())
    rows["absences"], rows["incidents"] = list(absences.values()), incidents
    rows["schools"] = [
        {"school_id": f"S{s}", "school_year": str(y)} for s in (1, 2, 3) for y in WEEKS
    ]
    rows["students"] = [{"student_id": f"s{number:02}"} for number in range(30)]
    draw = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 2])))
    rows["assessments"] = [
        {"student_id": f"s{n:02}", "scale_score": f"{draw.normal(700, 30):.3f}"} for n in range(30)
    ]
    return rows


def built(rows: dict[str, list[Row]]) -> dict[str, pd.DataFrame]:
    """Return tables of the panel by the rule of this file."""
    with duckdb.connect() as connection:
        panel = build_panel(sources_of(rows, connection), RULE)
        return {name: panel.to_pandas(name) for name in TABLES}


@pytest.fixture(scope="module")
def panels() -> Callable[[int], dict[str, pd.DataFrame]]:
    """Return the function that builds the panel of a seed; of each only once."""
    return functools.cache(lambda seed: built(random_district(seed)))


def recount(rows: dict[str, list[Row]]) -> dict[tuple[str, int], dict[str, Any]]:
    """Recount days and incidents of every student-year, one day after the other."""
    columns = ("student_id", "school_id", "school_year", "grade", "entry_date", "exit_date")
    spells = [
        dict(zip(columns, row, strict=True)) for row in fill("enrollments", rows["enrollments"])
    ]
    held = {(r["school_id"], r["date"]) for r in rows["calendar"] if r["instructional"] == "1"}
    first: dict[tuple[str, str], str] = {}
    for row in rows["calendar"]:
        if row["instructional"] == "1":
            key = (row["school_id"], row["school_year"])
            first[key] = min(row["date"], first.get(key, row["date"]))
    order = ("entry_date", "exit_date", "school_id", "grade")
    years: dict[tuple[str, int], dict[str, Any]] = {}
    for spell in spells:
        key = (spell["student_id"], int(spell["school_year"]))
        years.setdefault(key, defaultdict(float))["spells"] += 1
    for (student, year), found in years.items():
        mine = [s for s in spells if (s["student_id"], s["school_year"]) == (student, str(year))]
        attended = set()
        for date in sorted({d for _, d in held}):
            there = [
                s
                for s in mine
                if s["entry_date"] <= date <= s["exit_date"] and (s["school_id"], date) in held
            ]
            if not there:
                continue
            school = max(there, key=lambda s: [s[name] for name in order])["school_id"]
            attended.add(school)
            found["days_enrolled"] += 1
            records = [
                r
                for r in rows["absences"]
                if (r["student_id"], r["school_id"], r["date"]) == (student, school, date)
            ]
            missed = sum(round(float(r["fraction"]) * 100) for r in records)
            absent = min(100, missed) if year != 2014 else 100 * (missed > 20)
            tardy = any(r["category"] == "tardy" for r in records)
            found["days_absent"] += absent / 100
            found["days_tardy"] += tardy
            found["days_not_on_time"] += max(absent / 100, tardy)
        found["schools_attended"] = len(attended)
        starts = [first[s["school_id"], str(year)] for s in mine]
        present = [d for s, d in zip(mine, starts, strict=True) if _holds(s, d)]
        time_zero = min(present or [d for (_, y), d in first.items() if y == str(year)])
        found["incidents"] = sum(
            r["student_id"] == student
            and r["role"] == "perpetrator"
            and r["date"] >= time_zero
            and any(_holds(s, r["date"]) for s in mine)
            for r in rows["incidents"]
        )
    return years


def _holds(spell: dict[str, Any], date: str) -> bool:
    return spell["entry_date"] <= date <= spell["exit_date"]


@pytest.mark.parametrize("seed", first_of(range(6)))
def test_the_panel_is_what_one_counts_day_by_day(seed, panels):
    rows = random_district(seed)
    expected = recount(rows)
    assert sum(found["spells"] > 1 for found in expected.values()) > 5, "a case worth testing"
    panel = panels(seed)
    frame = panel["students"].set_index(["student_id", "school_year"])
    history = panel["history"]
    assert set(frame.index) == set(expected)
    for name in ("days_enrolled", "days_absent", "days_tardy", "incidents", "schools_attended"):
        counted = pd.Series({key: found[name] for key, found in expected.items()}, dtype=float)
        np.testing.assert_allclose(frame[name], counted[frame.index], atol=1e-9, err_msg=name)
    enrolled = frame[frame.days_enrolled > 0]
    late = [expected[key]["days_not_on_time"] for key in enrolled.index]
    np.testing.assert_allclose(
        enrolled.on_time_attendance_rate, 1 - np.array(late) / enrolled.days_enrolled, atol=1e-9
    )
    parts = history[history.kind.isin(["excused", "unexcused", "partial"])]
    by_year = parts.groupby(["student_id", "school_year"]).amount.sum()
    np.testing.assert_allclose(by_year, frame.days_absent[frame.days_absent > 0], atol=1e-9)


@pytest.mark.parametrize("seed", first_of(range(2)))
def test_the_order_of_the_rows_does_not_matter(seed, panels):
    draw = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 3])))
    shuffled = {
        name: [table[i] for i in draw.permutation(len(table))]
        for name, table in random_district(seed).items()
    }
    again = built(shuffled)
    assert panels(seed)["students"].math_score_std.notna().any()
    for name, frame in panels(seed).items():
        pd.testing.assert_frame_equal(frame, again[name], check_exact=True)


def read_text(name: str) -> pd.DataFrame:
    return pd.read_csv(SYNTHETIC / f"{name}.csv", dtype=str, keep_default_na=False)


def days_of_schools() -> pd.DataFrame:
    """Return the instructional days of every school, from the calendar file."""
    calendar = read_text("calendar")
    own = calendar[calendar.school_id != ""]
    everyone = calendar[calendar.school_id == ""].drop(columns="school_id")
    schools = read_text("schools")[["school_id", "school_year"]]
    with_own = own[["school_id", "school_year"]].drop_duplicates().assign(own=1)
    without = schools.merge(with_own, how="left")
    without = without[without.own.isna()].drop(columns="own").merge(everyone, on="school_year")
    days = pd.concat([own, without])
    return days[days.instructional == "1"][["school_id", "school_year", "date"]]


def enrolled_days(students: pd.Index) -> pd.DataFrame:
    """Return one row per student and enrolled instructional day, from the files."""
    spells = read_text("enrollments")[
        ["student_id", "school_id", "school_year", "entry_date", "exit_date"]
    ]
    spells = spells[spells.student_id.isin(students)]
    spells["exit_date"] = spells.exit_date.replace("", "9999-12-31")
    days = spells.merge(days_of_schools(), on=["school_id", "school_year"])
    days = days[(days.entry_date <= days.date) & (days.date <= days.exit_date)]
    days = days.sort_values(["entry_date", "exit_date", "school_id"])
    return days.drop_duplicates(["student_id", "date"], keep="last")


@pytest.fixture(scope="module")
def synthetic() -> pd.DataFrame:
    with read_sources(SYNTHETIC) as sources:
        frame = build_panel(sources).to_pandas("students")
    frame["school_year"] = frame.school_year.astype(str)
    return frame.set_index(["student_id", "school_year"])


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_attendance_of_the_synthetic_district_equals_a_recount_from_its_files(synthetic, every):
    students = synthetic.index.unique("student_id").sort_values()[::every]
    synthetic = synthetic[synthetic.index.isin(students, level="student_id")]
    assert len(synthetic) > 3_000
    days = enrolled_days(students)
    keys = ["student_id", "school_year"]
    enrolled = days.groupby(keys).size().reindex(synthetic.index, fill_value=0)
    pd.testing.assert_series_equal(synthetic.days_enrolled, enrolled, check_names=False)

    records = read_text("absences")
    records = records[records.student_id.isin(students)].copy()
    whole = {"excused": "1", "unexcused": "1", "tardy": "0"}
    given = records.fraction.mask(records.fraction == "", records.category.map(whole))
    records["missed"] = given.astype(float).mask(records.category == "tardy", 0)
    records["tardy"] = records.category == "tardy"
    records = records.merge(days, on=["student_id", "school_id", "date"])
    daily = records.groupby([*keys, "date"]).agg(missed=("missed", "sum"), tardy=("tardy", "any"))
    by_year = daily.assign(missed=daily.missed.clip(upper=1)).groupby(keys).sum()
    by_year = by_year.reindex(synthetic.index, fill_value=0)
    np.testing.assert_allclose(synthetic.days_absent, by_year.missed.astype(float), atol=1e-9)
    np.testing.assert_array_equal(synthetic.days_tardy, by_year.tardy.astype(int))


def test_incidents_of_the_synthetic_district_equal_a_recount_from_its_files(synthetic):
    incidents = read_text("incidents")
    incidents = incidents[incidents.role == "perpetrator"]
    spells = read_text("enrollments")
    spells["exit_date"] = spells.exit_date.replace("", "9999-12-31")
    spells = spells.merge(
        days_of_schools().groupby(["school_id", "school_year"], as_index=False).date.max(),
        on=["school_id", "school_year"],
    ).rename(columns={"date": "last"})
    both = incidents.merge(spells.drop(columns="school_id"), on="student_id")
    both = both[
        (both.entry_date <= both.date) & (both.date <= both[["exit_date", "last"]].min(axis=1))
    ].drop_duplicates(["incident_id", "student_id"])
    counted = both.groupby(["student_id", "school_year"]).size()
    expected = counted.reindex(synthetic.index, fill_value=0)
    pd.testing.assert_series_equal(synthetic.incidents, expected, check_names=False)


def test_scores_of_the_synthetic_district_equal_a_recount_from_its_files(synthetic):
    tests = read_text("assessments")
    tests = tests[tests.scale_score != ""].assign(score=lambda t: t.scale_score.astype(float))
    cells = tests.groupby(["instrument", "subject", "grade", "school_year"]).score
    tests["std"] = (tests.score - cells.transform("mean")) / cells.transform("std")
    tests["tested"] = cells.transform("size")
    tests = tests.sort_values("tested").drop_duplicates(
        ["student_id", "school_year", "subject"], keep="last"
    )
    for subject in ("math", "reading"):
        scores = tests[tests.subject == subject].set_index(["student_id", "school_year"])["std"]
        np.testing.assert_allclose(
            synthetic[f"{subject}_score_std"], scores.reindex(synthetic.index), atol=1e-9
        )
