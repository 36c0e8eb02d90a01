"""What the district calibrated to DCPS aims at and what it obtains, averaged over districts.

``python benchmarks/calibration.py --seeds 20`` prints the calibration table of the documentation.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

import joblib
import numpy as np
import pandas as pd
from recovery import ROOT

import homevisit_eval as hv
from homevisit_eval.certificate.prepared import prepared_panel
from homevisit_eval.synthetic import OUTCOMES
from homevisit_eval.synthetic.calibration import (
    OUTCOME_TARGETS,
    POPULATION_TARGETS,
    Target,
    calibration_table,
    make_population,
    outcome_moments,
    population_moments,
)

HARD = "required: as hard as real districts"
DESIGN_TARGETS = (
    Target("largest difference of a prior-year measure before matching (SD)", 0.425, 0.175, HARD),
    Target("visited or not from the covariates: c-statistic", 0.725, 0.075, HARD),
    Target("visited students without a match", 0.06, 0.04, HARD),
    Target("student-years in the matched sample", 3996, 300, "published: N, read as both groups"),
)
NAIVE, ALONE = "naive bias over its standard error", "regression without matching, error"
LEAST_NAIVE = 2.0
TARGETS = (*POPULATION_TARGETS, *OUTCOME_TARGETS, *DESIGN_TARGETS)
PRIMARY = {"attendance_rate": "attendance rate", "any_incident": "any incident"}


def moments_of(seed: int, preset: str = "dcps") -> dict[str, float]:
    """Return every moment of one district."""
    district = hv.preset(preset)
    people = make_population(district, seed)
    simulation = hv.simulate(
        district,
        seed,
        tables=("schools", "calendar", "visits"),
        outcomes=[name for name in OUTCOMES if not name.startswith("chronic")],
    )
    return (
        population_moments(people.students, people.schools)
        | outcome_moments(simulation)
        | design_moments(simulation)
    )


def design_moments(simulation: hv.Simulation) -> dict[str, float]:
    """Return how hard the default design's task is."""
    design = hv.read_design(ROOT / "study.toml")
    with prepared_panel(simulation, design.measurement) as panel:
        sample = hv.select_sample(panel, design)
    matched, alone = hv.match_students(sample), hv.match_students(sample, hv.NoMatching())
    names = [target.name for target in DESIGN_TARGETS]
    prior = hv.assess_balance(matched).table.set_index("covariate")["smd_before"].abs()
    own = [name for name in prior.index if name.endswith("_prior") and name[:7] != "school_"]
    moments = {
        names[0]: float(prior[own].max()),
        names[1]: c_statistic(matched),
        names[2]: 1 - matched.n_visited / sample.n_visited,
        names[3]: 2 * matched.n_visited,
    }
    visited = sample.baseline["visited"].to_numpy() == 1
    for name, label in PRIMARY.items():
        values = sample.outcomes[name]
        truth = hv.true_effect(simulation.truth, name, sample)
        naive = values[visited].mean() - values[~visited].mean() - truth
        std_error = hv.estimate_effect(matched, name).std_error
        moments[f"{label}: {NAIVE}"] = abs(naive) / std_error
        error = hv.estimate_effect(alone, name).estimate - truth
        moments[f"{label}: {ALONE}"] = error
    return moments


def c_statistic(matched: hv.MatchedSample) -> float:
    """Return how well the propensity score tells visited from others, over grade bands."""
    baseline, score = matched.sample.baseline, matched.matches.linear_propensity_score
    shares, weights = [], []
    for _, rows in baseline.groupby("grade_band"):
        visited = rows["visited"].to_numpy() == 1
        rank = score.loc[rows.index].rank().to_numpy()
        first, others = visited.sum(), (~visited).sum()
        shares.append((rank[visited].sum() - first * (first + 1) / 2) / (first * others))
        weights.append(first)
    return float(np.average(shares, weights=weights))


def obtained(seeds: Sequence[int], workers: int) -> pd.DataFrame:
    """Return the moments of several districts, one row each."""
    tasks = (joblib.delayed(moments_of)(seed) for seed in seeds)
    return pd.DataFrame(list(joblib.Parallel(n_jobs=workers)(tasks)), index=list(seeds))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    chosen = parser.parse_args()
    rows = obtained(range(1, 1 + chosen.seeds), chosen.workers)
    table = calibration_table(TARGETS, rows.mean().to_dict())
    error = rows.sem()
    print("| moment | target | obtained | its error | tolerance | within | source |")
    print("|---|--:|--:|--:|--:|---|---|")
    for row in table.itertuples():
        digits = 0 if row.target >= 10 else 4
        shown = [row.target, row.obtained, error[row.name], row.tolerance]
        cells = " | ".join(f"{value:,.{digits}f}" for value in shown)
        print(f"| {row.name} | {cells} | {'yes' if row.within else 'NO'} | {row.source} |")
    for label in PRIMARY.values():
        for name in (f"{label}: {NAIVE}", f"{label}: {ALONE}"):
            print(f"{name}: {rows[name].mean():+.5f} (Monte Carlo error {error[name]:.5f})")


if __name__ == "__main__":
    main()
