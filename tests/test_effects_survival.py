"""Time to a first event: curves, hazard ratios, tests, and the stage that compares groups."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import narwhals as nw
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.duration.survfunc import SurvfuncRight, survdiff

from effect_examples import matched_example, reordered, with_weights
from homevisit_eval.design import DifferenceInMeans, FixedEffects
from homevisit_eval.effects.survival import SurvivalEffects, estimate_survival
from homevisit_eval.effects.survival_curves import (
    compare_survival,
    fit_cox,
    kaplan_meier,
    log_rank_test,
)
from homevisit_eval.effects.survival_curves.tied_times import partial_likelihood, tied_times
from homevisit_eval.errors import DesignError, EstimationError, SourceError
from homevisit_eval.matching import MatchedSample
from homevisit_eval.panel import build_panel
from homevisit_eval.sample.incident_times import incident_times
from homevisit_eval.sources import read_sources
from homevisit_eval.synthetic import simulate, write_simulation
from small_sample import random_sample
from synthetic_districts import tiny
from tiny_panel import tiny_panel

REFERENCE = Path(__file__).parent / "reference" / "survival"
EXACT = 1e-10  # two ways to one closed form, double precision


def world(n: int = 400, seed: int = 1, schools: int = 20, ratio: float = 0.7):
    """Return days with ties and censoring, events, group, weights, schools and strata."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 61])))
    visited = rng.integers(0, 2, n)
    school = rng.integers(0, schools, n)
    own = rng.gamma(5, 0.2, schools)[school]
    time = np.ceil(rng.exponential(1 / (0.01 * own * ratio**visited)))
    censored = np.where(rng.random(n) < 0.3, np.ceil(rng.uniform(5, 180, n)), 180)
    return {
        "times": np.minimum(time, censored),
        "events": (time <= censored).astype(float),
        "treated": visited,
        "weights": rng.uniform(0.3, 3, n),
        "clusters": school,
        "strata": rng.integers(0, 5, n),
    }


def part(data: dict, *names: str) -> dict:
    return {name: data[name] for name in ("times", "events", "treated", *names)}


# Curves -----------------------------------------------------------------------------------------


def test_the_curve_is_kaplan_meiers_with_greenwoods_error():
    data = world()
    ours = kaplan_meier(data["times"], data["events"])
    theirs = SurvfuncRight(data["times"], data["events"])
    at = np.searchsorted(ours.times, theirs.surv_times)
    np.testing.assert_allclose(ours.survival[at], theirs.surv_prob, rtol=EXACT)
    np.testing.assert_allclose(ours.std_errors[at], theirs.surv_prob_se, rtol=1e-8, atol=1e-14)
    np.testing.assert_array_equal(ours.at_risk[at], theirs.n_risk)
    np.testing.assert_array_equal(ours.events[at], theirs.n_events)


def test_without_censoring_it_is_the_share_left():
    times = np.array([3.0, 1, 2, 2, 5])
    curve = kaplan_meier(times, np.ones(5))
    assert curve.times.tolist() == [1, 2, 3, 5]
    np.testing.assert_allclose(curve.survival, [0.8, 0.4, 0.2, 0.0])
    share = np.array([0.8, 0.4, 0.2, 0.0])
    np.testing.assert_allclose(curve.std_errors, np.sqrt(share * (1 - share) / 5), atol=1e-15)
    assert np.isnan(curve.intervals[-1]).all()


def test_whole_weights_count_as_rows():
    data = world(120)
    times = np.maximum(1, data["times"])
    copies = np.random.Generator(np.random.PCG64(5)).integers(0, 4, 120)
    weighted = kaplan_meier(times, data["events"], weights=copies)
    repeated = kaplan_meier(np.repeat(times, copies), np.repeat(data["events"], copies))
    np.testing.assert_allclose(weighted.survival, repeated.survival, rtol=EXACT, atol=1e-15)
    schools = kaplan_meier(
        np.repeat(times, copies), np.repeat(data["events"], copies),
        clusters=np.repeat(np.arange(120), copies),
    )  # fmt: skip
    G = schools.G
    np.testing.assert_allclose(
        weighted.std_errors, schools.std_errors * np.sqrt((G - 1) / G), rtol=1e-8, atol=1e-14
    )


