"""The district calibrated to DCPS has the moments it aims at, and is as hard as a real one.

Four districts stand for the expectation; ``python benchmarks/calibration.py`` averages more.
"""

from __future__ import annotations

from functools import cache

import pandas as pd
import pytest
from calibration import ALONE, LEAST_NAIVE, NAIVE, PRIMARY, TARGETS, obtained

from homevisit_eval.synthetic.calibration import Target, calibration_table

SEEDS = (1, 2, 3, 4)

pytestmark = pytest.mark.simulation


@cache
def moments() -> pd.DataFrame:
    return obtained(SEEDS, workers=1)


def test_every_target_is_met() -> None:
    table = calibration_table(TARGETS, moments().mean().to_dict())
    missed = table.loc[~table["within"], ["name", "target", "obtained", "tolerance"]]
    assert missed.empty, f"\n{missed.to_string()}"


@pytest.mark.parametrize("outcome", PRIMARY.values())
def test_visited_students_differ_before_the_visit(outcome: str) -> None:
    assert moments()[f"{outcome}: {NAIVE}"].mean() > LEAST_NAIVE


def test_regression_without_matching_leaves_an_error_that_can_be_measured() -> None:
    error = moments()["attendance rate: " + ALONE]
    assert abs(error.mean()) > 2.5 * error.sem()


def test_a_missed_target_is_noticed() -> None:
    targets = (Target("a", 1.0, 0.1, ""), Target("b", 2.0, 0.1, ""), Target("c", 0, 0, ""))
    table = calibration_table(targets, {"a": 1.09, "b": 2.2})
    assert table["within"].tolist() == [True, False, False]
