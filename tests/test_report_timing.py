"""Table T3 and figures of timing: what is shown, said, and not given away."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from fabricated import ATTENDANCE, INCIDENT, effect
from homevisit_eval.design import Question, TimingContrast
from homevisit_eval.effects import EffectDifference
from homevisit_eval.errors import DesignError, EstimationError
from homevisit_eval.report.drawing import to_svg
from homevisit_eval.report.timing_figure import (
    impact_by_timing as figure_by_timing,
)
from homevisit_eval.report.timing_figure import (
    impact_by_timing_alt_text,
    landmark,
    landmark_alt_text,
    landmark_can_be_drawn,
)
from homevisit_eval.report.timing_tables import day_words, impact_by_timing, window_words
from homevisit_eval.table import Table
from homevisit_eval.timing import TimingDifference

OUTCOMES = ("any_incident", "attendance_rate")
SUMMER = Question("summer", "Visited before the school year", "primary", OUTCOMES)
FALL = Question("fall", "Visited in the fall", "secondary", OUTCOMES, window="fall")
SPRING = Question(
    "spring", "Visited in the spring", "secondary", OUTCOMES, window="spring", later_visits="none"
)
QUESTIONS = (SPRING, SUMMER, FALL)
CONTRAST = TimingContrast(
    "summer_fall", "Summer and fall visits", "summer", "fall", ("any_incident",), "02-01"
)


def of(question: Question, outcome=INCIDENT, **changes):
    return effect(
        outcome, question=question.name, question_label=question.label, role=question.role,
        **changes,
    )  # fmt: skip


def contrast(earlier=None, later=None, **changes) -> TimingDifference:
    first = earlier or of(SUMMER, estimate=-0.02, ci_low=-0.03, ci_high=-0.01)
    second = later or of(FALL, estimate=-0.012, ci_low=-0.03, ci_high=0.006, p_value=0.2)
    found = EffectDifference(
        first=first, second=second, estimate=-0.008, std_error=0.006, df=30.1,
        df_convention="Satterthwaite", covariance="CR2, stacked", cluster="school_id",
        clusters=43, clusters_shared=40, students_shared=12, confidence_level=0.95,
        ci_low=-0.0203, ci_high=0.0043, p_value=0.19, notes=(),
    )  # fmt: skip
    values = {
        "contrast": CONTRAST, "outcome": INCIDENT, "difference": found, "earlier": first,
        "later": second, "effective_size_later": 812.3, "largest_difference": 0.001,
        "notes": ("The later-visited are weighted.",), "synthetic": True,
    }  # fmt: skip
    return TimingDifference(**{**values, **changes})


def given():
    effects = [
        of(SPRING, estimate=-0.004, ci_low=-0.02, ci_high=0.012, p_value=0.6, p_value_adjusted=0.6),
        of(SUMMER),
        of(FALL, estimate=-0.011, ci_low=-0.021, ci_high=-0.001, p_value=0.03),
        of(SUMMER, ATTENDANCE, estimate=0.0035, ci_low=0.001, ci_high=0.006),
    ]
    return effects, [contrast()], QUESTIONS


def table(**changes) -> Table:
    effects, contrasts, questions = given()
    return impact_by_timing(
        changes.get("effects", effects), changes.get("contrasts", contrasts), questions
    )


def lines_of(shown: Table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(shown.to_csv_text())))


# T3 ---------------------------------------------------------------------------------------------


def test_windows_stand_in_order_of_the_year_and_the_contrast_below_them():
    shown = table()
    assert shown.name == "T3"
    assert [heading for heading, _ in shown.sections()] == [INCIDENT.label, ATTENDANCE.label]
    assert shown.frame["window"].tolist() == [
        "Before the school year",
        "Fall",
        "Spring",
        "Before the school year, from February 1 on",
        "Fall, from February 1 on, weighted to be like the earlier",
        "Earlier less later, from February 1 on",
        "Before the school year",
    ]
    assert shown.frame["against"].tolist() == [
        "not visited before the year", "not yet visited", "without any later visit that year",
        "without any visit that year", "without any visit that year", "",
        "not visited before the year",
    ]  # fmt: skip


def test_the_numbers_are_those_of_the_effects_and_of_the_difference():
    shown = table()
    assert shown.cell(0, "estimate") == "−2.95 pp"
    assert shown.cell(0, "adjusted_mean_visited") == "9.27%"
    assert shown.cell(0, "p_value_adjusted") == ".001"
    assert shown.cell(0, "n_visited") == "1,998"
    difference = [shown.cell(5, name) for name in ("estimate", "ci_low", "ci_high", "p_value")]
    assert difference == ["−0.80 pp", "−2.03 pp", "+0.43 pp", ".190"]
    for column in ("adjusted_mean_visited", "n_visited", "effect_size", "p_value_adjusted"):
        assert shown.cell(5, column) == "–"
    assert shown.frame["estimate"].iloc[5] == pytest.approx(
        shown.frame["estimate"].iloc[3] - shown.frame["estimate"].iloc[4]
    )
    assert shown.spanners[1][0] == "95% interval"


def test_the_notes_say_what_answers_the_question():
    notes = " ".join(table().notes)
    assert "mix when the visit was" in notes
    assert "Only the rows “Earlier less later” answer whether earlier visits do more" in notes
    assert "Summer and fall visits: The later-visited are weighted." in notes
    assert {row["data"] for row in lines_of(table())} == {"Synthetic data"}


@pytest.mark.parametrize("part", ["earlier", "later"])
def test_a_hidden_effect_of_a_contrast_takes_difference_and_notes_along(part: str):
    """The unadjusted mean of 4 in 1,000 is not in T3; B1 hides by it, and so does T3."""
    few = {"mean_visited": 0.004, "n_visited": 1000, "notes": ("Interacted it is -0.0448.",)}
    question = SUMMER if part == "earlier" else FALL
    found = contrast(**{part: of(question, **few)}, notes=("The difference is near -0.0081.",))
    shown = table(effects=[of(SUMMER), of(FALL, **few)], contrasts=[found])
    hidden = {row for row in range(5) if shown.cell(row, "estimate") == "*"}
    assert hidden == {1, 2 if part == "earlier" else 3, 4}
    text = shown.text() + shown.html() + shown.to_csv_text() + " ".join(shown.all_notes)
    assert "0.0448" not in text
    assert "0.0081" not in text
    kept = contrast(**{part: of(question, notes=few["notes"])})
    assert any("0.0448" in note for note in table(contrasts=[kept]).notes)


def test_rows_of_other_tables_are_left_out():
    later = replace(INCIDENT, name="any_incident_after_1")
    teacher = Question("staff", "Teachers", "exploratory", ("retained_in_school",), unit="teacher")
    shown = impact_by_timing(
        [of(SUMMER), of(SUMMER, sensitivity="Same school"), of(SUMMER, later), of(teacher)],
        [],
        (SUMMER, teacher),
    )
    assert len(shown.frame) == 1


def test_questions_with_one_window_are_told_apart():
    fep = Question("fep", "Visited under FEP", "secondary", OUTCOMES, programs=("FEP",))
    shown = impact_by_timing([of(SUMMER), of(fep)], [], (SUMMER, fep))
    assert shown.frame["window"].tolist() == [
        "Before the school year: Visited before the school year",
        "Before the school year: Visited under FEP",
    ]


@pytest.mark.parametrize("group", ["visited", "comparison"])
@pytest.mark.parametrize("part", ["earlier", "later"])
def test_a_contrast_of_few_students_does_not_tell_the_hidden_part(part, group):
    few = {f"n_{group}": 9, f"matched_{group}": 9}
    question = SUMMER if part == "earlier" else FALL
    shown = table(contrasts=[contrast(**{part: of(question, **few)})])
    row = 3 if part == "earlier" else 4
    cells = lines_of(shown)
    assert cells[row][f"n_{group}"] == "<10"
    assert cells[row]["estimate"] == "*"
    assert cells[5]["estimate"] == cells[5]["ci_low"] == cells[5]["p_value"] == "*"
    other = 4 if part == "earlier" else 3
    assert float(cells[other]["estimate"]) != 0


def test_a_small_share_hides_the_contrast_too():
    rare = of(FALL, adjusted_mean_visited=0.002, n_visited=1998)  # 4 students
    cells = lines_of(table(contrasts=[contrast(later=rare)]))
    assert cells[4]["estimate"] == cells[5]["estimate"] == "*"


def test_few_without_the_outcome_do_not_follow_from_counts():
    shown = table(effects=[of(SUMMER, n_visited=1995)], contrasts=[])
    assert shown.frame["n_visited"].tolist() == [1980]


def test_questions_must_be_given_and_something_to_show():
    with pytest.raises(EstimationError, match="questions summer, which are not given"):
        impact_by_timing([of(SUMMER)], [], (FALL,))
    with pytest.raises(EstimationError, match="no effect on students in the year of the visit"):
        impact_by_timing([], [], QUESTIONS)


def test_without_a_contrast_the_table_says_that_it_does_not_answer():
    notes = " ".join(table(contrasts=[]).notes)
    assert "does not say whether earlier visits do more" in notes
    assert "Earlier less later" not in notes


def test_notes_of_the_two_effects_say_whose_they_are():
    noted = contrast(
        earlier=of(SUMMER, notes=("Only 7 schools.",)),
        later=of(FALL, notes=("Any disciplinary incident is not observed for some.",)),
    )
    other = replace(noted, outcome=ATTENDANCE, earlier=of(SUMMER), later=of(FALL))
    notes = table(contrasts=[noted, other]).notes
    assert "Summer and fall visits: The later-visited are weighted." in notes
    earlier = "Summer and fall visits, earlier visits"
    assert f"{earlier}, Any disciplinary incident: Only 7 schools." in notes
    assert (
        "Summer and fall visits, later visits: Any disciplinary incident is not observed for some."
        in notes
    )


def test_several_contrasts_are_told_apart():
    second = replace(CONTRAST, name="other", label="Fall and spring", landmark="04-15")
    shown = table(contrasts=[contrast(), contrast(contrast=second)])
    rows = shown.frame["window"].tolist()
    assert "Earlier less later, from February 1 on (Summer and fall visits)" in rows
    assert "Earlier less later, from April 15 on (Fall and spring)" in rows


def test_words_of_days_and_pools():
    assert day_words("10-15") == "October 15"
    never = replace(SUMMER, pool="never_visited_that_year")
    assert window_words(never)[1] == "never visited that year (chosen on the future)"


# F3 ---------------------------------------------------------------------------------------------


def figures_timing(effects, contrasts, questions) -> Figure:
    return figure_by_timing(effects, contrasts, questions)


def test_the_figure_has_one_panel_an_outcome_and_the_same_bytes():
    svg = to_svg(figures_timing(*given()))
    assert svg == to_svg(figures_timing(*given()))
    for words in (
        "Synthetic data", INCIDENT.label, ATTENDANCE.label, "Fall", "−2.95  [−4.20, −1.70]",
        "Earlier less later, same days: not clear", "−0.80  [−2.03, +0.43]",
    ):  # fmt: skip
        assert words in svg
    assert len(figures_timing(*given()).axes) == 2


def test_a_clear_contrast_is_marked_so():
    clear = contrast()
    clear = replace(clear, difference=replace(clear.difference, p_value=0.01))
    assert "same days: clear" in to_svg(figures_timing([], [clear], QUESTIONS))


def test_words_beside_the_figure_hold_all_that_is_shown_and_nothing_hidden():
    text = impact_by_timing_alt_text(*given())
    assert "Earlier less later, from February 1 on −0.80" in text
    few = contrast(later=of(FALL, n_visited=9, matched_visited=9, estimate=-0.0777))
    hidden = impact_by_timing_alt_text([of(SUMMER)], [few], QUESTIONS)
    assert "7.77" not in hidden
    assert "Earlier less later, from" not in hidden


def test_axes_of_the_caller_take_one_outcome():
    axes = Figure().subplots()
    with pytest.raises(DesignError, match="ax can show one outcome; there are 2"):
        figure_by_timing(*given(), ax=axes)
    assert figure_by_timing([of(SUMMER)], [], QUESTIONS, ax=axes) is axes.figure
    assert axes.get_title(loc="right") == "Synthetic data"


# Landmark ---------------------------------------------------------------------------------------

LAG = "Outcomes from 20 school days after the visit on"
NONE = "Against no visit for the rest of the year"
TRUTH = {"Main analysis": -0.015, NONE: -0.017, "naive": -0.015}


def rows():
    main = of(FALL, estimate=-0.014, ci_low=-0.024, ci_high=-0.004)
    others = [
        of(FALL, estimate=-0.013, ci_low=-0.025, ci_high=-0.001, sensitivity=LAG),
        of(FALL, estimate=-0.016, ci_low=-0.028, ci_high=-0.004, sensitivity=NONE),
    ]
    naive = of(FALL, estimate=0.022, ci_low=0.012, ci_high=0.032, sensitivity="Whole year")
    return main, others, naive


def drawn(**changes) -> Figure:
    main, others, naive = rows()
    return landmark(main, others, **({"naive": naive, "truth": TRUTH} | changes))


def test_every_way_of_counting_is_a_row_with_its_own_truth():
    svg = to_svg(drawn())
    assert svg == to_svg(drawn())
    for words in (
        "Whole year, against never visited", "Days after the visit, against not yet",
        "+2.20  [+1.20, +3.20]",
        "−1.40  [−2.40, −0.40]", "biased, not to be used", "True effect in the synthetic district",
        "Synthetic data",
    ):  # fmt: skip
        assert words in svg
    positions = [line.get_xdata()[0] for line in drawn().axes[0].lines if line.get_marker() == "|"]
    assert positions == pytest.approx([-1.5, -1.5, -1.7])
    assert "True effect" not in to_svg(drawn(truth=None))


def test_the_figure_in_words():
    main, others, naive = rows()
    text = landmark_alt_text(main, others, naive=naive, truth=TRUTH)
    assert "Whole year, against never visited +2.20  [+1.20, +3.20] (true effect −1.50)" in text
    assert f"{LAG} −1.30" in text


def test_rows_of_few_students_are_not_drawn():
    main, others, naive = rows()
    few = replace(naive, n_visited=9, matched_visited=9)
    assert "+2.20" not in landmark_alt_text(main, others, naive=few)
    assert landmark_can_be_drawn(main, [], naive=few)
    tiny = replace(main, n_visited=9, matched_visited=9)
    for biased in (None, naive):
        assert not landmark_can_be_drawn(tiny, [], naive=biased)
        with pytest.raises(EstimationError, match="every row but a biased one rests on too few"):
            landmark(tiny, [], naive=biased)
    # rows beside a hidden main estimate are near it
    assert not landmark_can_be_drawn(tiny, others, naive=naive)


def test_a_truth_needs_a_row_and_synthetic_data():
    main, others, _ = rows()
    with pytest.raises(EstimationError, match="truth names naive, which is no row"):
        landmark(main, others, truth={"naive": 0.1})
    real = replace(main, synthetic=False)
    with pytest.raises(EstimationError, match="only synthetic data have a known truth"):
        landmark(real, [], truth={"Main analysis": 0.1})
    with pytest.raises(EstimationError, match="several outcomes"):
        landmark(main, [of(FALL, ATTENDANCE)])
