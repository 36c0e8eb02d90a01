"""Students and families: who they are, and the lasting traits behind what they do."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.synthetic.draws import Draw, Draws, normal
from homevisit_eval.synthetic.schools import Schools

__all__ = ["Students", "household_ids", "new_students", "no_students", "student_ids", "student_table"]

RACES = (
    "black", "hispanic", "white", "asian", "two_or_more", "american_indian", "pacific_islander",
)  # fmt: skip
WITHOUT_RISK = (0.30, 0.16, 0.38, 0.07, 0.08, 0.005, 0.005)
WITH_RISK = (0.80, 0.17, 0.01, 0.01, 0.008, 0.001, 0.001)
LANGUAGE_AT_HOME = np.array([0.02, 0.55, 0.05, 0.45, 0.04, 0.05, 0.2])
FAMILY_SHARE = 0.3
OLDER = 0.04

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Students:
    """All students ever enrolled, shape (N,) each.

    Parameters
    ----------
    household
        Number of the household.
    birth
        Dates.
    male
        0/1.
    race
        Positions in `RACES`.
    at_risk
        The lasting status, before yearly changes.
    language_at_home
        Whether another language than English is spoken at home.
    proficiency, disposition
        Uniform numbers that decide when a student stops being an English learner, and whether
        and from which grade a disability is identified.
    absence, behavior, ability_math, ability_reading
        Lasting traits, standard normal; nobody measures them.
    """

    household: Integers
    birth: NDArray[np.datetime64]
    male: Booleans
    race: Integers
    at_risk: Booleans
    language_at_home: Booleans
    proficiency: Floats
    disposition: Floats
    absence: Floats
    behavior: Floats
    ability_math: Floats
    ability_reading: Floats

    def __len__(self) -> int:
        """Return the number of students."""
        return len(self.household)

    def joined(self, other: Students) -> Students:
        """Return these students followed by `other`."""
        columns = [
            np.concatenate([getattr(self, column.name), getattr(other, column.name)])
            for column in fields(self)
        ]
        return Students(*columns)


def no_students() -> Students:
    """Return an empty set of students."""
    real, whole, truth = np.empty(0), np.empty(0, np.int64), np.empty(0, np.bool_)
    birth = np.empty(0, "datetime64[D]")
    return Students(whole, birth, truth, whole, truth, truth, real, real, real, real, real, real)


def _siblings_of(
    stream: np.random.Generator, school: Integers, share: float, pool: Integers
) -> Integers:
    """Return for each new student the position in pool-then-new of a sibling, or -1.

    `pool` holds the schools of students who are already there. New students who join no
    family are in the pool as well.
    """
    joins = stream.random(len(school)) < share
    everyone = np.concatenate([pool, np.where(joins, -1, school)])
    order = np.argsort(everyone, kind="stable")
    start = np.searchsorted(everyone[order], school, side="left")
    count = np.searchsorted(everyone[order], school, side="right") - start
    pick = start + np.floor(stream.random(len(school)) * count).astype(np.int64)
    chosen = order[np.minimum(pick, len(order) - 1)]
    return np.where(joins & (count > 0), chosen, -1)


def new_students(
    school: Integers,
    grade: Integers,
    school_year: int,
    *,
    schools: Schools,
    existing: Students,
    enrolled: tuple[Integers, Integers],
    sibling_share: float,
    draws: Draws,
) -> Students:
    """Return students who enter the district: one for each element of `school` and `grade`.

    Parameters
    ----------
    school, grade
        Shape (n,).
    existing
        Students who are known already.
    enrolled
        Positions in `existing` of those enrolled this year, and their schools: a new student
        may be the sibling of one of them, and then shares household, race and ethnicity,
        at-risk status, language at home, and a part of each trait.
    """
    n = len(school)
    stream = draws.stream(Draw.HOUSEHOLDS, school_year)
    sibling = _siblings_of(stream, school, sibling_share, enrolled[1])
    first = int(existing.household.max()) + 1 if len(existing) else 0
    household = first + np.arange(n)
    old = (sibling >= 0) & (sibling < len(enrolled[0]))
    household[old] = existing.household[enrolled[0][sibling[old]]]
    new = sibling >= len(enrolled[0])
    household[new] = first + sibling[new] - len(enrolled[0])
    family = _Family(household, schools.at_risk_share[school], draws)
    stream = draws.stream(Draw.NEW_STUDENTS, school_year)
    age_days = np.floor(stream.random(n) * 365).astype(np.int64)
    older = (stream.random(n) < OLDER) & (grade > 0)
    born = school_year - 1 - (grade + 5) - older
    cutoff = np.array([f"{calendar_year}-09-30" for calendar_year in born], "datetime64[D]")
    birth = cutoff - age_days.astype("timedelta64[D]")
    own = normal(stream, (4, n))
    traits = np.sqrt(FAMILY_SHARE) * family.traits + np.sqrt(1 - FAMILY_SHARE) * own
    absence, behavior, math, reading = _correlated(traits)
    return Students(
        household,
        birth,
        stream.random(n) < 0.51,
        family.race,
        family.at_risk,
        family.language_at_home,
        stream.random(n),
        stream.random(n),
        absence,
        behavior,
        math,
        reading,
    )


class _Family:
    """What a household's members share: functions of its number, the same whenever drawn."""

    __slots__ = ("at_risk", "language_at_home", "race", "traits")

    def __init__(self, household: Integers, at_risk_share: Floats, draws: Draws) -> None:
        largest = int(household.max()) + 1 if household.size else 0
        uniform = draws.stream(Draw.HOUSEHOLDS).random((largest, 3))[household]
        self.traits = normal(draws.stream(Draw.HOUSEHOLDS, 1), (largest, 4))[household].T
        self.at_risk = uniform[:, 0] < at_risk_share
        limits = np.cumsum([WITHOUT_RISK, WITH_RISK], axis=1)[self.at_risk.astype(np.int64)]
        race = (uniform[:, 1, None] > limits[:, :-1]).sum(axis=1)
        self.race = race.astype(np.int64)
        self.language_at_home = uniform[:, 2] < LANGUAGE_AT_HOME[self.race]


def _correlated(z: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Turn four independent normals into absence, behavior, math and reading traits."""
    absence = z[0]
    behavior = 0.40 * z[0] + np.sqrt(1 - 0.40**2) * z[1]
    math = -0.25 * z[0] - 0.15 * z[1] + np.sqrt(1 - 0.25**2 - 0.15**2) * z[2]
    reading = 0.75 * math + np.sqrt(1 - 0.75**2) * z[3]
    return absence, behavior, math, reading


def student_ids(count: int) -> NDArray[np.object_]:
    """Return `count` identifiers: SYN00001 and so on."""
    width = max(5, len(str(count)))
    return np.array([f"SYN{number:0{width}d}" for number in range(1, count + 1)], dtype=object)


def household_ids(students: Students) -> NDArray[np.object_]:
    """Return the identifier of each student's household: H00001 and so on."""
    household = np.unique(students.household, return_inverse=True)[1]
    width = max(5, len(str(len(students))))
    names = [f"H{number + 1:0{width}d}" for number in range(household.max() + 1)]
    return np.array(names, dtype=object)[household]


def student_table(students: Students, ids: NDArray[np.object_]) -> pd.DataFrame:
    """Return one row per student."""
    return pd.DataFrame(
        {
            "student_id": ids,
            "birth_date": students.birth.astype("datetime64[s]"),
            "sex": np.where(students.male, "male", "female").astype(object),
            "race_ethnicity": np.array(RACES, dtype=object)[students.race],
            "household_id": household_ids(students),
        }
    )
