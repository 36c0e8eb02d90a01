"""Logit and count models as outcome models of a matched sample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

from effect_examples import matched_example, reordered, with_outcome
from homevisit_eval.design import CountMargins, DifferenceInMeans, LogisticMargins
from homevisit_eval.effects import compare_effects, estimate_effect
from homevisit_eval.effects.fit_model import fit_model
from homevisit_eval.effects.regression_rows import regression_rows
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching import Estimand, MatchedSample

RELATIVE = 1e-6  # statsmodels stops its iteration earlier
COVARIATES = "attendance_rate_prior + I(attendance_rate_prior**2) + female + C(race_ethnicity)"


def used(matched: MatchedSample, outcome: str) -> pd.DataFrame:
    """Return the rows of an estimate; a pretest that a band lacks is 0 there."""
    frame = matched.sample.baseline.copy()
    frame["y"] = matched.sample.outcomes[outcome].to_numpy(float, na_value=np.nan)
    frame["w"] = matched.matches.weights
    frame = frame[(frame["w"] > 0) & frame["y"].notna()]
    score = frame["math_score_std_prior"]
    return frame.assign(pretest=(score - score.mean()).fillna(0.0))


def by_hand(matched: MatchedSample, outcome: str, family, about: int | None = 1):
    """Return the effect by g-computation with statsmodels, and its clustered delta-method error."""
    frame = used(matched, outcome)
    formula = f"y ~ visited + {COVARIATES} + pretest + C(school_year):C(grade)"
    schools = pd.factorize(frame["school_id"])[0]
    fit = smf.glm(formula, frame, family=family).fit(  # weights are 1
        tol=1e-14, maxiter=200, cov_type="cluster", cov_kwds={"groups": schools}
    )
    over = frame["w"] if about is None else frame["w"] * (frame["visited"] == about)
    means, slopes = [], []
    for visited in (1, 0):
        design = fit.model.data.exog.copy()
        design[:, fit.model.exog_names.index("visited")] = visited
        eta = design @ fit.params.to_numpy()
        means.append(np.average(family.link.inverse(eta), weights=over))
        slopes.append(over @ (family.link.inverse_deriv(eta)[:, None] * design) / over.sum())
    change = slopes[0] - slopes[1]
    return means[0] - means[1], float(np.sqrt(change @ fit.cov_params().to_numpy() @ change))


@pytest.mark.parametrize("link", ["logit", "probit"])
def test_a_binary_outcome_equals_g_computation_written_out(link):
    matched = matched_example()
    family = sm.families.Binomial(getattr(sm.families.links, link.capitalize())())
    effect = estimate_effect(matched, "any_incident", LogisticMargins(link=link))
    estimate, _ = by_hand(matched, "any_incident", family)
    assert effect.estimate == pytest.approx(estimate, rel=RELATIVE)
    assert effect.df == effect.clusters - 1
    assert effect.covariance == "CR1S, delta method"
    assert np.isnan(effect.estimate_interacted)


def test_its_error_is_that_of_the_delta_method():
    """statsmodels' clustered covariance has the factors of CR1S for the logit."""
    matched = matched_example()
    effect = estimate_effect(matched, "any_incident", LogisticMargins())
    _, std_error = by_hand(matched, "any_incident", sm.families.Binomial())
    assert effect.std_error == pytest.approx(std_error, rel=1e-5)


def test_a_fraction_uses_the_quasi_likelihood():
    matched = matched_example()
    effect = estimate_effect(matched, "attendance_rate", LogisticMargins())
    estimate, std_error = by_hand(matched, "attendance_rate", sm.families.Binomial())
    assert effect.estimate == pytest.approx(estimate, rel=RELATIVE)
    assert effect.std_error == pytest.approx(std_error, rel=1e-5)
    assert any("fractional logit" in note for note in effect.notes)


@pytest.mark.parametrize(("target", "about"), [("ATC", 0), ("ATE", None)])
def test_the_average_is_over_whom_the_estimand_is_about(target, about):
    matched = matched_example()
    matches = replace(matched.matches, estimand=Estimand(target))
    other = MatchedSample(matched.sample, matches)
    effect = estimate_effect(other, "any_incident", LogisticMargins())
    estimate, _ = by_hand(other, "any_incident", sm.families.Binomial(), about)
    assert effect.estimate == pytest.approx(estimate, rel=RELATIVE)
    treated = estimate_effect(matched, "any_incident", LogisticMargins()).estimate
    assert effect.estimate != pytest.approx(treated, rel=1e-4)


