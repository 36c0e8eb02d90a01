"""Difference-in-differences, event study, interaction weights: statsmodels, identities."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from homevisit_eval.effects.longitudinal import (
    aggregate_effects,
    difference_in_differences,
    event_study_pretrend_test,
    fit_event_study,
    group_time_effects,
    interaction_weighted_effects,
    interaction_weighted_pretrend_test,
    two_way_weights,
)
from homevisit_eval.effects.regression.least_squares import fit_least_squares
from homevisit_eval.errors import EstimationError
from longitudinal_worlds import staggered, true_effect

RELATIVE = 1e-8


def indicators(codes) -> np.ndarray:
    return pd.get_dummies(pd.Series(codes), drop_first=True).to_numpy(float)


def dummies(world, columns, weights, clusters):
    """Weighted least squares with a column for every unit and period."""
    X = np.column_stack(
        [columns, np.ones(len(world.y)), indicators(world.unit), indicators(world.period)]
    )
    return sm.WLS(world.y, X, weights=weights).fit(
        cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": True}
    )


def test_difference_in_differences_equals_statsmodels_with_dummies():
    world = staggered(1, 48)
    weights, school = 1.0 + world.unit % 3, world.unit // 4
    found = difference_in_differences(
        world.y,
        world.treated,
        world.unit,
        world.period,
        weights=weights,
        clusters=school,
        covariance="CR1S",
    )
    theirs = dummies(world, world.treated, weights, school)
    assert found.estimate == pytest.approx(theirs.params[0], rel=RELATIVE)
    assert found.std_error == pytest.approx(theirs.bse[0], rel=RELATIVE)
    assert (found.df, found.fit.G, found.units, found.periods) == (11, 12, 48, 7)
    assert found.start_periods == 3
    assert any("starts in 3 different periods" in note for note in found.notes)


def test_two_by_two_is_a_difference_of_mean_changes():
    world = staggered(2, 40, groups=(2.0, np.inf), periods=2)
    weights = 1.0 + world.unit % 3
    change = world.y.reshape(-1, 2) @ [-1.0, 1.0]
    visited = np.isfinite(world.first_treated[::2])
    by_unit = difference_in_differences(
        world.y, world.treated, world.unit, world.period, weights=weights
    )
    w = weights[::2]
    expected = np.average(change[visited], weights=w[visited]) - np.average(
        change[~visited], weights=w[~visited]
    )
    assert by_unit.estimate == pytest.approx(expected, rel=1e-10)
    same = group_time_effects(*world.panel, weights=weights)
    assert by_unit.estimate == pytest.approx(same.estimates[0], rel=1e-10)
    assert not any("different periods" in note for note in by_unit.notes)
    # CR2 of the changes, with one row a unit, is CR2 of the panel
    first = fit_least_squares(
        change, np.column_stack([np.ones(40), visited]), clusters=np.arange(40) // 2
    )
    panel = difference_in_differences(
        world.y, world.treated, world.unit, world.period, clusters=world.unit // 2
    )
    assert panel.std_error == pytest.approx(first.std_errors[1], rel=RELATIVE)
    assert panel.df == pytest.approx(first.df[1], rel=RELATIVE)


def test_two_way_weights_of_the_textbook_case():
    """Two groups, three periods (de Chaisemartin & D'Haultfoeuille 2020): 1, -1/2, 1/2."""
    world = staggered(3, 2, groups=(2.0, 3.0), periods=3, noise=0.0)
    found = two_way_weights(*world.panel)
    assert found.groups.tolist() == [2, 2, 3]
    assert found.periods.tolist() == [2, 3, 3]
    np.testing.assert_allclose(found.weights, [1.0, -0.5, 0.5], atol=1e-12)
    assert (found.negative, found.negative_total) == (1, pytest.approx(-0.5))


def test_the_two_way_coefficient_is_wrong_by_its_weights_and_the_others_are_right():
    world = staggered(4, 60, noise=0.0, groups=(2.0, 2.0, 4.0, 7.0, np.inf))
    ways = two_way_weights(*world.panel)
    truth = true_effect(ways.groups, ways.periods - ways.groups)
    static = difference_in_differences(world.y, world.treated, world.unit, world.period)
    assert static.estimate == pytest.approx(ways.weights @ truth, rel=1e-10)
    assert ways.estimate == pytest.approx(static.estimate, rel=1e-10)
    assert ways.weights.sum() == pytest.approx(1.0)
    assert static.negative_weight == pytest.approx(ways.negative_total)
    assert ways.negative > 0
    on = world.treated
    average = world.effect[on].mean()
    assert static.estimate < average - 0.5
    simple = aggregate_effects(group_time_effects(*world.panel), "simple")
    weighted = interaction_weighted_effects(*world.panel)
    assert simple.overall.estimates[0] == pytest.approx(average, rel=1e-10)
    assert weighted.overall.estimates[0] == pytest.approx(average, rel=1e-10)
    study = fit_event_study(*world.panel)
    leads = study.estimates[study.event_times < -1]
    assert np.abs(leads).max() > 0.2  # leads of nothing: contaminated
    assert np.abs(weighted.estimates[weighted.event_times < 0]).max() < 1e-9


def test_two_way_weights_hold_with_weights_and_gaps():
    world = staggered(15, 60, noise=0.0)
    kept = np.random.default_rng(2).random(len(world.y)) > 0.15
    panel = [column[kept] for column in world.panel]
    weights = 1.0 + np.random.default_rng(3).random(kept.sum())
    ways = two_way_weights(*panel, weights=weights)
    truth = true_effect(ways.groups, ways.periods - ways.groups)
    assert ways.estimate == pytest.approx(ways.weights @ truth, rel=1e-10)
    theirs = sm.WLS(
        panel[0],
        np.column_stack(
            [
                world.treated[kept],
                np.ones(len(weights)),
                indicators(panel[1]),
                indicators(panel[2]),
            ]
        ),
        weights=weights,
    ).fit()
    assert ways.estimate == pytest.approx(theirs.params[0], rel=1e-9)


def test_cohort_effects_equal_group_time_effects_with_a_universal_base():
    world = staggered(5, 80)
    weights = 1.0 + world.unit % 2
    school = np.random.default_rng(1).integers(0, 20, 80)[world.unit]
    cells = group_time_effects(
        *world.panel, weights=weights, clusters=school, base_period="universal", covariance="CR0"
    )
    found = interaction_weighted_effects(
        *world.panel, weights=weights, clusters=school, covariance="CR0"
    )
    moving = cells.periods != cells.base_periods
    np.testing.assert_array_equal(found.cohorts, cells.groups[moving])
    np.testing.assert_array_equal(found.periods, cells.periods[moving])
    ours = found.cohort_effects
    np.testing.assert_allclose(ours.estimates, cells.estimates[moving], rtol=1e-9)
    np.testing.assert_allclose(ours.std_errors, cells.std_errors[moving], rtol=1e-9)
    by_event = aggregate_effects(cells, "event_time")
    free = ~by_event.reference
    np.testing.assert_allclose(found.estimates, by_event.estimates[free], rtol=1e-9)
    np.testing.assert_allclose(found.std_errors, by_event.std_errors[free], rtol=1e-9)
    simple = aggregate_effects(cells, "simple").overall
    assert found.overall.estimates[0] == pytest.approx(simple.estimates[0], rel=1e-9)
    assert found.overall.std_errors[0] == pytest.approx(simple.std_errors[0], rel=1e-9)


def test_cohort_effects_equal_statsmodels_with_dummies_in_a_panel_with_gaps():
    world = staggered(6, 60)
    kept = np.random.default_rng(1).random(len(world.y)) > 0.1
    gaps = type(world)(*(getattr(world, name)[kept] for name in world.__dataclass_fields__))
    found = interaction_weighted_effects(*gaps.panel, covariance="CR0", shares="fixed")
    columns = np.column_stack(
        [
            (gaps.first_treated == g) & (gaps.period == t)
            for g, t in zip(found.cohorts, found.periods, strict=True)
        ]
    )
    X = np.column_stack(
        [columns, np.ones(len(gaps.y)), indicators(gaps.unit), indicators(gaps.period)]
    )
    theirs = sm.OLS(gaps.y, X).fit(
        cov_type="cluster", cov_kwds={"groups": gaps.unit, "use_correction": False}
    )
    q = len(found.cohorts)
    np.testing.assert_allclose(found.cohort_effects.estimates, theirs.params[:q], rtol=1e-8)
    np.testing.assert_allclose(found.cohort_effects.std_errors, theirs.bse[:q], rtol=1e-8)
    event = found.periods - found.cohorts
    for j, at in enumerate(found.event_times):
        size = columns.sum(axis=0) * (event == at)
        share = size / size.sum()
        assert found.estimates[j] == pytest.approx(share @ theirs.params[:q], rel=1e-8)
        variance = share @ theirs.cov_params()[:q, :q] @ share
        assert found.std_errors[j] ** 2 == pytest.approx(variance, rel=1e-7)


def test_the_last_cohort_as_comparison():
    world = staggered(7, 60, groups=(3.0, 4.0, 6.0, np.inf))
    found = interaction_weighted_effects(*world.panel, comparison="last_treated")
    before = (world.period < 6) & np.isfinite(world.first_treated)
    first = np.where(world.first_treated == 6, np.inf, world.first_treated)
    other = interaction_weighted_effects(
        world.y[before], world.unit[before], world.period[before], first[before]
    )
    np.testing.assert_allclose(found.estimates, other.estimates, rtol=1e-10)
    np.testing.assert_allclose(found.std_errors, other.std_errors, rtol=1e-10)
    assert any("195 rows are left out" in note for note in found.notes)


def test_event_study_equals_statsmodels_with_dummies():
    world = staggered(8, 48)
    weights, school = 1.0 + world.unit % 3, world.unit // 4
    found = fit_event_study(
        *world.panel, weights=weights, clusters=school, covariance="CR1S", endpoints="binned",
        earliest=-3, latest=2,
    )  # fmt: skip
    assert found.event_times.tolist() == [-3, -2, -1, 0, 1, 2]
    assert found.names[0] == "event -3 or before"
    assert found.names[-1] == "event 2 or after"
    event = (world.period - world.first_treated).clip(-3, 2)
    event[np.isinf(world.first_treated)] = np.nan
    columns = np.column_stack([event == value for value in (-3, -2, 0, 1, 2)])
    theirs = dummies(world, columns, weights, school)
    free = ~found.reference
    np.testing.assert_allclose(found.estimates[free], theirs.params[:5], rtol=1e-8)
    np.testing.assert_allclose(found.std_errors[free], theirs.bse[:5], rtol=1e-8)
    assert found.estimates[found.reference].tolist() == [0.0]
    test = event_study_pretrend_test(found)
    R = np.zeros((2, len(theirs.params)))
    R[0, 0] = R[1, 1] = 1.0
    chi = theirs.wald_test(R, use_f=False, scalar=True)
    assert test.quadratic_form == pytest.approx(float(chi.statistic), rel=1e-7)
    assert (test.test, test.df_numerator, test.df_denominator) == ("F", 2, 11)


def test_with_one_cohort_the_event_study_is_the_group_time_effects():
    world = staggered(9, 60, groups=(4.0, np.inf))
    study = fit_event_study(*world.panel)
    cells = group_time_effects(*world.panel, base_period="universal")
    np.testing.assert_allclose(study.estimates, cells.estimates, rtol=1e-9, atol=1e-12)
    assert study.fit.covariance_type == "CR2"
    assert event_study_pretrend_test(study).test == "HTZ"
    low, high = study.intervals().T
    assert (low[study.reference], high[study.reference]) == (0, 0)


def test_rows_outside_the_window_are_left_out():
    world = staggered(10, 60)
    found = fit_event_study(*world.panel, endpoints="left_out", earliest=-2, latest=1)
    event = world.period - world.first_treated
    kept = np.isinf(event) | ((event >= -2) & (event <= 1))
    other = fit_event_study(*(column[kept] for column in world.panel))
    np.testing.assert_allclose(found.estimates, other.estimates, rtol=1e-12)
    assert found.n == kept.sum()


def test_size_of_pretrend_tests():
    """Smoke: 150 panels with dependence within units over time."""
    rejected = np.zeros(2)
    for seed in range(150):
        world = staggered(seed, 80, periods=5, groups=(4.0, 5.0, np.inf, np.inf))
        walk = np.random.default_rng([seed, 1]).normal(size=(80, 5)).cumsum(axis=1).ravel()
        panel = (world.y + 0.5 * walk, *world.panel[1:])
        study = fit_event_study(
            world.y - world.effect + 0.5 * walk, *world.panel[1:], covariance="CR1S"
        )
        rejected[0] += event_study_pretrend_test(study).p_value < 0.05
        found = interaction_weighted_effects(*panel)
        rejected[1] += interaction_weighted_pretrend_test(found).p_value < 0.05
    assert (rejected / 150 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 150)).all()


