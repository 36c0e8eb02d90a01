"""Schools: sizes, grades, at-risk shares, program participation and effects of the school."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.special import ndtri

from homevisit_eval.synthetic.draws import Draw, Draws, normal
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.participation import participation
from homevisit_eval.synthetic.population import GRADES, LOWEST_GRADE

__all__ = ["GRADES", "LOWEST_GRADE", "Schools", "make_schools", "school_table", "share_out"]

LEVELS = ("early", "elementary", "k8", "middle")
SMALLEST, LARGEST = -2.4, 2.0
GRADE_SD = 0.05
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
        Shape (Y, S, 11), students a grade at the start of each year.
    fep, fec, early_childhood
        Shape (S, Y), participation.
    program_years
        Shape (S, Y), the number of years, up to that one, since the school joined FEP or FEC;
        0 outside.
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
    program_years: Integers
    attendance: Floats
    discipline: Floats
    achievement: Floats
    uptake: Floats
    response: Floats


def _grades(district: District) -> tuple[Integers, Integers, Integers]:
    mix = district.schools
    level = np.repeat(np.arange(4), (mix.early, mix.elementary, mix.k8, mix.middle))
    lowest = np.array([-2, 0, -2, 6])[level]
    turns = np.arange(mix.elementary) % len(mix.elementary_lowest)
    lowest[level == 1] = np.array(mix.elementary_lowest)[turns]
    return level, lowest, np.array([0, 5, 8, 8])[level]


def _evenly(stream: np.random.Generator, level: Integers) -> Floats:
    """Return numbers in (0, 1): one in each of n equal intervals for the n schools of a level."""
    result = np.empty(len(level))
    for value in np.unique(level):
        rows = np.flatnonzero(level == value)
        place = np.argsort(stream.random(len(rows)), kind="stable")
        result[rows] = (place + stream.random(len(rows))) / len(rows)
    return result


def _in_pairs(stream: np.random.Generator, level: Integers, share: Floats) -> Floats:
    """Return numbers in (0, 1), evenly spread over the schools of a level, for their sizes.

    Schools that follow each other in the share at risk get u and 1 - u, so that students of the
    district are not by chance much needier than its schools.
    """
    result = np.empty(len(level))
    for value in np.unique(level):
        rows = np.flatnonzero(level == value)
        rows = rows[np.argsort(share[rows], kind="stable")]
        pairs = (len(rows) + 1) // 2
        place = np.argsort(stream.random(pairs), kind="stable")
        first = (place + stream.random(pairs)) / pairs
        both = np.stack([first, 1 - first], axis=1).ravel()
        result[rows] = both[: len(rows)]
    return result


def _at_risk_shares(district: District, level: Integers, stream: np.random.Generator) -> Floats:
    """Draw shares at risk from the published quantiles, the whole shape in every district."""
    fraction, share = np.array(district.schools.at_risk_quantiles).T
    return np.asarray(PchipInterpolator(fraction, share)(_evenly(stream, level)), dtype=np.float64)


def share_out(weight: Floats, total: int) -> Integers:
    """Share `total` out in proportion to weights by largest remainders: whole numbers."""
    exact = weight * (total / weight.sum()) if total else np.zeros(weight.shape)
    whole = np.floor(exact).astype(np.int64)
    order = np.argsort((whole - exact).ravel(), kind="stable")
    whole.reshape(-1)[order[: total - int(whole.sum())]] += 1
    return whole


def _places(
    district: District,
    level: Integers,
    lowest: Integers,
    highest: Integers,
    *,
    share: Floats,
    stream: np.random.Generator,
) -> Integers:
    """Return the places of each school and grade in each year, which add up to the totals."""
    mix, grade = district.schools, np.arange(GRADES) + LOWEST_GRADE
    deviate = np.clip(ndtri(_in_pairs(stream, level, share)), SMALLEST, LARGEST)
    size = np.exp(mix.size_sd * deviate + mix.size_at_risk * (share - 0.5))
    size *= np.array([1, 1, mix.k8_size, mix.middle_size])[level]
    served = (grade >= lowest[:, None]) & (grade <= highest[:, None])
    weight = served * size[:, None] * (1 + GRADE_SD * normal(stream, served.shape))
    years = len(district.school_years)
    if not mix.enrollment:
        return np.repeat(share_out(weight, mix.students)[None], years, axis=0)
    totals = np.array(mix.enrollment[mix.rows(district.school_years)])
    totals = np.where(served.any(axis=0), totals, 0)
    columns = [[share_out(weight[:, at], int(row[at])) for at in range(GRADES)] for row in totals]
    return np.array(columns).transpose(0, 2, 1)


def make_schools(district: District, draws: Draws) -> Schools:
    """Return the schools of a district."""
    level, lowest, highest = _grades(district)
    count, years = len(level), len(district.school_years)
    stream = draws.stream(Draw.SCHOOLS)
    share = _at_risk_shares(district, level, stream)
    places = _places(district, level, lowest, highest, share=share, stream=stream)
    parts = (district.attendance, district.discipline, district.achievement)
    spread = [(part.school_sd, part.school_year_sd) for part in parts]
    lasting = [sd * normal(stream, count)[:, None] for sd, _ in spread]
    stream = draws.stream(Draw.SCHOOL_YEARS)
    attendance, discipline, achievement = (
        low + sd * normal(stream, (count, years))
        for (_, sd), low in zip(spread, lasting, strict=True)
    )
    uptake = district.selection.uptake_sd * normal(stream, (count, years))
    taking_part = participation(district, share, lowest < 0, draws)
    width = max(2, len(str(count)))
    ids = np.array([f"S{number:0{width}d}" for number in range(1, count + 1)], dtype=object)
    return Schools(
        ids=ids,
        school_level=level,
        lowest=lowest,
        highest=highest,
        at_risk_share=share,
        places=places,
        fep=taking_part.fep,
        fec=taking_part.fec,
        early_childhood=taking_part.early_childhood,
        program_years=taking_part.program_years,
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