def test_errors_by_cluster_are_derivatives_by_the_clusters_weight():
    data = world(200, schools=9)
    times, events, w, school = (data[k] for k in ("times", "events", "weights", "clusters"))
    curve = kaplan_meier(times, events, weights=w, clusters=school)
    small, total = 1e-6, np.zeros(len(curve.times))
    for g in range(9):
        up, down = (
            kaplan_meier(times, events, weights=w * (1 + sign * small * (school == g))).survival
            for sign in (1, -1)
        )
        total += ((up - down) / (2 * small)) ** 2
    np.testing.assert_allclose(curve.std_errors, np.sqrt(9 / 8 * total), rtol=1e-5, atol=1e-9)


def test_blocks_of_clusters_change_nothing(monkeypatch):

    import homevisit_eval.effects.survival_curves.kaplan_meier  # noqa: F401

    module = sys.modules["homevisit_eval.effects.survival_curves.kaplan_meier"]
    data = world(200)
    before = kaplan_meier(data["times"], data["events"], weights=data["weights"])
    monkeypatch.setattr(module, "CELLS_AT_ONCE", 500)
    after = kaplan_meier(data["times"], data["events"], weights=data["weights"])
    np.testing.assert_allclose(before.std_errors, after.std_errors, rtol=EXACT)


def test_differences_and_restricted_means():
    data = world(300)
    options = {"at": [45, 90, 170], "restricted_to": 150.0}
    found = compare_survival(**part(data, "weights", "clusters"), **options)
    for group, incidence, mean in (
        (1, found.incidence_treated, found.mean_treated),
        (0, found.incidence_comparison, found.mean_comparison),
    ):
        own = data["treated"] == group
        curve = kaplan_meier(data["times"][own], data["events"][own], weights=data["weights"][own])
        grid = np.arange(0, 150, 0.5)
        at = np.searchsorted(curve.times, grid, side="right")
        area = np.concatenate([[1.0], curve.survival])[at].sum() * 0.5
        assert mean == pytest.approx(area, rel=1e-9)
        at = np.searchsorted(curve.times, options["at"], side="right")
        np.testing.assert_allclose(1 - incidence, np.concatenate([[1.0], curve.survival])[at])
    assert found.mean_difference == pytest.approx(found.mean_treated - found.mean_comparison)
    by_hand = derivatives(data, options)
    errors = np.sqrt(20 / 19 * (by_hand**2).sum(axis=0))
    np.testing.assert_allclose([*found.std_errors, found.mean_std_error], errors, rtol=1e-5)
    assert found.df == found.G - 1 == 19


def derivatives(data: dict, options: dict) -> np.ndarray:
    """Return numeric derivatives of all differences by the weight of each school, (G, k + 1)."""
    rows = []
    for g in range(20):
        sides = []
        for sign in (1, -1):
            w = data["weights"] * (1 + sign * 1e-6 * (data["clusters"] == g))
            one = compare_survival(**part(data, "clusters"), weights=w, **options)
            sides.append(np.array([*one.differences, one.mean_difference]))
        rows.append((sides[0] - sides[1]) / 2e-6)
    return np.array(rows)


def test_without_weights_and_clusters_errors_are_those_of_two_independent_curves():
    data = world()
    found = compare_survival(**part(data), at=[60], restricted_to=60)
    errors = []
    for group in (0, 1):
        own = data["treated"] == group
        curve = SurvfuncRight(data["times"][own], data["events"][own])
        at = np.searchsorted(curve.surv_times, 60, side="right") - 1
        errors.append(curve.surv_prob_se[at])
    assert found.std_errors[0] == pytest.approx(np.hypot(*errors), rel=1e-8)
    assert np.isinf(found.df)


# The hazard ratio and the log-rank test ----------------------------------------------------------


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("stratified", [False, True])
def test_the_cox_model_equals_statsmodels(ties, stratified):
    data = world()
    strata = data["strata"] if stratified else None
    ours = fit_cox(**part(data), strata=strata, ties=ties, covariance="model")
    theirs = PHReg(
        data["times"], data["treated"], status=data["events"], ties=ties, strata=strata
    ).fit()
    assert ours.log_hazard_ratio == pytest.approx(theirs.params[0], rel=1e-8)
    assert ours.std_error == pytest.approx(theirs.bse[0], rel=1e-8)
    assert ours.log_likelihood == pytest.approx(theirs.llf, rel=EXACT)
    assert ours.p_value == pytest.approx(theirs.pvalues[0], rel=1e-6)
    np.testing.assert_allclose(np.log(ours.interval), theirs.conf_int()[0], rtol=1e-6)


