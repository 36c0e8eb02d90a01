"""Every method from a sample to the tables of the report, on one small sample."""

from __future__ import annotations

import numpy as np
import pytest

from homevisit_eval.balance import assess_balance
from homevisit_eval.design import (
    CardinalityMatching,
    CoarsenedExactMatching,
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
    OverlapWeights,
    Subclassification,
)
from homevisit_eval.design.method_facts import makes_matched_sets, target_of
from homevisit_eval.effects import estimate_effect
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching import match_students
from homevisit_eval.report import tables
from homevisit_eval.report.sample_tables import _matching_lines
from small_sample import random_sample

METHODS: list[MatchingMethod] = [
    NearestNeighbor(exact=("grade",)),
    NearestNeighbor(estimand="ATC", max_uses="unlimited", ratio=2),
    OptimalPairs(exact=("grade",), caliper=0.3),
    FullMatching(estimand="ATE"),
    CoarsenedExactMatching(),
    ExactMatching(exact=("grade", "female"), estimand="ATE"),
    Subclassification(estimand="ATC"),
    CardinalityMatching(),
    CardinalityMatching(estimand="ATE", ratio=0, tolerance=0.1),
    InverseProbability(estimand="ATE", discard="both"),
    OverlapWeights(),
    EntropyBalancing(estimand="ATC"),
    NoMatching(),
]
MODEL = FixedEffects(absorb=("grade",))


def test_every_method_is_listed_here():
    assert {type(method) for method in METHODS} == set(MatchingMethod.__args__)


@pytest.fixture(scope="module")
def sample():
    return random_sample(31, 700)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_a_method_goes_through_all_stages(method, sample):
    matched = match_students(sample, method)
    assert matched.matches.estimand.target == target_of(method)
    effect = estimate_effect(matched, "attendance_rate", MODEL)
    assert np.isfinite([effect.estimate, effect.std_error, effect.estimate_interacted]).all()
    assert abs(effect.estimate) < 5 * effect.std_error, "nothing has an effect here"
    sets = matched.matches.matched_set[matched.matches.weights > 0]
    assert (sets > 0).all() == makes_matched_sets(method)
    by_set = DifferenceInMeans(cluster="matched_set")
    if makes_matched_sets(method):
        assert estimate_effect(matched, "attendance_rate", by_set).cluster == "matched_set"
    else:
        with pytest.raises(EstimationError, match=f"{method.method}"):
            estimate_effect(matched, "attendance_rate", by_set)
    assert assess_balance(matched, "attendance_rate").worst < np.inf
    for table in (
        tables.matching_specification(matched),
        tables.sample_flow(matched, [effect]),
        tables.sample_counts(matched),
        tables.impacts([effect]),
        tables.full_estimates([effect]),
    ):
        assert len(table.frame)
        assert "SYN" not in table.to_csv_text()


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_the_flow_adds_up(method, sample):
    """Counts of those who leave are those between candidates and matched, in both groups."""
    matched = match_students(sample, method)
    lines = _matching_lines(matched)
    for group in ("visited", "comparison"):
        whole = getattr(sample, f"n_{group}")
        kept = getattr(matched, f"n_{group}")
        left = [getattr(line, group) for line in lines if line.line == "excluded"]
        assert whole - sum(left) == kept
        assert all(count >= 0 for count in left)
