"""The numbered tables hold the numbers of the effects and samples, in careful words."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest

import fabricated
from homevisit_eval.design import Achievement, Measurement, NoMatching
from homevisit_eval.errors import EstimationError
from homevisit_eval.report import tables
from homevisit_eval.report.method_tables import read_aloud
from homevisit_eval.report.wording import limitations
from homevisit_eval.report.words import impact_sentence, verdict
from homevisit_eval.sample.score_grades import ScoreGrades

LINES = ("remaining", "excluded", "not observed", "observed")


def test_clusters_of_students_are_hidden_where_they_tell_how_few_are_lost() -> None:
    lost = {"cluster": "student_id", "n_visited": 1991, "matched_visited": 1996, "clusters": 3987}
    few = fabricated.effect(**lost)
    nobody = fabricated.effect(**{**lost, "n_visited": 1996})
    schools = fabricated.effect(**{**lost, "cluster": "school_id", "clusters": 60})
    for table in (tables.full_estimates, lambda some: tables.sensitivity_grid(some, [])):
        assert table([few]).frame[["clusters", "df"]].isna().all(axis=None)
        assert "3,987" not in table([few]).text() + table([few]).to_csv_text()
        assert table([nobody]).frame["clusters"].tolist() == [3987]
        assert table([schools]).frame["clusters"].tolist() == [60]


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


@pytest.mark.parametrize("group", ["visited", "comparison"])
def test_a_mean_that_tells_how_few_were_counted_shows_nothing(group: str) -> None:
    """A mean of .03 among 300 students is nine incidents, of nine students or fewer."""
    counts = {"n_visited": 300, "n_comparison": 300}
    few, ten, nobody, rate = (
        fabricated.effect(outcome, **counts, **{f"mean_{group}": mean})
        for outcome, mean in (
            (fabricated.INCIDENTS, 0.03),
            (fabricated.INCIDENTS, 0.0334),
            (fabricated.INCIDENTS, 0.0),
            (fabricated.MATH, 0.03),
        )
    )
    for make in (tables.impacts, tables.full_estimates):
        table = make([few, ten, nobody, rate])
        assert [table.cell(row, "estimate") == "*" for row in range(4)] == [True] + 3 * [False]
        assert table.cell(0, "n_visited") == "300"
        assert table.frame.loc[0, ["estimate", "p_value", "ci_low"]].isna().all()


def test_an_estimate_that_one_table_hides_all_tables_hide() -> None:
    """4 of 1,000 visited: the means that tell it stand in B1, not in B10; T1 has other means."""
    enough = fabricated.effect(fabricated.ATTENDANCE)
    note = ("By interacted regression it is -0.0301.",)
    for changes in ({"mean_visited": 0.004}, {"adjusted_mean_visited": 0.996}):
        few = fabricated.effect(n_visited=1000, matched_visited=1000, notes=note, **changes)
        near = fabricated.effect(sensitivity="Same school", notes=note)
        other = fabricated.effect(fabricated.ATTENDANCE, sensitivity="Same school")
        lone = replace(other, n_visited=9, matched_visited=9, sensitivity="Few")
        grid = tables.sensitivity_grid([few, enough], [near, other, lone])
        shown = [grid.cell(row, "estimate") != "*" for row in range(5)]
        assert shown == [False, False, True, True, False]
        told = grid.frame.loc[[0, 1], ["ci_low", "p_value", "estimate_interacted"]]
        assert told.isna().all(axis=None)
        for table in (grid, tables.impacts([few]), tables.full_estimates([few])):
            assert "0.0301" not in table.text() + table.html() + table.to_csv_text()
            assert table.cell(0, "estimate") == "*"


@pytest.mark.parametrize("name", ["incidents_to_date", "days_tardy_prior"])
def test_a_count_before_the_visit_that_tells_of_few_is_hidden_in_balance(name: str) -> None:
    balance = fabricated.balance(n=64)
    row = balance.table["covariate"].eq("math_score_std_prior").to_numpy().argmax()
    balance.table.loc[row, "covariate"] = name
    balance.table.loc[row, ["mean_treated_after", "mean_comparison_after"]] = [1 / 64, 10 / 64]
    balance.table.loc[row, ["mean_treated_before", "mean_comparison_before"]] = [0.5, 0.5]
    equivalence = tables.baseline_equivalence(balance)
    for column in ("mean_visited_after", "sd_visited_after", "wwc_effect_size", "wwc_category"):
        assert equivalence.cell(row, column) == "*"
    assert equivalence.frame["mean_comparison_after"][row] == 10 / 64
    assert equivalence.cell(row, "n_visited") == "64"
    assert "0.015625" not in equivalence.to_csv_text()
    after = tables.balance_before_and_after(balance)
    assert [after.cell(row, f"{what}_after") for what in ("smd", "variance_ratio")] == ["*", "*"]
    assert after.frame["mean_visited_before"][row] == 0.5
    balance.table.loc[row, "mean_treated_before"] = 5 / 76
    for column in ("mean_visited_before", "smd_before"):
        assert tables.balance_before_and_after(balance).cell(row, column) == "*"


def test_a_clear_difference_of_a_count_names_what_was_counted() -> None:
    days = replace(fabricated.INCIDENTS, label="Tardy days", unit="days")
    sentence = impact_sentence(fabricated.effect(days, p_value=0.001, p_value_adjusted=0.002))
    assert sentence.startswith("Tardy days: visited students had on average 0.03 fewer days (")


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


def test_grades_that_a_score_is_not_about_are_no_attrition() -> None:
    """Of 2,000 pairs 500 have no pretest and 500 no test; reading is not left out anywhere."""
    matched = fabricated.matched_sample()
    rule = Achievement()
    grades = ScoreGrades("math_score_std", frozenset({(2015, 1)}), frozenset({(2016, 2)}), rule)
    matched = replace(matched, sample=replace(matched.sample, score_grades=(grades,)))
    effects = [
        fabricated.effect(fabricated.MATH, n_visited=900, n_comparison=880),
        fabricated.effect(n_visited=1950, n_comparison=1900),
    ]
    frame = tables.sample_flow(matched, effects).frame
    lines = frame[frame["line"].isin(["excluded", "not observed"])].set_index("label")
    for words in ("no pretest in this grade and year", "not tested in this grade and year"):
        row = lines.loc[f"– {fabricated.MATH.label}: {words}"]
        assert (row["visited"], row["comparison"]) == (500, 500)
    unseen = lines.loc[f"– {fabricated.MATH.label} not observed"]
    assert (unseen["visited"], unseen["comparison"]) == (100, 120)
    assert unseen["attrition_visited"] == pytest.approx(0.1)
    assert unseen["attrition_comparison"] == pytest.approx(0.12)
    other = lines.loc[f"– {fabricated.INCIDENT.label} not observed"]
    assert (other["visited"], other["comparison"]) == (50, 100)
    assert not [label for label in lines.index if f"{fabricated.INCIDENT.label}:" in label]


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
    assert visited["– Without a match: no comparison student within the caliper"] == "<10"
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
    assert items["Order of matching"] == "highest score first"
    assert items["Distance of matched pairs"] == "mean 0.0123, largest 0.1000"
    assert items["Student-years with an equal score"] == "<10"
    assert items["Pairs that the other rule for ties would change"] == "14"
    assert items["Student-years without a counterpart"] == "0 visited, 22 comparison"
    assert items["Propensity models, notes"] == (
        "Grades 1 to 2: race or ethnicity white has no visited student: 22 comparison "
        "student-years left out of the propensity model"
    )
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


def test_a_loss_of_few_students_does_not_follow_from_the_counts() -> None:
    few = fabricated.effect(n_visited=1996)
    other = fabricated.effect(n_visited=1991, sensitivity="Other")
    grid = tables.sensitivity_grid([few], [other])
    for table in (tables.impacts([few]), tables.full_estimates([few]), grid):
        assert set(table.frame["n_visited"]) == {1980}
        assert set(table.frame["n_comparison"]) == {1998}
        assert any("rounded down to a ten" in note for note in table.notes)
    assert "1,980 visited" in repr(few)
    many = tables.impacts([fabricated.effect(n_visited=1988)])
    assert many.frame["n_visited"].tolist() == [1988]
    assert not any("rounded" in note for note in many.notes)
    students = tables.full_estimates([fabricated.effect(students_visited=1487)])
    assert students.frame["students_visited"].tolist() == [1480]


def test_the_balance_tables_do_not_give_a_loss_of_few_away_either() -> None:
    balance = fabricated.balance()
    balance.table["n_treated"] = 996
    balance.table["lost_treated"] = 4
    for table in (tables.baseline_equivalence(balance), tables.balance_before_and_after(balance)):
        assert set(table.frame["n_visited"]) == {990}
        assert set(table.frame["n_comparison"]) == {1000}


def test_the_interacted_estimate_stands_beside_the_estimate() -> None:
    effect = fabricated.effect()
    for table in (tables.full_estimates([effect]), tables.sensitivity_grid([effect], [])):
        assert table.frame["estimate_interacted"].tolist() == [-0.0299]
        assert table.label("estimate_interacted") == "ATT by interacted regression"
    few = tables.full_estimates([fabricated.effect(n_comparison=7)])
    assert few.cell(0, "estimate_interacted") == "*"


def test_each_mean_rests_on_its_own_group() -> None:
    """4 in 1,000 comparison students are few; the same share of 5,000 visited is not."""
    effect = fabricated.effect(
        mean_visited=0.004, mean_comparison=0.004, n_visited=5000, n_comparison=1000,
        students_visited=5000, matched_visited=5000, matched_students_visited=5000,
        matched_comparison=1000,
    )  # fmt: skip
    table = tables.full_estimates([effect])
    assert table.cell(0, "mean_visited") == "0.40%"
    assert table.cell(0, "mean_comparison") == table.cell(0, "sd_comparison") == "*"
    assert table.cell(0, "estimate") == table.cell(0, "effect_size") == "*"
    balance = fabricated.balance()
    balance.table["n_treated"] = 5000
    equivalence = tables.baseline_equivalence(balance)
    row = equivalence.frame["characteristic"].tolist().index("Race or ethnicity: pacific islander")
    assert equivalence.cell(row, "mean_visited_after") == "0.40%"
    assert equivalence.cell(row, "mean_comparison_after") == "*"
    assert equivalence.cell(row, "wwc_effect_size") == "*"


def test_attrition_is_hidden_with_its_own_count_only() -> None:
    effects = [fabricated.effect(n_visited=1960, n_comparison=1995)]
    table = tables.sample_flow(fabricated.matched_sample(), effects)
    (row,) = (r for r in range(len(table.frame)) if table.frame["line"][r] == "not observed")
    assert [table.cell(row, "visited"), table.cell(row, "attrition_visited")] == ["40", "2.00%"]
    assert table.cell(row, "comparison") == "<10"
    assert table.cell(row, "attrition_comparison") == "*"


def test_a_hidden_row_has_no_category() -> None:
    table = tables.baseline_equivalence(fabricated.balance())
    rows = {table.cell(row, "characteristic"): row for row in range(len(table.frame))}
    for name in ("Race or ethnicity: pacific islander", "Race or ethnicity: white"):
        assert table.cell(rows[name], "wwc_category") == "*"
    assert table.frame["wwc_category"].isna().sum() == 2


def test_what_is_hidden_after_matching_in_one_table_is_in_the_other() -> None:
    """From a standardized difference and the comparison mean the visited share would follow."""
    balance = fabricated.balance()
    few = balance.table["level"] == "pacific_islander"
    balance.table.loc[few, ["mean_treated_before", "mean_comparison_before"]] = 0.3
    balance.table.loc[balance.table["level"] == "white", "mean_treated_before"] = 0.0
    balance.table.loc[balance.table["level"] == "white", "mean_comparison_before"] = 0.2
    equivalence = tables.baseline_equivalence(balance)
    change = tables.balance_before_and_after(balance)
    (row,) = balance.table.index[few]
    assert equivalence.cell(row, "mean_visited_after") == "*"
    assert change.cell(row, "mean_visited_before") == "30.00%"
    assert change.cell(row, "smd_after") == "*"


def test_the_model_s_part_in_a_characteristic_is_said() -> None:
    balance = fabricated.balance()
    balance.table["in_model"] = [False, False, *[True] * 5]
    balance.table["absorbed"] = [False, True, *[False] * 5]
    table = tables.baseline_equivalence(balance)
    assert table.frame["adjusted_for"].tolist() == ["no", "by the cells", *["yes"] * 5]


FEW = "Only 2.1 degrees of freedom (under 4): interval and p value are not to be relied on."


def test_notes_of_effects_stand_below_their_tables_and_in_the_files() -> None:
    lost = "Attendance rate is not observed for <10 of 498 matched visited student-years."
    one_school = "All visited student-years are in one cluster (school_id): its own influence."
    first, second = fabricated.effects()[:2]
    effects = [
        replace(first, notes=(FEW, one_school)),
        replace(second, notes=(FEW, lost)),
    ]
    for table in (tables.impacts(effects), tables.full_estimates(effects)):
        assert f"Any disciplinary incident; Attendance rate: {FEW}" in table.notes
        assert any("are in one school: its own influence" in note for note in table.notes)
        kept = "Not observed for fewer than 10 matched visited student-years."
        assert f"Attendance rate: {kept}" in table.notes
        assert "498" not in " ".join(table.notes), "the total would give the few away"
        assert FEW in table.frame["notes"][0]
        assert FEW in table.to_csv_text()


def test_notes_of_a_hidden_effect_are_hidden() -> None:
    few = fabricated.effect(n_visited=7, notes=("By imputation it is -0.0301.",))
    for table in (tables.impacts([few]), tables.full_estimates([few])):
        assert "0.0301" not in table.text() + table.html() + table.to_csv_text()


def test_notes_of_sensitivity_rows_name_their_row_and_repeat_nothing() -> None:
    main = fabricated.effect(notes=("Said of the main analysis.",))
    other = fabricated.effect(sensitivity="Same school", notes=(*main.notes, FEW))
    notes = tables.sensitivity_grid([main], [other]).notes
    assert f"Any disciplinary incident, Same school: {FEW}" in notes
    assert not any("Said of the main analysis" in note for note in notes)


def test_notes_name_rows_as_shortly_as_they_can_be_told_apart() -> None:
    first, second = fabricated.effects()[:2]
    lost = [
        replace(one, notes=(f"{one.outcome.label} is not observed for 20 of 400.",))
        for one in (first, second)
    ]
    (both,) = [note for note in tables.impacts(lost).notes if "observed for" in note]
    assert both == "Any disciplinary incident; Attendance rate: Not observed for 20 of 400."
    other = [
        replace(one, question="more", question_label="Another", notes=(FEW,))
        for one in (first, second)
    ]
    assert f"Another: {FEW}" in tables.impacts([*lost, *other]).notes, "all of a question"
    one_of_them = [other[0], replace(other[1], notes=())]
    named = f"Any disciplinary incident, Another: {FEW}"
    assert named in tables.impacts([*lost, *one_of_them]).notes
    everywhere = [replace(one, notes=(FEW,)) for one in (*lost, *other)]
    assert f"All rows: {FEW}" in tables.impacts(everywhere).notes


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"df": 3.9}, "it rests on only 3.9 degrees of freedom"),
        ({"clusters_visited": 1}, "all visited students are of one school"),
        ({"clusters_comparison": 1}, "all comparison students are of one school"),
    ],
)
def test_what_is_not_to_be_relied_on_is_never_a_plain_finding(
    changes: dict[str, float], reason: str
) -> None:
    effect = fabricated.effect(**changes)
    assert verdict(effect) == "not to be relied on"
    sentence = impact_sentence(effect)
    assert sentence.endswith(f"This is not to be relied on: {reason}.")
    assert "less common" not in sentence
    assert tables.impacts([effect]).frame["sentence"].tolist() == [sentence]
    assert verdict(fabricated.effect(df=4.0)) == "clear, favorable"


def test_without_matching_nobody_is_called_matched() -> None:
    effects = [replace(one, estimand=fabricated.UNMATCHED) for one in fabricated.effects()]
    table = tables.impacts([replace(effects[0], notes=("Not of 30 of 90 matched visited.",))])
    assert table.title == "Visited students and comparison students"
    assert "Any disciplinary incident: Not of 30 of 90 visited." in table.notes
    for sentence in map(impact_sentence, effects):
        assert "comparison students" in sentence
        assert "matched" not in sentence
    heads = [head for head, _ in limitations(effects, fabricated.DESIGN)]
    assert "It rests on the regression alone." in heads
    assert "It speaks of the students who were matched." not in heads


@pytest.mark.parametrize(
    ("cluster", "words"),
    [
        ("school_id", "The intervals allow for that by treating schools as the independent units."),
        ("matched_set", "treat matched pairs as the independent units and do not allow for that"),
        ("student_id", "treat students as the independent units and do not allow for that"),
    ],
)
def test_limitations_name_the_clusters_and_the_days(cluster: str, words: str) -> None:
    effects = [fabricated.effect(cluster=cluster)]
    eligibility = replace(fabricated.DESIGN.eligibility, min_days_enrolled=33)
    text = " ".join(
        body
        for _, body in limitations(effects, replace(fabricated.DESIGN, eligibility=eligibility))
    )
    assert words in text
    assert "enrolled fewer than 33 days in the outcome year" in text
    assert ("treating schools" in text) == (cluster == "school_id")


def test_full_estimates_explain_the_signs() -> None:
    notes = " ".join(tables.full_estimates(fabricated.effects()).notes)
    assert "positive is favorable" in notes
    assert "sign of the effect size is that of the difference" in notes


def test_exceptions_for_partial_days_are_listed() -> None:
    measurement = Measurement(
        partial_day_by_year=((2016, "absent_if_over"), (2015, "fraction")),
        partial_day_threshold=0.25,
    )
    notes = " ".join(tables.variables(replace(fabricated.DESIGN, measurement=measurement)).notes)
    assert "a partial day counts as the fraction that was missed; in 2015-16, a day of" in notes
    assert "more than 25% was missed counts as absent" in notes
    assert "2014-15, " not in notes


def test_the_flow_shows_mean_days_enrolled_unless_few() -> None:
    note = (
        "Mean days enrolled in the outcome year of the compared: visited 174.0, comparison 178.0."
    )
    assert note in tables.sample_flow(fabricated.matched_sample()).notes
    few = tables.sample_flow(fabricated.matched_sample(per_cell=2)).notes
    assert not any("Mean days" in one for one in few)


def test_students_without_a_counterpart_give_no_small_count_away() -> None:
    matched = fabricated.matched_sample()
    few = pd.DataFrame({"row": range(24), "reason": ["same school"] * 20 + ["caliper"] * 4})
    audit = {**matched.matches.audit, "treated_off_support": 20, "comparison_off_support": 1995}
    matches = replace(matched.matches, unmatched=few, audit=audit)
    table = tables.matching_specification(replace(matched, matches=matches))
    items = dict(zip(table.frame["item"], table.frame["specification"], strict=True))
    assert items["Student-years without a counterpart"] == "* visited, * comparison"


def test_no_matching_has_no_facts_of_a_run() -> None:
    matched = fabricated.matched_sample()
    matches = replace(matched.matches, method=NoMatching(), audit={"rows": 9}, propensity=())
    items = tables.matching_specification(replace(matched, matches=matches)).frame["item"]
    assert not set(items) & {"Order of matching", "Distance of matched pairs"}
