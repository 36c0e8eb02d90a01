"""Which methods make matched sets, keep columns exact, or weight; and designs that ask for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from homevisit_eval.design import (
    CardinalityMatching,
    CoarsenedExactMatching,
    Covariate,
    DifferenceInMeans,
    EntropyBalancing,
    ExactMatching,
    FixedEffects,
    FullMatching,
    InverseProbability,
    MatchingMethod,
    NearestNeighbor,
    NoMatching,
    OptimalPairs,
    Outcome,
    OverlapWeights,
    Question,
    StudyDesign,
    Subclassification,
    Variation,
)
from homevisit_eval.design.method_facts import (
    comparison_made,
    keeps_columns_exact,
    makes_matched_sets,
    target_of,
)
from homevisit_eval.errors import DesignError

# method: (makes matched sets, keeps columns exact, how the groups are made alike)
FACTS: dict[MatchingMethod, tuple[bool, bool, str]] = {
    NearestNeighbor(): (True, True, "matched"),
    NearestNeighbor(ratio=3, min_ratio=1, max_ratio=5): (True, True, "matched"),
    NearestNeighbor(max_uses=2): (False, True, "matched"),
    NearestNeighbor(max_uses="unlimited"): (False, True, "matched"),
    OptimalPairs(): (True, True, "matched"),
    FullMatching(): (True, True, "matched"),
    CoarsenedExactMatching(): (True, True, "matched"),
    ExactMatching(): (True, True, "matched"),
    Subclassification(): (True, False, "matched"),
    CardinalityMatching(): (False, True, "matched"),
    CardinalityMatching(ratio=0): (False, False, "matched"),
    InverseProbability(): (False, False, "weighted"),
    OverlapWeights(): (False, False, "weighted"),
    EntropyBalancing(): (False, False, "weighted"),
    NoMatching(): (False, False, "unmatched"),
}
EVERY = pytest.mark.parametrize("method", FACTS, ids=repr)
QUESTION = Question("summer", "A visit before the year", "primary", ("attendance_rate",))
DESIGN = StudyDesign(
    format=3,
    title="A test",
    school_years=(2015,),
    grades=(1, 2),
    covariates=(Covariate("attendance_rate_prior", "Prior attendance"),),
    outcomes=(
        Outcome(
            "attendance_rate", "Attendance rate", "student behavior", "fraction", "percent",
            "higher", "attendance_rate_prior",
        ),
    ),
    questions=(QUESTION,),
)  # fmt: skip


def test_every_method_is_listed_here():
    assert {type(method) for method in FACTS} == set(MatchingMethod.__args__)


@EVERY
def test_facts_of_a_method(method):
    found = makes_matched_sets(method), keeps_columns_exact(method), comparison_made(method)
    assert found == FACTS[method]


@EVERY
def test_whose_effect_a_method_is_for(method):
    fixed = {OverlapWeights: "ATO", NoMatching: "ATT"}
    assert target_of(method) == fixed.get(type(method), "ATT")
    if type(method) not in fixed:
        assert target_of(replace(method, estimand="ATC")) == "ATC"


def refusal(**changes: object) -> str:
    try:
        replace(DESIGN, **changes)
    except DesignError as error:
        return str(error)
    return ""


@EVERY
@pytest.mark.parametrize("model", [FixedEffects(), DifferenceInMeans()], ids=["fixed", "means"])
def test_errors_are_clustered_by_sets_that_exist(method, model):
    said = refusal(matching=method, model=replace(model, cluster="matched_set"))
    assert bool(said) == (not FACTS[method][0])
    if said:
        assert f"by 'matched_set', which method '{method.method}'" in said
        assert "choose cluster 'school_id', or a method that makes sets" in said
    given = f"'nearest_neighbor' with max_uses = {getattr(method, 'max_uses', 1)!r} does not"
    assert (given in said) == (isinstance(method, NearestNeighbor) and bool(said))
    assert not refusal(matching=method, model=model)


@EVERY
def test_comparisons_within_a_school_need_a_method_that_makes_them(method):
    asked = (replace(QUESTION, comparison_schools="same_school"),)
    said = refusal(matching=method, questions=asked)
    assert bool(said) == (not FACTS[method][1])
    if said:
        assert "questions[0].comparison_schools is 'same_school'" in said
        assert f"method '{method.method}'" in said


@EVERY
def test_a_variation_with_another_method_is_checked_with_the_model_of_the_design(method):
    varied = Variation("other", "Another method", matching=method)
    said = refusal(model=FixedEffects(cluster="matched_set"), sensitivity=(varied,))
    assert said.count("sensitivity[0].model") == (not FACTS[method][0])


def test_how_often_a_unit_is_used_is_told():
    for uses, words in ((2, "max_uses = 2"), ("unlimited", "max_uses = 'unlimited'")):
        model = FixedEffects(cluster="matched_set")
        assert words in refusal(matching=NearestNeighbor(max_uses=uses), model=model)
