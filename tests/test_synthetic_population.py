"""Schools and students of synthetic districts: calibration, exact enrollment, families."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from homevisit_eval.errors import DesignError
from homevisit_eval.panel import STUDENT_COLUMNS, build_panel
from homevisit_eval.sources import read_sources
from homevisit_eval.synthetic import Families, SchoolMix, preset, simulate, write_simulation
from homevisit_eval.synthetic.calendars import make_calendar
from homevisit_eval.synthetic.calibration import (
    POPULATION_TARGETS,
    Population,
    Target,
    calibration_table,
    make_population,
    population_moments,
)
from homevisit_eval.synthetic.dcps import DCPS_ENROLLMENT, DCPS_YEARS
from homevisit_eval.synthetic.draws import Draws
from homevisit_eval.synthetic.enrollment import enroll
from homevisit_eval.synthetic.schools import make_schools, share_out
from homevisit_eval.synthetic.students import no_students, race_weights
from synthetic_districts import small, tiny

SEEDS = (1, 2, 3)
REFERENCE = Path(__file__).resolve().parents[2] / "shared" / "reference" / "district"
SCHOOLS_FILE = REFERENCE / "dcps_schools_2014_15.csv"


@cache
def population(name: str, seed: int) -> Population:
    return make_population(preset(name), seed)


def present(name: str, seed: int) -> pd.DataFrame:
    """Return the student-years of those who begin the year."""
    students = population(name, seed).students
    return students[students["school_id"].notna()]


def elementary(seed: int) -> pd.DataFrame:
    """Return enrollment and share at risk of the elementary schools of 2015."""
    schools, students = population("dcps", seed).schools, present("dcps", seed)
    ids = schools.loc[schools["school_level"] == "elementary", "school_id"].unique()
    rows = students[(students["school_year"] == 2015) & students["school_id"].isin(ids)]
    return rows.groupby("school_id")["at_risk"].agg(enrollment="size", share="mean")


# -- calibration ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_population_moments_are_within_their_tolerances(seed: int) -> None:
    made = population("dcps", seed)
    table = calibration_table(POPULATION_TARGETS, population_moments(made.students, made.schools))
    assert table.loc[~table["within"], ["name", "target", "obtained"]].to_dict("records") == []


def test_black_share_falls_and_hispanic_and_white_shares_rise() -> None:
    rows = pd.concat([present("dcps", seed) for seed in SEEDS])
    mean = pd.crosstab(rows["school_year"], rows["race_ethnicity"], normalize="index")
    assert mean["black"].is_monotonic_decreasing
    assert mean["hispanic"].is_monotonic_increasing
    assert mean["white"].is_monotonic_increasing


def test_a_missing_moment_is_not_within() -> None:
    targets = (Target("a", 1.0, 0.5, "s"), Target("b", 2.0, 0.5, "s"), Target("c", 3.0, 0.5, "s"))
    table = calibration_table(targets, {"a": 1.5, "b": 2.51})
    assert list(table["within"]) == [True, False, False]
    assert table["obtained"].isna().tolist() == [False, False, True]


@pytest.mark.skipif(not SCHOOLS_FILE.exists(), reason="the published school file is not here")
def test_elementary_schools_are_like_the_published_ones() -> None:
    published = pd.read_csv(SCHOOLS_FILE).query("level == 'es'")
    made = pd.concat([elementary(seed) for seed in SEEDS])
    for real, obtained, limit in (
        (published["at_risk_share"], made["share"], 0.12),
        (published["enrollment"], made["enrollment"], 0.15),
    ):
        points = np.sort(np.concatenate([real, obtained]))
        ours, theirs = (np.searchsorted(np.sort(x), points, "right") for x in (obtained, real))
        assert np.abs(ours / len(obtained) - theirs / len(real)).max() < limit
    correlation = published["enrollment"].corr(published["at_risk_share"])
    assert made["enrollment"].corr(made["share"]) == pytest.approx(correlation, abs=0.2)


# -- enrollment -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_every_year_begins_with_the_students_of_the_table(seed: int) -> None:
    rows = present("dcps", seed)
    counts = pd.crosstab(rows["school_year"], rows["grade"])
    table = np.array(DCPS_ENROLLMENT)
    expected = np.column_stack([table[:, :2].sum(axis=1), table[:, 2:]])
    np.testing.assert_array_equal(counts, expected)
    assert tuple(counts.index) == DCPS_YEARS


def test_early_october_counts_are_close_to_the_start() -> None:
    district, draws = preset("dcps"), Draws(1)
    schools = make_schools(district, draws)
    students, last = no_students(), None
    for row, school_year in enumerate(district.school_years[:3]):
        calendar = make_calendar(district, school_year, len(schools.ids), draws)
        students, last = enroll(district, schools, calendar, students, last=last, draws=draws)
        day = int((np.datetime64(f"{school_year - 1}-10-06") - calendar.dates[0]).astype(int))
        second = (last.second_start >= 0) & (last.second_start <= day)
        here = ((last.start <= day) & (day <= last.stop)) | (second & (day <= last.second_stop))
        for grade in range(1, 6):
            count = int((here & (last.grade == grade)).sum())
            assert count == pytest.approx(DCPS_ENROLLMENT[row][grade + 2], rel=0.02)


def test_the_small_district_keeps_its_size() -> None:
    sizes = present("small", 1).groupby("school_year").size()
    assert (sizes == preset("small").schools.students).all()
    late = population("small", 1).students["school_id"].isna()
    assert 0.01 < late.mean() < 0.05


@pytest.mark.parametrize("seed", SEEDS)
def test_schools_stay_near_their_places(seed: int) -> None:
    district = preset("dcps")
    schools = make_schools(district, Draws(seed))
    assert (schools.places.sum(axis=1) == np.array(DCPS_ENROLLMENT)).all()
    rows = present("dcps", seed)
    enrolled = pd.crosstab(rows["school_id"], rows["school_year"])
    places = schools.places.sum(axis=2).T
    off = enrolled.loc[list(schools.ids)].to_numpy() / places - 1
    assert np.abs(off).max() < 0.25
    assert np.abs(off[:, 0]).max() == 0


def test_more_students_than_places_makes_some_leave() -> None:
    mix = replace(
        preset("small").schools,
        enrollment=tuple((0, 0, 400, 400, second, 400, 400, 400, 0, 0, 0) for second in (400, 150)),
        elementary_lowest=(0,),
        first_year=2014,
    )
    district = replace(tiny(), schools=mix)
    students = make_population(district, 1).students
    counts = students[students["school_id"].notna()].groupby(["school_year", "grade"]).size()
    assert counts[2015, 2] == 150
    assert counts[2015].sum() == 400 * 5 + 150


@pytest.mark.parametrize("total", [0, 1, 17, 1000])
def test_shares_by_largest_remainder_add_up(total: int) -> None:
    weight = np.random.default_rng(3).random((4, 6))
    parts = share_out(weight, total)
    exact = weight / weight.sum() * total
    assert parts.sum() == total
    assert np.abs(parts - exact).max() < 1
    up, down = parts > exact, parts < exact
    rest = exact - np.floor(exact)
    if up.any() and down.any():
        assert rest[up].min() >= rest[down].max()


# -- schools --------------------------------------------------------------------------------


def test_every_small_district_has_the_whole_shape_of_at_risk_shares() -> None:
    at, share = np.array(preset("small").schools.at_risk_quantiles).T
    assert 0.475 < np.trapezoid(share, at) < 0.50
    shares = np.array([make_schools(preset("small"), Draws(s)).at_risk_share for s in range(40)])
    shares.sort(axis=1)
    for place, (low, high) in enumerate(zip(range(12), range(1, 13), strict=True)):
        # a monotone curve through the quantiles stays between those around it
        below = share[at <= low / 12].max()
        above = share[at >= high / 12 - 1e-9].min()
        assert shares[:, place].min() >= below
        assert shares[:, place].max() <= above
    assert np.ptp(shares[:, 6]) > 0.02


@pytest.mark.parametrize("seed", SEEDS)
def test_changes_of_status_leave_a_schools_share_as_it_is(seed: int) -> None:
    schools = make_schools(preset("dcps"), Draws(seed))
    shares = present("dcps", seed).groupby(["school_year", "school_id"])["at_risk"].mean()
    for year in (2013, 2015, 2018):
        off = shares[year].loc[list(schools.ids)].to_numpy() - schools.at_risk_share
        assert abs(off.mean()) < 0.035  # students at risk leave more often
        assert off.std() < 0.06


def test_at_risk_status_changes_for_some() -> None:
    students = population("dcps", 1).students
    ever = students.groupby("student_id")["at_risk"]
    changes = ever.max() != ever.min()
    assert 0.02 < changes.mean() < 0.15


@pytest.mark.parametrize("seed", SEEDS)
def test_as_many_schools_take_part_as_stated(seed: int) -> None:
    district = preset("dcps")
    schools = make_schools(district, Draws(seed))
    inside = schools.fep | schools.fec
    assert not (schools.fep & schools.fec).any()
    share = np.array(district.schools.program_share)
    np.testing.assert_array_equal(inside.sum(axis=0), np.rint(share * len(schools.ids)))
    assert (inside[:, :-1] & ~inside[:, 1:]).any()
    assert (~inside[:, :-1] & inside[:, 1:]).any()
    np.testing.assert_array_equal(schools.program_years > 0, inside)
    for school, row in enumerate(schools.program_years):
        run = 0
        for year, number in enumerate(row):
            run = run + 1 if inside[school, year] else 0
            assert number == run
    by_program = schools.fec[inside.any(axis=1)].any(axis=1).mean()
    assert by_program == pytest.approx(district.schools.collaborative_share, abs=0.08)


def test_programs_are_likelier_where_more_are_at_risk() -> None:
    gaps, early = [], []
    for seed in range(30):
        schools = make_schools(preset("dcps"), Draws(seed))
        inside, pre_k = (schools.fep | schools.fec)[:, 4], schools.lowest < 0
        share, ec = schools.at_risk_share, schools.early_childhood[:, 0]
        gaps.append(share[inside].mean() - share[~inside].mean())
        early.append(share[ec].mean() - share[pre_k & ~ec].mean())
        assert not ec[~pre_k].any()
        assert ec.sum() == round(preset("dcps").schools.early_childhood_share * pre_k.sum())
    assert np.mean(gaps) > 0.10
    assert np.mean(early) > 0.10


# -- families -------------------------------------------------------------------------------


def test_weights_of_race_at_the_corners() -> None:
    rules = Families()
    share, at_risk = np.array([0.0, 1.0, 0.4, 0.0]), np.array([False, False, True, False])
    cohort = np.array([2011, 2011, 2011, 2014])
    weight = race_weights(rules, share, at_risk, cohort)
    np.testing.assert_allclose(weight[0], rules.race_affluent)
    np.testing.assert_allclose(weight[1], rules.race_other)
    np.testing.assert_allclose(weight[2], rules.race_at_risk)
    grown = np.array(rules.race_affluent)
    grown[1] *= np.exp(3 * rules.hispanic_trend)
    grown[2] *= np.exp(3 * rules.white_trend)
    np.testing.assert_allclose(weight[3], grown)


def test_families_share_race_and_language_but_not_sex() -> None:
    students = small().tables["students"]
    sizes = students.groupby("household_id")["race_ethnicity"].agg(["size", "nunique"])
    assert (sizes["size"] > 1).sum() > 500
    assert (sizes["nunique"] == 1).all()
    assert (students.groupby("household_id")["sex"].nunique() == 2).sum() > 200


def test_everyone_at_risk_is_economically_disadvantaged() -> None:
    students = population("dcps", 1).students
    assert students.loc[students["at_risk"] == 1, "economically_disadvantaged"].all()
    assert students.loc[students["homeless"] == 1, "at_risk"].all()
    schools = make_schools(preset("dcps"), Draws(1))
    share = pd.Series(schools.at_risk_share, index=schools.ids)
    starts = present("dcps", 1)
    by_school = starts.groupby("school_id")["economically_disadvantaged"].mean()
    everyone = share >= Families().community_eligibility
    assert (by_school[everyone] == 1).all()
    assert (by_school[~everyone] < 0.7).all()


def test_the_population_is_that_of_the_simulation() -> None:
    district = tiny()
    simulated = simulate(district, 7, tables=("schools", "students"))
    alone = make_population(district, 7)
    pd.testing.assert_frame_equal(alone.schools, simulated.tables["schools"])
    columns = ["school_year", "grade", "school_id", "race_ethnicity", "at_risk", "disability"]
    pd.testing.assert_frame_equal(
        alone.students[columns], simulated.student_years[columns], check_dtype=False
    )


def test_without_economic_disadvantage_the_panel_is_otherwise_the_same(tmp_path: Path) -> None:
    """That it reaches the panel where it is there is tested with all measures of the panel."""
    simulation = simulate(tiny(), 2, outcomes=())
    write_simulation(simulation, tmp_path)
    path = tmp_path / "characteristics.csv"
    frame = pd.read_csv(path, dtype=str).drop(columns="economically_disadvantaged")
    frame.to_csv(path, index=False)
    with read_sources(tmp_path) as sources:
        assert not sources.decisions
        without = build_panel(sources).to_pandas()
    assert without["economically_disadvantaged"].isna().all()
    rest = [name for name in STUDENT_COLUMNS if name != "economically_disadvantaged"]
    key = ["student_id", "school_year"]
    known = simulation.student_years.sort_values(key, ignore_index=True)
    pd.testing.assert_frame_equal(without[rest], known[rest], check_dtype=False)


# -- mistakes -------------------------------------------------------------------------------


def test_tables_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DesignError, match="11 counts"):
        SchoolMix(enrollment=((1, 2, 3),))
    for quantiles in (((0.0, 0.5), (1.0, 0.2)), ((0.1, 0.2), (1.0, 0.5)), ((0.0, 0.1), (1.0, 1.5))):
        with pytest.raises(DesignError, match="at_risk_quantiles"):
            SchoolMix(at_risk_quantiles=quantiles)
    with pytest.raises(DesignError, match="program_share"):
        replace(preset("small"), school_years=tuple(range(2014, 2021)))
    with pytest.raises(DesignError, match="program_share"):
        replace(preset("dcps"), school_years=(2012, 2013))


def test_years_are_found_by_name_in_the_tables() -> None:
    later = replace(preset("dcps"), school_years=(2015, 2016))
    schools = make_schools(later, Draws(1))
    np.testing.assert_array_equal(schools.places.sum(axis=1), DCPS_ENROLLMENT[2:4])
    assert (schools.fep | schools.fec).sum(axis=0).tolist() == [39, 35]
