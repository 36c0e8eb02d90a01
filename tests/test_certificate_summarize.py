"""Figures over replications: against closed forms, and against repeated simulation."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import special, stats

from homevisit_eval.certificate import Estimated, Performance, Trial, power_curve, summarize
from homevisit_eval.certificate.monte_carlo import (
    estimated_mean,
    estimated_multiple,
    estimated_ratio,
    estimated_ratio_of_errors,
    estimated_root_mean_square,
    estimated_sd,
    estimated_share,
    ratio_of_independent,
    wilson_interval,
)

REPEATS = 3000
CLOSE = 0.06  # of the standard deviation over 3,000 repeats: its own error is about 1.3 %


def trial(k: int = 0, **changes: Any) -> Trial:
    values: dict[str, Any] = {
        "mode": "redrawn",
        "district": k,
        "replication": 0,
        "study_question": "summer",
        "design": "main",
        "outcome": "attendance_rate",
        "estimate": 0.02,
        "std_error": 0.01,
        "df": 30.0,
        "ci_low": 0.0,
        "ci_high": 0.04,
        "p_value": 0.04,
        "truth_all": 0.01,
        "truth_kept": 0.012,
        "truth_total": math.nan,
        "comparison_gain": math.nan,
        "naive": -0.03,
        "outcome_sd": 0.05,
        "visited": 100,
        "kept": 90,
        "largest_smd_before": 0.5,
        "largest_smd": 0.1,
        "problem": "",
    }
    return Trial(**(values | changes))


def random_trials(seed: int, n: int, *, sd: float = 0.01, districts: int = 0) -> list[Trial]:
    """Return trials with normal errors, a bias of .002, and right standard errors."""
    random = np.random.default_rng(seed)
    trials = []
    for k in range(n):
        truth, error = 0.01 + 0.002 * random.normal(), sd * random.normal()
        std_error = sd * math.sqrt(random.chisquare(40) / 40)
        estimate = truth + 0.002 + error
        reach = 2.0211 * std_error
        trials.append(
            trial(
                k % districts if districts else k,
                mode="fixed" if districts else "redrawn",
                estimate=estimate,
                std_error=std_error,
                df=40.0,
                ci_low=estimate - reach,
                ci_high=estimate + reach,
                p_value=float(2 * special.stdtr(40, -abs(estimate) / std_error)),
                truth_all=truth,
                truth_kept=truth,
                naive=truth - 0.03 + 0.01 * random.normal(),
            )
        )
    return trials


def one(trials: list[Trial]) -> Performance:
    (found,) = summarize(trials)
    return found


def test_figures_against_the_formulas_of_morris_white_and_crowther() -> None:
    trials = random_trials(1, 400)
    estimate, std_error, truth = (
        np.array([getattr(t, name) for t in trials])
        for name in ("estimate", "std_error", "truth_kept")
    )
    n, error, found = len(trials), estimate - truth, one(trials)
    empirical = estimate.std(ddof=1)
    model = math.sqrt((std_error**2).mean())
    squares = error**2
    expected = np.mean([t.truth_all for t in trials])
    covered = np.mean([t.ci_low <= expected <= t.ci_high for t in trials])
    formulas = {
        "bias": (error.mean(), error.std(ddof=1) / math.sqrt(n)),
        "empirical_std_error": (empirical, empirical / math.sqrt(2 * (n - 1))),
        "error_sd": (error.std(ddof=1), error.std(ddof=1) / math.sqrt(2 * (n - 1))),
        "mean_std_error": (model, math.sqrt((std_error**2).var(ddof=1) / (4 * n * model**2))),
        "rmse": (
            math.sqrt(squares.mean()),
            squares.std(ddof=1) / math.sqrt(n) / (2 * math.sqrt(squares.mean())),
        ),
        "se_ratio": (
            model / empirical,
            model / empirical
            * math.sqrt((std_error**2).var(ddof=1) / (4 * n * model**4) + 1 / (2 * (n - 1))),
        ),
        "coverage_expected": (covered, math.sqrt(covered * (1 - covered) / n)),
    }  # fmt: skip
    for name, (value, error_of_it) in formulas.items():
        figure: Estimated = getattr(found, name)
        assert figure.value == pytest.approx(value, rel=1e-12), name
        assert figure.std_error == pytest.approx(error_of_it, rel=1e-9), name


@cache
def repeated() -> list[Performance]:
    return [one(random_trials(seed, 60)) for seed in range(600)]


@pytest.mark.simulation
@pytest.mark.parametrize("name", ["bias_of_naive", "bias_of_std_error", "rmse", "se_ratio"])
def test_standard_errors_are_those_of_repeated_simulation(name: str) -> None:
    figures = [getattr(found, name) for found in repeated()]
    values = np.array([figure.value for figure in figures])
    errors = np.array([figure.std_error for figure in figures])
    # 600 repeats know the standard deviation to 3 %, and 60 trials their own error to 10 %
    assert np.sqrt((errors**2).mean()) == pytest.approx(values.std(ddof=1), rel=0.12)


def grouped(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    groups = np.repeat(np.arange(20), 10)
    return random.normal(size=20)[groups] + random.normal(size=200) + 3, groups


@pytest.mark.parametrize(
    "figure",
    [
        estimated_mean,
        estimated_root_mean_square,
        lambda x, g: estimated_ratio(x, x**2, g),
        lambda x, g: estimated_multiple(x, x + 2, g),
        lambda x, g: estimated_share(x > 3, g),
    ],
    ids=["mean", "root mean square", "ratio", "multiple", "share"],
)
def test_errors_count_that_replications_share_a_district(
    figure: Callable[..., Estimated],
) -> None:
    random = np.random.default_rng(5)
    found = [figure(*grouped(random)) for _ in range(REPEATS)]
    values = np.array([one.value for one in found])
    errors = np.array([one.std_error for one in found])
    assert np.sqrt((errors**2).mean()) == pytest.approx(values.std(ddof=1), rel=CLOSE)


def test_one_replication_a_district_needs_no_districts() -> None:
    x = np.random.default_rng(2).normal(size=50)
    assert estimated_mean(x, np.arange(50)).std_error == pytest.approx(
        x.std(ddof=1) / math.sqrt(50), rel=1e-12
    )


def test_the_spread_within_districts_leaves_out_that_between_them() -> None:
    random = np.random.default_rng(3)
    groups = np.repeat(np.arange(30), 40)
    values = 5 * random.normal(size=30)[groups] + random.normal(size=1200)
    assert estimated_sd(values, groups).value == pytest.approx(1, abs=0.07)
    assert estimated_sd(values, np.zeros_like(groups)).value > 3


def test_districts_that_differ_in_spread_have_an_error_of_their_own() -> None:
    random, groups = np.random.default_rng(9), np.repeat(np.arange(20), 25)
    sds, ratios = [], []
    for _ in range(REPEATS):
        spread = np.exp(0.3 * random.normal(size=20))[groups]
        values = spread * random.normal(size=500)
        sds.append(estimated_sd(values, groups))
        ratios.append(estimated_ratio_of_errors(spread, values, groups))
    for found in (sds, ratios):
        obtained = np.array([one.value for one in found])
        errors = np.array([one.std_error for one in found])
        assert np.sqrt((errors**2).mean()) == pytest.approx(obtained.std(ddof=1), rel=0.2)
    assert np.mean([one.value for one in ratios]) == pytest.approx(1, abs=0.02)


def test_a_share_over_few_districts_has_the_interval_of_the_t_distribution() -> None:
    random, groups, rate = np.random.default_rng(4), np.repeat(np.arange(20), 50), 0.5
    hits = 0
    for _ in range(1000):
        district = random.beta(rate * 5, (1 - rate) * 5, 20)
        found = estimated_share(random.random(1000) < district[groups], groups)
        hits += found.ci_low <= rate <= found.ci_high
    assert hits / 1000 == pytest.approx(0.95, abs=0.015)  # with the normal quantile .93
    few, many = wilson_interval(0.9, 100, 20), wilson_interval(0.9, 100)
    assert few[0] < many[0] < many[1] < few[1]


def test_a_bias_is_no_multiple_of_a_naive_bias_that_may_be_zero() -> None:
    trials = [
        trial(k, naive=0.012 + (-1) ** k * 0.03, truth_all=0.012, truth_kept=0.012)
        for k in range(10)
    ]
    assert math.isnan(one(trials).bias_of_naive.value)
    assert math.isfinite(one(random_trials(1, 20)).bias_of_naive.value)


def test_wilson_interval_solves_its_equation() -> None:
    for share, n in ((0.95, 500), (0.0, 20), (1.0, 20), (0.5, 1)):
        z = stats.norm.ppf(0.975)
        for bound in wilson_interval(share, n):
            if 0 < bound < 1:
                assert abs(share - bound) == pytest.approx(
                    z * math.sqrt(bound * (1 - bound) / n), rel=1e-9
                )


def test_ratios_without_a_denominator_are_not_known() -> None:
    zero = np.zeros(5)
    assert math.isnan(estimated_ratio(np.ones(5), zero, np.arange(5)).value)
    assert math.isnan(estimated_multiple(np.ones(5), zero, np.arange(5)).value)
    nothing = Estimated(0.0, 0.0, 0.0, 0.0)
    assert math.isnan(ratio_of_independent(nothing, nothing).value)


def test_trials_without_an_estimate_are_counted_and_enter_no_figure() -> None:
    good = random_trials(4, 30)
    nan = math.nan
    bad = trial(99, estimate=nan, std_error=nan, ci_low=nan, ci_high=nan, problem="MatchingError")
    with_bad, without = one([*good, bad]), one(good)
    assert (with_bad.failed, with_bad.replications) == (1, 31)
    assert with_bad.bias == without.bias
    assert with_bad.rejection == without.rejection


def test_no_estimate_at_all_gives_unknown_figures() -> None:
    found = one([trial(k, estimate=math.nan, problem="MatchingError: none") for k in range(3)])
    assert found.failed == found.replications == 3
    assert math.isnan(found.bias.value)
    assert not found.null


def test_one_trial_has_figures_without_errors() -> None:
    found = one([trial()])
    assert found.bias.value == pytest.approx(0.008)
    assert math.isnan(found.bias.std_error)
    assert math.isnan(found.empirical_std_error.value)
    assert found.coverage_kept.ci_low > 0


def test_equal_trials_have_no_empirical_error_to_compare_with() -> None:
    found = one([trial(k) for k in range(5)])
    assert found.bias.std_error == pytest.approx(0, abs=1e-15)
    assert math.isnan(found.se_ratio.value) or found.empirical_std_error.value < 1e-15


def test_three_truths_are_told_apart() -> None:
    # intervals are 0 to .04: (a) is inside once, (b) twice; their mean (c) lies outside both
    trials = [
        trial(0, truth_all=0.03, truth_kept=0.02),
        trial(1, truth_all=0.09, truth_kept=0.03),
    ]
    found = one(trials)
    assert found.coverage_all.value == 0.5
    assert found.coverage_kept.value == 1
    assert found.coverage_expected.value == 0
    assert found.drift.value == pytest.approx(-0.035)


def test_power_asks_for_the_right_sign_and_is_unknown_without_an_effect() -> None:
    wrong = trial(1, estimate=-0.02, p_value=0.04)
    found = one([trial(0), wrong])
    assert (found.rejection.value, found.power.value) == (1, 0.5)
    null = one([trial(k, truth_all=0.0, truth_kept=0.0) for k in range(2)])
    assert null.null
    assert math.isnan(null.power.value)


def test_power_curve_at_the_own_effect_is_the_power() -> None:
    trials = random_trials(6, 800)
    constant = [
        trial(k, **{name: getattr(t, name) for name in ("std_error", "df")}, truth_all=0.01,
              truth_kept=0.01, estimate=t.estimate - t.truth_kept + 0.01,
              p_value=float(2 * special.stdtr(
                  40, -abs(t.estimate - t.truth_kept + 0.01) / t.std_error)))
        for k, t in enumerate(trials)
    ]  # fmt: skip
    at_own, larger = power_curve(constant, [0.01, 0.05])
    assert at_own.value == pytest.approx(one(constant).power.value)
    assert larger.value > 0.99


def test_fixed_districts_show_their_spread() -> None:
    trials = [
        trial(district, mode="fixed", replication=k, estimate=0.012 + 0.001 * district + noise)
        for district in range(5)
        for k, noise in enumerate((-0.01, 0.01))
    ]
    spread = one(trials).bias_spread
    assert spread is not None
    assert (spread.minimum, spread.median, spread.maximum) == pytest.approx((0, 0.002, 0.004))
    assert spread.sd == pytest.approx(np.std([0, 1, 2, 3, 4], ddof=1) * 0.001)
    assert spread.sd_by_chance == pytest.approx(0.01)
    assert one(random_trials(1, 20)).bias_spread is None


def test_districts_alike_spread_by_chance_alone() -> None:
    trials = random_trials(8, 4000, districts=100)
    spread = one(trials).bias_spread
    assert spread is not None
    assert spread.sd == pytest.approx(spread.sd_by_chance, rel=0.2)


def test_each_mode_design_and_outcome_is_summarized_apart() -> None:
    trials = [
        trial(k, mode=mode, design=design)
        for k in range(2)
        for mode in ("redrawn", "fixed")
        for design in ("main", "cr1")
    ]
    found = summarize(trials, labels={"cr1": "CR1", "attendance_rate": "Attendance"})
    assert [(one.mode, one.label, one.replications) for one in found] == [
        ("redrawn", "main", 2), ("redrawn", "CR1", 2), ("fixed", "main", 2), ("fixed", "CR1", 2),
    ]  # fmt: skip
    assert found[0].outcome_label == "Attendance"
