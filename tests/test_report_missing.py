"""What the report says of missing covariates: table A6, the specification, the limitations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from homevisit_eval.balance import assess_balance
from homevisit_eval.design import (
    CompleteCases,
    MissingCovariates,
    MissingIndicator,
    MultipleImputation,
)
from homevisit_eval.effects import estimate_effect
from homevisit_eval.matching import MatchedSample, match_students
from homevisit_eval.report import tables
from homevisit_eval.report.wording import limitations
from homevisit_eval.sample.missing import NOT_ACCEPTED, MissingCount, fill_with_indicators
from homevisit_eval.table import PERCENT_OF_STUDENTS
from small_sample import random_sample

COUNTS = (
    MissingCount("attendance_rate_prior", "Attendance rate", 0, 0, 200, 900),
    MissingCount("female", "Girl", 30, 120, 200, 900),
    MissingCount("math_score_std_prior", "Mathematics score", 4, 61, 100, 450),
)


def matched_under(rule: MissingCovariates, missing=COUNTS) -> MatchedSample:
    matched = match_students(random_sample(1))
    sample = matched.sample
    sample = replace(
        sample, design=replace(sample.design, missing_covariates=rule), missing=missing
    )
    return MatchedSample(sample, matched.matches)


def test_a6_lists_what_was_missing_and_hides_few():
    table = tables.missing_covariates(matched_under(MultipleImputation(imputations=20)))
    assert table is not None
    assert table.name == "A6"
    assert table.frame["covariate"].tolist() == ["Girl", "Mathematics score"]
    assert [table.cell(0, name) for name in ("visited", "share_visited")] == ["30", "15%"]
    assert [table.cell(0, name) for name in ("comparison", "share_comparison")] == ["120", "13%"]
    assert table.cell(1, "visited") == "<10"
    assert table.cell(1, "share_visited") == "*"
    assert table.cell(1, "comparison") == "61"
    assert table.frame["after"].tolist() == [0, 0]
    assert "drawn 20 times" in table.notes[0]
    assert "outcomes were not used" in table.notes[0]
    assert "0.1333" not in table.to_csv_text()  # else the count of the others follows


def test_a6_is_not_made_where_nothing_was_filled_in():
    assert tables.missing_covariates(matched_under(CompleteCases())) is None
    assert tables.missing_covariates(matched_under(MissingIndicator(), COUNTS[:1])) is None


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (CompleteCases(), "were left out, and are counted in F1"),
        (MissingIndicator(), "does not accept this in a quasi-experimental design"),
        (MultipleImputation(), "drawn 10 times"),
    ],
)
def test_the_specification_names_the_rule(rule, words):
    table = tables.matching_specification(matched_under(rule))
    said = dict(zip(table.frame["item"], table.frame["specification"], strict=True))
    assert words in said["Missing covariates"]


@pytest.mark.parametrize(
    ("rule", "heads", "imputed"),
    [
        (CompleteCases(), [], "Nothing is imputed"),
        (MissingIndicator(), ["Missing covariates were replaced by a constant."], "No outcome is"),
        (
            MultipleImputation(),
            ["Missing covariates were drawn, and not from outcomes."],
            "No outcome is imputed",
        ),
    ],
)
def test_the_limitations_depend_on_the_rule(rule, heads, imputed):
    matched = matched_under(rule)
    effect = estimate_effect(matched, "attendance_rate")
    items = limitations([effect], matched.sample.design)
    assert [head for head, _ in items if head.startswith("Missing covariates")] == heads
    assert any(imputed in text for _, text in items)


@pytest.fixture(scope="module")
def with_indicators() -> MatchedSample:
    sample = random_sample(2, 900)
    random = np.random.Generator(np.random.PCG64(1))
    baseline = sample.baseline.assign(female=sample.baseline["female"].astype(float))
    for name in ("female", "math_score_std_prior", "race_ethnicity"):
        baseline[name] = baseline[name].where(random.random(900) > 0.15)
    design = replace(sample.design, missing_covariates=MissingIndicator())
    incomplete = replace(sample, baseline=baseline, design=design, missing=COUNTS)
    return match_students(fill_with_indicators(incomplete))


def test_indicators_enter_both_models_and_the_balance(with_indicators):
    names = {name for model in with_indicators.matches.propensity for name in model.names}
    assert {"female_missing", "math_score_std_prior_missing", "race_ethnicity: missing"} <= names
    effect = estimate_effect(with_indicators, "attendance_rate")
    assert "female_missing" in effect.coefficients
    assert "math_score_std_prior_missing" in effect.formula
    assert NOT_ACCEPTED in effect.notes
    balance = assess_balance(with_indicators).table.set_index("covariate")
    assert balance.loc["female_missing", "label"] == "Missing: Girl"
    assert balance.loc["female_missing", "in_model"]


def test_an_indicator_is_a_share_of_students_in_tables(with_indicators):
    """So that a share of few students is hidden with their count."""
    table = tables.balance_before_and_after(assess_balance(with_indicators))
    row = table.frame["characteristic"].tolist().index("Missing: Girl")
    assert table.frame["unit"].iloc[row] == PERCENT_OF_STUDENTS
    assert table.cell(row, "mean_visited_before").endswith("%")


def test_without_indicators_the_effect_has_no_such_note():
    matched = matched_under(CompleteCases())
    assert NOT_ACCEPTED not in estimate_effect(matched, "attendance_rate").notes
