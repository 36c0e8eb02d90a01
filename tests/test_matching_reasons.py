"""Why focal rows are lost; `test_matching_nearest` compares with plain Python."""

from __future__ import annotations

import numpy as np

from homevisit_eval.matching.nearest import lost_reasons
from homevisit_eval.matching.units import (
    IN_USE,
    MATCHED,
    NOT_ALLOWED,
    NOT_IN_STRATUM,
    OUTSIDE_CALIPER,
    Limit,
    Pairs,
    Units,
)


def pairs(focal=(), match=()):
    rows = np.array(focal, dtype=np.int64)
    return Pairs(rows, np.ones_like(rows), np.array(match, dtype=np.int64), np.zeros(len(rows)))


def test_each_reason():
    score = np.array([0.0, 0, 0, 0, 0, 9, 0, 0])
    units = Units(
        focal=np.array([1, 1, 1, 1, 1, 0, 0, 0], dtype=bool),
        stratum=np.array([0, 0, 1, 2, 3, 2, 0, 3]),
        score=score,
        limits=(Limit(score, 1.0),),
        apart=np.array([[1], [1], [1], [1], [5], [0], [0], [5]]),
    )
    reasons = lost_reasons(units, pairs([0], [6]))
    expected = [MATCHED, IN_USE, NOT_IN_STRATUM, OUTSIDE_CALIPER, NOT_ALLOWED, 0, 0, 0]
    assert reasons.tolist() == expected


def test_all_calipers_at_once():
    a, b = np.array([0.0, 0, 5]), np.array([0.0, 5, 0])
    units = Units(
        focal=np.array([True, False, False]),
        stratum=np.zeros(3, dtype=int),
        score=a,
        limits=(Limit(a, 1.0), Limit(b, 1.0)),
    )
    assert lost_reasons(units, pairs())[0] == OUTSIDE_CALIPER


def test_without_calipers_somebody_allowed_is_looked_for():
    units = Units(
        focal=np.array([True, False, False]),
        stratum=np.zeros(3, dtype=int),
        score=np.arange(3.0),
        person=np.array([7, 7, 8]),
    )
    assert lost_reasons(units, pairs())[0] == IN_USE


def test_nobody_is_lost():
    units = Units(np.array([True, False]), np.zeros(2, dtype=int), np.zeros(2))
    assert not lost_reasons(units, pairs([0], [1])).any()
    none = Units(np.zeros(0, dtype=bool), np.zeros(0, dtype=int), np.zeros(0))
    assert len(lost_reasons(none, pairs())) == 0
