"""The tables of a synthetic district: keys, spells, dates, moments, bytes."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal, norm

from homevisit_eval.errors import DesignError, OutputError
from homevisit_eval.sources import check_sources
from homevisit_eval.synthetic import TABLES, Simulation, preset, simulate, write_simulation
from homevisit_eval.synthetic.surveys import CUTS, ITEMS, LOADING, SCALES
from synthetic_districts import baseline_and_outcome, shrunken, small, student_years, tiny

COMMITTED = Path(__file__).resolve().parent.parent / "data" / "synthetic"
LARGEST_FOLDER = 10_000_000

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


IN_A_NEW_PROCESS = """
import hashlib, sys
from pathlib import Path
from homevisit_eval.synthetic import simulate, write_simulation
from synthetic_districts import shrunken
write_simulation(simulate(shrunken(sys.argv[1]), 6, replication=1), sys.argv[2])
"""


@pytest.mark.parametrize("name", ["messy", pytest.param("small", marks=pytest.mark.slow)])
def test_new_processes_write_the_same_bytes(name: str, tmp_path: Path) -> None:
    """Whatever the order of sets and the number of threads."""
    write_simulation(simulate(shrunken(name), 6, replication=1), tmp_path / "here")
    expected = checksums(tmp_path / "here")
    assert len(expected) > len(TABLES)
    folder, path = tmp_path / "there", os.pathsep.join(sys.path)
    settings = {"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    command = [sys.executable, "-c", IN_A_NEW_PROCESS, name, str(folder)]
    subprocess.run(command, check=True, env=os.environ | settings)
    assert checksums(folder) == expected
    for file, digest in expected.items():
        assert hashlib.sha256((folder / file).read_bytes()).hexdigest() == digest


def test_another_seed_gives_another_district() -> None:
    one, other = (simulate(tiny(), seed, tables=("students",)) for seed in (1, 2))
    assert not one.tables["students"].equals(other.tables["students"])
    assert not one.truth.equals(other.truth)


@cache
def everything() -> Simulation:
    return simulate(tiny(), 4)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_does_not_depend_on_which_others_are_made(name: str) -> None:
    alone = simulate(tiny(), 4, tables=(name,), outcomes=())
    assert list(alone.tables) == [name]
    pd.testing.assert_frame_equal(alone.tables[name], everything().tables[name])


def test_the_truth_does_not_depend_on_which_tables_are_made() -> None:
    for tables in ((), ("visits",)):
        made = simulate(tiny(), 4, tables=tables)
        pd.testing.assert_frame_equal(made.truth, everything().truth)


# -- rules of the tables --------------------------------------------------------------------


@pytest.mark.slow
def test_the_data_dictionary_finds_no_problem(tmp_path: Path) -> None:
    """The default run has the committed district instead, whose bytes `small` gives (above)."""
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


def main_grades() -> pd.DataFrame:
    years = student_years(6)
    return years[years["grade"].between(1, 5)]


def test_moments_of_attendance_and_discipline() -> None:
    main = main_grades()
    assert 0.955 < main["attendance_rate"].mean() < 0.970
    assert 0.040 < main["attendance_rate"].std() < 0.060
    assert 0.085 < main["any_incident"].mean() < 0.115
    assert 0.015 < main["any_serious_incident"].mean() < 0.045
    by_risk = main.groupby("at_risk")[["attendance_rate", "any_incident"]].mean()
    assert by_risk["attendance_rate"][0] - by_risk["attendance_rate"][1] > 0.007
    assert by_risk["any_incident"][1] > 1.4 * by_risk["any_incident"][0]
    shares = main[["days_excused", "days_unexcused"]].mean()
    assert 0.3 < shares["days_unexcused"] / shares.sum() < 0.6


def test_boys_have_more_incidents_and_older_students_too() -> None:
    main = main_grades()
    by_sex = main.groupby("sex")["any_incident"].mean()
    assert 1.55 < by_sex["male"] / by_sex["female"] < 1.85
    by_grade = main.groupby("grade")["any_incident"].mean()
    assert by_grade.is_monotonic_increasing
    assert 1.4 < by_grade[5] / by_grade[1] < 2.2


def test_correlations_between_years_and_subjects() -> None:
    joined = baseline_and_outcome(student_years(6))
    pairs = joined[["attendance_rate", "attendance_rate_prior"]]
    assert 0.5 < pairs.corr().iloc[0, 1] < 0.7
    for subject in ("math", "reading"):
        name = f"{subject}_score_std"
        scores = joined[[name, f"{name}_prior"]].dropna()
        assert 0.72 < scores.corr().iloc[0, 1] < 0.85
        assert joined[f"{name}_prior"].notna().mean() > 0.25
    assert 0.55 < main_grades()[["math_score_std", "reading_score_std"]].corr().iloc[0, 1] < 0.8
    repeated = joined.groupby("any_incident_prior")["any_incident"].mean()
    assert repeated[1] > 1.6 * repeated[0]


def test_counts_are_overdispersed() -> None:
    main = main_grades()
    whole = main.loc[main["days_enrolled"] >= 175, "days_absent"]
    assert 7 < whole.var() / whole.mean() < 15
    assert (whole > 30).mean() > 0.015
    assert 0.05 < (whole == 0).mean() < 0.20
    assert 1.3 < main["incidents"].var() / main["incidents"].mean() < 2.0


def test_siblings_are_alike() -> None:
    keys = ["seed", "household_id", "school_year"]
    pairs = main_grades()[[*keys, "student_id", "attendance_rate"]]
    pairs = pairs.merge(pairs, on=keys).query("student_id_x < student_id_y")
    assert len(pairs) > 2000
    assert 0.05 < pairs["attendance_rate_x"].corr(pairs["attendance_rate_y"]) < 0.3


def test_scores_are_missing_more_often_where_students_are_absent() -> None:
    tested = main_grades().query("grade >= 3 and days_enrolled > 60")
    missing = tested["math_score_std"].isna().groupby(tested["chronic_absence"]).mean()
    assert missing[1] > 1.25 * missing[0] > 0.03


def daily_rates(by: str) -> pd.DataFrame:
    """Return full-day absences per open day of the shared calendar, by weekday or month."""
    tables = small().tables
    calendar = tables["calendar"]
    days = calendar[calendar["school_id"].isna() & (calendar["instructional"] == 1)]
    full = tables["absences"].query("category in ('excused', 'unexcused')")
    full = full[full["date"].isin(days["date"])]
    part = {"weekday": lambda d: d.dt.day_of_week, "month": lambda d: d.dt.month}[by]
    counts = full.groupby(part(full["date"])).size()
    open_days = days.groupby(part(days["date"])).size()
    return pd.DataFrame({"absences": counts, "days": open_days}).query("days >= 20")


@pytest.mark.parametrize("by", ["weekday", "month"])
def test_absences_have_the_stated_pattern_of_days(by: str) -> None:
    rules, rates = preset("small").attendance, daily_rates(by)
    stated = {"weekday": (0, rules.by_weekday), "month": (1, rules.by_month)}[by]
    expected = np.array([stated[1][at - stated[0]] for at in rates.index])
    rate = (rates["absences"] / rates["days"]).to_numpy()
    found, wanted = rate / rate.mean(), expected / expected.mean()
    assert len(found) >= 5
    assert np.corrcoef(found, wanted)[0, 1] > 0.9
    assert np.abs(found / wanted - 1).max() < 0.08


def test_surveys_have_the_reliability_of_their_items() -> None:
    """Cronbach's alpha near that of equal items with the loading, after cutting in five."""
    cuts = np.array([-np.inf, *CUTS, np.inf])
    share = np.diff(norm.cdf(cuts))
    both = multivariate_normal(cov=[[1, LOADING**2], [LOADING**2, 1]])
    inner = np.clip(cuts, -8, 8)
    below = np.array([[both.cdf([x, y]) for y in inner] for x in inner])
    joint = np.diff(np.diff(below, axis=0), axis=1)
    score = np.arange(5) - np.arange(5) @ share
    correlation = (score @ joint @ score) / (score**2 @ share)
    expected = ITEMS * correlation / (1 + (ITEMS - 1) * correlation)
    assert 0.75 < expected < 0.85
    answers = small().tables["surveys"].astype({"response": float})
    named = ["scale", "item"]
    wide = answers.pivot_table("response", "respondent_id", named, sort=False)
    assert 0.02 < wide.isna().mean().mean() < 0.07
    for scale in SCALES:
        items = wide[scale].dropna()
        total = items.sum(axis=1).var()
        alpha = ITEMS / (ITEMS - 1) * (1 - items.var().sum() / total)
        error = (1 - expected) * np.sqrt(2 * ITEMS / ((ITEMS - 1) * len(items)))
        assert abs(alpha - expected) < 4 * error
        assert 4 * error < 0.10
    across = wide.T.groupby(level=0).mean().T.corr().iloc[0, 1]
    assert abs(across) < 0.2


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
