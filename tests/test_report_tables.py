"""The numbered tables hold the numbers of the effects and samples, in careful words."""

from __future__ import annotations

import math

import pytest

import fabricated
from homevisit_eval.design import NoMatching
from homevisit_eval.errors import EstimationError
from homevisit_eval.report import tables
from homevisit_eval.report.method_tables import read_aloud
from homevisit_eval.report.words import impact_sentence, verdict

LINES = ("remaining", "excluded", "not observed", "observed")


def test_key_findings_are_the_numbers_of_the_effects() -> None:
    effects = fabricated.effects()
    table = tables.impacts(effects)
    for name in ("adjusted_mean_visited", "estimate", "ci_low", "p_value_adjusted", "n_visited"):
        assert table.frame[name].tolist() == [getattr(effect, name) for effect in effects]
    assert [table.cell(0, column) for column in table.columns] == [
        "Any disciplinary incident", "9.27%", "12.22%", "−2.95 pp", "−4.20 pp", "−1.70 pp",
        "<.001", ".001", "−0.19", "1,998", "1,998",
    ]  # fmt: skip
    assert table.synthetic


def test_one_plain_sentence_for_each_kind_of_outcome() -> None:
    incident, attendance, incidents, math_score = map(impact_sentence, fabricated.effects())
    assert incident == (
        "Any disciplinary incident was 2.95 percentage points less common among visited students "
        "(9.27%) than among matched comparison students (12.22%); 95% interval −4.20 to −1.70 "
        "percentage points."
    )
    assert "(95.28%) was 0.35 percentage points higher than that of matched" in attendance
    assert incidents.startswith("No clear difference in number of incidents: 0.21 among visited")
    assert incidents.endswith("these data rule out neither an increase nor a decrease.")
    assert "(adjusted p = .080)" in math_score


def test_no_sentence_claims_a_cause_or_an_absence_of_effect() -> None:
    for sentence in map(impact_sentence, fabricated.effects()):
        for word in ("caused", "because of", "due to", "led to", "no effect", "reduced", "proves"):
            assert word not in sentence


@pytest.mark.parametrize(
    ("estimate", "beneficial", "p", "adjusted", "expected"),
    [
        (0.1, "higher", 0.01, 0.04, "clear, favorable"),
        (0.1, "lower", 0.01, 0.04, "clear, unfavorable"),
        (-0.1, "lower", 0.01, math.nan, "clear, favorable"),
        (-0.1, "lower", 0.01, 0.06, "no clear difference"),
        (-0.1, "lower", math.nan, math.nan, "no clear difference"),
    ],
)
def test_the_verdict_rests_on_the_adjusted_p(
    estimate: float, beneficial: str, p: float, adjusted: float, expected: str
) -> None:
    outcome = next(
        one for one in (fabricated.INCIDENT, fabricated.ATTENDANCE) if one.beneficial == beneficial
    )
    effect = fabricated.effect(outcome, estimate=estimate, p_value=p, p_value_adjusted=adjusted)
    assert verdict(effect) == expected


def test_an_effect_on_few_students_shows_nothing() -> None:
    table = tables.impacts([fabricated.effect(n_visited=7)])
    shown = {column: table.cell(0, column) for column in table.columns[1:]}
    assert shown.pop("n_visited") == "<10"
    assert shown.pop("n_comparison") == "1,998"
    assert set(shown.values()) == {"*"}
    assert "0.0927" not in table.to_csv_text()
    assert "9.27" not in table.html() + table.text()


def test_a_rare_outcome_shows_nothing_either() -> None:
    rare = fabricated.effect(mean_visited=0.004, n_visited=1000)
    table = tables.full_estimates([rare])
    assert table.cell(0, "estimate") == "*"
    assert table.cell(0, "n_visited") == "1,000"


def test_full_estimates_have_conventions() -> None:
    table = tables.full_estimates(fabricated.effects())
    assert table.frame["clusters"].tolist() == [43] * 4
    assert table.frame["parameters"].tolist() == [28] * 4
    assert table.frame["formula"][0].startswith("any_incident ~")
    assert "CR2, clustered by school" in table.notes[0]
    assert "Satterthwaite" in table.notes[0]


def test_sensitivity_rows_stand_below_their_main_analysis() -> None:
    other = fabricated.effect(sensitivity="Same school only", p_value_adjusted=math.nan)
    elsewhere = fabricated.effect(question="another", sensitivity="Not of this question")
    table = tables.sensitivity_grid(fabricated.effects(), [elsewhere, other])
    assert table.frame["variation"].tolist() == [
        "Main analysis", "Same school only", *["Main analysis"] * 3
    ]  # fmt: skip
    assert table.frame["outcome"][1] == "Any disciplinary incident"


def test_no_effect_is_an_error() -> None:
    for function in (tables.impacts, tables.full_estimates):
        with pytest.raises(EstimationError, match="no effect to show"):
            function([])


def test_the_flow_adds_up_to_what_was_observed() -> None:
    effects = [
        fabricated.effect(n_visited=1950, n_comparison=1900),
        fabricated.effect(fabricated.MATH, n_visited=640, n_comparison=632),
    ]
    frame = tables.sample_flow(fabricated.matched_sample(), effects).frame
    for column in ("comparison", "neither"):
        left = None
        for row in frame.itertuples():
            count = getattr(row, column)
            if row.line == "remaining":
                assert left is None or count == left
                left = matched = count
            elif row.line == "excluded":
                left -= count
            elif row.line == "not observed":
                unseen = count
            else:
                assert matched == unseen + count
    assert frame["visited"].iloc[-1] == 640
    assert frame["attrition_comparison"].iloc[-2] == (2000 - 632) / 2000


