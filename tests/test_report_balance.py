"""Figures of distributions, love plots of every statistic, Table 1 and balance within groups."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import fabricated
from homevisit_eval.balance import (
    Distribution,
    assess_balance,
    pool_balance,
    sample_distribution,
)
from homevisit_eval.balance.published import GroupWords
from homevisit_eval.errors import DesignError, EstimationError
from homevisit_eval.matching import match_students
from homevisit_eval.report import figures, tables
from small_sample import random_sample

WORDS = GroupWords("visited", "comparison", "student-years")


@pytest.fixture(scope="module")
def matched():
    return match_students(random_sample(41, n=900))


@pytest.fixture(scope="module")
def balance(matched):
    return assess_balance(matched, by=("grade", "school_id"))


def distribution(
    n: int = 400, *, used: int = 100, seed: int = 3, **changes: object
) -> Distribution:
    rng = np.random.Generator(np.random.PCG64(seed))
    treated = np.arange(n) % 4 == 0
    after = np.zeros(n)
    after[np.flatnonzero(treated)[:used]] = after[np.flatnonzero(~treated)[:used]] = 1.0
    values: dict[str, object] = {
        "name": "propensity_score",
        "label": "Propensity score",
        "values": rng.beta(2 + treated, 5 - treated),
        "treated": treated,
        "before": np.ones(n),
        "after": after,
        "words": WORDS,
        "bounded": True,
        "synthetic": True,
    }
    return Distribution(**(values | changes))  # type: ignore[arg-type]


DRAWINGS: dict[str, Callable[[Distribution], Figure]] = {
    "density": figures.propensity_density,
    "jitter": figures.propensity_jitter,
    "ecdf": figures.ecdf_plot,
    "qq": figures.qq_plot,
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_same_bytes_every_time_and_marked_as_synthetic(name):
    svg = figures.to_svg(DRAWINGS[name](distribution()))
    assert svg == figures.to_svg(DRAWINGS[name](distribution()))
    assert "Synthetic data" in svg
    assert "Propensity score" in svg
    assert "Synthetic data" not in figures.to_svg(DRAWINGS[name](distribution(synthetic=False)))


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_group_of_few_is_not_drawn(name):
    few = distribution(used=6)
    svg = figures.to_svg(DRAWINGS[name](few))
    if name == "qq":
        assert "After matching" not in svg
    else:
        assert "ewer than 10" in svg
    nobody = distribution(n=30)
    assert isinstance(DRAWINGS[name](nobody), Figure)
    if name == "qq":
        assert "not shown" in figures.to_svg(DRAWINGS[name](nobody))


def test_own_axes_take_one_panel():
    for function in (figures.propensity_density, figures.ecdf_plot):
        ax = Figure().subplots()
        with pytest.raises(DesignError, match="one panel"):
            function(distribution(), ax)
        assert function(distribution(), ax, when="after") is ax.figure
        with pytest.raises(DesignError, match="when"):
            function(distribution(), when="later")
    for function in (figures.propensity_jitter, figures.qq_plot):
        ax = Figure().subplots()
        assert function(distribution(), ax) is ax.figure


def test_groups_are_told_apart_without_color():
    figure = figures.ecdf_plot(distribution())
    styles = {line.get_label(): line.get_linestyle() for line in figure.axes[0].lines}
    assert set(styles) == {"Visited", "Comparison"}
    assert styles["Visited"] != styles["Comparison"]


def test_no_value_of_a_row_stands_in_a_figure():
    one = distribution()
    exact = {round(value, 6) for value in one.values}
    for figure in (figures.ecdf_plot(one), figures.qq_plot(one), figures.propensity_jitter(one)):
        for ax in figure.axes:
            for line in ax.lines:
                if line.get_label() in ("Visited", "Comparison") or line.get_marker() in "oD":
                    places = {round(float(x), 6) for x in np.asarray(line.get_xdata(), float)}
                    assert not places & exact


def test_density_curves_end_where_few_rows_lie_beyond():
    outlier = distribution(
        values=np.append(np.random.Generator(np.random.PCG64(1)).normal(size=399), 50.0),
        bounded=False,
        name="linear_propensity_score",
    )
    ends = [line.get_xdata().max() for line in figures.propensity_density(outlier).axes[0].lines]
    assert max(ends) < 4


def test_the_densities_are_those_of_the_groups():
    ax = figures.propensity_density(distribution(n=4_000, used=900), when="before",
                                    ax=Figure().subplots()).axes[0]  # fmt: skip
    heights = {line.get_label(): line for line in ax.lines}
    peak = {name: line.get_xdata()[line.get_ydata().argmax()] for name, line in heights.items()}
    assert peak["Comparison"] == pytest.approx(0.2, abs=0.06)  # the mode of beta(2, 5)
    assert peak["Visited"] == pytest.approx(0.4, abs=0.08)  # of beta(3, 4)


def test_many_dots_are_one_picture_and_stand_for_several_rows():
    many = distribution(n=40_000, used=9_000)
    figure = figures.propensity_jitter(many)
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert all(len(line.get_xdata()) <= 4_100 for line in dots)
    assert sum(line.get_rasterized() is True for line in dots) >= 3
    labels = " ".join(label.get_text() for label in figure.axes[0].get_yticklabels())
    assert "1 dot = " in labels
    assert "9,000" in labels
    assert len(figures.to_svg(figure)) < 1_500_000


def test_dots_have_the_distribution_of_their_rows():
    one = distribution(n=4_000, used=900)
    dots = [line for line in figures.propensity_jitter(one).axes[0].lines
            if line.get_marker() == "o"]  # fmt: skip
    rows = one.treated & (one.after > 0)
    assert len(dots[1].get_xdata()) == rows.sum()
    assert dots[1].get_xdata().mean() == pytest.approx(one.values[rows].mean(), abs=0.01)


def test_figures_in_words():
    one = distribution()
    text = figures.propensity_density_alt_text(one)
    mean = one.values[one.treated].mean()
    assert f"before matching the means are visited {mean:.2f} and comparison" in text
    assert "Quantiles of propensity score" in figures.qq_plot_alt_text(one)
    assert "100 matched visited" in figures.propensity_jitter_alt_text(one)
    few = distribution(used=6)
    assert "after matching a group has fewer than 10 rows" in figures.ecdf_plot_alt_text(few)
    assert "<10 matched visited" in figures.propensity_jitter_alt_text(few)
    assert "too few rows" in figures.qq_plot_alt_text(distribution(n=30))


def test_a_column_of_few_values_has_steps(matched):
    grades = sample_distribution(matched, "grade")
    lines = figures.ecdf_plot(grades).axes[0].lines
    assert {line.get_drawstyle() for line in lines} == {"steps-pre"}
    assert set(lines[0].get_xdata()) == {1.0, 2.0, 3.0, 4.0}
    percent = figures.ecdf_plot(sample_distribution(matched, "attendance_rate_prior"))
    percent.draw_without_rendering()
    assert any("%" in label.get_text() for label in percent.axes[-1].get_xticklabels())


@pytest.mark.parametrize(
    ("statistic", "nothing"), [("smd", 0), ("variance_ratio", 1), ("ecdf_mean", 0), ("ecdf_max", 0)]
)
def test_a_love_plot_of_every_statistic(balance, statistic, nothing):
    figure = figures.love_plot(balance, statistic=statistic)
    (ax,) = figure.axes
    (marks,) = (line for line in ax.lines if line.get_label() == "After matching")
    shown = balance.everybody[f"{statistic}_after"].dropna().to_numpy()
    drawn = np.asarray(marks.get_xdata())
    np.testing.assert_allclose(2.0**drawn if nothing else drawn, shown)
    text = figures.love_plot_alt_text(balance, statistic=statistic)
    assert f"of {len(shown)} baseline characteristics" in text
    with pytest.raises(DesignError, match="statistic"):
        figures.love_plot(balance, statistic="mean")


def test_thresholds_are_the_readers(balance):
    ax = figures.love_plot(balance, thresholds=(0.1, 0.2)).axes[0]
    dashed = {round(line.get_xdata()[0], 9) for line in ax.lines if line.is_dashed()}
    assert dashed == {-0.2, 0.2}


def test_imputations_have_a_range():
    pooled = pool_balance([assess_balance(match_students(random_sample(s))) for s in (51, 52)])
    figure = figures.love_plot(pooled)
    assert len(figure.axes[0].collections) == 3
    assert len(figures.love_plot(assess_balance(match_students(random_sample(51)))).axes[0]
               .collections) == 1  # fmt: skip


def test_table_one_golden():
    table = tables.table_one(fabricated.balance())
    shown = table.frame[["characteristic", "treated", "comparison", "comparison_before"]]
    expected = pd.DataFrame(
        [
            ["Attendance rate", "94.00% (5.00)", "94.10% (5.00)", "95.00% (5.00)"],
            ["Any incident", "120 (12.0%)", "110 (11.0%)", "160 (8.0%)"],
            ["Girl", "490 (49.0%)", "490 (49.0%)", "1,000 (50.0%)"],
            ["Race or ethnicity: black", "700 (70.0%)", "680 (68.0%)", "1,000 (50.0%)"],
            ["Race or ethnicity: white", None, None, "980 (49.0%)"],
            ["Race or ethnicity: pacific islander", None, None, "20 (1.0%)"],
            ["Mathematics score", "−0.20 (1.00)", "−0.10 (1.00)", "0.20 (1.00)"],
        ],
        columns=shown.columns,
    )
    pd.testing.assert_frame_equal(shown, expected)
    assert table.frame["smd_after"].isna().tolist() == [False] * 4 + [True, True, False]
    assert table.label("treated") == "Visited (n = 1,000)"
    assert table.label("comparison_before") == "All comparison (n = 2,000)"
    assert table.synthetic
    assert table.cell(5, "treated") == "*"
    text = table.text()
    assert "120 (12.0%)" in text
    assert "0.4%" not in table.to_csv_text()
    assert "0.004" not in table.to_csv_text()


def test_table_one_has_no_score_and_hides_few(matched, balance):
    table = tables.table_one(balance)
    assert "score" not in " ".join(table.frame["characteristic"][:-1]).lower()
    assert len(table.frame) == len(balance.everybody) - 1
    girls = matched.sample.baseline[matched.matches.weights > 0].groupby("visited")["female"].sum()
    row = table.frame["characteristic"].tolist().index("Girl")
    assert table.frame["treated"][row].startswith(f"{girls[1]:,} (")
    few = fabricated.balance(n=8)
    assert "<10" in tables.table_one(few).label("treated")
    assert tables.table_one(few).frame["treated"].isna().all()


def test_balance_within_groups_is_one_table(balance):
    table = tables.balance_by_group(balance)
    frame = table.frame
    assert frame["group"].tolist() == ["Everybody", "1", "2", "3", "4", "S01", "S02", "S03"]
    assert list(dict.fromkeys(frame["grouping"])) == ["Everybody", "Grade", "School id"]
    rows = balance.table[(balance.table["by"] == "grade") & (balance.table["group"] == "3")]
    rows = rows[rows["covariate"] != "linear_propensity_score"]
    line = frame[frame["group"] == "3"].iloc[0]
    assert line["largest_after"] == rows["smd_after"].abs().max()
    assert line["above_adjustable"] == (rows["smd_after"].abs() > 0.25).sum()
    worst = rows.loc[rows["smd_after"].abs().idxmax()]
    assert str(line["characteristic"]).startswith(worst["label"])
    for grouping in ("Grade", "School id"):
        part = frame[frame["grouping"] == grouping]
        assert part["n_treated"].sum() == frame["n_treated"][0]


def test_a_small_group_and_what_would_give_it_away_are_hidden(balance):
    small = balance.table.copy()
    part = (small["by"] == "grade") & (small["group"] == "2")
    small.loc[part, "n_treated"] = 4
    from dataclasses import replace

    table = tables.balance_by_group(replace(balance, table=small))
    cells = {table.frame["group"][row]: row for row in range(len(table.frame))}
    assert table.cell(cells["2"], "n_treated") == "<10"
    assert table.cell(cells["2"], "largest_after") == "*"
    assert sum(table.cell(cells[grade], "n_treated") in ("*", "<10") for grade in "1234") >= 2
    assert re.fullmatch(r"[\d,]+", table.cell(0, "n_treated"))


def test_a_balance_without_groups_has_no_such_table():
    with pytest.raises(EstimationError, match="no groups"):
        tables.balance_by_group(fabricated.balance())
