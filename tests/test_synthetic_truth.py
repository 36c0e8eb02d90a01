"""Expected outcomes in closed form against averages over many draws of the same year."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from homevisit_eval.synthetic import District, SchoolMix, Simulation, VisitEffects, simulate
from homevisit_eval.synthetic.attendance import UNEXCUSED
from homevisit_eval.synthetic.draws import Draws
from homevisit_eval.synthetic.expected_measures import ATTENDANCE, CONDUCT
from homevisit_eval.synthetic.outcomes import Conduct, never, realize
from homevisit_eval.synthetic.school_year import SchoolYear, live_through
from homevisit_eval.synthetic.schools import Schools
from homevisit_eval.synthetic.simulate import simulate_years
from homevisit_eval.synthetic.students import Students, student_ids
from homevisit_eval.synthetic.truths import (
    OUTCOMES,
    expected_of_rows,
    standardized,
    truth_table,
    visit_truth_table,
)
from synthetic_districts import small, strong, tiny

REPLICATIONS = 200
LIMIT = 4.0  # Monte Carlo standard errors, of fixed seeds
CLOSED = (
    "attendance_rate", "any_incident", "incidents", "any_serious_incident", "math_score_std",
    "reading_score_std",
)  # fmt: skip
NO_VISITS = {"highest": 0.0, "during": (0.0, 0.0), "during_incident": 0.0, "during_absence": 0.0}


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Expected outcomes of n student-years, and realized ones of every replication: (r, n)."""

    expected: dict[str, np.ndarray]
    realized: dict[str, np.ndarray]


def redrawn(replication: int) -> Draws:
    """Return the draws of a replication: the year before and the visits in its summer stay."""
    return Draws(5, redraw_from=2015, replication=replication, keep_first_summer=True)


@cache
def two_years(district: District) -> tuple[Schools, Students, list[SchoolYear]]:
    return simulate_years(district, redrawn(1))


def lived(district: District, replication: int = 1) -> SchoolYear:
    """Return the second year as drawn again; the year before is simulated once."""
    schools, students, (first, second) = two_years(district)
    return live_through(
        district, schools, second.calendar, students, second.roll, last=first,
        draws=redrawn(replication),
    )  # fmt: skip


def test_a_year_drawn_again_is_that_of_both_years_simulated_anew() -> None:
    _, students, years = simulate_years(strong(), redrawn(3))
    tables = [
        truth_table(strong(), both, student_ids(len(students)), redrawn(3))
        for both in (years, [two_years(strong())[2][0], lived(strong(), 3)])
    ]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    assert not tables[0].equals(
        truth_table(strong(), two_years(strong())[2], student_ids(len(students)), redrawn(1))
    )


@cache
def drawn() -> Drawn:
    """Draw the second year of the strong district again and again: visits before it stay."""
    district, tables = strong(), []
    _, students, (first, _) = two_years(district)
    for replication in range(1, REPLICATIONS + 1):
        years = [first, lived(district, replication)]
        ids, draws = student_ids(len(students)), redrawn(replication)
        tables.append(truth_table(district, years, ids, draws, outcomes=CLOSED))
    same = ["student_id", "visited_before_year", "attendance_rate_m1", "incidents_m0"]
    assert all(table[same].equals(tables[0][same]) for table in tables), "the year before stays"
    names = [f"{name}_{regime}" for name in CLOSED for regime in ("m1", "m0", "y1", "y0")]
    values = {name: np.array([table[name] for table in tables], dtype=float) for name in names}
    return Drawn(
        {name: values[name] for name in names if name[-2] == "m"},
        {name: values[name] for name in names if name[-2] == "y"},
    )


def assert_right_on_average(off: np.ndarray) -> None:
    """Check that deviations (replications, students) average to zero, student by student, too."""
    each = np.nanmean(off, axis=1)
    assert abs(each.mean()) < LIMIT * each.std(ddof=1) / np.sqrt(len(each))
    spread = off.std(axis=0, ddof=1) / np.sqrt(len(off))
    z = off.mean(axis=0)[spread > 0] / spread[spread > 0]
    assert len(z) > 100
    assert 0.7 < np.mean(np.minimum(z**2, 16)) < 1.35


