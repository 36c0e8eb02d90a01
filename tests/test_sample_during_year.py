"""Visits during the year: who is visited in which window, and who is at risk on the day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from during_year import (
    DAY,
    FALL,
    FIRST,
    INCIDENTS,
    LATER,
    PRIOR,
    SATURDAY,
    SPRING,
    SUMMER,
    TO_DATE,
    YEAR_END,
    design_of,
    flow_of,
    groups,
    row_of,
    students,
    world,
)
from homevisit_eval.design import (
    Question,
    RiskSets,
    design_checksum,
)
from homevisit_eval.errors import DesignError, SourceError
from homevisit_eval.sample import select_sample
from homevisit_eval.sample.day_records import BEYOND, day_records
from homevisit_eval.sample.risk_rows import Drawn, StudentDays, rows_at_risk
from tiny_panel import (
    ATTENDANCE,
    dated_panel,
    fact,
    school,
    school_days,
    stretch,
    student_year,
    tiny_panel,
    visit,
)


class TestWhoIsAtRisk:
    """V is visited in the fall; the others are there or not."""

    def day(self, rows=(), visits=(), stretches=(), **asked):
        panel = dated_panel([*students("V"), *rows], [visit("V", FALL), *visits], (), stretches)
        return select_sample(panel, design_of(**asked))

    def test_students_enrolled_on_the_day(self):
        stretches = [
            stretch("CAME", FALL, YEAR_END),
            stretch("LEFT", FIRST, FALL),
            stretch("LATE", FALL + DAY, YEAR_END),
            stretch("GONE", FIRST, FALL - DAY),
            stretch("BACK", FIRST, FALL - DAY),
            stretch("BACK", FALL + DAY, YEAR_END),
        ]
        rows = students("CAME", "LEFT", "LATE", "GONE", "BACK")
        sample = self.day(rows, stretches=stretches)
        assert groups(sample) == {FALL: ("V", "CAME LEFT")}
        assert flow_of(sample)["never_at_risk"] == (0, 3, 0)
        assert flow_of(sample)["candidates"] == (1, 2, 0)

    def test_the_visited_leave_on_the_day_of_their_visit_and_not_before(self):
        rows = students("SAME", "LATER", "NEVER", "BEFORE")
        visits = [visit("SAME", FALL), visit("LATER", LATER), visit("BEFORE", SUMMER)]
        sample = self.day(rows, visits)
        assert groups(sample) == {FALL: ("SAME V", "LATER NEVER"), LATER: ("LATER", "NEVER")}
        assert flow_of(sample) == {
            "enrolled": (3, 1, 1),
            "not_in_baseline_year": (0, 0, 0),
            "few_days_in_baseline_year": (0, 0, 0),
            "eligible": (3, 1, 1),
            "visited_before_window": (0, 0, 1),
            "not_enrolled": (0, 0, 0),
            "contrast": (3, 1, 0),
            "candidates": (3, 1, 0),
            "student_days": (3, 3, 0),
        }

    def test_a_second_visit_does_not_count(self):
        sample = self.day(students("C"), [visit("V", LATER), visit("V", FALL, program="FEC")])
        assert groups(sample) == {FALL: ("V", "C")}

    def test_an_attempt_is_no_visit(self):
        sample = self.day(students("C"), [visit("C", FALL - DAY, completed=0)])
        assert groups(sample) == {FALL: ("V", "C")}

    def test_siblings_of_a_student_visited_through_that_day_are_out(self):
        rows = [
            *students("ELDER", grade=5, household_id="H1"),
            *students("YOUNG", household_id="H1"),
            *students("TWIN", "TWIN2", household_id="H2"),
            *students("KEEN", "SLOW", household_id="H3"),
            *students("ALONE"),
        ]
        visits = [visit("ELDER", FALL - DAY), visit("TWIN", FALL), visit("KEEN", LATER)]
        sample = self.day(rows, visits)
        assert groups(sample)[FALL] == ("TWIN V", "ALONE KEEN SLOW")
        assert groups(sample)[LATER] == ("KEEN", "ALONE")

    def test_a_visit_in_another_year_to_the_household_does_not_count(self):
        rows = [*students("C", household_id="H1"), student_year("S", 2014, 3, household_id="H1")]
        sample = self.day(rows, [visit("S", date(2013, 10, 8))])
        assert groups(sample) == {FALL: ("V", "C")}

    def test_only_students_of_the_grade_of_a_visit(self):
        rows = [*students("C"), *students("OTHER", grade=4)]
        sample = self.day(rows)
        assert groups(sample) == {FALL: ("V", "C")}
        assert flow_of(sample)["never_at_risk"] == (0, 1, 0)

    def test_the_baseline_year_is_needed(self):
        rows = [
            *students("C"),
            student_year("NEW", 2015, 3),
            student_year("FEW", 2014, 2, days_enrolled=19),
            student_year("FEW", 2015, 3),
        ]
        sample = self.day(rows)
        assert groups(sample) == {FALL: ("V", "C")}
        assert flow_of(sample)["not_in_baseline_year"] == (0, 1, 0)
        assert flow_of(sample)["few_days_in_baseline_year"] == (0, 1, 0)

    def test_enrollment_on_the_first_day_is_not_needed(self):
        rows = students("C", school_id=None)
        sample = self.day(rows, stretches=[stretch("C", FALL - DAY, YEAR_END)])
        assert groups(sample) == {FALL: ("V", "C")}

    def test_the_year_of_another_visit_is_another_year(self):
        rows = [*students("C"), *students("V2", school_year=2016)]
        visits = [visit("C", date(2013, 10, 8)), visit("V2", date(2015, 10, 8))]
        sample = self.day(rows, visits)
        assert groups(sample) == {FALL: ("V", "C")}
        assert sample.baseline["visited_prior"].tolist() == ["unknown", "unknown"]


class TestWindows:
    ROWS = students("SUMMER", "FIRST", "FALL", "EVE", "NEWYEAR", "SPRING", "NEVER")
    VISITS = (
        visit("SUMMER", SUMMER),
        visit("FIRST", FIRST),
        visit("FALL", FALL),
        visit("EVE", date(2014, 12, 31)),
        visit("NEWYEAR", date(2015, 1, 1)),
        visit("SPRING", SPRING),
    )

    @pytest.fixture(scope="class")
    @classmethod
    def panel(cls):
        return dated_panel(cls.ROWS, cls.VISITS)

    @pytest.mark.parametrize(
        ("window", "visited", "neither"),
        [
            ("fall", "FIRST FALL EVE", 1),
            ("spring", "NEWYEAR SPRING", 4),
            ("during_year", "FIRST FALL EVE NEWYEAR SPRING", 1),
            ("any_time", "SUMMER FIRST FALL EVE NEWYEAR SPRING", 0),
            ("first_ever", "SUMMER FIRST FALL EVE NEWYEAR SPRING", 0),
        ],
    )
    def test_who_is_visited_in_which(self, panel, window, visited, neither):
        sample = select_sample(panel, design_of(window))
        rows = sample.baseline
        assert rows.loc[rows["visited"] == 1, "unit_id"].tolist() == visited.split()
        assert flow_of(sample)["visited_before_window"] == (0, 0, neither)
        for day, (_, comparison) in groups(sample).items():
            first = {one["student_id"]: one["date"] for one in self.VISITS}
            waiting = {name for name in first if first[name] > max(day, FIRST - DAY)}
            assert set(comparison.split()) == waiting | {"NEVER"}

    def test_where_spring_starts_is_an_option(self, panel):
        design = replace(design_of("spring"), risk_sets=RiskSets(spring_starts="02-01"))
        sample = select_sample(panel, design)
        assert groups(sample) == {SPRING: ("SPRING", "NEVER")}

    def test_of_a_visit_before_the_year_time_zero_is_the_day_before_the_first(self, panel):
        sample = select_sample(panel, design_of("any_time"))
        rows = sample.baseline[sample.baseline["unit_id"] == "SUMMER"]
        assert [day.date() for day in rows["index_date"]] == [FIRST - DAY]
        held = len(school_days("S1", 2015))
        assert row_of(sample.outcomes, sample, "SUMMER")["days_enrolled"] == held
        assert row_of(sample.outcomes, sample, "FIRST", FIRST)["days_enrolled"] == held - 1

    def test_first_ever_leaves_out_who_was_visited_in_an_earlier_year(self):
        rows = [*students("C", "AGAIN", "V"), student_year("AGAIN", 2013, 1)]
        visits = [visit("V", FALL), visit("AGAIN", date(2013, 3, 6)), visit("AGAIN", LATER)]
        panel = dated_panel(rows, visits)
        sample = select_sample(panel, design_of("first_ever"))
        assert groups(sample) == {FALL: ("V", "C")}
        assert flow_of(sample)["visited_earlier"] == (0, 0, 1)
        sample = select_sample(panel, design_of("any_time"))
        assert groups(sample) == {FALL: ("V", "AGAIN C"), LATER: ("AGAIN", "C")}

    def test_schools_that_begin_on_other_days_make_no_row_twice(self):
        late = FIRST + 3 * DAY
        rows = [
            *students("A", "B", "E"),
            *students("C", "D", school_id="S2", first_instructional_day=late),
        ]
        stretches = [stretch(name, late, YEAR_END, school_id="S2") for name in ("C", "D")]
        days = [one for one in school_days("S2", 2015) if one["date"] >= late]
        visits = [visit("C", SUMMER), visit("A", late - DAY)]
        panel = dated_panel(rows, visits, (), stretches, days)
        sample = select_sample(panel, design_of("any_time"))
        assert groups(sample) == {late - DAY: ("A C", "B E D")}
        assert not sample.baseline.duplicated(["unit_id", "school_year", "index_date"]).any()


class TestOddVisits:
    def sample(self, visits, stretches=(), facts=(), covariates=(PRIOR,), **asked):
        panel = dated_panel(students("A", "B", "C"), visits, facts, stretches)
        return select_sample(panel, design_of(covariates=covariates, **asked))

    def test_on_a_saturday(self):
        stretches = [stretch("B", SATURDAY + 2 * DAY, YEAR_END)]
        facts = [
            fact("A", SATURDAY - DAY, "unexcused"),
            fact("A", SATURDAY, "incident"),
            fact("A", SATURDAY + DAY, "incident"),
            fact("A", SATURDAY + 2 * DAY, "incident"),
        ]
        covariates = (PRIOR, *TO_DATE)
        sample = self.sample(
            [visit("A", SATURDAY)], stretches, facts, covariates, outcomes=(ATTENDANCE, INCIDENTS)
        )
        assert groups(sample) == {SATURDAY: ("A", "C")}
        before, after = (row_of(one, sample, "A") for one in (sample.baseline, sample.outcomes))
        assert before["days_unexcused_to_date"] == 1
        assert before["attendance_rate_to_date"] == 1 - 1 / 35
        assert before["incidents_to_date"] == 0
        assert after["incidents"] == 1  # that of Monday
        assert after["days_enrolled"] == len(school_days("S1", 2015)) - 35

    def test_on_the_first_day_nobody_has_a_history(self):
        covariates = (PRIOR, *TO_DATE)
        facts = [fact("B", FALL - DAY, "incident")]
        visits = [visit("A", FIRST), visit("B", FALL)]
        sample = self.sample(visits, (), facts, covariates)
        assert groups(sample) == {FIRST: ("A", "B C"), FALL: ("B", "C")}
        start = sample.baseline[sample.baseline["index_date"] == pd.Timestamp(FIRST)]
        assert start["incidents_to_date"].tolist() == [0.5] * 3  # the mean of the other rows
        assert flow_of(sample)["candidates"] == (2, 1, 0)

    def test_before_enrollment(self):
        visits = [visit("A", FALL), visit("B", LATER)]
        sample = self.sample(visits, [stretch("A", FALL + DAY, YEAR_END)])
        assert groups(sample) == {LATER: ("B", "C")}
        assert flow_of(sample)["not_enrolled"] == (1, 0, 0)

    def test_after_leaving_they_were_comparisons_and_are_no_visited_candidates(self):
        visits = [visit("A", FALL), visit("B", LATER, school_year=2015)]
        sample = self.sample(visits, [stretch("B", FIRST, LATER - DAY)])
        assert groups(sample) == {FALL: ("A", "B C")}
        flow = flow_of(sample)
        assert flow["not_enrolled"] == (1, 0, 0)
        assert flow["candidates"] == (1, 1, 0)
        assert flow["student_days"] == (1, 2, 0)

    def test_two_on_one_day_under_different_programs_in_either_order(self):
        visits = [visit("A", FALL, program="EC"), visit("A", FALL)]
        visits += [visit("B", FALL), visit("B", FALL, program="EC")]
        assert groups(self.sample(visits)) == {FALL: ("A B", "C")}

    def test_another_program_first_is_a_comparison_until_then_and_nothing_after(self):
        visits = [
            visit("C", FALL),
            visit("A", LATER, program="EC"),
            visit("A", LATER + 7 * DAY),
            visit("B", SPRING),
        ]
        sample = self.sample(visits)
        with pytest.raises(SourceError, match="may be a comparison student"):
            self.sample(visits, window="spring")
        assert groups(sample) == {FALL: ("C", "A B"), SPRING: ("B", "")}

    def test_another_mode_first(self):
        visits = [visit("C", FALL), visit("A", LATER, mode="virtual"), visit("B", SPRING)]
        sample = self.sample(visits, modes=("virtual",))
        assert groups(sample) == {LATER: ("A", "B")}
        sample = self.sample(visits, modes=("in_person",))
        assert groups(sample)[FALL] == ("C", "A B")

    def test_on_the_last_day_there_is_no_outcome(self):
        sample = self.sample([visit("A", FALL), visit("B", YEAR_END)])
        end = sample.baseline["index_date"] == pd.Timestamp(YEAR_END)
        assert sample.outcomes.loc[end, "days_enrolled"].tolist() == [0, 0]
        assert sample.outcomes.loc[end, "attendance_rate"].isna().all()


class TestDraws:
    DESIGN = design_of(covariates=(PRIOR, *TO_DATE))

    @pytest.fixture(scope="class")
    @classmethod
    def panel(cls):
        return dated_panel(*world(8))

    @pytest.fixture(scope="class")
    @classmethod
    def few(cls, panel):
        return cls.drawn(panel, 3)

    @classmethod
    def drawn(cls, panel, per_visit, seed=1):
        risk_sets = RiskSets(candidates_per_visit=per_visit, seed=seed)
        return select_sample(panel, replace(cls.DESIGN, risk_sets=risk_sets))

    def test_as_many_as_asked_for_each_visit_of_a_day(self, panel, few):
        everyone = self.drawn(panel, 10_000)
        for day, rows in few.baseline.groupby("index_date"):
            visited = int((rows["visited"] == 1).sum())
            assert (rows["visited"] == 0).sum() == 3 * visited
            whole = everyone.baseline[everyone.baseline["index_date"] == day]
            assert set(rows["unit_id"]) <= set(whole["unit_id"])
        assert (few.baseline["visited"] == 1).sum() == 18

    def test_two_visits_on_one_day_draw_twice_as_many(self):
        rows = students(*(f"C{number:02d}" for number in range(20)), "V", "W")
        panel = dated_panel(rows, [visit("V", FALL), visit("W", FALL)])
        sample = self.drawn(panel, 4)
        assert (sample.baseline["visited"] == 0).sum() == 8

    def test_those_not_drawn_are_counted(self):
        rows = students(*(f"C{number:02d}" for number in range(20)), "V")
        sample = self.drawn(dated_panel(rows, [visit("V", FALL)]), 4)
        assert flow_of(sample)["not_drawn"] == (0, 16, 0)
        assert flow_of(sample)["candidates"] == (1, 4, 0)

    def test_the_seed_decides_and_the_order_of_rows_does_not(self, panel, few):
        rows, visits, facts = world(8)
        other = self.drawn(dated_panel(rows[::-1], visits[::-1], facts[::-1]), 3)
        assert_frame_equal(few.baseline, other.baseline)
        assert_frame_equal(few.outcomes, other.outcomes)
        assert (few.flow, few.notes) == (other.flow, other.notes)
        assert not few.baseline.equals(self.drawn(panel, 3, seed=2).baseline)

    def test_every_student_at_risk_is_as_likely(self):
        names = ["V", *(f"C{number:02d}" for number in range(10))]
        panel = dated_panel([student_year(name, 2015, 3) for name in names])
        records = day_records(panel, [2015], pd.MultiIndex.from_product([names, [2015]]))
        n, day = len(names), (FALL - date(1970, 1, 1)).days
        visited = np.arange(n) == 0
        first = np.where(visited, day, BEYOND)
        index = np.where(visited, day, -1)
        school_year, grade = np.full(n, 2015), np.full(n, 3)
        asked = StudentDays(
            school_year, grade, first, first, index, index, np.ones(n, dtype=bool)
        )  # fmt: skip
        times = np.zeros(n)
        for seed in range(600):
            rows = rows_at_risk(records, asked, np.array([True]), Drawn(3, seed, False))
            assert rows.code[rows.visited].tolist() == [0]
            np.add.at(times, rows.code[~rows.visited], 1)
        assert times.sum() == 1800
        chi2 = ((times[1:] - 180) ** 2 / (180 * 0.7 * 10 / 9)).sum()  # without replacement
        assert chi2 < 27.9  # 99.9 % of chi2 with 9 degrees of freedom


class TestSchools:
    ROWS = (
        *students("V", "C1"),
        *students("C2", school_id="S2"),
        *students("C3", school_id="S3"),
    )
    SCHOOLS = (school("S1", 2015), school("S2", 2015), school("S3", 2015, fep=0))

    @pytest.fixture(scope="class")
    @classmethod
    def panel(cls):
        return dated_panel(cls.ROWS, [visit("V", FALL)], schools=cls.SCHOOLS)

    @pytest.mark.parametrize(
        ("which", "comparison"),
        [("any", "C1 C2 C3"), ("same_school", "C1"), ("outside_program", "C3")],
    )
    def test_which_may_compare(self, panel, which, comparison):
        sample = select_sample(panel, design_of(comparison_schools=which))
        assert groups(sample) == {FALL: ("V", comparison)}
        left = 3 - len(comparison.split())
        assert flow_of(sample).get("never_at_risk", (0, 0, 0)) == (0, left, 0)

    def test_the_same_school_is_that_of_the_day(self):
        stretches = [
            stretch("C1", FIRST, FALL - DAY),
            stretch("C1", FALL, YEAR_END, school_id="S2"),
            stretch("C2", FIRST, FALL - DAY, school_id="S2"),
            stretch("C2", FALL, YEAR_END),
        ]
        panel = dated_panel(self.ROWS, [visit("V", FALL)], (), stretches, schools=self.SCHOOLS)
        sample = select_sample(panel, design_of(comparison_schools="same_school"))
        assert groups(sample) == {FALL: ("V", "C2")}

    def test_candidates_are_drawn_within_school(self):
        rows = [
            *students("V1", *(f"A{n}" for n in range(9))),
            *students("V2", "W2", *(f"B{n}" for n in range(9)), school_id="S2"),
        ]
        visits = [visit(name, FALL) for name in ("V1", "V2", "W2")]
        design = design_of(comparison_schools="same_school")
        design = replace(design, risk_sets=RiskSets(candidates_per_visit=3))
        sample = select_sample(dated_panel(rows, visits), design)
        counts = sample.baseline.groupby(["school_id", "visited"]).size().to_dict()
        assert counts == {("S1", 0): 3, ("S1", 1): 1, ("S2", 0): 6, ("S2", 1): 2}


WINDOWS = ("fall", "spring", "during_year", "any_time", "first_ever")
ONE_VISIT = {
    "none": (),
    "attempted": (visit("A", FALL, completed=0),),
    "other_program": (visit("A", FALL, program="EC"),),
    "spring": (visit("A", SPRING),),
    "fall": (visit("A", FALL),),
    "summer": (visit("A", SUMMER),),
}


@cache
def panel_with(visits):
    return dated_panel(students("A", "B"), ONE_VISIT[visits])


class TestErrors:
    @pytest.mark.parametrize(
        ("window", "visits"),
        [
            *((window, "none") for window in WINDOWS),
            *((window, "attempted") for window in WINDOWS[:1]),
            *((window, "other_program") for window in WINDOWS[:1]),
            ("fall", "spring"),
            ("spring", "fall"),
            ("during_year", "summer"),
            *(
                pytest.param(window, visits, marks=pytest.mark.slow)
                for window in WINDOWS[1:]
                for visits in ("attempted", "other_program")
            ),
        ],
    )
    def test_a_window_with_no_visits(self, window, visits):
        words = r"no candidate of question .summer. .* was visited"
        with pytest.raises(SourceError, match=words) as caught:
            select_sample(panel_with(visits), design_of(window))
        named = "spring_starts of [risk_sets] (01-01)" in str(caught.value)
        assert named == (window in ("fall", "spring"))

    def test_a_lag_that_leaves_too_few_days(self):
        with pytest.raises(SourceError) as caught:
            select_sample(panel_with("spring"), design_of("spring", lag_days=90))
        words = str(caught.value)
        assert words.startswith("lag_days = 90, min_days_enrolled = ")
        assert "Lower lag_days or min_days_enrolled" in words
        assert "absences" not in words

    def test_a_panel_without_days(self):
        panel = tiny_panel(students("A", "B"), [visit("A", FALL)])
        with pytest.raises(SourceError, match="no dated enrollment"):
            select_sample(panel, design_of())

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"dose": "one"}, "dose 'one' needs window 'before_year'"),
            ({"pool": "never_visited_that_year"}, "needs window 'before_year'"),
            ({"window": "any_time", "lag_days": 5}, "lag_days needs a window during the year"),
            ({"window": "first_ever", "lag_days": 5}, "lag_days needs a window during the year"),
            ({"window": "before_year", "lag_days": 5}, "lag_days needs a window during the year"),
            (
                {
                    "window": "before_year",
                    "pool": "never_visited_that_year",
                    "later_visits": "none",
                },
                "later_visits 'none' needs pool 'not_visited_before_year'",
            ),
            ({"outcomes": ("chronic_absence",)}, "cannot be counted from the day after it"),
            ({"outcomes": ("math_score_std",)}, "cannot be counted from the day after it"),
            (
                {"window": "spring", "outcomes": ("math_score_std",)},
                "cannot be counted from the day after it",
            ),
            ({"lag_days": 91}, "90"),
            ({"follow_up": 4}, "3"),
        ],
    )
    def test_options_that_contradict_each_other(self, options, words):
        asked = {"window": "during_year", "outcomes": ("attendance_rate",), **options}
        with pytest.raises(DesignError, match=words):
            Question("asked", "A question", "primary", **asked)

    def test_scores_of_later_years_may_be_asked_of_any_window(self):
        Question("q", "Q", "primary", ("math_score_std_after_1",), window="spring")
        Question("q", "Q", "primary", ("math_score_std",), window="fall")


class TestRegistration:
    @pytest.fixture(scope="class")
    @classmethod
    def panel(cls):
        return dated_panel(students("V", "C"), [visit("V", FALL)])

    def test_a_question_of_the_design_keeps_its_role(self, panel):
        sample = select_sample(panel, design_of())
        assert sample.question.role == "primary"
        assert not any(note.startswith("Exploratory") for note in sample.notes)

    @pytest.mark.parametrize("changes", [{"lag_days": 5}, {"name": "other"}, {"window": "fall"}])
    def test_any_other_is_exploratory_and_says_so(self, panel, changes):
        design = design_of()
        sample = select_sample(panel, design, replace(design.questions[0], **changes))
        assert sample.question.role == "exploratory"
        assert sample.notes[0].startswith("Exploratory: this question is not among those")
        assert design_checksum(design)[:12] in sample.notes[0]
