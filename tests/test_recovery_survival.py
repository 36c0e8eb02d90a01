"""Time to the first incident: curves of matched groups find the incidence of both worlds.

Incidents of a student come at a rate that a gamma variable of mean 1 multiplies; a visit before the
year multiplies the rate again. Without visits during the year the share of students with an
incident by some day has a closed form, with the visit and without it. Students with incidents last
year are visited far more often, so that the plain difference is far off. The bands were set before
anything was run.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import homevisit_eval as hv
from homevisit_eval.certificate.prepared import panel_from_files
from homevisit_eval.effects.survival import estimate_survival
from homevisit_eval.effects.survival_curves import compare_survival
from homevisit_eval.matching import MatchedSample
from homevisit_eval.sample.incident_times import incident_times
from homevisit_eval.synthetic import District, preset, simulate

DAYS = (45.0, 90.0, 135.0)
LIMIT = 3.5  # standard errors
SEEDS, MANY = range(21, 23), range(301, 325)
KEY = ["student_id", "school_year"]
TABLES = (
    "schools", "calendar", "students", "enrollments", "characteristics", "absences", "incidents",
    "visits",
)  # fmt: skip

pytestmark = [pytest.mark.simulation, pytest.mark.ci]


def district() -> District:
    """Return the small district, with incidents and effects of summer visits, and no others."""
    small = preset("small")
    return replace(
        small,
        name="incidents after summer visits",
        schools=replace(small.schools, program_share=(0.75,) * 4),
        selection=replace(
            small.selection, intercept=-2.4, any_incident=3.0, grade=0.1,
            during=(0.0,) * len(small.selection.during), during_incident=0.0, during_absence=0.0,
        ),
        discipline=replace(small.discipline, trait=1.8),
        effects=replace(small.effects, incidents=1.0),
    )  # fmt: skip


def followed(seed: int) -> tuple[MatchedSample, pd.DataFrame, pd.DataFrame]:
    """Return matched students, their times, and what is known of student-years."""
    simulation = simulate(district(), seed, tables=TABLES, outcomes=("incidents",))
    study = hv.read_design("study.toml")
    known_of_all = tuple(one for one in study.covariates if not one.where_measured)
    design = replace(study, covariates=known_of_all)
    with panel_from_files(simulation, design.measurement) as panel:
        sample = hv.select_sample(panel, design)
        times = incident_times(panel, sample)
    known = simulation.truth.merge(simulation.student_years[[*KEY, "days_enrolled"]], on=KEY)
    return hv.match_students(sample), times, known


def true_incidence(
    matched: MatchedSample, times: pd.DataFrame, known: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray]:
    """Return the shares of the matched visited with an incident by `DAYS`, visited and not."""
    kept = (matched.sample.baseline["visited"] == 1) & (matched.matches.weights > 0)
    kept &= times["days"].notna()
    rows = matched.sample.baseline.loc[kept, ["unit_id", "school_year"]]
    own = rows.merge(known, left_on=["unit_id", "school_year"], right_on=KEY)
    assert len(own) == kept.sum()
    shape = district().discipline.shape
    through = np.minimum(np.array(DAYS)[:, None] / own["days_enrolled"].to_numpy(), 1)
    visited, without = (
        (1 - (1 + own[f"incidents_{regime}"].to_numpy() * through / shape) ** -shape).mean(axis=1)
        for regime in ("m1", "m0")
    )
    return visited, without


def off(seed: int) -> pd.DataFrame:
    """Return by day the truth, and how far off estimate and plain difference of curves are."""
    matched, times, known = followed(seed)
    visited, without = true_incidence(matched, times, known)
    found = estimate_survival(matched, times, at_days=DAYS)
    seen = times["days"].notna()
    plain = compare_survival(
        times["days"][seen], times["event"][seen], matched.sample.baseline["visited"][seen],
        at=DAYS, restricted_to=DAYS[-1],
    )  # fmt: skip
    return pd.DataFrame(
        {
            "truth": visited - without,
            "visited_off": found.curves.incidence_treated - visited,
            "off": found.curves.differences - (visited - without),
            "std_error": found.curves.std_errors,
            "naive_off": plain.differences - (visited - without),
            "covers": [
                low <= true <= high
                for (low, high), true in zip(found.curves.intervals, visited - without, strict=True)
            ],
        },
        index=pd.Index(DAYS, name="day"),
    )


def z_of(rows: pd.DataFrame, column: str = "off") -> pd.Series:
    """Return mean errors by day, in their standard errors."""
    errors = rows["std_error"].pow(2).groupby("day").sum().map(math.sqrt)
    return rows[column].groupby("day").sum() / errors


def test_incidence_by_day_finds_the_truth_of_both_worlds() -> None:
    rows = pd.concat([off(seed) for seed in SEEDS])
    assert (z_of(rows).abs() < LIMIT).all()
    assert (z_of(rows, "visited_off").abs() < LIMIT).all()
    assert (z_of(rows, "naive_off") > LIMIT).all()  # the visited look worse than they are
    assert (z_of(rows, "truth") < -LIMIT).all()  # so that the test could fail


@pytest.mark.slow
def test_over_many_districts_bias_and_coverage_are_as_promised() -> None:
    rows = pd.concat([off(seed) for seed in MANY])
    for day, own in rows.groupby("day"):
        error = own["off"].std() / math.sqrt(len(own))
        assert abs(own["off"].mean()) < LIMIT * error, day
        covered = max(own["covers"].std(ddof=1), 0.2) / math.sqrt(len(own))
        assert abs(own["covers"].mean() - 0.95) < LIMIT * covered, day
