"""Synthetic districts for tests: one small one of seed 1, made once, and tiny parameters."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pandas as pd

from homevisit_eval.synthetic import District, SchoolMix, Simulation, preset, simulate

__all__ = ["baseline_and_outcome", "small", "student_years", "tiny"]


@cache
def small() -> Simulation:
    return simulate("small", seed=1)


@cache
def student_years(seeds: int) -> pd.DataFrame:
    """Return the student-years of the first seeds, for moments that one seed leaves noisy."""
    parts = [simulate("small", seed, tables=()).student_years for seed in range(1, seeds + 1)]
    return pd.concat(parts, keys=range(1, seeds + 1), names=["seed"]).reset_index("seed")


def tiny(name: str = "tiny") -> District:
    """Return two schools and two school years."""
    mix = SchoolMix(elementary=2, students=260, program_share=(0.5, 0.5))
    return replace(
        preset("small"), name=name, school_years=(2014, 2015), schools=mix, truth_years=(2015,)
    )


def baseline_and_outcome(years: pd.DataFrame) -> pd.DataFrame:
    """Join each student-year of grades 1 to 5 from 2015 on to the student's year before."""
    before = years.assign(school_year=years["school_year"] + 1)
    before = before.drop(columns=["grade", "visited_before_year"])
    joined = years.merge(before, on=["seed", "student_id", "school_year"], suffixes=("", "_prior"))
    eligible = joined["grade"].between(1, 5) & joined["school_id"].notna()
    return joined[eligible & (joined["days_enrolled_prior"] >= 20)]
