"""The event study figure: the same bytes, marked as synthetic, told in words."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from homevisit_eval.errors import EstimationError
from homevisit_eval.report.drawing import to_svg
from homevisit_eval.report.event_study_figure import event_study, event_study_alt_text

TIMES = np.array([-3.0, -2.0, -1.0, 0.0, 1.0])
ESTIMATES = np.array([0.1, -0.05, 0.0, 0.8, 1.2])
INTERVALS = np.column_stack([ESTIMATES, ESTIMATES]) + np.outer(TIMES != -1, [-0.3, 0.3])
SENTENCE = "Before the start no difference is seen (F test of 2 coefficients, p = .41)."


def drawn(**options) -> Figure:
    chosen = {"pretrend": SENTENCE, "unit": "points", "synthetic": True} | options
    return event_study(TIMES, ESTIMATES, INTERVALS, **chosen)


def test_the_same_bytes_every_time_and_all_words():
    svg = to_svg(drawn(bands=INTERVALS * 1.2))
    assert svg == to_svg(drawn(bands=INTERVALS * 1.2))
    for words in (
        "Synthetic data",
        "Years since first visited",
        "Difference, points",
        "Before the start no difference is seen",
        "p = .41",
        "Reference",
        "95 % band for all at once",
    ):
        assert words in svg
    assert "Synthetic data" not in to_svg(drawn(synthetic=False))


def test_what_is_drawn_stands_where_it_should():
    ax = drawn().axes[0]
    points = np.vstack([line.get_xydata() for line in ax.lines if line.get_marker() in "oD"])
    order = np.argsort(points[:, 0])
    np.testing.assert_allclose(points[order], np.column_stack([TIMES, ESTIMATES]))
    segments = np.vstack([np.array(c.get_segments()) for c in ax.collections if c.get_segments()])
    assert len(segments) == 4
    np.testing.assert_allclose(segments[0, :, 1], INTERVALS[0])


def test_axes_that_are_given_are_used():
    figure = Figure()
    ax = figure.subplots()
    assert drawn(ax=ax) is figure
    assert ax.get_ylabel() == "Difference, points"
    assert ax.get_title(loc="right") == "Synthetic data"


def test_alt_text():
    text = event_study_alt_text(TIMES, ESTIMATES, INTERVALS, pretrend=SENTENCE, unit="points")
    assert text.startswith("Differences in points by years since first visited, with 95 %")
    assert "−3: 0.1 [−0.2, 0.4]; −2: −0.05 [−0.35, 0.25]; −1: reference; 0: 0.8" in text
    assert text.endswith(SENTENCE)


def test_refusals():
    with pytest.raises(EstimationError, match="1 of 5 event times have missing"):
        event_study(
            TIMES, np.where(TIMES == 0, np.nan, ESTIMATES), INTERVALS, pretrend="", unit="",
            synthetic=True,
        )  # fmt: skip
    with pytest.raises(EstimationError, match=r"intervals \(5,\)"):
        event_study_alt_text(TIMES, ESTIMATES, ESTIMATES, pretrend="", unit="")
