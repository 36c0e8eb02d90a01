"""What the calibrated district aims at, and what it obtains: the calibration table.

A group of targets has a function of its own that measures the same moments, by the same names,
in a simulated district.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from homevisit_eval.synthetic.calendars import make_calendar
from homevisit_eval.synthetic.characteristics import make_status
from homevisit_eval.synthetic.draws import Draws
from homevisit_eval.synthetic.enrollment import enroll
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.schools import make_schools, school_table
from homevisit_eval.synthetic.simulate import Simulation
from homevisit_eval.synthetic.students import RACES, no_students

__all__ = [
    "OUTCOME_TARGETS",
    "POPULATION_TARGETS",
    "Population",
    "Target",
    "calibration_table",
    "make_population",
    "outcome_moments",
    "population_moments",
]

AUDIT = "published: audited enrollment"
ALL_STUDENTS = "published: all DCPS students, high schools included"
SCHOOL_DATA = "published: DCPS schools, 2014-15"
PROGRAM = "published: schools with home visits"
ASSUMPTION = "assumption"
STUDY = "published adjusted mean, read as an expected outcome"
SUMMARIES = "published summaries of the study"
VISITS = "published: visits made"
USUAL = "assumption: usual in such districts"

SCHOOLS_YEAR = 2015
QUANTILES = (0.10, 0.25, 0.50, 0.75, 0.90)


@dataclass(frozen=True, slots=True)
class Target:
    """One moment that the calibrated district should have.

    Parameters
    ----------
    name
        As printed, and the key of the moment obtained.
    target, tolerance
        Obtained moments lie within `tolerance` of `target`; in the same unit, shares are
        fractions.
    source
        Where the target is from.
    """

    name: str
    target: float
    tolerance: float
    source: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Population:
    """A district's students and schools without anything that happens to them.

    Parameters
    ----------
    students
        One row per student-year with the panel's ``student_id`` (a number here), ``school_year,
        grade, school_id, sex, race_ethnicity, at_risk, english_learner, disability, homeless,
        economically_disadvantaged``.
    schools
        The table of schools.
    """

    students: pd.DataFrame
    schools: pd.DataFrame

    def __repr__(self) -> str:
        """Show sizes, never rows."""
        return (
            f"Population(synthetic data: {len(self.students):,} student-years; "
            f"schools: {self.schools['school_id'].nunique()})"
        )


def make_population(district: District, seed: int) -> Population:
    """Return the schools and students that a simulation with this seed has."""
    draws = Draws(seed)
    schools = make_schools(district, draws)
    everyone, last, parts = no_students(), None, []
    for school_year in district.school_years:
        calendar = make_calendar(district, school_year, len(schools.ids), draws)
        everyone, last = enroll(district, schools, calendar, everyone, last=last, draws=draws)
        status, who = make_status(district, schools, everyone, last, draws), last.student
        school = schools.ids[last.school]
        school[~last.at_time_zero] = None
        part = pd.DataFrame(
            {
                "student_id": who,
                "school_year": school_year,
                "grade": np.maximum(last.grade, -1),
                "school_id": school,
                "sex": np.where(everyone.male[who], "male", "female"),
                "race_ethnicity": np.array(RACES, dtype=object)[everyone.race[who]],
                "at_risk": status.at_risk.astype(np.int64),
                "english_learner": status.english_learner.astype(np.int64),
                "disability": status.disability.astype(np.int64),
                "homeless": status.homeless.astype(np.int64),
                "economically_disadvantaged": status.economically_disadvantaged.astype(np.int64),
            }
        )
        parts.append(part)
    return Population(
        pd.concat(parts, ignore_index=True), school_table(schools, district.school_years)
    )


def _enrollment_targets() -> list[Target]:
    counts = {
        2014: (4113, 3688, 3460, 3059, 2846),
        2015: (4143, 4101, 3626, 3349, 2789),
        2016: (4163, 4109, 4085, 3596, 3106),
        2017: (4181, 3996, 4044, 3961, 3267),
    }
    return [
        Target(f"{year}: students in grade {grade}", count, 0, AUDIT)
        for year, row in counts.items()
        for grade, count in enumerate(row, start=1)
    ]


def _share_targets() -> list[Target]:
    names = ("Black", "Hispanic", "white", "other race/ethnicity", "disability", "English learner")
    shares = {
        2014: (0.68, 0.16, 0.12, 0.04, 0.15, 0.10),
        2015: (0.67, 0.17, 0.12, 0.04, 0.16, 0.10),
        2016: (0.64, 0.18, 0.13, 0.04, 0.15, 0.11),
        2017: (0.62, 0.20, 0.14, 0.04, 0.14, 0.12),
    }
    targets = [
        Target(f"{year}: {name}", share, 0.03, ALL_STUDENTS)
        for year, row in shares.items()
        for name, share in zip(names, row, strict=True)
    ]
    for year, share in ((2016, 0.78), (2017, 0.77)):
        name = f"{year}: economically disadvantaged"
        targets.append(Target(name, share, 0.03, ALL_STUDENTS))
    return targets


def _school_targets() -> list[Target]:
    at = (0.04, 0.20, 0.54, 0.73, 0.78)
    share = "elementary schools: share at risk"
    return [
        Target("elementary schools", 59, 0, SCHOOL_DATA),
        Target("elementary schools: mean enrollment", 386, 12, SCHOOL_DATA),
        Target("elementary schools: smallest enrollment", 168, 40, SCHOOL_DATA),
        Target("elementary schools: largest enrollment", 700, 100, SCHOOL_DATA),
        Target(f"{share}, mean", 0.484, 0.03, SCHOOL_DATA),
        Target(f"{share}, SD", 0.278, 0.02, SCHOOL_DATA),
        *(
            Target(f"{share}, {100 * q:.0f} % quantile", value, 0.05, SCHOOL_DATA)
            for q, value in zip(QUANTILES, at, strict=True)
        ),
        Target(f"{share} under 10 %", 12, 3, SCHOOL_DATA),
        Target(f"{share} 70 to 80 %", 18, 5, SCHOOL_DATA),
        Target("2013: schools in FEP or FEC", 43, 1, PROGRAM),
        Target("2017: schools in FEP or FEC", 31, 1, PROGRAM),
        Target("boys", 0.51, 0.01, ASSUMPTION),
    ]


POPULATION_TARGETS = (*_enrollment_targets(), *_share_targets(), *_school_targets())
"""Enrollment is counted at the start of a year, and of the schools of 2015 by school."""


_VISITED = "visited before the year, grades 1 to 5"
OUTCOME_TARGETS = (
    Target(f"{_VISITED}: student-years, 2015 to 2017", 2000, 200, SUMMARIES),
    Target(f"{_VISITED}: any incident with the visit", 0.0927, 0.006, STUDY),
    Target(f"{_VISITED}: any incident without it", 0.1222, 0.006, STUDY),
    Target(f"{_VISITED}: any incident, effect", -0.0295, 0.002, STUDY),
    Target(f"{_VISITED}: attendance rate with the visit", 0.9528, 0.0015, STUDY),
    Target(f"{_VISITED}: attendance rate without it", 0.9493, 0.0015, STUDY),
    Target(f"{_VISITED}: attendance rate, effect", 0.0035, 0.0003, STUDY),
    Target(f"{_VISITED}: attendance rate, SD", 0.055, 0.006, USUAL),
    Target(f"{_VISITED}: any serious incident, effect", -0.010, 0.002, SUMMARIES),
    Target(f"{_VISITED}: mathematics, effect (SD)", 0.11, 0.010, SUMMARIES),
    Target(f"{_VISITED}: reading, effect (SD)", 0.03, 0.005, SUMMARIES),
    Target("2016: visits made, pre-K to grade 8", 12_095, 600, VISITS),
    Target("2018: visits made, pre-K to grade 8", 13_000, 650, VISITS),
    Target("grades 1 to 5: correlation of attendance between years", 0.6, 0.05, USUAL),
    Target("grades 4 to 8: correlation of mathematics between years", 0.8, 0.03, USUAL),
    Target("any incident: boys relative to girls", 1.7, 0.1, "published: all DC schools"),
)
"""Of students eligible under the default design; "almost 13,000" is read as 13,000."""

FEWEST_DAYS = 20


def population_moments(students: pd.DataFrame, schools: pd.DataFrame) -> dict[str, float]:
    """Return the moments of `POPULATION_TARGETS`, by name, and those of further years.

    Parameters
    ----------
    students
        Student-years with the panel's columns, as `Population` has them. Without
        ``economically_disadvantaged`` its moments are left out.
    schools
        The table of schools.
    """
    present = students[students["school_id"].notna()]
    moments: dict[str, float] = {"boys": float((present["sex"] == "male").mean())}
    counts = present.groupby(["school_year", "grade"], as_index=False).size()
    for year, grade, count in counts.itertuples(index=False):
        moments[f"{year}: students in grade {grade}"] = int(count)
    takes_part = (schools["fep"] == 1) | (schools["fec"] == 1)
    for year in sorted(int(year) for year in present["school_year"].unique()):
        shares = _shares(present[present["school_year"] == year])
        moments |= {f"{year}: {name}": share for name, share in shares.items()}
        count = takes_part[schools["school_year"] == year].sum()
        moments[f"{year}: schools in FEP or FEC"] = int(count)
    levels = schools.drop_duplicates("school_id").set_index("school_id")["school_level"]
    rows = present[present["school_id"].map(levels) == "elementary"]
    return moments | _elementary(rows[rows["school_year"] == SCHOOLS_YEAR])


def _shares(rows: pd.DataFrame) -> dict[str, float]:
    race = rows["race_ethnicity"].value_counts(normalize=True)
    named = {name: float(race.get(name.lower(), 0)) for name in ("Black", "Hispanic", "white")}
    flags = {"disability": "disability", "English learner": "english_learner", "at risk": "at_risk"}
    if "economically_disadvantaged" in rows:
        flags["economically disadvantaged"] = "economically_disadvantaged"
    measured = {name: float(rows[column].mean()) for name, column in flags.items()}
    return named | {"other race/ethnicity": 1 - sum(named.values())} | measured


def _elementary(rows: pd.DataFrame) -> dict[str, float]:
    """Return the moments over elementary schools of one year."""
    by_school = rows.groupby("school_id")["at_risk"]
    size, share = by_school.size(), by_school.mean()
    if share.empty:
        return {}
    prefix = "elementary schools"
    moments = {
        prefix: len(size),
        f"{prefix}: mean enrollment": float(size.mean()),
        f"{prefix}: smallest enrollment": int(size.min()),
        f"{prefix}: largest enrollment": int(size.max()),
        f"{prefix}: share at risk, mean": float(share.mean()),
        f"{prefix}: share at risk, SD": float(share.std()),
        f"{prefix}: share at risk under 10 %": int((share < 0.10).sum()),
        f"{prefix}: share at risk 70 to 80 %": int(share.between(0.70, 0.80).sum()),
    }
    for q in QUANTILES:
        name = f"{prefix}: share at risk, {100 * q:.0f} % quantile"
        moments[name] = float(share.quantile(q))
    return moments


def outcome_moments(simulation: Simulation) -> dict[str, float]:
    """Return the moments of `OUTCOME_TARGETS`, by name.

    Parameters
    ----------
    simulation
        With the table ``visits`` and the truth of all outcomes but chronic absence.
    """
    years, truth = simulation.student_years, simulation.truth
    key = ["student_id", "school_year"]
    before = years.assign(school_year=years["school_year"] + 1)
    both = years.merge(before, on=key, suffixes=("", "_prior"))
    visits = simulation.tables["visits"]
    made = visits.loc[visits["completed"] == 1, "date"]
    by_year = (made.dt.year + (made.dt.month >= 7)).value_counts()
    grade = both["grade"]
    young, tested = both[grade.between(1, 5)], both[grade.between(4, 8)]
    share = years[years["grade"].between(1, 5)].groupby("sex")["any_incident"].mean()
    return _visited_moments(both.merge(truth, on=key, suffixes=("", "_of_truth"))) | {
        "2016: visits made, pre-K to grade 8": int(by_year.get(2016, 0)),
        "2018: visits made, pre-K to grade 8": int(by_year.get(2018, 0)),
        "grades 1 to 5: correlation of attendance between years": _correlation(
            young[(young["days_enrolled"] >= 90) & (young["days_enrolled_prior"] >= 90)],
            "attendance_rate",
        ),
        "grades 4 to 8: correlation of mathematics between years": _correlation(
            tested, "math_score_std"
        ),
        "any incident: boys relative to girls": float(share["male"] / share["female"]),
    }


def _visited_moments(rows: pd.DataFrame) -> dict[str, float]:
    """Return the moments of visited student-years that are eligible under the default design."""
    eligible = rows["school_id"].notna() & (rows["days_enrolled_prior"] >= FEWEST_DAYS)
    rows = rows[eligible & (rows["visited_before_year"] == 1)]
    observed = rows[rows["days_enrolled"] >= FEWEST_DAYS]
    moments = {
        f"{_VISITED}: student-years, 2015 to 2017": len(rows),
        f"{_VISITED}: attendance rate, SD": float(observed["attendance_rate"].std()),
    }
    for label, name in (("any incident", "any_incident"), ("attendance rate", "attendance_rate")):
        one, zero = observed[f"{name}_m1"].mean(), observed[f"{name}_m0"].mean()
        moments[f"{_VISITED}: {label} with the visit"] = float(one)
        moments[f"{_VISITED}: {label} without it"] = float(zero)
    for label, name in (
        ("any incident", "any_incident"),
        ("attendance rate", "attendance_rate"),
        ("any serious incident", "any_serious_incident"),
        ("mathematics", "math_score_std"),
        ("reading", "reading_score_std"),
    ):
        effect = float((observed[f"{name}_m1"] - observed[f"{name}_m0"]).mean())
        unit = " (SD)" if name.endswith("std") else ""
        moments[f"{_VISITED}: {label}, effect{unit}"] = effect
    return moments


def _correlation(rows: pd.DataFrame, name: str) -> float:
    return float(rows[name].corr(rows[f"{name}_prior"]))


def calibration_table(targets: Iterable[Target], moments: Mapping[str, float]) -> pd.DataFrame:
    """Return one row per target: ``name, target, obtained, tolerance, within, source``.

    A moment that was not obtained is missing, and not within.
    """
    table = pd.DataFrame(
        {
            "name": target.name,
            "target": target.target,
            "obtained": moments.get(target.name, np.nan),
            "tolerance": target.tolerance,
            "source": target.source,
        }
        for target in targets
    )
    off = (table["obtained"] - table["target"]).abs()
    table.insert(4, "within", off <= table["tolerance"] + 1e-12)
    return table
