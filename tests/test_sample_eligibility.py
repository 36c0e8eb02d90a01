"""Who is in the sample at all, and what the design cannot ask of a panel."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import narwhals as nw
import pytest

from homevisit_eval.design import Covariate, Eligibility, Measurement
from homevisit_eval.errors import DesignError, SourceError
from homevisit_eval.sample import flow_adds_up, select_sample
from panel_spec import panel_from
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

TWO_YEARS = {
    "enrollments": "student_id school_year\n ann 2014\n ann 2015\n bob 2014\n bob 2015",
    "visits": "student_id date\n ann 2014-08-02",
}
OTHERS = [*enrolled("VISITED"), *enrolled("COMPARISON")]
VISITS = [visit("VISITED", date(2014, 8, 2))]


def flow_of(*rows, visits=(), design=None):
    panel = tiny_panel([*OTHERS, *rows], [*VISITS, *visits])
    sample = select_sample(panel, design or tiny_design())
    assert flow_adds_up(sample.flow)
    return sample, {step.name: step for step in sample.flow}


def only_exclusion(steps):
    """Return the name of the one line that excludes somebody."""
    [name] = [s.name for s in steps.values() if s.kind == "excluded" and s.total]
    return name


def test_not_enrolled_on_the_first_day():
    rows = enrolled("SUBJECT", school_id=None)
    sample, steps = flow_of(*rows, visits=[visit("SUBJECT", date(2014, 8, 2))])
    assert only_exclusion(steps) == "not_at_time_zero"
    assert (steps["not_at_time_zero"].visited, steps["not_at_time_zero"].comparison) == (1, 0)
    assert "SUBJECT" not in set(sample.baseline["unit_id"])


def test_not_enrolled_in_the_year_before():
    rows = [student_year("SUBJECT", 2013, 1), student_year("SUBJECT", 2015, 3)]
    assert only_exclusion(flow_of(*rows)[1]) == "not_in_baseline_year"


def test_days_enrolled_in_the_year_before():
    rows = []
    for days in (0, 19, 20):
        rows += [student_year(f"D{days}", 2014, 2, days_enrolled=days)]
        rows += [student_year(f"D{days}", 2015, 3)]
    sample, steps = flow_of(*rows)
    assert set(sample.baseline["unit_id"]) == {"VISITED", "COMPARISON", "D20"}
    assert steps["few_days_in_baseline_year"].comparison == 2
    assert "fewer than 20 days" in steps["few_days_in_baseline_year"].label


def test_days_enrolled_in_the_year_before_are_an_option():
    rows = [
        student_year("SUBJECT", 2014, 2, days_enrolled=100),
        student_year("SUBJECT", 2015, 3),
    ]
    design = tiny_design(eligibility=Eligibility(min_days_enrolled_prior=101))
    assert only_exclusion(flow_of(*rows, design=design)[1]) == "few_days_in_baseline_year"


def test_grade_and_year_are_those_of_the_outcome_year():
    rows = [
        *enrolled("FIRST", grade=1),  # kindergarten the year before
        *enrolled("SIXTH", grade=6),
        *enrolled("EARLIER", school_year=2014),
    ]
    sample, steps = flow_of(*rows)
    assert set(sample.baseline["unit_id"]) == {"VISITED", "COMPARISON", "FIRST"}
    assert steps["enrolled"].total == 3
    assert steps["enrolled"].label == "Enrolled: grades 1-5, 2014-15"


def test_a_repeated_grade_has_a_baseline():
    rows = [student_year("SUBJECT", 2014, 3), student_year("SUBJECT", 2015, 3)]
    assert "SUBJECT" in set(flow_of(*rows)[0].baseline["unit_id"])


def test_every_exclusion_has_one_line_and_the_first_rule_wins():
    rows = [
        *enrolled("A", school_id=None, household_id="H1"),
        student_year("B", 2015, 3),
        student_year("C", 2014, 2, days_enrolled=3, attendance_rate=None),
        student_year("C", 2015, 3),
        student_year("D", 2014, 2, attendance_rate=None),
        student_year("D", 2015, 3),
        *enrolled("E"),
    ]
    visits = [visit("E", date(2014, 7, 7), program="EC")]
    _, steps = flow_of(*rows, visits=visits)
    counts = {name: (s.visited, s.comparison, s.neither) for name, s in steps.items()}
    assert counts == {
        "enrolled": (1, 5, 1),
        "not_at_time_zero": (0, 1, 0),
        "not_in_baseline_year": (0, 1, 0),
        "few_days_in_baseline_year": (0, 1, 0),
        "eligible": (1, 2, 1),
        "other_program": (0, 0, 1),
        "sibling": (0, 0, 0),
        "contrast": (1, 2, 0),
        "missing_attendance_rate_prior": (0, 1, 0),
        "candidates": (1, 1, 0),
    }


class TestComparisonSchools:
    SCHOOLS = (
        school("S1", 2015),
        school("S2", 2015, fep=0),
        school("S3", 2015, fep=0, early_childhood=1),
        school("S4", 2015, fep=0, fec=1),
        school("S5", 2015),
        school("S5", 2014, fep=0),
        school("S6", 2015, fep=None, fec=None),
        school("S7", 2015, fep=0, fec=None),
    )

    def units(self, **asked):
        rows = [*OTHERS]
        for number in range(2, 8):
            rows += enrolled(f"IN{number}", school_id=f"S{number}")
        design = tiny_design(covariates=(), **asked)
        sample = select_sample(tiny_panel(rows, VISITS, self.SCHOOLS), design)
        assert flow_adds_up(sample.flow)
        lines = [step for step in sample.flow if step.name == "program_school"]
        return set(sample.baseline["unit_id"]), sum(step.comparison for step in lines)

    def test_outside_program_keeps_comparison_students_of_other_schools_that_year(self):
        units, left = self.units(comparison_schools="outside_program")
        assert units == {"VISITED", "IN2", "IN3"}
        assert left == 5  # COMPARISON, S4, S5, and two of which it is not known

    def test_outside_program_means_the_programs_of_the_question(self):
        units, _ = self.units(comparison_schools="outside_program", programs=("FEP",))
        assert units == {"VISITED", "IN2", "IN3", "IN4", "IN7"}

    def test_a_school_that_is_not_listed_is_not_known_to_be_outside(self):
        panel = tiny_panel([*OTHERS, *enrolled("IN2", school_id="S2")], VISITS, self.SCHOOLS)
        listed = panel.schools.filter(nw.col("school_id") != "S2")
        design = tiny_design(covariates=(), comparison_schools="outside_program")
        with pytest.raises(SourceError, match="may be a comparison student"):
            select_sample(replace(panel, schools=listed), design)

    @pytest.mark.parametrize("schools", ["any", "same_school"])
    def test_other_choices_exclude_nobody_here(self, schools):
        units, left = self.units(comparison_schools=schools)
        assert len(units) == 8
        assert left == 0


class TestImpossibleQuestions:
    def test_other_rules_of_measurement(self):
        panel = tiny_panel(OTHERS, VISITS, measurement=Measurement(chronic_truancy_days=5))
        with pytest.raises(DesignError, match="other rules of measurement"):
            select_sample(panel, tiny_design())

    def test_a_year_that_the_extracts_lack(self):
        with pytest.raises(DesignError, match="no enrollments in 2016-17; they have 2013-14 to"):
            select_sample(tiny_panel(OTHERS, VISITS), tiny_design(school_years=(2015, 2017)))

    def test_the_baseline_year_is_missing(self):
        with pytest.raises(DesignError, match=r"baseline year 2012-13 is not .* one year later"):
            select_sample(tiny_panel(OTHERS, VISITS), tiny_design(school_years=(2014, 2015)))

    def test_an_outcome_that_the_design_lacks(self):
        design = tiny_design()
        question = replace(design.questions[0], outcomes=("incidents",))
        with pytest.raises(DesignError, match="outcome"):
            select_sample(tiny_panel(OTHERS, VISITS), design, question)

    def test_no_primary_question(self):
        with pytest.raises(DesignError, match="no primary question"):
            select_sample(tiny_panel(OTHERS, VISITS), tiny_design(role="secondary"))

    def test_nobody_is_eligible(self):
        rows = [student_year("A", 2014, 2), student_year("B", 2015, 3)]
        with pytest.raises(SourceError, match="grades 1-5, 2014-15 is eligible"):
            select_sample(tiny_panel(rows), tiny_design())

    def test_nobody_is_visited(self):
        with pytest.raises(SourceError, match=r"visits: no candidate .* under FEP or FEC"):
            select_sample(tiny_panel(OTHERS), tiny_design())

    def test_nobody_is_left_for_comparison(self):
        with pytest.raises(SourceError, match="may be a comparison student"):
            select_sample(tiny_panel(enrolled("VISITED"), VISITS), tiny_design())

    def test_no_message_holds_an_identifier_or_a_small_count(self):
        with pytest.raises(SourceError) as caught:
            select_sample(tiny_panel(enrolled("VISITED"), VISITS), tiny_design())
        assert "VISITED" not in str(caught.value)
        assert " 1 " not in str(caught.value)

    def test_an_outcome_whose_table_was_not_delivered(self):
        rows = [row | {"any_incident": None} for row in OTHERS]
        said = "incidents was not delivered: disciplinary incidents cannot be computed."
        panel = tiny_panel(rows, VISITS, missing=("staff was not delivered: x.", said))
        design = tiny_design(outcomes=(ATTENDANCE, INCIDENT))
        with pytest.raises(SourceError, match=f"^{said} Take the outcome any_incident out"):
            select_sample(panel, design)

    def test_a_covariate_without_a_record_in_the_baseline_year(self):
        with panel_from(**TWO_YEARS, absences="student_id date\n ann 2014-08-26") as panel:
            [said] = [text for text in panel.missing if "not one record" in text]
            with pytest.raises(SourceError, match="absences: not one record in 2013-14") as caught:
                select_sample(panel, tiny_design(eligibility=Eligibility(1, 1)))
        assert str(caught.value).startswith(said)

    def test_an_outcome_without_a_record_in_the_outcome_years(self):
        with panel_from(**TWO_YEARS, absences="student_id date\n ann 2013-08-26") as panel:
            [said] = [text for text in panel.missing if "not one record" in text]
            with pytest.raises(SourceError, match="absences: not one record in 2014-15") as caught:
                select_sample(panel, tiny_design(eligibility=Eligibility(1, 1)))
        assert str(caught.value).startswith(said)

    def test_a_covariate_whose_table_was_not_delivered(self):
        rows = [row | {"incidents": None} for row in OTHERS]
        said = "incidents was not delivered: disciplinary incidents cannot be computed."
        design = tiny_design(covariates=(Covariate("incidents_prior", "Incidents"),))
        with pytest.raises(SourceError, match=f"^{said} Take the covariate incidents_prior out"):
            select_sample(tiny_panel(rows, VISITS, missing=(said,)), design)

    def test_all_covariates_of_a_missing_table_are_named_at_once(self):
        rows = [row | {"incidents": None, "any_incident": None} for row in OTHERS]
        said = "incidents was not delivered: disciplinary incidents cannot be computed."
        names = ("incidents_prior", "any_incident_prior")
        design = tiny_design(covariates=tuple(Covariate(name, "A label") for name in names))
        words = "covariates incidents_prior and any_incident_prior out of the design"
        with pytest.raises(SourceError, match=words) as caught:
            select_sample(tiny_panel(rows, VISITS, missing=(said,)), design)
        assert str(caught.value).count(said) == 1

    def test_a_covariate_whose_column_was_not_delivered(self):
        rows = [row | {"homeless": None} for row in OTHERS]
        said = "characteristics has no homeless: homelessness is unknown."
        design = tiny_design(covariates=(Covariate("homeless_prior", "Homeless"),))
        with pytest.raises(SourceError, match=f"^{said}"):
            select_sample(tiny_panel(rows, VISITS, missing=(said,)), design)

    def test_a_covariate_that_is_missing_for_everybody(self):
        rows = [row | {"at_risk": None} for row in OTHERS]
        said = "characteristics has no homeless: homelessness is unknown."
        design = tiny_design(covariates=(Covariate("at_risk_prior", "At risk"),))
        with pytest.raises(SourceError, match="characteristics: the covariate at_risk_prior is"):
            select_sample(tiny_panel(rows, VISITS, missing=(said,)), design)

    def test_an_outcome_whose_pretest_no_grade_has(self):
        rows = [
            row | {"math_score_std": 0.1 if row["school_year"] == 2015 else None} for row in OTHERS
        ]
        design = tiny_design(covariates=(MATH_PRIOR,), outcomes=(MATH,))
        with pytest.raises(
            SourceError, match=r"no grade and year of .* has the pretest math_score"
        ):
            select_sample(tiny_panel(rows, VISITS), design)

    def test_a_pretest_that_is_only_a_covariate_may_be_missing(self):
        said = "assessments was not delivered: math and reading scores cannot be computed."
        panel = tiny_panel(OTHERS, VISITS, missing=(said,))
        sample = select_sample(panel, tiny_design(covariates=(MATH_PRIOR,)))
        assert dict(sample.covariates) == {"without pretest": ()}
        assert any("measured in no grade and year" in note for note in sample.notes)
