"""Effects in later years: the definition by brute force, and what must hold exactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

import homevisit_eval.synthetic.follow_up as follow_up_module
from homevisit_eval.design.questions import LaterVisits
from homevisit_eval.errors import DesignError
from homevisit_eval.synthetic import (
    Discipline,
    District,
    Mobility,
    SchoolMix,
    Selection,
    VisitEffects,
    follow_up_truth,
    preset,
    simulate,
)
from homevisit_eval.synthetic.draws import Draws
from homevisit_eval.synthetic.simulate import simulate_years
from homevisit_eval.synthetic.students import student_ids

SEED = 7
DRAWS: dict[LaterVisits, int] = {"natural_course": 40, "none": 40}
UNSELECTIVE = Selection(
    intercept=1.0, absence=0.0, absence_squared=0.0, unexcused=0.0, any_incident=0.0,
    at_risk_any_incident=0.0, visited_prior=0.0, during=(0.1,) * 4,
)  # fmt: skip
KEY = ["student_id", "school_year", "follow_up"]
OUTCOMES = ("attendance_rate", "any_incident", "incidents", "any_serious_incident")


def district(
    effects: VisitEffects, selection: Selection = UNSELECTIVE, visit_year: int = 2014
) -> District:
    """Return two program schools and four years, of which the first is asked about."""
    return replace(
        preset("small"),
        name="later",
        school_years=(2014, 2015, 2016, 2017),
        schools=SchoolMix(elementary=2, students=260, program_share=(1.0,) * 4),
        mobility=Mobility(leave=0.02, leave_at_risk=0.0),
        discipline=Discipline(intercept=-2.0),
        selection=selection,
        effects=effects,
        truth_years=(visit_year,),
    )


def changes(truth: pd.DataFrame, name: str) -> pd.Series:
    """Return the mean effect by number of years since the visit."""
    effect = truth[f"{name}_m1"] - truth[f"{name}_m0"]
    return effect.groupby(truth["follow_up"]).mean()


def test_rows_are_later_years_of_visited_students() -> None:
    small = district(VisitEffects(), visit_year=2015)
    made = simulate(small, SEED, tables=(), outcomes=()).student_years
    truth = follow_up_truth(small, SEED, replications=1)
    assert not truth.duplicated(KEY).any()
    start = made.query("school_year == 2015 and visited_before_year == 1 and 1 <= grade <= 5")
    later = made[made["student_id"].isin(start["student_id"]) & (made["school_year"] > 2015)]
    wanted = set(zip(later["student_id"], later["school_year"] - 2015, strict=True))
    assert set(zip(truth["student_id"], truth["follow_up"], strict=True)) == wanted
    assert len(wanted) > 40
    assert (truth["school_year"] == 2015).all()


def test_nothing_stays_of_a_visit_that_changes_nobodys_later_years() -> None:
    """Exactly: no lasting strength, and neither visits nor effects follow earlier outcomes."""
    passing = VisitEffects(attendance=0.5, incidents=1.0, attendance_absence=0.0, lasting=0.0)
    truth = follow_up_truth(district(passing), SEED, replications=3)
    for name in (*OUTCOMES, "math_score_std", "reading_score_std"):
        pd.testing.assert_series_equal(
            truth[f"{name}_m1"], truth[f"{name}_m0"], check_names=False, check_exact=True
        )
    assert truth["follow_up"].nunique() == 3


def test_a_visit_that_fades_at_once_still_leads_to_further_visits() -> None:
    """Who was visited is visited again more often: an effect of the first visit, too."""
    passing = VisitEffects(attendance=0.5, incidents=1.0, attendance_absence=0.0, lasting=0.0)
    again = replace(UNSELECTIVE, intercept=-1.5, visited_prior=2.5)
    truth = follow_up_truth(district(passing, again), SEED, replications=5)
    assert changes(truth, "attendance_rate")[1] > 0.001
    assert changes(truth, "incidents")[1] < -0.01


def test_what_lasts_fades_year_by_year() -> None:
    lasting = VisitEffects(attendance=0.5, incidents=1.0, attendance_absence=0.0, lasting=0.6)
    once = replace(UNSELECTIVE, intercept=-2.0)
    truth = follow_up_truth(district(lasting, once), SEED, replications=5)
    same = truth.groupby("student_id")["follow_up"].transform("nunique") == 3
    for name in ("attendance_rate", "incidents", "math_score_std"):
        size = changes(truth[same & truth[f"{name}_m1"].notna()], name).abs()
        assert size[1] > size[2] > size[3] > 0, name
    for name, good in (("attendance_rate", 1), ("incidents", -1)):
        assert (good * (truth[f"{name}_m1"] - truth[f"{name}_m0"]) >= -1e-12).all()


def test_without_later_visits_nobody_is_visited_from_that_year_on() -> None:
    where = chosen()
    _, _, years = simulate_years(where, Draws(SEED), no_visits_from=2015)
    _, _, lived = simulate_years(where, Draws(SEED))
    for year, as_ever in zip(years, lived, strict=True):
        visits = (year.summer.program > 0).sum() + (year.during.program > 0).sum()
        if year.roll.school_year < 2015:
            assert visits == (as_ever.summer.program > 0).sum() + (as_ever.during.program > 0).sum()
            assert visits > 40
        else:
            assert visits == 0
            assert (year.conduct.incidents >= as_ever.conduct.incidents).all()


years_of = cache(simulate_years)  # emptied when a fixture is done


def brute_force(replications: int, later_visits: LaterVisits) -> pd.DataFrame:
    """Draw both worlds and average what is realized in them."""
    start_of_none = 2014 if later_visits == "none" else 0
    where, sums = chosen(), {}
    for replication in range(1, replications + 1):
        draws = Draws(SEED, 2014, replication, keep_first_summer=True)
        _, students, visited = years_of(where, draws)
        _, _, never = years_of(where, draws, no_summer_visits_in=2014, no_visits_from=start_of_none)
        ids, start = student_ids(len(students)), visited[0]
        asked = start.roll.student[start.summer.visited & np.isin(start.roll.grade, range(1, 6))]
        for follow_up in (1, 2, 3):
            for regime, world in (("1", visited[follow_up]), ("0", never[follow_up])):
                rows = np.flatnonzero(np.isin(world.roll.student, asked))
                events = np.bincount(world.events.row, world.events.serious, len(world.roll.grade))
                realized = {
                    "attendance_rate": 1 - world.conduct.days_absent / world.roll.days,
                    "any_incident": world.conduct.incidents > 0,
                    "incidents": world.conduct.incidents,
                    "any_serious_incident": events > 0,
                }
                for name, values in realized.items():
                    column = pd.Series(values[rows].astype(float), ids[world.roll.student[rows]])
                    sums.setdefault((follow_up, f"{name}_y{regime}"), []).append(column)
    parts = []
    for follow_up in (1, 2, 3):
        named = {name: draws for (year, name), draws in sums.items() if year == follow_up}
        part = pd.DataFrame({name: sum(draws) / replications for name, draws in named.items()})
        errors = {
            name: np.std([(one - zero).mean() for one, zero in pairs(named, name)], ddof=1)
            for name in OUTCOMES
        }
        part = part.assign(**{f"{n}_error": e / replications**0.5 for n, e in errors.items()})
        parts.append(part.rename_axis("student_id").reset_index().assign(follow_up=follow_up))
    return pd.concat(parts, ignore_index=True)


def pairs(named: dict[str, list[pd.Series]], name: str) -> zip:
    return zip(named[f"{name}_y1"], named[f"{name}_y0"], strict=True)


def chosen() -> District:
    """Return a district in which later visits follow outcomes, and effects last."""
    effects = VisitEffects(attendance=0.5, incidents=1.0, lasting=0.6, classmates=0.3)
    return district(effects, replace(Selection(), intercept=-1.5))


@pytest.fixture(
    scope="module", params=["natural_course", pytest.param("none", marks=pytest.mark.slow)]
)
def both(request: pytest.FixtureRequest) -> Iterator[pd.DataFrame]:
    later_visits: LaterVisits = request.param
    with pytest.MonkeyPatch.context() as patch:  # each world is simulated once for both sides
        patch.setattr(follow_up_module, "simulate_years", years_of)
        truth = follow_up_truth(
            chosen(), SEED, replications=DRAWS[later_visits], later_visits=later_visits
        )
    drawn = brute_force(DRAWS[later_visits], later_visits)
    joined = truth.merge(drawn, on=["student_id", "follow_up"], how="outer")
    assert len(joined) == len(truth)
    yield joined
    years_of.cache_clear()


@pytest.mark.simulation
@pytest.mark.parametrize("name", OUTCOMES)
@pytest.mark.parametrize("follow_up", [1, 2, 3])
def test_expected_outcomes_are_those_of_both_worlds_drawn(
    both: pd.DataFrame, name: str, follow_up: int
) -> None:
    rows = both[both["follow_up"] == follow_up]
    expected = (rows[f"{name}_m1"] - rows[f"{name}_m0"]).mean()
    realized = (rows[f"{name}_y1"] - rows[f"{name}_y0"]).mean()
    error = rows[f"{name}_error"].iloc[0]
    assert abs(realized - expected) < 4 * error
    if follow_up == 1 and name != "any_serious_incident":
        assert abs(expected) > 5 * error
    for regime in ("1", "0"):
        off = rows[f"{name}_y{regime}"] - rows[f"{name}_m{regime}"]
        assert abs(off.mean()) < 4 * off.std() / np.sqrt(len(off))
        assert np.corrcoef(rows[f"{name}_y{regime}"], rows[f"{name}_m{regime}"])[0, 1] > 0.7


def test_against_none_more_is_gained_than_against_the_natural_course() -> None:
    natural, none = (
        follow_up_truth(chosen(), SEED, replications=3, later_visits=one)
        for one in ("natural_course", "none")
    )
    for name in OUTCOMES:
        assert natural[f"{name}_m1"].equals(none[f"{name}_m1"])
        worse = none[f"{name}_m0"] - natural[f"{name}_m0"]
        worse = -worse if name == "attendance_rate" else worse
        assert worse.groupby(natural["follow_up"]).mean().gt(0.002).all()


def test_the_same_seed_gives_the_same_truth_and_more_replications_less_noise() -> None:
    small = district(VisitEffects())
    first, second = (follow_up_truth(small, SEED, replications=1) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    other = follow_up_truth(small, SEED, replications=2)
    assert other[KEY].equals(first[KEY])
    assert not other["attendance_rate_m1"].equals(first["attendance_rate_m1"])


def test_no_replication_is_refused() -> None:
    with pytest.raises(DesignError, match="replications"):
        follow_up_truth(district(VisitEffects()), SEED, replications=0)


def test_a_district_without_later_years_is_refused() -> None:
    with pytest.raises(DesignError, match="later school year"):
        follow_up_truth(district(VisitEffects(), visit_year=2017), SEED)
