"""Expected outcomes against averages over many drawn ones, and confounding that is there."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from homevisit_eval.synthetic import VisitEffects, simulate
from homevisit_eval.synthetic.draws import (
    Draws,
    beta_binomial_at_most,
    beta_binomial_quantile,
    negative_binomial_quantile,
)
from homevisit_eval.synthetic.outcomes import partial_quarters
from homevisit_eval.synthetic.simulate import simulate_years
from homevisit_eval.synthetic.student_years import truth_table
from homevisit_eval.synthetic.students import student_ids
from synthetic_districts import baseline_and_outcome, small, student_years, tiny

REPLICATIONS = 150
LIMIT = 4.5  # Monte Carlo standard errors; 24 comparisons of a fixed seed
NAMES = (
    "attendance_rate", "any_incident", "incidents", "chronic_absence", "math_score_std",
    "reading_score_std",
)  # fmt: skip


@cache
def redrawn() -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Return the truth of 2015, and each outcome's replications: shape (replications, n)."""
    district = tiny()
    drawn: dict[str, list[np.ndarray]] = {}
    for replication in range(REPLICATIONS):
        draws = Draws(5, redraw_from=2015, replication=replication + 1)
        _, students, years = simulate_years(district, draws)
        truth = truth_table(district, years, student_ids(len(students)))
        if not replication:
            first = truth
        keep = np.isin(years[1].roll.grade, district.truth_grades)
        days = years[1].roll.days
        for suffix, conduct in (("y1", years[1].if_visited), ("y0", years[1].if_unvisited)):
            chronic = conduct.days_absent * 10 > days
            drawn.setdefault(f"chronic_absence_{suffix}", []).append(chronic[keep])
            for name in NAMES:
                if name != "chronic_absence":
                    column = f"{name}_{suffix}"
                    drawn.setdefault(column, []).append(truth[column].to_numpy())
        same = ["student_id", "visited_before_year", "attendance_rate_m0", "incidents_m1"]
        assert truth[same].equals(first[same]), "what comes before the year must stay"
    return first, {name: np.array(values, dtype=float) for name, values in drawn.items()}


@pytest.mark.parametrize("regime", ["1", "0"])
@pytest.mark.parametrize("name", NAMES[:4])
def test_expected_outcomes_are_the_averages_of_drawn_ones(name: str, regime: str) -> None:
    truth, drawn = redrawn()
    values = drawn[f"{name}_y{regime}"]
    expected = truth[f"{name}_m{regime}"].to_numpy()
    each = values.mean(axis=1)
    error = each.std(ddof=1) / np.sqrt(len(each))
    assert abs(each.mean() - expected.mean()) < LIMIT * error
    # student by student: z scores with mean square one, unless expectations were those of others
    spread = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    known = spread > 0
    z = (values.mean(axis=0) - expected)[known] / spread[known]
    assert 0.7 < np.mean(np.minimum(z**2, 25)) < 1.5
    assert np.corrcoef(values.mean(axis=0), expected)[0, 1] > 0.75


@pytest.mark.parametrize("name", NAMES[4:])
def test_expected_effects_on_scores_are_those_of_drawn_ones(name: str) -> None:
    truth, drawn = redrawn()
    effect = (truth[f"{name}_m1"] - truth[f"{name}_m0"]).mean()
    obtained = np.nanmean(drawn[f"{name}_y1"] - drawn[f"{name}_y0"])
    assert obtained == pytest.approx(effect, rel=0.05)
    tested = truth["math_score_std_m1"].notna().to_numpy()
    average = drawn[f"{name}_y0"].mean(axis=0)[tested]
    assert np.corrcoef(average, truth[f"{name}_m0"][tested])[0, 1] > 0.98
    assert average.mean() == pytest.approx(truth[f"{name}_m0"][tested].mean(), abs=0.03)


def test_both_regimes_share_their_random_numbers() -> None:
    truth = small().truth
    assert (truth["incidents_y1"] <= truth["incidents_y0"]).all()
    assert (truth["attendance_rate_y1"] >= truth["attendance_rate_y0"]).all()


