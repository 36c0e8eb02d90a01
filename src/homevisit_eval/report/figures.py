"""The numbered figures of a report, as `matplotlib.figure.Figure`; none shows few students."""

from __future__ import annotations

from homevisit_eval.report.certificate_figures import (
    bias_by_design,
    bias_by_design_alt_text,
    coverage_by_design,
    coverage_by_design_alt_text,
)
from homevisit_eval.report.certificate_power import power_curve, power_curve_alt_text
from homevisit_eval.report.certificate_zip import zip_plot, zip_plot_alt_text
from homevisit_eval.report.distribution_figures import (
    ecdf_plot,
    ecdf_plot_alt_text,
    propensity_density,
    propensity_density_alt_text,
    qq_plot,
    qq_plot_alt_text,
)
from homevisit_eval.report.drawing import to_png, to_svg
from homevisit_eval.report.event_study_figure import event_study, event_study_alt_text
from homevisit_eval.report.flow_diagram import sample_flow, sample_flow_alt_text
from homevisit_eval.report.follow_up_figure import follow_up, follow_up_alt_text
from homevisit_eval.report.impact_figure import impacts, impacts_alt_text
from homevisit_eval.report.jitter_figure import propensity_jitter, propensity_jitter_alt_text
from homevisit_eval.report.love_plot import love_plot, love_plot_alt_text
from homevisit_eval.report.survival_figure import survival_curves, survival_curves_alt_text
from homevisit_eval.report.timing_figure import (
    impact_by_timing,
    impact_by_timing_alt_text,
    landmark,
    landmark_alt_text,
)

__all__ = [
    "bias_by_design",
    "bias_by_design_alt_text",
    "coverage_by_design",
    "coverage_by_design_alt_text",
    "ecdf_plot",
    "ecdf_plot_alt_text",
    "event_study",
    "event_study_alt_text",
    "follow_up",
    "follow_up_alt_text",
    "impact_by_timing",
    "impact_by_timing_alt_text",
    "impacts",
    "impacts_alt_text",
    "landmark",
    "landmark_alt_text",
    "love_plot",
    "love_plot_alt_text",
    "power_curve",
    "power_curve_alt_text",
    "propensity_density",
    "propensity_density_alt_text",
    "propensity_jitter",
    "propensity_jitter_alt_text",
    "qq_plot",
    "qq_plot_alt_text",
    "sample_flow",
    "sample_flow_alt_text",
    "survival_curves",
    "survival_curves_alt_text",
    "to_png",
    "to_svg",
    "zip_plot",
    "zip_plot_alt_text",
]