def test_clustered_errors_equal_statsmodels():
    data = world()
    ours = fit_cox(**part(data, "clusters"), ties="breslow", covariance="CR0")
    theirs = PHReg(data["times"], data["treated"], status=data["events"]).fit(
        groups=data["clusters"]
    )
    assert ours.std_error == pytest.approx(theirs.bse[0], rel=1e-8)
    corrected = fit_cox(**part(data, "clusters"), ties="breslow")
    assert corrected.std_error == pytest.approx(ours.std_error * np.sqrt(20 / 19), rel=EXACT)
    assert (ours.df, corrected.df) == (19, 19)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_score_residuals_are_derivatives_by_the_weights(ties):
    data = world(80, schools=8)
    asked = part(data, "strata", "clusters")
    fit = fit_cox(**asked, weights=data["weights"], ties=ties, covariance="CR0")
    small, total = 1e-5, 0.0
    for g in range(8):
        up, down = (
            fit_cox(
                **asked, ties=ties,
                weights=data["weights"] * (1 + sign * small * (data["clusters"] == g)),
            ).log_hazard_ratio
            for sign in (1, -1)
        )  # fmt: skip
        total += ((up - down) / (2 * small)) ** 2
    assert fit.std_error == pytest.approx(np.sqrt(total), rel=1e-6)


def test_whole_weights_count_as_rows_in_breslows_likelihood():
    data = world(100)
    copies = np.random.Generator(np.random.PCG64(5)).integers(0, 4, 100)
    weighted = fit_cox(**part(data), weights=copies, ties="breslow", covariance="model")
    repeated = {name: np.repeat(values, copies) for name, values in part(data).items()}
    theirs = fit_cox(**repeated, ties="breslow", covariance="model")
    assert weighted.log_hazard_ratio == pytest.approx(theirs.log_hazard_ratio, rel=1e-8)
    assert weighted.std_error == pytest.approx(theirs.std_error, rel=1e-8)


def test_pairs_as_strata_are_a_comparison_of_who_was_first():
    # within pairs without ties the likelihood is that of a coin: log(first visited / first other)
    rng = np.random.Generator(np.random.PCG64(3))
    times = rng.permutation(120) + 1.0
    treated, pair = np.arange(120) % 2, np.arange(120) // 2
    first = (times[1::2] < times[::2]).sum()
    fit = fit_cox(times, np.ones(120), treated, strata=pair, covariance="model")
    assert fit.log_hazard_ratio == pytest.approx(np.log(first / (60 - first)), rel=1e-8)
    assert fit.strata == 60


@pytest.mark.parametrize("stratified", [False, True])
def test_the_log_rank_test_equals_statsmodels(stratified):
    data = world()
    strata = data["strata"] if stratified else None
    ours = log_rank_test(**part(data), strata=strata)
    statistic, p = survdiff(data["times"], data["events"], data["treated"], strata=strata)
    assert ours.statistic == pytest.approx(statistic, rel=1e-8)
    assert ours.p_value == pytest.approx(p, rel=1e-8)
    same = log_rank_test(**part(data), strata=strata, weights=np.full(400, 2.5))
    assert same.statistic == pytest.approx(statistic, rel=1e-8)


def test_log_rank_by_cluster_is_a_t_test_of_what_schools_add():
    data = world(300)
    times, events, group, w = (data[k] for k in ("times", "events", "treated", "weights"))
    left = np.zeros(300)  # weighted observed less expected, one row at a time
    for time in np.unique(times[events == 1]):
        at_risk = times >= time
        share = np.average(group[at_risk], weights=w[at_risk])
        hazard = w[(times == time) & (events == 1)].sum() / w[at_risk].sum()
        now = at_risk & (times == time) & (events == 1)
        left += w * (group - share) * (now - at_risk * hazard)
    sums = np.bincount(data["clusters"], left)
    test = log_rank_test(**part(data, "weights", "clusters"))
    t, p = stats.ttest_1samp(sums, 0.0)
    assert test.statistic == pytest.approx(t**2, rel=1e-9)
    assert test.p_value == pytest.approx(p, rel=1e-9)
    assert test.df_denominator == 19


@pytest.fixture(scope="module")
def students() -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "students.csv")


@pytest.fixture(scope="module")
def lifelines() -> pd.Series:
    table = pd.read_csv(REFERENCE / "lifelines.csv", dtype={"at": object}, keep_default_na=False)
    table["value"] = table["value"].astype(float)
    return table.set_index(["run", "statistic", "at"])["value"]


