"""The district calibrated to DCPS has the moments it aims at, and is as hard as a real one.

Two districts stand for the expectation, and four in the slow run; ``python
benchmarks/calibration.py`` averages more.
"""

from __future__ import annotations

from functools import cache

import pandas as pd
import pytest
from calibration import ALONE, LEAST_NAIVE, NAIVE, PRIMARY, TARGETS, obtained

from homevisit_eval.synthetic.calibration import Target, calibration_table

SEEDS = (1, 2)
MORE = (1, 2, 3, 4)
EACH = [SEEDS, pytest.param(MORE, marks=pytest.mark.slow)]

pytestmark = pytest.mark.simulation


@cache
def moments(seeds: tuple[int, ...]) -> pd.DataFrame:
    return obtained(seeds, workers=1)


@pytest.mark.parametrize("seeds", EACH, ids=len)
def test_every_target_is_met(seeds: tuple[int, ...]) -> None:
    table = calibration_table(TARGETS, moments(seeds).mean().to_dict())
    missed = table.loc[~table["within"], ["name", "target", "obtained", "tolerance"]]
    assert missed.empty, f"\n{missed.to_string()}"


@pytest.mark.parametrize("outcome", PRIMARY.values())
@pytest.mark.parametrize("seeds", EACH, ids=len)
def test_visited_students_differ_before_the_visit(seeds: tuple[int, ...], outcome: str) -> None:
    assert moments(seeds)[f"{outcome}: {NAIVE}"].mean() > LEAST_NAIVE


@pytest.mark.slow
def test_regression_without_matching_leaves_an_error_that_can_be_measured() -> None:
    error = moments(MORE)["attendance rate: " + ALONE]
    assert abs(error.mean()) > 2.5 * error.sem()


def test_a_missed_target_is_noticed() -> None:
    targets = (Target("a", 1.0, 0.1, ""), Target("b", 2.0, 0.1, ""), Target("c", 0, 0, ""))
    table = calibration_table(targets, {"a": 1.09, "b": 2.2})
    assert table["within"].tolist() == [True, False, False]