def test_the_flow_hides_few_and_what_would_reveal_them() -> None:
    table = tables.sample_flow(fabricated.matched_sample())
    visited = {table.cell(row, "label"): table.cell(row, "visited") for row in range(11)[:10]}
    assert visited["– not enrolled on the first instructional day"] == "<10"
    assert visited["– not enrolled in the year before"] == "*"
    assert visited["Enrolled in these grades and years"] == "2,187"
    assert visited["Matched"] == "2,000"


def test_few_without_a_match_hide_the_candidates_and_not_the_matched() -> None:
    sample = fabricated.matched_sample(lost=4)
    table = tables.sample_flow(sample)
    visited = {table.cell(row, "label"): table.cell(row, "visited") for row in range(10)}
    assert visited["– Without a match: No comparison student within the caliper"] == "<10"
    assert visited["Baseline complete"] == "*"
    assert visited["Matched"] == "2,000"


def test_students_by_year_and_grade_add_up_and_are_told_from_student_years() -> None:
    matched = fabricated.matched_sample(per_cell=20)
    matched.sample.baseline.loc[matched.sample.baseline["school_year"] == 2016, "unit_id"] = (
        matched.sample.baseline.loc[
            matched.sample.baseline["school_year"] == 2015, "unit_id"
        ].to_numpy()[: 6 * 40 // 2]
    )
    frame = tables.sample_counts(matched).frame
    for column in ("visited", "comparison"):
        counts = dict(zip(frame["school_year"] + " " + frame["grade"], frame[column], strict=True))
        assert counts["2014-15 Grade 1"] + counts["2014-15 Grade 2"] == counts["2014-15 All grades"]
        assert counts["All years Student-years"] == 80
        assert counts["All years Distinct students"] == 40


def test_few_students_in_a_cell_are_hidden_with_another() -> None:
    frame = tables.sample_counts(fabricated.matched_sample(per_cell=8)).frame
    assert frame["visited"].isna().tolist() == [True, True, False] * 2 + [False, False]


def test_the_matching_is_read_aloud() -> None:
    table = tables.matching_specification(fabricated.matched_sample())
    items = dict(zip(table.frame["item"], table.frame["specification"], strict=True))
    assert "with the same school year and grade" in items["Method"]
    assert "0.2 standard deviations" in items["Method"]
    assert items["Whose effect"].startswith("ATT in the matched sample")
    assert "attendance rate (also squared)" in items["Covariates"]
    assert items["Covariates, grades 3 to 5"] == "also mathematics score"
    assert "caliper 0.1234" in items["Propensity model, grades 1 to 2"]
    assert items["Audit: order"] == "descending score"
    assert "17 attempted" in items["Note"]
    assert "2012" not in table.to_csv_text(), "counts of students stand in F1 only"
    assert read_aloud(NoMatching()).startswith("All candidates were kept")


def test_baseline_equivalence_keeps_small_groups_to_itself() -> None:
    table = tables.baseline_equivalence(fabricated.balance())
    rows = {table.cell(row, "characteristic"): row for row in range(len(table.frame))}
    small = rows["Race or ethnicity: pacific islander"]
    assert table.cell(small, "mean_visited_after") == "*"
    assert table.cell(small, "wwc_effect_size") == "*"
    assert table.cell(rows["Race or ethnicity: white"], "mean_visited_after") == "*"
    assert table.cell(rows["Race or ethnicity: black"], "mean_visited_after") == "70.00%"
    assert table.cell(rows["Attendance rate"], "mean_visited_after") == "94.00%"
    assert table.cell(rows["Mathematics score"], "wwc_category") == "not satisfied"
    assert table.population.endswith("Any disciplinary incident")


def test_decisions_counts_and_files() -> None:
    evaluation = fabricated.evaluation()
    assert "absence outside enrollment" in tables.decisions(evaluation).text()
    counts = tables.panel_counts(evaluation)
    assert counts.frame["rows_left_out"].tolist() == [100]
    files = tables.provenance(evaluation)
    assert files.cell(0, "checksum") == "abababababab"
    assert "ab" * 32 in files.to_csv_text()
    assert tables.decisions(fabricated.evaluation(decisions=())) is None


def test_records_left_out_are_hidden_along_the_chain_of_steps() -> None:
    from types import SimpleNamespace

    steps = (
        SimpleNamespace(source="visits", rows_in=100, rows_used=96, note="a"),
        SimpleNamespace(source="visits", rows_in=96, rows_used=60, note="b"),
    )
    table = tables.panel_counts(fabricated.evaluation(panel_counts=steps))
    assert [table.cell(0, name) for name in ("rows_in", "rows_used", "rows_left_out")] == [
        "100", "*", "<10"
    ]  # fmt: skip
    assert table.cell(1, "rows_in") == "*"
    assert "*" in (table.cell(1, "rows_used"), table.cell(1, "rows_left_out"))


def test_variables_have_units_and_rules() -> None:
    table = tables.variables(fabricated.DESIGN, synthetic=True)
    assert "also squared" in table.text()
    assert "10% of enrolled days is exceeded" in table.notes[-1]