def test_the_cox_model_equals_lifelines(students, lifelines):
    for run in lifelines.loc[:, "log_hazard_ratio"].index.get_level_values("run"):
        weighted, stratified = "weighted" in run, "strata" in run
        clustered = weighted or "clustered" in run
        times = students["untied" if "untied" in run else "days"].to_numpy()
        arrays = {
            "weights": students["weight"] if weighted else None,
            "strata": students["stratum"] if stratified else None,
        }
        fit = fit_cox(
            times, students["event"], students["visited"], **arrays,
            clusters=students["school"] if clustered else None,
            covariance="CR0" if clustered else "model",
        )  # fmt: skip
        theirs = lifelines[run]
        assert fit.log_likelihood == pytest.approx(theirs["log_likelihood", ""], rel=1e-13)
        assert fit.log_hazard_ratio == pytest.approx(theirs["log_hazard_ratio", ""], rel=5e-7)
        if "std_error" in theirs:
            assert fit.std_error == pytest.approx(theirs["std_error", ""], rel=1e-7)
        blocks = arrays["strata"]
        tied = tied_times(
            times.astype(float), students["event"].to_numpy() == 1,
            students["visited"].to_numpy(float),
            weights=np.ones(180) if not weighted else students["weight"].to_numpy(),
            strata=np.zeros(180, int) if blocks is None else blocks.to_numpy(), ties="efron",
        )  # fmt: skip
        assert abs(partial_likelihood(tied, fit.log_hazard_ratio)[1]) < 1e-10


def test_curves_equal_lifelines(students, lifelines):
    for group in (0, 1):
        own = students[students["visited"] == group]
        for run, weights in (("plain", None), ("weighted", own["weight"])):
            curve = kaplan_meier(own["days"], own["event"], weights=weights)
            for day in (45, 90, 135):
                at = np.searchsorted(curve.times, day, side="right") - 1
                theirs = lifelines[run, f"survival_{group}", str(day)]
                assert curve.survival[at] == pytest.approx(theirs, rel=EXACT)
                if run == "plain":
                    bounds = [lifelines[run, f"ci_{end}_{group}", str(day)]
                              for end in ("low", "high")]  # fmt: skip
                    np.testing.assert_allclose(curve.intervals[at], bounds, rtol=1e-8)
    for run, weights in (("plain", None), ("weighted", students["weight"])):
        found = compare_survival(
            students["days"], students["event"], students["visited"], weights=weights, at=[45],
            restricted_to=150,
        )  # fmt: skip
        assert found.mean_treated == pytest.approx(lifelines[run, "restricted_mean_1", "150"])
        assert found.mean_comparison == pytest.approx(lifelines[run, "restricted_mean_0", "150"])
    test = log_rank_test(students["days"], students["event"], students["visited"])
    assert test.statistic == pytest.approx(lifelines["plain", "log_rank", ""], rel=1e-9)


# Known truth ------------------------------------------------------------------------------------


def test_a_known_hazard_ratio_and_known_incidence_are_covered():
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([8, 1])))
    covered = np.zeros(3)
    draws = 200
    for _ in range(draws):
        n, visited = 300, rng.integers(0, 2, 300)
        rate = 0.01 * np.where(visited, 0.6, 1.0)
        time = rng.exponential(1 / rate)
        censored = np.minimum(rng.exponential(200, n), 150)
        times, events = np.minimum(time, censored), time <= censored
        school = rng.integers(0, 30, n)
        fit = fit_cox(times, events, visited, clusters=school)
        low, high = fit.interval
        covered[0] += low <= 0.6 <= high
        found = compare_survival(
            times, events, visited, at=[60], restricted_to=100, clusters=school
        )
        low, high = found.intervals[0]
        covered[1] += low <= np.exp(-0.6) - np.exp(-0.36) <= high
        low, high = found.mean_interval
        truth = (1 - np.exp(-0.6)) / 0.006 - (1 - np.exp(-1.0)) / 0.01
        covered[2] += low <= truth <= high
    # binomial(200, .95) is below 180 or is 200 in less than 4 of a thousand
    assert ((covered >= 180) & (covered < 200)).all(), covered


def test_the_log_rank_test_rejects_a_true_null_as_often_as_it_says():
    draws = 200
    rejected = sum(
        log_rank_test(**part(world(200, seed, 25, ratio=1.0), "weights", "clusters")).p_value < 0.05
        for seed in range(draws)
    )
    assert 2 <= rejected <= 20  # binomial(200, .05): outside in about 3 of a thousand


