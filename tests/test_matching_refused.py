"""What `match_frame` and its neighbors refuse: the kind of error, and what it tells."""

from __future__ import annotations

import datetime
import decimal

import numpy as np
import pandas as pd
import pytest

from homevisit_eval.design import (
    CardinalityMatching,
    CoarsenedExactMatching,
    Coarsening,
    CovariateCaliper,
    EntropyBalancing,
    FullMatching,
    NearestNeighbor,
    OptimalPairs,
)
from homevisit_eval.errors import DesignError, MatchingError
from homevisit_eval.matching import match_frame
from matchit_specs import COVARIATES, lalonde


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return lalonde()


def match(frame: pd.DataFrame, **options: object):
    given: dict[str, object] = {"treated": "treat", "covariates": COVARIATES}
    return match_frame(frame, **{**given, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"covariates": None}, "covariates must be a list of column names"),
        ({"covariates": "age"}, "covariates must be a list .* one text"),
        ({"squared": "age"}, "squared must be a list .* one text"),
        ({"key": "age"}, "key must be a list"),
        ({"treated": ["treat"]}, "treated must be the name of a column"),
        ({"covariates": [*COVARIATES, "treat"]}, "cannot be a covariate"),
        ({"method": "nearest"}, "method must be a value such as"),
        ({"sampling_weights": "weight"}, "no column 'weight'"),
        ({"unit_id": "person"}, "no column 'person'"),
        ({"method": NearestNeighbor(max_uses_per_unit_id=2)}, "as unit_id"),
        ({"method": NearestNeighbor(exact=("school",))}, "exact: .* no column 'school'"),
        ({"method": NearestNeighbor(score="column", score_column="race")}, "holds categories"),
        ({"method": NearestNeighbor(score="column", score_column="one")}, "score_column: one"),
        (
            {"method": NearestNeighbor(covariate_calipers=(CovariateCaliper("race", 1.0),))},
            "covariate_calipers: race holds categories",
        ),
        ({"method": NearestNeighbor(exact=("race",), anti_exact=("race",))}, "stands in exact"),
        ({"method": NearestNeighbor(ratio=500)}, "ratio = 500, but there are only 429"),
        ({"method": OptimalPairs(ratio=500)}, "ratio = 500, but there are only 429"),
        (
            {"method": NearestNeighbor(exact=("number",))},
            "None of 185 treated units found a match",
        ),
        (
            {"method": CoarsenedExactMatching(coarsening=(Coarsening("re78", bins=2),))},
            "coarsening: re78 is not among the covariates",
        ),
        (
            {"method": CoarsenedExactMatching(coarsening=(Coarsening("race", bins=2),))},
            "race holds categories",
        ),
        ({"method": CardinalityMatching(tolerance=0.0, ratio=0, time_limit=5)}, "tolerance"),
        ({"method": FullMatching(min_ratio=3, max_ratio=3)}, "ratio"),
        ({"propensity_score": ["a"] * 614}, "must hold numbers between 0 and 1"),
        ({"propensity_score": np.zeros(614)}, "between 0 and 1, exclusive"),
    ],
)
def test_options_that_do_not_fit(data, options, message):
    with pytest.raises(MatchingError, match=message):
        match(data.assign(one=1.0, number=np.arange(len(data))), **options)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (lambda n: [decimal.Decimal(i % 7) for i in range(n)], "numbers stored as objects"),
        (lambda n: pd.Series([float(i % 7) for i in range(n)], dtype=object), "stored as objects"),
        (lambda n: [datetime.date(2014, 8, 1 + i % 20) for i in range(n)], "dates or times"),
        (lambda n: pd.to_datetime(["2014-08-01"] * n), "dates or times"),
        (lambda n: [i if i % 2 else "a" for i in range(n)], "several types"),
        (lambda n: np.arange(n) * 1j, "complex numbers"),
        (lambda n: [np.inf] + [1.0] * (n - 1), "1 row is infinite"),
        (lambda n: [np.nan, np.nan] + [1.0] * (n - 2), "2 rows are without a value"),
        (lambda n: [1.0] * n, "has the same value in all"),
    ],
)
def test_columns_that_do_not_fit(data, column, message):
    values = column(len(data))
    frame = data.assign(odd=values if isinstance(values, list) else np.asarray(values))
    if isinstance(values, pd.Series):
        frame["odd"] = values.to_numpy()
    with pytest.raises(MatchingError, match=message):
        match(frame, covariates=["age", "odd"])