@pytest.mark.simulation
@pytest.mark.parametrize("regime", ["1", "0"])
@pytest.mark.parametrize("name", CLOSED)
def test_expected_outcomes_are_averages_of_realized_ones(name: str, regime: str) -> None:
    realized = drawn().realized[f"{name}_y{regime}"]
    expected = drawn().expected[f"{name}_m{regime}"]
    known = ~np.isnan(expected[0])
    assert known.any()
    frequent = realized.var(axis=0) > 0.03 * (name == "any_serious_incident")
    assert_right_on_average((realized - expected)[:, known & frequent])
    average = realized.mean(axis=0)[known]
    least = 0.75 if name == "any_serious_incident" else 0.9
    assert np.corrcoef(average, expected.mean(axis=0)[known])[0, 1] > least


@pytest.mark.simulation
@pytest.mark.parametrize("name", CLOSED)
def test_expected_effects_are_averages_of_realized_ones(name: str) -> None:
    effect = drawn().realized[f"{name}_y1"] - drawn().realized[f"{name}_y0"]
    expected = drawn().expected[f"{name}_m1"] - drawn().expected[f"{name}_m0"]
    known = ~np.isnan(expected[0])
    each = (effect - expected)[:, known].mean(axis=1)
    error = each.std(ddof=1) / np.sqrt(len(each))
    assert abs(each.mean()) < LIMIT * error
    assert error < 0.04 * abs(expected[:, known].mean()), "the comparison can tell little"


# -- each term of the closed forms is needed ------------------------------------------------


def everyone(district: District, year: SchoolYear) -> dict[str, dict[str, np.ndarray]]:
    return expected_of_rows(district, year, np.arange(len(year.roll.student)))


@pytest.mark.parametrize(
    ("term", "names"),
    [
        ("during", ("attendance_rate", "incidents", "any_incident", "math_score_std")),
        ("during_incident", ("incidents",)),
        ("during_absence", ("attendance_rate",)),
    ],
)
def test_every_reason_for_a_visit_during_the_year_counts(term: str, names: tuple[str, ...]) -> None:
    """Without one of them, what is expected differs by more than the comparisons above allow."""
    district, year = strong(), lived(strong())
    rules = replace(district.selection, **{term: NO_VISITS[term]})
    without = everyone(replace(district, selection=rules), year)["0"]
    grades = np.isin(year.roll.grade, district.truth_grades)
    for name in names:
        effect = drawn().realized[f"{name}_y1"] - drawn().realized[f"{name}_y0"]
        error = np.nanmean(effect, axis=1).std(ddof=1) / np.sqrt(REPLICATIONS)
        gap = (everyone(district, year)["0"][name] - without[name])[grades].mean()
        assert abs(gap) > LIMIT * error, name


