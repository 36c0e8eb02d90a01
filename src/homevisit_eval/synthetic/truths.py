"""The truth of a simulation: expected and realized outcomes under each regime."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from homevisit_eval.synthetic.attendance import TRUANT_DAYS, UNEXCUSED
from homevisit_eval.synthetic.draws import Draws
from homevisit_eval.synthetic.expected import expected_outcomes
from homevisit_eval.synthetic.expected_measures import ATTENDANCE, CONDUCT, rounded
from homevisit_eval.synthetic.incidents import incident_events
from homevisit_eval.synthetic.outcomes import Conduct, before_year, draw_chance, realize
from homevisit_eval.synthetic.parameters import District
from homevisit_eval.synthetic.process import rows_of
from homevisit_eval.synthetic.school_year import SchoolYear, regime_of
from homevisit_eval.synthetic.visit_truths import visit_truth_table
from homevisit_eval.synthetic.visits import choose_year_visits

__all__ = ["OUTCOMES", "expected_of_rows", "standardized", "truth_table", "visit_truth_table"]

CHRONIC_DRAWS = 32
FURTHER_DRAWS = 1_000_000  # beyond any replication of a certificate
SCORES = ("math_score_std", "reading_score_std")
CHRONIC = ("chronic_absence", "chronic_truancy")
OUTCOMES: tuple[str, ...] = ATTENDANCE + CHRONIC + CONDUCT + SCORES

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


def truth_table(
    district: District,
    years: list[SchoolYear],
    ids: NDArray[np.object_],
    draws: Draws,
    *,
    outcomes: Collection[str] = OUTCOMES,
) -> pd.DataFrame:
    """Return the expected and realized outcomes of both regimes for each student-year.

    Columns end in ``_m1`` and ``_m0`` (expected with and without a visit before the year), and
    where classmates matter ``_mn`` (expected without any program). Attendance rate, chronic
    absence, incidents (any, their number, any serious one) and scores have ``_y1`` and ``_y0``
    (realized), too. Where some are visited twice, "with" means as often as the student is; then
    ``visits_before_year`` is 0, 1 or 2, and ``_ms`` is expected with a single visit.

    Parameters
    ----------
    outcomes
        Which outcomes. The expected values of chronic absence and chronic truancy have no closed
        form: they are means over the same 32 further draws of the year, with a Monte Carlo
        error, and take the most time.
    """
    parts = [
        _truth(district, year, ids, draws, outcomes)
        for year in years
        if year.roll.school_year in district.truth_years
    ]
    return pd.concat(parts, ignore_index=True)


def _truth(
    district: District,
    lived: SchoolYear,
    ids: NDArray[np.object_],
    draws: Draws,
    outcomes: Collection[str],
) -> pd.DataFrame:
    rows = np.flatnonzero(np.isin(lived.roll.grade, district.truth_grades))
    expected = standardized(expected_of_rows(district, lived, rows), lived, rows)
    twice = district.selection.twice > 0
    regimes = ("1", "0", *"n" * (district.effects.classmates > 0), *"s" * twice)
    columns = {
        f"{name}_m{regime}": values
        for regime in regimes
        for name, values in expected[regime].items()
    }
    if set(CHRONIC) & set(outcomes):
        columns |= _chronic(district, lived, rows, draws)
    for regime, conduct in (("1", lived.if_visited), ("0", lived.if_unvisited)):
        as_lived = lived.summer.visited == (regime == "1")
        realized = _realized(district, lived, conduct, as_lived, draws)
        for name, values in standardized({regime: realized}, lived)[regime].items():
            columns[f"{name}_y{regime}"] = values[rows]
    table = {
        "student_id": ids[lived.roll.student[rows]],
        "school_year": np.full(len(rows), lived.roll.school_year),
        "visited_before_year": lived.summer.visited[rows].astype(np.int64),
    }
    if twice:
        summer = rows_of(lived.summer, rows)
        table["visits_before_year"] = summer.visited.astype(np.int64) + summer.twice
    for name in [name for name in OUTCOMES if name in outcomes]:
        for suffix in ("m1", "ms", "m0", "mn", "y1", "y0"):
            if f"{name}_{suffix}" in columns:
                table[f"{name}_{suffix}"] = _printed(name, suffix, columns[f"{name}_{suffix}"])
    return pd.DataFrame(table)


def _printed(name: str, suffix: str, values: Floats) -> NDArray[np.generic]:
    if suffix[0] == "y" and name not in (*SCORES, "attendance_rate"):
        return values.astype(np.int64)
    return rounded(name, values)


def expected_of_rows(
    district: District, lived: SchoolYear, rows: Integers
) -> Mapping[str, Mapping[str, Floats]]:
    """Return expected outcomes of some rows of a year, see `expected_outcomes`."""
    roll, process = rows_of(lived.roll, rows), rows_of(lived.process, rows)
    rounds = rows_of(lived.rounds, rows)
    index = roll.school_year - district.school_years[0]
    return expected_outcomes(
        district, lived.calendar, roll, process, rounds=rounds, year_index=index
    )


def standardized(
    outcomes: Mapping[str, Mapping[str, Floats]], lived: SchoolYear, rows: Integers | None = None
) -> dict[str, dict[str, Floats]]:
    """Put scores on the scale of the panel: SDs of the tested students of grade and year."""
    scores = lived.scores
    at = np.arange(len(lived.roll.student)) if rows is None else rows
    return {
        regime: {
            name: scores.standardized(SCORES.index(name), at, values) if name in SCORES else values
            for name, values in named.items()
        }
        for regime, named in outcomes.items()
    }


def _realized(
    district: District, lived: SchoolYear, conduct: Conduct, as_lived: Booleans, draws: Draws
) -> dict[str, Floats]:
    """Return realized outcomes; `as_lived` says whose conduct is what did happen.

    Students share incidents, so that what an incident was depends on visits to others.
    """
    roll, absent = lived.roll, conduct.days_absent
    events = incident_events(district, roll, lived.chance.incidents, conduct.involved, draws)
    kinds = (lived.events, events)
    happened, other = (np.bincount(e.row, e.serious, len(roll.student)) > 0 for e in kinds)
    serious = np.where(as_lived, happened, other)
    return {
        "attendance_rate": 1 - absent / roll.days,
        "chronic_absence": (absent * 10 > roll.days).astype(np.float64),
        "any_incident": (conduct.incidents > 0).astype(np.float64),
        "incidents": conduct.incidents.astype(np.float64),
        "any_serious_incident": serious.astype(np.float64),
        "math_score_std": conduct.math,
        "reading_score_std": conduct.reading,
    }


def _chronic(
    district: District, lived: SchoolYear, rows: Integers, draws: Draws
) -> dict[str, Floats]:
    """Return the shares of further draws of the year that are chronic, by column.

    Chronic absence: over 10 % of days missed. Chronic truancy: 10 unexcused full days or more.
    """
    roll, process = rows_of(lived.roll, rows), rows_of(lived.process, rows)
    rounds, summer = rows_of(lived.rounds, rows), rows_of(lived.summer, rows)
    index, n = roll.school_year - district.school_years[0], len(rows)
    nobody = np.zeros(n, dtype=np.bool_)
    regimes = ("1", "0", *"s" * (district.selection.twice > 0))
    shares = {f"{name}_m{regime}": np.zeros(n) for name in CHRONIC for regime in regimes}
    for number in range(CHRONIC_DRAWS):
        again = Draws(draws.seed, roll.school_year, FURTHER_DRAWS + number)
        chance = draw_chance(district, lived.calendar, roll, process, again)
        would, _ = choose_year_visits(
            district, roll, rounds, process=process, chance=chance, summer=summer,
            year_index=index, draws=again,
        )  # fmt: skip
        worlds = {
            "1": (process, before_year(n)),
            "0": (process, regime_of(roll, nobody, would)),
            "s": (replace(process, before=np.ones(n)), before_year(n)),
        }
        unexcused = chance.absences.category == UNEXCUSED
        for regime in regimes:
            world, when = worlds[regime]
            conduct = realize(world, chance, when)
            truant = np.bincount(chance.absences.row, unexcused & conduct.absent, n)
            shares[f"chronic_absence_m{regime}"] += conduct.days_absent * 10 > roll.days
            shares[f"chronic_truancy_m{regime}"] += truant >= TRUANT_DAYS
    return {column: total / CHRONIC_DRAWS for column, total in shares.items()}