def test_incidence_in_the_synthetic_district_is_the_gamma_laplace_transform(tmp_path):
    district = tiny("quiet")
    district = replace(
        district,
        schools=replace(district.schools, students=800),
        discipline=replace(district.discipline, intercept=-1.4, shape=0.8),
        selection=replace(
            district.selection, during=(0.0, 0.0), during_incident=0.0, during_absence=0.0
        ),
    )
    simulation = simulate(district, seed=3)
    write_simulation(simulation, tmp_path / "district")
    truth = simulation.truth.set_index("student_id")
    with read_sources(tmp_path / "district") as sources:
        panel = build_panel(sources)
        students = panel.to_pandas("students")
        students = students[
            (students["school_year"] == 2015) & students["school_id"].notna()
            & students["student_id"].isin(truth.index) & (students["days_enrolled"] > 0)
        ].reset_index(drop=True)  # fmt: skip
        times = incident_times(panel, sample_like(students))
    assert len(times) > 250
    np.testing.assert_array_equal(times["event"], students["any_incident"])
    here = times["event"] == 0
    np.testing.assert_array_equal(times["days"][here], students["days_enrolled"][here])
    own = truth.loc[students["student_id"]]
    visited = own["visited_before_year"].to_numpy() == 1
    mean = np.where(visited, own["incidents_m1"], own["incidents_m0"])
    curve = kaplan_meier(times["days"], times["event"])
    for day in (45, 90, 150):
        through = np.minimum(day / students["days_enrolled"], 1)
        expected = ((1 + mean * through / 0.8) ** -0.8).mean()
        at = np.searchsorted(curve.times, day, side="right") - 1
        assert abs(curve.survival[at] - expected) < 3.5 * curve.std_errors[at]
        assert 1 - expected > 3.5 * curve.std_errors[at]  # the test could fail


def sample_like(students: pd.DataFrame, window: str = "before_year"):
    """Return a sample whose baseline has these student-years, from their first day on."""
    sample = random_sample(1, 40)
    baseline = pd.DataFrame(
        {
            "unit_id": students["student_id"],
            "school_year": students["school_year"],
            "index_date": pd.to_datetime(students["first_instructional_day"]),
            "school_id": students["school_id"],
            "visited": 0,
        }
    )
    question = replace(sample.question, window=window)
    return replace(sample, baseline=baseline, question=question)


# Incident times: a panel to read ------------------------------------------------------------------

FIRST = date(2014, 8, 25)  # a Monday
STUDENTS = ("present", "left", "incident", "weekend", "moved", "nothing_recorded")


def school_days(school: str, first: date, number: int) -> list[dict]:
    """Return the first weekdays from a date on."""
    days = [first + timedelta(days=k) for k in range(2 * number + 7)]
    days = [day for day in days if day.weekday() < 5][:number]
    return [
        {"school_id": school, "school_year": 2015, "date": day, "instructional_day": k + 1}
        for k, day in enumerate(days)
    ]


def panel_to_read():
    """Two schools of 20 days; S2 starts a week later. Facts are in the names of the students."""
    panel = tiny_panel([])
    connection = panel.connection
    rows = [
        {
            "student_id": name, "school_year": 2015, "grade": 3, "school_id": "S1",
            "first_instructional_day": FIRST,
            **dict.fromkeys(("any_incident", "any_serious_incident", "any_suspension"),
                            None if name == "nothing_recorded" else 0),
        }
        for name in STUDENTS
    ]  # fmt: skip
    stretches = [
        {"student_id": name, "school_id": "S1", "school_year": 2015, "start": FIRST,
         "end": date(2014, 9, 2) if name in ("left", "moved") else date(2015, 6, 15)}
        for name in STUDENTS
    ]  # fmt: skip
    stretches.append(
        {"student_id": "moved", "school_id": "S2", "school_year": 2015,
         "start": date(2014, 9, 8), "end": date(2015, 6, 15)}
    )  # fmt: skip
    facts = [
        ("incident", date(2014, 8, 27), "incident"),
        ("incident", date(2014, 9, 4), "incident"),
        ("incident", date(2014, 9, 4), "suspension"),
        ("incident", date(2014, 8, 26), "tardy"),
        ("weekend", date(2014, 8, 30), "incident"),
        ("moved", date(2014, 9, 9), "incident"),
    ]
    history = [
        {"student_id": who, "school_year": 2015, "date": day, "instructional_day": 0,
         "kind": kind, "amount": 1.0}
        for who, day, kind in facts
    ]  # fmt: skip

    def table(records: list[dict], name: str):
        frame = pd.DataFrame(records)
        for column in ("date", "start", "end", "first_instructional_day"):
            if column in frame:
                frame[column] = pd.to_datetime(frame[column])
        connection.register(f"made_{name}", frame)
        return nw.from_native(connection.sql(f"SELECT * FROM made_{name}"))

    days = school_days("S1", FIRST, 20) + school_days("S2", date(2014, 9, 1), 20)
    return replace(
        panel,
        students=table(rows, "students"),
        stretches=table(stretches, "stretches"),
        school_days=table(days, "school_days"),
        history=table(history, "history"),
    ), pd.DataFrame(rows)


