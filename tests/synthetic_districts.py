"""Synthetic districts for tests: one small one of seed 1, made once, and tiny parameters."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pandas as pd

from homevisit_eval.synthetic import (
    Attendance,
    Discipline,
    District,
    Mobility,
    SchoolMix,
    Selection,
    Simulation,
    VisitEffects,
    preset,
    simulate,
)

__all__ = ["baseline_and_outcome", "shrunken", "small", "strong", "student_years", "tiny"]


@cache
def small() -> Simulation:
    return simulate("small", seed=1)


@cache
def student_years(seeds: int, name: str = "small") -> pd.DataFrame:
    """Return the student-years of the first seeds, for moments that one seed leaves noisy."""
    made = (simulate(name, seed, tables=(), outcomes=()) for seed in range(1, seeds + 1))
    parts = [one.student_years for one in made]
    return pd.concat(parts, keys=range(1, seeds + 1), names=["seed"]).reset_index("seed")


def tiny(name: str = "tiny") -> District:
    """Return two schools and two school years."""
    mix = SchoolMix(elementary=2, students=260, program_share=(0.5, 0.5))
    return replace(
        preset("small"), name=name, school_years=(2014, 2015), schools=mix, truth_years=(2015,)
    )


def strong() -> District:
    """Return two school years in which everything that expected outcomes depend on matters.

    Both schools visit, before and during the year; effects are large, differ between schools, last,
    and reach classmates; many students change school, come late or leave early.
    """
    return replace(
        tiny("strong"),
        schools=SchoolMix(elementary=2, students=240, program_share=(1.0, 1.0)),
        mobility=Mobility(late_entry=0.2, leave_during=0.1, transfer_during=0.15),
        attendance=Attendance(intercept=-2.4, partial=0.06, precision=12.0),
        discipline=Discipline(intercept=-1.4, shape=0.8),
        selection=Selection(
            intercept=-0.8, during=(0.15, 0.15), during_incident=0.3, during_absence=0.5
        ),
        effects=VisitEffects(
            attendance=0.4, incidents=0.9, math=0.4, reading=0.3, school_sd=0.3,
            lasting=0.5, classmates=0.6,
        ),
    )  # fmt: skip


def shrunken(name: str, students: int = 240) -> District:
    """Return a preset with few schools, and otherwise its parameters."""
    district = preset(name)
    mix, years = district.schools, district.school_years
    if name == "dcps":
        mix = replace(mix, early=1, elementary=2, k8=1, middle=1, enrollment=())
        return replace(district, schools=replace(mix, students=2 * students))
    if name == "state":
        mix = replace(mix, early=1, elementary=2, k8=1, middle=1)
        return replace(district, schools=replace(mix, students=2 * students))
    share = (0.5,) * len(years)
    mix = replace(mix, elementary=2, students=students, program_share=share)
    return replace(district, schools=mix)


def baseline_and_outcome(years: pd.DataFrame) -> pd.DataFrame:
    """Join each student-year of grades 1 to 5 from 2015 on to the student's year before."""
    before = years.assign(school_year=years["school_year"] + 1)
    before = before.drop(columns=["grade", "visited_before_year"])
    joined = years.merge(before, on=["seed", "student_id", "school_year"], suffixes=("", "_prior"))
    eligible = joined["grade"].between(1, 5) & joined["school_id"].notna()
    return joined[eligible & (joined["days_enrolled_prior"] >= 20)]
