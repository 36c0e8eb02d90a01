"""Group-time effects: csdid, exact equivalences, brute force, jackknife, recovery, refusals."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq
from scipy.special import expit

from homevisit_eval.effects.longitudinal import (
    aggregate_effects,
    first_treated_periods,
    group_time_effects,
    pretrend_test,
)
from homevisit_eval.effects.weighting.doubly_robust import doubly_robust_effect
from homevisit_eval.errors import EstimationError
from longitudinal_worlds import staggered, true_effect

FOLDER = Path(__file__).parent / "reference" / "longitudinal"
RELATIVE = 1e-8
EXACT = 1e-10
ESTIMATIONS = {
    "reg": "outcome_regression",
    "ipw": "inverse_probability",
    "dr": "doubly_robust",
}
COMPARISONS = {"nevertreated": "never_treated", "notyettreated": "not_yet_treated"}
KINDS = {"simple": "simple", "group": "group", "dynamic": "event_time", "calendar": "calendar"}


@cache
def stored() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "csdid.csv")


@cache
def reference_panel() -> pd.DataFrame:
    frame = pd.read_csv(FOLDER / "panel.csv")
    frame["first_treated"] = frame["first_treated"].astype(float).replace(0.0, np.inf)
    return frame


def ours(run: str):
    frame = reference_panel()
    estimation, base, comparison, kind = run.split("_")[:4]
    weighted = kind == "weighted"
    return group_time_effects(
        frame["y"],
        frame["unit"],
        frame["period"],
        frame["first_treated"],
        X=frame[["x1", "x2"]].to_numpy() if weighted else None,
        weights=frame["weight"] if weighted else None,
        estimation=ESTIMATIONS[estimation],
        base_period=base,
        comparison=COMPARISONS[comparison],
        anticipation=1 if run.endswith("ant1") else 0,
        covariance="CR0",
    )


def agree(estimate: float, std_error: float, row: pd.Series) -> None:
    assert estimate == pytest.approx(row["estimate"], rel=RELATIVE)
    if row["estimate"] != 0:
        assert std_error == pytest.approx(row["std_error"], rel=RELATIVE)


@pytest.mark.parametrize("run", list(dict.fromkeys(stored()["run"])))
def test_cells_and_averages_equal_csdid(run):
    rows = stored()[stored()["run"] == run]
    found = ours(run)
    cells = rows[rows["kind"] == "cell"].set_index(["group", "at"])
    assert len(cells) == len(found.groups)
    for j, key in enumerate(zip(found.groups, found.periods, strict=True)):
        agree(found.estimates[j], found.std_errors[j], cells.loc[key])
    for theirs, kind in KINDS.items():
        averages = aggregate_effects(found, kind)
        table = rows[rows["kind"] == theirs]
        agree(
            averages.overall.estimates[0],
            averages.overall.std_errors[0],
            table[table["at"].isna()].iloc[0],
        )
        table = table.dropna(subset="at").set_index("at")
        assert list(table.index) == list(averages.at)
        for j, at in enumerate(averages.at):
            agree(averages.estimates[j], averages.std_errors[j], table.loc[at])


def test_two_groups_and_two_periods_are_a_difference_of_differences():
    world = staggered(1, 60, groups=(2.0, np.inf), periods=2)
    change = world.y.reshape(-1, 2) @ [-1.0, 1.0]
    visited = np.isfinite(world.first_treated[::2])
    found = group_time_effects(*world.panel, covariance="CR0", df="normal")
    a, b = change[visited], change[~visited]
    assert found.estimates.tolist() == pytest.approx([a.mean() - b.mean()], rel=EXACT)
    variance = a.var() / len(a) + b.var() / len(b)
    assert found.std_errors[0] ** 2 == pytest.approx(variance, rel=EXACT)
    low, high = found.effects.intervals()[0]
    assert high - low == pytest.approx(2 * 1.959963984540054 * np.sqrt(variance), rel=EXACT)


@pytest.mark.parametrize("base_period", ["varying", "universal"])
@pytest.mark.parametrize("comparison", ["never_treated", "not_yet_treated"])
def test_without_covariates_all_four_estimations_are_one(comparison, base_period):
    world = staggered(2, 90)
    weights = 1.0 + world.unit % 3
    first, *others = (
        group_time_effects(
            *world.panel,
            weights=weights,
            estimation=estimation,
            comparison=comparison,
            base_period=base_period,
        )
        for estimation in ("unconditional", *ESTIMATIONS.values())
    )
    for other in others:
        np.testing.assert_allclose(other.estimates, first.estimates, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(
            other.effects.influence, first.effects.influence, rtol=1e-8, atol=1e-13
        )


def plain_cell(world, g, t, base, others, estimation):
    """One effect with nothing but numpy, weights 1."""
    T = int(world.period.max())
    y, x = world.y.reshape(-1, T), world.x.reshape(-1, T)[:, 0]
    first = world.first_treated.reshape(-1, T)[:, 0]
    change = y[:, int(t) - 1] - y[:, int(base) - 1]
    D, C = first == g, np.isin(first, others)
    A = np.column_stack([np.ones(len(x)), x])
    left = change.copy()
    if estimation in ("outcome_regression", "doubly_robust"):
        left = change - A @ np.linalg.lstsq(A[C], change[C], rcond=None)[0]
    odds = np.ones(len(x))
    if estimation in ("inverse_probability", "doubly_robust"):
        inside = D | C

        def at_slope(slope, *, fitted=False):
            def gap(constant):
                return (D[inside] - expit(constant + slope * x[inside])).sum()

            constant = brentq(gap, -50, 50, xtol=1e-14, rtol=1e-14)
            p = expit(constant + slope * x[inside])
            return np.exp(constant + slope * x) if fitted else ((D[inside] - p) * x[inside]).sum()

        slope = brentq(at_slope, -20, 20, xtol=1e-13, rtol=1e-13)
        odds = at_slope(slope, fitted=True)
    return left[D].mean() - np.average(left[C], weights=odds[C])


@pytest.mark.parametrize("estimation", list(ESTIMATIONS.values()))
@pytest.mark.parametrize("comparison", ["never_treated", "not_yet_treated"])
def test_cells_equal_plain_loops(comparison, estimation):
    world = staggered(3, 160, confounding=0.4)
    found = group_time_effects(
        *world.panel, X=world.x, estimation=estimation, comparison=comparison
    )
    assert len(found.groups) == 3 * 6
    for j, (g, t) in enumerate(zip(found.groups, found.periods, strict=True)):
        base = t - 1 if t < g else g - 1
        assert found.base_periods[j] == base
        others = [np.inf]
        if comparison == "not_yet_treated":
            others += [s for s in (3.0, 4.0, 6.0) if s > max(t, base) and s != g]
        expected = plain_cell(world, g, t, base, others, estimation)
        assert found.estimates[j] == pytest.approx(expected, rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("estimation", list(ESTIMATIONS.values()))
def test_influence_agrees_with_leaving_out_one_unit(estimation):
    """To first order, what leaving a unit out takes from the effect is its influence."""
    world = staggered(4, 200, groups=(2.0, np.inf), periods=2, confounding=0.3)
    found = group_time_effects(*world.panel, X=world.x, estimation=estimation)
    moved = np.empty(200)
    for i in range(200):
        kept = world.unit != i
        other = group_time_effects(
            *(column[kept] for column in world.panel), X=world.x[kept], estimation=estimation
        )
        moved[i] = found.estimates[0] - other.estimates[0]
    influence = found.effects.influence[:, 0]
    assert np.corrcoef(moved, influence)[0, 1] > 0.998
    assert np.sqrt(moved @ moved) == pytest.approx(np.sqrt(influence @ influence), rel=0.05)
    assert influence.sum() == pytest.approx(0.0, abs=1e-10)


@pytest.mark.parametrize("estimation", list(ESTIMATIONS.values()))
def test_weights_equal_repeated_units(estimation):
    world = staggered(5, 80, confounding=0.3)
    times = 1 + world.unit % 3
    once = group_time_effects(
        *world.panel, X=world.x, weights=times, estimation=estimation, covariance="CR0"
    )
    rows = np.repeat(np.arange(len(times)), times)
    copy = np.concatenate([np.arange(count) for count in times])
    y, unit, period, first = (column[rows] for column in world.panel)
    often = group_time_effects(
        y,
        unit * 10 + copy,
        period,
        first,
        X=world.x[rows],
        clusters=unit,
        estimation=estimation,
        covariance="CR0",
    )
    np.testing.assert_allclose(often.estimates, once.estimates, rtol=1e-8)
    np.testing.assert_allclose(often.std_errors, once.std_errors, rtol=1e-8)


def test_doubly_robust_with_a_saturated_model_is_aipw_of_changes():
    """With a saturated model the weights of the score add up to 1 by themselves."""
    world = staggered(6, 300, groups=(2.0, np.inf), periods=2)
    half = (world.x > 0).astype(float)
    found = group_time_effects(*world.panel, X=half, estimation="doubly_robust")
    change = world.y.reshape(-1, 2) @ [-1.0, 1.0]
    visited = np.isfinite(world.first_treated[::2]).astype(float)
    other = doubly_robust_effect(change, visited, half[::2], estimand="ATT")
    assert found.estimates[0] == pytest.approx(other.estimate, rel=1e-9)
    assert found.std_errors[0] == pytest.approx(other.std_error, rel=1e-9)


def test_order_of_rows_and_codes_of_units_do_not_matter():
    world = staggered(7, 60)
    found = group_time_effects(*world.panel, clusters=world.unit // 4)
    order = np.random.default_rng(1).permutation(len(world.y))
    y, unit, period, first = (column[order] for column in world.panel)
    names = np.array([f"u{i:04d}" for i in range(60)])[unit]
    schools = np.array(["a", "b", "c"] * 5)[unit // 4] + (unit // 12).astype(str)
    other = group_time_effects(y, names, period, first, clusters=schools)
    np.testing.assert_allclose(other.estimates, found.estimates, rtol=EXACT)
    np.testing.assert_allclose(other.std_errors, found.std_errors, rtol=EXACT)
    assert found.effects.G == 15


def test_anticipation_moves_the_base_period():
    world = staggered(8, 60)
    found = group_time_effects(*world.panel, anticipation=2, comparison="not_yet_treated")
    late = found.groups == 6
    assert found.base_periods[late].tolist() == [1, 2, 3, 3, 3, 3]
    assert found.periods[late].tolist() == [2, 3, 4, 5, 6, 7]
    # group 3 is treated 2 periods after the first: no base
    assert sorted(set(found.groups)) == [4, 6]
    assert any("15 of 60 units are left out" in note for note in found.notes)
    # in period 2, group 6 is compared with those treated after 2 + 2
    at = late & (found.periods == 2)
    assert found.n_comparison[at].tolist() == [15]


def test_all_effects_are_recovered_without_noise():
    world = staggered(9, 40, noise=0.0)
    for comparison in COMPARISONS.values():
        found = group_time_effects(*world.panel, comparison=comparison)
        expected = true_effect(found.groups, found.event_times)
        np.testing.assert_allclose(found.estimates, expected, atol=1e-10)


@pytest.mark.parametrize("estimation", list(ESTIMATIONS.values()))
def test_covariates_remove_trends_that_depend_on_them(estimation):
    world = staggered(10, 4000, confounding=0.5)
    expected = true_effect
    bare = group_time_effects(*world.panel)
    found = group_time_effects(*world.panel, X=world.x, estimation=estimation)
    z = (found.estimates - expected(found.groups, found.event_times)) / found.std_errors
    assert np.abs(z).max() < 4
    z = (bare.estimates - expected(bare.groups, bare.event_times)) / bare.std_errors
    assert np.abs(z).max() > 8


def test_coverage_and_size_of_the_pretrend_test():
    """Smoke: 300 panels with shocks by school and period, treated and others in 15 schools each."""
    inside, rejected, cells = 0, 0, 0
    for seed in range(300):
        world = staggered(1000 + seed, 120, periods=5, groups=(4.0, 5.0, np.inf, np.inf))
        rng = np.random.default_rng([seed, 2])
        school = world.unit // 8 * 2 + (world.unit % 4 > 1)
        shock = 0.7 * rng.normal(size=(30, 5))[school, world.period.astype(int) - 1]
        found = group_time_effects(
            world.y + shock, world.unit, world.period, world.first_treated, clusters=school
        )
        truth = true_effect(found.groups, found.event_times)
        low, high = found.effects.intervals().T
        inside += int(((low <= truth) & (truth <= high)).sum())
        cells += len(truth)
        rejected += pretrend_test(found).p_value < 0.05
    assert 0.915 < inside / cells < 0.97
    assert rejected / 300 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)


def test_pretrends_are_found():
    world = staggered(11, 400, periods=5, groups=(4.0, np.inf))
    drift = 0.4 * world.period * np.isfinite(world.first_treated)
    found = group_time_effects(world.y + drift, *world.panel[1:])
    assert pretrend_test(found).p_value < 1e-4
    chi = pretrend_test(found, test="chi-square")
    assert chi.quadratic_form == pytest.approx(pretrend_test(found).quadratic_form)
    assert chi.df_numerator == 2


def test_units_treated_early_are_left_out_and_counted():
    world = staggered(12, 40, groups=(1.0, 4.0, 9.0, np.inf))
    found = group_time_effects(*world.panel)
    assert set(found.groups) == {4.0}
    assert len(found.units) == 30
    assert found.effects.influence.shape == (30, 6)
    assert any("10 of 40 units are left out" in note for note in found.notes)
    assert any("10 units first treated after the last period" in note for note in found.notes)


def test_small_groups_and_missing_comparisons_are_noted():
    world = staggered(13, 8, groups=(3.0, 4.0))
    found = group_time_effects(*world.panel, comparison="not_yet_treated")
    assert any("2 of 2 groups have fewer than 5 units" in note for note in found.notes)
    assert any("8 effects after treatment have nobody left" in note for note in found.notes)
    assert found.periods.max() == 3
    assert any("only 8 clusters" in note for note in found.notes)


def refused(match: str, *panel, **options):
    with pytest.raises(EstimationError, match=match):
        group_time_effects(*panel, **options)


def test_refusals():
    world = staggered(14, 40)
    y, unit, period, first = world.panel
    ever = staggered(14, 40, groups=(3.0, 4.0))
    refused("none is never treated", *ever.panel)
    refused("no unit is first treated", y, unit, period, np.full(len(y), np.inf))
    refused("takes no covariates", *world.panel, X=world.x)
    refused("estimation must be one of", *world.panel, estimation="improved")
    refused("all units are in one cluster", *world.panel, clusters=np.ones(len(y)))
    refused("clusters differs between the rows of 40 units", *world.panel, clusters=period)
    refused("weights differs between the rows of 40 units", *world.panel, weights=period)
    refused("first_treated differs between the rows of 40 units", y, unit, period, period + 1)
    refused("first_treated is missing in 280 rows", y, unit, period, np.full(len(y), np.nan))
    refused("covariance must be one of", *world.panel, covariance="CR2")
    refused("anticipation must be 0", *world.panel, anticipation=-1)
    refused("1 weights are missing", *world.panel, weights=np.where(period + unit == 1, -1, 1))
    refused("y has 1 missing", np.where(period + unit == 1, np.nan, y), unit, period, first)
    refused("unit has shape", y, unit[1:], period, first)
    refused("period must be numbers", y, unit, period.astype(str) + "a", first)
    refused("treated before there is", y, unit, period, np.ones(len(y)))


def test_repeated_rows_are_counted_with_their_first_places():
    columns = [np.append(column, column[[3, 9]]) for column in staggered(15, 40).panel]
    refused("2 rows repeat a unit and period; first at rows 280, 281", *columns)


def test_gaps_are_counted_or_their_units_left_out():
    world = staggered(16, 40)
    kept = ~np.isin(np.arange(280), [4, 5, 30])
    panel = [column[kept] for column in world.panel]
    refused(r"2 of 40 units have no row in some of the 7 periods \(3 rows", *panel)
    found = group_time_effects(*panel, gaps="complete_units")
    whole = ~np.isin(world.unit, [0, 4])
    other = group_time_effects(*(column[whole] for column in world.panel))
    np.testing.assert_array_equal(found.estimates, other.estimates)
    assert any("2 of 40 units are left out" in note for note in found.notes)


def test_units_of_weight_0_take_no_part():
    world = staggered(17, 40)
    chosen = world.unit > 7
    found = group_time_effects(
        np.where(chosen, world.y, np.nan), *world.panel[1:], weights=chosen.astype(float)
    )
    other = group_time_effects(*(column[chosen] for column in world.panel))
    np.testing.assert_array_equal(found.estimates, other.estimates)


def test_scores_without_overlap_are_refused_or_trimmed():
    world = staggered(18, 400, groups=(2.0, np.inf), periods=2)
    x = world.x + 2.5 * np.isfinite(world.first_treated)[:, None]
    options = {"X": x, "estimation": "doubly_robust", "highest_probability": 0.9}
    refused("group 2 in period 2: [0-9]+ of 200 comparison units", *world.panel, **options)
    found = group_time_effects(*world.panel, overlap="trim", **options)
    assert any("comparison units that resemble it too closely" in note for note in found.notes)
    separated = np.isfinite(world.first_treated)[:, None] * 1.0
    refused(
        "group 2 in period 2", *world.panel, X=separated, estimation="inverse_probability"
    )  # fmt: skip


def test_treatment_that_switches_off_is_refused():
    unit, period = np.repeat([1, 2, 3], 3), np.tile([1, 2, 3], 3)
    on = np.array([0, 1, 1, 0, 1, 0, 0, 0, 0])
    with pytest.raises(EstimationError, match=r"switches off in 1 units \(1 rows, first at rows 5"):
        first_treated_periods(unit, period, on)
    on[5] = 1
    first = first_treated_periods(unit, period, on)
    assert first.tolist() == [2.0] * 6 + [np.inf] * 3
    with pytest.raises(EstimationError, match="treated must be 0 or 1"):
        first_treated_periods(unit, period, on * 2)


def test_results_print_no_units():
    found = group_time_effects(*staggered(19, 40).panel)
    assert "18 effects of 3 groups" in repr(found)
    assert "G = 40" in repr(found.effects)
    with pytest.raises(EstimationError, match="no effect before treatment"):
        pretrend_test(group_time_effects(*staggered(1, 60, groups=(2.0, np.inf)).panel))


def test_a_group_or_comparison_in_one_cluster_is_noted():
    """Its sum of influence is 0, so the standard error counts the others only."""
    world = staggered(20, 60, groups=(3.0, 4.0, np.inf))
    school = np.where(world.first_treated == 3, 100, world.unit // 6)
    found = group_time_effects(*world.panel, clusters=school)
    assert any("1 of 2 groups lie in one cluster" in note for note in found.notes)
    school = np.where(np.isinf(world.first_treated), 100, world.unit // 6)
    found = group_time_effects(*world.panel, clusters=school)
    assert any("12 of 12 effects are compared with units of one" in note for note in found.notes)
    pair = ([1, 2, 3, 5.0], [0, 0, 1, 1], [0, 1, 0, 1], [1, 1, np.inf, np.inf])
    found = group_time_effects(*pair)
    assert np.isnan(found.effects.p_values).all()
