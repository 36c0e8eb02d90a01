"""The sample as a whole: outcomes apart, order, purity, and a second reading of all rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from homevisit_eval.design import Achievement, Covariate, Eligibility, Measurement, Outcome
from homevisit_eval.errors import SourceError
from homevisit_eval.sample import flow_adds_up, select_sample
from sample_agreement import assert_agrees
from sample_oracle import expected_sample
from tiny_panel import (
    ATTENDANCE,
    INCIDENT,
    MATH,
    MATH_PRIOR,
    enrolled,
    first_day,
    last_day,
    school,
    student_year,
    tiny_design,
    tiny_panel,
    visit,
)

SUMMER = date(2014, 8, 2)
CHRONIC = Outcome(
    "chronic_absence",
    "Chronic absence",
    "behavior",
    "binary",
    "percent",
    "lower",
    "chronic_absence_prior",
)
COVARIATES = (
    Covariate("attendance_rate_prior", "Attendance, before"),
    Covariate("female", "Female"),
    Covariate("race_ethnicity", "Race/ethnicity"),
    Covariate("school_at_risk_prior", "School: at risk"),
    MATH_PRIOR,
)


class TestOutcomes:
    def sample(self, design, **changes):
        rows = [*enrolled("VISITED"), *enrolled("SUBJECT", **changes)]
        return select_sample(tiny_panel(rows, [visit("VISITED", SUMMER)]), design)

    def test_attendance_and_discipline_need_enough_days_and_scores_none(self):
        outcomes = (ATTENDANCE, INCIDENT, CHRONIC, MATH)
        design = tiny_design(outcomes=outcomes, achievement=Achievement("keep"))
        enough = {0: False, 1: False, 19: False, 20: True}
        rows = [*enrolled("VISITED")]
        for days in enough:
            rows += enrolled(f"DAYS {days}", days_enrolled=days, math_score_std=0.5)
        sample = select_sample(tiny_panel(rows, [visit("VISITED", SUMMER)]), design)
        found = sample.outcomes.set_index(sample.baseline["unit_id"])
        for days, measured in enough.items():
            observed = found.notna().loc[f"DAYS {days}"]
            assert observed["math_score_std"]
            assert observed["attendance_rate"] == observed["chronic_absence"] == measured
            assert observed["any_incident"] == measured
            assert found.loc[f"DAYS {days}", "days_enrolled"] == days
        assert found.loc["VISITED", "days_enrolled"] == 180

    def test_the_number_of_days_is_an_option(self):
        design = tiny_design(eligibility=Eligibility(min_days_enrolled=90))
        sample = self.sample(design, days_enrolled=89)
        assert sample.outcomes["attendance_rate"].isna().tolist() == [True, False]

    def test_leaving_never_removes_a_candidate(self):
        sample = self.sample(tiny_design(), days_enrolled=1)
        assert len(sample.baseline) == len(sample.outcomes) == 2

    def test_the_baseline_holds_no_outcome(self):
        sample = self.sample(tiny_design(outcomes=(ATTENDANCE, INCIDENT)))
        assert list(sample.outcomes) == ["attendance_rate", "any_incident", "days_enrolled"]
        assert not {"attendance_rate", "any_incident", "days_enrolled"} & set(sample.baseline)
        assert sample.baseline.index.equals(sample.outcomes.index)

    def test_outcomes_do_not_change_who_is_selected_or_the_baseline(self):
        one = self.sample(tiny_design(), attendance_rate=0.1, days_enrolled=2)
        other = self.sample(tiny_design(), attendance_rate=None, days_enrolled=180)
        assert_frame_equal(one.baseline, other.baseline)
        assert one.flow == other.flow


class TestResult:
    ROWS = (
        *enrolled("B", grade=4, school_id="S2"),
        *enrolled("A", grade=4, school_id="S2"),
        *enrolled("C", grade=4),
        *enrolled("Z", grade=2, race_ethnicity="white"),
        student_year("A", 2016, 5),
    )
    VISITS = (visit("B", SUMMER), visit("A", date(2015, 8, 2)))
    DESIGN = tiny_design(
        covariates=(Covariate("race_ethnicity", "Race"), Covariate("female", "Female")),
        school_years=(2015, 2016),
    )

    @pytest.fixture(scope="class")
    @classmethod
    def sample(cls):
        return select_sample(tiny_panel(cls.ROWS, cls.VISITS), cls.DESIGN)

    def test_rows_are_ordered_by_year_grade_school_and_student(self, sample):
        order = sample.baseline[["school_year", "grade", "school_id", "unit_id"]]
        assert [tuple(row) for row in order.to_numpy()] == [
            (2015, 2, "S1", "Z"),
            (2015, 4, "S1", "C"),
            (2015, 4, "S2", "A"),
            (2015, 4, "S2", "B"),
            (2016, 5, "S1", "A"),
        ]

    def test_the_order_of_the_panels_rows_does_not_matter(self, sample):
        other = select_sample(tiny_panel(self.ROWS[::-1], self.VISITS[::-1]), self.DESIGN)
        assert_frame_equal(sample.baseline, other.baseline)
        assert_frame_equal(sample.outcomes, other.outcomes)
        assert sample.flow == other.flow
        assert sample.notes == other.notes

    def test_asked_twice_the_answer_is_the_same_and_the_panel_unchanged(self):
        panel = tiny_panel(self.ROWS, self.VISITS)
        before = [panel.to_pandas(name) for name in ("students", "visits", "schools")]
        one, other = select_sample(panel, self.DESIGN), select_sample(panel, self.DESIGN)
        assert_frame_equal(one.baseline, other.baseline)
        assert_frame_equal(one.outcomes, other.outcomes)
        after = [panel.to_pandas(name) for name in ("students", "visits", "schools")]
        for first, second in zip(before, after, strict=True):
            assert_frame_equal(first, second)

    def test_types_of_the_columns(self, sample):
        kinds = {name: str(kind) for name, kind in sample.baseline.dtypes.items()}
        for name in ("unit_id", "school_id", "grade_band", "visited_prior"):
            assert pd.api.types.is_string_dtype(sample.baseline[name]), name
            del kinds[name]
        assert kinds == {
            "school_year": "int64",
            "index_date": "datetime64[s]",
            "visited": "int8",
            "grade": "int64",
            "race_ethnicity": "category",
            "female": "float64",
            "attendance_rate_prior": "float64",
        }
        assert isinstance(sample.baseline.index, pd.RangeIndex)
        assert [str(kind) for kind in sample.outcomes.dtypes] == ["float64", "int64"]

    def test_the_first_primary_question_is_meant_if_none_is_given(self):
        first = self.DESIGN.questions[0]
        other = replace(first, name="other", role="secondary")
        design = replace(self.DESIGN, questions=(other, first))
        panel = tiny_panel(self.ROWS, self.VISITS)
        assert select_sample(panel, design).question == first
        assert select_sample(panel, design, other).question == other

    def test_the_representation_shows_no_row(self, sample):
        text = repr(sample) + sample._repr_html_() + repr(sample.flow) + " ".join(sample.notes)
        assert "<10 visited" in text
        assert "synthetic data" in text
        assert "white" not in text
        assert "S2" not in text

    @pytest.mark.parametrize(
        ("exceptions", "named"),
        [
            ((), []),
            (((2016, "absent_if_over"),), ["2015-16"]),
            (((2015, "absent_if_over"),), ["2014-15", "2015-16"]),
            (((2014, "absent_if_over"), (2015, "absent_if_over")), ["2015-16"]),
            (((2016, "fraction"),), []),
        ],
    )
    def test_a_change_of_the_rule_for_partial_days_is_noted(self, exceptions, named):
        rule = Measurement(partial_day_by_year=exceptions)
        panel = tiny_panel(self.ROWS, self.VISITS, measurement=rule)
        sample = select_sample(panel, replace(self.DESIGN, measurement=rule))
        assert [note for note in sample.notes if "partial days" in note] == [
            f"Attendance of {year} and of the year before are measured by different rules for "
            "partial days."
            for year in named
        ]

    def test_facts_of_the_panel_are_handed_on(self, sample):
        assert sample.synthetic
        assert sample.district == "Tiny district"
        assert sample.design == self.DESIGN
        assert (sample.n_visited, sample.n_comparison) == (2, 3)


@st.composite
def small_districts(draw):
    """Rows, visits and schools of a few students, with all that can go wrong."""

    def chance(part: int = 6) -> bool:
        return draw(st.integers(1, part)) == 1

    def maybe(value):
        return None if chance() else value

    schools = [
        school(
            name, year, fep=int(not chance(2)), fec=int(chance()), at_risk_share=maybe(year / 4000)
        )
        for name in ("S1", "S2", "S3")
        for year in (2014, 2015, 2016)
        if not chance(12)
    ]
    listed = {(row["school_id"], row["school_year"]) for row in schools}
    rows, visits = [], []
    for number in range(draw(st.integers(2, 9))):
        student, grade = f"U{number}", draw(st.integers(0, 5))
        home = draw(st.sampled_from([None, "H1", "H2", "H3"]))
        race, sex = draw(st.sampled_from(["black", "white", None])), maybe("male")
        for year in (2014, 2015, 2016):
            if chance():
                continue
            place = draw(st.sampled_from(["S1", "S2", "S3"]))
            enrolled_then = (place, year) in listed and not chance()
            row = student_year(
                student,
                year,
                grade + year - 2014,
                school_id=place if enrolled_then else None,
                household_id=home,
                days_enrolled=draw(st.sampled_from([0, 1, 19, 20, 180])),
                attendance_rate=maybe(draw(st.sampled_from([0.5, 0.9, 1.0]))),
                math_score_std=draw(st.sampled_from([None, -1.0, 0.25])),
                sex=sex,
                race_ethnicity=race,
            )
            rows.append(row)
            days = [date(year - 1, 7, 1), first_day(year), date(year - 1, 11, 2), last_day(year)]
            for day in draw(st.lists(st.sampled_from(days), max_size=2)):
                program = draw(st.sampled_from(["FEP", "FEP", "FEC", "EC"]))
                mode = draw(st.sampled_from(["in_person", "virtual"]))
                visits.append(
                    visit(student, day, program=program, mode=mode, completed=int(not chance()))
                )
    # one of each group is always there, so that there is a sample
    rows += [*enrolled("VISITED", math_score_std=0.5), *enrolled("COMPARISON")]
    rows.append(student_year("X", 2016, 1))
    visits.append(visit("VISITED", SUMMER))
    certain = {("S1", 2014): school("S1", 2014), ("S1", 2015): school("S1", 2015, fep=0)}
    others = [row for row in schools if (row["school_id"], row["school_year"]) not in certain]
    return rows, visits, [*certain.values(), *others]


any_question = given(
    district=small_districts(),
    pool=st.sampled_from(["not_visited_before_year", "never_visited_that_year"]),
    comparison_schools=st.sampled_from(["any", "outside_program"]),
    programs=st.sampled_from([("FEP", "FEC"), ("FEP",), ("FEP", "FEC", "EC")]),
    modes=st.sampled_from([("in_person", "virtual"), ("in_person",)]),
    outcomes=st.sampled_from([(ATTENDANCE,), (ATTENDANCE, INCIDENT), (MATH,), (ATTENDANCE, MATH)]),
    achievement=st.builds(Achievement, *[st.sampled_from(["leave_out", "keep"])] * 2),
)


def tried(times):
    return settings(
        max_examples=times,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@any_question
@tried(12)
def test_any_small_district(**drawn):
    is_selected_rightly(**drawn)


@pytest.mark.slow
@any_question
@tried(40)
def test_many_small_districts(**drawn):
    is_selected_rightly(**drawn)


def is_selected_rightly(district, pool, comparison_schools, programs, modes, outcomes, achievement):
    """The flow adds up, holds every student-year once, and all agrees with the second reading."""
    rows = district[0]
    panel = tiny_panel(*district)
    design = tiny_design(
        covariates=COVARIATES,
        outcomes=outcomes,
        achievement=achievement,
        school_years=(2015, 2016),
        pool=pool,
        comparison_schools=comparison_schools,
        programs=programs,
        modes=modes,
    )
    expected = expected_sample(panel, design, design.questions[0])
    if not expected.answerable:
        with pytest.raises(SourceError):
            select_sample(panel, design)
        return
    sample = select_sample(panel, design)
    assert flow_adds_up(sample.flow)
    years = [row for row in rows if row["school_year"] in (2015, 2016) and 1 <= row["grade"] <= 5]
    assert sample.flow[0].total == len(years)
    left = sum(step.total for step in sample.flow if step.kind == "excluded")
    assert left + len(sample.baseline) == len(years)
    assert not sample.baseline.duplicated(["unit_id", "school_year"]).any()
    assert_agrees(sample, expected)
    for band, names in sample.covariates.items():
        rows_of_band = sample.baseline[sample.baseline["grade_band"] == band]
        assert rows_of_band[list(names)].notna().to_numpy().all()
