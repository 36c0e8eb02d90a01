"""What is known before the visit: where each covariate comes from, and who has all of them."""

from __future__ import annotations

from datetime import date

import pytest

from homevisit_eval.design import BASELINE_COLUMNS, Covariate, Outcome
from homevisit_eval.design.measures import (
    OUTCOME_COLUMNS,
    TEACHER_BASELINE_COLUMNS,
    TO_DATE_COLUMNS,
)
from homevisit_eval.errors import SourceError
from homevisit_eval.panel import STUDENT_COLUMNS
from homevisit_eval.sample import flow_adds_up, select_sample
from homevisit_eval.sample.bands import band_label
from homevisit_eval.sample.baseline import BASELINE_SOURCES, EXTRACTS, extract_of
from tiny_panel import (
    ATTENDANCE,
    INCIDENT,
    MATH,
    MATH_PRIOR,
    enrolled,
    school,
    student_year,
    tiny_design,
    tiny_panel,
    visit,
)

SUMMER = date(2014, 8, 2)
READING_PRIOR = Covariate("reading_score_std_prior", "Reading, before", where_measured=True)


def covariate(name):
    return Covariate(name, name.replace("_", " "))


AT_RISK = covariate("at_risk_prior")


def steps_of(sample):
    assert flow_adds_up(sample.flow)
    return {step.name: (step.visited, step.comparison) for step in sample.flow}


def test_every_baseline_column_of_a_design_has_a_source():
    others = (*TO_DATE_COLUMNS, *TEACHER_BASELINE_COLUMNS)
    assert tuple(BASELINE_SOURCES) == tuple(n for n in BASELINE_COLUMNS if n not in others)
    columns = {"mean_attendance", "incident_rate", "at_risk_share", *STUDENT_COLUMNS}
    assert {source.column for source in BASELINE_SOURCES.values()} <= columns


SOURCES = (
    ("attendance_rate_prior", {"attendance_rate": 0.8}, {"attendance_rate": 0.7}, 0.8),
    ("days_unexcused_prior", {"days_unexcused": 7}, {"days_unexcused": 9}, 7.0),
    ("incidents_prior", {"incidents": 2}, {"incidents": 5}, 2.0),
    ("chronic_absence_prior", {"chronic_absence": 1}, {"chronic_absence": 0}, 1.0),
    ("at_risk_prior", {"at_risk": 0}, {"at_risk": 1}, 0.0),
    ("homeless_prior", {"homeless": 1}, {"homeless": 0}, 1.0),
    ("mobile_prior", {"schools_attended": 2}, {"schools_attended": 1}, 1.0),
    ("mobile_prior", {"schools_attended": 1}, {"schools_attended": 3}, 0.0),
    ("age_for_grade", {"age_for_grade": 0.9}, {"age_for_grade": 1.1}, 1.1),
    ("female", {}, {"sex": "female"}, 1.0),
    ("female", {}, {"sex": "male"}, 0.0),
    ("female", {}, {"sex": "x"}, 0.0),
    ("race_ethnicity", {}, {"race_ethnicity": "white"}, "white"),
)
"""Of a covariate the name, what differs the year before and this year, and its value."""


@pytest.fixture(scope="module")
def of_every_source():
    """Return the baseline with a student for each of `SOURCES`."""
    rows = [*enrolled("VISITED")]
    for number, (_, prior, current, _) in enumerate(SOURCES):
        rows += [student_year(f"S{number}", 2014, 2, **prior)]
        rows += [student_year(f"S{number}", 2015, 3, **current)]
    names = dict.fromkeys(name for name, *_ in SOURCES)
    design = tiny_design(covariates=[covariate(name) for name in names])
    sample = select_sample(tiny_panel(rows, [visit("VISITED", SUMMER)]), design)
    return sample.baseline.set_index("unit_id")


@pytest.mark.parametrize("number", range(len(SOURCES)))
def test_where_a_covariate_comes_from(of_every_source, number):
    name, _, _, expected = SOURCES[number]
    assert of_every_source.loc[f"S{number}", name] == expected


def test_school_covariates_are_last_years_of_the_school_at_time_zero():
    names = ("school_attendance_prior", "school_incident_rate_prior", "school_at_risk_prior")
    schools = [
        school("OLD", 2014, mean_attendance=0.1, incident_rate=0.1, at_risk_share=0.1),
        school("NEW", 2014, mean_attendance=0.9, incident_rate=0.2, at_risk_share=0.3),
        school("NEW", 2015, mean_attendance=0.5, incident_rate=0.5, at_risk_share=0.5),
    ]
    rows = [
        student_year("SUBJECT", 2014, 2, school_id="OLD"),
        student_year("SUBJECT", 2015, 3, school_id="NEW"),
        *enrolled("VISITED"),
    ]
    panel = tiny_panel(rows, [visit("VISITED", SUMMER)], schools)
    sample = select_sample(panel, tiny_design(covariates=[covariate(name) for name in names]))
    values = sample.baseline.set_index("unit_id").loc["SUBJECT", list(names)]
    assert values.tolist() == [0.9, 0.2, 0.3]