def shown(times: pd.DataFrame) -> dict[str, tuple[float, float]]:
    return {
        name: (days, event)
        for name, days, event in zip(times["unit_id"], times["days"], times["event"], strict=True)
    }


def test_days_count_from_the_first_day_through_the_incident_or_the_last_day():
    panel, rows = panel_to_read()
    found = shown(incident_times(panel, sample_like(rows)))
    assert found["present"] == (20, 0)
    assert found["left"] == (7, 0)  # Monday to Tuesday of the next week
    assert found["incident"] == (3, 1)  # Wednesday
    assert found["weekend"] == (5, 1)  # Saturday after the fifth day
    assert found["moved"] == (9, 1)  # 7 days at S1, none between, the second at S2
    assert np.isnan(found["nothing_recorded"]).all()
    suspended = shown(incident_times(panel, sample_like(rows), "suspension"))
    assert suspended["incident"] == (9, 1)
    assert suspended["weekend"] == (20, 0)


@pytest.mark.parametrize(
    ("index", "lag", "expected"),
    [
        (date(2014, 8, 25), 0, {"incident": (2, 1), "present": (19, 0), "left": (6, 0)}),
        (date(2014, 8, 27), 0, {"incident": (6, 1), "present": (17, 0), "weekend": (2, 1)}),
        # the day after Friday the 29th is Monday: Saturday's incident came before it
        (date(2014, 8, 29), 0, {"weekend": (15, 0), "left": (2, 0)}),
        (date(2014, 8, 25), 3, {"incident": (5, 1), "present": (16, 0)}),
    ],
)
def test_after_a_visit_days_count_from_the_next_day_of_instruction(index, lag, expected):
    panel, rows = panel_to_read()
    rows = rows.assign(first_instructional_day=index)
    sample = sample_like(rows, "during_year")
    sample = replace(sample, question=replace(sample.question, window="fall", lag_days=lag))
    found = shown(incident_times(panel, sample))
    assert {name: found[name] for name in expected} == expected


def test_incident_times_refuse_what_does_not_fit():
    panel, rows = panel_to_read()
    with pytest.raises(DesignError, match="kind"):
        incident_times(panel, sample_like(rows), "tardy")
    strange = sample_like(rows.assign(student_id=[*rows["student_id"][:-1], "somebody else"]))
    with pytest.raises(SourceError, match="lacks 1 of 6 student-years") as caught:
        incident_times(panel, strange)
    assert "somebody" not in str(caught.value)
    without = replace(panel, school_days=panel.school_days.filter(nw.col("school_year") == 1))
    with pytest.raises(SourceError, match="no dated enrollment"):
        incident_times(without, sample_like(rows))


# The stage --------------------------------------------------------------------------------------


def times_for(matched: MatchedSample, seed: int = 1, ratio: float = 0.6) -> pd.DataFrame:
    """Return times with a hazard for each school and a known ratio of hazards."""
    baseline = matched.sample.baseline
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 71])))
    school = baseline["school_id"].str[1:].astype(int).to_numpy()
    own = rng.gamma(8, 1 / 8, school.max() + 1)[school]
    n = len(baseline)
    day = np.ceil(rng.exponential(1 / (0.004 * own * ratio ** baseline["visited"].to_numpy())))
    last = np.where(rng.random(n) < 0.1, np.ceil(rng.uniform(20, 180, n)), 180)
    keys = baseline[["unit_id", "school_year", "index_date"]]
    return keys.assign(days=np.minimum(day, last), event=(day <= last).astype(float))


def weighted_example(n: int = 800) -> MatchedSample:
    matched = matched_example(n)
    drawn = np.random.Generator(np.random.PCG64(3)).uniform(0.2, 3, n)
    return with_weights(matched, drawn * matched.matches.weights.to_numpy())


