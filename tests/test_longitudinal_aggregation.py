"""Averages of group-time effects, tests and bands: by hand, jackknife, known quantiles."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import f as f_distribution
from scipy.stats import norm

from homevisit_eval.effects.longitudinal import (
    aggregate_effects,
    aggregated_pretrend_test,
    group_time_effects,
    influence_test,
    simultaneous_band,
)
from homevisit_eval.effects.longitudinal.influence import InfluenceEffects, influence_effects
from homevisit_eval.errors import EstimationError
from longitudinal_worlds import World, staggered, true_effect

KINDS = ("simple", "event_time", "group", "calendar")


def some(seed: int = 1, n: int = 60) -> World:
    """Groups of different sizes, so that shares matter."""
    return staggered(seed, n, groups=(3.0, 3.0, 3.0, 4.0, 6.0, np.inf))


def test_averages_by_hand():
    world = some()
    weights = 1.0 + world.unit % 2
    found = group_time_effects(*world.panel, weights=weights)
    size = {
        g: weights[(world.first_treated == g) & (world.period == 1)].sum() for g in (3.0, 4.0, 6.0)
    }
    cells = {
        (g, t): value
        for g, t, value in zip(found.groups, found.periods, found.estimates, strict=True)
    }

    def mean(chosen):
        total = sum(size[g] for g, _ in chosen)
        return sum(size[g] * cells[g, t] for g, t in chosen) / total

    after = [(g, t) for g, t in cells if t >= g]
    by_event = {e: mean([(g, t) for g, t in cells if t - g == e]) for e in range(-4, 5)}
    by_group = {g: np.mean([cells[k] for k in after if k[0] == g]) for g in size}
    by_period = {t: mean([k for k in after if k[1] == t]) for t in range(3, 8)}
    expected = {
        "simple": ({}, mean(after)),
        "event_time": (by_event, np.mean([by_event[e] for e in range(5)])),
        "group": (by_group, sum(size[g] * by_group[g] for g in size) / sum(size.values())),
        "calendar": (by_period, np.mean(list(by_period.values()))),
    }
    for kind, (values, overall) in expected.items():
        ours = aggregate_effects(found, kind)
        assert ours.at.tolist() == list(values)
        np.testing.assert_allclose(ours.estimates, list(values.values()), rtol=1e-12)
        assert ours.overall.estimates[0] == pytest.approx(overall, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_errors_count_the_estimated_shares(kind):
    """Leaving out one unit at a time changes the shares too."""
    world = staggered(2, 150, groups=(3.0, 3.0, 3.0, 4.0, 6.0, np.inf), noise=0.3)
    found = aggregate_effects(group_time_effects(*world.panel), kind).overall
    moved = np.empty(150)
    for i in range(150):
        kept = world.unit != i
        other = group_time_effects(*(column[kept] for column in world.panel))
        moved[i] = found.estimates[0] - aggregate_effects(other, kind).overall.estimates[0]
    jackknife = np.sqrt(((moved - moved.mean()) ** 2).sum() * 149 / 150)
    assert found.std_errors[0] == pytest.approx(jackknife, rel=0.03)  # groups of 25 units
    assert np.corrcoef(moved, found.influence[:, 0])[0, 1] > 0.999


def test_the_same_groups_throughout():
    found = group_time_effects(*some().panel)
    ours = aggregate_effects(found, "event_time", followed_until=3)
    assert ours.at.max() == 3
    assert ours.groups.tolist() == [1, *[2] * 5]  # group 6 has no event time 3
    with pytest.raises(EstimationError, match="for aggregation='event_time' only"):
        aggregate_effects(found, "simple", followed_until=1)
    assert any(
        "rest on different groups" in n for n in aggregate_effects(found, "event_time").notes
    )


def test_known_averages_are_recovered():
    world = staggered(3, 2400)
    found = group_time_effects(*world.panel, base_period="universal")
    ours = aggregate_effects(found, "event_time")
    for at, estimate, std_error, fixed in zip(
        ours.at, ours.estimates, ours.std_errors, ours.reference, strict=True
    ):
        groups = np.array([g for g in (3.0, 4.0, 6.0) if 1 <= g + at <= 7])
        truth = float(true_effect(groups, np.full(len(groups), at)).mean())
        assert fixed == (at == -1)
        assert abs(estimate - truth) <= 4 * std_error
    assert np.isnan(ours.effects.p_values[ours.reference]).all()
    assert aggregated_pretrend_test(ours).df_numerator == 4
    assert aggregated_pretrend_test(ours).p_value > 0.01


def independent(G: int, m: int, seed: int = 1) -> InfluenceEffects:
    rng = np.random.default_rng(seed)
    return influence_effects(
        "test",
        np.zeros(m),
        rng.normal(size=(G, m)),
        np.arange(G),
        names=[str(j) for j in range(m)],
        covariance="CR1",
        df="normal",
    )


@pytest.mark.parametrize("multiplier", ["rademacher", "mammen"])
def test_bands_have_the_quantile_of_the_largest(multiplier):
    """Of independent normal effects it is known: Phi(c)^m = (1 + level) / 2, nearly."""
    band = simultaneous_band(independent(1500, 5), seed=1, draws=9999, multiplier=multiplier)
    expected = norm.ppf((1 + 0.95 ** (1 / 5)) / 2)
    assert band.critical_value == pytest.approx(expected, abs=0.05)
    again = simultaneous_band(independent(1500, 5), seed=1, draws=9999, multiplier=multiplier)
    np.testing.assert_array_equal(band.ci_low, again.ci_low)
    other = simultaneous_band(independent(1500, 5), seed=2, draws=9999, multiplier=multiplier)
    assert other.critical_value != band.critical_value


def test_bands_are_no_narrower_than_intervals_and_leave_out_the_reference():
    found = group_time_effects(*some(4).panel, base_period="universal")
    ours = aggregate_effects(found, "event_time")
    band = simultaneous_band(ours.effects, seed=3, draws=999)
    low, high = ours.effects.intervals().T
    assert (band.ci_low <= low).all()
    assert (band.ci_high >= high).all()
    assert band.ci_low[ours.reference].tolist() == [0.0]
    assert "999 rademacher draws" in repr(band)


def test_bands_hold_all_effects_at_once():
    """Smoke: 200 panels; without the band all 6 effects are held in about 80 %."""
    held = 0
    for seed in range(200):
        world = staggered(3000 + seed, 90, periods=7, groups=(4.0, 5.0, np.inf))
        found = aggregate_effects(group_time_effects(*world.panel), "calendar")
        truth = [
            np.mean([true_effect(np.array(g), np.array(t - g)) for g in (4.0, 5.0) if t >= g])
            for t in found.at
        ]
        band = simultaneous_band(found.effects, seed=seed, draws=299)
        held += bool(((band.ci_low <= truth) & (truth <= band.ci_high)).all())
    assert 0.90 < held / 200 < 0.99


def test_hotelling_is_exact_for_normal_sums():
    effects = independent(12, 3, seed=5)
    mean = effects.influence.mean(axis=0)
    moved = influence_effects(
        "test",
        mean,
        (effects.influence - mean) / 12,
        np.arange(12),
        names=effects.names,
        covariance="CR1",
        df="G - 1",
    )
    S = np.cov(effects.influence.T)
    T2 = 12 * mean @ np.linalg.solve(S, mean)
    F = (12 - 3) / (3 * 11) * T2
    ours = influence_test(moved, [0, 1, 2])
    assert ours.statistic == pytest.approx(F, rel=1e-10)
    assert ours.p_value == pytest.approx(f_distribution.sf(F, 3, 9), rel=1e-10)
    assert (ours.df_numerator, ours.df_denominator) == (3, 9)


def test_refusals():
    found = group_time_effects(*some().panel)
    averages = aggregate_effects(found, "event_time")
    for match, call in (
        ("aggregation must be one of", lambda: aggregate_effects(found, "dynamic")),
        ("effects by event time", lambda: aggregated_pretrend_test(
            aggregate_effects(found, "group"))),
        ("multiplier must be", lambda: simultaneous_band(
            averages.effects, seed=1, multiplier="webb")),
        ("draws is 10", lambda: simultaneous_band(averages.effects, seed=1, draws=10)),
        ("seed is no whole", lambda: simultaneous_band(averages.effects, seed=-1)),
        ("confidence_level", lambda: simultaneous_band(
            averages.effects, seed=1, confidence_level=95)),
        ("no effect to test", lambda: influence_test(averages.effects, [])),
        ("with 3 clusters", lambda: influence_test(independent(3, 4), [0, 1, 2])),
        ("singular", lambda: influence_test(independent(3, 4), [0, 1, 2, 3], test="chi-square")),
    ):  # fmt: skip
        with pytest.raises(EstimationError, match=match):
            call()


def test_a_calendar_with_gaps_does_not_average_reference_periods_with_effects():
    """Period 5 is missing: -1 is no event time of group 6, whose base is period 4, two before."""
    world = staggered(3, n=300, groups=(4.0, 6.0, np.inf))
    there = world.period != 5
    arguments = [values[there] for values in world.panel]
    found = group_time_effects(*arguments, base_period="universal")
    by_time = aggregate_effects(found, "event_time")
    fixed = found.periods == found.base_periods
    mixed = (found.event_times == -2) & ~fixed
    assert mixed.sum() == 1
    assert ((found.event_times == -2) & fixed).sum() == 1
    at = by_time.at.tolist().index(-2.0)
    assert by_time.estimates[at] == pytest.approx(found.estimates[mixed][0], rel=1e-12)
    assert by_time.groups[at] == 1


def test_never_treated_coded_as_zero_is_refused():
    world = staggered(4, n=40)
    first = np.where(np.isfinite(world.first_treated), world.first_treated, 0.0)
    with pytest.raises(EstimationError, match=r"first_treated is 0 or below in \d+ rows.*infinity"):
        group_time_effects(world.y, world.unit, world.period + 2000, first + 2000 * (first > 0))
