"""Tables of bands, quantiles and times to an event, the figure, and that no small count follows."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from effect_examples import matched_example, with_outcome
from homevisit_eval.effects.distribution import estimate_bands
from homevisit_eval.effects.quantile_effects import estimate_quantile_effects
from homevisit_eval.effects.survival import SurvivalEffects, estimate_survival
from homevisit_eval.effects.survival_curves import kaplan_meier
from homevisit_eval.errors import EstimationError
from homevisit_eval.matching import MatchedSample
from homevisit_eval.report.distribution_tables import attendance_bands, quantile_effects
from homevisit_eval.report.drawing import to_svg
from homevisit_eval.report.survival_figure import survival_curves, survival_curves_alt_text
from homevisit_eval.report.survival_places import shown_days, shown_places
from homevisit_eval.report.survival_tables import hazard_ratios, time_to_event
from homevisit_eval.table import Table

OUTCOME = "attendance_rate"


def rows_of(table: Table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.to_csv_text())))


def everything(table: Table) -> str:
    return "\n".join([table.text(), table.html(), table.to_csv_text(), *table.all_notes])


# Bands ------------------------------------------------------------------------------------------


def with_bands(visited: list[int], comparison: list[int], lost: int = 0) -> MatchedSample:
    """Return 150 matched pairs with so many students in bands around .7, .85, .92, .96 and .99."""
    matched = matched_example(400)
    baseline, used = matched.sample.baseline, matched.matches.weights.to_numpy() > 0
    y = np.full(400, np.nan)
    middle = [0.7, 0.85, 0.92, 0.96, 0.99]
    rng = np.random.Generator(np.random.PCG64(2))
    for group, counts in ((1, visited), (0, comparison)):
        own = rng.permutation(np.flatnonzero(used & (baseline["visited"] == group)))
        assert len(own) == sum(counts) + (lost if group else 0) == 150
        y[own[: sum(counts)]] = np.repeat(middle, counts)
    return with_outcome(matched, OUTCOME, y)


def test_each_band_is_a_row_and_all_of_them_the_last():
    found = estimate_bands(with_bands([20, 30, 40, 40, 20], [30, 40, 40, 20, 20]), OUTCOME)
    table = attendance_bands([found])
    assert table.name == "B15"
    assert table.frame["band"].tolist() == [
        "Below 80%", "80% to below 90%", "90% to below 95%", "95% to below 98%", "98% and above",
        "All",
    ]  # fmt: skip
    for row, band in enumerate(found.bands):
        for column in ("share_visited", "estimate", "std_error", "ci_low", "p_value", "n_visited"):
            assert table.frame[column].iloc[row] == pytest.approx(getattr(band, column))
    assert table.frame["n_visited"].iloc[-1] == 150
    assert not table.hidden
    shown = rows_of(table)
    assert shown[0]["share_visited"] == pytest.approx("0.13333333333333333")
    assert "13.33%" in table.text()
    assert "Synthetic data" in table.html()
    assert " pp" in table.cell(0, "estimate")


@pytest.mark.parametrize("few", [1, 5, 9])
def test_a_small_band_is_hidden_and_so_is_another_that_would_tell_it(few):
    found = estimate_bands(with_bands([few, 39 - few, 41, 40, 30], [30, 40, 40, 20, 20]), OUTCOME)
    shown = rows_of(attendance_bands([found]))
    assert shown[0]["n_visited"] == "<10"
    others = [row for row in shown[1:-1] if row["n_visited"] == "*"]
    assert len(others) == 1
    assert int(shown[-1]["n_visited"]) == 150
    for row in (shown[0], *others):
        assert {row[name] for name in ("share_visited", "estimate", "std_error", "ci_low")} == {"*"}
    # what is known of the two hidden bands together is ten or more
    known = sum(int(row["n_visited"]) for row in shown[1:-1] if row["n_visited"] != "*")
    assert 150 - known >= 10 + few
    shares = [float(row["share_visited"]) for row in shown[:-1] if row["share_visited"] != "*"]
    assert len(shares) == 3
    estimates = [row["estimate"] for row in shown[:-1]]
    assert estimates.count("*") >= 2  # they add up to 0


def test_nothing_tells_how_few_lack_the_outcome():
    found = estimate_bands(with_bands([21, 33, 41, 37, 15], [30, 40, 40, 20, 20], lost=3), OUTCOME)
    assert (found.n_visited, found.matched_visited) == (147, 150)
    table = attendance_bands([found])
    shown = rows_of(table)
    assert [int(row["n_visited"]) for row in shown] == [20, 30, 40, 30, 10, 140]
    assert [int(row["n_comparison"]) for row in shown] == [30, 40, 40, 20, 20, 150]
    assert [row["share_visited"] for row in shown[:5]] == ["0.14", "0.22", "0.28", "0.25", "0.1"]
    assert [table.cell(row, "share_visited") for row in (0, 4)] == ["14%", "10%"]
    assert table.cell(0, "share_comparison") == "20.00%"
    assert float(shown[0]["share_comparison"]) == pytest.approx(30 / 150, rel=1e-12)
    assert any("less nine, rounded down to a ten" in note for note in table.notes)
    assert not re.search(r"(?<![\d.])147(?!\d)", everything(table))


def test_bands_and_quantiles_print_the_same_count_of_those_who_have_the_outcome():
    """147 of 148: the matched less nine are 139, so 130 is shown, not 140."""
    matched = with_bands([21, 33, 41, 37, 15], [30, 40, 40, 20, 20], lost=3)
    bands = replace(estimate_bands(matched, OUTCOME), matched_visited=148)
    quantiles = replace(
        estimate_quantile_effects(matched, OUTCOME, draws=199, seed=1), matched_visited=148
    )
    assert bands.n_visited == quantiles.n_visited == 147
    assert rows_of(attendance_bands([bands]))[-1]["n_visited"] == "130"
    assert {row["n_visited"] for row in rows_of(quantile_effects([quantiles]))} == {"130"}


def test_limits_are_printed_in_the_outcomes_unit():
    matched = matched_example(400)
    y = np.random.Generator(np.random.PCG64(4)).normal(0, 1, 400)
    matched = with_outcome(matched, "math_score_std", y)
    table = attendance_bands([estimate_bands(matched, "math_score_std", (-0.5, 0.5))], "B20")
    assert table.name == "B20"
    assert table.frame["band"].tolist()[:3] == ["Below -0.5", "-0.5 to below 0.5", "0.5 and above"]


# Quantiles --------------------------------------------------------------------------------------


def test_each_quantile_is_a_row_with_its_unit():
    effects = [
        estimate_quantile_effects(matched_example(600), name, seed=1, draws=99)
        for name in (OUTCOME, "math_score_std")
    ]
    table = quantile_effects(effects)
    assert table.name == "B16"
    assert table.frame["quantile"].tolist()[:4] == ["5%", "10%", "25%", "50% (median)"]
    first = effects[0].quantiles[2]
    for column in ("visited", "comparison", "estimate", "std_error", "ci_low", "ci_high"):
        assert table.frame[column].iloc[2] == pytest.approx(getattr(first, column))
    assert table.cell(2, "visited").endswith("%")
    assert table.cell(2, "estimate").endswith(" pp")
    assert not table.cell(8, "visited").endswith("%")
    common = [note for note in table.notes if "not quantiles of individual effects" in note]
    assert len(common) == 1
    assert common[0].startswith("Effects on quantiles")


def test_a_quantile_with_fewer_than_ten_on_a_side_is_hidden():
    matched = matched_example(240)  # 90 pairs
    quantiles = (0.05, 0.1, 0.12, 0.5, 0.88, 0.95)
    found = estimate_quantile_effects(matched, OUTCOME, quantiles, seed=1, draws=99)
    shown = rows_of(quantile_effects([found]))
    hidden = [row["quantile"] for row in shown if row["visited"] == "*"]
    assert hidden == ["5%", "10%", "95%"]  # 10% of 90 are 9 students
    for row in shown:
        same = {row[name] == "*" for name in ("visited", "comparison", "estimate", "ci_low")}
        assert len(same) == 1


# Times to an event ------------------------------------------------------------------------------


def survival(days: dict[int, list[int]], n: int = 400) -> SurvivalEffects:
    """Return the effects of matched pairs of whom so many have their event every 30 days."""
    matched = matched_example(n)
    baseline, used = matched.sample.baseline, matched.matches.weights.to_numpy() > 0
    day, event = np.full(n, 180.0), np.zeros(n)
    rng = np.random.Generator(np.random.PCG64(3))
    for group, counts in days.items():
        own = rng.permutation(np.flatnonzero(used & (baseline["visited"] == group)))
        place = np.repeat(np.arange(len(counts)), counts)
        day[own[: len(place)]] = 30 * (place + 1) - 5
        event[own[: len(place)]] = 1
    times = baseline[["unit_id", "school_year", "index_date"]].assign(days=day, event=event)
    return estimate_survival(matched, times, at_days=(30, 60, 90, 120, 150, 180))


MANY = {1: [10, 12, 10, 11, 10, 12], 0: [15, 12, 14, 13, 12, 14]}


def test_each_day_and_the_mean_are_rows():
    found = survival(MANY)
    table = time_to_event([found])
    assert table.name == "B17"
    assert table.frame["measure"].tolist() == [
        *(f"Had it by day {day}" for day in (30, 60, 90, 120, 150, 180)),
        "Mean days without it, up to day 180",
    ]
    curves = found.curves
    np.testing.assert_allclose(table.frame["visited"][:6], curves.incidence_treated)
    np.testing.assert_allclose(table.frame["estimate"][:6], curves.differences)
    np.testing.assert_allclose(table.frame["ci_high"][:6], curves.intervals[:, 1])
    assert table.frame["estimate"][6] == pytest.approx(curves.mean_difference)
    assert not table.hidden
    assert table.cell(0, "visited") == "6.67%"  # 10 of 150
    assert table.cell(0, "estimate").endswith(" pp")
    assert not table.cell(6, "estimate").endswith(" pp")


def test_days_since_which_few_had_the_event_are_hidden():
    found = survival({1: [10, 3, 4, 11, 10, 12], 0: MANY[0]})
    shown = rows_of(time_to_event([found]))
    hidden = [row["measure"] for row in shown if row["visited"] == "*"]
    assert hidden == ["Had it by day 30", "Had it by day 60"]  # later days go first
    counts = [round(float(row["visited"]) * 150) for row in shown[:6] if row["visited"] != "*"]
    assert all(step == 0 or step >= 10 for step in np.diff([0, *counts]))
    for row in shown:
        if row["visited"] == "*":
            assert {row[name] for name in ("comparison", "estimate", "ci_low", "p_value")} == {"*"}


def test_means_and_ratios_of_few_events_are_hidden():
    found = survival({1: [0, 0, 3, 2, 0, 2], 0: MANY[0]})
    days, ratios = rows_of(time_to_event([found])), rows_of(hazard_ratios([found]))
    assert [row["estimate"] == "*" for row in days[:2]] == [False, False]  # nobody of the visited
    assert {row["estimate"] for row in days[2:]} == {"*"}
    assert ratios[0]["events_visited"] == "<10"
    assert {ratios[0][name] for name in ("hazard_ratio", "ci_low", "log_rank_p_value")} == {"*"}


def test_hazard_ratios_with_events_rounded_down():
    found = survival(MANY)
    table = hazard_ratios([found])
    assert table.name == "B18"
    row = table.frame.iloc[0]
    assert row["hazard_ratio"] == pytest.approx(found.hazard.hazard_ratio)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(found.hazard.interval)
    assert row["log_rank_p_value"] == pytest.approx(found.log_rank.p_value)
    assert (found.events_visited, found.events_comparison) == (65, 80)
    assert (row["events_visited"], row["events_comparison"]) == (60, 80)


def test_without_a_finite_ratio_cells_are_empty_and_a_note_says_why():
    table = hazard_ratios([survival({1: [0] * 6, 0: MANY[0]})])
    assert pd.isna(table.frame["hazard_ratio"].iloc[0])
    assert any(note.startswith("No hazard ratio: ") for note in table.notes)


def test_rows_of_several_questions_are_told_apart():
    matched = matched_example(400)
    question = replace(matched.sample.question, name="fall", label="A visit in the fall")
    other = MatchedSample(replace(matched.sample, question=question), matched.matches)
    bands = [estimate_bands(one, OUTCOME) for one in (matched, other)]
    shown = attendance_bands(bands).frame["outcome"].unique().tolist()
    assert shown == [
        "Attendance rate. A visit before the school year (primary question)",
        "Attendance rate. A visit in the fall (primary question)",
    ]
    found = survival(MANY)
    fall = replace(found, question="fall", question_label="A visit in the fall")
    headings = [
        "First disciplinary incident. A visit before the school year (primary question)",
        "First disciplinary incident. A visit in the fall (primary question)",
    ]
    assert time_to_event([found, fall]).frame["event"].unique().tolist() == headings
    assert hazard_ratios([found, fall]).frame["event"].tolist() == headings


def test_what_is_exploratory_is_called_so():
    bands = replace(estimate_bands(matched_example(400), OUTCOME), role="exploratory")
    times = replace(survival(MANY), role="exploratory")
    for made in (attendance_bands([bands]), time_to_event([times]), hazard_ratios([times])):
        assert made.population.endswith(" (exploratory question)")
        assert "(exploratory question)" in made.to_csv_text().splitlines()[1]
    mixed = time_to_event([times, survival(MANY)])
    assert mixed.population == ""
    assert "(exploratory)" in survival_curves(times).axes[0].get_title(loc="left")
    assert "(exploratory)" not in survival_curves(survival(MANY)).axes[0].get_title(loc="left")


def test_tables_need_something_to_show():
    for make, words in (
        (attendance_bands, "band"), (quantile_effects, "quantile"), (time_to_event, "time"),
        (hazard_ratios, "hazard ratio"),
    ):  # fmt: skip
        with pytest.raises(EstimationError, match=f"There is no {words}"):
            make([])


# What of a curve may be shown ---------------------------------------------------------------------


def curve_with(events: list[int], censored: int):
    """Return a curve with so many events on days 1, 2, ...; the others are censored on the last."""
    days = np.repeat(np.arange(1, len(events) + 1), events)
    last = np.full(censored, len(events))
    return kaplan_meier(np.concatenate([days, last]), np.repeat([1, 0], [len(days), censored]))


@pytest.mark.parametrize(
    ("events", "censored", "days"),
    [
        ([4, 4, 4, 12, 0, 9, 1, 3], 30, [3, 4, 8]),
        ([10] * 4, 30, [1, 2, 3, 4]),
        ([9, 0, 0, 0], 30, []),
        ([0, 0, 0, 0], 30, []),
        ([12, 3, 0, 0], 30, [4]),  # the day of the last event may be that of one student
        ([12, 12, 12, 12], 3, [1, 2, 3, 4]),
        ([12, 12, 12, 3], 3, [1, 2, 3]),  # six are at risk on the fourth day
    ],
)
def test_ten_or_more_have_the_event_between_two_points(events, censored, days):
    curve = curve_with(events, censored)
    places = shown_places(curve)
    if not days:
        assert not len(places)
        return
    steps = np.diff(np.concatenate([[0], np.cumsum(curve.events)[places]]))
    assert (steps >= 10).all()
    assert (curve.at_risk[places] >= 10).all()
    assert curve.times[places][-1] == max(curve.times[curve.at_risk >= 10])
    assert curve.times[places].tolist() == days


def test_later_days_are_shown_first():
    one, other = curve_with([5, 5, 5, 5], 30), curve_with([10, 10, 10, 10], 30)
    assert shown_days([one, other], [1, 2, 3, 4]) == [False, True, False, True]
    assert shown_days([other], [1, 2, 3, 4]) == [True] * 4
    assert shown_days([curve_with([0, 0, 0, 40], 30)], [1, 2, 4]) == [True] * 3
    # where nobody has had it that is no small count
    with_days = kaplan_meier(np.repeat([1.0, 2, 4, 4], 20), np.repeat([0, 0, 1, 0], 20))
    assert shown_days([with_days], [1, 2, 4]) == [True] * 3


# The figure -------------------------------------------------------------------------------------


def test_the_same_bytes_every_time_and_all_words():
    found = survival(MANY)
    svg = to_svg(survival_curves(found))
    assert svg == to_svg(survival_curves(found))
    for words in (
        "Synthetic data", "Visited", "Comparison", "95 % interval by day",
        "Enrolled days of instruction", "First disciplinary incident",
    ):  # fmt: skip
        assert words in svg


def test_what_is_drawn_is_the_curve_at_places_that_may_be_shown():
    found = survival({1: [10, 3, 4, 11, 10, 12], 0: MANY[0]})
    ax = survival_curves(found).axes[0]
    curves = [line.get_xydata() for line in ax.lines]
    assert len(curves) == 2
    for drawn, curve in zip(curves, (found.curves.treated, found.curves.comparison), strict=True):
        assert drawn[0].tolist() == [0, 0]
        at = np.searchsorted(curve.times, drawn[1:, 0], side="right") - 1
        np.testing.assert_allclose(drawn[1:, 1], 1 - curve.survival[at])
        assert (np.diff(np.cumsum(curve.events)[at], prepend=0) >= 10).all()
    assert curves[0][:, 0].tolist() == [0, 25, 115, 145, 180]


def test_axes_that_are_given_are_used():
    figure = Figure()
    ax = figure.subplots()
    assert survival_curves(survival(MANY), ax=ax) is figure
    assert ax.get_title(loc="right") == "Synthetic data"


def test_a_group_with_few_events_is_not_drawn_and_one_without_any_is():
    few, none = survival({1: [0, 0, 3, 2, 0, 2], 0: MANY[0]}), survival({1: [0] * 6, 0: MANY[0]})
    assert len(survival_curves(few).axes[0].lines) == 1
    assert "visited students: not shown, fewer than 10" in survival_curves_alt_text(few)
    lines = survival_curves(none).axes[0].lines
    assert len(lines) == 2
    assert lines[0].get_xydata().tolist() == [[0, 0], [180, 0]]
    small = survival({1: [2, 3], 0: [3, 2]}, n=24)
    assert not survival_curves(small).axes[0].lines
    assert "Not shown: too few students" in to_svg(survival_curves(small))


def test_alt_text():
    text = survival_curves_alt_text(survival(MANY))
    assert text.startswith("Synthetic data. First disciplinary incident: share of students who")
    assert "visited students: 43.33% [" in text
    assert "comparison students: 53.33% [" in text
    assert text.endswith("by day 180.")
