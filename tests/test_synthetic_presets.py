"""Each preset is what it says, seen in the truth that only the simulation knows."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from homevisit_eval.certificate.designs import compared_designs
from homevisit_eval.certificate.expected import expectation_of, expected_verdicts
from homevisit_eval.design import read_design
from homevisit_eval.errors import DesignError
from homevisit_eval.synthetic import PRESETS, Hidden, ProgramSchools, preset, simulate
from homevisit_eval.synthetic.baseline import NEVER
from homevisit_eval.synthetic.draws import Draws
from homevisit_eval.synthetic.presets import EXPECTATIONS
from homevisit_eval.synthetic.simulate import simulate_years
from homevisit_eval.synthetic.students import student_ids
from homevisit_eval.synthetic.truths import expected_of_rows, truth_table
from synthetic_districts import baseline_and_outcome, shrunken, student_years

STUDY = Path(__file__).resolve().parents[1] / "study.toml"
MAIN_OUTCOMES = ("attendance_rate", "any_incident")
OUTCOMES = (*MAIN_OUTCOMES, "math_score_std", "reading_score_std")
KEY = ["student_id", "school_year"]


@cache
def truth_and_past(name: str, seed: int, hidden: float | None = None) -> pd.DataFrame:
    """Return the truth of grades 1 to 5 beside this year's and last year's measures."""
    district = preset(name)
    if hidden is not None:
        district = replace(district, hidden=Hidden(strength=hidden))
    made = simulate(district, seed, tables=(), outcomes=OUTCOMES)
    joined = baseline_and_outcome(made.student_years.assign(seed=seed))
    return made.truth.drop(columns="visited_before_year").merge(joined, on=KEY)


# -- the list of presets --------------------------------------------------------------------


def test_what_is_expected_is_stated_of_every_preset() -> None:
    assert set(EXPECTATIONS) == set(PRESETS)
    for name, stated in EXPECTATIONS.items():
        assert preset(name).name == name
        assert stated.because.endswith(".")
        assert expectation_of(preset(name)) is stated
        assert expected_verdicts(preset(name))["main: bias"] == (
            "pass" if stated.recovers else "fail"
        )
    assert {name for name in PRESETS if not EXPECTATIONS[name].recovers} == {
        "hidden_confounding", "spillover", "school_confounding", "teacher_selection",
    }  # fmt: skip


def test_what_is_stated_is_about_designs_that_are_compared() -> None:
    design = read_design(STUDY)
    compared = {variation.name for variation in compared_designs(design, design.questions[0])}
    named = {n for stated in EXPECTATIONS.values() for n in (*stated.fails, *stated.passes)}
    assert named
    assert named <= compared


def test_nothing_is_expected_of_a_changed_preset() -> None:
    assert expectation_of(replace(preset("small"), survey_share=0.5)) is None
    assert expected_verdicts(replace(preset("null"), survey_share=0.5)) == {}


def test_only_messy_has_defects() -> None:
    assert [name for name in PRESETS if preset(name).defects] == ["messy"]


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(DesignError, match="small"):
        preset("large")


@pytest.mark.parametrize("name", [name for name in PRESETS if name not in ("dcps", "state")])
def test_presets_differ_from_small(name: str) -> None:
    same = replace(preset(name), name="small") == preset("small")
    assert same == (name == "small")


# -- one by one -----------------------------------------------------------------------------


def test_null_no_visit_changes_anything() -> None:
    made = simulate(shrunken("null"), 1, tables=())
    for name in ("attendance_rate", "chronic_absence", "incidents", "math_score_std"):
        for kind in ("m", "y"):
            assert made.truth[f"{name}_{kind}1"].equals(made.truth[f"{name}_{kind}0"])
    for name in ("attendance_rate", "any_incident", "incidents"):
        assert made.visit_truth[f"{name}_m1"].equals(made.visit_truth[f"{name}_m0"])
    assert made.student_years["visited_before_year"].sum() > 20


@pytest.mark.parametrize(
    ("name", "outcome", "low", "high"),
    [
        ("small", "attendance_rate", 0.002, 0.006),
        ("small", "any_incident", -0.045, -0.015),
        ("small", "math_score_std", 0.08, 0.15),
        ("small", "reading_score_std", 0.01, 0.06),
        ("spillover", "any_incident", -0.045, -0.010),
    ],
)
def test_effects_have_about_the_published_size(
    name: str, outcome: str, low: float, high: float
) -> None:
    parts = (truth_and_past(name, seed) for seed in (1, 2))
    rows = pd.concat(parts).query("visited_before_year == 1")
    assert len(rows) > 400
    assert low < (rows[f"{outcome}_m1"] - rows[f"{outcome}_m0"]).mean() < high


def test_heterogeneous_effects_differ_by_grade_risk_absence_and_school() -> None:
    def effects(name: str, seed: int) -> pd.DataFrame:
        rows = truth_and_past(name, seed)
        return rows.assign(gain=rows["attendance_rate_m1"] - rows["attendance_rate_m0"])

    varied, plain = (pd.concat(effects(name, seed) for seed in (1, 2)) for name in
                     ("heterogeneous", "small"))  # fmt: skip
    by_grade = varied.groupby("grade")["gain"].mean()
    assert by_grade.is_monotonic_decreasing
    usual = plain.groupby("grade")["gain"].mean()
    assert by_grade[1] / by_grade[5] > max(1.7, 1.3 * usual[1] / usual[5])
    ratio = {}
    for name in ("at_risk", "chronic_absence_prior"):
        ratio[name] = [rows.groupby(name)["gain"].mean() for rows in (varied, plain)]
        ratio[name] = [means[1] / means[0] for means in ratio[name]]
        assert ratio[name][0] > 1.08 * ratio[name][1] > 1.08
    groups = ["seed", "school_year", "school_id"]
    alike = [rows[(rows["at_risk"] == 1) & (rows["grade"] <= 2)] for rows in (varied, plain)]
    spread = [
        rows.groupby(groups)["gain"].mean().pipe(lambda m: m.std() / m.mean()) for rows in alike
    ]
    assert spread[0] > 2 * spread[1]
    assert (varied["gain"] >= -1e-9).all()


def partial_correlation(rows: pd.DataFrame, outcome: str) -> float:
    """Correlate visits with an outcome, both cleared of what is recorded before the visit."""
    recorded = [
        "attendance_rate_prior", "days_unexcused_prior", "any_incident_prior", "incidents_prior",
        "at_risk_prior", "english_learner_prior", "disability_prior", "chronic_absence_prior",
    ]  # fmt: skip
    x = rows.assign(
        square=rows["attendance_rate_prior"] ** 2,
        both=rows["at_risk_prior"] * rows["any_incident_prior"],
    )[[*recorded, "square", "both", "grade", "at_risk"]].to_numpy(dtype=float)  # fmt: skip
    cells = rows.groupby(["school_year", "school_id"]).ngroup()
    y = rows[["visited_before_year", outcome]].to_numpy(dtype=float)
    both = pd.DataFrame(np.column_stack([x, y]))
    within = (both - both.groupby(cells.to_numpy()).transform("mean")).to_numpy()
    design = within[:, : x.shape[1]]
    left = within[:, x.shape[1] :]
    left = left - design @ np.linalg.lstsq(design, left, rcond=None)[0]
    return float(np.corrcoef(left.T)[0, 1])


@pytest.mark.parametrize(("outcome", "sign"), [("attendance_rate_m0", 1), ("any_incident_m0", -1)])
def test_hidden_confounding_grows_with_its_strength(outcome: str, sign: int) -> None:
    """Visits go to families whose students would do better anyway, beyond all that is recorded."""
    found = []
    for strength in (0.0, 1.0, 2.0):
        rows = [truth_and_past("hidden_confounding", seed, hidden=strength) for seed in (1, 2)]
        takes_part = [
            r.groupby("school_id")["visited_before_year"].transform("sum") > 0 for r in rows
        ]
        inside = [r[part] for r, part in zip(rows, takes_part, strict=True)]
        found.append(sign * np.mean([partial_correlation(r, outcome) for r in inside]))
    none, one, two = found
    assert abs(none) < 0.03
    assert one > none + 0.04
    assert two > one + 0.03


def test_targeted_visits_go_to_the_chronically_absent_who_recover_anyway() -> None:
    rows = baseline_and_outcome(student_years(2, "targeted"))
    plain = pd.concat(truth_and_past("small", seed) for seed in (1, 2))
    chance = rows.groupby("chronic_absence_prior")["visited_before_year"].mean()
    assert chance[1] > 4 * chance[0]
    share = rows.groupby("visited_before_year")["chronic_absence_prior"].mean()
    assert share[1] > 0.30 > 2 * share[0]
    assert share[1] > 1.6 * plain.groupby("visited_before_year")["chronic_absence_prior"].mean()[1]
    unvisited = rows[rows["visited_before_year"] == 0]
    gain = (unvisited["attendance_rate"] - unvisited["attendance_rate_prior"]).groupby(
        unvisited["chronic_absence_prior"]
    )
    assert gain.mean()[1] > 0.03 > gain.mean()[0]


def test_spillover_reaches_those_with_visited_classmates_and_nobody_else() -> None:
    """Among students without any visit of their own, in any year."""
    district = preset("spillover")
    year = simulate_years(district, Draws(1))[2][1]
    grades = np.isin(year.roll.grade, district.truth_grades)
    alone = ~year.rounds.open.any(axis=1) | (year.rounds.program == 0)
    rows = np.flatnonzero(grades & alone & (year.baseline.years_since_visit >= NEVER))
    expected = expected_of_rows(district, year, rows)
    gain = expected["0"]["attendance_rate"] - expected["n"]["attendance_rate"]
    fewer = expected["n"]["incidents"] - expected["0"]["incidents"]
    teacher, visited = year.classes.teacher, year.summer.visited
    others = pd.Series(visited).groupby(teacher).transform("sum").to_numpy() - visited
    has = others[rows] > 0
    assert has.sum() > 25
    assert (~has).sum() > 400
    for difference in (gain, fewer):
        assert (difference[has] > 0).all()
        assert (np.abs(difference[~has]) < 1e-12).all()
    share = year.process.classmates[rows][has]
    assert np.corrcoef(share, gain[has])[0, 1] > 0.2


def test_spillover_makes_the_direct_effect_smaller_than_that_against_no_program() -> None:
    rows = truth_and_past("spillover", 1).query("visited_before_year == 1")
    direct = (rows["attendance_rate_m1"] - rows["attendance_rate_m0"]).mean()
    total = (rows["attendance_rate_m1"] - rows["attendance_rate_mn"]).mean()
    assert total > 1.1 * direct > 0


def test_school_confounding_program_schools_improve_with_their_years_in_it() -> None:
    """Beside the same district without the other reasons: exactly, for every student."""
    district = preset("school_confounding")
    plain = replace(district, program_schools=ProgramSchools())
    schools, students, lived = simulate_years(district, Draws(1))
    twin = simulate_years(plain, Draws(1))[2]
    seen = set()
    for at, (year, other) in enumerate(zip(lived, twin, strict=True)):
        years_in = schools.program_years[year.roll.school, at]
        seen |= set(years_in)
        one, zero = year.process, other.process
        odds = [np.log(p.absence / (1 - p.absence)) for p in (one, zero)]
        rules = district.program_schools
        np.testing.assert_allclose(odds[0] - odds[1], -rules.absence * years_in, atol=1e-9)
        less = np.log(one.incidents / zero.incidents)
        np.testing.assert_allclose(less, -rules.incidents * years_in, atol=1e-9)
        np.testing.assert_allclose(one.math - zero.math, rules.scores * years_in, atol=1e-9)
    assert seen == {0, 1, 2, 3, 4}
    truth, other = (
        truth_table(one, years, student_ids(len(students)), Draws(1), outcomes=MAIN_OUTCOMES)
        for one, years in ((district, lived), (plain, twin))
    )
    gain = (truth["attendance_rate_m0"] - other["attendance_rate_m0"]).groupby(truth["school_year"])
    assert gain.mean().is_monotonic_increasing
    assert gain.mean()[2015] > 0


def test_teacher_selection_visited_students_have_better_teachers_than_their_schoolmates() -> None:
    """By about as much as teachers of program schools are worse than those of others."""
    district, found = preset("teacher_selection"), []
    for seed in (1, 2):
        schools, _, lived = simulate_years(district, Draws(seed))
        rows = []
        for at, year in enumerate(lived):
            inside = schools.program_years[year.roll.school, at] > 0
            quality = year.classes.quality - district.program_schools.teachers * inside
            group = np.where(inside, np.where(year.summer.visited, "visited", "mates"), "outside")
            asked = (year.roll.grade >= 1) & year.roll.at_time_zero & (at > 0)
            rows.append(pd.DataFrame({"quality": quality, "group": group})[asked])
        found.append(pd.concat(rows).groupby("group")["quality"].mean())
    visited, mates, outside = pd.concat(found, axis=1).mean(axis=1)[["visited", "mates", "outside"]]
    assert visited - mates > 0.5
    assert outside - mates > 0.9
    assert abs(visited - outside) < 0.6 * (visited - mates)


def test_teacher_selection_a_better_teacher_means_better_outcomes() -> None:
    lived = simulate_years(preset("teacher_selection"), Draws(1))[2][1]
    quality, process = lived.classes.quality, lived.process
    for name, sign in (("absence", -1), ("incidents", -1), ("math", 1), ("reading", 1)):
        values = np.log(getattr(process, name)) if sign < 0 else getattr(process, name)
        assert sign * np.corrcoef(quality, values)[0, 1] > 0.05


def test_visits_by_video_begin_with_2020_21() -> None:
    district = replace(
        shrunken("small"), school_years=(2019, 2020, 2021, 2022), truth_years=(2020, 2021, 2022)
    )
    visits = simulate(district, 2, tables=("visits",), outcomes=()).tables["visits"]
    july = pd.Timestamp("2020-07-01")
    assert set(visits.loc[visits["date"] < july, "mode"]) == {"in_person"}
    later = visits.loc[visits["date"] >= july, "mode"]
    assert len(later) > 40
    share = district.selection.virtual
    assert abs((later == "virtual").mean() - share) < 4 * np.sqrt(share * (1 - share) / len(later))
