"""Which schools take part in a visit program, when they join and when they leave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from homevisit_eval.synthetic.draws import Draw, Draws
from homevisit_eval.synthetic.parameters import District

__all__ = ["Participation", "participation"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Participation:
    """Shape (S, Y) each: the programs of a school in a year, and the years since it joined.

    Parameters
    ----------
    fep, fec, early_childhood
        Whether the school takes part.
    program_years
        1 in the first year in FEP or FEC, and so on; 0 outside.
    """

    fep: Booleans
    fec: Booleans
    early_childhood: Booleans
    program_years: Integers


def _waiting(uniform: Floats, hazard: Floats) -> Floats:
    """Return exponential waiting times."""
    return np.asarray(-np.log(1 - uniform) / hazard, dtype=np.float64)


def _first(wait: Floats, among: Booleans, count: int) -> Integers:
    """Return the `count` of those `among` whose waiting times end first."""
    rows = np.flatnonzero(among)
    return rows[np.argsort(wait[rows], kind="stable")][: max(count, 0)]


def participation(
    district: District, share: Floats, has_pre_k: Booleans, draws: Draws
) -> Participation:
    """Draw who takes part: fixed numbers of schools, likelier where more are at risk.

    Each year some schools leave and others take their places, so that `program_share` of the
    schools are in. A school that has left returns only when no other is left to join. Its
    program is FEP or FEC for good; among those that join one after the other, every so many is
    in FEC.

    Parameters
    ----------
    share
        Shape (S,), shares at risk.
    has_pre_k
        Shape (S,).
    """
    mix, count, years = district.schools, len(share), len(district.school_years)
    stream = draws.stream(Draw.PARTICIPATION)
    eager = np.exp(mix.program_at_risk * share)
    wait = _waiting(stream.random(count), eager)
    early_wait = _waiting(stream.random(count), eager)
    phase = stream.random()
    stay = _waiting(stream.random((years, count)), 1 / eager)
    wanted = np.rint(np.array(mix.program_share[mix.rows(district.school_years)]) * count)
    program_years = np.zeros((count, years), dtype=np.int64)
    inside, has_left = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
    for year, number in enumerate(np.maximum(wanted, 1).astype(np.int64)):
        now = int(inside.sum())
        leaving = max(now - number, round(mix.program_leaving * now))
        gone = _first(stay[year], inside, leaving)
        inside[gone], has_left[gone] = False, True
        outside = ~inside
        outside[gone] = False
        inside[_first(wait + np.where(has_left, wait.max(), 0), outside, number - inside.sum())] = (
            True
        )
        before = program_years[:, year - 1] if year else 0
        program_years[:, year] = np.where(inside, before + 1, 0)
    rank = np.argsort(np.argsort(wait, kind="stable"), kind="stable")
    steps = mix.collaborative_share * (rank + phase)
    collaborative = np.floor(steps + mix.collaborative_share) > np.floor(steps)
    early = np.zeros(count, dtype=np.bool_)
    number = round(mix.early_childhood_share * int(has_pre_k.sum()))
    early[_first(early_wait, has_pre_k, number)] = True
    return Participation(
        (program_years > 0) & ~collaborative[:, None],
        (program_years > 0) & collaborative[:, None],
        np.repeat(early[:, None], years, axis=1),
        program_years,
    )
