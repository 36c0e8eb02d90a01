"""Visits that follow incidents, in synthetic districts: the estimates are those of the truth.

Students are visited much likelier after an incident. Both estimands are held against their own
truth, and so is the contrast of visits before the year with those during it; comparing whole years
of the visited and the never visited, as is often done, fails.
"""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest

import homevisit_eval as hv
from homevisit_eval.censoring import follow_without_visits
from homevisit_eval.certificate.prepared import panel_from_files
from homevisit_eval.certificate.timing_truth import known_of_pairs, timing_truth
from homevisit_eval.design import StudyDesign
from homevisit_eval.matching import MatchedSample
from homevisit_eval.sample.whole_year import select_whole_year
from homevisit_eval.synthetic import District, Simulation, preset, simulate
from homevisit_eval.timing import contrast_pairs, timing_pairs

SEEDS = [range(1, 3), pytest.param(range(1, 5), marks=pytest.mark.slow)]
TABLES = (
    "schools", "calendar", "students", "enrollments", "characteristics", "absences", "incidents",
    "visits",
)  # fmt: skip
COVARIATES = (
    "attendance_rate_prior", "any_incident_prior", "incidents_prior", "at_risk_prior", "female",
    "attendance_rate_to_date", "any_incident_to_date", "incidents_to_date",
)  # fmt: skip
WITHOUT = {"not yet": "mw", "no visit": "m0", "whole year": "m0"}
"""The column of the truth with which each estimate compares the visit."""

pytestmark = pytest.mark.simulation


def design() -> StudyDesign:
    study = hv.read_design("study.toml")
    return replace(
        study, covariates=tuple(one for one in study.covariates if one.name in COVARIATES)
    )


def district() -> District:
    """Return the small district, in which an incident makes a visit six times as likely."""
    small = preset("small")
    during = {"during": (0.1,) * 6, "during_incident": 0.5, "during_absence": 0.3}
    return replace(small, selection=replace(small.selection, **during))


def truth_of(simulation: Simulation, matched: MatchedSample) -> pd.DataFrame:
    """Return the truth of the visits to the matched visited students."""
    used = (matched.matches.weights > 0) & (matched.sample.baseline["visited"] == 1)
    rows = matched.sample.baseline.loc[used, ["unit_id", "school_year", "index_date"]]
    truth = simulation.visit_truth
    truth = truth.assign(index_date=pd.to_datetime(truth["date"]), unit_id=truth["student_id"])
    key = ["unit_id", "school_year", "index_date"]
    found = rows.merge(truth.drop(columns="date"), on=key, how="left", validate="one_to_one")
    assert found["any_incident_m1"].notna().all(), "every visit must be in the truth"
    return found


def contrasted(
    simulation: Simulation, panel: hv.Panel, asked: StudyDesign
) -> list[tuple[str, str, float, float, float]]:
    """Return rows of `found` for the contrast of visits before the year with those during it."""
    (contrast,) = asked.timing_contrasts
    pairs, truth = timing_pairs(panel, asked, contrast), timing_truth(simulation, contrast)
    rows = []
    for one in contrast_pairs(pairs, asked, contrast):
        name, difference = one.outcome.name, one.difference
        true = known_of_pairs(truth, pairs, name).truth_kept
        rows.append(("contrast", name, difference.estimate, difference.std_error, true))
    return rows


@pytest.fixture(scope="module", params=SEEDS, ids=len)
def found(request: pytest.FixtureRequest) -> pd.DataFrame:
    """Return estimates, standard errors and truths by district, way and outcome."""
    asked, rows = design(), []
    for seed in request.param:
        simulation = simulate(district(), seed, tables=TABLES, outcomes=())
        with panel_from_files(simulation, asked.measurement) as panel:
            sample = hv.select_sample(panel, asked, asked.question("year_behavior"))
            matched = hv.match_students(sample)
            truth = truth_of(simulation, matched)
            ways = {
                "not yet": matched,
                "no visit": follow_without_visits(matched, panel),
                "whole year": hv.match_students(select_whole_year(sample, panel)),
            }
            for way, one in ways.items():
                for name in sample.question.outcomes:
                    effect = hv.estimate_effect(one, name, asked.model)
                    true = (truth[f"{name}_m1"] - truth[f"{name}_{WITHOUT[way]}"]).mean()
                    rows.append((way, name, effect.estimate, effect.std_error, true))
            rows += contrasted(simulation, panel, asked)
    assert len(rows) == 8 * len(request.param)
    return pd.DataFrame(rows, columns=["way", "outcome", "estimate", "std_error", "truth"])


def z_of(found: pd.DataFrame, way: str, outcome: str) -> float:
    """Return the bias over all districts in its standard errors."""
    rows = found[(found["way"] == way) & (found["outcome"] == outcome)]
    return float(
        (rows["estimate"] - rows["truth"]).sum() / math.sqrt((rows["std_error"] ** 2).sum())
    )


@pytest.mark.parametrize("outcome", ["attendance_rate", "any_incident"])
@pytest.mark.parametrize("way", ["not yet", "no visit", "contrast"])
def test_each_estimand_is_right_on_average(found: pd.DataFrame, way: str, outcome: str) -> None:
    assert abs(z_of(found, way, outcome)) < 3


def test_comparing_whole_years_is_not(found: pd.DataFrame) -> None:
    assert z_of(found, "whole year", "any_incident") > 8
    assert z_of(found, "whole year", "attendance_rate") < -4
    naive = found[(found["way"] == "whole year") & (found["outcome"] == "any_incident")]
    assert (naive["truth"] < 0).all()
    assert (naive["estimate"] > 0.05).all(), "visits that help would look as if they harmed"


def test_the_two_truths_differ_as_they_must(found: pd.DataFrame) -> None:
    """Of waiting students some are visited later, so less is gained over them than over none."""
    truth = found.pivot_table(index="outcome", columns="way", values="truth")
    assert abs(truth["not yet"]).lt(abs(truth["no visit"])).all()
