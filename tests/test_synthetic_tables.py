"""The tables of a synthetic district: keys, spells, dates, moments, bytes."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from homevisit_eval.errors import DesignError, OutputError
from homevisit_eval.sources import check_sources
from homevisit_eval.synthetic import TABLES, preset, simulate, write_simulation
from synthetic_districts import baseline_and_outcome, small, student_years, tiny

COMMITTED = Path(__file__).resolve().parent.parent / "data" / "synthetic"
LARGEST_FOLDER = 9_000_000

KEYS = {
    "schools": ["school_id", "school_year"],
    "calendar": ["school_id", "date"],
    "students": ["student_id"],
    "enrollments": ["student_id", "school_id", "school_year", "entry_date"],
    "characteristics": ["student_id", "school_year"],
    "absences": ["student_id", "date"],
    "incidents": ["incident_id", "student_id"],
    "assessments": ["student_id", "school_year", "subject"],
    "visits": ["visit_id"],
    "staff": ["staff_id", "school_year"],
    "rosters": ["student_id", "school_year"],
    "surveys": ["respondent_id", "scale", "item"],
}


def checksums(folder: Path) -> dict[str, str]:
    lines = (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split("  ") for line in lines)}


def pinned() -> bool:
    """Whether bytes are promised here: the numeric libraries that made the committed folder."""
    major = [int(pd.__version__.split(".")[0]), int(np.__version__.split(".")[0])]
    x86 = platform.machine() in ("x86_64", "AMD64")
    return platform.system() == "Linux" and x86 and major == [3, 2]


# -- the same seed --------------------------------------------------------------------------


def test_the_committed_files_have_their_checksums() -> None:
    for name, digest in checksums(COMMITTED).items():
        assert hashlib.sha256((COMMITTED / name).read_bytes()).hexdigest() == digest, name


def test_the_committed_folder_is_small() -> None:
    sizes = [path.stat().st_size for path in COMMITTED.rglob("*") if path.is_file()]
    assert sum(sizes) <= LARGEST_FOLDER


@pytest.mark.skipif(
    not pinned(), reason="bytes are promised on Linux x86-64 with pandas 3 and numpy 2 only"
)
def test_the_seed_gives_the_committed_bytes(tmp_path: Path) -> None:
    write_simulation(small(), tmp_path)
    assert checksums(tmp_path) == checksums(COMMITTED)


def test_the_same_seed_gives_the_same_rows_anywhere() -> None:
    for name in ("students", "enrollments", "visits"):
        stored = pd.read_csv(COMMITTED / f"{name}.csv")
        assert len(stored) == len(small().tables[name])
        for column in stored.columns[:2]:
            assert list(stored[column].astype(str)) == [
                str(value)[:10] if "date" in column else str(value)
                for value in small().tables[name][column]
            ]


def test_another_seed_gives_another_district() -> None:
    one, other = (simulate(tiny(), seed, tables=("students",)) for seed in (1, 2))
    assert not one.tables["students"].equals(other.tables["students"])
    assert not one.truth.equals(other.truth)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_does_not_depend_on_which_others_are_made(name: str) -> None:
    everything = simulate(tiny(), 4)
    alone = simulate(tiny(), 4, tables=(name,))
    assert list(alone.tables) == [name]
    pd.testing.assert_frame_equal(alone.tables[name], everything.tables[name])
    pd.testing.assert_frame_equal(alone.truth, everything.truth)


# -- rules of the tables --------------------------------------------------------------------


def test_the_data_dictionary_finds_no_problem(tmp_path: Path) -> None:
    write_simulation(simulate(tiny(), 2), tmp_path)
    assert not check_sources(tmp_path).problems


def test_the_committed_district_has_no_problem() -> None:
    report = check_sources(COMMITTED)
    assert report.ok
    assert not report.problems


@pytest.mark.parametrize("name", TABLES)
def test_keys_are_unique(name: str) -> None:
    assert not small().tables[name].duplicated(KEYS[name]).any()


def test_spells_are_in_order_and_apart() -> None:
    spells = small().tables["enrollments"]
    over = spells["exit_date"] < spells["entry_date"]
    assert not over.any()
    both = spells[spells.duplicated(["student_id", "school_year"], keep=False)]
    assert len(both) > 100
    pairs = both.groupby(["student_id", "school_year"], sort=False)
    first, second = pairs.nth(0), pairs.nth(1)
    assert (first["exit_date"].to_numpy() < second["entry_date"].to_numpy()).all()
    assert (first["school_id"].to_numpy() != second["school_id"].to_numpy()).all()
    assert spells["exit_date"].notna().mean() > 0.03


def test_absences_and_incidents_fall_on_enrolled_instructional_days() -> None:
    tables = small().tables
    calendar = tables["calendar"]
    own = calendar.dropna(subset="school_id")
    shared = calendar[calendar["school_id"].isna()].drop(columns="school_id")
    plain = tables["schools"].merge(
        own[["school_id", "school_year"]].drop_duplicates(), how="left", indicator=True
    )
    plain = plain.loc[plain["_merge"] == "left_only", ["school_id", "school_year"]]
    days = pd.concat([own, plain.merge(shared, on="school_year")])
    days = days.loc[days["instructional"] == 1, ["school_id", "school_year", "date"]]
    assert (days.groupby(["school_id", "school_year"]).size() == 180).all()
    for name in ("absences", "incidents"):
        rows = tables[name].reset_index().merge(days, on=["school_id", "date"])
        rows = rows.merge(tables["enrollments"], on=["student_id", "school_id", "school_year"])
        until = rows["exit_date"].fillna(pd.Timestamp("2099-01-01"))
        assert (rows["date"].between(rows["entry_date"], until)).sum() == len(tables[name])


def test_summer_visits_lie_between_the_years() -> None:
    visits, calendar = small().tables["visits"], small().tables["calendar"]
    open_days = calendar[calendar["instructional"] == 1].groupby("school_year")["date"]
    for school_year in (2015, 2016, 2017):
        start, before = open_days.min()[school_year], open_days.max()[school_year - 1]
        summer = visits["date"].between(before, start, inclusive="neither")
        assert summer.sum() > 80
    first = visits["date"].min()
    assert first >= pd.Timestamp("2013-07-01")
    assert (visits["staff_id_1"] != visits["staff_id_2"]).all()
    assert (visits["completed"] == 0).sum() > 20
    assert visits[visits["completed"] == 1].duplicated(["student_id"]).any()


def test_some_incidents_have_several_students_and_others_who_took_no_part() -> None:
    incidents = small().tables["incidents"]
    takers = incidents[incidents["role"] == "perpetrator"].groupby("incident_id").size()
    assert 0.03 < (takers > 1).mean() < 0.3
    assert takers.index.nunique() == incidents["incident_id"].nunique()
    assert set(incidents["role"]) == {"perpetrator", "victim", "witness"}
    others = incidents[incidents["role"] != "perpetrator"]
    assert (others["action"] == "none").all()
    assert (others["days"] == 0).all()


def test_tests_follow_the_calendar_of_instruments() -> None:
    scores = small().tables["assessments"]
    old = scores["school_year"] == 2014
    assert (scores["instrument"] == np.where(old, "dc_cas", "parcc")).all()
    assert set(scores.loc[old, "grade"]) == {"02", "03", "04", "05"}
    assert set(scores.loc[~old, "grade"]) == {"03", "04", "05"}
    assert scores.loc[~old, "scale_score"].between(650, 850).all()


def test_student_years_measure_what_the_tables_hold() -> None:
    tables, years = small().tables, small().student_years
    absences = tables["absences"].copy()
    absences["school_year"] = absences["date"].dt.year + (absences["date"].dt.month > 7)
    weight = absences["category"].map({"excused": 1.0, "unexcused": 1.0, "tardy": 0.0})
    absences["absent"] = weight.fillna(absences["fraction"])
    counted = absences.groupby(["student_id", "school_year"])["absent"].sum().rename("counted")
    joined = years.merge(counted, on=["student_id", "school_year"], how="left")
    np.testing.assert_allclose(joined["days_absent"], joined["counted"].fillna(0))
    taking_part = tables["incidents"]["role"] == "perpetrator"
    assert taking_part.sum() == years["incidents"].sum()
    assert len(years) == len(tables["characteristics"])


# -- moments --------------------------------------------------------------------------------


def test_moments_of_attendance_and_discipline() -> None:
    years = student_years(6)
    main = years[years["grade"].between(1, 5)]
    assert 0.945 < main["attendance_rate"].mean() < 0.962
    assert 0.040 < main["attendance_rate"].std() < 0.065
    assert 0.09 < main["any_incident"].mean() < 0.12
    by_sex = main.groupby("female")["any_incident"].mean()
    assert 1.5 < by_sex[0] / by_sex[1] < 1.9
    by_grade = main.groupby("grade")["any_incident"].mean()
    assert by_grade.is_monotonic_increasing


def test_moments_over_the_years() -> None:
    joined = baseline_and_outcome(student_years(6))
    pairs = joined[["attendance_rate", "attendance_rate_prior"]]
    assert 0.5 < pairs.corr().iloc[0, 1] < 0.7
    scores = joined[["math_score_std", "math_score_std_prior"]].dropna()
    assert 0.72 < scores.corr().iloc[0, 1] < 0.88
    assert joined["math_score_std_prior"].notna().mean() > 0.25


def test_absences_have_a_pattern_over_the_week_and_a_heavy_tail() -> None:
    full = small().tables["absences"].query("category in ('excused', 'unexcused')")
    by_day = full["date"].dt.day_of_week.value_counts()
    assert by_day[4] > by_day[2]
    years = small().student_years
    assert (years["days_absent"] > 30).mean() > 0.01


def test_size_of_the_small_district() -> None:
    years = small().student_years
    assert (years.groupby("school_year").size().between(3600, 4300)).all()
    assert small().tables["schools"]["school_id"].nunique() == 12
    shares = years.groupby("school_id")["at_risk"].mean()
    assert shares.min() < 0.25
    assert shares.max() > 0.6
    households = small().tables["students"]["household_id"].value_counts()
    assert 0.1 < (households > 1).mean() < 0.5


# -- mistakes -------------------------------------------------------------------------------


def test_wrong_arguments_say_what_is_allowed() -> None:
    with pytest.raises(DesignError, match="small, dcps"):
        preset("large")
    with pytest.raises(DesignError, match="schools, calendar"):
        simulate("small", 1, tables=("pupils",))
    with pytest.raises(DesignError, match="seed"):
        simulate("small", -1)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="file"):
        write_simulation(simulate(tiny(), 1, tables=()), tmp_path / "file")


def test_printing_shows_no_row() -> None:
    assert "SYN" not in repr(small())
    assert "seed 1" in repr(small())
