"""The numbered figures of a report, as `matplotlib.figure.Figure`; none shows few students."""

from __future__ import annotations

from homevisit_eval.report.drawing import to_png, to_svg
from homevisit_eval.report.flow_diagram import sample_flow, sample_flow_alt_text
from homevisit_eval.report.impact_figure import impacts, impacts_alt_text
from homevisit_eval.report.love_plot import love_plot, love_plot_alt_text

__all__ = [
    "impacts",
    "impacts_alt_text",
    "love_plot",
    "love_plot_alt_text",
    "sample_flow",
    "sample_flow_alt_text",
    "to_png",
    "to_svg",
]
