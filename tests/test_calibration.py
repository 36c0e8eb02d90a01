"""The district calibrated to DCPS has the moments it aims at, and is as hard as a real one.

Four districts stand for the expectation, and their moments are committed; the first is made again,
all of them in the slow run. ``python benchmarks/calibration.py`` averages more.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from calibration import ALONE, LEAST_NAIVE, NAIVE, PRIMARY, TARGETS, obtained

from homevisit_eval.synthetic.calibration import Target, calibration_table

COMMITTED = Path(__file__).parent / "reference" / "calibration" / "dcps_moments.csv"
SEEDS = (1, 2, 3, 4)
SAME = 1e-9  # other processors round the last digits differently

pytestmark = [pytest.mark.simulation, pytest.mark.ci]


def moments() -> pd.DataFrame:
    """Return the committed moments, one row a district."""
    return pd.read_csv(COMMITTED, index_col="moment").T.set_axis(list(SEEDS))


@pytest.mark.parametrize("seeds", [SEEDS[:1], pytest.param(SEEDS[1:], marks=pytest.mark.slow)])
def test_districts_made_again_have_the_committed_moments(seeds: tuple[int, ...]) -> None:
    again = obtained(seeds, workers=1).astype(float)
    committed = moments().loc[list(seeds)]
    pd.testing.assert_frame_equal(again, committed, rtol=SAME, atol=SAME, check_names=False)


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
