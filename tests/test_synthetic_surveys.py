"""The synthetic family survey: who answers, what visits change, and the truth beside repetition."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from scipy.stats import norm

from homevisit_eval.certificate.prepared import PREPARED_TABLES, prepared_panel
from homevisit_eval.design import DifferenceInMeans, Measurement, NoMatching, read_design
from homevisit_eval.effects import Effect, estimate_effect
from homevisit_eval.errors import DesignError
from homevisit_eval.matching import match_students
from homevisit_eval.sample import select_sample
from homevisit_eval.synthetic import TABLES, District, preset, simulate
from homevisit_eval.synthetic.draws import Draws
from homevisit_eval.synthetic.simulate import simulate_years
from homevisit_eval.synthetic.survey_truths import survey_truth
from homevisit_eval.synthetic.surveys import (
    CUTS,
    LOADING,
    SCALES,
    asked,
    scale_scores,
    survey_answers,
)
from synthetic_districts import tiny

KEY = ["student_id", "school_year"]
STUDY = Path(__file__).parents[1] / "study.toml"


def changed(district: District, engagement: float = 0.4, **surveys: float) -> District:
    """Return a district in which visits change what families say."""
    effects = replace(district.effects, engagement=engagement)
    return replace(district, name="surveyed", effects=effects, **surveys)


# -- the answers ----------------------------------------------------------------------------


def test_nothing_but_the_survey_changes_with_its_parameters() -> None:
    plain = simulate(tiny(), 3)
    other = simulate(changed(tiny(), survey_at_risk=0.5, survey_selective=0.4), 3)
    for name in TABLES:
        assert plain.tables[name].equals(other.tables[name]) == (name != "surveys"), name
    pd.testing.assert_frame_equal(plain.truth, other.truth)
    pd.testing.assert_frame_equal(
        plain.student_years.drop(columns=list(SCALES)),
        other.student_years.drop(columns=list(SCALES)),
    )


def test_a_rise_of_the_trait_moves_answers_of_visited_students_upward_only() -> None:
    plain = simulate(replace(tiny(), survey_share=0.7), 2, outcomes=())
    other = simulate(changed(tiny(), survey_share=0.7), 2, outcomes=())
    one, two = (made.tables["surveys"] for made in (plain, other))
    assert one.drop(columns="response").equals(two.drop(columns="response"))
    moved = (two["response"] - one["response"]).astype(float)
    named = one.merge(plain.student_years[[*KEY, "visited_before_year"]], on=KEY, how="left")
    visited = (named["visited_before_year"] == 1).to_numpy()
    unknown = named["visited_before_year"].isna().to_numpy()
    assert (moved[~visited & ~unknown].dropna() == 0).all()
    assert moved[visited].dropna().between(0, 2).all()
    assert moved[visited].mean() > 0.15


def test_response_rises_by_the_stated_log_odds() -> None:
    """Shares answering by risk and visit, over many drawings of one school year."""
    district = changed(tiny(), survey_share=0.3, survey_selective=0.8)
    _, _, years = simulate_years(district, Draws(4))
    year = years[-1]
    reasons = year.status.at_risk * 1 + year.summer.visited
    answered = np.zeros(len(reasons))
    for number in range(300):
        answered[survey_answers(district, year, Draws(1000 + number)).row] += 1
    among = asked(year.roll)
    assert (answered[~among] == 0).all()
    for count in (0, 1, 2):
        rows = among & (reasons == count)
        expected = expit(logit(0.3) + 0.8 * count)
        error = np.sqrt(expected * (1 - expected) / (300 * rows.sum()))
        assert rows.sum() > 3
        assert abs(answered[rows].mean() / 300 - expected) < 4 * error


# -- the truth ------------------------------------------------------------------------------


@cache
def surveyed() -> District:
    return changed(tiny(), engagement=0.7, survey_share=1.0, survey_at_risk=0.5)


def test_the_truth_is_the_mean_of_repeated_surveys_of_one_school_year() -> None:
    """Scores over 2,000 drawings, in points, by group; put on the panel's scale by hand."""
    district, seed = surveyed(), 6
    _, _, years = simulate_years(district, Draws(seed))
    year = years[-1]
    n = len(year.roll.student)
    total, times = np.zeros((n, 2)), np.zeros((n, 2))
    for number in range(2000):
        answers = survey_answers(district, year, Draws(50_000 + number))
        given = ~np.isnan(answers.response)
        mean = np.nansum(answers.response, axis=2) / np.maximum(given.sum(axis=2), 1)
        scored = given.sum(axis=2) >= 2
        total[answers.row] += np.where(scored, mean, 0)
        times[answers.row] += scored
    truth = survey_truth(district, seed)
    own = simulate(district, seed, outcomes=())
    table = own.tables["surveys"].query("school_year == 2015").astype({"response": float})
    rows = np.flatnonzero(asked(year.roll) & np.isin(year.roll.grade, district.truth_grades))
    assert len(truth) == len(rows) > 60
    risk, visited = year.status.at_risk[rows], year.summer.visited[rows]
    for position, scale in enumerate(SCALES):
        each = table[table["scale"] == scale].groupby("respondent_id")["response"]
        respondents = each.mean()[each.count() >= 2]
        lived = np.where(visited, truth[f"{scale}_m1"], truth[f"{scale}_m0"])
        points = lived * respondents.std() + respondents.mean()
        for group in (risk & visited, risk & ~visited, ~risk & visited, ~risk & ~visited):
            found = total[rows][group, position].sum() / times[rows][group, position].sum()
            error = 0.75 / np.sqrt(times[rows][group, position].sum())
            assert group.any()
            assert abs(found - points[group].mean()) < 4 * error + 1e-4
            assert 4 * error < 0.07


