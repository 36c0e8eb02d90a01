"""Students and families: who they are, and the lasting traits behind what they do."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.synthetic.draws import Draw, Draws, normal
from homevisit_eval.synthetic.population import RACES, Families
from homevisit_eval.synthetic.schools import Schools

__all__ = [
    "RACES",
    "Students",
    "household_ids",
    "new_students",
    "no_students",
    "student_ids",
    "student_table",
]

FAMILY_SHARE = 0.3
FARTHEST_COHORT = 12

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
    at_risk_share
        That of the school where the family entered.
    at_risk
        The lasting status, before yearly changes.
    low_income
        Economically disadvantaged whatever the school.
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
    at_risk_share: Floats
    at_risk: Booleans
    low_income: Booleans
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
    kinds: dict[str, str] = {"household": "i8", "birth": "datetime64[D]", "race": "i8"}
    kinds |= dict.fromkeys(("male", "at_risk", "low_income", "language_at_home"), "?")
    return Students(*(np.empty(0, kinds.get(column.name, "f8")) for column in fields(Students)))


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
    families: Families,
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
        at-risk status, income, language at home, and a part of each trait.
    """
    n = len(school)
    stream = draws.stream(Draw.HOUSEHOLDS, school_year)
    sibling = _siblings_of(stream, school, sibling_share, enrolled[1])
    first = int(existing.household.max()) + 1 if len(existing) else 0
    share = schools.at_risk_share[school]
    odds = np.where((grade > 0) & (len(existing) > 0), families.newcomer_at_risk, 1.0)
    chance = odds * share / (1 - share + odds * share)
    new = _founded(families, first, (share, chance), school_year - grade, draws)
    donor = np.where(sibling < 0, len(enrolled[0]) + np.arange(n), sibling)
    family = {
        name: np.concatenate([getattr(existing, name)[enrolled[0]], values])[donor]
        for name, values in new.items()
    }
    stream = draws.stream(Draw.NEW_STUDENTS, school_year)
    birth = _births(families, grade, school_year, stream)
    own = normal(stream, (4, n))
    traits = np.sqrt(FAMILY_SHARE) * _family_traits(family["household"], draws).T
    absence, behavior, math, reading = _correlated(traits + np.sqrt(1 - FAMILY_SHARE) * own)
    return Students(
        **family,
        birth=birth,
        male=stream.random(n) < families.boys,
        proficiency=stream.random(n),
        disposition=stream.random(n),
        absence=absence,
        behavior=behavior,
        ability_math=math,
        ability_reading=reading,
    )


def _births(
    families: Families, grade: Integers, school_year: int, stream: np.random.Generator
) -> NDArray[np.datetime64]:
    """Return dates of birth: a child turns 5 by 30 September of kindergarten."""
    age_days = np.floor(stream.random(len(grade)) * 365).astype(np.int64)
    older = (stream.random(len(grade)) < families.older) & (grade > 0)
    born, which = np.unique(school_year - 1 - (grade + 5) - older, return_inverse=True)
    cutoff = np.array([f"{calendar_year}-09-30" for calendar_year in born], "datetime64[D]")
    return np.asarray(cutoff[which] - age_days.astype("timedelta64[D]"))


def _family_traits(household: Integers, draws: Draws) -> Floats:
    """Return what a household's members share of each trait, the same whenever drawn."""
    largest = int(household.max()) + 1 if household.size else 0
    return normal(draws.stream(Draw.HOUSEHOLDS, 1), (largest, 4))[household]


def _founded(
    families: Families, first: int, risk: tuple[Floats, Floats], cohort: Integers, draws: Draws
) -> dict[str, NDArray[Any]]:
    """Return what the members of a family share, by name, of households `first` and following.

    Parameters
    ----------
    risk
        Shape (n,) each: the share at risk of the school that each enters, and the chance of
        being at risk.
    cohort
        Shape (n,), school year minus grade.
    """
    share, chance = risk
    n = len(share)
    uniform = draws.stream(Draw.HOUSEHOLDS).random((first + n, 4))[first:]
    at_risk = uniform[:, 0] < chance
    limits = np.cumsum(race_weights(families, share, at_risk, cohort), axis=1)
    race = (uniform[:, 1, None] * limits[:, -1:] > limits[:, :-1]).sum(axis=1)
    return {
        "household": first + np.arange(n),
        "race": race,
        "at_risk_share": share,
        "at_risk": at_risk,
        "low_income": at_risk | (uniform[:, 3] < families.low_income),
        "language_at_home": uniform[:, 2] < np.array(families.language_at_home)[race],
    }


def race_weights(families: Families, share: Floats, at_risk: Booleans, cohort: Integers) -> Floats:
    """Return the weights of the codes of race/ethnicity, shape (n, 7)."""
    near = ((1 - share) ** families.race_curve)[:, None]
    affluent, other = np.array(families.race_affluent), np.array(families.race_other)
    weight = np.where(at_risk[:, None], families.race_at_risk, near * affluent + (1 - near) * other)
    since = np.clip(cohort - families.trend_from, -FARTHEST_COHORT, FARTHEST_COHORT)
    weight[:, RACES.index("hispanic")] *= np.exp(families.hispanic_trend * since)
    weight[:, RACES.index("white")] *= np.exp(families.white_trend * since)
    return np.asarray(weight, dtype=np.float64)


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