def test_a_school_without_a_year_before_leaves_the_baseline_incomplete():
    rows = [
        student_year("SUBJECT", 2014, 2, school_id="OLD"),
        student_year("SUBJECT", 2015, 3, school_id="NEW"),
        *enrolled("VISITED"),
        *enrolled("COMPARISON"),
    ]
    panel = tiny_panel(rows, [visit("VISITED", SUMMER)])
    design = tiny_design(covariates=(covariate("school_at_risk_prior"),))
    assert steps_of(select_sample(panel, design))["missing_school_at_risk_prior"] == (0, 1)


def test_incomplete_baseline_is_counted_under_the_first_missing_covariate():
    rows = [*enrolled("VISITED"), *enrolled("COMPARISON")]
    for student, changes in {
        "A": {"at_risk": None},
        "B": {"at_risk": None, "attendance_rate": None},
        "C": {"attendance_rate": None},
    }.items():
        rows += [student_year(student, 2014, 2, **changes), student_year(student, 2015, 3)]
    rows += enrolled("D", race_ethnicity=None)
    visits = [visit("VISITED", SUMMER), visit("C", SUMMER)]
    names = ("attendance_rate_prior", "race_ethnicity", "at_risk_prior")
    design = tiny_design(covariates=[covariate(name) for name in names])
    sample = select_sample(tiny_panel(rows, visits), design)
    steps = steps_of(sample)
    assert steps["missing_attendance_rate_prior"] == (1, 1)
    assert steps["missing_race_ethnicity"] == (0, 1)
    assert steps["missing_at_risk_prior"] == (0, 1)
    assert steps["candidates"] == (1, 1)
    labels = [step.label for step in sample.flow if step.name == "missing_at_risk_prior"]
    assert labels == ["Baseline incomplete: at risk prior"]


def test_the_baseline_of_an_outcome_comes_along_and_may_be_missing():
    rows = [
        *enrolled("VISITED"),
        student_year("SUBJECT", 2014, 2, any_incident=None),
        student_year("SUBJECT", 2015, 3),
    ]
    panel = tiny_panel(rows, [visit("VISITED", SUMMER)])
    sample = select_sample(panel, tiny_design(outcomes=(ATTENDANCE, INCIDENT)))
    baseline = sample.baseline.set_index("unit_id")["any_incident_prior"]
    assert baseline["VISITED"] == 0.0
    assert baseline.isna()["SUBJECT"]
    assert dict(sample.covariates) == {"all grades": ("attendance_rate_prior",)}


