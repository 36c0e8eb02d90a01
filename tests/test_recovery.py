"""The line from files to estimates recovers a known truth, and a planted defect is noticed.

What the panel measures must equal what the simulation made, student by student; estimates must be
right on average over districts. The number of districts here is a smoke level, a little higher in
the slow run: the full study is ``python benchmarks/recovery.py --seeds 500``.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from recovery import (
    DEFECTS,
    MEASURES,
    OF_ANALYSIS,
    OF_MEASUREMENT,
    OF_TABLES,
    ROOT,
    Recovery,
    Selected,
    analyze,
    compare_measures,
    failures,
    measured_outcomes,
    panel_of,
    select,
)

import homevisit_eval as hv
from homevisit_eval.synthetic import District, preset

DESIGN = hv.read_design(ROOT / "study.toml")
SEEDS = range(101, 111)
NOTICED_BY_MEASURES = {
    "entry dates ignored": "attendance_rate",
    "victims counted": "any_incident",
    "visits of the wrong window": "visited",
}
NOTICED_BY_BIAS = {"covariates left out", "treatment shuffled"}

pytestmark = pytest.mark.simulation


def few_schools() -> District:
    small = preset("small")
    return replace(small, schools=replace(small.schools, elementary=4, students=1280))


def selected(simulation: hv.Simulation, design: hv.StudyDesign, *, files: bool) -> Selected:
    """Take a simulation, which may be spoiled, to a sample."""
    with panel_of(simulation, design.measurement, files) as (panel, truth):
        measured, sample = measured_outcomes(panel), hv.select_sample(panel, design)
    wrong = compare_measures(measured, sample, truth)
    return Selected(simulation.seed, sample, truth, wrong)


THROUGH_FILES = [
    pytest.param(few_schools(), SEEDS[:1], id="few schools"),
    pytest.param(preset("small"), SEEDS[:2], id="small", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module", params=[4, pytest.param(len(SEEDS), marks=pytest.mark.slow)])
def samples(request: pytest.FixtureRequest) -> list[Selected]:
    """Take a way without files, which gives the same panel, as is tested elsewhere."""
    tables = ("schools", "calendar", "visits")
    made = (
        hv.simulate("small", seed, tables=tables, outcomes=MEASURES)
        for seed in SEEDS[: request.param]
    )
    return [selected(one, DESIGN, files=False) for one in made]


@pytest.fixture(scope="module")
def districts(samples: list[Selected]) -> list[Recovery]:
    return [analyze(sample) for sample in samples]


@pytest.mark.parametrize(("district", "seeds"), THROUGH_FILES)
def test_measures_equal_what_the_simulation_made(district: District, seeds: range) -> None:
    for seed in seeds:
        assert set(select(seed, district).mismeasured.values()) == {0}


def test_estimates_are_right_on_average(districts: list[Recovery]) -> None:
    assert failures(districts) == []


def test_every_defect_is_planted_here() -> None:
    assert set(DEFECTS) == set(NOTICED_BY_MEASURES) | NOTICED_BY_BIAS


def test_each_wrong_measure_is_noticed_in_one_district() -> None:
    """Two defects at once, as each has a measure of its own, and the third without files."""
    simulation = hv.simulate(few_schools(), SEEDS[0], outcomes=MEASURES)
    early, moved = (
        replace(simulation, tables=OF_TABLES[defect](dict(simulation.tables)))
        for defect in ("entry dates ignored", "visits of the wrong window")
    )
    victims = OF_MEASUREMENT["victims counted"](DESIGN)
    wrong = selected(early, victims, files=True).mismeasured
    assert wrong["attendance_rate"] > 0
    assert wrong["any_incident"] > 0
    assert wrong["visited"] == 0
    wrong = selected(moved, DESIGN, files=False).mismeasured
    assert wrong["visited"] > 0
    assert wrong["attendance_rate"] == wrong["any_incident"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("defect", NOTICED_BY_MEASURES)
def test_a_wrong_measure_is_noticed_in_one_district(defect: str) -> None:
    first = select(SEEDS[0], "small", defect)
    assert first.mismeasured[NOTICED_BY_MEASURES[defect]] > 0


@pytest.mark.parametrize("defect", sorted(NOTICED_BY_BIAS))
def test_a_biased_estimate_is_noticed(defect: str, samples: list[Selected]) -> None:
    assert defect in OF_ANALYSIS, "the sample is that of the sound analysis"
    found = failures([analyze(sample, defect) for sample in samples])
    assert any("bias" in failure for failure in found)