def test_negative_sampling_weights_are_refused_without_their_values(data):
    frame = data.assign(w=np.where(np.arange(len(data)) < 3, -17.25, 1.0))
    with pytest.raises(MatchingError, match="3 rows are negative, first at row 1, 2, 3") as caught:
        match(frame, sampling_weights="w")
    assert "17.25" not in str(caught.value)


def test_separation_says_so_and_what_to_do(data):
    frame = data.assign(told=data["treat"] * 10.0 + data["age"] / 100)
    with pytest.raises(MatchingError, match=r"told alone tells them apart.*Leave out.*mahalanobis"):
        match(frame, covariates=["age", "told"])
    away = NearestNeighbor(distance="mahalanobis", caliper="none")
    assert len(match(frame, covariates=["age", "told"], method=away).pairs) == 185


def test_a_target_outside_what_weights_can_reach_fails_loudly(data):
    frame = data.assign(far=data["treat"] * 100.0 + data["age"])
    with pytest.raises(MatchingError, match="weights"):
        match(frame, covariates=["far"], method=EntropyBalancing())


def test_exact_matching_on_dates_is_allowed(data):
    days = pd.to_datetime(np.where(np.arange(len(data)) % 2, "2014-09-01", "2014-09-02"))
    frame = data.assign(day=days)
    pairs = match(frame, method=NearestNeighbor(exact=("day",))).pairs
    when = frame["day"]
    assert (when[pairs["treated"]].to_numpy() == when[pairs["comparison"]].to_numpy()).all()


def test_a_variable_ratio_by_covariates_still_goes_by_the_score(data):
    """Without a caliper a Mahalanobis distance needs no score, but a variable ratio does."""
    method = NearestNeighbor(
        distance="mahalanobis", caliper="none", ratio=2, min_ratio=1, max_ratio=3
    )
    matches = match(data, method=method)
    received = matches.pairs["treated"].value_counts()
    score = matches.score[received.index]
    assert received.value_counts().to_dict() == {1: 92, 3: 92, 2: 1}  # 185 units, 2 on average
    assert score[received == 3].max() <= score[received == 1].min()


def test_fewer_matches_than_asked_for_are_counted(data):
    matches = match(data, method=NearestNeighbor(ratio=3, caliper="none"))
    received = matches.pairs["treated"].value_counts()
    fewer = int((received < 3).sum())
    assert fewer > 0
    assert matches.audit["with_fewer_matches"] == fewer
    assert "fewer matches than asked for" in repr(matches)


@pytest.mark.parametrize(
    "make",
    [
        lambda: NearestNeighbor(order="random", seed=-1),
        lambda: NearestNeighbor(ratio=0),
        lambda: NearestNeighbor(max_uses=0),
        lambda: NearestNeighbor(link="cauchit"),  # type: ignore[arg-type]
        lambda: NearestNeighbor(ratio=2, min_ratio=1, max_ratio=3, max_uses=2),
        lambda: NearestNeighbor(distance_covariates=("age",)),
        lambda: NearestNeighbor(reestimate=True),
        lambda: FullMatching(min_ratio=3, max_ratio=2),
        lambda: Coarsening("age", bins=3, cut_points=(1.0,)),
        lambda: Coarsening("age", cut_points=(2.0, 1.0)),
    ],
)
def test_values_that_contradict_themselves(make):
    with pytest.raises(DesignError):
        make()


@pytest.mark.parametrize("ratio", [0, 1])
def test_cardinality_balances_every_level(data, ratio):
    from homevisit_eval.balance import assess_frame_balance

    method = CardinalityMatching(tolerance=0.1, ratio=ratio, relative_gap=0.02)
    matches = match(data, method=method)
    balance = assess_frame_balance(data, matches, treated="treat", covariates=COVARIATES)
    rows = balance.table[balance.table["covariate"].isin(COVARIATES)]
    assert rows["smd_after"].abs().max() <= 0.1 + 1e-9
    assert (rows["level"] != "").sum() == 3
