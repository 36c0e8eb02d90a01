"""Teacher-years of a question about retention: who visited, who may compare, who leaves."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import pytest

from homevisit_eval.design import (
    CompleteCases,
    Covariate,
    DifferenceInMeans,
    FixedEffects,
    MultipleImputation,
    NearestNeighbor,
    Question,
    StudyDesign,
)
from homevisit_eval.effects import estimate_effect
from homevisit_eval.errors import DesignError, SourceError
from homevisit_eval.matching import match_students
from homevisit_eval.sample.analytic_sample import AnalyticSample
from homevisit_eval.sample.flow import flow_adds_up
from homevisit_eval.sample.teachers import TEACHER_COVARIATES, select_teachers
from panel_spec import expect, panel_from
from teacher_panels import QUESTION, teacher_design, teacher_panel
from tiny_panel import tiny_design

STAFF = """
    staff_id   school_id  school_year  experience_years
    visits     S1         2014         2
    visits     S1         2015         3
    visits     S1         2016         4
    compares   S1         2015         5
    compares   S2         2016         6
    leaves     S2         2015         1
    """
VISITS = """
    student_id  date        program  mode       staff_id_1
    ann         2014-08-01  FEP      in_person  visits
    """


panel_of = cache(teacher_panel)
"""Of the same text the same panel: nothing changes one."""


def select(
    question: Question = QUESTION, design: StudyDesign | None = None, **tables: str
) -> AnalyticSample:
    """Return the sample of a panel of two schools, with what a test leaves out filled in."""
    panel = panel_of(**{"staff": STAFF, "visits": VISITS, **tables})
    return select_teachers(panel, design or teacher_design(question), question)


def rows(sample: AnalyticSample) -> pd.DataFrame:
    return pd.concat([sample.baseline, sample.outcomes], axis=1)


class TestRows:
    def test_one_row_a_teacher_year_with_treatment_fixed_on_the_first_day(self) -> None:
        sample = rows(select())
        expect(
            sample,
            """
            unit_id   school_year  school_id  index_date  visited  school_level  role
            compares  2015         S1         2014-08-25  0        elementary    teacher
            visits    2015         S1         2014-08-25  1        elementary    teacher
            leaves    2015         S2         2014-08-25  0        elementary    teacher
            """,
        )
        expect(
            sample,
            """
            unit_id   grade  grade_band  experience_years  retained_in_school  retained_in_district
            compares  0      all         5                 0                   1
            visits    0      all         3                 1                   1
            leaves    0      all         1                 0                   0
            """,
        )

    def test_a_visit_on_the_first_day_or_later_makes_no_visitor(self) -> None:
        visits = (
            VISITS + "ann 2014-08-25 FEP in_person compares\n ann 2014-09-03 FEP in_person leaves"
        )
        sample = select(visits=visits)
        assert sample.baseline.set_index("unit_id")["visited"].to_dict() == {
            "compares": 0, "visits": 1, "leaves": 0,
        }  # fmt: skip
        assert any("<10 possible comparison teacher-years made a visit" in n for n in sample.notes)

    def test_only_teachers_are_asked_about(self) -> None:
        staff = STAFF.replace("experience_years", "experience_years role", 1)
        lines = staff.strip().splitlines()
        lines = [lines[0], *(f"{line} teacher" for line in lines[1:])]
        lines += ["aide S1 2015 4 aide", "aide S1 2016 5 aide"]
        assert "aide" not in set(select(staff="\n".join(lines)).baseline["unit_id"])

    @pytest.mark.parametrize(
        ("before", "school", "stays"), [("S1", "S1", 0), ("S2", "S2", 1), (None, "S1", 0)]
    )
    def test_who_is_on_two_lists_counts_at_the_school_of_the_year_before(
        self, before: str | None, school: str, stays: int
    ) -> None:
        staff = STAFF + "both S1 2015 7\n both S2 2015 7\n both S2 2016 8\n"
        sample = select(staff=staff + (f"both {before} 2014 6" if before else ""))
        (both,) = rows(sample)[lambda frame: frame["unit_id"] == "both"].to_dict("records")
        assert (both["school_id"], both["retained_in_school"]) == (school, stays)
        assert both["retained_in_district"] == 1
        assert any("<10 teacher-years are on the lists of several" in n for n in sample.notes)

    def test_visited_prior_is_any_visit_of_the_year_before(self) -> None:
        """Visits are in the extracts from the summer of 2013 on, so that 2014 is known."""
        staff = STAFF + "compares S1 2014 4\n leaves S2 2014 0"
        visits = VISITS + "ann 2013-08-01 FEP in_person compares\n ann 2013-09-02 EC virtual visits"
        prior = select(staff=staff, visits=visits).baseline.set_index("unit_id")["visited_prior"]
        assert prior.to_dict() == {"compares": "yes", "visits": "yes", "leaves": "no"}
        unknown = select(staff=staff).baseline["visited_prior"]
        assert set(unknown) == {"unknown"}

    def test_school_measures_are_those_of_the_year_before(self) -> None:
        with panel_from(
            enrollments="""
                student_id  school_year  grade
                ann         2014         0
                ann         2015         1
                bob         2014         0
                bob         2015         1
                """,
            visits=VISITS,
            absences="student_id date\n ann 2013-08-26\n ann 2014-08-25\n ann 2014-08-26",
            characteristics="student_id school_year at_risk\n ann 2014 1\n bob 2014 0\n ann 2015 1",
            staff=STAFF.replace("S2", "S1"),
        ) as panel:
            sample = select_teachers(panel, teacher_design(), QUESTION)
        expect(
            sample.baseline.head(1),
            "school_attendance_prior school_at_risk_prior\n 0.95 0.5",
        )

    def test_the_order_of_the_panels_rows_does_not_matter_and_a_second_call_gives_the_same(
        self,
    ) -> None:
        head, *body = STAFF.strip().splitlines()
        one, other = select(), select(staff="\n".join([head, *body[::-1]]))
        pd.testing.assert_frame_equal(one.baseline, other.baseline)
        pd.testing.assert_frame_equal(one.outcomes, other.outcomes)
        assert one.flow == other.flow


class TestProgramsAndModes:
    VISITS = """
        student_id  date        program  mode       staff_id_1  staff_id_2
        ann         2014-08-01  FEP      in_person  visits      -
        ann         2014-08-02  EC       in_person  compares    -
        ann         2014-08-02  FEP      in_person  -           -
        ann         2014-08-02  EC       in_person  visits      -
        ann         2014-08-03  FEC      virtual    -           leaves
        """

    def groups(self, **asked: Any) -> dict[str, int]:
        sample = select(replace(QUESTION, **asked), visits=self.VISITS, staff=self.STAFF)
        assert flow_adds_up(sample.flow)
        return sample.baseline.set_index("unit_id")["visited"].to_dict()

    STAFF = STAFF + "never S1 2015 9\n"

    def test_a_visit_of_two_programs_counts_for_each(self) -> None:
        assert self.groups() == {"visits": 1, "leaves": 1, "never": 0}
        assert self.groups(programs=("EC",)) == {"compares": 1, "visits": 1, "never": 0}

    def test_other_modes_are_in_neither_group(self) -> None:
        assert self.groups(modes=("in_person",)) == {"visits": 1, "never": 0}

    def test_a_question_about_all_visits_leaves_nobody_out(self) -> None:
        asked = replace(QUESTION, programs=("FEP", "FEC", "EC"))
        sample = select(asked, visits=self.VISITS, staff=self.STAFF)
        assert not {"other_mode", "other_program"} & {step.name for step in sample.flow}
        assert sample.n_visited == 3

    def test_who_leaves_is_counted(self) -> None:
        asked = replace(QUESTION, modes=("in_person",))
        sample = select(asked, visits=self.VISITS, staff=self.STAFF)
        steps = {step.name: step for step in sample.flow}
        assert (steps["other_mode"].neither, steps["other_program"].neither) == (1, 1)
        assert steps["other_mode"].label.endswith("under FEP or FEC, but not in person")


class TestFlow:
    def test_it_adds_up_and_names_who_leaves(self) -> None:
        sample = select(staff=STAFF + "unknown S1 2015 -\n unknown S1 2016 -")
        assert flow_adds_up(sample.flow)
        assert [(step.name, step.visited, step.comparison) for step in sample.flow] == [
            ("listed", 1, 3),
            ("no_next_list", 0, 0),
            ("eligible", 1, 3),
            ("other_program", 0, 0),
            ("contrast", 1, 3),
            ("missing_experience_years", 0, 1),
            ("candidates", 1, 2),
        ]
        assert {one.name: one.total for one in sample.missing}["experience_years"] == 1

    def test_a_year_without_a_next_list_leaves_for_all_and_a_note_says_so(self) -> None:
        """The tiny panel has students of 2014 and 2015; the year before the first is not asked."""
        staff = "staff_id school_year"
        for who in ("visits", "compares"):
            staff += "".join(f"\n {who} {school_year}" for school_year in (2015, 2016))
        visits = "student_id date staff_id_1\n ann 2014-08-01 visits\n ann 2015-08-01 visits"
        panel = teacher_panel(staff, visits)
        later = panel.students.filter(nw.col("school_year") == 2015).with_columns(
            nw.col("school_year") + 1
        )
        panel = replace(panel, students=nw.concat([panel.students, later]))
        schools = panel.schools.filter(nw.col("school_year") == 2015).with_columns(
            nw.col("school_year") + 1
        )
        panel = replace(panel, schools=nw.concat([panel.schools, schools]))
        design = teacher_design(school_years=(2015, 2016))
        sample = select_teachers(panel, design, QUESTION)
        assert set(sample.baseline["school_year"]) == {2015}
        steps = {step.name: (step.visited, step.comparison) for step in sample.flow}
        assert (steps["listed"], steps["no_next_list"]) == ((2, 2), (1, 1))
        assert sample.outcomes["retained_in_school"].notna().all()
        (note,) = [one for one in sample.notes if one.startswith("Retention after")]
        assert note.startswith("Retention after 2015-16 is not observed")

    def test_covariates_that_most_lack_are_left_out_and_named(self) -> None:
        sample = select(staff="\n".join(line.rsplit(" ", 1)[0] for line in plain(STAFF)))
        assert "experience_years" not in sample.covariates["all"]
        assert len(sample.baseline) == 3
        (note,) = [one for one in sample.notes if one.startswith("Not recorded for most")]
        assert "Years of experience" in note

    def test_the_design_is_about_teachers(self) -> None:
        design = teacher_design(missing_covariates=MultipleImputation())
        sample = select(design=design)
        names = [one.name for one in sample.design.covariates]
        assert set(names) <= {one.name for one in TEACHER_COVARIATES}
        assert sample.covariates == {"all": tuple(names)}
        assert sample.design.questions == (QUESTION,)
        assert sample.design.missing_covariates == CompleteCases()
        assert sample.exact == ("school_level", "role")


def plain(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.strip().splitlines()]


class TestErrors:
    def test_a_question_about_students(self) -> None:
        asked = tiny_design().questions[0]
        with pytest.raises(DesignError, match="is not about teachers"):
            select(asked, design=teacher_design())

    def test_no_staff_lists(self) -> None:
        sentence = "staff was not delivered: retention of teachers cannot be computed."
        panel = teacher_panel(None, VISITS, missing=(sentence,))
        with pytest.raises(SourceError) as caught:
            select_teachers(panel, teacher_design(), QUESTION)
        advice = "Take question 'teachers' out of the design, or deliver staff."
        assert str(caught.value) == f"{sentence} {advice}"

    def test_visits_that_name_nobody(self) -> None:
        """Whether the columns are empty or absent: the sentence is that of the real panel."""
        visits = "student_id date\n ann 2014-08-01"
        with panel_from(visits=visits, staff=STAFF) as panel:
            (sentence,) = [one for one in panel.missing if one.startswith("visits")]
        for names_staff in (True, False):
            panel = teacher_panel(STAFF, visits, (sentence,), names_staff)
            with pytest.raises(SourceError) as caught:
                select_teachers(panel, teacher_design(), QUESTION)
            assert str(caught.value).startswith(sentence)
            assert str(caught.value).endswith("or deliver staff_id_1 of visits.")

    def test_lists_without_a_teacher(self) -> None:
        with pytest.raises(SourceError, match="nobody is on a list as teacher in 2014-15"):
            select(staff="staff_id school_year role\n one 2015 aide")

    def test_only_one_school_year(self) -> None:
        with pytest.raises(SourceError, match=r"Deliver the list of 2015-16, or take question"):
            select(staff="staff_id school_year\n visits 2015\n compares 2015")

    @pytest.mark.parametrize(
        ("visits", "words"),
        [
            (
                "student_id date staff_id_1\n ann 2014-09-01 visits",
                "made a visit before the school",
            ),
            (
                "student_id date staff_id_1 staff_id_2\n ann 2014-08-01 visits compares\n"
                " ann 2014-08-01 leaves -",
                "made no visit before the school year",
            ),
        ],
    )
    def test_an_empty_group(self, visits: str, words: str) -> None:
        with pytest.raises(SourceError, match=words) as caught:
            select(visits=visits)
        assert not any(name in str(caught.value) for name in ("ann", "compares", "leaves"))

    def test_a_matching_on_what_teachers_have_not(self) -> None:
        covariates = (Covariate("female", "Female"),)
        method = NearestNeighbor(exact=("female",))
        asked = replace(QUESTION, matching=None)
        design = teacher_design(asked, covariates=covariates, matching=method)
        with pytest.raises(DesignError, match="Give it a matching and a model of its own"):
            select(asked, design=design)

    def test_a_year_that_the_extracts_have_not(self) -> None:
        with pytest.raises(DesignError, match="the extracts have no enrollments in 2016-17"):
            select(design=teacher_design(school_years=(2015, 2017)))


def a_district() -> dict[str, str]:
    """Return staff and visits of a district that can be matched, 60 teachers in each group."""
    random = np.random.default_rng(7)
    head = "staff_id school_id school_year experience_years"
    staff, visits = [head], ["student_id date staff_id_1"]
    for number in range(120):
        name, school = f"t{number}", ("S1", "S2")[number % 2]
        years = int(random.integers(0, 12))
        staff.append(f"{name} {school} 2015 {years}")
        if random.random() < 0.85:
            staff.append(f"{name} {school} 2016 {years + 1}")
        if number < 60:
            visits.append(f"ann 2014-08-01 {name}")
    return {"staff": "\n".join(staff), "visits": "\n".join(visits)}


def test_matching_and_models_take_the_sample_as_they_take_students() -> None:
    sample = select(**a_district())
    matched = match_students(sample)
    effect = estimate_effect(matched, "retained_in_school", FixedEffects(cluster="matched_set"))
    assert effect.role == "exploratory"
    assert np.isfinite([effect.estimate, effect.std_error]).all()
    pairs = matched.matches.pairs
    levels = sample.baseline["school_level"]
    assert (levels[pairs["treated"]].to_numpy() == levels[pairs["comparison"]].to_numpy()).all()


def test_without_matching_the_effect_is_the_difference_of_shares() -> None:
    sample = select(**a_district())
    frame = rows(sample)
    matched = match_students(sample)
    used = frame[matched.matches.weights > 0]
    by_group = used.groupby("visited")["retained_in_district"].mean()
    effect = estimate_effect(
        matched, "retained_in_district", DifferenceInMeans(cluster="matched_set")
    )
    assert effect.estimate == pytest.approx(by_group[1] - by_group[0])
