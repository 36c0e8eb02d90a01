"""Truths of visits during the year, of waiting and of a landmark, against futures drawn anew."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.special import roots_genlaguerre

from drawn_measures import MEAN_DAYS_SUSPENDED, counted, kinds_of, tolerance
from homevisit_eval.errors import DesignError
from homevisit_eval.synthetic import (
    District,
    SchoolMix,
    VisitEffects,
    landmark_truth,
    simulate,
)
from homevisit_eval.synthetic.draws import Draws
from homevisit_eval.synthetic.incidents import IncidentEvents, serious_share, suspended_share
from homevisit_eval.synthetic.landmark_truths import landmark_truth_table
from homevisit_eval.synthetic.outcomes import Conduct, never, realize
from homevisit_eval.synthetic.process import rows_of
from homevisit_eval.synthetic.school_year import SchoolYear, regime_of
from homevisit_eval.synthetic.simulate import simulate_years
from homevisit_eval.synthetic.students import student_ids
from homevisit_eval.synthetic.truths import expected_of_rows, truth_table
from homevisit_eval.synthetic.visit_truths import (
    ROUND_DAYS,
    VISIT_OUTCOMES,
    first_visits,
    visit_truth_table,
)
from homevisit_eval.synthetic.visits import choose_year_visits, make_rounds
from synthetic_districts import shrunken, strong, tiny

LIMIT = 4.0  # Monte Carlo standard errors, of fixed seeds
SEEDS, REDRAWS = 90, 20
LANDMARK_SEEDS = 30  # of three times as many students
FUTURES = 20_000
KEY = ["student_id", "school_year"]
PREVENTED = [name for name in VISIT_OUTCOMES if name != "days_tardy"]  # no visit prevents tardies


def often_visited(times: int = 1) -> District:
    """Return the strong district with so many visits that waiting is far from no visit.

    Parameters
    ----------
    times
        How many times as many schools and students.
    """
    mix = SchoolMix(elementary=2 * times, students=240 * times, program_share=(1.0, 1.0))
    district = replace(strong(), schools=mix)
    rules = replace(
        district.selection, during=(0.1, 0.2), during_incident=0.5, during_absence=0.3, highest=0.3
    )
    return replace(district, selection=rules)


@cache
def world(seed: int) -> tuple[SchoolYear, np.ndarray]:
    """Return the second year of a district with many visits, and its identifiers."""
    _, students, years = simulate_years(often_visited(), Draws(seed))
    return years[1], student_ids(len(students))


def outcomes_from(
    year: SchoolYear,
    conduct: Conduct,
    first: np.ndarray,
    days: np.ndarray,
    kinds: IncidentEvents,
) -> dict[str, np.ndarray]:
    """Count the outcomes of all student-years on the dates from position `first` on."""
    events = rows_of(kinds, np.flatnonzero(conduct.involved))
    return counted(year.chance, conduct, events, days, first)


# -- waiting --------------------------------------------------------------------------------


@cache
def waited() -> pd.DataFrame:
    """Return first visits with outcomes realized if the student waits, by the district's rules.

    The days after a visit are as chance made them. A new round and a new lot are drawn again and
    again; what counts are the draws in which the student is not visited through the day.
    """
    district, frames = often_visited(), []
    for seed in range(1, SEEDS + 1):
        year, ids = world(seed)
        rows, n = first_visits(district, year), len(year.roll.student)
        first = year.during.position + 1
        days = year.roll.days - 1 - year.during.day
        stream = np.random.default_rng(seed)
        kinds = kinds_of(year.chance.incidents, stream)
        table = visit_truth_table(district, [year], ids)
        unvisited = realize(year.process, year.chance, never(n))
        worlds = {"y0": outcomes_from(year, unvisited, first, days, kinds)}
        worlds["y1"] = outcomes_from(year, year.conduct, first, days, kinds)
        sums = {name: np.zeros(n) for name in VISIT_OUTCOMES}
        counts = np.zeros(n)
        for number in range(REDRAWS):
            draws = Draws(1000 * seed + number)
            rounds = make_rounds(schools(), year.calendar, year.roll, year_index=1, draws=draws)
            rounds = replace(rounds, program=year.rounds.program)
            visits, _ = choose_year_visits(
                district, year.roll, rounds, process=year.process, chance=year.chance,
                summer=year.summer, year_index=1, draws=draws,
            )  # fmt: skip
            waits = visits.position > year.during.position
            regime = regime_of(year.roll, np.zeros(n, dtype=np.bool_), visits)
            conduct = realize(year.process, year.chance, regime)
            values = outcomes_from(year, conduct, first, days, kinds)
            counts += waits
            for name in VISIT_OUTCOMES:
                sums[name] += waits * values[name]
        assert (counts[rows] > 0).all()
        worlds["yw"] = {name: sums[name] / np.maximum(counts, 1) for name in VISIT_OUTCOMES}
        for suffix, values in worlds.items():
            for name in VISIT_OUTCOMES:
                table[f"{name}_{suffix}"] = values[name][rows]
        earlier = year.chance.incidents.day < year.during.day[year.chance.incidents.row]
        taken = year.chance.incidents.row[earlier & year.conduct.involved]
        table["incident_before"] = (np.bincount(taken, minlength=n) > 0)[rows]
        frames.append(table)
    return pd.concat(frames, ignore_index=True)


@cache
def schools():
    return simulate_years(often_visited(), Draws(1))[0]


RARE = ("any_serious_incident", "any_suspension", "days_suspended")
CLASSES = {
    "everyone": lambda rows: rows["days_after"] > 0,
    "no incident before": lambda rows: ~rows["incident_before"],
    "incident before": lambda rows: rows["incident_before"],
    "early visit": lambda rows: rows["days_after"] > 120,
    "late visit": lambda rows: rows["days_after"] <= 90,
}


@pytest.mark.slow
@pytest.mark.simulation
@pytest.mark.parametrize("which", CLASSES)
@pytest.mark.parametrize("name", VISIT_OUTCOMES)
def test_waiting_is_the_average_of_years_in_which_the_rules_bring_later_visits(
    name: str, which: str
) -> None:
    """The default run has single students instead, by futures and by sums over days (below)."""
    rows = waited()[CLASSES[which](waited())]
    assert len(rows) > 500
    for regime in ("1", "0", "w"):
        off = rows[f"{name}_y{regime}"] - rows[f"{name}_m{regime}"]
        assert abs(off.mean()) < LIMIT * off.std() / np.sqrt(len(off)), regime
    later = rows[f"{name}_mw"] - rows[f"{name}_m0"]
    off = rows[f"{name}_yw"] - rows[f"{name}_y0"] - later
    error = off.std() / np.sqrt(len(off))
    if name == "days_tardy":
        assert not off.any()
        return
    assert abs(off.mean()) < LIMIT * error
    if which != "late visit" and name not in RARE:
        assert error < 0.16 * abs(later.mean()), "the comparison can tell little"


@dataclass(frozen=True, slots=True, eq=False)
class OneStudent:
    """A student visited during the year, day by day: shape (days,), and numbers.

    Parameters
    ----------
    missed, involved
        Full days absent and incidents that took place on each day of the year as it was.
    factor
        Of the calendar.
    chance
        Incidents before the visit that chance would bring.
    possible
        Days on which a round may lie and lead to a visit.
    weight
        Of the 170 days of a round from day 5 on, given no visit through the day of the visit.
    """

    visit: int
    total: int
    missed: np.ndarray
    involved: np.ndarray
    factor: np.ndarray
    chance: int
    possible: list[int]
    weight: np.ndarray


def one_student(year: SchoolYear, row: int) -> OneStudent:
    """Lay out one student's year from the rules on the page "The synthetic district".

    Nothing of the package's closed forms, weights or histories is used.
    """
    district, roll = often_visited(), year.roll
    rules, total, visit = district.selection, int(roll.days[row]), int(year.during.day[row])
    open_days = np.flatnonzero(year.calendar.instructional[roll.school[row]])
    open_days = open_days[(open_days >= roll.start[row]) & (open_days <= roll.stop[row])]
    assert len(open_days) == total
    on = {position: day for day, position in enumerate(open_days)}
    absences, incidents = year.chance.absences, year.chance.incidents
    full = (absences.row == row) & year.conduct.absent & absences.full
    missed = np.bincount([on[p] for p in absences.position[full]], minlength=total)
    took = (incidents.row == row) & year.conduct.involved
    involved = np.bincount([on[p] for p in incidents.position[took]], minlength=total)
    weight = np.ones(170)  # one round, on any of 17 days of a weekday
    for day in range(5, visit + 1):
        hazard = rules.during[1] + rules.during_incident * (involved[:day].sum() > 0)
        weight[day - 5] = 1 - hazard - rules.during_absence * missed[:day].sum() / day
    dates = [pd.Timestamp(date) for date in year.calendar.dates[open_days]]
    by_month, by_weekday = district.attendance.by_month, district.attendance.by_weekday
    factor = [by_weekday[day.weekday()] * by_month[day.month - 1] for day in dates]
    return OneStudent(
        visit=visit,
        total=total,
        missed=missed,
        involved=involved,
        factor=np.array(factor) / max(by_weekday) / max(by_month),
        chance=sum(on[p] < visit for p in incidents.position[incidents.row == row]),
        possible=[day for day in range(5, 175) if day < total - 10],
        weight=weight / weight.sum(),
    )


def kept_shares(year: SchoolYear, row: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return what is left of absences, and of incidents, without and with a visit of the year."""
    process = year.process
    lasting, classmates = process.lasting[row], process.classmates[row]
    strengths = lasting + classmates, max(lasting, 1.0) + classmates
    effects = process.absence_effect[row], process.incident_effect[row]
    absence, incident = ([float(np.exp(-e * s)) for s in strengths] for e in effects)
    return (absence[0], absence[1]), (incident[0], incident[1])