def counted(matched: MatchedSample) -> MatchedSample:
    """Return the sample with a count in place of the incident, visited students 30 % fewer."""
    rng = np.random.Generator(np.random.PCG64(3))
    baseline = matched.sample.baseline
    mean = np.exp(0.5 + 0.4 * baseline["female"]) * np.where(baseline["visited"] == 1, 0.7, 1.0)
    design = matched.sample.design
    outcomes = tuple(
        replace(one, scale="count", unit="incidents", name="incidents", baseline="incidents_prior")
        if one.name == "any_incident"
        else one
        for one in design.outcomes
    )
    names = tuple(one.name for one in outcomes)
    question = replace(matched.sample.question, outcomes=names)
    sample = replace(
        matched.sample,
        design=replace(design, outcomes=outcomes, questions=(question,)),
        question=question,
    )
    drawn = rng.poisson(mean * rng.gamma(2.0, 0.5, len(baseline))).astype(float)
    return with_outcome(MatchedSample(sample, matched.matches), "incidents", drawn)


def test_a_count_equals_poisson_regression_written_out_and_is_recovered():
    matched = counted(matched_example(4000))
    effect = estimate_effect(matched, "incidents", CountMargins())
    estimate, std_error = by_hand(matched, "incidents", sm.families.Poisson())
    assert effect.estimate == pytest.approx(estimate, rel=RELATIVE)
    assert effect.std_error == pytest.approx(std_error, rel=1e-5)
    visited = used(matched, "incidents").query("visited == 1")
    truth = float((np.exp(0.5 + 0.4 * visited["female"]) * (0.7 - 1.0)).mean())
    assert abs(effect.estimate - truth) < 3 * effect.std_error
    negative = estimate_effect(matched, "incidents", CountMargins(family="negative_binomial"))
    assert any("Dispersion" in note for note in negative.notes)
    assert abs(negative.estimate - truth) < 3 * negative.std_error


def test_influence_adds_up_to_the_error_by_school():
    matched = matched_example()
    model = LogisticMargins(covariance="CR0")
    rows = regression_rows(matched, "any_incident", model)
    fit = fit_model(matched, rows, matched.sample.design.outcome("any_incident"), model)
    sums = np.bincount(rows.clusters, fit.influence)
    assert np.sqrt(sums @ sums) == pytest.approx(fit.std_error, rel=1e-9)
    assert fit.influence.shape == rows.y.shape


def test_two_logit_effects_can_be_compared():
    first, second = matched_example(), matched_example(seed=2)
    difference = compare_effects(first, second, "any_incident", LogisticMargins())
    assert difference.estimate == pytest.approx(
        difference.first.estimate - difference.second.estimate, rel=1e-12
    )
    assert difference.std_error > 0


def test_levels_that_predict_the_outcome_are_set_aside_and_counted():
    """Twelve students of one level without an incident: a logit has no finite coefficient there."""
    matched = matched_example()
    baseline = matched.sample.baseline.copy()
    few = baseline.index[:12]
    baseline.loc[few, "race_ethnicity"] = "asian"
    outcomes = matched.sample.outcomes.copy()
    outcomes.loc[few, "any_incident"] = 0.0
    sample = replace(matched.sample, baseline=baseline, outcomes=outcomes)
    changed = MatchedSample(sample, matched.matches)
    effect = estimate_effect(changed, "any_incident", LogisticMargins())
    count = int((matched.matches.weights.loc[few] > 0).sum())
    said = "<10" if count < 10 else str(count)
    assert any(f"{said} student-years are set aside" in note for note in effect.notes)
    others = matched.matches.weights.where(~baseline.index.isin(few), 0.0)
    without = MatchedSample(sample, replace(matched.matches, weights=others))
    expected = estimate_effect(without, "any_incident", LogisticMargins())
    assert effect.estimate == pytest.approx(expected.estimate, rel=1e-9)
    linear = estimate_effect(changed, "any_incident", DifferenceInMeans())
    assert not any("set aside" in note for note in linear.notes)


def test_row_order_does_not_matter():
    matched = matched_example()
    first, second = (
        estimate_effect(one, "any_incident", LogisticMargins())
        for one in (matched, reordered(matched))
    )
    assert first.estimate == pytest.approx(second.estimate, rel=1e-10)
    assert first.std_error == pytest.approx(second.std_error, rel=1e-10)


@pytest.mark.parametrize(
    ("model", "outcome", "other"),
    [
        (
            LogisticMargins(),
            "math_score_std",
            "'binary' or 'fraction'.*'continuous'.*count",
        ),
        (CountMargins(), "any_incident", "'count'.*'binary'.*logistic_margins"),
        (CountMargins(), "attendance_rate", "'count'.*'fraction'"),
    ],
)
def test_a_scale_that_does_not_suit_the_model_is_refused(model, outcome, other):
    with pytest.raises(EstimationError, match=other):
        estimate_effect(matched_example(200), outcome, model)


def test_treatment_that_covariates_determine_is_refused():
    matched = matched_example()
    baseline = matched.sample.baseline.assign(female=matched.sample.baseline["visited"])
    sample = replace(matched.sample, baseline=baseline)
    with pytest.raises(EstimationError, match="determine who was visited"):
        estimate_effect(MatchedSample(sample, matched.matches), "any_incident", LogisticMargins())
