"""The line from files to estimates recovers a known truth, and a planted defect is noticed.

What the panel measures must equal what the simulation made, student by student; estimates must be
right on average over districts. The number of districts here is a smoke level: the full study is
``python benchmarks/recovery.py --seeds 500``.
"""

from __future__ import annotations

import pytest
from recovery import DEFECTS, OF_ANALYSIS, Recovery, Selected, analyze, failures, recover, select

SEEDS = range(101, 111)
THROUGH_FILES = SEEDS[:2]  # the others take a way that gives the same panel, as is tested elsewhere
NOTICED_BY_MEASURES = {
    "entry dates ignored": "attendance_rate",
    "victims counted": "any_incident",
    "visits of the wrong window": "visited",
}
NOTICED_BY_BIAS = {"covariates left out", "treatment shuffled"}

pytestmark = pytest.mark.simulation


@pytest.fixture(scope="module")
def samples() -> list[Selected]:
    return [select(seed, files=seed in THROUGH_FILES) for seed in SEEDS]


@pytest.fixture(scope="module")
def districts(samples: list[Selected]) -> list[Recovery]:
    return [analyze(sample) for sample in samples]


def test_measures_equal_what_the_simulation_made(districts: list[Recovery]) -> None:
    for district in districts[: len(THROUGH_FILES)]:
        assert set(district.mismeasured.values()) == {0}


def test_estimates_are_right_on_average(districts: list[Recovery]) -> None:
    assert failures(districts) == []


def test_every_defect_is_planted_here() -> None:
    assert set(DEFECTS) == set(NOTICED_BY_MEASURES) | NOTICED_BY_BIAS


@pytest.mark.parametrize("defect", NOTICED_BY_MEASURES)
def test_a_wrong_measure_is_noticed_in_one_district(defect: str) -> None:
    (first,) = [recover(SEEDS[0], defect=defect)]
    assert first.mismeasured[NOTICED_BY_MEASURES[defect]] > 0


@pytest.mark.parametrize("defect", sorted(NOTICED_BY_BIAS))
def test_a_biased_estimate_is_noticed(defect: str, samples: list[Selected]) -> None:
    assert defect in OF_ANALYSIS, "the sample is that of the sound analysis"
    found = failures([analyze(sample, defect) for sample in samples])
    assert any("bias" in failure for failure in found)