def test_the_truth_by_numerical_integration() -> None:
    """The mean of an answer is a sum over five categories; here from a fine grid of the trait."""
    truth, district = survey_truth(surveyed(), 6), surveyed()
    grid = np.linspace(-9, 9, 20_001)
    density = norm.pdf(grid)
    own = simulate(district, 6, outcomes=())
    years = own.student_years.set_index(KEY).loc[list(map(tuple, truth[KEY].to_numpy()))]
    _, _, lived = simulate_years(district, Draws(6))
    scores = scale_scores(survey_answers(district, lived[-1], Draws(6)))

    def expected(rise: float) -> float:
        answer = 1 + np.searchsorted(CUTS, LOADING * rise + grid)
        return float(np.trapezoid(answer * density, grid))

    for regime, visited in (("m1", 1), ("m0", 0)):
        by_risk = [expected(0.7 * visited - 0.5 * risk) for risk in (0, 1)]
        points = np.where(years["at_risk"] == 1, by_risk[1], by_risk[0])
        for position, scale in enumerate(SCALES):
            above = 1e6 * points - scores.lowest[position] - scores.mean[position]
            exact = above / np.sqrt(scores.variance[position])
            np.testing.assert_allclose(truth[f"{scale}_{regime}"], exact, atol=2e-3)


def test_without_an_effect_both_regimes_are_the_same() -> None:
    truth = survey_truth(replace(tiny(), survey_share=0.5), 2)
    for scale in SCALES:
        pd.testing.assert_series_equal(
            truth[f"{scale}_m1"], truth[f"{scale}_m0"], check_names=False, check_exact=True
        )
        assert abs(truth[f"{scale}_m1"]).max() < 0.5


def test_the_truth_is_of_those_who_are_asked_in_the_truth_years() -> None:
    truth = survey_truth(surveyed(), 6)
    years = simulate(surveyed(), 6, tables=(), outcomes=()).student_years
    joined = truth.merge(years, on=[*KEY, "visited_before_year"])
    assert len(joined) == len(truth)
    assert joined["grade"].between(3, 5).all()
    assert set(joined["school_year"]) == {2015}
    answered = years[years[list(SCALES)].notna().any(axis=1) & (years["school_year"] == 2015)]
    assert set(answered["student_id"]) <= set(truth["student_id"])


def test_a_replication_has_its_own_answers_and_the_truth_of_its_own_scale() -> None:
    """Students of the first truth year are asked again; who is asked stays."""
    zero, one = (survey_truth(surveyed(), 6, replication=number) for number in (0, 1))
    assert zero["student_id"].equals(one["student_id"])
    assert not zero["engagement_at_school_m1"].equals(one["engagement_at_school_m1"])
    rise = [
        (t["engagement_at_school_m1"] - t["engagement_at_school_m0"]).mean() for t in (zero, one)
    ]
    assert rise[0] == pytest.approx(rise[1], rel=0.15)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(DesignError, match="truth_grades"):
        survey_truth(replace(tiny(), truth_grades=(1, 2)), 1)
    with pytest.raises(DesignError, match="replication"):
        survey_truth(tiny(), 1, replication=-1)
    with pytest.raises(DesignError, match="engagement"):
        changed(tiny(), engagement=-0.1)


# -- recovery -------------------------------------------------------------------------------


@cache
def estimated() -> tuple[tuple[float, Effect, Effect], ...]:
    """Return for some seeds and both scales the truth, the estimate, and the naive difference."""
    district = changed(preset("small"), survey_share=0.8, survey_at_risk=1.0, survey_selective=0.3)
    design = read_design(STUDY)
    question = design.question("summer_engagement")
    made = []
    for seed in (1, 2):
        simulation = simulate(district, seed, tables=PREPARED_TABLES, outcomes=())
        truth = survey_truth(district, seed)
        with prepared_panel(simulation, Measurement()) as panel:
            sample = select_sample(panel, design, question)
        matched, whole = match_students(sample), match_students(sample, NoMatching())
        rows = sample.baseline.merge(
            truth, left_on=["unit_id", "school_year"], right_on=KEY, how="left"
        )
        for scale in SCALES:
            used = (matched.matches.weights > 0) & sample.outcomes[scale].notna()
            rise = (rows[f"{scale}_m1"] - rows[f"{scale}_m0"])[used & (rows["visited"] == 1)]
            assert rise.notna().all()
            made.append(
                (
                    float(rise.mean()),
                    estimate_effect(matched, scale),
                    estimate_effect(whole, scale, DifferenceInMeans()),
                )
            )
    return tuple(made)


def test_the_estimate_covers_the_truth() -> None:
    covered = [effect.ci_low <= truth <= effect.ci_high for truth, effect, _ in estimated()]
    assert sum(covered) >= len(covered) - 1
    bias = np.mean([effect.estimate - truth for truth, effect, _ in estimated()])
    error = np.mean([effect.std_error for _, effect, _ in estimated()]) / np.sqrt(len(covered))
    assert abs(bias) < 3 * error
    for truth, effect, _ in estimated():
        assert 0.25 < truth < 0.45
        assert effect.role == "exploratory"


def test_the_naive_difference_does_not() -> None:
    """Families of students at risk say less, and are visited more."""
    bias = np.mean([naive.estimate - truth for truth, _, naive in estimated()])
    assert bias < -0.08