class TestPretests:
    """Grade 3 was tested the year before, grade 2 was not; one repeater has a score there."""

    def rows(self):
        tested = {"math_score_std": 0.5}
        rows = []
        for student in ("V3", "C3"):
            rows += [student_year(student, 2014, 2, **tested), student_year(student, 2015, 3)]
        rows += [student_year("NOSCORE", 2014, 2), student_year("NOSCORE", 2015, 3, **tested)]
        rows += [student_year("REPEATER", 2014, 2, **tested), student_year("REPEATER", 2015, 2)]
        for student in ("V2", "C2", "D2"):
            rows += enrolled(student, grade=2)
        return [row | {"math_score_std": 0.1} if row["student_id"] == "V3" else row for row in rows]

    def sample(self, outcomes, covariates=(AT_RISK, MATH_PRIOR)):
        visits = [visit("V3", SUMMER), visit("V2", SUMMER)]
        panel = tiny_panel(self.rows(), visits)
        return select_sample(panel, tiny_design(covariates=covariates, outcomes=outcomes))

    def test_a_pretest_is_required_only_where_the_grade_has_one(self):
        sample = self.sample((ATTENDANCE,))
        bands = sample.baseline.set_index("unit_id")["grade_band"].to_dict()
        assert bands == {
            "C3": "with pretest",
            "V3": "with pretest",
            "C2": "without pretest",
            "D2": "without pretest",
            "V2": "without pretest",
            "REPEATER": "without pretest",
        }
        assert dict(sample.covariates) == {
            "with pretest": ("at_risk_prior", "math_score_std_prior"),
            "without pretest": ("at_risk_prior",),
        }
        assert steps_of(sample)["missing_math_score_std_prior"] == (0, 1)
        assert "no_pretest" not in steps_of(sample)
        assert any("measured in grade 3 (2014-15)" in note for note in sample.notes)

    def test_stray_scores_are_dropped_where_the_grade_has_no_pretest(self):
        baseline = self.sample((ATTENDANCE,)).baseline.set_index("unit_id")
        assert baseline.loc["C3", "math_score_std_prior"] == 0.5
        assert baseline["math_score_std_prior"].isna()["REPEATER"]

    def test_a_question_about_scores_keeps_only_grades_with_a_pretest(self):
        sample = self.sample((MATH,))
        assert set(sample.baseline["unit_id"]) == {"C3", "V3"}
        assert set(sample.covariates) == {"with pretest"}
        steps = steps_of(sample)
        assert steps["no_pretest"] == (1, 3)
        assert steps["missing_math_score_std_prior"] == (0, 1)

    def test_which_grades_have_one_does_not_hang_on_the_covariates(self):
        sample = self.sample((MATH,), covariates=(AT_RISK,))
        assert set(sample.baseline["unit_id"]) == {"C3", "V3", "NOSCORE"}
        assert steps_of(sample)["no_pretest"] == (1, 3)

    @pytest.mark.parametrize(("scores", "band"), [(1, "without pretest"), (2, "with pretest")])
    def test_half_of_the_eligible_students_make_a_pretest(self, scores, band):
        rows = []
        for number in range(4):
            score = {"math_score_std": 0.5} if number < scores else {}
            rows += [student_year(f"A{number}", 2014, 2, **score)]
            rows += [student_year(f"A{number}", 2015, 3)]
        # those who are not eligible do not count
        rows += [student_year("LEFT", 2014, 2, days_enrolled=5), student_year("LEFT", 2015, 3)]
        panel = tiny_panel(rows, [visit("A0", SUMMER)])
        sample = select_sample(panel, tiny_design(covariates=(MATH_PRIOR,)))
        assert set(sample.baseline["grade_band"]) == {band}

    def test_bands_are_the_same_for_every_pool(self):
        """What is measured is asked of eligible students, before a pool is chosen."""
        rows = []
        for number in range(4):
            score = {"math_score_std": 0.5} if number < 2 else {}
            rows += [student_year(f"A{number}", 2014, 2, **score)]
            rows += [student_year(f"A{number}", 2015, 3)]
        visits = [visit("A0", SUMMER), visit("A2", SUMMER), visit("A1", date(2014, 10, 1))]
        panel = tiny_panel([*rows, *enrolled("A4", grade=4)], visits)
        design = tiny_design(covariates=(MATH_PRIOR,), pool="never_visited_that_year")
        sample = select_sample(panel, design)
        assert sample.baseline.set_index("unit_id")["grade_band"]["A0"] == "with pretest"


@pytest.mark.parametrize(
    ("measured", "covariates", "label"),
    [
        ((), (covariate("female"),), "all grades"),
        ((), (MATH_PRIOR, READING_PRIOR), "without pretest"),
        (
            ("math_score_std_prior", "reading_score_std_prior"),
            (MATH_PRIOR, READING_PRIOR),
            "with pretest",
        ),
        (("reading_score_std_prior",), (MATH_PRIOR, READING_PRIOR), "with Reading, before only"),
        ((), (Covariate("at_risk_prior", "At risk", where_measured=True),), "without At risk"),
    ],
)
def test_band_labels(measured, covariates, label):
    assert band_label(measured, covariates) == label


def test_every_measure_has_one_extract():
    measures = {*OUTCOME_COLUMNS, *(source.column for source in BASELINE_SOURCES.values())}
    listed = [column for columns in EXTRACTS.values() for column in columns]
    assert sorted(listed) == sorted(measures)
    assert extract_of("engagement_at_school") == "surveys"
    assert extract_of("days_suspended") == "incidents"
    assert extract_of("days_unexcused_full") == "absences"


@pytest.mark.parametrize("years_after", ["", "_after_1"])
def test_an_outcome_without_its_extract_names_that_one(years_after):
    name = f"involvement_at_home{years_after}"
    asked = Outcome(name, "At home", "engagement", "continuous", "points", "higher")
    rows = [*enrolled("A"), *enrolled("B"), *(student_year(one, 2016, 4) for one in "AB")]
    panel = tiny_panel(rows, [visit("A", SUMMER)])
    with pytest.raises(SourceError) as caught:
        select_sample(panel, tiny_design(outcomes=(asked,)))
    assert str(caught.value).startswith("surveys: ")
    assert str(caught.value).endswith("or deliver surveys.")