def test_the_stage_is_the_array_functions_on_matched_rows():
    matched = weighted_example()
    times = times_for(matched)
    found = estimate_survival(matched, times.sample(frac=1, random_state=1))
    used = matched.matches.weights.to_numpy() > 0
    baseline, kept = matched.sample.baseline[used], times[used]
    arrays = {
        "times": kept["days"], "events": kept["event"], "treated": baseline["visited"],
        "weights": matched.matches.weights[used], "clusters": baseline["school_id"],
    }  # fmt: skip
    theirs = compare_survival(**arrays, at=(45, 90, 135, 180), restricted_to=180)
    np.testing.assert_allclose(found.curves.differences, theirs.differences, rtol=EXACT)
    np.testing.assert_allclose(found.curves.std_errors, theirs.std_errors, rtol=EXACT)
    assert found.curves.mean_difference == pytest.approx(theirs.mean_difference, rel=EXACT)
    fit = fit_cox(**arrays)
    assert found.hazard.log_hazard_ratio == pytest.approx(fit.log_hazard_ratio, rel=1e-9)
    assert found.hazard.std_error == pytest.approx(fit.std_error, rel=1e-9)
    assert found.log_rank.statistic == pytest.approx(log_rank_test(**arrays).statistic, rel=1e-9)
    assert (found.n_visited, found.n_comparison) == (300, 300)
    assert found.events_visited == kept["event"][baseline["visited"] == 1].sum()
    assert str(found.estimand) == "ATT in the matched sample"


def test_the_stage_finds_the_truth():
    matched = matched_example(2000)
    found = estimate_survival(matched, times_for(matched))
    assert abs(np.log(0.6) - found.hazard.log_hazard_ratio) < 3 * found.hazard.std_error < 0.5
    laplace = [(1 + 0.004 * r * 90 / 8) ** -8.0 for r in (0.6, 1.0)]
    truth = laplace[1] - laplace[0]
    assert abs(found.curves.differences[1] - truth) < 3 * found.curves.std_errors[1] < 0.12
    assert found.log_rank.p_value < 1e-3


def test_row_order_does_not_matter_and_inputs_stay():
    matched = weighted_example()
    times = times_for(matched)
    before = times.copy()
    one, two = (estimate_survival(m, times) for m in (matched, reordered(matched)))
    assert one.hazard.log_hazard_ratio == pytest.approx(two.hazard.log_hazard_ratio, rel=1e-9)
    np.testing.assert_allclose(one.curves.std_errors, two.curves.std_errors, rtol=1e-9)
    pd.testing.assert_frame_equal(times, before)


def test_matched_sets_as_strata():
    matched = matched_example(800)
    times = times_for(matched)
    found = estimate_survival(matched, times, strata="matched_set")
    used = matched.matches.weights.to_numpy() > 0
    fit = fit_cox(
        times["days"][used], times["event"][used], matched.sample.baseline["visited"][used],
        strata=matched.matches.matched_set[used],
        clusters=matched.sample.baseline["school_id"][used],
    )  # fmt: skip
    assert found.hazard.log_hazard_ratio == pytest.approx(fit.log_hazard_ratio, rel=1e-9)
    assert "within matched sets" in found.notes[0]
    with pytest.raises(EstimationError, match="in no matched"):
        estimate_survival(matched_example(800, matching=False), times, strata="matched_set")


def test_who_was_not_observed_is_left_out_and_counted():
    matched = matched_example(800)
    times = times_for(matched)
    times.loc[times.index[:40], ["days", "event"]] = np.nan
    found = estimate_survival(matched, times)
    lost = int((matched.matches.weights.to_numpy()[:40] > 0).sum())
    assert found.matched_visited + found.matched_comparison == 600
    assert found.n_visited + found.n_comparison == 600 - lost
    assert "with the outcome observed" in str(found.estimand)


def test_curves_end_where_fewer_than_ten_are_followed():
    matched = matched_example(800)
    times = times_for(matched)
    visited = matched.sample.baseline["visited"] == 1
    used = matched.matches.weights > 0
    early = times["days"].clip(upper=100.0)
    longer = visited & used & (np.arange(800) < 40)
    times["event"] = times["event"].where((times["days"] <= 100) | longer | ~visited, 0.0)
    times["days"] = times["days"].where(longer | ~visited, early)
    found = estimate_survival(matched, times)
    assert found.curves.restricted_to <= 180
    at = np.searchsorted(found.curves.treated.times, found.curves.restricted_to)
    assert found.curves.treated.at_risk[at] >= 10
    assert (found.curves.at <= found.curves.restricted_to).all()