def futures_of(year: SchoolYear, row: int, stream: np.random.Generator) -> dict[str, np.ndarray]:
    """Return what later visits change for one waiting student in drawn futures: (FUTURES,) each."""
    district, process, one = often_visited(), year.process, one_student(year, row)
    rules, visit, total, missed, involved = (
        district.selection, one.visit, one.total, one.missed, one.involved,
    )  # fmt: skip
    round_day = 5 + stream.choice(170, size=FUTURES, p=one.weight)
    days = np.arange(visit, total)
    uniform = stream.random((FUTURES, len(days)))  # a day is missed, in part, or not at all
    would = uniform < year.chance.absences.propensity[row] * one.factor[days]
    partial = uniform >= 1 - district.attendance.partial
    shape = district.discipline.shape
    rate = shape + process.incidents[row] * visit / total
    gamma = stream.gamma(shape + one.chance, 1 / rate, (FUTURES, 1))
    events = stream.poisson(gamma * process.incidents[row] / total, (FUTURES, len(days)))

    (never_absent, always_absent), (calm, calmer) = kept_shares(year, row)
    mark = stream.random(uniform.shape)
    absent = would & (mark < never_absent)
    part = partial & (mark < never_absent)
    taking_part = stream.binomial(events, calm)
    serious, suspended = (
        stream.binomial(taking_part, share) for share in (serious_share(), suspended_share())
    )
    unexcused = stream.random(uniform.shape) < process.unexcused[row]
    before = np.arange(len(days))[None, :] < (round_day - visit)[:, None]
    share = (missed[:visit].sum() + (absent & before).sum(axis=1)) / round_day
    incident = (involved[:visit].sum() + (taking_part * before).sum(axis=1)) > 0
    hazard = rules.during[1] + rules.during_incident * incident + rules.during_absence * share
    later = (round_day > visit) & np.isin(round_day, one.possible)
    # its expectation over the lot, so that chance has less to say: hazard, not "lot < hazard"
    probability = np.where(later, hazard, 0.0)
    after = np.arange(len(days))[None, :] > (round_day - visit)[:, None]
    gone = after & (mark >= always_absent)
    kept = stream.binomial(taking_part, calmer / calm)
    without = taking_part[:, 1:].sum(axis=1)
    with_visit = np.where(after, kept, taking_part)[:, 1:].sum(axis=1)
    fewer = probability * (1.0 * with_visit - without)

    def any_of(kind: np.ndarray) -> np.ndarray:
        kept_kind = stream.hypergeometric(kind, taking_part - kind, kept)
        some = np.where(after, kept_kind, kind)[:, 1:].any(axis=1)
        return probability * (1.0 * some - kind[:, 1:].any(axis=1))

    full, partly = ((missed & gone)[:, 1:] for missed in (absent, part))
    present = probability * (full + 0.5 * partly).sum(axis=1)
    return {
        "attendance_rate": present / (len(days) - 1),
        "on_time_attendance_rate": present / (len(days) - 1),
        "days_absent": -present,
        "days_excused": -probability * (full & ~unexcused[:, 1:]).sum(axis=1),
        "days_unexcused": -probability * (full & unexcused[:, 1:]).sum(axis=1),
        "any_incident": probability * (1.0 * (with_visit > 0) - (without > 0)),
        "incidents": fewer,
        "any_serious_incident": any_of(serious),
        "any_suspension": any_of(suspended),
        "days_suspended": MEAN_DAYS_SUSPENDED * fewer,
    }


