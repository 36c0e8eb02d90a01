"""The numbered tables of a report. Each is safe to publish; `.frame` holds its numbers."""

from __future__ import annotations

from homevisit_eval.report.achievement_tables import achievement_by_grade
from homevisit_eval.report.audit_table import match_audit
from homevisit_eval.report.balance_tables import (
    balance_before_and_after,
    balance_by_group,
    baseline_equivalence,
)
from homevisit_eval.report.certificate_design_tables import (
    certificate_designs,
    certificate_expectations,
)
from homevisit_eval.report.certificate_tables import (
    certificate_districts,
    certificate_performance,
    certificate_verdicts,
)
from homevisit_eval.report.deviations import deviations
from homevisit_eval.report.distribution_tables import attendance_bands, quantile_effects
from homevisit_eval.report.engagement_tables import family_engagement, survey_scales
from homevisit_eval.report.follow_up_tables import follow_up
from homevisit_eval.report.followed_students import follow_up_years, later_visits
from homevisit_eval.report.impact_tables import full_estimates, impacts, sensitivity_grid
from homevisit_eval.report.method_tables import (
    decisions,
    matching_specification,
    panel_counts,
    provenance,
    variables,
)
from homevisit_eval.report.missing_table import missing_covariates
from homevisit_eval.report.sample_tables import sample_counts, sample_flow
from homevisit_eval.report.standard_error_table import standard_errors
from homevisit_eval.report.subgroup_tables import subgroups
from homevisit_eval.report.survival_tables import hazard_ratios, time_to_event
from homevisit_eval.report.table_one import table_one
from homevisit_eval.report.teacher_tables import teacher_retention
from homevisit_eval.report.timing_tables import impact_by_timing
from homevisit_eval.report.visit_tables import visits_made

__all__ = [
    "achievement_by_grade",
    "attendance_bands",
    "balance_before_and_after",
    "balance_by_group",
    "baseline_equivalence",
    "certificate_designs",
    "certificate_districts",
    "certificate_expectations",
    "certificate_performance",
    "certificate_verdicts",
    "decisions",
    "deviations",
    "family_engagement",
    "follow_up",
    "follow_up_years",
    "full_estimates",
    "hazard_ratios",
    "impact_by_timing",
    "impacts",
    "later_visits",
    "match_audit",
    "matching_specification",
    "missing_covariates",
    "panel_counts",
    "provenance",
    "quantile_effects",
    "sample_counts",
    "sample_flow",
    "sensitivity_grid",
    "standard_errors",
    "subgroups",
    "survey_scales",
    "table_one",
    "teacher_retention",
    "time_to_event",
    "variables",
    "visits_made",
]
