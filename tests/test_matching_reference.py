"""Pairs of R MatchIt 4.7.2 on lalonde, from arrays: distance and greedy engine alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from homevisit_eval.matching.nearest import nearest_pairs, variable_ratio
from homevisit_eval.matching.units import (
    Limit,
    Units,
    mahalanobis_coordinates,
    robust_mahalanobis_coordinates,
)

REFERENCE = Path(__file__).parent / "reference" / "matchit"
LALONDE = pd.read_csv(REFERENCE / "lalonde_with_ps.csv")
TREATED = LALONDE["treat"].to_numpy() == 1
SCORE = LALONDE["ps"].to_numpy()
OPTIONS = {
    "ratio": 1,
    "max_uses": 1,
    "max_uses_per_person": 0,
    "order": "largest",
    "seed": 1,
    "ties": "matchit",
}


def units(score=SCORE, **more):
    stratum = np.zeros(len(TREATED), dtype=np.int64)
    return Units(**({"focal": TREATED, "stratum": stratum, "score": score} | more))


def covariates(*names):
    """Columns; a factor has one for each level, 1 / sqrt(2) apart from 0."""
    columns = []
    for name in names:
        if name == "race":
            levels = ("black", "hispan", "white")
            columns += [(LALONDE["race"] == level) / np.sqrt(2) for level in levels]
        else:
            columns.append(LALONDE[name].astype(float))
    return np.column_stack(columns)


def strata():
    return LALONDE.groupby(["race", "married"]).ngroup().to_numpy()


def deviations(number):
    return Limit(SCORE, number * SCORE.std(ddof=1))


ALL = covariates("age", "educ", "race", "married", "nodegree", "re74", "re75")
FOUR = covariates("age", "educ", "re74", "re75")
PROBIT = pd.read_csv(REFERENCE / "s03_nn11_probit_units.csv")["distance"].to_numpy()
SPECS = {
    "s01_nn11": (units(), {}),
    "s03_nn11_probit": (units(PROBIT), {}),
    "s04_nn21": (units(), {"ratio": 2}),
    "s06_nn11_replace": (units(), {"max_uses": 0, "order": "data"}),
    "s07_nn11_cal02": (units(limits=(deviations(0.2),)), {}),
    "s08_nn11_exact": (units(stratum=strata()), {}),
    "s10_nn11_smallest": (units(), {"order": "smallest"}),
    "s11_nn11_data": (units(), {"order": "data"}),
    "s14_nn_varratio": (
        units(),
        {"ratio": variable_ratio(SCORE, TREATED, mean=2, least=1, most=4)},
    ),
    "s16_mah": (units(coordinates=mahalanobis_coordinates(ALL, TREATED)), {"order": "data"}),
    "s18_rmah": (
        units(coordinates=robust_mahalanobis_coordinates(ALL, TREATED)),
        {"order": "data"},
    ),
    "s20_mahvars_cal": (
        units(coordinates=mahalanobis_coordinates(FOUR, TREATED), limits=(deviations(0.1),)),
        {},
    ),
    "s29_nn11_closest": (units(), {"order": "closest"}),
}


def found(problem, rows=None, **changes):
    pairs = nearest_pairs(problem, **(OPTIONS | changes))
    ids = LALONDE["id"].to_numpy() if rows is None else LALONDE["id"].to_numpy()[rows]
    return list(zip(ids[pairs.focal], pairs.rank, ids[pairs.match], strict=True))


def reference(name):
    pairs = pd.read_csv(REFERENCE / f"{name}_pairs.csv").dropna(subset="match")
    order = pairs["focal"].map(dict(zip(LALONDE["id"], range(len(LALONDE)), strict=True)))
    pairs = pairs.iloc[np.lexsort((pairs["k"], order))]
    return list(zip(pairs["focal"], pairs["k"], pairs["match"], strict=True))


@pytest.mark.parametrize("name", SPECS)
def test_pairs_are_those_of_matchit(name):
    problem, changes = SPECS[name]
    assert found(problem, **changes) == reference(name)


def test_matches_of_a_row_are_those_of_matchit_with_replacement():
    def sets(pairs):
        return {(focal, match) for focal, _, match in pairs}

    pairs = found(units(), ratio=3, max_uses=0, order="data")
    assert sets(pairs) == sets(reference("s05_nn31_replace"))


def test_pairs_among_those_on_common_support_are_those_of_matchit():
    low = max(SCORE[TREATED].min(), SCORE[~TREATED].min())
    high = min(SCORE[TREATED].max(), SCORE[~TREATED].max())
    rows = np.flatnonzero((low <= SCORE) & (high >= SCORE))
    discarded = pd.read_csv(REFERENCE / "s12_nn11_discard_units.csv")["discarded"]
    assert np.flatnonzero(~discarded).tolist() == rows.tolist()
    stratum = np.zeros(len(rows), dtype=np.int64)
    problem = Units(TREATED[rows], stratum, SCORE[rows])
    assert found(problem, rows) == reference("s12_nn11_discard")
