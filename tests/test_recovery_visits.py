"""By number of visits, by program and by mode: the estimates are those of the truth.

In the district many families have a second visit before the year, the likelier the harder the
child's last year was. So two visits look worse than one, though the second one helps. The bands are
3 standard errors of the mean over the districts, and were set before anything was run.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest

import homevisit_eval as hv
from homevisit_eval.certificate.prepared import open_panel
from homevisit_eval.certificate.question_truth import question_truth
from homevisit_eval.design import Question, StudyDesign
from homevisit_eval.errors import DesignError
from homevisit_eval.synthetic import District, preset, simulate
from homevisit_eval.truth import true_effect

SEEDS = [range(1, 2), pytest.param(range(1, 3), marks=pytest.mark.slow)]
MANY = range(101, 125)
YEARS = (2021, 2022, 2023)  # there are visits by video
OUTCOMES = ("attendance_rate", "any_incident")
COVARIATES = (
    "attendance_rate_prior", "days_unexcused_prior", "any_incident_prior", "incidents_prior",
    "at_risk_prior", "female", "english_learner_prior", "disability_prior",
    "school_attendance_prior", "school_incident_rate_prior",
)  # fmt: skip
ASKED = {
    "one": {"dose": "one"},
    "two": {"dose": "two_or_more"},
    "two_against_one": {"dose": "two_or_more_against_one"},
    "fep": {"programs": ("FEP",)},
    "virtual": {"modes": ("virtual",)},
}
DOSES = ("one", "two", "two_against_one")

pytestmark = pytest.mark.simulation


def district(effects: str = "small") -> District:
    """Return the small district with many visits, and second ones that do as much as the first."""
    small = preset("small")
    size = preset(effects).effects
    return replace(
        small,
        name=f"{effects}, visited twice",
        school_years=(2020, *YEARS),
        truth_years=YEARS,
        schools=replace(small.schools, program_share=(0.75,) * 4),
        selection=replace(
            small.selection, intercept=-1.2, twice=0.9, twice_absence=1.0, twice_any_incident=2.0
        ),
        effects=replace(size, twice=1.0),
    )


def design() -> StudyDesign:
    study = hv.read_design("study.toml")
    plain = replace(study.question("summer_behavior"), outcomes=OUTCOMES)
    return replace(
        study,
        school_years=YEARS,
        questions=tuple(replace(plain, name=name, **options) for name, options in ASKED.items()),
        covariates=tuple(one for one in study.covariates if one.name in COVARIATES),
        sensitivity=(),
        timing_contrasts=(),
    )


def answers(seeds: range, names: tuple[str, ...], effects: str = "small") -> pd.DataFrame:
    """Return estimates beside their truth, and naive differences, by question and outcome."""
    asked, rows = design(), []
    for seed in seeds:
        simulation = simulate(
            district(effects), seed, tables=("schools", "calendar", "visits"), outcomes=OUTCOMES
        )
        with open_panel(simulation, asked.measurement) as panel:
            for name in names:
                question = asked.question(name)
                sample = hv.select_sample(panel, asked, question)
                matched = hv.match_students(sample)
                truth = question_truth(simulation, question)
                visited = sample.baseline["visited"] == 1
                for outcome in OUTCOMES:
                    effect = hv.estimate_effect(matched, outcome)
                    means = sample.outcomes[outcome].groupby(visited).mean()
                    rows.append(
                        {
                            "question": name,
                            "outcome": outcome,
                            "truth": (true := true_effect(truth, outcome, matched)),
                            "off": effect.estimate - true,
                            "naive_off": means[True] - means[False] - true,
                            "std_error": effect.std_error,
                            "covers": effect.ci_low <= true <= effect.ci_high,
                        }
                    )
    return pd.DataFrame(rows)


def z_of(rows: pd.DataFrame, column: str = "off") -> float:
    """Return the mean error in its standard errors."""
    return float(rows[column].sum() / math.sqrt((rows["std_error"] ** 2).sum()))


@pytest.fixture(scope="module", params=SEEDS, ids=len)
def found(request: pytest.FixtureRequest) -> pd.DataFrame:
    rows = answers(request.param, tuple(ASKED))
    assert len(rows) == len(request.param) * len(ASKED) * len(OUTCOMES)
    return rows


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("name", ASKED)
def test_each_question_finds_its_own_truth(found: pd.DataFrame, name: str, outcome: str) -> None:
    rows = found[(found["question"] == name) & (found["outcome"] == outcome)]
    good = 1 if outcome == "attendance_rate" else -1
    assert (good * rows["truth"] > 0).all()
    assert abs(z_of(rows)) < 3


@pytest.mark.parametrize("name", ["two", "two_against_one", "fep", "virtual"])
def test_the_naive_difference_of_attendance_does_not(found: pd.DataFrame, name: str) -> None:
    rows = found[(found["question"] == name) & (found["outcome"] == "attendance_rate")]
    assert z_of(rows, "naive_off") < -3


def test_two_visits_do_more_than_one_in_the_truth(found: pd.DataFrame) -> None:
    truth = found.pivot_table(index="outcome", columns="question", values="truth").abs()
    assert (truth["two"] > 1.5 * truth["one"]).all()
    assert (truth["two_against_one"] < truth["two"]).all()


@pytest.fixture(scope="module")
def certificate() -> hv.Certificate:
    whole = district()
    half = replace(whole, schools=replace(whole.schools, elementary=6, students=1925))
    return hv.certify(
        design(), half, replications=1, seed=3, variations=False,
        questions=("two", "two_against_one"),
    )  # fmt: skip


def test_the_certificate_holds_each_number_of_visits_against_its_truth(
    certificate: hv.Certificate,
) -> None:
    shown = {(one.study_question, one.outcome): one for one in certificate.performance}
    assert set(shown) == {(name, out) for name in ("two", "two_against_one") for out in OUTCOMES}
    for one in shown.values():
        assert one.failed == 0
        assert abs(one.bias.value) < 3 * one.mean_std_error.value
    for name in ("two", "two_against_one"):
        assert shown[name, "attendance_rate"].naive_bias.value < -0.005


def test_two_against_one_is_held_against_a_single_visit() -> None:
    simulation = simulate(district(), 1, tables=(), outcomes=OUTCOMES)
    truth = simulation.truth
    asked = question_truth(simulation, design().question("two_against_one"))
    for name in OUTCOMES:
        gain = asked[f"{name}_m1"] - asked[f"{name}_m0"]
        assert gain.equals(truth[f"{name}_m1"] - truth[f"{name}_ms"])
        assert (gain[truth["visits_before_year"] < 2] == 0).all()


def test_what_no_truth_is_known_of_is_refused() -> None:
    def asking(**options: object) -> Question:
        return replace(design().question("two_against_one"), **options)

    simulation = simulate(preset("small"), 1, tables=(), outcomes=OUTCOMES)
    with pytest.raises(DesignError, match=r"nobody is visited twice .* selection.twice"):
        question_truth(simulation, asking())
    for options, words in (
        ({"follow_up": 1}, "later years after two visits"),
        ({"outcomes": ("engagement_at_school",)}, "the family survey after two visits"),
    ):
        with pytest.raises(DesignError, match=words):
            question_truth(simulation, asking(**options))


@pytest.mark.slow
@pytest.mark.parametrize("effects", ["small", "null"])
def test_over_many_districts_bias_and_coverage_are_as_promised(effects: str) -> None:
    """Coverage over all questions together: its error takes districts as independent, no more."""
    many = answers(MANY, DOSES, effects)
    for (name, outcome), rows in many.groupby(["question", "outcome"]):
        error = rows["off"].std() / math.sqrt(len(rows))
        assert abs(rows["off"].mean()) < 3 * error, (name, outcome)
    for outcome, rows in many.groupby("outcome"):
        by_district = rows["covers"].to_numpy().reshape(len(MANY), -1).mean(axis=1)
        error = max(by_district.std(ddof=1), 0.05) / math.sqrt(len(MANY))
        assert abs(by_district.mean() - 0.95) < 3 * error, outcome
