"""Student-years of a simulation are those of the panel made from its files; replications."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from homevisit_eval.certificate.prepared import panel_from_files
from homevisit_eval.design import Measurement
from homevisit_eval.panel import STUDENT_COLUMNS
from homevisit_eval.synthetic import TABLES, District, Simulation, simulate
from homevisit_eval.synthetic.truths import OUTCOMES
from synthetic_districts import shrunken, strong

KEY = ["student_id", "school_year"]
CASES: dict[str, tuple[Callable[[], District], int, int]] = {
    "small": (lambda: shrunken("small"), 1, 0),
    "small, a replication": (lambda: shrunken("small"), 3, 2),
    "dcps": (lambda: shrunken("dcps"), 4, 0),
    "state": (lambda: shrunken("state"), 5, 1),
    "many moves and visits": (strong, 7, 0),
}
DEFAULT = ("state", "many moves and visits")  # every level, a replication; every peculiarity
PARAMETERS = [
    pytest.param(case, marks=[] if case in DEFAULT else pytest.mark.slow) for case in CASES
]


@cache
def made(case: str) -> tuple[Simulation, dict[str, pd.DataFrame]]:
    """Return a simulation and the tables of the panel made from its files."""
    district, seed, replication = CASES[case]
    simulation = simulate(district(), seed, outcomes=(), replication=replication)
    with panel_from_files(simulation, Measurement()) as panel:
        tables = {name: panel.to_pandas(name) for name in ("students", "history", "visits")}
    return simulation, tables


def yearly(rows: pd.DataFrame, years: pd.DataFrame) -> np.ndarray:
    """Sum the amounts of dated facts by student-year, in the order of `years`."""
    total = rows.groupby(KEY)["amount"].sum()
    return total.reindex(pd.MultiIndex.from_frame(years[KEY]), fill_value=0.0).to_numpy()


@pytest.mark.parametrize("case", PARAMETERS)
def test_every_measure_is_that_of_the_panel_made_from_the_files(case: str) -> None:
    simulation, tables = made(case)
    measured = tables["students"]
    known = simulation.student_years.sort_values(KEY, ignore_index=True)
    assert list(measured.columns) == list(STUDENT_COLUMNS)
    assert len(measured) == len(known) > 400
    for name in STUDENT_COLUMNS:
        dated = name.endswith("instructional_day")
        one, other = (
            frame[name].astype("datetime64[s]") if dated else frame[name]
            for frame in (measured, known)
        )
        assert one.equals(other.astype(one.dtype)), name
        if name not in ("homeless", "chronic_truancy"):
            assert len(measured[name].unique()) > 1, name


@pytest.mark.parametrize("case", PARAMETERS)
def test_dated_facts_add_up_to_the_measures(case: str) -> None:
    simulation, tables = made(case)
    years, facts = simulation.student_years, tables["history"]
    kinds = {kind: yearly(facts[facts["kind"] == kind], years) for kind in facts["kind"].unique()}
    absent = kinds["excused"] + kinds["unexcused"] + kinds["partial"]
    np.testing.assert_array_equal(absent, years["days_absent"])
    np.testing.assert_array_equal(kinds["unexcused"], years["days_unexcused"])
    np.testing.assert_array_equal(kinds["tardy"], years["days_tardy"])
    np.testing.assert_array_equal(kinds["incident"], years["incidents"])
    np.testing.assert_array_equal(kinds["suspension"], years["days_suspended"])
    np.testing.assert_array_equal(kinds["serious_incident"] > 0, years["any_serious_incident"] == 1)
    ordered = facts.merge(years, on=KEY)
    first, last = ordered["first_instructional_day"], ordered["last_instructional_day"]
    assert ordered["date"].between(first, last).all()
    assert len(ordered) == len(facts)


@pytest.mark.parametrize("case", PARAMETERS)
def test_visits_belong_to_the_years_of_the_simulation(case: str) -> None:
    simulation, tables = made(case)
    visits = tables["visits"]
    done = visits[(visits["completed"] == 1) & visits["program"].isin(["FEP", "FEC"])]
    done = done.merge(simulation.student_years, on=KEY)
    before = done[done["date"] < done["first_instructional_day"]]
    found = set(zip(before["student_id"], before["school_year"], strict=True))
    marked = simulation.student_years.query("visited_before_year == 1")
    assert found == set(zip(marked["student_id"], marked["school_year"], strict=True))
    assert len(before) == len(found) > 20
    during = done[done["date"] >= done["first_instructional_day"]]
    truth = simulation.visit_truth
    first = set(zip(truth["student_id"], truth["school_year"], strict=True))
    again = during[~during["visited_before_year"].astype(bool) & during["grade"].between(1, 5)]
    again = again[again["school_year"].isin(simulation.district.truth_years)]
    assert first == set(zip(again["student_id"], again["school_year"], strict=True))


# -- replications ---------------------------------------------------------------------------


@cache
def replicated(replication: int) -> Simulation:
    return simulate(shrunken("small"), 8, outcomes=OUTCOMES, replication=replication)


FIXED = (
    "schools", "calendar", "students", "enrollments", "characteristics", "staff", "rosters",
)  # fmt: skip
REDRAWN = ("absences", "incidents", "assessments", "visits", "surveys")
SECOND_YEAR = pd.Timestamp("2014-07-01")


def of_years(table: pd.DataFrame, *, before: bool) -> pd.DataFrame:
    """Return rows before the first truth year, or from its summer on, without numbering."""
    dated = "school_year" not in table
    early = table["date"] < SECOND_YEAR if dated else table["school_year"] < 2015
    rows = table[early if before else ~early]
    return rows.reset_index(drop=True)


@pytest.mark.parametrize("name", FIXED)
def test_a_replication_keeps_who_is_where_and_with_whom(name: str) -> None:
    pd.testing.assert_frame_equal(replicated(1).tables[name], replicated(0).tables[name])


@pytest.mark.parametrize("name", REDRAWN)
def test_a_replication_keeps_the_past_and_draws_the_rest_anew(name: str) -> None:
    zero, one, two = (replicated(number).tables[name] for number in range(3))
    past = of_years(zero, before=True)
    assert len(past) > 10
    pd.testing.assert_frame_equal(of_years(one, before=True), past)
    key = ["student_id", *({"date", "school_year", "subject", "scale_score"} & set(zero))]
    for first, second in ((zero, one), (one, two)):
        rest = [of_years(table, before=False)[key].drop_duplicates() for table in (first, second)]
        assert not rest[0].equals(rest[1])
        assert len(rest[0].merge(rest[1], on=key)) < 0.5 * len(rest[0])


def test_a_replication_redraws_measures_from_the_first_truth_year_on() -> None:
    zero, one = replicated(0).student_years, replicated(1).student_years
    pd.testing.assert_frame_equal(zero.query("school_year < 2015"), one.query("school_year < 2015"))
    later, other = zero.query("school_year >= 2015"), one.query("school_year >= 2015")
    fixed = [*STUDENT_COLUMNS[:9], "sex", "age", "at_risk", "english_learner", "disability"]
    pd.testing.assert_frame_equal(later[fixed], other[fixed])
    for name in ("attendance_rate", "incidents", "math_score_std", "visited_before_year"):
        assert not later[name].equals(other[name])
    # in both, students are who they are: what is drawn anew is chance
    assert later["days_absent"].corr(other["days_absent"]) > 0.3


def test_a_replication_again_is_the_same() -> None:
    again = simulate(shrunken("small"), 8, replication=1)
    for name in TABLES:
        pd.testing.assert_frame_equal(again.tables[name], replicated(1).tables[name])
    for name in ("student_years", "truth", "visit_truth"):
        one, other = getattr(again, name), getattr(replicated(1), name)
        pd.testing.assert_frame_equal(one, other)
        assert not one.equals(getattr(replicated(2), name))


def test_expected_outcomes_of_the_first_year_are_those_of_its_fixed_past() -> None:
    """A replication changes realized outcomes of the first truth year, not expected ones."""
    zero, one = (replicated(k).truth.query("school_year == 2015") for k in (0, 1))
    for name in ("attendance_rate", "any_incident", "incidents"):
        for regime in ("m1", "m0"):
            pd.testing.assert_series_equal(zero[f"{name}_{regime}"], one[f"{name}_{regime}"])
        assert not zero[f"{name}_y1"].equals(one[f"{name}_y1"])
    assert not zero["visited_before_year"].equals(one["visited_before_year"])


# -- nothing depends on what else is asked for ----------------------------------------------


REALIZED = (
    "attendance_rate", "chronic_absence", "any_incident", "incidents", "any_serious_incident",
    "math_score_std", "reading_score_std",
)  # fmt: skip


BY_DEFAULT = ("attendance_rate", "chronic_absence", "any_serious_incident", "math_score_std")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in BY_DEFAULT else pytest.mark.slow) for name in OUTCOMES],
)
def test_an_outcome_of_the_truth_does_not_depend_on_which_others_are_made(name: str) -> None:
    everything = replicated(1)
    alone = simulate(shrunken("small"), 8, tables=(), outcomes=(name,), replication=1)
    kinds = ("m1", "m0", "y1", "y0") if name in REALIZED else ("m1", "m0")
    columns = [*KEY, "visited_before_year", *(f"{name}_{kind}" for kind in kinds)]
    assert list(alone.truth.columns) == columns
    pd.testing.assert_frame_equal(alone.truth, everything.truth[columns])
    pd.testing.assert_frame_equal(alone.student_years, everything.student_years)
    pd.testing.assert_frame_equal(alone.visit_truth, everything.visit_truth)


def test_a_larger_survey_changes_nothing_else() -> None:
    district = replace(shrunken("small"), survey_share=0.5)
    other = simulate(district, 8, replication=1)
    for name in TABLES:
        assert other.tables[name].equals(replicated(1).tables[name]) == (name != "surveys")