def test_always_treated_units_are_left_out_or_noted():
    world = staggered(11, 60, groups=(1.0, 4.0, np.inf))
    study = fit_event_study(*world.panel)
    later = world.first_treated > 1
    other = fit_event_study(*(column[later] for column in world.panel))
    np.testing.assert_allclose(study.estimates, other.estimates, rtol=1e-10)
    assert any("20 of 60 units are left out" in note for note in study.notes)
    weighted = interaction_weighted_effects(*world.panel)
    assert any("20 of 60 units are left out" in note for note in weighted.notes)
    static = difference_in_differences(world.y, world.treated, world.unit, world.period)
    assert any("20 units are treated in all their periods" in note for note in static.notes)


def test_a_cohort_in_one_cluster_is_noted():
    world = staggered(14, 60, groups=(3.0, 4.0, np.inf))
    school = np.where(world.first_treated == 3, 100, world.unit // 6)
    weighted = interaction_weighted_effects(*world.panel, clusters=school)
    assert any("1 of 3 cohorts" in note for note in weighted.notes)
    treated_apart = np.where(np.isinf(world.first_treated), world.unit // 6, 100)
    static = difference_in_differences(
        world.y, world.treated, world.unit, world.period, clusters=treated_apart
    )
    assert any("treated: in 1 of" in note for note in static.notes)


def test_refusals():
    world = staggered(12, 40)
    y, unit, period, first = world.panel
    ever = staggered(12, 40, groups=(3.0, 4.0))
    on = world.treated.astype(float)
    off = np.where(period == 7, 0.0, on)
    one = np.zeros(len(y))
    for match, call in (
        ("needs earliest", lambda: fit_event_study(*world.panel, endpoints="binned")),
        ("takes no earliest", lambda: fit_event_study(*world.panel, earliest=-2)),
        ("endpoints must be one of", lambda: fit_event_study(*world.panel, endpoints="trimmed")),
        ("1 of 1 reference event times occur in no", lambda: fit_event_study(
            *world.panel, reference=[-9])),
        ("give one or two reference", lambda: fit_event_study(*world.panel, reference=[])),
        ("no event times", lambda: fit_event_study(y, unit, period, np.full(len(y), np.inf))),
        ("give a second reference", lambda: fit_event_study(*ever.panel)),
        ("one cluster", lambda: fit_event_study(*world.panel, clusters=one)),
        ("none is never treated", lambda: interaction_weighted_effects(*ever.panel)),
        ("needs two cohorts", lambda: interaction_weighted_effects(
            *staggered(1, 40, groups=(3.0, np.inf)).panel, comparison="last_treated")),
        ("shares must be one of", lambda: interaction_weighted_effects(
            *world.panel, shares="known")),
        ("one cluster", lambda: interaction_weighted_effects(*world.panel, clusters=one)),
        ("switches off in 30 units", lambda: difference_in_differences(y, off, unit, period)),
        ("difference_in_differences: treatment is determined", lambda: difference_in_differences(
            y, np.isfinite(first) * 1.0, unit, period)),
        ("one cluster", lambda: difference_in_differences(y, on, unit, period, clusters=one)),
        ("treated must be 0 or 1", lambda: difference_in_differences(y, on * 2, unit, period)),
        ("two_way_weights: treatment is determined", lambda: two_way_weights(
            y, unit, period, np.ones(len(y)))),
        ("repeat a unit and period", lambda: two_way_weights(
            *(np.append(column, column[0]) for column in world.panel))),
    ):  # fmt: skip
        with pytest.raises(EstimationError, match=match):
            call()


def test_two_references_where_all_are_treated_at_some_time():
    world = staggered(13, 40, groups=(3.0, 4.0, 6.0))
    found = fit_event_study(*world.panel, reference=[-3, -1])
    assert found.reference.sum() == 2
    assert "reference -3, -1" in repr(found)
