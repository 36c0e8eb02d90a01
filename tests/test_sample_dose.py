"""Number of completed visits before the year: who is in which group, by hand."""

from __future__ import annotations

import pytest

from during_year import DAY, FALL, SUMMER, flow_of, students
from homevisit_eval.errors import DesignError, SourceError
from homevisit_eval.sample import flow_adds_up, select_sample
from tiny_panel import dated_panel, student_year, tiny_design, visit

TWO, ONE = "two_or_more_against_one", "visited once before it"


class TestDose:
    """Before the year; visits of a day, of other programs and of the year do not add up."""

    ROWS = students("ONE", "TWO", "THREE", "DAY", "MIXED", "LATE", "OTHER", "NONE")
    VISITS = (
        visit("ONE", SUMMER),
        *(visit("TWO", SUMMER + n * DAY) for n in (0, 7)),
        *(visit("THREE", SUMMER + n * DAY) for n in (0, 7, 14)),
        *(visit("DAY", SUMMER, program=program) for program in ("FEP", "FEC")),
        *(visit("MIXED", SUMMER + n * DAY, program="EC" if n else "FEP") for n in (0, 7)),
        *(visit("LATE", day) for day in (SUMMER, FALL)),
        *(visit("OTHER", SUMMER + n * DAY, program="EC") for n in (0, 7)),
    )

    @pytest.mark.parametrize(
        ("dose", "visited", "comparison", "excluded"),
        [
            ("any", "DAY LATE MIXED ONE THREE TWO", "NONE", {"other_program": 1}),
            ("one", "DAY LATE MIXED ONE", "NONE", {"other_dose": 2, "other_program": 1}),
            ("two_or_more", "THREE TWO", "NONE", {"other_dose": 4, "other_program": 1}),
            (TWO, "THREE TWO", "DAY LATE MIXED ONE", {"not_visited": 1, "other_program": 1}),
        ],
    )
    def test_who_is_visited_and_with_whom_they_are_compared(
        self, dose, visited, comparison, excluded
    ):
        sample = select_sample(dated_panel(self.ROWS, self.VISITS), tiny_design(dose=dose))
        rows = sample.baseline
        for group, names in ((1, visited), (0, comparison)):
            assert " ".join(sorted(rows.loc[rows["visited"] == group, "unit_id"])) == names
        flow = flow_of(sample)
        assert flow_adds_up(sample.flow)
        for name in ("other_dose", "not_visited", "other_program"):
            assert flow.get(name, (0, 0, 0)) == (0, 0, excluded.get(name, 0)), name

    def test_modes_count_apart(self):
        visits = [
            *(visit("TWO", SUMMER + n * DAY, mode="virtual" if n else "in_person") for n in (0, 7)),
            *(visit("ONE", SUMMER + n * DAY) for n in (0, 7)),
        ]
        panel = dated_panel(students("ONE", "TWO", "NONE"), visits)
        sample = select_sample(panel, tiny_design(dose="one", modes=("in_person",)))
        rows = sample.baseline
        assert rows.loc[rows["visited"] == 1, "unit_id"].tolist() == ["TWO"]


class TestTwoAgainstOne:
    def test_a_sibling_of_one_visited_twice_is_no_comparison_and_one_of_one_visited_once_is(self):
        home = {"A2": "A", "A1": "A", "B1": "B", "C1": "B"}
        rows = [
            student_year(name, year, year - 2012, household_id=house)
            for name, house in home.items()
            for year in (2014, 2015)
        ]
        visits = [
            *(visit("A2", SUMMER + n * DAY) for n in (0, 7)),
            *(visit(name, SUMMER) for name in ("A1", "B1", "C1")),
        ]
        sample = select_sample(dated_panel(rows, visits), tiny_design(dose=TWO))
        base = sample.baseline
        assert base.loc[base["visited"] == 0, "unit_id"].tolist() == ["B1", "C1"]
        assert flow_of(sample)["sibling"] == (0, 1, 0)
        labels = {step.name: step.label for step in sample.flow}
        assert "visited twice or more" in labels["sibling"]

    def test_a_note_says_who_is_who(self):
        visits = [*(visit("TWO", SUMMER + n * DAY) for n in (0, 7)), visit("ONE", SUMMER)]
        sample = select_sample(dated_panel(students("ONE", "TWO"), visits), tiny_design(dose=TWO))
        assert any(ONE in note for note in sample.notes)
        plain = select_sample(
            dated_panel(students("ONE", "TWO", "NONE"), visits), tiny_design(dose="one")
        )
        assert not any(ONE in note for note in plain.notes)

    @pytest.mark.parametrize(
        "visits", [[visit("A", SUMMER)], [visit("A", SUMMER), visit("A", SUMMER + DAY)]]
    )
    def test_one_group_alone_is_an_error(self, visits):
        with pytest.raises(SourceError, match="no candidate of question"):
            select_sample(dated_panel(students("A", "B"), visits), tiny_design(dose=TWO))

    @pytest.mark.parametrize(
        "options",
        [
            {"pool": "never_visited_that_year"},
            {"comparison_schools": "outside_program"},
            {"later_visits": "none"},
        ],
    )
    def test_options_for_unvisited_comparison_students_are_refused(self, options):
        (name,) = options
        with pytest.raises(DesignError, match=f"{name} .* is for comparison students without"):
            tiny_design(dose=TWO, **options)