def chosen() -> list[int]:
    """Return visits unlike each other: early and late, with and without incidents before."""
    year, _ = world(2)
    rows = first_visits(often_visited(), year)
    incidents = year.chance.incidents
    earlier = incidents.day < year.during.day[incidents.row]
    taken = incidents.row[earlier & year.conduct.involved]
    count = np.bincount(taken, minlength=len(year.roll.student))[rows]
    day, found = year.during.day[rows], []
    for early in (True, False):
        for some in (True, False):
            like = rows[((day < 40) == early) & ((count > 0) == some) & (day < 110)]
            found.append(int(like[len(like) // 2]))
    return found


@pytest.mark.simulation
@pytest.mark.parametrize("which", range(4))
def test_waiting_is_right_student_by_student(which: int) -> None:
    year, ids = world(2)
    rows = first_visits(often_visited(), year)
    table = visit_truth_table(often_visited(), [year], ids)
    row = chosen()[which]
    truth = table.iloc[int(np.searchsorted(rows, row))]
    for name, values in futures_of(year, row, np.random.default_rng(which)).items():
        expected = truth[f"{name}_mw"] - truth[f"{name}_m0"]
        error = values.std(ddof=1) / np.sqrt(FUTURES)
        assert abs(values.mean() - expected) < LIMIT * error + 2 * tolerance(name), name
        assert error < 0.06 * abs(expected) + 20 * tolerance(name), name


def summed_over_days(year: SchoolYear, row: int) -> dict[str, tuple[float, float]]:
    """Return expected outcomes without a visit and if the student waits, summed day by day.

    No closed form: given the gamma variable every day is independent, and it is integrated out
    on a grid. Slow, and right to many digits.
    """
    district, one = often_visited(), one_student(year, row)
    rules, days = district.selection, one.total - 1 - one.visit
    shares = {"none serious": serious_share(), "none suspended": suspended_share()}
    absence, incident = kept_shares(year, row)
    full, part = year.chance.absences.propensity[row] * one.factor, district.attendance.partial
    shape = district.discipline.shape + one.chance
    mean = year.process.incidents[row]
    rate = district.discipline.shape + mean * one.visit / one.total
    node, mass = roots_genlaguerre(40, shape - 1)
    gamma, mass = node / rate, mass / mass.sum()
    daily = [gamma * mean / one.total * kept for kept in incident]  # shape (40,) each

    def rest(visited_on: int) -> list[int]:
        return [int(day > visited_on) for day in range(one.visit + 1, one.total)]

    def outcomes(visited_on: int) -> dict[str, np.ndarray]:
        """Return for each gamma: mean days missed, mean incidents, P(none), P(none of a kind)."""
        after = rest(visited_on)
        number = sum(daily[visited] for visited in after)
        left = [absence[visited] for visited in after]
        lost = np.dot(left, full[one.visit + 1 :])
        return {
            "full": np.full(40, lost), "part": np.full(40, part * sum(left)),
            "incidents": number, "none": np.exp(-number),
            **{name: np.exp(-share * number) for name, share in shares.items()},
        }  # fmt: skip

    never_visited = outcomes(one.total)
    total = {name: mass @ values for name, values in never_visited.items()}
    without = dict(total)
    for day in one.possible:
        if day <= one.visit:
            continue
        before = range(one.visit, day)
        propensity = year.chance.absences.propensity[row]
        absent = sum(one.missed[: one.visit]) + sum(
            absence[0] * propensity * one.factor[d] for d in before
        )
        calm = rules.during[1] + rules.during_absence * absent / day
        first, between = daily[0], daily[0] * len(before[1:])
        # P(no incident before the day), given no incident of the kind after the visit's day
        quiet = {
            "full": np.exp(-first - between), "none": np.exp(-first),
            **{name: np.exp(-first - (1 - share) * between) for name, share in shares.items()},
        }  # fmt: skip
        if one.involved[: one.visit].any():
            quiet = dict.fromkeys(quiet, np.zeros(40))
        quiet["part"] = quiet["incidents"] = quiet["full"]
        visited = outcomes(day)
        for name, values in visited.items():
            hazard = calm + rules.during_incident * (1 - quiet[name])
            gain = mass @ (hazard * (values - never_visited[name]))
            total[name] += one.weight[day - 5] * gain
    process, found = year.process, {}
    for sums in (without, total):
        lost = sums["full"] + 0.5 * sums["part"]
        tardy = process.tardy[row] * days
        values = {
            "attendance_rate": 1 - lost / days,
            "on_time_attendance_rate": 1 - (lost + tardy) / days,
            "days_absent": lost,
            "days_excused": sums["full"] * (1 - process.unexcused[row]),
            "days_unexcused": sums["full"] * process.unexcused[row],
            "days_tardy": tardy,
            "any_incident": 1 - sums["none"],
            "incidents": sums["incidents"],
            "any_serious_incident": 1 - sums["none serious"],
            "any_suspension": 1 - sums["none suspended"],
            "days_suspended": sums["incidents"] * MEAN_DAYS_SUSPENDED,
        }
        for name, value in values.items():
            found[name] = (*found.get(name, ()), value)
    return found


def test_closed_forms_of_waiting_are_sums_over_days() -> None:
    """To the last printed digit, so that no day is counted twice or forgotten."""
    year, ids = world(2)
    rows = first_visits(often_visited(), year)
    table = visit_truth_table(often_visited(), [year], ids)
    assert len(rows) > 30
    for row, truth in zip(rows, table.itertuples(), strict=True):
        for name, (none, waits) in summed_over_days(year, row).items():
            assert abs(getattr(truth, f"{name}_m0") - none) < tolerance(name), name
            assert abs(getattr(truth, f"{name}_mw") - waits) < tolerance(name), name


# -- identities -----------------------------------------------------------------------------


def no_later_visits(district: District) -> District:
    none = {"during": (0.0, 0.0), "during_incident": 0.0, "during_absence": 0.0}
    return replace(district, selection=replace(district.selection, **none))


def test_waiting_lies_between_a_visit_and_none() -> None:
    year, ids = world(3)
    table = visit_truth_table(often_visited(), [year], ids)
    for name in PREVENTED:
        sign = 1 if name.endswith("_rate") else -1
        with_visit, none, waits = (sign * table[f"{name}_m{regime}"] for regime in "10w")
        assert (with_visit >= waits).all()
        assert (waits >= none).all()
        assert (with_visit > waits).mean() > 0.5
        assert (waits > none).mean() > 0.3


def test_nobody_is_visited_later_where_no_reason_is_left() -> None:
    year, ids = world(3)
    table = visit_truth_table(no_later_visits(often_visited()), [year], ids)
    usual = visit_truth_table(often_visited(), [year], ids)
    for name in PREVENTED:
        assert table[f"{name}_mw"].equals(table[f"{name}_m0"])
        assert not usual[f"{name}_mw"].equals(usual[f"{name}_m0"])


def test_without_effects_a_visit_waiting_and_none_are_one() -> None:
    none = VisitEffects(attendance=0, incidents=0, math=0, math_grade=0, reading=0)
    district = replace(often_visited(), effects=none)
    table = simulate(district, 3, tables=(), outcomes=()).visit_truth
    after = landmark_truth(district, 3)
    assert len(table) > 20
    assert len(after) > 40
    for name in VISIT_OUTCOMES:
        assert table[f"{name}_m1"].equals(table[f"{name}_m0"])
        assert table[f"{name}_mw"].equals(table[f"{name}_m0"])
        assert after[f"{name}_m1"].equals(after[f"{name}_m0"])


def test_possible_days_of_a_round_are_those_of_the_district() -> None:
    """The days on which the truth lets a waiting student be visited, and no others."""
    year, _ = world(3)
    assert set(year.rounds.day.ravel()) == set(ROUND_DAYS)
    stays = year.roll.second_school < 0
    possible = year.rounds.day < year.roll.days[:, None] - 10
    np.testing.assert_array_equal(year.rounds.open, possible & stays[:, None])


def test_visits_have_a_window_and_a_program() -> None:
    made = simulate(shrunken("small", 700), 3, tables=("visits",), outcomes=())
    truth, visits = made.visit_truth, made.tables["visits"]
    assert list(truth.columns[:6]) == [*KEY, "date", "program", "window", "days_after"]
    done = visits.query("completed == 1").merge(truth, on=["student_id", "date"])
    assert len(done) == len(truth)
    assert (done["program_x"] == done["program_y"]).all()
    fall = truth["date"].dt.month >= 8
    assert (truth["window"] == np.where(fall, "fall", "spring")).all()
    assert set(truth["window"]) == {"fall", "spring"}


def test_a_year_without_visits_has_a_truth_without_rows() -> None:
    table = simulate(no_later_visits(tiny()), 3, tables=(), outcomes=()).visit_truth
    usual = simulate(tiny(), 3, tables=(), outcomes=()).visit_truth
    assert len(table) == 0
    assert list(table) == list(usual)
    numbers = usual.select_dtypes("number").dtypes
    assert (table[numbers.index].dtypes == numbers).all()
    after = landmark_truth(no_later_visits(tiny()), 3)
    assert set(after["window"]) == {"before_year"}


# -- from a landmark day on -----------------------------------------------------------------


@cache
def from_february() -> pd.DataFrame:
    """Return visits before February of many districts: expected and realized from then on."""
    district, frames = often_visited(3), []
    for seed in range(1, LANDMARK_SEEDS + 1):
        _, students, years = simulate_years(district, Draws(seed))
        year, ids = years[1], student_ids(len(students))
        table = landmark_truth_table(district, [year], ids, landmark="02-01")
        n = len(year.roll.student)
        first = np.full(n, np.searchsorted(year.calendar.dates, np.datetime64("2015-02-01")))
        row = np.searchsorted(ids[year.roll.student], table["student_id"])
        days = np.zeros(n)
        days[row] = table["days_after"]
        kinds = kinds_of(year.chance.incidents, np.random.default_rng(seed))
        unvisited = realize(year.process, year.chance, never(n))
        for suffix, conduct in (("y1", year.conduct), ("y0", unvisited)):
            values = outcomes_from(year, conduct, first, days, kinds)
            for name in VISIT_OUTCOMES:
                table[f"{name}_{suffix}"] = values[name][row]
        table["left_or_moved"] = (year.roll.ends | (year.roll.second_school >= 0))[row]
        frames.append(table)
    return pd.concat(frames, ignore_index=True)


@pytest.mark.simulation
@pytest.mark.parametrize("which", ["before_year", "fall", "spring", "left or moved"])
@pytest.mark.parametrize("name", VISIT_OUTCOMES)
def test_the_year_from_a_landmark_on_is_expected_given_the_visit(name: str, which: str) -> None:
    rows = from_february()
    moved = which == "left or moved"
    rows = rows[rows["left_or_moved"] if moved else rows["window"] == which]
    assert len(rows) > 300
    for regime in ("1", "0"):
        off = rows[f"{name}_y{regime}"] - rows[f"{name}_m{regime}"]
        assert abs(off.mean()) < LIMIT * off.std() / np.sqrt(len(off))
    effect = rows[f"{name}_m1"] - rows[f"{name}_m0"]
    off = rows[f"{name}_y1"] - rows[f"{name}_y0"] - effect
    error = off.std() / np.sqrt(len(off))
    if name == "days_tardy":
        assert not off.any()
        return
    assert abs(off.mean()) < LIMIT * error
    if name != "days_suspended":  # too few of some visits
        assert abs(effect.mean()) > 4 * error


def test_without_a_landmark_it_is_the_whole_year_or_the_days_after_the_visit() -> None:
    """Exactly the other truths, but that nobody visited before the year is visited during it."""
    district, (year, ids) = often_visited(), world(4)
    table = landmark_truth_table(district, [year], ids, landmark="")
    during = table[table["window"] != "before_year"].reset_index(drop=True)
    visits = visit_truth_table(district, [year], ids)
    same = [*KEY, "date", "program", "window", "days_after"]
    same += [f"{name}_{regime}" for name in VISIT_OUTCOMES for regime in ("m1", "m0")]
    pd.testing.assert_frame_equal(during[same], visits[same])

    whole = truth_table(district, [year], ids, Draws(4), outcomes=VISIT_OUTCOMES)
    whole = whole[whole["visited_before_year"] == 1].reset_index(drop=True)
    before = table[table["window"] == "before_year"].reset_index(drop=True)
    assert before[KEY].equals(whole[KEY])
    rows = np.searchsorted(ids[year.roll.student], before["student_id"])
    assert (before["days_after"] == year.roll.days[rows]).all()
    quiet = expected_of_rows(no_later_visits(district), year, rows)["0"]
    for name in VISIT_OUTCOMES:
        assert before[f"{name}_m1"].equals(whole[f"{name}_m1"])
        np.testing.assert_allclose(before[f"{name}_m0"], quiet[name], atol=tolerance(name))
        if name != "days_tardy":
            assert not before[f"{name}_m0"].equals(whole[f"{name}_m0"])


def test_a_landmark_before_the_first_day_leaves_visits_before_the_year() -> None:
    district, (year, ids) = often_visited(), world(4)
    early = landmark_truth_table(district, [year], ids, landmark="08-01")
    whole = landmark_truth_table(district, [year], ids, landmark="")
    whole = whole[whole["window"] == "before_year"]
    pd.testing.assert_frame_equal(early, whole)


def test_days_from_the_landmark_on_are_those_of_the_extracts() -> None:
    """The landmark day included; the visit itself before it; spells and calendars as delivered."""
    made = simulate(often_visited(), 4, tables=("calendar", "enrollments", "visits"), outcomes=())
    calendar, spells = made.tables["calendar"], made.tables["enrollments"]
    day = pd.Timestamp("2015-01-20")  # a school day; the 19th is a holiday
    assert ((calendar["date"] == day) & (calendar["instructional"] == 1)).any()
    table = landmark_truth(often_visited(), 4, landmark="01-20")
    done = made.tables["visits"].query("completed == 1 and program in ('FEP', 'FEC')")
    first = done.groupby("student_id")["date"].min()
    during = table[table["window"] != "before_year"]
    assert (during["date"] < day).all()
    assert (during["date"].dt.month >= 8).mean() > 0.5
    found = first[during["student_id"]].to_numpy() >= np.datetime64("2014-08-25")
    assert (first[during["student_id"]].to_numpy() == during["date"].to_numpy())[found].all()
    calendar = calendar.query("school_year == 2015")
    spells = spells.query("school_year == 2015")
    own = set(calendar["school_id"].dropna())
    open_days = calendar[(calendar["instructional"] == 1) & (calendar["date"] >= day)]
    for student, days in zip(table["student_id"], table["days_after"], strict=True):
        count = 0
        for spell in spells[spells["student_id"] == student].itertuples():
            mine = open_days["school_id"] == spell.school_id
            dates = open_days[mine if spell.school_id in own else open_days["school_id"].isna()]
            last = spell.exit_date if pd.notna(spell.exit_date) else pd.Timestamp("2015-08-01")
            count += int(dates["date"].between(spell.entry_date, last).sum())
        assert days == count


def test_a_visit_on_the_landmark_day_is_not_before_it() -> None:
    district, (year, ids) = often_visited(), world(4)
    dates = visit_truth_table(district, [year], ids)["date"]
    day = dates.mode()[0]
    table = landmark_truth_table(district, [year], ids, landmark=f"{day:%m-%d}")
    during = table[table["window"] != "before_year"]
    assert (dates == day).any()
    assert sorted(during["date"]) == sorted(dates[dates < day])


def test_incidents_of_the_year_are_spread_over_its_days() -> None:
    district, (year, ids) = often_visited(), world(4)
    rate = {}
    for landmark in ("", "12-01", "05-04"):
        table = landmark_truth_table(district, [year], ids, landmark=landmark)
        table = table[table["window"] == "before_year"].set_index("student_id")
        rate[landmark] = table["incidents_m1"] / table["days_after"]
    for landmark in ("12-01", "05-04"):
        both = rate[landmark].index
        np.testing.assert_allclose(rate[landmark], rate[""][both], atol=6e-6)


def test_a_replication_is_that_of_the_simulation() -> None:
    made = simulate(often_visited(), 5, tables=(), outcomes=(), replication=2).visit_truth
    table = landmark_truth(often_visited(), 5, landmark="", replication=2)
    during = table[table["window"] != "before_year"].reset_index(drop=True)
    assert during[[*KEY, "date"]].equals(made[[*KEY, "date"]])
    again = landmark_truth(often_visited(), 5, landmark="")
    assert (
        not again[again["window"] != "before_year"]["date"]
        .reset_index(drop=True)
        .equals(during["date"])
    )


@pytest.mark.parametrize("landmark", ["02-30", "02-29", "13-01", "2-1", "2015-02-01", "February"])
def test_a_landmark_that_is_no_day_of_every_year_is_refused(landmark: str) -> None:
    with pytest.raises(DesignError, match="landmark"):
        landmark_truth(tiny(), 1, landmark=landmark)


def test_a_landmark_after_the_last_school_day_is_refused() -> None:
    with pytest.raises(DesignError, match="no school day of 2015 comes on or after"):
        landmark_truth(tiny(), 1, landmark="07-15")


@pytest.mark.parametrize("name", ["seed", "replication"])
def test_negative_numbers_are_refused(name: str) -> None:
    with pytest.raises(DesignError, match=name):
        landmark_truth(tiny(), **{"seed": 1, name: -1})


def test_visits_before_the_year_count_from_the_first_enrolled_day() -> None:
    year, ids = world(6)
    table = landmark_truth_table(often_visited(), [year], ids, landmark="02-01")
    table = table[table["window"] == "before_year"]
    rows = np.searchsorted(ids[year.roll.student], table["student_id"])
    first = year.calendar.dates[year.calendar.first[year.roll.school[rows]]]
    assert (table["date"].to_numpy() == first).all()
