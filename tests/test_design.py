"""A design made in Python: what is allowed, and what is said about what is not."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

from homevisit_eval.design import (
    BASELINE_COLUMNS,
    OUTCOME_COLUMNS,
    AbadieImbens,
    CountMargins,
    Covariate,
    DifferenceInMeans,
    DoublyRobust,
    Eligibility,
    FixedEffects,
    FullMatching,
    LogisticMargins,
    Measurement,
    NearestNeighbor,
    NoMatching,
    OptimalPairs,
    Outcome,
    Question,
    RandomIntercept,
    StudyDesign,
    Variation,
    design_checksum,
    read_design,
)
from homevisit_eval.design.measures import OUTCOME_SCALES, SUBGROUPS
from homevisit_eval.errors import DesignError

ROOT = Path(__file__).parents[1]

ATTENDANCE = Outcome(
    "attendance_rate",
    label="Attendance rate",
    domain="student behavior",
    scale="fraction",
    unit="percent",
    beneficial="higher",
    baseline="attendance_rate_prior",
)
QUESTION = Question("summer", label="Summer visits", role="primary", outcomes=("attendance_rate",))
DESIGN = StudyDesign(
    format=3,
    title="A study",
    school_years=(2015,),
    grades=(1, 2),
    covariates=(Covariate("attendance_rate_prior", "Attendance", squared=True),),
    outcomes=(ATTENDANCE,),
    questions=(QUESTION,),
)
REPLACED = NearestNeighbor(max_uses="unlimited")


def test_the_defaults_are_the_documented_ones() -> None:
    assert DESIGN.matching == NearestNeighbor(
        score="linear_propensity_score",
        caliper=0.2,
        exact=("school_year", "grade", "visited_prior"),
        ties="row",
    )
    assert DESIGN.model == FixedEffects(
        absorb=("school_year", "grade"), cluster="school_id", covariance="CR2"
    )
    assert DESIGN.eligibility == Eligibility(min_days_enrolled_prior=20, min_days_enrolled=20)
    assert QUESTION.programs == ("FEP", "FEC")
    assert QUESTION.pool == "not_visited_before_year"
    assert DESIGN.measurement.partial_day == "fraction"
    assert not DESIGN.measurement.chronic_absence_inclusive
    assert DESIGN.confidence_level == 0.95


def test_designs_are_frozen_and_hashable() -> None:
    with pytest.raises(FrozenInstanceError):
        DESIGN.title = "Another"  # type: ignore[misc]
    assert hash(DESIGN) == hash(replace(DESIGN))


def test_outcomes_and_questions_are_found_by_name() -> None:
    assert DESIGN.outcome("attendance_rate") is ATTENDANCE
    assert DESIGN.question("summer") is QUESTION
    with pytest.raises(DesignError, match="Did you mean 'attendance_rate'"):
        DESIGN.outcome("atendance_rate")
    with pytest.raises(DesignError, match="question must be one of 'summer'"):
        DESIGN.question("winter")


def test_a_whole_number_is_the_same_as_a_fraction() -> None:
    assert isinstance(NearestNeighbor(caliper=1).caliper, float)
    whole = replace(DESIGN, matching=NearestNeighbor(caliper=1))
    fraction = replace(DESIGN, matching=NearestNeighbor(caliper=1.0))
    assert design_checksum(whole) == design_checksum(fraction)


@pytest.mark.parametrize(
    "caliper", [0, -0.2, True, float("nan"), float("inf"), "0.2", None, "None"]
)
def test_a_caliper_is_a_number_above_0_or_none(caliper: object) -> None:
    with pytest.raises(DesignError, match='caliper must be a number above 0, or "none"'):
        NearestNeighbor(caliper=caliper)  # type: ignore[arg-type]
    assert NearestNeighbor(caliper="none").caliper == "none"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: NearestNeighbor(ties="rows"),
            r"ties must be one of 'row', 'matchit'; it is 'rows'",
        ),
        (lambda: NearestNeighbor(exact=["grade"]), r"exact must be a list of values \(a tuple"),
        (lambda: NearestNeighbor(exact="grade"), r"exact must be a list of values"),
        (lambda: NearestNeighbor(exact=("grade", "grade")), r"exact holds 'grade' more than once"),
        (lambda: NoMatching(method="none"), r"method must be one of 'no_matching'"),
        (lambda: FixedEffects(covariance="cr2"), r"'CR2', 'CR3'; it is 'cr2'. Did you mean 'CR2'"),
        (lambda: FixedEffects(cluster="school"), r"Did you mean 'school_id'"),
        (lambda: DifferenceInMeans(cluster="x"), r"cluster must be one of"),
        (
            lambda: FixedEffects(cluster="school_id+matched_set"),
            r"covariance must be one of 'CR0', 'CR1', 'CR1S' where .* two ways .*; it is 'CR2'",
        ),
        (
            lambda: DifferenceInMeans(cluster="student_id+matched_set", covariance="CR3"),
            r"two ways \('student_id\+matched_set'\); it is 'CR3'",
        ),
        (lambda: FixedEffects(cluster="matched_set+school_id"), r"cluster must be one of"),
        (lambda: LogisticMargins(covariance="CR2"), r"must be one of 'CR0', 'CR1', 'CR1S'"),
        (lambda: LogisticMargins(cluster="school_id+matched_set"), r"cluster must be one of"),
        (lambda: LogisticMargins(link="cloglog"), r"link must be one of 'logit', 'probit'"),
        (lambda: CountMargins(cluster="none"), r"cluster must be one of"),
        (lambda: DoublyRobust(estimator="AIPW"), r"Did you mean 'aipw'"),
        (lambda: DoublyRobust(outcome_model="probit"), r"outcome_model must be one of"),
        (lambda: DoublyRobust(cluster="matched_set"), r"'school_id', 'student_id'"),
        (lambda: DoublyRobust(folds=1), r"folds must be .*between 2 and 20"),
        (lambda: DoublyRobust(folds=None), r"folds must be"),
        (lambda: DoublyRobust(seed=-1), r"seed must be between 0 and"),
        (lambda: DoublyRobust(estimator="ipwra", folds=5), r"folds must be 'none' for .*'ipwra'"),
        (lambda: RandomIntercept(estimation="reml"), r"Did you mean 'REML'"),
        (lambda: RandomIntercept(cluster="student_id"), r"cluster must be one of 'school_id'"),
        (lambda: RandomIntercept(covariance="CR1"), r"covariance must be one of 'model', 'CR2'"),
        (lambda: AbadieImbens(neighbors=0), r"neighbors must be between 1 and 20; it is 0"),
        (lambda: AbadieImbens(bias_adjustment=True), r"'covariates', 'none'; it is true"),
        (lambda: AbadieImbens(cluster="school_id"), r"cluster must be one of 'none'"),
        (lambda: Eligibility(min_days_enrolled=0), r"must be between 1 and 366; it is 0"),
        (lambda: Eligibility(min_days_enrolled=1.5), r"must be a whole number; it is 1.5"),
        (lambda: Eligibility(min_days_enrolled=True), r"must be a whole number; it is true"),
        (lambda: Measurement(partial_day_threshold=1.2), r"must be between 0 and 1; it is 1.2"),
        (lambda: Measurement(chronic_absence_threshold=float("nan")), r"must be between 0 and 1"),
        (lambda: Measurement(chronic_absence_inclusive=1), r"must be true or false; it is 1"),
        (lambda: Measurement(incident_roles=("victims",)), r"Did you mean 'victim'"),
        (lambda: Measurement(incident_roles=()), r"incident_roles must hold at least one value"),
        (lambda: Measurement(serious_behaviors=("weapons",)), r"Did you mean 'weapon'"),
        (
            lambda: Measurement(partial_day_by_year=((2015, "fraction"), (2015, "fraction"))),
            r"partial_day_by_year holds 2015 more than once",
        ),
        (
            lambda: Measurement(partial_day_by_year=((2015,),)),
            r"partial_day_by_year\[0\] must hold exactly two values",
        ),
        (lambda: replace(QUESTION, name="Summer visits"), r"only lower-case letters"),
        (lambda: replace(QUESTION, name="../x"), r"only lower-case letters"),
        (lambda: replace(QUESTION, label=" "), r"label must not be empty"),
        (lambda: replace(QUESTION, label="two\nlines"), r"label must be a single line"),
        (lambda: replace(QUESTION, label="half \ud800"), r"label must be a single line"),
        (lambda: replace(QUESTION, outcomes=()), r"outcomes must hold at least one value"),
        (lambda: replace(QUESTION, programs=("fep",)), r"programs\[0\].*Did you mean 'FEP'"),
        (lambda: replace(QUESTION, role="main"), r"'primary', 'secondary', 'exploratory'"),
        (lambda: replace(QUESTION, matching="no_matching"), r"with method = one of"),
        (
            lambda: replace(QUESTION, model={"model": "ols"}),
            r"Question.model.model must be one of",
        ),
        (
            lambda: Variation("nothing", "Nothing"),
            r"must vary something: give at least one of pool",
        ),
        (lambda: Variation("x", "X", min_days_enrolled=400), r"must be between 1 and 366"),
        (lambda: replace(DESIGN, format=4), r"format must be one of 3; it is 4"),
        (lambda: replace(DESIGN, school_years=()), r"school_years must hold at least one"),
        (lambda: replace(DESIGN, school_years=("2014-15",)), r"school_years\[0\] must be a whole"),
        (lambda: replace(DESIGN, school_years=(2015, 2015)), r"holds 2015 more than once"),
        (lambda: replace(DESIGN, grades=(13,)), r"grades\[0\] must be between -1 and 12"),
        (lambda: replace(DESIGN, confidence_level=95), r"must be between 0.5 and 0.999; it is 95"),
        (lambda: replace(DESIGN, questions=()), r"questions must hold at least one"),
        (
            lambda: replace(DESIGN, eligibility={"min_days_enrolled": 1}),
            r"a value of its own class",
        ),
        (lambda: replace(DESIGN, questions=({"name": "x"},)), r"questions\[0\] must be one table"),
    ],
)
def test_what_is_not_possible_is_refused_and_says_what_is(make: object, message: str) -> None:
    with pytest.raises(DesignError, match=message):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"covariates": (Covariate("femal", "F"),)},
            r"covariates\[0\].name 'femal'.*mean 'female'",
        ),
        (
            {"covariates": (Covariate("female", "F", squared=True),)},
            r"covariates\[0\].squared must be false",
        ),
        (
            {"covariates": (Covariate("female", "F"), Covariate("female", "G"))},
            r"covariates\[1\].name 'female' is already the name of covariates\[0\]",
        ),
        (
            {"outcomes": (ATTENDANCE, replace(ATTENDANCE, name="attendance"))},
            r"outcomes\[1\].name 'attendance' is not a measure.*Did you mean 'attendance_rate'",
        ),
        (
            {"outcomes": (replace(ATTENDANCE, baseline="attendance_prior"),)},
            r"outcomes\[0\].baseline .*Did you mean 'attendance_rate_prior'",
        ),
        (
            {"outcomes": (replace(ATTENDANCE, scale="binary"),)},
            r"outcomes\[0\].scale must be 'fraction' for attendance_rate; it is 'binary'",
        ),
        (
            {"questions": (replace(QUESTION, outcomes=("incidents",)),)},
            r"questions\[0\].outcomes\[0\] 'incidents' is not the name of one of",
        ),
        ({"questions": (QUESTION, QUESTION)}, r"already the name of questions\[0\]"),
        (
            {"matching": NearestNeighbor(exact=("grade", "female"))},
            r"matching.exact\[1\] 'female' is not a column to match exactly on",
        ),
        (
            {
                "covariates": (Covariate("math_score_std_prior", "M", where_measured=True),),
                "matching": NearestNeighbor(exact=("math_score_std_prior",)),
            },
            r"matching.exact\[0\] 'math_score_std_prior' is not",
        ),
        ({"model": FixedEffects(absorb=("school",))}, r"model.absorb\[0\].*mean 'school_id'"),
        (
            {"questions": (replace(QUESTION, matching=NearestNeighbor(exact=("years",))),)},
            r"questions\[0\].matching.exact\[0\] 'years' is not",
        ),
        (
            {"matching": NoMatching(), "model": FixedEffects(cluster="matched_set")},
            r"model clusters errors by 'matched_set', which method 'no_matching' does not make",
        ),
        (
            {
                "model": FixedEffects(cluster="matched_set"),
                "sensitivity": (Variation("raw", "Raw", matching=NoMatching()),),
            },
            r"sensitivity\[0\].model clusters errors by 'matched_set'",
        ),
        (
            {"model": AbadieImbens()},
            r"model 'abadie_imbens' is for matching with replacement: .* not max_uses = 1",
        ),
        (
            {"model": AbadieImbens(), "matching": FullMatching()},
            r"model 'abadie_imbens' .* not method 'full_matching'",
        ),
        (
            {"sensitivity": (Variation("ai", "AI", model=AbadieImbens()),)},
            r"sensitivity\[0\].model 'abadie_imbens' .* not max_uses = 1",
        ),
        (
            {
                "matching": REPLACED,
                "model": AbadieImbens(),
                "sensitivity": (Variation("pairs", "Pairs", matching=OptimalPairs()),),
            },
            r"sensitivity\[0\].model 'abadie_imbens' .* not method 'optimal_pairs'",
        ),
        (
            {"questions": (replace(QUESTION, model=AbadieImbens()),)},
            r"questions\[0\].model 'abadie_imbens' .* not max_uses = 1",
        ),
        (
            {"matching": REPLACED, "model": FixedEffects(cluster="matched_set")},
            r"'matched_set', which method 'nearest_neighbor' with max_uses = 'unlimited'",
        ),
        (
            {
                "matching": REPLACED,
                "model": FixedEffects(cluster="school_id+matched_set", covariance="CR1"),
            },
            r"'matched_set', which method 'nearest_neighbor' with max_uses = 'unlimited'",
        ),
        (
            {
                "matching": NoMatching(),
                "model": FixedEffects(cluster="student_id+matched_set", covariance="CR1"),
            },
            r"'matched_set', which method 'no_matching' does not make",
        ),
        ({"model": DoublyRobust(absorb=("school",))}, r"model.absorb\[0\].*mean 'school_id'"),
        ({"model": RandomIntercept(absorb=("female",))}, r"model.absorb\[0\] 'female' is not"),
        (
            {
                "matching": NoMatching(),
                "questions": (replace(QUESTION, comparison_schools="same_school"),),
            },
            r"questions\[0\].comparison_schools is 'same_school', which needs pairs",
        ),
        (
            {
                "sensitivity": (
                    Variation(
                        "raw", "Raw", comparison_schools="same_school", matching=NoMatching()
                    ),
                ),
            },
            r"sensitivity\[0\].comparison_schools is 'same_school', which needs pairs",
        ),
        (
            {
                "questions": (replace(QUESTION, comparison_schools="same_school"),),
                "sensitivity": (Variation("raw", "Raw", matching=NoMatching()),),
            },
            r"sensitivity\[0\].comparison_schools is 'same_school', which needs pairs",
        ),
    ],
)
def test_parts_that_contradict_each_other_are_refused(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(DesignError, match=message):
        replace(DESIGN, **changes)  # type: ignore[arg-type]


def test_a_covariate_may_be_matched_exactly() -> None:
    female = Covariate("female", "Female")
    replace(DESIGN, covariates=(female,), matching=NearestNeighbor(exact=("grade", "female")))


def test_no_matching_may_come_with_its_own_clusters() -> None:
    raw = Variation("raw", "Raw", matching=NoMatching(), model=FixedEffects())
    replace(DESIGN, model=FixedEffects(cluster="matched_set"), sensitivity=(raw,))


@pytest.mark.parametrize(
    ("matching", "model"),
    [
        (REPLACED, AbadieImbens()),
        (NearestNeighbor(max_uses=3), AbadieImbens(bias_adjustment="none", neighbors=4)),
        (REPLACED, FixedEffects(cluster="student_id+matched_set", covariance="CR1S")),
        (NearestNeighbor(), FixedEffects(cluster="school_id+matched_set", covariance="CR0")),
        (FullMatching(), DifferenceInMeans(cluster="student_id+matched_set", covariance="CR1")),
        (NoMatching(), DoublyRobust(folds=5)),
        (NearestNeighbor(), DoublyRobust(estimator="ipwra", outcome_model="linear")),
        (NoMatching(), RandomIntercept(covariance="CR2", estimation="ML")),
    ],
    ids=repr,
)
def test_models_that_suit_the_matching_are_allowed(matching: object, model: object) -> None:
    design = replace(DESIGN, matching=matching, model=model)  # type: ignore[arg-type]
    assert design.model == model
    assert design_checksum(design) != design_checksum(DESIGN)


def test_a_variation_may_bring_both_the_matching_and_its_model() -> None:
    pair = Variation("ai", "AI", matching=REPLACED, model=AbadieImbens())
    replace(DESIGN, sensitivity=(pair,))


def test_all_faults_are_reported_at_once() -> None:
    with pytest.raises(DesignError) as caught:
        NearestNeighbor(score="nearest", caliper=-1, exact=("a", "a"), ties="rows")  # type: ignore[arg-type]
    lines = str(caught.value).splitlines()
    assert [line.split(" ")[0] for line in lines] == [
        "NearestNeighbor.score",
        "NearestNeighbor.caliper",
        "NearestNeighbor.exact",
        "NearestNeighbor.ties",
    ]


SUBGROUPS_ASKED = [name for name in SUBGROUPS if name != "economically_disadvantaged_prior"]


def test_the_columns_that_may_be_named() -> None:
    assert len(set(BASELINE_COLUMNS)) == len(BASELINE_COLUMNS) == 27
    assert tuple(OUTCOME_SCALES) == OUTCOME_COLUMNS
    assert not set(OUTCOME_COLUMNS) & set(BASELINE_COLUMNS)


def test_the_design_of_the_replicated_study() -> None:
    design = read_design(ROOT / "study.toml")
    assert design.school_years == (2015, 2016, 2017)
    assert design.grades == (1, 2, 3, 4, 5)
    assert [(question.name, question.role) for question in design.questions] == [
        ("summer_behavior", "primary"),
        ("summer_behavior_secondary", "secondary"),
        ("summer_achievement", "exploratory"),
        ("year_behavior", "secondary"),
        ("fall_behavior", "secondary"),
        ("spring_behavior", "secondary"),
        ("summer_later_years", "exploratory"),
        ("summer_engagement", "exploratory"),
        ("teacher_retention", "exploratory"),
        *((f"summer_by_{name.removesuffix('_prior')}", "exploratory") for name in SUBGROUPS_ASKED),
    ]
    assert design.questions[0].outcomes == ("attendance_rate", "any_incident")
    assert [variation.name for variation in design.sensitivity] == [
        "never_visited",
        "same_school",
        "outside_program",
        "min_days_1",
        "min_days_90",
        "cluster_matched_set",
        "cr1",
        "two_way",
        "logit",
        "doubly_robust",
        "no_matching",
        "whole_year",
        "lag_10",
        "lag_20",
        "no_later_visit",
        "without_pretest",
    ]
    assert [covariate.name for covariate in design.covariates if covariate.squared] == [
        "attendance_rate_prior"
    ]
    assert len(design.covariates) == 21
    domains = {outcome.name: outcome.domain for outcome in design.outcomes}
    assert domains["math_score_std"] == "mathematics"
    assert domains["reading_score_std"] == "English language arts"


def test_the_study_file_spells_out_what_are_also_the_defaults() -> None:
    """A reader of study.toml sees our defaults; a changed default must change the file too."""
    design = read_design(ROOT / "study.toml")
    bare = StudyDesign(
        design.format,
        design.title,
        design.school_years,
        design.grades,
        design.covariates,
        design.outcomes,
        design.questions,
        sensitivity=design.sensitivity,
        timing_contrasts=design.timing_contrasts,
    )
    assert bare == design
