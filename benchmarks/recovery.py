"""Does the design recover the known truth, on average over districts?

Each seed is a new district, written to files and taken through the public stages: files, panel,
sample, matching, effect. ``python benchmarks/recovery.py --seeds 500`` prints bias and coverage
with Monte Carlo standard errors. A planted defect (``--defect``) must make the check fail.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

import homevisit_eval as hv
from homevisit_eval.certificate.prepared import prepared_panel

ROOT = Path(__file__).resolve().parent.parent
OUTCOMES = ("attendance_rate", "any_incident")
MEASURES = ("attendance_rate", "any_incident", "incidents")
ROUNDING = 1.0e-5  # the truth is written with five decimals
LARGEST_Z = 3.5  # of a mean error over its Monte Carlo standard error: 1 in 2,000 by chance

Tables = dict[str, pd.DataFrame]


def entry_dates_ignored(tables: Tables) -> Tables:
    """Return tables in which everybody was enrolled from the first day of the calendar."""
    rows = tables["enrollments"]
    first = tables["calendar"].groupby("school_year")["date"].min()
    return {**tables, "enrollments": rows.assign(entry_date=rows["school_year"].map(first))}


def visits_of_the_wrong_window(tables: Tables) -> Tables:
    """Return tables in which every visit happened half a year later."""
    rows = tables["visits"]
    return {**tables, "visits": rows.assign(date=rows["date"] + pd.Timedelta(days=150))}


def treatment_shuffled(sample: hv.AnalyticSample, seed: int) -> hv.AnalyticSample:
    """Return the sample with `visited` shuffled within school years and grades."""
    random = np.random.default_rng([seed, 99])
    cells = [sample.baseline["school_year"], sample.baseline["grade"]]
    shuffled = sample.baseline["visited"].groupby(cells).transform(random.permutation)
    return dataclasses.replace(sample, baseline=sample.baseline.assign(visited=shuffled))


def covariates_left_out(design: hv.StudyDesign) -> hv.StudyDesign:
    """Return the design with no matching and no covariates."""
    nothing = {"matching": hv.NoMatching(), "model": hv.DifferenceInMeans(), "sensitivity": ()}
    return dataclasses.replace(design, **nothing)


def victims_counted(design: hv.StudyDesign) -> hv.StudyDesign:
    """Return the design that counts victims and witnesses as taking part."""
    roles = ("perpetrator", "victim", "witness")
    measurement = dataclasses.replace(design.measurement, incident_roles=roles)
    return dataclasses.replace(design, measurement=measurement)


OF_TABLES: dict[str, Callable[[Tables], Tables]] = {
    "entry dates ignored": entry_dates_ignored,
    "visits of the wrong window": visits_of_the_wrong_window,
}
OF_MEASUREMENT: dict[str, Callable[[hv.StudyDesign], hv.StudyDesign]] = {
    "victims counted": victims_counted,
}
LEFT_OUT, SHUFFLED = "covariates left out", "treatment shuffled"
OF_ANALYSIS = (LEFT_OUT, SHUFFLED)
DEFECTS = (*OF_TABLES, *OF_MEASUREMENT, *OF_ANALYSIS)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Selected:
    """One district's sample and truth, and how many student-years are mismeasured."""

    seed: int
    sample: hv.AnalyticSample
    truth: pd.DataFrame
    mismeasured: dict[str, int]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Recovery:
    """What one district showed: estimates beside truths, and student-years mismeasured."""

    estimates: pd.DataFrame
    mismeasured: dict[str, int]


@contextmanager
def panel_of(
    simulation: hv.Simulation, measurement: hv.Measurement, files: bool
) -> Iterator[tuple[hv.Panel, pd.DataFrame]]:
    """Open the panel and the truth, both of them read from files if asked for."""
    if not files:
        with prepared_panel(simulation, measurement) as panel:
            yield panel, simulation.truth
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "district"
        folder.mkdir()
        hv.write_simulation(simulation, folder)
        with hv.read_sources(folder) as sources:
            yield hv.build_panel(sources, measurement), hv.read_truth(folder)


def recover(seed: int, preset: str = "small", defect: str = "", *, files: bool = True) -> Recovery:
    """Take one synthetic district to estimates, through files or not, with a planted defect."""
    return analyze(select(seed, preset, defect, files=files), defect)


def select(seed: int, preset: str = "small", defect: str = "", *, files: bool = True) -> Selected:
    """Take one synthetic district to a sample, with the defect if it is one of the data."""
    design = hv.read_design(ROOT / "study.toml")
    design = OF_MEASUREMENT[defect](design) if defect in OF_MEASUREMENT else design
    simulation = hv.simulate(preset, seed, outcomes=MEASURES)
    if defect in OF_TABLES:
        spoiled = OF_TABLES[defect](dict(simulation.tables))
        simulation = dataclasses.replace(simulation, tables=spoiled)
    with panel_of(simulation, design.measurement, files) as (panel, truth):
        measured = measured_outcomes(panel)
        sample = hv.select_sample(panel, design)
    return Selected(seed, sample, truth, compare_measures(measured, sample, truth))


