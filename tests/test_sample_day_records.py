"""What happened between two days, against counting day by day."""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial

import numpy as np
import pandas as pd
import pytest

from homevisit_eval import build_panel, read_sources
from homevisit_eval.design.measures import COUNTED_BY_DAY
from homevisit_eval.panel.engine import fetch_frame
from homevisit_eval.sample.day_outcomes import day_measure
from homevisit_eval.sample.day_records import (
    BEYOND,
    FACTS,
    FIRST_DAY,
    LAST_DAY,
    day_records,
    ordinals,
)
from homevisit_eval.synthetic import simulate, write_simulation
from synthetic_districts import small, strong
from tiny_panel import dated_panel, fact, first_day, school_days, stretch, student_year

MONDAY = date(2014, 9, 8)
LABOR_DAY = date(2014, 9, 1)
DAY = timedelta(days=1)


def since_1970(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def ask(method, who, *days, **options):
    """Ask a `DayRecords` method about one student-year, days as dates."""
    arrays = [np.array([since_1970(day)]) for day in days]
    return method(np.array([who]), *arrays, **options)[0]


class Tiny:
    """Five students; MOVER changes school, GAP leaves and comes back, LATE comes late.

    School S2 is closed on September 10; both are closed on Labor Day.
    """

    MOVED = date(2014, 9, 10)
    STRETCHES = (
        stretch("MOVER", first_day(2015), MOVED - DAY),
        stretch("MOVER", MOVED, date(2015, 6, 15), school_id="S2"),
        stretch("GAP", first_day(2015), date(2014, 9, 5)),
        stretch("GAP", date(2014, 9, 20), date(2014, 10, 3)),
        stretch("LATE", date(2014, 9, 13), date(2015, 6, 15)),
    )
    DAYS = (
        *school_days("S1", 2015, [LABOR_DAY]),
        *school_days("S2", 2015, [LABOR_DAY, date(2014, 9, 10)]),
    )
    FACTS = (
        fact("ALL", date(2014, 8, 25), "excused"),
        fact("ALL", date(2014, 9, 2), "unexcused", 0.25),
        fact("ALL", date(2014, 9, 2), "partial", 0.5),
        fact("ALL", date(2014, 9, 3), "tardy"),
        fact("ALL", date(2014, 9, 3), "partial", 0.125),
        fact("ALL", date(2014, 9, 6), "incident", 2),  # a Saturday
        fact("ALL", date(2014, 9, 6), "serious_incident", 0),
        fact("ALL", date(2014, 9, 6), "suspension", 3),
        fact("ALL", date(2014, 9, 12), "suspension", 0),  # of unknown length
        fact("ALL", date(2015, 6, 15), "unexcused"),
        fact("ALL", date(2015, 6, 15), "serious_incident"),
        fact("ALL", date(2015, 6, 15), "incident"),
        fact("MOVER", date(2014, 9, 9), "excused"),
        fact("MOVER", date(2014, 9, 11), "unexcused"),
        fact("GAP", date(2014, 9, 4), "incident"),
    )
    STUDENTS = ("ALL", "GAP", "LATE", "MOVER", "QUIET")
    rows = tuple(student_year(name, 2015, 3) for name in STUDENTS)

    @classmethod
    def records(cls):
        panel = dated_panel(cls.rows, (), cls.FACTS, cls.STRETCHES, cls.DAYS)
        keys = pd.MultiIndex.from_tuples([(name, 2015) for name in cls.STUDENTS])
        return day_records(panel, [2015], keys)

    @classmethod
    def held(cls, student: str, day: date) -> bool:
        """Say whether a student was enrolled, and the school open, on a day; day by day."""
        own = [one for one in cls.STRETCHES if one["student_id"] == student]
        usual = stretch(student, first_day(2015), date(2015, 6, 15))
        there = [one for one in own or [usual] if one["start"] <= day <= one["end"]]
        open_on = {(one["school_id"], one["date"]) for one in cls.DAYS}
        return any((one["school_id"], day) in open_on for one in there)

    @classmethod
    def amount(cls, name: str, student: str, day: date) -> float:
        """Return a fact of one day, from the rule in words."""
        today = [one for one in cls.FACTS if (one["student_id"], one["date"]) == (student, day)]
        of = {kind: sum(one["amount"] for one in today if one["kind"] == kind) for kind in (
            "excused", "unexcused", "partial", "tardy", "incident", "serious_incident", "suspension"
        )}  # fmt: skip
        absent = of["excused"] + of["unexcused"] + of["partial"]
        return {
            "days_absent": absent,
            "days_excused": of["excused"],
            "days_unexcused": of["unexcused"],
            "days_tardy": of["tardy"],
            "days_not_on_time": 1.0 if of["tardy"] else absent,
            "incidents": of["incident"],
            "serious_incidents": of["serious_incident"],
            "suspensions": float(any(one["kind"] == "suspension" for one in today)),
            "days_suspended": of["suspension"],
        }[name]


RECORDS = Tiny.records()
LOOKED_AT = [first_day(2015) - DAY + n * DAY for n in (*range(30), 294, 295, 296)]
SPANS = [(a, b) for a in LOOKED_AT for b in LOOKED_AT]


class TestAgainstCountingDayByDay:
    @pytest.mark.parametrize("student", Tiny.STUDENTS)
    def test_days_enrolled_of_every_span(self, student):
        code = np.full(len(SPANS), Tiny.STUDENTS.index(student))
        first, last = (np.array([since_1970(span[n]) for span in SPANS]) for n in (0, 1))
        every = [LOOKED_AT[0] + n * DAY for n in range(300)]
        held = np.cumsum([Tiny.held(student, day) for day in every])
        expected = [
            max(held[b] - (held[a - 1] if a else 0), 0) if a <= b else 0
            for a, b in zip(first - first.min(), last - first.min(), strict=True)
        ]
        assert RECORDS.days_enrolled(code, first, last).tolist() == expected

    @pytest.mark.parametrize("name", FACTS)
    @pytest.mark.parametrize("student", Tiny.STUDENTS)
    def test_totals_of_every_span(self, student, name):
        code = np.full(len(SPANS), Tiny.STUDENTS.index(student))
        first, last = (np.array([since_1970(span[n]) for span in SPANS]) for n in (0, 1))
        dates = {one["date"] for one in Tiny.FACTS}
        amount = {day: Tiny.amount(name, student, day) for day in dates}
        expected = [sum(v for day, v in amount.items() if a <= day <= b) for a, b in SPANS]
        assert RECORDS.total(name, code, first, last).tolist() == expected

    @pytest.mark.parametrize("name", FACTS)
    @pytest.mark.parametrize("student", Tiny.STUDENTS)
    def test_the_first_fact_from_every_day(self, student, name):
        code = np.full(len(LOOKED_AT), Tiny.STUDENTS.index(student))
        first = np.array([since_1970(day) for day in LOOKED_AT])
        dates = {one["date"] for one in Tiny.FACTS}
        found = sorted(since_1970(day) for day in dates if Tiny.amount(name, student, day) > 0)
        expected = [min((day for day in found if day >= start), default=BEYOND) for start in first]
        assert RECORDS.first_fact(name, code, first).tolist() == expected

    @pytest.mark.parametrize("skipped", [0, 1, 5, 1000])
    @pytest.mark.parametrize("school", ["S1", "S2"])
    def test_the_next_school_day_after_every_day(self, school, skipped):
        code = np.full(len(LOOKED_AT), RECORDS.schools.get_loc((school, 2015)))
        day = np.array([since_1970(one) for one in LOOKED_AT])
        held = [since_1970(one["date"]) for one in Tiny.DAYS if one["school_id"] == school]
        later = [[one for one in held if one > at] for at in day]
        expected = [one[skipped] if len(one) > skipped else BEYOND for one in later]
        assert RECORDS.next_school_day(code, day, skipped).tolist() == expected


class TestByHand:
    ALL, GAP, LATE, MOVER, QUIET = range(5)

    def test_a_weekend_and_a_holiday_are_no_days_of_enrollment(self):
        days = RECORDS.days_enrolled
        assert ask(days, self.ALL, date(2014, 8, 29), date(2014, 9, 2)) == 2
        assert ask(days, self.ALL, date(2014, 8, 30), LABOR_DAY) == 0

    def test_a_move_changes_the_calendar(self):
        days = RECORDS.days_enrolled
        assert ask(days, self.ALL, MONDAY, MONDAY + 4 * DAY) == 5
        assert ask(days, self.MOVER, MONDAY, MONDAY + 4 * DAY) == 4  # S2 is closed on Wednesday

    def test_a_gap_and_a_late_entry_are_not_enrolled(self):
        days = RECORDS.days_enrolled
        assert ask(days, self.GAP, date(2014, 9, 4), date(2014, 9, 23)) == 2 + 2
        assert ask(days, self.LATE, first_day(2015), date(2014, 9, 16)) == 2

    def test_a_fact_on_a_saturday_is_dated_then(self):
        incidents = partial(RECORDS.total, "incidents")
        saturday = date(2014, 9, 6)
        assert ask(incidents, self.ALL, saturday, saturday) == 2
        assert ask(incidents, self.ALL, MONDAY, MONDAY) == 0
        since = ask(partial(RECORDS.first_fact, "incidents"), self.ALL, first_day(2015))
        assert since == since_1970(saturday)

    def test_a_suspension_of_unknown_length_is_one(self):
        friday = date(2014, 9, 12)
        for name, amount in (("suspensions", 1), ("days_suspended", 0)):
            assert ask(partial(RECORDS.total, name), self.ALL, friday, friday) == amount

    def test_a_tardy_day_of_which_a_part_was_missed_is_one_day_not_on_time(self):
        wednesday = date(2014, 9, 3)
        for name, amount in (("days_not_on_time", 1), ("days_absent", 0.125), ("days_tardy", 1)):
            assert ask(partial(RECORDS.total, name), self.ALL, wednesday, wednesday) == amount

    def test_a_lag_counts_days_of_instruction(self):
        next_day = RECORDS.next_school_day
        s1 = RECORDS.schools.get_loc(("S1", 2015))
        s2 = RECORDS.schools.get_loc(("S2", 2015))
        assert ask(next_day, s1, date(2014, 8, 29), skipped=0) == since_1970(date(2014, 9, 2))
        assert ask(next_day, s1, date(2014, 8, 29), skipped=1) == since_1970(date(2014, 9, 3))
        assert ask(next_day, s1, date(2014, 9, 9), skipped=0) == since_1970(date(2014, 9, 10))
        assert ask(next_day, s2, date(2014, 9, 9), skipped=0) == since_1970(date(2014, 9, 11))
        assert ask(next_day, s1, date(2015, 6, 15), skipped=0) == BEYOND
        assert ask(next_day, s2, date(2015, 6, 15), skipped=0) == BEYOND

    def test_from_no_day_on_there_is_nothing(self):
        code, never = np.arange(5), np.full(5, BEYOND)
        last = np.full(5, LAST_DAY)
        assert not RECORDS.days_enrolled(code, never, last).any()
        for name in FACTS:
            assert not RECORDS.total(name, code, never, last).any()
            assert (RECORDS.first_fact(name, code, never) == BEYOND).all()

    def test_missing_dates_lie_after_every_day(self):
        assert ordinals(pd.Series([pd.Timestamp("1970-01-03"), pd.NaT])).tolist() == [2, BEYOND]

    def test_it_prints_no_rows(self):
        assert repr(RECORDS) == "DayRecords(9 kinds of facts)"

    def test_students_without_any_fact_or_panel_without_facts(self):
        panel = dated_panel(Tiny.rows, (), (), Tiny.STRETCHES, Tiny.DAYS)
        keys = pd.MultiIndex.from_tuples([(name, 2015) for name in Tiny.STUDENTS])
        records = day_records(panel, [2015], keys)
        code, first = np.arange(5), np.full(5, FIRST_DAY)
        assert records.total("incidents", code, first, np.full(5, LAST_DAY)).tolist() == [0.0] * 5
        assert (records.first_fact("incidents", code, first) == BEYOND).all()


@pytest.fixture(scope="module", params=[pytest.param("small", marks=pytest.mark.slow), "strong"])
def district(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    made = small() if request.param == "small" else simulate(strong(), 3)
    write_simulation(made, folder)
    with read_sources(folder) as sources:
        yield build_panel(sources)


class TestTheWholeYearIsThePanels:
    def test_every_measure_of_every_student_year(self, district):
        years = fetch_frame(district.students, ("student_id", "school_year"))
        keys = pd.MultiIndex.from_frame(years[["student_id", "school_year"]])
        records = day_records(district, sorted(set(years["school_year"])), keys)
        code = np.arange(len(years))
        first, last = np.full(len(years), FIRST_DAY), np.full(len(years), LAST_DAY)
        days = records.days_enrolled(code, first, last)
        assert days.tolist() == years["days_enrolled"].tolist()
        for name in COUNTED_BY_DAY:
            values = day_measure(name, records, code, first, last)
            known = years[name].notna().to_numpy()
            assert known.mean() > 0.9
            np.testing.assert_array_equal(
                values[known], years[name].to_numpy(dtype=float)[known], err_msg=name
            )
            assert np.unique(values[known]).size > 1, f"{name} must vary, or nothing is tested"

    def test_parts_of_a_year_add_up(self, district):
        years = fetch_frame(district.students, ("student_id", "school_year"))
        keys = pd.MultiIndex.from_frame(years[["student_id", "school_year"]])
        records = day_records(district, sorted(set(years["school_year"])), keys)
        code, n = np.arange(len(years)), len(years)
        day = ordinals(years["first_instructional_day"]) + 70
        first, last = np.full(n, FIRST_DAY), np.full(n, LAST_DAY)
        for name in FACTS:
            whole = records.total(name, code, first, last)
            parts = records.total(name, code, first, day - 1) + records.total(name, code, day, last)
            np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-9)
        parts = records.days_enrolled(code, first, day - 1) + records.days_enrolled(code, day, last)
        assert parts.tolist() == years["days_enrolled"].tolist()
