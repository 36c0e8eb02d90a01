"""The designs that a certificate compares, whatever the study's own method."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from homevisit_eval.certificate.designs import compared_designs, design_labels
from homevisit_eval.design import (
    CardinalityMatching,
    CoarsenedExactMatching,
    EntropyBalancing,
    ExactMatching,
    FullMatching,
    InverseProbability,
    MatchingMethod,
    NearestNeighbor,
    NoMatching,
    OptimalPairs,
    OverlapWeights,
    Subclassification,
    read_design,
)
from homevisit_eval.design.method_facts import makes_matched_sets

STUDY = read_design(Path(__file__).resolve().parent.parent / "study.toml")
DESIGN = replace(STUDY, sensitivity=(), timing_contrasts=(), questions=STUDY.questions[:1])
METHODS: dict[MatchingMethod, list[str]] = {
    NearestNeighbor(): ["matched", "no_caliper", "unmatched"],
    NearestNeighbor(caliper="none"): ["matched", "unmatched"],
    NearestNeighbor(max_uses="unlimited", caliper="none"): ["matched", "unmatched"],
    OptimalPairs(): ["matched", "unmatched"],
    OptimalPairs(caliper=0.1): ["matched", "no_caliper", "unmatched"],
    FullMatching(caliper=0.1): ["matched", "no_caliper", "unmatched"],
    CoarsenedExactMatching(): ["matched", "unmatched"],
    ExactMatching(): ["matched", "unmatched"],
    Subclassification(): ["matched", "unmatched"],
    CardinalityMatching(): ["matched", "unmatched"],
    InverseProbability(): ["weighted", "unmatched"],
    OverlapWeights(): ["weighted", "unmatched"],
    EntropyBalancing(): ["weighted", "unmatched"],
    NoMatching(): ["unmatched"],
}


def test_every_method_is_listed_here():
    assert {type(method) for method in METHODS} == set(MatchingMethod.__args__)


@pytest.mark.parametrize("own", METHODS, ids=repr)
def test_the_grid_of_a_method(own):
    design = replace(DESIGN, matching=own)
    question = replace(design.questions[0], matching=None, model=None)
    design = replace(design, questions=(question,))
    compared = compared_designs(design, question)
    assert len({one.name for one in compared}) == len(compared)
    kinds = dict.fromkeys(one.name.rsplit("_", 2)[0] for one in compared)
    assert list(kinds) == METHODS[own]
    for one in compared:
        method, model = one.matching or own, one.model or design.model
        assert makes_matched_sets(method) or model.cluster != "matched_set"
    by_set = sum((one.model or design.model).cluster == "matched_set" for one in compared)
    with_sets = sum(makes_matched_sets(one) for one in (own,)) * (len(METHODS[own]) - 1)
    assert by_set == 2 * with_sets
    replace(design, sensitivity=compared)  # each of them may stand in a design
    assert set(design_labels(design)) >= {one.name for one in compared}