def test_one_groups_events_alone_give_no_ratio_but_incidence():
    matched = matched_example(400)
    times = times_for(matched)
    times["event"] = times["event"].where(matched.sample.baseline["visited"] == 0, 0.0)
    found = estimate_survival(matched, times)
    assert found.hazard is None
    assert found.log_rank is not None
    assert any(note.startswith("No hazard ratio: while rows of both") for note in found.notes)
    assert np.isfinite(found.curves.std_errors).all()


def test_printed_without_counts():
    text = repr(estimate_survival(matched_example(400), times_for(matched_example(400))))
    assert text.startswith("SurvivalEffects(synthetic data, First disciplinary incident, ATT")
    assert "hazard ratio" in text
    assert not re.search(r"(?<![\d.])150(?!\d)", text)
    few = estimate_survival(
        matched_example(24, schools=3), times_for(matched_example(24, schools=3))
    )
    assert "not shown" in repr(few)


def failing(case: str) -> tuple[MatchedSample, pd.DataFrame, dict]:
    matched = matched_example(400)
    times, options = times_for(matched), {}
    match case:
        case "no column":
            times = times.drop(columns="days")
        case "twice":
            times = pd.concat([times, times.iloc[:2]])
        case "not there":
            times = times.iloc[20:]
        case "half":
            times.loc[0, "days"] = np.nan
        case "no event":
            times["event"] = 0.0
        case "nobody followed":
            times[["days", "event"]] = np.nan
        case "zero":
            times.loc[[0, 1], "days"] = 0.0
        case "odd event":
            times.loc[0, "event"] = 2.0
        case "too long":
            options["at_days"] = (45, 400)
        case "one school":
            matched = matched_example(400, schools=1)
    return matched, times, options


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("no column", "no column days; give the frame of incident_times"),
        ("twice", "2 rows repeat"),
        ("not there", "16 matched student-years are not in it"),
        ("half", "<10 matched student-years have only one of days and event"),
        ("no event", "it happened to none"),
        ("nobody followed", "nobody of a matched group was followed"),
        ("zero", "2 of 300 times are missing, infinite or not above 0"),
        ("odd event", "1 of 300 events are neither 1"),
        ("too long", "followed up to 180 only, which is before 400"),
        ("one school", "all rows are in one cluster"),
    ],
)
def test_what_is_refused(case, words):
    matched, times, options = failing(case)
    with pytest.raises(EstimationError, match=words) as caught:
        estimate_survival(matched, times, **options)
    assert "SYN" not in str(caught.value)


def test_unknown_options_are_refused():
    matched = matched_example(80)
    times = times_for(matched)
    for options in ({"strata": "school"}, {"ties": "exact"}):
        with pytest.raises(DesignError, match=next(iter(options))):
            estimate_survival(matched, times, **options)
    data = part(world(50))
    with pytest.raises(EstimationError, match="ties 'exact' is unknown"):
        fit_cox(**data, ties="exact")
    with pytest.raises(EstimationError, match="covariance 'CR2' is unknown"):
        fit_cox(**data, covariance="CR2")
    with pytest.raises(EstimationError, match="rows of both groups"):
        fit_cox(data["times"], data["events"], np.ones(50))
    with pytest.raises(EstimationError, match="unequal weights"):
        log_rank_test(**data, weights=np.arange(1, 51))
    with pytest.raises(EstimationError, match="confidence_level"):
        kaplan_meier(data["times"], data["events"], confidence_level=95)
    with pytest.raises(EstimationError, match=r"give \(n,\) all"):
        kaplan_meier(data["times"], data["events"][:3])


@pytest.mark.parametrize(
    ("model", "cluster", "count"),
    [
        (FixedEffects(cluster="student_id"), "student_id", 300),
        (DifferenceInMeans(), "school_id", 24),
        (FixedEffects(cluster="school_id+matched_set", covariance="CR1S"), "school_id", 24),
    ],
)
def test_the_model_says_what_is_clustered(model, cluster, count):
    matched = matched_example(400)
    found = estimate_survival(matched, times_for(matched), model=model)
    assert isinstance(found, SurvivalEffects)
    assert (found.cluster, found.clusters) == (cluster, count)