def test_what_is_observed_is_the_realized_outcome_of_the_regime_that_happened() -> None:
    simulation = small()
    joined = simulation.truth.merge(simulation.student_years, on=["student_id", "school_year"])
    visited = joined["visited_before_year_x"] == 1
    for name in ("attendance_rate", "any_incident", "incidents"):
        realized = np.where(visited, joined[f"{name}_y1"], joined[f"{name}_y0"])
        np.testing.assert_allclose(joined[name], realized, atol=1e-5)
    tested = joined["math_score_std"].notna()
    realized = np.where(visited, joined["math_score_std_y1"], joined["math_score_std_y0"])
    rounding = 0.5 / 25  # half a point on a scale with an SD of at least 25 points
    unlike = np.abs(joined["math_score_std"] - realized)[tested] > rounding
    assert unlike.mean() < 0.01  # the ends of the scale


def test_effects_have_the_published_size() -> None:
    visited = pd.concat(
        [
            truth[truth["visited_before_year"] == 1]
            for truth in (simulate("small", seed, tables=()).truth for seed in range(1, 6))
        ]
    )
    effect = {name: (visited[f"{name}_m1"] - visited[f"{name}_m0"]).mean() for name in NAMES}
    assert -0.040 < effect["any_incident"] < -0.025
    assert 0.0035 < effect["attendance_rate"] < 0.0060
    assert 0.10 < effect["math_score_std"] < 0.14
    assert 0.02 < effect["reading_score_std"] < 0.04
    assert (visited["attendance_rate_m1"] - visited["attendance_rate_m0"]).std() > 0.001


def test_without_effects_both_regimes_are_one() -> None:
    none = VisitEffects(attendance=0, incidents=0, math=0, math_grade=0, reading=0)
    truth = simulate(replace(tiny(), effects=none), 3, tables=()).truth
    for name in NAMES:
        pd.testing.assert_series_equal(truth[f"{name}_m1"], truth[f"{name}_m0"], check_names=False)


def test_visited_students_were_needier_before_the_visit() -> None:
    joined = baseline_and_outcome(student_years(6))
    groups = joined.groupby("visited_before_year")
    spread = joined["attendance_rate_prior"].std()
    gap = groups["attendance_rate_prior"].mean()
    assert -0.8 < (gap[1] - gap[0]) / spread < -0.25
    assert groups["any_incident_prior"].mean()[1] > 1.5 * groups["any_incident_prior"].mean()[0]
    assert 0.05 < joined["visited_before_year"].mean() < 0.12


def test_the_naive_difference_is_biased() -> None:
    bias = {"attendance_rate": [], "any_incident": []}
    for seed in range(1, 9):
        truth = simulate("small", seed, tables=()).truth
        visited = truth[truth["visited_before_year"] == 1]
        others = truth[truth["visited_before_year"] == 0]
        for name, values in bias.items():
            values.append(visited[f"{name}_m0"].mean() - others[f"{name}_m0"].mean())
    assert np.mean(bias["attendance_rate"]) < -0.006
    assert np.mean(bias["any_incident"]) > 0.015


def test_nobody_is_sure_to_be_visited() -> None:
    joined = baseline_and_outcome(student_years(6))
    needy = (joined["attendance_rate_prior"] < 0.85) & (joined["any_incident_prior"] == 1)
    assert joined.loc[needy, "visited_before_year"].mean() < 0.6


def test_beta_binomial_numbers() -> None:
    from scipy.stats import betabinom

    mean, trials, precision = np.array([0.05, 0.3]), np.array([176, 12]), 40.0
    a, b = mean * precision, (1 - mean) * precision
    at_most = beta_binomial_at_most(11, trials, mean, precision)
    for k in (0, 3, 11):
        np.testing.assert_allclose(at_most[k], betabinom.cdf(k, trials, a, b), rtol=1e-9)
    for uniform in (0.001, 0.4, 0.95, 0.999):
        drawn = beta_binomial_quantile(np.full(2, uniform), trials, mean, precision)
        np.testing.assert_array_equal(drawn, betabinom.ppf(uniform, trials, a, b))


def test_negative_binomial_numbers() -> None:
    from scipy.stats import nbinom

    mean, shape = np.array([0.1, 2.5]), 2.0
    for uniform in (0.05, 0.5, 0.99, 0.9999):
        drawn = negative_binomial_quantile(np.full(2, uniform), mean, shape)
        np.testing.assert_array_equal(drawn, nbinom.ppf(uniform, shape, shape / (shape + mean)))


def test_partial_days() -> None:
    chance = partial_quarters(0.3)
    np.testing.assert_allclose(chance.sum(axis=1), 1)
    np.testing.assert_allclose(chance @ np.arange(13), 0.3 * 2 * np.arange(5))
    assert chance[1, 1] == pytest.approx(0.1)