def analyze(selected: Selected, defect: str = "") -> Recovery:
    """Take a district's sample to estimates, with the defect if it is one of the analysis."""
    sample, truth, seed = selected.sample, selected.truth, selected.seed
    if defect == LEFT_OUT:
        sample = dataclasses.replace(sample, design=covariates_left_out(sample.design))
    if defect == SHUFFLED:
        sample = treatment_shuffled(sample, seed)
    matched = hv.match_students(sample)
    rows = [estimate_beside_truth(sample, matched, truth, name, seed) for name in OUTCOMES]
    return Recovery(pd.DataFrame(rows), selected.mismeasured)


def measured_outcomes(panel: hv.Panel) -> pd.DataFrame:
    """Return the panel's measures of each student-year."""
    columns = ["student_id", "school_year", *MEASURES]
    return panel.students.select(columns).collect("pandas").to_native()


def compare_measures(
    measured: pd.DataFrame, sample: hv.AnalyticSample, truth: pd.DataFrame
) -> dict[str, int]:
    """Count student-years whose measure, or whose group, is not what the simulation made."""
    both = truth.merge(measured, on=["student_id", "school_year"], how="left")
    visited = both["visited_before_year"] == 1
    wrong = {}
    for name in MEASURES:
        realized = both[f"{name}_y1"].where(visited, both[f"{name}_y0"])
        wrong[name] = int((~((both[name] - realized).abs() <= ROUNDING)).sum())
    groups = sample.baseline[["unit_id", "school_year", "visited"]].merge(
        truth, left_on=["unit_id", "school_year"], right_on=["student_id", "school_year"]
    )
    wrong["visited"] = int((groups["visited"] != groups["visited_before_year"]).sum())
    return wrong


def estimate_beside_truth(
    sample: hv.AnalyticSample,
    matched: hv.MatchedSample,
    truth: pd.DataFrame,
    outcome: str,
    seed: int,
) -> dict[str, object]:
    """Return one outcome's estimate, interval, naive difference and truths."""
    effect = hv.estimate_effect(matched, outcome)
    means = sample.outcomes[outcome].groupby(sample.baseline["visited"]).mean()
    return {
        "seed": seed,
        "outcome": outcome,
        "truth_all": hv.true_effect(truth, outcome, sample),
        "truth_matched": hv.true_effect(truth, outcome, matched),
        "naive": means[1] - means[0],
        "estimate": effect.estimate,
        "std_error": effect.std_error,
        "df": effect.df,
        "ci_low": effect.ci_low,
        "ci_high": effect.ci_high,
        "share_matched": matched.n_visited / sample.n_visited,
    }


def summarize(estimates: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each outcome: means over seeds with their Monte Carlo standard errors."""
    rows = []
    for outcome, runs in estimates.groupby("outcome"):
        expected = runs["truth_all"].mean()
        measures = {
            "ATT of all visited": runs["truth_all"],
            "ATT of matched visited": runs["truth_matched"],
            "naive bias": runs["naive"] - runs["truth_all"],
            "bias": runs["estimate"] - runs["truth_matched"],
            "std_error": runs["std_error"],
            "coverage of its truth": runs["truth_matched"].between(runs["ci_low"], runs["ci_high"]),
            "coverage of the expected ATT": (runs["ci_low"] <= expected)
            & (expected <= runs["ci_high"]),
            "share matched": runs["share_matched"],
        }
        row: dict[str, object] = {"outcome": outcome, "seeds": len(runs)}
        for name, values in measures.items():
            row[name] = values.mean()
            row[f"{name} (MC SE)"] = values.astype(float).std() / np.sqrt(len(runs))
        row["empirical SE"] = (runs["estimate"] - runs["truth_matched"]).std()
        rows.append(row)
    return pd.DataFrame(rows).set_index("outcome")


def failures(runs: Sequence[Recovery]) -> list[str]:
    """Say in which ways the truth was not recovered; nothing if it was."""
    found = [
        f"{name}: {count} student-years are not what the simulation made"
        for name in runs[0].mismeasured
        if (count := sum(run.mismeasured[name] for run in runs))
    ]
    for outcome, row in summarize(pd.concat([run.estimates for run in runs])).iterrows():
        z = row["bias"] / row["bias (MC SE)"]
        if not abs(z) <= LARGEST_Z:
            found.append(
                f"{outcome}: bias {row['bias']:+.4f} is {z:+.1f} Monte Carlo errors from 0"
            )
    return found


def run(seeds: Sequence[int], preset: str, defect: str, workers: int) -> list[Recovery]:
    """Recover many districts, in parallel processes."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    tasks = (joblib.delayed(recover)(seed, preset, defect) for seed in seeds)
    return list(joblib.Parallel(n_jobs=workers, verbose=1)(tasks))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--defect", default="", choices=("", *DEFECTS))
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--csv", type=Path, help="write the estimates of each seed here")
    chosen = parser.parse_args()
    start = time.perf_counter()
    seeds = range(chosen.first, chosen.first + chosen.seeds)
    runs = run(seeds, chosen.preset, chosen.defect, chosen.workers)
    estimates = pd.concat([one.estimates for one in runs])
    if chosen.csv:
        estimates.to_csv(chosen.csv, index=False)
    print(summarize(estimates).T.to_string(float_format="{:.5f}".format))
    print("failures:", failures(runs) or "none")
    print(f"{time.perf_counter() - start:.0f} seconds, {chosen.workers} processes")


if __name__ == "__main__":
    main()
