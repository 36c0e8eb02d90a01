"""Attendance and discipline in full: every measure that the study asks finds its truth.

Students with a hard last year are visited more, so that the plain difference of attendance is far
off. The bands, 3.5 standard errors, were set before anything was run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import homevisit_eval as hv
from homevisit_eval.certificate.prepared import open_panel
from homevisit_eval.design import Question, StudyDesign
from homevisit_eval.design.measures import COUNTED_BY_DAY
from homevisit_eval.effects.distribution import estimate_bands
from homevisit_eval.effects.quantile_effects import estimate_quantile_effects
from homevisit_eval.matching import MatchedSample
from homevisit_eval.synthetic import District, preset, simulate

QUESTION = "summer_behavior_secondary"
SEEDS, MANY = range(11, 13), range(101, 125)
LIMIT = 3.5  # standard errors
SELECTED_ON = ("on_time_attendance_rate", "days_absent", "days_unexcused")
CUTS = (0.90, 0.95, 0.98)
QUANTILES = (0.1, 0.25, 0.5)
KEY = ["student_id", "school_year"]

pytestmark = [pytest.mark.simulation, pytest.mark.ci]


def district(effects: str = "small") -> District:
    """Return the small district with many visits, which change much unless `effects` is "null"."""
    small = preset("small")
    strong = replace(small.effects, attendance=0.6, incidents=1.0)
    return replace(
        small,
        name=f"{effects}, many visits",
        schools=replace(small.schools, program_share=(0.75,) * 4),
        selection=replace(small.selection, intercept=-2.0, any_incident=2.0),
        effects=preset("null").effects if effects == "null" else strong,
    )


def design() -> StudyDesign:
    return replace(hv.read_design("study.toml"), sensitivity=(), timing_contrasts=())


def question() -> Question:
    return design().question(QUESTION)


def matched_of(seed: int, effects: str) -> tuple[MatchedSample, pd.DataFrame]:
    """Return matched students and the truth of their district."""
    outcomes = (*question().outcomes, "attendance_rate")
    tables = ("schools", "calendar", "visits")
    simulation = simulate(district(effects), seed, tables=tables, outcomes=outcomes)
    asked = replace(question(), outcomes=outcomes)
    with open_panel(simulation, design().measurement) as panel:
        sample = hv.select_sample(panel, design(), asked)
    return hv.match_students(sample), simulation.truth


def answers(worlds: Iterable[tuple[MatchedSample, pd.DataFrame]]) -> pd.DataFrame:
    """Return estimates and plain differences less their truth, by outcome and district."""
    rows = []
    for matched, truth in worlds:
        visited = matched.sample.baseline["visited"] == 1
        for name in question().outcomes:
            found = hv.estimate_effect(matched, name)
            true = hv.true_effect(truth, name, matched)
            means = matched.sample.outcomes[name].groupby(visited).mean()
            rows.append(
                {
                    "outcome": name,
                    "truth": true,
                    "off": found.estimate - true,
                    "naive_off": means[True] - means[False] - true,
                    "std_error": found.std_error,
                    "covers": found.ci_low <= true <= found.ci_high,
                }
            )
    return pd.DataFrame(rows)


def both_worlds(matched: MatchedSample, truth: pd.DataFrame) -> list[np.ndarray]:
    """Return attendance of the matched visited students with the visit and without it, realized."""
    kept = (matched.sample.baseline["visited"] == 1) & (matched.matches.weights > 0)
    kept &= matched.sample.outcomes["attendance_rate"].notna()
    rows = matched.sample.baseline.loc[kept, ["unit_id", "school_year"]]
    joined = rows.merge(truth, left_on=["unit_id", "school_year"], right_on=KEY)
    assert len(joined) == kept.sum()
    return [joined[f"attendance_rate_y{regime}"].to_numpy() for regime in "10"]


def z_of(rows: pd.DataFrame, column: str = "off") -> float:
    """Return the mean error in its standard errors."""
    return float(rows[column].sum() / math.sqrt((rows["std_error"] ** 2).sum()))


@pytest.fixture(scope="module")
def worlds() -> list[tuple[MatchedSample, pd.DataFrame]]:
    return [matched_of(seed, "small") for seed in SEEDS]


@pytest.fixture(scope="module")
def found(worlds: list[tuple[MatchedSample, pd.DataFrame]]) -> pd.DataFrame:
    return answers(worlds)


def test_the_study_asks_for_all_of_attendance_and_discipline() -> None:
    primary = {"attendance_rate", "any_incident"}
    asked = {*COUNTED_BY_DAY, "chronic_absence", "chronic_truancy"} - primary
    assert set(question().outcomes) == asked
    assert len(asked) == len(question().outcomes) == 11


@pytest.mark.parametrize("name", question().outcomes)
def test_each_measure_finds_its_truth(found: pd.DataFrame, name: str) -> None:
    rows = found[found["outcome"] == name]
    assert len(rows) == len(SEEDS)
    assert abs(z_of(rows)) < LIMIT
    if name == "days_tardy":
        assert (rows["truth"] == 0).all()
        return
    good = 1 if name.endswith("_rate") else -1
    assert (good * rows["truth"] > 0).all()
    if name in SELECTED_ON:
        assert good * z_of(rows, "naive_off") < -LIMIT  # the visited look worse than they are
    size = abs(rows["truth"].mean())
    assert size > 2 * math.sqrt((rows["std_error"] ** 2).sum()) / len(rows), "it can tell little"


def test_the_certificate_of_a_district_without_effects_finds_none() -> None:
    null = district("null")
    half = replace(null, schools=replace(null.schools, elementary=6, students=1925))
    certificate = hv.certify(
        design(), half, replications=1, seed=13, variations=False, questions=(QUESTION,)
    )
    shown = {one.outcome: one for one in certificate.performance}
    assert set(shown) == set(question().outcomes)
    for one in shown.values():
        assert one.failed == 0
        assert one.truth_kept.value == 0
        assert abs(one.bias.value) < LIMIT * one.mean_std_error.value


def test_shares_by_band_are_those_of_both_worlds(
    worlds: list[tuple[MatchedSample, pd.DataFrame]],
) -> None:
    """What a visit does to the share of a band is known: the visited are in the truth twice."""
    off, errors, sizes = [], [], []
    for matched, truth in worlds:
        found = estimate_bands(matched, "attendance_rate", CUTS).bands
        limits = [-math.inf, *CUTS, math.inf]
        with_visit, without = (
            np.histogram(values, limits)[0] / len(values) for values in both_worlds(matched, truth)
        )
        assert [one.share_visited for one in found] == pytest.approx(with_visit)
        off.append([one.estimate for one in found] - (with_visit - without))
        errors.append([one.std_error for one in found])
        sizes.append(with_visit - without)
    z = np.sum(off, axis=0) / np.sqrt(np.sum(np.square(errors), axis=0))
    assert (np.abs(z) < LIMIT).all()
    assert np.abs(np.sum(sizes, axis=0))[0] > LIMIT * np.sqrt(np.sum(np.square(errors), axis=0))[0]


def test_quantiles_are_those_of_both_worlds(
    worlds: list[tuple[MatchedSample, pd.DataFrame]],
) -> None:
    off, errors, sizes = [], [], []
    for matched, truth in worlds:
        found = estimate_quantile_effects(
            matched, "attendance_rate", QUANTILES, seed=1, draws=199
        ).quantiles
        with_visit, without = (
            np.quantile(values, QUANTILES, method="inverted_cdf")
            for values in both_worlds(matched, truth)
        )
        assert [one.visited for one in found] == pytest.approx(with_visit, abs=5.1e-6)
        off.append([one.estimate for one in found] - (with_visit - without))
        errors.append([one.std_error for one in found])
        sizes.append(with_visit - without)
    error = np.sqrt(np.sum(np.square(errors), axis=0))
    assert (np.abs(np.sum(off, axis=0)) < LIMIT * error).all()
    assert (np.sum(sizes, axis=0) > LIMIT * error).all()


@pytest.mark.slow
@pytest.mark.parametrize("effects", ["small", "null"])
def test_over_many_districts_bias_and_coverage_are_as_promised(effects: str) -> None:
    many = answers(matched_of(seed, effects) for seed in MANY)
    for name, rows in many.groupby("outcome"):
        error = rows["off"].std() / math.sqrt(len(rows))
        assert abs(rows["off"].mean()) < LIMIT * error, name
        covered = max(rows["covers"].std(ddof=1), 0.2) / math.sqrt(len(rows))
        assert abs(rows["covers"].mean() - 0.95) < LIMIT * covered, name
