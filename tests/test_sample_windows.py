"""Who counts as visited before the school year, and who is in the comparison pool."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from homevisit_eval.sample import AnalyticSample, select_sample
from tiny_panel import enrolled, first_day, last_day, student_year, tiny_design, tiny_panel, visit

SUMMER = date(2014, 8, 2)
DAY = timedelta(days=1)

# Besides the student a test is about, there is one of each group.
OTHERS = [*enrolled("VISITED"), *enrolled("COMPARISON")]
OTHER_VISITS = [visit("VISITED", SUMMER)]


def sample_with(*visits, question=None, extra=(), missing=()) -> AnalyticSample:
    rows = [*OTHERS, *enrolled("SUBJECT"), *extra]
    panel = tiny_panel(rows, [*OTHER_VISITS, *visits], missing=missing)
    return select_sample(panel, tiny_design(**(question or {})))


def group_of(sample: AnalyticSample, student: str = "SUBJECT") -> str:
    row = sample.baseline[sample.baseline["unit_id"] == student]
    if row.empty:
        return "excluded"
    return "visited" if row["visited"].item() else "comparison"


def excluded(sample: AnalyticSample, name: str) -> int:
    return sum(step.total for step in sample.flow if step.name == name and step.kind == "excluded")


AUTUMN = date(2014, 10, 1)
CASES = {
    "the last day of the year before": ("comparison", [(last_day(2014), {})]),
    "the day after it": ("visited", [(last_day(2014) + DAY, {})]),
    "in the summer": ("visited", [(SUMMER, {})]),
    "the day before the first": ("visited", [(first_day(2015) - DAY, {})]),
    "the first day": ("comparison", [(first_day(2015), {})]),
    "in winter": ("comparison", [(date(2015, 1, 15), {})]),
    "two summers ago": ("comparison", [(date(2013, 8, 2), {})]),
    "in a year outside the design": ("comparison", [(date(2016, 8, 2), {})]),
    "several": ("visited", [(SUMMER + number * DAY, {}) for number in range(3)]),
    "an attempt during the year": ("comparison", [(first_day(2015), {"completed": 0})]),
    "an attempt, then completed": (
        "visited", [(SUMMER, {"completed": 0}), (SUMMER + DAY, {})]
    ),
    "an attempt under another program": (
        "comparison", [(SUMMER, {"program": "EC", "completed": 0})]
    ),
    "another program besides": ("visited", [(SUMMER, {"program": "EC"}), (SUMMER + DAY, {})]),
    "another program during the year": ("comparison", [(AUTUMN, {"program": "EC"})]),
}  # fmt: skip
"""When a student is visited, and the group that this makes."""


@pytest.fixture(scope="module")
def cases() -> AnalyticSample:
    """Return a sample with a student for each of `CASES`."""
    rows = [row for name in CASES for row in enrolled(name)]
    visits = [
        visit(name, day, **changes) for name, (_, days) in CASES.items() for day, changes in days
    ]
    return select_sample(tiny_panel([*OTHERS, *rows], [*OTHER_VISITS, *visits]), tiny_design())


@pytest.mark.parametrize("case", CASES)
def test_which_visits_make_a_student_visited(cases, case):
    assert group_of(cases, case) == CASES[case][0]


def test_several_visits_are_one_row(cases):
    assert sorted(cases.baseline["unit_id"]) == sorted(["VISITED", "COMPARISON", *CASES])


def test_attempts_that_do_not_matter_are_not_noted(cases):
    assert not any("attempted" in note for note in cases.notes)


def test_the_first_day_is_that_of_the_students_own_school():
    late = date(2014, 9, 8)
    rows = [*OTHERS, *enrolled("SUBJECT", first_instructional_day=late, school_id="S2")]
    panel = tiny_panel(rows, [*OTHER_VISITS, visit("SUBJECT", first_day(2015))])
    sample = select_sample(panel, tiny_design())
    assert group_of(sample) == "visited"
    dates = sample.baseline.set_index("unit_id")["index_date"]
    assert dates["SUBJECT"].date() == late
    assert dates["VISITED"].date() == first_day(2015)


def test_an_attempt_stays_in_the_pool_and_is_noted():
    sample = sample_with(visit("SUBJECT", SUMMER, completed=0))
    assert group_of(sample) == "comparison"
    assert any("attempted and not completed" in note and "<10" in note for note in sample.notes)


def test_visited_under_another_program_only_is_excluded_and_counted():
    sample = sample_with(visit("SUBJECT", SUMMER, program="EC"))
    assert group_of(sample) == "excluded"
    [step] = [step for step in sample.flow if step.name == "other_program"]
    assert (step.visited, step.comparison, step.neither) == (0, 0, 1)


def test_visited_in_another_mode_only_is_excluded_and_counted():
    asked = {"modes": ("in_person",)}
    sample = sample_with(visit("SUBJECT", SUMMER, mode="virtual"), question=asked)
    assert group_of(sample) == "excluded"
    assert excluded(sample, "other_mode") == 1
    assert excluded(sample, "other_program") == 0


def test_a_question_of_all_programs_and_modes_has_no_line_for_others():
    asked = {"programs": ("FEP", "FEC", "EC")}
    sample = sample_with(visit("SUBJECT", SUMMER, program="EC"), question=asked)
    assert group_of(sample) == "visited"
    assert not {"other_program", "other_mode"} & {step.name for step in sample.flow}


def test_a_later_visit_is_part_of_the_natural_course_and_noted():
    sample = sample_with(visit("SUBJECT", date(2014, 11, 3)))
    assert group_of(sample) == "comparison"
    assert any("visited later in the year" in note for note in sample.notes)


def test_the_never_visited_pool_leaves_later_visited_students_out():
    extra = enrolled("OTHER")  # visited under another program
    visits = [visit("SUBJECT", AUTUMN), visit("OTHER", AUTUMN, program="EC")]
    asked = {"pool": "never_visited_that_year"}
    sample = sample_with(*visits, question=asked, extra=extra)
    assert group_of(sample) == group_of(sample, "OTHER") == "excluded"
    assert excluded(sample, "visited_later") == 2
    assert any("biases the comparison" in note for note in sample.notes)


def test_the_never_visited_pool_keeps_visited_students_and_uncompleted_visits():
    visits = [
        visit("VISITED", date(2014, 11, 3)),
        visit("SUBJECT", date(2014, 11, 3), completed=0),
    ]
    sample = sample_with(*visits, question={"pool": "never_visited_that_year"})
    assert group_of(sample, "VISITED") == "visited"
    assert group_of(sample) == "comparison"


def test_visited_prior_is_any_completed_visit_of_the_previous_year():
    visits = [
        visit("COMPARISON", date(2013, 8, 1)),
        visit("SUMMER", date(2013, 8, 2)),
        visit("OTHER", date(2014, 3, 1), program="EC", mode="virtual"),
        visit("ATTEMPTED", date(2014, 3, 1), completed=0),
        visit("SUBJECT", SUMMER),
    ]
    names = ("SUMMER", "OTHER", "ATTEMPTED", "NEVER")
    extra = [row for name in names for row in enrolled(name)]
    before = sample_with(*visits, extra=extra).baseline.set_index("unit_id")["visited_prior"]
    assert before.to_dict() == {
        "COMPARISON": "yes",
        "SUMMER": "yes",
        "OTHER": "yes",
        "ATTEMPTED": "no",
        "NEVER": "no",
        "SUBJECT": "no",
        "VISITED": "no",
    }


def test_visited_prior_is_unknown_before_the_first_recorded_visit():
    sample = sample_with()
    assert set(sample.baseline["visited_prior"]) == {"unknown"}
    assert any("2013-14 is unknown" in note for note in sample.notes)


def test_visited_prior_is_known_from_the_first_recorded_visit_on():
    rows = [
        *enrolled("A"),
        *enrolled("B"),
        student_year("A", 2016, 4),
        student_year("B", 2016, 4),
    ]
    visits = [visit("A", SUMMER), visit("B", date(2015, 8, 2))]
    sample = select_sample(tiny_panel(rows, visits), tiny_design(school_years=(2015, 2016)))
    before = sample.baseline.set_index(["unit_id", "school_year"])["visited_prior"]
    assert before.to_dict() == {
        ("A", 2015): "unknown",
        ("B", 2015): "unknown",
        ("A", 2016): "yes",
        ("B", 2016): "no",
    }


@pytest.mark.parametrize(
    ("day", "year_before"),
    [(first_day(2014) - DAY, "no"), (first_day(2014), "unknown"), (date(2014, 3, 3), "unknown")],
)
def test_a_year_is_known_if_the_visits_of_its_summer_are_recorded(day, year_before):
    """An extract that starts in March says nothing of the summer and fall before."""
    rows = [*OTHERS, *enrolled("SUBJECT"), student_year("COMPARISON", 2016, 4)]
    visits = [visit("SUBJECT", day), *OTHER_VISITS]
    sample = select_sample(tiny_panel(rows, visits), tiny_design(school_years=(2015, 2016)))
    before = sample.baseline.set_index(["unit_id", "school_year"])["visited_prior"]
    assert before["COMPARISON", 2015] == year_before
    assert before["SUBJECT", 2015] == ("yes" if year_before == "no" else "unknown")
    assert before["COMPARISON", 2016] == "no"
    noted = any("baseline year 2013-14 is unknown" in note for note in sample.notes)
    assert noted == (year_before == "unknown")


class TestHouseholds:
    def sample(self, sibling, visits=(), **question):
        rows = [
            *enrolled("VISITED", household_id="H1"),
            *enrolled("COMPARISON", household_id="H2"),
            *enrolled("SUBJECT", household_id="H3"),
            *sibling,
        ]
        panel = tiny_panel(rows, [*OTHER_VISITS, *visits])
        return select_sample(panel, tiny_design(**question))

    def test_a_sibling_of_a_visited_student_is_no_comparison_student(self):
        sample = self.sample(enrolled("SIBLING", household_id="H1"))
        assert group_of(sample, "SIBLING") == "excluded"
        [step] = [step for step in sample.flow if step.name == "sibling"]
        assert (step.visited, step.comparison, step.neither) == (0, 1, 0)

    def test_siblings_visited_both_are_both_visited(self):
        sample = self.sample(
            enrolled("SIBLING", household_id="H1"), [visit("SIBLING", SUMMER + DAY)]
        )
        assert group_of(sample, "SIBLING") == "visited"
        assert group_of(sample, "VISITED") == "visited"

    def test_which_visits_of_an_older_sibling_count(self):
        """Of any program and mode, and of a sibling in any grade, who is not eligible."""
        older = {
            "summer": ("excluded", SUMMER, {}),
            "other program": ("excluded", SUMMER, {"program": "EC"}),
            "virtual": ("excluded", SUMMER, {"mode": "virtual"}),
            "attempted": ("comparison", SUMMER, {"completed": 0}),
            "year before": ("comparison", date(2013, 8, 2), {}),
            "later": ("comparison", AUTUMN, {}),
        }
        rows, visits = [], []
        for name, (_, day, changes) in older.items():
            rows += enrolled(name, household_id=name)
            rows += enrolled(f"OLDER {name}", grade=8, household_id=name)
            visits.append(visit(f"OLDER {name}", day, **changes))
        sample = self.sample(rows, visits, modes=("in_person",))
        found = {name: group_of(sample, name) for name in older}
        assert found == {name: group for name, (group, *_) in older.items()}

    def test_a_visited_sibling_counts_if_not_eligible(self):
        older = [student_year("OLDER", 2015, 8, household_id="H3")]
        sample = self.sample(older, [visit("OLDER", SUMMER)])
        assert group_of(sample) == "excluded"

    def test_students_of_unknown_household_are_not_siblings(self):
        rows = [*OTHERS, *enrolled("SUBJECT", household_id="H1")]
        sample = select_sample(tiny_panel(rows, OTHER_VISITS), tiny_design())
        assert group_of(sample, "COMPARISON") == "comparison"
        assert not any("Households" in note for note in sample.notes)

    def test_unknown_households_are_noted(self):
        assert any("Households are not known" in note for note in sample_with().notes)
