"""The event-study figure: what is drawn where, in words, the same bytes, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from homevisit_eval.errors import EstimationError
from homevisit_eval.report.drawing import to_png, to_svg
from homevisit_eval.report.event_study_figure import (
    EventSeries,
    event_study,
    event_study_alt_text,
)

GROUP_TIME = EventSeries(
    label="Group-time effects",
    event_times=(-3, -2, 0, 1),
    estimates=(0.01, -0.02, 0.11, 0.2),
    low=(-0.05, -0.08, 0.05, 0.1),
    high=(0.07, 0.04, 0.17, 0.3),
    band_low=(-0.07, -0.1, 0.03, 0.08),
    band_high=(0.09, 0.06, 0.19, 0.32),
)
TWO_WAY = replace(GROUP_TIME, label="Unit and period effects", band_low=(), band_high=())
PRETREND = "No difference before treatment: F(2, 58) = 0.41, p = 0.666"


def draw(*series: EventSeries, **options) -> Figure:
    arguments = {"unit": "standard deviations", "references": (-1,), "synthetic": True} | options
    return event_study(series or (GROUP_TIME,), **arguments)


def marks(figure: Figure, marker: str) -> list[tuple[float, float]]:
    return [
        (float(x), float(y))
        for line in figure.axes[0].lines
        if line.get_marker() == marker
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    ]


def test_the_same_bytes_every_time():
    first, second = draw(GROUP_TIME, TWO_WAY), draw(GROUP_TIME, TWO_WAY)
    assert to_svg(first) == to_svg(second) == to_svg(first)
    assert to_png(first) == to_png(second)


def test_estimates_intervals_and_bands_stand_where_they_are():
    figure = draw()
    assert marks(figure, "o") == [(-3, 0.01), (-2, -0.02), (0, 0.11), (1, 0.2), (-1, 0.0)]
    band, interval = (lines.get_segments() for lines in figure.axes[0].collections)
    assert [tuple(segment[:, 1]) for segment in interval] == [
        (-0.05, 0.07), (-0.08, 0.04), (0.05, 0.17), (0.1, 0.3),
    ]  # fmt: skip
    assert tuple(band[3][:, 1]) == (0.08, 0.32)
    low, high = figure.axes[0].get_xlim()
    assert low < -3
    assert high > 1


def test_the_reference_is_an_empty_mark_without_an_interval():
    figure = draw(TWO_WAY)
    (reference,) = (line for line in figure.axes[0].lines if list(line.get_xdata()) == [-1])
    assert reference.get_markerfacecolor() == "white"
    (interval,) = figure.axes[0].collections
    assert len(interval.get_segments()) == 4


def test_methods_stand_side_by_side_and_differ_without_color():
    figure = draw(GROUP_TIME, TWO_WAY)
    first, second = marks(figure, "o")[:4], marks(figure, "D")
    assert all(a[0] < b[0] for a, b in zip(first, second, strict=True))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "Group-time effects",
        "Unit and period effects",
    ]


def test_words_of_the_axes_and_of_the_pretrend_test():
    svg = to_svg(draw(pretrend=PRETREND))
    assert "Effect, standard deviations" in svg
    assert "School years since the first visit" in svg
    assert "No difference before treatment:" in svg


def test_nothing_is_drawn_beyond_the_edge():
    figure = draw(GROUP_TIME, TWO_WAY, pretrend=PRETREND)
    ax = figure.axes[0]
    for text in (ax.xaxis.label, ax.yaxis.label):
        box = text.get_window_extent()
        assert 0 <= box.x0 <= box.x1 <= figure.bbox.width
        assert 0 <= box.y0 <= box.y1 <= figure.bbox.height


def test_synthetic_data_is_written_and_real_data_is_not():
    assert "Synthetic data" in to_svg(draw())
    assert "Synthetic data" not in to_svg(draw(synthetic=False))
    ax = Figure().subplots()
    assert draw(ax=ax) is ax.figure
    assert ax.get_title(loc="right") == "Synthetic data"


def test_effects_that_may_not_be_shown_are_in_neither_figure_nor_words():
    hidden = replace(GROUP_TIME, estimates=(math.nan, -0.02, 0.11, 0.2))
    assert [x for x, _ in marks(draw(hidden), "o")] == [-2, 0, 1, -1]
    text = event_study_alt_text([hidden], unit="standard deviations")
    assert "−3" not in text
    assert "0: 0.11 [0.05, 0.17]" in text


def test_in_words():
    text = event_study_alt_text([GROUP_TIME], unit="standard deviations", pretrend=PRETREND)
    assert text.startswith("Effects in standard deviations with confidence intervals")
    assert "−2: −0.02 [−0.08, 0.04]" in text
    assert text.endswith("p = 0.666.")


@pytest.mark.parametrize(
    ("series", "words"),
    [
        ([], "0 series were given; give one to 3"),
        ([GROUP_TIME] * 4, "4 series"),
        ([replace(GROUP_TIME, low=(0.0,))], "Group-time effects has 4 event times"),
        ([replace(GROUP_TIME, band_high=())], "of other lengths"),
        ([replace(GROUP_TIME, estimates=(math.nan,) * 4)], "no effect can be shown"),
    ],
)
def test_refused(series, words):
    with pytest.raises(EstimationError, match=words):
        event_study(series, unit="points", synthetic=True)
    with pytest.raises(EstimationError, match=words):
        event_study_alt_text(series, unit="points")
