"""Every method on random data: its promises hold, and the order of rows does not matter."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from homevisit_eval.design import (
    CardinalityMatching,
    CoarsenedExactMatching,
    Coarsening,
    CovariateCaliper,
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
)
from homevisit_eval.errors import DesignError, MatchingError
from homevisit_eval.matching import Matches, match_frame
from matching_invariants import check_matches

COVARIATES = ["age", "race", "girl", "income"]
NUMBERS = ["age", "girl", "income"]
STRATA = ["grade", "girl"]


def people(n: int, seed: int) -> pd.DataFrame:
    """Return units with many equal covariates, persons with several rows, and random labels."""
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([17, n, seed])))
    age = random.integers(5, 9, n)
    race = random.choice(["a", "b", "c"], n)
    chance = 1 / (1 + np.exp(3.2 - 0.3 * age - (race == "b")))
    frame = pd.DataFrame(
        {
            "visited": (random.random(n) < chance).astype(int),
            "age": age,
            "race": race,
            "girl": random.integers(0, 2, n),
            "income": np.round(random.normal(size=n), 1),
            "grade": random.integers(1, 3, n),
            "student": [f"s{number}" for number in random.integers(0, max(n // 2, 2), n)],
            "sampled": np.round(random.uniform(0.5, 2, n), 2),
        }
    )
    frame.index = pd.Index([f"u{number}" for number in random.permutation(n)])
    return frame


def some(names: list[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(names), unique=True, max_size=2).map(tuple)


calipers = st.just("none") | st.sampled_from([0.05, 0.2, 1.0])
pair_options = {
    "score": st.sampled_from(["linear_propensity_score", "propensity_score"]),
    "link": st.sampled_from(["logit", "probit"]),
    "distance": st.sampled_from(
        ["score", "score", "mahalanobis", "robust_mahalanobis", "scaled_euclidean"]
    ),
    "caliper": calipers,
    "covariate_calipers": st.sampled_from(
        [(), (CovariateCaliper("income", 0.5),), (CovariateCaliper("age", 1.0, "raw"),)]
    ),
    "exact": some(["grade", "girl"]),
    "anti_exact": st.sampled_from([(), (), ("race",)]),
    "discard": st.sampled_from(["none", "none", "both", "comparison"]),
    "ties": st.sampled_from(["row", "matchit"]),
}


@st.composite
def methods(draw: st.DrawFn) -> MatchingMethod:
    kind = draw(st.sampled_from(["nearest", "nearest", "nearest", "optimal", "full", "other"]))
    chosen = {name: draw(values) for name, values in pair_options.items()}
    if kind == "nearest":
        uses = draw(st.sampled_from([1, 1, 2, "unlimited"]))
        ratio = draw(st.sampled_from([1, 1, 2, 3]))
        varies = {"min_ratio": 1, "max_ratio": ratio + 1} if draw(st.booleans()) else {}
        return NearestNeighbor(
            **chosen,
            estimand=draw(st.sampled_from(["ATT", "ATT", "ATC"])),
            ratio=ratio,
            max_uses=uses,
            **(varies if uses == 1 and ratio > 1 else {}),
            max_uses_per_unit_id=draw(st.sampled_from(["unlimited", 1, 2])),
            order=draw(
                st.sampled_from(
                    ["default", "largest", "smallest", "data", "random", "closest", "farthest"]
                )
            ),
        )
    if kind == "optimal":
        return OptimalPairs(
            **chosen,
            estimand=draw(st.sampled_from(["ATT", "ATC"])),
            ratio=draw(st.sampled_from([1, 1, 2])),
        )
    if kind == "full":
        bounds = draw(st.sampled_from([{}, {}, {"max_ratio": 4}, {"min_ratio": 1 / 3}]))
        return FullMatching(
            **chosen, estimand=draw(st.sampled_from(["ATT", "ATC", "ATE"])), **bounds
        )
    estimand = draw(st.sampled_from(["ATT", "ATC", "ATE"]))
    return draw(
        st.sampled_from(
            [
                CoarsenedExactMatching(estimand=estimand),
                CoarsenedExactMatching(coarsening=(Coarsening("income", bins=2),), one_to_one=True),
                CoarsenedExactMatching(
                    estimand=estimand, coarsening=(Coarsening("age", cut_points=(6.5,)),)
                ),
                ExactMatching(estimand=estimand, exact=("grade", "girl")),
                Subclassification(estimand=estimand, subclasses=4),
                Subclassification(estimand=estimand, subclasses=5, min_units=0),
                CardinalityMatching(estimand=estimand, tolerance=0.1, relative_gap=0.05),
                InverseProbability(estimand=estimand, factors=("grade",)),
                OverlapWeights(),
                EntropyBalancing(estimand=estimand),
                NoMatching(),
            ]
        )
    )


def match(frame: pd.DataFrame, method: MatchingMethod, *, weighted: bool = False) -> Matches:
    return match_frame(
        frame,
        treated="visited",
        covariates=COVARIATES,
        method=method,
        unit_id="student",
        sampling_weights="sampled" if weighted else "",
    )


def tried(times: int) -> settings:
    return settings(max_examples=times, deadline=None, suppress_health_check=[HealthCheck.too_slow])


any_match = given(methods(), st.integers(0, 10_000), st.sampled_from([25, 60, 150]), st.booleans())
any_order = given(methods(), st.integers(0, 10_000), st.sampled_from([40, 120]))


@tried(35)
@any_match
def test_every_method_keeps_its_promises(method, seed, n, weighted):
    keeps_its_promises(method, seed, n, weighted)


@pytest.mark.slow
@tried(100)
@any_match
def test_every_method_keeps_its_promises_often(method, seed, n, weighted):
    keeps_its_promises(method, seed, n, weighted)


def keeps_its_promises(method, seed, n, weighted):
    frame = people(n, seed)
    before = frame.copy(deep=True)
    try:
        matches = match(frame, method, weighted=weighted)
    except MatchingError:
        reject()
    check_matches(frame, matches, "visited", unit_id="student")
    pd.testing.assert_frame_equal(frame, before)


@tried(25)
@any_order
def test_the_order_of_rows_does_not_matter(method, seed, n):
    is_the_same_in_another_order(method, seed, n)


@pytest.mark.slow
@tried(60)
@any_order
def test_the_order_of_rows_does_not_matter_often(method, seed, n):
    is_the_same_in_another_order(method, seed, n)


def is_the_same_in_another_order(method, seed, n):
    if getattr(method, "ties", "row") == "matchit":
        reject()
    frame = people(n, seed)
    try:
        first = match(frame, method)
    except MatchingError:
        reject()
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 5])))
    shuffled = frame.iloc[random.permutation(n)]
    second = match(shuffled, method)
    pd.testing.assert_frame_equal(first.pairs, second.pairs)
    pd.testing.assert_frame_equal(first.unmatched, second.unmatched)
    for name in ("weights", "matched_set", "score", "propensity_score"):
        expected, found = getattr(first, name), getattr(second, name)
        if expected is None:
            assert found is None
        else:
            pd.testing.assert_series_equal(expected, found[expected.index], check_exact=True)
    same = {"inputs_checksum", "scores_checksum", "pairs_under_other_tie_rule"}
    for name in set(first.audit) - same:
        assert first.audit[name] == second.audit[name], name


def test_the_checker_notices_what_is_broken():
    """Each promise, broken by hand, is noticed."""
    frame = people(150, 1)
    method = NearestNeighbor(exact=("grade",), caliper=0.2)
    matches = match(frame, method)
    check_matches(frame, matches, "visited", unit_id="student")
    from dataclasses import replace

    pairs = matches.pairs
    doubled = pairs.assign(comparison=pairs["comparison"].iloc[0])
    other_grade = frame.index[
        (frame["visited"] == 0) & (frame["grade"] != frame.loc[pairs["treated"].iloc[0], "grade"])
    ][0]
    across = pairs.copy()
    across.loc[0, "comparison"] = other_grade
    broken = [
        replace(matches, pairs=doubled),
        replace(matches, pairs=across),
        replace(matches, weights=matches.weights * 2),
        replace(matches, matched_set=matches.matched_set.where(matches.matched_set != 1, 2)),
        replace(matches, unmatched=matches.unmatched.iloc[:0], weights=matches.weights * 1.0)
        if len(matches.unmatched)
        else replace(matches, weights=-matches.weights),
        replace(matches, method=NearestNeighbor(exact=("grade",), caliper=1e-9)),
        replace(matches, method=NearestNeighbor(anti_exact=("grade",), caliper=0.2)),
    ]
    for one in broken:
        with pytest.raises(AssertionError):
            check_matches(frame, one, "visited", unit_id="student")


def test_an_option_that_does_not_exist_is_refused():
    with pytest.raises(DesignError, match="must be one of"):
        NearestNeighbor(order="lowest")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        NearestNeighbor(replacement=True)  # type: ignore[call-arg]
