"""Schools: sizes, grades, at-risk shares, program participation and effects of the school."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.synthetic.draws import Draw, Draws, normal
from homevisit_eval.synthetic.parameters import District

__all__ = ["LOWEST_GRADE", "Schools", "make_schools", "school_table"]

LOWEST_GRADE = -2
GRADES = 11
ELEMENTARY_END = 5
LEVELS = ("early", "elementary", "k8", "middle")
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Schools:
    """All schools of a district: S schools, Y school years, 11 grades (pre-K twice, K to 8).

    Parameters
    ----------
    ids
        Shape (S,), texts.
    school_level
        Shape (S,), positions in `LEVELS`.
    lowest, highest
        Shape (S,), grades.
    at_risk_share
        Shape (S,).
    places
        Shape (S, 11), students a grade at the start of a year.
    fep, fec, early_childhood
        Shape (S, Y), participation.
    attendance, discipline, achievement
        Shape (S, Y), effects of the school in that year on the logit of absence, on the
        logarithm of incidents, on scores: independent of participation.
    uptake
        Shape (S, Y), how eagerly the school visits: of no consequence for outcomes.
    response
        Shape (S,), standard normal, how much the school's students gain from visits.
    """

    ids: NDArray[np.object_]
    school_level: Integers
    lowest: Integers
    highest: Integers
    at_risk_share: Floats
    places: Integers
    fep: Booleans
    fec: Booleans
    early_childhood: Booleans
    attendance: Floats
    discipline: Floats
    achievement: Floats
    uptake: Floats
    response: Floats

    @property
    def program_years(self) -> Integers:
        """Shape (S, Y), how many years up to each the school has been in the program; 0 outside."""
        takes_part = self.fep | self.fec
        return np.asarray(np.cumsum(takes_part, axis=1) * takes_part)


def _grades(district: District) -> tuple[Integers, Integers, Integers]:
    mix = district.schools
    level = np.repeat(np.arange(4), (mix.early, mix.elementary, mix.k8, mix.middle))
    lowest = np.array([-2, 0, -2, 6])[level]
    turns = np.arange(mix.elementary) % len(mix.elementary_lowest)
    lowest[level == 1] = np.array(mix.elementary_lowest)[turns]
    return level, lowest, np.array([0, 5, 8, 8])[level]


def _at_risk_shares(district: District, count: int, stream: np.random.Generator) -> Floats:
    """Draw bimodal shares: a fixed number of schools in each mode, which ones at random."""
    mix = district.schools
    order = np.argsort(stream.random(count), kind="stable")
    low = np.zeros(count, dtype=np.bool_)
    low[order[: round(mix.low_share * count)]] = True
    z = normal(stream, count)
    share = np.where(low, mix.low_mean + mix.low_sd * z, mix.high_mean + mix.high_sd * z)
    return np.clip(share, 0.02, 0.92)


def _places(
    district: District, lowest: Integers, highest: Integers, stream: np.random.Generator
) -> Integers:
    size = np.exp(district.schools.size_sd * np.clip(normal(stream, len(lowest)), -2, 2))
    size = np.where(lowest > ELEMENTARY_END, district.schools.middle_size, 1) * size
    grade = np.arange(GRADES) + LOWEST_GRADE
    served = (grade >= lowest[:, None]) & (grade <= highest[:, None])
    share = served * size[:, None] * (1 + 0.05 * normal(stream, served.shape))
    places = np.rint(district.schools.students * share / share.sum())
    return np.where(served, np.maximum(places, 4), 0).astype(np.int64)


def _participation(
    district: District, share: Floats, has_pre_k: Booleans, draws: Draws
) -> tuple[Booleans, Booleans, Booleans]:
    """Draw who takes part: fixed numbers of schools, likelier where more are at risk."""
    mix, count, years = district.schools, len(share), len(district.school_years)
    stream = draws.stream(Draw.PARTICIPATION)
    race = -np.log(1 - stream.random(count)) / np.exp(mix.program_at_risk * share)
    rank = np.argsort(np.argsort(race, kind="stable"), kind="stable")
    wanted = np.rint(np.array(mix.program_share[:years]) * count)
    takes_part = rank[:, None] < np.maximum(wanted, 1)
    collaborative = stream.random(count) < mix.collaborative_share
    early = has_pre_k & (stream.random(count) < mix.early_childhood_share)
    return (
        takes_part & ~collaborative[:, None],
        takes_part & collaborative[:, None],
        np.repeat(early[:, None], years, axis=1),
    )


def make_schools(district: District, draws: Draws) -> Schools:
    """Return the schools of a district."""
    level, lowest, highest = _grades(district)
    count, years = len(level), len(district.school_years)
    stream = draws.stream(Draw.SCHOOLS)
    share = _at_risk_shares(district, count, stream)
    places = _places(district, lowest, highest, stream)
    parts = (district.attendance, district.discipline, district.achievement)
    spread = [(part.school_sd, part.school_year_sd) for part in parts]
    lasting = [sd * normal(stream, count)[:, None] for sd, _ in spread]
    stream = draws.stream(Draw.SCHOOL_YEARS)
    attendance, discipline, achievement = (
        low + sd * normal(stream, (count, years))
        for (_, sd), low in zip(spread, lasting, strict=True)
    )
    uptake = district.selection.uptake_sd * normal(stream, (count, years))
    fep, fec, early = _participation(district, share, lowest < 0, draws)
    width = max(2, len(str(count)))
    ids = np.array([f"S{number:0{width}d}" for number in range(1, count + 1)], dtype=object)
    return Schools(
        ids=ids,
        school_level=level,
        lowest=lowest,
        highest=highest,
        at_risk_share=share,
        places=places,
        fep=fep,
        fec=fec,
        early_childhood=early,
        attendance=attendance,
        discipline=discipline,
        achievement=achievement,
        uptake=uptake,
        response=normal(draws.stream(Draw.RESPONSE), count),
    )


def school_table(schools: Schools, school_years: tuple[int, ...]) -> pd.DataFrame:
    """Return one row per school and school year."""
    count, years = schools.fep.shape
    school = np.repeat(np.arange(count), years)
    return pd.DataFrame(
        {
            "school_id": schools.ids[school],
            "school_year": np.tile(school_years, count),
            "name": np.array([f"Synthetic School {n + 1}" for n in range(count)], object)[school],
            "school_level": np.array(LEVELS, dtype=object)[schools.school_level[school]],
            "fep": schools.fep.ravel().astype(np.int64),
            "fec": schools.fec.ravel().astype(np.int64),
            "early_childhood": schools.early_childhood.ravel().astype(np.int64),
        }
    )
