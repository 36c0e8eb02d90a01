"""Event studies and difference-in-differences against pyfixest: reference/staggered/README.md."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from homevisit_eval.effects.longitudinal import (
    difference_in_differences,
    fit_event_study,
    group_time_effects,
    interaction_weighted_effects,
)

FOLDER = Path(__file__).parent / "reference" / "staggered"

RELATIVE = 1e-8

COUNTED = {"covariance": "CR1S", "nested_effects": "not counted"}


@cache
def panel() -> pd.DataFrame:
    frame = pd.read_csv(FOLDER / "panel.csv")
    return frame.assign(first=frame["first"].where(frame["first"] > 0, np.inf))


@cache
def stored() -> pd.DataFrame:
    return pd.read_csv(FOLDER / "pyfixest.csv").set_index("spec")


def arrays(*names: str) -> list[NDArray]:
    return [panel()[name].to_numpy(float) for name in names]


def check(ours: dict, rows: pd.DataFrame, key: str | list[str]) -> None:
    assert len(rows) > 0
    for place, row in rows.set_index(key).iterrows():
        estimate, std_error = ours[place]
        assert estimate == pytest.approx(row["estimate"], rel=RELATIVE), place
        assert std_error == pytest.approx(row["se"], rel=RELATIVE), place


@pytest.mark.parametrize("cluster", ["unit", "school"])
@pytest.mark.parametrize(
    ("spec", "weighted", "covariates"),
    [("two-way", False, False), ("two-way z", False, True), ("two-way weighted", True, False)],
)
def test_event_studies_equal_pyfixest(spec, weighted, covariates, cluster):
    found = fit_event_study(
        *arrays("y", "unit", "period", "first"),
        X=panel()[["z"]].to_numpy(float) if covariates else None,
        weights=arrays("weight")[0] if weighted else None,
        clusters=panel()[cluster],
        **COUNTED,
    )
    pairs = zip(found.estimates, found.std_errors, strict=True)
    rows = stored().loc[f"{spec} {cluster}"]
    check(dict(zip(found.event_times, pairs, strict=True)), rows, "event_time")


def test_the_stored_weighted_numbers_are_missed_without_weights():
    found = fit_event_study(*arrays("y", "unit", "period", "first"), **COUNTED)
    pairs = zip(found.estimates, found.std_errors, strict=True)
    with pytest.raises(AssertionError):
        check(
            dict(zip(found.event_times, pairs, strict=True)),
            stored().loc["two-way weighted unit"],
            "event_time",
        )


@pytest.mark.parametrize("cluster", ["unit", "school"])
@pytest.mark.parametrize("with_weights_and_covariate", [False, True])
def test_difference_in_differences_equals_pyfixest(with_weights_and_covariate, cluster):
    y, unit, period, first, weight = arrays("y", "unit", "period", "first", "weight")
    more = {"X": panel()[["z"]].to_numpy(float), "weights": weight}
    found = difference_in_differences(
        y,
        (period >= first).astype(float),
        unit,
        period,
        clusters=panel()[cluster],
        **COUNTED,
        **(more if with_weights_and_covariate else {}),
    )
    name = "difference-in-differences" + (" weighted z" if with_weights_and_covariate else "")
    row = stored().loc[f"{name} {cluster}"]
    assert found.estimate == pytest.approx(row["estimate"], rel=RELATIVE)
    assert found.std_error == pytest.approx(row["se"], rel=RELATIVE)


@pytest.mark.parametrize("cluster", ["unit", "school"])
def test_the_interaction_weighted_estimator_equals_pyfixest(cluster):
    """Its standard errors are CR1S with fixed shares; ours are compared as CR0."""
    found = interaction_weighted_effects(
        *arrays("y", "unit", "period", "first"),
        clusters=panel()[cluster],
        shares="fixed",
        covariance="CR0",
        df="normal",
    )
    n, G = len(panel()), panel()[cluster].nunique()
    K = 15 + 6  # coefficients and periods; effects of units nest in clusters
    factor = np.sqrt(G / (G - 1) * (n - 1) / (n - K))
    cohorts = zip(
        found.cohort_effects.estimates, found.cohort_effects.std_errors * factor, strict=True
    )
    keys = zip(found.cohorts, found.periods - found.cohorts, strict=True)
    rows = stored().loc[f"saturated {cluster}"]
    check(dict(zip(keys, cohorts, strict=True)), rows, ["group", "event_time"])
    averages = zip(found.effects.estimates, found.effects.std_errors * factor, strict=True)
    rows = stored().loc[f"interaction-weighted {cluster}"]
    check(dict(zip(found.event_times, averages, strict=True)), rows, "event_time")


def test_cohort_coefficients_equal_group_time_effects_with_a_universal_base():
    of_cohorts = interaction_weighted_effects(*arrays("y", "unit", "period", "first"))
    of_groups = group_time_effects(*arrays("y", "unit", "period", "first"), base_period="universal")
    ours = {
        (g, t): estimate
        for g, t, estimate in zip(
            of_groups.groups, of_groups.periods, of_groups.estimates, strict=True
        )
    }
    for cohort, period, estimate in zip(
        of_cohorts.cohorts, of_cohorts.periods, of_cohorts.cohort_effects.estimates, strict=True
    ):
        assert estimate == pytest.approx(ours[cohort, period], rel=RELATIVE)