@pytest.mark.parametrize(
    ("reason", "names"),
    [
        ({"during": (1.0, 1.0)}, ("attendance_rate", "incidents", "math_score_std")),
        ({"during_incident": 1.0}, ("incidents", "attendance_rate", "math_score_std")),
        ({"during_absence": 1.0}, ("attendance_rate", "incidents", "math_score_std")),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_visits_during_the_year_change_is_expected_for_each_reason_alone(
    reason: dict[str, object], names: tuple[str, ...]
) -> None:
    """Beside the same draws of the year without any visit during it, which leaves little noise."""
    district = strong()
    alone = NO_VISITS | {"highest": district.selection.highest} | reason
    alone["during"] = (0.0, alone["during"][1])  # the year before is the same for all
    district = replace(district, selection=replace(district.selection, **alone))
    quiet = replace(district, selection=replace(district.selection, **NO_VISITS | {"highest": 0.6}))
    gains = {name: [] for name in names}
    for replication in range(1, 81):
        year = lived(district, replication)
        without = realize(year.process, year.chance, never(len(year.roll.student)))
        for name in names:
            gains[name].append(
                (measure(year, name, year.if_unvisited) - measure(year, name, without)).mean()
            )
    for name, values in gains.items():
        expected = everyone(district, year)["0"][name] - everyone(quiet, year)["0"][name]
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        assert abs(np.mean(values) - expected.mean()) < LIMIT * error, name
        assert error < 0.10 * abs(expected.mean()), name


def test_scores_rise_with_the_days_left_after_a_visit() -> None:
    """If every possible round leads to a visit: exactly, by counting days in the calendar."""
    district, year = strong(), lived(strong())
    sure = NO_VISITS | {"during": (1.0, 1.0)}
    sure = replace(district, selection=replace(district.selection, **sure))
    none = replace(district, selection=replace(district.selection, **NO_VISITS))
    gain = everyone(sure, year)["0"]["math_score_std"] - everyone(none, year)["0"]["math_score_std"]
    roll, rounds, process = year.roll, year.rounds, year.process
    assert (gain > 0).sum() > 100
    for row in range(len(gain)):
        open_days = year.calendar.instructional[roll.school[row]]
        later = [
            open_days[at + 1 : roll.stop[row] + 1].sum()
            for at, possible in zip(rounds.position[row], rounds.open[row], strict=True)
            if possible and rounds.program[row] in (1, 2)
        ]
        left = sum(later) / len(rounds.day[row]) / max(roll.days[row], 1)
        expected = process.math_effect[row] * (1 - process.lasting[row]) * left
        assert gain[row] == pytest.approx(expected, abs=1e-12)


def measure(year: SchoolYear, name: str, conduct: Conduct) -> np.ndarray:
    values = {
        "attendance_rate": 1 - conduct.days_absent / year.roll.days,
        "incidents": conduct.incidents.astype(float),
        "math_score_std": conduct.math,
    }
    return values[name]


def test_a_visit_that_follows_an_incident_cannot_prevent_all_incidents() -> None:
    district, year = strong(), lived(strong())
    rules = replace(district.selection, during=(0.0, 0.0), during_absence=0.0)
    expected = everyone(replace(district, selection=rules), year)
    none = everyone(replace(district, selection=replace(rules, during_incident=0.0)), year)
    for name, same in (("any_incident", True), ("incidents", False), ("attendance_rate", False)):
        assert np.allclose(expected["0"][name], none["0"][name], rtol=0, atol=1e-12) == same


def test_expected_outcomes_without_any_program_are_those_of_a_district_without_visits() -> None:
    """The third regime: no visit before, during or in an earlier year, to nobody of a class."""
    district = strong()
    nobody = replace(district, selection=replace(district.selection, **NO_VISITS))
    expected = everyone(district, lived(district))["n"]
    both = everyone(district, lived(district))
    worlds = [lived(nobody, replication) for replication in range(1, 101)]
    realized = {
        "attendance_rate": [1 - w.conduct.days_absent / w.roll.days for w in worlds],
        "incidents": [w.conduct.incidents for w in worlds],
        "any_incident": [w.conduct.incidents > 0 for w in worlds],
        "math_score_std": [w.conduct.math for w in worlds],
        "reading_score_std": [w.conduct.reading for w in worlds],
    }
    for name, values in realized.items():
        each = np.array(values, dtype=float) - expected[name]
        assert_right_on_average(each)
        error = each.mean(axis=1).std(ddof=1) / np.sqrt(len(worlds))
        assert abs((both["0"][name] - expected[name]).mean()) > LIMIT * error, name
    again = everyone(nobody, worlds[0])
    for name, values in expected.items():
        np.testing.assert_allclose(again["0"][name], values, rtol=1e-12)


def test_the_truth_table_holds_the_third_regime_only_where_classmates_matter() -> None:
    table = simulate(strong(), 5, tables=(), outcomes=("attendance_rate", "math_score_std")).truth
    assert {"attendance_rate_mn", "math_score_std_mn"} <= set(table)
    assert (table["attendance_rate_mn"] <= table["attendance_rate_m0"]).all()
    alone = simulate(tiny(), 5, tables=(), outcomes=("attendance_rate",)).truth
    assert [name[-2:] for name in alone.columns[3:]] == ["m1", "m0", "y1", "y0"]


@cache
def fresh() -> tuple[np.ndarray, dict[str, list[list[np.ndarray]]]]:
    """Return who is of the truth's grades, and by measure drawn years under both regimes."""
    drawn: dict[str, list[list[np.ndarray]]] = {"chronic_absence": [], "chronic_truancy": []}
    for replication in range(1, 61):
        year = lived(strong(), replication)
        absences, both = year.chance.absences, (year.if_visited, year.if_unvisited)
        drawn["chronic_absence"].append([a.days_absent * 10 > year.roll.days for a in both])
        unexcused = absences.category == UNEXCUSED
        days = [np.bincount(absences.row, a.absent & unexcused, len(year.roll.days)) for a in both]
        drawn["chronic_truancy"].append([count >= 10 for count in days])
    return np.isin(year.roll.grade, strong().truth_grades), drawn


@pytest.mark.simulation
@pytest.mark.parametrize("name", ["chronic_absence", "chronic_truancy"])
def test_what_is_chronic_is_expected_near_its_average(name: str) -> None:
    grades, drawn = fresh()
    table = simulate(strong(), 5, tables=(), outcomes=(name,)).truth
    for at, regime in enumerate(("1", "0")):
        average = np.mean([both[at][grades] for both in drawn[name]], axis=0)
        expected = table[f"{name}_m{regime}"].to_numpy()
        noise = expected * (1 - expected) / 32 + average * (1 - average) / 60
        z2 = (average - expected)[noise > 0.001] ** 2 / noise[noise > 0.001]
        assert 0.7 < z2.mean() < 1.3
        assert abs((average - expected).mean()) < LIMIT * np.sqrt(noise.sum()) / len(noise)
        assert 0.01 < expected.mean() < 0.99
    assert ((expected * 32) % 1 == 0).all()
    assert (table[f"{name}_m1"] < table[f"{name}_m0"]).mean() > 0.05


# -- what all regimes share -----------------------------------------------------------------


@pytest.mark.parametrize("make", [strong, tiny])
def test_no_visit_does_harm_to_any_student(make) -> None:
    truth = simulate(make(), 3, tables=()).truth
    assert (truth["incidents_y1"] <= truth["incidents_y0"]).all()
    assert (truth["attendance_rate_y1"] >= truth["attendance_rate_y0"]).all()
    rates = ("attendance_rate", "on_time_attendance_rate")
    for name in rates:
        assert (truth[f"{name}_m1"] >= truth[f"{name}_m0"]).all()
    for name in {*ATTENDANCE, *CONDUCT, "chronic_absence", "chronic_truancy"} - {*rates}:
        assert (truth[f"{name}_m1"] <= truth[f"{name}_m0"]).all()
    assert truth["days_tardy_m1"].equals(truth["days_tardy_m0"])


def test_what_is_observed_is_the_realized_outcome_of_the_regime_that_happened() -> None:
    simulation = small()
    joined = simulation.truth.merge(simulation.student_years, on=["student_id", "school_year"])
    assert len(joined) == len(simulation.truth)
    assert (joined["visited_before_year_x"] == joined["visited_before_year_y"]).all()
    visited = joined["visited_before_year_x"] == 1
    for name in (*CLOSED[:4], "chronic_absence"):
        realized = np.where(visited, joined[f"{name}_y1"], joined[f"{name}_y0"])
        other = np.where(visited, joined[f"{name}_y0"], joined[f"{name}_y1"])
        np.testing.assert_allclose(joined[name], realized, atol=1e-5)
        assert (np.abs(joined[name] - other) > 1e-3).mean() > 0.005
    for name in CLOSED[4:]:
        tested = joined[name].notna()
        realized = np.where(visited, joined[f"{name}_y1"], joined[f"{name}_y0"])
        rounding = 0.5 / 25  # half a point on a scale with an SD of at least 25 points
        unlike = np.abs(joined[name] - realized)[tested] > rounding
        assert unlike.mean() < 0.01  # the ends of the scale


def test_without_effects_all_regimes_are_one() -> None:
    none = VisitEffects(attendance=0, incidents=0, math=0, math_grade=0, reading=0)
    truth = simulate(replace(strong(), effects=none), 3, tables=()).truth
    with_visit = [name for name in truth if name.endswith(("_m1", "_y1"))]
    assert len(with_visit) == len(OUTCOMES) + len(CLOSED) + 1
    for name in with_visit:
        pd.testing.assert_series_equal(truth[name], truth[f"{name[:-1]}0"], check_names=False)


def test_a_lasting_effect_needs_an_earlier_visit() -> None:
    """Even where nothing of it fades."""
    district = strong()
    forever = replace(district, effects=replace(district.effects, lasting=1.0, classmates=0.0))
    year = lived(forever)
    seen = year.baseline.years_since_visit < 10
    assert 0.1 < seen.mean() < 0.9
    assert (year.process.lasting == seen).all()


def test_expected_scores_are_put_on_the_scale_of_the_tested() -> None:
    year = lived(strong())
    rows = np.flatnonzero(year.roll.grade >= 3)
    raw = everyone(strong(), year)["1"]["math_score_std"][rows]
    values = standardized({"1": {"math_score_std": raw}}, year, rows)["1"]["math_score_std"]
    for grade in (3, 4, 5):
        tested = year.scores.tested[0] & (year.roll.grade == grade)
        points = year.scores.scale_score[0, tested]
        at = year.roll.grade[rows] == grade
        expected = (740 + 28 * raw[at] - points.mean()) / points.std(ddof=1)
        np.testing.assert_allclose(values[at], expected)


# -- visits during the year -----------------------------------------------------------------


def rest_of_year(year: SchoolYear, conduct: Conduct, rows: np.ndarray) -> pd.DataFrame:
    """Return the outcomes of the days after the visits during the year, counted event by event."""
    absences, incidents = year.chance.absences, year.chance.incidents
    n, visit = len(year.roll.student), year.during.position
    later = absences.position > visit[absences.row]
    quarters = np.bincount(absences.row, absences.quarters * (conduct.absent & later), n)[rows]
    later = incidents.position > visit[incidents.row]
    count = np.bincount(incidents.row[conduct.involved & later], minlength=n)[rows]
    after = year.roll.days[rows] - 1 - year.during.day[rows]
    return pd.DataFrame(
        {
            "attendance_rate": 1 - quarters / 4 / after,
            "any_incident": (count > 0).astype(float),
            "incidents": count.astype(float),
        }
    )


def history(year: SchoolYear, rows: np.ndarray) -> pd.DataFrame:
    """Return what happened before the visits during the year."""
    absences, incidents = year.chance.absences, year.chance.incidents
    n, visit = len(year.roll.student), year.during.position
    missed = year.conduct.absent & absences.full & (absences.position < visit[absences.row])
    involved = year.conduct.involved & (incidents.position < visit[incidents.row])
    share = np.bincount(absences.row[missed], minlength=n) / np.maximum(year.during.day, 1)
    count = np.bincount(incidents.row[involved], minlength=n)
    return pd.DataFrame({"absent_before": share[rows], "incidents_before": count[rows]})


@cache
def visits() -> pd.DataFrame:
    """Return visits during the year of many strong districts: expected, realized, history."""
    mix = SchoolMix(elementary=6, students=720, program_share=(1.0, 1.0))
    district, frames = replace(strong(), schools=mix), []
    for seed in range(1, 48):
        _, students, years = simulate_years(district, Draws(seed))
        year, ids = years[1], student_ids(len(students))
        asked = year.during.visited & ~year.summer.visited
        rows = np.flatnonzero(asked & np.isin(year.roll.grade, district.truth_grades))
        table = visit_truth_table(district, years, ids)
        assert list(table["student_id"]) == list(ids[year.roll.student[rows]])
        unvisited = realize(year.process, year.chance, never(len(year.roll.student)))
        worlds = {"y1": year.conduct, "y0": unvisited}
        realized = [rest_of_year(year, c, rows).add_suffix(f"_{s}") for s, c in worlds.items()]
        frames.append(pd.concat([table, *realized, history(year, rows)], axis=1))
    return pd.concat(frames, ignore_index=True)


CLASSES = {
    "everyone": lambda rows: rows["days_after"] > 0,
    "no incident before": lambda rows: rows["incidents_before"] == 0,
    "incidents before": lambda rows: rows["incidents_before"] > 0,
    "low absence before": lambda rows: rows["absent_before"] <= rows["absent_before"].median(),
    "high absence before": lambda rows: rows["absent_before"] > rows["absent_before"].median(),
    "early visit": lambda rows: rows["days_after"] > 90,
    "late visit": lambda rows: rows["days_after"] <= 90,
}


@pytest.mark.simulation
@pytest.mark.parametrize("which", CLASSES)
@pytest.mark.parametrize("name", ["attendance_rate", "any_incident", "incidents"])
def test_the_rest_of_the_year_is_expected_given_its_beginning(name: str, which: str) -> None:
    rows = visits()[CLASSES[which](visits())]
    assert len(rows) > 900
    for regime in ("1", "0"):
        off = rows[f"{name}_y{regime}"] - rows[f"{name}_m{regime}"]
        assert abs(off.mean()) < LIMIT * off.std() / np.sqrt(len(off))
    effect = rows[f"{name}_m1"] - rows[f"{name}_m0"]
    off = rows[f"{name}_y1"] - rows[f"{name}_y0"] - effect
    error = off.std() / np.sqrt(len(off))
    assert abs(off.mean()) < LIMIT * error
    assert abs(effect.mean()) > 8 * error


def test_incidents_before_the_visit_announce_more_after_it() -> None:
    """Expectations that ignored the student's own past would be far off in the classes above."""
    rows = visits()
    later = rows.groupby(rows["incidents_before"] > 0)["incidents_m0"].mean()
    assert later[True] > 1.5 * later[False]


def test_visits_are_those_of_the_table_and_their_outcomes_of_the_extracts() -> None:
    """From the tables that a district delivers: days after the date of the visit."""
    made = simulate(strong(), 9, tables=("visits", "absences", "incidents"), outcomes=())
    truth = made.visit_truth
    done = made.tables["visits"].query("completed == 1 and program in ('FEP', 'FEC')")
    year = made.student_years.query("school_year == 2015")
    first = year[["student_id", "first_instructional_day", "visited_before_year", "grade"]]
    done = done.merge(first, on="student_id").query("date >= first_instructional_day")
    done = done.query("visited_before_year == 0 and grade >= 1")
    key = ["student_id", "date"]
    found = truth[key].sort_values(key).to_numpy()
    np.testing.assert_array_equal(found, done[key].sort_values(key).to_numpy())
    later = made.tables["absences"].merge(truth, on="student_id", suffixes=("", "_visit"))
    later = later.query("date > date_visit and school_year == 2015")
    weight = later["category"].map({"tardy": 0.0, "partial": np.nan}).fillna(later["fraction"])
    weight = weight.where(weight.notna(), 1.0)
    absent = weight.groupby(later["student_id"]).sum().reindex(truth["student_id"], fill_value=0)
    rate = 1 - absent.to_numpy() / truth["days_after"].to_numpy()
    assert rate.mean() == pytest.approx(truth["attendance_rate_m1"].mean(), abs=0.02)
    assert np.corrcoef(rate, truth["attendance_rate_m1"])[0, 1] > 0.8


@cache
def a_small_one(seed: int) -> Simulation:
    return simulate("small", seed, tables=(), outcomes=("attendance_rate", "any_incident"))


def test_comparing_whole_years_of_students_visited_during_them_is_badly_wrong() -> None:
    """Visits follow incidents and absences, so visited students look as if visits did harm."""
    gaps = []
    for seed in range(1, 6):
        made = a_small_one(seed)
        visited = made.visit_truth[["student_id", "school_year"]].assign(during=1)
        years = made.student_years.merge(visited, on=["student_id", "school_year"], how="left")
        taking_part = years.groupby(["school_year", "school_id"])["during"].transform("sum") > 0
        rows = years[taking_part & years["grade"].between(1, 5) & (years["school_year"] > 2014)]
        rows = rows[rows["visited_before_year"] == 0].fillna({"during": 0})
        means = rows.groupby("during")[["attendance_rate", "any_incident"]].mean()
        truth = made.visit_truth
        effect = {n: (truth[f"{n}_m1"] - truth[f"{n}_m0"]).mean() for n in means}
        gaps.append([*(means.loc[1] - means.loc[0]), *effect.values()])
    attendance, incident, true_attendance, true_incident = np.mean(gaps, axis=0)
    assert true_attendance > 0 > true_incident
    assert attendance < 0
    assert incident > 0.03


# -- confounding that is there --------------------------------------------------------------


def test_the_naive_difference_is_biased() -> None:
    bias = {"attendance_rate": [], "any_incident": []}
    for seed in range(1, 6):
        truth = a_small_one(seed).truth
        visited = truth[truth["visited_before_year"] == 1]
        others = truth[truth["visited_before_year"] == 0]
        for name, values in bias.items():
            values.append(visited[f"{name}_m0"].mean() - others[f"{name}_m0"].mean())
    for name, values in bias.items():
        assert abs(np.mean(values)) > 5 * np.std(values, ddof=1) / np.sqrt(len(values)), name
    assert np.mean(bias["attendance_rate"]) < -0.006
    assert np.mean(bias["any_incident"]) > 0.015
