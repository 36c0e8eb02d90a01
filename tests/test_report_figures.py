"""Figures: the same bytes each time, marked as synthetic, in words, without few students."""

from __future__ import annotations

import re
from collections.abc import Callable

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

import fabricated
from homevisit_eval.errors import DesignError
from homevisit_eval.report import figures

DRAWINGS: dict[str, Callable[[], Figure]] = {
    "F1": lambda: figures.sample_flow(fabricated.matched_sample(), fabricated.effects()),
    "F2": lambda: figures.impacts(fabricated.effects()),
    "FA1": lambda: figures.love_plot(fabricated.balance()),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_the_same_bytes_every_time(name: str) -> None:
    first, second = DRAWINGS[name](), DRAWINGS[name]()
    svg = figures.to_svg(first)
    assert svg == figures.to_svg(second)
    assert svg == figures.to_svg(first), "drawing does not change the figure"
    png = figures.to_png(first)
    assert png == figures.to_png(second)
    assert png.startswith(b"\x89PNG")
    assert b"Software" not in png
    assert "dc:date" not in svg


@pytest.mark.parametrize("name", DRAWINGS)
def test_synthetic_data_is_written_inside_and_text_stays_text(name: str) -> None:
    svg = figures.to_svg(DRAWINGS[name]())
    assert "Synthetic data" in svg
    assert len(re.findall("<text", svg)) > 8
    assert not re.search(r"(href|src)=\"(?!#)", svg)


def test_nothing_is_written_on_figures_of_real_data() -> None:
    real = fabricated.matched_sample(synthetic=False)
    assert "Synthetic data" not in figures.to_svg(figures.sample_flow(real))


def test_the_users_own_settings_neither_change_a_figure_nor_are_changed() -> None:
    expected = figures.to_svg(DRAWINGS["F2"]())
    with mpl.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.grid": True}):
        before = dict(mpl.rcParams)
        assert figures.to_svg(DRAWINGS["F2"]()) == expected
        assert dict(mpl.rcParams) == before


def test_effects_have_one_panel_a_unit() -> None:
    labels = [ax.get_xlabel() for ax in DRAWINGS["F2"]().axes]
    assert labels == [
        "Difference, percentage points",
        "Difference, incidents",
        "Difference, standard deviations",
    ]


def test_effects_are_drawn_where_they_are() -> None:
    ax = figures.impacts(fabricated.effects()[:1]).axes[0]
    mark = next(line for line in ax.lines if line.get_marker() == "o")
    assert mark.get_xdata()[0] == pytest.approx(-2.95)
    low, high = ax.collections[0].get_segments()[0][:, 0]
    assert (low, high) == pytest.approx((-4.20, -1.70))


def test_marks_tell_verdicts_apart_without_color() -> None:
    bad = fabricated.effect(estimate=0.0295, ci_low=0.017, ci_high=0.042)
    effects = [*fabricated.effects()[:1], bad, fabricated.effect(p_value_adjusted=0.5)]
    marks = [
        (line.get_marker(), line.get_markerfacecolor() == "white")
        for line in figures.impacts(effects).axes[0].lines
        if line.get_marker() not in ("None", "")
    ]
    assert len(set(marks)) == 3


def test_own_axes_take_effects_of_one_unit_only() -> None:
    ax = Figure().subplots()
    assert figures.impacts(fabricated.effects()[:2], ax) is ax.figure
    with pytest.raises(DesignError, match="ax can show one unit"):
        figures.impacts(fabricated.effects(), ax)
    other = Figure().subplots()
    assert figures.love_plot(fabricated.balance(), other) is other.figure
    third = Figure().subplots()
    assert figures.sample_flow(fabricated.matched_sample(), ax=third) is third.figure


def test_few_students_are_in_no_figure() -> None:
    effects = [*fabricated.effects()[1:], fabricated.effect(n_visited=5)]
    assert "Any disciplinary incident" not in figures.to_svg(figures.impacts(effects))
    assert "Any disciplinary incident" not in figures.impacts_alt_text(effects)
    svg = figures.to_svg(figures.love_plot(fabricated.balance()))
    assert "pacific" not in svg
    flow = figures.to_svg(figures.sample_flow(fabricated.matched_sample()))
    assert "&lt;10" in flow
    assert "−150<" not in flow, "what would reveal a small count"


def test_all_effects_hidden_still_gives_a_figure() -> None:
    assert isinstance(figures.impacts([fabricated.effect(n_visited=5)]), Figure)


def test_figures_in_words() -> None:
    assert "Any disciplinary incident: −2.95  [−4.20, −1.70]" in figures.impacts_alt_text(
        fabricated.effects()
    )
    assert "Matched: 2,000 visited, 2,000 comparison" in figures.sample_flow_alt_text(
        fabricated.matched_sample()
    )
    assert "after matching it is 0.10 (Mathematics score)" in figures.love_plot_alt_text(
        fabricated.balance()
    )


def test_an_infinite_difference_is_drawn_at_the_edge_and_named() -> None:
    balance = fabricated.balance()
    balance.table.loc[2, "smd_after"] = float("inf")
    figure = figures.love_plot(balance)
    (ax,) = figure.axes
    (arrow,) = (line for line in ax.lines if line.get_marker() == ">")
    (place,) = arrow.get_xdata()
    finite = balance.table["smd_before"].abs().max()
    assert finite < place < ax.get_xlim()[1]
    assert "Girl (infinite)" in [label.get_text() for label in ax.get_yticklabels()]
    text = figures.love_plot_alt_text(balance)
    assert "infinite, because all visited had one value, for: girl." in text
    assert "after matching it is 0.10 (Mathematics score)" in text
